"""Pending events, ordered by time."""

import heapq
from collections.abc import Callable

Action = Callable[[], None]


class EventQueue:
    """A queue of actions by time; actions with equal times run in the order they were added."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Action]] = []
        self._added = 0

    def at(self, moment: float, action: Action) -> None:
        """Run *action* at *moment*, in Unix seconds."""
        self._added += 1
        heapq.heappush(self._heap, (moment, self._added, action))

    def due(self, until: float) -> tuple[float, Action] | None:
        """Remove and return the next action that is due by *until*."""
        if not self._heap or self._heap[0][0] > until:
            return None
        moment, _, action = heapq.heappop(self._heap)
        return moment, action
