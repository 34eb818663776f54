"""What will happen and when: a heap of events, kept in the order they were made in."""

import heapq
from collections.abc import Callable

Action = Callable[[], None]


class EventQueue:
    """Appointments of the world; two for the same moment happen in the order of their making."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Action]] = []
        self._made = 0

    def at(self, moment: float, action: Action) -> None:
        """Let *action* happen at *moment*, in Unix seconds."""
        self._made += 1
        heapq.heappush(self._heap, (moment, self._made, action))

    def due(self, until: float) -> tuple[float, Action] | None:
        """Take the next entry that is not later than *until*."""
        if not self._heap or self._heap[0][0] > until:
            return None
        moment, _, action = heapq.heappop(self._heap)
        return moment, action
