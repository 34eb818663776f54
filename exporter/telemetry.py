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


class Instrument(NamedTuple):
    """A metric of the daemon, declared once for the registry and docs/metrics.md."""

    short_name: str
    """Its name without the prefix ``vergewatch_``."""
    kind: type[Counter | Gauge | Histogram | Summary]
    label_names: str
    """Separated by spaces."""
    help: str
    buckets: tuple[float, ...] = Histogram.DEFAULT_BUCKETS

    @property
    def name(self) -> str:
        return f"vergewatch_{self.short_name}"

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.label_names.split())


RECOVERY_TIME = Instrument(
    "recovery_time_to_recover_seconds",
    Histogram,
    "system_name",
    "Time from the last poll that shows a VM running to the first that shows it running again "
    "after an action.",
    (30.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 1800.0, 3600.0),
)
TIME_TO_SERVICE = Instrument(
    "recovery_time_to_service_seconds",
    Histogram,
    "system_name",
    "Time from an action until the query of recovery.confirm shows that the service works again.",
    RECOVERY_TIME.buckets,
)
INSTRUMENTS = (
    Instrument("build_info", Gauge, "version pythonversion",
               "Version of Vergewatch and of Python; always 1."),
    Instrument("api_requests_total", Counter, "system_name api_endpoint outcome",
               "Requests to VergeOS, by endpoint and outcome."),
    Instrument("api_request_duration_seconds", Summary, "system_name api_endpoint",
               "Duration of requests to VergeOS, including failed ones."),
    Instrument("api_retries_total", Counter, "system_name api_endpoint",
               "Requests to VergeOS repeated after a temporary failure."),
    Instrument("table_fields_skipped_total", Counter, "system_name table field",
               "Values that could not be read, by table and field, summed over all polls; the "
               "rest of their rows is used."),
    Instrument("render_duration_seconds", Gauge, "system_name",
               "Duration of the last render of the metrics page."),
    Instrument("duplicate_series", Gauge, "system_name",
               "Series with the same labels as another in the current inventory; the second is "
               "dropped."),
    Instrument("vendor_duplicate_series", Gauge, "system_name",
               "The same for /metrics/vendor, while it is scraped; the vendor's labels do not tell "
               "all objects apart."),
    Instrument("event_loop_lag_seconds", Histogram, "",
               "Delay of a timer in the event loop, measured twice per second.",
               (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)),
    Instrument("scrape_duration_seconds", Histogram, "",
               "Time from the arrival of a scrape until its response is ready.",
               (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)),
    Instrument("web_refused_total", Counter, "reason",
               "Requests and connections that the web server refused or ended, by reason."),
    Instrument("config_last_reload_successful", Gauge, "",
               "1 if the last configuration load succeeded, else 0."),
    Instrument("config_last_reload_success_timestamp_seconds", Gauge, "",
               "Time of the last successful configuration load."),
    Instrument("config_files_rejected", Gauge, "",
               "Files that the settings name, such as CA certificates, whose present content is "
               "invalid; the previous content stays in force."),
    Instrument("recovery_decisions_total", Counter, "system_name failed_guard cause",
               "Changed decisions of recovery, by the first failed guard and the cause; `none` is "
               "an action, `mode_permits` an action that only the mode forbids."),
    Instrument("recovery_actions_total", Counter, "system_name action outcome",
               "Actions of recovery, by action and outcome."),
    Instrument("recovery_rejected_inventories_total", Counter, "system_name reason",
               "Inventories that recovery rejected, by reason."),
    Instrument("recovery_clock_jumps_total", Counter, "system_name",
               "Jumps of the local wall clock; each one pauses recovery."),
    RECOVERY_TIME,
    TIME_TO_SERVICE,
    Instrument("alertmanager_up", Gauge, "alertmanager",
               "1 if the last request to the Alertmanager succeeded, else 0."),
    Instrument("alertmanager_posts_total", Counter, "alertmanager outcome",
               "Posts of the daemon's own alerts to the Alertmanager, by outcome."),
    Instrument("alertmanager_alerts", Gauge, "alertmanager",
               "The daemon's own firing alerts in the last successful post to the Alertmanager."),
    Instrument("alertmanager_last_post_success_timestamp_seconds", Gauge, "alertmanager",
               "Time of the last successful post of the daemon's own alerts."),
    Instrument("alertmanager_silences", Gauge, "alertmanager",
               "Active silences in the last successful read of the silences."),
    Instrument("alertmanager_silences_known", Gauge, "alertmanager",
               "1 if the silences of the Alertmanager are known, else 0; alertmanager.unreachable"
               " sets whether recovery then goes on or holds."),
    Instrument("alertmanager_last_silences_success_timestamp_seconds", Gauge, "alertmanager",
               "Time of the last successful read of the silences."),
)  # fmt: skip


class Telemetry:
    """The instruments of one running daemon."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._instruments = {one.short_name: _register(one, self.registry) for one in INSTRUMENTS}
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def __getitem__(self, short_name: str) -> Any:
        return self._instruments[short_name]

    def text(self, *, openmetrics: bool) -> bytes:
        """Return the metrics in a text format, for the end of a page."""
        if not openmetrics:
            return generate_latest(self.registry)
        page: bytes = generate_openmetrics(self.registry)  # type: ignore[no-untyped-call]
        return page

    def meter(self, system_name: str) -> "SystemMeter":
        """Return the meter of one system's requests."""
        return SystemMeter(self, system_name)

    def recovery_meter(self, system: "SystemMeter") -> "RecoveryMeter":
        """Return the meter of one system's recovery."""
        return RecoveryMeter(system)

    def alertmanager_meter(self) -> "AlertmanagerMeter":
        """Return the meter of the Alertmanagers."""
        return AlertmanagerMeter(self)

    def forget(self, system_name: str) -> None:
        """Drop all series of a system that is removed or renamed."""
        for instrument in INSTRUMENTS:
            if "system_name" in instrument.labels:
                self[instrument.short_name].remove_by_labels({"system_name": system_name})


class SystemMeter:
    """Counts the requests and renders of one system, under its current name."""

    def __init__(self, telemetry: Telemetry, system_name: str) -> None:
        self._telemetry = telemetry
        self.system_name = system_name

    def of(self, instrument: str, *labels: str) -> Any:
        """Return the child of *instrument* with the system's name and *labels*."""
        return self._telemetry[instrument].labels(self.system_name, *labels)

    def request(self, endpoint: str, outcome: str, seconds: float) -> None:
        self.of("api_requests_total", endpoint, outcome).inc()
        self.of("api_request_duration_seconds", endpoint).observe(seconds)

    def retry(self, endpoint: str) -> None:
        self.of("api_retries_total", endpoint).inc()

    def fields_skipped(self, table: str, field: str, count: int) -> None:
        self.of("table_fields_skipped_total", table, field).inc(count)

    def rendered_in(self, seconds: float, *, duplicates: int) -> None:
        self.of("render_duration_seconds").set(seconds)
        self.of("duplicate_series").set(duplicates)

    def rendered_vendor_page(self, *, duplicates: int) -> None:
        self.of("vendor_duplicate_series").set(duplicates)

    def rename(self, system_name: str) -> str:
        """Change the name, and return it; series with the old name are dropped."""
        if system_name != self.system_name:
            self._telemetry.forget(self.system_name)
            self.system_name = system_name
        return system_name


class RecoveryMeter:
    """Counts one system's decisions and actions, under its current name."""

    def __init__(self, system: SystemMeter) -> None:
        self._system = system

    def decided(self, reason: str, cause: str) -> None:
        self._system.of("recovery_decisions_total", reason, cause).inc()

    def acted(self, action: str, outcome: str) -> None:
        self._system.of("recovery_actions_total", action, outcome).inc()

    def invalid(self, reason: str) -> None:
        self._system.of("recovery_rejected_inventories_total", reason).inc()

    def clock_jumped(self) -> None:
        self._system.of("recovery_clock_jumps_total").inc()

    def recovered(self, seconds: float) -> None:
        self._system.of(RECOVERY_TIME.short_name).observe(seconds)

    def service_returned(self, seconds: float) -> None:
        self._system.of(TIME_TO_SERVICE.short_name).observe(seconds)


class AlertmanagerMeter:
    """Counts the requests to each Alertmanager, by its URL."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def _of(self, instrument: str, *labels: str) -> Any:
        return self._telemetry[f"alertmanager_{instrument}"].labels(*labels)

    def forget(self, alertmanager: str) -> None:
        """Drop all series of an Alertmanager that is no longer used."""
        for instrument in INSTRUMENTS:
            if "alertmanager" in instrument.labels:
                labels = {"alertmanager": alertmanager}
                self._telemetry[instrument.short_name].remove_by_labels(labels)

    def set_up(self, alertmanager: str, *, up: bool) -> None:
        self._of("up", alertmanager).set(up)

    def count_post(self, alertmanager: str, outcome: str) -> None:
        self._of("posts_total", alertmanager, outcome).inc()

    def set_alerts(self, alertmanager: str, alerts: int, time: float) -> None:
        self._of("alerts", alertmanager).set(alerts)
        self._of("last_post_success_timestamp_seconds", alertmanager).set(time)

    def set_silences(self, alertmanager: str, silences: int, time: float) -> None:
        self._of("silences", alertmanager).set(silences)
        self._of("last_silences_success_timestamp_seconds", alertmanager).set(time)

    def set_silences_known(self, alertmanager: str, *, known: bool) -> None:
        self._of("silences_known", alertmanager).set(known)


def _register(instrument: Instrument, registry: CollectorRegistry) -> Any:
    options = {"buckets": instrument.buckets} if instrument.kind is Histogram else {}
    make: Callable[..., Any] = instrument.kind
    return make(instrument.name, instrument.help, instrument.labels, registry=registry, **options)
