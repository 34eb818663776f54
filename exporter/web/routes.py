"""The HTTP endpoints: metrics, health, readiness, reload, the API and the console."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from exporter import __version__
from exporter.clock import Clock
from exporter.console.health import reason_of, state_of
from exporter.doctor.responses import DOCTOR_PATH
from exporter.errors import ConfigError, NotKnownYetError
from exporter.executor import run_in_thread
from exporter.exposition.formats import Format
from exporter.exposition.page import Body
from exporter.model import RELOAD_PATH, ReloadResponse, SystemReport
from exporter.web import recovery
from exporter.web.api.contract import OPENAPI
from exporter.web.attempts import Attempts
from exporter.web.commands import BODY_BYTES, JSON, CommandChecks, json_error, json_response
from exporter.web.connections import read_body
from exporter.web.console.console import NO_LINKS, Console
from exporter.web.console.demo import DemoBanner
from exporter.web.console.live import Live
from exporter.web.console.login import Login
from exporter.web.console.operators import Operators
from exporter.web.console.pages import PATHS, install_console
from exporter.web.console.sessions import Sessions
from exporter.web.console.shared_pages import Render, SharedPages
from exporter.web.console.static_files import ROOT as STATIC
from exporter.web.console.static_files import static_files
from exporter.web.delivery import Delivery
from exporter.web.doctor import DoctorAPI
from exporter.web.middleware import RequestChecks
from exporter.web.negotiation import accepts_gzip, negotiate
from exporter.web.origin import Hosts
from exporter.web.ports import (
    Alerts,
    CountRefusal,
    DaemonInside,
    Demo,
    GuestTargets,
    ObserveScrape,
    Overview,
    Pages,
    Refusal,
    Reload,
    ResourceQueries,
    TokenSource,
    VendorPages,
    no_token,
)
from exporter.web.reloads import Reloads
from exporter.web.retry import Retry, RetryAPI
from exporter.web.slots import Slots

if TYPE_CHECKING:  # loaded only by a daemon that uses them
    from exporter.recovery.service import RecoveryService
    from exporter.web.reloadable_config import ReloadableWebConfig

HEALTHY = "/-/healthy"
READY = "/-/ready"
FAVICON = "/favicon.ico"
VENDOR = "/metrics/vendor"
GUESTS = "/sd/guests"

MAX_SCRAPES = 128
MAX_SCRAPES_OF_CLIENT = 56
"""In progress. Fewer than the connections of a client: the rest is for its commands."""
MAX_VIEWS = 12
MAX_VIEWS_OF_CLIENT = 6
"""Pages of the console and queries in progress."""
MAX_RELOADS = 16
MAX_RELOADS_OF_CLIENT = 4
"""Requests that wait for a reload."""

TAKEN_WHOLE = ("/api", STATIC, *PATHS)
"""Paths that the metrics cannot have, nor anything below them."""

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
    operators: Iterable[str] = (),
    hosts: Iterable[str] = (),
    refused: CountRefusal = lambda _: None,
    vendor: VendorPages | None = None,
    guests: GuestTargets | None = None,
    retry: Retry | None = None,
    facts: DaemonInside | None = None,
    alerts: Alerts | None = None,
    links: Mapping[str, str] = NO_LINKS,
    prometheus: ResourceQueries | None = None,
    demo: Demo | None = None,
) -> web.Application:
    """
    Return the application, ready to be served.

    Args:
        pages: The rendered metrics.
        overview: The state of each system.
        reload: Reloads the configuration.
        clock: The time.
        version: Of Vergewatch.
        telemetry_path: Where the metrics are; with ``/`` there is no overview.
        web_config: TLS, authentication and headers; without it, access is open.
        observe_scrape: Receives the duration of each scrape.
        service: Recovery; without it, recovery is neither shown nor controlled.
        recovery_token: Returns what is required to control recovery.
        operators: Users of the web configuration file that may give commands on the console
            without the token.
        hosts: Further names under which commands and reloads are accepted.
        refused: Counts what is refused.
        vendor: The metrics with the vendor's names; without it, there is no such page.
        guests: Service discovery; without it, there is none.
        retry: Tries refused credentials again.
        facts: The daemon itself; without it, the page Data shows the systems only.
        alerts: The alerts of the daemon, and silences; without it, none are shown.
        links: Templates of links from a VM to other tools, by their names.
        prometheus: Asks Prometheus for the charts of VMs; None if it is not configured.
        demo: The simulated system of the demo; None where real systems are watched.

    Raises:
        ConfigError: *telemetry_path* is not a path, or is in use.

    """
    check_telemetry_path(telemetry_path)
    app = web.Application(client_max_size=BODY_BYTES)
    RequestChecks(web_config, clock, refused).install(app)
    deliver = Delivery(clock, refused)
    app.on_shutdown.append(deliver.shut_down)
    endpoints = _Endpoints(
        pages,
        overview,
        reload,
        Reloads(reload, clock),
        clock,
        version,
        telemetry_path,
        observe_scrape,
        service,
        Hosts(hosts),
        refused,
        deliver,
        *_slots(refused),
    )
    endpoints.install(app)
    if vendor is not None:
        app.router.add_get(VENDOR, endpoints.scraped(partial(_vendor_page, vendor)))
    if guests is not None:
        app.router.add_get(GUESTS, endpoints.scraped(partial(_guest_targets, guests)))
    attempts = Attempts("recovery token", Refusal.TOKEN, refused, clock, costs=False)
    access = Operators(recovery_token, operators)
    endpoints.install_console(app, access, attempts, demo, facts, alerts, links, prometheus)
    checks = CommandChecks(recovery_token, endpoints.hosts, attempts, clock, refused)
    endpoints.install_recovery(app, checks)
    if retry is not None:
        RetryAPI(retry, checks).install(app)
    return app


def _slots(refused: CountRefusal) -> tuple[Slots, Slots, Slots]:
    """Return the places of scrapes, of pages and queries, and of reloads."""
    return (
        Slots(Refusal.SCRAPES, refused, most=MAX_SCRAPES, most_of_client=MAX_SCRAPES_OF_CLIENT),
        Slots(Refusal.VIEWS, refused, most=MAX_VIEWS, most_of_client=MAX_VIEWS_OF_CLIENT),
        Slots(
            Refusal.RELOADS,
            refused,
            most=MAX_RELOADS,
            most_of_client=MAX_RELOADS_OF_CLIENT,
            error=web.HTTPTooManyRequests,
        ),
    )


def check_telemetry_path(path: str) -> None:
    """Raise `ConfigError` unless metrics can be served at *path*."""
    if not _PATH.fullmatch(path):
        raise ConfigError(
            f"the telemetry path {path!r} must start with / and contain only letters, digits and "
            "._~-/"
        )
    taken = (HEALTHY, READY, RELOAD_PATH, FAVICON, VENDOR, GUESTS)
    if path in taken or any(f"{path}/".startswith(f"{one}/") for one in TAKEN_WHOLE):
        raise ConfigError(f"the telemetry path {path} is used by another endpoint; choose another")


class _Endpoints(NamedTuple):
    """The handlers, and what they need. See `make_app`."""

    pages: Pages
    overview: Overview
    reload: Reload
    reload_in_turn: Reloads
    clock: Clock
    version: str
    telemetry_path: str
    observe_scrape: ObserveScrape | None
    service: "RecoveryService | None"
    hosts: Hosts
    refused: CountRefusal
    deliver: Delivery
    scrapes: Slots
    views: Slots
    reloads: Slots

    def install(self, app: web.Application) -> None:
        """Add the routes to *app*."""
        app.router.add_get(self.telemetry_path, self.metrics)
        app.router.add_get(HEALTHY, self.healthy)
        app.router.add_get(READY, self.ready)
        app.router.add_post(RELOAD_PATH, self.reload_settings)
        app.router.add_put(RELOAD_PATH, self.reload_settings)
        app.router.add_get(FAVICON, self.icon)
        app.router.add_get(OPENAPI, self.limited(_openapi))
        app.router.add_get(DOCTOR_PATH, self.limited(DoctorAPI(self.overview).show))

    def install_console(
        self,
        app: web.Application,
        operators: Operators,
        attempts: Attempts,
        demo: Demo | None,
        facts: DaemonInside | None,
        alerts: Alerts | None,
        links: Mapping[str, str],
        prometheus: ResourceQueries | None,
    ) -> None:
        """Add the pages of the console to *app*."""
        console = Console(
            self.overview,
            self.service,
            self.reload,
            clock=self.clock,
            sessions=Sessions(self.clock, operators),
            operators=operators,
            hosts=self.hosts,
            refused=self.refused,
            version=self.version,
            telemetry_path=self.telemetry_path,
            facts=facts,
            alerts=alerts,
            links=links,
            prometheus=prometheus,
            demo=DemoBanner(demo) if demo is not None else None,
        )
        install_console(
            app,
            console,
            Login(console, attempts, self.clock),
            Live(console.states, self.clock, self.refused),
            self.limited,
            self.shared,
        )

    def install_recovery(self, app: web.Application, checks: CommandChecks) -> None:
        """Add the routes that show and control recovery to *app*, if there is one."""
        if self.service is not None:
            recovery.RecoveryAPI(self.service, self.reload, checks).install(app, self.limited)

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        with self.scrapes.taken(request):
            return await self._scrape(request)

    async def _scrape(self, request: web.Request) -> web.StreamResponse:
        started = self.clock.monotonic()
        form = negotiate(_header(request, hdrs.ACCEPT))
        gzipped = accepts_gzip(_header(request, hdrs.ACCEPT_ENCODING))
        body = self.pages.page(form, gzipped=gzipped, now=started)
        response = _page_response(body, form, gzipped=gzipped)
        if self.observe_scrape is not None and request.method == hdrs.METH_GET:
            self.observe_scrape(self.clock.monotonic() - started)
        await self.deliver(request, response, body)
        return response

    def scraped(
        self, handler: Callable[[web.Request], Awaitable[tuple[web.StreamResponse, Body | None]]]
    ) -> Handler:
        """Return *handler*, of what Prometheus asks for, under the limits of a scrape."""

        async def handle(request: web.Request) -> web.StreamResponse:
            with self.scrapes.taken(request):
                response, body = await handler(request)
                await self.deliver(request, response, body)
                return response

        return handle

    def limited(self, handler: Handler) -> Handler:
        """Return *handler*, of pages or queries, that holds a place while it answers."""

        async def handle(request: web.Request) -> web.StreamResponse:
            with self.views.taken(request):
                response = await handler(request)
                await self.deliver(request, response)
                return response

        return handle

    def shared(self, pages: SharedPages, render: Render) -> Handler:
        """Return the handler of a page that holds a place only while it is rendered."""
        alone = self.limited(render)

        async def in_a_place(request: web.Request) -> web.Response:
            with self.views.taken(request):
                return await render(request)

        async def handle(request: web.Request) -> web.StreamResponse:
            if not pages.has(request):
                return await alone(request)
            response = await pages.response(request, in_a_place)
            await self.deliver(request, response)
            return response

        return handle

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
        await read_body(request)
        refusal = self.hosts.refusal(request)
        if refusal is not None:
            self.refused(refusal[0])
            return _reload_error(request, refusal[1], status=403)
        try:
            with self.reloads.taken(request):
                done = await self.reload_in_turn()
        except ConfigError as error:
            return _reload_error(request, _one_line(str(error)), status=500)
        response = ReloadResponse(
            tuple(done.applied), tuple(done.needs_restart), self.reload.problem
        )
        return json_response(response) if _wants_json(request) else _plain(response.text)

    async def icon(self, _: web.Request) -> web.Response:
        return web.Response(
            body=static_files()["icon-ok.svg"].body,
            content_type="image/svg+xml",
            headers={hdrs.CACHE_CONTROL: "max-age=86400"},
        )


def _page_response(body: Body, form: Format, *, gzipped: bool) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: form.content_type,
            hdrs.CONTENT_LENGTH: str(body.size),
            hdrs.CACHE_CONTROL: "no-store",
            hdrs.VARY: "Accept, Accept-Encoding",
        }
    )
    if gzipped:
        response.headers[hdrs.CONTENT_ENCODING] = "gzip"
    return response


async def _vendor_page(
    pages: VendorPages, request: web.Request
) -> tuple[web.StreamResponse, Body | None]:
    gzipped = accepts_gzip(_header(request, hdrs.ACCEPT_ENCODING))
    body = await pages.page(gzipped=gzipped)
    return _page_response(body, Format.CLASSIC, gzipped=gzipped), body


async def _guest_targets(
    guests: GuestTargets, request: web.Request
) -> tuple[web.StreamResponse, Body | None]:
    """Respond with an error rather than with half of the targets: Prometheus then keeps its own."""
    try:
        found = await guests.targets({key: request.query.getall(key) for key in request.query})
    except ValueError as error:
        return _plain(_one_line(str(error)), status=400), None
    except NotKnownYetError as error:
        return _plain(_one_line(str(error)), status=503), None
    headers = {hdrs.CACHE_CONTROL: "no-store"}
    return web.Response(body=found, content_type="application/json", headers=headers), None


async def _openapi(_: web.Request) -> web.Response:
    from exporter.web.api.openapi import openapi_json  # noqa: PLC0415 - reads the sources

    body = await run_in_thread(openapi_json)
    return web.Response(
        body=body, content_type="application/json", headers={hdrs.CACHE_CONTROL: "no-store"}
    )


def _ready_line(report: SystemReport, reason: str) -> str:
    state = state_of(report).value
    leader = report.recovery.leader if report.recovery is not None else ""
    return _one_line(
        f"{report.system_name}: {state}"
        + (f" ({reason})" if reason else "")
        + (f"; the replica {leader} leads recovery" if leader else "")
    )


def _plain(text: str, *, status: int = 200) -> web.Response:
    return web.Response(text=f"{text}\n", status=status, headers={hdrs.CACHE_CONTROL: "no-store"})


def _reload_error(request: web.Request, text: str, *, status: int) -> web.Response:
    return json_error(status, text) if _wants_json(request) else _plain(text, status=status)


def _wants_json(request: web.Request) -> bool:
    return JSON in _header(request, hdrs.ACCEPT)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _header(request: web.Request, name: str) -> str:
    return ", ".join(request.headers.getall(name, ()))
