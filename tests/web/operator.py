"""A browser of an operator: it keeps cookies, follows redirects, and sends the forms of pages."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from typing import NamedTuple

import aiohttp

CSRF = re.compile(r'name="csrf" value="([^"]+)"')


class Page(NamedTuple):
    """What a browser shows."""

    status: int
    address: str
    """Path and query, after redirects."""
    html: str

    @property
    def text(self) -> str:
        """The text without tags, on one line."""
        return " ".join(Parsed(self.html).text.split())

    @property
    def tags(self) -> list[tuple[str, dict[str, str | None]]]:
        return Parsed(self.html).tags


class Parsed(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


class Browser:
    """
    A browser at a server.

    Args:
        url: Of the server.

    """

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url, self.http = url, http

    async def open(self, path: str) -> Page:
        async with self.http.get(self.url + path) as answer:
            return Page(answer.status, answer.url.path_qs, await answer.text())

    async def log_in(self, owner: str, token: str) -> Page:
        return await self.post("/login", owner=owner, token=token)

    async def post(self, path: str, **fields: str) -> Page:
        """Send a form without a CSRF token."""
        async with self.http.post(self.url + path, data=fields) as answer:
            return Page(answer.status, answer.url.path_qs, await answer.text())

    async def send(self, page: str, action: str, **fields: str) -> Page:
        """Send a form of *page* to *action*, and return the page that follows."""
        html = (await self.open(page)).html
        found = CSRF.search(html)
        assert found is not None, f"{page} has no form for operators"
        return await self.post(action, csrf=found.group(1), **fields)


@asynccontextmanager
async def browsing(url: str) -> AsyncIterator[Browser]:
    """Run a browser without a session."""
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of an IP address too
    async with aiohttp.ClientSession(cookie_jar=jar) as http:
        yield Browser(url, http)
