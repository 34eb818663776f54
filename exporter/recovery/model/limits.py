"""The limits of recovery, with their defaults."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, NamedTuple

from annotated_types import Ge, Gt, Le, Lt

from exporter.bounds import Count, PositiveCount, PositiveSeconds, Seconds

HOUR = 3600.0
DAY = 24 * HOUR
WEEK = 7 * DAY

Share = Annotated[float, Gt(0), Le(1)]


class Mode(StrEnum):
    """What recovery is allowed to do."""

    OFF = "off"
    SHADOW = "shadow"
    """Decides and journals; never acts."""
    ASK = "ask"
    """Decides and asks; acts when an operator approves."""
    ENFORCE = "enforce"

    @property
    def acts(self) -> bool:
        """Whether recovery sends actions in this mode."""
        return self in (Mode.ASK, Mode.ENFORCE)


class PowerState(StrEnum):
    """Whether ``machine_status.powerstate`` is the observed or the desired state."""

    UNKNOWN = "unknown"
    OBSERVED = "observed"
    DESIRED = "desired"


class Window(NamedTuple):
    """At most *most* actions within any *seconds*."""

    seconds: float
    most: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The limits of recovery."""

    __pydantic_config__: ClassVar = {
        "extra": "forbid",
        "use_attribute_docstrings": True,
        "allow_inf_nan": False,
    }

    inventory_age_seconds: PositiveSeconds = 30
    """Maximum age of an inventory for an action."""
    reread_age_seconds: PositiveSeconds = 5
    """The VM and the logs are read again at most this long before an action."""
    min_rows_share: Share = 0.8
    """A table with a smaller share of its previous rows is rejected."""
    max_missing_rows: Count = 3
    """Enrolled VMs whose rows may be missing, or `max_missing_share` of them, whichever is more."""
    max_missing_share: Share = 0.05
    """See `max_missing_rows`."""
    frozen_after_seconds: PositiveSeconds = 30
    """VergeOS is considered frozen if it updates no status row for this long."""
    max_lag_seconds: PositiveSeconds = 60
    """Maximum lag of the median row of running VMs behind the newest row."""
    max_gap_seconds: PositiveSeconds = 120
    """After a longer gap between valid inventories, the stop of a VM counts as not observed."""
    warmup_seconds: Seconds = 600
    """Time without actions after a start, an outage or a pause."""
    warmup_polls: Count = 10
    """Valid inventories that the warm-up needs as well."""
    confirm_down_seconds: Seconds = 30
    """Time that a VM must be down before an action."""
    confirm_down_polls: PositiveCount = 2
    """Consecutive valid inventories that must show it down."""
    confirm_hung_seconds: Seconds = 300
    """Time that a VM must be unresponsive before an action."""
    platform_seconds: Seconds = 300
    """Time that VergeOS' own high availability has to restart a VM."""
    log_settle_seconds: Seconds = 10
    """Maximum delay of a row in the VergeOS log."""
    log_read_seconds: PositiveSeconds = 120
    """Interval between reads of the VergeOS logs; a VM that goes down causes further reads."""
    log_before_seconds: Seconds = 600
    """How long before a VM went down its stop may have been requested."""
    degraded_after_polls: PositiveCount = 2
    """Consecutive rejected inventories after which recovery is degraded."""
    stable_after_polls: PositiveCount = 5
    """Consecutive valid inventories that end the degraded state."""
    outage_seconds: PositiveSeconds = 60
    """A longer time, of at least two polls, without a valid inventory is followed by a warm-up."""
    max_per_hour: PositiveCount = 3
    """Restart budget of a VM per hour; a VM that exceeds it is quarantined."""
    max_per_day: PositiveCount = 6
    """Restart budget of a VM per day."""
    max_per_week: PositiveCount = 10
    """Restart budget of a VM per week."""
    system_max_per_10_minutes: PositiveCount = 10
    """Rate limit of all actions on one system per ten minutes."""
    system_max_per_day: PositiveCount = 30
    """Rate limit of all actions on one system per day, without those that VergeOS refused because
    it lacked resources or the VM was busy."""
    max_concurrent_actions: PositiveCount = 2
    """Maximum number of open actions on one system."""
    backoff_seconds: Seconds = 60
    """Pause after the first action on a VM; it doubles with each action."""
    backoff_max_seconds: Seconds = 1800
    """Maximum pause between actions on a VM."""
    backoff_jitter: Annotated[float, Ge(0), Lt(1)] = 0.2
    """Random share by which a pause is longer or shorter."""
    probation_seconds: PositiveSeconds = 600
    """Time that a VM must stay up to count as recovered."""
    hard_reset_every_seconds: Seconds = HOUR
    """Minimum time between two hard resets of a VM."""
    crash_age_seconds: PositiveSeconds = DAY
    """Maximum age of a crash for an action; after that, an operator must decide."""
    flap_losses: Annotated[Count, Ge(2)] = 5
    """Unexplained times that a VM goes down within an hour after which it is quarantined."""
    breaker_max_vms: PositiveCount = 5
    """VMs lost together that open the breaker, or `breaker_share`, whichever is less."""
    breaker_share: Share = 0.15
    """Share of the enrolled VMs; see `breaker_max_vms`."""
    breaker_min_vms: PositiveCount = 3
    """Fewer VMs never open the breaker."""
    breaker_window_seconds: PositiveSeconds = 300
    """Time within which VMs are lost together."""
    breaker_close_seconds: PositiveSeconds = 300
    """Time after a mass outage that half opens the breaker; doubled each time it reopens."""
    breaker_probe_interval_seconds: Seconds = 60
    """Minimum time between two actions while the breaker is half open."""
    breaker_max_open_seconds: PositiveSeconds = HOUR
    """Maximum of the doubled `breaker_close_seconds`, and of the time half open."""
    breaker_probe_after_seconds: PositiveSeconds = 900
    """Without a further mass loss for this long, it half opens although the lost VMs are down."""
    breaker_auto_probe: bool = True
    """Whether the breaker half opens like this; if not, it waits until they are up."""
    node_failure_vms: PositiveCount = 2
    """VMs of one node that go down together and so count as a node failure."""
    node_failure_window_seconds: PositiveSeconds = 120
    """Time within which they go down together."""
    capacity_refusals: PositiveCount = 3
    """Starts refused for lack of resources after which all starts pause."""
    capacity_window_seconds: PositiveSeconds = 600
    """Time over which these refusals are counted."""
    capacity_backoff_seconds: Seconds = 300
    """Minimum pause after a refusal for lack of resources."""
    verify_power_on_seconds: PositiveSeconds = 120
    """Time for a start to take effect."""
    verify_reset_seconds: PositiveSeconds = 180
    """Time for a reset or kill to take effect."""
    verify_extension_seconds: Seconds = 120
    """Additional time while the VM changes its state."""
    verify_lost_seconds: PositiveSeconds = 60
    """Time for the effect of an action whose response was lost."""
    dependency_timeout_seconds: Seconds = 600
    """Maximum time that a VM waits for the VMs in `after`."""
    question_seconds: PositiveSeconds = 900
    """Time that operators have to answer a question in mode `ask`."""
    undone_actions: Count = 2
    """Starts that people undo within ten minutes, counted over a week, after which recovery falls
    back from mode `enforce` to `ask` until an operator arms it. 0: never."""

    @property
    def vm_windows(self) -> tuple[Window, ...]:
        """The restart budgets of a VM."""
        return (
            Window(HOUR, self.max_per_hour),
            Window(DAY, self.max_per_day),
            Window(WEEK, self.max_per_week),
        )

    @property
    def system_windows(self) -> tuple[Window, ...]:
        """The rate limits of all actions on one system."""
        return Window(600.0, self.system_max_per_10_minutes), Window(DAY, self.system_max_per_day)
