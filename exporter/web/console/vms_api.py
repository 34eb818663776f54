"""The API of the list of VMs: the same query as the page, as JSON and as CSV."""

from collections.abc import Mapping

import msgspec
from aiohttp import hdrs, web

from exporter.console.vm_list import list_response, vms_csv
from exporter.console.vm_query import FoundVMs, InvalidQueryError, parse_query
from exporter.executor import run_in_thread
from exporter.formatting import nearest_or_all
from exporter.recovery.report.responses import ErrorResponse
from exporter.web.console.console import Console

FORMATS = ("json", "csv")


async def as_json(console: Console, request: web.Request) -> web.Response:
    """Respond with a page of the VMs that fit; with ``format=csv``, with all of them as CSV."""
    parameters = [pair for pair in request.query.items() if pair[0] != "format"]
    form = request.query.get("format", "json")
    if form not in FORMATS:
        text = f"the parameter format is {form!r}; it is one of {', '.join(FORMATS)}"
        return _error(400, text)
    return await _respond(console, parameters, is_csv=form == "csv")


async def as_csv(console: Console, request: web.Request) -> web.Response:
    """Respond with all VMs that fit, as CSV."""
    return await _respond(console, list(request.query.items()), is_csv=True)


async def _respond(
    console: Console, parameters: list[tuple[str, str]], *, is_csv: bool
) -> web.Response:
    try:
        query = parse_query(parameters)
    except InvalidQueryError as error:
        return _error(400, str(error))
    systems = [state.report.system_name for state in console.states()]
    if query.system and query.system.casefold() not in map(str.casefold, systems):
        known = nearest_or_all(query.system, systems)
        return _error(404, f"no system is named {query.system!r}{known}")
    vms = console.vms()

    def found() -> FoundVMs:
        return console.search.find(vms, query)

    if is_csv:
        text = await run_in_thread(lambda: vms_csv(found().vms))
        headers = {hdrs.CONTENT_DISPOSITION: 'attachment; filename="vms.csv"'}
        return _response(text.encode(), "text/csv", headers=headers)
    body = await run_in_thread(lambda: msgspec.json.encode(list_response(found())))
    return _response(body, "application/json")


def _error(status: int, text: str) -> web.Response:
    return _response(msgspec.json.encode(ErrorResponse(text)), "application/json", status=status)


def _response(
    body: bytes, content_type: str, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(
        body=body,
        status=status,
        content_type=content_type,
        charset="utf-8" if content_type == "text/csv" else None,
        headers={hdrs.CACHE_CONTROL: "no-store", **(headers or {})},
    )
