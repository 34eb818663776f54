"""Protection: snapshots, replication, alarms of VergeOS, and what expires."""

from tools.alert_rules import thresholds
from tools.alert_rules.expressions import ON_SYSTEM, VM
from tools.alert_rules.protection import API_KEY, ON_SYNC, SYNC
from tools.dashboards.page import Page, Panel, Panels, alerts, systems
from tools.dashboards.panels import (
    BYTES,
    RATIO,
    SECONDS,
    VM_OF_ROW,
    Column,
    Steps,
    absent,
    graph,
    number,
    table,
    texts,
    yes_no,
)
from tools.dashboards.queries import EVERY_SYSTEM, every, labeled, largest, or_zero

A_VM = ", ".join(VM)
A_SYNC = ", ".join(SYNC)
AN_API_KEY = ", ".join(API_KEY)
DAY = 86_400
REPLICA_AGE_SECONDS = thresholds.REPLICA_AGE_DAYS * DAY
EXPIRES_SOON = 30 * DAY
EXPIRY: Steps = ((0, "orange"), (EXPIRES_SOON, "green"))
DUE = largest(A_VM, every("vm_snapshot_due_timestamp_seconds"))
NEWEST = largest(A_VM, every("vm_snapshot_newest_timestamp_seconds"))
OVERDUE = f"({DUE} < time())"
PROFILE = largest(f"{A_VM}, snapshot_profile", every("vm_snapshot_profile_info"))
FAILED = largest(A_SYNC, every("replication_failed"))
SUCCEEDED = largest(A_SYNC, every("replication_last_success_timestamp_seconds"))
ENABLED = f"{largest(A_SYNC, every('replication_enabled'))} == 1"
SERIOUS = 'level=~"critical|error"'
LEVELS = texts(
    {
        "critical": ("critical", "red"),
        "error": ("error", "orange"),
        "warning": ("warning", "yellow"),
    }
)
STATES = texts(
    {
        "online": ("online", "green"),
        "offline": ("offline", "text"),
        "warning": ("warning", "orange"),
        "error": ("error", "red"),
    }
)
SYNC_STATUSES = texts(
    {
        "offline": ("idle", "text"),
        "syncing": ("syncing", "blue"),
        "initializing": ("initializing", "blue"),
        "error": ("error", "red"),
        "regeneration_needed": ("regeneration needed", "orange"),
    }
)
"""VergeOS itself calls a sync that sends nothing idle since 26.2."""


def page() -> Page:
    """Return the dashboard of protection."""
    return Page(
        "vergewatch-protection",
        "Protection",
        "Snapshots and replication, the alarms of VergeOS, and what expires.",
        variables=[systems()],
        annotations=[alerts(EVERY_SYSTEM)],
        sections={
            "": {**_numbers(), "Overdue snapshots": _overdue(), "Alarms": _alarms()},
            "Replication": {
                "To other sites": _outgoing(),
                "Age of the last good replica": _replica_age(),
                "From other sites": _incoming(),
                "System snapshots": _system_snapshots(),
            },
            "Snapshots of VMs": {
                "Snapshots": _counts(),
                "Overdue": _overdue_over_time(),
                "VMs by snapshot profile": _profiles(),
            },
            "Expiry and accounts": {
                "Certificates": _certificates(),
                "Licenses": _licenses(),
                "API keys": _api_keys(),
                "Administrators": _administrators(),
            },
            "All VMs": {"All VMs": _all()},
        },
        collapsed=["All VMs"],
    )


def _numbers() -> Panels:
    without = every("vm_snapshot_profile_info", 'snapshot_profile=""')
    return {
        "Overdue": number(
            "VMs whose next snapshot is overdue by their snapshot profile.",
            or_zero(f"count({OVERDUE})"),
            steps=[(1, "orange")],
        ),
        "Without a profile": number(
            "VMs without a snapshot profile.",
            or_zero(f"count(max by ({A_VM}) ({without}))"),
            base="blue",
        ),
        "VM snapshots": number(
            "Snapshots of all VMs.",
            or_zero(f"sum({largest(A_VM, every('vm_snapshots'))})"),
            base="blue",
        ),
        "Immutable": number(
            "Snapshots of whole systems that cannot be changed or deleted.",
            f"sum({largest('system_name', every('system_snapshots_immutable'))})",
            base="blue",
            empty="none",
        ),
        "Syncs failing": number(
            "Enabled syncs to other sites that fail.",
            or_zero(f"count({FAILED} == 1 and {ON_SYNC} {ENABLED})"),
            steps=[(1, "red")],
        ),
        "Oldest replica": number(
            "Time since the last run without an error, of the sync for which it is longest.",
            f"max(time() - {SUCCEEDED} and {ON_SYNC} {ENABLED})",
            unit=SECONDS,
            steps=[(REPLICA_AGE_SECONDS, "orange")],
            empty="no syncs",
        ),
        "Serious alarms": number(
            "Alarms of VergeOS of the level critical or error that are not snoozed.",
            or_zero(f"sum(max by (system_name, level) ({every('alarms_active', SERIOUS)}))"),
            steps=[(1, "red")],
        ),
        "Next expiry": number(
            "Time until the first certificate or license expires.",
            f"min({_left('certificate')} or {_left('license')})",
            unit=SECONDS,
            base="red",
            steps=EXPIRY,
            empty="none",
        ),
    }


def _left(kind: str) -> str:
    """Return the seconds until each certificate, license or API key expires."""
    return f"{every(f'{kind}_expiry_timestamp_seconds')} - time()"


def _overdue() -> Panel:
    return table(
        "VMs whose next snapshot is overdue by their snapshot profile. Click a name to open the "
        "dashboard of the VM.",
        [
            Column("VM", "vm_name", link=VM_OF_ROW),
            Column("Profile", "snapshot_profile"),
            Column(
                "Overdue for",
                expr=labeled(f"(time() - {OVERDUE})", "snapshot_profile", PROFILE),
                unit=SECONDS,
                steps=[(0, "orange"), (DAY, "red")],
            ),
            Column("System", "system_name"),
        ],
        width=12,
        hide=["vm_id"],
        sort="-Overdue for",
        paged=True,
        empty="no overdue snapshots",
    )


def _alarms() -> Panel:
    by = "system_name, level, owner_type, alarm_type"
    return table(
        "Alarms of VergeOS that are raised and not snoozed, by type and what they are about.",
        [
            Column("Alarm", "alarm_type"),
            Column("Level", "level", 100, texts=LEVELS),
            Column("About", "owner_type", 120),
            Column("Number", expr=largest(by, every("alarms_active_by_type")), width=90),
            Column("System", "system_name"),
        ],
        width=12,
        sort="Level",
        paged=True,
        empty="no alarms",
    )


def _outgoing() -> Panel:
    def of_sync(metric: str) -> str:
        return largest(A_SYNC, every(metric))

    return table(
        "Each sync to another site. It is idle between its runs.",
        [
            Column("Sync", "sync_name"),
            Column("Status", "status", 110, texts=SYNC_STATUSES),
            Column("State", "state", 90, texts=STATES),
            Column(
                "Result",
                expr=FAILED,
                texts=yes_no(("failed", "red"), ("good", "green")),
                width=90,
            ),
            Column(
                "Last good replica",
                expr=f"time() - {SUCCEEDED}",
                unit=SECONDS,
                steps=[(0, "green"), (REPLICA_AGE_SECONDS, "orange")],
            ),
            Column(
                "Last run",
                expr=f"time() - {of_sync('replication_last_run_timestamp_seconds')}",
                unit=SECONDS,
            ),
            Column("Duration", expr=of_sync("replication_last_run_duration_seconds"), unit=SECONDS),
            Column("Sent", expr=of_sync("replication_last_run_sent_bytes"), unit=BYTES),
            Column(
                "Retries",
                expr=of_sync("replication_last_run_retries"),
                width=80,
                steps=[(1, "orange")],
            ),
            Column("System", "system_name"),
        ],
        info=largest(f"{A_SYNC}, status, state", every("replication_info")),
        width=24,
        height=6,
        hide=["sync_id"],
        empty="no syncs",
    )


def _replica_age() -> Panel:
    return graph(
        "Time since the last run of each enabled sync that ended without an error.",
        {"{{system_name}} {{sync_name}}": f"time() - {SUCCEEDED} and {ON_SYNC} {ENABLED}"},
        unit=SECONDS,
        width=8,
        empty="no syncs",
    )


def _incoming() -> Panel:
    last = largest(A_SYNC, every("replication_incoming_last_sync_timestamp_seconds"))
    return table(
        "Each sync from another site.",
        [
            Column("Sync", "sync_name"),
            Column("Status", "status", texts=SYNC_STATUSES),
            Column("State", "state", texts=STATES),
            Column("Last received", expr=f"time() - {last}", unit=SECONDS),
            Column("System", "system_name"),
        ],
        info=largest(f"{A_SYNC}, status, state", every("replication_incoming_info")),
        width=8,
        hide=["sync_id"],
        empty="no syncs",
    )


def _system_snapshots() -> Panel:
    def of_system(metric: str) -> str:
        return largest("system_name", every(metric))

    return table(
        "The snapshots of each whole system.",
        [
            Column("System", "system_name"),
            Column("Snapshots", expr=of_system("system_snapshots")),
            Column("Immutable", expr=of_system("system_snapshots_immutable")),
            Column(
                "Newest",
                expr=f"time() - {of_system('system_snapshot_newest_timestamp_seconds')}",
                unit=SECONDS,
            ),
            Column(
                "Oldest",
                expr=f"time() - {of_system('system_snapshot_oldest_timestamp_seconds')}",
                unit=SECONDS,
            ),
        ],
        width=8,
        empty="no snapshots",
    )


def _counts() -> Panel:
    return graph(
        "Snapshots of the VMs of each system.",
        {"{{system_name}}": f"sum by (system_name) ({largest(A_VM, every('vm_snapshots'))})"},
        width=8,
        decimals=0,
    )


def _overdue_over_time() -> Panel:
    up = f"0 * {largest('system_name', every('up'))}"
    return graph(
        "VMs of each system whose next snapshot is overdue.",
        {"{{system_name}}": f"count by (system_name) ({OVERDUE}) or {ON_SYSTEM} {up}"},
        width=8,
        decimals=0,
    )


def _profiles() -> Panel:
    by = "system_name, snapshot_profile"
    vms = f"count by ({by}) ({PROFILE})"
    late = f"count by ({by}) ({labeled(OVERDUE, 'snapshot_profile', PROFILE)})"
    interval = largest(by, every("snapshot_profile_interval_seconds"))
    return table(
        "Number of VMs of each snapshot profile, and the share of them whose snapshots are "
        "overdue. VMs without a profile have an empty name.",
        [
            Column("Profile", "snapshot_profile"),
            Column("VMs", expr=vms),
            Column("Interval", expr=f"{interval} and on ({by}) {vms}", unit=SECONDS),
            Column(
                "Overdue",
                expr=f"({late} or 0 * {vms}) / {vms}",
                unit=RATIO,
                decimals=0,
                steps=[(0.001, "orange")],
            ),
            Column("System", "system_name"),
        ],
        width=8,
    )


def _expiry(about: str, name: Column, by: str, kind: str, more: Column) -> Panel:
    return table(
        about,
        [
            name,
            Column(
                "Expires in",
                expr=largest(by, _left(kind)),
                unit=SECONDS,
                texts=absent("never", "green"),
                base="red",
                steps=EXPIRY,
            ),
            more,
            Column("System", "system_name"),
        ],
        width=6,
        hide=[f"{kind}_id"],
        sort="Expires in",
        empty="none",
    )


def _certificates() -> Panel:
    by = "system_name, certificate_id, domain"
    valid = Column(
        "Valid",
        expr=largest(by, every("certificate_valid")),
        texts=yes_no(("yes", "green"), ("no", "red")),
        width=70,
    )
    about = "Each certificate of VergeOS, and when it expires."
    return _expiry(about, Column("Domain", "domain"), by, "certificate", valid)


def _licenses() -> Panel:
    by = "system_name, license_id, license_name"
    renewal = Column(
        "Renewal",
        expr=largest(by, every("license_auto_renewal")),
        texts=yes_no(("automatic", "green"), ("by hand", "text")),
        width=90,
    )
    about = "Each license of VergeOS, and when it expires."
    return _expiry(about, Column("License", "license_name"), by, "license", renewal)


def _api_keys() -> Panel:
    used = every("api_key_last_login_timestamp_seconds")
    last = Column("Last used", expr=largest(AN_API_KEY, f"time() - {used}"), unit=SECONDS)
    about = "Each API key. A key without an expiry does not expire."
    return _expiry(about, Column("API key", "api_key_name"), AN_API_KEY, "api_key", last)


def _administrators() -> Panel:
    def of_system(metric: str) -> str:
        return largest("system_name", every(metric))

    return table(
        "Users of each system, and its administrators.",
        [
            Column("System", "system_name"),
            Column("Users", expr=of_system("users")),
            Column("Locked", expr=of_system("users_locked"), steps=[(1, "orange")]),
            Column(
                "Admins",
                expr=of_system("users_administrators"),
                base="orange",
                steps=[(2, "green")],
            ),
            Column(
                "No MFA",
                expr=of_system("users_administrators_without_mfa"),
                steps=[(1, "orange")],
            ),
        ],
        width=6,
    )


def _all() -> Panel:
    oldest = largest(A_VM, every("vm_snapshot_oldest_timestamp_seconds"))
    return table(
        "The snapshots of every VM.",
        [
            Column("VM", "vm_name", link=VM_OF_ROW),
            Column("Profile", "snapshot_profile"),
            Column("Snapshots", expr=largest(A_VM, every("vm_snapshots"))),
            Column("Newest", expr=f"time() - {NEWEST}", unit=SECONDS),
            Column("Oldest", expr=f"time() - {oldest}", unit=SECONDS),
            Column(
                "Next is due in",
                expr=f"{DUE} - time()",
                unit=SECONDS,
                base="orange",
                steps=[(0, "text")],
            ),
            Column("System", "system_name"),
        ],
        info=PROFILE,
        height=16,
        hide=["vm_id"],
        paged=True,
    )
