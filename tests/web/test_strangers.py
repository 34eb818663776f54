"""What the server does to clients that mean no good, over real sockets."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from exporter.exposition.formats import Format
from exporter.exposition.page import Body
from exporter.web import connections, delivery, routes
from exporter.web.connections import CONNECTIONS
from exporter.web.ports import Refusal
from exporter.web.routes import make_app
from exporter.web.server import Listen, serving
from tests.web.conftest import Certificates, Serve
from tests.web.samples import HandClock
from tests.web.site import StubOverview, StubPages, StubReload, trusting_context
from tests.web.test_middleware import as_user, hashed

OTHER = "127.0.0.2"
"""A second client: an address of the loopback network."""
LARGE = {(Format.CLASSIC, False): b"x" * 20_000_000}
GET = b"GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n"

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Crowd:
    """Connections that are closed after the test."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.streams: list[Stream] = []

    async def connect(
        self, sent: bytes = b"", *, client: str = "127.0.0.1", tls: bool = False
    ) -> Stream:
        stream = await asyncio.open_connection(
            "127.0.0.1",
            self.port,
            local_addr=(client, 0),
            ssl=trusting_context() if tls else None,
        )
        self.streams.append(stream)
        stream[1].write(sent)
        return stream


@asynccontextmanager
async def crowding(port: int) -> AsyncIterator[Crowd]:
    crowd = Crowd(port)
    try:
        yield crowd
    finally:
        for _, writer in crowd.streams:
            writer.transport.abort()


async def answer(stream: Stream) -> bytes:
    """Return what the server sends until it closes the connection."""
    async with asyncio.timeout(5):
        try:
            return await stream[0].read()
        except ConnectionError:
            return b""


async def until_closed(streams: list[Stream]) -> int:
    """Return how many of *streams* the server closes within some time."""
    ended = await asyncio.gather(*map(answer, streams), return_exceptions=True)
    return sum(isinstance(each, bytes) for each in ended)


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(connections, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(connections, "EXPIRE_EVERY_SECONDS", 0.05)
    monkeypatch.setattr(delivery, "STALL_SECONDS", 0.3)


HALF_OPEN = {
    "nothing": b"",
    "half a request line": b"GET /met",
    "half a head": b"GET /metrics HTTP/1.1\r\nHost: test\r\nX-A: b",
    "empty lines": b"\r\n\r\n",
}


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("sent", HALF_OPEN.values(), ids=HALF_OPEN)
async def test_half_open_request_is_closed(serve: Serve, sent: bytes) -> None:
    server = await serve()
    async with crowding(server.port) as crowd:
        streams = [await crowd.connect(sent) for _ in range(10)]

        assert await until_closed(streams) == 10


@pytest.mark.usefixtures("_impatient")
async def test_slow_request_head_is_closed_though_it_goes_on(serve: Serve) -> None:
    server = await serve()
    async with crowding(server.port) as crowd:
        stream = await crowd.connect(b"GET /metrics HTTP/1.1\r\n")

        async def drip() -> None:
            while not stream[1].is_closing():
                stream[1].write(b"X-A: b\r\n")
                await asyncio.sleep(0.05)  # noqa: TID251 - a slow client

        dripping = asyncio.create_task(drip())
        assert b"200" not in await answer(stream)
        dripping.cancel()


@pytest.mark.usefixtures("_impatient")
async def test_tls_handshake_that_does_not_end_is_closed(
    serve: Serve, tmp_path: Path, certificates: Certificates
) -> None:
    file = tmp_path / "web.yml"
    file.write_text(
        f"tls_server_config: {{cert_file: {certificates.server.cert},"
        f" key_file: {certificates.server.key}}}"
    )
    server = await serve(web_config=file)
    async with crowding(server.port) as crowd:
        streams = [await crowd.connect(sent) for sent in (b"", b"\x16\x03\x01\x02\x00\x01")]
        silent = await crowd.connect(tls=True)

        assert await until_closed([*streams, silent]) == 3
        assert (await server.request("/metrics", client=trusting_context())).status == 200


@pytest.fixture
def _few_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 40)


@pytest.mark.usefixtures("_few_connections")
@pytest.mark.parametrize("sent", HALF_OPEN.values(), ids=HALF_OPEN)
async def test_half_open_requests_keep_nobody_out(serve: Serve, sent: bytes) -> None:
    server = await serve()
    async with crowding(server.port) as crowd:
        for _ in range(150):
            await crowd.connect(sent)

        assert (await server.request("/metrics")).status == 200


SLOW_BODIES = {
    "length": b"POST /-/reload HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nabc",
    "chunks": b"PUT /-/reload HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n",
}


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("sent", SLOW_BODIES.values(), ids=SLOW_BODIES)
async def test_slow_body_is_408_and_closed(serve: Serve, sent: bytes) -> None:
    reload = StubReload()
    server = await serve(reload=reload)
    async with crowding(server.port) as crowd:
        reply = await answer(await crowd.connect(sent))

    assert reply.startswith(b"HTTP/1.1 408 ")
    assert reload.calls == 0


@pytest.mark.usefixtures("_few_connections")
async def test_slow_bodies_keep_nobody_out(serve: Serve) -> None:
    server = await serve()
    async with crowding(server.port) as crowd:
        for _ in range(150):
            await crowd.connect(SLOW_BODIES["length"])

        assert (await server.request("/metrics")).status == 200


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_upload_without_end_is_refused_and_closed(serve: Serve, method: str) -> None:
    path = "/-/reload" if method == "POST" else "/metrics"
    server = await serve()
    async with crowding(server.port) as crowd:
        head = f"{method} {path} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
        stream = await crowd.connect(head.encode())

        async def upload() -> None:
            chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
            while True:
                stream[1].write(chunk)
                await stream[1].drain()

        uploading = asyncio.create_task(upload())
        reply = await answer(stream)
        with pytest.raises(ConnectionError):
            async with asyncio.timeout(5):
                await uploading

    status = {"POST": b"413", "GET": b"200", "DELETE": b"405"}[method]
    assert reply.startswith(b"HTTP/1.1 " + status) or reply == b""


LARGE_HEADS = {
    "many headers": b"".join(b"X-%d: b\r\n" % number for number in range(1000)),
    "a long header": b"X-A: " + b"b" * 100_000 + b"\r\n",
    "a long name": b"X" * 100_000 + b": b\r\n",
}


@pytest.mark.parametrize("headers", LARGE_HEADS.values(), ids=LARGE_HEADS)
async def test_large_head_is_400(serve: Serve, headers: bytes) -> None:
    server = await serve()
    async with crowding(server.port) as crowd:
        head = b"GET /metrics HTTP/1.1\r\nHost: test\r\n" + headers + b"\r\n"

        assert (await answer(await crowd.connect(head))).startswith(b"HTTP/1.0 400 ")


async def test_long_path_is_400(serve: Serve) -> None:
    server = await serve()
    async with crowding(server.port) as crowd:
        stream = await crowd.connect(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: test\r\n\r\n")

        assert (await answer(stream)).startswith(b"HTTP/1.0 400 ")


async def test_unknown_paths_and_methods_log_nothing(
    serve: Serve, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    server = await serve()

    statuses = {
        (await server.request(f"/{number}", method=method)).status
        for number in range(20)
        for method in ("GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND")
    }

    assert statuses == {404}
    assert caplog.records == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
async def test_head_and_options_need_the_password_too(
    serve: Serve, tmp_path: Path, method: str
) -> None:
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users: {{alice: {hashed('wonder')}}}")
    server = await serve(web_config=file)

    assert (await server.request("/metrics", method=method)).status == 401
    assert (await server.request("/nowhere", method=method)).status == 401


@pytest.mark.usefixtures("_impatient")
async def test_client_that_does_not_read_is_dropped(serve: Serve) -> None:
    server = await serve(pages=StubPages(LARGE))
    async with crowding(server.port) as crowd:
        streams = [await crowd.connect(GET) for _ in range(10)]
        await asyncio.sleep(1.0)  # noqa: TID251 - they do not read
        lengths = [len(each) for each in await asyncio.gather(*map(answer, streams))]

    assert max(lengths) < 20_000_000


async def test_client_that_does_not_read_is_sent_little(serve: Serve) -> None:
    pages = CountingPages()
    server = await serve(pages=pages)
    async with crowding(server.port) as crowd:
        stream = await crowd.connect()
        stream[1].transport.pause_reading()  # type: ignore[attr-defined]
        stream[1].write(GET)
        await asyncio.sleep(0.5)  # noqa: TID251 - it does not read
        (body,) = pages.alive

    assert 0 < body.sent < 2_000_000


async def test_scrapes_of_a_client_that_does_not_read_are_bounded(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "MAX_SCRAPES_OF_CLIENT", 3)
    server = await serve(pages=StubPages(LARGE))
    async with crowding(server.port) as crowd:
        for _ in range(3):
            stream = await crowd.connect(GET)
            await stream[0].readexactly(100)
        reply = await server.request("/metrics")
        other = await crowd.connect(GET, client=OTHER)

        assert (reply.status, reply.headers["Retry-After"]) == (503, "5")
        assert (await server.request("/-/healthy")).status == 200
        assert (await other[0].readexactly(12)).endswith(b"200")


async def test_pipelined_requests_are_answered_one_after_the_other(serve: Serve) -> None:
    server = await serve()
    last = GET.replace(b"Host", b"Connection: close\r\nHost")
    async with crowding(server.port) as crowd:
        reply = await answer(await crowd.connect(GET * 200 + last))

    assert reply.count(b"HTTP/1.1 200 OK") == 201


@pytest.mark.usefixtures("_impatient")
async def test_pipelined_requests_of_a_client_that_does_not_read_are_dropped(
    serve: Serve,
) -> None:
    server = await serve(pages=StubPages(LARGE))
    async with crowding(server.port) as crowd:
        stream = await crowd.connect(GET * 1000)
        await asyncio.sleep(1.0)  # noqa: TID251 - it does not read
        assert len(await answer(stream)) < 20_000_000

        assert (await server.request("/-/healthy")).status == 200


class CountingPages(StubPages):
    """Large pages that know which of them are in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = weakref.WeakSet[_CountedBody]()

    def page(self, form: Format, *, gzipped: bool, now: float) -> Body:
        body = _CountedBody()
        self.alive.add(body)
        return cast("Body", body)


class _CountedBody:
    size = 20_000_000
    sent = 0

    def chunks(self) -> Iterator[bytes]:
        for _ in range(200):
            self.sent += 100_000
            yield b"x" * 100_000


@pytest.mark.parametrize("politely", [False, True])
async def test_page_of_a_client_that_hangs_up_is_freed_at_once(
    serve: Serve, politely: bool
) -> None:
    pages = CountingPages()
    server = await serve(pages=pages)
    gc.collect()
    gc.disable()  # as good as: the daemon collects seldom
    try:
        async with crowding(server.port) as crowd:
            streams = [await crowd.connect(GET) for _ in range(10)]
            for reader, _ in streams:
                await reader.readexactly(1000)
            assert len(pages.alive) == 10
            for _, writer in streams:
                writer.close() if politely else writer.transport.abort()
            async with asyncio.timeout(5):
                while pages.alive:  # noqa: ASYNC110 - a count, not an event
                    await asyncio.sleep(0.01)  # noqa: TID251 - waits for the server
    finally:
        gc.enable()


async def test_wrong_passwords_do_not_keep_the_operator_out(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users: {{alice: {hashed('wonder', rounds=10)}}}")
    server = await serve(web_config=file)
    assert (await server.request("/metrics", as_user("alice", "wonder"))).status == 200

    async def guess(number: int) -> int:
        return (await server.request("/metrics", as_user("alice", f"guess {number}"))).status

    guesses = [asyncio.create_task(guess(number)) for number in range(60)]
    await asyncio.sleep(0.01)  # noqa: TID251 - let the guesses begin
    async with asyncio.timeout(2):
        assert (await server.request("/metrics", as_user("alice", "wonder"))).status == 200
    statuses = await asyncio.gather(*guesses)

    assert set(statuses) == {401, 429}
    assert statuses.count(401) <= 10


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example:9888", 403),
        ("127.0.0.1.evil.example", 403),
        ("127.0.0.1:9888", 200),
        ("localhost:9888", 200),
    ],
)
async def test_reload_under_a_foreign_name_is_refused(
    serve: Serve, method: str, host: str, status: int
) -> None:
    reload = StubReload()
    server = await serve(reload=reload)

    reply = await server.request("/-/reload", {"Host": host}, method=method)

    assert reply.status == status
    assert reload.calls == (status == 200)
    assert ("web.hosts" in reply.text) == (status == 403)


async def test_page_of_a_rebound_name_is_refused_though_it_seems_the_same_site(
    serve: Serve,
) -> None:
    reload = StubReload()
    server = await serve(reload=reload)
    name = f"evil.example:{server.port}"
    headers = {"Host": name, "Origin": f"http://{name}", "Sec-Fetch-Site": "same-origin"}

    assert (await server.request("/-/reload", headers, method="POST")).status == 403
    assert reload.calls == 0


async def test_metrics_are_served_under_any_name(serve: Serve) -> None:
    server = await serve()

    assert (await server.request("/metrics", {"Host": "exporter.example.org"})).status == 200


async def test_configured_name_may_reload(clock: HandClock) -> None:
    counted: list[Refusal] = []
    app = make_app(
        StubPages(),
        StubOverview(),
        StubReload(),
        clock=clock,
        hosts=["exporter.example.org"],
        refused=counted.append,
    )
    async with AsyncExitStack() as stack:
        where = await stack.enter_async_context(serving(app, Listen("127.0.0.1", 0)))
        crowd = await stack.enter_async_context(crowding(where.port))
        for name, status in ((b"exporter.example.org", b"200"), (b"other.example.org", b"403")):
            head = b"POST /-/reload HTTP/1.1\r\nConnection: close\r\nHost: " + name + b"\r\n\r\n"
            assert (await answer(await crowd.connect(head))).startswith(b"HTTP/1.1 " + status)

        assert counted == [Refusal.HOST]
        assert len(app[CONNECTIONS]) <= 2


async def test_flood_of_reloads_is_few_reloads(serve: Serve, clock: HandClock) -> None:
    reload = StubReload()
    server = await serve(reload=reload)
    began = clock.seconds

    replies = await asyncio.gather(*(server.request("/-/reload", method="POST") for _ in range(50)))

    assert {reply.status for reply in replies} <= {200, 429}
    assert all(reply.headers["Retry-After"] for reply in replies if reply.status == 429)
    assert reload.calls <= 1 + (clock.seconds - began) / 5
