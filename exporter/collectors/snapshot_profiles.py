"""Snapshot profiles: how often VergeOS takes a snapshot of what has the profile."""

from collections.abc import Mapping
from typing import Any

from exporter.collectors.collector import Collector
from exporter.exposition.collector import gauge, group
from exporter.exposition.view import Items, RenderView, escape
from exporter.vergeos.rows import Count, Name, Reference, Row, key_number, lower_case
from exporter.vergeos.tables import Importance, Pace, Table

HOUR, DAY = 3600, 86_400
SECONDS = {
    "hourly": HOUR,
    "daily": DAY,
    "weekly": 7 * DAY,
    "monthly": 31 * DAY,
    "yearly": 366 * DAY,
}
"""The longest interval of each frequency; that of ``custom`` is not known."""


class SnapshotProfileRow(Row, gc=False):
    """A row of ``snapshot_profiles``."""

    name: Name | None = None


class SnapshotPeriodRow(Row, gc=False):
    """A row of ``snapshot_profile_periods``: when snapshots are taken, and how long they stay."""

    profile: Reference = None
    frequency: Name | None = None
    retention: Count | None = None


# Neither may be hidden: a system without profiles would look the same.
SNAPSHOT_PROFILES = Table(
    "snapshot_profiles", "snapshot_profiles", Pace.HOURLY, SnapshotProfileRow,
    importance=Importance.LOW, keeps_stale_rows=True,
)  # fmt: skip
SNAPSHOT_PERIODS = Table(
    "snapshot_profile_periods", "snapshot_profile_periods", Pace.HOURLY, SnapshotPeriodRow,
    importance=Importance.LOW, keeps_stale_rows=True,
)  # fmt: skip


def intervals(periods: Mapping[int, Any]) -> dict[int, int]:
    """Return the shortest interval of each profile in seconds, where it is known."""
    found: dict[int, int] = {}
    for row in periods.values():
        profile, seconds = key_number(row.profile), SECONDS.get(lower_case(row.frequency))
        if profile is not None and seconds is not None:
            found[profile] = min(seconds, found.get(profile, seconds))
    return found


def profiles(view: RenderView) -> Items:
    """Return the interval of each profile by its name, None where it is not known."""
    rows = view.rows(SNAPSHOT_PROFILES.name)
    known = intervals(view.rows(SNAPSHOT_PERIODS.name))
    return Items(
        [(view.system, escape(row.name or f"#{key}")) for key, row in rows.items()],
        [known.get(key) for key in rows],
    ).known()


PROFILE = group(
    "snapshot profile",
    "system_name snapshot_profile",
    "snapshot_profiles snapshot_profile_periods",
    profiles,
)

FAMILIES = (
    gauge("snapshot_profile_interval_seconds", PROFILE, "snapshot_profile_periods.frequency",
          "Shortest interval of the snapshot profile; absent if it has custom periods only",
          lambda items: items),
)  # fmt: skip

COLLECTOR = Collector("snapshot_profiles", (SNAPSHOT_PROFILES, SNAPSHOT_PERIODS), FAMILIES)
