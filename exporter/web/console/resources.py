"""CPU and memory of a VM for its charts: from Prometheus, or else from the daemon's memory."""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from exporter.clock import Clock
from exporter.console.resource_history import Resources
from exporter.errors import PrometheusError
from exporter.web.ports import Overview, ResourceQueries

MAX_AGE_SECONDS = 60.0
"""Of what Prometheus answered: every open page of a VM asks at each poll."""
MOST_KEPT = 100
NOTHING = Resources((), (), ())


class Charted(NamedTuple):
    """What charts show."""

    resources: Resources
    problem: str = ""
    """Why it is not from Prometheus; empty if it is, or if none is asked."""


class _Answer(NamedTuple):
    at: float
    charted: Charted
    """Without values where Prometheus has none."""


class ChartedResources:
    """
    The resources of VMs.

    Args:
        systems: Have what the daemon keeps in memory.
        prometheus: Asks Prometheus; None where it is not configured.

    """

    def __init__(self, systems: Overview, prometheus: ResourceQueries | None, clock: Clock) -> None:
        self._systems, self._prometheus, self._clock = systems, prometheus, clock
        self._answers: OrderedDict[tuple[str, int], _Answer] = OrderedDict()

    async def of(self, system: str, key: int) -> Charted:
        """Return the resources of the VM *key* of *system*."""
        found = Charted(NOTHING)
        if self._prometheus is not None:
            found = await self._asked(self._prometheus, system, key)
            if any(_has_values(column) for column in found.resources[1:]):
                return found
        history = self._systems.histories().get(system)
        if history is None:
            return found
        return Charted(history.resources(key, self._clock.now()), found.problem)

    async def _asked(self, prometheus: ResourceQueries, system: str, key: int) -> Charted:
        answer, now = self._answers.get((system, key)), self._clock.monotonic()
        if answer is None or now - answer.at >= MAX_AGE_SECONDS:
            try:
                charted = Charted(await self._query(prometheus, system, key))
            except PrometheusError as error:
                charted = Charted(NOTHING, str(error))
            answer = self._answers[system, key] = _Answer(now, charted)
            self._answers.move_to_end((system, key))
            while len(self._answers) > MOST_KEPT:
                self._answers.popitem(last=False)
        return answer.charted

    async def _query(self, prometheus: ResourceQueries, system: str, key: int) -> Resources:
        found = await prometheus.means(system, key, until=self._clock.now().timestamp())
        times = [datetime.fromtimestamp(begin, UTC) for begin in found.begins]
        return Resources(times, found.cpu_ratios, found.memory_ratios)


def _has_values(column: Sequence[float | datetime | None]) -> bool:
    return any(value is not None for value in column)
