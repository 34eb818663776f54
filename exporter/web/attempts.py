"""How often a client may try a password or a token that is wrong."""

import math
from collections import OrderedDict
from typing import TypeVar

import structlog
from aiohttp import hdrs, web

from exporter.clock import Clock
from exporter.web.ports import CountRefusal, Refusal
from exporter.web.token_bucket import Allowance, TokenBucket

log = structlog.get_logger()

T = TypeVar("T")

OF_A_CLIENT = Allowance(interval=10.0, burst=10)
OF_STRANGERS = Allowance(interval=1.0, burst=30)
"""Of all clients together that never had the right secret: guessing from many addresses."""
SLOWED_SECONDS = 0.25
"""Before each check for a client that is never refused, while its allowance is used up."""
MAX_CLIENTS = 1024
"""Remembered; the one without an attempt for longest is forgotten first."""
THIS_MACHINE = ("127.0.0.1", "::1")


class _Series:
    """The attempts of one client."""

    def __init__(self, now: float) -> None:
        self.bucket = TokenBucket(OF_A_CLIENT, now=now)
        self.is_logged = False


class Attempts:
    """
    Counts wrong secrets by client, and holds up clients that guess.

    Others never lock the operator out: clients that had the right secret before and those on this
    machine do not share the allowance of strangers.

    Args:
        secret: What is guessed; for the log.
        reason: Counted for each wrong secret.
        refused: Counts it.
        clock: The time.
        costs: Whether a check is expensive. If not, clients that are known are never refused but
            only slowed: a program that guesses at the operator's own address, or a stranger behind
            the same reverse proxy, does not lock the operator out.

    """

    def __init__(
        self, secret: str, reason: Refusal, refused: CountRefusal, clock: Clock, *, costs: bool
    ) -> None:
        self._secret = secret
        self._reason = reason
        self._refused = refused
        self._clock = clock
        self._costs = costs
        self._series: OrderedDict[str, _Series] = OrderedDict()
        self._strangers = TokenBucket(OF_STRANGERS, now=clock.monotonic())
        self._known: OrderedDict[str, None] = OrderedDict()
        """Clients that had the right secret."""

    def begin(self, client: str) -> float:
        """
        Note that a secret of *client* is going to be checked; return the seconds to wait before.

        Raises:
            HTTPTooManyRequests: It must not be checked now.

        """
        now = self._clock.monotonic()
        series = self._series_of(client)
        if series.bucket.is_full(now=now):
            series.is_logged = False
        known = self._is_known(client)
        if not series.bucket.take(now=now):
            if self._costs or not known:
                raise self.refusal(OF_A_CLIENT.interval)
            return SLOWED_SECONDS
        if not known and not self._strangers.take(now=now):
            series.bucket.give_back()
            raise self.refusal(OF_STRANGERS.interval)
        return 0.0

    def succeeded(self, client: str) -> None:
        """Note that the secret of *client*, after `begin`, was right."""
        self._series_of(client).bucket.give_back()
        if not self._is_known(client):
            self._strangers.give_back()
        _remember(self._known, client, None)

    def failed(self, client: str) -> None:
        """Count a wrong secret, and log the first of a series."""
        self._refused(self._reason)
        series = self._series_of(client)
        if not series.is_logged:
            series.is_logged = True
            log.warning("web.wrong_secret", secret=self._secret, client=client)

    def _is_known(self, client: str) -> bool:
        return client in THIS_MACHINE or client in self._known

    def _series_of(self, client: str) -> _Series:
        series = self._series.get(client) or _Series(self._clock.monotonic())
        _remember(self._series, client, series)
        return series

    def refusal(self, seconds: float) -> web.HTTPTooManyRequests:
        """Count a secret that is not checked, and return the error that says so."""
        self._refused(Refusal.GUESSING)
        wait = math.ceil(seconds)
        return web.HTTPTooManyRequests(
            text=f"too many wrong attempts; try again in {wait} s\n",
            headers={hdrs.RETRY_AFTER: str(wait)},
        )


def _remember(table: OrderedDict[str, T], client: str, value: T) -> None:
    table[client] = value
    table.move_to_end(client)
    if len(table) > MAX_CLIENTS:
        table.popitem(last=False)
