"""The page Platform: what the VMs run on, what protects them, and what the doctor found."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import web

from exporter.console.platform.sheet import Sheet
from exporter.console.platform.sheets import SHEETS
from exporter.doctor.registry import CHECKS
from exporter.doctor.responses import CheckReport, examination
from exporter.executor import run_in_thread
from exporter.exposition.view import RenderView
from exporter.model import SystemReport, SystemState
from exporter.web.console.console import Console

MAX_ROWS = 10
"""Of each table on the page; its own page has all."""
MAX_FOUND = 2000
"""Rows on the page of one table: a search finds the others."""
MAX_SEARCH = 200
"""Characters."""


class ShownSheet(NamedTuple):
    """A table, or its first rows."""

    sheet: Sheet
    total: int
    """Rows that it has in all."""
    problems: int
    """How many of them have a problem."""


class PlatformOfSystem(NamedTuple):
    """The platform of one system."""

    report: SystemReport
    sheets: Sequence[ShownSheet]
    checks: Sequence[CheckReport]
    """Of the doctor; none if it examined nothing."""


async def show(console: Console, request: web.Request) -> web.Response:
    """Respond with the page of all tables."""
    systems = await run_in_thread(
        lambda: [_platform(state, list(SHEETS), "", MAX_ROWS) for state in console.states()]
    )
    values = {"systems": systems, "runbook_of": console.alert_links.runbook}
    return await console.page(request, "platform.html", values)


async def show_sheet(console: Console, request: web.Request) -> web.Response:
    """Respond with one table of all systems, or what a search finds in it."""
    name, search = request.match_info["sheet"], request.query.get("q", "")[:MAX_SEARCH]
    if name not in SHEETS:
        text = f"There is no such table; there are {', '.join(SHEETS)}."
        return await console.problem(request, HTTPStatus.NOT_FOUND, text)
    systems = await run_in_thread(
        lambda: [_platform(state, [name], search, MAX_FOUND) for state in console.states()]
    )
    values = {"systems": systems, "name": name, "search": search}
    return await console.page(request, "platform_sheet.html", values)


def _platform(state: SystemState, names: Sequence[str], search: str, most: int) -> PlatformOfSystem:
    view = RenderView(state.inventory, state.report)
    sheets = []
    for name in names:
        sheet = SHEETS[name](view).search(search)
        problems = sum(bool(row.problem) for row in sheet.rows)
        sheets.append(ShownSheet(sheet.cut(most), len(sheet.rows), problems))
    checks = examination(state.report, CHECKS).checks
    return PlatformOfSystem(state.report, sheets, checks)
