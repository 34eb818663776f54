"""The two text formats that Prometheus reads."""

from enum import Enum


class Format(Enum):
    """An exposition format; its value is the ``Content-Type`` that names it."""

    CLASSIC = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

    @property
    def content_type(self) -> str:
        return self.value
