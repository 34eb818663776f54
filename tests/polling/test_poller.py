"""One cloud watched, with a source that does what the test says and a clock that it holds."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from exporter import executor as run_in_thread
from exporter.collectors.inventory import join
from exporter.errors import (
    AbsentError,
    BadReplyError,
    BudgetSpentError,
    ForbiddenError,
    UnauthorizedError,
    UnreachableError,
    VergeOSError,
)
from exporter.model import Identity, Inventory, SystemReport, TableReport, VMConfig
from exporter.polling.poller import Plan, Poller
from exporter.polling.schedule import TableSchedule
from exporter.vergeos.rows import TableRows
from tests.fakes import START, FakeClock, Inline

CONFIG = VMConfig(
    key=7,
    machine=70,
    name="web",
    uuid="",
    enabled=True,
    need_restart=False,
    cpu_cores=2,
    memory_bytes=2**30,
    cluster=None,
    os_family="linux",
    machine_type="",
    ha_group="",
    on_power_loss="",
    created_from="",
    guest_agent=False,
    service=False,
    disable_powercycle=None,
)
GOOD: Mapping[str, TableRows[Any]] = {
    "identity": TableRows(Identity("cloud", "26.1"), 1),
    "vms": TableRows((CONFIG,), 1),
    "machine_status": TableRows({}, 0),
    "machine_nics": TableRows({}, 0),
    "machine_drives": TableRows({}, 0),
}
PLAN = Plan(
    (
        TableSchedule("identity", 3600),
        TableSchedule("vms", 20, essential=True),
        TableSchedule("machine_status", 20, essential=True),
        TableSchedule("machine_nics", 60, phase_seconds=20),
        TableSchedule("machine_drives", 60, phase_seconds=40),
    ),
    identity="identity",
    stale_after_polls=3,
)
GONE = UnreachableError("nobody there")


@dataclass
class Source:
    """Answers well, but for what is listed in `broken`; remembers what it was asked."""

    answers: dict[str, Any] = field(default_factory=lambda: dict(GOOD))
    broken: dict[str, VergeOSError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    hanging: asyncio.Event | None = None

    async def read(self, name: str) -> Any:
        self.asked.append(name)
        if self.hanging is not None:
            await self.hanging.wait()
        if name in self.broken:
            raise self.broken[name]
        return self.answers[name]

    def take_asked(self) -> list[str]:
        asked, self.asked = self.asked, []
        return asked

    def break_everything(self, error: VergeOSError) -> None:
        self.broken = dict.fromkeys(GOOD, error)


@dataclass
class RecoveryService:
    """A watch with everything that it touches."""

    source: Source
    clock: FakeClock
    published: list[tuple[Inventory | None, SystemReport]]
    renamed: list[str]
    watch: Poller

    @property
    def inventory(self) -> Inventory | None:
        return self.published[-1][0]

    @property
    def report(self) -> SystemReport:
        return self.published[-1][1]

    def table(self, name: str) -> TableReport:
        return next(table for table in self.report.tables if table.table == name)


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> RecoveryService:
    monkeypatch.setattr(run_in_thread, "workers", Inline())
    source, clock = Source(), FakeClock()
    published: list[tuple[Inventory | None, SystemReport]] = []
    renamed: list[str] = []

    def rename(name: str) -> str:
        renamed.append(name)
        return name

    watch = Poller(
        source,
        join,
        lambda inventory, report: published.append((inventory, report)),
        PLAN,
        name="host",
        url="https://host",
        clock=clock,
        rename=rename,
        requests_remaining=lambda: 42,
    )
    return RecoveryService(source, clock, published, renamed, watch)


@pytest.fixture
async def running(service: RecoveryService) -> AsyncIterator[RecoveryService]:
    task = asyncio.create_task(service.watch.run())
    await service.clock.pass_by(0)
    yield service
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_says_that_it_is_not_up_before_it_has_asked_anything(
    service: RecoveryService,
) -> None:
    task = asyncio.create_task(service.watch.run())
    service.source.hanging = asyncio.Event()

    await service.clock.pass_by(0)

    assert service.inventory is None
    assert not service.report.up
    assert service.table("vms").success is None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_reads_everything_at_the_start_and_draws_one_picture(
    running: RecoveryService,
) -> None:
    assert running.source.asked[:2] == ["vms", "machine_status"]
    assert sorted(running.source.asked) == sorted(GOOD)
    assert len(running.published) == 2  # that there is nothing yet, and then everything
    assert running.inventory is not None
    assert [vm.config.name for vm in running.inventory.vms] == ["web"]
    assert running.report.up
    assert running.report.requests_remaining == 42


async def test_takes_the_clouds_own_name_once_it_is_known(running: RecoveryService) -> None:
    assert running.renamed == ["cloud"]
    assert running.report.system_name == "cloud"


async def test_reads_each_table_on_its_own_beat_and_slow_ones_in_turns(
    running: RecoveryService,
) -> None:
    running.source.take_asked()

    cycles = []
    for _ in range(6):
        await running.clock.pass_by(20)
        cycles.append(running.source.take_asked())

    fast = ["vms", "machine_status"]
    assert cycles == [
        [*fast, "machine_nics"],
        [*fast, "machine_drives"],
        fast,
        [*fast, "machine_nics"],
        [*fast, "machine_drives"],
        fast,
    ]


async def test_keeps_the_last_picture_and_its_age_when_a_poll_fails(
    running: RecoveryService,
) -> None:
    running.source.break_everything(GONE)

    await running.clock.pass_by(20)

    assert running.inventory is not None
    assert len(running.inventory.vms) == 1
    assert running.inventory.taken_at == START
    assert running.report.up
    assert running.table("vms").success is False
    assert running.table("vms").error == "nobody there"


@pytest.mark.parametrize(("seconds", "shown"), [(59, True), (60, False)])
async def test_shows_a_picture_for_three_polls_and_no_longer(
    running: RecoveryService, seconds: int, shown: bool
) -> None:
    running.source.break_everything(GONE)

    await running.clock.pass_by(seconds)

    assert running.report.up is shown
    assert running.inventory is not None
    assert bool(running.inventory.vms) is shown


async def test_a_picture_expires_even_while_an_answer_is_awaited(running: RecoveryService) -> None:
    running.source.hanging = asyncio.Event()

    await running.clock.pass_by(60)

    assert not running.report.up


async def test_two_silences_are_enough_to_leave_the_rest_unasked(running: RecoveryService) -> None:
    running.source.break_everything(GONE)
    running.source.take_asked()

    await running.clock.pass_by(20)

    assert running.source.asked == ["vms", "machine_status"]
    assert running.table("machine_nics").error == "nobody there"


async def test_asks_seldom_while_nobody_answers_but_once_a_minute_at_least(
    running: RecoveryService,
) -> None:
    running.source.break_everything(GONE)
    asked_in_each_minute = []

    for _ in range(10):
        running.source.take_asked()
        await running.clock.pass_by(60)
        asked_in_each_minute.append(len(running.source.asked))

    assert min(asked_in_each_minute) >= 1
    assert max(asked_in_each_minute[1:]) <= 4


async def test_all_is_well_in_the_moment_that_somebody_answers_again(
    running: RecoveryService,
) -> None:
    running.source.break_everything(GONE)
    await running.clock.pass_by(600)
    running.source.broken = {}
    running.source.take_asked()

    await running.clock.pass_by(60)

    assert running.report.up
    assert {table.success for table in running.report.tables if table.table != "identity"} == {True}
    assert set(running.source.asked) >= {"vms", "machine_status", "machine_nics", "machine_drives"}


async def test_one_broken_table_disturbs_no_other(running: RecoveryService) -> None:
    running.source.broken = {"machine_nics": BadReplyError("/api/v4/machine_nics", "is odd")}

    await running.clock.pass_by(600)

    assert running.report.up
    assert running.table("machine_nics").success is False
    assert not running.table("machine_nics").fresh
    assert running.table("machine_drives").fresh
    assert running.inventory is not None
    assert "machine_nics" not in running.inventory.sources


async def test_a_broken_table_waits_behind_those_that_work(running: RecoveryService) -> None:
    running.source.broken = {"vms": ForbiddenError("not for you")}
    await running.clock.pass_by(20)
    running.source.take_asked()

    await running.clock.pass_by(20)

    assert running.source.asked[-1] == "vms"


async def test_without_status_a_vm_keeps_its_configuration_and_the_cloud_is_not_up(
    running: RecoveryService,
) -> None:
    running.source.broken = {"machine_status": BadReplyError("/api/v4/machine_status", "is odd")}

    await running.clock.pass_by(80)

    assert not running.report.up
    assert running.inventory is not None
    assert [vm.config.name for vm in running.inventory.vms] == ["web"]
    assert "machine_status" not in running.inventory.sources


async def test_the_picture_is_as_old_as_the_older_of_its_two_halves(
    running: RecoveryService,
) -> None:
    running.source.broken = {"machine_status": BadReplyError("/api/v4/machine_status", "is odd")}

    await running.clock.pass_by(40)

    assert running.report.taken_at == START
    running.source.broken = {}
    await running.clock.pass_by(60)
    assert running.report.taken_at == START + timedelta(seconds=100)


@pytest.mark.parametrize(
    "error",
    [
        UnauthorizedError("refused"),
        BudgetSpentError("/api/v4/vms", wait_seconds=9),
        AbsentError("connection refused"),
    ],
)
async def test_stops_at_the_first_answer_that_makes_the_next_question_pointless(
    running: RecoveryService, error: VergeOSError
) -> None:
    running.source.break_everything(error)
    running.source.take_asked()

    await running.clock.pass_by(20)

    assert running.source.asked == ["vms"]
    assert running.report.authenticated is not isinstance(error, UnauthorizedError)


async def test_tells_a_failure_when_it_begins_and_when_it_ends_and_not_between(
    running: RecoveryService,
) -> None:
    with capture_logs() as logs:
        running.source.break_everything(GONE)
        await running.clock.pass_by(300)
        running.source.broken = {}
        await running.clock.pass_by(300)

    assert [entry["event"] for entry in logs] == ["system.lost", "system.recovered"]
    assert logs[0]["error"] == "nobody there"


async def test_tells_which_table_fails_and_when_it_works_again(running: RecoveryService) -> None:
    odd = BadReplyError("/api/v4/machine_nics", "is odd")

    with capture_logs() as logs:
        running.source.broken = {"machine_nics": odd}
        await running.clock.pass_by(300)
        running.source.broken = {}
        await running.clock.pass_by(300)

    assert [entry["event"] for entry in logs] == ["table.failing", "table.recovered"]
    assert logs[0]["tables"] == logs[1]["tables"] == ["machine_nics"]
    assert logs[0]["error"] == str(odd)


async def test_a_table_that_fails_on_after_an_outage_is_told_then(running: RecoveryService) -> None:
    with capture_logs() as logs:
        running.source.break_everything(GONE)
        await running.clock.pass_by(100)
        running.source.broken = {"machine_nics": ForbiddenError("not for you")}
        await running.clock.pass_by(100)

    assert [entry["event"] for entry in logs] == ["system.lost", "system.recovered", "table.failing"]


async def test_remembers_the_last_troubles_for_the_status_page(running: RecoveryService) -> None:
    running.source.break_everything(GONE)

    await running.clock.pass_by(20)

    (trouble,) = running.report.recent_errors
    assert trouble.what == "nobody there"
    assert trouble.at == START + timedelta(seconds=20)


async def test_tells_skipped_rows_and_new_words_once_and_counts_them_each_time(
    running: RecoveryService,
) -> None:
    odd: TableRows[Any] = TableRows(
        {}, 0, skipped=2, problem="row 3: odd", unknown_words=frozenset({"dreaming"})
    )
    running.source.answers["machine_status"] = odd

    with capture_logs() as logs:
        await running.clock.pass_by(60)

    assert [entry["event"] for entry in logs] == ["table.rows_skipped", "table.unknown_status"]
    assert running.table("machine_status").rows_skipped == 2
    assert running.table("machine_status").rows_skipped_total == 6


async def test_a_bug_in_drawing_ends_the_watch_instead_of_being_hidden(
    service: RecoveryService,
) -> None:
    def broken(inventory: Inventory | None, report: SystemReport) -> None:
        raise ZeroDivisionError

    service.watch._publish = broken

    with pytest.raises(ZeroDivisionError):
        await service.watch.run()


async def test_a_key_that_is_accepted_again_is_known_to_be_at_once(
    running: RecoveryService,
) -> None:
    running.source.break_everything(UnauthorizedError("refused"))
    await running.clock.pass_by(4 * 3600)
    refused = running.report

    running.source.broken = {}
    await running.clock.pass_by(61)

    assert (refused.authenticated, running.report.authenticated) == (False, True)
    assert {table.success for table in running.report.tables} == {True}


@dataclass
class Hanging(Source):
    """Lets some tables take their time, and then fail as a time-out does."""

    clock: FakeClock | None = None
    seconds: float = 30

    async def read(self, name: str) -> Any:
        if name in self.broken and self.clock is not None:
            await self.clock.sleep(self.seconds)
        return await super().read(name)


async def test_tables_that_hang_keep_nobody_from_seeing_who_is_up(service: RecoveryService) -> None:
    source = Hanging(clock=service.clock)
    service.watch._source = source
    task = asyncio.create_task(service.watch.run())
    await service.clock.pass_by(0)
    source.broken = {"machine_nics": GONE, "machine_drives": GONE}

    ups = []
    for _ in range(600):
        await service.clock.pass_by(1)
        ups.append(service.report.up)

    assert all(ups)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_names_outlast_the_table_that_they_are_from(service: RecoveryService) -> None:
    service.watch._schedules["machine_drives"] = service.watch._schedules[
        "machine_drives"
    ]._replace(keeps_stale_rows=True)
    task = asyncio.create_task(service.watch.run())
    await service.clock.pass_by(0)
    service.source.broken = {"machine_drives": GONE, "machine_nics": GONE}

    await service.clock.pass_by(900)

    assert service.inventory is not None
    assert "machine_drives" in service.inventory.sources
    assert "machine_nics" not in service.inventory.sources
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
