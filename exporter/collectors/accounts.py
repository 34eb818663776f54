"""
Accounts: until when API keys are valid, and how many administrators there are.

Of users only numbers are exported. Which API key is Vergewatch's own cannot be told from the table:
VergeOS shows no key, only names.
"""

from operator import attrgetter
from typing import NamedTuple

from exporter.collectors.collector import Collector
from exporter.exposition.collector import at, gauge, group
from exporter.exposition.view import Items, RenderView
from exporter.vergeos.rows import Name, Row, Whole
from exporter.vergeos.tables import Importance, Pace, Table


class APIKeyRow(Row, gc=False):
    """A row of ``user_api_keys``."""

    name: Name | None = None
    expires: Whole | float | None = None
    lastlogin_stamp: Whole | float | None = None


class UserRow(Row, gc=False):
    """A row of ``users``: what makes an administrator, and no name."""

    enabled: bool | None = None
    physical_access: bool | None = None
    two_factor_authentication: bool | None = None
    account_locked: Whole | float | None = None
    """When it was locked; 0 if it is not."""

    @property
    def is_admin(self) -> bool:
        """Whether it may be used, and may do everything."""
        return self.enabled is not False and self.physical_access is True


API_KEYS = Table(
    "user_api_keys", "user_api_keys", Pace.HOURLY, APIKeyRow, may_be_hidden=True,
    importance=Importance.LOW,
)  # fmt: skip
USERS = Table(
    "users", "users", Pace.HOURLY, UserRow, may_be_hidden=True, importance=Importance.LOW
)  # fmt: skip


class Users(NamedTuple):
    """Numbers of users."""

    number: int
    locked: int
    admins: int | None
    """None where no user is one: VergeOS then has another mark for them."""
    admins_without_mfa: int | None


def api_keys(view: RenderView) -> Items:
    """Return each API key; several users may have one of the same name."""
    return view.keyed(view.rows(API_KEYS.name), attrgetter("name"))


def users(view: RenderView) -> Items:
    """Return the numbers of users, if any are visible."""
    rows = list(view.rows(USERS.name).values())
    if not rows:
        return Items([], [])
    admins = [row for row in rows if row.is_admin]
    without = sum(row.two_factor_authentication is False for row in admins)
    found = Users(
        number=len(rows),
        locked=sum(bool(row.account_locked) for row in rows),
        admins=len(admins) or None,
        admins_without_mfa=without if admins else None,
    )
    return Items([(view.system,)], [found])


API_KEY = group("API key", "system_name api_key_id api_key_name", API_KEYS.name, api_keys)
OF_USERS = group("users", "system_name", USERS.name, users)

FAMILIES = (
    gauge("api_key_expiry_timestamp_seconds", API_KEY, "user_api_keys.expires",
          "When the API key expires; absent if it does not", at("expires")),
    gauge("api_key_last_login_timestamp_seconds", API_KEY, "user_api_keys.lastlogin_stamp",
          "When the API key was last used", at("lastlogin_stamp")),
    gauge("users", OF_USERS, "users", "Users of VergeOS, also disabled ones", "number"),
    gauge("users_locked", OF_USERS, "users.account_locked",
          "Users whose account is locked", "locked"),
    gauge("users_administrators", OF_USERS, "users.physical_access",
          "Enabled users with access to the physical system, who are administrators; absent if "
          "there is none: since 26.2 a group may take their place", "admins"),
    gauge("users_administrators_without_mfa", OF_USERS, "users.two_factor_authentication",
          "Administrators without two-factor authentication", "admins_without_mfa"),
)  # fmt: skip

COLLECTOR = Collector("accounts", (API_KEYS, USERS), FAMILIES)
