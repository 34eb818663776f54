"""
Why things are as they are, in words for whoever asks at three in the morning.

Everything said here rests on what the journal holds: the same rows make the same words, byte for
byte, however much later somebody asks.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from exporter.recovery.model.cases import (
    Action,
    Case,
    Cause,
    Diagnosis,
    Enrolment,
    Intent,
    ObservedState,
    Outcome,
    Policy,
)
from exporter.recovery.model.decision import Decision, GuardName, GuardResult
from exporter.recovery.model.ports import Change
from exporter.recovery.model.states import State
from exporter.recovery.observe.enrolment import NOT_ENROLLED
from exporter.recovery.observe.lifecycle import UP
from exporter.recovery.report.events import (
    Attempt,
    Numbered,
    TimelineEvent,
    history,
    judged_so,
    was_sent,
)
from exporter.recovery.report.messages import (
    CAUSES,
    FATES,
    POLICIES,
    REASONS,
    REFUSALS,
    VERBS,
    asked_or_done,
    done_by,
)

HISTORY_LINES = 20
NOBODY = frozenset({"", "nobody", "system"})


class Told(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What one guard says."""

    name: str
    allowed: bool
    says: str
    cure: str


class Explanation(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """How it stands with a VM, and why."""

    system: str
    vm: str
    vm_key: int
    uuid: str
    state: str
    sentence: str
    enrolment: str
    """What its owner allows, and where that is said."""
    left_alone: str = ""
    """Why it would be left alone if it crashed now; empty where nobody asked for that."""
    reason: str = ""
    """What the decision came to, in the word that the journal and the metrics use too."""
    mode: str = ""
    decision: int | None = None
    """Its number in the journal; ``None`` where it says only what the one before said."""
    decided: datetime | None = None
    """Since when that is what is decided."""
    as_of: datetime | None = None
    """Of when the guards' words are; of a VM with which all is settled, from before that."""
    guards: tuple[Told, ...] = ()
    """Of the newest decision, in their order."""
    to_change: tuple[str, ...] = ()
    """What would have to change for Vergewatch to act."""
    history: tuple[TimelineEvent, ...] = ()
    """Newest first."""


class About(NamedTuple):
    """What is known of a VM when somebody asks."""

    system: str
    now: datetime
    vm: str
    vm_key: int
    uuid: str
    state: State | None
    """``None``: recovery does not look at it."""
    diagnosis: Diagnosis | None = None
    observed: ObservedState | None = None
    word: str = ""
    enrolment: Enrolment | None = None
    left_alone: str = ""
    decision: Decision | None = None
    number: int | None = None
    decided: datetime | None = None
    """When it was first decided so."""
    changes: Sequence[Change] = ()
    """Newest first."""
    attempts: Sequence[Attempt] = ()
    """Newest first."""
    gone: bool = False
    """Whether the VM is not there any more."""
    unseen: str = ""
    """Since when nothing was seen of its cloud; empty while that is watched."""


def about_case(case: Case, *, system: str, now: datetime) -> About:
    """Return what is known of the VM of *case*, before anybody looked into the journal."""
    return About(
        system=system,
        now=now,
        vm=case.name,
        vm_key=case.key,
        uuid=case.uuid,
        state=case.state,
        diagnosis=case.diagnosis,
        observed=case.observed,
        word=case.word,
    )


def about_decision(
    record: Numbered,
    *,
    system: str,
    changes: Iterable[Change],
    attempts: Iterable[Attempt],
) -> About:
    """Return what was known when a decision was made, and nothing that was learnt later."""
    decision = record.decision
    return About(
        system=system,
        now=decision.time,
        vm=decision.name,
        vm_key=decision.vm_key,
        uuid=decision.uuid,
        state=decision.state,
        diagnosis=decision.diagnosis,
        decision=decision,
        number=record.number,
        decided=decision.time,
        changes=[change for change in changes if change.at < decision.at],
        attempts=[
            _as_of(attempt, decision.time)
            for attempt in attempts
            if attempt.intent.prepared_at < decision.at
        ],
    )


def explain(about: About) -> Explanation:
    """Return how it stands with a VM, and why."""
    decision = about.decision
    guard_results = decision.guard_results if decision is not None else ()
    return Explanation(
        system=about.system,
        vm=about.vm,
        vm_key=about.vm_key,
        uuid=about.uuid,
        state=about.state.value if about.state is not None else "not looked at",
        sentence=_dated(sentence(about), about),
        enrolment=_allowed(about.enrolment, guard_results),
        left_alone=about.left_alone if about.state in UP else "",
        reason=decision.failed_guard or "" if decision is not None else "",
        mode=decision.mode.value if decision is not None else "",
        decision=about.number,
        decided=about.decided or (decision.time if decision is not None else None),
        as_of=decision.time if decision is not None else None,
        guards=tuple(
            Told(name=one.guard.value, allowed=one.passed, says=one.detail, cure=one.fix)
            for one in guard_results
        ),
        to_change=_to_change(about),
        history=tuple(history(about.changes, about.attempts, about.system)[:HISTORY_LINES]),
    )


def sentence(about: About) -> str:
    """Return how it stands with a VM, and why, in a sentence or two."""
    return _SENTENCES[about.state](about)


def _dated(text: str, about: About) -> str:
    """Return a sentence that does not pass for the present where nobody knows that."""
    if not about.unseen:
        return text
    return f"Of {about.system} {about.unseen}. As far as Vergewatch knows: {text}"


# One state after the other.


def _not_cared_for(about: About) -> str:
    if about.gone:
        return f"{about.vm} is not there any more; Vergewatch does nothing about it."
    return f"{about.vm} is nothing that recovery looks at: {_why_not_looked_at(about.enrolment)}."


def _first_seen_down(about: About) -> str:
    first = next((one for one in about.changes if one.after is State.BASELINE), None)
    word = first.word if first is not None else about.word
    was = "down" if word in ("", "stopped") else f"not up ({word})"
    when = f" at {_clock(first.time, about.now)}" if first is not None else ""
    return (
        f"{about.vm} was {was} when Vergewatch first saw it{when}. Nobody can tell a crash from "
        "a wish then, so it stays as it is until somebody starts it."
    )


def _healthy(about: About) -> str:
    if about.observed not in (None, ObservedState.UP):
        return _between(about)
    spell = _spell(about)
    if spell.rose is None:
        quiet = bool(about.changes) and about.changes[-1].before is None
        return f"{about.vm} is up" + (
            f", and nothing happened to it since {_clock(about.changes[-1].time, about.now)}, "
            "when Vergewatch first saw it."
            if quiet
            else "."
        )
    return _came_back(about, spell)


def _between(about: About) -> str:
    name, word = about.vm, about.word or "in no state that anybody told"
    match about.observed:
        case ObservedState.GONE:
            return f"{name} was up, and the newest lists do not tell its status; more will."
        case ObservedState.ERROR | ObservedState.INCONSISTENT:
            return (
                f"{name} was up and now its status is {word}: neither up nor down, "
                "so Vergewatch waits for it to be the one or the other."
            )
        case _:
            return f"{name} is {word}, on its way from one thing to another; that is no trouble."


def _came_back(about: About, spell: "_Spell") -> str:
    since = f"it has been up since {_clock(spell.rose, about.now)}"
    if spell.tries:
        return f"{_crash(about)}: {_tried(about, spell.tries)} and {since}."
    fell = f" from {_clock(spell.fell, about.now)}" if spell.fell is not None else ""
    why = f" because {_because(spell.why)}" if spell.why is not None else ""
    until = f" to {_clock(spell.rose, about.now)}" if fell else ""
    how = "it came back without Vergewatch"
    return f"{about.vm} is up. It was not{fell}{until}{why}; {how}."


def _suspect(about: About) -> str:
    diagnosis = about.diagnosis
    if diagnosis is None or diagnosis.cause is Cause.NOT_LONG_ENOUGH:
        detail = f" ({diagnosis.detail})" if diagnosis is not None and diagnosis.detail else ""
        doing = f"Vergewatch is making sure before it concludes anything{detail}"
    else:
        doing = f"{_because(diagnosis)}{_log_reader(diagnosis)}"
    return f"{_down(about)}; {_story(about)}{doing}."


def _platform(about: About) -> str:
    if about.diagnosis is None:
        return f"{_down(about)}: VergeOS' own high availability goes first."
    return (
        f"{_down(about)}, and {_because(about.diagnosis)}{_log_reader(about.diagnosis)}: "
        "VergeOS' own high availability goes first, and Vergewatch waits for it."
    )


def _intended(about: About) -> str:
    diagnosis, spell = about.diagnosis, _spell(about)
    when = f" since {_clock(spell.fell, about.now)}" if spell.fell is not None else ""
    why = "somebody wanted it so"
    if diagnosis is not None:
        why = f"{_because(diagnosis)}{_log_reader(diagnosis)}"
    return f"{about.vm} is down{when} because {why}; {STAYS_DOWN}."


def _unknown(about: About) -> str:
    why = about.diagnosis
    clause = f": {_because(why)}{_log_reader(why)}" if why is not None else ""
    return (
        f"{_down(about)} and nobody can prove why{clause}. {_story(about, whole=True)}Vergewatch "
        "does not act on a guess; somebody has to look at it, and start it."
    )


def _held(about: About) -> str:
    decision = about.decision
    story = _story(about)
    if decision is None or decision.failed_guard in (None, GuardName.CRASHED):
        return f"{_crash(about)}; {story}what to do about it is decided with the next picture."
    if decision.failed_guard is GuardName.MODE_ENFORCE:
        when = f" at {_clock(about.decided or decision.time, about.now)}"
        return (
            f"{_crash(about)}: in mode enforce Vergewatch would have {done_by(decision.action)}"
            f"{when}. The mode is {decision.mode}, so {STAYS_DOWN}."
        )
    says = next((one.detail for one in decision.guard_results if not one.passed), "")
    assert decision.failed_guard is not None  # noqa: S101 - checked above
    why = REASONS[decision.failed_guard].format(says=says)
    return f"{_crash(about)}; {story}Vergewatch does not {_verb(about)} now because {why}."


def _acting(about: About) -> str:
    return f"{_crash(about)}: Vergewatch is about to {_verb(about)}."


def _verifying(about: About) -> str:
    tries = _spell(about).tries
    doing = f"Vergewatch {_done_at(about, tries[-1])}" if tries else "Vergewatch acted"
    return f"{_crash(about)}: {doing} and watches whether it comes up."


def _indeterminate(about: About) -> str:
    tries = _spell(about).tries
    when = f" at {_clock(tries[-1].prepared, about.now)}" if tries else ""
    return (
        f"{_crash(about)}: Vergewatch asked VergeOS to {_verb(about)}{when} and no answer came. "
        "It does not ask again; looking will tell whether it was done."
    )


def _probation(about: About) -> str:
    spell = _spell(about)
    if spell.rose is None:
        return f"{about.vm} is up again, and not yet for long."
    if spell.given_up:
        since = _clock(spell.rose, about.now)
        return (
            f"{about.vm} had been given up; somebody started it, and it has been up since {since}. "
            "Its budget is not refilled by that."
        )
    return _came_back(about, spell)


def _given_up(about: About) -> str:
    cure = f"`vergewatch recovery clear {about.vm} --reason ...`"
    ends = f"Vergewatch has given up until somebody starts it, or runs {cure}"
    decision = about.decision
    spent = next(
        (found for one in _denials(decision) for found in BUDGET.finditer(one.detail)
         if one.guard is GuardName.WITHIN_RESTART_BUDGET and int(found["used"]) >= int(found["most"])),
        None,
    )  # fmt: skip
    if spent is None:
        if _hangs(about):
            return f"{_crash(about)}, and every step that is allowed was tried; {ends}."
        return f"{about.vm} is down again after all that was allowed was tried; {ends}."
    used, span = int(spent["used"]), _span(spent["span"])
    loops = [one for one in about.attempts if was_sent(one)][:used]
    if len(loops) == used and all(one.intent.outcome is Outcome.CONFIRMED for one in loops):
        times = "once" if used == 1 else f"{used} times"
        return (
            f"{about.vm} crashed again after Vergewatch had brought it back {times} within {span}; "
            f"{ends}."
        )
    tries = f"{used} tries" if used > 1 else "a try"
    return f"{about.vm} is down again after {tries} within {span}; {ends}."


_SENTENCES: Mapping[State | None, Callable[[About], str]] = {
    None: _not_cared_for,
    State.BASELINE: _first_seen_down,
    State.HEALTHY: _healthy,
    State.SUSPECT: _suspect,
    State.PLATFORM: _platform,
    State.STOPPED: _intended,
    State.UNKNOWN: _unknown,
    State.BACKOFF: _held,
    State.HELD: _held,
    State.ACTING: _acting,
    State.VERIFYING: _verifying,
    State.INDETERMINATE: _indeterminate,
    State.PROBATION: _probation,
    State.QUARANTINED: _given_up,
}


# What they are made of.

STAYS_DOWN = "it stays down until somebody starts it"

UNSETTLED = frozenset({Cause.NOT_DOWN_NOW, Cause.NOT_LONG_ENOUGH, Cause.LOGS_NOT_SETTLED})
"""Causes that only say that it is too early for one."""
QUOTE = re.compile(
    r"(?s)(?P<text>“.*”) by (?P<who>.*?)(?P<when> at [\d:]+ UTC)? \(log row (?P<row>\d+)\)"
)
"""A row of the platform's log, as a diagnosis's detail quotes it."""
BUDGET = re.compile(r"(?P<used>\d+) of (?P<most>\d+) in (?P<span>[\d.]+ \w+)")
_SPANS = {"1 h": "an hour", "1 d": "a day", "7 d": "a week"}


class _Spell(NamedTuple):
    """The newest time that a VM was down: when, for how long, and what was tried."""

    fell: datetime | None
    rose: datetime | None
    tries: Sequence[Attempt]
    """Oldest first."""
    why: Diagnosis | None
    given_up: bool


def _spell(about: About) -> _Spell:
    rose: datetime | None = None
    given_up = False
    why: Diagnosis | None = None
    until = float("inf")
    for change in about.changes:
        came_up = change.after in UP and change.before not in UP
        if came_up and (rose is not None or change.before in (None, State.BASELINE)):
            break
        if came_up:
            rose, until = change.time, change.at
            given_up = change.before is State.QUARANTINED
            continue
        found = judged_so(change.detail)
        why = why or (found if found is not None and found.cause not in UNSETTLED else None)
        if change.before in UP and change.after not in UP:
            return _Spell(change.time, rose, _tries(about, change.at, until), why, given_up)
    tries = _tries(about, 0.0, until)
    return _Spell(None, rose, tries[-1:] if rose is not None else tries, why, given_up)


def _tries(about: About, since: float, until: float) -> Sequence[Attempt]:
    return [
        one
        for one in reversed(about.attempts)
        if was_sent(one) and since <= one.intent.prepared_at <= until
    ]


def _down(about: About) -> str:
    """Return since when it is in trouble, whatever the cause."""
    fell = _spell(about).fell
    what = "unresponsive" if _hangs(about) else "down"
    if fell is None:
        return f"{about.vm} is {what}"
    return f"{about.vm} has been {what} since {_clock(fell, about.now)}"


def _crash(about: About) -> str:
    """Return what is proven to have happened to it."""
    fell = _spell(about).fell
    when = _clock(fell, about.now) if fell is not None else ""
    if _hangs(about):
        return f"{about.vm} became unresponsive" + (f" at {when}" if when else "")
    return f"{about.vm} stopped" + (f" at {when}" if when else "") + " and nobody asked for it"


def _hangs(about: About) -> bool:
    known = [about.diagnosis, about.decision.diagnosis if about.decision is not None else None]
    diagnosis = next((one for one in known if one is not None), None)
    hung = diagnosis is not None and diagnosis.cause in (Cause.HUNG, Cause.KILLED_TO_RESTART)
    return hung or about.observed is ObservedState.HUNG


def _story(about: About, *, whole: bool = False) -> str:
    """Return what was tried since it went down; empty where nothing was."""
    tries = _spell(about).tries
    if not tries:
        return ""
    return f"{_tried(about, tries)}{'.' if whole else ','} " + ("" if whole else "and ")


def _tried(about: About, tries: Sequence[Attempt]) -> str:
    """Return what was done, one thing after the other, and what came of all but the last."""
    told = []
    for number, one in enumerate(tries):
        last = number == len(tries) - 1
        outcome, reply = one.intent.outcome, one.intent.reply
        fate = ""
        if outcome is not None and not (last and outcome is Outcome.CONFIRMED):
            fate = FATES[outcome]
            if outcome is Outcome.FAILED and reply is not None:
                fate = REFUSALS.get(reply, fate)
        if one.intent.action is Action.KILL and outcome is Outcome.CONFIRMED:
            fate = ""
        told.append(_done_at(about, one) + (f", {fate}" if fate else ""))
    return f"Vergewatch {', then '.join(told)}"


def _done_at(about: About, one: Attempt) -> str:
    return f"{asked_or_done(one.intent)} at {_clock(one.prepared, about.now)}"


def _verb(about: About) -> str:
    action = about.decision.action if about.decision is not None else None
    if action is not None:
        return VERBS[action][0]
    return "act on it" if _hangs(about) else "start it"


def _because(diagnosis: Diagnosis) -> str:
    clause = CAUSES[diagnosis.cause]
    quoted = QUOTE.fullmatch(diagnosis.detail)
    who = quoted["who"] if quoted is not None else ""
    return clause.format(who="somebody" if who in NOBODY else who)


def _log_reader(diagnosis: Diagnosis) -> str:
    """Return what makes a cause believable, in brackets."""
    quoted = QUOTE.fullmatch(diagnosis.detail)
    if quoted is not None:
        return f" ({quoted['text']}{quoted['when'] or ''}, log row {quoted['row']})"
    return f" ({diagnosis.detail})" if diagnosis.detail else ""


def _denials(decision: Decision | None) -> Sequence[GuardResult]:
    if decision is None:
        return ()
    return [one for one in decision.guard_results if not one.passed]


def _to_change(about: About) -> tuple[str, ...]:
    if about.state in UP:
        return ()
    if about.state is None:
        return () if about.gone else ("enable it, or take away what says that it is ignored",)
    if about.state is State.BASELINE:
        return ("it is seen up once",)
    denials = _denials(about.decision)
    if any(one.guard is GuardName.CRASHED for one in denials):
        # What would come next is not worth a word as long as it is not known to have crashed.
        denials = [one for one in denials if one.guard is not GuardName.ACTION_ALLOWED]
    return tuple(dict.fromkeys(one.fix for one in denials if one.fix))


def _allowed(enrolment: Enrolment | None, guard_results: Sequence[GuardResult]) -> str:
    if enrolment is not None:
        return f"{POLICIES[enrolment.policy]} ({_told_by(enrolment)})"
    of_that_time = next((one for one in guard_results if one.guard is GuardName.ENROLLED), None)
    return of_that_time.detail if of_that_time is not None else ""


def _told_by(enrolment: Enrolment) -> str:
    if enrolment is NOT_ENROLLED:
        return enrolment.because
    return f"{enrolment.policy}, by {enrolment.because}"


def _why_not_looked_at(enrolment: Enrolment | None) -> str:
    if enrolment is not None and enrolment.policy is Policy.IGNORE:
        return f"its owner says {_told_by(enrolment)}"
    return "it is disabled, belongs to a service of VergeOS, or was not met yet"


def _as_of(attempt: Attempt, moment: datetime) -> Attempt:
    """Return what was known of *attempt* at *moment*."""
    if attempt.closed is not None and attempt.closed <= moment:
        return attempt
    return _Known(replace(attempt.intent, outcome=None, reply=None, detail=""), attempt.prepared)


class _Known(NamedTuple):
    intent: Intent
    prepared: datetime
    closed: datetime | None = None


def _clock(moment: datetime | None, now: datetime) -> str:
    """Return the time of day, and the date where it is another one; both in UTC."""
    if moment is None:
        return "a time that nobody knows"
    if moment.date() == now.date():
        return f"{moment:%H:%M:%S}"
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _span(words: str) -> str:
    return _SPANS.get(words, words)
