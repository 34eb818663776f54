"""Each system's settings with the common ones filled in, its collectors and its schedule."""

from typing import NamedTuple
from urllib.parse import urlsplit

from yarl import URL

from exporter.collectors.collector import Collector
from exporter.collectors.plan import enabled_collectors, plan, tables_of
from exporter.config.recovery import RecoverySettings
from exporter.config.recovery_setup import recovery_setup
from exporter.config.settings import APISettings, PollSettings, Settings, SystemSettings
from exporter.errors import ConfigError
from exporter.polling.schedule import TableSchedule
from exporter.recovery.model.limits import Mode
from exporter.vergeos.tables import Pace, Table


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

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables that are polled."""
        return tables_of(self.collectors)

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
    try:
        collectors = enabled_collectors(settings.collectors, recovery=mode != Mode.OFF)
        schedules = plan(
            tables_of(collectors),
            {
                Pace.FAST: poll.fast_seconds,
                Pace.SLOW: poll.slow_seconds,
                Pace.INVENTORY: poll.inventory_seconds,
                Pace.RARE: poll.rare_seconds,
            },
            identity_seconds=poll.identity_seconds,
            intervals=dict(poll.tables),
            per_hour=api.requests_per_hour,
            reserve=api.reserve,
        )
    except ConfigError as error:
        raise ConfigError(f"{system.name or urlsplit(system.url).netloc}: {error}") from None
    if mode.acts and _has_late_proxy(system):
        raise ConfigError(
            f"{system.name or urlsplit(system.url).netloc}: recovery.mode is {mode}, and the proxy "
            "may deliver an action late, after the last check, because the URL is not https: use "
            "https, which the proxy only tunnels, or the mode shadow"
        )
    if mode != Mode.OFF:
        recovery_setup(settings.recovery, mode)
    return ResolvedSystem(system, poll, api, settings.recovery, mode, collectors, schedules)


def _has_late_proxy(system: SystemSettings) -> bool:
    """Whether requests go to a proxy that connects to VergeOS only after it has them."""
    proxies, url = system.proxies(), URL(system.url)
    return proxies is not None and url.scheme == "http" and proxies(url) is not None
