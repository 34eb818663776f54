"""How the platform has been: updates, free memory and repairs."""

from typing import Any

import pytest
from msgspec.structs import replace

from exporter.model import PlatformStatus, StorageTier
from exporter.recovery.observe.platform_history import (
    PlatformHistory,
    Repairs,
    update_platform_history,
)
from tests.recovery.inventory_values import checked, inventory

BEFORE = PlatformHistory(
    "installing", 40.0, free_memory={1: 8}, free_memory_at=30.0, repairs={(1, 0): Repairs(5, 20.0)}
)


def after(before: PlatformHistory = BEFORE, **platform: Any) -> PlatformHistory:
    status = PlatformStatus(**{"free_memory_bytes": {1: 8}, **platform})
    reported = inventory(platform=status)
    return update_platform_history(before, checked(at=50.0, reported=reported))


def tier(repairs: int | None, cluster: int = 1, number: int | None = 0) -> StorageTier:
    return StorageTier(cluster, number, "online", repairs)


def test_platform_without_news_is_as_before() -> None:
    assert after() == BEFORE


def test_update_counts_until_the_last_inventory_that_shows_it() -> None:
    found = after(update="applying")

    assert (found.update, found.update_at) == ("applying", 50.0)


@pytest.mark.parametrize("memory", [{}, {1: 7}, {1: 8, 2: 8}])
def test_free_memory_is_dated_when_it_changes(memory: dict[int, int]) -> None:
    found = after(free_memory_bytes=memory)

    assert (found.free_memory, found.free_memory_at) == (memory, 50.0)


@pytest.mark.parametrize(
    ("number", "repairs"),
    [
        (None, Repairs(5, 20.0)),
        (4, Repairs(4)),
        (5, Repairs(5, 20.0)),
        (6, Repairs(6, 50.0)),
    ],
)
def test_repairs_of_a_tier_grow_until_there_are_fewer(number: int | None, repairs: Repairs) -> None:
    assert after(tiers=(tier(number),)).repairs == {(1, 0): repairs}


def test_first_repairs_of_a_tier_did_not_grow_and_tiers_are_told_apart() -> None:
    found = after(tiers=(tier(None, 3), tier(9, 2), tier(8, 1, None), tier(7, 1, 1)))

    assert found.repairs == {
        (1, 0): Repairs(5, 20.0),
        (2, 0): Repairs(9),
        (1, None): Repairs(8),
        (1, 1): Repairs(7),
    }


def test_status_of_a_tier_is_no_repair() -> None:
    assert after(tiers=(replace(tier(5), status="offline"),)) == BEFORE
