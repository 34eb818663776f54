"""The recovery state and the last action of every VM, for the metrics."""

from collections.abc import Callable, Mapping
from datetime import datetime
from operator import attrgetter

from exporter.model import LastAction, RecoveryVM
from exporter.recovery.model.cases import Case, Intent, Outcome

_by_key = attrgetter("key")


class StatusCache:
    """One entry per VM; the object stays the same as long as its case does."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[Case, RecoveryVM]] = {}
        self._last_actions: dict[str, LastAction] = {}
        """By UUID; actions of earlier processes are in the journal only."""

    def call(
        self, cases: Mapping[str, Case], time_of: Callable[[float], datetime]
    ) -> tuple[RecoveryVM, ...]:
        """
        Return the recovery state of every VM.

        Args:
            time_of: Returns the time of day of a second of watch.

        """
        before, now = self._entries, dict[str, tuple[Case, RecoveryVM]]()
        for uuid, case in cases.items():
            entry = before.get(uuid)
            if entry is None or entry[0] is not case:
                since = time_of(case.since)
                entry = case, RecoveryVM(case.key, case.name, case.policy, case.state, since)
            now[uuid] = entry
        self._entries = now
        return tuple(sorted((vm for _, vm in now.values()), key=_by_key))

    def renew(self) -> None:
        """Drop every entry, because the clock was changed and their times are wrong."""
        self._entries.clear()

    @property
    def last_actions(self) -> tuple[LastAction, ...]:
        return tuple(self._last_actions.values())

    def acted(self, intent: Intent, outcome: Outcome, *, at: datetime) -> None:
        """Record the last action on a VM."""
        done = LastAction(intent.vm_key, intent.name, intent.action, outcome, at)
        self._last_actions[intent.uuid] = done

    def strike(self, uuid: str) -> None:
        """Forget the last action on a VM that was deleted."""
        self._last_actions.pop(uuid, None)
