"""Faults of users and API keys."""

from exporter.simulator.api.fault_types import API_ROOT, FaultType, Parameter, row_fault

DAY = 86_400

FAULTS = {
    "api_key_expiring": row_fault(
        "an API key expires six days after the start",
        user_api_keys={"expires": lambda _key, view: int(view.world.started_at) + 6 * DAY},
    ),
    "only_one_admin": FaultType(
        "there is only one administrator",
        {"row": Parameter("*", "the name of the user that loses the right; *: all but the first")},
        path=f"{API_ROOT}users",
        rows={"users": {"physical_access": lambda user, view: user is view.world.users[0]}},
    ),
    "admin_without_mfa": row_fault(
        "an administrator has no two-factor authentication",
        users={"two_factor_authentication": False},
    ),
}
