"""The routes of the console."""

from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from exporter.web.console import data, overview, static_files, vm, vm_api
from exporter.web.console.console import LOGIN, Console
from exporter.web.console.demo import BREAK
from exporter.web.console.live import Live
from exporter.web.console.login import Login

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
) -> None:
    """
    Add the routes of the console to *app*.

    Args:
        limited: Bounds how many pages are rendered at once.

    """
    router = app.router

    def get(path: str, show: Show) -> None:
        router.add_get(path, limited(partial(show, console)))

    if console.telemetry_path != "/":
        get("/", overview.show)
    get("/data", data.show)
    get(vm.PATH, vm.show)
    get(vm_api.PATH, vm_api.show)
    get(vm_api.HISTORY_PATH, vm_api.history)
    router.add_get(f"{static_files.ROOT}/{{checksum}}/{{name}}", static_files.serve)
    router.add_get(EVENTS, live.stream)
    router.add_get(LOGIN, limited(login.show))
    router.add_post(LOGIN, limited(login.log_in))
    router.add_post(LOGOUT, limited(console.form(login.log_out)))
    if console.demo is not None:
        router.add_post(BREAK, limited(partial(console.demo.act, console)))
    app.on_shutdown.append(live.shut_down)
