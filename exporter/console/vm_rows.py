"""Numbers the VMs of one system, so that histories are columns of bytes and not objects per VM."""

from collections.abc import Iterable
from datetime import datetime, timedelta

REMEMBERED = timedelta(hours=24)
"""How long the row of a VM that is gone is kept."""
MAX_GONE = 1000
"""VMs that are gone and whose rows are kept; a script may create and delete VMs all day."""


class VMRows:
    """
    The row of each VM, by its key.

    A VM keeps its row while it is in the inventory and for a day after that. The rows of others are
    given to new VMs, so there are never more rows than VMs at one time and `MAX_GONE`.
    """

    def __init__(self) -> None:
        self._rows: dict[int, int] = {}
        self._gone: dict[int, datetime] = {}
        """When a VM was last seen, the oldest first."""
        self._free: list[int] = []
        self._seen_at: datetime | None = None
        self.count = 0
        """Rows, with those that are free."""

    def get(self, key: int) -> int | None:
        """Return the row of the VM *key*; None if it is not remembered."""
        return self._rows.get(key)

    def __getitem__(self, key: int) -> int:
        return self._rows[key]

    def last_seen(self, key: int) -> datetime | None:
        """Return when a VM that is gone was last in the inventory; else None."""
        return self._gone.get(key)

    def update(self, keys: Iterable[int], now: datetime) -> list[int]:
        """
        Give each of *keys* a row; the VMs with other keys are gone.

        Return the rows that were taken from VMs: what is known of these must be forgotten.
        """
        present = dict.fromkeys(keys)
        for key in self._rows.keys() - present.keys() - self._gone.keys():
            self._gone[key] = self._seen_at or now
        for key in [key for key in self._gone if key in present]:
            del self._gone[key]  # it is there again, as after an inventory without it
        freed = self._forget(now)
        self._free += freed
        for key in present.keys() - self._rows.keys():
            if self._free:
                self._rows[key] = self._free.pop()
            else:
                self._rows[key] = self.count
                self.count += 1
        self._seen_at = now
        return freed

    def _forget(self, now: datetime) -> list[int]:
        too_many = len(self._gone) - MAX_GONE
        old = [
            key
            for place, (key, seen_at) in enumerate(self._gone.items())
            if place < too_many or now - seen_at > REMEMBERED
        ]
        for key in old:
            del self._gone[key]
        return [self._rows.pop(key) for key in old]
