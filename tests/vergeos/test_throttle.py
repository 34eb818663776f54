"""A system that asks to wait is left alone: by polling, by recovery and by logins."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from pydantic import SecretStr

from exporter.collectors.inventory import join
from exporter.config.settings import APISettings, PollSettings, SystemSettings, TLSSettings
from exporter.config.systems import ResolvedSystem
from exporter.console.health import reason_of
from exporter.daemon.clients import connect, make_session
from exporter.errors import BadReplyError, ThrottledError, VergeOSError
from exporter.model import IDENTITY
from exporter.polling.plan import Plan
from exporter.polling.poller import Poller
from exporter.polling.schedule import TableSchedule
from exporter.recovery.model.cases import Action, Reply
from exporter.recovery.model.platform_log import LogTable
from exporter.telemetry import Telemetry
from exporter.vergeos.client import VergeOSClient
from exporter.vergeos.operations import Operations
from exporter.vergeos.source import VergeOSSource
from exporter.vergeos.throttle import Throttle, retry_after_seconds
from tests.fakes import START, FakeClock
from tests.vergeos.scripted import Answer, Scripted, respond, serving

PATH = "/api/v4/vms"
KEY = {"api_key": SecretStr("the-key")}
PASSWORD = {"username": "ada", "password": SecretStr("the-password")}


def busy(retry_after: str | None = None, status: int = 429, **headers: str) -> Answer:
    if retry_after is not None:
        headers["Retry-After"] = retry_after
    return respond(b'{"err":"slow down"}', status, **headers)


class Line:
    """Clients of one scripted system, as the daemon has them."""

    def __init__(self, server: Scripted, session: Any, credentials: Any) -> None:
        self.clock = FakeClock(hurried=True)
        self.server = server
        self.settings = ResolvedSystem(
            SystemSettings(url=server.url, **credentials), PollSettings(), APISettings()
        )
        self._session = session
        self.client = self.connect()

    def connect(self, **options: Any) -> VergeOSClient:
        meter = Telemetry().meter("system")
        return connect(self.settings, self._session, meter, self.clock, **options)

    async def read(self) -> bytes:
        return await self.client.read(PATH, {}, endpoint="vms")

    async def seconds_until_the_next_request(self) -> float:
        """Read every second until a request is sent; return how long that took."""
        asked, began = len(self.server.asked), self.clock.elapsed
        while len(self.server.asked) == asked:
            self.clock.elapsed += 1
            with suppress(VergeOSError):
                await self.read()
        return self.clock.elapsed - began


@asynccontextmanager
async def line(*answers: Answer, credentials: Any = KEY) -> AsyncIterator[Line]:
    async with serving(*answers) as server, make_session(TLSSettings()) as session:
        yield Line(server, session, credentials)


def in_seconds(seconds: float) -> str:
    return format_datetime(START + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("600", 600),
        (" 7 ", 7),
        ("0", 0),
        ("31536000", 3600),  # a year
        ("9" * 5000, 3600),
        (in_seconds(90), 90),
        (in_seconds(-90), 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("\u0667", None),  # a digit, but not one of HTTP
        ("Thu, 99 Jan 2026 00:00:00 GMT", None),
        ("Thu, 01 Jan 2026 00:00:00", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_at_most_an_hour(
    value: str, seconds: float | None
) -> None:
    assert retry_after_seconds(value, "", START) == seconds


def test_date_is_relative_to_the_date_of_the_answer() -> None:
    ahead = START + timedelta(days=3)
    given = format_datetime(ahead + timedelta(seconds=60), usegmt=True)

    assert retry_after_seconds(given, format_datetime(ahead, usegmt=True), START) == 60


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (busy("600"), 600),
        (busy("600", 503), 600),
        (busy(in_seconds(120), Date=in_seconds(0)), 120),
        (busy("31536000"), 3600),
        (busy("-1"), 5),
        (busy("-1", 503), 5),
        (busy("soon"), 5),
        (busy("0"), 5),
        (busy(), 5),
    ],
)
async def test_wait_that_the_system_asks_for_is_kept(answer: Answer, seconds: int) -> None:
    async with line(answer, respond(b"[1]")) as here:
        with pytest.raises(ThrottledError):
            await here.read()

        assert await here.seconds_until_the_next_request() == pytest.approx(seconds, abs=1)
        assert len(here.server.asked) == 2
        assert await here.read() == b"[1]"


async def test_429_without_header_backs_off_exponentially_up_to_a_maximum() -> None:
    async with line(busy()) as here:
        with pytest.raises(ThrottledError):
            await here.read()
        waits = [await here.seconds_until_the_next_request() for _ in range(10)]

    assert waits == pytest.approx([5, 10, 20, 40, 80, 160, 320, 600, 600, 600], abs=1)


async def test_success_ends_the_backoff() -> None:
    async with line(busy(), busy(), respond(b"[1]"), busy()) as here:
        waits = [await here.seconds_until_the_next_request() for _ in range(4)]
        assert waits[1:] == pytest.approx([5, 10, 1], abs=1)

        assert await here.seconds_until_the_next_request() == pytest.approx(5, abs=1)


async def test_503_without_header_concerns_one_table_only() -> None:
    async with line(respond(status=503)) as here:
        with pytest.raises(BadReplyError):
            await here.read()
        with pytest.raises(BadReplyError):
            await here.read()

        assert len(here.server.asked) == 6


async def test_recovery_neither_reads_nor_acts_while_the_system_asks_to_wait() -> None:
    async with line(busy("600"), respond(b"[]")) as here:
        reader = here.connect(budget=here.client.budget)
        actor = here.connect(budget=here.client.budget, acts=True)
        operations = Operations(reader, actor, here.clock)
        with pytest.raises(ThrottledError):
            await here.read()

        with pytest.raises(ThrottledError, match="no request is sent for 600 s"):
            await operations.log_rows(LogTable.LOGS, 0, 1)
        with pytest.raises(ThrottledError):
            await operations.read_vm(1)
        answer = await operations.act(1, Action.POWER_ON, _allowed)

        assert answer.reply is Reply.NOT_SENT
        assert "answered 429 with Retry-After: 600" in answer.detail
        assert len(here.server.asked) == 1


async def test_action_is_not_sent_when_the_wait_begins_while_it_connects() -> None:
    async with line(busy("600"), respond(b"[]")) as here:
        actor = here.connect(budget=here.client.budget, acts=True)
        send = actor._transport.send

        async def send_late(*args: Any) -> Any:
            with pytest.raises(ThrottledError):
                await here.read()
            return await send(*args)

        actor._transport.send = send_late  # type: ignore[method-assign, assignment]

        answer = await Operations(actor, actor, here.clock).act(1, Action.POWER_ON, _allowed)

        assert answer.reply is Reply.NOT_SENT
        assert "VergeOS asked to wait" in answer.detail
        assert [request.method for request in here.server.asked] == ["GET"]


@pytest.mark.parametrize("status", [429, 503])
async def test_wait_that_recovery_was_asked_for_holds_polling(status: int) -> None:
    async with line(busy("600", status), respond(b"[]")) as here:
        reader = here.connect(budget=here.client.budget)
        with pytest.raises(ThrottledError):
            await Operations(reader, None, here.clock).log_rows(LogTable.LOGS, 0, 1)

        assert await here.seconds_until_the_next_request() == pytest.approx(600, abs=1)


async def test_login_that_is_refused_with_429_is_not_repeated() -> None:
    async with line(busy("600"), credentials=PASSWORD) as here:
        for _ in range(3):
            with pytest.raises(ThrottledError, match="/api/sys/tokens"):
                await here.read()

        assert len(here.server.asked) == 1


async def test_wait_survives_a_reload() -> None:
    async with line(busy("600"), respond(b"[]")) as here:
        with pytest.raises(ThrottledError):
            await here.read()
        former, here.client = here.client, here.connect()

        here.client.carry_on(former)

        assert await here.seconds_until_the_next_request() == pytest.approx(600, abs=1)


async def test_each_system_waits_alone() -> None:
    async with line(busy("600")) as here, line(respond(b"[2]")) as there:
        with pytest.raises(ThrottledError):
            await here.read()

        assert await there.read() == b"[2]"


def test_longer_wait_is_not_shortened_by_a_later_answer() -> None:
    throttle = Throttle()
    for seconds in ("600", "10"):
        throttle.asks_to_wait(PATH, 429, {"Retry-After": seconds}, at=0.0, now=START)

    wait = throttle.wait(at=0.0)
    assert wait is not None
    assert wait.until == 600
    assert throttle.wait(at=600.0) is None


async def test_poller_sends_one_request_in_ten_minutes_and_says_why() -> None:
    async with line(busy("600")) as here:
        source = VergeOSSource(here.client, [])
        tables = [TableSchedule(IDENTITY, 20, requests=2, essential=True)]
        poller = Poller(
            source,
            join,
            lambda inventory, report: None,
            Plan(tables, 3),
            name="system",
            url=here.server.url,
            clock=here.clock,
            rename=lambda name: name,
            requests_remaining=lambda: 0,
        )

        while here.clock.elapsed < 599:
            await poller.poll()
            here.clock.elapsed += 1

        assert len(here.server.asked) == 1
        assert "answered 429 with Retry-After: 600" in poller.report.throttled
        assert "VergeOS asked to wait" in reason_of(poller.report, here.clock.now())
        assert not poller.report.up
        here.server.answers[:] = [respond(b"[]"), respond(b"{}")]
        here.clock.elapsed = 601
        await poller.poll()
        assert len(here.server.asked) > 1
        assert not poller.report.throttled


async def _allowed() -> str:
    return ""
