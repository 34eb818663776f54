"""A backtest as text."""

from collections.abc import Iterator

from exporter.backtest.acts import ActKind, Reason
from exporter.backtest.compare import Backtest, Compared, Difference
from exporter.formatting import counted, lasting
from exporter.formatting import moment as shown
from exporter.recovery.model.cases import Action, Cause
from exporter.recovery.model.decision import GuardName
from exporter.recovery.report.messages import CAUSES, REASONS

MAX_DETAIL = 160
LABELS = {
    Difference.SAME: "same",
    Difference.EARLIER: "earlier",
    Difference.LATER: "later",
    Difference.ONLY_THEN: "only then",
    Difference.ONLY_NOW: "only now",
}
DID = {
    ActKind.SENT: "",
    ActKind.PROPOSED: " (shadow)",
    ActKind.ASKED: " (asked)",
}
ACTIONS = {
    Action.POWER_ON: "start",
    Action.REBOOT: "reboot",
    Action.RESET: "reset",
    Action.KILL: "kill",
}


def backtest_text(result: Backtest, *, most: int) -> Iterator[str]:
    """
    Yield the lines of a backtest.

    Args:
        most: How many differences to list at most.

    """
    yield f"{result.system}, {shown(result.since)} to {shown(result.until)}"
    rejected = f", {result.polls_rejected} rejected" if result.polls_rejected else ""
    restarts = f", {counted(result.restarts, 'restart')} of the daemon" if result.restarts else ""
    yield f"{counted(result.vms, 'VM')}, {counted(result.polls, 'poll')}{rejected}{restarts}"
    yield ""
    yield f"actions then         {result.actions_then:6}"
    yield f"actions now          {result.actions_now:6}"
    for kind, label in LABELS.items():
        yield f"  {label:<18} {result.counts[kind]:6}"
    yield f"downtime saved       {result.minutes_saved:8.1f} min"
    yield f"downtime added       {result.minutes_lost:8.1f} min"
    yield f"wrong starts then    {result.wrong_then:6}"
    yield f"wrong starts now     {result.wrong_now:6}"
    differing = [
        one for one in result.actions if one.difference is not Difference.SAME or one.wrong
    ]
    if differing:
        yield ""
        yield "Differences"
    for one in differing[:most]:
        yield from _difference(one)
    if len(differing) > most:
        yield f"  and {len(differing) - most} more (--json has all)"
    notes = list(_notes(result))
    if notes:
        yield ""
    yield from notes


def _difference(one: Compared) -> Iterator[str]:
    moment = one.now or one.then
    assert moment is not None  # noqa: S101 - it was done then or now
    by = ""
    if one.then is not None and one.now is not None:
        moment = one.then
        by = f" by {lasting(abs((one.now - one.then).total_seconds()))}"
    minutes = f", {abs(one.minutes):.1f} min {'saved' if one.minutes > 0 else 'lost'}"
    yield (
        f"  {shown(moment)}  {LABELS[one.difference]}{by}: {ACTIONS[one.action]} {one.vm}"
        f"{DID[one.kind]}{minutes if one.minutes else ''}"
    )
    because = reason_text(one.reason)
    if because:
        when = "then" if one.difference in (Difference.EARLIER, Difference.ONLY_NOW) else "now"
        yield f"      held {when}: {because}"
    if one.wrong:
        yield f"      WRONG START: {one.wrong[:MAX_DETAIL]}"
    elif one.was_wrong:
        yield f"      WRONG START THEN: {one.was_wrong[:MAX_DETAIL]}"


def reason_text(reason: Reason) -> str:
    """Return why an action was not taken, as a clause; empty if that is not known."""
    if reason.guard and reason.guard != GuardName.CRASHED:
        text = REASONS[GuardName(reason.guard)].format(detail=reason.detail)
    elif reason.cause:
        text = CAUSES[Cause(reason.cause)]
        if reason.detail:
            text = f"{text}: {reason.detail}"
    else:
        text = reason.detail
    return text if len(text) <= MAX_DETAIL else f"{text[: MAX_DETAIL - 1]}…"


def _notes(result: Backtest) -> Iterator[str]:
    if not result.causes_recorded:
        yield (
            f"cause not recorded: {counted(result.causes_unknown, 'downtime')}. Prometheus has no "
            "log rows: causes are those that recovery found then, and a downtime without one leads "
            "to no action here"
        )
    if result.answers_lost:
        yield (
            f"{counted(result.answers_lost, 'recorded answer')} of operators apply to no question "
            "of the replay"
        )
