"""A decision: a named reason, with everything that was weighed."""

from datetime import datetime
from enum import StrEnum

import msgspec

from exporter.recovery.model.cases import Action, Diagnosis
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.states import State


class GuardName(StrEnum):
    """
    Why something is done, or what forbids it first.

    The same word is the journal's column, the metric's label and the log's field.
    """

    ARMED = "armed"
    """A person disarmed recovery, or the kill switch's file is there."""
    NOT_PAUSED = "not_paused"
    """A person paused it, until some time."""
    JOURNAL_WRITABLE = "journal_writable"
    """The journal cannot be written, and nothing is done that is not written down first."""
    INVENTORY_FRESH = "inventory_fresh"
    """The last picture is too old, or is not to be believed: short, empty, frozen, unread."""
    INVENTORY_STABLE = "inventory_stable"
    """Several pictures in a row were not to be believed, and too few since then were."""
    WARMED_UP = "warmed_up"
    """It is too soon after a start, after blindness, a pause or a jump of the clock."""
    ENROLLED = "enrolled"
    """Nobody asked for this VM to be looked after, or somebody asked for it not to be."""
    CRASHED = "crashed"
    """It is not proven that it crashed; the cause says what is thought instead."""
    NO_OPEN_ACTION = "no_open_action"
    """The outcome of an action on it is not known yet."""
    WITHIN_RESTART_BUDGET = "within_restart_budget"
    """It was started too often within an hour, a day or a week, and is given up."""
    BACKOFF_ELAPSED = "backoff_elapsed"
    """The pause after the last action on it is not over."""
    OUTSIDE_MAINTENANCE_WINDOW = "outside_maintenance_window"
    """The settings name these hours as ones in which nothing is done."""
    NOT_SILENCED = "not_silenced"
    """A silence in Alertmanager names it, its node, its cluster or its cloud, or did just now."""
    NODE_STABLE = "node_stable"
    """Several VMs of its node went down together, which is the node's trouble."""
    CIRCUIT_BREAKER_CLOSED = "circuit_breaker_closed"
    """Too many VMs are down at once, so it may be our view that is broken."""
    CAPACITY_AVAILABLE = "capacity_available"
    """VergeOS refused several starts for want of resources."""
    BELOW_CONCURRENCY_LIMIT = "below_concurrency_limit"
    """Enough actions are under way."""
    WITHIN_RATE_LIMIT = "within_rate_limit"
    """Enough was done lately, all VMs together."""
    DEPENDENCIES_UP = "dependencies_up"
    """VMs that have to be up before it are not."""
    ACTION_ALLOWED = "action_allowed"
    """Its owner allows no such step for a VM that hangs, or none is left."""
    WRITE_ACCESS = "write_access"
    """Our credential may not act."""
    MODE_ENFORCE = "mode_enforce"
    """Only the mode forbids it: this is what would be done."""


class BudgetUse(msgspec.Struct, frozen=True, gc=False):
    """How much of a restart budget is used."""

    used: int
    limit: int
    seconds: float
    """Length of the period that the limit applies to."""


class GuardResult(msgspec.Struct, frozen=True, gc=False):
    """What one guard says."""

    guard: GuardName
    """The guard, by the reason that it denies with."""
    passed: bool
    detail: str
    """In numbers and names: what the guard looked at."""
    fix: str = ""
    """What would have to change for it to allow."""
    budgets: tuple[BudgetUse, ...] = ()
    """The budgets that the guard compared, if it is one of budgets."""


class Decision(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What was decided about one VM at one moment, and why."""

    uuid: str
    vm_key: int
    name: str
    at: float
    """Seconds of watch."""
    time: datetime
    state: State
    diagnosis: Diagnosis
    action: Action | None
    """What is, or would be, asked for; None where there is nothing to ask for."""
    failed_guard: GuardName | None
    """The first guard that forbids the action; None if all guards pass."""
    guard_results: tuple[GuardResult, ...]
    """Of every guard, in their order, also after the first denial."""
    mode: Mode

    @property
    def acts(self) -> bool:
        return self.failed_guard is None
