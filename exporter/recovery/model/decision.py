"""A decision: a named reason, with everything that was weighed."""

from datetime import datetime
from enum import StrEnum

import msgspec

from exporter.recovery.model.cases import Action, Judgement
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.states import State


class Reason(StrEnum):
    """
    Why something is done, or what forbids it first.

    The same word is the journal's column, the metric's label and the log's field.
    """

    ACT = "act"
    """Nothing forbids it."""
    DISARMED = "disarmed"
    """A person disarmed recovery, or the kill switch's file is there."""
    PAUSED = "paused"
    """A person paused it, until some time."""
    JOURNAL_DOWN = "journal_down"
    """The journal cannot be written, and nothing is done that is not written down first."""
    PICTURE_OLD = "picture_old"
    """The last picture is too old, or is not to be believed: short, empty, frozen, unread."""
    DEGRADED = "degraded"
    """Several pictures in a row were not to be believed, and too few since then were."""
    WARMING_UP = "warming_up"
    """It is too soon after a start, after blindness, a pause or a jump of the clock."""
    NOT_ENROLLED = "not_enrolled"
    """Nobody asked for this VM to be looked after, or somebody asked for it not to be."""
    NOT_CRASHED = "not_crashed"
    """It is not proven that it crashed; the cause says what is thought instead."""
    IN_PROGRESS = "in_progress"
    """The outcome of an action on it is not known yet."""
    BUDGET_SPENT = "budget_spent"
    """It was started too often within an hour, a day or a week, and is given up."""
    BACKING_OFF = "backing_off"
    """The pause after the last action on it is not over."""
    QUIET_WINDOW = "quiet_window"
    """The settings name these hours as ones in which nothing is done."""
    SILENCED = "silenced"
    """A silence in Alertmanager names it, its node, its cluster or its cloud, or did just now."""
    NODE_HOLD = "node_hold"
    """Several VMs of its node went down together, which is the node's trouble."""
    STORM = "storm"
    """Too many VMs are down at once, so it may be our view that is broken."""
    NO_CAPACITY = "no_capacity"
    """VergeOS refused several starts for want of resources."""
    TOO_MANY_AT_ONCE = "too_many_at_once"
    """Enough actions are under way."""
    RATE_LIMITED = "rate_limited"
    """Enough was done lately, all VMs together."""
    NOT_ITS_TURN = "not_its_turn"
    """VMs that have to be up before it are not."""
    STEP_NOT_ALLOWED = "step_not_allowed"
    """Its owner allows no such step for a VM that hangs, or none is left."""
    READ_ONLY = "read_only"
    """Our credential may not act."""
    SHADOW = "shadow"
    """Only the mode forbids it: this is what would be done."""


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What one guard says."""

    guard: Reason
    """The guard, by the reason that it denies with."""
    allowed: bool
    says: str
    """In numbers and names: what the guard looked at."""
    cure: str = ""
    """What would have to change for it to allow."""


class Decision(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What was decided about one VM at one moment, and why."""

    uuid: str
    vm_key: int
    name: str
    at: float
    """Seconds of watch."""
    time: datetime
    state: State
    judgement: Judgement
    action: Action | None
    """What is, or would be, asked for; None where there is nothing to ask for."""
    reason: Reason
    verdicts: tuple[Verdict, ...]
    """Of every guard, in their order, also after the first denial."""
    mode: Mode

    @property
    def acts(self) -> bool:
        return self.reason is Reason.ACT
