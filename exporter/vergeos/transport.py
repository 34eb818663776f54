"""Single HTTP requests to one VergeOS: serial, spaced, counted against the budget, measured."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import aiohttp
from yarl import URL

from exporter.clock import Clock
from exporter.errors import (
    AbsentError,
    BadReplyError,
    BudgetSpentError,
    UnreachableError,
    VergeOSError,
)
from exporter.http import connection_error_reason, read_body
from exporter.vergeos.budget import RequestBudget
from exporter.vergeos.http_errors import check_status, secrets_of

TOKENS_PATH = "/api/sys/tokens"


class Limits(NamedTuple):
    """Limits of a client; times in seconds."""

    timeout_seconds: float = 30.0
    """For one read with its retries, so that a table that hangs does not delay the others."""
    spacing_seconds: float = 0.05
    """Between the starts of two requests; VergeOS drops connections that send faster."""
    max_body_bytes: int = 64 * 2**20
    refused_wait_seconds: float = 1800.0
    """Pause after a 401; VergeOS locks accounts for 900 s, and requests meanwhile prolong that."""
    action_timeout_seconds: float = 30.0
    """For the answer to a request that acts."""
    prompt_seconds: float = 5.0
    """To send a request that acts; the decision for it is outdated later."""


class Meter(Protocol):
    """Metrics of requests."""

    def request(self, endpoint: str, outcome: str, seconds: float) -> None: ...
    def retry(self, endpoint: str) -> None: ...


class Answer(NamedTuple):
    """A response with a status below 300."""

    status: int
    body: bytes


class Transport:
    """
    Sends requests to one VergeOS, one at a time.

    Args:
        session: For this VergeOS only; the caller closes it.
        base_url: ``https://host[:port]``, without credentials.
        budget: May be shared; clients that share one also keep the spacing together.

    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        *,
        budget: RequestBudget,
        clock: Clock,
        meter: Meter,
        limits: Limits,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.budget = budget
        self._session = session
        self._clock = clock
        self._meter = meter
        self._limits = limits
        self._lock = asyncio.Lock()

    async def exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        endpoint: str,
        query: str = "",
        json: Any = None,
        urgent: bool = False,
    ) -> Answer:
        """
        Wait for the preceding request, the budget and the spacing, then send one request.

        Args:
            query: Encoded; empty for none.
            endpoint: The metrics' label for this request.
            urgent: Whether the request may use the budget's reserve.

        Raises:
            VergeOSError: There was no response with a status below 300.

        """
        async with self._lock:
            await self.reserve(path, urgent=urgent)
            return await self.send(method, path, headers, endpoint=endpoint, query=query, json=json)

    async def reserve(self, path: str, *, urgent: bool) -> None:
        """
        Count a request to *path* against the budget, and wait until it may be sent.

        Raises:
            BudgetSpentError: The budget allows no request now.

        """
        now = self._clock.monotonic()
        start = max(now, self.budget.last_at + self._limits.spacing_seconds)
        wait = self.budget.take(at=start, urgent=urgent)
        if wait > 0:
            raise BudgetSpentError(path, wait_seconds=wait)
        if start > now:
            await self._clock.sleep(start - now)

    async def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        endpoint: str,
        query: str = "",
        json: Any = None,
    ) -> Answer:
        """
        Send one request at once and measure it, whatever its outcome.

        Raises:
            VergeOSError: There was no response with a status below 300.

        """
        started = self._clock.monotonic()
        outcome = "abandoned"  # the caller's timeout cancels without a VergeOSError
        try:
            answer = await self._request(method, path, headers, query, json)
            outcome = "ok"
        except VergeOSError as error:
            outcome = error.outcome
            raise
        finally:
            self._meter.request(endpoint, outcome, self._clock.monotonic() - started)
        return answer

    async def _request(
        self, method: str, path: str, headers: Mapping[str, str], query: str, json: Any
    ) -> Answer:
        # yarl would decode `#` and spaces, which must arrive as %23 and %20.
        url = URL(f"{self.base_url}{path}{f'?{query}' if query else ''}", encoded=True)
        try:
            async with self._session.request(
                method, url, headers=headers, json=json, allow_redirects=False
            ) as response:
                body = await self._body(path, response)
                secrets = secrets_of(headers, json if path == TOKENS_PATH else None)
                check_status(path, response, body, secrets=secrets)
                return Answer(response.status, body)
        except aiohttp.ClientError as error:
            no_connection = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
            kind = AbsentError if isinstance(error, no_connection) else UnreachableError
            raise kind(f"{path}: {connection_error_reason(error, section='tls')}") from None
        except OSError as error:
            raise UnreachableError(f"{path}: {error.strerror or error}") from None
        except ValueError:  # yarl's and aiohttp's messages may contain the host or a header
            raise AbsentError(f"{path}: {self.base_url} cannot be asked: check the URL") from None

    async def _body(self, path: str, response: aiohttp.ClientResponse) -> bytes:
        limit = self._limits.max_body_bytes
        body = await read_body(response, limit)
        if body is None:
            raise BadReplyError(path, f"sent more than {limit} bytes", status=response.status)
        return body
