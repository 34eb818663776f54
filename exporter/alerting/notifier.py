"""Posts alerts to one Alertmanager."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import structlog

from exporter.alerting.alert_store import AlertStore, StoredAlert, Version, encode_alerts
from exporter.alerting.alertmanager import Alertmanager, AlertmanagerError
from exporter.alerting.config import AlertmanagerSettings
from exporter.clock import Clock
from exporter.telemetry import AlertmanagerMeter

log = structlog.get_logger()

EXPIRES_AFTER_POSTS = 4
"""Alertmanager resolves a firing alert after this many missed posts."""
MAX_ALERTS_PER_REQUEST = 500


class Notifier:
    """
    Posts all firing alerts periodically, and new ones at once.

    An alert that is resolved is not posted any more, and so ends in Alertmanager. To post its end
    would end it there also while the alert rules still have it, and their next post would begin it
    again: a "resolved" and another "firing" for one fact.

    After a failed post the next one waits for the next period.
    """

    def __init__(
        self,
        alertmanager: Alertmanager,
        settings: AlertmanagerSettings,
        clock: Clock,
        meter: AlertmanagerMeter,
    ) -> None:
        self._alertmanager = alertmanager
        self._settings = settings
        self._clock = clock
        self._meter = meter
        self._posted: frozenset[Version] = frozenset()
        """The firing alerts of the last successful post."""
        self._due_at = 0.0
        self._outcome = ""
        """How the last post failed; empty if it succeeded."""

    async def run(self, store: Callable[[], AlertStore]) -> None:
        while True:
            await self.notify(store())
            await self._clock.sleep(self._settings.evaluate_every_seconds)

    async def notify(self, store: AlertStore) -> None:
        """Post the alerts of *store* if there is something new or the period is over."""
        firing = store.posted
        versions = frozenset(stored.version for stored in firing)
        has_new = not versions <= self._posted
        if self._clock.monotonic() < self._due_at and (self._outcome or not has_new):
            return
        self._due_at = self._clock.monotonic() + self._settings.post_every_seconds
        url = self._alertmanager.url
        try:
            await self._post(firing)
        except AlertmanagerError as error:
            self._meter.count_post(url, error.outcome)
            self._report(str(error), error.outcome)
            return
        self._meter.count_post(url, "ok")
        self._report("", "")
        self._posted = versions
        self._meter.set_alerts(url, len(firing), self._clock.now().timestamp())

    async def _post(self, alerts: Sequence[StoredAlert]) -> None:
        """Post *alerts*; an empty list is posted too, as a check of the connection."""
        lifetime = timedelta(seconds=EXPIRES_AFTER_POSTS * self._settings.post_every_seconds)
        for first in range(0, len(alerts) or 1, MAX_ALERTS_PER_REQUEST):
            batch = alerts[first : first + MAX_ALERTS_PER_REQUEST]
            expires_at = self._clock.now() + lifetime
            body = encode_alerts(batch, self._settings.external_labels, expires_at=expires_at)
            await self._alertmanager.post(body)

    def _report(self, error: str, outcome: str) -> None:
        url = self._alertmanager.url
        self._meter.set_up(url, up=not error)
        if outcome != self._outcome:
            if error:
                log.warning("alertmanager.post_failed", error=error)
            else:
                log.info("alertmanager.post_recovered", alertmanager=url)
        self._outcome = outcome
