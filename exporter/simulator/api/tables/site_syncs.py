"""
The tables of replication: ``site_syncs_outgoing``, ``site_sync_stats``, ``site_syncs_incoming``.

Fields: what pyvergeos requests, without the registration code, which is a secret.
"""

from typing import Any

from exporter.simulator.api.faults import Fault
from exporter.simulator.api.tables.columns import (
    Column,
    Link,
    RequestView,
    Table,
    attribute,
    constant,
    live,
)
from exporter.simulator.world.protection import DAY, INCOMING, OUTGOING, Sync

FAILED_AFTER = 90
"""Seconds from the start of a run to its failure."""


def _failing(view: RequestView) -> Fault | None:
    return next(iter(view.world.faults.active("sync_failing")), None)


def _status(sync: Sync, view: RequestView) -> str:
    if _failing(view):
        return "error"
    return "syncing" if sync.runs(view.now) else "offline"


def _stop_time(sync: Sync, view: RequestView) -> int:
    """Return when the last run ended; while the sync fails, when one last succeeded."""
    if fault := _failing(view):
        return int(view.world.started_at - fault["days"] * DAY)
    return sync.ended(view.now).stop


def _error_time(sync: Sync, view: RequestView) -> int:
    return sync.run(view.now).start + FAILED_AFTER if _failing(view) else 0


def _when_failing(value: Any, otherwise: Any) -> Column:
    return live(lambda _sync, view: value if _failing(view) else otherwise)


def _ran_milliseconds(sync: Sync, view: RequestView) -> int:
    run = sync.ended(view.now)
    return FAILED_AFTER * 1000 if _failing(view) else (run.stop - run.start) * 1000


def _sent(sync: Sync, view: RequestView) -> int:
    return 0 if _failing(view) else sync.ended(view.now).sent_bytes


_SYNC = {
    "$key": attribute("key"),
    "site": constant(1),
    "name": attribute("name"),
    "description": constant(""),
    "enabled": constant(value=True),
    "status_info": constant(""),
}

_OUTGOING = Table(
    name="site_syncs_outgoing",
    rows=lambda _view: OUTGOING,
    columns={
        **_SYNC,
        "status": live(_status),
        "state": _when_failing("error", "online"),
        "url": constant("https://harbor.example.com"),
        "encryption": constant(value=True),
        "compression": constant(value=True),
        "netinteg": constant(value=True),
        "threads": constant(8),
        "file_threads": constant(4),
        "sendthrottle": constant(0),
        "destination_tier": constant("unspecified"),
        "queue_retry_count": constant(10),
        "queue_retry_interval_seconds": constant(60),
        "queue_retry_interval_multiplier": constant(value=True),
        "last_run": live(lambda sync, view: sync.run(view.now).start),
        "remote_min_snapshots": constant(1),
        "note": constant(""),
    },
)

_STATS = Table(
    name="site_sync_stats",
    rows=lambda _view: OUTGOING,
    columns={
        "$key": attribute("key"),
        "parent": attribute("key", leads_to="site_syncs_outgoing"),
        "checked_bytes": live(lambda sync, view: 100 * _sent(sync, view)),
        "scanned_bytes": live(lambda sync, view: 8 * _sent(sync, view)),
        "sent_bytes": live(lambda sync, view: 2 * _sent(sync, view)),
        "sent_net_bytes": live(_sent),
        "dirs_checked": constant(812),
        "files_checked": constant(40_211),
        "files_updated": constant(340),
        "last_run_time": live(_ran_milliseconds),
        "start_time": live(lambda sync, view: sync.run(view.now).start),
        "stop_time": live(_stop_time),
        "error_time": live(_error_time),
        "last_error": _when_failing("Retry 3 of 10: notify_start failed", ""),
        "sendthrottle": constant(0),
        "retry_count": _when_failing(3, 0),
        "snapshot_name": live(lambda sync, view: f"Hourly-{sync.run(view.now).start}"),
        "last_retry_attempt": live(_error_time),
        "timestamp": live(lambda sync, view: sync.run(view.now).start),
    },
    links={"parent": Link("site_syncs_outgoing", lambda sync, _view: sync)},
)

_INCOMING = Table(
    name="site_syncs_incoming",
    rows=lambda _view: INCOMING,
    columns={
        **_SYNC,
        "status": live(lambda sync, view: "syncing" if sync.runs(view.now) else "offline"),
        "state": constant("online"),
        "sync_id": constant("a1b2c3d4"),
        "public_ip": constant(""),
        "force_tier": constant("unspecified"),
        "min_snapshots": constant(1),
        "last_sync": live(lambda sync, view: sync.ended(view.now).stop),
        "vsan_host": constant(""),
        "vsan_port": constant(14_201),
        "request_url": constant(""),
        "system_created": constant(value=False),
    },
)


TABLES = (_OUTGOING, _STATS, _INCOMING)
