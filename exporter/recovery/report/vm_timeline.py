"""The timeline of one VM: what the journal knows of it, as events."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from exporter.formatting import plain
from exporter.recovery.model.commands import Command
from exporter.recovery.model.history import FactKind, StatusFact
from exporter.recovery.model.platform_log import LogRow
from exporter.recovery.model.ports import Change
from exporter.recovery.model.records import TimedFact, VMPast
from exporter.recovery.report.events import (
    TimelineEvent,
    action_event,
    change_event,
    command_event,
    decision_event,
)

_STATUS = msgspec.json.Decoder(StatusFact)


class VMTimeline(NamedTuple):
    """What happened to one VM, and when the journal was not written."""

    events: Sequence[TimelineEvent]
    """Newest first."""
    changes: Sequence[Change]
    """Of its state, the oldest first."""
    gaps: Sequence[tuple[datetime, datetime]]
    """When it was not polled."""


def vm_timeline(
    past: VMPast, system: str, vm: str, nodes: Mapping[int, str], since: datetime
) -> VMTimeline:
    """
    Return what happened to *vm* since *since*.

    Args:
        nodes: The names of the nodes, by their keys.

    """
    found = [
        *(change_event(one, system) for one in past.changes),
        *(decision_event(one, system) for one in past.decisions),
        *(action_event(one, system) for one in past.actions),
        *(_command(one, system, vm) for one in past.commands),
        *(_row(one, system, vm) for one in past.rows),
        *_facts(past.facts, system, vm, nodes),
    ]
    events = [event for event in found if event.time >= since]
    events.sort(key=lambda event: event.time, reverse=True)
    return VMTimeline(events, past.changes, past.gaps)


def _command(command: Command, system: str, vm: str) -> TimelineEvent:
    return command_event(command, system, vm=vm if command.uuid is not None else "")


def _row(row: LogRow, system: str, vm: str) -> TimelineEvent:
    by = f" (by {plain(row.user)})" if row.user else ""
    return _event(
        datetime.fromtimestamp(row.at, UTC), "log", f"“{plain(row.text)}”{by}", system, vm
    )


def _facts(
    facts: Sequence[TimedFact], system: str, vm: str, nodes: Mapping[int, str]
) -> Iterator[TimelineEvent]:
    """Yield the migrations, the restarts and the silences."""
    before: StatusFact | None = None
    for fact in facts:
        if fact.kind is FactKind.SILENCE:
            silence = _text(fact.value)
            text = f"silenced: {silence}" if silence else "no longer silenced"
            yield _event(fact.time, "silence", text, system, vm)
        elif fact.value is None:
            before = None
        else:
            status = _STATUS.decode(fact.value)
            yield from (
                _event(fact.time, kind, text, system, vm)
                for kind, text in _differences(before, status, nodes)
            )
            before = status


def _differences(
    before: StatusFact | None, after: StatusFact, nodes: Mapping[int, str]
) -> Iterator[tuple[str, str]]:
    if before is None:
        return
    if before.node != after.node and after.node is not None and before.node is not None:
        yield "migration", f"from {_name(before.node, nodes)} to {_name(after.node, nodes)}"
    if before.started_at != after.started_at and before.running and after.running:
        yield "restart", "it was started again between two polls"


def _name(node: int, nodes: Mapping[int, str]) -> str:
    return nodes.get(node, f"node {node}")


def _text(value: str | None) -> str:
    found = msgspec.json.decode(value) if value is not None else None
    return plain(str(found)) if found else ""


def _event(time: datetime, kind: str, text: str, system: str, vm: str) -> TimelineEvent:
    return TimelineEvent(time=time, system=system, vm=vm, kind=kind, text=text)
