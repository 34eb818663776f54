"""
The values of recovery: a VM's case, its diagnosis, and the actions on it.

Times named ``at`` are seconds of monitored time: they pass only while Vergewatch polls, never jump
and survive a restart, so no change of a clock refills a budget or ends a pause. Times named
``clock`` are VergeOS's time, in Unix seconds.
"""

from datetime import datetime
from enum import StrEnum

import msgspec

from exporter.recovery.model.platform_log import LogPosition
from exporter.recovery.model.states import State


class ObservedState(StrEnum):
    """What one checked inventory shows of a VM."""

    UP = "up"
    DOWN = "down"
    HUNG = "hung"
    STOPPING = "stopping"
    BUSY = "busy"
    """In transition, for example starting or migrating."""
    WAITING = "waiting"
    """It waits for resources or a license; VergeOS starts it."""
    HIBERNATED = "hibernated"
    ERROR = "error"
    INCONSISTENT = "inconsistent"
    """An unrecognized status word, or a row that contradicts itself."""
    INELIGIBLE = "ineligible"
    """Not monitored: disabled, part of a VergeOS service, or ignored."""
    GONE = "gone"
    """It is not listed, or has no status row."""


class Action(StrEnum):
    """A request to VergeOS; the values are metric labels and journal words."""

    POWER_ON = "poweron"
    REBOOT = "reboot"
    """``reset`` with ``graceful``: the guest is asked."""
    RESET = "reset"
    KILL = "kill"


class Policy(StrEnum):
    """When a VM is restarted, in the words of Docker's restart policies."""

    acts: bool
    """Whether it permits any action."""

    NO = "no"
    """Monitored only."""
    ON_FAILURE = "on-failure"
    UNLESS_STOPPED = "unless-stopped"
    ALWAYS = "always"
    IGNORE = "ignore"
    """Not monitored."""

    def __init__(self, word: str) -> None:
        self.acts = word not in ("no", "ignore")  # no property: each poll reads it for each VM


class OnHang(StrEnum):
    """The harshest action on a VM that VergeOS reports as unresponsive."""

    ALERT = "alert"
    RESET = "reset"
    POWER_CYCLE = "power-cycle"


class Enrolment(msgspec.Struct, frozen=True, gc=False):
    """What recovery may do to a VM, and the tag or rule that permits it."""

    policy: Policy
    on_hang: OnHang
    tier: int
    """0 is restarted first, 4 last."""
    after: tuple[str, ...]
    """Name patterns of the VMs that must be up before it is started."""
    because: str
    """Such as ``tag recovery/auto``."""


class DiagnosisKind(StrEnum):
    """The result of a diagnosis."""

    PENDING = "pending"
    CRASHED = "crashed"
    STOPPED = "stopped"
    PLATFORM = "platform"
    UNKNOWN = "unknown"


class Cause(StrEnum):
    """The reason of a diagnosis; the values are metric labels and journal words."""

    NOT_DOWN_NOW = "not_down_now"
    NOT_LONG_ENOUGH = "not_long_enough"
    LOGS_NOT_SETTLED = "logs_not_settled"
    CRASHED = "crashed"
    HUNG = "hung"
    KILLED_TO_RESTART = "killed_to_restart"
    STOPPED_BY_PERSON = "stopped_by_person"
    STOPPED_BY_GUEST = "stopped_by_guest"
    STOPPED_BY_TASK = "stopped_by_task"
    SEEN_STOPPING = "seen_stopping"
    HIBERNATED = "hibernated"
    LEFT_OFF_BY_POLICY = "left_off_by_policy"
    POWERED_OFF_AS_DESIRED = "powered_off_as_desired"
    NODE_IN_TROUBLE = "node_in_trouble"
    NODE_UNWATCHED = "node_unwatched"
    HUNG_SHORTLY_BEFORE = "hung_shortly_before"
    RESET_SHORTLY_BEFORE = "reset_shortly_before"
    WAITS_FOR_RESOURCES = "waits_for_resources"
    NEVER_SEEN_UP = "never_seen_up"
    WENT_DOWN_UNOBSERVED = "went_down_unobserved"
    MIGRATED_SHORTLY_BEFORE = "migrated_shortly_before"
    START_FAILED = "start_failed"
    FLAPPING = "flapping"
    STATUS_ERROR = "status_error"
    STATUS_UNRECOGNIZED = "status_unrecognized"
    STATUS_MISSING = "status_missing"
    UUID_SHARED = "uuid_shared"
    NODE_UNKNOWN = "node_unknown"
    LOGS_UNREAD = "logs_unread"
    LOGS_INCOMPLETE = "logs_incomplete"
    LOGS_UNCLEAR = "logs_unclear"


class Diagnosis(msgspec.Struct, frozen=True, gc=False):
    """Why a VM is down or hung; the guards decide whether recovery acts on it."""

    kind: DiagnosisKind
    cause: Cause
    detail: str = ""
    """The evidence: the user, the time, the log row."""
    template: str = ""
    """The template of that log row; empty without one."""


UNDIAGNOSED = Diagnosis(DiagnosisKind.PENDING, Cause.NOT_LONG_ENOUGH, "not diagnosed yet")


class Question(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A question to the operators: may recovery carry out an action? One action, one outage."""

    number: int
    """The number of its decision in the journal."""
    action: Action
    asked_at: float
    expires_at: float
    """Seconds of monitored time."""
    expires: datetime
    """The same by the time of day, which also passes while Vergewatch does not run."""
    withdrawn: bool = False
    """Whether the VM was found to be stopped: no answer counts any more."""


class NotMonitored(StrEnum):
    """Why recovery does not monitor a VM that is listed; where several hold, the first counts."""

    SERVICE = "service"
    """It belongs to a VergeOS service."""
    DISABLED = "disabled"
    IGNORED = "ignored"
    """A tag or a rule says so."""
    NO_UUID = "no_uuid"
    """It has no UUID, or one that several VMs have."""
    NO_STATUS = "no_status"
    """It was not seen up or down yet."""
    NO_POLICY = "no_policy"
    """Its tags and rules could not be read yet."""


class Case(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The recovery state of one VM."""

    uuid: str
    key: int
    machine: int
    name: str
    policy: Policy = Policy.ON_FAILURE
    """A newly enrolled VM gets a new case: what happened before does not permit an action."""
    state: State
    since: float
    """Start of the state."""
    observed: ObservedState
    word: str = ""
    """Its VergeOS status."""
    former_names: tuple[str, ...] = ()
    """Its names before, the newest first."""
    node: int | None = None
    """The node that it ran on when it was last seen up."""
    up_at: float | None = None
    """When it was last seen up; ``None`` while it is up."""
    up_clock: float | None = None
    log_from: LogPosition | None = None
    """The newest log rows some time before it was last seen up: none of them explains it."""
    log_up: LogPosition | None = None
    """The newest log rows when it was last seen up."""
    log_down: LogPosition | None = None
    """The newest log rows when it was first seen down."""
    trouble_at: float | None = None
    """Since when every poll shows it down, or every poll shows it hung."""
    started: float | None = None
    """Its last start according to VergeOS; ``None`` while it is up."""
    lost_at: float | None = None
    """When it was first seen in trouble after it was up; ``None`` while it is up."""
    lost_clock: float | None = None
    losses: tuple[float, ...] = ()
    """When it went down within the last hour, as far as no stop explains it."""
    times_observed: int = 0
    """Consecutive valid inventories since `trouble_at`."""
    hung_at: float | None = None
    """When it was last seen hung."""
    words_since_up: tuple[str, ...] = ()
    max_gap_seconds: float = 0.0
    """The longest time without a valid poll between being up and going down."""
    missing: int = 0
    """Consecutive valid inventories that do not list it."""
    diagnosis: Diagnosis | None = None
    attempts: int = 0
    """Actions since it last stayed up."""
    retry_at: float | None = None
    """End of the pause after the last action."""
    ladder_step: int = 0
    """Number of actions that were taken on it while hung."""
    killed_position: LogPosition | None = None
    """The newest log rows when recovery sent a kill, until the start that follows."""
    killed_at: float | None = None
    """When that kill was sent."""
    killed_until: LogPosition | None = None
    """The newest log rows that were read within the time of that kill; ``None`` before its end."""
    kill_unanswered: bool = False
    """Whether VergeOS may not have received that kill."""
    kill_failed: bool = False
    """Whether that kill had no effect within its time; it may have one later."""
    ran_unseen: bool = False
    """Whether VergeOS's stamp of its start alone shows that it ran: it was down at `up_at`."""
    cleared_at: float = 0.0
    """When an operator cleared it; earlier actions do not count against its budget."""
    question: Question | None = None
    """The last question about it in this outage, until its action is sent."""
    helped_at: float | None = None
    """When an action of recovery last brought it up; ``None`` once a person stopped it."""
    undone: tuple[float, ...] = ()
    """When people were found to have stopped it soon after that."""


class Outcome(StrEnum):
    """The outcome of an action."""

    CONFIRMED = "confirmed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    ABANDONED = "abandoned"
    """It was never sent."""


class Reply(StrEnum):
    """VergeOS's reply to an action."""

    ACCEPTED = "accepted"
    ALREADY = "already"
    """The VM already was in the wanted state."""
    NO_CAPACITY = "no_capacity"
    BUSY = "busy"
    """The VM is locked by another operation, such as a snapshot."""
    FORBIDDEN = "forbidden"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    """No connection, or no request left in the budget."""
    LOST = "lost"
    """No reply, or one that does not show whether the action was carried out."""


FREE_REPLIES = (Reply.NO_CAPACITY, Reply.BUSY, Reply.NOT_SENT)
"""Replies after which an action uses up no budget: nothing was done, and others are the cause."""
UNCOUNTED_REPLIES = (*FREE_REPLIES, Reply.FORBIDDEN)
"""Replies after which an action does not count as an attempt: the VM is not the cause."""


class Intent(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One action, from its preparation until its outcome is known."""

    id: int
    uuid: str
    vm_key: int
    name: str
    action: Action
    prepared_at: float
    sent_at: float | None = None
    sent_position: LogPosition | None = None
    """The newest log rows when it was sent."""
    deadline: float
    reply: Reply | None = None
    detail: str = ""
    outcome: Outcome | None = None
    extended: bool = False
    """Whether the deadline was extended because the VM was in transition."""


class Spent(msgspec.Struct, frozen=True, gc=False):
    """An action that was sent, for budgets and rate limits."""

    at: float
    uuid: str
    action: Action
    reply: Reply | None = None
