"""The API of one VM: what is known of it, and its history."""

from collections.abc import Sequence
from http import HTTPStatus

import msgspec
from aiohttp import hdrs, web

from exporter.console.timeline_strip import spans_of_segments
from exporter.console.vm_responses import VMHistoryResponse, VMResponse
from exporter.recovery.report.responses import ErrorResponse
from exporter.web.console.console import Console
from exporter.web.console.vm import ZOOM, ZOOMS, facts_of, key_of


async def show(console: Console, request: web.Request) -> web.Response:
    """Respond with what is known of a VM."""
    facts = await facts_of(console, request, console.clock.now() - ZOOMS[ZOOM])
    if facts is None:
        return _unknown(request)
    return _json(
        VMResponse(
            system=facts.system,
            key=facts.key,
            vm=facts.entry,
            last_seen=facts.last_seen,
            explanation=facts.explanation,
            problem=facts.problem,
            events=facts.timeline.events if facts.timeline is not None else (),
        )
    )


async def history(console: Console, request: web.Request) -> web.Response:
    """Respond with the resources and the conditions of a VM in the last hours."""
    system, key = request.match_info["system"], key_of(request)
    known, now = console.systems.histories().get(system), console.clock.now()
    if known is None or not known.knows(key):
        return _unknown(request)
    resources, problem = await console.resources.of(system, key)
    return _json(
        VMHistoryResponse(
            system=system,
            key=key,
            times=[int(time.timestamp()) for time in resources.times],
            cpu_ratios=_rounded(resources.cpu_ratios),
            memory_ratios=_rounded(resources.memory_ratios),
            problem=problem,
            conditions=spans_of_segments(known.status(key, now), now),
        )
    )


def _rounded(ratios: Sequence[float | None]) -> list[float | None]:
    return [None if one is None else round(one, 3) for one in ratios]


def _unknown(request: web.Request) -> web.Response:
    text = f"no VM with the key {request.match_info['key']} in {request.match_info['system']!r}"
    return _json(ErrorResponse(text), HTTPStatus.NOT_FOUND)


def _json(body: msgspec.Struct, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body),
        status=status,
        content_type="application/json",
        headers={hdrs.CACHE_CONTROL: "no-store"},
    )
