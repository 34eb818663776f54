"""
The metrics of the daemon itself: `prometheus_client` instruments in a registry of their own.

The metrics of the systems are declared with their collectors.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    Summary,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

# prometheus_client leaves these untyped.
_CLASSIC: Callable[[CollectorRegistry], bytes] = generate_latest
_OPENMETRICS: Callable[[CollectorRegistry], bytes] = generate_openmetrics
_WITHOUT_CREATION_TIMES: Callable[[], None] = disable_created_metrics


class Instrument(NamedTuple):
    """A metric of the daemon, declared once for the registry and docs/metrics.md."""

    name: str
    kind: type[Counter | Gauge | Histogram | Summary]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


BUILD_INFO = Instrument(
    "vergewatch_build_info",
    Gauge,
    "Version of Vergewatch and of Python; always 1.",
    ("version", "pythonversion"),
)
API_REQUESTS = Instrument(
    "vergewatch_api_requests_total",
    Counter,
    "Requests to VergeOS, by endpoint and outcome.",
    ("system_name", "endpoint", "outcome"),
)
API_REQUEST_DURATION = Instrument(
    "vergewatch_api_request_duration_seconds",
    Summary,
    "Duration of requests to VergeOS, including failed ones.",
    ("system_name", "endpoint"),
)
API_RETRIES = Instrument(
    "vergewatch_api_retries_total",
    Counter,
    "Requests to VergeOS repeated after a temporary failure.",
    ("system_name", "endpoint"),
)
RENDER_DURATION = Instrument(
    "vergewatch_render_duration_seconds",
    Gauge,
    "Duration of the last render of the metrics page.",
    ("system_name",),
)
DUPLICATE_SERIES = Instrument(
    "vergewatch_duplicate_series",
    Gauge,
    "Series with the same labels as another in the current inventory; the second is dropped.",
    ("system_name",),
)
EVENT_LOOP_LAG = Instrument(
    "vergewatch_event_loop_lag_seconds",
    Histogram,
    "Delay of a timer in the event loop, measured twice per second.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
SCRAPE_DURATION = Instrument(
    "vergewatch_scrape_duration_seconds",
    Histogram,
    "Time from the arrival of a scrape until its response is ready.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25),
)
RELOAD_SUCCESS = Instrument(
    "vergewatch_config_last_reload_successful",
    Gauge,
    "1 if the last configuration load succeeded, else 0.",
)
RELOAD_TIMESTAMP = Instrument(
    "vergewatch_config_last_reload_success_timestamp_seconds",
    Gauge,
    "Time of the last successful configuration load.",
)

RECOVERY_DECISIONS = Instrument(
    "vergewatch_recovery_decisions_total",
    Counter,
    "Changed decisions of recovery, by the first failed guard and the cause; `act` is an action, "
    "`shadow` an action that only the mode forbids.",
    ("system_name", "failed_guard", "cause"),
)
RECOVERY_ACTIONS = Instrument(
    "vergewatch_recovery_actions_total",
    Counter,
    "Actions of recovery, by action and outcome.",
    ("system_name", "action", "outcome"),
)
RECOVERY_REJECTED_INVENTORIES = Instrument(
    "vergewatch_recovery_rejected_inventories_total",
    Counter,
    "Inventories that recovery rejected, by reason.",
    ("system_name", "reason"),
)
RECOVERY_CLOCK_JUMPS = Instrument(
    "vergewatch_recovery_clock_jumps_total",
    Counter,
    "Jumps of the local wall clock; each one pauses recovery.",
    ("system_name",),
)
RECOVERY_TIME = Instrument(
    "vergewatch_recovery_time_to_recover_seconds",
    Histogram,
    "Time from the last poll that shows a VM running to the first that shows it running again "
    "after an action.",
    ("system_name",),
    buckets=(30.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 1800.0, 3600.0),
)

ALERTMANAGER_UP = Instrument(
    "vergewatch_alertmanager_up",
    Gauge,
    "1 if the last request to the Alertmanager succeeded, else 0.",
    ("alertmanager",),
)
ALERTMANAGER_POSTS = Instrument(
    "vergewatch_alertmanager_posts_total",
    Counter,
    "Posts of the daemon's own alerts to the Alertmanager, by outcome.",
    ("alertmanager", "outcome"),
)
ALERTMANAGER_ALERTS = Instrument(
    "vergewatch_alertmanager_alerts",
    Gauge,
    "The daemon's own firing alerts in the last successful post to the Alertmanager.",
    ("alertmanager",),
)
ALERTMANAGER_POST_TIMESTAMP = Instrument(
    "vergewatch_alertmanager_last_post_success_timestamp_seconds",
    Gauge,
    "Time of the last successful post of the daemon's own alerts.",
    ("alertmanager",),
)
ALERTMANAGER_SILENCES = Instrument(
    "vergewatch_alertmanager_silences",
    Gauge,
    "Active silences in the last successful read of the silences.",
    ("alertmanager",),
)
ALERTMANAGER_SILENCES_KNOWN = Instrument(
    "vergewatch_alertmanager_silences_known",
    Gauge,
    "1 if the silences of the Alertmanager are known, else 0; alertmanager.unreachable sets "
    "whether recovery then goes on or holds.",
    ("alertmanager",),
)
ALERTMANAGER_SILENCES_TIMESTAMP = Instrument(
    "vergewatch_alertmanager_last_silences_success_timestamp_seconds",
    Gauge,
    "Time of the last successful read of the silences.",
    ("alertmanager",),
)

INSTRUMENTS = (
    BUILD_INFO,
    API_REQUESTS,
    API_REQUEST_DURATION,
    API_RETRIES,
    RENDER_DURATION,
    DUPLICATE_SERIES,
    EVENT_LOOP_LAG,
    SCRAPE_DURATION,
    RELOAD_SUCCESS,
    RELOAD_TIMESTAMP,
    RECOVERY_DECISIONS,
    RECOVERY_ACTIONS,
    RECOVERY_REJECTED_INVENTORIES,
    RECOVERY_CLOCK_JUMPS,
    RECOVERY_TIME,
    ALERTMANAGER_UP,
    ALERTMANAGER_POSTS,
    ALERTMANAGER_ALERTS,
    ALERTMANAGER_POST_TIMESTAMP,
    ALERTMANAGER_SILENCES,
    ALERTMANAGER_SILENCES_KNOWN,
    ALERTMANAGER_SILENCES_TIMESTAMP,
)


class Telemetry:
    """The instruments of one running daemon."""

    def __init__(self) -> None:
        _WITHOUT_CREATION_TIMES()  # no `_created` series for each counter
        self.registry = CollectorRegistry()
        self._by_instrument = {
            instrument: _register(instrument, self.registry) for instrument in INSTRUMENTS
        }
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def __getitem__(self, instrument: Instrument) -> Any:
        return self._by_instrument[instrument]

    def text(self, *, openmetrics: bool) -> bytes:
        """Return the metrics in a text format, for the end of a page."""
        return _OPENMETRICS(self.registry) if openmetrics else _CLASSIC(self.registry)

    def meter(self, system_name: str) -> "SystemMeter":
        """Return the meter of one system's requests."""
        return SystemMeter(self, system_name)

    def recovery_meter(self, system: "SystemMeter") -> "RecoveryMeter":
        """Return the meter of one system's recovery."""
        return RecoveryMeter(self, system)

    def alertmanager_meter(self) -> "AlertmanagerMeter":
        """Return the meter of the Alertmanagers."""
        return AlertmanagerMeter(self)

    def forget(self, system_name: str) -> None:
        """Drop all series of a system that is removed or renamed."""
        for instrument in INSTRUMENTS:
            if "system_name" in instrument.labels:
                self[instrument].remove_by_labels({"system_name": system_name})


class SystemMeter:
    """Counts the requests and renders of one system, under its current name."""

    def __init__(self, telemetry: Telemetry, system_name: str) -> None:
        self._telemetry = telemetry
        self.system_name = system_name

    def request(self, endpoint: str, outcome: str, seconds: float) -> None:
        self._telemetry[API_REQUESTS].labels(self.system_name, endpoint, outcome).inc()
        self._telemetry[API_REQUEST_DURATION].labels(self.system_name, endpoint).observe(seconds)

    def retry(self, endpoint: str) -> None:
        self._telemetry[API_RETRIES].labels(self.system_name, endpoint).inc()

    def rendered_in(self, seconds: float, *, duplicates: int) -> None:
        self._telemetry[RENDER_DURATION].labels(self.system_name).set(seconds)
        self._telemetry[DUPLICATE_SERIES].labels(self.system_name).set(duplicates)

    def rename(self, system_name: str) -> None:
        """Change the name; series with the old name are dropped."""
        self._telemetry.forget(self.system_name)
        self.system_name = system_name


class RecoveryMeter:
    """Counts one system's decisions and actions, under its current name."""

    def __init__(self, telemetry: Telemetry, system: SystemMeter) -> None:
        self._telemetry = telemetry
        self._system = system

    def decided(self, reason: str, cause: str) -> None:
        self._of(RECOVERY_DECISIONS, reason, cause).inc()

    def acted(self, action: str, outcome: str) -> None:
        self._of(RECOVERY_ACTIONS, action, outcome).inc()

    def invalid(self, reason: str) -> None:
        self._of(RECOVERY_REJECTED_INVENTORIES, reason).inc()

    def clock_jumped(self) -> None:
        self._of(RECOVERY_CLOCK_JUMPS).inc()

    def recovered(self, seconds: float) -> None:
        self._of(RECOVERY_TIME).observe(seconds)

    def _of(self, instrument: Instrument, *labels: str) -> Any:
        return self._telemetry[instrument].labels(self._system.system_name, *labels)


class AlertmanagerMeter:
    """Counts the requests to each Alertmanager, by its URL."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def set_up(self, alertmanager: str, *, up: bool) -> None:
        self._telemetry[ALERTMANAGER_UP].labels(alertmanager).set(up)

    def count_post(self, alertmanager: str, outcome: str) -> None:
        self._telemetry[ALERTMANAGER_POSTS].labels(alertmanager, outcome).inc()

    def set_alerts(self, alertmanager: str, alerts: int, time: float) -> None:
        self._telemetry[ALERTMANAGER_ALERTS].labels(alertmanager).set(alerts)
        self._telemetry[ALERTMANAGER_POST_TIMESTAMP].labels(alertmanager).set(time)

    def set_silences(self, alertmanager: str, silences: int, time: float) -> None:
        self._telemetry[ALERTMANAGER_SILENCES].labels(alertmanager).set(silences)
        self._telemetry[ALERTMANAGER_SILENCES_TIMESTAMP].labels(alertmanager).set(time)

    def set_silences_known(self, alertmanager: str, *, known: bool) -> None:
        self._telemetry[ALERTMANAGER_SILENCES_KNOWN].labels(alertmanager).set(known)


def _register(instrument: Instrument, registry: CollectorRegistry) -> Any:
    make: Callable[..., Any] = instrument.kind
    extra = {"buckets": instrument.buckets} if instrument.buckets else {}
    return make(
        instrument.name, instrument.help, labelnames=instrument.labels, registry=registry, **extra
    )
