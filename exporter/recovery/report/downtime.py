"""The newest downtime of a VM, put together from its journal records."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from exporter.recovery.model.cases import Diagnosis, DiagnosisKind
from exporter.recovery.model.ports import Change
from exporter.recovery.model.records import ActionRecord
from exporter.recovery.model.states import State
from exporter.recovery.observe.lifecycle import UP


class Downtime(NamedTuple):
    """One downtime; it may still last."""

    began: datetime | None
    """``None``: before the oldest record."""
    ended: datetime | None
    actions: Sequence[ActionRecord]
    """Oldest first."""
    diagnosis: Diagnosis | None
    was_quarantined: bool


def newest_downtime(changes: Sequence[Change], actions: Sequence[ActionRecord]) -> Downtime:
    """
    Return the newest downtime.

    Args:
        changes: Newest first.
        actions: Newest first.

    """
    ended: datetime | None = None
    was_quarantined = False
    diagnosis: Diagnosis | None = None
    until = float("inf")
    for change in changes:
        came_up = change.after in UP and change.before not in UP
        if came_up and (ended is not None or change.before in (None, State.BASELINE)):
            break
        if came_up:
            ended, until = change.time, change.at
            was_quarantined = change.before is State.QUARANTINED
            continue
        found = change.diagnosis
        if diagnosis is None and found is not None and found.kind is not DiagnosisKind.PENDING:
            diagnosis = found
        if change.before in UP and change.after not in UP:
            sent = _sent(actions, change.at, until)
            return Downtime(change.time, ended, sent, diagnosis, was_quarantined)
    sent = _sent(actions, 0.0, until)
    last = sent[-1:] if ended is not None else sent
    return Downtime(None, ended, last, diagnosis, was_quarantined)


def _sent(actions: Sequence[ActionRecord], since: float, until: float) -> Sequence[ActionRecord]:
    return [
        one for one in reversed(actions) if one.sent and since <= one.intent.prepared_at <= until
    ]
