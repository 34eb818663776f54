"""The page Data: what is polled and how it went, the configuration, and the daemon itself."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from aiohttp import web

from exporter.console.daemon_facts import SystemPlan
from exporter.console.health import reason_of, state_of
from exporter.console.tones import tone_of_state
from exporter.model import SystemReport, TableReport
from exporter.polling.schedule import allowance
from exporter.web.console.console import Console

TONES = {
    "ok": "ok",
    "failing": "critical",
    "stale": "warning",
    "not polled yet": "pending",
}
"""The states of a table, and their tones."""


class TableRow(NamedTuple):
    """One table and its state."""

    report: TableReport
    state: str
    tone: str
    wanted_seconds: float | None
    """The interval without the limit of requests, if the plan stretched it."""


class Requests(NamedTuple):
    """The requests of one system."""

    planned: int
    remaining: int
    per_hour: int | None
    """What VergeOS allows; None if that is not known."""
    allowed: int | None
    """What of it is for polling: the rest is reserved for recovery."""


class SystemData(NamedTuple):
    """One system on the page."""

    report: SystemReport
    state: str
    tone: str
    reason: str
    requests: Requests
    tables: tuple[TableRow, ...]
    summary: str
    """How many tables are in each state."""
    is_stretched: bool


async def show(console: Console, request: web.Request) -> web.Response:
    """Respond with the page."""
    facts = console.facts() if console.facts is not None else None
    plans: Mapping[str, SystemPlan] = facts.plans if facts is not None else {}
    now = console.clock.now()
    systems = [
        system_data(report, plans.get(report.system_name), now)
        for report in console.systems.reports()
    ]
    return await console.page(request, "data.html", {"systems": systems, "facts": facts})


def system_data(report: SystemReport, plan: SystemPlan | None, now: datetime) -> SystemData:
    """Return *report* for the page."""
    state = state_of(report)
    rows = tuple(_rows(report.tables, plan))
    counts = Counter(row.state for row in rows)
    return SystemData(
        report=report,
        state=state.value,
        tone=tone_of_state(state),
        reason=reason_of(report, now),
        requests=Requests(
            report.requests_per_hour,
            report.requests_remaining,
            plan.per_hour if plan is not None else None,
            allowance(plan.per_hour, plan.reserve) if plan is not None else None,
        ),
        tables=rows,
        summary=", ".join(f"{counts[word]} {word}" for word in TONES if counts[word]),
        is_stretched=any(row.wanted_seconds is not None for row in rows),
    )


def _rows(tables: Iterable[TableReport], plan: SystemPlan | None) -> Iterable[TableRow]:
    for table in tables:
        state = table_state(table)
        wanted = plan.wanted_seconds.get(table.table) if plan is not None else None
        is_stretched = wanted is not None and table.every_seconds > wanted
        yield TableRow(table, state, TONES[state], wanted if is_stretched else None)


def table_state(table: TableReport) -> str:
    """Return the state of *table*."""
    if table.success is None:
        return "not polled yet"
    if not table.success:
        return "failing"
    return "ok" if table.fresh else "stale"
