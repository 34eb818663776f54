"""What people told recovery to do or not to do, and what of it is in force."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec


class CommandKind(StrEnum):
    """An order, by the name of the command that gives it."""

    PAUSE = "pause"
    RESUME = "resume"
    DISARM = "disarm"
    ARM = "arm"
    ACCEPT = "accept"
    """What is seen is so: what the list lacks is gone for good, and who is down is down."""
    CLEAR = "clear"


class Command(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Who told recovery what, when and why."""

    kind: CommandKind
    owner: str
    reason: str
    at: float
    """Seconds of watch."""
    time: datetime
    until: float | None = None
    """Seconds of watch at which a pause ends by itself."""
    uuid: str | None = None
    """The VM that an order is about."""


class ControlState(NamedTuple):
    """Which orders are in force."""

    pause: Command | None = None
    disarm: Command | None = None

    def at(self, now: float) -> "ControlState":
        """Return what is in force *now*: a pause ends by itself, disarming only by a person."""
        if self.pause is not None and self.pause.until is not None and self.pause.until <= now:
            return self._replace(pause=None)
        return self

    def after(self, command: Command) -> "ControlState":
        """Return what is in force once *order* was given."""
        match command.kind:
            case CommandKind.PAUSE:
                return self if self._lasts_longer_than(command) else self._replace(pause=command)
            case CommandKind.RESUME:
                return self._replace(pause=None)
            case CommandKind.DISARM:
                return self._replace(disarm=command)
            case CommandKind.ARM:
                return self._replace(disarm=None)
            case CommandKind.ACCEPT | CommandKind.CLEAR:
                return self

    def _lasts_longer_than(self, command: Command) -> bool:
        """Return whether a pause is in force already that ends after *order* would."""
        until = self.pause.until if self.pause is not None else None
        return until is not None and command.until is not None and command.until < until


def control_state(commands: Iterable[Command]) -> ControlState:
    """Return what is in force after *orders*, oldest first."""
    now = ControlState()
    for command in commands:
        now = now.after(command)
    return now
