"""Maintenance windows: weekly times in which recovery takes no action."""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta, tzinfo
from fnmatch import fnmatchcase
from typing import NamedTuple


class MaintenanceWindow(NamedTuple):
    """A time span that repeats every week."""

    days: frozenset[int]
    """Monday is 0; the day on which it begins."""
    start: time
    lasts: timedelta
    zone: tzinfo
    names: tuple[str, ...]
    """Name patterns of the VMs it applies to; empty for all."""
    reason: str

    def until(self, name: str, moment: datetime) -> datetime | None:
        """Return the end of the window if it applies to the VM *name* at *moment*; else None."""
        if self.names and not any(fnmatchcase(name, pattern) for pattern in self.names):
            return None
        today = moment.astimezone(self.zone).date()
        for days_ago in range(self.lasts.days + 2):
            day = today - timedelta(days=days_ago)
            began = datetime.combine(day, self.start, self.zone)
            # When daylight saving time changes inside the window, the later of the end by local
            # time and the end by elapsed time counts. UTC has no missing or doubled hour.
            by_local_time = (began + self.lasts).astimezone(UTC)
            ends = max(by_local_time, began.astimezone(UTC) + self.lasts)
            if day.weekday() in self.days and began.astimezone(UTC) <= moment < ends:
                return ends.astimezone(self.zone)
        return None


def active_window(windows: Iterable[MaintenanceWindow], name: str, moment: datetime) -> str:
    """Return the reason and end of the window active for the VM *name*; empty if none is."""
    for window in windows:
        until = window.until(name, moment)
        if until is not None:
            return f"{window.reason} (until {until:%a %H:%M} {window.zone})"
    return ""
