"""A poller whose plan changes, and one that continues another."""

import asyncio
import itertools

import pytest

from exporter import executor
from exporter.collectors.inventory import join
from exporter.errors import BadReplyError
from exporter.model import Identity, Inventory, PollResult, SystemReport
from exporter.polling.plan import Plan
from exporter.polling.poller import NAME_RETRY_SECONDS, Poller
from exporter.polling.schedule import TableSchedule
from exporter.polling.state import TableRows
from tests.exposition.builders import config
from tests.fakes import FakeClock, Inline
from tests.polling.test_poller import PLAN, UNREACHABLE, Source, running_vm


class Watched:
    """A poller with what it published and told recovery."""

    def __init__(
        self,
        clock: FakeClock,
        former: Poller | None = None,
        url: str = "http://a",
        plan: Plan = PLAN,
        known_as: str = "",
    ) -> None:
        self.source, self.polls = Source(), list[PollResult]()
        self.reports: list[SystemReport] = []
        self.inventories: list[Inventory | None] = []
        self.poller = Poller(
            self.source,
            join,
            self._publish,
            plan,
            name="prod",
            named=bool(known_as),
            url=url,
            clock=clock,
            rename=lambda name: name or known_as,
            requests_remaining=lambda: 1,
            on_poll=self.polls.append,
            former=former,
        )

    def _publish(self, inventory: Inventory | None, report: SystemReport) -> None:
        self.inventories.append(inventory)
        self.reports.append(report)

    @property
    def vm_names(self) -> list[str]:
        shown = self.inventories[-1]
        return [vm.config.name for vm in shown.vms] if shown is not None else []

    def shows(self) -> tuple[bool | None, bool]:
        """Whether the status is frozen, and whether the system is up."""
        return self.reports[-1].frozen, self.reports[-1].up

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


FAILS = BadReplyError("/api", "answered with 500", status=500)
OTHER_VMS = TableRows((config(7, "other"),), 1)


@pytest.mark.parametrize("table", ["vms", "machine_status"])
async def test_half_an_answer_of_another_address_is_not_mixed_with_old_rows(
    clock: FakeClock, table: str
) -> None:
    first = Watched(clock)
    first.source.rows["machine_status"] = running_vm(1e9)
    await first.poller.poll()
    second = Watched(clock, first.poller, "http://b")
    second.source.rows["vms"] = OTHER_VMS
    second.source.errors = {table: FAILS}
    await second.poller.poll()
    shown = second.inventories[-1]
    assert shown is not None
    assert second.vm_names == ([] if table == "vms" else ["other"])
    assert all(vm.status is None for vm in shown.vms)
    assert not second.reports[-1].up


async def test_rows_of_another_address_stay_whole_while_the_new_one_is_read(
    clock: FakeClock,
) -> None:
    first = Watched(clock, plan=PLAN._replace(stale_after_polls=1.5))
    await first.poller.poll()
    second = Watched(clock, first.poller, "http://b", plan=PLAN._replace(stale_after_polls=1.5))
    second.source.rows |= {"identity": TableRows(Identity("moved", ""), 1), "vms": OTHER_VMS}
    read = second.source.read

    async def expiring(name: str) -> object:
        found = await read(name)
        await second.poller._publish_now()
        assert second.vm_names == ["web"]
        assert second.reports[-1].system_name == "prod"
        return found

    second.source.read = expiring  # type: ignore[method-assign]
    await second.poller.poll()
    assert second.vm_names == ["other"]
    assert second.reports[-1].system_name == "moved"


async def test_slow_system_at_another_address_is_named_before_its_rows_are_shown(
    clock: FakeClock,
) -> None:
    first = Watched(clock)
    await first.poller.poll()
    second = Watched(clock, first.poller, "http://b")
    second.source.rows |= {"identity": TableRows(Identity("moved", ""), 1), "vms": OTHER_VMS}
    read = second.source.read

    async def slowly(name: str) -> object:
        await clock.pass_by(20)  # the essential tables are due again before the others are read
        return await read(name)

    second.source.read = slowly  # type: ignore[method-assign]
    await second.poller.poll()
    assert second.reports[-1].up
    assert second.reports[-1].system_name == "moved"


async def test_name_of_another_address_is_asked_for_again_soon(clock: FakeClock) -> None:
    patient = PLAN._replace(stale_after_polls=1000)
    first = Watched(clock, plan=patient)
    await first.poller.poll()
    second = Watched(clock, first.poller, "http://b", plan=patient)
    second.source.fail_all(FAILS)
    running = asyncio.create_task(second.poller.run())
    await clock.pass_by(2000)
    assert second.reports[-1].up  # by the rows of the first address
    second.source.errors = {}
    await clock.pass_by(NAME_RETRY_SECONDS + 20)
    assert second.vm_names == ["web"]
    assert second.reports[-1].up
    running.cancel()


async def test_rows_that_two_pollers_inherit_stay_those_of_their_address(clock: FakeClock) -> None:
    first = Watched(clock)
    await first.poller.poll()
    refused = Watched(clock, first.poller, "http://b")
    refused.source.fail_all(UNREACHABLE)
    await refused.poller.poll()
    for url, inherits in (("http://b", False), ("http://a", True)):
        third = Watched(clock, refused.poller, url)
        third.source.errors = {"machine_nics": FAILS, "identity": FAILS}
        assert third.poller.report.up
        await third.poller.poll()
        assert third.table("machine_nics") is inherits
        assert third.reports[-1].named is inherits


async def test_known_name_of_another_address_is_in_use_once_that_answers(clock: FakeClock) -> None:
    first = Watched(clock)
    await first.poller.poll()
    second = Watched(clock, first.poller, "http://b", known_as="test")
    assert second.poller.report.system_name == "prod"
    second.source.errors = {"identity": FAILS}
    await second.poller.poll()
    assert second.reports[-1].system_name == "test"
    assert second.reports[-1].up


async def test_changed_freeze_settings_are_in_force_at_the_next_poll(clock: FakeClock) -> None:
    one = Watched(clock)
    one.source.rows["machine_status"] = running_vm(1e9)
    running = asyncio.create_task(one.poller.run())
    await clock.pass_by(100)
    assert one.shows() == (None, True)
    one.poller.use(one.source, PLAN._replace(frozen_after_seconds=60))
    await clock.pass_by(0)
    assert one.shows() == (True, True)
    one.poller.use(one.source, PLAN._replace(frozen_after_seconds=60, withdraws_frozen=True))
    await clock.pass_by(0)
    assert one.shows() == (True, False)
    one.poller.use(one.source, PLAN)
    await clock.pass_by(0)
    assert one.shows() == (None, True)
    running.cancel()


async def test_frozen_status_stays_frozen_when_the_poller_is_replaced(clock: FakeClock) -> None:
    frozen = PLAN._replace(frozen_after_seconds=60, withdraws_frozen=True)
    first = Watched(clock, plan=frozen)
    first.source.rows["machine_status"] = running_vm(1e9)
    for _ in range(5):
        await first.poller.poll()
        clock.elapsed += 20
    assert first.shows() == (True, False)

    second = Watched(clock, first.poller, plan=frozen)
    second.source.rows["machine_status"] = running_vm(1e9)
    assert not second.poller.report.up
    await second.poller.poll()
    assert second.shows() == (True, False)

    moved = Watched(clock, second.poller, "http://b", plan=frozen)
    moved.source.rows["machine_status"] = running_vm(1e9)
    await moved.poller.poll()
    assert moved.shows() == (None, True)  # not known yet


def fitted(nics_seconds: float) -> list[TableSchedule]:
    return [
        one._replace(every_seconds=nics_seconds) if one.table == "machine_nics" else one
        for one in PLAN.schedules
    ]


async def test_table_whose_interval_becomes_shorter_is_read_before_it_is_stale(
    clock: FakeClock,
) -> None:
    schedules = fitted(3600)
    one = Watched(clock, plan=PLAN._replace(refit=lambda: schedules))
    running = asyncio.create_task(one.poller.run())
    await clock.pass_by(300)
    schedules = fitted(120)
    for _ in range(60):
        await clock.pass_by(10)
        assert one.table("machine_nics")
    running.cancel()


async def test_table_is_read_although_its_interval_changes_again_and_again(
    clock: FakeClock,
) -> None:
    intervals = itertools.cycle([300, 290])
    one = Watched(clock, plan=PLAN._replace(refit=lambda: fitted(next(intervals))))
    running = asyncio.create_task(one.poller.run())
    await clock.pass_by(6000)
    assert 16 <= one.source.reads.count("machine_nics") <= 24
    running.cancel()


async def test_failing_table_is_asked_for_again_by_its_shorter_interval(clock: FakeClock) -> None:
    one = Watched(clock, plan=PLAN._replace(schedules=fitted(3600)))
    one.source.errors = {"machine_nics": FAILS}
    running = asyncio.create_task(one.poller.run())
    await clock.pass_by(7200)
    one.source.take_reads()
    one.poller.use(one.source, PLAN)
    await clock.pass_by(200)
    assert "machine_nics" in one.source.take_reads()
    running.cancel()
