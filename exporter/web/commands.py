"""What every command by HTTP must pass, and how an API answers: in JSON, errors too."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

import msgspec
from aiohttp import hdrs, web

from exporter.clock import Clock
from exporter.errors import ConfigError, JournalError
from exporter.recovery.model.views import (
    TOKEN_HEADER,
    AmbiguousNameError,
    AnswerRefusedError,
    UnknownNameError,
)
from exporter.recovery.report.responses import ErrorResponse
from exporter.web.attempts import Attempts
from exporter.web.connections import client_of, read_body, waiting
from exporter.web.origin import Hosts
from exporter.web.ports import CountRefusal, TokenSource

JSON = "application/json"
BODY_BYTES = 16 * 1024

B = TypeVar("B")


class RequestError(Exception):
    """A request that is refused, with the HTTP status and the error text of the response."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class CommandChecks(NamedTuple):
    """What a command must pass: a known host, no foreign page, the token, and a body in JSON."""

    token: TokenSource
    """Returns what commands need; without a token, every command is refused."""
    hosts: Hosts
    """The names under which commands are accepted."""
    attempts: Attempts
    """Counts wrong tokens."""
    clock: Clock
    """The time that a guesser has to wait."""
    refused: CountRefusal
    """Counts what is refused."""

    async def body(self, request: web.Request, kind: type[B]) -> B:
        """
        Return the body of *request*, if it may command.

        Raises:
            RequestError: It may not, or its body is invalid.

        """
        raw = await _read_body(request)
        refusal = self.hosts.refusal(request)
        if refusal is not None:
            self.refused(refusal[0])
            raise RequestError(403, refusal[1])
        await self._check_token(request)
        return _decode_body(request, raw, kind)

    async def _check_token(self, request: web.Request) -> None:
        try:
            token = self.token()
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
        if any(given) and (seconds := self.attempts.begin(client)):
            with waiting(request):
                await self.clock.sleep(seconds)
        # A list: every comparison runs, so the response time does not depend on the first.
        matches = [
            hmac.compare_digest(one.encode("utf-8", "surrogateescape"), required) for one in given
        ]
        if any(matches):
            self.attempts.succeeded(client)
            return
        if any(given):
            self.attempts.failed(client)
        raise RequestError(
            401,
            "the token is missing or wrong; send Authorization: Bearer TOKEN or, if the "
            f"web server also needs a password, {TOKEN_HEADER}: TOKEN",
        )


def json_handler(
    handler: Callable[[web.Request], Awaitable[Any]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return a handler that encodes what *handler* returns, or its error, as JSON."""

    async def handle(request: web.Request) -> web.Response:
        try:
            return json_response(await handler(request))
        except RequestError as error:
            return json_error(error.status, str(error))
        except UnknownNameError as error:
            return json_error(404, str(error))
        except (AmbiguousNameError, AnswerRefusedError) as error:
            return json_error(409, str(error))
        except JournalError as error:
            return json_error(503, str(error))

    return handle


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


def _decode_body(request: web.Request, raw: bytes, kind: type[B]) -> B:
    # A browser does not send this content type to another site without a preflight request.
    if request.content_type != JSON:
        raise RequestError(415, f"the content type is {request.content_type}; send {JSON}")
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(400, f"the body is invalid: {error}") from None


def json_response(document: Any, *, status: int = 200) -> web.Response:
    """Return *document* as the response of an API."""
    return web.Response(
        body=msgspec.json.encode(document),
        status=status,
        content_type=JSON,
        headers={hdrs.CACHE_CONTROL: "no-store"},
    )


def json_error(status: int, text: str) -> web.Response:
    """Return the response to a request that an API refuses."""
    response = json_response(ErrorResponse(text), status=status)
    if status == web.HTTPUnauthorized.status_code:
        response.headers[hdrs.WWW_AUTHENTICATE] = 'Bearer realm="Vergewatch"'
    return response
