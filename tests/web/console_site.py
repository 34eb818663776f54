"""A served console, and a browser without a screen: it keeps cookies and sends what forms hold."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from pydantic import SecretStr

from exporter.clock import Clock
from exporter.errors import ConfigError
from exporter.model import Retried
from exporter.web.console.sessions import COOKIE
from exporter.web.ports import Refusal
from exporter.web.reloadable_config import ReloadableWebConfig
from exporter.web.routes import make_app
from exporter.web.server import Listen, serving
from tests.web.samples import system
from tests.web.site import StubOverview, StubPages, StubReload

TOKEN = "open-sesame-open-sesame"


class Seen(NamedTuple):
    """A response."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def csrf(self) -> str:
        """The CSRF token of the page."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.text)
        return found[1] if found is not None else ""


class Browser:
    """Follows no redirect, so that a test sees it."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.http = http

    @property
    def cookie(self) -> str:
        """The value of the session's cookie."""
        found = [one.value for one in self.http.cookie_jar if one.key == COOKIE]
        return found[0] if found else ""

    async def get(self, path: str, **headers: str) -> Seen:
        return await self.ask("GET", path, headers=headers)

    async def post(self, path: str, fields: Mapping[str, str], **headers: str) -> Seen:
        return await self.ask("POST", path, data=fields, headers=headers)

    async def ask(self, method: str, path: str, **more: Any) -> Seen:
        async with self.http.request(
            method, self.url + path, allow_redirects=False, **more
        ) as response:
            return Seen(response.status, response.headers, await response.text())

    async def log_in(self, token: str = TOKEN, **more: str) -> Seen:
        return await self.post("/login", {"owner": "anna", "token": token, **more})


class Site:
    """A server whose token a test replaces."""

    def __init__(self, url: str, refused: list[Refusal]) -> None:
        self.url = url
        self.refused = refused
        self.token: str | None = TOKEN
        """None: it cannot be read."""
        self.close: Callable[[], Awaitable[None]]

    def secret(self) -> SecretStr:
        """Return the recovery token."""
        if self.token is None:
            raise ConfigError("/run/token does not exist")
        return SecretStr(self.token)

    @asynccontextmanager
    async def browser(self, **headers: str) -> AsyncIterator[Browser]:
        jar = aiohttp.CookieJar(unsafe=True)  # also of an IP address
        connector = aiohttp.TCPConnector(ssl=False)  # any certificate will do
        async with aiohttp.ClientSession(
            cookie_jar=jar, headers=headers, connector=connector
        ) as http:
            yield Browser(self.url, http)


def retried(system: str) -> Retried:
    """Return that nothing was refused."""
    return Retried(system, refused=False, in_seconds=None)


@asynccontextmanager
async def console_site(
    clock: Clock, service: Any = None, *, web_config: Path | None = None, **more: Any
) -> AsyncIterator[Site]:
    """Serve a console until the block ends."""
    refused: list[Refusal] = []
    site = Site("", refused)
    config = ReloadableWebConfig(web_config, clock) if web_config else None
    tls = config.ssl_context() if config is not None else None
    app = make_app(
        StubPages(),
        more.pop("overview", None) or StubOverview(system()),
        StubReload(),
        clock=clock,
        version="1",
        web_config=config,
        service=service,
        recovery_token=site.secret,
        refused=refused.append,
        retry=retried,
        **more,
    )
    async with AsyncExitStack() as stack:
        where = await stack.enter_async_context(
            serving(app, Listen("127.0.0.1", 0), ssl_context=tls)
        )
        site.url = f"http{'s' if tls is not None else ''}://127.0.0.1:{where.port}"
        site.close = stack.aclose
        yield site
