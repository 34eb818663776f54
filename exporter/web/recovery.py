"""Recovery over HTTP: whoever may read the metrics may ask, whoever has the token may steer."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from aiohttp import hdrs, web
from pydantic import SecretStr

from exporter.errors import JournalError
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.limits import DAY, HOUR
from exporter.web.ports import AmbiguousNameError, RecoveryService, Reload, UnknownNameError

ROOT = "/api/recovery"
TOKEN_HEADER = "X-Vergewatch-Token"  # noqa: S105 - the name of a header
JSON = "application/json"

PAUSE_SECONDS = 4 * HOUR
LONGEST_PAUSE_SECONDS = DAY
LONGEST_NAME = 100
LONGEST_REASON = 500
BODY_BYTES = 16 * 1024
LINES, MOST_LINES = 100, 1000
DAYS, MOST_DAYS = 7.0, 366.0

T = TypeVar("T", int, float)


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody orders."""

    owner: str = ""
    reason: str = ""
    seconds: float | None = None
    vm: str | None = None
    system: str | None = None


class Refusal(Exception):  # noqa: N818 - what the client did is the error
    """A request that is not done, with the status and the words to answer it with."""

    def __init__(self, status: int, says: str) -> None:
        super().__init__(says)
        self.status = status


class RecoveryAPI:
    """
    The addresses of recovery.

    Args:
        token: Whoever has it may steer; without one nobody may.
        reload: Knows whether the settings in force are those that somebody wanted.

    """

    def __init__(self, service: RecoveryService, token: SecretStr | None, reload: Reload) -> None:
        self._service = service
        self._reload = reload
        self._token = token.get_secret_value().encode() if token is not None else b""

    def install(self, app: web.Application) -> None:
        """Answer at the addresses of recovery."""
        for path, answer in (
            ("", self._status),
            ("/vms", self._vms),
            ("/explain/{vm}", self._explain),
            ("/log", self._log),
            ("/report", self._report),
        ):
            app.router.add_get(ROOT + path, _answering(answer))
        for kind in CommandKind:
            app.router.add_post(f"{ROOT}/{kind}", _answering(self._ordering(kind)))

    async def _status(self, request: web.Request) -> Any:
        _check_query(request, "system")
        return {
            "systems": self._service.status(request.query.get("system")),
            "settings_problem": self._reload.problem,
        }

    async def _vms(self, request: web.Request) -> Any:
        _check_query(request, "system", "all")
        everyone = request.query.get("all", "0")
        if everyone not in ("0", "1"):
            raise Refusal(400, f"all={everyone} is neither 0 nor 1")
        system = request.query.get("system")
        return {"vms": await self._service.vms(system, everyone=everyone == "1")}

    async def _explain(self, request: web.Request) -> Any:
        _check_query(request, "system", "decision")
        number = _number(request, "decision", 0, 2**53) if "decision" in request.query else None
        vm, system = request.match_info["vm"], request.query.get("system")
        return await self._service.explain(vm, system, decision=number)

    async def _log(self, request: web.Request) -> Any:
        _check_query(request, "system", "vm", "limit")
        limit = _number(request, "limit", LINES, MOST_LINES)
        vm, system = request.query.get("vm"), request.query.get("system")
        return {"lines": await self._service.log(vm, system, limit=limit)}

    async def _report(self, request: web.Request) -> Any:
        _check_query(request, "system", "days")
        days = _number(request, "days", DAYS, MOST_DAYS)
        return {"accounts": await self._service.report(request.query.get("system"), days=days)}

    def _ordering(self, kind: CommandKind) -> Callable[[web.Request], Awaitable[Any]]:
        async def command(request: web.Request) -> Any:
            raw = await _raw(request)
            if is_from_elsewhere(request):
                raise Refusal(403, "this comes from a page of another site, which may not steer")
            self._check_token(request)
            body = _body(request, raw)
            _check(kind, body)
            seconds = body.seconds
            if kind is CommandKind.PAUSE and seconds is None:
                seconds = PAUSE_SECONDS
            commands = await self._service.command(
                kind,
                owner=body.owner.strip(),
                reason=body.reason.strip(),
                seconds=seconds,
                vm=body.vm,
                system=body.system,
            )
            return {"commands": commands}

        return command

    def _check_token(self, request: web.Request) -> None:
        if not self._token:
            raise Refusal(
                403,
                "nobody may steer recovery from here: no token is configured; set recovery.token "
                "(VERGEWATCH_RECOVERY__TOKEN or VERGEWATCH_RECOVERY__TOKEN_FILE) and restart",
            )
        scheme, _, bearer = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        given = [request.headers.get(TOKEN_HEADER, "")]
        if scheme.lower() == "bearer":
            given.append(bearer.strip())
        # Each is compared whole, so that the time taken tells nothing.
        right = [hmac.compare_digest(_bytes(one), self._token) for one in given]
        if not any(right):
            raise Refusal(
                401,
                "the token is missing or wrong; send Authorization: Bearer TOKEN, or "
                f"{TOKEN_HEADER}: TOKEN where there is a password too",
            )


async def drain(request: web.Request) -> bytes:
    """
    Return the body of *request*, however broken; aiohttp would log what it cannot unpack.

    Raises:
        HTTPBadRequest: It is not what its headers say.

    """
    try:
        return await request.read()
    except web.RequestPayloadError:
        request.content.feed_eof()
        raise web.HTTPBadRequest(text="the body is not what its headers say\n") from None


def is_from_elsewhere(request: web.Request) -> bool:
    """Return whether a browser sends *request* for a page of somebody else's site."""
    if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        return True
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is not None and urlsplit(origin).netloc.lower() != request.host.lower()


def _answering(
    answer: Callable[[web.Request], Awaitable[Any]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return a handler that says in JSON what *answer* returns, or why not."""

    async def handle(request: web.Request) -> web.Response:
        try:
            return _json(await answer(request))
        except Refusal as refusal:
            return _problem(refusal.status, str(refusal))
        except UnknownNameError as error:
            return _problem(404, str(error))
        except AmbiguousNameError as error:
            return _problem(409, str(error))
        except JournalError as error:
            return _problem(503, str(error))

    return handle


async def _raw(request: web.Request) -> bytes:
    try:
        raw = await drain(request)
    except web.HTTPBadRequest:
        raise Refusal(400, "the body is not what its headers say") from None
    except web.HTTPRequestEntityTooLarge:
        raw = b" " * (BODY_BYTES + 1)
    if len(raw) > BODY_BYTES:
        raise Refusal(413, f"the body is longer than {BODY_BYTES} bytes")
    return raw


def _body(request: web.Request, raw: bytes) -> Body:
    # A page of another site cannot send this type without being asked whether it may.
    if request.content_type != JSON:
        raise Refusal(415, f"the body is {request.content_type}; send {JSON}")
    try:
        return msgspec.json.decode(raw, type=Body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, f"the body is not understood: {error}") from None


def _check(kind: CommandKind, body: Body) -> None:
    """Raise `Refusal` unless *body* is a whole order of that *kind*."""
    _check_text("owner", body.owner, LONGEST_NAME, "who gives this order")
    _check_text("reason", body.reason, LONGEST_REASON, "why, for whoever reads it tonight")
    if body.seconds is not None and kind is not CommandKind.PAUSE:
        raise Refusal(400, f"seconds goes with pause only; {kind} has no end")
    if body.seconds is not None and not 0 < body.seconds <= LONGEST_PAUSE_SECONDS:
        raise Refusal(
            400,
            f"seconds is {body.seconds:.0f}; a pause lasts more than 0 and up to "
            f"{LONGEST_PAUSE_SECONDS:.0f} s, after which somebody may give it again",
        )
    if kind is CommandKind.CLEAR:
        if not body.vm:
            raise Refusal(400, "vm is missing: the VM to clear, by name, key or uuid")
    elif body.vm is not None:
        raise Refusal(400, f"vm goes with clear only; {kind} is for whole clouds")


def _check_text(field: str, text: str, longest: int, what: str) -> None:
    if not text.strip():
        raise Refusal(400, f"{field} is missing: {what}")
    if len(text) > longest:
        raise Refusal(400, f"{field} is {len(text)} characters long, {longest} at most")
    if not text.isprintable():
        raise Refusal(400, f"{field} holds a character that cannot be printed")


def _check_query(request: web.Request, *known: str) -> None:
    unknown = sorted(set(request.query) - set(known))
    if unknown:
        raise Refusal(400, f"{unknown[0]} means nothing here; there is {', '.join(known)}")


def _number(request: web.Request, name: str, default: T, most: T) -> T:
    text = request.query.get(name)
    if text is None:
        return default
    kind = type(default)
    try:
        value = kind(text)
    except ValueError:
        raise Refusal(400, f"{name}={text} is not a number") from None
    if not 0 < value <= most:
        raise Refusal(400, f"{name}={text} is not above 0 and up to {most:g}")
    return value


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _json(answer: Any, *, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(answer),
        status=status,
        content_type=JSON,
        headers={hdrs.CACHE_CONTROL: "no-store"},
    )


def _problem(status: int, says: str) -> web.Response:
    response = _json({"error": says}, status=status)
    if status == web.HTTPUnauthorized.status_code:
        response.headers[hdrs.WWW_AUTHENTICATE] = 'Bearer realm="Vergewatch"'
    return response
