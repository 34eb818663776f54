"""The tables ``users`` and ``user_api_keys``. Fields: docs/vergeos-api.md."""

from dataclasses import dataclass

from exporter.simulator.api.tables.columns import (
    Link,
    RequestView,
    Table,
    attribute,
    computed,
    constant,
    live,
)
from exporter.simulator.world.machines import User

DAY = 86_400
ADMINS = ("admin", "jonas")


@dataclass(frozen=True, slots=True)
class APIKey:
    """A row of ``user_api_keys``."""

    key: int
    name: str
    user: int
    lifetime_days: int
    """0: it does not expire."""
    used_seconds_ago: int


API_KEYS = (APIKey(1, "vergewatch", 1, 0, 20), APIKey(2, "terraform", 3, 365, 3 * DAY))


def _owner(row: APIKey, view: RequestView) -> User | None:
    return next((user for user in view.world.users if user.key == row.user), None)


def _expires(row: APIKey, view: RequestView) -> int:
    return int(view.world.started_at) + row.lifetime_days * DAY if row.lifetime_days else 0


_USERS = Table(
    name="users",
    rows=lambda view: view.world.users,
    columns={
        "$key": attribute("key"),
        "name": attribute("name"),
        "displayname": attribute("name"),
        "email": computed(lambda user: f"{user.name}@example.com"),
        "type": attribute("kind"),
        "enabled": constant(value=True),
        "created": live(lambda _user, view: int(view.world.started_at) - 70_000_000),
        "last_login": live(lambda _user, view: int(view.now) // DAY * DAY),
        "change_password": constant(value=False),
        "physical_access": computed(lambda user: user.name in ADMINS),
        "two_factor_authentication": computed(lambda user: user.name in ADMINS),
        "two_factor_type": constant("authenticator"),
        "account_locked": constant(0),
        "failed_attempts": constant(0),
        "auth_source": constant(None),
        "remote_name": constant(""),
        "identity": computed(lambda user: user.key),
        "creator": constant("admin"),
    },
)

_API_KEYS = Table(
    name="user_api_keys",
    rows=lambda _view: API_KEYS,
    columns={
        "$key": attribute("key"),
        "user": attribute("user", leads_to="users"),
        "name": attribute("name"),
        "description": constant(""),
        "created": live(lambda _row, view: int(view.world.started_at) - 30 * DAY),
        "expires": live(_expires),
        "lastlogin_stamp": live(lambda row, view: int(view.now) - row.used_seconds_ago),
        "lastlogin_ip": constant("10.0.9.77"),
        "ip_allow_list": constant(""),
        "ip_deny_list": constant(""),
    },
    links={"user": Link("users", _owner)},
)


TABLES = (_USERS, _API_KEYS)
