"""Restart budgets and rate limits: their use, the pauses between actions, endless crash loops."""

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from exporter.formatting import span
from exporter.recovery.model.cases import FREE_REPLIES, UNCOUNTED_REPLIES, Case, Reply, Spent
from exporter.recovery.model.limits import HOUR, WEEK, Limits, Window

UPTIMES = (5.0, 300.0, 900.0, 1500.0, HOUR, 4 * HOUR, 12 * HOUR)
"""Uptimes after which the VM crashes again, in the crash loops that must end in quarantine."""
BOOT_SECONDS = 30.0


def backoff_seconds(attempts: int, limits: Limits, *, random: float) -> float:
    """
    Return the pause after the *attempts*-th action in a row; none before the first.

    Args:
        random: From 0 to 1; 0.5 is no jitter.

    """
    if attempts == 0:
        return 0.0
    pause: float = min(
        limits.backoff_seconds * 2 ** min(attempts - 1, 30), limits.backoff_max_seconds
    )
    return pause * (1 + limits.backoff_jitter * (2 * random - 1))


class Use(NamedTuple):
    """How much of a budget is used."""

    window: Window
    used: int
    frees_at: float | None
    """When it has room again; ``None`` if it has room now."""

    @property
    def spent(self) -> bool:
        return self.used >= self.window.most


def uses(windows: Sequence[Window], times: Iterable[float], *, now: float) -> tuple[Use, ...]:
    """Return the use of each window, *now*, by actions at *times*."""
    taken = sorted(times)
    found = []
    for window in windows:
        inside = taken[bisect_right(taken, now - window.seconds) :]
        full = len(inside) >= window.most
        frees_at = inside[len(inside) - window.most] + window.seconds if full else None
        found.append(Use(window, len(inside), frees_at))
    return tuple(found)


class Loop(NamedTuple):
    """The course of a crash loop."""

    dies_after_seconds: float
    restarts: int
    quarantined_after_seconds: float | None
    """``None``: never within a week."""


def simulate_crash_loop(dies_after_seconds: float, limits: Limits) -> Loop:
    """Simulate a week in which a VM crashes *dies_after_seconds* after each start."""
    now, attempts, sent = 0.0, 0, list[float]()
    while now < WEEK:
        now += limits.confirm_down_seconds + backoff_seconds(attempts, limits, random=0.5)
        if any(use.spent for use in uses(limits.vm_windows, sent, now=now)):
            return Loop(dies_after_seconds, len(sent), now)
        sent.append(now)
        attempts += 1
        now += BOOT_SECONDS + dies_after_seconds
        if dies_after_seconds >= limits.probation_seconds:
            attempts = 0
    return Loop(dies_after_seconds, len(sent), None)


def no_room(limits: Limits, open_actions: int, spent: Iterable[Spent], *, now: float) -> str:
    """
    Return why the limits of a system leave no room for one more action; empty if they do.

    Args:
        spent: The actions of the last day.

    """
    if open_actions >= limits.max_concurrent_actions:
        return f"{open_actions} of {limits.max_concurrent_actions} actions are open"
    for use in ActionHistory(limits, spent).system_uses(now=now):
        if use.spent:
            return f"{use.used} of {use.window.most} actions in {span(use.window.seconds)}"
    return ""


def endless_loops(limits: Limits) -> tuple[Loop, ...]:
    """Return the crash loops that *limits* never end."""
    loops = (simulate_crash_loop(uptime, limits) for uptime in UPTIMES)
    return tuple(loop for loop in loops if loop.quarantined_after_seconds is None)


class ActionHistory:
    """The actions on the VMs of one system, oldest first."""

    def __init__(self, limits: Limits, spent: Iterable[Spent] = ()) -> None:
        self._limits = limits
        self._spent: deque[Spent] = deque()
        self._refused: list[float] = []
        self._by_vm: dict[str, list[Spent]] = defaultdict(list)
        self._system_uses: tuple[tuple[float, int], tuple[Use, ...]] | None = None
        for one in spent:
            self.add(one)

    def use(self, limits: Limits) -> None:
        """Count by other limits; the actions stay."""
        self._limits = limits
        self._system_uses = None

    def add(self, one: Spent) -> None:
        """Add the newest action."""
        self._spent.append(one)
        self._by_vm[one.uuid].append(one)
        if one.reply is Reply.NO_CAPACITY:
            self._refused.append(one.at)

    def forget(self, *, now: float) -> None:
        """Drop actions that are older than the longest budget."""
        while self._spent and self._spent[0].at <= now - WEEK:
            one = self._spent.popleft()
            self._by_vm[one.uuid].remove(one)
            if not self._by_vm[one.uuid]:
                del self._by_vm[one.uuid]
        self._refused = [at for at in self._refused if at > now - WEEK]

    @property
    def sent(self) -> Sequence[Spent]:
        """Every action, oldest first."""
        return self._spent

    @property
    def uuids(self) -> Sequence[str]:
        """The VMs with actions."""
        return sorted(self._by_vm)

    @property
    def acted_at(self) -> float | None:
        """When the last action on any VM was sent."""
        return self._spent[-1].at if self._spent else None

    @property
    def no_capacity(self) -> Sequence[float]:
        """When VergeOS refused actions for lack of resources."""
        return self._refused

    def on(self, case: Case) -> Sequence[Spent]:
        """Return the actions on a VM that count against its budgets."""
        mine = self._by_vm.get(case.uuid, ())
        return [one for one in mine if one.at >= case.cleared_at and one.reply not in FREE_REPLIES]

    def refused_in_a_row(self, case: Case, *, now: float) -> int:
        """Return how many of the last actions on a VM used up no budget, at most an hour apart."""
        number, later = 0, now
        for one in reversed(self._by_vm.get(case.uuid, ())):
            if one.reply not in FREE_REPLIES or later - one.at > HOUR:
                break
            number, later = number + 1, one.at
        return number

    def uses(self, case: Case, *, now: float) -> tuple[Use, ...]:
        """Return the use of a VM's restart budgets."""
        return uses(self._limits.vm_windows, [one.at for one in self.on(case)], now=now)

    def exhausted_by_vm(self, case: Case, *, now: float) -> bool:
        """Return whether a budget is spent even without the actions that VergeOS refused."""
        times = [one.at for one in self.on(case) if one.reply not in UNCOUNTED_REPLIES]
        return any(use.spent for use in uses(self._limits.vm_windows, times, now=now))

    def system_uses(self, *, now: float) -> tuple[Use, ...]:
        """Return the use of the system's rate limits."""
        since = now, len(self._spent)
        if self._system_uses is None or self._system_uses[0] != since:
            every = [one.at for one in self._spent]
            done = [one.at for one in self._spent if one.reply not in FREE_REPLIES]
            self._system_uses = (
                since,
                tuple(
                    use
                    for window in self._limits.system_windows
                    # A short window bounds the requests, a long one what they change.
                    for use in uses([window], every if window.seconds <= HOUR else done, now=now)
                ),
            )
        return self._system_uses[1]
