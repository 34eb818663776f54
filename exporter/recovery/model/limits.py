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


class Rules(NamedTuple):
    """How careful to be: seconds, counts and shares; docs/recovery.md says where they come from."""

    mode: Mode = Mode.SHADOW
    powerstate: PowerState = PowerState.UNKNOWN

    # What to believe.
    picture_age_seconds: float = 30.0
    """An older picture is not acted upon."""
    reread_age_seconds: float = 5.0
    """The VM is looked at once more, at most this long before the request."""
    least_share: float = 0.8
    """A list shorter than this share of the last valid one is not believed."""
    missing_most: int = 3
    missing_share: float = 0.05
    """Enrolled VMs that may lack a row: the larger of the two."""
    heartbeat_seconds: float = 30.0
    """By then at the latest the platform must have touched one of its rows."""
    lag_seconds: float = 60.0
    """By how much half of the running rows may be behind the newest."""
    hole_seconds: float = 120.0
    """A longer time without a valid picture is blindness."""

    # What to wait for.
    warmup_seconds: float = 600.0
    warmup_pictures: int = 10
    confirm_down_seconds: float = 30.0
    confirm_down_pictures: int = 2
    confirm_hung_seconds: float = 300.0
    platform_seconds: float = 300.0
    """How long VergeOS' own high availability is left alone with a VM."""
    log_settle_seconds: float = 10.0
    """From the first sight of the trouble to the reading of the logs."""
    log_others_seconds: float = 120.0
    """Between two readings of the logs from which nothing will follow: people who stop VMs all day
    must not use up the requests that recovery needs."""
    log_before_seconds: float = 600.0
    """How far before the last sight of it running a stop may have been asked for."""
    degraded_after: int = 2
    """Invalid pictures in a row."""
    degraded_pictures: int = 5
    """Valid ones that end it."""
    blind_seconds: float = 60.0
    """A longer outage is followed by a warm-up."""

    # How much to do.
    vm_windows: tuple[Window, ...] = (Window(HOUR, 3), Window(DAY, 6), Window(WEEK, 10))
    fleet_windows: tuple[Window, ...] = (Window(600.0, 5), Window(DAY, 30))
    most_in_flight: int = 2
    backoff_seconds: float = 60.0
    backoff_most_seconds: float = 1800.0
    backoff_jitter: float = 0.2
    probation_seconds: float = 600.0
    hard_reset_every_seconds: float = HOUR

    # When to stop.
    storm_least: int = 3
    storm_share: float = 0.15
    storm_calm_seconds: float = 300.0
    storm_probe_seconds: float = 60.0
    """Between two actions while the storm is only half over."""
    storm_hold_most_seconds: float = HOUR
    storm_patience_seconds: float = 900.0
    """After so long without a new victim a storm is probed, if all nodes are well."""
    storm_auto_probe: bool = True
    node_drops: int = 2
    node_drop_seconds: float = 120.0
    capacity_refusals: int = 3
    capacity_window_seconds: float = 600.0
    capacity_backoff_seconds: float = 300.0

    # How long to wait for what was done.
    verify_power_on_seconds: float = 120.0
    verify_reset_seconds: float = 180.0
    verify_extension_seconds: float = 120.0
    verify_lost_seconds: float = 60.0

    # Who goes first.
    dependency_seconds: float = 600.0
