"""The numbers that recovery holds itself to, with their defaults; a person may set each."""

from enum import StrEnum
from typing import NamedTuple

HOUR = 3600.0
DAY = 24 * HOUR
WEEK = 7 * DAY


class Mode(StrEnum):
    """What recovery is allowed to do."""

    OFF = "off"
    SHADOW = "shadow"
    """Decides and journals; never acts."""
    ENFORCE = "enforce"


class PowerState(StrEnum):
    """What ``machine_status.powerstate`` means, which no source knows for certain."""

    UNKNOWN = "unknown"
    OBSERVED = "observed"
    DESIRED = "desired"


class Window(NamedTuple):
    """At most so many actions in any stretch of time."""

    seconds: float
    most: int


class Limits(NamedTuple):
    """How careful to be: seconds, counts and shares; docs/recovery.md says where they come from."""

    mode: Mode = Mode.SHADOW
    powerstate: PowerState = PowerState.UNKNOWN

    # What to check_inventory.
    inventory_age_seconds: float = 30.0
    """An older picture is not acted upon."""
    reread_age_seconds: float = 5.0
    """The VM is looked at once more, at most this long before the request."""
    min_rows_share: float = 0.8
    """A list shorter than this share of the last valid one is not believed."""
    max_missing_rows: int = 3
    max_missing_share: float = 0.05
    """Enrolled VMs that may lack a row: the larger of the two."""
    frozen_after_seconds: float = 30.0
    """By then at the latest the platform must have touched one of its rows."""
    max_lag_seconds: float = 60.0
    """By how much half of the running rows may be behind the newest."""
    max_gap_seconds: float = 120.0
    """A longer time without a valid picture is blindness."""

    # What to wait for.
    warmup_seconds: float = 600.0
    warmup_polls: int = 10
    confirm_down_seconds: float = 30.0
    confirm_down_polls: int = 2
    confirm_hung_seconds: float = 300.0
    platform_seconds: float = 300.0
    """How long VergeOS' own high availability is left alone with a VM."""
    log_settle_seconds: float = 10.0
    """From the first observed of the trouble to the reading of the logs."""
    log_others_seconds: float = 120.0
    """Between two readings of the logs from which nothing will follow: people who stop VMs all day
    must not use up the requests that recovery needs."""
    log_before_seconds: float = 600.0
    """How far before the last observed of it running a stop may have been asked for."""
    degraded_after_polls: int = 2
    """RejectedInventory pictures in a row."""
    stable_after_polls: int = 5
    """Valid ones that end it."""
    outage_seconds: float = 60.0
    """A longer outage is followed by a warm-up."""

    # How much to do.
    vm_windows: tuple[Window, ...] = (Window(HOUR, 3), Window(DAY, 6), Window(WEEK, 10))
    system_windows: tuple[Window, ...] = (Window(600.0, 5), Window(DAY, 30))
    max_concurrent_actions: int = 2
    backoff_seconds: float = 60.0
    backoff_max_seconds: float = 1800.0
    backoff_jitter: float = 0.2
    probation_seconds: float = 600.0
    hard_reset_every_seconds: float = HOUR

    # When to stop.
    breaker_min_vms: int = 3
    breaker_share: float = 0.15
    breaker_close_seconds: float = 300.0
    breaker_probe_interval_seconds: float = 60.0
    """Between two actions while the storm is only half over."""
    breaker_max_open_seconds: float = HOUR
    breaker_probe_after_seconds: float = 900.0
    """After so long without a new victim a storm is probed, if all nodes are well."""
    breaker_auto_probe: bool = True
    node_failure_vms: int = 2
    node_failure_window_seconds: float = 120.0
    capacity_refusals: int = 3
    capacity_window_seconds: float = 600.0
    capacity_backoff_seconds: float = 300.0

    # How long to wait for what was done.
    verify_power_on_seconds: float = 120.0
    verify_reset_seconds: float = 180.0
    verify_extension_seconds: float = 120.0
    verify_lost_seconds: float = 60.0

    # Who goes first.
    dependency_timeout_seconds: float = 600.0
