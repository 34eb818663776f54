"""Asking a running daemon about recovery, and telling it what to do, over HTTP."""

import getpass
import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec
from aiohttp import hdrs
from yarl import URL

from exporter.errors import ConfigError, UnavailableError
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.report.events import TimelineEvent
from exporter.recovery.report.explain import Explanation
from exporter.recovery.report.summary import RecoverySummary
from exporter.web.ports import Brief, Care, Given
from exporter.web.recovery import ROOT, TOKEN_HEADER

TOKEN_VARIABLE = "VERGEWATCH_RECOVERY__TOKEN"  # noqa: S105 - the name of a variable
TOKEN_FILE_VARIABLE = "VERGEWATCH_RECOVERY__TOKEN_FILE"  # noqa: S105
URL_VARIABLE = "VERGEWATCH_DAEMON_URL"
DEFAULT_URL = "http://localhost:9888"
PATIENCE_SECONDS = 30.0
MOST_BYTES = 64 * 1024 * 1024

_SPAN = re.compile(r"(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+)s)?")
_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}

T = TypeVar("T")


class Clouds(msgspec.Struct):
    """The answer to how recovery stands."""

    systems: tuple[Care, ...]
    settings_problem: str = ""
    """Why the settings in force are not those that somebody wanted last."""


class Vms(msgspec.Struct):
    """The answer to which VMs are not healthy."""

    vms: tuple[Brief, ...]


class Log(msgspec.Struct):
    """The answer to what happened."""

    lines: tuple[TimelineEvent, ...]


class Accounts(msgspec.Struct):
    """The answer to what it all came to."""

    accounts: tuple[RecoverySummary, ...]


class Orders(msgspec.Struct):
    """The answer to an order."""

    orders: tuple[Given, ...]


class _Problem(msgspec.Struct):
    error: str


class DaemonClient:
    """
    A running daemon, as somebody at a keyboard sees it.

    Everything raises `ConfigError` for what the asker has to put right, and `UnavailableError`
    for what may be better later.

    Args:
        token: Needed to change something, not to ask.

    """

    def __init__(self, url: str, token: str = "") -> None:
        if not _is_url(url):
            raise ConfigError(f"{_bare(url)!r} is not a URL such as {DEFAULT_URL}")
        self._url = url.rstrip("/")
        self._place = _bare(url).rstrip("/")
        self._token = token

    async def status(self, system: str | None) -> Clouds:
        return await self._get("", {"system": system}, Clouds)

    async def vms(self, system: str | None, *, everyone: bool = False) -> Vms:
        return await self._get("/vms", {"system": system, "all": "1" if everyone else None}, Vms)

    async def explain(self, vm: str, system: str | None, decision: int | None) -> Explanation:
        number = str(decision) if decision is not None else None
        query = {"system": system, "decision": number}
        return await self._get(f"/explain/{quote(vm, safe='')}", query, Explanation)

    async def log(self, vm: str | None, system: str | None, limit: int) -> Log:
        return await self._get("/log", {"vm": vm, "system": system, "limit": str(limit)}, Log)

    async def report(self, system: str | None, days: float) -> Accounts:
        return await self._get("/report", {"system": system, "days": f"{days:g}"}, Accounts)

    async def order(self, kind: CommandKind, **body: Any) -> Orders:
        """Give an order; *body* is what the API takes, without what is None."""
        given = {name: value for name, value in body.items() if value is not None}
        headers = {TOKEN_HEADER: self._token, hdrs.CONTENT_TYPE: "application/json"}
        return await self._exchange(
            hdrs.METH_POST, f"/{kind}", {}, Orders, headers=headers, data=msgspec.json.encode(given)
        )

    async def _get(self, path: str, query: Mapping[str, str | None], kind: type[T]) -> T:
        return await self._exchange(hdrs.METH_GET, path, query, kind)

    async def _exchange(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | None],
        kind: type[T],
        **more: Any,
    ) -> T:
        given = {name: value for name, value in query.items() if value is not None}
        # The path is quoted already: a VM's name may hold anything.
        url = URL(f"{self._url}{ROOT}{path}", encoded=True).with_query(given)
        timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                # To follow a redirection would be to show the token to whoever it leads to.
                session.request(method, url, allow_redirects=False, **more) as answer,
            ):
                raw = await _all_of(answer)
        except TimeoutError:
            raise UnavailableError(
                f"{self._place} does not answer within {PATIENCE_SECONDS:g} s"
            ) from None
        except (aiohttp.ClientError, ssl.SSLError, OSError) as error:
            raise UnavailableError(self._unreached(error)) from None
        if answer.status != 200:  # noqa: PLR2004
            raise self._refused(answer, raw)
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.DecodeError:
            raise ConfigError(
                f"{self._place} answers, but not as this version of Vergewatch does; "
                f"check --url ({URL_VARIABLE})"
            ) from None

    def _unreached(self, error: Exception) -> str:
        match error:
            case aiohttp.ClientConnectorCertificateError():
                reason = "its certificate is not trusted; SSL_CERT_FILE may name one that is"
            case aiohttp.ClientConnectorSSLError() | ssl.SSLError():
                reason = "no TLS there; is it a plain http port?"
            case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() if not isinstance(
                error, aiohttp.ClientConnectorError
            ):
                reason = "it hung up; is it an https port?"
            case _:
                reason = "is the daemon running, and is this where it listens?"
        return f"no daemon answers at {self._place}: {reason} (--url or {URL_VARIABLE})"

    def _refused(self, answer: aiohttp.ClientResponse, raw: bytes) -> ConfigError:
        says = _error_of(raw)
        wants = answer.headers.get(hdrs.WWW_AUTHENTICATE, "").lower()
        match answer.status:
            case 401 if wants.startswith("basic"):
                return ConfigError(
                    f"{self._place} wants a user name and a password: put them into "
                    f"{URL_VARIABLE}, as in https://NAME:PASSWORD@host:9888"
                )
            case 401 if says:
                return ConfigError(
                    f"{self._place} does not take this token; it wants the one that the daemon "
                    "has as recovery.token"
                )
            case 404 if not says:
                return ConfigError(
                    f"{self._place} answers, but has no recovery to ask about: it is off, or this "
                    "is not Vergewatch"
                )
            case 503 if says:
                return UnavailableError(says)
            case status if says:
                return ConfigError(says)
            case 429:
                return UnavailableError(f"{self._place} has been asked too often; try again soon")
            case status:
                return UnavailableError(f"{self._place} answers {status} {answer.reason or ''}")


def read_token(file: Path | None, environ: Mapping[str, str] = os.environ) -> str:
    """
    Return the token from *file*, or from where the environment says.

    Raises:
        ConfigError: There is none.

    """
    if file is None and environ.get(TOKEN_VARIABLE):
        token = environ[TOKEN_VARIABLE].strip()
    else:
        named = file or Path(environ.get(TOKEN_FILE_VARIABLE, ""))
        if named == Path():
            raise ConfigError(
                "a token is needed to change something: give --token-file FILE, or set "
                f"{TOKEN_FILE_VARIABLE} or {TOKEN_VARIABLE}"
            )
        try:
            token = named.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ConfigError(f"the token file {named} cannot be read: {reason}") from None
    if not token or not token.isprintable():
        raise ConfigError("the token is empty, or holds a character that cannot be printed")
    return token


def parse_span(text: str) -> float:
    """
    Return the seconds in ``2h``, ``30m`` or ``1h30m``; a bare number may be anything.

    Raises:
        ConfigError: It says something else.

    """
    found = _SPAN.fullmatch(text.strip().lower())
    seconds = sum(int(number) * _UNITS[unit] for unit, number in found.groupdict().items()
                  if number) if found is not None else 0  # fmt: skip
    if seconds <= 0:
        raise ConfigError(f"{text!r} is no length of time such as 2h, 30m or 1h30m")
    return float(seconds)


def who_am_i() -> str:
    """Return the name that somebody is logged in by; empty where nobody knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _error_of(raw: bytes) -> str:
    try:
        return msgspec.json.decode(raw, type=_Problem).error
    except msgspec.DecodeError:
        return ""


async def _all_of(answer: aiohttp.ClientResponse) -> bytes:
    """Return the body of *answer*, as far as it is not longer than any that we give."""
    raw = bytearray()
    async for piece in answer.content.iter_any():
        raw += piece
        if len(raw) > MOST_BYTES:
            break
    return bytes(raw)


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname)
        return known and (parts.port or 1) > 0 and bool(URL(url).host)
    except ValueError:  # of a port, or of brackets
        return False


def _bare(url: str) -> str:
    """Return *url* as it may be shown: without a name and a password."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"
