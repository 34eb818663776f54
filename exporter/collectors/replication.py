"""
Replication: the syncs that send snapshots of the system to other sites, and those that receive.

Tables ``site_syncs_outgoing``, ``site_sync_stats`` and ``site_syncs_incoming``. The status
``offline`` of a sync means that it sends nothing now, which is no error. The registration code of a
sync is a secret and not asked for.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from exporter.collectors.collector import Collector
from exporter.exposition.collector import at, divide, gauge, group, info, or_unknown
from exporter.exposition.view import Items, RenderView, escape
from exporter.polling.state import TableRows
from exporter.vergeos.rows import (
    Count,
    Name,
    Reference,
    Row,
    Whole,
    key_number,
    lower_case,
    timestamp,
)
from exporter.vergeos.tables import Importance, Pace, Table

FAILED = "error"
NEAR_SECONDS = 60
"""Within which an error and an end belong together."""


class OutgoingSyncRow(Row, gc=False):
    """A row of ``site_syncs_outgoing``."""

    name: Name | None = None
    enabled: bool | None = None
    status: Name | None = None
    state: Name | None = None
    last_run: Whole | float | None = None


class SyncStatsRow(Row, gc=False):
    """A row of ``site_sync_stats``: the newest run of a sync."""

    parent: Reference = None
    start_time: Whole | float | None = None
    stop_time: Whole | float | None = None
    error_time: Whole | float | None = None
    last_error: str | None = None
    last_run_time: Count | None = None
    sent_net_bytes: Count | None = None
    retry_count: Count | None = None
    timestamp: Whole | float | None = None


class IncomingSyncRow(Row, gc=False):
    """A row of ``site_syncs_incoming``."""

    name: Name | None = None
    enabled: bool | None = None
    status: Name | None = None
    state: Name | None = None
    last_sync: Whole | float | None = None


class LastRun(msgspec.Struct, frozen=True, gc=False):
    """The newest run of a sync, and when a run of it last succeeded."""

    newest: SyncStatsRow
    succeeded_at: float | None

    @property
    def failed(self) -> bool:
        """Whether the newest run had an error."""
        error = timestamp(self.newest.error_time)
        if error is None:
            return bool(self.newest.last_error)
        return error >= (timestamp(self.newest.start_time) or 0)


class OutgoingSync(msgspec.Struct, frozen=True, gc=False):
    """A sync that sends, with its runs as far as they are known."""

    row: OutgoingSyncRow
    runs: LastRun | None

    @property
    def failed(self) -> bool:
        """Whether VergeOS reports an error, of the sync or of its newest run."""
        words = lower_case(self.row.status), lower_case(self.row.state)
        return FAILED in words or (self.runs is not None and self.runs.failed)


def _succeeded_at(row: SyncStatsRow) -> float | None:
    """Return when a run last ended, unless it ended with the error that the row has."""
    start, stop = timestamp(row.start_time) or 0, timestamp(row.stop_time)
    error = timestamp(row.error_time)
    if stop is None or (error is None and row.last_error):
        return None
    if error is None:
        return stop
    # A stop before the start is that of an earlier run.
    failed = error >= start if stop >= start else stop - NEAR_SECONDS <= error < start
    return None if failed else stop


def _by_sync(decoded: TableRows[dict[int, Any]]) -> TableRows[dict[int, LastRun]]:
    """Return the runs of each sync: of several rows the newest, and the last success of all."""
    newest: dict[int, SyncStatsRow] = {}
    succeeded: dict[int, float] = {}
    for row in decoded.rows.values():
        sync, at = key_number(row.parent), _succeeded_at(row)
        if sync is None:
            continue
        if sync not in newest or _time(row) >= _time(newest[sync]):
            newest[sync] = row
        if at is not None:
            succeeded[sync] = max(at, succeeded.get(sync, at))
    return decoded.with_rows(
        {sync: LastRun(row, succeeded.get(sync)) for sync, row in newest.items()}
    )


def _time(row: SyncStatsRow) -> float:
    return timestamp(row.timestamp) or timestamp(row.start_time) or 0


OUTGOING = Table(
    "site_syncs_outgoing", "site_syncs_outgoing", Pace.RARE, OutgoingSyncRow, may_be_hidden=True,
    importance=Importance.LOW,
)  # fmt: skip
STATS = Table(
    "site_sync_stats", "site_sync_stats", Pace.RARE, SyncStatsRow, collect=_by_sync,
    may_be_hidden=True, importance=Importance.LOW,
)  # fmt: skip
INCOMING = Table(
    "site_syncs_incoming", "site_syncs_incoming", Pace.HOURLY, IncomingSyncRow,
    may_be_hidden=True, importance=Importance.LOW,
)  # fmt: skip


def outgoing_syncs(view: RenderView) -> Items:
    """Return the syncs that send."""
    rows, runs = view.rows(OUTGOING.name), view.rows(STATS.name)
    return _named(view, rows, [OutgoingSync(row, runs.get(key)) for key, row in rows.items()])


def runs_of_syncs(view: RenderView) -> Items:
    """Return the syncs that send and of which a run is known."""
    syncs = outgoing_syncs(view)
    return Items(syncs.identities, [sync.runs for sync in syncs.objects]).known()


def incoming_syncs(view: RenderView) -> Items:
    """Return the syncs that receive."""
    rows = view.rows(INCOMING.name)
    return _named(view, rows, list(rows.values()))


def _named(view: RenderView, rows: Mapping[int, Any], objects: list[Any]) -> Items:
    return Items(
        [(view.system, str(key), escape(row.name or f"#{key}")) for key, row in rows.items()],
        objects,
    )


SYNC = "system_name sync_id sync_name"
SENT = group("outgoing sync", SYNC, "site_syncs_outgoing site_sync_stats", outgoing_syncs)
RUN = group("outgoing sync run", SYNC, "site_syncs_outgoing site_sync_stats", runs_of_syncs)
RECEIVED = group("incoming sync", SYNC, INCOMING.name, incoming_syncs)

FAMILIES = (
    info("replication_info", SENT, "site_syncs_outgoing.status",
         "Status and state of the sync to another site; the status offline means that it sends "
         "nothing now",
         {"status": or_unknown("row.status"), "state": or_unknown("row.state")}),
    gauge("replication_enabled", SENT, "site_syncs_outgoing.enabled",
          "1 if the sync is enabled", "row.enabled"),
    gauge("replication_failed", SENT, "site_syncs_outgoing.state, site_sync_stats.last_error",
          "1 if VergeOS reports an error of the sync or of its last run", "failed"),
    gauge("replication_last_run_timestamp_seconds", SENT, "site_syncs_outgoing.last_run",
          "When the sync last ran, successfully or not", at("row.last_run")),
    gauge("replication_last_success_timestamp_seconds", RUN, "site_sync_stats.stop_time",
          "When a run of the sync last ended without an error", "succeeded_at"),
    gauge("replication_last_run_duration_seconds", RUN, "site_sync_stats.last_run_time",
          "Duration of the last run of the sync", divide("newest.last_run_time", 1000)),
    gauge("replication_last_run_sent_bytes", RUN, "site_sync_stats.sent_net_bytes",
          "What the last run of the sync sent, after compression", "newest.sent_net_bytes"),
    gauge("replication_last_run_retries", RUN, "site_sync_stats.retry_count",
          "Retries of the last run of the sync", "newest.retry_count"),
    info("replication_incoming_info", RECEIVED, "site_syncs_incoming.status",
         "Status and state of the sync from another site; the status offline means that it "
         "receives nothing now",
         {"status": or_unknown("status"), "state": or_unknown("state")}),
    gauge("replication_incoming_enabled", RECEIVED, "site_syncs_incoming.enabled",
          "1 if the sync from another site is enabled", "enabled"),
    gauge("replication_incoming_last_sync_timestamp_seconds", RECEIVED,
          "site_syncs_incoming.last_sync", "When something was last received",
          at("last_sync")),
)  # fmt: skip

COLLECTOR = Collector("replication", (OUTGOING, STATS, INCOMING), FAMILIES)
