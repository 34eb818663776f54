"""
Storage tiers of the whole system, from ``storage_tiers``: space, deduplication and I/O.

The state of a tier in each cluster is in ``cluster_tiers``. VergeOS joins the I/O counters to each
row.
"""

from typing import Annotated

from exporter.collectors.collector import Collector
from exporter.exposition.collector import counter, divide, gauge, group, info
from exporter.exposition.view import Items, RenderView
from exporter.vergeos.rows import Count, Name, Reference, Row, Whole, joined, shared
from exporter.vergeos.tables import Pace, Table

_KEY_OF_TIER_0 = 1000


class StorageTierRow(Row, gc=False):
    """A row of ``storage_tiers`` with its counters; bytes, and the dedupe ratio in percent."""

    tier: Whole | None = None
    description: Name | None = None
    capacity: Count | None = None
    used: Count | None = None
    allocated: Count | None = None
    used_inflated: Count | None = None
    used_pct: Count | None = None
    dedupe_ratio: Count | None = None
    reads: Annotated[Count | None, joined("stats#reads as reads")] = None
    writes: Annotated[Count | None, joined("stats#writes as writes")] = None
    read_bytes: Annotated[Count | None, joined("stats#read_bytes as read_bytes")] = None
    write_bytes: Annotated[Count | None, joined("stats#write_bytes as write_bytes")] = None

    @property
    def number(self) -> str:
        """Return the number of the tier as text; of a row without one, its key."""
        return f"#{self.key}" if self.tier is None else str(self.tier)

    @property
    def used_share(self) -> float | None:
        """Return the share that is used, 0 to 1; None without drives."""
        return self.used / self.capacity if self.used is not None and self.capacity else None


def _key(row: StorageTierRow) -> Reference:
    """Return the key; tier 0 may have the key 0, which elsewhere names no row."""
    return _KEY_OF_TIER_0 if row.key in (0, "0") and row.tier == 0 else row.key


STORAGE_TIERS = Table(
    "storage_tiers", "storage_tiers", Pace.INVENTORY, StorageTierRow, key=_key, may_be_hidden=True
)


def storage_tiers(view: RenderView) -> Items:
    """Return the tiers that have storage, by number."""
    rows = [row for row in view.rows(STORAGE_TIERS.name).values() if row.capacity or row.used]
    return Items([(view.system, row.number) for row in rows], rows)


TIER = group("system's storage tier", "system_name storage_tier", STORAGE_TIERS.name, storage_tiers)

FAMILIES = (
    info("storage_tier_info", TIER, "storage_tiers.description",
         "Description of the storage tier",
         {"description": lambda items: [shared(one.description) for one in items]}),
    gauge("storage_tier_capacity_bytes", TIER, "storage_tiers.capacity",
          "Size of the storage tier in all clusters", "capacity"),
    gauge("storage_tier_used_bytes", TIER, "storage_tiers.used",
          "Used space of the storage tier, after deduplication", "used"),
    gauge("storage_tier_allocated_bytes", TIER, "storage_tiers.allocated",
          "Space of the storage tier that is assigned to disks", "allocated"),
    gauge("storage_tier_used_before_dedupe_bytes", TIER, "storage_tiers.used_inflated",
          "Space that the data would use without deduplication", "used_inflated"),
    gauge("storage_tier_dedupe_factor", TIER, "storage_tiers.dedupe_ratio",
          "How many times as large the data is before deduplication as after it",
          divide("dedupe_ratio", 100)),
    counter("storage_tier_reads_total", TIER, "storage_tiers.stats#reads",
            "Read operations of the storage tier", "reads"),
    counter("storage_tier_writes_total", TIER, "storage_tiers.stats#writes",
            "Write operations of the storage tier", "writes"),
    counter("storage_tier_read_bytes_total", TIER, "storage_tiers.stats#read_bytes",
            "Bytes read from the storage tier", "read_bytes"),
    counter("storage_tier_written_bytes_total", TIER, "storage_tiers.stats#write_bytes",
            "Bytes written to the storage tier", "write_bytes"),
)  # fmt: skip

COLLECTOR = Collector("storage_tiers", (STORAGE_TIERS,), FAMILIES)
