"""
Load of tenants, from ``tenant_stats_history_short``.

One request reads the recent samples of all tenants, which VergeOS takes every five minutes; the
newest of each is shown. Memory is in MB, as two of VergeOS' SDKs have it.
"""

from exporter.collectors.collector import Collector
from exporter.collectors.history import HistoryRow, newest_by
from exporter.collectors.tenants import LABELS, of_tenants
from exporter.exposition.collector import divide, gauge, group, scale
from exporter.exposition.view import Items, RenderView
from exporter.vergeos.rows import MIB, Count, Lost, Reference, required_key
from exporter.vergeos.tables import Importance, Pace, Table

PERCENT = 100
RECENT_SECONDS = 900


class TenantStatsRow(HistoryRow, gc=False):
    """A row of ``tenant_stats_history_short``: percent and MB."""

    tenant: Reference = None
    total_cpu: float | None = None
    core_count: Count | None = None
    ram_used: Count | None = None
    ram_allocated: Count | None = None
    ram_pct: float | None = None
    ip_count: Count | None = None
    gpus_used: Count | None = None
    gpus_total: Count | None = None
    vgpus_used: Count | None = None
    vgpus_total: Count | None = None

    @property
    def has_gpus(self) -> bool:
        return bool(self.gpus_total or self.vgpus_total)


def _stats(row: TenantStatsRow, key: int, _: Lost) -> TenantStatsRow:
    row.tenant = required_key(row.tenant, "tenant", key)
    return row


TENANT_STATS = Table(
    "tenant_stats",
    "tenant_stats_history_short",
    Pace.INVENTORY,
    TenantStatsRow,
    _stats,
    newest_by("tenant"),
    recent_seconds=RECENT_SECONDS,
    may_be_hidden=True,
    importance=Importance.LOW,
)


def loads(view: RenderView) -> Items:
    """Return the newest sample of each tenant."""
    return of_tenants(view, view.rows(TENANT_STATS.name).values())


def gpus(view: RenderView) -> Items:
    """Return the newest sample of each tenant that has GPUs."""
    rows = view.rows(TENANT_STATS.name).values()
    return of_tenants(view, (row for row in rows if row.has_gpus))


LOAD = group("tenant's load", LABELS, "tenants tenant_stats", loads)
GPUS = group("tenant's GPUs", LABELS, "tenants tenant_stats", gpus)
_TABLE = "tenant_stats_history_short"

FAMILIES = (
    gauge("tenant_cpu_usage_ratio", LOAD, f"{_TABLE}.total_cpu",
          "CPU usage of the tenant, 1 being all of its cores", divide("total_cpu", PERCENT)),
    gauge("tenant_cpu_cores", LOAD, f"{_TABLE}.core_count",
          "CPU cores of the tenant", "core_count"),
    gauge("tenant_memory_used_bytes", LOAD, f"{_TABLE}.ram_used",
          "Memory that the tenant uses", scale("ram_used", MIB)),
    gauge("tenant_memory_allocated_bytes", LOAD, f"{_TABLE}.ram_allocated",
          "Memory that is assigned to the tenant", scale("ram_allocated", MIB)),
    gauge("tenant_ip_addresses", LOAD, f"{_TABLE}.ip_count",
          "IP addresses of the tenant", "ip_count"),
    gauge("tenant_gpus", GPUS, f"{_TABLE}.gpus_total",
          "GPUs of the tenant; absent if it has no GPUs of either kind", "gpus_total"),
    gauge("tenant_used_gpus", GPUS, f"{_TABLE}.gpus_used",
          "GPUs that the tenant uses", "gpus_used"),
    gauge("tenant_vgpus", GPUS, f"{_TABLE}.vgpus_total",
          "Virtual GPUs of the tenant; absent if it has no GPUs of either kind", "vgpus_total"),
    gauge("tenant_used_vgpus", GPUS, f"{_TABLE}.vgpus_used",
          "Virtual GPUs that the tenant uses", "vgpus_used"),
    gauge("tenant_stats_timestamp_seconds", LOAD, f"{_TABLE}.timestamp",
          "When VergeOS took the newest sample of the tenant's load", "timestamp"),
)  # fmt: skip

COLLECTOR = Collector("tenant_stats", (TENANT_STATS,), FAMILIES)
