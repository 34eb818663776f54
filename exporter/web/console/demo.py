"""The banner of the demo: what happens next in the simulated system, and buttons that break it."""

import hmac
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from aiohttp import web

from exporter.console.fleet import VMEntry
from exporter.model import SystemState
from exporter.web.console.local_path import local_path
from exporter.web.console.sessions import CSRF_FIELD
from exporter.web.ports import Demo, DemoAction, DemoEvent

if TYPE_CHECKING:
    from exporter.web.console.console import Console

BREAK = "/demo"

COMING: Mapping[str, str] = {
    "crash": "will crash",
    "hang": "will stop responding",
    "operator_stops": "will be stopped by {by}",
    "task_stops": "will be stopped by a scheduled task",
    "guest_shuts_down": "will be shut down from inside its guest",
    "guest_reboots": "will be rebooted from inside its guest",
    "migrate": "will migrate to another node",
    "hibernate": "will be hibernated",
    "node_fails": "will fail",
    "node_enters_maintenance": "will enter maintenance",
    "drive_failing": "a physical drive will fail",
    "latency": "the API of VergeOS will respond slowly",
    "outage": "the API of VergeOS will be unreachable",
}
"""What will happen, after the name of its subject."""

HAPPENED: Mapping[str, str] = {
    "crashed": "crashed",
    "hung": "stopped responding",
    "woke_up": "responds again",
    "guest_shut_down": "was shut down from inside its guest",
    "guest_rebooted": "was rebooted from inside its guest",
    "powered_on": "is running again",
    "powered_off": "is off",
    "recovery_acted": "was sent a power action by Vergewatch",
    "operator_stops": "is stopped by {by}, as a person does it",
    "node_failed": "failed",
    "node_returned": "returned",
    "ha_restarted": "is started by VergeOS on another node",
    "tier_full": "a storage tier is 97 % full",
    "end": "all faults have ended",
}

BUTTONS: Mapping[DemoAction, str] = {
    DemoAction.CRASH: "Crash a VM",
    DemoAction.STOP: "Stop a VM as a person",
    DemoAction.FAIL_NODE: "Fail a node",
    DemoAction.FILL_TIER: "Fill a storage tier",
    DemoAction.END: "End all faults",
}


class Line(NamedTuple):
    """An event as the banner shows it."""

    at: datetime
    name: str
    text: str
    """What follows the name."""
    vm: VMEntry | None


class Banner(NamedTuple):
    """What the banner shows."""

    coming: Sequence[Line]
    happened: Sequence[Line]
    broken: Sequence[str]
    buttons: Mapping[DemoAction, str]
    csrf: str
    token: str
    is_warming_up: bool
    """A VM that crashed now would count as one that was off before: recovery leaves it so."""


class DemoBanner:
    """
    The banner, and the handler of its forms.

    The forms need no login: what they change is the simulated system. They carry a token that only
    pages of this daemon have, and are refused as those of operators are, so that no page of another
    site sends them.
    """

    def __init__(self, demo: Demo) -> None:
        self._demo = demo
        self._csrf = secrets.token_urlsafe(32)
        self._was_ready = False

    def banner(self, states: Sequence[SystemState], vms: Sequence[VMEntry]) -> Banner:
        """
        Return the banner.

        Args:
            states: Of the systems.
            vms: Of every system.

        """
        demo = self._demo
        self._was_ready = self._was_ready or (bool(states) and all(map(_is_ready, states)))
        return Banner(
            [_line(event, COMING, vms) for event in demo.coming() if event.what in COMING],
            [_line(event, HAPPENED, vms) for event in demo.happened() if event.what in HAPPENED],
            [name.replace("_", " ") for name in demo.broken()],
            BUTTONS,
            self._csrf,
            demo.token,
            not self._was_ready,
        )

    async def act(self, console: "Console", request: web.Request) -> web.StreamResponse:
        """Do what the form's button says, and return to the page that the form is on."""
        fields = await console.fields(request)
        if isinstance(fields, web.Response):
            return fields
        given = fields.get(CSRF_FIELD, "")
        if not hmac.compare_digest(given.encode(errors="surrogateescape"), self._csrf.encode()):
            text = "The form is too old or of another page. Open the page again."
            return await console.problem(request, HTTPStatus.FORBIDDEN, text)
        try:
            action = DemoAction(fields.get("action", ""))
        except ValueError:
            return await console.problem(
                request, HTTPStatus.BAD_REQUEST, "There is no such action."
            )
        self._demo.act(action)
        raise web.HTTPSeeOther(local_path(fields.get("next", "/")))


def _is_ready(state: SystemState) -> bool:
    return state.report.recovery is not None and state.report.recovery.ready


def _line(event: DemoEvent, texts: Mapping[str, str], vms: Sequence[VMEntry]) -> Line:
    vm = next((vm for vm in vms if vm.name == event.name), None) if event.name else None
    return Line(event.at, event.name, texts[event.what].format(by=event.by), vm)
