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
    ThrottledError,
    UnreachableError,
    VergeOSError,
)
from exporter.http import ProxyLoginError, connection_error_reason, read_body
from exporter.vergeos.budget import RequestBudget
from exporter.vergeos.checked_body import CheckedBody
from exporter.vergeos.http_errors import check_status, secrets_of

TOKENS_PATH = "/api/sys/tokens"
PROMPT_SECONDS = 5.0
"""To send a request that acts; the decision for it is outdated later."""
ACTION_SECONDS = 30.0
"""For the answer to it."""


class Limits(NamedTuple):
    """Limits of a client; times in seconds."""

    timeout_seconds: float = 30.0
    """For one read with its retries, so that a table that hangs does not delay the others."""
    spacing_seconds: float = 0.05
    """Between the starts of two requests; VergeOS drops connections that send faster."""
    max_body_bytes: int = 64 * 2**20
    refused_wait_seconds: float = 1800.0
    """Pause after a 401; VergeOS locks accounts for 900 s, and requests meanwhile prolong that."""
    action_timeout_seconds: float = ACTION_SECONDS
    prompt_seconds: float = PROMPT_SECONDS


class Meter(Protocol):
    """Metrics of requests and answers."""

    system_name: str
    """May change."""

    def request(self, endpoint: str, outcome: str, seconds: float) -> None: ...
    def retry(self, endpoint: str) -> None: ...
    def fields_skipped(self, table: str, field: str, count: int) -> None: ...


class Request(NamedTuple):
    """One HTTP request to VergeOS, without the headers that authenticate it."""

    method: str
    path: str
    """From the root of the host, such as ``/api/v4/vms``."""
    endpoint: str
    """The metrics' label for this request."""
    query: str = ""
    """Encoded."""
    json: Any = None
    body: CheckedBody | None = None
    """Instead of `json`, where a last check precedes the first byte."""
    urgent: bool = False
    """Whether the request may use the budget's reserve."""


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
        self.clock = clock
        self.meter = meter
        self.limits = limits
        self._lock = asyncio.Lock()

    async def exchange(self, request: Request, headers: Mapping[str, str]) -> Answer:
        """
        Wait for the preceding request and the spacing, then send *request*.

        Raises:
            VergeOSError: There was no response with a status below 300.

        """
        async with self._lock:
            await self.reserve(request)
            return await self.send(request, headers)

    async def reserve(self, request: Request) -> None:
        """
        Count *request* against the budget, and wait until it may be sent.

        Raises:
            ThrottledError: VergeOS asked to wait longer.
            BudgetSpentError: The budget allows no request now.

        """
        now = self.clock.monotonic()
        asked = self.budget.throttle.wait(at=now)
        if asked is not None:
            raise ThrottledError(request.path, asked.because, wait_seconds=asked.until - now)
        start = max(now, self.budget.last_at + self.limits.spacing_seconds)
        wait = self.budget.take(at=start, urgent=request.urgent)
        if wait > 0:
            raise BudgetSpentError(request.path, wait_seconds=wait)
        if start > now:
            await self.clock.sleep(start - now)

    async def send(self, request: Request, headers: Mapping[str, str]) -> Answer:
        """
        Send *request* at once and measure it, also if it fails.

        Raises:
            NotSentError: The last check of its body forbade it.
            VergeOSError: There was no response with a status below 300.

        """
        started = self.clock.monotonic()
        outcome = "abandoned"  # the caller's timeout cancels without a VergeOSError
        try:
            answer = await self._send(request, headers)
            outcome = "ok"
        except VergeOSError as error:
            outcome = error.outcome
            raise
        finally:
            self.meter.request(request.endpoint, outcome, self.clock.monotonic() - started)
        return answer

    async def _send(self, request: Request, headers: Mapping[str, str]) -> Answer:
        path, limit = request.path, self.limits.max_body_bytes
        # yarl would decode `#` and spaces, which must arrive as %23 and %20.
        query = f"?{request.query}" if request.query else ""
        url = URL(f"{self.base_url}{path}{query}", encoded=True)
        try:
            async with self._session.request(
                request.method,
                url,
                headers=headers,
                json=request.json,
                data=request.body,
                allow_redirects=False,
            ) as response:
                body = await read_body(response, limit)
                if body is None:
                    problem = f"sent more than {limit} bytes"
                    raise BadReplyError(path, problem, status=response.status)
                self._check_throttle(path, response)
                secrets = secrets_of(headers, request.json if path == TOKENS_PATH else None)
                check_status(path, response, body, secrets=secrets)
                return Answer(response.status, body)
        except aiohttp.ClientError as error:
            if request.body is not None and request.body.problem is not None:
                raise request.body.problem from None
            no_connection = (
                aiohttp.ClientConnectorError,
                aiohttp.ConnectionTimeoutError,
                aiohttp.ClientHttpProxyError,
                ProxyLoginError,
            )
            kind = AbsentError if isinstance(error, no_connection) else UnreachableError
            raise kind(f"{path}: {connection_error_reason(error, section='tls')}") from None
        except OSError as error:
            raise UnreachableError(f"{path}: {error.strerror or error}") from None
        except ValueError:  # yarl's and aiohttp's messages may contain the host or a header
            raise AbsentError(f"{path}: {self.base_url} cannot be asked: check the URL") from None
        finally:
            if request.body is not None:
                request.body.withdraw()

    def _check_throttle(self, path: str, response: aiohttp.ClientResponse) -> None:
        """
        Note what an answer says about the next request.

        Raises:
            ThrottledError: It asks to wait.

        """
        at, now = self.clock.monotonic(), self.clock.now()
        headers = response.headers
        wait = self.budget.throttle.asks_to_wait(path, response.status, headers, at=at, now=now)
        if wait is not None:
            raise ThrottledError(path, wait.because, wait_seconds=wait.until - at)
