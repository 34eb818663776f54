"""
The client of one VergeOS: credentials, login, retries where they are safe, and actions.

Every failure is raised as a `VergeOSError`; no exception of aiohttp leaves this package.
"""

import asyncio
import base64
import random
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from exporter.errors import (
    BadReplyError,
    ConfigError,
    NotSentError,
    UnauthorizedError,
    UnreachableError,
    VergeOSError,
)
from exporter.recovery.model.ports import LastCheck
from exporter.tolerant_json import UnreadableError, decode_object
from exporter.vergeos.checked_body import CheckedBody
from exporter.vergeos.credentials import Credentials, CredentialSource
from exporter.vergeos.refusals import RefusalMemory
from exporter.vergeos.transport import TOKENS_PATH, Answer, Limits, Request, Transport

TOKEN_HEADER = "x-yottabyte-token"  # noqa: S105 - a header's name
TOKEN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._~-]{0,511}")
"""A session token that is safe in a header and in a path."""
RETRIED_STATUSES = frozenset({502, 503})
RETRY_WAITS_SECONDS = ((0.2, 0.5), (0.4, 0.7))
"""Bounds of the random wait before each retry."""
TOKEN_TRUSTED_SECONDS = 600.0
"""An action logs in again when its token was unused for longer: an action is not repeated."""


class _Session(msgspec.Struct):
    """The answer to a login."""

    key: str | None = msgspec.field(name="$key", default=None)


class VergeOSClient:
    """
    Reads from one VergeOS and acts on it, one request at a time.

    Args:
        credentials: Called before every request, so that a changed file is noticed.
        use_token: With a user name: log in once and use a session token, else HTTP Basic.
        refusals: Remembers refused credentials; without it, until the end of the process.

    """

    def __init__(
        self,
        transport: Transport,
        credentials: CredentialSource,
        *,
        use_token: bool,
        refusals: RefusalMemory | None = None,
    ) -> None:
        self.budget = transport.budget
        self.meter = transport.meter
        self._transport = transport
        self._clock = transport.clock
        self._credentials = credentials
        self._use_token = use_token
        self._token: str | None = None
        self._token_used_at = 0.0
        self._logged_in_with: Credentials | None = None
        """What the session token was given for."""
        self._refusals = refusals or RefusalMemory(transport.clock)

    def time(self) -> float:
        """Return the time of this machine in Unix seconds; that of VergeOS may differ."""
        return self._clock.now().timestamp()

    async def read(
        self, path: str, query: Mapping[str, str], *, endpoint: str, urgent: bool = False
    ) -> bytes:
        """
        GET *path* and return the body, with retries where the failure is temporary.

        Args:
            path: From the root of the host, such as ``/api/v4/vms``.
            query: Parameters, not yet encoded.
            endpoint: The metrics' label for this request.
            urgent: Whether the request may use the budget's reserve; it is then not retried,
                because a late answer is useless.

        Raises:
            VergeOSError: One of its kinds; the message names the path.

        """
        encoded = urlencode(query, quote_via=quote)
        request = Request("GET", path, endpoint, encoded, urgent=urgent)
        deadline = self._transport.limits.timeout_seconds
        try:
            async with asyncio.timeout(deadline):
                if urgent:
                    return await self._read_once(request)
                for wait in RETRY_WAITS_SECONDS:
                    try:
                        return await self._read_once(request)
                    except VergeOSError as error:
                        if not _is_temporary(error):
                            raise
                    await self._clock.sleep(random.uniform(*wait))  # noqa: S311 - not a secret
                    self._transport.meter.retry(endpoint)
                return await self._read_once(request)
        except TimeoutError:
            raise UnreachableError(f"{path} did not answer within {deadline:g} s") from None

    async def act(
        self, path: str, body: Mapping[str, Any], *, endpoint: str, last_check: LastCheck
    ) -> Answer:
        """
        POST *body* exactly once: it is never retried, and no redirect is followed.

        Raises:
            NotSentError: The request was certainly not sent; the last check may have forbidden it.
            UnauthorizedError: The credentials were refused; the action had no effect.
            VergeOSError: Any other failure; a `BadReplyError` has the status.

        """
        credentials = await self._current_credentials()

        async def still_allowed() -> str:
            reason = await last_check()
            asked = self.budget.throttle.wait(at=self._clock.monotonic())
            if not reason and asked is not None:  # meanwhile, by the answer to another request
                return f"VergeOS asked to wait ({asked.because})"
            return reason

        checked = CheckedBody(body, still_allowed)
        request = Request("POST", path, endpoint, body=checked, urgent=True)
        try:
            headers = await self._prepare_action(request, credentials)
            answer = await self._send_action(request, headers, checked)
        except UnauthorizedError as refusal:
            await self._remember(refusal, credentials)
            raise
        await self._refusals.forget()
        return answer

    def use(self, limits: Limits) -> None:
        """Change the limits of the requests from the next one on."""
        self._transport.limits = limits

    def carry_on(self, former: "VergeOSClient") -> None:
        """Take over *former*'s spent budget and refusal, so that a reload does not reset them."""
        self.budget.carry_on(former.budget)
        self.share_refusals(former)

    def share_refusals(self, other: "VergeOSClient") -> None:
        """Share the refusal memory of *other*, which has the same credentials."""
        self._refusals = other._refusals  # noqa: SLF001 - same class

    def retry_refused(self) -> float | None:
        """Allow one attempt with refused credentials; see `RefusalMemory.retry`."""
        return self._refusals.retry()

    async def close(self) -> None:
        """Log out where a session token is open, within a second; failures are ignored."""
        token, self._token = self._token, None
        if token is None:
            return
        try:
            async with asyncio.timeout(1.0):
                path = f"{TOKENS_PATH}/{quote(token, safe='')}"
                request = Request("DELETE", path, "logout", urgent=True)
                await self._transport.exchange(request, {TOKEN_HEADER: token})
        except (TimeoutError, VergeOSError):
            pass

    async def _read_once(self, request: Request) -> bytes:
        """Read with the current credentials; log in again once if the session has ended."""
        credentials = await self._current_credentials()
        while True:
            had_token = self._token is not None
            try:
                headers = await self._auth_headers(credentials, urgent=request.urgent)
                answer = await self._transport.exchange(request, headers)
            except UnauthorizedError as refusal:
                if not had_token:
                    await self._remember(refusal, credentials)
                    raise
                self._token = None  # VergeOS ends idle sessions after a day
            else:
                await self._refusals.forget()
                return answer.body

    async def _current_credentials(self) -> Credentials:
        """Return the credentials, unless VergeOS refused the same ones recently."""
        try:
            credentials = self._credentials()
        except ConfigError as problem:
            raise UnauthorizedError(str(problem)) from None
        login = self._logged_in_with
        if self._token is not None and not (login and login.is_same_login(credentials)):
            await self.close()  # the session of a secret that was changed
        wait = self._transport.limits.refused_wait_seconds
        if objection := await self._refusals.objection(credentials, wait_seconds=wait):
            raise UnauthorizedError(objection)
        return credentials

    async def _remember(self, refusal: UnauthorizedError, credentials: Credentials) -> None:
        self._token = None
        wait = self._transport.limits.refused_wait_seconds
        await self._refusals.remember(credentials, str(refusal), wait_seconds=wait)

    async def _prepare_action(self, request: Request, credentials: Credentials) -> dict[str, str]:
        """Return the headers of an action whose place in the budget is reserved."""
        seconds = self._transport.limits.prompt_seconds
        try:
            async with asyncio.timeout(seconds):
                if self._clock.monotonic() - self._token_used_at > TOKEN_TRUSTED_SECONDS:
                    await self.close()
                headers = await self._auth_headers(credentials, urgent=True)
                await self._transport.reserve(request)
        except TimeoutError:
            raise NotSentError(
                f"{request.path} was not sent: login and rate limit took more than {seconds:g} s"
            ) from None
        except UnauthorizedError:
            raise
        except VergeOSError as problem:
            raise NotSentError(f"{request.path} was not sent: {problem}") from None
        return headers

    async def _send_action(
        self, request: Request, headers: Mapping[str, str], body: CheckedBody
    ) -> Answer:
        seconds = self._transport.limits.action_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._transport.send(request, headers)
        except TimeoutError:
            error = UnreachableError(f"{request.path} did not answer within {seconds:g} s")
        except UnreachableError as unreachable:
            error = unreachable
        if not body.may_be_sent:
            raise NotSentError(f"{request.path} was not sent: {error}")
        raise error

    async def _auth_headers(self, credentials: Credentials, *, urgent: bool) -> dict[str, str]:
        """Return the headers that authenticate a request, after a login where one is needed."""
        if credentials.api_key is not None:
            return {"Authorization": f"Bearer {credentials.api_key.get_secret_value()}"}
        if credentials.password is None:
            return {}
        if not self._use_token:
            pair = f"{credentials.username}:{credentials.password.get_secret_value()}"
            return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
        if self._token is None:
            password = credentials.password.get_secret_value()
            login = {"login": credentials.username, "password": password}
            self._token = await self._log_in(
                Request("POST", TOKENS_PATH, "login", json=login, urgent=urgent)
            )
            self._logged_in_with = credentials
        self._token_used_at = self._clock.monotonic()
        return {TOKEN_HEADER: self._token}

    async def _log_in(self, request: Request) -> str:
        try:
            answer = await self._transport.exchange(request, {})
        except VergeOSError as error:
            error.repeatable = False  # a login whose answer is lost leaves a session open
            raise
        try:
            token = decode_object(answer.body, _Session, []).key
        except UnreadableError:
            token = None
        if token is None or not TOKEN.fullmatch(token):
            raise BadReplyError(TOKENS_PATH, "gave no session token", status=answer.status)
        return token


def _is_temporary(error: Exception) -> bool:
    if isinstance(error, BadReplyError):
        return error.repeatable and error.status in RETRIED_STATUSES
    return isinstance(error, UnreachableError) and error.repeatable
