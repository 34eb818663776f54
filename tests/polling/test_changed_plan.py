"""A poller whose plan changes, and one that continues another."""

import asyncio

import pytest

from exporter import executor
from exporter.collectors.inventory import join
from exporter.model import PollResult, SystemReport
from exporter.polling.poller import Plan, Poller
from exporter.polling.schedule import TableSchedule
from tests.fakes import FakeClock, Inline
from tests.polling.test_poller import PLAN, UNREACHABLE, Source


class Watched:
    """A poller with what it published and told recovery."""

    def __init__(
        self, clock: FakeClock, former: Poller | None = None, url: str = "http://a"
    ) -> None:
        self.source, self.polls = Source(), list[PollResult]()
        self.reports: list[SystemReport] = []
        self.poller = Poller(
            self.source,
            join,
            lambda _, report: self.reports.append(report),
            PLAN,
            name="prod",
            url=url,
            clock=clock,
            rename=lambda name: name,
            requests_remaining=lambda: 1,
            on_poll=self.polls.append,
            former=former,
        )

    def table(self, name: str) -> bool:
        return any(one.table == name and one.fresh for one in self.reports[-1].tables)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    monkeypatch.setattr(executor, "workers", Inline())
    return FakeClock()


def without(table: str) -> Plan:
    return PLAN._replace(schedules=[one for one in PLAN.schedules if one.table != table])


async def test_changed_plan_reads_only_what_it_asks_for(clock: FakeClock) -> None:
    one = Watched(clock)
    running = asyncio.create_task(one.poller.run())
    await clock.pass_by(1)
    assert len(one.source.take_reads()) == 5

    faster = [s._replace(every_seconds=5) if s.essential else s for s in PLAN.schedules]
    one.poller.use(one.source, without("machine_nics")._replace(schedules=[
        s for s in faster if s.table != "machine_nics"
    ]))  # fmt: skip
    await clock.pass_by(1)
    assert one.source.take_reads() == []
    assert one.table("machine_drives")
    assert not one.table("machine_nics")
    await clock.pass_by(5)
    assert one.source.take_reads() == ["vms", "machine_status"]

    added = TableSchedule("machine_nics", 60)
    one.poller.use(one.source, PLAN._replace(schedules=[*faster, added]))
    await clock.pass_by(0)
    assert "machine_nics" in one.source.take_reads()
    running.cancel()


async def test_plan_that_changes_during_a_poll_tells_recovery_nothing_of_it(
    clock: FakeClock,
) -> None:
    one = Watched(clock)
    one.source.hanging = asyncio.Event()
    running = asyncio.create_task(one.poller.run())
    await clock.pass_by(1)
    one.poller.use(one.source, without("machine_nics"))
    one.source.hanging.set()
    await clock.pass_by(0)
    (poll,) = one.polls
    assert poll.problem == ""
    assert poll.inventory is not None
    assert sorted(set(one.source.reads)) == ["identity", "machine_drives", "machine_status", "vms"]
    running.cancel()


@pytest.mark.parametrize("url", ["http://a", "http://b"])
async def test_rows_of_the_former_poller_stay_until_they_are_stale(
    clock: FakeClock, url: str
) -> None:
    first = Watched(clock)
    await first.poller.poll()
    clock.elapsed += 10
    second = Watched(clock, first.poller, url)
    second.source.fail_all(UNREACHABLE)
    assert second.poller.report.up
    assert second.poller.report.vms_by_status == first.poller.report.vms_by_status
    await second.poller.poll()
    assert second.reports[-1].up
    assert all(poll.inventory is None for poll in second.polls)  # recovery gets no old rows
    clock.elapsed += 60
    await second.poller.expire()
    assert not second.reports[-1].up


async def test_rows_of_another_address_are_not_mixed_with_new_ones(clock: FakeClock) -> None:
    first = Watched(clock)
    await first.poller.poll()
    second = Watched(clock, first.poller, "http://b")
    second.source.errors = {"machine_nics": UNREACHABLE}
    await second.poller.poll()
    assert second.reports[-1].up
    assert not second.table("machine_nics")
    assert second.table("machine_drives")

    same = Watched(clock, first.poller)
    same.source.errors = {"machine_nics": UNREACHABLE}
    await same.poller.poll()
    assert same.table("machine_nics")
