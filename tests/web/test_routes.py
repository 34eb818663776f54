"""Every address, asked over a real socket."""

import asyncio
import gzip
import logging

import pytest
import structlog
from aiohttp import web

from exporter.errors import ConfigError
from exporter.exposition.formats import Format
from exporter.web import routes
from exporter.web.routes import make_app
from exporter.web.server import Listen, serving
from tests.web.conftest import Serve
from tests.web.samples import HandClock, refused, system, waiting
from tests.web.site import BrokenPages, Site, StubOverview, StubPages, StubReload

OPENMETRICS = "application/openmetrics-text;version=1.0.0,*/*;q=0.1"


async def test_prometheus_gets_openmetrics_compressed(serve: Serve) -> None:
    site = await serve()

    reply = await site.ask("/metrics", {"Accept": OPENMETRICS, "Accept-Encoding": "gzip"})

    assert reply.status == 200
    assert reply.body == b"OPENMETRICS gzip\n"
    assert reply.headers["Content-Type"] == Format.OPENMETRICS.content_type
    assert reply.headers["Content-Encoding"] == "gzip"
    assert reply.headers["Vary"] == "Accept, Accept-Encoding"
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in reply.headers


async def test_curl_gets_plain_text(serve: Serve) -> None:
    site = await serve()

    reply = await site.ask("/metrics", {"Accept": "*/*"})

    assert reply.body == b"CLASSIC plain\n"
    assert reply.headers["Content-Type"] == Format.CLASSIC.content_type
    assert "Content-Encoding" not in reply.headers


async def test_head_says_all_but_the_body(serve: Serve) -> None:
    site = await serve()

    reply = await site.ask("/metrics", method="HEAD")

    assert reply.status == 200
    assert reply.body == b""
    assert reply.headers["Content-Length"] == str(len(b"CLASSIC plain\n"))
    assert site.scrapes == []


async def test_a_page_of_twenty_megabytes_arrives_whole(serve: Serve) -> None:
    plain = b"vergewatch_vm_up 1\n" * 1_100_000
    packed = gzip.compress(plain, 1)
    bodies = {(Format.CLASSIC, False): plain, (Format.CLASSIC, True): packed}
    site = await serve(pages=StubPages(bodies))

    assert (await site.ask("/metrics")).body == plain
    assert (await site.ask("/metrics", {"Accept-Encoding": "gzip"})).body == packed


async def test_a_reader_who_leaves_halfway_disturbs_nobody(serve: Serve) -> None:
    site = await serve(pages=StubPages({(Format.CLASSIC, False): b"x" * 20_000_000}))
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n")
    await reader.readexactly(1000)

    with structlog.testing.capture_logs() as logs:
        writer.transport.abort()
        reply = await site.ask("/-/healthy")

    assert reply.status == 200
    assert logs == []


async def test_a_reader_who_does_not_read_is_dropped(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "WRITE_TIMEOUT_SECONDS", 0.0)
    site = await serve(pages=StubPages({(Format.CLASSIC, False): b"x" * 20_000_000}))
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)

    writer.write(b"GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n")
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await reader.readexactly(20_000_000)

    writer.close()


async def test_scrapes_are_timed(serve: Serve) -> None:
    site = await serve()

    await site.ask("/metrics")

    assert site.scrapes == [0.0]


async def test_metrics_can_live_elsewhere(serve: Serve) -> None:
    site = await serve(telemetry_path="/probe/vergeos")

    assert (await site.ask("/probe/vergeos")).status == 200
    assert (await site.ask("/metrics")).status == 404
    assert "/probe/vergeos" in (await site.ask("/")).text


async def test_metrics_at_the_root_leave_no_room_for_the_status_page(serve: Serve) -> None:
    site = await serve(telemetry_path="/")

    assert (await site.ask("/")).body == b"CLASSIC plain\n"


@pytest.mark.parametrize("path", ["", "metrics", "/{name}", "/metrics?x", "/é", "/a b", "/-/ready"])
def test_a_telemetry_path_that_cannot_be_is_refused(path: str, clock: HandClock) -> None:
    with pytest.raises(ConfigError, match="the telemetry path"):
        make_app(
            StubPages(),
            StubOverview(),
            StubReload(),
            clock=clock,
            version="1",
            telemetry_path=path,
        )


async def test_healthy_means_alive(serve: Serve) -> None:
    site = await serve(overview=StubOverview(refused()))

    reply = await site.ask("/-/healthy")

    assert (reply.status, reply.text) == (200, "ok\n")


async def test_one_cloud_that_is_up_is_enough_to_be_ready(serve: Serve) -> None:
    site = await serve(overview=StubOverview(system(), refused()))

    reply = await site.ask("/-/ready")

    assert reply.status == 200
    assert reply.text == (
        "ready\n"
        "production: up\n"
        "laboratory: key refused (/api/v4/vms answered 401: the credentials are refused)\n"
    )


async def test_not_ready_says_why_for_each_cloud_in_one_line(serve: Serve) -> None:
    site = await serve(overview=StubOverview(waiting("a\nb"), refused()))

    reply = await site.ask("/-/ready")

    assert reply.status == 503
    assert reply.text == (
        "not ready\n"
        "a b: waiting for the first answer\n"
        "laboratory: key refused (/api/v4/vms answered 401: the credentials are refused)\n"
    )


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_reload_reloads(serve: Serve, method: str) -> None:
    reload = StubReload()
    site = await serve(reload=reload)

    reply = await site.ask("/-/reload", method=method)

    assert (reply.status, reply.text) == (200, "reloaded\n")
    assert reload.calls == 1


async def test_a_reload_says_what_of_it_wants_a_restart(serve: Serve) -> None:
    reload = StubReload()
    reload.fixed = ["web", "recovery.directory"]
    site = await serve(reload=reload)

    reply = await site.ask("/-/reload", method="POST")

    told = "reloaded, but for web, recovery.directory: that wants a restart\n"
    assert (reply.status, reply.text) == (200, told)


async def test_a_reload_that_fails_says_why_in_one_line(serve: Serve) -> None:
    site = await serve(reload=StubReload("settings.yml: no url\nfor production"))

    reply = await site.ask("/-/reload", method="POST")

    assert (reply.status, reply.text) == (500, "settings.yml: no url for production\n")
    page = (await site.ask("/")).text
    assert "The settings were refused just now: settings.yml: no url" in page
    assert "Those before them are in force." in page


async def test_looking_at_reload_does_not_reload(serve: Serve) -> None:
    reload = StubReload()
    site = await serve(reload=reload)

    reply = await site.ask("/-/reload")

    assert reply.status == 405
    assert reply.headers["Allow"] == "POST,PUT"
    assert reload.calls == 0


async def test_the_status_page_is_html_behind_a_strict_policy(serve: Serve) -> None:
    site = await serve()

    reply = await site.ask("/")

    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Cache-Control"] == "no-store"
    assert "Vergewatch" in reply.text


async def test_browsers_find_an_icon(serve: Serve) -> None:
    site = await serve()

    reply = await site.ask("/favicon.ico")

    assert reply.headers["Content-Type"].startswith("image/svg+xml")
    assert reply.text.startswith("<svg")


@pytest.mark.parametrize(
    "path", ["/metrics/", "/Metrics", "/-/quit", "/robots.txt", "/..%2f", "//"]
)
async def test_an_unknown_path_is_404(serve: Serve, path: str) -> None:
    site = await serve()

    reply = await site.ask(path)

    assert reply.status == 404
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_metrics_are_only_read(serve: Serve) -> None:
    site = await serve()

    assert (await site.ask("/metrics", method="POST")).status == 405


async def test_a_bug_is_a_plain_500_and_a_line_in_the_log(clock: HandClock) -> None:
    app = make_app(BrokenPages(), StubOverview(), StubReload(), clock=clock, version="1")
    async with serving(app, Listen("127.0.0.1", 0)) as where:
        with structlog.testing.capture_logs() as logs:
            reply = await Site(where.port, None, [], tls=False).ask("/metrics")

    assert (reply.status, reply.text) == (500, "500: Internal Server Error\n")
    assert [(line["event"], line["path"]) for line in logs] == [("web.failed", "/metrics")]


async def test_what_is_not_http_is_answered_and_not_logged(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    site = await serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)

    with caplog.at_level(logging.INFO):
        writer.write(b"GET /\x00 HTTP/9.9\r\nbad header\r\n\r\n")
        answer = await reader.read()
        writer.close()

    assert answer.startswith(b"HTTP/1.")
    assert b" 400 " in answer
    assert caplog.records == []


async def test_the_port_is_free_again_after_the_end(clock: HandClock) -> None:
    app = make_app(StubPages(), StubOverview(), StubReload(), clock=clock, version="1")
    async with serving(app, Listen("127.0.0.1", 0)) as where:
        pass

    async with serving(web.Application(), where) as again:
        assert again == where
