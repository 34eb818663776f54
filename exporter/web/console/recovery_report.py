"""The page ``/recovery/report``: how good recovery was in a period, with charts."""

from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from exporter.console.report_charts import system_report
from exporter.errors import JournalError
from exporter.executor import run_in_thread
from exporter.recovery.model.views import AmbiguousNameError, UnknownNameError
from exporter.recovery.report.requests import ReportQuery
from exporter.recovery.report.summary import RecoverySummary
from exporter.recovery.report.time_range import InvalidPeriodError
from exporter.web.console.console import Console

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
    except (msgspec.ValidationError, InvalidPeriodError) as error:
        status, values["problem"] = HTTPStatus.BAD_REQUEST, str(error)
    except (UnknownNameError, AmbiguousNameError) as error:
        status, values["problem"] = HTTPStatus.NOT_FOUND, str(error)
    except JournalError as error:
        status, values["problem"] = HTTPStatus.SERVICE_UNAVAILABLE, str(error)
    return await console.page(request, "report_page.html", values, status=status)


async def _systems(console: Console, query: ReportQuery) -> list[dict[str, object]]:
    service = console.service
    if service is None or not service.is_on:
        return []
    summaries = await service.report(query.system, since=query.since, until=query.until)
    return await run_in_thread(_all, list(summaries))


def _all(summaries: list[RecoverySummary]) -> list[dict[str, object]]:
    return [system_report(one) for one in summaries]
