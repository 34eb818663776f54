"""What a new process makes of the saved state that it finds in the journal."""

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import NamedTuple

from msgspec.structs import replace

from exporter.recovery.model.cases import Case, Intent, Outcome
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.ports import SavedState
from exporter.recovery.model.states import OPEN
from exporter.recovery.observe.health import Health, warm_up
from exporter.recovery.observe.lifecycle import after_restart, after_sending, cleared
from exporter.recovery.observe.losses import breaker_at_start
from exporter.recovery.observe.state import RecoveryState


class Boot(NamedTuple):
    """The state that a new process starts from."""

    watched: float
    """Seconds of watch before this process."""
    state: RecoveryState
    open_actions: dict[str, Intent]
    """Actions that were sent and have no outcome yet, by VM uuid."""
    closed: Sequence[Intent]
    """Actions found open that cannot be verified any more, with their outcome."""


def boot(saved: SavedState, limits: Limits, *, pause_seconds: Callable[[int], float]) -> Boot:
    """
    Return the state to continue from.

    Args:
        saved: What the journal holds.
        limits: The limits of recovery.
        pause_seconds: Returns the pause after the n-th attempt.

    """
    watched = max([saved.watched, *(one.at for one in saved.spent)])
    known = {case.uuid for case in saved.cases}
    open_actions, closed = dict[str, Intent](), list[Intent]()
    for intent in saved.open_actions:
        if intent.sent_at is not None and intent.uuid in known:
            open_actions[intent.uuid] = intent
            continue
        outcome = Outcome.ABANDONED if intent.sent_at is None else Outcome.UNKNOWN
        closed.append(replace(intent, outcome=outcome, detail="found open after a restart"))

    sent = {one.uuid: one.at for one in saved.spent}
    clears = {one.uuid: one.at for one in saved.commands if one.kind is CommandKind.CLEAR}

    def resumed(case: Case) -> Case:
        cleared_at = clears.get(case.uuid, 0.0)
        if max(case.cleared_at, case.since) < cleared_at:
            case = cleared(case, at=cleared_at)  # the previous process ended before it did so
        intent = open_actions.get(case.uuid)
        if intent is not None and intent.sent_at is not None and case.state not in OPEN:
            # The previous process ended between the commit of the action and that of the case.
            pause = pause_seconds(case.attempts + 1)
            case = after_sending(case, intent, limits, at=intent.sent_at, pause_seconds=pause)
        last_sent = sent.get(case.uuid)
        question = case.question
        if question is not None and last_sent is not None and last_sent >= question.asked_at:
            case = replace(case, question=None)  # its approval was used
        return after_restart(case, is_open=intent is not None, at=watched)

    cases = {case.uuid: resumed(case) for case in saved.cases}
    state = RecoveryState(
        MappingProxyType(cases),
        {},
        {},
        warm_up(Health(), "its start", at=watched),
        breaker_at_start(cases.values(), limits, at=watched),
        seen_at=saved.watched if saved.time is not None else None,
        seen_time=saved.time,
        seen_clock=saved.clock,
    )
    return Boot(watched, state, open_actions, closed)
