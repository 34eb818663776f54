"""The control of one system: the commands in force, the kill switch, and the mode they leave."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Unpack

from exporter.clock import Clock
from exporter.recovery.model.commands import (
    ENDS_A_HOLD,
    NO_LESSON,
    Command,
    CommandDetails,
    CommandKind,
    ControlState,
    control_state,
)
from exporter.recovery.model.limits import Mode
from exporter.recovery.monitored_time import MonitoredTime

OWNER = "vergewatch"
"""Owner of the commands that recovery gives to itself."""


class Control:
    """
    Keeps the commands in force.

    Args:
        mode: The configured mode.
        read_kill_switch: Returns the path of the kill switch file while it exists.

    """

    def __init__(
        self,
        clock: Clock,
        time: MonitoredTime,
        *,
        mode: Mode,
        read_kill_switch: Callable[[], str],
    ) -> None:
        self._clock = clock
        self._time = time
        self._mode = mode
        self._read_kill_switch = read_kill_switch
        self._switch = ""
        self.lock = asyncio.Lock()
        """Held while commands are written or read."""
        self.state = ControlState()
        """May hold a command that has just expired."""

    def use(self, mode: Mode, read_kill_switch: Callable[[], str]) -> None:
        """Change the configured mode and the kill switch; commands stay in force."""
        self._mode, self._read_kill_switch = mode, read_kill_switch

    def resume(self, commands: Iterable[Command]) -> None:
        """Continue with the *commands* of earlier processes."""
        self.state = control_state(commands)

    def stand_by(self) -> None:
        """Forget what the leader goes by: its commands, and what it found of the kill switch."""
        self.state, self._switch = ControlState(), ""

    @property
    def in_force(self) -> ControlState:
        return self.state.at(self._time.now)

    @property
    def kill_switch(self) -> str:
        """The path of the kill switch file, here or on another replica; empty if none exists."""
        return self._switch or self._read_kill_switch() or self.state.kill_switch

    @property
    def fell_back(self) -> str:
        """Why the mode is ``ask`` although ``enforce`` is configured; empty if it is not."""
        fallback = self.state.fallback
        return fallback.reason if fallback and self._mode is Mode.ENFORCE else ""

    @property
    def mode(self) -> Mode:
        """The mode in force."""
        return Mode.ASK if self.fell_back else self._mode

    def command(self, kind: CommandKind, **details: Unpack[CommandDetails]) -> Command:
        """Return a command that is given now, by recovery itself unless an owner is given."""
        at, seconds = self._time.now, details.get("seconds")
        lesson = details.get("lesson", NO_LESSON)
        return Command(
            kind=kind,
            owner=details.get("owner", OWNER),
            reason=details["reason"],
            at=at,
            time=self._clock.now(),
            until=None if seconds is None else at + seconds,
            uuid=details.get("uuid"),
            template=lesson.template,
            means=lesson.means,
            question=details.get("question"),
        )

    def apply(self, given: Command) -> str:
        """Put *given* in force; return why recovery warms up after it, empty if it does not."""
        before = self.state
        self.state = before.after(given)
        ends_a_hold = given.kind in ENDS_A_HOLD and self.state != before
        warms_up = ends_a_hold or given.kind is CommandKind.ACCEPT
        return f"{given.kind} by {given.owner}" if warms_up else ""

    def expire(self) -> Iterator[str]:
        """End what is over; yield the reasons why recovery warms up after it."""
        in_force = self.in_force
        if in_force.pause is None and self.state.pause is not None:
            yield "the end of a pause"
        if in_force.rival is None and self.state.rival is not None:
            yield "the last action of another instance"
        self.state = in_force
        switch = self._read_kill_switch()
        if self._switch and not switch:
            yield "the removal of the kill switch file"
        self._switch = switch
