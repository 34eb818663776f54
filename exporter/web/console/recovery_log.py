"""The page ``/recovery/log``: what happened to VMs and what recovery did, newest first."""

from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from exporter.errors import JournalError
from exporter.recovery.model.views import AmbiguousNameError, UnknownNameError
from exporter.recovery.report.requests import LogQuery
from exporter.recovery.report.time_range import InvalidPeriodError
from exporter.web.console.console import NOTICE, Console

LIMITS = (100, 300, 1000)

QUERY_ERRORS = (
    msgspec.ValidationError,
    InvalidPeriodError,
    UnknownNameError,
    AmbiguousNameError,
    JournalError,
)
"""What a query of recovery by the address of a page may raise."""


async def show(console: Console, request: web.Request) -> web.Response:
    """Respond with the newest events, of all VMs or of one."""
    given = {name: text for name, text in request.query.items() if text and name != NOTICE}
    values: dict[str, Any] = {
        "events": (),
        "problem": "",
        "given": given,
        "limits": LIMITS,
        "limit": str(LogQuery().limit),
        "systems": [state.report.system_name for state in console.states()],
        "is_off": console.service is None or not console.service.status(),
    }
    status = HTTPStatus.OK
    try:
        query = msgspec.convert(given, LogQuery, strict=False)
        values["limit"] = str(query.limit)
        if console.service is not None and not values["is_off"]:
            values["events"] = await console.service.log(
                query.vm, query.system, limit=query.limit, since=query.since
            )
    except QUERY_ERRORS as error:
        status, values["problem"] = status_of(error), str(error)
    return await console.page(request, "log.html", values, status=status)


def status_of(error: Exception) -> HTTPStatus:
    """Return the status of the response to a query that raised one of `QUERY_ERRORS`."""
    match error:
        case JournalError():
            return HTTPStatus.SERVICE_UNAVAILABLE
        case UnknownNameError() | AmbiguousNameError():
            return HTTPStatus.NOT_FOUND
        case _:
            return HTTPStatus.BAD_REQUEST
