"""
Storage tiers: status, space and repairs of each tier of each cluster, from ``cluster_tiers``.

VergeOS joins the status to each row. ``progress`` and ``working`` are only on the vendor's page:
sources differ on the unit of the one and on the meaning of the other.
"""

from typing import Annotated

from exporter.collectors.clusters import CLUSTERS
from exporter.collectors.collector import Collector
from exporter.exposition.collector import counter, divide, gauge, group, info, or_unknown
from exporter.exposition.view import Items, RenderView, escape
from exporter.vergeos.rows import (
    UNKNOWN_WORD,
    Count,
    Lost,
    Name,
    Reference,
    Row,
    Whole,
    joined_status,
    key_number,
    lower_case,
    unreadable,
)
from exporter.vergeos.tables import Importance, Pace, Table


class ClusterTierRow(Row, gc=False):
    """A row of ``cluster_tiers`` with its status."""

    cluster: Reference = None
    tier: Whole | None = None
    tier_status: Annotated[Name | None, joined_status("status", "tier_status")] = None
    tier_state: Annotated[Name | None, joined_status("state", "tier_state")] = None
    capacity: Annotated[Count | None, joined_status("capacity")] = None
    used: Annotated[Count | None, joined_status("used")] = None
    allocated: Annotated[Count | None, joined_status("allocated")] = None
    redundant: Annotated[bool | None, joined_status("redundant")] = None
    encrypted: Annotated[bool | None, joined_status("encrypted")] = None
    working: Annotated[bool | None, joined_status("working")] = None
    fullwalk: Annotated[bool | None, joined_status("fullwalk")] = None
    progress: Annotated[float | None, joined_status("progress")] = None
    last_walk_time_ms: Annotated[Count | None, joined_status("last_walk_time_ms")] = None
    last_fullwalk_time_ms: Annotated[Count | None, joined_status("last_fullwalk_time_ms")] = None
    transaction: Annotated[Count | None, joined_status("transaction")] = None
    repairs: Annotated[Count | None, joined_status("repairs")] = None
    bad_drives: Annotated[float | None, joined_status("bad_drives")] = None
    cur_space_throttle_ms: Annotated[float | None, joined_status("cur_space_throttle_ms")] = None

    @property
    def has_storage(self) -> bool:
        """Whether it is more than the row of a tier that no drive belongs to."""
        return bool(self.tier_status) and not (self.capacity == 0 and not self.used)


def _tier(row: ClusterTierRow, _: int, lost: Lost) -> ClusterTierRow:
    is_unknown = "tier_status" in unreadable(lost)  # it may well have storage
    row.tier_status = UNKNOWN_WORD if is_unknown else lower_case(row.tier_status)
    return row


CLUSTER_TIERS = Table(
    "cluster_tiers", "cluster_tiers", Pace.INVENTORY, ClusterTierRow, _tier, may_be_hidden=True,
    importance=Importance.HIGH,
)  # fmt: skip


def cluster_tiers(view: RenderView) -> Items:
    """Return the tiers that have storage, by cluster and number."""
    if view.awaits(CLUSTERS.name):
        return Items([], [])
    rows = [row for row in view.rows(CLUSTER_TIERS.name).values() if row.has_storage]
    return Items(
        [
            (view.system, escape(view.clusters[key_number(row.cluster)]), _number(row))
            for row in rows
        ],
        rows,
    )


def _number(row: ClusterTierRow) -> str:
    return f"#{row.key}" if row.tier is None else str(row.tier)


TIER = group(
    "storage tier", "system_name cluster_name storage_tier", "cluster_tiers clusters", cluster_tiers
)

FAMILIES = (
    info("cluster_tier_info", TIER, "cluster_tiers.status#status",
         "Status and state of the storage tier",
         {"status": "tier_status", "state": or_unknown("tier_state")}),
    gauge("cluster_tier_capacity_bytes", TIER, "cluster_tiers.status#capacity",
          "Size of the storage tier", "capacity"),
    gauge("cluster_tier_used_bytes", TIER, "cluster_tiers.status#used",
          "Used space of the storage tier", "used"),
    gauge("cluster_tier_allocated_bytes", TIER, "cluster_tiers.status#allocated",
          "Space of the storage tier that is assigned to disks", "allocated"),
    gauge("cluster_tier_redundant", TIER, "cluster_tiers.status#redundant",
          "1 if the storage tier is redundant; not judged during a full walk", "redundant"),
    gauge("cluster_tier_encrypted", TIER, "cluster_tiers.status#encrypted",
          "1 if the storage tier is encrypted", "encrypted"),
    gauge("cluster_tier_full_walk", TIER, "cluster_tiers.status#fullwalk",
          "1 while a full walk of the storage tier is in progress", "fullwalk"),
    gauge("cluster_tier_last_walk_seconds", TIER, "cluster_tiers.status#last_walk_time_ms",
          "How long the last walk of the storage tier took", divide("last_walk_time_ms", 1000)),
    gauge("cluster_tier_last_full_walk_seconds", TIER, "cluster_tiers.status#last_fullwalk_time_ms",
          "How long the last full walk of the storage tier took",
          divide("last_fullwalk_time_ms", 1000)),
    counter("cluster_tier_transactions_total", TIER, "cluster_tiers.status#transaction",
            "Number of the storage tier's current transaction", "transaction"),
    gauge("cluster_tier_repairs", TIER, "cluster_tiers.status#repairs",
          "Repairs of the storage tier; normal after the restart of a node, as long as they fall",
          "repairs"),
    gauge("cluster_tier_bad_drives", TIER, "cluster_tiers.status#bad_drives",
          "Drives of the storage tier that were missing since its last walk began", "bad_drives"),
    gauge("cluster_tier_write_throttle_seconds", TIER, "cluster_tiers.status#cur_space_throttle_ms",
          "Delay that VergeOS adds to each write because the storage tier is almost full",
          divide("cur_space_throttle_ms", 1000)),
)  # fmt: skip

COLLECTOR = Collector("cluster_tiers", (CLUSTER_TIERS,), FAMILIES)
