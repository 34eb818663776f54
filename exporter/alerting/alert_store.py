"""Firing and resolved alerts, kept between evaluations and across restarts."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from exporter.alerting.alerts import Alert, current_alerts, is_resolved
from exporter.alerting.config import AlertLimits
from exporter.alerting.definitions import Links
from exporter.alerting.silences import Timestamp
from exporter.model import SystemReport

LabelSet = tuple[tuple[str, str], ...]
Subject = tuple[str, str, str]
Version = tuple[LabelSet, datetime, datetime | None]
RESOLVED_RETENTION = timedelta(minutes=15)
"""How long a resolved alert is kept."""


class StoredAlert(msgspec.Struct, frozen=True, gc=False):
    """An alert that fires or has fired."""

    alert: Alert
    starts_at: Timestamp
    ends_at: Timestamp | None = None
    """When it was resolved; ``None`` while it fires."""

    @property
    def version(self) -> Version:
        """Changes when the alert starts or ends, and must then be posted at once."""
        return self.alert.label_set, self.starts_at, self.ends_at

    def labels(self, external: Mapping[str, str]) -> Mapping[str, str]:
        """Return the labels as Alertmanager gets them; *external* ones replace none."""
        return {**external, **self.alert.labels}

    def payload(self, external: Mapping[str, str], *, expires_at: datetime) -> dict[str, Any]:
        """Return the alert as Alertmanager's API takes it; it ends at *expires_at* by itself."""
        return {
            "labels": self.labels(external),
            "annotations": self.alert.annotations,
            "startsAt": min(self.starts_at, expires_at),
            "endsAt": expires_at,
        }


class AlertStore(NamedTuple):
    """All alerts of all systems; immutable."""

    alerts: Mapping[LabelSet, StoredAlert] = {}
    pending: Mapping[Subject, float] = {}
    """Alerts that do not fire yet, with the monotonic time since when their condition holds."""
    silent: frozenset[str] = frozenset()
    """URLs of the systems whose alerts another replica posts. Ours could mute its alerts."""
    unseen: frozenset[str] = frozenset()
    """URLs of the systems whose VMs another replica saw last: their alerts have waited there."""

    @property
    def firing(self) -> Sequence[StoredAlert]:
        return [stored for stored in self.alerts.values() if stored.ends_at is None]

    @property
    def posted(self) -> Sequence[StoredAlert]:
        """The alerts to post."""
        return [stored for stored in self.firing if stored.alert.url not in self.silent]

    @property
    def by_version(self) -> Mapping[Version, StoredAlert]:
        return {stored.version: stored for stored in self.alerts.values()}

    def evaluate(
        self,
        reports: Sequence[SystemReport],
        limits: AlertLimits,
        links: Links,
        *,
        now: datetime,
        at: float,
    ) -> "AlertStore":
        """
        Return the store after an evaluation of *reports*.

        Args:
            now: The wall clock.
            at: The monotonic clock, in seconds.

        """
        reports = [self._with_known_name(report) for report in reports]
        current = {
            alert.label_set: alert
            for report in reports
            for alert in current_alerts(report, limits, links, now=now)
        }
        firing = {stored.alert.subject for stored in self.firing}
        alerts = self._kept(current, reports, limits, now)
        pending: dict[Subject, float] = {}
        for label_set, alert in current.items():
            stored = alerts.get(label_set)
            waited = alert.held_seconds if alert.url in self.unseen else 0.0
            since = self.pending.get(alert.subject, at - waited)
            if stored is not None and stored.ends_at is None:
                alerts[label_set] = msgspec.structs.replace(stored, alert=alert)
            elif alert.subject in firing or at - since >= alert.for_seconds:
                alerts[label_set] = StoredAlert(alert, now)
            else:
                pending[alert.subject] = since
        silent = frozenset(report.url for report in reports if _stands_by(report))
        unseen = silent | {report.url for report in reports if not _shows_vms(report)} & self.unseen
        return AlertStore(alerts, pending, silent, unseen)

    def _kept(
        self,
        current: Mapping[LabelSet, Alert],
        reports: Sequence[SystemReport],
        limits: AlertLimits,
        now: datetime,
    ) -> dict[LabelSet, StoredAlert]:
        """Return the known alerts: resolved where that is certain, dropped after the retention."""
        reports_by_url = {report.url: report for report in reports}
        subjects = {alert.subject for alert in current.values()}
        kept: dict[LabelSet, StoredAlert] = {}
        for label_set, stored in self.alerts.items():
            alert = stored.alert
            if stored.ends_at is not None:
                if abs(now - stored.ends_at) < RESOLVED_RETENTION:
                    kept[label_set] = stored
                continue
            report = reports_by_url.get(alert.url)
            resolved = label_set not in current and (
                alert.subject in subjects  # it continues under a new name
                or is_resolved(alert, report, limits, since=stored.starts_at, now=now)
            )
            ends_at = max(now, stored.starts_at) if resolved else None
            kept[label_set] = msgspec.structs.replace(stored, ends_at=ends_at)
        return kept

    def _with_known_name(self, report: SystemReport) -> SystemReport:
        """Name the system as in its firing alerts as long as its name is not known."""
        if report.named:
            return report
        names = (
            stored.alert.labels.get("system_name", "")
            for stored in self.firing
            if stored.alert.url == report.url
        )
        name = next(names, report.system_name)
        return msgspec.structs.replace(report, system_name=name)

    def to_json(self) -> bytes:
        """Return the alerts for the next process; pending ones start again there."""
        return msgspec.json.format(msgspec.json.encode(list(self.alerts.values())), indent=1)

    @classmethod
    def from_json(cls, body: bytes) -> "AlertStore":
        """
        Return the store of the previous process.

        Raises:
            msgspec.DecodeError: *body* is not what `to_json` writes.

        """
        alerts = msgspec.json.decode(body, type=list[StoredAlert])
        return cls({stored.alert.label_set: stored for stored in alerts})


def _stands_by(report: SystemReport) -> bool:
    return report.recovery is not None and report.recovery.stands_by


def _shows_vms(report: SystemReport) -> bool:
    return report.recovery is not None and bool(report.recovery.vms)


def encode_alerts(
    alerts: Iterable[StoredAlert], external: Mapping[str, str], *, expires_at: datetime
) -> bytes:
    """Return the body of a request that posts *alerts* with *external* labels to Alertmanager."""
    expires_at = expires_at.astimezone(UTC)
    payloads = [stored.payload(external, expires_at=expires_at) for stored in alerts]
    return msgspec.json.encode(payloads)
