"""Errors below ``/api``: every one is JSON, those of the router and of the checks too."""

import msgspec
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from exporter.recovery.report.responses import ErrorResponse
from exporter.web.api.contract import OPENAPI

JSON = "application/json"
FIRST_ERROR = 400
ABOUT_ANOTHER_BODY = (hdrs.CONTENT_TYPE, hdrs.CONTENT_LENGTH)


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a request of the API that fails with ``{"error": "..."}``."""
    if not f"{request.path}/".startswith("/api/"):
        return await handler(request)
    try:
        response = await handler(request)
    except web.HTTPException as raised:
        if raised.status < FIRST_ERROR:
            raise
        return _error(request, raised)
    if response.status < FIRST_ERROR or response.content_type == JSON or response.prepared:
        return response
    return _error(request, response)


def _error(request: web.Request, failed: web.StreamResponse) -> web.Response:
    headers = failed.headers.copy()
    for name in ABOUT_ANOTHER_BODY:
        headers.popall(name, None)
    headers[hdrs.CACHE_CONTROL] = "no-store"
    return web.Response(
        body=msgspec.json.encode(ErrorResponse(_text(request, failed))),
        status=failed.status,
        content_type=JSON,
        headers=headers,
    )


def _text(request: web.Request, failed: web.StreamResponse) -> str:
    match failed:
        case web.HTTPNotFound():
            return f"there is no {request.path}; {OPENAPI} lists what there is"
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(failed.allowed_methods))
            return f"{request.path} does not accept {failed.method}; it accepts {allowed}"
        case web.Response(text=str(text)) if text.strip():
            return text.strip()
        case _:
            return f"{failed.status}: {failed.reason}"
