"""The streams of open pages: what they send, what ends them, and what they cost."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from exporter.model import Inventory, SystemState
from exporter.web import connections
from exporter.web.console import live
from exporter.web.console.live import KEEPALIVE, KEEPALIVE_SECONDS, POLL
from exporter.web.delivery import SHUTDOWN_SECONDS
from exporter.web.ports import Refusal
from tests.fakes import FakeClock
from tests.web.console_site import Site, console_site
from tests.web.samples import system
from tests.web.site import StubOverview

DAY_SECONDS = 86_400.0
PLAIN = {"Accept-Encoding": "identity"}
GET = b"GET /events HTTP/1.1\r\nHost: test\r\n\r\n"


class Polls(StubOverview):
    """One system, whose inventory a test replaces."""

    def __init__(self) -> None:
        super().__init__(system())
        self.inventory: Inventory | None = None

    def poll(self) -> None:
        self.inventory = object()  # type: ignore[assignment]

    def states(self) -> Sequence[SystemState]:
        return [SystemState(self.inventory, report) for report in self.reports()]


class Page:
    """An open page: what its stream has received."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.received = b""

    async def read(self, *, until: bytes) -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.readuntil(until)

    async def ends(self) -> bool:
        async with asyncio.timeout(5):
            with suppress(ConnectionError):
                await self.reader.read()
            return True


@asynccontextmanager
async def pages(site: Site, count: int, *, client: str = "127.0.0.1") -> AsyncIterator[list[Page]]:
    port = int(site.url.rpartition(":")[2])
    opened: list[Page] = []
    try:
        for _ in range(count):
            page = Page(*await asyncio.open_connection("127.0.0.1", port, local_addr=(client, 0)))
            opened.append(page)
            page.writer.write(GET)
        yield opened
    finally:
        for page in opened:
            page.writer.transport.abort()


@pytest.fixture
def slow() -> FakeClock:
    return FakeClock()


async def test_each_poll_is_an_event_and_silence_a_comment(slow: FakeClock) -> None:
    polls = Polls()
    async with console_site(slow, overview=polls) as site, pages(site, 1) as (page,):
        head = await page.read(until=b"retry: 5000\n\n")
        assert b"Content-Type: text/event-stream" in head
        assert b"Cache-Control: no-store" in head

        polls.poll()
        await slow.pass_by(1)
        assert POLL in await page.read(until=POLL)

        await slow.pass_by(KEEPALIVE_SECONDS)
        assert KEEPALIVE in await page.read(until=KEEPALIVE)


async def test_polls_that_a_slow_client_missed_are_one_event(slow: FakeClock) -> None:
    polls = Polls()
    async with console_site(slow, overview=polls) as site, pages(site, 1) as (page,):
        await page.read(until=b"retry: 5000\n\n")
        for _ in range(3):
            polls.poll()
            await slow.pass_by(1)

        await slow.pass_by(KEEPALIVE_SECONDS)
        received = await page.read(until=KEEPALIVE)

        assert 1 <= received.count(POLL) <= 3


async def test_nothing_looks_for_news_while_no_page_is_open(slow: FakeClock) -> None:
    async with console_site(slow, overview=Polls()) as site:
        async with pages(site, 2) as opened:
            for page in opened:
                await page.read(until=b"retry: 5000\n\n")
            assert len(slow.sleepers) == 1  # one for both pages
        async with asyncio.timeout(5):
            while any(not sleeper.done() for _, sleeper in slow.sleepers):
                await slow.pass_by(1)
                await asyncio.sleep(0.01)  # noqa: TID251 - until the server sees the end


async def test_page_left_open_for_a_day_costs_nothing(
    slow: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "EVERY_SECONDS", 60.0)  # as often as there is news
    polls = Polls()
    async with console_site(slow, overview=polls) as site, pages(site, 1) as (page,):
        await page.read(until=b"retry: 5000\n\n")

        async def an_hour() -> None:
            for _ in range(60):
                polls.poll()
                await slow.pass_by(60)
                await page.read(until=POLL)

        await an_hour()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(23):
                await an_hour()
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()

    assert slow.elapsed >= DAY_SECONDS
    assert grown < 20_000  # bytes, of 1,380 events


async def test_client_that_does_not_read_is_dropped(
    slow: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "STALL_SECONDS", 0.1)
    monkeypatch.setattr(live, "POLL", b"event: poll\ndata: " + b"x" * 200_000 + b"\n\n")
    polls = Polls()
    async with console_site(slow, overview=polls) as site, pages(site, 1) as (page,):
        page.writer.transport.pause_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(10):
            while not page.writer.transport.is_closing():
                polls.poll()
                await slow.pass_by(1)
                await asyncio.sleep(0.02)  # noqa: TID251 - until the server gives up
                page.writer.write(b"x")


async def test_place_of_a_page_that_was_closed_is_free_within_a_second(
    slow: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MAX_STREAMS", 1)
    async with console_site(slow, overview=Polls()) as site:
        async with pages(site, 1) as (page,):
            await page.read(until=b"retry: 5000\n\n")
            async with site.browser() as other:
                assert (await other.get("/events")).status == 503
        assert site.refused == [Refusal.STREAMS]
        await asyncio.sleep(0.1)  # noqa: TID251 - until the server sees the end
        await slow.pass_by(1)
        async with pages(site, 1) as (page,):
            assert b"200 OK" in await page.read(until=b"retry: 5000\n\n")


async def test_streams_make_room_for_scrapes_and_commands(
    slow: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 8)
    async with (
        console_site(slow, overview=Polls()) as site,
        pages(site, 8, client="127.0.0.2") as some,
        pages(site, 4, client="127.0.0.3"),
    ):
        await some[-1].read(until=b"retry: 5000\n\n")
        for _ in range(5):
            async with site.browser() as prometheus, site.browser() as operator:
                assert (await prometheus.get("/metrics", **PLAIN)).status == 200
                assert (await operator.log_in()).status == 303


async def test_shutdown_ends_streams_at_once(slow: FakeClock) -> None:
    async with console_site(slow, overview=Polls()) as site, pages(site, 20) as opened:
        for page in opened:
            await page.read(until=b"retry: 5000\n\n")
        began = asyncio.get_running_loop().time()
        closing = asyncio.ensure_future(site.close())

        assert all(await asyncio.gather(*(page.ends() for page in opened)))
        await closing
        assert asyncio.get_running_loop().time() - began < SHUTDOWN_SECONDS + 0.3
