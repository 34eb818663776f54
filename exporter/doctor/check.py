"""What a check of the doctor is: a question about the inventory, and what to do about a finding."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from exporter.model import Finding, Inventory, Level, SystemReport


class Check(NamedTuple):
    """One check. `registry.CHECKS` lists them all."""

    name: str
    """As in ``vrg doctor`` of the vendor, such as ``drive_smart``."""
    about: str
    """What must be so for it to pass, in one sentence."""
    tables: tuple[str, ...]
    """The tables that it needs; without fresh rows of one of them it is skipped."""
    examine: Callable[[Inventory], Iterable[Finding]]
    """Returns what is wrong: of each object at most one finding, the worst."""
    remedy: str
    """What an operator does about a finding, in one sentence."""
    alert: str
    """The name of the alert that its findings raise, such as ``VergeDriveFailing``."""
    summary: str
    """What is wrong when it has a finding, in one sentence without names: the alert's title."""
    levels: tuple[Level, ...] = (Level.WARNING,)
    """The levels that its findings may have."""
    wakes: bool = False
    """Whether a critical finding needs an immediate response; others can wait until morning."""
    needs_rows: bool = True
    """Whether a table without rows is one that VergeOS does not show to this user."""
    needs_admin: bool = False
    """Whether VergeOS shows its tables to administrators only, as far as that is known."""
    depends_on_time: bool = False
    """Whether its findings change although its tables do not."""
    examine_polling: Callable[[SystemReport], Iterable[Finding]] | None = None
    """If given, it is called instead of `examine`: the check is about how polling does."""
    always_skipped: str = ""
    """Why the doctor cannot check this at all; empty if it can."""

    def alert_of(self, level: Level) -> str:
        """Return the name of the alert that a finding of *level* raises."""
        is_separate = level is Level.CRITICAL and self.wakes and Level.WARNING in self.levels
        return f"{self.alert}Critical" if is_separate else self.alert


def finds_nothing(_: Inventory) -> Iterable[Finding]:
    """Stand in for `Check.examine` of a check that does not look at inventories."""
    return ()
