"""Rules about the daemon and its connection to each system."""

from functools import partial

from exporter.alerting.definitions import AlertName
from tools.alert_rules.expressions import (
    DAEMON,
    OF_SYSTEM,
    ON_DAEMON,
    SYSTEM,
    TABLE,
    by,
    firing,
    lookup,
)
from tools.alert_rules.model import FOR, MUTED, MUTING, Alert, Layer, Severity, defined
from tools.alert_rules.thresholds import INVENTORY_AGE_SECONDS

_JOB = '{job="vergewatch"}'
_OF_DAEMON = "Vergewatch at {{ $labels.instance }}"
_TAKEN_AT = "vergewatch_inventory_timestamp_seconds"
_LAG = "vergewatch_event_loop_lag_seconds"

_SEEN = "present_over_time(vergewatch_up[1h])"
_UNWATCHED = f"{_SEEN} unless on (system_name) (vergewatch_up == 1)"
"""Systems that a daemon watched a short time ago, and that none watches now, by daemon."""
_IS_DOWN = f"{by(DAEMON, f'up{_JOB}')} == 0"
_REPLICA_DOWN = "VergeExporterReplicaDown"

_AGE = lookup(
    f"time() - {_TAKEN_AT}",
    " The last one is {{ . | first | value | humanizeDuration }} old.",
    labels=SYSTEM,
)
_STATUS_AGE = lookup(
    "vergewatch_system_status_update_timestamp_seconds",
    " The last update is from {{ . | first | value | humanizeTimestamp }}.",
    labels=SYSTEM,
)
_daemon_alert = partial(Alert, layer=Layer.EXPORTER, identity=DAEMON)
_system_alert = partial(Alert, layer=Layer.SYSTEM, identity=SYSTEM)

ALERTS = (
    _daemon_alert(
        name="VergeExporterDown",
        severity=Severity.CRITICAL,
        # One whose systems another instance watches has the next alert.
        expr=f"""\
{_IS_DOWN}
unless {ON_DAEMON} ({_SEEN} unless {ON_DAEMON} ({_UNWATCHED}))
unless {ON_DAEMON} {firing(_REPLICA_DOWN)}""",
        for_="5m",
        keep_firing_for=MUTING,
        summary="Vergewatch at {instance} does not answer Prometheus",
        description=f"{_OF_DAEMON} has not answered Prometheus for more than {FOR}. VMs are "
        "neither monitored nor restarted. Run `systemctl status vergewatch`.",
    ),
    _daemon_alert(
        name=_REPLICA_DOWN,
        severity=Severity.WARNING,
        # Once this fires for one that is down, it lasts until it answers.
        expr=f"""\
(
  {_IS_DOWN}
  and {ON_DAEMON} (
    ({_SEEN} unless {ON_DAEMON} ({_UNWATCHED}))
    or {firing(_REPLICA_DOWN)}
  )
)
or
{by(DAEMON, "vergewatch_up == 0 and on (system_name) (vergewatch_up == 1)")} == 0""",
        for_="10m",
        keep_firing_for=MUTING,
        summary="Vergewatch at {instance} is down or cannot read a system that another one reads",
        description=f"{_OF_DAEMON} has not answered Prometheus, or has had no fresh inventory of a "
        f"system, for more than {FOR}. Another instance watches its systems; if that one fails "
        "too, VMs are neither monitored nor restarted. Run `systemctl status vergewatch` and "
        "`vergewatch check` there.",
    ),
    _daemon_alert(
        name="VergeExporterAbsent",
        severity=Severity.CRITICAL,
        identity=("job",),
        expr=f"absent(up{_JOB}) == 1",
        for_="10m",
        summary="Prometheus has no Vergewatch target in the job {job}",
        description=f"For more than {FOR} Prometheus has had no target in the job "
        "{{ $labels.job }}.",
    ),
    _daemon_alert(
        name="VergeExporterRestarting",
        severity=Severity.WARNING,
        expr=f"{by(DAEMON, f'changes(process_start_time_seconds{_JOB}[1h])')} > 3.5",
        keep_firing_for="15m",
        summary="Vergewatch at {instance} restarts repeatedly",
        description=f'{_OF_DAEMON} has started {{{{ $value | printf "%.0f" }}}} times within 1h. '
        "Recovery warms up after each start.",
    ),
    _system_alert(
        **defined(AlertName.SYSTEM_DATA_STALE),
        expr=f"""\
{by(SYSTEM, "vergewatch_up")} == 0
or
time() - {by(SYSTEM, _TAKEN_AT)} > {INVENTORY_AGE_SECONDS:g}""",
        for_="2m",  # in addition to the 60 s after which an inventory is stale
        keep_firing_for=MUTING,
        description="Vergewatch has had no fresh inventory of system {{ $labels.system_name }} for "
        f"more than {FOR}.{_AGE} Its VMs are not monitored, and recovery does not act. "
        "Run `vergewatch check`.",
    ),
    _system_alert(
        **defined(AlertName.STATUS_FROZEN),
        expr=f"{by(SYSTEM, 'vergewatch_system_status_frozen')} == 1",
        for_="2m",  # in addition to poll.frozen_after_seconds
        keep_firing_for=MUTING,
        description=f"For more than {FOR}, VergeOS has updated the status of no VM that runs in "
        f"{OF_SYSTEM}.{_STATUS_AGE} The metrics show an old state, a crash would not be seen, and "
        "recovery does not act.",
    ),
    _system_alert(
        **defined(AlertName.AUTHENTICATION_FAILED),
        expr=f"{by(SYSTEM, 'vergewatch_authenticated')} == 0",
        keep_firing_for=MUTING,
        description=f"The API of {OF_SYSTEM} rejects the API key or password. To avoid locking the "
        "account, Vergewatch sends no request for half an hour, unless the secret changes. Run "
        "`journalctl -u vergewatch`.",
    ),
    _system_alert(
        name="VergeTableFailing",
        severity=Severity.WARNING,
        identity=TABLE,
        expr=f"{by(TABLE, 'vergewatch_table_fresh')} == 0",
        for_="5m",  # in addition to three intervals of the table
        keep_firing_for=MUTED,
        summary="Table {table} of system {system_name} cannot be read",
        description=f"Table {{{{ $labels.table }}}} of {OF_SYSTEM} could not be read for three "
        f"times its interval and {FOR} more; its metrics are missing.",
    ),
    _system_alert(
        name="VergeRowsSkipped",
        severity=Severity.WARNING,
        identity=TABLE,
        # The first is right for tables that are polled rarely, the others for now and then.
        expr=f"""\
{by(TABLE, "vergewatch_table_unreadable")} > 0
or
sum by (system_name, table) (increase(vergewatch_table_rows_skipped_total[15m])) > 0.5
or
sum by (system_name, table) (increase(vergewatch_table_fields_skipped_total[15m])) > 0.5""",
        for_="15m",
        summary="Rows of table {table} of system {system_name}, or values in them, cannot be read",
        description=f"Rows of table {{{{ $labels.table }}}} of {OF_SYSTEM}, or values in them, "
        f"have been skipped for more than {FOR}, because they could not be read.",
    ),
    _system_alert(
        name="VergeAPIBudgetLow",
        severity=Severity.WARNING,
        # The remaining share of the schedule of an hour: a minute and a half's worth. Each daemon
        # has its own.
        expr="""\
min by (system_name) (
  vergewatch_api_requests_remaining < 0.025 * vergewatch_api_requests_planned
)""",
        for_="15m",
        keep_firing_for=MUTING,
        summary="The API request budget of system {system_name} is nearly used",
        description=f"Vergewatch has had only {{{{ $value }}}} request(s) left for {OF_SYSTEM} in "
        f"this hour, for more than {FOR}. Polls are delayed.",
    ),
    _daemon_alert(
        name="VergeEventLoopStalling",
        severity=Severity.WARNING,
        expr=f"""\
1 - sum by (job, instance) (rate({_LAG}_bucket{{le="0.5"}}[5m]))
  / (sum by (job, instance) (rate({_LAG}_count[5m])) > 0)
> 0.01""",
        for_="10m",
        keep_firing_for=MUTING,
        summary="The event loop of Vergewatch at {instance} is late",
        description=f"The event loop of {_OF_DAEMON} has been late by more than 0.5 s in "
        f"{{{{ $value | humanizePercentage }}}} of the measurements, for more than {FOR}.",
    ),
    _daemon_alert(
        name="VergeReloadFailed",
        severity=Severity.WARNING,
        expr=f"{by(DAEMON, 'vergewatch_config_last_reload_successful')} == 0",
        for_="5m",
        keep_firing_for=MUTING,
        summary="Vergewatch at {instance} rejected its configuration at the last reload",
        description=f"{_OF_DAEMON} rejected its configuration at the last reload, and continues "
        "with the previous one.",
    ),
    _system_alert(
        name="VergeDuplicateSeries",
        severity=Severity.INFO,
        expr=f"{by(SYSTEM, 'vergewatch_duplicate_series')} > 0",
        for_="15m",
        summary="System {system_name} has duplicate series",
        description=f"{{{{ $value }}}} label set(s) of {OF_SYSTEM} occur twice; only the first "
        "series of each is exported.",
    ),
    Alert(
        name="VergeWatchdog",
        severity=Severity.NONE,
        layer=Layer.INHIBITOR,
        identity=(),
        expr="vector(1) == 1",
        summary="Alerting works",
        description="This alert always fires. When it stops arriving, Prometheus, Alertmanager or "
        "the connection between them is broken. Run `amtool alert query alertname=VergeWatchdog`.",
    ),
)
