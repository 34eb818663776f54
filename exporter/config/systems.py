"""Each system's settings with the common ones filled in, and its table schedule."""

from typing import NamedTuple
from urllib.parse import urlsplit

from exporter.config.recovery import RecoverySettings
from exporter.config.recovery_setup import recovery_setup
from exporter.config.settings import APISettings, PollSettings, Settings, SystemSettings
from exporter.errors import ConfigError
from exporter.polling.schedule import TableSchedule, check_budget
from exporter.recovery.model.limits import Mode
from exporter.vergeos.source import IDENTITY, IDENTITY_REQUESTS
from exporter.vergeos.tables import CLUSTERS, ESSENTIAL, TABLES, TAG_MEMBERS, Pace


class ResolvedSystem(NamedTuple):
    """
    One system's settings with the common ones filled in.

    The daemon restarts a system on reload only when these differ.
    """

    system: SystemSettings
    poll: PollSettings
    api: APISettings
    recovery: RecoverySettings = RecoverySettings()
    recovery_mode: str = Mode.OFF

    @property
    def recovers(self) -> bool:
        """Whether recovery runs for this system, in any mode."""
        return self.recovery_mode != Mode.OFF

    @property
    def host(self) -> str:
        return urlsplit(self.system.url).netloc

    @property
    def is_on_this_machine(self) -> bool:
        return urlsplit(self.system.url).hostname in {"localhost", "127.0.0.1", "::1"}


def resolve_systems(settings: Settings) -> tuple[ResolvedSystem, ...]:
    """
    Return every system with its settings resolved.

    Raises:
        ConfigError: A system's schedule exceeds its hourly request budget, or the recovery
            settings contradict each other.

    """
    resolved_systems = tuple(
        ResolvedSystem(
            system,
            settings.poll_of(system),
            settings.api_of(system),
            settings.recovery,
            settings.recovery_mode_of(system),
        )
        for system in settings.systems
    )
    for resolved in resolved_systems:
        try:
            check_budget(
                table_schedules(resolved.poll, tags=resolved.recovers),
                per_hour=resolved.api.requests_per_hour,
                reserve=resolved.api.reserve,
            )
        except ConfigError as error:
            raise ConfigError(f"{resolved.system.name or resolved.host}: {error}") from None
        if resolved.recovers:
            recovery_setup(resolved.recovery, resolved.recovery_mode)
    return resolved_systems


def table_schedules(poll: PollSettings, *, tags: bool = False) -> tuple[TableSchedule, ...]:
    """Return the schedule of every table; `tag_members` is polled only if *tags*."""
    every = {
        Pace.FAST: poll.fast_seconds,
        Pace.SLOW: poll.slow_seconds,
        Pace.INVENTORY: poll.inventory_seconds,
    }
    tables = tuple(
        TableSchedule(
            table.name,
            every[table.pace],
            phase_seconds=table.turn * poll.fast_seconds % every[table.pace],
            essential=table.name in ESSENTIAL,
            lasting=table is CLUSTERS,
        )
        for table in (*TABLES, *([TAG_MEMBERS] if tags else []))
    )
    return (TableSchedule(IDENTITY, poll.identity_seconds, requests=IDENTITY_REQUESTS), *tables)
