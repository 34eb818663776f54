"""Log in and out: an operator's name and the recovery token make a session."""

import hmac
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web

from exporter.clock import Clock
from exporter.errors import ConfigError
from exporter.web.attempts import Attempts
from exporter.web.connections import client_of, waiting
from exporter.web.console.console import LOGIN, Console, see_other
from exporter.web.console.local_path import local_path
from exporter.web.console.operators import proof_of_token, proof_of_user
from exporter.web.console.sessions import Session

MAX_OWNER = 100


class Login:
    """
    The pages ``/login`` and ``/logout``.

    Args:
        attempts: Counts wrong tokens; shared with the API.

    """

    def __init__(self, console: Console, attempts: Attempts, clock: Clock) -> None:
        self._console = console
        self._attempts = attempts
        self._clock = clock

    async def show(self, request: web.Request) -> web.Response:
        return await self._page(request, _next(request.query.get("next", "/")))

    async def log_in(self, request: web.Request) -> web.StreamResponse:
        fields = await self._console.fields(request)
        if isinstance(fields, web.Response):
            return fields
        way = _next(fields.get("next", "/"))
        user = self._console.operators.user(request)
        if user is not None and "token" not in fields:
            return self._begin(user.name, proof_of_user(user), request, way)
        owner = fields.get("owner", "").strip()
        if not owner or not owner.isprintable() or len(owner) > MAX_OWNER:
            return await self._page(request, way, "Your name must be a line of printable text.")
        try:
            proof = await self._proof(request, fields.get("token", ""))
        except ConfigError as error:
            return await self._page(request, way, str(error), owner=owner)
        return self._begin(owner, proof, request, way)

    async def log_out(
        self, request: web.Request, _: Session, __: Mapping[str, str]
    ) -> web.StreamResponse:
        response = see_other("/")
        self._console.sessions.end(request, response)
        return response

    def _begin(
        self, owner: str, proof: bytes, request: web.Request, way: str
    ) -> web.StreamResponse:
        response = see_other(way)
        self._console.sessions.begin(owner, proof, request, response)
        return response

    async def _proof(self, request: web.Request, given: str) -> bytes:
        """
        Return the proof of the recovery token.

        Raises:
            ConfigError: *given* is another one, or there is none.

        """
        required = self._console.operators.required_token()
        client = client_of(request.remote)
        if seconds := self._attempts.begin(client):
            with waiting(request):
                await self._clock.sleep(seconds)
        if hmac.compare_digest(given.encode("utf-8", "surrogateescape"), required):
            self._attempts.succeeded(client)
            return proof_of_token(required)
        self._attempts.failed(client)
        raise ConfigError("The token is wrong.")

    async def _page(
        self, request: web.Request, way: str, problem: str = "", *, owner: str = ""
    ) -> web.Response:
        status = HTTPStatus.FORBIDDEN if problem else HTTPStatus.OK
        user = self._console.operators.user(request)
        values = {
            "problem": problem,
            "next": way,
            "given_owner": owner,
            "user": user.name if user is not None else "",
        }
        return await self._console.page(request, "login.html", values, status=status)


def _next(path: str) -> str:
    """Return where to go after the login: a path of this server."""
    return "/" if path.startswith(LOGIN) else local_path(path)
