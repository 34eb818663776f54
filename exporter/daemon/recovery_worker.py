"""Recovery as the settings describe it, and at work: the journal it shares, and its loop."""

import asyncio
import os
from collections import deque
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import structlog
from pydantic import SecretStr

from exporter.clock import Clock
from exporter.config.recovery import (
    DAYS,
    FLEET_WINDOWS,
    WINDOWS,
    EnrolmentRuleSettings,
    MaintenanceWindowSettings,
    RecoverySettings,
)
from exporter.errors import ConfigError, JournalError
from exporter.executor import run_in_thread
from exporter.formatting import lasting
from exporter.model import PollResult
from exporter.recovery.decide.budgets import endless_loops
from exporter.recovery.decide.maintenance_windows import MaintenanceWindow
from exporter.recovery.detect.log_patterns import LOG_PATTERNS, LogClassifier, LogPattern, Meaning
from exporter.recovery.engine import Recovery, RecoverySetup
from exporter.recovery.model.cases import OnHang, Policy
from exporter.recovery.model.limits import DAY, Limits, Mode, PowerState, Window
from exporter.recovery.model.ports import JournalStore
from exporter.recovery.observe.enrolment import EnrolmentRule, circle_among
from exporter.vergeos.credentials import SecretFile

if TYPE_CHECKING:
    from exporter.journal.journal import Journal

log = structlog.get_logger()

KILL_SWITCH = "kill-switch"


def recovery_setup(settings: RecoverySettings, mode: str) -> RecoverySetup:
    """
    Return what a cloud's recovery goes by.

    Raises:
        ConfigError: A crash loop would never end, or VMs would wait for each other.

    """
    given = settings.limits.model_dump()
    windows = tuple(Window(seconds, given.pop(name)) for seconds, name in WINDOWS)
    system_windows = tuple(Window(seconds, given.pop(name)) for seconds, name in FLEET_WINDOWS)
    limits = Limits(
        mode=Mode(mode),
        powerstate=PowerState(settings.powerstate),
        vm_windows=windows,
        system_windows=system_windows,
        **given,
    )
    if not settings.i_accept_endless_restarts:
        _check_that_loops_end(limits)
    enrolment_rules = tuple(_ward(number, ward) for number, ward in enumerate(settings.rules))
    circle = circle_among(enrolment_rules)
    if circle:
        raise ConfigError(f"recovery.rules wait for each other: {' after '.join(circle)}")
    own = tuple(LogPattern(one.pattern, Meaning(one.means)) for one in settings.wordings)
    switch = settings.kill_switch_file or directory(settings) / KILL_SWITCH
    return RecoverySetup(
        limits=limits,
        enrolment_rules=enrolment_rules,
        classifier=LogClassifier((*own, *LOG_PATTERNS)),
        own_user=settings.own_user,
        quiet=tuple(map(_window, settings.quiet)),
        kill_switch=lambda: _is_there(switch),
        kill_switch_file=str(switch),
    )


class JournalHandle:
    """
    The journal, opened as soon as it can be, and shared by all clouds.

    Where it cannot be opened, recovery does nothing and says why; monitoring needs none.
    """

    def __init__(self, settings: RecoverySettings, clock: Clock) -> None:
        self._directory = directory(settings)
        self._retention = timedelta(days=settings.retention_days)
        self._clock = clock
        self._opening = asyncio.Lock()
        self.journal: Journal | None = None

    async def book(self, system: str) -> JournalStore:
        """
        Return the part of the cloud *system*.

        Raises:
            JournalError: The journal cannot be opened.

        """
        async with self._opening:
            if self.journal is None:
                # Half a second of imports, in nobody's way: neither a start's nor the loop's.
                module = await run_in_thread(import_module, "exporter.journal.journal")
                self.journal = await module.open_journal(self._directory, self._clock)
            return self.journal.store(system)

    async def tidy_forever(self) -> None:
        """Forget what is old, every day."""
        while True:
            await self._clock.sleep(DAY)
            if self.journal is None:
                continue
            try:
                rows = await self.journal.prune(self._clock.now() - self._retention)
            except JournalError as error:
                log.warning("journal.not_tidied", error=str(error))
            else:
                log.info("journal.tidied", rows=rows)

    async def close(self) -> None:
        async with self._opening:
            journal, self.journal = self.journal, None
            if journal is not None:
                await journal.close()


ROUNDS_WAITING = 3
"""Each holds a whole fleet; where recovery is slower than the polls, the oldest are left out."""


class RecoveryWorker:
    """One cloud's recovery at work beside its watching."""

    def __init__(self, recovery: Recovery) -> None:
        self.recovery = recovery
        self._rounds: deque[PollResult] = deque(maxlen=ROUNDS_WAITING)
        self._told = asyncio.Event()

    def tell(self, seen: PollResult) -> None:
        """ActionExecutor over what was seen of the cloud just now."""
        if not self.recovery.bug:
            self._rounds.append(seen)
            self._told.set()

    async def run(self) -> None:
        """
        Take every round in its turn, until cancelled.

        A bug in recovery must not end the monitoring, and must not act: it ends recovery, until
        somebody starts the process anew.
        """
        while True:
            await self._told.wait()
            self._told.clear()
            try:
                while self._rounds:
                    await self.recovery.process(self._rounds.popleft())
            except Exception as error:
                log.exception("recovery.disarmed", reason="a bug in recovery")
                self.recovery.give_up(f"a bug ({type(error).__name__}); see the log")
                return


def token(settings: RecoverySettings) -> SecretStr | None:
    """
    Return what whoever steers recovery has to show; None where nobody may.

    Raises:
        ConfigError: Its file cannot be read.

    """
    if settings.token_file is not None:
        return SecretFile(settings.token_file).read()
    return settings.token


def directory(settings: RecoverySettings) -> Path:
    """Return where the journal is to be."""
    if settings.directory is not None:
        return settings.directory
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path("~/.local/state").expanduser()) / "vergewatch"


def _check_that_loops_end(limits: Limits) -> None:
    endless = endless_loops(limits)
    if not endless:
        return
    lines = "\n".join(
        f"  a VM that dies {lasting(loop.dies_after_seconds)} after each start is started "
        f"{loop.restarts} times in a week, and again in the next"
        for loop in endless
    )
    raise ConfigError(
        f"recovery.limits would let crash loops go on for ever:\n{lines}\n"
        "  lower max_per_hour, max_per_day or max_per_week, or set "
        "recovery.i_accept_endless_restarts"
    )


def _ward(number: int, ward: EnrolmentRuleSettings) -> EnrolmentRule:
    return EnrolmentRule(
        names=ward.names,
        clusters=ward.clusters,
        ha_groups=ward.ha_groups,
        tags=ward.tags,
        policy=Policy(ward.policy) if ward.policy is not None else None,
        on_hang=OnHang(ward.on_hang) if ward.on_hang is not None else None,
        tier=ward.tier,
        after=ward.after,
        title=f"recovery.rules[{number}]",
    )


def _window(quiet: MaintenanceWindowSettings) -> MaintenanceWindow:
    return MaintenanceWindow(
        days=frozenset(map(DAYS.index, quiet.days)),
        begins=quiet.begins,
        lasts=timedelta(hours=quiet.hours),
        zone=ZoneInfo(quiet.zone),
        names=quiet.names,
        reason=quiet.reason,
    )


def _is_there(switch: Path) -> str:
    """Return the path of the kill switch where it is there, or where nobody can tell."""
    try:
        switch.lstat()
    except FileNotFoundError:
        return ""
    except OSError:
        return f"{switch}, which cannot be looked at,"
    return str(switch)
