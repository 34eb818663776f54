"""Snapshots of the whole system, from ``cloud_snapshots``; VergeOS may send them to other sites."""

from typing import NamedTuple

from exporter.collectors.collector import Collector
from exporter.exposition.collector import gauge, group
from exporter.exposition.view import Items, RenderView
from exporter.vergeos.rows import Row, Whole, timestamp
from exporter.vergeos.tables import Importance, Pace, Table


class CloudSnapshotRow(Row, gc=False):
    """A row of ``cloud_snapshots``."""

    created: Whole | float | None = None
    immutable: bool | None = None


CLOUD_SNAPSHOTS = Table(
    "cloud_snapshots", "cloud_snapshots", Pace.HOURLY, CloudSnapshotRow, may_be_hidden=True,
    importance=Importance.LOW,
)  # fmt: skip


class SystemSnapshots(NamedTuple):
    """The snapshots of the system."""

    number: int
    immutable: int
    newest_at: float | None
    oldest_at: float | None


def system_snapshots(view: RenderView) -> Items:
    """Return the snapshots, if there is one: a user who may not see them sees none."""
    rows = list(view.rows(CLOUD_SNAPSHOTS.name).values())
    if not rows:
        return Items([], [])
    times = [at for row in rows if (at := timestamp(row.created)) is not None]
    found = SystemSnapshots(
        number=len(rows),
        immutable=sum(row.immutable is True for row in rows),
        newest_at=max(times, default=None),
        oldest_at=min(times, default=None),
    )
    return Items([(view.system,)], [found])


SNAPSHOTS = group("system snapshots", "system_name", CLOUD_SNAPSHOTS.name, system_snapshots)

FAMILIES = (
    gauge("system_snapshots", SNAPSHOTS, "cloud_snapshots",
          "Snapshots of the whole system; absent if there is none, or none is visible", "number"),
    gauge("system_snapshots_immutable", SNAPSHOTS, "cloud_snapshots.immutable",
          "Snapshots of the whole system that cannot be changed or deleted", "immutable"),
    gauge("system_snapshot_newest_timestamp_seconds", SNAPSHOTS, "cloud_snapshots.created",
          "When the newest snapshot of the whole system was taken", "newest_at"),
    gauge("system_snapshot_oldest_timestamp_seconds", SNAPSHOTS, "cloud_snapshots.created",
          "When the oldest snapshot of the whole system was taken", "oldest_at"),
)  # fmt: skip

COLLECTOR = Collector("system_snapshots", (CLOUD_SNAPSHOTS,), FAMILIES)
