"""The health of polling: degraded by rejected inventories, warm after enough valid ones."""

import msgspec

from exporter.recovery.model.limits import Limits
from exporter.recovery.observe.inventory_checks import RejectedInventory


class Health(msgspec.Struct, frozen=True, gc=False):
    """The recent polls of one system."""

    warm_since: float = 0.0
    """When the warm-up began."""
    warm_because: str = "start"
    polls: int = 0
    """Valid ones since then."""
    valid_in_a_row: int = 0
    invalid_in_a_row: int = 0
    last_valid_at: float | None = None
    problem: RejectedInventory | None = None
    """Of the last inventory, where it was not valid."""
    degraded_by: str = ""
    """Why nothing is done until some good inventories came; empty when all is well."""


def warm_up(health: Health, because: str, *, at: float) -> Health:
    """Return the health at the beginning of a warm-up."""
    return msgspec.structs.replace(health, warm_since=at, warm_because=because, polls=0)


def after_valid(
    health: Health, limits: Limits, *, at: float, gap_seconds: float, every_seconds: float
) -> Health:
    """
    Return the health after a valid inventory.

    Args:
        gap_seconds: How long ago the one before was.
        every_seconds: The interval of the polls; that of a standby may be as long as an outage.

    """
    if health.last_valid_at is None:  # until now this process has seen nothing at all
        gap_seconds = at - health.warm_since
    if gap_seconds > max(limits.outage_seconds, 2 * every_seconds):
        health = warm_up(health, f"nothing was seen for {gap_seconds:.0f} s", at=at)
    in_a_row = health.valid_in_a_row + 1
    healed = in_a_row >= limits.stable_after_polls
    return msgspec.structs.replace(
        health,
        polls=health.polls + 1,
        valid_in_a_row=in_a_row,
        invalid_in_a_row=0,
        last_valid_at=at,
        problem=None,
        degraded_by="" if healed else health.degraded_by,
    )


def after_invalid(health: Health, problem: RejectedInventory, limits: Limits) -> Health:
    """Return the health after an inventory that may not be believed."""
    in_a_row = health.invalid_in_a_row + 1
    bad = in_a_row >= limits.degraded_after_polls
    return msgspec.structs.replace(
        health,
        valid_in_a_row=0,
        invalid_in_a_row=in_a_row,
        problem=problem,
        degraded_by=problem.detail if bad else health.degraded_by,
    )


def is_warm(health: Health, limits: Limits, *, at: float) -> bool:
    """Return whether enough was seen since the warm-up began."""
    long_enough = at - health.warm_since >= limits.warmup_seconds
    return long_enough and health.polls >= limits.warmup_polls
