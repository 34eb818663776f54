"""The API of the doctor: reading it needs what ``/metrics`` needs, and no recovery."""

import msgspec
from aiohttp import hdrs, web

from exporter.doctor.registry import CHECKS
from exporter.doctor.responses import DoctorQuery, DoctorResponse, examination
from exporter.formatting import nearest_or_all
from exporter.recovery.report.responses import ErrorResponse
from exporter.web.ports import Overview

OFF = "the doctor is off: collectors.doctor is false in the settings of the daemon"


class DoctorAPI:
    """The handler of ``GET /api/v1/doctor``."""

    def __init__(self, overview: Overview) -> None:
        self._overview = overview

    async def show(self, request: web.Request) -> web.Response:
        """Return the results of every system, or of the one that the query names."""
        try:
            query = msgspec.convert(dict(request.query), DoctorQuery)
        except msgspec.ValidationError as error:
            return _response(ErrorResponse(f"the query is invalid: {error}"), status=400)
        reports = self._overview.reports()
        names = [one.system_name for one in reports]
        if query.system is not None and query.system not in names:
            known = nearest_or_all(query.system, names)
            return _response(ErrorResponse(f"no system is named {query.system!r}{known}"), 404)
        found = [one for one in reports if query.system in (None, one.system_name)]
        if found and not any(one.doctor for one in found):
            return _response(ErrorResponse(OFF), 404)
        return _response(DoctorResponse([examination(one, CHECKS) for one in found]))


def _response(document: DoctorResponse | ErrorResponse, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(document),
        status=status,
        content_type="application/json",
        headers={hdrs.CACHE_CONTROL: "no-store"},
    )
