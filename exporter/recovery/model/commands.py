"""What people told recovery to do or not to do, and what of it is in force."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec


class OrderKind(StrEnum):
    """An order, by the name of the command that gives it."""

    PAUSE = "pause"
    RESUME = "resume"
    DISARM = "disarm"
    ARM = "arm"
    ACCEPT = "accept"
    """What is seen is so: what the list lacks is gone for good, and who is down is down."""
    CLEAR = "clear"


class Order(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Who told recovery what, when and why."""

    kind: OrderKind
    owner: str
    reason: str
    at: float
    """Seconds of watch."""
    time: datetime
    until: float | None = None
    """Seconds of watch at which a pause ends by itself."""
    uuid: str | None = None
    """The VM that an order is about."""


class Standing(NamedTuple):
    """Which orders are in force."""

    pause: Order | None = None
    disarm: Order | None = None

    def at(self, now: float) -> "Standing":
        """Return what is in force *now*: a pause ends by itself, disarming only by a person."""
        if self.pause is not None and self.pause.until is not None and self.pause.until <= now:
            return self._replace(pause=None)
        return self

    def after(self, order: Order) -> "Standing":
        """Return what is in force once *order* was given."""
        match order.kind:
            case OrderKind.PAUSE:
                return self if self._lasts_longer_than(order) else self._replace(pause=order)
            case OrderKind.RESUME:
                return self._replace(pause=None)
            case OrderKind.DISARM:
                return self._replace(disarm=order)
            case OrderKind.ARM:
                return self._replace(disarm=None)
            case OrderKind.ACCEPT | OrderKind.CLEAR:
                return self

    def _lasts_longer_than(self, order: Order) -> bool:
        """Return whether a pause is in force already that ends after *order* would."""
        until = self.pause.until if self.pause is not None else None
        return until is not None and order.until is not None and order.until < until


def standing(orders: Iterable[Order]) -> Standing:
    """Return what is in force after *orders*, oldest first."""
    now = Standing()
    for order in orders:
        now = now.after(order)
    return now
