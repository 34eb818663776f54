"""Hours in which an operator has said beforehand that recovery keeps still."""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta, tzinfo
from fnmatch import fnmatchcase
from typing import NamedTuple


class MaintenanceWindow(NamedTuple):
    """A stretch of time that comes again every week."""

    days: frozenset[int]
    """Monday is 0; the day on which it begins."""
    start: time
    lasts: timedelta
    zone: tzinfo
    names: tuple[str, ...]
    """Patterns of the VMs that it is for; empty for all."""
    reason: str

    def until(self, name: str, moment: datetime) -> datetime | None:
        """Return until when the VM *name* is to be left alone at *moment*; None if it is not."""
        if self.names and not any(fnmatchcase(name, pattern) for pattern in self.names):
            return None
        today = moment.astimezone(self.zone).date()
        for days_ago in range(self.lasts.days + 2):
            day = today - timedelta(days=days_ago)
            began = datetime.combine(day, self.start, self.zone)
            # In a night in which the clocks are changed, by the wall or by the hours that have
            # passed, whichever is longer. In UTC, since no hour is missing or doubled there.
            by_the_wall = (began + self.lasts).astimezone(UTC)
            ends = max(by_the_wall, began.astimezone(UTC) + self.lasts)
            if day.weekday() in self.days and began.astimezone(UTC) <= moment < ends:
                return ends.astimezone(self.zone)
        return None


def active_window(windows: Iterable[MaintenanceWindow], name: str, moment: datetime) -> str:
    """Return why the VM *name* is to be left alone at *moment*, and until when; or nothing."""
    for window in windows:
        until = window.until(name, moment)
        if until is not None:
            return f"{window.reason} (until {until:%a %H:%M} {window.zone})"
    return ""
