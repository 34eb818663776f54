"""Makes the platform's status, which recovery heeds, of the rows of several subjects."""

from collections.abc import Mapping
from typing import Any

from exporter.collectors.cluster_status import CLUSTER_STATUS
from exporter.collectors.cluster_tiers import CLUSTER_TIERS
from exporter.collectors.machine_devices import MACHINE_DEVICES
from exporter.collectors.update_settings import UPDATE_SETTINGS, UPDATE_SOURCE_STATUS
from exporter.model import PlatformStatus, StorageTier
from exporter.vergeos.rows import MIB, key_number, lower_case

UPDATING = ("installing", "applying")
"""Statuses of an update source during which nodes may restart; a download changes nothing."""


def platform_status(rows: Mapping[str, Any]) -> PlatformStatus:
    """Return the status; what a missing table would have shown is not known."""
    return PlatformStatus(
        update=_update(rows),
        tiers=_tiers(rows),
        free_memory_bytes=_free_memory(rows),
        missing_devices=_missing_devices(rows),
    )


def _update(rows: Mapping[str, Any]) -> str:
    if any(row.applying_updates for row in rows.get(UPDATE_SETTINGS.name, {}).values()):
        return "VergeOS applies an update"
    sources = rows.get(UPDATE_SOURCE_STATUS.name, {}).values()
    statuses = (lower_case(row.status) for row in sources)
    return next((f"VergeOS is {one} an update" for one in statuses if one in UPDATING), "")


def _tiers(rows: Mapping[str, Any]) -> tuple[StorageTier, ...]:
    return tuple(
        StorageTier(cluster, row.tier, row.tier_status or "", row.repairs)
        for row in rows.get(CLUSTER_TIERS.name, {}).values()
        if row.has_storage and (cluster := key_number(row.cluster)) is not None
    )


def _free_memory(rows: Mapping[str, Any]) -> dict[int, int]:
    return {
        key: (row.online_ram - row.used_ram) * MIB
        for key, row in rows.get(CLUSTER_STATUS.name, {}).items()
        if row.online_ram is not None and row.used_ram is not None and not row.ram_overcommit_pct
    }


def _missing_devices(rows: Mapping[str, Any]) -> dict[int, tuple[str, ...]]:
    found = {
        machine: tuple(device.name for device in devices if device.is_lacking)
        for machine, devices in rows.get(MACHINE_DEVICES.name, {}).items()
    }
    return {machine: names for machine, names in found.items() if names}
