"""Log in and out: an operator's name and the recovery token make a session."""

import hmac
from http import HTTPStatus

from aiohttp import web

from exporter.clock import Clock
from exporter.errors import ConfigError
from exporter.web.attempts import Attempts
from exporter.web.connections import client_of, waiting
from exporter.web.console.console import LOGIN, Console
from exporter.web.console.local_path import local_path
from exporter.web.ports import TokenSource

MAX_OWNER = 100


class Login:
    """
    The pages ``/login`` and ``/logout``.

    Args:
        token: Returns the recovery token.
        attempts: Counts wrong tokens; shared with the API.

    """

    def __init__(
        self, console: Console, token: TokenSource, attempts: Attempts, clock: Clock
    ) -> None:
        self._console = console
        self._token = token
        self._attempts = attempts
        self._clock = clock

    async def show(self, request: web.Request) -> web.Response:
        return await self._page(request, _next(request.query.get("next", "/")))

    async def log_in(self, request: web.Request) -> web.StreamResponse:
        fields = await self._console.fields(request)
        if isinstance(fields, web.Response):
            return fields
        owner, way = fields.get("owner", "").strip(), _next(fields.get("next", "/"))
        if not owner or not owner.isprintable() or len(owner) > MAX_OWNER:
            return await self._page(request, way, "Your name must be a line of printable text.")
        problem = await self._refusal(request, fields.get("token", ""))
        if problem:
            return await self._page(request, way, problem, owner=owner)
        response = web.HTTPSeeOther(way)
        self._console.sessions.begin(owner, request, response)
        return response

    async def log_out(self, request: web.Request) -> web.StreamResponse:
        response = web.HTTPSeeOther("/")
        self._console.sessions.end(request, response)
        return response

    async def _refusal(self, request: web.Request, given: str) -> str:
        """Return why *given* is not the recovery token; empty if it is."""
        try:
            token = self._token()
        except ConfigError as error:
            return f"Commands are refused: {error}"
        if token is None or not token.get_secret_value():
            return (
                "Commands are refused because no token is configured; set recovery.token or "
                "recovery.token_file and reload."
            )
        client = client_of(request.remote)
        if seconds := self._attempts.begin(client):
            with waiting(request):
                await self._clock.sleep(seconds)
        required = token.get_secret_value().encode()
        if hmac.compare_digest(given.encode("utf-8", "surrogateescape"), required):
            self._attempts.succeeded(client)
            return ""
        self._attempts.failed(client)
        return "The token is wrong."

    async def _page(
        self, request: web.Request, way: str, problem: str = "", *, owner: str = ""
    ) -> web.Response:
        status = HTTPStatus.FORBIDDEN if problem else HTTPStatus.OK
        values = {"problem": problem, "next": way, "given_owner": owner}
        return await self._console.page(request, "login.html", values, status=status)


def _next(path: str) -> str:
    """Return where to go after the login: a path of this server."""
    return "/" if path.startswith(LOGIN) else local_path(path)
