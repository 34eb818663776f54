"""The status page at ``/``: the state of each system, its VMs, tables and recovery."""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from exporter.formatting import ago, counted, span
from exporter.model import KNOWN_STATUS_WORDS, StatusWord, SystemReport, TableReport
from exporter.recovery.report.presentation import Tone, present_readiness, present_state
from exporter.web.health import State, reason_of, state_of
from exporter.web.recovery import SystemRecovery

BAR_WIDTH = 1000
MIN_SEGMENT_WIDTH = 8
"""Keeps one VM in error among 10,000 visible."""

TABLES_OPEN_UP_TO = 2
"""With more systems than this, the details of those without problems start folded."""

REFRESH_SECONDS = 30
REFRESH_WHILE_WAITING_SECONDS = 3

# Severities are CSS classes of status.css.
_SEVERITY_ORDER = ("ok", "pending", "inactive", "warning", "critical")
_SEVERITIES: Mapping[State | Tone | str, str] = {
    StatusWord.RUNNING: "ok",
    StatusWord.STOPPED: "inactive",
    StatusWord.HIBERNATED: "inactive",
    StatusWord.MAINTENANCE: "inactive",
    StatusWord.WAITINGFORRESOURCES: "warning",
    StatusWord.NEEDSRESTART: "warning",
    StatusWord.NEEDSREFRESH: "warning",
    StatusWord.ERROR: "critical",
    StatusWord.UNRESPONSIVE: "critical",
    StatusWord.UNLICENSED: "critical",
    State.UP: "ok",
    State.FROZEN: "critical",
    State.WAITING: "pending",
    State.UNNAMED: "warning",
    State.STALE: "warning",
    State.UNREACHABLE: "critical",
    State.REFUSED: "critical",
    Tone.GOOD: "ok",
    Tone.MOVING: "pending",
    Tone.QUIET: "inactive",
    Tone.WARN: "warning",
    Tone.BAD: "critical",
}
_SEVERITY_OF_TABLE = {
    "ok": "ok",
    "failing": "critical",
    "stale": "warning",
    "not polled yet": "pending",
}

_FOLDER = Path(__file__).with_name("templates")
_STYLE = (_FOLDER / "status.css").read_text()


def _code(text: str) -> Markup:
    """Return *text* as HTML, with what stands between backticks as code."""
    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else part
        for number, part in enumerate(parts)
    )


_TEMPLATES = Environment(
    loader=FileSystemLoader(_FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {"ago": ago, "span": span, "code": _code}

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)
"""Allows the page's inline style and its icon only."""


class TableView(NamedTuple):
    """One table and its state."""

    report: TableReport
    state: str
    severity: str
    error: str
    """Empty if a table above has the same error."""


def render_status(
    reports: Sequence[SystemReport],
    *,
    version: str,
    now: datetime,
    telemetry_path: str,
    settings_problem: str = "",
    recovery: Iterable[SystemRecovery] = (),
) -> str:
    """
    Return the page as HTML, without scripts and external resources.

    Args:
        reports: One per system, in the order of the configuration.
        version: Of Vergewatch.
        now: The time that ages are computed from.
        telemetry_path: Where the metrics are.
        settings_problem: Why the last reload was rejected; empty if it was not.
        recovery: One per system that has recovery on.

    """
    recoveries = {one.status.system: _recovery_view(one) for one in recovery}
    is_open = len(reports) <= TABLES_OPEN_UP_TO
    waiting = not reports or any(state_of(report) is State.WAITING for report in reports)
    return _TEMPLATES.get_template("status.html").render(
        style=Markup(_STYLE),  # noqa: S704 - a file of this package
        systems=[
            _system_view(report, now, recoveries.get(report.system_name), is_open=is_open)
            for report in reports
        ],
        headline=_headline(reports),
        version=version,
        telemetry_path=telemetry_path,
        settings_problem=settings_problem,
        now=now,
        bar_width=BAR_WIDTH,
        refresh_seconds=REFRESH_WHILE_WAITING_SECONDS if waiting else REFRESH_SECONDS,
    )


def _headline(reports: Sequence[SystemReport]) -> str:
    if not reports:
        return "No system is monitored yet."
    vms = counted(sum(sum(report.vms_by_status.values()) for report in reports), "VM")
    states = [state_of(report) for report in reports]
    up = states.count(State.UP)
    if up == len(reports):
        return f"{counted(up, 'system')} up, {vms}."
    if all(state in (State.UP, State.WAITING) for state in states):
        return "Waiting for the first poll."
    return f"{up} of {counted(len(reports), 'system')} up, {vms}."


def _system_view(
    report: SystemReport, now: datetime, recovery: Mapping[str, Any] | None, *, is_open: bool
) -> Mapping[str, Any]:
    state = state_of(report)
    vms = sum(report.vms_by_status.values())
    tables = _table_views(report.tables)
    has_problem = any(table.state != "ok" for table in tables) and state is not State.WAITING
    counts = Counter(table.state for table in tables)
    return {
        "report": report,
        "state": state.value,
        "severity": _SEVERITIES[state],
        "reason": reason_of(report, now),
        "vms": counted(vms, "VM") if vms or report.up else "",
        "segments": _bar_segments(report.vms_by_status),
        "tables": tables,
        "tables_summary": ", ".join(
            f"{counts[word]} {word}" for word in _SEVERITY_OF_TABLE if counts[word]
        ),
        "is_open": is_open or has_problem,
        "recovery": recovery,
    }


def _recovery_view(recovery: SystemRecovery) -> Mapping[str, Any]:
    status = recovery.status
    cases = [
        (vm, _SEVERITIES[one.tone])
        for vm in recovery.vms
        if (one := present_state(vm.state)).trouble
    ]
    counts = Counter(status.states) + Counter(status.others)
    more = sum(counts[state] for state in counts if present_state(state).trouble) - len(cases)
    readiness = present_readiness(status.readiness)
    monitored = sum(status.others.values())
    return {
        "readiness": readiness.label,
        "severity": _SEVERITIES[readiness.tone],
        "reason": "; ".join(filter(None, (status.unseen, status.because))),
        "summary": f"{status.mode} mode, {counted(status.vms, 'VM')} enrolled"
        + (f", {monitored:,} monitored only" if monitored else ""),
        "questions": status.questions,
        "cases": cases,
        "more": f"and {counted(more, 'VM')} more" if more > 0 else "",
        "actions": recovery.actions,
    }


def _table_views(tables: Iterable[TableReport]) -> list[TableView]:
    views: list[TableView] = []
    shown: set[str] = set()
    for table in tables:
        error = table.error or ""
        state = _table_state(table)
        views.append(
            TableView(table, state, _SEVERITY_OF_TABLE[state], "" if error in shown else error)
        )
        shown.add(error)
    return views


def _table_state(table: TableReport) -> str:
    if table.success is None:
        return "not polled yet"
    if not table.success:
        return "failing"
    return "ok" if table.fresh else "stale"


def _bar_segments(vms_by_status: Mapping[str, int]) -> list[Mapping[str, Any]]:
    """Return segments that fill the bar, none below the minimum width, critical ones last."""
    present: list[dict[str, Any]] = [
        {"status": status, "severity": _severity(status), "vms": count}
        for status, count in vms_by_status.items()
        if count > 0
    ]
    present.sort(
        key=lambda one: (_SEVERITY_ORDER.index(one["severity"]), -one["vms"], one["status"])
    )
    total = sum(one["vms"] for one in present)
    widths = [max(one["vms"] / total * BAR_WIDTH, MIN_SEGMENT_WIDTH) for one in present]
    scale = BAR_WIDTH / sum(widths) if widths else 0.0
    ends = [scale * width for width in accumulate(widths)]
    return [
        {**one, "x": round(end - width * scale, 2), "width": round(width * scale, 2)}
        for one, width, end in zip(present, widths, ends, strict=True)
    ]


def _severity(status: str) -> str:
    """Return the severity of a VM status; a status new to this version is a warning."""
    default = "pending" if status in KNOWN_STATUS_WORDS else "warning"
    return _SEVERITIES.get(status, default)
