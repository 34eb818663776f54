"""A decision and the guard results behind it."""

from datetime import datetime
from enum import StrEnum

import msgspec

from exporter.recovery.model.cases import Action, Diagnosis
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.states import State


class GuardName(StrEnum):
    """
    A condition that must hold before an action.

    The same word is the journal's column, the metric's label and the log's field.
    """

    ARMED = "armed"
    """Recovery is not disarmed and the kill switch file is absent."""
    NOT_PAUSED = "not_paused"
    """No pause is in force."""
    NO_RIVAL = "no_rival"
    """No other instance acts on the system with our user."""
    LEADS = "leads"
    """This replica leads, and no action of the one that led before can still arrive."""
    JOURNAL_WRITABLE = "journal_writable"
    """The journal accepts writes; each action is written before it is sent."""
    INVENTORY_FRESH = "inventory_fresh"
    """The last inventory is fresh and passed its checks."""
    INVENTORY_STABLE = "inventory_stable"
    """Enough inventories in a row passed their checks."""
    NO_PLATFORM_UPDATE = "no_platform_update"
    """VergeOS does not install or apply an update, and the warm-up after the last one is over."""
    WARMED_UP = "warmed_up"
    """The warm-up after a start, an outage, a pause or a clock jump is over."""
    ENROLLED = "enrolled"
    """A tag or an enrolment rule enrolls this VM."""
    CRASHED = "crashed"
    """The diagnosis is `crashed`."""
    CRASH_RECENT = "crash_recent"
    """The crash is not older than `limits.crash_age_seconds`."""
    NO_OPEN_ACTION = "no_open_action"
    """No action on this VM is open."""
    WITHIN_RESTART_BUDGET = "within_restart_budget"
    """Its restart budget for the hour, day and week has room."""
    BACKOFF_ELAPSED = "backoff_elapsed"
    """The pause after the last action on it is over."""
    OUTSIDE_MAINTENANCE_WINDOW = "outside_maintenance_window"
    """No maintenance window covers this VM now."""
    NOT_SILENCED = "not_silenced"
    """No silence in Alertmanager matches it, its node, its cluster or its system."""
    NODE_STABLE = "node_stable"
    """Its node did not lose several VMs at once."""
    CIRCUIT_BREAKER_CLOSED = "circuit_breaker_closed"
    """The circuit breaker permits an action."""
    CAPACITY_AVAILABLE = "capacity_available"
    """VergeOS did not refuse several starts for lack of resources."""
    STORAGE_AVAILABLE = "storage_available"
    """No storage tier of its cluster is offline, full, initializing, or degrading further."""
    MEMORY_AVAILABLE = "memory_available"
    """Its cluster, or its failover cluster, has as much free memory as it needs."""
    DEVICES_PRESENT = "devices_present"
    """No device that it requires is missing."""
    BELOW_CONCURRENCY_LIMIT = "below_concurrency_limit"
    """Fewer actions are open than the limit allows."""
    WITHIN_RATE_LIMIT = "within_rate_limit"
    """The rate limit of the system has room."""
    DEPENDENCIES_UP = "dependencies_up"
    """The VMs that must be up before it are up."""
    ACTION_ALLOWED = "action_allowed"
    """Its settings allow the next action."""
    WRITE_ACCESS = "write_access"
    """The credential of the daemon may act."""
    DOWN_CONFIRMED = "down_confirmed"
    """Prometheus confirms that the VM is down, if `recovery.confirm` has a query for it."""
    MODE_PERMITS = "mode_permits"
    """The mode is `enforce`, or it is `ask` and an operator approved the action."""


class BudgetUse(msgspec.Struct, frozen=True, gc=False):
    """How much of a restart budget is used."""

    used: int
    limit: int
    seconds: float
    """Length of the period that the limit applies to."""


class GuardResult(msgspec.Struct, frozen=True, gc=False):
    """The result of one guard."""

    guard: GuardName
    """The condition."""
    passed: bool
    detail: str
    """The numbers and names that the guard compared."""
    fix: str = ""
    """What must change for it to pass."""
    budgets: tuple[BudgetUse, ...] = ()
    """The budgets that the guard compared, if it compares any."""


class Decision(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A decision about one VM, and its reasons."""

    uuid: str
    vm_key: int
    name: str
    at: float
    """Seconds of monitored time."""
    time: datetime
    state: State
    diagnosis: Diagnosis
    action: Action | None
    """The next action; ``None`` if none is left."""
    failed_guard: GuardName | None
    """The first guard that forbids the action; None if all guards pass."""
    guard_results: tuple[GuardResult, ...]
    """Of every guard, in order of precedence."""
    mode: Mode

    @property
    def acts(self) -> bool:
        return self.failed_guard is None

    @property
    def asks(self) -> bool:
        """Whether nothing but an operator's approval is missing."""
        return self.failed_guard is GuardName.MODE_PERMITS and self.mode is Mode.ASK
