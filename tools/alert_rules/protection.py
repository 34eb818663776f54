"""Rules about what protects a system: snapshots and replication, and the API key that reads it."""

from functools import partial

from tools.alert_rules.expressions import OF_SYSTEM, OF_VM, VM, by, lookup
from tools.alert_rules.model import FOR, MUTED, Alert, Layer, Severity, seconds
from tools.alert_rules.thresholds import API_KEY_WEEKS, REPLICA_AGE_DAYS

SYNC = ("system_name", "sync_id", "sync_name")
API_KEY = ("system_name", "api_key_id", "api_key_name")
ON_SYNC = "on (system_name, sync_id)"

_DISABLED = f"{by(SYNC, 'vergewatch_replication_enabled')} == 0"
_LAST_SUCCESS = "vergewatch_replication_last_success_timestamp_seconds"
_EXPIRES = "vergewatch_api_key_expiry_timestamp_seconds"
_OF_SYNC = f"The sync {{{{ $labels.sync_name }}}} of {OF_SYSTEM}"
_NEWEST = lookup(
    "vergewatch_vm_snapshot_newest_timestamp_seconds",
    " Its newest one is of {{ . | first | value | humanizeTimestamp }}.",
)
_PROFILE = lookup(
    "vergewatch_vm_snapshot_profile_info",
    ', of the profile {{ . | first | label "snapshot_profile" }}',
)
_REPLICATED = lookup(
    _LAST_SUCCESS,
    " The last run without an error was at {{ . | first | value | humanizeTimestamp }}.",
    labels=SYNC[:2],
)
_alert = partial(
    Alert, severity=Severity.WARNING, layer=Layer.PLATFORM, keep_firing_for=MUTED
)  # fmt: skip

ALERTS = (
    Alert(
        name="VergeVMSnapshotOverdue",
        severity=Severity.WARNING,
        layer=Layer.VM,
        identity=VM,
        expr=f"time() - {by(VM, 'vergewatch_vm_snapshot_due_timestamp_seconds')} > 0",
        for_="30m",  # the table is read every 15 minutes
        keep_firing_for=MUTED,
        summary="A snapshot of VM {vm_name} is overdue",
        description=f"A snapshot{_PROFILE} of {OF_VM} has been overdue for more than {FOR}."
        f"{_NEWEST} Look for alarms and full storage tiers in VergeOS.",
    ),
    _alert(
        name="VergeReplicationFailing",
        identity=SYNC,
        expr=f"""\
{by(SYNC, "vergewatch_replication_failed")} == 1
unless {ON_SYNC} {_DISABLED}""",
        for_="1h",  # VergeOS retries
        summary="Sync {sync_name} of system {system_name} to another site fails",
        description=f"{_OF_SYNC} has failed for more than {FOR}.{_REPLICATED} "
        "Read the log of the sync in VergeOS.",
    ),
    _alert(
        name="VergeReplicaTooOld",
        identity=SYNC,
        expr=f"""\
time() - {by(SYNC, _LAST_SUCCESS)} > {REPLICA_AGE_DAYS} * {seconds("1d")}
unless {ON_SYNC} {_DISABLED}""",
        for_="15m",
        summary="The replica of sync {sync_name} of system {system_name} is too old",
        description=f"{_OF_SYNC} has not ended a run without an error for two days.{_REPLICATED} "
        "Read the log of the sync in VergeOS.",
    ),
    _alert(
        name="VergeAPIKeyExpiring",
        identity=API_KEY,
        # A key that is not used is no loss; where it is not known when it was used, it counts.
        expr=f"""\
{by(API_KEY, _EXPIRES)} - time() < {API_KEY_WEEKS} * {seconds("7d")}
unless on (system_name, api_key_id) (
  time() - {by(API_KEY, "vergewatch_api_key_last_login_timestamp_seconds")} > {seconds("7d")}
)""",
        for_="15m",
        summary="API key {api_key_name} of system {system_name} is in use and expires soon",
        description=f"The API key {{{{ $labels.api_key_name }}}} of {OF_SYSTEM} expires within two "
        "weeks, or has expired. If it is the key of Vergewatch, its VMs are then no longer "
        "monitored. Run `vergewatch check`.",
    ),
)
