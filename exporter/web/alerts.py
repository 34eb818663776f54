"""The alerts and silences for pages and the API, and ``GET /api/v1/alerts`` and ``/silences``."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from exporter.alerting.alert_store import StoredAlert
from exporter.alerting.silences import SilenceInterval
from exporter.alerting.views import (
    AlertsAnswer,
    AlertView,
    MutedVMs,
    SilencesAnswer,
    SilenceView,
    alert_views,
    muted_vms,
    silence_views,
    vm_labels,
)
from exporter.clock import Clock
from exporter.console.fleet import VMEntry
from exporter.executor import run_in_thread
from exporter.web.commands import json_handler
from exporter.web.ports import Alerts

ALERTS = "/api/v1/alerts"
SILENCES = "/api/v1/silences"

Fleet = Callable[[], Sequence[VMEntry]]


class AlertViews:
    """
    Alerts and silences as they are shown; worked out once for each new state of them.

    Args:
        alerts: The source; None if there is none.
        vms: Returns the VMs of all systems.

    """

    def __init__(self, alerts: Alerts | None, vms: Fleet, clock: Clock) -> None:
        self.source = alerts
        self._vms = vms
        self._clock = clock
        self._muted: tuple[object, MutedVMs] = (None, {})
        """With what it was made of."""

    @property
    def posts(self) -> bool:
        """Whether the daemon posts its own alerts."""
        return self.source is not None and self.source.settings.posts_alerts

    @property
    def reads_silences(self) -> bool:
        return self.source is not None and self.source.settings.reads_silences

    @property
    def unknown(self) -> str:
        """Why the silences of an Alertmanager are unknown; empty if all are known."""
        return self.source.silences_unknown if self.source is not None else ""

    async def alerts(self) -> list[AlertView]:
        """Return the alerts of the daemon, the worst first."""
        if self.source is None:
            return []
        stored: list[StoredAlert] = list(self.source.store.alerts.values())
        silences, at = self.source.known_silences, self._clock.monotonic()
        external_labels = self.source.settings.external_labels
        return await run_in_thread(alert_views, stored, silences, external_labels, at=at)

    async def silences(self) -> list[SilenceView]:
        """Return the silences in force and those to come, with the VMs that each mutes."""
        if self.source is None:
            return []
        known, added = self.source.known_silences, self.source.settings.external_labels
        muted = await run_in_thread(self._muted_by, known, self._vms(), added)
        return silence_views(known, muted, at=self._clock.monotonic())

    def _muted_by(
        self,
        silences: Sequence[SilenceInterval],
        fleet: Sequence[VMEntry],
        external_labels: Mapping[str, str],
    ) -> MutedVMs:
        """Return the VMs that each silence mutes: every open page asks after each poll."""
        vms = [(vm.system, vm.key, vm.name, vm.node, vm.cluster) for vm in fleet]
        versions = [(one.silence.id, one.silence.updated_at) for one in silences]
        made_of = vms, versions, external_labels
        if self._muted[0] != made_of:
            labels = [vm_labels(*vm) for vm in vms]
            self._muted = made_of, muted_vms(silences, labels, external_labels)
        return self._muted[1]


class AlertsAPI:
    """The handlers of the JSON API; reading needs what ``/metrics`` needs."""

    def __init__(self, views: AlertViews) -> None:
        self._views = views

    def install(self, app: web.Application, limited: Callable[[Handler], Handler]) -> None:
        """Add the routes; *limited* bounds how many queries are answered at once."""
        app.router.add_get(ALERTS, limited(json_handler(self._alerts)))
        app.router.add_get(SILENCES, limited(json_handler(self._silences)))

    async def _alerts(self, _: web.Request) -> Any:
        return AlertsAnswer(configured=self._views.posts, alerts=await self._views.alerts())

    async def _silences(self, _: web.Request) -> Any:
        return SilencesAnswer(
            configured=self._views.reads_silences,
            unknown=self._views.unknown if self._views.reads_silences else "",
            silences=await self._views.silences(),
        )
