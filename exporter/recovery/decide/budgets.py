"""What was done within the last week, as the budgets count it: by VM, and all together."""

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence

from exporter.recovery.decide.pace import Use, uses
from exporter.recovery.model.cases import Case, Reply, Spent
from exporter.recovery.model.limits import WEEK, Limits

NOT_ITS_FAULT = (Reply.NO_CAPACITY, Reply.FORBIDDEN, Reply.NOT_SENT)
"""After these a VM is not a step nearer to being given up."""


class ActionHistory:
    """The actions of one cloud's recovery, oldest first."""

    def __init__(self, limits: Limits, spent: Iterable[Spent] = ()) -> None:
        self._limits = limits
        self._spent: deque[Spent] = deque()
        self._refused: list[float] = []
        self._by_vm: dict[str, list[Spent]] = defaultdict(list)
        self._fleet: tuple[tuple[float, int], tuple[Use, ...]] | None = None
        for one in spent:
            self.add(one)

    def add(self, one: Spent) -> None:
        """Enter the newest action."""
        self._spent.append(one)
        self._by_vm[one.uuid].append(one)
        if one.reply is Reply.NO_CAPACITY:
            self._refused.append(one.at)

    def forget(self, *, now: float) -> None:
        """Leave out what is older than the longest budget."""
        while self._spent and self._spent[0].at <= now - WEEK:
            one = self._spent.popleft()
            self._by_vm[one.uuid].remove(one)
            if not self._by_vm[one.uuid]:
                del self._by_vm[one.uuid]
        self._refused = [at for at in self._refused if at > now - WEEK]

    @property
    def uuids(self) -> Sequence[str]:
        """The VMs that were acted upon."""
        return sorted(self._by_vm)

    @property
    def acted_at(self) -> float | None:
        """When the last action was sent, whatever the VM."""
        return self._spent[-1].at if self._spent else None

    @property
    def no_capacity(self) -> Sequence[float]:
        """When VergeOS refused for want of resources."""
        return self._refused

    def on(self, case: Case) -> Sequence[Spent]:
        """Return the actions on a VM that count against its budgets: those that it ever met."""
        mine = self._by_vm.get(case.uuid, ())
        return [
            one for one in mine if one.at >= case.forgiven_at and one.reply is not Reply.NOT_SENT
        ]

    def uses(self, case: Case, *, now: float) -> tuple[Use, ...]:
        """Return how much of a VM's budgets is used up."""
        return uses(self._limits.vm_windows, [one.at for one in self.on(case)], now=now)

    def blames(self, case: Case, *, now: float) -> bool:
        """Return whether a budget is spent even without what the platform refused."""
        times = [one.at for one in self.on(case) if one.reply not in NOT_ITS_FAULT]
        return any(use.spent for use in uses(self._limits.vm_windows, times, now=now))

    def system_uses(self, *, now: float) -> tuple[Use, ...]:
        """Return how much of the budgets of all VMs together is used up."""
        since = now, len(self._spent)
        if self._fleet is None or self._fleet[0] != since:
            times = [one.at for one in self._spent]
            self._fleet = since, uses(self._limits.system_windows, times, now=now)
        return self._fleet[1]
