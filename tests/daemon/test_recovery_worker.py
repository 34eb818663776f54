"""Recovery beside the watching: it takes what it is told, and never more than it can hold."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from exporter.config.recovery import RecoverySettings
from exporter.config.recovery_setup import recovery_setup
from exporter.daemon.recovery_worker import MAX_WAITING_POLLS, JournalHandle, RecoveryWorker
from exporter.journal.journal import Journal
from exporter.model import PollResult
from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.engine import Recovery
from exporter.recovery.model.limits import DAY, HOUR, Limits, Mode
from tests.fakes import START, FakeClock
from tests.recovery.harness import Harness


class Slow:
    """A recovery that takes each poll when it is let."""

    bug = ""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.go_on = asyncio.Event()

    async def process(self, poll: PollResult) -> None:
        await self.go_on.wait()
        self.taken.append(poll.asked_at)


def rounds(count: int) -> list[PollResult]:
    poll = Harness(vms=2)._read()
    return [poll._replace(asked_at=float(number)) for number in range(count)]


async def test_slow_recovery_drops_the_oldest_polls() -> None:
    slow = Slow()
    rescue = RecoveryWorker(cast(Recovery, slow))
    working = asyncio.create_task(rescue.run())

    for seen in rounds(100):
        rescue.enqueue(seen)
    slow.go_on.set()
    await eventually(lambda: len(slow.taken) >= MAX_WAITING_POLLS)
    working.cancel()

    assert slow.taken == [97.0, 98.0, 99.0]


async def eventually(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.wait([asyncio.create_task(asyncio.Event().wait())], timeout=0.001)


def test_default_settings_equal_the_default_limits() -> None:
    assert recovery_setup(RecoverySettings(), Mode.SHADOW).limits == Limits()


async def test_error_in_the_report_ends_recovery_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness = Harness(vms=2)
    rescue = RecoveryWorker(harness.recovery)

    def stumble(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(harness.recovery._status_cache, "vms", stumble)
    rescue.enqueue(harness._read())
    await rescue.run()

    report = harness.recovery.report
    assert (report.readiness, report.ready) == (ReadinessState.BROKEN, False)
    assert "KeyError" in report.because


async def test_old_records_are_deleted_an_hour_after_the_start_and_then_daily(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    handle = JournalHandle(RecoverySettings(directory=tmp_path), clock)
    pruned: list[tuple[float, datetime]] = []

    class Pruned:
        async def prune(self, before: datetime) -> int:
            pruned.append((clock.elapsed, before))
            return 0

    handle.journal = cast(Journal, Pruned())
    tidying = asyncio.create_task(handle.tidy_forever())
    await clock.pass_by(HOUR + DAY)
    tidying.cancel()

    assert [at for at, _ in pruned] == [HOUR, HOUR + DAY]
    assert pruned[0][1] == START + timedelta(seconds=HOUR, days=-90)
