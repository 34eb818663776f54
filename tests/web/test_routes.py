"""Every endpoint over a real socket."""

import asyncio
import gzip
import logging

import pytest
import structlog
from aiohttp import web

from exporter.errors import ConfigError
from exporter.exposition.formats import Format
from exporter.web import delivery
from exporter.web.ports import Reloaded
from exporter.web.routes import make_app
from exporter.web.server import Listen, serving
from tests.web.conftest import Serve
from tests.web.samples import HandClock, refused, system, waiting
from tests.web.site import BrokenPages, ServerUnderTest, StubOverview, StubPages, StubReload

OPENMETRICS = "application/openmetrics-text;version=1.0.0,*/*;q=0.1"


async def test_prometheus_gets_openmetrics_compressed(serve: Serve) -> None:
    server = await serve()

    reply = await server.request("/metrics", {"Accept": OPENMETRICS, "Accept-Encoding": "gzip"})

    assert reply.status == 200
    assert reply.body == b"OPENMETRICS gzip\n"
    assert reply.headers["Content-Type"] == Format.OPENMETRICS.content_type
    assert reply.headers["Content-Encoding"] == "gzip"
    assert reply.headers["Vary"] == "Accept, Accept-Encoding"
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in reply.headers


async def test_curl_gets_classic_format(serve: Serve) -> None:
    server = await serve()

    reply = await server.request("/metrics", {"Accept": "*/*"})

    assert reply.body == b"CLASSIC plain\n"
    assert reply.headers["Content-Type"] == Format.CLASSIC.content_type
    assert "Content-Encoding" not in reply.headers


async def test_head_returns_headers_without_body(serve: Serve) -> None:
    server = await serve()

    reply = await server.request("/metrics", method="HEAD")

    assert reply.status == 200
    assert reply.body == b""
    assert reply.headers["Content-Length"] == str(len(b"CLASSIC plain\n"))
    assert server.scrapes == []


async def test_page_of_20_mb_is_sent_completely(serve: Serve) -> None:
    plain = b"vergewatch_vm_up 1\n" * 1_100_000
    packed = gzip.compress(plain, 1)
    bodies = {(Format.CLASSIC, False): plain, (Format.CLASSIC, True): packed}
    server = await serve(pages=StubPages(bodies))

    assert (await server.request("/metrics")).body == plain
    assert (await server.request("/metrics", {"Accept-Encoding": "gzip"})).body == packed


async def test_client_that_disconnects_early_logs_nothing(serve: Serve) -> None:
    server = await serve(pages=StubPages({(Format.CLASSIC, False): b"x" * 20_000_000}))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n")
    await reader.readexactly(1000)

    with structlog.testing.capture_logs() as logs:
        writer.transport.abort()
        reply = await server.request("/-/healthy")

    assert reply.status == 200
    assert logs == []


async def test_client_that_does_not_read_is_disconnected(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "STALL_SECONDS", 0.0)
    server = await serve(pages=StubPages({(Format.CLASSIC, False): b"x" * 20_000_000}))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

    writer.write(b"GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n")
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await reader.readexactly(20_000_000)

    writer.close()


async def test_scrape_duration_is_observed(serve: Serve) -> None:
    server = await serve()

    await server.request("/metrics")

    assert server.scrapes == [0.0]


async def test_metrics_at_another_telemetry_path(serve: Serve) -> None:
    server = await serve(telemetry_path="/probe/vergeos")

    assert (await server.request("/probe/vergeos")).status == 200
    assert (await server.request("/metrics")).status == 404
    assert "/probe/vergeos" in (await server.request("/")).text


async def test_metrics_at_root_replace_the_overview(serve: Serve) -> None:
    server = await serve(telemetry_path="/")

    assert (await server.request("/")).body == b"CLASSIC plain\n"
    assert (await server.request("/data")).status == 200


@pytest.mark.parametrize(
    "path", ["", "metrics", "/{name}", "/metrics?x", "/é", "/a b", "/-/ready", "/api/v1/doctor"]
)
def test_invalid_telemetry_path_is_rejected(path: str, clock: HandClock) -> None:
    with pytest.raises(ConfigError, match="the telemetry path"):
        make_app(
            StubPages(),
            StubOverview(),
            StubReload(),
            clock=clock,
            version="1",
            telemetry_path=path,
        )


async def test_healthy_is_200_while_no_system_is_up(serve: Serve) -> None:
    server = await serve(overview=StubOverview(refused()))

    reply = await server.request("/-/healthy")

    assert (reply.status, reply.text) == (200, "ok\n")


async def test_ready_is_200_with_one_system_up(serve: Serve) -> None:
    server = await serve(overview=StubOverview(system(), refused()))

    reply = await server.request("/-/ready")

    assert reply.status == 200
    assert reply.text == (
        "ready\n"
        "production: up\n"
        "laboratory: credentials refused (/api/v4/vms answered 401: the credentials are refused)\n"
    )


async def test_not_ready_is_503_with_one_reason_per_system(serve: Serve) -> None:
    server = await serve(overview=StubOverview(waiting("a\nb"), refused()))

    reply = await server.request("/-/ready")

    assert reply.status == 503
    assert reply.text == (
        "not ready\n"
        "a b: waiting for the first poll\n"
        "laboratory: credentials refused (/api/v4/vms answered 401: the credentials are refused)\n"
    )


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_reload_by_post_or_put(serve: Serve, method: str) -> None:
    reload = StubReload()
    server = await serve(reload=reload)

    reply = await server.request("/-/reload", method=method)

    assert (reply.status, reply.text) == (200, "reloaded\n")
    assert reload.calls == 1


async def test_reload_names_what_was_applied_and_what_needs_a_restart(serve: Serve) -> None:
    reload = StubReload()
    reload.done = Reloaded(applied=["log.level", "poll.fast_seconds"])
    reload.problem = "Restart to apply web.listen_address."
    server = await serve(reload=reload)

    reply = await server.request("/-/reload", method="POST")

    assert (reply.status, reply.text) == (
        200,
        "reloaded\napplied log.level, poll.fast_seconds\nRestart to apply web.listen_address.\n",
    )


async def test_rejected_reload_is_500_and_shown_on_every_page(serve: Serve) -> None:
    server = await serve(reload=StubReload("settings.yml: no url\nfor production"))

    reply = await server.request("/-/reload", method="POST")

    assert (reply.status, reply.text) == (500, "settings.yml: no url for production\n")
    for path in ("/", "/data"):
        page = (await server.request(path)).text
        assert "The last reload was refused just now: settings.yml: no url" in page


async def test_get_of_reload_is_405(serve: Serve) -> None:
    reload = StubReload()
    server = await serve(reload=reload)

    reply = await server.request("/-/reload")

    assert reply.status == 405
    assert reply.headers["Allow"] == "POST,PUT"
    assert reload.calls == 0


@pytest.mark.parametrize("path", ["/", "/data"])
async def test_page_has_strict_content_security_policy(serve: Serve, path: str) -> None:
    server = await serve()

    reply = await server.request(path)

    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = reply.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Cache-Control"] == "no-store"
    assert " style=" not in reply.text
    assert "<style" not in reply.text


async def test_favicon_is_svg(serve: Serve) -> None:
    server = await serve()

    reply = await server.request("/favicon.ico")

    assert reply.headers["Content-Type"].startswith("image/svg+xml")
    assert reply.text.startswith("<svg")


@pytest.mark.parametrize(
    "path", ["/metrics/", "/Metrics", "/-/quit", "/robots.txt", "/..%2f", "//"]
)
async def test_unknown_path_is_404(serve: Serve, path: str) -> None:
    server = await serve()

    reply = await server.request(path)

    assert reply.status == 404
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_post_to_metrics_is_405(serve: Serve) -> None:
    server = await serve()

    assert (await server.request("/metrics", method="POST")).status == 405


async def test_exception_in_handler_is_500_and_logged(clock: HandClock) -> None:
    app = make_app(BrokenPages(), StubOverview(), StubReload(), clock=clock, version="1")
    async with serving(app, Listen("127.0.0.1", 0)) as where:
        with structlog.testing.capture_logs() as logs:
            reply = await ServerUnderTest(where.port, None, [], tls=False).request("/metrics")

    assert (reply.status, reply.text) == (500, "500: Internal Server Error\n")
    assert [(line["event"], line["path"]) for line in logs] == [("web.request_failed", "/metrics")]


async def test_malformed_request_is_400_and_not_logged(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

    with caplog.at_level(logging.INFO):
        writer.write(b"GET /\x00 HTTP/9.9\r\nbad header\r\n\r\n")
        answer = await reader.read()
        writer.close()

    assert answer.startswith(b"HTTP/1.")
    assert b" 400 " in answer
    assert caplog.records == []


async def test_port_is_free_after_shutdown(clock: HandClock) -> None:
    app = make_app(StubPages(), StubOverview(), StubReload(), clock=clock, version="1")
    async with serving(app, Listen("127.0.0.1", 0)) as where:
        pass

    async with serving(web.Application(), where) as again:
        assert again == where
