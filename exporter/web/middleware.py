"""What every request passes before its handler: error handling, rate limit, authentication."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from exporter.clock import Clock
from exporter.web.api.errors import errors_as_json
from exporter.web.attempts import Attempts
from exporter.web.connections import client_of
from exporter.web.ports import CountRefusal, Refusal
from exporter.web.token_bucket import TokenBucket
from exporter.web.users import User, set_user

if TYPE_CHECKING:  # a daemon without a web configuration file loads neither YAML nor bcrypt
    from exporter.web.auth import BasicAuth
    from exporter.web.reloadable_config import ReloadableWebConfig
    from exporter.web.webconfig import RateLimit

log = structlog.get_logger()

CHALLENGE = 'Basic realm="Vergewatch", charset="UTF-8"'
DEFAULT_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
"""Sent with every response unless the web configuration file overrides them."""


class RequestChecks:
    """Applies the web configuration in force to each request and response."""

    def __init__(
        self, web_config: "ReloadableWebConfig | None", clock: Clock, refused: CountRefusal
    ) -> None:
        self._web_config = web_config
        self._clock = clock
        self._attempts = Attempts("password", Refusal.PASSWORD, refused, clock, costs=True)
        self._auth: BasicAuth | None = None
        self._bucket: TokenBucket | None = None

    def install(self, app: web.Application) -> None:
        """Add the checks to *app*."""
        app.middlewares.append(errors_as_json)
        app.middlewares.append(catch_failures)
        if self._web_config is not None:
            app.middlewares.append(self._middleware(self._web_config))
        app.on_response_prepare.append(self._set_headers)

    def _middleware(self, web_config: "ReloadableWebConfig") -> Middleware:
        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            config = web_config.current()
            self._check_rate(config.rate_limit)
            if config.basic_auth_users:
                await self._check_password(request, config.basic_auth_users)
            return await handler(request)

        return check

    async def _check_password(self, request: web.Request, users: Mapping[str, str]) -> None:
        from exporter.web.auth import BasicAuth, user_name  # noqa: PLC0415

        self._auth = self._auth or BasicAuth(self._attempts)
        authorization = request.headers.get(hdrs.AUTHORIZATION, "")
        if not await self._auth.admits(authorization, users, client_of(request.remote)):
            raise web.HTTPUnauthorized(headers={hdrs.WWW_AUTHENTICATE: CHALLENGE})
        name = user_name(authorization)
        set_user(request, User(name, users[name]))

    def _check_rate(self, limit: "RateLimit | None") -> None:
        if limit is None:
            self._bucket = None
            return
        now = self._clock.monotonic()
        if self._bucket is None or self._bucket.limit != limit:
            self._bucket = TokenBucket(limit, now=now)
        if not self._bucket.take(now=now):
            wait = str(math.ceil(limit.interval))
            raise web.HTTPTooManyRequests(headers={hdrs.RETRY_AFTER: wait})

    async def _set_headers(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers.popall(hdrs.SERVER, None)  # a version only helps an attacker
        for name, value in DEFAULT_HEADERS.items():
            response.headers.setdefault(name, value)
        if self._web_config is None:
            return
        for name, value in self._web_config.current().http_server_config.headers.items():
            response.headers.popall(name, None)
            if value:
                response.headers[name] = value


@web.middleware
async def catch_failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Respond to a bug with a plain 500, and log its traceback."""
    try:
        return await handler(request)
    except (web.HTTPException, ConnectionError):
        raise
    except Exception:
        log.exception("web.request_failed", method=request.method, path=request.path)
        return web.Response(status=500, text="500: Internal Server Error\n")
