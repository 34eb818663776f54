"""
Why a VM is down, as far as that can be known.

A judgement is a fact and no permission. Each condition for "crashed" must be shown to hold: no
evidence means unknown, and unknown never acts.
"""

from msgspec.structs import replace

from exporter.model import Word
from exporter.recovery.detect.context import Circumstances
from exporter.recovery.detect.log_evidence import hear
from exporter.recovery.detect.log_patterns import Wordbook
from exporter.recovery.model.cases import Case, Cause, Judgement, Policy, Ruling, Sight
from exporter.recovery.model.limits import PowerState, Rules
from exporter.recovery.model.states import State
from exporter.recovery.observe.inventory_checks import STOPPING, WAITING
from exporter.recovery.observe.inventory_checks import UP as RUNNING
from exporter.recovery.observe.node_history import has_failed

NAMELESS = frozenset({Cause.SEEN_STOPPING, Cause.HIBERNATED})
"""Causes that are known without the log, and that tell nobody's name."""
MIGRATION = frozenset({Word.INITMIGRATE, Word.STARTMIGRATE, Word.MIGRATING, Word.MIGRATECOMPLETE})
CONTRADICTIONS = RUNNING | {Word.STOPPED}
"""Words that are strange only beside the rest of their row, as for a moment in a crash."""
LEAVE_OFF = "leave_off"


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
        detail = (
            "the log does not show that it goes back so far, came in another order than was asked "
            "for, or has a row that nobody can read"
        )
        return Judgement(Ruling.UNKNOWN, Cause.LOGS_INCOMPLETE, detail)
    return hear(logs.reading.rows, case, about, rules, wordbook)


def is_nameless(case: Case) -> bool:
    """Return whether somebody wanted *case* down, and nobody looked up who."""
    judgement = case.judgement
    return case.state is State.INTENDED and judgement is not None and judgement.cause in NAMELESS


def name_who(case: Case, about: Circumstances, rules: Rules, wordbook: Wordbook) -> Case:
    """Return the case of a VM that was seen stopping, with who wanted it, if the log has that."""
    logs = about.logs
    if logs is None or logs.reading is None:
        return case
    judgement = hear(logs.reading.rows, case, about, rules, wordbook)
    if judgement is None or judgement.ruling is not Ruling.INTENDED:
        return case
    return replace(case, judgement=judgement)


def _crashed(case: Case) -> Judgement:
    if case.sight is Sight.HUNG:
        return Judgement(Ruling.CRASHED, Cause.HUNG, "unresponsive, and nobody is at it")
    if _was_killed(case):
        return Judgement(Ruling.CRASHED, Cause.KILLED_TO_RESTART, "we killed it to start it anew")
    return Judgement(Ruling.CRASHED, Cause.CRASHED, "it ran, it stopped, and nobody asked for it")


def _was_killed(case: Case) -> bool:
    """Return whether it is surely a kill of ours that brought it down."""
    return case.killed_clock is not None and not case.kill_unanswered
