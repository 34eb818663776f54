"""The API of the doctor: reading it needs what ``/metrics`` needs, and no recovery."""

import msgspec
from aiohttp import web

from exporter.doctor.registry import CHECKS
from exporter.doctor.responses import DoctorQuery, DoctorResponse, examination
from exporter.formatting import nearest_or_all
from exporter.web.commands import json_error, json_response
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
            return json_error(400, f"the query is invalid: {error}")
        reports = self._overview.reports()
        names = [one.system_name for one in reports]
        if query.system is not None and query.system not in names:
            known = nearest_or_all(query.system, names)
            return json_error(404, f"no system is named {query.system!r}{known}")
        found = [one for one in reports if query.system in (None, one.system_name)]
        if found and not any(one.doctor for one in found):
            return json_error(404, OFF)
        return json_response(DoctorResponse([examination(one, CHECKS) for one in found]))
