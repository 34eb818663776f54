"""The health of polling: when it is degraded, and when it is warm."""

from typing import Any

import pytest
from msgspec.structs import replace

from exporter.polling.key_share import STANDBY_SECONDS
from exporter.recovery.model.limits import Limits
from exporter.recovery.observe.health import Health, after_invalid, after_valid, is_warm, warm_up
from exporter.recovery.observe.inventory_checks import RejectedInventory

LIMITS = Limits(degraded_after_polls=2, stable_after_polls=3, outage_seconds=60)
PROBLEM = RejectedInventory("short", "7 VMs, after 10 in the last valid inventory")
BEFORE = Health(
    warm_since=100.0,
    warm_because="its start",
    polls=4,
    valid_in_a_row=1,
    invalid_in_a_row=0,
    last_valid_at=980.0,
    problem=PROBLEM,
    degraded_by="short",
)


def test_health_is_a_value() -> None:
    with pytest.raises(AttributeError):
        Health().polls = 3  # type: ignore[misc]


def test_warm_up_counts_from_its_beginning_and_keeps_what_is_wrong() -> None:
    after = warm_up(BEFORE, "a pause", at=1000.0)

    assert after == replace(BEFORE, warm_since=1000.0, warm_because="a pause", polls=0)


def test_valid_inventory_counts_and_ends_the_problem() -> None:
    before = replace(BEFORE, invalid_in_a_row=2)

    after = after_valid(before, LIMITS, at=1000.0, gap_seconds=20.0, every_seconds=20.0)

    assert after == replace(
        BEFORE, polls=5, valid_in_a_row=2, invalid_in_a_row=0, last_valid_at=1000.0, problem=None
    )


@pytest.mark.parametrize(("valid", "degraded_by"), [(1, "short"), (2, ""), (3, "")])
def test_degraded_polling_is_well_after_enough_valid_inventories(
    valid: int, degraded_by: str
) -> None:
    before = replace(BEFORE, valid_in_a_row=valid)

    assert (
        after_valid(before, LIMITS, at=1000.0, gap_seconds=20.0, every_seconds=20.0).degraded_by
        == degraded_by
    )


@pytest.mark.parametrize(
    ("invalid", "degraded_by"), [(0, ""), (1, PROBLEM.detail), (2, PROBLEM.detail)]
)
def test_polling_is_degraded_after_two_rejected_inventories(invalid: int, degraded_by: str) -> None:
    before = replace(BEFORE, invalid_in_a_row=invalid, problem=None, degraded_by="")

    after = after_invalid(before, PROBLEM, LIMITS)

    assert after == replace(
        before,
        valid_in_a_row=0,
        invalid_in_a_row=invalid + 1,
        problem=PROBLEM,
        degraded_by=degraded_by,
    )


def test_first_rejected_inventory_leaves_degraded_what_is() -> None:
    assert after_invalid(BEFORE, PROBLEM, LIMITS).degraded_by == "short"


@pytest.mark.parametrize(
    ("fields", "gap", "warm_since"),
    [
        ({}, 60.0, 100.0),
        ({}, 61.0, 1000.0),
        # The first inventory of a process: the gap is that since its start.
        ({"last_valid_at": None}, 900.0, 1000.0),
        ({"last_valid_at": None, "warm_since": 940.0}, 900.0, 940.0),
        ({"last_valid_at": None, "warm_since": 939.0}, 1.0, 1000.0),
    ],
)
def test_time_in_which_nothing_was_seen_is_followed_by_a_warm_up(
    fields: dict[str, Any], gap: float, warm_since: float
) -> None:
    after = after_valid(
        replace(BEFORE, **fields), LIMITS, at=1000.0, gap_seconds=gap, every_seconds=20.0
    )

    begins = warm_since == 1000.0
    assert (after.warm_since, after.polls) == (warm_since, 1 if begins else 5)
    assert (after.warm_because == BEFORE.warm_because) is not begins


@pytest.mark.parametrize(
    ("seconds", "polls", "warm"), [(600, 10, True), (599, 10, False), (600, 9, False)]
)
def test_polling_is_warm_after_enough_time_and_enough_inventories(
    seconds: float, polls: int, warm: bool
) -> None:
    health = Health(warm_since=400.0, polls=polls)
    limits = Limits(warmup_seconds=600, warmup_polls=10)

    assert is_warm(health, limits, at=400.0 + seconds) is warm


@pytest.mark.parametrize(("gap_seconds", "polls"), [(60.1, 5), (120.0, 5), (120.1, 1)])
def test_standby_that_polls_once_a_minute_warms_up_only_after_a_poll_that_is_missing(
    gap_seconds: float, polls: int
) -> None:
    after = after_valid(
        BEFORE, LIMITS, at=1000.0, gap_seconds=gap_seconds, every_seconds=STANDBY_SECONDS
    )

    assert after.polls == polls
