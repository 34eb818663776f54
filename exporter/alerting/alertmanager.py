"""
Requests to one Alertmanager.

Every failure is raised as an `AlertmanagerError`. Its text contains nothing that was sent or
received, because both may contain secrets.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from urllib.parse import quote

import aiohttp
import msgspec

from exporter import http
from exporter.alerting.config import AlertmanagerSettings
from exporter.alerting.silences import NewSilence, SilencesResponse, decode_silences
from exporter.clock import Clock
from exporter.errors import ConfigError, VergewatchError
from exporter.http import connection_error_reason, read_body
from exporter.inputs.live_file import FileWatch
from exporter.tolerant_json import UNREADABLE, UnreadableError

ALERTS = "/api/v2/alerts"
SILENCES = "/api/v2/silences"
SILENCE = "/api/v2/silence"
MAX_BODY_BYTES = 32 * 2**20
JSON = {"Content-Type": "application/json"}

MakeSession = Callable[[], aiohttp.ClientSession]


class AlertmanagerError(VergewatchError):
    """
    A request to Alertmanager that failed.

    Args:
        outcome: Value of the metrics' label ``outcome``.

    """

    def __init__(self, text: str, *, outcome: str) -> None:
        super().__init__(text)
        self.outcome = outcome


class _Created(msgspec.Struct, rename={"silence_id": "silenceID"}):
    silence_id: str


class Alertmanager:
    """
    Client of one Alertmanager.

    Args:
        url: One of `AlertmanagerSettings.urls`.
        session: From `make_session`; the caller closes it.

    """

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        settings: AlertmanagerSettings,
        clock: Clock,
    ) -> None:
        self.url = url
        self._session = session
        self._settings = settings
        self._clock = clock

    async def silences(self) -> SilencesResponse:
        """
        Return its silences.

        Raises:
            AlertmanagerError: The request failed, or the response is not a list.

        """
        asked_at, now = self._clock.monotonic(), self._clock.now()
        date, body = await self._request("GET", SILENCES, None)
        try:
            silences, invalid = decode_silences(body)
        except UnreadableError:
            text = f"{SILENCES} returned no list of silences: check the URL"
            raise self._error(text, outcome="bad_reply") from None
        return SilencesResponse(silences, invalid, _parsed_date(date) or now, asked_at)

    async def post(self, alerts: bytes) -> None:
        """
        Post *alerts*, a JSON list.

        Raises:
            AlertmanagerError: The request failed.

        """
        _, body = await self._request("POST", ALERTS, alerts)
        if body.lstrip().startswith(b"<"):
            raise self._error(f"{ALERTS} returned an HTML page: check the URL", outcome="bad_reply")

    async def create_silence(self, silence: NewSilence) -> str:
        """
        Create *silence*, and return its id.

        Raises:
            AlertmanagerError: The request failed, or Alertmanager refused the silence.

        """
        _, body = await self._request("POST", SILENCES, msgspec.json.encode(silence))
        try:
            return msgspec.json.decode(body, type=_Created).silence_id
        except UNREADABLE:
            text = f"{SILENCES} returned no id of a silence: check the URL"
            raise self._error(text, outcome="bad_reply") from None

    async def expire_silence(self, silence_id: str) -> None:
        """
        End a silence now.

        Raises:
            AlertmanagerError: The request failed, or Alertmanager does not know the silence.

        """
        await self._request("DELETE", f"{SILENCE}/{quote(silence_id, safe='')}", None)

    async def _request(self, method: str, path: str, body: bytes | None) -> tuple[str, bytes]:
        """Send one request, and return the response's Date header and body."""
        seconds = self._settings.timeout_seconds
        try:
            headers = {**self._settings.auth_headers(), **(JSON if body is not None else {})}
        except ConfigError as error:
            raise self._error(str(error), outcome="unauthorized") from None
        try:
            async with (
                asyncio.timeout(seconds),
                self._session.request(
                    method, self.url + path, data=body, headers=headers, allow_redirects=False
                ) as response,
            ):
                self._check_status(path, response.status)
                received = await read_body(response, MAX_BODY_BYTES)
                if received is not None:
                    return response.headers.get("Date", ""), received
        except TimeoutError:
            text = f"{path} did not respond within {seconds:g} s"
            raise self._error(text, outcome="unreachable") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            text = connection_error_reason(error, section="alertmanager")
            raise self._error(text, outcome="unreachable") from None
        text = f"{path} returned more than {MAX_BODY_BYTES} bytes"
        raise self._error(text, outcome="bad_reply")

    def _check_status(self, path: str, status: int) -> None:
        if status < 300:  # noqa: PLR2004 - every 2xx is a success
            return
        if status < 400:  # noqa: PLR2004
            text = f"{path} redirects ({status}): check the URL"
            raise self._error(text, outcome="bad_reply")
        if status in (401, 403):
            text = f"{path} returned {status}: check the password or the token"
            raise self._error(text, outcome="unauthorized")
        raise self._error(f"{path} returned {status}", outcome="bad_reply")

    def _error(self, text: str, *, outcome: str) -> AlertmanagerError:
        return AlertmanagerError(f"{self.url}: {text}", outcome=outcome)


def session_maker(settings: AlertmanagerSettings, watch: FileWatch | None = None) -> MakeSession:
    """
    Return what makes sessions that open a new connection for each request.

    A kept connection may be closed by the other side between requests; the next request is then
    lost. The CA file is read here, and followed: while it is being replaced, the certificates that
    it had stay in force.

    Args:
        watch: Reports a CA file that becomes invalid.

    Raises:
        ConfigError: The CA file or the proxy cannot be used.

    """
    return partial(
        http.make_session,
        settings.ssl_context(watch),
        connect_seconds=settings.timeout_seconds,
        proxies=settings.proxies(),
        force_close=True,
    )


def make_session(
    settings: AlertmanagerSettings, watch: FileWatch | None = None
) -> aiohttp.ClientSession:
    """Return one session; see `session_maker`."""
    return session_maker(settings, watch)()


def _parsed_date(date: str) -> datetime | None:
    """Return the time of a Date header; ``None`` if it has no valid one with a time zone."""
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else None
