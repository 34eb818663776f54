"""Hours of the daemon in seconds: every part of it but the sockets, on a clock that jumps."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from math import floor
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, cast

import aiohttp
import msgspec
import pytest
from pydantic import SecretStr

from exporter import executor
from exporter.alerting.alerting import Alerting
from exporter.alerting.config import AlertmanagerSettings
from exporter.collectors.registry import FAMILIES
from exporter.config.settings import Settings, SystemSettings, TLSSettings
from exporter.config.systems import resolve_systems
from exporter.daemon import system_builder, systems
from exporter.daemon.clients import connect, make_session
from exporter.daemon.recovery_worker import JournalHandle
from exporter.daemon.systems import SystemManager
from exporter.exposition.cache import PageCache
from exporter.model import IDENTITY, SystemReport
from exporter.polling import poller
from exporter.polling.schedule import TableSchedule, requests_per_hour
from exporter.recovery.model.platform_log import LogTable
from exporter.recovery.model.ports import JournalStore
from exporter.simulator import Simulator, create_world
from exporter.telemetry import Telemetry
from exporter.vergeos.operations import Operations
from exporter.vergeos.source import VergeOSSource
from tests.bench.thinking import EmptyJournal
from tests.fakes import START, FakeClock, Inline

URL = "https://verge.example"
HOUR = 3600.0
VMS = 12
CREDENTIALS: Mapping[str, Any] = {"api_key": SecretStr("the-key")}
PASSWORD: Mapping[str, Any] = {"username": "ada", "password": SecretStr("the-password")}
KEY_FILTER = re.compile(r"\$key (ge|lt) (\d+)")

Rows = dict[str, list[dict[str, Any]]]
"""By endpoint, and ``snapshots`` for those of VMs."""


class Fault(NamedTuple):
    """What the system does for a while."""

    begins: float
    lasts: float
    status: int
    """0 if the connection breaks."""
    retry_after: str = ""

    def covers(self, at: float) -> bool:
        return self.begins <= at < self.begins + self.lasts


class System:
    """A VergeOS without sockets: an aiohttp session that answers at once."""

    def __init__(self, rows: Rows, clock: FakeClock, faults: Sequence[Fault] = ()) -> None:
        self.rows = rows
        self.faults = faults
        self.clock = clock
        self.asked: list[float] = []
        """When each request arrived."""
        self.too_early = 0
        """Requests within a wait that the system had asked for."""
        self._busy_until = -1.0

    def request(self, method: str, url: Any, **_: Any) -> "Reply":
        at = self.clock.elapsed
        self.asked.append(at)
        self.too_early += at < self._busy_until
        fault = next((one for one in self.faults if one.covers(at)), None)
        if fault is None:
            body = b"{}" if method == "DELETE" else self._body(url.path, url.query)
            return Reply(self.clock, method, 200, body)
        if fault.status == 0:
            raise aiohttp.ServerDisconnectedError
        if fault.retry_after:
            self._busy_until = max(self._busy_until, at + float(fault.retry_after))
            return Reply(self.clock, method, fault.status, b"{}", fault.retry_after)
        return Reply(self.clock, method, fault.status, b"{}")

    async def close(self) -> None:
        pass

    def sent(self, begin: float, end: float) -> int:
        return sum(begin < at <= end for at in self.asked)

    @property
    def most_in_an_hour(self) -> int:
        """Return the largest number of requests in any rolling hour."""
        most = first = 0
        for number, at in enumerate(self.asked, 1):
            while self.asked[first] <= at - HOUR:
                first += 1
            most = max(most, number - first)
        return most

    def _body(self, path: str, query: Mapping[str, str]) -> bytes:
        endpoint = path.rpartition("/")[2]
        if endpoint in ("tokens", "version.json"):
            return b'{"$key":"token","version":"26.1"}'
        where = query.get("filter", "")
        rows = self.rows["snapshots" if "is_snapshot eq true" in where else endpoint]
        if endpoint == "settings":
            return msgspec.json.encode(rows)
        for kind, key in KEY_FILTER.findall(where):
            rows = [row for row in rows if (row["$key"] < int(key)) == (kind == "lt")]
        if query.get("sort") == "-$key":
            rows = sorted(rows, key=lambda row: -row["$key"])
        if "limit" in query:
            rows = rows[: int(query["limit"])]
        now = self.clock.now().timestamp()
        if endpoint == "machine_status":
            rows = [{**row, "last_update": int(now)} for row in rows]
        return msgspec.json.encode(rows)


class Reply:
    """A response of `System`."""

    def __init__(
        self, clock: FakeClock, method: str, status: int, body: bytes, retry_after: str = ""
    ) -> None:
        self.method, self.status, self._body = method, status, body
        self.headers = {"Retry-After": retry_after} if retry_after else {}
        self.content = self
        self._clock = clock

    async def iter_chunked(self, _: int) -> AsyncIterator[bytes]:
        yield self._body

    async def __aenter__(self) -> Self:
        await self._clock.sleep(0.03)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        pass


def captured_rows() -> Rows:
    """Return the rows of a simulated system with `VMS` VMs."""
    return asyncio.run(_capture())


async def _capture() -> Rows:
    rows: Rows = {}
    clock = FakeClock(hurried=True)
    world = create_world(seed=1, vms=VMS, start=START.timestamp())
    async with (
        Simulator(world=world, clock=clock) as system,
        make_session(TLSSettings()) as session,
    ):
        settings = Settings(
            systems=(SystemSettings(url=system.url, api_key=SecretStr(system.api_key)),)
        )
        resolved = resolve_systems(settings)[0]
        client = connect(resolved, session, Telemetry().meter("system"), clock)
        original = client.read

        async def read(path: str, query: Mapping[str, str], **options: Any) -> bytes:
            body = await original(path, query, **options)
            is_snapshots = "is_snapshot eq true" in query.get("filter", "")
            name = "snapshots" if is_snapshots else path.rpartition("/")[2]
            if name != "version.json":
                rows[name] = msgspec.json.decode(body)
            return body

        client.read = read  # type: ignore[method-assign]
        source = VergeOSSource(client, resolved.tables)
        for table in (IDENTITY, *(table.name for table in resolved.tables)):
            await source.read(table)
        for log in LogTable:
            await Operations(client, None, clock).log_rows(log, 0, 50)
    return rows


class NoPages:
    """Renders nothing."""

    recovery: Any = None
    examined: Sequence[Any] = ()

    def __init__(self, *_: Any, also: Any, history: Any) -> None:
        pass

    def __call__(self, *_: Any) -> None:
        pass

    use = retire = __call__


class Journals:
    """Journals that remember nothing, in a state directory that does."""

    journal = None
    is_shared = False

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    async def store(self, _: str) -> JournalStore:
        return EmptyJournal()


class Daemon:
    """The systems of a daemon that monitors *system*."""

    def __init__(
        self,
        system: System,
        directory: Path,
        tasks: asyncio.TaskGroup,
        journals: Journals | None = None,
    ) -> None:
        clock, telemetry, journals = system.clock, Telemetry(), journals or Journals(directory)
        self._clock = clock
        self.manager = SystemManager(
            tasks,
            PageCache(FAMILIES, lambda form: b""),
            telemetry,
            clock,
            cast(JournalHandle, journals),
            Alerting(AlertmanagerSettings(), directory, clock, telemetry.alertmanager_meter()),
        )

    async def apply(self, settings: Settings) -> None:
        await self.manager.apply(resolve_systems(settings))

    @property
    def report(self) -> SystemReport:
        return self.manager.reports()[0]

    def planned(self, begin: float, end: float) -> float:
        """Return the requests of the plan from *begin* to *end*, where each table has its grid."""
        (watched,) = self.manager._watched
        poller, ahead = watched.poller, self._clock.monotonic() - self._clock.elapsed
        schedules = poller.tables.schedules.values()
        began, ended = (at + ahead - poller._began for at in (begin, end))
        polls = sum(one.requests * (_polls(one, ended) - _polls(one, began)) for one in schedules)
        return polls + requests_per_hour(poller.besides()) * (end - begin) / HOUR

    async def until(self, time: float) -> None:
        """Let time pass, from one sleeper that is due to the next."""
        clock = self._clock
        await _settle()
        while due := [one for one in clock.sleepers if one[0] <= time]:
            first = moment, woken = min(due, key=lambda one: one[0])
            clock.sleepers.remove(first)
            # Time never stands still: a sleep shorter than its rounding would be repeated for ever.
            clock.elapsed = max(clock.elapsed + 1e-9, moment)
            if not woken.done():
                woken.set_result(None)
            await _settle()
        clock.elapsed = time

    async def stop(self) -> None:
        await self.manager.stop()

    def kill(self) -> None:
        """End it at once; nothing is saved."""
        for watched in self.manager._watched:
            for task in watched.tasks:
                task.cancel()


def _polls(schedule: TableSchedule, seconds: float) -> int:
    """Return the number of polls within so many seconds since the start."""
    return floor((seconds - schedule.phase_seconds) / schedule.every_seconds)


async def _settle() -> None:
    """Return when every task waits for the clock."""
    loop = asyncio.get_running_loop()
    for _ in range(100_000):
        await asyncio.sleep(0)  # noqa: TID251 - a turn for the others
        if not loop._ready:  # type: ignore[attr-defined]
            return
    raise AssertionError("the daemon is busy although no time passes")


def replace_sockets(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let daemons in this process monitor *system*, without threads, pages and sockets."""
    monkeypatch.setattr(executor, "workers", Inline())
    monkeypatch.setattr(poller, "EXPIRY_CHECK_SECONDS", 60.0)
    monkeypatch.setattr(system_builder, "PagePublisher", NoPages)
    monkeypatch.setattr(systems, "make_sessions", lambda *_: (system,) * 3)


@asynccontextmanager
async def running(
    system: System, settings: Settings, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Daemon]:
    """Run a daemon that monitors *system*."""
    replace_sockets(system, monkeypatch)
    async with asyncio.TaskGroup() as tasks:
        daemon = Daemon(system, directory, tasks)
        await daemon.apply(settings)
        try:
            yield daemon
        finally:
            await daemon.stop()


def random_settings(rng: random.Random, directory: Path, **changes: Any) -> Settings:
    """Return settings as an operator may choose them; those that do not fit are refused later."""
    recovery = rng.random() < 0.5
    switchable = ["disks", "nics", "guests", "machine_devices", "cluster_tiers", "update_settings"]
    poll: dict[str, Any] = {
        "fast_seconds": rng.choice([15, 20, 25, 30, 45, 60]),
        "slow_seconds": rng.choice([60, 90, 120, 300]),
        "inventory_seconds": rng.choice([300, 450, 600]),
        "rare_seconds": rng.choice([900, 1800]),
        "identity_seconds": rng.choice([1800, 3600]),
    }
    if rng.random() < 0.3:
        poll["tables"] = {"machine_stats": rng.choice([30, 40, 50, 75])}
    api = {
        "requests_per_hour": rng.choice([500, 700, 1000, 1000, 2000]),
        "reserve": rng.choice([0, 0.1, 0.15, 0.3]),
        "page_rows": rng.choice([0, 0, 1000, 1000, 25, 12, 7]),
    }
    credentials = rng.choice([CREDENTIALS, PASSWORD])
    return Settings.model_validate(
        {
            "systems": [{"url": URL, **credentials}],
            "poll": poll,
            "api": api,
            "collectors": {} if recovery else {
                name: False for name in switchable if rng.random() < 0.3
            },
            "recovery": {"mode": "shadow" if recovery else "off", "directory": directory},
            **changes,
        }
    )  # fmt: skip
