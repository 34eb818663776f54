"""Alerts and silences as the console and its API show them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from exporter.alerting.alert_store import StoredAlert
from exporter.alerting.silences import Silence, SilenceInterval
from exporter.alerting.vm_silences import holds_vm, may_hold_vms

MADE_HERE = "(from the console of Vergewatch)"
"""Ends the comment of a silence that the console created, and may therefore end."""
ANY = None
"""In place of the name of a VM."""
SEVERITIES = ("critical", "warning", "info")
"""The worst first."""
SHOWN_ELSEWHERE = frozenset(
    {"alertname", "severity", "layer", "source", "system_name", "vm_name", "vm_id"}
)


class AlertView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An alert of the daemon itself."""

    name: str
    severity: str
    system: str
    vm: str
    """Empty if it concerns no single VM."""
    vm_key: int | None
    labels: Mapping[str, str]
    """All labels, as they are posted."""
    summary: str
    description: str
    runbook_url: str
    dashboard_url: str
    since: datetime
    resolved: datetime | None
    """``None`` while it fires."""
    silences: tuple[str, ...]
    """The ids of the silences that mute it."""

    @property
    def more_labels(self) -> Mapping[str, str]:
        """The labels without those that other fields have."""
        return {name: text for name, text in self.labels.items() if name not in SHOWN_ELSEWHERE}


class SilencedVM(msgspec.Struct, frozen=True, gc=False):
    """A VM whose alerts a silence mutes; recovery does not start it meanwhile."""

    system: str
    key: int
    name: str


class SilenceView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A silence of Alertmanager that is active, or will be."""

    id: str
    active: bool
    owner: str
    comment: str
    starts: datetime
    ends: datetime
    matchers: tuple[str, ...]
    vms: tuple[SilencedVM, ...]
    made_here: bool
    """Whether the console created it."""


class AlertsAnswer(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Response of ``GET /api/v1/alerts``."""

    configured: bool
    """Whether an Alertmanager is configured to which the daemon posts its alerts."""
    alerts: Sequence[AlertView]
    """Those that fire, and those resolved in the last minutes; the worst first."""


class SilencesAnswer(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Response of ``GET /api/v1/silences``."""

    configured: bool
    """Whether an Alertmanager is configured whose silences the daemon reads."""
    unknown: str
    """Why the silences of an Alertmanager are unknown; empty if all are known."""
    silences: Sequence[SilenceView]
    """Those that end first, first."""


MutedVMs = Mapping[str, tuple[SilencedVM, ...]]
"""The VMs that a silence mutes, by its id."""


class VMLabels(NamedTuple):
    """A VM with the labels that silences of it match."""

    vm: SilencedVM
    labels: Mapping[str, str]


def vm_labels(system: str, key: int, name: str, node: str, cluster: str) -> VMLabels:
    """Return the labels of a VM; a node or cluster that is not known is left out."""
    location = {"node_name": node, "cluster_name": cluster}
    labels = {label: text for label, text in location.items() if text}
    labels |= {"system_name": system, "vm_id": str(key), "vm_name": name}
    return VMLabels(SilencedVM(system, key, name), labels)


def alert_views(
    alerts: Iterable[StoredAlert],
    silences: Iterable[SilenceInterval],
    external_labels: Mapping[str, str],
    *,
    at: float,
) -> list[AlertView]:
    """Return *alerts*: the firing ones before the resolved, and the worst first."""
    active = _by_vm_name(one.silence for one in silences if one.starts <= at < one.ends)
    found = []
    for stored in alerts:
        labels, notes = stored.labels(external_labels), stored.alert.annotations
        vm_key = labels.get("vm_id", "")
        found.append(
            AlertView(
                name=str(stored.alert.name),
                severity=labels.get("severity", ""),
                system=labels.get("system_name", ""),
                vm=labels.get("vm_name", ""),
                vm_key=int(vm_key) if vm_key.isdigit() else None,
                labels=labels,
                summary=notes.get("summary", ""),
                description=notes.get("description", ""),
                runbook_url=notes.get("runbook_url", ""),
                dashboard_url=notes.get("dashboard_url", ""),
                since=stored.starts_at,
                resolved=stored.ends_at,
                silences=tuple(
                    one.id
                    for one in (*active[labels.get("vm_name", "")], *active[ANY])
                    if all(each.matches(labels.get(each.name, "")) for each in one.matchers)
                ),
            )
        )
    return sorted(found, key=_urgency)


def muted_vms(
    silences: Iterable[SilenceInterval],
    vms: Sequence[VMLabels],
    external_labels: Mapping[str, str],
) -> MutedVMs:
    """Return those of *vms* that each of *silences* mutes."""
    by_name: dict[str, list[VMLabels]] = defaultdict(list)
    for vm in vms:
        by_name[vm.vm.name].append(vm)
    found = {}
    for one in silences:
        silence = one.silence
        if may_hold_vms(silence, external_labels):
            name = _vm_name(silence)
            candidates = vms if name is ANY else by_name.get(name, ())
            found[silence.id] = tuple(
                vm.vm for vm in candidates if holds_vm(silence, vm.labels, external_labels)
            )
    return found


def silence_views(
    silences: Iterable[SilenceInterval], muted: MutedVMs, *, at: float
) -> list[SilenceView]:
    """
    Return the *silences* that are active, and those to come; the first to end first.

    Args:
        at: Our monotonic clock, in seconds.

    """
    return [
        SilenceView(
            id=one.silence.id,
            active=one.starts <= at,
            owner=one.silence.created_by,
            comment=one.silence.comment,
            starts=one.silence.starts_at,
            ends=one.silence.ends_at,
            matchers=tuple(map(str, one.silence.matchers)),
            vms=muted.get(one.silence.id, ()),
            made_here=one.silence.comment.endswith(MADE_HERE),
        )
        for one in sorted(silences, key=lambda one: (one.starts > at, one.ends))
        if at < one.ends
    ]


def _by_vm_name(silences: Iterable[Silence]) -> Mapping[str | None, list[Silence]]:
    """Return *silences* by the name of the VM that each is of: there may be thousands of alerts."""
    found: dict[str | None, list[Silence]] = defaultdict(list)
    for silence in silences:
        found[_vm_name(silence)].append(silence)
    return found


def _vm_name(silence: Silence) -> str | None:
    """Return the only name that a VM of *silence* can have; `ANY` if there is no such name."""
    names = (
        one.value
        for one in silence.matchers
        if one.name == "vm_name" and one.is_equal and not one.is_regex
    )
    return next(names, ANY)


def _urgency(alert: AlertView) -> tuple[bool, int, str, str, datetime, str]:
    known = alert.severity in SEVERITIES
    severity = SEVERITIES.index(alert.severity) if known else len(SEVERITIES)
    resolved = alert.resolved is not None
    return resolved, severity, alert.name, alert.system, alert.since, alert.vm
