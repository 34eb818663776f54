"""The table ``users``. Fields: docs/vergeos-api.md."""

from exporter.simulator.api.tables.columns import Table, attribute, constant, live

_USERS = Table(
    name="users",
    rows=lambda view: view.world.users,
    columns={
        "$key": attribute("key"),
        "name": attribute("name"),
        "displayname": attribute("name"),
        "type": attribute("kind"),
        "enabled": constant(value=True),
        "created": live(lambda _user, view: int(view.world.started_at) - 70_000_000),
    },
)


TABLES = (_USERS,)
