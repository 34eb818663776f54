"""
Gateways of virtual networks: loss and latency, from ``vnet_monitor_stats_history_short``.

One request reads the recent samples of every monitored network; the newest of each is shown.
"""

from exporter.collectors.collector import Collector
from exporter.collectors.history import HistoryRow, newest_by
from exporter.collectors.vnets import LABELS, VNETS, identity
from exporter.exposition.collector import divide, gauge, group
from exporter.exposition.view import Items, RenderView
from exporter.vergeos.rows import Count, Lost, Reference, required_key
from exporter.vergeos.tables import Pace, Table

PERCENT = 100
USEC = 1_000_000
RECENT_SECONDS = 600


class MonitorRow(HistoryRow, gc=False):
    """A row of ``vnet_monitor_stats_history_short``: percent and microseconds."""

    vnet: Reference = None
    sent: Count | None = None
    dropped: Count | None = None
    quality: float | None = None
    dropped_pct: float | None = None
    latency_usec_avg: float | None = None
    latency_usec_peak: float | None = None
    duplicates: Count | None = None
    truncated: Count | None = None
    bad_checksums: Count | None = None
    bad_data: Count | None = None

    @property
    def answered(self) -> bool:
        """Whether the gateway answered at all: without an answer there is no latency."""
        return self.quality != 0 and self.dropped_pct != PERCENT

    @property
    def latency_average(self) -> float | None:
        return self.latency_usec_avg if self.answered else None

    @property
    def latency_peak(self) -> float | None:
        return self.latency_usec_peak if self.answered else None


def _sample(row: MonitorRow, key: int, _: Lost) -> MonitorRow:
    row.vnet = required_key(row.vnet, "vnet", key)
    return row


VNET_MONITOR = Table(
    "vnet_monitor",
    "vnet_monitor_stats_history_short",
    Pace.INVENTORY,
    MonitorRow,
    _sample,
    newest_by("vnet"),
    recent_seconds=RECENT_SECONDS,
    may_be_hidden=True,
)


def gateways(view: RenderView) -> Items:
    """Return the newest sample of each network's gateway, of the networks that are known."""
    samples = view.rows(VNET_MONITOR.name)
    found = {key: row for key, row in view.rows(VNETS.name).items() if key in samples}
    return Items(
        [identity(view, key, row) for key, row in found.items()], [samples[key] for key in found]
    )


GATEWAY = group("gateway", LABELS, "vnets vnet_monitor", gateways)
_TABLE = "vnet_monitor_stats_history_short"

FAMILIES = (
    gauge("vnet_gateway_quality_ratio", GATEWAY, f"{_TABLE}.quality",
          "Share of the packets to the network's gateway that were answered, in the newest sample",
          divide("quality", PERCENT)),
    gauge("vnet_gateway_dropped_ratio", GATEWAY, f"{_TABLE}.dropped_pct",
          "Share of the packets to the network's gateway that were lost, in the newest sample",
          divide("dropped_pct", PERCENT)),
    gauge("vnet_gateway_latency_average_seconds", GATEWAY, f"{_TABLE}.latency_usec_avg",
          "Mean latency of the network's gateway in the newest sample; absent if nothing was "
          "answered", divide("latency_average", USEC)),
    gauge("vnet_gateway_latency_peak_seconds", GATEWAY, f"{_TABLE}.latency_usec_peak",
          "Highest latency of the network's gateway in the newest sample; absent if nothing was "
          "answered", divide("latency_peak", USEC)),
    gauge("vnet_gateway_sample_timestamp_seconds", GATEWAY, f"{_TABLE}.timestamp",
          "When VergeOS took the newest sample of the network's gateway", "timestamp"),
)  # fmt: skip

COLLECTOR = Collector("vnet_monitor", (VNET_MONITOR,), FAMILIES)
