"""The routes of the console."""

from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from exporter.console.vm_list import VMS_PATH
from exporter.console.vm_responses import VM_HISTORY_PATH, VM_PATH
from exporter.web.alerts import AlertsAPI, AlertViews
from exporter.web.console import (
    data,
    overview,
    recovery,
    recovery_log,
    recovery_report,
    static_files,
    vm,
    vm_api,
    vms,
    vms_api,
)
from exporter.web.console.alerts import PATH as ALERTS
from exporter.web.console.alerts import AlertsPage
from exporter.web.console.console import LOGIN, Console
from exporter.web.console.demo import BREAK
from exporter.web.console.live import Live
from exporter.web.console.login import Login
from exporter.web.console.recovery_commands import install_commands
from exporter.web.console.shared_pages import Render, SharedPages

EVENTS = "/events"
LOGOUT = "/logout"
PATHS = ("/vms", "/recovery", "/alerts", "/platform", "/data", LOGIN, LOGOUT, EVENTS, BREAK)
"""The metrics cannot be there, nor below; with metrics at ``/`` there is no overview."""

Show = Callable[[Console, web.Request], Awaitable[web.Response]]


def install_console(
    app: web.Application,
    console: Console,
    login: Login,
    live: Live,
    limited: Callable[[Handler], Handler],
    shared: Callable[[SharedPages, Render], Handler],
) -> None:
    """
    Add the routes of the console to *app*.

    Args:
        limited: Bounds how many pages are rendered at once.
        shared: The same, and lets visitors share the pages of the last second.

    """
    router = app.router
    # What a visitor of the demo has just done is seen at once.
    pages = None if console.demo is not None else SharedPages(console.states, console.clock)

    def page(render: Render) -> Handler:
        return limited(render) if pages is None else shared(pages, render)

    def get(path: str, show: Show) -> None:
        router.add_get(path, page(partial(show, console)))

    if console.telemetry_path != "/":
        get("/", overview.show)
    get(vms.PATH, vms.show)
    router.add_get(VMS_PATH, limited(partial(vms_api.show, console)))
    get("/data", data.show)
    get(vm.PATH, vm.show)
    get(VM_PATH, vm_api.show)
    get(VM_HISTORY_PATH, vm_api.history)
    get(recovery.PATH, recovery.show)
    get(f"{recovery.PATH}/log", recovery_log.show)
    get(f"{recovery.PATH}/report", recovery_report.show)
    install_commands(app, console)
    views = AlertViews(console.alerts, console.vms, console.clock)
    alerts = AlertsPage(console, views)
    router.add_get(ALERTS, page(alerts.show))
    alerts.install_forms(app)
    AlertsAPI(views).install(app, limited)
    router.add_get(f"{static_files.ROOT}/{{checksum}}/{{name}}", static_files.serve)
    router.add_get(EVENTS, live.stream, allow_head=False)
    router.add_get(LOGIN, limited(login.show))
    router.add_post(LOGIN, limited(login.log_in))
    router.add_post(LOGOUT, limited(console.form(login.log_out)))
    if console.demo is not None:
        router.add_post(BREAK, limited(partial(console.demo.act, console)))
    app.on_shutdown.append(live.shut_down)
