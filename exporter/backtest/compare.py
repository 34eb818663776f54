"""Compares what a replay did with what was done: what differs, why, and what it is worth."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import zip_longest

import msgspec

from exporter.backtest.acts import Act, ActKind, Reason, Replayed, reason_of
from exporter.backtest.stop_evidence import StopEvidence
from exporter.recovery.detect.log_patterns import LogClassifier
from exporter.recovery.model.cases import Action, DiagnosisKind
from exporter.recovery.model.records import History

STILL_DOWN = Reason(detail="it is still down from the time before")
"""Why a start has no counterpart: the replay acts on both outages at once."""


class Difference(StrEnum):
    """How an action differs."""

    SAME = "same"
    EARLIER = "earlier"
    LATER = "later"
    ONLY_THEN = "only_then"
    """It was done, and would not be now."""
    ONLY_NOW = "only_now"
    """It was not done, and would be now."""


class Compared(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One action, then and now."""

    difference: Difference
    vm: str
    vm_key: int
    uuid: str
    action: Action
    kind: ActKind
    """How far it went, with the new settings where it differs."""
    then: datetime | None
    now: datetime | None
    minutes: float
    """Minutes of downtime that the new settings save; negative if they lose some."""
    reason: Reason
    """Why it was not done at the earlier moment."""
    wrong: str = ""
    """Why it is a wrong start with the new settings; empty if nothing shows that it is one."""
    was_wrong: str = ""
    """Why it was one then."""


class Backtest(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The result of a backtest."""

    system: str
    since: datetime
    until: datetime
    polls: int
    polls_rejected: int
    restarts: int
    """Of the daemon."""
    vms: int
    answers_lost: int
    """Recorded approvals and denials of questions that are not asked now."""
    causes_recorded: bool
    """Whether log rows were recorded; without them, most causes are unknown."""
    causes_unknown: int
    """Downtimes whose cause is not recorded."""
    actions_then: int
    actions_now: int
    counts: Mapping[Difference, int]
    minutes_saved: float
    minutes_lost: float
    wrong_then: int
    wrong_now: int
    actions: Sequence[Compared]


def compare(
    history: History,
    replayed: Replayed,
    classifier: LogClassifier,
    since: datetime,
    *,
    causes_unknown: int = 0,
    tolerance_seconds: float = 0.0,
) -> Backtest:
    """
    Return the backtest of *history*.

    Args:
        classifier: With the new log patterns.
        since: Actions before then only lead up to it.
        causes_unknown: Downtimes whose cause is not recorded.
        tolerance_seconds: Two actions that are not further apart are the same.

    """
    evidence = StopEvidence(history, (LogClassifier(), classifier), replayed.up_at)
    begin = max(since, history.polls[0].time)
    found = [
        one
        for one in _compared(history, replayed, evidence, tolerance_seconds)
        if (one.then or one.now or begin) >= begin
    ]
    found.sort(key=lambda one: (one.then or one.now or begin, one.vm))
    polls = [poll for poll in history.polls if poll.time >= begin]
    return Backtest(
        system=history.system,
        since=begin,
        until=history.polls[-1].time,
        polls=len(polls),
        polls_rejected=sum(bool(poll.problem) for poll in polls),
        restarts=sum(poll.began is not None for poll in polls[1:]),
        vms=len(replayed.names),
        answers_lost=replayed.answers_lost,
        causes_recorded=history.causes_recorded,
        causes_unknown=causes_unknown,
        actions_then=sum(one.then is not None for one in found),
        actions_now=sum(one.now is not None for one in found),
        counts={kind: sum(one.difference is kind for one in found) for kind in Difference},
        minutes_saved=round(sum(one.minutes for one in found if one.minutes > 0), 1),
        minutes_lost=round(-sum(one.minutes for one in found if one.minutes < 0), 1),
        wrong_then=sum(bool(one.was_wrong) for one in found),
        wrong_now=sum(bool(one.wrong) for one in found),
        actions=found,
    )


def _compared(
    history: History, replayed: Replayed, evidence: StopEvidence, tolerance: float
) -> Iterator[Compared]:
    """Yield the actions in pairs: those on one VM in one outage, in their order."""
    thens, nows = _by_outage(replayed.then), _by_outage(replayed.now)
    decided = _held_then(history)
    for outage in {**thens, **nows}:
        differs = False
        for then, now in zip_longest(thens.get(outage, ()), nows.get(outage, ())):
            difference = _difference(then, now, tolerance)
            # Only the first that differs counts: the downtime of the others is part of its.
            counts = difference is not Difference.SAME and not differs
            differs = differs or counts
            yield _pair(difference, then, now, replayed, decided, evidence, counts=counts)


def _pair(
    difference: Difference,
    then: Act | None,
    now: Act | None,
    replayed: Replayed,
    decided: Callable[[Act], Reason],
    evidence: StopEvidence,
    *,
    counts: bool,
) -> Compared:
    act = now or then
    assert act is not None  # noqa: S101 - one of a pair is there
    match difference:
        case Difference.SAME:
            reason = Reason()
        case Difference.ONLY_THEN | Difference.LATER:
            assert then is not None  # noqa: S101 - so it differs from it
            reason = replayed.skipped.get((then.uuid, then.at), STILL_DOWN)
        case _:
            reason = decided(act)
    # What both did was decided with what was known: only what came later is against it.
    both = then is not None and now is not None
    wrong = was_wrong = ""
    if now is not None:
        wrong = evidence.against(now, since=now.at if both else now.outage)
    if then is not None:
        was_wrong = evidence.against(then, since=then.at if both else then.outage)
    meant_down = wrong or (was_wrong and not both)
    seconds = _seconds_saved(then, now, replayed, evidence) if counts and not meant_down else 0.0
    return Compared(
        difference=difference,
        vm=act.name,
        vm_key=act.vm_key,
        uuid=act.uuid,
        action=act.action,
        kind=act.kind,
        then=then.time if then is not None else None,
        now=now.time if now is not None else None,
        minutes=round(seconds / 60, 1),
        reason=reason,
        wrong=wrong,
        was_wrong=was_wrong,
    )


def _difference(then: Act | None, now: Act | None, tolerance: float) -> Difference:
    if now is None:
        return Difference.ONLY_THEN
    if then is None:
        return Difference.ONLY_NOW
    if then.poll == now.poll or abs(then.at - now.at) <= tolerance:
        return Difference.SAME
    return Difference.EARLIER if now.poll < then.poll else Difference.LATER


def _seconds_saved(
    then: Act | None, now: Act | None, replayed: Replayed, evidence: StopEvidence
) -> float:
    """Return how much sooner the VM is up with the new settings; negative if later."""
    if then is not None and now is not None:
        return then.at - now.at
    if now is not None:
        return evidence.up_after(now) - now.at
    assert then is not None  # noqa: S101 - one of a pair is there
    until = replayed.held_until.get((then.uuid, then.at))
    if until is None and then.kind is ActKind.SENT:
        return 0.0  # it had no effect
    return then.at - (until if until is not None else evidence.up_after(then))


def _by_outage(acts: Iterable[Act]) -> dict[tuple[str, float], list[Act]]:
    found = defaultdict[tuple[str, float], list[Act]](list)
    for act in acts:
        found[act.uuid, act.outage].append(act)
    return dict(found)


def _held_then(history: History) -> Callable[[Act], Reason]:
    """Return a function that says why the record has no action where the replay has one."""
    by_vm = defaultdict[str, list[tuple[float, Reason]]](list)
    for one in history.decisions:
        if one.decision.failed_guard is not None:
            by_vm[one.decision.uuid].append((one.decision.at, reason_of(one.decision)))
    for change in history.changes:
        if change.diagnosis is not None and change.diagnosis.kind is not DiagnosisKind.CRASHED:
            why = Reason(cause=str(change.diagnosis.cause), detail=change.diagnosis.detail)
            by_vm[change.uuid].append((change.at, why))
    for reasons in by_vm.values():
        reasons.sort(key=lambda one: one[0])

    def reason(act: Act) -> Reason:
        known = [why for at, why in by_vm.get(act.uuid, ()) if act.outage <= at <= act.at]
        return known[-1] if known else Reason()

    return reason
