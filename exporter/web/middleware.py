"""What every request passes before its handler: the failure net, the rate limit, the password."""

import math

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from exporter.clock import Clock
from exporter.web.auth import BasicAuth
from exporter.web.ratelimit import TokenBucket
from exporter.web.reloadable_config import ReloadableWebConfig
from exporter.web.webconfig import WebConfig

log = structlog.get_logger()

CHALLENGE = 'Basic realm="Vergewatch", charset="UTF-8"'
HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
"""Sent with every answer, unless the web configuration file says otherwise."""

NO_CONFIG = WebConfig()


class Gate:
    """The web configuration, applied to each request as it is at that moment."""

    def __init__(self, live: ReloadableWebConfig | None, clock: Clock) -> None:
        self._live = live
        self._clock = clock
        self._auth = BasicAuth()
        self._bucket: TokenBucket | None = None

    def install(self, app: web.Application) -> None:
        """Put *app* behind this gate."""
        app.middlewares.extend([catch_failures, self._middleware()])
        app.on_response_prepare.append(self._set_headers)

    def _config(self) -> WebConfig:
        return NO_CONFIG if self._live is None else self._live.current()

    def _middleware(self) -> Middleware:
        @web.middleware
        async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
            config = self._config()
            self._limit(config)
            if config.users:
                given = request.headers.get(hdrs.AUTHORIZATION, "")
                if not await self._auth.admits(given, config.users):
                    raise web.HTTPUnauthorized(headers={hdrs.WWW_AUTHENTICATE: CHALLENGE})
            return await handler(request)

        return admit

    def _limit(self, config: WebConfig) -> None:
        limit, now = config.rate_limit, self._clock.monotonic()
        if limit is None:
            self._bucket = None
            return
        if self._bucket is None or self._bucket.limit != limit:
            self._bucket = TokenBucket(limit, at=now)
        if not self._bucket.take(at=now):
            wait = str(math.ceil(limit.interval_seconds))
            raise web.HTTPTooManyRequests(headers={hdrs.RETRY_AFTER: wait})

    async def _set_headers(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers.popall(hdrs.SERVER, None)  # a version tells only attackers something
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        for name, value in self._config().headers.items():
            response.headers.popall(name, None)
            if value:
                response.headers[name] = value


@web.middleware
async def catch_failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn a bug into a plain 500 for the client and a traceback for the log."""
    try:
        return await handler(request)
    except (web.HTTPException, ConnectionError):
        raise
    except Exception:
        log.exception("web.failed", method=request.method, path=request.path)
        return web.Response(status=500, text="500: Internal Server Error\n")
