"""Maintenance windows: weekly times in which recovery takes no action."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import cache
from typing import Annotated, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from annotated_types import Gt, Le, MinLen, Predicate

from exporter.patterns import Patterns, fits

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def is_zone(name: str) -> bool:
    """
    Return True if *name* is a time zone.

    Raises:
        ValueError: It is none.

    """
    try:
        zone_of(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        if not _has_zones():
            raise ValueError(
                "cannot be used: this machine has no time zone data, so only UTC is known; "
                "install the package tzdata"
            ) from None
        raise ValueError("is not a time zone such as Europe/Berlin") from None
    return True


@cache
def zone_of(name: str) -> tzinfo:
    """Return a time zone; one that was found once stays, also if its file is removed."""
    return UTC if name == "UTC" else ZoneInfo(name)  # UTC needs no file


def _has_zones() -> bool:
    """Return whether the machine has any time zone data."""
    try:
        ZoneInfo("Etc/UTC")
    except (ZoneInfoNotFoundError, OSError):
        return False
    return True


@dataclass(frozen=True, kw_only=True, slots=True)
class MaintenanceWindow:
    """A weekly maintenance window, during which recovery sends no action."""

    __pydantic_config__: ClassVar = {
        "extra": "forbid",
        "use_attribute_docstrings": True,
        "allow_inf_nan": False,
    }

    days: Annotated[tuple[Day, ...], MinLen(1)] = DAYS
    """Days on which the window starts."""
    start: time
    """Start time, such as `22:00`."""
    hours: Annotated[float, Gt(0), Le(7 * 24)]
    """Duration in hours."""
    zone: Annotated[str, Predicate(is_zone)] = "UTC"
    """The time zone of `start`."""
    names: Patterns = ()
    """Patterns of the VMs that the window applies to. Default: all VMs."""
    reason: Annotated[str, MinLen(1)]
    """The reason that `vergewatch explain` shows."""

    def until(self, name: str, moment: datetime) -> datetime | None:
        """Return the end of the window if it covers the VM *name* at *moment*; else None."""
        if self.names and not fits(name, self.names):
            return None
        zone, lasts = zone_of(self.zone), timedelta(hours=self.hours)
        today = moment.astimezone(zone).date()
        for days_ago in range(lasts.days + 3):  # one more when a clock change extends it
            day = today - timedelta(days=days_ago)
            began = datetime.combine(day, self.start, zone)
            # When daylight saving time changes inside the window, the later of the end by local
            # time and the end by elapsed time counts. UTC has no missing or doubled hour.
            by_local_time = (began + lasts).astimezone(UTC)
            ends = max(by_local_time, began.astimezone(UTC) + lasts)
            if DAYS[day.weekday()] in self.days and began.astimezone(UTC) <= moment < ends:
                return ends.astimezone(zone)
        return None


def active_window(windows: Iterable[MaintenanceWindow], name: str, moment: datetime) -> str:
    """Return the reason of a window that covers the VM *name* at *moment*, and its end; or ""."""
    for window in windows:
        until = window.until(name, moment)
        if until is not None:
            return f"{window.reason} (until {until:%a %H:%M} {window.zone})"
    return ""
