"""Actions that recovery carried out, or would have, in the record and in a replay."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec

from exporter.recovery.model.cases import Action, Diagnosis, Intent, Outcome, Reply
from exporter.recovery.model.decision import Decision, GuardName
from exporter.recovery.model.limits import Mode


class ActKind(StrEnum):
    """How far an action went."""

    SENT = "sent"
    PROPOSED = "proposed"
    """Mode `shadow`: nothing but the mode forbade it."""
    ASKED = "asked"
    """Mode `ask`: operators were asked."""


class Reason(msgspec.Struct, frozen=True, gc=False):
    """Why an action was not taken at a moment: the failed guard, or the diagnosis so far."""

    guard: str = ""
    cause: str = ""
    detail: str = ""


class Act(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An action on a VM that was sent, proposed or asked for."""

    uuid: str
    vm_key: int
    machine: int
    name: str
    action: Action
    kind: ActKind
    at: float
    """In seconds of monitored time."""
    time: datetime
    poll: int
    """The number of its poll."""
    outage: float
    """When the VM went down, in seconds of monitored time."""
    cause: str = ""
    reply: str = ""


class Replayed(NamedTuple):
    """What came out of a replay."""

    then: Sequence[Act]
    """What the record has."""
    now: Sequence[Act]
    """What the replay did."""
    skipped: Mapping[tuple[str, float], Reason]
    """Why the replay did not do what was done, by VM and time of the recorded action."""
    up_at: Mapping[str, Sequence[float]]
    """When the record shows that a VM came up, by UUID."""
    held_until: Mapping[tuple[str, float], float]
    """Until when the replay lacked a VM that was started then, by VM and time of that action."""
    restarts: int
    answers_lost: int
    """Recorded answers to questions that the replay did not ask."""
    names: Mapping[str, str]
    """By UUID."""


def was_sent(intent: Intent) -> bool:
    """Return whether an action reached VergeOS, or may have."""
    return intent.sent_at is not None and (
        intent.outcome is not Outcome.ABANDONED and intent.reply is not Reply.NOT_SENT
    )


def proposals(decisions: Iterable[Decision]) -> Iterator[tuple[Decision, ActKind]]:
    """Yield the decisions that nothing but the mode forbids."""
    for decision in decisions:
        if decision.asks:  # the journal has only those that were asked
            yield decision, ActKind.ASKED
        elif decision.failed_guard is GuardName.MODE_PERMITS and decision.mode is Mode.SHADOW:
            yield decision, ActKind.PROPOSED


def reason_of(decision: Decision) -> Reason:
    """Return why *decision* led to no action."""
    failed = next((one for one in decision.guard_results if not one.passed), None)
    diagnosis: Diagnosis = decision.diagnosis
    return Reason(
        guard=str(decision.failed_guard or ""),
        cause=str(diagnosis.cause),
        detail=failed.detail
        if failed is not None and failed.guard is not GuardName.CRASHED
        else diagnosis.detail,
    )
