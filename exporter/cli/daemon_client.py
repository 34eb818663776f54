"""The HTTP client of a running daemon's recovery API."""

import getpass
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec
from aiohttp import hdrs
from yarl import URL

from exporter.cli.daemon_url import DEFAULT_URL, URL_VARIABLE
from exporter.errors import ConfigError, UnavailableError
from exporter.http import read_body
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.views import API_ROOT, TOKEN_HEADER
from exporter.recovery.report.explain import Explanation
from exporter.recovery.report.requests import (
    CommandBody,
    ExplainQuery,
    LogQuery,
    ReportQuery,
    SystemQuery,
    VMsQuery,
)
from exporter.recovery.report.responses import (
    CommandResponse,
    ErrorResponse,
    LogResponse,
    ReportResponse,
    StatusResponse,
    VMsResponse,
)

TOKEN_VARIABLE = "VERGEWATCH_RECOVERY__TOKEN"  # noqa: S105 - the name of a variable
TOKEN_FILE_VARIABLE = "VERGEWATCH_RECOVERY__TOKEN_FILE"  # noqa: S105
TIMEOUT_SECONDS = 30.0
MAX_BYTES = 64 * 1024 * 1024

T = TypeVar("T")


class DaemonClient:
    """
    A running daemon.

    Args:
        token: Needed for commands only.

    Raises:
        ConfigError: By every method: the request is wrong and must be corrected.
        UnavailableError: By every method: the request may succeed later.

    """

    def __init__(self, url: str, token: str = "") -> None:
        if not _is_url(url):
            raise ConfigError(f"{_bare(url)!r} is not a URL such as {DEFAULT_URL}")
        self._url = url.rstrip("/")
        self._address = _bare(url).rstrip("/")
        self._token = token

    async def status(self, system: str | None) -> StatusResponse:
        return await self._get("", SystemQuery(system), StatusResponse)

    async def vms(self, system: str | None) -> VMsResponse:
        return await self._get("/vms", VMsQuery(system), VMsResponse)

    async def explain(self, vm: str, system: str | None, decision: int | None) -> Explanation:
        path = f"/explain/{quote(vm, safe='')}"
        return await self._get(path, ExplainQuery(system, decision), Explanation)

    async def log(self, vm: str | None, system: str | None, limit: int) -> LogResponse:
        return await self._get("/log", LogQuery(system, vm, limit), LogResponse)

    async def report(self, system: str | None, days: float) -> ReportResponse:
        return await self._get("/report", ReportQuery(system, days), ReportResponse)

    async def command(self, kind: CommandKind, body: CommandBody) -> CommandResponse:
        headers = {TOKEN_HEADER: self._token, hdrs.CONTENT_TYPE: "application/json"}
        url = URL(f"{self._url}{API_ROOT}/{kind}")
        data = msgspec.json.encode(body)
        return await self._exchange(
            hdrs.METH_POST, url, CommandResponse, headers=headers, data=data
        )

    async def _get(self, path: str, query: SystemQuery, kind: type[T]) -> T:
        # The path is quoted already.
        url = URL(f"{self._url}{API_ROOT}{path}", encoded=True)
        return await self._exchange(hdrs.METH_GET, url.with_query(msgspec.to_builtins(query)), kind)

    async def _exchange(self, method: str, url: URL, kind: type[T], **more: Any) -> T:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                # A redirect would send the token to another server.
                session.request(method, url, allow_redirects=False, **more) as response,
            ):
                raw = await read_body(response, MAX_BYTES) or b""
        except TimeoutError:
            raise UnavailableError(
                f"{self._address} did not respond within {TIMEOUT_SECONDS:g} s"
            ) from None
        except (aiohttp.ClientError, ssl.SSLError, OSError) as error:
            raise UnavailableError(self._unreachable(error)) from None
        if response.status != 200:  # noqa: PLR2004
            raise self._refused(response, raw)
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.DecodeError:
            raise ConfigError(
                f"{self._address} is not a Vergewatch daemon of this version; "
                f"check --url ({URL_VARIABLE})"
            ) from None

    def _unreachable(self, error: Exception) -> str:
        match error:
            case aiohttp.ClientConnectorCertificateError():
                reason = "its certificate is not trusted; name its CA in SSL_CERT_FILE"
            case aiohttp.ClientConnectorSSLError() | ssl.SSLError():
                reason = "it does not use TLS; try http://"
            case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() if not isinstance(
                error, aiohttp.ClientConnectorError
            ):
                reason = "it closed the connection; try https://"
            case _:
                reason = "check that the daemon is running and listens there"
        return f"cannot reach a daemon at {self._address}: {reason} (--url or {URL_VARIABLE})"

    def _refused(self, response: aiohttp.ClientResponse, raw: bytes) -> ConfigError:
        text = _error_of(raw)
        challenge = response.headers.get(hdrs.WWW_AUTHENTICATE, "").lower()
        match response.status:
            case 401 if challenge.startswith("basic"):
                return ConfigError(
                    f"{self._address} requires a user name and a password: set "
                    f"{URL_VARIABLE} to https://NAME:PASSWORD@host:9888"
                )
            case 401 if text:
                return ConfigError(
                    f"{self._address} refuses the token; use the value of recovery.token in the "
                    "settings of the daemon"
                )
            case 404 if not text:
                return ConfigError(
                    f"{self._address} has no recovery API: recovery is off, or it is not a "
                    "Vergewatch daemon"
                )
            case 503 if text:
                return UnavailableError(text)
            case status if text:
                return ConfigError(text)
            case 429:
                return UnavailableError(
                    f"{self._address} received too many requests; try again in a minute"
                )
            case status:
                return UnavailableError(
                    f"{self._address} responded {status} {response.reason or ''}"
                )


def read_token(file: Path | None, environ: Mapping[str, str] = os.environ) -> str:
    """
    Return the token from *file*, or from the environment.

    Raises:
        ConfigError: No token is given, or it cannot be read.

    """
    named = file or environ.get(TOKEN_FILE_VARIABLE)
    if file is None and environ.get(TOKEN_VARIABLE):
        token = environ[TOKEN_VARIABLE].strip()
    elif named:
        from exporter.files import SecretFile  # noqa: PLC0415 - loads pydantic

        token = SecretFile(Path(named)).read().get_secret_value().strip()
    else:
        raise ConfigError(
            "a command needs a token: pass --token-file FILE, or set "
            f"{TOKEN_FILE_VARIABLE} or {TOKEN_VARIABLE}"
        )
    if not token or not token.isprintable():
        raise ConfigError("the token is empty or contains a character that cannot be printed")
    return token


def login_name() -> str:
    """Return the name of the current user; empty if it cannot be determined."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _error_of(raw: bytes) -> str:
    try:
        return msgspec.json.decode(raw, type=ErrorResponse).error
    except msgspec.DecodeError:
        return ""


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname)
        return known and (parts.port or 1) > 0 and bool(URL(url).host)
    except ValueError:  # invalid port or brackets
        return False


def _bare(url: str) -> str:
    """Return *url* without its user name and password."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"
