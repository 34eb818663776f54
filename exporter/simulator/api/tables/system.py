"""The table ``system``: one row with name and version. Fields: docs/vergeos-api.md."""

from exporter.simulator.api.tables.columns import Table, attribute, constant

_SYSTEM = Table(
    name="system",
    rows=lambda view: [view.world],
    columns={
        "$key": constant(1),
        "cloud_name": attribute("system_name"),
        "yb_version": attribute("version"),
        "os_version": attribute("version"),
    },
)


TABLES = (_SYSTEM,)
