"""The system: state of its polling, its name and version."""

import msgspec

from exporter.collectors.collector import Collector
from exporter.exposition.collector import counter, gauge, group, info, time
from exporter.exposition.view import FROZEN, REPORT, UPDATED, Items, RenderView
from exporter.model import IDENTITY


def systems(view: RenderView) -> Items:
    """Return the report of the system's polling."""
    return Items([(view.system,)], [view.report])


def tables(view: RenderView) -> Items:
    """Return the report of each table."""
    found = view.report.tables
    return Items([(view.system, table.table) for table in found], list(found))


def versions(view: RenderView) -> Items:
    """Return the system's name and version, once known."""
    return Items([(view.system,)], [view.inventory.identity]).known()


class SystemUpdates(msgspec.Struct, frozen=True, gc=False):
    """How VergeOS updates the status of the VMs that run."""

    newest: float
    frozen: bool


def updates(view: RenderView) -> Items:
    """Return the updates of the system, if VMs run."""
    newest, frozen = view.inventory.status_updated_at.values(), view.inventory.frozen
    found = SystemUpdates(max(newest), frozen.system is True) if newest else None
    return Items([(view.system,)], [found]).known()


SYSTEM = group("system", "system_name", REPORT, systems)
UPDATES = group("system status updates", "system_name", f"{UPDATED} {FROZEN}", updates)
TABLE = group("table", "system_name table", REPORT, tables)
VERSION = group("version", "system_name", IDENTITY, versions)

FAMILIES = (
    gauge("up", SYSTEM, "",
          "1 if the tables vms and machine_status are fresh, 0 if either is stale. Stale tables "
          "export no series. Whether VergeOS keeps their rows up to date is "
          "vergewatch_system_status_frozen", "up"),
    gauge("system_name_known", SYSTEM, "",
          "1 once the system's name is known: configured, reported or remembered. Until then "
          "system_name is the host of its URL, vergewatch_up is 0, and no VM is exported", "named"),
    gauge("authenticated", SYSTEM, "",
          "0 while VergeOS rejects the credentials; the daemon then sends no requests, so that "
          "VergeOS does not lock the account", "authenticated"),
    gauge("system_status_update_timestamp_seconds", UPDATES, "machine_status.last_update",
          "When VergeOS last updated the status of a VM that runs, by its own clock", "newest"),
    gauge("system_status_frozen", UPDATES, "machine_status.last_update",
          "1 while VergeOS updates no status of running VMs on any node: the series of VMs then "
          "show an old state; absent while no VM runs", "frozen"),
    gauge("inventory_timestamp_seconds", SYSTEM, "",
          "When the inventory was read: the older of the tables vms and machine_status",
          time("taken_at")),
    gauge("api_requests_remaining", SYSTEM, "",
          "Requests that polling may still send in this rolling hour, without the reserve for "
          "recovery", "requests_remaining"),
    gauge("api_requests_planned", SYSTEM, "",
          "Requests an hour that the schedule and recovery's regular reads send while no request "
          "fails, with the pages of each table as they are now", "requests_per_hour"),
    gauge("table_success", TABLE, "", "1 if the last poll of this table succeeded", "success"),
    gauge("table_fresh", TABLE, "",
          "1 while the last good rows of this table are recent enough to be exported", "fresh"),
    gauge("table_last_success_timestamp_seconds", TABLE, "",
          "When the last successful poll of this table began", time("last_success_at")),
    gauge("table_duration_seconds", TABLE, "",
          "Duration of the last poll of this table, decoding included", "duration_seconds"),
    gauge("table_interval_seconds", TABLE, "",
          "Interval between polls of this table", "every_seconds"),
    gauge("table_rows", TABLE, "", "Rows decoded in the last successful poll", "rows"),
    gauge("table_unreadable", TABLE, "",
          "Rows of the last successful poll, and values in its other rows, that could not be "
          "decoded", "unreadable"),
    counter("table_failures_total", TABLE, "", "Polls of this table that failed", "failures_total"),
    counter("table_rows_skipped_total", TABLE, "",
            "Rows that could not be decoded, summed over all polls", "rows_skipped_total"),
    info("system_info", VERSION, "version.json, settings.cloud_name",
         "Name and version of this VergeOS system",
         {"cloud_name": "cloud_name", "version": "version"}),
)  # fmt: skip

COLLECTOR = Collector("system", (), FAMILIES, required=True)
