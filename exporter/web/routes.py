"""The HTTP endpoints: metrics, health, readiness, reload and the status page."""

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from aiohttp import hdrs, web

from exporter import __version__
from exporter.clock import Clock
from exporter.errors import ConfigError
from exporter.executor import run_in_thread
from exporter.model import SystemReport
from exporter.recovery.model.views import API_ROOT
from exporter.web import recovery
from exporter.web.health import reason_of, state_of
from exporter.web.middleware import RequestChecks
from exporter.web.negotiation import accepts_gzip, negotiate
from exporter.web.ports import ObserveScrape, Overview, Pages, Reload, TokenSource, no_token

if TYPE_CHECKING:  # loaded only by a daemon that uses them
    from exporter.recovery.service import RecoveryService
    from exporter.web.reloadable_config import ReloadableWebConfig

HEALTHY = "/-/healthy"
READY = "/-/ready"
RELOAD = "/-/reload"
FAVICON = "/favicon.ico"
ICON = Path(__file__).with_name("templates") / "icon.svg"

WRITE_BYTES = 256 * 1024
"""A page is written in chunks of this size, so that a slow client buffers a chunk, not a page."""
WRITE_TIMEOUT_SECONDS = 60.0
"""For a whole page. Prometheus' default scrape timeout is 10 s."""

_PATH = re.compile(r"/[A-Za-z0-9._~/-]*")


def make_app(
    pages: Pages,
    overview: Overview,
    reload: Reload,
    *,
    clock: Clock,
    version: str = __version__,
    telemetry_path: str = "/metrics",
    web_config: "ReloadableWebConfig | None" = None,
    observe_scrape: ObserveScrape | None = None,
    service: "RecoveryService | None" = None,
    recovery_token: TokenSource = no_token,
) -> web.Application:
    """
    Return the application, ready to be served.

    Args:
        pages: The rendered metrics.
        overview: The state of each system.
        reload: Reloads the configuration.
        clock: The time.
        version: Of Vergewatch; for the status page.
        telemetry_path: Where the metrics are; with ``/`` there is no status page.
        web_config: TLS, authentication and headers; without it, access is open.
        observe_scrape: Receives the duration of each scrape.
        service: Recovery; without it, recovery is neither shown nor controlled.
        recovery_token: Returns what is required to control recovery.

    Raises:
        ConfigError: *telemetry_path* is not a path, or is in use.

    """
    check_telemetry_path(telemetry_path)
    app = web.Application()
    RequestChecks(web_config, clock).install(app)
    endpoints = _Endpoints(
        pages, overview, reload, clock, version, telemetry_path, observe_scrape, service
    )
    app.router.add_get(telemetry_path, endpoints.metrics)
    app.router.add_get(HEALTHY, endpoints.healthy)
    app.router.add_get(READY, endpoints.ready)
    app.router.add_post(RELOAD, endpoints.reload_settings)
    app.router.add_put(RELOAD, endpoints.reload_settings)
    app.router.add_get(FAVICON, endpoints.icon)
    if service is not None:
        recovery.RecoveryAPI(service, recovery_token, reload).install(app)
    if telemetry_path != "/":
        app.router.add_get("/", endpoints.status)
    return app


def check_telemetry_path(path: str) -> None:
    """Raise `ConfigError` unless metrics can be served at *path*."""
    if not _PATH.fullmatch(path):
        raise ConfigError(
            f"the telemetry path {path!r} must start with / and contain only letters, digits and "
            "._~-/"
        )
    if path in (HEALTHY, READY, RELOAD, FAVICON) or f"{path}/".startswith(f"{API_ROOT}/"):
        raise ConfigError(f"the telemetry path {path} is used by another endpoint; choose another")


class _Endpoints(NamedTuple):
    """The handlers, and what they need. See `make_app`."""

    pages: Pages
    overview: Overview
    reload: Reload
    clock: Clock
    version: str
    telemetry_path: str
    observe_scrape: ObserveScrape | None
    service: "RecoveryService | None"

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        started = self.clock.monotonic()
        form = negotiate(_header(request, hdrs.ACCEPT))
        gzipped = accepts_gzip(_header(request, hdrs.ACCEPT_ENCODING))
        if gzipped:
            body = self.pages.page(form, gzipped=True, now=started)
        else:  # decompressing a large page would block the event loop
            body = await run_in_thread(self.pages.page, form, gzipped=False, now=started)
        response = web.StreamResponse(
            headers={
                hdrs.CONTENT_TYPE: form.content_type,
                hdrs.CONTENT_LENGTH: str(len(body)),
                hdrs.CACHE_CONTROL: "no-store",
                hdrs.VARY: "Accept, Accept-Encoding",
            }
        )
        if gzipped:
            response.headers[hdrs.CONTENT_ENCODING] = "gzip"
        if self.observe_scrape is not None and request.method == hdrs.METH_GET:
            self.observe_scrape(self.clock.monotonic() - started)
        await _send(request, response, body)
        return response

    async def healthy(self, _: web.Request) -> web.Response:
        return _plain("ok")

    async def ready(self, _: web.Request) -> web.Response:
        """Respond 200 if at least one system is up: one that is down must not hide the others."""
        reports = self.overview.reports()
        now = self.clock.now()
        lines = [_ready_line(report, reason_of(report, now)) for report in reports]
        if any(report.up for report in reports):
            return _plain("\n".join(["ready", *lines]))
        return _plain("\n".join(["not ready", *lines]), status=503)

    async def reload_settings(self, request: web.Request) -> web.Response:
        await recovery.drain(request)
        if recovery.is_cross_site(request):
            return _plain("cross-site requests may not reload", status=403)
        try:
            done = await self.reload()
        except ConfigError as error:
            return _plain(_one_line(str(error)), status=500)
        lines = ["reloaded"]
        if done.applied:
            lines.append(f"applied {', '.join(done.applied)}")
        if self.reload.problem:  # what needs a restart, and files that are invalid
            lines.append(self.reload.problem)
        return _plain("\n".join(lines))

    async def status(self, _: web.Request) -> web.Response:
        html, policy = await run_in_thread(
            _status_page,
            self.overview.reports(),
            version=self.version,
            now=self.clock.now(),
            telemetry_path=self.telemetry_path,
            settings_problem=self.reload.problem,
            recovery=[] if self.service is None else await recovery.overview(self.service),
        )
        return web.Response(
            text=html,
            content_type="text/html",
            headers={
                hdrs.CACHE_CONTROL: "no-store",
                "Content-Security-Policy": policy,
                "X-Frame-Options": "deny",
            },
        )

    async def icon(self, _: web.Request) -> web.Response:
        return web.Response(
            text=ICON.read_text(),
            content_type="image/svg+xml",
            headers={hdrs.CACHE_CONTROL: "max-age=86400"},
        )


def _status_page(*args: Any, **kwargs: Any) -> tuple[str, str]:
    from exporter.web import status  # noqa: PLC0415 - loads Jinja, for the first page only

    return status.render_status(*args, **kwargs), status.CONTENT_SECURITY_POLICY


def _ready_line(report: SystemReport, reason: str) -> str:
    state = state_of(report).value
    return _one_line(f"{report.system_name}: {state}" + (f" ({reason})" if reason else ""))


def _plain(text: str, *, status: int = 200) -> web.Response:
    return web.Response(text=f"{text}\n", status=status, headers={hdrs.CACHE_CONTROL: "no-store"})


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _header(request: web.Request, name: str) -> str:
    return ", ".join(request.headers.getall(name, ()))


async def _send(request: web.Request, response: web.StreamResponse, body: bytes) -> None:
    """Write *body* as fast as the client reads it, and drop a client that does not."""
    try:
        async with asyncio.timeout(WRITE_TIMEOUT_SECONDS):
            await response.prepare(request)
            if request.method == hdrs.METH_HEAD:
                return
            view = memoryview(body)
            for start in range(0, len(body), WRITE_BYTES):
                await response.write(view[start : start + WRITE_BYTES])
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        return  # the client disconnected
