"""The API of the list of VMs: the same query as the page, as JSON and as CSV."""

from collections.abc import Mapping

import msgspec
from aiohttp import hdrs, web

from exporter.console.fleet import VMEntry
from exporter.console.vm_list import list_response, vms_csv
from exporter.console.vm_query import InvalidQueryError, ListFormat, VMQuery, parse_query
from exporter.executor import run_in_thread
from exporter.formatting import nearest_or_all
from exporter.recovery.report.responses import ErrorResponse
from exporter.web.console.console import Console

JSON = "application/json"
CSV = "text/csv"
AS_FILE: Mapping[str, str] = {hdrs.CONTENT_DISPOSITION: 'attachment; filename="vms.csv"'}


async def show(console: Console, request: web.Request) -> web.Response:
    """Respond with a page of the VMs that fit, or with all of them as CSV."""
    try:
        query = parse_query(request.query.items())
    except InvalidQueryError as error:
        return _error(400, str(error))
    systems = [state.report.system_name for state in console.states()]
    if query.system and query.system.casefold() not in map(str.casefold, systems):
        known = nearest_or_all(query.system, systems)
        return _error(404, f"no system is named {query.system!r}{known}")
    vms = console.vms()
    if query.format is ListFormat.CSV:
        return _response(await run_in_thread(_csv, console, vms, query), CSV, headers=AS_FILE)
    return _response(await run_in_thread(_json, console, vms, query), JSON)


def _csv(console: Console, vms: tuple[VMEntry, ...], query: VMQuery) -> bytes:
    return vms_csv(console.search.find(vms, query).vms).encode()


def _json(console: Console, vms: tuple[VMEntry, ...], query: VMQuery) -> bytes:
    return msgspec.json.encode(list_response(console.search.find(vms, query)))


def _error(status: int, text: str) -> web.Response:
    return _response(msgspec.json.encode(ErrorResponse(text)), JSON, status=status)


def _response(
    body: bytes, content_type: str, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(
        body=body,
        status=status,
        content_type=content_type,
        charset="utf-8" if content_type == CSV else None,
        headers={hdrs.CACHE_CONTROL: "no-store", **(headers or {})},
    )
