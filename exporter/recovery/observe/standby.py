"""What a replica that did not lead has seen, carried over when it begins to lead."""

from types import MappingProxyType

import msgspec

from exporter.recovery.observe.circuit_breaker import CircuitBreaker
from exporter.recovery.observe.health import Health, warm_up
from exporter.recovery.observe.inventory_checks import CheckedInventory
from exporter.recovery.observe.node_history import NodeHistory
from exporter.recovery.observe.platform_history import PlatformHistory
from exporter.recovery.observe.state import RecoveryState


def stand_by(state: RecoveryState) -> RecoveryState:
    """Return what is kept of *state* while another replica leads: nothing about single VMs."""
    return state._replace(
        cases=MappingProxyType({}), enrolments={}, breaker=CircuitBreaker(), accepted_at=None
    )


def carried_over(
    start: RecoveryState, seen: RecoveryState, *, seconds: float, hold_ended_at: float
) -> RecoveryState:
    """
    Return *start*, the state in the journal, with what this replica has *seen* itself.

    Args:
        seconds: From a moment in the monitored time of *seen* to the same moment in that of
            *start*.
        hold_ended_at: When the last pause or the like ended; recovery warms up after it.

    """
    health = _health_later(seen.health, seconds)
    if health.warm_since < hold_ended_at:
        health = warm_up(health, "the end of a hold", at=hold_ended_at)
    return start._replace(
        health=health,
        nodes={key: _node_later(node, seconds) for key, node in seen.nodes.items()},
        platform=_platform_later(seen.platform, seconds),
        inventory=_inventory_later(seen.inventory, seconds),
    )


def _inventory_later(inventory: CheckedInventory | None, seconds: float) -> CheckedInventory | None:
    if inventory is None:
        return None
    return inventory._replace(at=inventory.at + seconds, written_at=inventory.written_at + seconds)


def _health_later(health: Health, seconds: float) -> Health:
    last = health.last_valid_at
    return msgspec.structs.replace(
        health,
        warm_since=health.warm_since + seconds,
        last_valid_at=None if last is None else last + seconds,
    )


def _node_later(node: NodeHistory, seconds: float) -> NodeHistory:
    return node._replace(
        well_since=_later(node.well_since, seconds),
        drops=tuple(drop._replace(at=drop.at + seconds) for drop in node.drops),
        sick_at=_later(node.sick_at, seconds),
        failed_at=_later(node.failed_at, seconds),
    )


def _platform_later(platform: PlatformHistory, seconds: float) -> PlatformHistory:
    repairs = {
        tier: one._replace(grew_at=_later(one.grew_at, seconds))
        for tier, one in platform.repairs.items()
    }
    return platform._replace(
        update_at=_later(platform.update_at, seconds),
        free_memory_at=platform.free_memory_at + seconds,
        repairs=MappingProxyType(repairs),
    )


def _later(at: float | None, seconds: float) -> float | None:
    return None if at is None else at + seconds
