"""The client on real sockets: requests, retries and the result of each response."""

import asyncio
import base64
import gc
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import SecretStr

from exporter.config.settings import TLSSettings
from exporter.daemon.clients import make_session
from exporter.errors import (
    BadReplyError,
    BudgetSpentError,
    ConfigError,
    ForbiddenError,
    UnauthorizedError,
    UnreachableError,
    VergeOSError,
)
from exporter.vergeos.budget import RequestBudget
from exporter.vergeos.client import VergeOSClient
from exporter.vergeos.credentials import Credentials
from exporter.vergeos.transport import Limits, Transport
from tests.fakes import FakeClock
from tests.vergeos.scripted import (
    Answer,
    Scripted,
    reset_connection,
    respond,
    serving,
    truncated_body,
)

KEY = Credentials(api_key=SecretStr("the-key"))
USER = Credentials(username="ada", password=SecretStr("the-password"))
TOKEN = respond(b'{"location":"/sys/tokens/t1","dbpath":"tokens/t1","$row":1,"$key":"t1"}', 201)
PATH = "/api/v4/vms"
UNSPACED = Limits(spacing_seconds=0)


@dataclass
class Meter:
    """Records what the client measures."""

    system_name: str = "system"
    requests: list[tuple[str, str]] = field(default_factory=list)
    retries: list[str] = field(default_factory=list)

    def request(self, endpoint: str, outcome: str, seconds: float) -> None:
        self.requests.append((endpoint, outcome))

    def retry(self, endpoint: str) -> None:
        self.retries.append(endpoint)

    def fields_skipped(self, table: str, field: str, count: int) -> None:
        raise AssertionError("the client decodes no rows")


@dataclass
class Line:
    """A client and the server it talks to."""

    client: VergeOSClient
    server: Scripted
    clock: FakeClock
    meter: Meter
    credentials: list[Credentials]
    """Holds the current ones; tests replace them."""

    async def read(self, **query: str) -> bytes:
        return await self.client.read(PATH, query, endpoint="vms")


Connect = Callable[..., Any]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    async with AsyncExitStack() as stack:

        async def make(
            *answers: Answer,
            credentials: Credentials = KEY,
            use_token: bool = True,
            per_hour: int = 1000,
            limits: Limits = Limits(),  # noqa: B008
        ) -> Line:
            server = await stack.enter_async_context(serving(*answers))
            session = await stack.enter_async_context(make_session(TLSSettings()))
            clock, meter, current = FakeClock(hurried=True), Meter(), [credentials]
            transport = Transport(
                session,
                server.url,
                budget=RequestBudget(per_hour, reserve=0),
                clock=clock,
                meter=meter,
                limits=limits,
            )
            client = VergeOSClient(transport, lambda: current[0], use_token=use_token)
            return Line(client, server, clock, meter, current)

        yield make


async def test_api_key_is_sent_as_bearer(connect: Connect) -> None:
    line = await connect(respond(b"[1]"))

    body = await line.read()

    assert body == b"[1]"
    assert line.server.asked[0].headers["Authorization"] == "Bearer the-key"
    assert line.meter.requests == [("vms", "ok")]


async def test_password_without_token_is_sent_as_basic(connect: Connect) -> None:
    line = await connect(respond(), credentials=USER, use_token=False)

    await line.read()

    expected = base64.b64encode(b"ada:the-password").decode()
    assert line.server.asked[0].headers["Authorization"] == f"Basic {expected}"


@pytest.mark.parametrize("value", [b'"\\ud800"', b"NaN", b'"\xff"', b"[[]]", b'"\x01"'], ids=repr)
async def test_strange_field_of_a_login_or_an_error_costs_only_itself(
    connect: Connect, value: bytes
) -> None:
    login = respond(b'{"location":%s,"$key":"t1"}' % value, 201)
    error = respond(b'{"code":%s,"err":"No permission"}' % value, 403)
    line = await connect(login, respond(), error, credentials=USER)

    await line.read()
    with pytest.raises(ForbiddenError, match="No permission"):
        await line.read()


async def test_login_once_and_reuse_of_the_token(connect: Connect) -> None:
    line = await connect(TOKEN, respond(), credentials=USER)

    await line.read()
    await line.read()

    login, *reads = line.server.asked
    assert (login.method, login.path) == ("POST", "/api/sys/tokens")
    assert json.loads(line.server.bodies[0]) == {"login": "ada", "password": "the-password"}
    assert [read.headers["x-yottabyte-token"] for read in reads] == ["t1", "t1"]
    assert all("Authorization" not in read.headers for read in reads)


async def test_close_deletes_the_token(connect: Connect) -> None:
    line = await connect(TOKEN, respond(), credentials=USER)
    await line.read()

    await line.client.close()

    last = line.server.asked[-1]
    assert (last.method, last.path) == ("DELETE", "/api/sys/tokens/t1")
    assert last.headers["x-yottabyte-token"] == "t1"


async def test_close_with_an_api_key_sends_nothing(connect: Connect) -> None:
    line = await connect(respond())
    await line.read()

    await line.client.close()

    assert len(line.server.asked) == 1


async def test_ended_session_is_replaced_once(connect: Connect) -> None:
    ended = respond(b'{"err":"Login required"}', 401)
    line = await connect(TOKEN, respond(), ended, TOKEN, respond(b"[2]"), credentials=USER)
    await line.read()

    body = await line.read()

    assert body == b"[2]"
    assert [request.method for request in line.server.asked] == [
        "POST",
        "GET",
        "GET",
        "POST",
        "GET",
    ]


async def test_wrong_password_is_sent_once(connect: Connect) -> None:
    line = await connect(respond(b'{"err":"Login required"}', 401), credentials=USER)

    for _ in range(5):
        with pytest.raises(UnauthorizedError):
            await line.read()

    assert len(line.server.asked) == 1


async def test_refused_key_is_not_sent_again_for_half_an_hour(connect: Connect) -> None:
    line = await connect(respond(b'{"err":"Login required"}', 401))
    with pytest.raises(UnauthorizedError, match="Login required"):
        await line.read()

    line.clock.elapsed += 1799
    with pytest.raises(UnauthorizedError, match="not asking again for 1 s or until the secret"):
        await line.read()
    assert len(line.server.asked) == 1

    line.clock.elapsed += 1
    with pytest.raises(UnauthorizedError):
        await line.read()
    assert len(line.server.asked) == 2


async def test_changed_key_is_sent_at_once(connect: Connect) -> None:
    line = await connect(respond(status=401), respond(b"[3]"))
    with pytest.raises(UnauthorizedError):
        await line.read()

    line.credentials[0] = Credentials(api_key=SecretStr("the-new-key"))

    assert await line.read() == b"[3]"
    assert line.server.asked[-1].headers["Authorization"] == "Bearer the-new-key"


async def test_unreadable_secret_is_unauthorized_without_a_request(
    connect: Connect,
) -> None:
    line = await connect(respond())

    def unreadable() -> Credentials:
        raise ConfigError("the secret in /run/key cannot be read: No such file or directory")

    line.client._credentials = unreadable

    with pytest.raises(UnauthorizedError, match="/run/key"):
        await line.read()
    assert line.server.asked == []


async def test_query_is_percent_encoded(connect: Connect) -> None:
    line = await connect(respond())

    await line.read(fields="$key,machine#status#running as up", filter="name eq 'a&b'")

    asked = line.server.asked[0]
    assert asked.query == {
        "fields": "$key,machine#status#running as up",
        "filter": "name eq 'a&b'",
    }
    assert "%23" in asked.raw_path
    assert "+" not in asked.raw_path


@pytest.mark.parametrize("status", [502, 503])
async def test_read_is_retried_when_the_server_is_busy(connect: Connect, status: int) -> None:
    line = await connect(respond(status=status), respond(status=status), respond(b"[4]"))

    assert await line.read() == b"[4]"
    assert line.meter.retries == ["vms", "vms"]
    assert line.meter.requests == [("vms", "bad_reply"), ("vms", "bad_reply"), ("vms", "ok")]


@pytest.mark.parametrize("failure", [reset_connection, truncated_body])
async def test_read_is_retried_when_the_connection_breaks(
    connect: Connect, failure: Answer
) -> None:
    line = await connect(failure, respond(b"[5]"))

    assert await line.read() == b"[5]"
    assert line.meter.requests == [("vms", "unreachable"), ("vms", "ok")]


async def test_read_waits_longer_before_the_second_retry(connect: Connect) -> None:
    line = await connect(respond(status=503), respond(status=503), respond(), limits=UNSPACED)

    await line.read()

    assert 0.2 + 0.4 <= line.clock.elapsed <= 0.5 + 0.7


async def test_read_that_succeeds_leaves_no_reference_cycles(connect: Connect) -> None:
    line = await connect(respond())
    await line.read()
    gc.collect()

    for _ in range(10):
        await line.read()

    assert gc.collect() == 0


async def test_read_fails_after_three_attempts(connect: Connect) -> None:
    line = await connect(reset_connection)

    with pytest.raises(UnreachableError, match=r"/api/v4/vms: .*connection"):
        await line.read()

    assert len(line.server.asked) == 3


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, BadReplyError),
        (403, ForbiddenError),
        (404, BadReplyError),
        (422, BadReplyError),
        (500, BadReplyError),
    ],
)
async def test_permanent_error_is_not_retried(
    connect: Connect, status: int, error: type[Exception]
) -> None:
    line = await connect(respond(b'{"err":"Invalid argument\\n"}', status))

    with pytest.raises(error, match=rf"/api/v4/vms answered {status} \(Invalid argument\)"):
        await line.read()

    assert len(line.server.asked) == 1


async def test_redirect_is_not_followed(connect: Connect) -> None:
    line = await connect(respond(status=302, Location="https://elsewhere.example/login"))

    with pytest.raises(BadReplyError, match=r"redirects to https://elsewhere\.example/login"):
        await line.read()


async def test_body_over_the_limit_is_an_error(connect: Connect) -> None:
    line = await connect(respond(b"[" + b"1," * 5000 + b"1]"), limits=Limits(max_body_bytes=10_000))

    with pytest.raises(BadReplyError, match="sent more than 10000 bytes"):
        await line.read()


async def test_read_ends_at_its_timeout(connect: Connect) -> None:
    line = await connect(hangs_for_ever, limits=Limits(timeout_seconds=0.05))

    with pytest.raises(UnreachableError, match=r"did not answer within 0\.05 s"):
        await line.read()

    assert line.meter.requests == [("vms", "abandoned")]


async def test_requests_are_spaced(connect: Connect) -> None:
    line = await connect(respond())

    await asyncio.gather(*(line.read() for _ in range(5)))

    assert line.clock.elapsed == pytest.approx(4 * 0.05)


async def test_spent_budget_sends_nothing(connect: Connect) -> None:
    line = await connect(respond(), per_hour=2)
    await line.read()
    await line.read()

    with pytest.raises(BudgetSpentError, match="the next request is possible in 3600 s"):
        await line.read()

    assert len(line.server.asked) == 2


async def test_retries_count_against_the_budget(connect: Connect) -> None:
    line = await connect(reset_connection, per_hour=2)

    with pytest.raises(BudgetSpentError):
        await line.read()

    assert len(line.server.asked) == 2


async def test_unreachable_host_is_named(connect: Connect) -> None:
    line = await connect(respond())
    line.client._transport.base_url = "http://127.0.0.1:1"

    with pytest.raises(UnreachableError, match=r"cannot connect to 127\.0\.0\.1:1"):
        await line.read()


async def test_unresolvable_name_is_named(connect: Connect) -> None:
    line = await connect(respond())
    line.client._transport.base_url = "http://verge.invalid"

    with pytest.raises(UnreachableError, match=r"verge\.invalid"):
        await line.read()


@pytest.mark.parametrize("answer", [b"", b"{}", b"<html>", b'{"$key":7}', b'{"$key":""}'])
async def test_a_login_without_a_token_is_a_bad_reply(connect: Connect, answer: bytes) -> None:
    line = await connect(respond(answer, 201), credentials=USER)

    with pytest.raises(BadReplyError, match="gave no session token"):
        await line.read()


@pytest.mark.parametrize(
    "answer",
    [
        respond(status=401),
        respond(status=500),
        reset_connection,
        truncated_body,
        respond(status=302, Location="/"),
    ],
)
async def test_no_error_shows_a_secret(connect: Connect, answer: Answer) -> None:
    for credentials in (KEY, USER):
        line = await connect(answer, credentials=credentials, use_token=False)

        with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
            await line.read()

        chain = [caught.value, caught.value.__cause__, caught.value.__context__]
        text = " ".join(f"{error!r} {error}" for error in chain)
        assert "the-key" not in text
        assert "the-password" not in text
        assert base64.b64encode(b"ada:the-password").decode() not in text


@pytest.mark.parametrize(
    "body", [b'{"err":"\xff\xfe"}', b'{"err":' + b"[" * 100_000, b"\xff", b'{"err":7}']
)
@pytest.mark.parametrize("status", [401, 403, 500])
async def test_undecodable_error_body_is_a_vergeos_error(
    connect: Connect, status: int, body: bytes
) -> None:
    line = await connect(respond(body, status))

    with pytest.raises(VergeOSError, match=f"answered {status}"):
        await line.read()


@pytest.mark.parametrize(
    "token", ["a\\r\\nX", "a\\u0000b", "..", "a/b", "x" * 600, "\\u00e4"], ids=ascii
)
async def test_unsafe_token_is_refused(connect: Connect, token: str) -> None:
    line = await connect(respond(f'{{"$key":"{token}"}}'.encode(), 201), credentials=USER)

    with pytest.raises(BadReplyError, match="gave no session token"):
        await line.read()


async def test_undecodable_login_is_a_bad_reply(connect: Connect) -> None:
    line = await connect(respond(b'{"$key":' + b"[" * 100_000, 201), credentials=USER)

    with pytest.raises(BadReplyError, match="gave no session token"):
        await line.read()


async def test_error_text_is_printable(connect: Connect) -> None:
    line = await connect(respond(b'{"err":"\\u001b[31mred\\ud83d"}', 500))
    other = await connect(respond(b'{"err":"\\u001b[31mred"}', 500))

    for each in (line, other):
        with pytest.raises(BadReplyError) as caught:
            await each.read()
        assert str(caught.value).isprintable()


async def test_login_is_not_retried(connect: Connect) -> None:
    line = await connect(respond(status=503), credentials=USER)

    with pytest.raises(BadReplyError):
        await line.read()

    assert [request.method for request in line.server.asked] == ["POST"]


async def test_error_that_contains_the_key_is_redacted(connect: Connect) -> None:
    line = await connect(respond(b'{"err":"the key the-key is wrong"}', 401))

    with pytest.raises(UnauthorizedError) as caught:
        await line.read()

    assert "the-key" not in str(caught.value)
    assert "***" in str(caught.value)


async def test_error_that_contains_the_password_is_redacted(connect: Connect) -> None:
    line = await connect(respond(b'{"err":"the-password is wrong"}', 401), credentials=USER)

    with pytest.raises(UnauthorizedError, match=r"\(\*\*\* is wrong\)"):
        await line.read()


async def test_refusal_and_budget_survive_a_reload(connect: Connect) -> None:
    line = await connect(respond(status=401), per_hour=10)
    with pytest.raises(UnauthorizedError):
        await line.read()
    after = await connect(respond(), per_hour=10)

    after.client.carry_on(line.client)

    with pytest.raises(UnauthorizedError, match="not asking again"):
        await after.read()
    assert after.server.asked == []
    assert after.client.budget.left(at=0) == 9


async def test_invalid_url_is_unreachable(connect: Connect) -> None:
    line = await connect(respond())
    line.client._transport.base_url = "http://host:abc"

    with pytest.raises(UnreachableError, match="cannot be asked: check the URL"):
        await line.read()


async def test_logout_may_use_the_reserve(connect: Connect) -> None:
    line = await connect(TOKEN, respond(), credentials=USER, per_hour=10)
    line.client.budget.for_polling = 2
    await line.read()
    with pytest.raises(BudgetSpentError):
        await line.read()

    await line.client.close()

    assert line.server.asked[-1].method == "DELETE"


async def hangs_for_ever(request: Any) -> Any:
    await asyncio.Event().wait()
