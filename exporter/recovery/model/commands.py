"""Commands of operators, and which of them are in force."""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import reduce
from types import MappingProxyType
from typing import NamedTuple, Required, TypedDict

import msgspec


class CommandKind(StrEnum):
    """The kind of a command."""

    PAUSE = "pause"
    RESUME = "resume"
    DISARM = "disarm"
    ARM = "arm"
    ACCEPT = "accept"
    """Accept the current inventory: missing VMs were deleted, and the mass outage is real."""
    CLEAR = "clear"
    TEACH = "teach"
    """Give the rows of a log template a meaning."""
    FORGET = "forget"
    """Take that back, and forget the experience with the template."""

    STEP_DOWN = "step-down"
    """Leave the lead to another replica."""
    APPROVE = "approve"
    """Approve the action of a question."""
    DENY = "deny"
    """Deny the action of a question."""
    FALL_BACK = "fall_back"
    """Fall back from mode `enforce` to `ask`; recovery gives it to itself."""
    RIVAL = "rival"
    """Given by recovery itself: another instance acts on the system, so hold all actions."""
    KILL_SWITCH_SET = "kill_switch_set"
    """Given by a replica, its owner: its kill switch file exists."""
    KILL_SWITCH_REMOVED = "kill_switch_removed"


KILL_SWITCH = (CommandKind.KILL_SWITCH_SET, CommandKind.KILL_SWITCH_REMOVED)
GIVEN_BY_RECOVERY = (CommandKind.FALL_BACK, CommandKind.RIVAL, *KILL_SWITCH)
GIVEN_BY_OPERATORS = tuple(kind for kind in CommandKind if kind not in GIVEN_BY_RECOVERY)
ENDS_A_HOLD = (CommandKind.ARM, CommandKind.RESUME, CommandKind.KILL_SWITCH_REMOVED)
ANSWERS = (CommandKind.APPROVE, CommandKind.DENY)


class Lesson(NamedTuple):
    """What an operator teaches about a log template, or wants forgotten."""

    template: str | None = None
    means: str | None = None


NO_LESSON = Lesson()


class CommandDetails(TypedDict, total=False):
    """What is given with a command."""

    owner: str
    reason: Required[str]
    seconds: float | None
    """After how long it ends by itself."""
    uuid: str | None
    lesson: Lesson
    question: int | None


class Command(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A command of an operator."""

    kind: CommandKind
    owner: str
    reason: str
    at: float
    """Seconds of monitored time."""
    time: datetime
    until: float | None = None
    """Seconds of monitored time at which it ends by itself."""
    uuid: str | None = None
    """The VM that the command concerns."""
    template: str | None = None
    """The log template that it concerns."""
    means: str | None = None
    """The meaning that is taught."""
    question: int | None = None
    """The number of the question that the command answers."""


class ControlState(NamedTuple):
    """The commands in force."""

    pause: Command | None = None
    disarm: Command | None = None
    answers: Mapping[int, Command] = {}
    """The answers to questions, by the number of the question."""
    fallback: Command | None = None
    """Why recovery asks before each action, although its mode is `enforce`."""
    fell_back_at: float | None = None
    """When it last fell back: what was undone before counts no longer."""
    rival: Command | None = None
    """Given when another instance was last seen to act."""
    taught: Mapping[str, Command] = MappingProxyType({})
    """What log templates were taught to mean, by the template in lower case."""
    kill_switches: Mapping[str, Command] = MappingProxyType({})
    """The replicas whose kill switch file exists, by name."""

    @property
    def kill_switch(self) -> str:
        """The kill switch files that exist, and on which replicas; empty if none does."""
        files = self.kill_switches.items()
        return ", ".join(f"{given.reason} of the replica {name}" for name, given in files)

    def at(self, now: float) -> "ControlState":
        """Return what is in force *now*: disarming does not expire, the others do."""
        in_force = self
        if _is_over(self.pause, now):
            in_force = in_force._replace(pause=None)
        if _is_over(self.rival, now):
            in_force = in_force._replace(rival=None)
        return in_force

    def after(self, command: Command) -> "ControlState":
        """Return what is in force after *command*."""
        match command.kind:
            case CommandKind.PAUSE:
                return self if self._lasts_longer_than(command) else self._replace(pause=command)
            case CommandKind.RESUME:
                return self._replace(pause=None)
            case CommandKind.DISARM:
                return self._replace(disarm=command)
            case CommandKind.ARM:
                # A replica whose kill switch file still exists gives its command again.
                return self._replace(disarm=None, fallback=None, rival=None, kill_switches={})
            case CommandKind.FALL_BACK:
                return self._replace(fallback=command, fell_back_at=command.at)
            case CommandKind.RIVAL:
                return self._replace(rival=command)
            case _:
                return self._after_other(command)

    def _after_other(self, command: Command) -> "ControlState":
        """Return what is in force after a command that is about one thing of several."""
        match command.kind:
            case CommandKind.APPROVE | CommandKind.DENY:
                return self._answered(command)
            case CommandKind.KILL_SWITCH_SET | CommandKind.KILL_SWITCH_REMOVED:
                return self._replace(kill_switches=self._kill_switches_after(command))
            case CommandKind.TEACH | CommandKind.FORGET:
                return self._replace(taught=self._taught_after(command))
            case _:
                return self

    def _kill_switches_after(self, command: Command) -> Mapping[str, Command]:
        others = {name: one for name, one in self.kill_switches.items() if name != command.owner}
        is_set = command.kind is CommandKind.KILL_SWITCH_SET
        return MappingProxyType({**others, command.owner: command} if is_set else others)

    def _taught_after(self, command: Command) -> Mapping[str, Command]:
        key = (command.template or "").casefold()
        others = {known: one for known, one in self.taught.items() if known != key}
        teaches = command.kind is CommandKind.TEACH
        return MappingProxyType({**others, key: command} if teaches else others)

    def _answered(self, command: Command) -> "ControlState":
        """Return what is in force after an answer; a denial is final."""
        number = command.question
        known = self.answers.get(number) if number is not None else None
        if number is None or (known is not None and known.kind is CommandKind.DENY):
            return self
        return self._replace(answers={**self.answers, number: command})

    def _lasts_longer_than(self, command: Command) -> bool:
        """Return whether a pause is in force already that ends later than *command*."""
        if self.pause is None or command.until is None:
            return False
        return self.pause.until is None or command.until < self.pause.until


def later(command: Command, seconds: float) -> Command:
    """Return *command* in a monitored time in which the same moment is *seconds* later."""
    until = None if command.until is None else command.until + seconds
    return msgspec.structs.replace(command, at=command.at + seconds, until=until)


def settles(commands: Iterable[Command], rival: Command) -> bool:
    """Return whether *commands* have *rival*, or an `arm` that ended it."""
    kinds = (CommandKind.RIVAL, CommandKind.ARM)
    return any(one.kind in kinds and one.time >= rival.time for one in commands)


def hold_ended_at(commands: Iterable[Command], *, at: float) -> float:
    """
    Return when the last of *commands* that held recovery, or changed what it believes, ended.

    It is long ago if there is none.

    Args:
        at: The present, in seconds of monitored time.

    """
    moments = [-math.inf]
    for one in commands:
        if one.kind in ENDS_A_HOLD or one.kind is CommandKind.ACCEPT:
            moments.append(one.at)
        elif one.until is not None and one.until <= at:
            moments.append(one.until)
    return max(moments)


def _is_over(command: Command | None, now: float) -> bool:
    return command is not None and command.until is not None and command.until <= now


def control_state(commands: Iterable[Command]) -> ControlState:
    """Return what is in force after *commands*, oldest first."""
    return reduce(ControlState.after, commands, ControlState())
