"""What an operator wants of Alertmanagers, as plain values."""

from typing import NamedTuple

from exporter.alerting.alerts import Limits
from exporter.alerting.config import Access


class Plan(NamedTuple):
    """Whom to talk to, how, and how often."""

    urls: tuple[str, ...] = ()
    access: Access = Access()
    post: bool = True
    silences: bool = True
    hold_when_unknown: bool = False
    """Whether a VM is held while an Alertmanager does not tell its silences."""
    post_every_seconds: float = 30.0
    look_every_seconds: float = 5.0
    silences_every_seconds: float = 30.0
    after_silence_seconds: float = 600.0
    timeout_seconds: float = 10.0
    limits: Limits = Limits()
    runbooks: str = ""

    @property
    def listens(self) -> bool:
        return bool(self.urls) and self.silences

    @property
    def tells(self) -> bool:
        return bool(self.urls) and self.post
