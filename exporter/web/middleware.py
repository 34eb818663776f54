"""What every request passes before its handler: error handling, rate limit, authentication."""

import math

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from exporter.clock import Clock
from exporter.web.auth import BasicAuth
from exporter.web.reloadable_config import ReloadableWebConfig
from exporter.web.webconfig import RateLimit, WebConfig

log = structlog.get_logger()

CHALLENGE = 'Basic realm="Vergewatch", charset="UTF-8"'
DEFAULT_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
"""Sent with every response unless the web configuration file overrides them."""

NO_CONFIG = WebConfig()


class TokenBucket:
    """A rate limit for all requests together; the bucket starts full."""

    def __init__(self, limit: RateLimit, *, now: float) -> None:
        self.limit = limit
        self._tokens = float(limit.burst)
        self._refilled_at = now

    def take(self, *, now: float) -> bool:
        """Take a token at *now*, in monotonic seconds; return whether there was one."""
        refilled = self._tokens + max(0.0, now - self._refilled_at) / self.limit.interval
        self._tokens = min(float(self.limit.burst), refilled)
        self._refilled_at = max(now, self._refilled_at)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class RequestChecks:
    """Applies the web configuration in force to each request and response."""

    def __init__(self, web_config: ReloadableWebConfig | None, clock: Clock) -> None:
        self._web_config = web_config
        self._clock = clock
        self._auth = BasicAuth()
        self._bucket: TokenBucket | None = None

    def install(self, app: web.Application) -> None:
        """Add the checks to *app*."""
        app.middlewares.extend([catch_failures, self._middleware()])
        app.on_response_prepare.append(self._set_headers)

    def _config(self) -> WebConfig:
        return NO_CONFIG if self._web_config is None else self._web_config.current()

    def _middleware(self) -> Middleware:
        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            config = self._config()
            self._check_rate(config.rate_limit)
            users = config.basic_auth_users
            if users:
                authorization = request.headers.get(hdrs.AUTHORIZATION, "")
                if not await self._auth.admits(authorization, users):
                    raise web.HTTPUnauthorized(headers={hdrs.WWW_AUTHENTICATE: CHALLENGE})
            return await handler(request)

        return check

    def _check_rate(self, limit: RateLimit | None) -> None:
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
        for name, value in self._config().http_server_config.headers.items():
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
