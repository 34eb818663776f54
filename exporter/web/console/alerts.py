"""The page ``/alerts``: what the daemon alerts of, which silences mute it, and a new silence."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from itertools import groupby
from typing import NamedTuple

from aiohttp import web

from exporter.alerting.alertmanager import AlertmanagerError
from exporter.alerting.matchers import Matcher
from exporter.alerting.silences import NewSilence
from exporter.alerting.views import MADE_HERE, AlertView, SilenceView
from exporter.console.fleet import VMEntry
from exporter.formatting import counted, minute
from exporter.recovery.vm_lookup import ambiguous, exact_matches
from exporter.web.alerts import AlertViews
from exporter.web.commands import RequestError
from exporter.web.console.console import Console, leading_to
from exporter.web.console.sessions import CSRF_FIELD, Notice, Session
from exporter.web.ports import Alerts

PATH = "/alerts"
MAX_ALERTS = 20
"""Of each group, unless only that group is asked for."""
MAX_OF_GROUP = 1000
MAX_VMS = 20
"""Of each silence."""
MAX_SILENCES = 200
MAX_REASON = 500
DURATIONS: Mapping[str, str] = {
    "1h": "1 h",
    "4h": "4 h",
    "24h": "24 h",
    "tomorrow": "until tomorrow 08:00 UTC",
}
HOURS: Mapping[str, int] = {"1h": 1, "4h": 4, "24h": 24}
MORNING = time(8, tzinfo=UTC)
TONES: Mapping[str, str] = {"critical": "critical", "warning": "warning", "info": "pending"}
"""The CSS class of each severity."""


class AlertGroup(NamedTuple):
    """The alerts of one name in one system."""

    name: str
    system: str
    alerts: Sequence[AlertView]
    """Those that fire before those that are resolved."""

    @property
    def firing(self) -> int:
        return sum(one.resolved is None for one in self.alerts)

    @property
    def tone(self) -> str:
        return TONES.get(self.alerts[0].severity, "") if self.firing else "ok"


class AlertsPage:
    """The page and its forms."""

    def __init__(self, console: Console, views: AlertViews) -> None:
        self._console = console
        self._views = views

    def install_forms(self, app: web.Application) -> None:
        """Add the routes of the forms."""
        app.router.add_post(f"{PATH}/silence", self._console.form(self._silence))
        app.router.add_post(f"{PATH}/expire", self._console.form(self._expire))

    async def show(self, request: web.Request) -> web.Response:
        """Respond with the alerts and the silences."""
        views, query = self._views, request.query
        notice = self._console.notice(request)
        typed = notice.fields if notice is not None else {}
        chosen = query.get("name", "")
        groups = [
            one
            for one in alert_groups(await views.alerts())
            if not chosen or (one.name, one.system) == (chosen, query.get("system", ""))
        ]
        values = {
            "groups": groups,
            "chosen": chosen,
            "most": MAX_OF_GROUP if chosen else MAX_ALERTS,
            "pending": len(views.source.store.pending) if views.source is not None else 0,
            "silences": {one.id: one for one in await views.silences()},
            "posts": views.posts,
            "reads_silences": views.reads_silences,
            "unknown": views.unknown if views.reads_silences else "",
            "urls": views.source.settings.urls if views.source is not None else (),
            "systems": [state.report.system_name for state in self._console.states()],
            "durations": DURATIONS,
            "max_vms": MAX_VMS,
            "max_silences": MAX_SILENCES,
            "typed": typed,
            "given": {
                "vm": typed.get("vm")
                or self._readable(query.get("vm", ""), query.get("system", "")),
                **{
                    name: typed.get(name) or query.get(name, "")
                    for name in ("system", "duration", "reason")
                },
            },
        }
        return await self._console.page(request, "alerts.html", values)

    async def _silence(
        self, _: web.Request, session: Session, fields: Mapping[str, str]
    ) -> web.StreamResponse:
        try:
            vm = self._vm(fields.get("vm", "").strip(), fields.get("system", ""))
            ends = end_of(fields.get("duration", ""), self._console.clock.now())
            reason = _checked_reason(fields.get("reason", ""))
            await self._source.create_silence(
                silence_of(vm, session.owner, reason, begins=self._console.clock.now(), ends=ends)
            )
        except (RequestError, AlertmanagerError) as error:
            typed = {name: text for name, text in fields.items() if name != CSRF_FIELD}
            return leading_to(PATH, session, Notice(f"{error}.", failed=True, fields=typed))
        text = f"{vm.name} is silenced until {minute(ends)}. Recovery does not start it meanwhile."
        return leading_to(PATH, session, Notice(text))

    async def _expire(
        self, _: web.Request, session: Session, fields: Mapping[str, str]
    ) -> web.StreamResponse:
        try:
            silence = await self._made_here(fields.get("id", ""))
            await self._source.expire_silence(silence.id, session.owner)
        except (RequestError, AlertmanagerError) as error:
            return leading_to(PATH, session, Notice(f"{error}.", failed=True))
        names = ", ".join(one.name for one in silence.vms) or counted(0, "VM")
        return leading_to(PATH, session, Notice(f"The silence of {names} is ended."))

    @property
    def _source(self) -> Alerts:
        if self._views.source is None or not self._views.source.settings.urls:
            raise RequestError(409, "No Alertmanager is configured")
        return self._views.source

    async def _made_here(self, silence_id: str) -> SilenceView:
        for one in await self._views.silences():
            if one.id == silence_id and one.made_here:
                return one
        raise RequestError(404, "The console created no such silence that is still in force")

    def _readable(self, wanted: str, system: str) -> str:
        """Return the name of the VM that a link is of, or *wanted* where the name may mislead."""
        found = self._matches(wanted, system)
        if len(found) != 1:
            return wanted
        name = found[0].name
        is_plain = name.isprintable() and name == name.strip()
        return name if is_plain and self._matches(name, system) == found else wanted

    def _matches(self, wanted: str, system: str) -> list[VMEntry]:
        vms = [one for one in self._console.vms() if system in ("", one.system)]
        return exact_matches(vms, wanted) if wanted else []

    def _vm(self, wanted: str, system: str) -> VMEntry:
        """Return the VM with a name, key or UUID, as the commands of recovery find it."""
        found = self._matches(wanted, system)
        if len(found) == 1:
            return found[0]
        if not found:
            raise RequestError(404, f"No VM has the name, key or UUID {wanted!r}")
        raise RequestError(409, ambiguous(wanted, found))


def alert_groups(alerts: Sequence[AlertView]) -> list[AlertGroup]:
    """Return *alerts*, which are sorted, by name and system; the groups that fire first."""
    by_group = sorted(alerts, key=lambda one: (one.name, one.system))
    groups = [
        AlertGroup(name, system, list(each))
        for (name, system), each in groupby(by_group, lambda one: (one.name, one.system))
    ]
    place = {(one.name, one.system): number for number, one in reversed([*enumerate(alerts)])}
    return sorted(groups, key=lambda one: place[one.name, one.system])


def silence_of(
    vm: VMEntry, owner: str, reason: str, *, begins: datetime, ends: datetime
) -> NewSilence:
    """Return a silence of every alert about *vm*."""
    labels = {"system_name": vm.system, "vm_name": vm.name, "vm_id": str(vm.key)}
    return NewSilence(
        matchers=tuple(Matcher(label, text) for label, text in labels.items()),
        starts_at=begins,
        ends_at=ends,
        created_by=owner,
        comment=f"{reason} {MADE_HERE}",
    )


def end_of(duration: str, now: datetime) -> datetime:
    """
    Return when a silence ends that begins *now*.

    Raises:
        RequestError: *duration* is none of `DURATIONS`.

    """
    if duration == "tomorrow":
        return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), MORNING)
    if duration not in HOURS:
        raise RequestError(400, f"The duration must be one of {', '.join(DURATIONS)}")
    return now + timedelta(hours=HOURS[duration])


def _checked_reason(text: str) -> str:
    reason = text.strip()
    if not reason or not reason.isprintable() or len(reason) > MAX_REASON:
        raise RequestError(
            400, f"The reason must be a line of printable text of at most {MAX_REASON} characters"
        )
    return reason
