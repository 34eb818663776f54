"""
Invariant checker: watches a run from outside and knows what must never happen.

The checker hears what goes over the wire, reads what is committed to the journal, and sees how
the system truly is. It never looks into the engine, and it computes nothing with the engine's
code: a mistake there must not be repeated here.

Two kinds of polls are told apart. One that was *answered* may have been believed, so it counts
where recovery needs evidence. One that was *clean* must have been believed, so it counts where
recovery should have known better. Between the two the checker gives the benefit of the doubt.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from exporter.recovery.model.cases import Action, Intent, Outcome
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.limits import HOUR, Mode
from exporter.recovery.model.states import State
from exporter.simulator.api.accounts import USERNAME
from exporter.simulator.api.tables.logs import loss_rank
from tests.recovery.harness import Harness, Request
from tests.recovery.platform_checks import PlatformSight

ALLOWING = ("always", "auto", "on-failure", "unless-stopped")
DENYING = ("never", "no", "ignore")
STOP_ROWS = tuple(f"VM action '{action}' sent" for action in ("poweroff", "kill", "hibernate"))
UP = ("running", "needsrefresh", "needsrestart", "driversreloading")
WAITING = ("waitingforresources", "unlicensed")
ON_THE_WAY = ("initializing", "starting")
LEAVING = ("stopping", "hibernating", "hibernated")
HARMLESS_TO_SIGHT = (
    "late_logs",
    "lost_logs",
    "reset_before_acting",
    "reset_after_acting",
    "accepted_but_never_starts",
    "no_capacity",
    "string_keys",
)
VMS, STATUS, TAGS, NODES, LOGS, ACTIONS = (
    f"/api/v4/{table}"
    for table in ("vms", "machine_status", "tag_members", "nodes", "machine_logs", "vm_actions")
)
FORBIDDEN_SECONDS = 1800.0
DONE_WITH = (State.BASELINE, State.HEALTHY, State.PROBATION, State.STOPPED)
"""States in the journal of VMs for which a mass outage does not last on."""
NEVER = float("-inf")
EXPLAINING_SECONDS = 700.0
"""How long before a VM was last surely up something may explain why it is down."""
DUST = 1e-6
"""Seconds by which two sums of the same times may come apart."""


Violation = tuple[str, str]
"""The id of an invariant, and what happened instead."""


class InvariantError(AssertionError):
    """Something happened that must never happen."""

    def __init__(self, invariant: str, at: float, what: str) -> None:
        super().__init__(f"{invariant} at {at:.0f} s: {what}")
        self.invariant = invariant


class Look(NamedTuple):
    """How a VM was shown, and how it was set up, at one moment."""

    key: int
    name: str
    uuid: str
    word: str
    running: bool
    node: int | None
    started: float
    policy: str
    """The word of the tag that enrolls it; empty where none does, or one forbids it."""
    on_hang: str
    touchable: bool
    """No snapshot, not disabled, not of a service."""
    may_power_cycle: bool
    left_off: bool

    @property
    def is_up(self) -> bool:
        return self.word in UP and self.running

    @property
    def is_down(self) -> bool:
        return self.word == "stopped" and not self.running

    @property
    def is_hung(self) -> bool:
        return self.word == "unresponsive"

    @property
    def is_ours(self) -> bool:
        return bool(self.policy) and self.touchable


@dataclass
class Poll:
    """One reading of the tables."""

    at: float
    looks: Mapping[int, Look]
    nodes: Mapping[int, bool]
    faults: frozenset[str]
    answered: set[str] = field(default_factory=set)
    over: bool = False
    """Whether what is read now is part of something else."""
    is_short: bool = False
    surely_invalid: bool = False
    counted: bool = False
    """Whether it is part of what may have been seen."""
    known: bool = False
    """Whether it is part of what was surely seen."""
    follows_a_clean_one: bool = False
    """Whether the poll before it was clean, and surely seen."""

    @property
    def is_whole(self) -> bool:
        return {VMS, STATUS} <= self.answered

    @property
    def is_clean(self) -> bool:
        """Whether nothing that is wrong with the platform touched it."""
        whole = {VMS, STATUS, TAGS, NODES} <= self.answered
        return whole and not self.surely_invalid and not self.faults - set(HARMLESS_TO_SIGHT)


class LogReading(NamedTuple):
    """What could be read of the logs at one moment."""

    at: float
    clock: float
    late: float
    lost: float
    empty: bool


@dataclass
class Life:
    """What may, and what must, be known of one VM."""

    up_at: float = NEVER
    """When it was last shown up while it was enrolled."""
    seen_up_at: float = NEVER
    """The same, whether enrolled or not."""
    down_since: float | None = None
    """The first of the answered polls, without a gap until now, that showed it stopped."""
    downs: int = 0
    hung_since: float | None = None
    not_up_since: float | None = None
    node: int | None = None
    recorded_up: bool = False
    # Only from clean polls:
    surely_up_at: float = NEVER
    surely_down_since: float | None = None
    hung_at: float = NEVER
    waited_at: float = NEVER
    started_at: float = NEVER
    """When it was last seen on its way up."""
    left_at: float = NEVER
    """When it was last seen on its way down."""
    unenrolled_at: float = NEVER
    forgotten: bool = False
    """Whether a person said that it is gone, and it has not been up since."""
    surely_on: int | None = None
    """Where it was last seen up."""
    was_running: bool = False
    was_on: int | None = None


@dataclass
class UnknownRows:
    """Log rows that no log pattern matches."""

    stopped: dict[int, float] = field(default_factory=dict)
    """When each VM was stopped on purpose with such a row only."""
    rows: list[tuple[float, int | None]] = field(default_factory=list)
    """When each was written, and about which VM."""
    logs_troubled_at: float = NEVER
    """When the logs were last read while rows were lost or late."""


class ActionHistory(list[Request]):
    """The list of requests, which reports each new one."""

    def __init__(self, tell: Callable[[Request], None]) -> None:
        self._tell = tell

    def append(self, request: Request) -> None:
        super().append(request)
        self._tell(request)


class Asked(NamedTuple):
    """A request to act, with how things were at that moment."""

    request: Request
    clock: float
    look: Look | None
    """How the VM was when it was last looked at; None when it was gone."""
    logs: LogReading | None
    poll: Poll | None
    intents: tuple[Intent, ...]
    """Those that were open."""
    looked_at: float
    forbidden: str


class InvariantChecker:
    """
    Watches one harness.

    Args:
        after: Name patterns of VMs, and of those that have to be up before them.
        quiet: Stretches of the run in which no action may be sent.
        silenced: Names of VMs, and from when to when a silence names each.
        enrolled: What the setup says of a VM that no tag speaks of.

    """

    _journal_failed = False
    _changes_read = 0
    rival_until = NEVER
    """Until when another instance is known to act; set by the test that plays it."""
    unconfirmed: Callable[[str], bool] = staticmethod(lambda _name: False)
    """Whether Prometheus denies that a VM is down; set by the test that plays it."""

    def __init__(
        self,
        harness: Harness,
        *,
        after: Mapping[str, Sequence[str]] | None = None,
        quiet: Sequence[tuple[float, float]] = (),
        silenced: Mapping[str, tuple[float, float]] | None = None,
        enrolled: Callable[[str], str] = lambda _name: "",
    ) -> None:
        self.harness = harness
        self.limits, self.mode = harness.setup.limits, harness.setup.mode
        self.violations: list[InvariantError] = []
        self.on_wire: Callable[[str], None] = lambda _: None
        """A second listener on the wire, before the checker does; may do mischief."""
        self.on_journal: Callable[[str], None] = lambda _: None
        self.asked: list[Asked] = []
        self._after = after or {}
        self._quiet = quiet
        self._silenced = silenced or {}
        self._enrolled = enrolled
        self._sent: tuple[Intent, ...] = ()
        """The intents that were open when the newest request went out."""
        self._used, self._used_answers = set[int](), set[int | None]()
        self._poll: Poll | None = None
        self._lives: dict[int, Life] = defaultdict(Life)
        self._node_ill: dict[int, float] = {}
        self._drops: dict[int | None, list[tuple[float, int]]] = defaultdict(list)
        self._troubled: dict[int, float] = {}
        """When each VM that is surely in trouble was first seen so, in the last clean poll."""
        self._outage: tuple[float, object, set[int]] = (NEVER, None, set())
        """The last mass outage: when it was last seen, by which process, and its VMs."""
        self._enrolled_count = 0
        self._looked: tuple[float, Mapping[int, Look]] = (NEVER, {})
        self._vms_answered = False
        self._logs: LogReading | None = None
        self._process: object = None
        self._warm_from = 0.0
        self._polls_since_warm = 0
        self._answered_at: float | None = None
        self._bad_polls, self._good_polls, self._degraded = 0, 99, False
        self._was_forbidden = ""
        self._forbidden_at_poll = ""
        self._orders_read = 0
        self._pause: tuple[float, float] | None = None
        self._disarmed = False
        self._cleared, self._approved = dict[str, float](), dict[int | None, float]()
        """When operators cleared each VM, and approved each question (not by a clock they set)."""
        self._banned_at = NEVER
        self._accepted_at = NEVER
        self._takes_short_lists = False
        """Whether a person said that what is missing is gone."""
        self._no_room: list[float] = []
        self._open_for: dict[int, float] = {}
        self._noted_at = 0.0
        self._given_up: dict[str, float] = {}
        self._unknown, self._platform = UnknownRows(), PlatformSight(harness)
        harness.requests = ActionHistory(self._judge)
        harness.fall = self._hear
        harness.journal.fall = self._read_journal

    # What the tests call.

    def check(self) -> None:
        """Raise at the first violation."""
        if self.violations:
            raise self.violations[0]

    def remember_stop(self, vm_key: int) -> None:
        """Take note that a VM is stopped on purpose now, though no known row shows it."""
        self._unknown.stopped[vm_key] = self._now
        self.remember_unknown_row(vm_key)

    def remember_unknown_row(self, vm_key: int | None) -> None:
        """Take note of a row that no log pattern matches; None for one about other things."""
        self._unknown.rows.append((self._now, vm_key))

    @property
    def broken(self) -> set[str]:
        """The invariants that were violated, for runs that are meant to."""
        return {violation.invariant for violation in self.violations}

    # What is heard.

    def _hear(self, what: str) -> None:
        self.on_wire(what)
        self._platform.hear(what)
        self._read_orders()
        at = self._now
        match what.split():
            case ["GET", path] if path == VMS:
                self._vms_answered = False
                self._looked = at, self._sample()
                if self._poll is not None:
                    self._poll.over = True
            case ["answered", "GET", path] if path == VMS:
                self._vms_answered = True
            case ["GET", path] if path == STATUS:
                self._begin_poll(at)
            case ["GET", path] if path == TAGS:
                self._looked = at, self._sample()
            case ["answered", "GET", path] if path == LOGS:
                self._logs = self._log_reading(at)
                if self._logs.late or self._logs.lost or self._logs.empty:
                    self._unknown.logs_troubled_at = at
            case ["POST", path] if path == ACTIONS:
                self._settle(surely=True)
                journal = self.harness.journal
                self._sent = tuple(one for one in journal.intents.values() if one.outcome is None)
            case ["answered", "GET", path] if self._poll is not None and not self._poll.over:
                self._poll.answered.add(path)

    def _read_journal(self, what: str) -> None:
        try:
            self.on_journal(what)
        except Exception:
            self._journal_failed = True
            raise
        if what == "prepare" and self._journal_failed:
            self._report("I6", "an intent was begun although the journal takes nothing")
        if what in ("save", "decide", "prepare", "update", "command", "load"):
            return
        self._read_orders()
        self._journal_failed = False
        if what == "saved":
            self._settle(surely=True)
            self._check_endings()
            self._read_changes()
        self._check_open_intents()
        if what == "prepared" and self._forbidden_at_poll and self._forbidden():
            self._report("I14", f"an intent was begun although {self._forbidden_at_poll}")
        if what == "prepared" and self._poll is not None:
            name = max(self.harness.journal.intents.values(), key=lambda one: one.id).name
            if self._is_silenced(name, self._poll.at) and self._is_silenced(name, self._now):
                self._report("I14", f"an intent was begun although {name} is silenced")

    def _begin_poll(self, at: float) -> None:
        self._settle(surely=False)
        if self._process is not self.harness.recovery:
            self._process = self.harness.recovery
            self._warm(at)
            self._answered_at, self._banned_at = at, NEVER
        faults = self.harness.world.faults.active()
        poll = Poll(
            at,
            self._sample(),
            {key: self._is_well(node) for key, node in self.harness.world.nodes.items()},
            frozenset(fault.name for fault in faults if _touches_sight(fault))
            | frozenset(f"{name} is not told of" for name in self.harness.untold),
        )
        before = self._poll
        poll.follows_a_clean_one = before is not None and before.known and before.is_clean
        if self._vms_answered:
            poll.answered.add(VMS)
        for fault in faults:
            aimed = any(fault.applies_to("GET", path) for path in (VMS, STATUS))
            short = fault.name == "short_list" and fault["keep"] < self.limits.min_rows_share
            poll.is_short = poll.is_short or (aimed and short)
            if aimed and ((short and not self._takes_short_lists) or fault.name == "empty_list"):
                poll.surely_invalid = True
        self._poll = poll
        forbidden = self._forbidden()
        if self._was_forbidden and not forbidden:
            self._warm(at)
        self._was_forbidden = self._forbidden_at_poll = forbidden

    def _settle(self, *, surely: bool) -> None:
        """Take the newest poll into what may be known, and into what must be."""
        poll = self._poll
        if poll is None:
            return
        if not poll.counted:
            poll.counted = True
            self._count(poll)
            if poll.is_whole:
                self._take_in_perhaps(poll)
                self._note_end_of_mass_outage(poll)
                self._takes_short_lists = self._takes_short_lists and poll.is_short
        if surely and not poll.known:
            poll.known = True
            if poll.is_clean:
                self._take_in_surely(poll)

    def _count(self, poll: Poll) -> None:
        if not poll.is_whole or poll.surely_invalid:
            self._bad_polls += 1
            self._good_polls = 0
            self._degraded = self._degraded or self._bad_polls >= self.limits.degraded_after_polls
            return
        self._bad_polls = 0
        self._good_polls += 1
        if self._good_polls >= self.limits.stable_after_polls:
            self._degraded = False
        before = self._answered_at
        if before is not None and poll.at - before > self.limits.outage_seconds + DUST:
            self._warm(poll.at)
        self._answered_at = poll.at
        self._polls_since_warm += 1

    def _warm(self, at: float) -> None:
        self._warm_from = at
        self._polls_since_warm = 0

    def _take_in_perhaps(self, poll: Poll) -> None:
        for key, look in poll.looks.items():
            life = self._lives[key]
            if look.is_up:
                life.not_up_since = None
                life.node = look.node
                life.seen_up_at, life.forgotten = poll.at, False
                if look.is_ours:
                    life.up_at, life.recorded_up = poll.at, True
            elif life.not_up_since is None:
                life.not_up_since = poll.at
            life.down_since = (life.down_since or poll.at) if look.is_down else None
            life.downs = life.downs + 1 if look.is_down else 0
            life.hung_since = (life.hung_since or poll.at) if look.is_hung else None

    def _take_in_surely(self, poll: Poll) -> None:
        for key, well in poll.nodes.items():
            if not well:
                self._node_ill[key] = poll.at
        for key, look in poll.looks.items():
            life = self._lives[key]
            if look.is_down and life.was_running and poll.follows_a_clean_one:
                self._drops[life.was_on].append((poll.at, key))
            _remember(life, look, poll.at)
        self._enrolled_count = sum(look.is_ours for look in poll.looks.values())
        self._troubled = {
            key: min(life.surely_down_since, life.not_up_since or poll.at)
            for key, life in self._lives.items()
            if life.surely_down_since is not None
            and not life.forgotten
            and key in poll.looks
            and self._surely_crashed(poll.looks[key], life)
        }
        self._note_mass_outage(poll.at)

    # How things are.

    @property
    def _now(self) -> float:
        return self.harness.clock.elapsed

    def _sample(self) -> Mapping[int, Look]:
        """Return how every VM is shown right now, by what the API would say."""
        world = self.harness.world
        tags: dict[str, set[str]] = defaultdict(set)
        for row in world.tag_members.values():
            if row.tag.category.name == "recovery":
                tags[row.member].add(row.tag.name)
        frozen = self.harness.api._frozen if world.faults.active("frozen_writer") else None
        strange = next((one["word"] for one in world.faults.active("unknown_status")
                        if one["share"] == 1), None)  # fmt: skip
        looks = {}
        for vm in world.vms.values():
            if vm.is_snapshot:
                continue
            status = vm.machine.status
            if frozen is not None:
                status = frozen[1].get(vm.machine.key, status)
            words = tags[f"vms/{vm.key}"]
            looks[vm.key] = Look(
                vm.key,
                vm.name,
                vm.uuid,
                strange or status.word,
                status.running,
                status.node,
                status.started,
                self._policy(words, vm.name),
                next((word for word in words if word.startswith("on-hang-")), "on-hang-alert"),
                vm.enabled and vm.service is None,
                not vm.disable_powercycle,
                vm.on_power_loss == "leave_off",
            )
        return looks

    def _policy(self, words: set[str], name: str) -> str:
        ruled = self._enrolled(name)
        if words & set(DENYING) or ruled in DENYING:
            return ""
        allowed = sorted(words & set(ALLOWING))
        return allowed[0] if allowed else ruled

    def _is_well(self, node: Any) -> bool:
        status = node.machine.status
        world = self.harness.world
        if world.faults.active("frozen_writer") and self.harness.api._frozen is not None:
            status = self.harness.api._frozen[1].get(node.machine.key, status)
        return status.word in UP and status.running and not node.maintenance

    def _log_reading(self, at: float) -> LogReading:
        world = self.harness.world
        faults = [one for one in world.faults.active() if one.applies_to("GET", LOGS)]
        return LogReading(
            at,
            world.now,
            max((one["seconds"] for one in faults if one.name == "late_logs"), default=0.0),
            max((one["share"] for one in faults if one.name == "lost_logs"), default=0.0),
            any(one.name == "empty_list" for one in faults),
        )

    def _rows(self, vm_key: int, *, since: float) -> Iterator[Any]:
        """Return what was written into the log of a VM, newest first."""
        vm = self.harness.world.vms.get(vm_key)
        for row in reversed(self.harness.world.platform_log.machine_logs):
            if row.at_us < since * 1e6:
                return
            if vm is not None and row.machine == vm.machine.key:
                yield row

    def _rows_of_nodes(self, *, since: float) -> Iterator[Any]:
        """Return what was written into the log of any node, newest first."""
        nodes = {node.machine.key for node in self.harness.world.nodes.values()}
        for row in reversed(self.harness.world.platform_log.machine_logs):
            if row.at_us < since * 1e6:
                return
            if row.machine in nodes:
                yield row

    def _forbidden(self) -> str:
        if switch := self.harness.setup.kill_switch():
            return f"{switch} is there"
        if self._disarmed:
            return "it was disarmed"
        if self._pause is not None and self._now < self._pause[1]:
            return f"it was paused at {self._pause[0]:.0f} s"
        if self._now < self.rival_until:
            return "another instance acts"
        return ""

    @property
    def _fell_back(self) -> bool:
        """Whether recovery fell back to mode ask, and no operator armed it since."""
        kinds = [one.kind for one in self.harness.journal.commands]
        last = [one for one in kinds if one in (CommandKind.FALL_BACK, CommandKind.ARM)][-1:]
        return last == [CommandKind.FALL_BACK]

    def _read_orders(self) -> None:
        """Take note of the orders that the journal has since the last look into it."""
        commands = self.harness.journal.commands
        for command in commands[self._orders_read :]:
            match command.kind:
                case CommandKind.PAUSE:
                    lasts = float("inf") if command.until is None else command.until - command.at
                    if self._pause is None or self._pause[1] <= self._now + lasts:
                        self._pause = self._now, self._now + lasts
                    self._was_forbidden = "a pause"
                case CommandKind.RESUME if self._pause is not None and self._now < self._pause[1]:
                    self._pause, self._was_forbidden = None, ""
                    self._warm(self._now)
                case CommandKind.DISARM:
                    self._disarmed = True
                    self._was_forbidden = "a disarming"
                case CommandKind.ARM if self._disarmed:
                    self._disarmed, self._was_forbidden = False, ""
                    self._warm(self._now)
                case CommandKind.ACCEPT:
                    self._accept()
                case CommandKind.CLEAR:
                    self._cleared[command.uuid] = self._now
                    self._given_up.pop(command.uuid, None)
                case CommandKind.APPROVE:
                    self._approved[command.question] = self._now
        self._orders_read = len(commands)

    def _accept(self) -> None:
        """Accept the inventory: missing VMs were deleted, and the mass outage is real."""
        self._warm(self._now)
        self._accepted_at, self._takes_short_lists = self._now, True
        if any(
            one.name in ("short_list", "empty_list") for one in self.harness.world.faults.active()
        ):
            for life in self._lives.values():
                life.forgotten = True
            self._given_up.clear()

    def _wishes(self, asked: Asked, look: Look, life: Life) -> Iterator[str]:
        """Return who wanted the VM down, as far as the log said so when it was last read."""
        reading = asked.logs
        if reading is None:
            return
        start = asked.clock - asked.request.at
        begin = start + life.up_at - self.limits.log_before_seconds
        for row in self._rows(look.key, since=max(begin, look.started)):
            # A row of the very moment at which the evidence begins may have been read before it.
            if row.at_us > (reading.clock - reading.late) * 1e6 or row.at_us == begin * 1e6:
                continue
            if reading.lost and loss_rank(self.harness.world.seed, "machine_logs", row.key) < (
                reading.lost
            ):
                continue
            if (is_wish(row, look.policy)) and row.user != USERNAME:
                yield f"{row.user}: {row.text}, {asked.clock - row.at_us / 1e6:.0f} s before"

    def _surely_crashed(self, look: Look, life: Life) -> bool:
        """Return whether this VM is down without any other explanation than a crash."""
        if len(self._posts(look.uuid)) >= self.limits.vm_windows[0].most:
            return False
        since = life.surely_up_at - EXPLAINING_SECONDS
        if any(at >= since and about in (None, look.key) for at, about in self._unknown.rows):
            return False
        rows = self._rows(look.key, since=self._clock_at(since))
        # A modified VM may be off by design, and after a reset the platform may be starting it.
        if any("modified" in row.text or "reset" in row.text for row in rows):
            return False
        return self._was_never_stopped(look, life)

    def _was_never_stopped(self, look: Look, life: Life) -> bool:
        """Return whether this VM went down although no person, guest or task stopped it."""
        vm = self.harness.world.vms.get(look.key)
        if vm is None or look.left_off:
            return False
        last = next(
            (
                one
                for one in reversed(self.harness.world.history)
                if one.machine == vm.machine.key
                and one.what in ("crashed", "hung", "powered_on", "woke_up", "ha_restarted")
            ),
            None,
        )
        if last is None or last.what not in ("crashed", "hung"):
            return False
        since = life.surely_up_at - EXPLAINING_SECONDS
        if self._unknown.stopped.get(look.key, NEVER) >= since or life.left_at >= life.surely_up_at:
            return False
        clock = self._clock_at(since)
        # Another VM that had its name between two polls only cannot be told from it by a row.
        if any(
            one.what == "renamed" and one.name == look.name and one.at >= clock
            for one in self.harness.world.history
        ):
            return False
        is_wished = any(is_wish(row, "on-failure") for row in self._rows(look.key, since=clock))
        return not is_wished and not any(
            "maintenance" in row.text and row.at_us <= last.at * 1e6
            for row in self._rows_of_nodes(since=clock)
        )

    def _clock_at(self, elapsed: float) -> float:
        """Return the world's time at a time of the run."""
        return self.harness.world.now - self._now + elapsed

    def _is_over(self, at: float, key: int) -> bool:
        """
        Return whether a VM that went down *at* then was stopped or reset, or is back.

        One that recovery started shortly before proves by running again that its node did not fail,
        also if an operator starts it this time.
        """
        life = self._lives[key]
        since = self._clock_at(min(life.surely_up_at, at) - EXPLAINING_SECONDS)
        lately = at - self.limits.probation_seconds
        is_back = at < life.seen_up_at and any(
            lately < one.request.at < life.seen_up_at
            for one in self.asked
            if one.request.vm_key == key
        )
        return is_back or any(
            is_wish(row, "on-failure") or "reset" in row.text
            for row in self._rows(key, since=since)
        )

    def _posts(self, uuid: str) -> list[Request]:
        """Return what was asked for one VM before."""
        return [one.request for one in self.asked if one.look is not None and one.look.uuid == uuid]

    # What must never happen.

    def _report(self, invariant: str, what: str, *, at: float | None = None) -> None:
        moment = self._now if at is None else at
        self.violations.append(InvariantError(invariant, moment, what))

    def _judge(self, request: Request) -> None:
        looked_at, looks = self._looked
        world = self.harness.world
        look = looks.get(request.vm_key)
        asked = Asked(
            request=request,
            clock=world.now,
            look=look,
            logs=self._logs,
            poll=self._poll,
            intents=self._sent,
            looked_at=looked_at,
            forbidden=self._forbidden(),
        )
        name = look.name if look is not None else f"VM {request.vm_key}"
        for invariant, what in self._objections(asked):
            self._report(invariant, f"{request.action} was asked for {name}: {what}")
        self.asked.append(asked)
        if request.status == 403:
            self._banned_at = request.at
        if request.no_room:
            self._no_room.append(request.at)

    def _objections(self, asked: Asked) -> Iterator[Violation]:
        request, look = asked.request, asked.look
        if not self.mode.acts:
            yield "I16", f"the mode is {self.mode}"
        if look is None:
            yield "I1", "there was no such VM"
            return
        life = self._lives[request.vm_key]
        if self.mode is Mode.ASK or self._fell_back:
            yield from self._of_approval(request, look, life)
        yield from self._of_enrolment(asked, look)
        yield from self._of_intents(asked)
        yield from self._of_freshness(asked)
        yield from self._of_health(asked)
        yield from self._of_its_class(request, look, life)
        yield from self._of_the_cause(asked, look, life)
        yield from self._of_the_platform(request, look, life)
        for problem in self._platform.problems(request, down_since=life.not_up_since):
            yield "I22", problem
        yield from self._of_the_crowd(asked)
        yield from self._of_budgets(request, look, life)
        yield from self._of_permission(asked, look, life)

    def _of_approval(self, request: Request, look: Look, life: Life) -> Iterator[Violation]:
        """Each action needs an approval of its own, in this outage; a kill's is for its start."""
        posts = self._posts(look.uuid)
        if request.action == Action.POWER_ON and posts and posts[-1].action == Action.KILL:
            return
        answers = {
            one.question: one
            for one in self.harness.journal.commands
            if one.question is not None and one.uuid == look.uuid
        }
        approved = [
            one
            for number, one in answers.items()
            if one.kind is CommandKind.APPROVE and number not in self._used_answers
        ]
        if not approved:
            yield "I16", "no operator approved it"
            return
        self._used_answers.add(approved[-1].question)
        if self._approved[approved[-1].question] < life.surely_up_at - DUST:
            yield "I16", "it was approved before the VM was last up"
        if any(
            one.kind is CommandKind.DENY for one in answers.values() if one.at > approved[-1].at
        ):
            yield "I16", "an operator denied it after that"

    def _of_enrolment(self, asked: Asked, look: Look) -> Iterator[Violation]:
        if not look.is_ours:
            yield "I1", "it is not enrolled"
        if asked.poll is not None and TAGS not in asked.poll.answered:
            yield "I1", "the tags could not be read, so its enrolment was unknown"
        journaled = [one for one in asked.intents if one.vm_key == asked.request.vm_key]
        if journaled and journaled[0].uuid != look.uuid:
            yield "I1", "it is not the VM that the journal has by this key"

    def _of_intents(self, asked: Asked) -> Iterator[Violation]:
        request = asked.request
        mine = [one for one in asked.intents if one.vm_key == request.vm_key]
        if len(mine) > 1:
            yield "I3", f"{len(mine)} intents are open for it"
        if len(asked.intents) > self.limits.max_concurrent_actions:
            yield "I3", f"{len(asked.intents)} intents are open at once"
        sent = [one for one in mine if one.sent_at is not None and one.action == request.action]
        if not sent:
            yield "I6", "the journal has no intent that says so"
        elif sent[-1].id in self._used:
            yield "I7", f"it was asked for before, by the same intent {sent[-1].id}"
        else:
            self._used.add(sent[-1].id)

    def _of_freshness(self, asked: Asked) -> Iterator[Violation]:
        at = asked.request.at
        age = at - asked.looked_at
        if age > self.limits.reread_age_seconds + DUST:
            yield "I4", f"it was last looked at {age:.0f} s before"
        poll_age = at - asked.poll.at if asked.poll is not None else at
        if poll_age > self.limits.inventory_age_seconds + DUST:
            yield "I4", f"the inventory was {poll_age:.0f} s old"

    def _of_health(self, asked: Asked) -> Iterator[Violation]:
        poll, limits, at = asked.poll, self.limits, asked.request.at
        if poll is None or not poll.is_whole or poll.surely_invalid:
            yield "I5", "the last poll showed nothing that can be believed"
        if self._degraded:
            yield "I5", f"only {self._good_polls} good polls came after bad ones"
        warm = at - self._warm_from
        if warm < limits.warmup_seconds - DUST or self._polls_since_warm < limits.warmup_polls:
            polls = self._polls_since_warm
            yield "I5", f"the warm-up began only {warm:.0f} s and {polls} polls before"

    def _of_its_class(self, request: Request, look: Look, life: Life) -> Iterator[Violation]:
        wanted = look.is_down if request.action == Action.POWER_ON else look.is_hung
        if not wanted:
            yield "I8", f"it was shown {look.word}, running {look.running}"
        if not life.recorded_up:
            yield "I11", "it was never seen up since it is in our care"
        elif life.not_up_since is not None and look.policy in ("auto", "on-failure"):
            hole = life.not_up_since - life.up_at
            if hole > self.limits.max_gap_seconds + DUST:
                yield "I11", f"it died within {hole:.0f} s without a valid poll"

    def _of_the_cause(self, asked: Asked, look: Look, life: Life) -> Iterator[Violation]:
        request, limits = asked.request, self.limits
        at = request.at
        since = life.down_since if request.action == Action.POWER_ON else life.hung_since
        if since is None:
            yield "C2", "no poll in a row showed it so"
            return
        needed = (
            limits.confirm_down_seconds
            if request.action == Action.POWER_ON
            else limits.confirm_hung_seconds
        )
        times_observed = life.downs if request.action == Action.POWER_ON else 2
        if at - since < needed - DUST or times_observed < limits.confirm_down_polls:
            invariant = "C2" if request.action == Action.POWER_ON else "I12"
            yield invariant, f"it was {look.word} for {at - since:.0f} s only"
        crashed_at = life.surely_down_since
        age = at - crashed_at if crashed_at is not None else 0.0
        asks = self.mode is Mode.ASK or self._fell_back
        if age > limits.crash_age_seconds + DUST and not asks:
            yield "I23", f"it went down {age:.0f} s before"
        reading = asked.logs
        if reading is None or reading.at < since + limits.log_settle_seconds:
            yield "I10", "the logs were not read since"
        elif reading.empty:
            yield "I10", "the logs that were read had been emptied"
        wish = next(self._wishes(asked, look, life), None)
        if wish is not None:
            yield "I9", f"its stop was requested ({wish})"
        stopped_at = self._unknown.stopped.get(look.key, NEVER)
        if stopped_at >= life.seen_up_at and stopped_at > self._unknown.logs_troubled_at:
            yield "I9", f"it was stopped {at - stopped_at:.0f} s before, in unknown words"
        tried_at = max((one.at for one in self._posts(look.uuid)), default=NEVER)
        seen = max(life.seen_up_at, tried_at)
        if request.action == Action.POWER_ON and life.left_at > seen:
            yield "I9", f"it was seen on its way down {at - life.left_at:.0f} s before"
        if request.action == Action.POWER_ON and life.started_at > seen > tried_at:
            yield "I19", f"another user was starting it {at - life.started_at:.0f} s before"

    def _of_the_platform(self, request: Request, look: Look, life: Life) -> Iterator[Violation]:
        at, limits = request.at, self.limits
        mine = self._posts(look.uuid)
        tried_at = max((one.at for one in mine), default=NEVER)
        if life.waited_at > max(life.seen_up_at, tried_at):
            yield "I12", f"it waited for resources {at - life.waited_at:.0f} s before"
        ill_at = self._node_ill.get(life.node or 0, NEVER)
        if ill_at > life.up_at and at - ill_at < limits.platform_seconds - DUST:
            yield "I12", f"its node was ill {at - ill_at:.0f} s before"
        if ill_at > life.up_at and look.left_off:
            yield "I12", "it is to be left off when its node goes"
        if request.action == Action.POWER_ON and self._was_reset(
            look, since=at - limits.platform_seconds
        ):
            yield "I12", "its guest reset it shortly before"
        killed = any(one.action == Action.KILL and one.at > life.surely_up_at for one in mine)
        hung_lately = (
            life.hung_at > life.seen_up_at and at - life.hung_at < limits.platform_seconds - DUST
        )
        if request.action == Action.POWER_ON and hung_lately and not killed:
            yield "I12", f"it was unresponsive {at - life.hung_at:.0f} s before"
        drops = [drop for drop in self._drops[life.node] if not self._is_over(*drop)]
        for last, _ in drops if life.node == life.surely_on else ():
            near = {
                key for drop, key in drops if 0 <= last - drop <= limits.node_failure_window_seconds
            }
            if len(near) >= limits.node_failure_vms and at - last < limits.platform_seconds - DUST:
                yield "I12", f"its node lost {len(near)} VMs {at - last:.0f} s before"
                return

    def _was_reset(self, look: Look, *, since: float) -> bool:
        """Return whether its guest reset a VM, as far as the log said so when it was last read."""
        reading = self._logs
        if reading is None or reading.lost:
            return False
        return any(
            row.text == "VM has reset" and row.at_us <= (reading.clock - reading.late) * 1e6
            for row in self._rows(look.key, since=self._clock_at(since))
        )

    def _of_the_crowd(self, asked: Asked) -> Iterator[Violation]:
        """
        No request during a mass outage, and one at a time after it.

        A mass outage is at hand while enough VMs went down within the window that are surely
        crashed and still down. It is over for good when few of them are down.
        """
        limits, at = self.limits, asked.request.at
        recent = self._lost_lately(at)
        limit = self._mass_outage()
        if len(recent) >= limit:
            youngest = at - max(recent.values())
            yield (
                "I13",
                f"{len(recent)} of {self._enrolled_count} VMs were lost, {youngest:.0f} s before",
            )
        began, process, members = self._outage
        is_over = at - began >= limits.breaker_max_open_seconds or process is not self._process
        if len({self._unit(key) for key in members if not self._is_found_stopped(key)}) < limit:
            return  # some turned out to be stopped, or to be one node that failed
        if is_over or sum(self._is_left(key) for key in members) < limit / 2:
            return
        before = max((one.request.at for one in self.asked), default=NEVER)
        if at - before < limits.breaker_probe_interval_seconds - DUST and before > began:
            yield "I13", f"after a mass outage, {at - before:.0f} s after the request before"
        if len(asked.intents) > 1:
            yield "I13", "after a mass outage, with another request under way"

    def _mass_outage(self) -> float:
        """Return how many VMs lost together are a mass outage."""
        limits = self.limits
        share = limits.breaker_share * self._enrolled_count
        lesser = min(share, limits.breaker_max_vms)
        return max(limits.breaker_min_vms, lesser)

    def _lost_lately(self, at: float) -> Mapping[int, float]:
        """Return the VMs that surely crashed within the window, with when they were seen down."""
        oldest = max(at - self.limits.breaker_window_seconds, self._accepted_at)
        return {
            key: since
            for key, since in self._troubled.items()
            if since > oldest
            and self._lives[key].not_up_since is not None  # perhaps it was seen up since
            and self._node_ill.get(self._lives[key].node or 0, NEVER) < self._lives[key].up_at
        }

    def _note_mass_outage(self, at: float) -> None:
        recent = self._lost_lately(at)
        if len(recent) >= self._mass_outage():
            self._outage = at, self._process, {*self._outage[2], *recent}

    def _note_end_of_mass_outage(self, poll: Poll) -> None:
        """Forget the VMs of a mass outage when few are down: later crashes are part of the next."""
        _, _, members = self._outage
        down = [key for key in members if key in poll.looks
                and self._lives[key].not_up_since is not None]  # fmt: skip
        if len(down) < self._mass_outage() / 2:
            self._outage = NEVER, None, set()

    def _unit(self, key: int) -> object:
        """Return what a lost VM counts as: the VMs of a node that was ill count once, as it."""
        life = self._lives[key]
        is_ill = self._node_ill.get(life.node or 0, NEVER) >= life.up_at
        return ("node", life.node) if is_ill else key

    def _is_left(self, key: int) -> bool:
        """Return whether a VM of a mass outage is down and, by the journal, not stopped."""
        is_down = key in self._troubled and self._lives[key].not_up_since is not None
        state = self._state(key)
        return is_down and state is not None and state not in DONE_WITH

    def _is_found_stopped(self, key: int) -> bool:
        """Return whether recovery has found a proof by now that a VM was stopped."""
        look = self._poll.looks.get(key) if self._poll is not None else None
        case = self.harness.recovery.state.cases.get(look.uuid) if look is not None else None
        return case is not None and case.state is State.STOPPED

    def _state(self, key: int) -> State | None:
        """Return the state of a VM in the journal: that of the poll before."""
        look = self._poll.looks.get(key) if self._poll is not None else None
        case = self.harness.journal.cases.get(look.uuid) if look is not None else None
        return case.state if case is not None else None

    def _of_budgets(self, request: Request, look: Look, life: Life) -> Iterator[Violation]:
        at, limits = request.at, self.limits
        cleared_at = self._cleared.get(look.uuid, NEVER)
        mine = [one for one in self._posts(look.uuid) if not (one.no_room or one.busy)]
        everything = [one.request for one in self.asked]
        for whose, windows, times in (
            (
                "for all",
                [one for one in limits.system_windows if one.seconds <= HOUR],
                [one.at for one in everything] + [at],
            ),
            (
                "for all",
                [one for one in limits.system_windows if one.seconds > HOUR],
                [one.at for one in everything if not (one.no_room or one.busy)] + [at],
            ),
            (
                "for it",
                limits.vm_windows,
                [one.at for one in mine if one.at >= cleared_at] + [at],
            ),
        ):
            for window in windows:
                used = sum(moment > at - window.seconds + DUST for moment in times)
                if used > window.most:
                    yield "I2", f"{used} requests {whose} in {window.seconds:.0f} s"
        counted = [one for one in mine if one.at > max(cleared_at, life.unenrolled_at)]
        if counted:
            pause, passed = self._pause_after(counted), at - counted[-1].at
            if passed < min(pause, limits.probation_seconds) - DUST:
                yield "I18", f"{passed:.0f} s after the last try, {pause:.0f} are due"
        if self._given_up.get(look.uuid, NEVER) > life.up_at:
            yield "I17", "it was given up, and no person has changed that"
        if request.action == Action.RESET:
            last = max((one.at for one in mine if one.action == Action.RESET), default=NEVER)
            if at - last < limits.hard_reset_every_seconds - DUST and last >= cleared_at:
                yield "I20", f"it was reset {at - last:.0f} s before"
        recent = [one for one in self._no_room if at - one < limits.capacity_window_seconds - DUST]
        if len(recent) >= limits.capacity_refusals:
            yield "I5", f"{len(recent)} requests were refused for want of resources just before"

    def _pause_after(self, mine: Sequence[Request]) -> float:
        """Return the least pause that is due after the tries so far; none after a kill."""
        limits = self.limits
        if mine[-1].action == Action.KILL or mine[-1].status >= 400:
            return 0.0
        in_a_row = 1
        for later, earlier in zip(mine[:0:-1], mine[-2::-1], strict=True):
            if later.at - earlier.at >= limits.probation_seconds or earlier.status >= 400:
                break
            in_a_row += 1
        pause: float = min(limits.backoff_seconds * 2 ** (in_a_row - 1), limits.backoff_max_seconds)
        return pause * (1 - limits.backoff_jitter)

    def _of_permission(self, asked: Asked, look: Look, life: Life) -> Iterator[Violation]:
        request = asked.request
        at = request.at
        if asked.forbidden:
            yield "I14", asked.forbidden
        if any(begins <= at < ends for begins, ends in self._quiet):
            yield "I14", "it is a quiet hour"
        if self._is_silenced(look.name, at):
            yield "I14", "it was silenced"
        if self.unconfirmed(look.name):
            yield "I25", "Prometheus does not confirm that it is down"
        if at - self._banned_at < FORBIDDEN_SECONDS - DUST:
            yield "I7", f"the same was forbidden {at - self._banned_at:.0f} s before"
        if request.action == Action.KILL and not look.may_power_cycle:
            yield "I20", "its owner forbids power cycles"
        if request.action == Action.KILL and look.on_hang != "on-hang-power-cycle":
            yield "I20", f"its tag is {look.on_hang}"
        if request.action in (Action.REBOOT, Action.RESET) and look.on_hang == "on-hang-alert":
            yield "I20", f"its tag is {look.on_hang}"
        waits = [
            other.name
            for pattern, wanted in self._after.items()
            if fnmatchcase(look.name, pattern)
            for other in (asked.poll.looks.values() if asked.poll is not None else ())
            if any(fnmatchcase(other.name, one) for one in wanted)
            and other.key != look.key
            and self._lives[other.key].recorded_up
            and not other.is_up
        ]
        down_since = life.down_since if life.down_since is not None else at
        if waits and at - down_since < self.limits.dependency_timeout_seconds - DUST:
            yield "I21", f"it comes after {', '.join(waits)}"

    def _is_silenced(self, name: str, at: float) -> bool:
        begins, ends = self._silenced.get(name, (NEVER, NEVER))
        return begins <= at < ends

    # The journal.

    def _check_open_intents(self) -> None:
        still_open = [one for one in self.harness.journal.intents.values() if one.outcome is None]
        if len(still_open) > self.limits.max_concurrent_actions:
            self._report("I3", f"{len(still_open)} intents are open at once")
        if len({one.uuid for one in still_open}) < len(still_open):
            self._report("I3", f"two intents are open for {still_open[-1].name}")

    def _check_endings(self) -> None:
        """Every intent ends in time, as long as there is something to be seen."""
        poll, limits = self._poll, self.limits
        clean = poll is not None and poll.is_clean
        longest = max(limits.verify_power_on_seconds, limits.verify_reset_seconds)
        longest += limits.verify_extension_seconds + 2 * self.harness.every
        passed = min(self.harness.every, self._now - self._noted_at) if clean else 0.0
        self._noted_at = self._now
        still_open = {}
        for one in self.harness.journal.intents.values():
            if one.outcome is None:
                lasted = self._open_for.get(one.id, 0.0) + passed
                still_open[one.id] = lasted
                if lasted > longest + 2 * self.harness.every:
                    self._report("I6", f"{one.action} of {one.name} is open for {lasted:.0f} s")
        self._open_for = still_open

    def _read_changes(self) -> None:
        """Follow who is taken for stopped, and who was given up and no person changed that."""
        changes = self.harness.journal.changes
        if len(changes) == self._changes_read:
            return
        looks = {look.uuid: look for look in self._sample().values()}
        ups = {uuid: self._lives[look.key].seen_up_at for uuid, look in looks.items()}
        for change in changes[self._changes_read :]:
            look = looks.get(change.uuid)
            if change.after is State.STOPPED and look is not None:
                if self._was_never_stopped(look, self._lives[look.key]):
                    self._report("I24", f"the crash of {change.name} is taken for a stop")
            elif change.after is State.QUARANTINED:
                self._given_up[change.uuid] = self._now
            elif change.before is State.QUARANTINED:
                since = self._given_up.pop(change.uuid, NEVER)
                if since > ups.get(change.uuid, NEVER) and change.after is not None:
                    self._report("I17", f"{change.name} was given up, and is {change.after} now")
        self._changes_read = len(changes)


def _touches_sight(fault: Any) -> bool:
    """Return whether a fault may be at work on what a poll reads."""
    return any(fault.applies_to("GET", path) for path in (VMS, STATUS, TAGS, NODES))


def _remember(life: Life, look: Look, at: float) -> None:
    """Take down what a clean poll shows of a VM."""
    if not look.is_ours:
        life.recorded_up, life.unenrolled_at = False, at
    if look.is_up:
        life.surely_up_at, life.surely_on = at, look.node
    if look.is_hung:
        life.hung_at = at
    if look.word in WAITING:
        life.waited_at = at
    if look.word in ON_THE_WAY:
        life.started_at = at
    if look.word in LEAVING:
        life.left_at = at
    troubled = look.is_ours and life.recorded_up and (look.is_down or look.is_hung)
    life.surely_down_since = (life.surely_down_since or at) if troubled else None
    life.was_running, life.was_on = look.running, look.node


def is_wish(row: Any, policy: str) -> bool:
    """Return whether a row of the log is a stop request for the VM."""
    text: str = row.text
    if text in STOP_ROWS:
        return bool(row.user != USERNAME)
    if text == "VM has shutdown":
        return policy != "always"
    return text.startswith("Task '") or text.endswith("set by hand")


def endings(harness: Harness) -> set[Outcome | None]:
    """Return how the intents in the journal ended."""
    return {intent.outcome for intent in harness.journal.intents.values()}
