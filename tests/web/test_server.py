"""Listen addresses, parsed and bound."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import ConfigError
from exporter.exposition.formats import Format
from exporter.web.routes import make_app
from exporter.web.server import Listen, parse_listen, serving
from tests.web.samples import HandClock
from tests.web.site import StubOverview, StubPages, StubReload


@pytest.mark.parametrize(
    ("address", "listen"),
    [
        (":9888", Listen("", 9888)),
        ("0.0.0.0:9888", Listen("0.0.0.0", 9888)),
        ("[::]:9888", Listen("::", 9888)),
        ("[::1]:1", Listen("::1", 1)),
        ("[fe80::1%eth0]:9888", Listen("fe80::1%eth0", 9888)),
        ("localhost:0", Listen("localhost", 0)),
        ("monitor.example:65535", Listen("monitor.example", 65535)),
        (" :9888 ", Listen("", 9888)),
    ],
)
def test_listen_address_is_parsed(address: str, listen: Listen) -> None:
    assert parse_listen(address) == listen


@pytest.mark.parametrize("address", [":9888", "0.0.0.0:9888", "[::]:9888", "localhost:9888"])
def test_listen_address_round_trips(address: str) -> None:
    assert str(parse_listen(address)) == address


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("9888", "the listen address '9888' has no port; write it like :9888"),
        ("", "the listen address '' has no port; write it like :9888"),
        ("::1:9888", "the listen address '::1:9888' needs brackets around IPv6, like [::1]:9888"),
        (
            "localhost:http",
            "the listen address 'localhost:http' has the port 'http'; it must be 0 to 65535",
        ),
        (":65536", "the listen address ':65536' has the port '65536'; it must be 0 to 65535"),
        (":-1", "the listen address ':-1' has the port '-1'; it must be 0 to 65535"),
        (":", "the listen address ':' has the port ''; it must be 0 to 65535"),
        (":²", "the listen address ':²' has the port '²'; it must be 0 to 65535"),
        (
            "http://host:80",
            "the listen address 'http://host:80' needs brackets around IPv6, like [::1]:9888",
        ),
        ("[::1:80", "the listen address '[::1:80' needs brackets around IPv6, like [::1]:9888"),
        ("a b:80", "the listen address 'a b:80' is not host:port, like :9888"),
    ],
)
def test_invalid_listen_address_is_rejected(address: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_listen(address)

    assert str(caught.value) == message


@given(st.text(max_size=40))
def test_any_listen_address_parses_or_raises_config_error(address: str) -> None:
    try:
        listen = parse_listen(address)
    except ConfigError:
        return
    assert 0 <= listen.port <= 65535


async def _reaches(family: socket.AddressFamily, host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port, family=family)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def test_empty_host_listens_on_ipv4_and_ipv6() -> None:
    async with serving(web.Application(), Listen("", 0)) as where:
        assert await _reaches(socket.AF_INET, "127.0.0.1", where.port)
        if socket.has_dualstack_ipv6():
            assert await _reaches(socket.AF_INET6, "::1", where.port)


async def test_machine_without_ipv6_listens_on_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)

    async with serving(web.Application(), Listen("", 0)) as where:
        assert await _reaches(socket.AF_INET, "127.0.0.1", where.port)


async def test_machine_with_ipv6_disabled_listens_on_ipv4(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create_server = socket.create_server

    def without_ipv6(address: tuple[str, int], **options: Any) -> socket.socket:
        if options.get("family") == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        return create_server(address, **options)

    monkeypatch.setattr(socket, "create_server", without_ipv6)

    async with serving(web.Application(), Listen("", 0)) as where:
        assert await _reaches(socket.AF_INET, "127.0.0.1", where.port)


async def test_host_name_is_resolved() -> None:
    async with serving(web.Application(), Listen("localhost", 0)) as where:
        assert where.host == "127.0.0.1"
        assert await _reaches(socket.AF_INET, "127.0.0.1", where.port)


async def test_port_in_use_is_named() -> None:
    async with serving(web.Application(), Listen("127.0.0.1", 0)) as where:
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{where.port}: Address"):
            async with serving(web.Application(), where):
                pass


async def test_foreign_host_address_is_named() -> None:
    with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1:9888: "):
        async with serving(web.Application(), Listen("192.0.2.1", 9888)):
            pass


PAGE_BYTES = 20_000_000
GET = b"GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n"


@asynccontextmanager
async def _serving_large_page() -> AsyncIterator[int]:
    pages = StubPages({(Format.CLASSIC, False): b"x" * PAGE_BYTES})
    app = make_app(pages, StubOverview(), StubReload(), clock=HandClock())
    async with serving(app, Listen("127.0.0.1", 0)) as listen:
        yield listen.port


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        pytest.param(GET, 0, id="reads nothing"),
        pytest.param(GET, 3_000_000, id="reads a part"),
        pytest.param(GET * 20, 0, id="pipelines requests"),
        pytest.param(
            b"POST /-/reload HTTP/1.1\r\nContent-Length: 9\r\n\r\nx", 0, id="sends a part"
        ),
    ],
)
async def test_stalled_client_does_not_delay_the_shutdown(sent: bytes, read: int) -> None:
    loop = asyncio.get_running_loop()
    async with _serving_large_page() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        await reader.readexactly(read)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(0.3)  # noqa: TID251 - the buffers of the sockets fill up
        began = loop.time()

    assert loop.time() - began < 0.3
    writer.transport.abort()


async def test_client_that_reads_gets_the_rest_of_its_page_during_the_shutdown() -> None:
    async with AsyncExitStack() as server:
        port = await server.enter_async_context(_serving_large_page())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        head = await reader.readuntil(b"\r\n\r\n")
        rest, _ = await asyncio.gather(reader.read(), server.aclose())
        writer.close()

    assert head.startswith(b"HTTP/1.1 200 ")
    assert len(rest) == PAGE_BYTES
