"""Keeps what was made of the newest entries of VMs, until there are newer ones."""

from collections.abc import Callable
from typing import Generic, TypeVar

from exporter.console.fleet import VMEntry

T = TypeVar("T")
Entries = tuple[VMEntry, ...]


class OfNewest(Generic[T]):
    """
    A function of entries that is evaluated once for the same tuple of them.

    Threads may call it at once: the worst is that both evaluate it.
    """

    def __init__(self, make: Callable[[Entries], T]) -> None:
        self._make = make
        self._known: tuple[Entries, T] | None = None

    def __call__(self, entries: Entries) -> T:
        """Return what is made of *entries*."""
        known = self._known
        if known is None or known[0] is not entries:
            known = self._known = entries, self._make(entries)
        return known[1]
