"""
The values of recovery: a VM's case, its diagnosis, and the actions on it.

Times named ``at`` are seconds of watch: they pass only while Vergewatch watches, never jump and
survive a restart, so no change of any clock refills a budget or ends a pause. Times named
``clock`` are VergeOS', in Unix seconds, as its rows and logs say them.
"""

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
    """VergeOS has it in hand: it lacks resources or a licence."""
    HIBERNATED = "hibernated"
    ERROR = "error"
    INCONSISTENT = "inconsistent"
    """An unrecognized status word, or a row that contradicts itself."""
    INELIGIBLE = "ineligible"
    """Nothing that recovery looks at: disabled, of a service, or to be ignored."""
    GONE = "gone"
    """It is not listed, or its rows do not tell how it is."""


class Action(StrEnum):
    """What recovery may ask VergeOS to do; the values are metric labels and journal words."""

    POWER_ON = "poweron"
    REBOOT = "reboot"
    """``reset`` with ``graceful``: the guest is asked."""
    RESET = "reset"
    KILL = "kill"


class Policy(StrEnum):
    """When a VM is to be started again, by the names people know from elsewhere."""

    acts: bool
    """Whether there is anything that it would have done."""

    NO = "no"
    """It is diagnosed and reported, and never acted on."""
    ON_FAILURE = "on-failure"
    UNLESS_STOPPED = "unless-stopped"
    ALWAYS = "always"
    IGNORE = "ignore"
    """Not followed at all."""

    def __init__(self, word: str) -> None:
        self.acts = word not in ("no", "ignore")  # no property: every VM is asked in every round


class OnHang(StrEnum):
    """What to do about a VM that VergeOS calls unresponsive."""

    ALERT = "alert"
    RESET = "reset"
    POWER_CYCLE = "power-cycle"


class Enrolment(msgspec.Struct, frozen=True, gc=False):
    """What its owner allows for a VM, and where that is said."""

    policy: Policy
    on_hang: OnHang
    tier: int
    """0 goes first, 4 last."""
    after: tuple[str, ...]
    """Name patterns of the VMs that have to be up before it is started."""
    because: str
    """Such as ``tag recovery/auto``."""


class DiagnosisKind(StrEnum):
    """What a diagnosis comes to."""

    PENDING = "pending"
    CRASHED = "crashed"
    STOPPED = "stopped"
    PLATFORM = "platform"
    UNKNOWN = "unknown"


class Cause(StrEnum):
    """Why a diagnosis came out as it did; one word each, for journal, metrics and people."""

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
    STATUS_ERROR = "status_error"
    STATUS_UNRECOGNIZED = "status_unrecognized"
    STATUS_MISSING = "status_missing"
    UUID_SHARED = "uuid_shared"
    NODE_UNKNOWN = "node_unknown"
    LOGS_UNREAD = "logs_unread"
    LOGS_INCOMPLETE = "logs_incomplete"
    LOGS_UNCLEAR = "logs_unclear"


class Diagnosis(msgspec.Struct, frozen=True, gc=False):
    """A fact about a VM in trouble; whether to act on it is another question."""

    kind: DiagnosisKind
    cause: Cause
    detail: str = ""
    """Who, when, which log row: whatever makes the cause believable."""
    template: str = ""
    """The template of the log row that it rests on; empty if it rests on none."""


class Case(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Everything that recovery knows of one VM."""

    uuid: str
    key: int
    machine: int
    name: str
    policy: Policy = Policy.ON_FAILURE
    """What its owner allows. One that never acts may become one that does only where the VM is
    seen for the first time: what came before does not permit an action."""
    state: State
    since: float
    """When the state began."""
    observed: ObservedState
    word: str = ""
    """The status word that the observed was made of."""
    former_names: tuple[str, ...] = ()
    """The newest first."""
    node: int | None = None
    """Where it ran when it was last seen up."""
    up_at: float | None = None
    """When it was last seen up; kept while it is not."""
    up_clock: float | None = None
    log_from: LogPosition | None = None
    """The newest log rows some time before it was last seen up: none of them explains it."""
    log_up: LogPosition | None = None
    """The newest log rows when it was last seen up."""
    log_down: LogPosition | None = None
    """The newest log rows when it was first seen down."""
    trouble_at: float | None = None
    """When it was first seen down, or hung, without a change since."""
    started: float | None = None
    """When VergeOS says that it was started last, as long as it is not up."""
    times_observed: int = 0
    """Valid inventories in a row that show the same trouble."""
    hung_at: float | None = None
    """When it was last seen hung."""
    words_since_up: tuple[str, ...] = ()
    """Status words seen since it was last up."""
    max_gap_seconds: float = 0.0
    """The longest time without a valid poll between being up and going down, in seconds."""
    missing: int = 0
    """Valid inventories in a row that do not list it."""
    diagnosis: Diagnosis | None = None
    attempts: int = 0
    """Actions since it last stayed up."""
    retry_at: float | None = None
    """When the pause after the last action ends."""
    ladder_step: int = 0
    """How many steps of the ladder for hung VMs were taken."""
    killed_position: LogPosition | None = None
    """The newest log rows when a kill of ours was sent, as long as its start is due."""
    killed_at: float | None = None
    """When that kill was sent."""
    kill_unanswered: bool = False
    """Whether that kill may have been lost on its way."""
    cleared_at: float = 0.0
    """When an operator cleared it; earlier actions do not count against its budget."""


class Outcome(StrEnum):
    """How an intent ended."""

    CONFIRMED = "confirmed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    ABANDONED = "abandoned"
    """It was never sent."""


class Reply(StrEnum):
    """What came back for a request that acts."""

    ACCEPTED = "accepted"
    ALREADY = "already"
    """The VM was where we wanted it."""
    NO_CAPACITY = "no_capacity"
    FORBIDDEN = "forbidden"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    """It never left here: no connection, or no request to spare."""
    LOST = "lost"
    """Nothing came back, or nothing that says whether it was done."""


UNCOUNTED_REPLIES = (Reply.NO_CAPACITY, Reply.FORBIDDEN, Reply.NOT_SENT)
"""Replies after which an action does not count as an attempt: the VM is not the cause."""


class Intent(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One action, from the moment it is decided to the moment its outcome is known."""

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
    """Whether it was given more time because the VM was on its way."""


class Spent(msgspec.Struct, frozen=True, gc=False):
    """An action that was sent, as far as budgets care."""

    at: float
    uuid: str
    action: Action
    reply: Reply | None = None
