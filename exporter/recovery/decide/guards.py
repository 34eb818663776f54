"""
Whether to act on a VM that crashed: an ordered chain of guards, each of which can forbid it.

Every guard is asked, also after the first has denied: the first denial is the reason, all of them
together are what ``vergewatch explain`` prints.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from exporter.formatting import counted, span
from exporter.recovery.decide.pace import Use
from exporter.recovery.model.cases import (
    Action,
    Case,
    Cause,
    Enrolment,
    Intent,
    Judgement,
    OnHang,
    Ruling,
    Sight,
)
from exporter.recovery.model.commands import Standing
from exporter.recovery.model.decision import Decision, Reason, Verdict
from exporter.recovery.model.limits import Mode, Rules
from exporter.recovery.model.states import State
from exporter.recovery.observe.circuit_breaker import Breaker, Weather
from exporter.recovery.observe.health import Health, is_warm

LADDERS: Mapping[OnHang, tuple[Action, ...]] = {
    OnHang.ALERT: (),
    OnHang.RESET: (Action.REBOOT, Action.RESET),
    OnHang.POWER_CYCLE: (Action.REBOOT, Action.RESET, Action.KILL),
}
"""What is tried on a VM that hangs, graceful before hard. A kill is followed by a power-on."""


UNJUDGED = Judgement(Ruling.CONFIRMING, Cause.NOT_LONG_ENOUGH, "seen only just now")


class Facts(NamedTuple):
    """Everything that a decision rests on, gathered before the first guard is asked."""

    at: float
    time: datetime
    rules: Rules
    # Of the whole cloud.
    standing: Standing
    kill_switch: str
    """The path of the file that forbids everything; empty where it is not there."""
    journal_problem: str
    picture_age_seconds: float
    health: Health
    breaker: Breaker
    in_flight: Sequence[str]
    """Names of the VMs with an open intent."""
    fleet_uses: Sequence[Use]
    acted_at: float | None
    """When the last action was sent, whatever the VM."""
    no_capacity: Sequence[float]
    """When VergeOS last refused for want of resources."""
    read_only: str
    """Why our credential may not act; empty when nothing is known against it."""
    tags_problem: str
    """Why nobody knows what is enrolled; empty when the tags were read."""
    # Of this VM.
    case: Case
    enrolment: Enrolment | None
    open_intent: Intent | None
    vm_uses: Sequence[Use]
    quiet: str
    """The reason of the quiet window that it is in; empty outside of any."""
    quiet_soon: str
    """That of one that will have begun before a VM that is killed now could be started."""
    node_hold: str
    waits_for: str
    """The VMs that have to be up before it; empty when they are, or when it waited long enough."""
    may_power_cycle: bool
    hard_reset_at: float | None
    silenced: str = ""
    """Who silenced it, why and until when; empty where nobody did."""
    silences_unknown: str = ""
    """Why nobody knows what is silenced; empty while that is known."""


def next_action(case: Case, enrolment: Enrolment | None) -> Action | None:
    """Return what there is to try; None where a person is all that is left."""
    if case.sight is not Sight.HUNG:
        return Action.POWER_ON
    ladder = LADDERS[enrolment.on_hang] if enrolment is not None else ()
    return ladder[case.rung] if case.rung < len(ladder) else None


Guard = Callable[[Facts], Verdict]


def decide(facts: Facts, guards: Sequence[Guard] | None = None) -> Decision:
    """
    Return what to do about a VM, and why.

    Args:
        guards: Instead of `GUARDS`, for a test that shows what each is good for.

    """
    case = facts.case
    verdicts = tuple(guard(facts) for guard in (GUARDS if guards is None else guards))
    denied = next((verdict for verdict in verdicts if not verdict.allowed), None)
    return Decision(
        uuid=case.uuid,
        vm_key=case.key,
        name=case.name,
        at=facts.at,
        time=facts.time,
        state=case.state,
        judgement=case.judgement or UNJUDGED,
        action=next_action(case, facts.enrolment),
        reason=Reason.ACT if denied is None else denied.guard,
        verdicts=verdicts,
        mode=facts.rules.mode,
    )


def permits(facts: Facts, guards: Sequence[Guard]) -> bool:
    """Return whether `decide` would act, asking no guard after the first that denies."""
    return all(guard(facts).allowed for guard in guards)


def _armed(facts: Facts) -> Verdict:
    if facts.kill_switch:
        return _no(Reason.DISARMED, f"{facts.kill_switch} is there", "remove the file")
    order = facts.standing.disarm
    if order is not None:
        says = f"disarmed by {order.owner}: {order.reason}"
        return _no(Reason.DISARMED, says, "vergewatch recovery arm --reason ...")
    return _yes(Reason.DISARMED, "recovery is armed")


def _not_paused(facts: Facts) -> Verdict:
    order = facts.standing.pause
    if order is None:
        return _yes(Reason.PAUSED, "nobody paused it")
    left = f"{order.until - facts.at:.0f} s" if order.until is not None else "no end"
    says = f"paused by {order.owner}: {order.reason} ({left} left)"
    return _no(Reason.PAUSED, says, "vergewatch recovery resume --reason ..., or wait")


def _journal_up(facts: Facts) -> Verdict:
    if facts.journal_problem:
        cure = "mend the journal; it is tried again with every picture"
        return _no(Reason.JOURNAL_DOWN, facts.journal_problem, cure)
    return _yes(Reason.JOURNAL_DOWN, "the journal takes what is written")


def _picture_fresh(facts: Facts) -> Verdict:
    problem = facts.health.problem
    if problem is not None:
        says = f"the last picture is not to be believed: {problem.detail}"
        return _no(Reason.PICTURE_OLD, says, _SOUND_PICTURE.get(problem.reason, "a valid picture"))
    age, most = facts.picture_age_seconds, facts.rules.picture_age_seconds
    if age > most:
        says = f"the picture is {age:.0f} s old, {most:g} s at most"
        return _no(Reason.PICTURE_OLD, says, "a newer picture")
    return _yes(Reason.PICTURE_OLD, f"the picture is {age:.0f} s old, {most:g} s at most")


def _steady(facts: Facts) -> Verdict:
    health, needed = facts.health, facts.rules.degraded_pictures
    if health.degraded_by:
        cure = f"{counted(needed - health.valid_in_a_row, 'more valid picture')} in a row"
        return _no(Reason.DEGRADED, health.degraded_by, cure)
    return _yes(Reason.DEGRADED, "the pictures are sound")


def _warm(facts: Facts) -> Verdict:
    health, rules = facts.health, facts.rules
    lasted = facts.at - health.warm_since
    seen = counted(health.pictures, "valid picture")
    says = (
        f"{lasted:.0f} s and {seen} since {health.warm_because}; "
        f"{rules.warmup_seconds:g} s and {rules.warmup_pictures} are wanted"
    )
    if is_warm(health, rules, at=facts.at):
        return _yes(Reason.WARMING_UP, says)
    return _no(Reason.WARMING_UP, says, "time, and valid pictures")


def _enrolled(facts: Facts) -> Verdict:
    enrolment = facts.enrolment
    if facts.tags_problem:
        return _no(Reason.NOT_ENROLLED, facts.tags_problem, "tags that can be read")
    if enrolment is None or not enrolment.policy.acts:
        because = enrolment.because if enrolment is not None else "it is not listed any more"
        cure = "a person starts it; for the next time, give it the tag recovery/auto or a rule"
        return _no(Reason.NOT_ENROLLED, because, cure)
    if facts.case.sight is Sight.INELIGIBLE:
        return _no(Reason.NOT_ENROLLED, "it is disabled or belongs to a service", "enable it")
    return _yes(Reason.NOT_ENROLLED, f"{enrolment.policy} by {enrolment.because}")


def _crashed(facts: Facts) -> Verdict:
    judgement = facts.case.judgement or UNJUDGED
    cause = f", {judgement.cause}" * (judgement.cause.value != judgement.ruling.value)
    says = f"{judgement.ruling}{cause}: {judgement.detail}"
    if judgement.ruling is Ruling.CRASHED:
        return _yes(Reason.NOT_CRASHED, says)
    return _no(Reason.NOT_CRASHED, says, _CURES[judgement.ruling])


def _alone(facts: Facts) -> Verdict:
    intent = facts.open_intent
    if intent is not None:
        says = f"{intent.action} number {intent.id} is under way"
        return _no(Reason.IN_PROGRESS, says, "its outcome")
    return _yes(Reason.IN_PROGRESS, "no action on it is under way")


def _within_budget(facts: Facts) -> Verdict:
    says = _used(facts.vm_uses)
    cure = f"vergewatch recovery clear {facts.case.name} --reason ..."
    if facts.case.state is State.QUARANTINED:
        return _no(Reason.BUDGET_SPENT, f"given up; {says}", cure)
    if any(use.spent for use in facts.vm_uses):
        return _no(Reason.BUDGET_SPENT, says, cure)
    if _leaves_no_room(facts, facts.vm_uses):
        return _no(Reason.BUDGET_SPENT, f"{says}: {_ROOM}", cure)
    return _yes(Reason.BUDGET_SPENT, says)


_ROOM = "a kill needs room for the start after it"


def _leaves_no_room(facts: Facts, uses: Sequence[Use]) -> bool:
    """Return whether a kill is next, and *uses* would forbid the start that belongs to it."""
    kills = next_action(facts.case, facts.enrolment) is Action.KILL
    return kills and any(use.used + 1 >= use.window.most > 1 for use in uses)


def _rested(facts: Facts) -> Verdict:
    retry_at = facts.case.retry_at
    if retry_at is not None and facts.at < retry_at:
        left = f"{retry_at - facts.at:.0f} s"
        tries = facts.case.attempts
        says = f"{left} left of the pause after {f'try {tries}' if tries else 'a refusal'}"
        return _no(Reason.BACKING_OFF, says, f"wait {left}")
    before = counted(facts.case.attempts, "try", "tries")
    return _yes(Reason.BACKING_OFF, f"{before} before, and no pause is due")


def _not_quiet(facts: Facts) -> Verdict:
    if facts.quiet:
        return _no(Reason.QUIET_WINDOW, facts.quiet, "the end of the window")
    if facts.quiet_soon and next_action(facts.case, facts.enrolment) is Action.KILL:
        says = f"soon {facts.quiet_soon}: {_ROOM}"
        return _no(Reason.QUIET_WINDOW, says, "the end of the window")
    return _yes(Reason.QUIET_WINDOW, "outside of every quiet window")


def _not_silenced(facts: Facts) -> Verdict:
    if facts.silenced and facts.silenced == facts.silences_unknown:
        return _no(Reason.SILENCED, facts.silenced, "an Alertmanager whose silences can be read")
    if facts.silenced:
        return _no(Reason.SILENCED, facts.silenced, "the end of the silence, and the time after it")
    if facts.silences_unknown:
        says = f"nobody knows, and the settings say to go on then: {facts.silences_unknown}"
        return _yes(Reason.SILENCED, says)
    return _yes(Reason.SILENCED, "nobody silenced it")


def _node_free(facts: Facts) -> Verdict:
    if facts.node_hold:
        return _no(Reason.NODE_HOLD, facts.node_hold, "calm on that node")
    return _yes(Reason.NODE_HOLD, "its node lost no other VM lately")


def _fair_weather(facts: Facts) -> Verdict:
    breaker, rules = facts.breaker, facts.rules
    match breaker.weather:
        case Weather.CALM:
            return _yes(Reason.STORM, "no storm")
        case Weather.STORM:
            says = f"a storm for {facts.at - breaker.since:.0f} s: too many are down at once"
            return _no(Reason.STORM, says, f"fewer VMs down, or calm; {_ACCEPT}")
        case Weather.CLEARING:
            acted_at = facts.acted_at
            since = facts.at - acted_at if acted_at is not None else rules.storm_probe_seconds
            if facts.in_flight or since < rules.storm_probe_seconds:
                says = "after a storm one VM at a time"
                return _no(Reason.STORM, says, f"{rules.storm_probe_seconds:g} s between two")
            return _yes(Reason.STORM, "after a storm, and nothing is under way")


def _capacity(facts: Facts) -> Verdict:
    rules = facts.rules
    recent = [at for at in facts.no_capacity if at > facts.at - rules.capacity_window_seconds]
    says = f"{counted(len(recent), 'refusal')} for want of resources lately"
    if len(recent) >= rules.capacity_refusals:
        return _no(Reason.NO_CAPACITY, says, "resources on the platform")
    return _yes(Reason.NO_CAPACITY, says)


def _few_at_once(facts: Facts) -> Verdict:
    most = facts.rules.most_in_flight
    says = f"{len(facts.in_flight)} of {most} at once" + (
        f": {', '.join(facts.in_flight)}" if facts.in_flight else ""
    )
    if len(facts.in_flight) >= most:
        return _no(Reason.TOO_MANY_AT_ONCE, says, "the outcome of one of them")
    return _yes(Reason.TOO_MANY_AT_ONCE, says)


def _within_rate(facts: Facts) -> Verdict:
    says = _used(facts.fleet_uses)
    full = [use for use in facts.fleet_uses if use.spent]
    if full:
        frees_at = max(use.frees_at or 0.0 for use in full)
        return _no(Reason.RATE_LIMITED, says, f"wait {max(0.0, frees_at - facts.at):.0f} s")
    if _leaves_no_room(facts, facts.fleet_uses):
        return _no(Reason.RATE_LIMITED, f"{says}: {_ROOM}", "fewer actions on other VMs")
    return _yes(Reason.RATE_LIMITED, says)


def _its_turn(facts: Facts) -> Verdict:
    if facts.waits_for:
        cure = f"they are up, or {facts.rules.dependency_seconds:g} s have passed"
        return _no(Reason.NOT_ITS_TURN, f"it comes after {facts.waits_for}", cure)
    return _yes(Reason.NOT_ITS_TURN, "nothing has to be up before it")


def _step_allowed(facts: Facts) -> Verdict:
    action = next_action(facts.case, facts.enrolment)
    if action is None and facts.case.rung:
        return _no(
            Reason.STEP_NOT_ALLOWED, "every step that its owner allows was tried", "a person"
        )
    if action is None:
        cure = "a person; or the tags recovery/on-hang-reset, recovery/on-hang-power-cycle"
        return _no(Reason.STEP_NOT_ALLOWED, "for a VM that hangs there is only an alert", cure)
    if action is Action.KILL and not facts.may_power_cycle:
        cure = "disable_powercycle of the VM, off"
        return _no(Reason.STEP_NOT_ALLOWED, "nobody says that a power cycle is allowed", cure)
    every, last = facts.rules.hard_reset_every_seconds, facts.hard_reset_at
    if action is Action.RESET and last is not None and facts.at - last < every:
        says = f"it was reset {facts.at - last:.0f} s ago"
        return _no(Reason.STEP_NOT_ALLOWED, says, f"one hard reset in {every:g} s")
    return _yes(Reason.STEP_NOT_ALLOWED, f"{action} is allowed")


def _may_act(facts: Facts) -> Verdict:
    if facts.read_only:
        cure = "a credential that may act: action_api_key"
        return _no(Reason.READ_ONLY, facts.read_only, cure)
    return _yes(Reason.READ_ONLY, "nothing is known against our credential")


def _enforcing(facts: Facts) -> Verdict:
    if facts.rules.mode is Mode.ENFORCE:
        return _yes(Reason.SHADOW, "the mode is enforce")
    return _no(Reason.SHADOW, f"the mode is {facts.rules.mode}", "recovery.mode: enforce")


GUARDS: tuple[Guard, ...] = (
    _enrolled,
    _armed,
    _not_paused,
    _journal_up,
    _picture_fresh,
    _steady,
    _warm,
    _crashed,
    _alone,
    _within_budget,
    _rested,
    _not_quiet,
    _not_silenced,
    _node_free,
    _fair_weather,
    _capacity,
    _few_at_once,
    _within_rate,
    _its_turn,
    _step_allowed,
    _may_act,
    _enforcing,
)
"""In the order in which a person would ask. What people said comes first, the mode last."""

_ACCEPT = "or vergewatch recovery accept --reason ..., if you know that it is so"
_SOUND_PICTURE = dict.fromkeys(("short", "rows_missing"), f"a whole list; {_ACCEPT}")
_CURES = {
    Ruling.CONFIRMING: "time",
    Ruling.INTENDED: "whoever stopped it starts it again",
    Ruling.PLATFORM: "VergeOS acts, or its time passes",
    Ruling.UNKNOWN: "a person looks at it and starts it",
}


def _used(uses: Sequence[Use]) -> str:
    return ", ".join(
        f"{use.used} of {use.window.most} in {span(use.window.seconds)}" for use in uses
    )


def _yes(guard: Reason, says: str) -> Verdict:
    return Verdict(guard, allowed=True, says=says)


def _no(guard: Reason, says: str, cure: str) -> Verdict:
    return Verdict(guard, allowed=False, says=says, cure=cure)
