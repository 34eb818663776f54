"""
Updates of VergeOS: whether one is in progress or available.

Tables ``update_settings``, ``update_source_status`` and ``update_source_packages``. Users of a
tenant may not read them.
"""

from typing import Annotated, Any

from exporter.collectors.collector import Collector
from exporter.exposition.collector import each, gauge, group, info, or_unknown
from exporter.exposition.view import Items, RenderView, escape
from exporter.model import Inventory
from exporter.vergeos.rows import Name, Reference, Row, Whole, joined, key_number
from exporter.vergeos.tables import Importance, Pace, Table


class UpdateSettingsRow(Row, gc=False):
    """The row of ``update_settings``."""

    branch: Reference = None
    source: Reference = None
    branch_name: Annotated[Name | None, joined("branch#name as branch_name")] = None
    installed: bool | None = None
    reboot_required: bool | None = None
    applying_updates: bool | None = None


class UpdateSourceStatusRow(Row, gc=False):
    """A row of ``update_source_status``."""

    source_name: Annotated[Name | None, joined("source#name as source_name")] = None
    status: Name | None = None
    nodes_updated: Whole | None = None


class UpdatePackageRow(Row, gc=False):
    """A row of ``update_source_packages``: a version that a source offers in a branch."""

    branch: Reference = None
    source: Reference = None
    version: Name | None = None


UPDATE_SETTINGS = Table(
    "update_settings", "update_settings", Pace.RARE, UpdateSettingsRow, may_be_hidden=True,
    importance=Importance.HIGH,
)  # fmt: skip
UPDATE_SOURCE_STATUS = Table(
    "update_source_status", "update_source_status", Pace.RARE, UpdateSourceStatusRow,
    may_be_hidden=True, importance=Importance.HIGH,
)  # fmt: skip


UPDATE_PACKAGES = Table(
    "update_source_packages", "update_source_packages", Pace.HOURLY, UpdatePackageRow,
    where="name eq 'ybos'", may_be_hidden=True, importance=Importance.LOW,
)  # fmt: skip


def newest_version(inventory: Inventory) -> str:
    """Return the version that the source offers in the branch that is set; empty if unknown."""
    sources: Any = inventory.sources
    for settings in (sources.get(UPDATE_SETTINGS.name) or {}).values():
        chosen = key_number(settings.branch), key_number(settings.source)
        for row in (sources.get(UPDATE_PACKAGES.name) or {}).values():
            if (key_number(row.branch), key_number(row.source)) == chosen:
                return row.version or ""
    return ""


def latest_versions(view: RenderView) -> Items:
    """Return the version that is offered, once known."""
    version = newest_version(view.inventory)
    return Items([(view.system,)], [version]) if version else Items([], [])


def update_settings(view: RenderView) -> Items:
    """Return the settings; VergeOS has one row of them."""
    rows = list(view.rows(UPDATE_SETTINGS.name).values())[:1]
    return Items([(view.system,) for _ in rows], rows)


def update_sources(view: RenderView) -> Items:
    """Return the status of each update source."""
    rows = view.rows(UPDATE_SOURCE_STATUS.name)
    return Items(
        [(view.system, escape(row.source_name or f"#{key}")) for key, row in rows.items()],
        list(rows.values()),
    )


SETTINGS = group("update settings", "system_name", UPDATE_SETTINGS.name, update_settings)
LATEST = group(
    "latest version", "system_name", "update_settings update_source_packages", latest_versions
)
SOURCE = group("update source", "system_name source", UPDATE_SOURCE_STATUS.name, update_sources)

FAMILIES = (
    info("update_info", SETTINGS, "update_settings.branch#name",
         "Branch that VergeOS is updated from",
         {"branch": or_unknown("branch_name")}),
    gauge("update_installed", SETTINGS, "update_settings.installed",
          "1 if an update is installed and waits for the restart of the nodes", "installed"),
    gauge("update_reboot_required", SETTINGS, "update_settings.reboot_required",
          "1 if VergeOS requires a restart of its nodes", "reboot_required"),
    gauge("update_applying", SETTINGS, "update_settings.applying_updates",
          "1 while VergeOS applies an update, node after node", "applying_updates"),
    info("update_latest_info", LATEST, "update_source_packages.version",
         "Version that the update source offers in the branch, which may be the running one",
         {"version": each(str)}),
    info("update_source_status_info", SOURCE, "update_source_status.status",
         "Status of the update source", {"status": or_unknown("status")}),
    gauge("update_source_nodes_updated", SOURCE, "update_source_status.nodes_updated",
          "Nodes that have the update", "nodes_updated"),
)  # fmt: skip

COLLECTOR = Collector(
    "update_settings", (UPDATE_SETTINGS, UPDATE_SOURCE_STATUS, UPDATE_PACKAGES), FAMILIES
)
