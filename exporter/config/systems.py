"""Each system's settings with the common ones filled in, its collectors and its schedule."""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from yarl import URL

from exporter.collectors.collector import Collector
from exporter.collectors.plan import enabled_collectors, plan, reads_of_recovery, tables_of
from exporter.collectors.registry import COLLECTORS
from exporter.config.recovery import RecoverySettings
from exporter.config.recovery_setup import recovery_setup
from exporter.config.settings import APISettings, PollSettings, Settings, SystemSettings
from exporter.errors import ConfigError
from exporter.polling.key_share import ALONE, KeyShare
from exporter.polling.schedule import TableSchedule
from exporter.recovery.model.limits import Limits, Mode
from exporter.vergeos.tables import Importance, Pace, Table

UNLIMITED = 10**9
"""Requests per hour."""


class ResolvedSystem(NamedTuple):
    """One system's settings with the common ones filled in."""

    system: SystemSettings
    poll: PollSettings
    api: APISettings
    recovery: RecoverySettings = RecoverySettings()
    recovery_mode: Mode = Mode.OFF
    collectors: tuple[Collector, ...] = ()
    """Those that are on."""
    schedules: tuple[TableSchedule, ...] = ()
    """Before the first answers: one page is assumed for each table."""
    limits: Limits | None = None
    """The limits of recovery; None where it is off."""

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables that are polled."""
        return tables_of(self.collectors)

    @property
    def besides(self) -> tuple[TableSchedule, ...]:
        """The regular reads of recovery, while the essential tables keep their intervals."""
        return self.besides_at(_seconds_between_inventories(self.poll))

    def besides_at(self, poll_seconds: float) -> tuple[TableSchedule, ...]:
        """Return the regular reads of recovery after essential polls every so many seconds."""
        return () if self.limits is None else reads_of_recovery(self.limits, poll_seconds)

    def schedules_for(
        self, requests: Mapping[str, int], share: KeyShare = ALONE, *, is_running: bool
    ) -> tuple[TableSchedule, ...]:
        """
        Return the schedules for tables whose polls need so many *requests*, by table.

        Args:
            share: The part of this replica in the use of the key.
            is_running: Whether polling goes on in any case, with longer intervals if need be.

        Raises:
            ConfigError: They exceed the hourly request budget, and polling is not running.

        """
        poll, api = self.poll, self.api
        return plan(
            self.tables,
            {
                Pace.FAST: poll.fast_seconds,
                Pace.SLOW: poll.slow_seconds,
                Pace.INVENTORY: poll.inventory_seconds,
                Pace.RARE: poll.rare_seconds,
                Pace.HOURLY: poll.hourly_seconds,
            },
            identity_seconds=poll.identity_seconds,
            intervals=dict(poll.tables),
            per_hour=api.requests_per_hour,
            reserve=api.reserve,
            besides=self.besides,
            requests=requests,
            share=share,
            paged=bool(api.page_rows),
            is_running=is_running,
        )

    def wanted_seconds(self) -> Mapping[str, float]:
        """Return the interval of each table where the request limit does not matter."""
        unlimited = self.api.model_copy(update={"requests_per_hour": UNLIMITED})
        schedules = self._replace(api=unlimited).schedules_for({}, is_running=True)
        return {one.table: one.every_seconds for one in schedules}

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
    return tuple(_resolve(settings, system) for system in settings.systems)


def _resolve(settings: Settings, system: SystemSettings) -> ResolvedSystem:
    poll, api = system.poll or settings.poll, system.api or settings.api
    mode = system.recovery_mode or settings.recovery.mode
    limits = recovery_setup(settings.recovery, mode).limits if mode != Mode.OFF else None
    try:
        collectors = enabled_collectors(
            settings.collectors,
            recovery=mode != Mode.OFF,
            tag_categories=settings.vm_tag_categories,
            needs_tags=settings.discovery.needs_tags,
        )
        resolved = ResolvedSystem(
            system, poll, api, settings.recovery, mode, collectors, limits=limits
        )
        fitted = resolved._replace(schedules=resolved.schedules_for({}, is_running=False))
    except ConfigError as error:
        raise ConfigError(f"{system.name or urlsplit(system.url).netloc}: {error}") from None
    if mode.acts and _has_late_proxy(system):
        raise ConfigError(
            f"{system.name or urlsplit(system.url).netloc}: recovery.mode is {mode}, and the proxy "
            "may deliver an action late, after the last check, because the URL is not https: use "
            "https, which the proxy only tunnels, or the mode shadow"
        )
    return fitted


def _has_late_proxy(system: SystemSettings) -> bool:
    """Whether requests go to a proxy that connects to VergeOS only after it has them."""
    proxies, url = system.proxies(), URL(system.url)
    return proxies is not None and url.scheme == "http" and proxies(url) is not None


def _seconds_between_inventories(poll: PollSettings) -> float:
    """Return the shortest interval of an essential table: recovery works after each of its polls"""
    intervals = dict(poll.tables)
    tables = tables_of(COLLECTORS)
    essential = [one.name for one in tables if one.importance is Importance.ESSENTIAL]
    return min(intervals.get(name, poll.fast_seconds) for name in essential)
