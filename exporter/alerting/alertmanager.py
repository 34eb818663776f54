"""
Requests to one Alertmanager, and what came of them.

Every failure leaves here as an `AlertmanagerError`, whose text names the thing and the place and
repeats nothing that was sent or answered: there may be secrets in either.
"""

import asyncio
import ssl
from datetime import datetime
from email.utils import parsedate_to_datetime

import aiohttp
import msgspec

from exporter import __version__
from exporter.alerting.config import Access
from exporter.alerting.silences import SilencesResponse, read
from exporter.clock import Clock
from exporter.errors import ConfigError, VergewatchError, system_reason

ALERTS = "/api/v2/alerts"
SILENCES = "/api/v2/silences"
MOST_BYTES = 32 * 2**20
CHUNK_BYTES = 256 * 1024
JSON = {"Content-Type": "application/json"}


class AlertmanagerError(VergewatchError):
    """
    An Alertmanager that was not reached, or did not do what it was asked.

    Args:
        outcome: The word for this failure, as the metrics' ``outcome`` label says it.

    """

    def __init__(self, text: str, *, outcome: str) -> None:
        super().__init__(text)
        self.outcome = outcome


class Alertmanager:
    """
    One Alertmanager.

    Args:
        url: ``https://host[:port][/prefix]``, without credentials.
        session: Of `make_session`; closing it is the caller's business.

    """

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        access: Access,
        clock: Clock,
        *,
        timeout_seconds: float,
    ) -> None:
        self.url = url.rstrip("/")
        self._session = session
        self._access = access
        self._clock = clock
        self._timeout_seconds = timeout_seconds

    async def silences(self) -> SilencesResponse:
        """
        Return its silences.

        Raises:
            AlertmanagerError: There is no answer that can be read.

        """
        asked_at, now = self._clock.monotonic(), self._clock.now()
        date, body = await self._exchange("GET", SILENCES, None)
        try:
            silences, unread = read(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            text = f"{SILENCES} answered no list of silences: check the URL"
            raise self._error(text, outcome="bad_reply") from None
        return SilencesResponse(silences, unread, _moment(date) or now, asked_at)

    async def post(self, alerts: bytes) -> None:
        """
        Tell of *alerts*, a JSON list.

        Raises:
            AlertmanagerError: They were not taken, as far as is known.

        """
        _, body = await self._exchange("POST", ALERTS, alerts)
        if body.lstrip().startswith(b"<"):
            raise self._error(f"{ALERTS} answered a page: check the URL", outcome="bad_reply")

    async def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[str, bytes]:
        """Ask once, and return the answer's date and its body."""
        try:
            headers = {**self._access.headers(), **(JSON if body is not None else {})}
        except ConfigError as problem:
            raise self._error(str(problem), outcome="unauthorized") from None
        seconds = self._timeout_seconds
        try:
            async with (
                asyncio.timeout(seconds),
                self._session.request(
                    method, self.url + path, data=body, headers=headers, allow_redirects=False
                ) as response,
            ):
                self._check(path, response.status)
                return response.headers.get("Date", ""), await self._body(path, response)
        except TimeoutError:
            text = f"{path} did not answer within {seconds:g} s"
            raise self._error(text, outcome="unreachable") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._error(_why_unreachable(error), outcome="unreachable") from None

    async def _body(self, path: str, response: aiohttp.ClientResponse) -> bytes:
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            chunks.append(chunk)
            size += len(chunk)
            if size > MOST_BYTES:
                text = f"{path} answered more than {MOST_BYTES} bytes"
                raise self._error(text, outcome="bad_reply")
        return b"".join(chunks)

    def _check(self, path: str, status: int) -> None:
        if status < 300:  # noqa: PLR2004 - every 2xx is a success
            return
        if status < 400:  # noqa: PLR2004
            text = f"{path} redirects with {status}: check the URL"
            raise self._error(text, outcome="bad_reply")
        if status in (401, 403):
            text = f"{path} answered {status}: check the password or the token"
            raise self._error(text, outcome="unauthorized")
        raise self._error(f"{path} answered {status}", outcome="bad_reply")

    def _error(self, text: str, *, outcome: str) -> AlertmanagerError:
        return AlertmanagerError(f"{self.url}: {text}", outcome=outcome)


def make_session(access: Access, *, timeout_seconds: float) -> aiohttp.ClientSession:
    """
    Return a session for Alertmanagers, with a new connection for each request.

    One that is kept may have been closed meanwhile, which shows only when a request is lost.

    Raises:
        ConfigError: The CA file cannot be used.

    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=access.trust(), force_close=True),
        timeout=aiohttp.ClientTimeout(total=None, connect=timeout_seconds),
        headers={"User-Agent": f"vergewatch/{__version__}", "Accept": "application/json"},
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,  # neither proxies nor ~/.netrc
    )


def _moment(date: str) -> datetime | None:
    """Return the time of an answer, where it says one."""
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else None


def _why_unreachable(error: Exception) -> str:
    """Say in one line what to do about *error*; never its repr, which may hold our headers."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            cause = error.certificate_error
            why = (
                cause.verify_message
                if isinstance(cause, ssl.SSLCertVerificationError)
                else type(cause).__name__
            )
            return f"its certificate is not trusted ({why}): name its CA in alertmanager.ca_file"
        case aiohttp.ClientConnectorDNSError():
            return "its name cannot be resolved"
        case aiohttp.ClientConnectorSSLError():
            return "no TLS: is it a plain http port?"
        case aiohttp.ClientConnectorError():
            return f"cannot connect: {system_reason(error.os_error)}"
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed without an answer"
        case aiohttp.ClientPayloadError():
            return "the connection was closed in the middle of the answer"
        case _:
            return f"no usable HTTP answer ({type(error).__name__})"
