"""
Requests to one VergeOS: signed, spaced, counted, retried where that is safe, and understood.

Every failure leaves here as a `VergeOSError`; nothing of aiohttp's gets out. aiohttp's own
errors can carry our headers, so they are translated and not chained.
"""

import asyncio
import base64
import re
import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
import stamina
from pydantic import SecretStr
from yarl import URL

from exporter.clock import Clock
from exporter.errors import (
    AbsentError,
    BadReplyError,
    BudgetSpentError,
    ConfigError,
    ForbiddenError,
    NotSentError,
    UnauthorizedError,
    UnreachableError,
    VergeOSError,
    system_reason,
)
from exporter.vergeos.budget import RequestBudget
from exporter.vergeos.credentials import Credentials, CredentialSource
from exporter.vergeos.rows import UNREADABLE

TOKENS_PATH = "/api/sys/tokens"
TOKEN_HEADER = "x-yottabyte-token"  # noqa: S105 - a header's name
TOKEN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._~-]{0,511}")
"""What may be a session token: it goes into a header, and into a path."""
WORTH_ASKING_AGAIN = frozenset({429, 502, 503})
TRIES = 3
TRUSTED_SESSION_SECONDS = 600.0
"""A session that was not used for longer may have ended, and a request that acts has one try."""
SHORTEST_SECRET = 6
"""A shorter word is taken for a word: redacting it would only make errors unreadable."""
CHUNK_BYTES = 256 * 1024


class Limits(NamedTuple):
    """How we behave towards the API."""

    timeout_seconds: float = 30.0
    """For one reading, its retries included: a table that hangs must not hold up the others."""
    spacing_seconds: float = 0.05
    """Between the starts of two requests; VergeOS drops the connection of whoever is faster."""
    max_body_bytes: int = 64 * 2**20
    refused_wait_seconds: float = 1800.0
    """After a 401: the platform's lockout lasts 900 s, and asking during it prolongs it."""
    action_timeout_seconds: float = 30.0
    """For the answer to a request that acts."""
    prompt_seconds: float = 5.0
    """For sending it: later than that, what it was decided on may no longer hold."""


class Meter(Protocol):
    """Who counts our requests."""

    def request(self, endpoint: str, outcome: str, seconds: float) -> None: ...
    def retry(self, endpoint: str) -> None: ...


class Answer(NamedTuple):
    """A reply with a status below 300."""

    status: int
    body: bytes


class _Refusal(NamedTuple):
    """A 401 that we remember instead of asking again."""

    credentials: Credentials
    until: float
    reason: str


class Refused:
    """What clients with the same credentials know of their being refused."""

    refusal: _Refusal | None = None


class VergeOSClient:
    """
    One VergeOS, one connection at a time.

    Args:
        session: For this VergeOS alone; closing it is the caller's business.
        base_url: ``https://host[:port]``, without credentials.
        credentials: Asked before every request, so that a changed file is noticed.
        use_token: With a user name: log in once and use a session token, else HTTP Basic.
        budget: What an hour may cost; clients that share one also keep their distance together.

    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        credentials: CredentialSource,
        *,
        use_token: bool,
        budget: RequestBudget,
        clock: Clock,
        meter: Meter,
        limits: Limits = Limits(),  # noqa: B008 - a frozen value
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.budget = budget
        self._session = session
        self._credentials = credentials
        self._use_token = use_token
        self._clock = clock
        self._meter = meter
        self._limits = limits
        self._turn = asyncio.Lock()
        self._token: str | None = None
        self._token_used_at = 0.0
        self._refused = Refused()

    async def read(
        self, path: str, query: Mapping[str, str], *, endpoint: str, urgent: bool = False
    ) -> bytes:
        """
        GET *path* and return the body, asking again where that is safe and promising.

        Args:
            path: From the root of the host, such as ``/api/v4/vms``.
            query: Parameters, not yet encoded.
            endpoint: The word for this request in the metrics.
            urgent: Whether it may use the reserve; an old answer is no use then, so it has one try.

        Raises:
            VergeOSError: One of its kinds; the message names the path.

        """
        deadline = self._limits.timeout_seconds
        try:
            async with asyncio.timeout(deadline):
                if urgent:
                    return await self._read_once(path, query, endpoint=endpoint, urgent=True)
                async for attempt in stamina.retry_context(
                    on=_worth_asking_again,
                    attempts=TRIES,
                    timeout=None,
                    wait_initial=0.2,
                    wait_max=2.0,
                    wait_jitter=0.3,
                ):
                    with attempt:
                        if attempt.num > 1:
                            self._meter.retry(endpoint)
                        return await self._read_once(path, query, endpoint=endpoint, urgent=False)
        except TimeoutError:
            raise UnreachableError(f"{path} did not answer within {deadline:g} s") from None
        raise AssertionError("stamina either returns or raises")

    async def act(self, path: str, body: Mapping[str, Any], *, endpoint: str) -> Answer:
        """
        POST *body* once, whatever happens: nobody repeats it, and no redirect is followed.

        Raises:
            NotSentError: It surely never left here.
            UnauthorizedError: It was refused, or would have been: nothing came of it.
            VergeOSError: Any other answer, or none; a `BadReplyError` has the status.

        """
        credentials = self._current_credentials()
        try:
            headers = await self._ready_to_act(path, credentials)
            answer = await self._send_action(path, body, headers, endpoint=endpoint)
        except UnauthorizedError as refusal:
            self._remember(refusal, credentials)
            raise
        self._refused.refusal = None
        return answer

    def carry_on(self, former: "VergeOSClient") -> None:
        """Take over what *former* spent and was refused: a reload must not make VergeOS forget."""
        self.budget.carry_on(former.budget)
        self.share_refusals(former)

    def share_refusals(self, other: "VergeOSClient") -> None:
        """Take what *other* is refused for refused here: it has the same credentials."""
        self._refused = other._refused  # noqa: SLF001 - one of us

    async def close(self) -> None:
        """Give the session token back, if there is one; a failure to do so is nobody's problem."""
        token, self._token = self._token, None
        if token is None:
            return
        try:
            async with asyncio.timeout(1.0):
                path = f"{TOKENS_PATH}/{quote(token, safe='')}"
                await self._exchange(
                    "DELETE", path, "", {TOKEN_HEADER: token}, endpoint="logout", urgent=True
                )
        except (TimeoutError, VergeOSError):
            pass

    async def _read_once(
        self, path: str, query: Mapping[str, str], *, endpoint: str, urgent: bool
    ) -> bytes:
        encoded = urlencode(query, quote_via=quote)
        credentials = self._current_credentials()
        had_token = self._token is not None
        try:
            return await self._signed_get(path, encoded, credentials, endpoint, urgent=urgent)
        except UnauthorizedError as refusal:
            if not had_token:
                self._remember(refusal, credentials)
                raise
        # The session had ended (the platform ends idle ones after a day): log in again, once.
        self._token = None
        try:
            return await self._signed_get(path, encoded, credentials, endpoint, urgent=urgent)
        except UnauthorizedError as refusal:
            self._remember(refusal, credentials)
            raise

    async def _signed_get(
        self,
        path: str,
        encoded_query: str,
        credentials: Credentials,
        endpoint: str,
        *,
        urgent: bool,
    ) -> bytes:
        headers = await self._signature(credentials, urgent=urgent)
        answer = await self._exchange(
            "GET", path, encoded_query, headers, endpoint=endpoint, urgent=urgent
        )
        self._refused.refusal = None
        return answer.body

    def _current_credentials(self) -> Credentials:
        """Return the credentials, unless VergeOS refused the very same a short while ago."""
        try:
            credentials = self._credentials()
        except ConfigError as problem:
            raise UnauthorizedError(str(problem)) from None
        refusal = self._refused.refusal
        if refusal is None:
            return credentials
        if credentials != refusal.credentials:  # somebody put a new key in the file
            self._refused.refusal = None
            self._token = None
            return credentials
        wait = refusal.until - self._clock.monotonic()
        if wait > 0:
            raise UnauthorizedError(
                f"{refusal.reason}; not asking again for {wait:.0f} s or until the secret changes, "
                "because repeated refusals lock the account"
            )
        return credentials

    def _remember(self, refusal: UnauthorizedError, credentials: Credentials) -> None:
        until = self._clock.monotonic() + self._limits.refused_wait_seconds
        self._refused.refusal = _Refusal(credentials, until, str(refusal))
        self._token = None

    async def _ready_to_act(self, path: str, credentials: Credentials) -> dict[str, str]:
        """Return the headers for a request that may go out now."""
        seconds = self._limits.prompt_seconds
        try:
            async with asyncio.timeout(seconds):
                if self._clock.monotonic() - self._token_used_at > TRUSTED_SESSION_SECONDS:
                    await self.close()
                headers = await self._signature(credentials, urgent=True)
                await self._wait_for_turn(path, urgent=True)
        except TimeoutError:
            raise NotSentError(
                f"{path} was not sent: we were not ready within {seconds:g} s"
            ) from None
        except UnauthorizedError:
            raise
        except VergeOSError as problem:
            raise NotSentError(f"{path} was not sent: {problem}") from None
        return headers

    async def _send_action(
        self, path: str, body: Mapping[str, Any], headers: Mapping[str, str], *, endpoint: str
    ) -> Answer:
        seconds = self._limits.action_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._send_counted(
                    "POST", path, "", headers, endpoint=endpoint, json=body
                )
        except TimeoutError:
            raise UnreachableError(f"{path} did not answer within {seconds:g} s") from None
        except AbsentError as problem:
            raise NotSentError(f"{path} was not sent: {problem}") from None

    async def _signature(self, credentials: Credentials, *, urgent: bool) -> dict[str, str]:
        """Return the headers that say who we are, logging in first where that is needed."""
        if credentials.api_key is not None:
            return {"Authorization": f"Bearer {credentials.api_key.get_secret_value()}"}
        if credentials.password is None:
            return {}
        if not self._use_token:
            pair = f"{credentials.username}:{credentials.password.get_secret_value()}"
            return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
        if self._token is None:
            self._token = await self._log_in(
                credentials.username, credentials.password, urgent=urgent
            )
        self._token_used_at = self._clock.monotonic()
        return {TOKEN_HEADER: self._token}

    async def _log_in(self, username: str, password: SecretStr, *, urgent: bool) -> str:
        body = {"login": username, "password": password.get_secret_value()}
        try:
            answer = await self._exchange(
                "POST", TOKENS_PATH, "", {}, endpoint="login", json=body, urgent=urgent
            )
        except VergeOSError as error:
            error.repeatable = False  # each login that is lost leaves a session behind
            raise
        try:
            token = msgspec.json.decode(answer.body, type=dict[str, Any]).get("$key")
        except UNREADABLE:
            token = None
        if not isinstance(token, str) or not TOKEN.fullmatch(token):
            raise BadReplyError(TOKENS_PATH, "gave no session token", status=answer.status)
        return token

    async def _exchange(
        self,
        method: str,
        path: str,
        encoded_query: str,
        headers: Mapping[str, str],
        *,
        endpoint: str,
        json: Any = None,
        urgent: bool = False,
    ) -> Answer:
        """Make one request when it is our turn; no other is under way meanwhile."""
        async with self._turn:
            await self._wait_for_turn(path, urgent=urgent)
            return await self._send_counted(
                method, path, encoded_query, headers, endpoint=endpoint, json=json
            )

    async def _wait_for_turn(self, path: str, *, urgent: bool) -> None:
        """Take a place in the budget, and wait for its moment."""
        now = self._clock.monotonic()
        start = max(now, self.budget.last_at + self._limits.spacing_seconds)
        wait = self.budget.take(at=start, urgent=urgent)
        if wait > 0:
            raise BudgetSpentError(path, wait_seconds=wait)
        if start > now:
            await self._clock.sleep(start - now)

    async def _send_counted(
        self,
        method: str,
        path: str,
        encoded_query: str,
        headers: Mapping[str, str],
        *,
        endpoint: str,
        json: Any,
    ) -> Answer:
        """Make one request, and count it, whatever comes of it."""
        started = self._clock.monotonic()
        outcome = "abandoned"  # unless an answer or an error comes before we stop waiting
        try:
            answer = await self._send(method, path, encoded_query, headers, json)
            outcome = "ok"
        except VergeOSError as error:
            outcome = error.outcome
            raise
        finally:
            self._meter.request(endpoint, outcome, self._clock.monotonic() - started)
        return answer

    async def _send(
        self, method: str, path: str, encoded_query: str, headers: Mapping[str, str], json: Any
    ) -> Answer:
        # Encoded by us: `#` and spaces in `fields` and `filter` must arrive as %23 and %20.
        question = f"?{encoded_query}" if encoded_query else ""
        url = URL(f"{self.base_url}{path}{question}", encoded=True)
        try:
            async with self._session.request(
                method, url, headers=headers, json=json, allow_redirects=False
            ) as response:
                body = await self._body(path, response)
                said = _secrets(headers, json if path == TOKENS_PATH else None)
                _check_status(path, response, body, secrets=said)
                return Answer(response.status, body)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise AbsentError(f"{path}: {_why_unreachable(error)}") from None
        except aiohttp.ClientError as error:
            raise UnreachableError(f"{path}: {_why_unreachable(error)}") from None
        except OSError as error:
            raise UnreachableError(f"{path}: {error.strerror or error}") from None
        except ValueError:  # of yarl or aiohttp, about a host or a header; it may repeat either
            raise AbsentError(f"{path}: {self.base_url} cannot be asked: check the URL") from None

    async def _body(self, path: str, response: aiohttp.ClientResponse) -> bytes:
        limit = self._limits.max_body_bytes
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            chunks.append(chunk)
            size += len(chunk)
            if size > limit:
                chunks.clear()  # an error that is kept keeps what its frames hold
                raise BadReplyError(path, f"sent more than {limit} bytes", status=response.status)
        return b"".join(chunks)


def _worth_asking_again(error: Exception) -> bool:
    if isinstance(error, BadReplyError):
        return error.repeatable and error.status in WORTH_ASKING_AGAIN
    return isinstance(error, UnreachableError) and error.repeatable


def _secrets(headers: Mapping[str, str], json: Any) -> tuple[str, ...]:
    """Return what a request carries and an error must not repeat, though an answer may."""
    said = " ".join([*headers.values(), *(json.values() if json else ())])
    return tuple(word for word in said.split() if len(word) >= SHORTEST_SECRET)


def _check_status(
    path: str, response: aiohttp.ClientResponse, body: bytes, *, secrets: tuple[str, ...]
) -> None:
    status = response.status
    if status < 300:  # noqa: PLR2004 - every 2xx is a success, some tables say 201
        return
    if status < 400:  # noqa: PLR2004
        where = response.headers.get("Location", "elsewhere")
        raise BadReplyError(path, f"redirects to {_printable(where)}: check the URL", status=status)
    says = _error_text(body, secrets)
    if status == 401:  # noqa: PLR2004
        raise UnauthorizedError(f"{path} answered 401{says}: the credentials are refused")
    if status == 403:  # noqa: PLR2004
        what = "read it" if response.method == "GET" else "do this"
        raise ForbiddenError(f"{path} answered 403{says}: this user may not {what}")
    raise BadReplyError(path, f"answered {status}{says}", status=status)


def _error_text(body: bytes, secrets: tuple[str, ...]) -> str:
    """Return ``: what VergeOS says``, or nothing where it says nothing short and plain."""
    try:
        said = msgspec.json.decode(body, type=dict[str, Any])
    except UNREADABLE:
        return ""
    text = said.get("err") or said.get("error") or said.get("message")
    if not isinstance(text, str) or not text.strip():
        return ""
    for secret in secrets:
        text = text.replace(secret, "***")
    return f" ({_printable(text.strip())})"


def _printable(text: str) -> str:
    """Return what a server says in a shape that pages, logs and terminals can take."""
    return "".join(char if char.isprintable() else "?" for char in text[:200])


def _why_unreachable(error: aiohttp.ClientError) -> str:
    """Say in one line what to do about *error*; never its repr, which may hold our headers."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return (
                f"the certificate of {error.host} is not trusted ({_verify_message(error)}): "
                "name its CA in tls.ca_file, or set tls.verify to false"
            )
        case aiohttp.ClientConnectorDNSError():
            return f"the name {error.host} cannot be resolved"
        case aiohttp.ClientConnectorSSLError():
            return f"no TLS with {error.host}:{error.port}: is it a plain http port?"
        case aiohttp.ClientConnectorError():
            reason = system_reason(error.os_error)
            return f"cannot connect to {error.host}:{error.port}: {reason}"
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed without an answer"
        case aiohttp.ClientPayloadError():
            return "the connection was closed in the middle of the answer"
        case aiohttp.ConnectionTimeoutError():
            return "no connection in time"
        case aiohttp.ServerTimeoutError():
            return "no answer in time"
        case aiohttp.ClientOSError():
            return f"the connection broke: {error.strerror or type(error).__name__}"
        case _:
            return f"no usable HTTP answer ({type(error).__name__})"


def _verify_message(error: aiohttp.ClientConnectorCertificateError) -> str:
    cause = error.certificate_error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return cause.verify_message
    return type(cause).__name__
