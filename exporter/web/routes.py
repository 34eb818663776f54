"""The HTTP endpoints: metrics, health, readiness, reload and the status page."""

import asyncio
import re
from typing import TYPE_CHECKING

from aiohttp import hdrs, web
from pydantic import SecretStr

from exporter.clock import Clock
from exporter.errors import ConfigError
from exporter.executor import run_in_thread
from exporter.model import SystemReport
from exporter.recovery.model.views import API_ROOT, UnknownNameError
from exporter.web import recovery
from exporter.web.health import reason_of, state_of
from exporter.web.middleware import RequestChecks
from exporter.web.negotiation import accepts_gzip, negotiate
from exporter.web.ports import ObserveScrape, Overview, Pages, Reload
from exporter.web.reloadable_config import ReloadableWebConfig
from exporter.web.status import (
    CONTENT_SECURITY_POLICY,
    ICON,
    MAX_ACTIONS,
    MAX_VMS,
    SystemRecovery,
    render_status,
)

if TYPE_CHECKING:  # a daemon without recovery does not load the engine
    from exporter.recovery.service import RecoveryService

HEALTHY = "/-/healthy"
READY = "/-/ready"
RELOAD = "/-/reload"
FAVICON = "/favicon.ico"

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
    version: str,
    telemetry_path: str = "/metrics",
    web_config: ReloadableWebConfig | None = None,
    observe_scrape: ObserveScrape | None = None,
    docs_url: str | None = None,
    service: "RecoveryService | None" = None,
    recovery_token: SecretStr | None = None,
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
        docs_url: Linked from the status page.
        service: Recovery; without it, recovery is neither shown nor controlled.
        recovery_token: Required to control recovery.

    Raises:
        ConfigError: *telemetry_path* is not a path, or is in use.

    """
    check_telemetry_path(telemetry_path)
    app = web.Application()
    RequestChecks(web_config, clock).install(app)
    health = _Health(overview, reload, clock)
    status = _Status(overview, clock, version, telemetry_path, docs_url, service, reload)
    app.router.add_get(telemetry_path, _Metrics(pages, clock, observe_scrape).show)
    app.router.add_get(HEALTHY, health.healthy)
    app.router.add_get(READY, health.ready)
    app.router.add_post(RELOAD, health.reload)
    app.router.add_put(RELOAD, health.reload)
    app.router.add_get(FAVICON, status.icon)
    if service is not None:
        recovery.RecoveryAPI(service, recovery_token, reload).install(app)
    if telemetry_path != "/":
        app.router.add_get("/", status.show)
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


class _Metrics:
    """The endpoint that Prometheus scrapes."""

    def __init__(self, pages: Pages, clock: Clock, observe: ObserveScrape | None) -> None:
        self._pages = pages
        self._clock = clock
        self._observe = observe

    async def show(self, request: web.Request) -> web.StreamResponse:
        started = self._clock.monotonic()
        form = negotiate(_header(request, hdrs.ACCEPT))
        gzipped = accepts_gzip(_header(request, hdrs.ACCEPT_ENCODING))
        if gzipped:
            body = self._pages.page(form, gzipped=True)
        else:  # decompressing a large page would block the event loop
            body = await run_in_thread(self._pages.page, form, gzipped=False)
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
        if self._observe is not None and request.method == hdrs.METH_GET:
            self._observe(self._clock.monotonic() - started)
        await _send(request, response, body)
        return response


class _Health:
    """Liveness, readiness and reload."""

    def __init__(self, overview: Overview, reload: Reload, clock: Clock) -> None:
        self._overview = overview
        self._reload = reload
        self._clock = clock

    async def healthy(self, _: web.Request) -> web.Response:
        return _plain("ok")

    async def ready(self, _: web.Request) -> web.Response:
        """Respond 200 if at least one system is up: one that is down must not hide the others."""
        reports = self._overview.reports()
        now = self._clock.now()
        lines = [_ready_line(report, reason_of(report, now)) for report in reports]
        if any(report.up for report in reports):
            return _plain("\n".join(["ready", *lines]))
        return _plain("\n".join(["not ready", *lines]), status=503)

    async def reload(self, request: web.Request) -> web.Response:
        await recovery.drain(request)
        if recovery.is_cross_site(request):
            return _plain("cross-site requests may not reload", status=403)
        try:
            restart_only = await self._reload()
        except ConfigError as error:
            return _plain(_one_line(str(error)), status=500)
        if restart_only:
            return _plain(f"reloaded; restart to apply {', '.join(restart_only)}")
        return _plain("reloaded")


class _Status:
    """The status page."""

    def __init__(
        self,
        overview: Overview,
        clock: Clock,
        version: str,
        telemetry_path: str,
        docs_url: str | None,
        service: "RecoveryService | None",
        reload: Reload,
    ) -> None:
        self._overview = overview
        self._clock = clock
        self._version = version
        self._telemetry_path = telemetry_path
        self._docs_url = docs_url
        self._service = service
        self._reload = reload

    async def show(self, _: web.Request) -> web.Response:
        page = render_status(
            self._overview.reports(),
            version=self._version,
            now=self._clock.now(),
            telemetry_path=self._telemetry_path,
            docs_url=self._docs_url,
            settings_problem=self._reload.problem,
            recovery=await self._recovery(),
        )
        return web.Response(
            text=page,
            content_type="text/html",
            headers={
                hdrs.CACHE_CONTROL: "no-store",
                "Content-Security-Policy": CONTENT_SECURITY_POLICY,
                "X-Frame-Options": "deny",
            },
        )

    async def _recovery(self) -> list[SystemRecovery]:
        if self._service is None:
            return []
        found = []
        for care in self._service.status():
            try:
                vms = await self._service.vms(care.system, limit=MAX_VMS)
                actions = await self._service.actions(care.system, limit=MAX_ACTIONS)
            except UnknownNameError:
                continue  # a reload renamed or removed the system meanwhile
            found.append(SystemRecovery(care, vms, actions))
        return found

    async def icon(self, _: web.Request) -> web.Response:
        return web.Response(
            text=ICON,
            content_type="image/svg+xml",
            headers={hdrs.CACHE_CONTROL: "max-age=86400"},
        )


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
