"""The limits of recovery, with their defaults."""

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
    """Whether ``machine_status.powerstate`` is the observed or the desired state."""

    UNKNOWN = "unknown"
    OBSERVED = "observed"
    DESIRED = "desired"


class Window(NamedTuple):
    """At most *most* actions within any *seconds*."""

    seconds: float
    most: int


class Limits(NamedTuple):
    """The limits of recovery; `config.recovery.Limits` describes each one."""

    mode: Mode = Mode.SHADOW
    powerstate: PowerState = PowerState.UNKNOWN

    inventory_age_seconds: float = 30.0
    reread_age_seconds: float = 5.0
    min_rows_share: float = 0.8
    max_missing_rows: int = 3
    max_missing_share: float = 0.05
    frozen_after_seconds: float = 30.0
    max_lag_seconds: float = 60.0
    max_gap_seconds: float = 120.0

    warmup_seconds: float = 600.0
    warmup_polls: int = 10
    confirm_down_seconds: float = 30.0
    confirm_down_polls: int = 2
    confirm_hung_seconds: float = 300.0
    platform_seconds: float = 300.0
    log_settle_seconds: float = 10.0
    log_others_seconds: float = 120.0
    log_before_seconds: float = 600.0
    degraded_after_polls: int = 2
    stable_after_polls: int = 5
    outage_seconds: float = 60.0

    vm_windows: tuple[Window, ...] = (Window(HOUR, 3), Window(DAY, 6), Window(WEEK, 10))
    system_windows: tuple[Window, ...] = (Window(600.0, 5), Window(DAY, 30))
    max_concurrent_actions: int = 2
    backoff_seconds: float = 60.0
    backoff_max_seconds: float = 1800.0
    backoff_jitter: float = 0.2
    probation_seconds: float = 600.0
    hard_reset_every_seconds: float = HOUR

    breaker_min_vms: int = 3
    breaker_share: float = 0.15
    breaker_close_seconds: float = 300.0
    breaker_probe_interval_seconds: float = 60.0
    breaker_max_open_seconds: float = HOUR
    breaker_probe_after_seconds: float = 900.0
    breaker_auto_probe: bool = True
    node_failure_vms: int = 2
    node_failure_window_seconds: float = 120.0
    capacity_refusals: int = 3
    capacity_window_seconds: float = 600.0
    capacity_backoff_seconds: float = 300.0

    verify_power_on_seconds: float = 120.0
    verify_reset_seconds: float = 180.0
    verify_extension_seconds: float = 120.0
    verify_lost_seconds: float = 60.0

    dependency_timeout_seconds: float = 600.0
