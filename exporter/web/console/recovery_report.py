"""The page ``/recovery/report``: how good recovery was in a period, with charts."""

from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from exporter.console.report_charts import system_report
from exporter.executor import run_in_thread
from exporter.recovery.report.requests import ReportQuery
from exporter.recovery.report.summary import RecoverySummary
from exporter.web.console.console import Console
from exporter.web.console.recovery_log import QUERY_ERRORS, status_of

PERIODS = (("1d", "24 hours"), ("7d", "7 days"), ("30d", "30 days"))
"""As `ReportQuery.since` takes them, and for people."""


async def show(console: Console, request: web.Request) -> web.Response:
    """Respond with the report of each system, or of the one that the query names."""
    given = {name: text for name, text in request.query.items() if text}
    values: dict[str, Any] = {"systems": [], "problem": "", "periods": PERIODS, "since": ""}
    try:
        query = msgspec.convert(given, ReportQuery)
        values["since"] = query.since
        values["systems"] = await _systems(console, query)
        status = HTTPStatus.OK
    except QUERY_ERRORS as error:
        status, values["problem"] = status_of(error), str(error)
    return await console.page(request, "report_page.html", values, status=status)


async def _systems(console: Console, query: ReportQuery) -> list[dict[str, object]]:
    service = console.service
    if service is None or not service.is_on:
        return []
    summaries = await service.report(query.system, since=query.since, until=query.until)
    return await run_in_thread(_all, list(summaries))


def _all(summaries: list[RecoverySummary]) -> list[dict[str, object]]:
    return [system_report(one) for one in summaries]
