"""The recovery API: reading needs what ``/metrics`` needs, commands need the recovery token."""

import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from exporter.clock import Clock
from exporter.errors import ConfigError, JournalError
from exporter.recovery.model.commands import ANSWERS, GIVEN_BY_OPERATORS, CommandKind, Lesson
from exporter.recovery.model.log_templates import TEACHABLE
from exporter.recovery.model.views import (
    API_ROOT,
    TOKEN_HEADER,
    AmbiguousNameError,
    AnswerRefusedError,
    CommandReceipt,
    UnknownNameError,
)
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
    ErrorResponse,
    LogResponse,
    PatternsResponse,
    ReportResponse,
    StatusResponse,
    VMsResponse,
)
from exporter.recovery.report.time_range import InvalidPeriodError
from exporter.web.attempts import Attempts
from exporter.web.connections import client_of, read_body, waiting
from exporter.web.origin import Hosts
from exporter.web.ports import CountRefusal, Reload, TokenSource

if TYPE_CHECKING:  # a daemon without recovery does not load the engine
    from exporter.recovery.service import RecoveryService

JSON = "application/json"

BODY_BYTES = 16 * 1024

Q = TypeVar("Q", bound=SystemQuery)


class RequestError(Exception):
    """A request that is refused, with the HTTP status and the error text of the response."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class RecoveryAPI:
    """
    The handlers of the recovery API.

    Args:
        token: Returns what commands need; without a token, every command is refused.
        reload: Holds the problem of the last reload.
        hosts: The names under which commands are accepted.
        attempts: Counts wrong tokens.
        clock: The time that a guesser has to wait.
        refused: Counts what is refused.

    """

    def __init__(
        self,
        service: "RecoveryService",
        token: TokenSource,
        reload: Reload,
        *,
        hosts: Hosts,
        attempts: Attempts,
        clock: Clock,
        refused: CountRefusal,
    ) -> None:
        self._service = service
        self._reload = reload
        self._hosts = hosts
        self._attempts = attempts
        self._clock = clock
        self._refused = refused
        self._token = token

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
            app.router.add_post(f"{API_ROOT}/{kind}", _json_handler(self._command_handler(kind)))

    async def _status(self, _: web.Request, query: SystemQuery) -> Any:
        return StatusResponse(self._service.status(query.system), self._reload.problem)

    async def _vms(self, _: web.Request, query: VMsQuery) -> Any:
        return VMsResponse(await self._service.vms(query.system, everyone=query.all))

    async def _explain(self, request: web.Request, query: ExplainQuery) -> Any:
        vm = request.match_info["vm"]
        return await self._service.explain(vm, query.system, decision=query.decision)

    async def _log(self, _: web.Request, query: LogQuery) -> Any:
        return LogResponse(await self._service.log(query.vm, query.system, limit=query.limit))

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
            raw = await _read_body(request)
            refusal = self._hosts.refusal(request)
            if refusal is not None:
                self._refused(refusal[0])
                raise RequestError(403, refusal[1])
            await self._check_token(request)
            body = _decode_body(request, raw)
            return CommandResponse(await give_command(self._service, kind, body))

        return command

    async def _check_token(self, request: web.Request) -> None:
        try:
            token = self._token()
        except ConfigError as error:
            raise RequestError(403, f"commands are refused: {error}") from None
        if token is None or not token.get_secret_value():
            raise RequestError(
                403,
                "commands are refused because no token is configured; set recovery.token or "
                "recovery.token_file and reload",
            )
        required = token.get_secret_value().encode()
        scheme, _, bearer = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        given = [request.headers.get(TOKEN_HEADER, "")]
        if scheme.lower() == "bearer":
            given.append(bearer.strip())
        client = client_of(request.remote)
        if any(given) and (seconds := self._attempts.begin(client)):
            with waiting(request):
                await self._clock.sleep(seconds)
        # A list: every comparison runs, so the response time does not depend on the first.
        matches = [
            hmac.compare_digest(one.encode("utf-8", "surrogateescape"), required) for one in given
        ]
        if any(matches):
            self._attempts.succeeded(client)
            return
        if any(given):
            self._attempts.failed(client)
        raise RequestError(
            401,
            "the token is missing or wrong; send Authorization: Bearer TOKEN or, if the "
            f"web server also needs a password, {TOKEN_HEADER}: TOKEN",
        )


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


def _json_handler(
    handler: Callable[[web.Request], Awaitable[Any]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return a handler that encodes what *handler* returns, or its error, as JSON."""

    async def handle(request: web.Request) -> web.Response:
        try:
            return _response(await handler(request))
        except RequestError as error:
            return _error(error.status, str(error))
        except UnknownNameError as error:
            return _error(404, str(error))
        except (AmbiguousNameError, AnswerRefusedError) as error:
            return _error(409, str(error))
        except JournalError as error:
            return _error(503, str(error))

    return handle


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

    return _json_handler(handle)


async def _read_body(request: web.Request) -> bytes:
    try:
        raw = await read_body(request)
    except web.HTTPBadRequest:
        raise RequestError(400, "the body does not match its headers") from None
    except web.HTTPRequestEntityTooLarge:
        raw = b" " * (BODY_BYTES + 1)
    if len(raw) > BODY_BYTES:
        raise RequestError(413, f"the body is longer than {BODY_BYTES} bytes")
    return raw


def _decode_body(request: web.Request, raw: bytes) -> CommandBody:
    # A browser does not send this content type to another site without a preflight request.
    if request.content_type != JSON:
        raise RequestError(415, f"the content type is {request.content_type}; send {JSON}")
    try:
        return msgspec.json.decode(raw, type=CommandBody)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(400, f"the body is invalid: {error}") from None


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


def _response(document: Any, *, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(document),
        status=status,
        content_type=JSON,
        headers={hdrs.CACHE_CONTROL: "no-store"},
    )


def _error(status: int, text: str) -> web.Response:
    response = _response(ErrorResponse(text), status=status)
    if status == web.HTTPUnauthorized.status_code:
        response.headers[hdrs.WWW_AUTHENTICATE] = 'Bearer realm="Vergewatch"'
    return response
