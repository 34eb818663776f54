"""The page ``/vms/SYSTEM/KEY``: how a VM is doing, why, and what happened to it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from aiohttp import web

from exporter.alerting.definitions import AlertName
from exporter.console.external_links import links_to
from exporter.console.fleet import VMEntry, entry_of
from exporter.console.resource_history import Resources
from exporter.console.timeline_strip import Span, Window, spans_of_changes, spans_of_segments
from exporter.console.tones import tone_of_condition
from exporter.console.vm_condition import Condition
from exporter.errors import JournalError
from exporter.recovery.model.views import UnknownNameError
from exporter.web.console.console import Console
from exporter.web.console.resources import Charted

if TYPE_CHECKING:  # a daemon without recovery does not load them
    from exporter.recovery.report.explain import Explanation
    from exporter.recovery.report.vm_timeline import VMTimeline

PATH = "/vms/{system:[^/]+}/{key:[^/]+}"
ZOOMS: Mapping[str, timedelta] = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
ZOOM = "24h"
MAX_EVENTS = 200
"""On the page; the API and the command line have the rest."""
NEWEST_EVENTS = 12
"""That are shown without a click."""
TICKS = 5
NO_KEY = -1
MAX_DIGITS = 18
HOUR_MEANS = 12
RUNBOOKS: Mapping[Condition, str] = {
    Condition.DOWN: "VergeVMDown",
    Condition.TROUBLE: "VergeVMError",
    Condition.CHANGING: "VergeVMStuckInTransition",
}
"""The alert that a VM in this condition raises, if it lasts."""
RUNBOOKS_OF_STATUS: Mapping[str, str] = {"unresponsive": "VergeVMUnresponsive"}


class VMFacts(NamedTuple):
    """What is known of one VM, which may be gone."""

    system: str
    key: int
    entry: VMEntry | None
    last_seen: datetime | None
    explanation: "Explanation | None"
    timeline: "VMTimeline | None"
    problem: str
    """Why the journal could not be read; empty if it could."""

    @property
    def name(self) -> str:
        if self.entry is not None:
            return self.entry.name
        return self.explanation.vm if self.explanation is not None else f"VM {self.key}"


def key_of(request: web.Request) -> int:
    """Return the key that the path names; `NO_KEY` if it is none."""
    text = request.match_info["key"]
    is_key = text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
    return int(text) if is_key else NO_KEY


async def facts_of(console: Console, request: web.Request, since: datetime) -> VMFacts | None:
    """Return what is known of the VM that the path names; None if it was never seen."""
    system, key = request.match_info["system"], key_of(request)
    entry = entry_of(console.vms(), system, key)
    history = console.systems.histories().get(system)
    last_seen = history.last_seen(key) if history is not None else None
    explanation, timeline, problem = None, None, ""
    if console.service is not None and key != NO_KEY:
        try:
            explanation = await console.service.explain(key, system)
            timeline = await console.service.timeline(key, system, since)
        except UnknownNameError:
            pass  # recovery is off in that system, or has not seen the VM
        except JournalError as error:
            problem = str(error)
    if entry is None and last_seen is None and explanation is None:
        return None
    return VMFacts(system, key, entry, last_seen, explanation, timeline, problem)


async def show(console: Console, request: web.Request) -> web.Response:
    """Respond with the page of a VM."""
    zoom = request.query.get("zoom") or _usual_zoom(console, request)
    if zoom not in ZOOMS:
        text = f"The zoom {zoom!r} is unknown. It is one of {', '.join(ZOOMS)}."
        return await console.problem(request, HTTPStatus.BAD_REQUEST, text)
    now = console.clock.now()
    window = Window(now - ZOOMS[zoom], now)
    facts = await facts_of(console, request, window.since)
    if facts is None and not console.states():
        text = "The systems are being started. Try again in a moment."
        return await console.problem(request, HTTPStatus.SERVICE_UNAVAILABLE, text)
    if facts is None:
        text = (
            f"No VM with the key {request.match_info['key']} is known in "
            f"{request.match_info['system']}. It may have been deleted before Vergewatch started."
        )
        return await console.problem(request, HTTPStatus.NOT_FOUND, text)
    charted = await console.resources.of(facts.system, facts.key)
    values = _values(console, facts, charted, window, zoom)
    return await console.page(request, "vm.html", values)


def _usual_zoom(console: Console, request: web.Request) -> str:
    """Return the shortest time with all that was observed of the VM in the last 24 hours."""
    now, history = (
        console.clock.now(),
        console.systems.histories().get(request.match_info["system"]),
    )
    segments = history.status(key_of(request), now) if history is not None else ()
    observed = [one.begin for one in segments if one.condition is not None]
    begin = min(observed, default=now - ZOOMS[ZOOM])
    return next((zoom for zoom, length in ZOOMS.items() if now - begin <= length), ZOOM)


def _values(
    console: Console, facts: VMFacts, charted: Charted, window: Window, zoom: str
) -> dict[str, Any]:
    """Return what the template shows."""
    entry, explanation = facts.entry, facts.explanation
    timeline = facts.timeline
    events = timeline.events if timeline is not None else ()
    guards = explanation.guards if explanation is not None else ()
    return {
        "facts": facts,
        "vm": entry,
        "explanation": explanation,
        "guards": guards,
        "failed": [one for one in guards if not one.passed],
        "passed": [one for one in guards if one.passed],
        "budgets": _budgets(console, facts),
        "zoom": zoom,
        "zooms": ZOOMS,
        "window": window,
        "ticks": window.ticks(TICKS),
        "boxes": window.boxes(_spans(console, facts, window)),
        "marks": [(window.place(event.time), event) for event in events[:MAX_EVENTS]],
        "newest": NEWEST_EVENTS,
        "more_events": max(len(events) - MAX_EVENTS, 0),
        "links": _links(console, facts),
        "runbook": _runbook(console, entry),
        "tone": tone_of_condition(entry.condition) if entry is not None else "",
        "hours": _hours(charted.resources),
        "charts_problem": charted.problem,
    }


def _spans(console: Console, facts: VMFacts, window: Window) -> list[Span]:
    """Return the conditions in the window: by the journal, else by the status history."""
    timeline, explanation = facts.timeline, facts.explanation
    if timeline is not None and explanation is not None:
        from exporter.recovery.report.events import NOT_MONITORED  # noqa: PLC0415 - see above

        if timeline.changes or explanation.state != NOT_MONITORED:
            present = facts.entry.condition if facts.entry is not None else None
            return spans_of_changes(timeline.changes, timeline.gaps, present, window)
    history = console.systems.histories().get(facts.system)
    if history is None:
        return []
    return spans_of_segments(history.status(facts.key, window.until), window.until)


def _budgets(console: Console, facts: VMFacts) -> list[tuple[float, int, int | None]]:
    """Return the period, what is left and the limit of each restart budget, as they are now."""
    guards = facts.explanation.guards if facts.explanation is not None else ()
    decided = [use for one in guards for use in one.budgets]
    limits = {use.seconds: use.limit for use in decided}
    left = [
        (one.window_seconds, one.left, limits.get(one.window_seconds))
        for state in console.states()
        if state.report.system_name == facts.system and state.report.recovery is not None
        for one in state.report.recovery.budgets_remaining
        if one.vm_key == facts.key
    ]
    return left or [(use.seconds, use.limit - use.used, use.limit) for use in decided]


def _links(console: Console, facts: VMFacts) -> Mapping[str, str]:
    """Return the links to other tools; the one to Grafana is that of the alert VergeVMDown."""
    labels = {"system_name": facts.system, "vm_name": facts.name}
    alert_links = console.alert_links
    grafana = alert_links.dashboard_of(AlertName.VM_DOWN, labels) if alert_links.dashboards else ""
    others = links_to(
        console.links, system=facts.system, vm_id=facts.key, vm_name=facts.name
    )  # fmt: skip
    return {**({"grafana": grafana} if grafana else {}), **others}


def _runbook(console: Console, entry: VMEntry | None) -> str:
    """Return the address of the runbook for the state of a VM; empty if there is none."""
    if entry is None:
        return ""
    alert = RUNBOOKS_OF_STATUS.get(entry.status) or RUNBOOKS.get(entry.condition, "")
    return console.alert_links.runbook(alert) if alert else ""


def _hours(resources: Resources) -> list[tuple[datetime, float | None, float | None]]:
    """Return the mean of each hour that has any, the newest first."""
    found = []
    for place in range(len(resources.times) - HOUR_MEANS, -1, -HOUR_MEANS):
        part = slice(place, place + HOUR_MEANS)
        means = _mean(resources.cpu_ratios[part]), _mean(resources.memory_ratios[part])
        if means != (None, None):
            found.append((resources.times[place], *means))
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
