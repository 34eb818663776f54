"""Every number that an alert goes by, each named once."""

from dataclasses import dataclass, fields, replace

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What a site may want to set differently. Names that end in ``_seconds`` are durations."""

    job: str = "vergewatch"
    """What Prometheus' configuration calls the job that scrapes us."""
    runbooks: str = "https://github.com/vergewatch/vergewatch/blob/main/docs/runbooks"
    """Where the runbooks are; a site with a copy of its own replaces it."""
    grafana: str = ""
    """Such as ``https://grafana.example.com``; without it, links are paths."""

    # Muting. An alert that mutes others must be gone before they are, since
    # Alertmanager sends no "resolved" for an inhibited alert.
    mute_linger_seconds: float = 2 * MINUTE
    """Of alerts that mute others; bridges a restart of ours."""
    muted_linger_seconds: float = 4 * MINUTE
    """Of alerts that others mute: longer than `mute_linger_seconds` and than `outage_seconds`."""

    # VMs.
    vm_down_seconds: float = 5 * MINUTE
    """A successful recovery ends within this time and needs no notification."""
    vm_unresponsive_seconds: float = 5 * MINUTE
    """VergeOS declares it after 2 minutes and then has a turn of its own."""
    vm_error_seconds: float = 2 * MINUTE
    """An error does not pass by itself; this covers one poll that went wrong."""
    vm_transition_seconds: float = 15 * MINUTE
    """Starting after a mass outage is slow."""
    vm_migration_seconds: float = 45 * MINUTE
    """VergeOS ends a migration that hangs after 30 minutes, and they run one after the other."""
    flapping_restarts: int = 3
    flapping_window_seconds: float = HOUR
    flapping_linger_seconds: float = 30 * MINUTE
    restart_pending_seconds: float = 7 * DAY
    """Waiting for a maintenance window is normal."""

    # Guests.
    agent_lost_seconds: float = 15 * MINUTE
    agent_seen_seconds: float = 6 * HOUR
    """An agent that was not there within this time is not lost, it is absent."""
    agent_boot_seconds: float = 15 * MINUTE
    """Agents come up last."""
    filesystem_full_ratio: float = 0.95
    filesystem_full_until_ratio: float = 0.93
    filesystem_full_seconds: float = 30 * MINUTE
    filesystem_filling_ratio: float = 0.7
    """Below, even a steep trend leaves time."""
    filesystem_filling_window_seconds: float = 6 * HOUR
    filesystem_filling_ahead_seconds: float = DAY
    filesystem_filling_seconds: float = HOUR
    cpu_busy_ratio: float = 0.95
    cpu_busy_window_seconds: float = 30 * MINUTE
    cpu_busy_seconds: float = HOUR
    memory_full_ratio: float = 0.95
    memory_full_window_seconds: float = 15 * MINUTE
    memory_full_seconds: float = 30 * MINUTE

    # Nodes.
    node_offline_seconds: float = 3 * MINUTE
    failover_window_seconds: float = 10 * MINUTE
    """How long VergeOS may take to start a dead node's VMs elsewhere."""

    # Recovery.
    acted_seconds: float = HOUR
    """How long an action is shown."""
    outcome_unknown_seconds: float = 10 * MINUTE
    """An action is given 2 to 5 minutes to show."""
    held_seconds: float = 15 * MINUTE
    unknown_seconds: float = 30 * MINUTE
    breaker_open_seconds: float = MINUTE
    disarmed_seconds: float = 4 * HOUR
    paused_seconds: float = 5 * HOUR
    """A pause lasts 4 hours unless its owner said otherwise."""
    broken_seconds: float = MINUTE
    not_ready_seconds: float = 30 * MINUTE
    """Three warm-ups."""
    journal_down_seconds: float = 2 * MINUTE
    read_only_seconds: float = HOUR
    clock_jumps: int = 3
    clock_window_seconds: float = 6 * HOUR

    # The daemon and its systems.
    exporter_down_seconds: float = 5 * MINUTE
    exporter_absent_seconds: float = 10 * MINUTE
    exporter_restarts: int = 4
    exporter_restart_window_seconds: float = HOUR
    exporter_restart_linger_seconds: float = 15 * MINUTE
    outage_seconds: float = 2 * MINUTE
    """On top of the 60 s after which a inventory is not shown any more."""
    snapshot_age_seconds: float = 10 * MINUTE
    table_seconds: float = 5 * MINUTE
    """On top of three of the table's intervals."""
    rows_skipped_window_seconds: float = 15 * MINUTE
    rows_skipped_seconds: float = 15 * MINUTE
    budget_left_ratio: float = 0.025
    """Of what the schedule needs in an hour; a minute and a half's worth."""
    budget_seconds: float = 15 * MINUTE
    stall_ratio: float = 0.01
    stall_bucket: str = "0.5"
    """A bucket of `vergewatch_event_loop_lag_seconds`, in seconds."""
    stall_window_seconds: float = 5 * MINUTE
    stall_seconds: float = 10 * MINUTE
    reload_seconds: float = 5 * MINUTE
    duplicates_seconds: float = 15 * MINUTE

    def hurried(self, by: float) -> "Thresholds":
        """Return these with every duration divided, for a test that cannot wait."""
        shorter = {
            field.name: getattr(self, field.name) / by
            for field in fields(self)
            if field.name.endswith("_seconds")
        }
        return replace(self, **shorter)


DEFAULT = Thresholds()

UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))


def duration(seconds: float) -> str:
    """Return *seconds* as Prometheus writes them, such as ``5m`` or ``1h30m``."""
    left = max(1, round(seconds * 1000))
    text = ""
    for unit, size in UNITS:
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    return text
