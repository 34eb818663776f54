"""
What has become of a VM: its case, followed from picture to picture, and why it is down.

A judgement is a fact and no permission. Each condition for "crashed" must be shown to hold: no
evidence means unknown, and unknown never acts.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from msgspec.structs import replace

from exporter.model import VM, Word
from exporter.recovery.cases import Case, Cause, Judgement, Policy, Ruling, Sight
from exporter.recovery.logbook import LogReading, LogRow, Meaning, Wordbook
from exporter.recovery.nodes import NodeLife, has_failed
from exporter.recovery.picture import STOPPING, WAITING
from exporter.recovery.picture import UP as RUNNING
from exporter.recovery.rules import PowerState, Rules
from exporter.recovery.states import JUDGED, OPEN, Event, State, follow

TROUBLE = (Sight.DOWN, Sight.HUNG)
UP = frozenset({State.HEALTHY, State.PROBATION})
NAMELESS = frozenset({Cause.SEEN_STOPPING, Cause.HIBERNATED})
"""Causes that are known without the log, and that tell nobody's name."""
PICTURES_WITHOUT_A_ROW = 3
OUR_ROW_SECONDS = 60.0
"""How far from the sending of an action its row in the log may be."""
MIGRATION = frozenset({Word.INITMIGRATE, Word.STARTMIGRATE, Word.MIGRATING, Word.MIGRATECOMPLETE})
CONTRADICTIONS = RUNNING | {Word.STOPPED}
"""Words that are strange only beside the rest of their row, as for a moment in a crash."""
LEAVE_OFF = "leave_off"
KILL_SENT = "'kill'"
"""In the row that the platform writes for a kill, whoever sent it."""
NOBODY = frozenset({"", "system"})
"""Who writes rows when no person does."""


class Moment(NamedTuple):
    """A valid picture's place in time, and the place of the one before it."""

    at: float
    clock: float | None
    before_at: float
    before_clock: float | None
    gap_seconds: float
    """What lies between the two, by whichever clock saw most of it."""


def meet(vm: VM, sight: Sight, policy: Policy, moment: Moment) -> Case:
    """Return the case of a VM that is seen for the first time, or enrolled just now."""
    status = vm.status
    up = sight is Sight.UP
    return Case(
        uuid=vm.config.uuid,
        key=vm.config.key,
        machine=vm.config.machine,
        name=vm.config.name,
        policy=policy,
        state=follow(State.BASELINE, Event.SEEN_UP) if up else State.BASELINE,
        since=moment.at,
        sight=sight,
        word=status.word if status else "",
        node=status.node if status and up else None,
    )


def observe(
    case: Case,
    vm: VM | None,
    sight: Sight,
    policy: Policy,
    moment: Moment,
    rules: Rules,
) -> Case | None:
    """
    Return the case after one more valid picture; None when the VM is to be followed no longer.

    Args:
        vm: The VM in that picture, if it was there.
        policy: What its owner says now.

    """
    if vm is None:
        missing = case.missing + 1
        if missing >= PICTURES_WITHOUT_A_ROW and case.state not in OPEN:
            return None
        return replace(_seen_not_up(case, moment), missing=missing, sight=Sight.GONE)
    if sight is Sight.GONE:
        # It is listed, so it is there; what becomes of it the row will tell when it comes back.
        return replace(_seen_not_up(case, moment), missing=0, sight=sight)
    if sight is Sight.INELIGIBLE:
        return replace(case, sight=sight) if case.state in OPEN else None
    enrolled_now = policy.acts and not case.policy.acts
    # Who was given up stays so if the tags are not told for a moment.
    keeps = case.state in OPEN or case.state is State.QUARANTINED
    if vm.config.machine != case.machine or (enrolled_now and not keeps):
        met = meet(vm, sight, policy, moment)
        in_trouble = enrolled_now and case.state in JUDGED and met.state is State.BASELINE
        return step(met, Event.CAUSE_MISSING, at=moment.at) if in_trouble else met
    before = case.sight
    case = replace(
        case,
        key=vm.config.key,
        name=vm.config.name,
        policy=case.policy if enrolled_now and case.state in OPEN else policy,
        missing=0,
        sight=sight,
        word=vm.status.word if vm.status else "",
    )
    if case.state in OPEN:
        return case
    if sight is Sight.UP:
        return _seen_up(case, vm, moment, rules)
    started_at = vm.status.started_at if vm.status is not None else None
    case = _seen_not_up(case, moment, started_at, unseen=before is Sight.GONE)
    if sight in TROUBLE:
        return _seen_in_trouble(case, before, moment, rules)
    return _seen_between(case, moment.at)


def step(case: Case, event: Event, *, at: float) -> Case:
    """Return the case after *event*; a state that does not change keeps its beginning."""
    state = follow(case.state, event)
    return case if state is case.state else replace(case, state=state, since=at)


def _seen_up(case: Case, vm: VM, moment: Moment, rules: Rules) -> Case:
    case = _forget_trouble(case, vm.status.node if vm.status else None)
    match case.state:
        case State.HEALTHY:
            return case
        case State.PROBATION:
            if moment.at - case.since < rules.probation_seconds:
                return case
            case = step(case, Event.STAYED_UP, at=moment.at)
            return replace(case, attempts=0, rung=0, retry_at=None)
        case State.BASELINE | State.QUARANTINED:
            return step(case, Event.SEEN_UP, at=moment.at)
        case _:
            helped = Event.SEEN_HELPED if case.attempts else Event.SEEN_UP
            return step(case, helped, at=moment.at)


def _seen_not_up(
    case: Case, moment: Moment, started_at: float | None = None, *, unseen: bool = False
) -> Case:
    """
    Remember when it was last up, and how long nobody saw it then.

    Args:
        started_at: When the platform says that it was started last, by the platform's clock. One
            that was started since it was last seen up had a life that nobody saw.
        unseen: Whether the pictures since then lacked its row.

    """
    if case.state in UP and case.up_at is None:
        case = replace(case, up_at=moment.before_at, up_clock=moment.before_clock)
    lived = (started_at or 0.0) > (case.up_clock or started_at or 0.0)
    if case.up_at is not None and (case.trouble_at is None or lived):
        hole = max(moment.gap_seconds, moment.at - case.up_at if unseen else 0.0)
        case = replace(case, hole_seconds=max(case.hole_seconds, hole))
    return case


def _seen_in_trouble(case: Case, before: Sight, moment: Moment, rules: Rules) -> Case:
    hung = case.sight is Sight.HUNG
    watched = moment.gap_seconds <= rules.hole_seconds
    if before is case.sight and case.trouble_at is not None and watched:
        case = replace(case, sightings=case.sightings + 1)
    else:
        case = replace(case, trouble_at=moment.at, sightings=1)
        if case.state in JUDGED and not _is_proven_for_good(case):
            case = step(case, Event.SEEN_CHANGING, at=moment.at)
    if hung:
        case = replace(case, hung_at=moment.at)
    return step(case, Event.SEEN_DOWN, at=moment.at) if case.state in UP else case


def _seen_between(case: Case, at: float) -> Case:
    """Take note of a VM that is neither up nor in trouble, but on its way or strange."""
    passed = case.passed if case.word in case.passed else (*case.passed, case.word)
    case = replace(case, passed=passed, trouble_at=None, sightings=0)
    if case.state in (State.BASELINE, State.QUARANTINED):
        return case
    if case.sight in (Sight.STOPPING, Sight.HIBERNATED):
        stopping = case.sight is Sight.STOPPING
        cause = Cause.SEEN_STOPPING if stopping else Cause.HIBERNATED
        if case.state is not State.INTENDED:  # where it is, more may be known than that
            case = replace(case, judgement=Judgement(Ruling.INTENDED, cause, f"seen {case.word}"))
        return step(case, Event.SEEN_STOPPING, at=at)
    if case.state in UP:
        harmless = case.sight is Sight.BUSY
        return case if harmless else step(case, Event.SEEN_DOWN, at=at)
    return step(case, Event.SEEN_CHANGING, at=at)


def stopped_again(case: Case, *, at: float) -> Case:
    """Return the case of a VM that somebody stops while we wait for it to come up."""
    return _seen_between(case, at)


def helped(case: Case, vm: VM | None, *, at: float) -> Case:
    """Return the case of a VM that an action of ours brought back."""
    node = vm.status.node if vm is not None and vm.status is not None else None
    return step(_forget_trouble(case, node), Event.SEEN_HELPED, at=at)


def begin_anew(case: Case, event: Event, *, at: float) -> Case:
    """Return the case after *event*, with everything that spoke for a crash to be shown again."""
    case = replace(case, trouble_at=None, sightings=0, passed=(), judgement=None)
    return step(case, event, at=at)


def _forget_trouble(case: Case, node: int | None) -> Case:
    return replace(
        case,
        node=node,
        up_at=None,
        up_clock=None,
        trouble_at=None,
        sightings=0,
        passed=(),
        hole_seconds=0.0,
        judgement=None,
        killed_clock=None,
        kill_unanswered=False,
    )


class Logs(NamedTuple):
    """What was read of the log for a VM, and when."""

    reading: LogReading | None
    """``None``: it could not be read."""
    read_at: float
    since_clock: float
    """The platform's time from which on it was asked for."""
    problem: str = ""


class Circumstances(NamedTuple):
    """What a judgement rests on besides the case."""

    at: float
    policy: Policy
    node: NodeLife | None
    node_name: str
    node_machine: int | None
    on_power_loss: str
    powered_on: bool | None
    logs: Logs | None
    """``None``: not read yet."""
    own_user: str
    """Who we are in the platform's log; empty when that is not known."""


def judge(case: Case, about: Circumstances, rules: Rules, wordbook: Wordbook) -> Judgement:
    """Return why *case* is not up."""
    return (
        _of_its_sight(case)
        or _of_its_way(case, about, rules)
        or _of_its_node(case, about, rules)
        or _of_its_duration(case, about, rules)
        or _of_its_power(about, rules)
        or _of_the_logs(case, about, rules, wordbook)
        or _of_our_sight(case, about, rules)
        or _crashed(case)
    )


def _of_its_sight(case: Case) -> Judgement | None:
    match case.sight:
        case Sight.ERROR:
            return Judgement(Ruling.UNKNOWN, Cause.STATUS_ERROR, f"its status is {case.word}")
        case Sight.INCONSISTENT:
            return Judgement(Ruling.UNKNOWN, Cause.STATUS_STRANGE, f"its status is {case.word}")
        case Sight.GONE:
            return Judgement(Ruling.UNKNOWN, Cause.STATUS_MISSING, "its rows do not tell")
        case Sight.WAITING:
            detail = f"its status is {case.word}"
            return Judgement(Ruling.PLATFORM, Cause.WAITS_FOR_RESOURCES, detail)
        case Sight.DOWN | Sight.HUNG:
            return None
        case _:
            return Judgement(Ruling.CONFIRMING, Cause.NOT_DOWN_NOW, f"its status is {case.word}")


def _of_its_way(case: Case, about: Circumstances, rules: Rules) -> Judgement | None:
    """Judge by what was seen of it between its last being up and now."""
    if case.up_at is None:
        return Judgement(Ruling.UNKNOWN, Cause.NEVER_SEEN_UP, "not since it is enrolled")
    passed = set(case.passed)
    if passed & (STOPPING | {Word.HIBERNATED}):
        return Judgement(Ruling.INTENDED, Cause.SEEN_STOPPING, "it was seen stopping")
    if passed & WAITING:
        if case.trouble_at is None or about.at - case.trouble_at < rules.platform_seconds:
            return Judgement(Ruling.PLATFORM, Cause.WAITS_FOR_RESOURCES, "it waited for resources")
        return Judgement(Ruling.UNKNOWN, Cause.START_FAILED, "the platform did not start it")
    if passed & MIGRATION:
        return Judgement(Ruling.UNKNOWN, Cause.MIGRATED_SHORTLY_BEFORE, "it was migrating")
    strange = passed - CONTRADICTIONS - {Word.UNRESPONSIVE}
    if strange:
        words = ", ".join(sorted(strange))
        return Judgement(Ruling.UNKNOWN, Cause.START_FAILED, f"it was seen {words} in between")
    return None


def _of_its_node(case: Case, about: Circumstances, rules: Rules) -> Judgement | None:
    """Judge by its host: what happens to a node is the platform's to mend."""
    if case.node is None or about.node is None:
        return Judgement(Ruling.UNKNOWN, Cause.NODE_UNKNOWN, "its last node is not known")
    node, up_at = about.node, case.up_at or 0.0
    ill = node.well_since is None or node.well_since > up_at
    failed = has_failed(node, since=up_at, since_clock=case.up_clock)
    if failed and about.on_power_loss == LEAVE_OFF:
        detail = f"{about.node_name} failed, and it is to be left off after that"
        return Judgement(Ruling.INTENDED, Cause.LEFT_OFF_BY_OWNER, detail)
    if node.well_since is None:
        detail = f"{about.node_name} is not well"
        return Judgement(Ruling.PLATFORM, Cause.NODE_IN_TROUBLE, detail)
    quiet_since = max(node.well_since, case.trouble_at or about.at)
    if ill and about.at - quiet_since < rules.platform_seconds:
        cause = Cause.NODE_IN_TROUBLE if failed else Cause.NODE_UNWATCHED
        was = "was not well" if failed else "was not watched all the time"
        detail = f"{about.node_name} {was}; the platform has its time to act"
        return Judgement(Ruling.PLATFORM, cause, detail)
    hung = case.hung_at is not None and about.at - case.hung_at < rules.platform_seconds
    if hung and case.sight is Sight.DOWN and not _was_killed(case):
        detail = "it was unresponsive shortly before: the platform may be at it"
        return Judgement(Ruling.PLATFORM, Cause.HUNG_SHORTLY_BEFORE, detail)
    return None


def _of_its_duration(case: Case, about: Circumstances, rules: Rules) -> Judgement | None:
    needed = rules.confirm_down_seconds if case.sight is Sight.DOWN else rules.confirm_hung_seconds
    lasted = about.at - case.trouble_at if case.trouble_at is not None else 0.0
    if case.sightings >= rules.confirm_down_pictures and lasted >= needed:
        return None
    pictures = "1 picture" if case.sightings == 1 else f"{case.sightings} pictures"
    detail = (
        f"{case.sight.value} for {lasted:.0f} s in {pictures}; "
        f"{needed:g} s and {rules.confirm_down_pictures} make sure"
    )
    return Judgement(Ruling.CONFIRMING, Cause.NOT_LONG_ENOUGH, detail)


def _of_its_power(about: Circumstances, rules: Rules) -> Judgement | None:
    if rules.powerstate is PowerState.DESIRED and about.powered_on is not True:
        detail = "its power is wanted off"
        return Judgement(Ruling.INTENDED, Cause.POWERED_OFF_BY_WISH, detail)
    return None


def _of_our_sight(case: Case, about: Circumstances, rules: Rules) -> Judgement | None:
    """Judge by what we could see: who looked away must not conclude that it crashed."""
    ready_for_that = about.policy in (Policy.UNLESS_STOPPED, Policy.ALWAYS)
    if case.hole_seconds > rules.hole_seconds and not ready_for_that:
        detail = f"it went down within {case.hole_seconds:.0f} s in which nobody looked"
        return Judgement(Ruling.UNKNOWN, Cause.DIED_UNSEEN, detail)
    return None


def _of_the_logs(
    case: Case, about: Circumstances, rules: Rules, wordbook: Wordbook
) -> Judgement | None:
    logs, up_clock = about.logs, case.up_clock
    settled_at = (case.trouble_at or 0.0) + rules.log_settle_seconds
    if logs is None or logs.read_at < settled_at:
        return Judgement(Ruling.CONFIRMING, Cause.LOGS_NOT_SETTLED, "the logs are not read yet")
    if logs.reading is None:
        return Judgement(Ruling.UNKNOWN, Cause.LOGS_UNREAD, logs.problem)
    if up_clock is None:
        detail = "the platform's time at which it was last up is not known, or was set back since"
        return Judgement(Ruling.UNKNOWN, Cause.LOGS_INCOMPLETE, detail)
    if logs.since_clock > up_clock - rules.log_before_seconds:
        detail = "what was read of the logs does not go back far enough"
        return Judgement(Ruling.UNKNOWN, Cause.LOGS_INCOMPLETE, detail)
    if not logs.reading.complete:
        detail = "the log does not show that it goes back so far, or has a row nobody can read"
        return Judgement(Ruling.UNKNOWN, Cause.LOGS_INCOMPLETE, detail)
    return _of_the_rows(logs.reading.rows, case, about, rules, wordbook)


def is_nameless(case: Case) -> bool:
    """Return whether somebody wanted *case* down, and nobody looked up who."""
    judgement = case.judgement
    return case.state is State.INTENDED and judgement is not None and judgement.cause in NAMELESS


def name_who(case: Case, about: Circumstances, rules: Rules, wordbook: Wordbook) -> Case:
    """Return the case of a VM that was seen stopping, with who wanted it, if the log has that."""
    logs = about.logs
    if logs is None or logs.reading is None:
        return case
    judgement = _of_the_rows(logs.reading.rows, case, about, rules, wordbook)
    if judgement is None or judgement.ruling is not Ruling.INTENDED:
        return case
    return replace(case, judgement=judgement)


def _of_the_rows(
    rows: Sequence[LogRow], case: Case, about: Circumstances, rules: Rules, wordbook: Wordbook
) -> Judgement | None:
    """Return the first wish among *rows* of its last life, or else the first doubt."""
    rows = _of_its_last_life(rows, case, rules, wordbook)
    ours = _ours(rows, case, about, rules, wordbook)
    doubt: Judgement | None = None
    for row in rows:
        if row.key in ours:
            if case.kill_unanswered and not about.own_user:
                detail = f"{_told(row)} may be ours, whose answer was lost"
                doubt = doubt or Judgement(Ruling.UNKNOWN, Cause.LOGS_UNCLEAR, detail)
            continue
        judgement = None
        if row.machine == case.machine:
            judgement = _of_a_row(row, about.policy, wordbook) or _of_somebody_at_it(
                row, case, about, wordbook
            )
        elif row.machine == about.node_machine:
            judgement = _of_a_nodes_row(row, wordbook)
        if judgement is not None and judgement.ruling is Ruling.INTENDED:
            return judgement
        doubt = doubt or judgement
    return doubt or _despite_its_guest(rows, case, about, wordbook)


def _despite_its_guest(
    rows: Sequence[LogRow], case: Case, about: Circumstances, wordbook: Wordbook
) -> Judgement | None:
    """Return that a VM is to be started although its guest shut it down, where that is so."""
    if about.policy is not Policy.ALWAYS or case.sight is not Sight.DOWN:
        return None
    for row in rows:
        if row.machine == case.machine and wordbook.meaning(row.text) is Meaning.GUEST_STOP:
            detail = f"{_told(row)}, and its policy is to start it even then"
            return Judgement(Ruling.CRASHED, Cause.CRASHED, detail)
    return None


def _of_its_last_life(
    rows: Sequence[LogRow], case: Case, rules: Rules, wordbook: Wordbook
) -> Sequence[LogRow]:
    """
    Return the rows that may tell why it went down: those since its last start, if that is told.

    By the order of the rows alone, because no other clock need agree with the log's. A start
    after it was last seen up, perhaps ours, says nothing of why it was needed.
    """
    up_clock = case.up_clock or 0.0
    rows = [row for row in rows if row.at >= up_clock - rules.log_before_seconds]
    starts = [
        position
        for position, row in enumerate(rows)
        if row.machine == case.machine
        and row.at <= up_clock
        and wordbook.meaning(row.text) is Meaning.START
    ]
    return rows[max(starts, default=0) :]


def _crashed(case: Case) -> Judgement:
    if case.sight is Sight.HUNG:
        return Judgement(Ruling.CRASHED, Cause.HUNG, "unresponsive, and nobody is at it")
    if _was_killed(case):
        return Judgement(Ruling.CRASHED, Cause.KILLED_TO_RESTART, "we killed it to start it anew")
    return Judgement(Ruling.CRASHED, Cause.CRASHED, "it ran, it stopped, and nobody asked for it")


def _was_killed(case: Case) -> bool:
    """Return whether it is surely a kill of ours that brought it down."""
    return case.killed_clock is not None and not case.kill_unanswered


def _of_a_row(row: LogRow, policy: Policy, wordbook: Wordbook) -> Judgement | None:
    match wordbook.meaning(row.text):
        case Meaning.STOP:
            return Judgement(Ruling.INTENDED, Cause.STOPPED_BY_PERSON, _told(row))
        case Meaning.TASK:
            return Judgement(Ruling.INTENDED, Cause.STOPPED_BY_TASK, _told(row))
        case Meaning.NODE:
            return Judgement(Ruling.INTENDED, Cause.STOPPED_BY_PERSON, _told(row))
        case Meaning.GUEST_STOP if policy is not Policy.ALWAYS:
            return Judgement(Ruling.INTENDED, Cause.STOPPED_BY_GUEST, _told(row))
        case Meaning.DOUBT | None as meaning:
            return _unclear(row, meaning)
        case _:
            return None


def _unclear(row: LogRow, meaning: Meaning | None) -> Judgement:
    told = _told(row)
    detail = f"no wording explains {told}" if meaning is None else f"{told} may have been a stop"
    return Judgement(Ruling.UNKNOWN, Cause.LOGS_UNCLEAR, detail)


def _of_somebody_at_it(
    row: LogRow, case: Case, about: Circumstances, wordbook: Wordbook
) -> Judgement | None:
    """Return the doubt that is due where somebody else did something since it was last seen up."""
    if case.up_clock is None or row.at <= case.up_clock:
        return None
    someone = row.user not in NOBODY and about.own_user not in ("", row.user)
    match wordbook.meaning(row.text):
        case Meaning.START | Meaning.RESET | Meaning.MOVE if someone:
            detail = f"somebody else tried: {_told(row)}"
            return Judgement(Ruling.UNKNOWN, Cause.START_FAILED, detail)
        case Meaning.PLATFORM:
            detail = f"the platform tried: {_told(row)}"
            return Judgement(Ruling.UNKNOWN, Cause.START_FAILED, detail)
        case Meaning.MOVE:
            detail = f"its last node is not known: {_told(row)}"
            return Judgement(Ruling.UNKNOWN, Cause.MIGRATED_SHORTLY_BEFORE, detail)
        case _:
            return None


def _of_a_nodes_row(row: LogRow, wordbook: Wordbook) -> Judgement | None:
    match wordbook.meaning(row.text):
        case Meaning.NODE | Meaning.STOP:  # whoever stops a node, stops what runs on it
            return Judgement(Ruling.INTENDED, Cause.STOPPED_BY_PERSON, _told(row))
        case Meaning.TASK:
            return Judgement(Ruling.INTENDED, Cause.STOPPED_BY_TASK, _told(row))
        case Meaning.DOUBT | None as meaning if row.user not in NOBODY:
            return _unclear(row, meaning)  # nodes write a lot by themselves; people do not
        case _:
            return None


def _told(row: LogRow) -> str:
    """Return a row as it is quoted: what, by whom, when, and where to find it."""
    when = datetime.fromtimestamp(row.at, UTC)
    return (
        f"“{row.text.strip()}” by {row.user or 'nobody'} at {when:%H:%M:%S} UTC (log row {row.key})"
    )


def _ours(
    rows: Sequence[LogRow], case: Case, about: Circumstances, rules: Rules, wordbook: Wordbook
) -> frozenset[int]:
    """Return the keys of the rows that tell of a kill of ours, and of what came of it."""
    clock, known = case.killed_clock, bool(about.own_user)
    if clock is None:
        return frozenset()
    mine = [row for row in rows if row.machine == case.machine]
    reach = rules.log_before_seconds / 2 if known else OUR_ROW_SECONDS
    kills = [row for row in mine if abs(row.at - clock) <= reach and _may_be_our_kill(row, about)]
    kills.sort(key=lambda row: (KILL_SENT not in row.text, abs(row.at - clock)))
    if not known:
        del kills[1:]  # somebody may do the same at the same time
    killed_at = kills[0].at if kills else clock
    # "Powered off", says the platform after a kill.
    echoes = [
        row
        for row in mine
        if abs(row.at - killed_at) <= OUR_ROW_SECONDS
        and row.user in NOBODY
        and wordbook.meaning(row.text) is Meaning.STOP
    ]
    return frozenset(row.key for row in (*kills, *echoes))


def _may_be_our_kill(row: LogRow, about: Circumstances) -> bool:
    """Return whether we may have caused *row*; whatever its words are, if we know our name."""
    if about.own_user:
        return row.user == about.own_user
    return row.user not in NOBODY and KILL_SENT in row.text


def _is_proven_for_good(case: Case) -> bool:
    """Return whether only people are told of the crash, so that its proof need not be renewed."""
    return case.state is State.HELD and not case.policy.acts


EVENT_OF = {
    Ruling.CRASHED: Event.CRASH_PROVEN,
    Ruling.INTENDED: Event.STOP_EXPLAINED,
    Ruling.PLATFORM: Event.PLATFORM_CLAIMED,
    Ruling.UNKNOWN: Event.CAUSE_MISSING,
}


def settle(case: Case, judgement: Judgement, *, at: float) -> Case:
    """Return the case with its judgement, and in the state that follows from it."""
    if _is_proven_for_good(case) and judgement.ruling is not Ruling.INTENDED:
        return case
    if judgement != case.judgement:
        case = replace(case, judgement=judgement)
    if judgement.ruling is Ruling.CRASHED and case.state is State.BACKOFF:
        return case
    event = EVENT_OF.get(judgement.ruling)
    if event is not None:
        return step(case, event, at=at)
    if case.state is State.SUSPECT:
        return case
    passed = case.state is State.PLATFORM
    return step(case, Event.PLATFORM_PASSED if passed else Event.SEEN_CHANGING, at=at)
