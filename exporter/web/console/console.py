"""What the pages of the console share: data, rendering, and forms that only operators send."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from yarl import URL

from exporter.alerting.config import AlertmanagerSettings
from exporter.alerting.definitions import Links
from exporter.clock import Clock
from exporter.console.fleet import Fleet, VMEntry
from exporter.console.newest import OfNewest
from exporter.console.status_history import Segment
from exporter.console.vm_choices import choices_of
from exporter.console.vm_query import VMSearch
from exporter.errors import NotKnownYetError
from exporter.executor import run_in_thread
from exporter.model import SystemState
from exporter.web.connections import read_body
from exporter.web.console.demo import DemoBanner
from exporter.web.console.local_path import local_path
from exporter.web.console.operators import Operators
from exporter.web.console.resources import ChartedResources
from exporter.web.console.sessions import (
    CSRF_FIELD,
    CSRF_HEADER,
    Notice,
    Session,
    Sessions,
    is_from_form,
)
from exporter.web.origin import Hosts
from exporter.web.ports import (
    Alerts,
    CountRefusal,
    DaemonInside,
    Overview,
    Reload,
    ResourceQueries,
)

if TYPE_CHECKING:  # loaded only where recovery is on
    from exporter.recovery.service import RecoveryService

FORM_BYTES = 16 * 1024
LOGIN = "/login"
NO_LINKS: Mapping[str, str] = {}
NOTICE = "notice"
"""The parameter of an address that names what came of a form."""
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""No inline script or style, and nothing from another host."""


PAGES = (
    ("/", "Overview"),
    ("/vms", "VMs"),
    ("/recovery", "Recovery"),
    ("/alerts", "Alerts"),
    ("/platform", "Platform"),
    ("/data", "Data"),
)
"""The paths of the pages in the navigation, with their titles."""


class Console:
    """
    The frame of all pages.

    Args:
        systems: The monitored systems.
        service: Recovery; None if it is off everywhere.
        reload: Holds the problem of the last reload.
        hosts: The names under which forms are accepted.
        refused: Counts what is refused.
        version: Of Vergewatch.
        telemetry_path: Where the metrics are.
        alerts: The alerts of the daemon, and silences; None if there are none.
        facts: The daemon itself; None if it is not shown.
        links: Templates of links from a VM to other tools, by their names.
        prometheus: Asks Prometheus for the charts of VMs; None if it is not configured.
        demo: The banner of the demo; None where real systems are watched.

    """

    def __init__(
        self,
        systems: Overview,
        service: "RecoveryService | None",
        reload: Reload,
        *,
        clock: Clock,
        sessions: Sessions,
        operators: Operators,
        hosts: Hosts,
        refused: CountRefusal,
        version: str,
        telemetry_path: str,
        alerts: Alerts | None = None,
        facts: DaemonInside | None = None,
        links: Mapping[str, str] = NO_LINKS,
        prometheus: ResourceQueries | None = None,
        demo: DemoBanner | None = None,
    ) -> None:
        self.systems, self.service, self.reload = systems, service, reload
        self.clock, self.sessions, self.operators = clock, sessions, operators
        self.version, self.telemetry_path = version, telemetry_path
        self.search = VMSearch()
        self.choices = OfNewest(choices_of)
        self.facts = facts
        self.links = links
        self.resources = ChartedResources(systems, prometheus, clock)
        self.alerts = alerts
        self.demo = demo
        self._fleet = Fleet()
        self._hosts = hosts
        self._refused = refused

    @property
    def may_log_in(self) -> bool:
        """Whether there is anything to log in for: users that are operators, recovery, silences."""
        is_on = self.service is not None and self.service.is_on
        silences = self.alerts is not None and bool(self.alerts.settings.urls)
        return bool(self.operators) or is_on or silences

    @property
    def alert_links(self) -> Links:
        """Where the runbooks and dashboards are that alerts link to."""
        settings = self.alerts.settings if self.alerts is not None else AlertmanagerSettings()
        return settings.links

    def states(self) -> Sequence[SystemState]:
        """Return the newest state of each system; none while they are being started."""
        try:
            return self.systems.states()
        except NotKnownYetError:
            return ()

    def vms(self) -> tuple[VMEntry, ...]:
        """Return the entry of each VM of every system."""
        return self._fleet.entries(self.states())

    def status_history(
        self, vms: Iterable[VMEntry]
    ) -> Mapping[tuple[str, int], tuple[Segment, ...]]:
        """Return the conditions of *vms* in the last 24 hours, by system and key."""
        histories, now = self.systems.histories(), self.clock.now()
        return {
            (vm.system, vm.key): histories[vm.system].status(vm.key, now)
            for vm in vms
            if vm.system in histories
        }

    async def page(
        self,
        request: web.Request,
        template: str,
        values: Mapping[str, Any],
        *,
        status: int = HTTPStatus.OK,
    ) -> web.Response:
        """Return *template* as a page, rendered in a worker thread."""
        session = self.sessions.session(request)
        shared = {
            "now": self.clock.now(),
            "page": request.path,
            "pages": PAGES,
            "path_and_query": request.path_qs,
            "demo": self.demo.banner(self.states(), self.vms()) if self.demo is not None else None,
            "csrf": session.csrf if session is not None else "",
            "owner": session.owner if session is not None else "",
            "notice": self.notice(request),
            "may_log_in": self.may_log_in,
            "settings_problem": self.reload.problem,
            "telemetry_path": self.telemetry_path,
            "version": self.version,
        }
        html = await run_in_thread(_rendered, template, {**shared, **values})
        return web.Response(
            text=html,
            status=status,
            content_type="text/html",
            headers={
                hdrs.CACHE_CONTROL: "no-store",
                "Content-Security-Policy": CONTENT_SECURITY_POLICY,
                "X-Frame-Options": "deny",
                # With "no-referrer" a browser sends forms with "Origin: null", as other sites do.
                "Referrer-Policy": "same-origin",
            },
        )

    def notice(self, request: web.Request) -> Notice | None:
        """Return what came of the form that led to this page; None if none did."""
        session = self.sessions.session(request)
        code = request.query.get(NOTICE, "")
        return session.notices.get(code) if session is not None else None

    async def problem(self, request: web.Request, status: HTTPStatus, text: str) -> web.Response:
        """Return a page that says what is wrong with *request*."""
        values = {"status": int(status), "phrase": status.phrase, "text": text}
        return await self.page(request, "problem.html", values, status=status)

    def form(self, handler: Callable[[web.Request, Session, Mapping[str, str]], Any]) -> Handler:
        """
        Return the handler of a form that only an operator may send.

        It is refused under a foreign host name, from a page of another site, without a session, and
        without the session's own CSRF token.
        """

        async def handle(request: web.Request) -> web.StreamResponse:
            fields = await self.fields(request)
            if isinstance(fields, web.Response):
                return fields
            session = self.sessions.session(request)
            if session is None:
                return see_other(f"{LOGIN}?next={quote(_way_back(request), safe='/')}")
            given = request.headers.get(CSRF_HEADER, "") or fields.get(CSRF_FIELD, "")
            if not is_from_form(session, given):
                text = "The form is too old or of another page. Open the page again."
                return await self.problem(request, HTTPStatus.FORBIDDEN, text)
            response: web.StreamResponse = await handler(request, session, fields)
            return response

        return handle

    async def fields(self, request: web.Request) -> Mapping[str, str] | web.Response:
        """Return the fields of a form, or the page that says why it is refused."""
        body = await read_body(request)
        if len(body) > FORM_BYTES:
            text = f"The form is longer than {FORM_BYTES} bytes."
            return await self.problem(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)
        refusal = self._hosts.refusal(request)
        if refusal is not None:
            self._refused(refusal[0])
            return await self.problem(request, HTTPStatus.FORBIDDEN, refusal[1])
        if request.content_type != "application/x-www-form-urlencoded":
            text = "The request is not a form."
            return await self.problem(request, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, text)
        return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))


def leading_to(path: str, session: Session, notice: Notice) -> web.Response:
    """Return the response to a form: the page at *path*, which shows *notice*."""
    return see_other(f"{path}?{NOTICE}={session.keep(notice)}")


def see_other(path: str) -> web.Response:
    """Return the response to a form: the browser goes to *path*, of this server."""
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={hdrs.LOCATION: str(URL(path))})


def _way_back(request: web.Request) -> str:
    """Return the page that a form is on; without a `Referer`, the start of the form's path."""
    page = urlsplit(request.headers.get(hdrs.REFERER, ""))
    if page.netloc == request.host:
        return local_path(f"{page.path}?{page.query}" if page.query else page.path)
    start = "/" + request.path.strip("/").split("/")[0]
    return start if any(start == path for path, _ in PAGES) else "/"


def _rendered(template: str, values: Mapping[str, Any]) -> str:
    from exporter.web.console.templates import render  # noqa: PLC0415 - loads Jinja, when needed

    return render(template, values)
