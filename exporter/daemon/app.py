"""The composition root: builds, connects, runs and stops the parts of the daemon."""

import asyncio
import ctypes
import gc
import platform
import resource
import signal
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import structlog

from exporter import __version__
from exporter.alerting.alerting import Alerting
from exporter.clock import Clock
from exporter.collectors.registry import FAMILIES
from exporter.config.recovery_setup import directory, token
from exporter.config.settings import Settings
from exporter.config.systems import resolve_systems
from exporter.daemon.recovery_worker import JournalHandle
from exporter.daemon.systems import SystemManager
from exporter.daemon.watchdog import measure_lag_forever, notify
from exporter.errors import ConfigError
from exporter.exposition.cache import PageCache
from exporter.exposition.formats import Format
from exporter.recovery.service import RecoveryService
from exporter.telemetry import Telemetry
from exporter.web.ports import Refusal
from exporter.web.routes import make_app
from exporter.web.server import parse_listen, serving

if TYPE_CHECKING:
    from exporter.web.reloadable_config import ReloadableWebConfig

log = structlog.get_logger()

LARGE_BLOCK_BYTES = 256 * 1024
MALLOC = {-1: LARGE_BLOCK_BYTES, -3: LARGE_BLOCK_BYTES, -8: 1}
"""M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX; see mallopt(3) and malloc.h."""


async def run(
    settings: Settings,
    load: Callable[[], Settings],
    clock: Clock,
    started: Callable[[], None] = lambda: None,
) -> None:
    """
    Poll and serve until SIGTERM or SIGINT; then stop every part, in order.

    Args:
        load: Reads the settings again, for a reload.
        started: Called once the daemon serves and handles signals.

    Raises:
        ConfigError: The settings are invalid.

    """
    telemetry = Telemetry()
    telemetry["build_info"].labels(__version__, platform.python_version()).set(1)
    cache = PageCache(FAMILIES, lambda form: telemetry.text(openmetrics=form is Format.OPENMETRICS))
    web_config, tls = _web_config(settings, clock)
    resolved_systems = resolve_systems(settings)
    journal = JournalHandle(settings.recovery, clock)
    meter, lag = telemetry.alertmanager_meter(), telemetry["event_loop_lag_seconds"]
    alerting = Alerting(settings.alertmanager, journal.directory, clock, meter)
    tune_interpreter()
    refusals = {reason: telemetry["web_refused_total"].labels(reason) for reason in Refusal}

    def refused(reason: Refusal) -> None:
        refusals[reason].inc()

    async with asyncio.TaskGroup() as parts:
        systems = SystemManager(parts, cache, telemetry, clock, journal, alerting)
        reload = Reload(systems, load, settings, web_config, telemetry, clock)
        app = make_app(
            cache,
            systems,
            reload,
            clock=clock,
            telemetry_path=settings.web.telemetry_path,
            web_config=web_config,
            observe_scrape=telemetry["scrape_duration_seconds"].observe,
            service=RecoveryService(systems.recoveries, lambda: journal.journal, clock),
            recovery_token=token(settings.recovery),
            hosts=settings.web.hosts,
            refused=refused,
        )
        async with serving(
            app,
            parse_listen(settings.web.listen_address),
            ssl_context=tls,
            clock=clock,
            refused=refused,
        ) as address:
            tasks = [
                parts.create_task(measure_lag_forever(clock, lag.observe)),
                parts.create_task(alerting.run(systems.reports)),
                parts.create_task(journal.tidy_forever()),
            ]
            try:
                await systems.apply(resolved_systems)
                with signals(parts, reload) as stopping:
                    log.info("daemon.started", version=__version__, listen=str(address))
                    started()
                    await stopping.wait()
            finally:
                for task in tasks:
                    task.cancel()
                await systems.stop()
                await journal.close()
    log.info("daemon.stopped")


def _web_config(
    settings: Settings, clock: Clock
) -> "tuple[ReloadableWebConfig | None, ssl.SSLContext | None]":
    if settings.web.config_file is None:
        return None, None
    from exporter.web.reloadable_config import ReloadableWebConfig  # noqa: PLC0415 - loads YAML

    web_config = ReloadableWebConfig(settings.web.config_file, clock)
    return web_config, web_config.ssl_context()


def tune_interpreter() -> None:
    """
    Tune the garbage collector, malloc and the file descriptor limit.

    An inventory of 10,000 VMs is half a million objects without cycles, which reference counting
    frees; searching them for cycles would block the event loop. The descriptor limit is raised to
    its maximum, as Go programs do.
    """
    gc.set_threshold(200_000, 20, 100)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # glibc keeps freed large blocks, in one heap per thread. With 10,000 VMs the daemon would hold
    # a quarter more memory than it uses.
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return  # not glibc
    for parameter, value in MALLOC.items():
        mallopt(parameter, value)


class Reload:
    """Reads the configuration again and applies it."""

    def __init__(
        self,
        systems: SystemManager,
        load: Callable[[], Settings],
        settings: Settings,
        web_config: "ReloadableWebConfig | None",
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
        self._systems = systems
        self._load = load
        self._first = settings
        self.problem = ""
        """When and why the last configuration was rejected; empty if it was accepted."""
        self._web_config = web_config
        self._telemetry = telemetry
        self._clock = clock
        self._accept()

    async def __call__(self) -> Sequence[str]:
        """
        Reload, and return the changed settings that need a restart.

        Raises:
            ConfigError: The new configuration is invalid; the old one stays in force.

        """
        try:
            settings = self._load()
            resolved_systems = resolve_systems(settings)
            if self._web_config is not None:
                self._web_config.reload()
            await self._systems.apply(resolved_systems)
        except ConfigError as error:
            self._telemetry["config_last_reload_successful"].set(0)
            self.problem = f"rejected at {self._clock.now():%Y-%m-%d %H:%M:%S} UTC: {error}"
            log.error("config.rejected", error=str(error))
            raise
        fixed = [
            name
            for name in ("web", "log", "alertmanager")
            if getattr(settings, name) != getattr(self._first, name)
        ]
        if directory(settings.recovery) != directory(self._first.recovery):
            fixed.append("recovery.directory")
        fixed += [
            f"recovery.{name}"
            for name in ("retention_days", "token", "token_file")
            if getattr(settings.recovery, name) != getattr(self._first.recovery, name)
        ]
        for name in fixed:
            log.warning("config.needs_restart", settings=name)
        self._accept()
        log.info("config.reloaded", systems=len(resolved_systems))
        return fixed

    def _accept(self) -> None:
        """Record that the current configuration was accepted now."""
        self.problem = ""
        self._telemetry["config_last_reload_successful"].set(1)
        self._telemetry["config_last_reload_success_timestamp_seconds"].set(
            self._clock.now().timestamp()
        )

    async def quietly(self) -> None:
        """Reload on a signal; the log and the metrics report a failure."""
        with suppress(ConfigError):
            await self()


@contextmanager
def signals(parts: asyncio.TaskGroup, reload: Reload) -> Iterator[asyncio.Event]:
    """Inside the block, SIGTERM and SIGINT set the event that it yields, and SIGHUP reloads."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    handlers: dict[signal.Signals, Callable[[], object]] = {
        signal.SIGTERM: stopping.set,
        signal.SIGINT: stopping.set,
        signal.SIGHUP: lambda: parts.create_task(reload.quietly(), name="reload"),
    }
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        notify("READY=1")
        yield stopping
    finally:
        log.info("daemon.stopping")
        notify("STOPPING=1")
        for number in handlers:
            loop.remove_signal_handler(number)
