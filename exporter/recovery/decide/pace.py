"""How often is too often: budgets, pauses between tries, and the proof that it ends."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from exporter.recovery.model.limits import HOUR, WEEK, Limits, Window

UPTIMES = (5.0, 300.0, 900.0, 1500.0, HOUR, 4 * HOUR, 12 * HOUR)
"""After so many seconds up a VM dies again, in the crash loops that must end in quarantine."""
BOOT_SECONDS = 30.0


def backoff_seconds(attempts: int, limits: Limits, *, dice: float) -> float:
    """
    Return the pause after the *attempts*-th action in a row; none before the first.

    Args:
        dice: From 0 to 1; 0.5 is no jitter.

    """
    if attempts == 0:
        return 0.0
    pause: float = min(
        limits.backoff_seconds * 2 ** min(attempts - 1, 30), limits.backoff_max_seconds
    )
    return pause * (1 + limits.backoff_jitter * (2 * dice - 1))


class Use(NamedTuple):
    """How much of a budget is used."""

    window: Window
    used: int
    frees_at: float | None
    """When there will be room again, if there is none now."""

    @property
    def spent(self) -> bool:
        return self.used >= self.window.most


def uses(windows: Sequence[Window], times: Iterable[float], *, now: float) -> tuple[Use, ...]:
    """Return how much of each window the actions at *times* have used up, *now*."""
    taken = sorted(times)
    found = []
    for window in windows:
        inside = taken[bisect_right(taken, now - window.seconds) :]
        full = len(inside) >= window.most
        frees_at = inside[len(inside) - window.most] + window.seconds if full else None
        found.append(Use(window, len(inside), frees_at))
    return tuple(found)


class Loop(NamedTuple):
    """What becomes of a VM that dies again and again."""

    dies_after_seconds: float
    restarts: int
    quarantined_after_seconds: float | None
    """``None``: never within a week."""


def play_loop(dies_after_seconds: float, limits: Limits) -> Loop:
    """Play a crash loop through for a week of nothing else."""
    now, attempts, sent = 0.0, 0, list[float]()
    while now < WEEK:
        now += limits.confirm_down_seconds + backoff_seconds(attempts, limits, dice=0.5)
        if any(use.spent for use in uses(limits.vm_windows, sent, now=now)):
            return Loop(dies_after_seconds, len(sent), now)
        sent.append(now)
        attempts += 1
        now += BOOT_SECONDS + dies_after_seconds
        if dies_after_seconds >= limits.probation_seconds:
            attempts = 0
    return Loop(dies_after_seconds, len(sent), None)


def endless_loops(limits: Limits) -> tuple[Loop, ...]:
    """Return the crash loops that these rules would never end."""
    loops = (play_loop(uptime, limits) for uptime in UPTIMES)
    return tuple(loop for loop in loops if loop.quarantined_after_seconds is None)
