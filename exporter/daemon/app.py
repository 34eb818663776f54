"""The composition root: builds, connects, runs and stops the parts of the daemon."""

import asyncio
import ctypes
import gc
import platform
import resource
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import structlog

from exporter import __version__, logs, signals
from exporter.alerting.alerting import Alerting
from exporter.clock import Clock
from exporter.collectors.registry import FAMILIES
from exporter.config.recovery_setup import RecoveryToken
from exporter.config.settings import Settings
from exporter.config.systems import ResolvedSystem, resolve_systems
from exporter.console.status_line import status_line
from exporter.daemon.address_file import published
from exporter.daemon.facts import Facts, RecentLag
from exporter.daemon.guest_discovery import GuestDiscovery
from exporter.daemon.recovery_worker import JournalHandle
from exporter.daemon.reload import Reload
from exporter.daemon.systemd import notify, notify_status_forever
from exporter.daemon.systems import SystemManager
from exporter.daemon.vendor_page import VendorPage
from exporter.daemon.watchdog import ending_when_hung, measure_lag_forever
from exporter.exposition.cache import PageCache
from exporter.exposition.formats import Format
from exporter.inputs.live_file import FileWatch
from exporter.prometheus.vm_resources import VMResources
from exporter.recovery.service import RecoveryService
from exporter.telemetry import Telemetry
from exporter.web.ports import CountRefusal, Demo, Refusal
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
    *,
    demo: Demo | None = None,
) -> None:
    """
    Poll and serve until SIGTERM or SIGINT; then stop every part, in order.

    Args:
        load: Reads the settings again, for a reload.
        started: Called once the daemon serves and handles signals.
        demo: The simulated system of the demo, for the console.

    Raises:
        ConfigError: The settings are invalid.

    """
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    stop = signals.stopping_with(lambda: loop.call_soon_threadsafe(stopping.set))
    with stop, ending_when_hung():
        await _run_until(stopping, settings, load, clock, started, demo)


async def _run_until(
    stopping: asyncio.Event,
    settings: Settings,
    load: Callable[[], Settings],
    clock: Clock,
    started: Callable[[], None],
    demo: Demo | None,
) -> None:
    telemetry = Telemetry()
    telemetry["build_info"].labels(__version__, platform.python_version()).set(1)
    cache = PageCache(FAMILIES, lambda form: telemetry.text(openmetrics=form is Format.OPENMETRICS))
    files = FileWatch(clock, telemetry["config_files_rejected"].set)
    listen = parse_listen(settings.web.listen_address)
    web_config, tls = _web_config(settings, clock, files)
    resolved_systems = resolve_systems(settings)
    journal = JournalHandle(settings.recovery, clock, settings.journal)
    recovery_token = RecoveryToken(settings.recovery)
    recovery_token()  # a file that cannot be read is an error at the start
    meter, lag = (
        telemetry.alertmanager_meter(),
        RecentLag(telemetry["event_loop_lag_seconds"].observe),
    )
    alerting = Alerting(settings.alertmanager, journal.directory, clock, meter, files)
    tune_interpreter()
    refused = _count_refusals(telemetry)
    async with asyncio.TaskGroup() as parts:
        vendor = VendorPage(clock)
        systems = SystemManager(
            parts,
            cache,
            telemetry,
            clock,
            journal,
            alerting,
            files,
            vendor,
            settings.web.history_hours,
        )
        guests = GuestDiscovery(systems.states, settings.discovery)
        changing = Parts(systems, alerting, journal, recovery_token, web_config, guests)
        reload = Reload(changing, load, settings, files, telemetry, clock)
        app = make_app(
            cache,
            systems,
            reload,
            clock=clock,
            telemetry_path=settings.web.telemetry_path,
            web_config=web_config,
            observe_scrape=telemetry["scrape_duration_seconds"].observe,
            service=RecoveryService(systems.recoveries, lambda: journal.journal, clock),
            recovery_token=recovery_token,
            operators=settings.web.operators,
            hosts=settings.web.hosts,
            refused=refused,
            vendor=vendor,
            guests=guests,
            links=settings.web.links.model_dump(),
            prometheus=VMResources(settings.prometheus, files) if settings.prometheus.url else None,
            retry=systems.retry,
            facts=Facts(systems.plans, reload, lag, clock),
            alerts=alerting,
            demo=demo,
        )
        async with serving(app, listen, ssl_context=tls, clock=clock, refused=refused) as address:
            tasks = [
                parts.create_task(measure_lag_forever(clock, lag.observe)),
                parts.create_task(
                    notify_status_forever(
                        clock, lambda: status_line(systems.reports(), reload.problem)
                    )
                ),
                parts.create_task(alerting.run(systems.reports)),
                parts.create_task(journal.tidy_forever()),
                parts.create_task(files.run()),
            ]
            try:
                await systems.apply(resolved_systems)
                with published(address, tls=tls is not None), ready(parts, reload):
                    log.info("daemon.started", version=__version__, listen=str(address))
                    started()
                    await stopping.wait()
            finally:
                for task in tasks:
                    task.cancel()
                await systems.stop()
                await journal.close()
    log.info("daemon.stopped")


def _count_refusals(telemetry: Telemetry) -> CountRefusal:
    """Return what counts the requests that the web server refuses."""
    refusals = {reason: telemetry["web_refused_total"].labels(reason) for reason in Refusal}
    return lambda reason: refusals[reason].inc()


def _web_config(
    settings: Settings, clock: Clock, files: FileWatch
) -> "tuple[ReloadableWebConfig | None, ssl.SSLContext | None]":
    path = settings.web.config_file
    if path is None:
        return None, None
    from exporter.web.reloadable_config import ReloadableWebConfig  # noqa: PLC0415 - loads YAML
    from exporter.web.webconfig import operators_problem  # noqa: PLC0415

    web_config = ReloadableWebConfig(path, clock)
    # Not an error: a user who left must not keep the daemon from starting.
    if problem := operators_problem(settings.web.operators, web_config.current(), path):
        log.warning("web.operator_unknown", problem=problem)
    files.add(web_config)
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


class Parts(NamedTuple):
    """What a reload changes while the daemon runs."""

    systems: SystemManager
    alerting: Alerting
    journal: JournalHandle
    recovery_token: RecoveryToken
    web_config: "ReloadableWebConfig | None"
    guests: GuestDiscovery

    async def apply(self, settings: Settings, systems: Sequence[ResolvedSystem]) -> None:
        """
        Put *settings* in force.

        Raises:
            ConfigError: A file that they name is invalid; nothing has changed then.

        """
        to_alertmanager = self.alerting.check(settings.alertmanager)
        if self.web_config is not None:
            self.web_config.reload()
        await self.systems.apply(systems)
        self.alerting.apply(settings.alertmanager, to_alertmanager)
        self.journal.apply(settings.recovery)
        self.recovery_token.apply(settings.recovery)
        self.guests.apply(settings.discovery)
        logs.configure(settings.log.level, settings.log.format)


@contextmanager
def ready(parts: asyncio.TaskGroup, reload: Reload) -> Iterator[None]:
    """Inside the block, SIGHUP reloads, and systemd knows that the daemon is ready."""
    loop = asyncio.get_running_loop()

    def begin() -> None:
        parts.create_task(reload.quietly(), name="reload")

    with signals.reloading_with(lambda: loop.call_soon_threadsafe(begin)):
        notify("READY=1")
        try:
            yield
        finally:
            log.info("daemon.stopping")
            notify("STOPPING=1\nSTATUS=Stopping.")
