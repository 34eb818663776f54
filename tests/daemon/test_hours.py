"""Simulated hours: the requests that are sent are those that are planned, and never too many."""

import random
from math import ceil
from pathlib import Path

import pytest

from exporter.config.settings import Settings
from exporter.config.systems import resolve_systems
from exporter.errors import ConfigError
from tests.daemon.hours import (
    CREDENTIALS,
    HOUR,
    PASSWORD,
    URL,
    Daemon,
    Fault,
    Rows,
    System,
    captured_rows,
    random_settings,
    running,
)
from tests.fakes import FakeClock

CONFIGURATIONS = 40
FAULTS = ((0, ""), (500, ""), (503, ""), (429, ""), (429, "600"), (503, "120"), (429, "30"))
POLLED_BY_THEN = 5.0
"""Every table was read, and the polls of the full hours are over."""
OVERLOADED_HOURS = 8
"""The hours in which to count if tables are polled only a few times an hour."""


@pytest.fixture(scope="module")
def rows() -> Rows:
    return captured_rows()


def settings_for(rng: random.Random, directory: Path) -> Settings:
    """Return random settings with which the daemon starts."""
    while True:
        settings = random_settings(rng, directory)
        try:
            resolve_systems(settings)
        except ConfigError:
            continue
        return settings


def random_faults(rng: random.Random) -> list[Fault]:
    """Return faults within the first hour."""
    begins, faults = 300.0, list[Fault]()
    for _ in range(rng.randint(1, 3)):
        fault = Fault(begins + rng.uniform(0, 300), rng.uniform(20, 500), *rng.choice(FAULTS))
        faults.append(fault)
        begins = fault.begins + fault.lasts
    return faults


def hours_to_count(daemon: Daemon, settings: Settings) -> int:
    """Return 1, or more where even essential tables had to be polled less often than wanted."""
    intervals = {one.table: one.every_seconds for one in daemon.report.tables}
    return 1 if intervals["vms"] == settings.poll.fast_seconds else OVERLOADED_HOURS


async def assert_as_planned(daemon: Daemon, system: System, begin: float, hours: int) -> None:
    """Let *hours* pass; their requests differ by less than 2 % from the plan."""
    per_hour, end = daemon.report.requests_per_hour, begin + hours * HOUR
    await daemon.until(end)

    sent, planned = system.sent(begin, end), daemon.planned(begin, end)
    assert abs(sent - planned) < 0.02 * planned, (sent, planned)
    assert daemon.report.requests_per_hour == per_hour
    assert daemon.report.up


@pytest.mark.parametrize("seed", range(0, CONFIGURATIONS, 2))
async def test_calm_hour_has_the_planned_requests(
    seed: int, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(random.Random(seed), tmp_path)
    system = System(rows, FakeClock())

    async with running(system, settings, tmp_path, monkeypatch) as daemon:
        await daemon.until(HOUR + POLLED_BY_THEN)
        assert not daemon.report.recent_errors
        await assert_as_planned(
            daemon, system, HOUR + POLLED_BY_THEN, hours_to_count(daemon, settings)
        )
        assert not daemon.report.recent_errors

    assert system.most_in_an_hour <= settings.api.requests_per_hour


@pytest.mark.parametrize("seed", range(1, CONFIGURATIONS, 2))
async def test_no_hour_has_too_many_requests_whatever_fails_and_restarts(
    seed: int, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    settings = settings_for(rng, tmp_path)
    clock = FakeClock()
    system = System(rows, clock, random_faults(rng))
    reloaded = settings.model_copy(update={"api": settings.api.model_copy(
        update={"timeout_seconds": 29.0})})  # fmt: skip

    for _ in range(rng.randint(1, 4)):  # restarts, each after a reload
        async with running(system, settings, tmp_path, monkeypatch) as daemon:
            await daemon.until(clock.elapsed + rng.uniform(100, 700))
            await daemon.apply(reloaded)
            await daemon.until(clock.elapsed + rng.uniform(0, 100))
    started = clock.elapsed
    async with running(system, settings, tmp_path, monkeypatch) as daemon:
        calm = max(started, HOUR) + HOUR + POLLED_BY_THEN
        await daemon.until(calm)
        await assert_as_planned(daemon, system, calm, hours_to_count(daemon, settings))

    assert system.most_in_an_hour <= settings.api.requests_per_hour
    assert system.too_early == 0


async def test_page_size_of_1000_costs_what_one_request_a_table_costs(
    rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    per_hour = []
    for page_rows in (0, 1000):
        system = System(rows, FakeClock())
        settings = simple_settings(tmp_path / str(page_rows), page_rows=page_rows)
        async with running(system, settings, tmp_path / str(page_rows), monkeypatch) as daemon:
            await daemon.until(POLLED_BY_THEN)
            await daemon.until(POLLED_BY_THEN + HOUR)
            assert system.sent(POLLED_BY_THEN, POLLED_BY_THEN + HOUR) == daemon.planned(
                POLLED_BY_THEN, POLLED_BY_THEN + HOUR
            )
            per_hour.append(daemon.report.requests_per_hour)

    whole, paged = per_hour
    assert whole == 775
    assert 0.97 * whole < paged <= whole  # a start page by page costs twice as much


def simple_settings(directory: Path, *, recovery: str = "off", **api: float) -> Settings:
    return Settings.model_validate(
        {
            "systems": [{"url": URL, **CREDENTIALS}],
            "api": api,
            "recovery": {"mode": recovery, "directory": directory},
        }
    )


@pytest.mark.parametrize("tables", [("machine_nics",), ("machine_nics", "machine_drives")])
async def test_table_that_grows_over_a_page_is_planned_again(
    tables: tuple[str, ...], rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown = dict(rows)
    for table in tables:
        grown[table] = with_rows(rows[table], 1000 - 1)
    system, settings = System(grown, FakeClock()), simple_settings(tmp_path, page_rows=1000)

    async with running(system, settings, tmp_path, monkeypatch) as daemon:
        await daemon.until(HOUR / 2)
        before = daemon.report.requests_per_hour
        for table in tables:
            grown[table] = with_rows(rows[table], 2100)
        await daemon.until(HOUR + POLLED_BY_THEN)

        planned = daemon.report.requests_per_hour
        intervals = {one.table: one.every_seconds for one in daemon.report.tables}
        await assert_as_planned(daemon, system, HOUR + POLLED_BY_THEN, 1)

    assert 0.97 * before < planned <= 850
    assert intervals["vms"] == intervals["machine_status"] == 20
    assert intervals["machine_devices"] > 900  # the least important yield
    assert system.most_in_an_hour <= 1000


def with_rows(rows: list[dict[str, object]], number: int) -> list[dict[str, object]]:
    """Return *number* rows like *rows*."""
    copies = rows * ceil(number / len(rows))
    return [{**row, "$key": key} for key, row in enumerate(copies[:number], 1)]


async def test_recovery_reads_both_logs_as_planned_and_takes_nothing_from_polling(
    rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, settings = System(rows, FakeClock()), simple_settings(tmp_path, recovery="shadow")

    async with running(system, settings, tmp_path, monkeypatch) as daemon:
        await daemon.until(POLLED_BY_THEN)
        planned, remaining = daemon.report.requests_per_hour, daemon.report.requests_remaining
        await assert_as_planned(daemon, system, POLLED_BY_THEN, 1)

        polled = planned - 60  # both logs every other minute, which the reserve pays for
        at_start = 850 - remaining
        assert 10 < at_start < 60
        assert 850 - polled - at_start <= daemon.report.requests_remaining <= 850 - polled
        assert not daemon.report.recent_errors


async def test_restarts_do_not_give_the_hour_back(
    rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    system, settings = System(rows, clock), simple_settings(tmp_path)

    for _ in range(100):
        async with running(system, settings, tmp_path, monkeypatch) as daemon:
            await daemon.until(clock.elapsed + 30)

    assert 840 <= system.most_in_an_hour <= 850


async def test_wait_that_the_system_asked_for_survives_a_restart_and_a_reload(
    rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    system = System(rows, clock, [Fault(100, 1, 429, "600"), Fault(101, 1000, 429, "600")])
    settings = simple_settings(tmp_path, recovery="shadow")

    async with running(system, settings, tmp_path, monkeypatch) as daemon:
        await daemon.until(130)
        await daemon.apply(simple_settings(tmp_path, recovery="shadow", timeout_seconds=29))
        await daemon.until(200)
        assert "asked to wait" in daemon.report.throttled
        assert not daemon.report.up
        recovery = daemon.report.recovery
        assert recovery is not None
        assert not recovery.ready
    async with running(system, settings, tmp_path, monkeypatch) as daemon:
        await daemon.until(600)
        assert "asked to wait" in daemon.report.throttled

    assert system.sent(99, 690) == 1
    assert system.too_early == 0


def paged_settings(directory: Path, **changes: object) -> Settings:
    """Return settings with which each of several tables needs two requests or more."""
    return Settings.model_validate(
        {
            "systems": [{"url": URL, **CREDENTIALS}],
            "recovery": {"directory": directory},
            "api": {"page_rows": 7, "requests_per_hour": 4000, **changes},
        }
    )


@pytest.mark.parametrize(
    "change",
    [
        {"poll": {"frozen_status": "withdraw"}},
        {"collectors": {"guests": False}},
        {"systems": [{"url": URL, **PASSWORD}]},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_reload_forgets_no_page_that_is_known(
    change: dict[str, object], rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = System(rows, FakeClock())
    settings = paged_settings(tmp_path)
    changed = Settings.model_validate({**settings.model_dump(exclude_unset=True), **change})
    sums = []
    for already in (False, True):
        clock = system.clock
        async with running(
            system, changed if already else settings, tmp_path / str(already), monkeypatch
        ) as daemon:
            begin = clock.elapsed
            await daemon.until(begin + HOUR / 2 + POLLED_BY_THEN)
            await daemon.apply(changed)
            await daemon.until(clock.elapsed + 5)
            sums.append(daemon.report.requests_per_hour)

    assert sums[0] == sums[1]


async def test_smaller_limit_stretches_what_the_tables_need_and_not_what_was_assumed(
    rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, less = System(rows, FakeClock()), paged_settings(tmp_path, requests_per_hour=1400)
    before = paged_settings(tmp_path)
    assert resolve_systems(before)[0].schedules == resolve_systems(less)[0].schedules

    async with running(system, before, tmp_path, monkeypatch) as daemon:
        await daemon.until(HOUR)
        assert daemon.report.requests_per_hour > 1400
        await daemon.apply(less)
        await daemon.until(HOUR + 60)
        of_recovery = 60  # both logs every other minute, which the reserve pays for
        assert daemon.report.requests_per_hour <= 1400 * 0.85 + of_recovery
