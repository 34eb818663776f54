"""How the hosts have been lately: whether a VM's trouble may be its node's."""

from collections.abc import Mapping
from typing import NamedTuple

from exporter.recovery.model.limits import Limits
from exporter.recovery.observe.inventory_checks import CheckedInventory, is_running, is_well


class Drop(NamedTuple):
    """A VM that was newly found down."""

    at: float
    uuid: str


class NodeHistory(NamedTuple):
    """One node's recent past."""

    well_since: float | None
    """Since when every valid inventory showed it well; ``None`` when the last one did not."""
    drops: tuple[Drop, ...] = ()
    """The VMs on it that were last newly found down."""
    sick_at: float | None = None
    """When a valid inventory last showed it not well; ``None`` when none did."""
    failed_at: float | None = None
    """When a valid inventory last showed it not running; maintenance is no failure."""
    started_clock: float | None = None
    """When it was last started, in VergeOS' time."""


def update_node_histories(
    histories: Mapping[int, NodeHistory],
    inventory: CheckedInventory,
    dropped: Mapping[str, int],
    limits: Limits,
) -> dict[int, NodeHistory]:
    """
    Return how the nodes have been, *inventory* included.

    Args:
        dropped: The VMs that ran an inventory ago and are down now, with the nodes they ran on.

    """
    oldest = inventory.at - limits.node_failure_window_seconds - limits.platform_seconds
    # A node that is not listed is not known to be well; what is known of it is kept.
    found = {key: history._replace(well_since=None) for key, history in histories.items()}
    for key, node in inventory.nodes.items():
        before = histories.get(key, NodeHistory(None))
        since = before.well_since
        drops = tuple(one for one in before.drops if one.at > oldest)
        new = tuple(Drop(inventory.at, uuid) for uuid, was_on in dropped.items() if was_on == key)
        well = is_well(node)
        found[key] = NodeHistory(
            well_since=(since if since is not None else inventory.at) if well else None,
            drops=drops + new,
            sick_at=before.sick_at if well else inventory.at,
            failed_at=inventory.at if not is_running(node) else before.failed_at,
            started_clock=node.status.started_at if node.status is not None else None,
        )
    return found


def has_failed(history: NodeHistory, *, since: float, since_clock: float | None) -> bool:
    """Return whether a node is known to have failed *since* a moment, if only by its new start."""
    if history.failed_at is not None and history.failed_at >= since:
        return True
    started = history.started_clock
    return started is not None and since_clock is not None and started > since_clock


def was_sick(history: NodeHistory, *, since: float, since_clock: float | None) -> bool:
    """Return whether a node is known not to have been well at some time *since* a moment."""
    if has_failed(history, since=since, since_clock=since_clock):
        return True
    return history.sick_at is not None and history.sick_at >= since


def lost_several(history: NodeHistory, limits: Limits) -> float | None:
    """Return when a node last lost one of several VMs within a short while; None if it did not."""
    for last in sorted(history.drops, reverse=True):
        near = {
            one.uuid
            for one in history.drops
            if 0 <= last.at - one.at <= limits.node_failure_window_seconds
        }
        if len(near) >= limits.node_failure_vms:  # one that falls again and again is not several
            return last.at
    return None
