"""The page ``/recovery``: whether recovery would act, what it asks, holds and did, and commands."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aiohttp import web

from exporter.console.recovery_groups import VMGroup, vm_groups
from exporter.console.tones import OF_RECOVERY
from exporter.model import RecoveryInput
from exporter.recovery.model.cases import Action
from exporter.recovery.model.log_templates import TEACHABLE
from exporter.recovery.model.states import State
from exporter.recovery.model.views import SystemRecoveryStatus, TaughtTemplate, UnknownNameError
from exporter.recovery.report.events import TimelineEvent
from exporter.recovery.report.messages import VERBS
from exporter.recovery.report.presentation import present_readiness, present_state
from exporter.web.console.console import Console
from exporter.web.console.sessions import Notice

PATH = "/recovery"
MAX_ACTIONS = 10
"""Of each system; the log has all."""
MAX_VMS = 10
"""Of each group; the list of VMs has all."""
PAUSES = ((900, "15 min"), (3600, "1 h"), (4 * 3600, "4 h"), (24 * 3600, "24 h"))
"""The durations of a pause, in seconds and for people."""


class SystemRecovery(NamedTuple):
    """Recovery of one system, as the page shows it."""

    status: SystemRecoveryStatus
    readiness: str
    tone: str
    missing: Sequence[RecoveryInput]
    """What recovery lacks."""
    groups: Sequence[VMGroup]
    quarantined: Sequence[str]
    """Names of VMs, for the command that clears one."""
    actions: Sequence[TimelineEvent]
    """Newest first."""
    taught: Sequence[TaughtTemplate]


class Typed:
    """
    What was typed into a form that failed.

    Args:
        notice: What came of the last form; None if none was sent.

    """

    def __init__(self, notice: Notice | None) -> None:
        self._fields: Mapping[str, str] = notice.fields if notice is not None else {}

    def is_of(self, kind: str, system: str, about: str = "") -> bool:
        """Return whether the form of a command about a question or a template failed."""
        fields = self._fields
        subject = fields.get("question") or fields.get("template") or ""
        return (fields.get("kind"), fields.get("system"), subject) == (kind, system, about)

    def text(self, field: str, kind: str, system: str, about: str = "") -> str:
        """Return what was typed into *field*; empty if that form did not fail."""
        return self._fields.get(field, "") if self.is_of(kind, system, about) else ""


async def show(console: Console, request: web.Request) -> web.Response:
    """Respond with recovery of each system."""
    systems = await _systems(console)
    known = {one.status.system for one in systems}
    names = [state.report.system_name for state in console.states()]
    values = {
        "systems": systems,
        "off": [name for name in names if name not in known],
        "typed": Typed(console.notice(request)),
        "teachable": TEACHABLE,
        "pauses": PAUSES,
        "max_vms": MAX_VMS,
        "tone_of": tone_of,
        "verb_of": verb_of,
    }
    return await console.page(request, "recovery.html", values)


def tone_of(state: str) -> str:
    """Return the CSS class of a VM's state."""
    return OF_RECOVERY[present_state(state).tone]


def verb_of(action: str) -> str:
    """Return what an action does, such as ``start it``."""
    return VERBS[Action(action)][0]


async def _systems(console: Console) -> list[SystemRecovery]:
    service = console.service
    if service is None:
        return []
    reports = {state.report.system_name: state.report.recovery for state in console.states()}
    found = []
    for status in service.status():
        report = reports.get(status.system)
        try:
            actions = await service.actions(status.system, limit=MAX_ACTIONS)
            (patterns,) = service.patterns(status.system)
        except UnknownNameError:
            continue  # a reload renamed or removed the system meanwhile
        vms = report.vms if report is not None else ()
        readiness = present_readiness(status.readiness)
        found.append(
            SystemRecovery(
                status,
                readiness.label,
                OF_RECOVERY[readiness.tone],
                [one for one in report.inputs if one.problem] if report is not None else [],
                vm_groups(vms),
                [one.name for one in vms if one.state == State.QUARANTINED],
                actions,
                [one for one in patterns.taught if one.means],
            )
        )
    return found
