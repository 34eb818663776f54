"""Polling one system with a scripted source and a fake clock."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from exporter import executor
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
from exporter.model import (
    FrozenStatus,
    Identity,
    Inventory,
    PollResult,
    SystemReport,
    TableReport,
)
from exporter.polling.plan import Plan
from exporter.polling.poller import NAME_RETRY_SECONDS, Poller
from exporter.polling.schedule import TableSchedule
from exporter.polling.state import LastGood, SkippedValues, TableRows, TableState
from exporter.polling.status_watch import StatusWatch
from tests.exposition.builders import config, status
from tests.fakes import START, FakeClock, Inline

ROWS: Mapping[str, TableRows[Any]] = {
    "identity": TableRows(Identity("prod", "26.1"), 1),
    "vms": TableRows((config(7, "web"),), 1),
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
    stale_after_polls=3,
)
UNREACHABLE = UnreachableError("connection refused")


@dataclass
class Source:
    """Returns rows, or raises the error of a table in `errors`; records which tables are read."""

    rows: dict[str, Any] = field(default_factory=lambda: dict(ROWS))
    errors: dict[str, VergeOSError] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)
    hanging: asyncio.Event | None = None

    async def read(self, name: str) -> Any:
        self.reads.append(name)
        if self.hanging is not None:
            await self.hanging.wait()
        if name in self.errors:
            raise self.errors[name]
        return self.rows[name]

    def take_reads(self) -> list[str]:
        reads, self.reads = self.reads, []
        return reads

    def fail_all(self, error: VergeOSError) -> None:
        self.errors = dict.fromkeys(ROWS, error)


@dataclass
class Harness:
    """A poller with its source and clock, and what it published."""

    source: Source
    clock: FakeClock
    published: list[tuple[Inventory | None, SystemReport]]
    renamed: list[str]
    poller: Poller

    @property
    def inventory(self) -> Inventory | None:
        return self.published[-1][0]

    @property
    def report(self) -> SystemReport:
        return self.published[-1][1]

    def table(self, name: str) -> TableReport:
        return next(table for table in self.report.tables if table.table == name)


@pytest.fixture
async def harness(monkeypatch: pytest.MonkeyPatch) -> Harness:
    monkeypatch.setattr(executor, "workers", Inline())
    source, clock = Source(), FakeClock()
    published: list[tuple[Inventory | None, SystemReport]] = []
    renamed: list[str] = []

    def rename(name: str) -> str:
        renamed.append(name)
        return name

    poller = Poller(
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
    return Harness(source, clock, published, renamed, poller)


@asynccontextmanager
async def started(harness: Harness) -> AsyncIterator[None]:
    """Run the poller, from after its first poll until the end of the block."""
    task = asyncio.create_task(harness.poller.run())
    await harness.clock.pass_by(0)
    yield
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.fixture
async def running(harness: Harness) -> AsyncIterator[Harness]:
    async with started(harness):
        yield harness


async def test_system_is_not_up_before_the_first_answer(
    harness: Harness,
) -> None:
    harness.source.hanging = asyncio.Event()

    async with started(harness):
        assert harness.inventory is None
        assert not harness.report.up
        assert harness.table("vms").success is None


async def test_first_poll_reads_every_table_and_publishes_one_inventory(
    running: Harness,
) -> None:
    assert running.source.reads[:3] == ["identity", "vms", "machine_status"]
    assert sorted(running.source.reads) == sorted(ROWS)
    assert len(running.published) == 2  # first without an inventory, then with one
    assert running.inventory is not None
    assert [vm.config.name for vm in running.inventory.vms] == ["web"]
    assert running.report.up
    assert running.report.requests_remaining == 42


async def test_system_is_renamed_when_its_own_name_is_known(running: Harness) -> None:
    assert running.renamed == ["prod"]
    assert running.report.system_name == "prod"


async def test_each_table_is_read_at_its_interval_and_slow_tables_take_turns(
    running: Harness,
) -> None:
    running.source.take_reads()

    cycles = []
    for _ in range(6):
        await running.clock.pass_by(20)
        cycles.append(running.source.take_reads())

    fast = ["vms", "machine_status"]
    assert cycles == [
        [*fast, "machine_nics"],
        [*fast, "machine_drives"],
        fast,
        [*fast, "machine_nics"],
        [*fast, "machine_drives"],
        fast,
    ]


async def test_failed_poll_keeps_the_last_inventory_and_its_time(
    running: Harness,
) -> None:
    running.source.fail_all(UNREACHABLE)

    await running.clock.pass_by(20)

    assert running.inventory is not None
    assert len(running.inventory.vms) == 1
    assert running.inventory.taken_at == START
    assert running.report.up
    assert running.table("vms").success is False
    assert running.table("vms").error == "connection refused"


@pytest.mark.parametrize(("seconds", "fresh"), [(59, True), (60, False)])
async def test_inventory_is_stale_after_three_failed_polls(
    running: Harness, seconds: int, fresh: bool
) -> None:
    running.source.fail_all(UNREACHABLE)

    await running.clock.pass_by(seconds)

    assert running.report.up is fresh
    assert running.inventory is not None
    assert bool(running.inventory.vms) is fresh


async def test_inventory_becomes_stale_while_a_request_hangs(running: Harness) -> None:
    running.source.hanging = asyncio.Event()

    await running.clock.pass_by(60)

    assert not running.report.up


async def test_poll_ends_after_two_requests_without_an_answer(running: Harness) -> None:
    running.source.fail_all(UNREACHABLE)
    running.source.take_reads()

    await running.clock.pass_by(20)

    assert running.source.reads == ["vms", "machine_status"]
    assert running.table("machine_nics").error == "connection refused"


async def test_unreachable_system_is_polled_one_to_four_times_a_minute(
    running: Harness,
) -> None:
    running.source.fail_all(UNREACHABLE)
    reads_per_minute = []

    for _ in range(10):
        running.source.take_reads()
        await running.clock.pass_by(60)
        reads_per_minute.append(len(running.source.reads))

    assert min(reads_per_minute) >= 1
    assert max(reads_per_minute[1:]) <= 4


async def test_all_tables_are_read_at_once_when_the_system_answers_again(
    running: Harness,
) -> None:
    running.source.fail_all(UNREACHABLE)
    await running.clock.pass_by(600)
    running.source.errors = {}
    running.source.take_reads()

    await running.clock.pass_by(60)

    assert running.report.up
    assert {table.success for table in running.report.tables if table.table != "identity"} == {True}
    assert set(running.source.reads) >= {"vms", "machine_status", "machine_nics", "machine_drives"}


async def test_failing_table_affects_no_other_table(running: Harness) -> None:
    running.source.errors = {"machine_nics": BadReplyError("/api/v4/machine_nics", "is invalid")}

    await running.clock.pass_by(600)

    assert running.report.up
    assert running.table("machine_nics").success is False
    assert not running.table("machine_nics").fresh
    assert running.table("machine_drives").fresh
    assert running.inventory is not None
    assert "machine_nics" not in running.inventory.sources


def test_unreadable_rows_and_values_count_while_the_rows_are_fresh() -> None:
    rows: TableRows[object] = TableRows(
        {}, 1, skipped=2, skipped_values={"name": SkippedValues(3, "no text")}
    )
    state = TableState(20.0, LastGood(rows, 0.0, START))
    schedule = TableSchedule("vms", 20)

    assert state.report(schedule, fresh=True).unreadable == 5
    assert state.report(schedule, fresh=False).unreadable is None


@pytest.mark.parametrize("seconds", [9.0, 15.0, 19.0, 25.0])
async def test_no_table_is_left_out_while_the_essential_ones_take_long(
    running: Harness, seconds: float
) -> None:
    read, clock = running.source.read, running.clock
    running.source.errors = {"machine_drives": ForbiddenError("not for you")}

    async def slowly(name: str) -> object:
        await clock.sleep(seconds if name in ("vms", "machine_status") else 1.0)
        return await read(name)

    running.source.read = slowly  # type: ignore[method-assign]
    running.source.take_reads()
    await clock.pass_by(1000)

    reads = Counter(running.source.take_reads())
    assert reads["machine_nics"] >= 5
    assert reads["machine_drives"] >= 2
    others = reads.total() - reads["vms"] - reads["machine_status"]
    assert others <= reads["vms"] * 3
    if seconds < 15:  # else their rows are stale before they are read again
        assert all(report.up for _, report in running.published[9:])


async def test_failing_table_is_read_after_the_working_ones(running: Harness) -> None:
    running.source.errors = {"vms": ForbiddenError("not for you")}
    await running.clock.pass_by(20)
    running.source.take_reads()

    await running.clock.pass_by(20)

    assert running.source.reads[-1] == "vms"


async def test_stale_status_table_leaves_configurations_and_the_system_is_not_up(
    running: Harness,
) -> None:
    running.source.errors = {
        "machine_status": BadReplyError("/api/v4/machine_status", "is invalid")
    }

    await running.clock.pass_by(80)

    assert not running.report.up
    assert running.inventory is not None
    assert [vm.config.name for vm in running.inventory.vms] == ["web"]
    assert "machine_status" not in running.inventory.sources


async def test_inventory_is_as_old_as_its_oldest_essential_table(
    running: Harness,
) -> None:
    running.source.errors = {
        "machine_status": BadReplyError("/api/v4/machine_status", "is invalid")
    }

    await running.clock.pass_by(40)

    assert running.report.taken_at == START
    running.source.errors = {}
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
async def test_poll_ends_at_the_first_fatal_error(running: Harness, error: VergeOSError) -> None:
    running.source.fail_all(error)
    running.source.take_reads()

    await running.clock.pass_by(20)

    assert running.source.reads == ["vms"]
    assert running.report.authenticated is not isinstance(error, UnauthorizedError)


async def test_outage_is_logged_when_it_begins_and_when_it_ends(
    running: Harness,
) -> None:
    with capture_logs() as logs:
        running.source.fail_all(UNREACHABLE)
        await running.clock.pass_by(300)
        running.source.errors = {}
        await running.clock.pass_by(300)

    assert [entry["event"] for entry in logs] == ["system.lost", "system.recovered"]
    assert logs[0]["error"] == "connection refused"


async def test_table_failure_is_logged_when_it_begins_and_when_it_ends(running: Harness) -> None:
    error = BadReplyError("/api/v4/machine_nics", "is invalid")

    with capture_logs() as logs:
        running.source.errors = {"machine_nics": error}
        await running.clock.pass_by(300)
        running.source.errors = {}
        await running.clock.pass_by(300)

    assert [entry["event"] for entry in logs] == ["table.failing", "table.recovered"]
    assert logs[0]["tables"] == logs[1]["tables"] == ["machine_nics"]
    assert logs[0]["error"] == str(error)


async def test_table_that_still_fails_after_an_outage_is_logged(running: Harness) -> None:
    with capture_logs() as logs:
        running.source.fail_all(UNREACHABLE)
        await running.clock.pass_by(100)
        running.source.errors = {"machine_nics": ForbiddenError("not for you")}
        await running.clock.pass_by(100)

    assert [entry["event"] for entry in logs] == [
        "system.lost",
        "system.recovered",
        "table.failing",
    ]


async def test_report_has_the_recent_errors(running: Harness) -> None:
    running.source.fail_all(UNREACHABLE)

    await running.clock.pass_by(20)

    (error,) = running.report.recent_errors
    assert error.what == "connection refused"
    assert error.at == START + timedelta(seconds=20)


async def test_skipped_rows_and_unknown_statuses_are_logged_once_and_counted_each_poll(
    running: Harness,
) -> None:
    invalid: TableRows[Any] = TableRows(
        {}, 0, skipped=2, problem="row 3: invalid", unknown_words=frozenset({"dreaming"})
    )
    running.source.rows["machine_status"] = invalid

    with capture_logs() as logs:
        await running.clock.pass_by(60)

    assert [entry["event"] for entry in logs] == ["table.rows_skipped", "table.unknown_status"]
    assert running.table("machine_status").rows_skipped == 2
    assert running.table("machine_status").rows_skipped_total == 6


async def test_values_that_cannot_be_read_are_logged_once_for_each_field(running: Harness) -> None:
    skipped = {
        "status": SkippedValues(2, "row 3: invalid"),
        "node": SkippedValues(1, "row 4: invalid"),
    }
    running.source.rows["machine_status"] = TableRows({}, 0, skipped_values=skipped)

    with capture_logs() as logs:
        await running.clock.pass_by(60)

    assert [(entry["event"], entry["field"], entry["skipped"]) for entry in logs] == [
        ("table.fields_skipped", "status", 2),
        ("table.fields_skipped", "node", 1),
    ]
    assert running.report.recent_errors[0].what == (
        "values of node cannot be read; the first: row 4: invalid"
    )


async def test_bug_while_publishing_ends_the_poller(
    harness: Harness,
) -> None:
    def fail(inventory: Inventory | None, report: SystemReport) -> None:
        raise ZeroDivisionError

    harness.poller._publish = fail

    with pytest.raises(ZeroDivisionError):
        await harness.poller.run()


async def test_api_key_that_is_accepted_again_ends_the_outage_within_a_minute(
    running: Harness,
) -> None:
    running.source.fail_all(UnauthorizedError("refused"))
    await running.clock.pass_by(4 * 3600)
    rejected = running.report

    running.source.errors = {}
    await running.clock.pass_by(61)

    assert (rejected.authenticated, running.report.authenticated) == (False, True)
    assert {table.success for table in running.report.tables} == {True}


@dataclass
class SlowSource(Source):
    """Raises the error of a table only after a delay, as a timeout does."""

    clock: FakeClock | None = None
    delay_seconds: float = 30

    async def read(self, name: str) -> Any:
        if name in self.errors and self.clock is not None:
            await self.clock.sleep(self.delay_seconds)
        return await super().read(name)


async def test_hanging_tables_do_not_make_the_system_look_down(harness: Harness) -> None:
    source = SlowSource(clock=harness.clock)
    harness.poller.source = source

    up = []
    async with started(harness):
        source.errors = {"machine_nics": UNREACHABLE, "machine_drives": UNREACHABLE}
        for _ in range(600):
            await harness.clock.pass_by(1)
            up.append(harness.report.up)

    assert len(up) == 600
    assert all(up)


async def test_table_that_keeps_stale_rows_stays_in_the_inventory(harness: Harness) -> None:
    schedules = harness.poller.tables.schedules
    schedules["machine_drives"] = schedules["machine_drives"]._replace(keeps_stale_rows=True)
    async with started(harness):
        harness.source.errors = {"machine_drives": UNREACHABLE, "machine_nics": UNREACHABLE}

        await harness.clock.pass_by(900)

        assert harness.inventory is not None
        assert "machine_drives" in harness.inventory.sources
        assert "machine_nics" not in harness.inventory.sources


# The system's name


SETTINGS_FAIL = BadReplyError("/api/v4/settings", "answered with 503", status=503)


async def test_inventory_waits_until_the_name_is_known(harness: Harness) -> None:
    harness.source.errors = {"identity": SETTINGS_FAIL}

    async with started(harness):
        with capture_logs() as logs:
            await harness.clock.pass_by(600)

        assert {inventory for inventory, _ in harness.published} == {None}
        assert (harness.report.named, harness.report.up) == (False, False)
        assert harness.table("vms").success
        assert harness.table("vms").fresh

        harness.source.errors.clear()
        with capture_logs() as named:
            await harness.clock.pass_by(NAME_RETRY_SECONDS)

        assert (harness.report.named, harness.report.up) == (True, True)
        assert harness.inventory is not None
        assert harness.inventory.system_name == harness.report.system_name == "prod"
    assert "system.named" in [entry["event"] for entry in named]
    assert not [entry for entry in logs if entry["event"] == "system.name_unknown"]  # once, before


async def test_wait_for_the_name_is_logged_once_and_shown(harness: Harness) -> None:
    harness.source.errors = {"identity": SETTINGS_FAIL}

    with capture_logs() as logs:
        async with started(harness):
            await harness.clock.pass_by(600)

    (entry,) = [entry for entry in logs if entry["event"] == "system.name_unknown"]
    assert "/api/v4/settings answered with 503" in entry["error"]
    assert any("name" in error.what for error in harness.report.recent_errors)


async def test_failed_name_is_asked_for_again_every_two_minutes(harness: Harness) -> None:
    harness.source.errors = {"identity": SETTINGS_FAIL}

    async with started(harness):
        await harness.clock.pass_by(3600)
        harness.source.take_reads()
        await harness.clock.pass_by(3600)

    assert 28 <= harness.source.take_reads().count("identity") <= 31


async def test_recovery_learns_why_the_inventory_waits_for_the_name(harness: Harness) -> None:
    harness.source.errors = {"identity": SETTINGS_FAIL}
    results: list[PollResult] = []
    harness.poller._on_poll = results.append

    await harness.poller.poll()

    (result,) = results
    assert result.inventory is None
    assert result.problem == (
        "the name of the system is not known yet: /api/v4/settings answered with 503"
    )


async def test_known_name_lets_nothing_wait(harness: Harness) -> None:
    harness.poller._named = True
    harness.source.errors = {"identity": SETTINGS_FAIL}

    async with started(harness):
        assert harness.report.up
        assert harness.report.system_name == "host"
        assert harness.inventory is not None


async def test_system_that_is_renamed_while_it_is_polled_gets_its_new_name(
    running: Harness,
) -> None:
    running.source.rows["identity"] = TableRows(Identity("nordwolke", "26.1"), 1)

    await running.clock.pass_by(3600)

    assert running.renamed == ["prod", "nordwolke"]
    assert running.report.system_name == "nordwolke"
    assert running.inventory is not None
    assert running.inventory.system_name == "nordwolke"


async def test_system_that_tells_no_name_is_named_by_what_rename_returns(
    harness: Harness,
) -> None:
    harness.source.rows["identity"] = TableRows(Identity("", "26.1"), 1)
    harness.poller._rename = lambda name: name or "host"

    async with started(harness):
        assert harness.report.named
        assert harness.report.system_name == "host"
        assert harness.report.up


# Status that VergeOS no longer updates


def running_vm(updated_at: float) -> TableRows[Any]:
    """Return the status rows of a system with one VM, which runs."""
    row = msgspec.structs.replace(status(17), node=1, updated_at=updated_at)
    return TableRows({17: row}, 1)


@pytest.mark.parametrize("withdraws", [False, True])
async def test_frozen_status_is_marked_or_withdrawn_and_recovery_sees_it(
    harness: Harness, withdraws: bool
) -> None:
    harness.poller._status_watch = StatusWatch(
        PLAN._replace(frozen_after_seconds=180, withdraws_frozen=withdraws)
    )
    results: list[PollResult] = []
    harness.poller._on_poll = results.append
    harness.source.rows["machine_status"] = running_vm(1e9)

    with capture_logs() as logs:
        async with started(harness):
            await harness.clock.pass_by(160)
            assert harness.inventory is not None
            assert harness.inventory.frozen == FrozenStatus()  # not known yet
            assert (harness.report.frozen, harness.report.up) == (None, True)

            await harness.clock.pass_by(40)
            assert (harness.report.frozen, harness.report.up) == (True, not withdraws)
            assert harness.inventory.frozen.system is True
            shown = [vm.status is not None for vm in harness.inventory.vms]
            assert shown == [not withdraws]
            assert results[-1].inventory is not None
            assert [vm.status is not None for vm in results[-1].inventory.vms] == [True]

            harness.source.rows["machine_status"] = running_vm(1e9 + 300)
            await harness.clock.pass_by(20)
            assert (harness.report.frozen, harness.report.up) == (False, True)
            assert [vm.status is not None for vm in harness.inventory.vms] == [True]

    events = [entry["event"] for entry in logs if entry["event"].startswith("status.")]
    assert events == ["status.frozen", "status.updated_again"]


async def test_unchanged_freeze_is_the_very_same_object(harness: Harness) -> None:
    harness.poller._status_watch = StatusWatch(
        PLAN._replace(frozen_after_seconds=60, withdraws_frozen=False)
    )
    harness.source.rows["machine_status"] = running_vm(1e9)

    async with started(harness):
        await harness.clock.pass_by(100)
        first = harness.inventory
        await harness.clock.pass_by(100)

    assert first is not None
    assert harness.inventory is not None
    assert first.frozen.system
    assert harness.inventory.frozen is first.frozen  # the renderer compares it as a source


async def test_system_that_cannot_be_polled_is_stale_and_not_frozen(harness: Harness) -> None:
    harness.poller._status_watch = StatusWatch(
        PLAN._replace(frozen_after_seconds=30, withdraws_frozen=False)
    )
    harness.source.rows["machine_status"] = running_vm(1e9)

    async with started(harness):
        harness.source.fail_all(UNREACHABLE)
        await harness.clock.pass_by(600)

    assert not harness.report.frozen
    assert not harness.report.up
