"""
Checks of administrators.

Their names are left out: the metrics are open, and would tell an attacker which account to try.
"""

from collections.abc import Iterator
from typing import Any

from exporter.collectors.accounts import USERS, UserRow
from exporter.doctor.check import Check
from exporter.formatting import counted
from exporter.model import Finding, Inventory, Level

LEAST_ADMINS = 2
SUBJECT = "administrators"


def _admin_users(inventory: Inventory) -> Iterator[Finding]:
    # Without any, VergeOS marks administrators otherwise: since 26.2 there is a group for them.
    if 0 < len(_admins(inventory)) < LEAST_ADMINS:
        yield Finding(Level.WARNING, SUBJECT, "there is only one")


def _mfa(inventory: Inventory) -> Iterator[Finding]:
    admins = _admins(inventory)
    without = sum(admin.two_factor_authentication is False for admin in admins)
    if without:
        yield Finding(
            Level.WARNING,
            SUBJECT,
            f"{without} of {counted(len(admins), 'administrator')} without it",
        )


def _admins(inventory: Inventory) -> list[UserRow]:
    rows: Any = inventory.sources[USERS.name]
    return [row for row in rows.values() if row.is_admin]


CHECKS = (
    Check(
        "admin_users",
        "There are at least two administrators.",
        (USERS.name,),
        _admin_users,
        "Make a second user an administrator, so that one lost account does not lock you out.",
        "VergeOnlyOneAdministrator",
        "VergeOS has only one administrator.",
    ),
    Check(
        "mfa",
        "Every administrator has two-factor authentication.",
        (USERS.name,),
        _mfa,
        "Turn on two-factor authentication for every administrator.",
        "VergeAdministratorWithoutMFA",
        "An administrator of VergeOS has no two-factor authentication.",
    ),
)
