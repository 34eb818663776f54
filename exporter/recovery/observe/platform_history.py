"""How the platform has been lately: its updates, its storage and its free memory."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from exporter.model import StorageTier
from exporter.recovery.observe.inventory_checks import CheckedInventory

TierKey = tuple[int, int | None]
"""The cluster and number of a storage tier."""


class Repairs(NamedTuple):
    """The repairs of one storage tier."""

    number: int
    grew_at: float | None = None
    """When there were last more of them than before, unless there were fewer since."""


class PlatformHistory(NamedTuple):
    """The platform's recent past."""

    update: str = ""
    """What VergeOS did last to update itself."""
    update_at: float | None = None
    """When a valid inventory last showed an update."""
    free_memory: Mapping[int, int] = MappingProxyType({})
    """Bytes by cluster."""
    free_memory_at: float = 0.0
    """When these figures were first seen."""
    repairs: Mapping[TierKey, Repairs] = MappingProxyType({})


def update_platform_history(
    history: PlatformHistory, inventory: CheckedInventory
) -> PlatformHistory:
    """Return how the platform has been, *inventory* included."""
    platform, at = inventory.reported.platform, inventory.at
    history = history._replace(repairs=_repairs(history.repairs, platform.tiers, at=at))
    if platform.update:
        history = history._replace(update=platform.update, update_at=at)
    if platform.free_memory_bytes != history.free_memory:
        history = history._replace(free_memory=platform.free_memory_bytes, free_memory_at=at)
    return history


def _repairs(
    before: Mapping[TierKey, Repairs], tiers: tuple[StorageTier, ...], *, at: float
) -> Mapping[TierKey, Repairs]:
    found = dict(before)
    for tier in tiers:
        key, number = (tier.cluster, tier.tier), tier.repairs
        if number is None:
            continue
        was = before.get(key)
        if was is None or number < was.number:
            found[key] = Repairs(number)
        elif number > was.number:
            found[key] = Repairs(number, grew_at=at)
    return found
