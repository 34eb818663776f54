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
    try:
        query = msgspec.convert(given, LogQuery, strict=False)
    except msgspec.ValidationError as error:
        values["problem"] = f"The address is invalid: {error}."
        return await console.page(request, "log.html", values, status=HTTPStatus.BAD_REQUEST)
    values["limit"] = str(query.limit)
    status = HTTPStatus.OK
    try:
        if console.service is not None and not values["is_off"]:
            values["events"] = await console.service.log(
                query.vm, query.system, limit=query.limit, since=query.since
            )
    except InvalidPeriodError as error:
        status, values["problem"] = HTTPStatus.BAD_REQUEST, str(error)
    except (UnknownNameError, AmbiguousNameError) as error:
        status, values["problem"] = HTTPStatus.NOT_FOUND, str(error)
    except JournalError as error:
        status, values["problem"] = HTTPStatus.SERVICE_UNAVAILABLE, str(error)
    return await console.page(request, "log.html", values, status=status)
