"""
What of the platform forbids a start: an update, storage, memory, a missing device.

Each function returns the reason, or an empty string. What is not known forbids nothing: tenants
may not read these tables, and older releases lack some.
"""

from exporter.model import VM, StorageTier
from exporter.recovery.model.cases import Case
from exporter.recovery.model.limits import Limits
from exporter.recovery.observe.inventory_checks import CheckedInventory
from exporter.recovery.observe.platform_history import PlatformHistory

UNUSABLE = ("offline", "outofspace", "initializing")
"""Statuses of a storage tier with which a VM cannot start, or would soon fail again."""
NOT_REDUNDANT = "noredundant"
REPAIRS_GROW_SECONDS = 900.0
"""So long after its repairs grew, a tier counts as degrading: three readings of the table."""
MIB = 2**20


def update_hold(history: PlatformHistory, limits: Limits, *, at: float) -> str:
    """Return what VergeOS does to update itself, or did within the time of a warm-up."""
    if history.update_at is None:
        return ""
    ago = at - history.update_at
    if ago >= limits.warmup_seconds:
        return ""
    return f"{history.update}, seen {ago:.0f} s ago" if ago >= 1 else history.update


def storage_hold(vm: VM | None, history: PlatformHistory, inventory: CheckedInventory) -> str:
    """Return what is wrong with the storage of the VM's cluster."""
    cluster = vm.config.cluster if vm is not None else None
    problems = [
        f"tier {tier.tier} of {_name(tier.cluster, inventory)} is {tier.status}"
        + f", and its repairs grow ({tier.repairs})" * (tier.status == NOT_REDUNDANT)
        for tier in inventory.reported.platform.tiers
        if tier.cluster == cluster and _is_impaired(tier, history, at=inventory.at)
    ]
    return "; ".join(problems)


def _is_impaired(tier: StorageTier, history: PlatformHistory, *, at: float) -> bool:
    if tier.status in UNUSABLE:
        return True
    repairs = history.repairs.get((tier.cluster, tier.tier))
    if tier.status != NOT_REDUNDANT or repairs is None or repairs.grew_at is None:
        return False
    return at - repairs.grew_at < REPAIRS_GROW_SECONDS


def memory_hold(
    case: Case, vm: VM | None, history: PlatformHistory, inventory: CheckedInventory
) -> str:
    """Return how much memory the VM needs, and how little its clusters have."""
    if vm is None or vm.config.memory_bytes is None:
        return ""
    if history.free_memory_at <= max(case.up_at or 0.0, case.killed_at or 0.0):
        return ""  # the figures count the VM itself
    needed, known = vm.config.memory_bytes, inventory.reported.platform.free_memory_bytes
    clusters = [key for key in (vm.config.cluster, vm.config.failover_cluster) if key is not None]
    if not clusters or any(key not in known or known[key] >= needed for key in clusters):
        return ""
    free = ", ".join(
        f"{_name(key, inventory)} has {max(0, known[key] // MIB)} MiB" for key in clusters
    )
    return f"it needs {needed // MIB} MiB, and {free} free"


def device_hold(vm: VM | None, inventory: CheckedInventory) -> str:
    """Return the devices that the VM requires and that are missing."""
    machine = vm.config.machine if vm is not None else 0
    names = inventory.reported.platform.missing_devices.get(machine, ())
    return ", ".join(names)


def _name(cluster: int, inventory: CheckedInventory) -> str:
    known = inventory.reported.clusters.get(cluster)
    return known.name if known is not None else f"cluster {cluster}"
