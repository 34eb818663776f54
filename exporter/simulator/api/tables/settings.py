"""
The table ``settings``; the row ``cloud_name`` is the system's name.

Fields: docs/vergeos-api.md.
"""

from dataclasses import dataclass

from exporter.simulator.api.tables.columns import RequestView, Table, attribute


@dataclass(frozen=True, slots=True)
class _Setting:
    key: str
    value: str
    default_value: str
    description: str


def _settings(view: RequestView) -> list[_Setting]:
    return [
        _Setting("cloud_name", view.world.system_name, "verge", "Name of the cloud"),
        _Setting("max_connections", "500", "500", "Webserver max connections"),
    ]


_SETTINGS = Table(
    name="settings",
    rows=_settings,
    columns={
        "$key": attribute("key"),
        "key": attribute("key"),
        "value": attribute("value"),
        "default_value": attribute("default_value"),
        "description": attribute("description"),
    },
)


TABLES = (_SETTINGS,)
