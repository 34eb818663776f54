"""The HTTP client of a running daemon's APIs: of recovery, and of the doctor."""

import base64
import getpass
import os
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, unquote, urlencode, urlsplit

import msgspec

from exporter.cli.daemon_url import DEFAULT_URL, URL_VARIABLE
from exporter.doctor.responses import DOCTOR_PATH, DoctorQuery, DoctorResponse
from exporter.errors import ConfigError, UnavailableError
from exporter.model import RELOAD_PATH, ReloadResponse, Retried, RetryBody
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
    PatternsResponse,
    ReportResponse,
    StatusResponse,
    VMsResponse,
)
from exporter.tolerant_json import UNREADABLE

if TYPE_CHECKING:
    from exporter.console.vm_list import VMListResponse
    from exporter.console.vm_query import VMQuery

TOKEN_VARIABLE = "VERGEWATCH_RECOVERY__TOKEN"  # noqa: S105 - the name of a variable
TOKEN_FILE_VARIABLE = "VERGEWATCH_RECOVERY__TOKEN_FILE"  # noqa: S105
TIMEOUT_SECONDS = 30.0
MAX_BYTES = 64 * 1024 * 1024

T = TypeVar("T")


class DaemonClient:
    """
    A running daemon.

    It uses Python's own HTTP client, because importing aiohttp takes 0.2 s.

    Args:
        token: Needed for commands only.

    Raises:
        ConfigError: By every method: the request is wrong and must be corrected.
        UnavailableError: By every method: the request may succeed later.

    """

    def __init__(self, url: str, token: str = "") -> None:
        self._address = _bare(url).rstrip("/")
        try:
            self._url = urlsplit(url)
            self._port = self._url.port
            usable = self._url.scheme in ("http", "https") and bool(self._url.hostname)
        except ValueError:  # invalid port or brackets
            usable = False
        if not usable:
            raise ConfigError(f"{_bare(url)!r} is not a URL such as {DEFAULT_URL}")
        self._token = token

    def doctor(self, system: str | None) -> DoctorResponse:
        query = urlencode(msgspec.to_builtins(DoctorQuery(system)))
        return self._exchange("GET", f"{DOCTOR_PATH}?{query}", DoctorResponse, {})

    def status(self, system: str | None) -> StatusResponse:
        return self._get("", SystemQuery(system), StatusResponse)

    def vms(self, system: str | None) -> VMsResponse:
        return self._get("/vms", VMsQuery(system), VMsResponse)

    def list_vms(self, query: "VMQuery") -> "VMListResponse":
        # The entries of VMs load the collectors, which the other commands do without.
        from exporter.console.vm_list import VMS_PATH, VMListResponse  # noqa: PLC0415
        from exporter.console.vm_query import query_string  # noqa: PLC0415

        return self._exchange("GET", f"{VMS_PATH}?{query_string(query)}", VMListResponse, {})

    def explain(self, vm: str, system: str | None, decision: int | None) -> Explanation:
        return self._get(
            f"/explain/{quote(vm, safe='')}", ExplainQuery(system, decision), Explanation
        )

    def log(self, vm: str | None, system: str | None, limit: int, since: str = "") -> LogResponse:
        return self._get("/log", LogQuery(system, vm, limit, since), LogResponse)

    def report(self, system: str | None, since: str, until: str) -> ReportResponse:
        return self._get("/report", ReportQuery(system, since, until), ReportResponse)

    def patterns(self, system: str | None) -> PatternsResponse:
        return self._get("/patterns", SystemQuery(system), PatternsResponse)

    def command(self, kind: CommandKind, body: CommandBody) -> CommandResponse:
        path = f"{API_ROOT}/{kind}"
        return self._exchange("POST", path, CommandResponse, self._command_headers(), body)

    def retry(self, system: str) -> Retried:
        path = f"/api/v1/systems/{quote(system, safe='')}/retry"
        return self._exchange("POST", path, Retried, self._command_headers(), RetryBody())

    def reload(self) -> ReloadResponse:
        headers = {"Accept": b"application/json", "Content-Length": b"0"}
        return self._exchange("POST", RELOAD_PATH, ReloadResponse, headers)

    def _command_headers(self) -> dict[str, bytes]:
        return {TOKEN_HEADER: self._token.encode(), "Content-Type": b"application/json"}

    def _get(self, path: str, query: SystemQuery, kind: type[T]) -> T:
        place = f"{API_ROOT}{path}?{urlencode(msgspec.to_builtins(query))}"
        return self._exchange("GET", place, kind, {})

    def _exchange(
        self,
        method: str,
        path: str,
        kind: type[T],
        headers: dict[str, bytes],
        body: CommandBody | RetryBody | None = None,
    ) -> T:
        if self._url.username is not None:
            login = f"{unquote(self._url.username)}:{unquote(self._url.password or '')}"
            headers["Authorization"] = b"Basic " + base64.b64encode(login.encode())
        connect = HTTPSConnection if self._url.scheme == "https" else HTTPConnection
        connection = connect(self._url.hostname or "", self._port, timeout=TIMEOUT_SECONDS)
        content = msgspec.json.encode(body) if body is not None else None
        try:
            # Redirects are not followed: one would send the token to another server.
            place = self._url.path.rstrip("/") + path
            connection.request(method, place, content, headers)
            response = connection.getresponse()
            raw = response.read(MAX_BYTES)
        except TimeoutError:
            recorded = isinstance(body, CommandBody)
            late = "; the command may be in force: see vergewatch recovery log" if recorded else ""
            raise UnavailableError(
                f"{self._address} did not respond within {TIMEOUT_SECONDS:g} s{late}"
            ) from None
        except (OSError, HTTPException, UnicodeError) as error:
            raise UnavailableError(self._unreachable(error)) from None
        finally:
            connection.close()
        if response.status != HTTPStatus.OK:
            raise self._refused(path, response, raw)
        try:
            return msgspec.json.decode(raw, type=kind)
        except UNREADABLE:
            raise self._another_version() from None

    def _unreachable(self, error: Exception) -> str:
        match error:
            case ssl.SSLCertVerificationError():
                reason = "its certificate is not trusted; name its CA in SSL_CERT_FILE"
            case ssl.SSLError():
                reason = "it does not use TLS; try http://"
            case ConnectionResetError() | BrokenPipeError() | HTTPException():
                reason = "it closed the connection; try https://"
            case _:
                reason = "check that the daemon is running and listens there"
        return f"cannot reach a daemon at {self._address}: {reason} (--url or {URL_VARIABLE})"

    def _another_version(self) -> ConfigError:
        return ConfigError(
            f"{self._address} is not a Vergewatch daemon of this version; "
            f"check --url ({URL_VARIABLE})"
        )

    def _refused(self, path: str, response: HTTPResponse, raw: bytes) -> ConfigError:
        text = _error_of(raw)
        challenge = response.headers.get("WWW-Authenticate", "").lower()
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
            case 404 if not text and not path.startswith(API_ROOT):
                return self._another_version()
            case 404 if not text:
                return ConfigError(
                    f"{self._address} has no recovery API: recovery is off, or it is not a "
                    "Vergewatch daemon"
                )
            case 429 | 503 if text:
                return UnavailableError(text)
            case status if text:
                return ConfigError(text)
            case 429:
                return UnavailableError(
                    f"{self._address} received too many requests; try again in a minute"
                )
            case status:
                return UnavailableError(f"{self._address} responded {status} {response.reason}")


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
        from exporter.inputs.files import SecretFile  # noqa: PLC0415 - loads pydantic

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
    except UNREADABLE:
        return ""


def _bare(url: str) -> str:
    """Return *url* without its user name and password."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"
