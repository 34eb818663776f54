"""Reads the settings again, puts in force what can be, and says what was and what was not."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from exporter.clock import Clock
from exporter.config.changes import changed_names, is_within, with_values_of
from exporter.config.recovery_setup import directory
from exporter.config.settings import Settings
from exporter.config.systems import ResolvedSystem, resolve_systems
from exporter.console.daemon_facts import ReloadResult
from exporter.errors import ConfigError
from exporter.formatting import moment
from exporter.inputs.live_file import FileWatch
from exporter.telemetry import Telemetry
from exporter.web.ports import Reloaded

log = structlog.get_logger()

LIVE = (
    "systems",
    "poll",
    "collectors",
    "vm_tag_categories",
    "discovery",
    "api",
    "recovery",
    "alertmanager",
    "log",
    "secrets_dir",
)
"""The groups of settings that `Parts.apply` puts in force. A new group needs a restart until it is
named here, and a reload says so."""
FIXED = ("recovery.directory",)
"""What needs a restart although its group does not: the journal stays where it is."""


class Parts(Protocol):
    """What a reload changes."""

    async def apply(self, settings: Settings, systems: Sequence[ResolvedSystem], /) -> None:
        """Put *settings* in force, or raise `ConfigError` and change nothing."""
        ...


class Reload:
    """
    Reads the configuration again and applies it.

    Args:
        parts: Puts settings in force.
        settings: Those in force.
        files: The files that settings name.

    """

    def __init__(
        self,
        parts: Parts,
        load: Callable[[], Settings],
        settings: Settings,
        files: FileWatch,
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
        self._parts = parts
        self._load = load
        self.in_force = settings
        self._files = files
        self._telemetry = telemetry
        self._clock = clock
        self._turn = asyncio.Lock()
        self._rejected = ""
        self._needs_restart: Sequence[str] = ()
        self.last: ReloadResult | None = None
        """The result of the last reload; None before the first."""
        self._accept()

    @property
    def problem(self) -> str:
        """What of the present configuration is not in force, in sentences; empty if all is."""
        found = [self._rejected] if self._rejected else []
        if self._needs_restart:
            found.append(f"Restart to apply {', '.join(self._needs_restart)}.")
        found += [
            f"{problem}. What it held before stays in force." for problem in self._files.problems
        ]
        return " ".join(found)

    async def __call__(self) -> Reloaded:
        """
        Reload, and return which settings changed and which changes need a restart.

        Raises:
            ConfigError: The new configuration is invalid, or a bug prevented the reload; the old
                one stays in force.

        """
        async with self._turn:
            try:
                needs_restart, applied = await self._reload()
            except ConfigError as error:
                self._reject(str(error))
                log.error("config.rejected", error=str(error))
                raise
            for name in needs_restart:
                log.warning("config.needs_restart", settings=name)
            self._needs_restart = needs_restart
            self.last = ReloadResult(self._clock.now(), applied, needs_restart, "")
            self._accept()
            log.info(
                "config.reloaded",
                systems=len(self.in_force.systems),
                applied=list(applied),
                needs_restart=list(needs_restart),
            )
            return Reloaded(applied, needs_restart)

    async def _reload(self) -> tuple[Sequence[str], Sequence[str]]:
        """Put new settings in force; return what needs a restart, and what was applied."""
        before = self.in_force
        settings, systems, needs_restart = self._prepared()
        await self._parts.apply(settings, systems)
        self.in_force = settings
        return needs_restart, changed_names(before, settings)

    def _prepared(self) -> tuple[Settings, Sequence[ResolvedSystem], Sequence[str]]:
        """
        Return the new settings, their systems, and what needs a restart.

        Raises:
            ConfigError: They are invalid, or a bug came to light: nothing has changed yet, so that
                an edit of a file need not end the daemon.

        """
        before = self.in_force
        try:
            settings = self._load()
            needs_restart = [
                name
                for name in changed_names(before, settings)
                if is_within(name, FIXED) or not is_within(name, LIVE)
                if name != "recovery.directory" or _moves(before, settings)
            ]
            settings = with_values_of(before, settings, needs_restart)
            systems = resolve_systems(settings)
            self._files.check()
        except ConfigError:
            raise
        except Exception as bug:
            kind = type(bug).__name__
            log.exception("config.reload_failed", type=kind)
            raise ConfigError(f"a bug prevented the reload ({kind}); see the log") from None
        return settings, systems, needs_restart

    def _reject(self, error: str) -> None:
        """Record why the current configuration is not in force."""
        self._telemetry["config_last_reload_successful"].set(0)
        now = self._clock.now()
        self._rejected = (
            f"The last configuration reload was rejected at {moment(now)}: {error}. "
            "The previous settings are in force."
        )
        self.last = ReloadResult(now, (), (), error)

    def _accept(self) -> None:
        """Record that the current configuration was accepted now."""
        self._rejected = ""
        self._telemetry["config_last_reload_successful"].set(1)
        self._telemetry["config_last_reload_success_timestamp_seconds"].set(
            self._clock.now().timestamp()
        )

    async def quietly(self) -> None:
        """Reload on a signal; the log and the metrics report a failure."""
        with suppress(ConfigError):
            await self()


def _moves(before: Settings, after: Settings) -> bool:
    """Return whether the directory of the journal is another one."""
    return directory(before.recovery) != directory(after.recovery)
