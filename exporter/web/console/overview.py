"""The page ``/``: the worst truth in one line, and of each system what is wrong first."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from typing import NamedTuple

from aiohttp import web

from exporter.collectors.cluster_status import CLUSTER_STATUS
from exporter.collectors.storage_tiers import STORAGE_TIERS
from exporter.console import links
from exporter.console.capacity import ClusterUse, TierUse, cluster_uses, tier_uses
from exporter.console.fleet import VMEntry, count_conditions
from exporter.console.headline import headline
from exporter.console.health import reason_of, state_of
from exporter.console.problems import Problem, count_findings, problems_of
from exporter.console.table_access import absence
from exporter.console.tones import OF_RECOVERY, tone_of_condition, tone_of_state
from exporter.console.vm_groups import VMGroup, vm_groups
from exporter.executor import run_in_thread
from exporter.exposition.view import RenderView
from exporter.formatting import counted
from exporter.model import Level, RecoveryReport, SystemReport, SystemState
from exporter.recovery.report.presentation import present_readiness
from exporter.web.console.console import Console

BAR_WIDTH = 1000
MIN_SEGMENT_WIDTH = 8
"""Keeps one VM that is down among 10,000 visible."""
MAX_GROUPS = 8
"""Of one system; the list of VMs has all."""


class Segment(NamedTuple):
    """The VMs of one condition in the bar of a system."""

    condition: str
    tone: str
    number: int
    href: str
    x: float
    width: float


class RecoveryLine(NamedTuple):
    """Recovery of a system in one line."""

    mode: str
    readiness: str
    tone: str
    because: str
    questions: int


class Card(NamedTuple):
    """One system on the page."""

    report: SystemReport
    state: str
    tone: str
    reason: str
    vms: int
    vms_href: str
    segments: Sequence[Segment]
    groups: Sequence[VMGroup]
    more: int
    """VMs in groups that are not shown."""
    more_href: str
    recovery: RecoveryLine | None
    doctor: str
    """Such as ``2 critical, 1 warning``; empty if it examined nothing."""
    doctor_tone: str
    tiers: Sequence[TierUse] | None
    no_tiers: str
    """Why the tiers are not known."""
    clusters: Sequence[ClusterUse] | None
    no_clusters: str
    problems: tuple[Problem, ...]


async def show(console: Console, request: web.Request) -> web.Response:
    """Respond with the overview."""
    states, vms, now = console.states(), console.vms(), console.clock.now()
    values = await run_in_thread(overview, states, vms, now)
    return await console.page(request, "overview.html", values)


def overview(
    states: Sequence[SystemState], vms: Sequence[VMEntry], now: datetime
) -> Mapping[str, object]:
    """Return what the page shows."""
    by_system: dict[str, list[VMEntry]] = defaultdict(list)
    for vm in vms:
        by_system[vm.system].append(vm)
    cards = [_card(state, by_system[state.report.system_name], now) for state in states]
    problems = [problem for card in cards for problem in card.problems]
    return {"headline": headline(len(cards), len(vms), problems), "cards": cards}


def _card(state: SystemState, vms: Sequence[VMEntry], now: datetime) -> Card:
    report, view = state.report, RenderView(state.inventory, state.report)
    health = state_of(report)
    groups = vm_groups(vms)
    findings = count_findings(report)
    tiers, clusters = tier_uses(view), cluster_uses(view)
    return Card(
        report=report,
        state=health.value,
        tone=tone_of_state(health),
        reason=reason_of(report, now),
        vms=len(vms),
        vms_href=links.vms(system=report.system_name),
        segments=_segments(report.system_name, vms),
        groups=groups[:MAX_GROUPS],
        more=sum(len(group.vms) for group in groups[MAX_GROUPS:]),
        more_href=links.vms(system=report.system_name),
        recovery=_recovery(report.recovery) if report.recovery is not None else None,
        doctor=_doctor(report, findings),
        doctor_tone="critical"
        if findings[Level.CRITICAL]
        else "warning"
        if findings[Level.WARNING]
        else "ok",
        tiers=tiers,
        no_tiers="" if tiers else absence(state.inventory, report, STORAGE_TIERS.name),
        clusters=clusters,
        no_clusters="" if clusters else absence(state.inventory, report, CLUSTER_STATUS.name),
        problems=problems_of(report, vms),
    )


def _segments(system: str, vms: Sequence[VMEntry]) -> Sequence[Segment]:
    """Return segments that fill the bar, none below the minimum width, the worst first."""
    counts = count_conditions(vms)
    widths = [max(count / len(vms) * BAR_WIDTH, MIN_SEGMENT_WIDTH) for count in counts.values()]
    scale = BAR_WIDTH / sum(widths) if widths else 0.0
    ends = [scale * width for width in accumulate(widths)]
    return [
        Segment(
            condition,
            tone_of_condition(condition),
            count,
            links.vms(system=system, condition=condition),
            round(end - width * scale, 2),
            round(width * scale, 2),
        )
        for (condition, count), width, end in zip(counts.items(), widths, ends, strict=True)
    ]


def _recovery(recovery: RecoveryReport) -> RecoveryLine:
    shown = present_readiness(recovery.readiness)
    return RecoveryLine(
        recovery.mode,
        shown.label,
        OF_RECOVERY[shown.tone],
        recovery.because,
        len(recovery.questions),
    )


def _doctor(report: SystemReport, findings: Mapping[Level, int]) -> str:
    if not report.doctor:
        return ""
    critical, warnings = findings[Level.CRITICAL], findings[Level.WARNING]
    parts = [f"{critical} critical"] * bool(critical)
    parts += [counted(warnings, "warning")] * bool(warnings)
    return ", ".join(parts) or "no findings"
