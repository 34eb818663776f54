"""The recovery API: reading needs what ``/metrics`` needs, commands need the recovery token."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from exporter.recovery.model.commands import ANSWERS, GIVEN_BY_OPERATORS, CommandKind, Lesson
from exporter.recovery.model.log_templates import TEACHABLE
from exporter.recovery.model.views import API_ROOT, CommandReceipt
from exporter.recovery.report.requests import (
    MAX_PAUSE_SECONDS,
    PAUSE_SECONDS,
    CommandBody,
    ExplainQuery,
    LogQuery,
    ReportQuery,
    SystemQuery,
    VMsQuery,
)
from exporter.recovery.report.responses import (
    CommandResponse,
    LogResponse,
    PatternsResponse,
    ReportResponse,
    StatusResponse,
    VMsResponse,
)
from exporter.recovery.report.time_range import InvalidPeriodError
from exporter.web.commands import CommandChecks, RequestError, json_handler
from exporter.web.ports import Reload

if TYPE_CHECKING:  # a daemon without recovery does not load the engine
    from exporter.recovery.service import RecoveryService


Q = TypeVar("Q", bound=SystemQuery)


class RecoveryAPI:
    """
    The handlers of the recovery API.

    Args:
        reload: Holds the problem of the last reload.
        checks: What a command must pass.

    """

    def __init__(self, service: "RecoveryService", reload: Reload, checks: CommandChecks) -> None:
        self._service = service
        self._reload = reload
        self._checks = checks

    def install(self, app: web.Application, limited: Callable[[Handler], Handler]) -> None:
        """Add the routes; *limited* bounds how many queries are answered at once."""

        def get(path: str, handler: Handler) -> None:
            app.router.add_get(path, limited(handler))

        get(API_ROOT, _query_handler(SystemQuery, self._status))
        get(f"{API_ROOT}/vms", _query_handler(VMsQuery, self._vms))
        get(f"{API_ROOT}/explain/{{vm:[^/]+}}", _query_handler(ExplainQuery, self._explain))
        get(f"{API_ROOT}/log", _query_handler(LogQuery, self._log))
        get(f"{API_ROOT}/report", _query_handler(ReportQuery, self._report))
        get(f"{API_ROOT}/patterns", _query_handler(SystemQuery, self._patterns))
        for kind in GIVEN_BY_OPERATORS:
            app.router.add_post(f"{API_ROOT}/{kind}", json_handler(self._command_handler(kind)))

    async def _status(self, _: web.Request, query: SystemQuery) -> Any:
        return StatusResponse(self._service.status(query.system), self._reload.problem)

    async def _vms(self, _: web.Request, query: VMsQuery) -> Any:
        return VMsResponse(await self._service.vms(query.system, everyone=query.all))

    async def _explain(self, request: web.Request, query: ExplainQuery) -> Any:
        vm = request.match_info["vm"]
        return await self._service.explain(vm, query.system, decision=query.decision)

    async def _log(self, _: web.Request, query: LogQuery) -> Any:
        try:
            events = await self._service.log(
                query.vm, query.system, limit=query.limit, since=query.since
            )
        except InvalidPeriodError as error:
            raise RequestError(400, str(error)) from None
        return LogResponse(events)

    async def _report(self, _: web.Request, query: ReportQuery) -> Any:
        try:
            return ReportResponse(
                await self._service.report(query.system, since=query.since, until=query.until)
            )
        except InvalidPeriodError as error:
            raise RequestError(400, str(error)) from None

    async def _patterns(self, _: web.Request, query: SystemQuery) -> Any:
        return PatternsResponse(self._service.patterns(query.system))

    def _command_handler(self, kind: CommandKind) -> Callable[[web.Request], Awaitable[Any]]:
        async def command(request: web.Request) -> Any:
            body = await self._checks.body(request, CommandBody)
            return CommandResponse(await give_command(self._service, kind, body))

        return command


async def give_command(
    service: "RecoveryService", kind: CommandKind, body: CommandBody
) -> Sequence[CommandReceipt]:
    """
    Record a command and put it in force, once its sender is known to be an operator.

    Raises:
        RequestError: The command lacks something, or has what it does not take.
        VergewatchError: As `RecoveryService.command` raises it.

    """
    _check_body(kind, body)
    seconds = body.seconds
    if kind is CommandKind.PAUSE and seconds is None:
        seconds = PAUSE_SECONDS
    return await service.command(
        kind,
        owner=body.owner.strip(),
        reason=body.reason.strip(),
        seconds=seconds,
        vm=body.vm,
        lesson=Lesson(body.template, body.means),
        question=body.question,
        system=body.system,
    )


def _query_handler(
    query: type[Q], handler: Callable[[web.Request, Q], Awaitable[Any]]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return a JSON handler that calls *handler* with the decoded query."""

    async def handle(request: web.Request) -> Any:
        try:
            decoded = msgspec.convert(dict(request.query), query, strict=False)
        except msgspec.ValidationError as error:
            raise RequestError(400, f"the query is invalid: {error}") from None
        return await handler(request, decoded)

    return json_handler(handle)


def _check_body(kind: CommandKind, body: CommandBody) -> None:
    for name, text in (("owner", body.owner), ("reason", body.reason)):
        if not text.strip() or not text.isprintable():
            raise RequestError(400, f"{name} must be a line of printable text")
    if body.seconds is not None and kind is not CommandKind.PAUSE:
        raise RequestError(400, f"seconds is valid for pause only; {kind} has no end")
    if body.seconds is not None and not 0 < body.seconds <= MAX_PAUSE_SECONDS:
        raise RequestError(
            400, f"a pause must be longer than 0 s and at most {MAX_PAUSE_SECONDS:.0f} s"
        )
    if kind is CommandKind.CLEAR and not body.vm:
        raise RequestError(400, "vm is missing: the name, key or uuid of the VM to clear")
    if kind is not CommandKind.CLEAR and body.vm is not None:
        raise RequestError(400, f"vm is valid for clear only; {kind} applies to whole systems")
    if kind in ANSWERS and body.question is None:
        raise RequestError(400, f"question is missing: the number of the question to {kind}")
    if kind not in ANSWERS and body.question is not None:
        raise RequestError(400, f"question is valid for approve and deny only, not for {kind}")
    _check_template(kind, body)


def _check_template(kind: CommandKind, body: CommandBody) -> None:
    of_template = kind in (CommandKind.TEACH, CommandKind.FORGET)
    if of_template and not (body.template or "").strip():
        raise RequestError(400, "template is missing: the log template, or a row of the log")
    if not of_template and body.template is not None:
        raise RequestError(400, f"template is valid for teach and forget only, not for {kind}")
    if kind is CommandKind.TEACH and body.means not in TEACHABLE:
        raise RequestError(400, f"means must be one of {', '.join(TEACHABLE)}")
    if kind is not CommandKind.TEACH and body.means is not None:
        raise RequestError(400, f"means is valid for teach only, not for {kind}")
