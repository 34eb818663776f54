"""The timeline of a VM, by what the journal has of a simulated day."""

from datetime import timedelta
from pathlib import Path

import msgspec

from exporter.recovery.model.history import FactKind, StatusFact
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.platform_log import LogRow
from exporter.recovery.model.records import TimedFact, VMPast
from exporter.recovery.report.vm_timeline import VMTimeline, vm_timeline
from exporter.recovery.service import RecoveryService
from tests.fakes import START
from tests.journal.examples import CHANGE
from tests.recovery.archive import CLOUD, journal_on_disk, stage

MINUTE = timedelta(minutes=1)
NODES = {1: "node1", 2: "node2"}


def status(
    minute: int,
    node: int | None = 1,
    started_at: float = 1.0,
    *,
    running: bool = True,
    word: str = "running",
) -> TimedFact:
    fact = StatusFact(running, running, word, "online", node, started_at)
    value = msgspec.json.encode(fact).decode()
    return TimedFact(START + minute * MINUTE, FactKind.STATUS, value)


def silence(minute: int, text: str | None) -> TimedFact:
    value = msgspec.json.encode(text).decode() if text is not None else None
    return TimedFact(START + minute * MINUTE, FactKind.SILENCE, value)


def timeline(since: int = 0, **past: object) -> VMTimeline:
    return vm_timeline(VMPast(**past), "prod", "web-1", NODES, START + since * MINUTE)  # type: ignore[arg-type]


def said(found: VMTimeline) -> list[tuple[float, str, str]]:
    return [((one.time - START) / MINUTE, one.kind, one.text) for one in found.events]


def test_migration_names_both_nodes() -> None:
    found = timeline(facts=[status(-9), status(5, 2), status(7, None), status(9, 3)])

    assert said(found) == [(5, "migration", "from node1 to node2")]


def test_unknown_node_is_named_by_its_key() -> None:
    found = timeline(facts=[status(0, 2), status(5, 9)])

    assert said(found) == [(5, "migration", "from node2 to node 9")]


def test_start_between_two_polls_is_a_restart() -> None:
    down = status(6, started_at=1.0, running=False, word="stopped")
    found = timeline(facts=[status(0), status(5, started_at=2.0), down, status(8, started_at=3.0)])

    assert [(minute, kind) for minute, kind, _ in said(found)] == [(5, "restart")]


def test_vm_that_vanished_did_not_migrate() -> None:
    gone = TimedFact(START + 3 * MINUTE, FactKind.STATUS, None)

    assert said(timeline(facts=[status(0, 1), gone, status(5, 2)])) == []


def test_silences_begin_and_end() -> None:
    found = timeline(facts=[silence(1, "anna: “disk swap”"), silence(9, None)])

    assert said(found) == [
        (9, "silence", "no longer silenced"),
        (1, "silence", "silenced: anna: “disk swap”"),
    ]


def test_log_rows_are_quoted_without_control_characters() -> None:
    seconds = (START + 2 * MINUTE).timestamp()
    text = "crashed\x1b[2J"
    found = timeline(rows=[LogRow(table="logs", key=1, at=seconds, text=text, user="admin")])  # type: ignore[arg-type]

    assert said(found) == [(2, "log", "“crashed\N{REPLACEMENT CHARACTER}[2J” (by admin)")]


def test_events_before_the_period_are_left_out_and_the_newest_is_first() -> None:
    changes = [
        msgspec.structs.replace(CHANGE, time=START + minute * MINUTE) for minute in (-5, 1, 8)
    ]
    found = timeline(changes=changes, facts=[status(0, 1), status(4, 2)])

    assert [(minute, kind) for minute, kind, _ in said(found)] == [
        (8, "change"),
        (4, "migration"),
        (1, "change"),
    ]


async def test_service_tells_a_crash_and_its_recovery(tmp_path: Path) -> None:
    name = "web-01"
    harness = stage(mode=Mode.ENFORCE)
    harness.world.crash(name)
    harness.advance(300)
    journal = await journal_on_disk(harness, tmp_path / "state")
    try:
        service = RecoveryService(lambda: {CLOUD: harness.recovery}, lambda: journal, harness.clock)
        key = harness.case(name).key
        found = await service.timeline(key, CLOUD, START - MINUTE)
        explanation = await service.explain(key, CLOUD)
    finally:
        await journal.close()

    kinds = [event.kind for event in reversed(found.events)]
    assert {"change", "decision", "action"} <= set(kinds)
    assert kinds.index("decision") < kinds.index("action")
    assert [one.after for one in found.changes][-1] == explanation.state
    assert {event.vm for event in found.events} == {name}
    assert explanation.vm_key == key
