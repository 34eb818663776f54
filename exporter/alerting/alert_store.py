"""Which alerts are firing and which are over, kept from one look to the next, and over restarts."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from exporter.alerting.alerts import Alert, Limits, alerts, is_over
from exporter.alerting.silences import Moment
from exporter.model import SystemReport

Key = tuple[tuple[str, str], ...]
Thing = tuple[str, str, str]
REMEMBERED = timedelta(minutes=15)
"""How long it is told that an alert is over; then every Alertmanager has noticed by itself."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """An alert, from the moment it is told."""

    alert: Alert
    starts_at: Moment
    ends_at: Moment | None = None
    """When it was over; ``None`` while it is firing."""

    def line(self, *, until: datetime) -> dict[str, Any]:
        """Return it as Alertmanager wants it; unless it is repeated, it ends at *until*."""
        ends_at = self.ends_at or until
        return {
            "labels": self.alert.labels,
            "annotations": self.alert.annotations,
            "startsAt": min(self.starts_at, ends_at),
            "endsAt": ends_at,
        }


class AlertStore(NamedTuple):
    """Every alert that is told, or will be if it lasts."""

    entries: Mapping[Key, Entry]
    waiting: Mapping[Thing, float]
    """Since when, on our monotonic clock, something is so that has to last before it is told."""

    @property
    def firing(self) -> Sequence[Entry]:
        return [one for one in self.entries.values() if one.ends_at is None]

    def after(
        self,
        reports: Sequence[SystemReport],
        limits: Limits,
        runbooks: str,
        *,
        now: datetime,
        at: float,
    ) -> "AlertStore":
        """
        Return the roll after a look at *reports*.

        Args:
            now: The time of day.
            at: The same on our monotonic clock.

        """
        reports = [self._under_its_name(report) for report in reports]
        so = {
            alert.key: alert
            for report in reports
            for alert in alerts(report, limits, runbooks, now=now)
        }
        told = {one.alert.thing for one in self.firing}
        entries = self._kept(so, reports, limits, now)
        waiting: dict[Thing, float] = {}
        for key, alert in so.items():
            known = entries.get(key)
            since = self.waiting.get(alert.thing, at)
            if known is not None and known.ends_at is None:
                entries[key] = msgspec.structs.replace(known, alert=alert)
            elif alert.thing in told or at - since >= alert.wait_seconds:
                entries[key] = Entry(alert, now)
            else:
                waiting[alert.thing] = since
        return AlertStore(entries, waiting)

    def _kept(
        self,
        so: Mapping[Key, Alert],
        reports: Sequence[SystemReport],
        limits: Limits,
        now: datetime,
    ) -> dict[Key, Entry]:
        """Return what was told before: what is surely over ended now, what was long ago is gone."""
        by_url = {report.url: report for report in reports}
        things = {alert.thing for alert in so.values()}
        kept: dict[Key, Entry] = {}
        for key, entry in self.entries.items():
            alert, ended = entry.alert, entry.ends_at
            if ended is not None:
                if abs(now - ended) < REMEMBERED:
                    kept[key] = entry
                continue
            report = by_url.get(alert.url)
            over = key not in so and (
                alert.thing in things  # it goes on under another name
                or is_over(alert, report, limits, since=entry.starts_at, now=now)
            )
            kept[key] = _over(entry, now) if over else entry
        return kept

    def _under_its_name(self, report: SystemReport) -> SystemReport:
        """Return a report under the name that its cloud had before, until it says its name."""
        if report.identity is not None:
            return report
        names = (
            one.alert.labels.get("system_name", "")
            for one in self.firing
            if one.alert.url == report.url
        )
        name = next(names, report.system_name)
        return msgspec.structs.replace(report, system_name=name)


EMPTY = AlertStore({}, {})


def _over(entry: Entry, now: datetime) -> Entry:
    return msgspec.structs.replace(entry, ends_at=max(now, entry.starts_at))


def to_bytes(roll: AlertStore) -> bytes:
    """Return what the next process has to know."""
    return msgspec.json.format(msgspec.json.encode(list(roll.entries.values())), indent=1)


def from_bytes(body: bytes) -> AlertStore:
    """
    Return the roll of the process before this one.

    Raises:
        msgspec.DecodeError: It is none.

    """
    entries = msgspec.json.decode(body, type=list[Entry])
    return AlertStore({one.alert.key: one for one in entries}, {})


def post(entries: Iterable[Entry], *, until: datetime) -> bytes:
    """Return the body that tells an Alertmanager of *entries*."""
    return msgspec.json.encode([one.line(until=until.astimezone(UTC)) for one in entries])
