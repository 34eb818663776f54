"""The page at ``/``: how each cloud is doing, for people."""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from exporter.formatting import counted
from exporter.model import KNOWN_STATUS_WORDS, SystemReport, TableReport
from exporter.recovery.model.views import SystemRecoveryStatus, VMRecoveryStatus
from exporter.recovery.report.events import TimelineEvent
from exporter.web.health import State, reason_of, state_of
from exporter.web.wording import ago, ago_short, duration

BAR_WIDTH = 1000
SLIVER = 8
"""The least a status is given of the bar: one VM in error among 10,000 must be seen."""

TABLES_OPEN_UP_TO = 2
"""With more clouds than this, the tables of those that are well start folded."""

MOST_VMS = 20
MOST_ACTIONS = 5

RENEW_SECONDS = 30
RENEW_WHILE_WAITING_SECONDS = 3

_TONES = (
    ("bad", ("error", "unresponsive", "unlicensed")),
    ("warn", ("waitingforresources", "needsrestart", "needsrefresh", "unknown")),
    ("quiet", ("stopped", "hibernated", "maintenance")),
    ("good", ("running",)),
)
_TONE_OF_WORD = {word: tone for tone, words in _TONES for word in words}
_TONE_ORDER = ("good", "moving", "quiet", "warn", "bad")
_TONE_OF_STATE = {
    State.UP: "good",
    State.WAITING: "moving",
    State.STALE: "warn",
    State.UNREACHED: "bad",
    State.REFUSED: "bad",
}

_TONE_OF_POSTURE = {
    "active": "good",
    "warming_up": "moving",
    "circuit_breaker_half_open": "warn",
    "degraded": "warn",
    "paused": "warn",
    "disarmed": "warn",
    "circuit_breaker_open": "bad",
    "journal_down": "bad",
    "broken": "bad",
}
_TONE_OF_CASE = {
    "quarantined": "bad",
    "unknown": "bad",
    "held": "warn",
    "indeterminate": "warn",
    "backoff": "warn",
    "platform": "warn",
    "suspect": "moving",
    "acting": "moving",
    "verifying": "moving",
    "probation": "good",
}
"""The states that are trouble; what is not here is as it should be."""

_PAGES = Environment(
    loader=PackageLoader("exporter.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _asset(name: str) -> str:
    source, _, _ = PackageLoader("exporter.web").get_source(_PAGES, name)
    return source


_STYLE = _asset("status.css")
ICON = _asset("icon.svg")

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)
"""The page needs its own style and its own icon, and nothing else in the world."""


class Slice(NamedTuple):
    """The VMs of one status: a piece of the bar and an entry below it."""

    word: str
    tone: str
    number: str
    left: float
    width: float


class TableLine(NamedTuple):
    """One table, as text."""

    name: str
    state: str
    tone: str
    every: str
    last_success: str
    took: str
    rows: str
    skipped: str
    error: str


class TroubleLine(NamedTuple):
    """Something that went wrong, and when."""

    at: str
    ago: str
    what: str


class SystemRecovery(NamedTuple):
    """What there is to show of recovery in one cloud."""

    care: SystemRecoveryStatus
    vms: Sequence[VMRecoveryStatus]
    """Those in need of a person first."""
    actions: Sequence[TimelineEvent]
    """Newest first."""


class CaseLine(NamedTuple):
    """A VM in trouble."""

    state: str
    tone: str
    sentence: str


class RecoveryView(NamedTuple):
    """Recovery in one cloud, as text."""

    mode: str
    readiness: str
    tone: str
    because: str
    vms: str
    cases: Sequence[CaseLine]
    more: str
    actions: Sequence[TroubleLine]


class SystemView(NamedTuple):
    """One cloud, as text."""

    name: str
    url: str
    state: str
    tone: str
    reason: str
    version: str
    age: str
    vms: str
    slices: Sequence[Slice]
    requests: str
    tables: Sequence[TableLine]
    tables_summary: str
    tables_open: bool
    recent_errors: Sequence[TroubleLine]
    recovery: RecoveryView | None


def render_status(
    reports: Sequence[SystemReport],
    *,
    version: str,
    now: datetime,
    telemetry_path: str,
    docs_url: str | None = None,
    settings_problem: str = "",
    recovery: Iterable[SystemRecovery] = (),
) -> str:
    """
    Return the page as HTML; it needs no script and nothing from anywhere else.

    Args:
        settings_problem: Why the settings in force are not those that somebody wanted last.

    """
    crowded = len(reports) > TABLES_OPEN_UP_TO
    recoveries = {one.care.system: _recovery_view(one, now) for one in recovery}
    systems = [
        _system_view(report, now, recoveries.get(report.system_name), crowded=crowded)
        for report in reports
    ]
    return _PAGES.get_template("status.html").render(
        style=Markup(_STYLE),  # noqa: S704 - a file of ours
        systems=systems,
        headline=_headline(reports),
        version=version,
        telemetry_path=telemetry_path,
        docs_url=docs_url,
        settings_problem=settings_problem,
        now=f"{now:%Y-%m-%d %H:%M:%S} UTC",
        bar_width=BAR_WIDTH,
        renew_seconds=_renew_seconds(reports),
    )


def _renew_seconds(reports: Sequence[SystemReport]) -> int:
    waiting = not reports or any(state_of(report) is State.WAITING for report in reports)
    return RENEW_WHILE_WAITING_SECONDS if waiting else RENEW_SECONDS


def _headline(reports: Sequence[SystemReport]) -> str:
    if not reports:
        return "No cloud is being watched yet."
    vms = counted(sum(sum(report.vms_by_status.values()) for report in reports), "VM")
    states = [state_of(report) for report in reports]
    well = states.count(State.UP)
    if well == len(reports):
        return f"{counted(well, 'system')} up, {vms}."
    if all(state in (State.UP, State.WAITING) for state in states):
        return "Waiting for the first answer."
    return f"{well} of {counted(len(reports), 'system')} up, {vms}."


def _system_view(
    report: SystemReport, now: datetime, recovery: RecoveryView | None, *, crowded: bool
) -> SystemView:
    state = state_of(report)
    vms = sum(report.vms_by_status.values())
    tables = _table_lines(report.tables, now)
    sound = all(line.tone == "good" for line in tables)
    return SystemView(
        name=report.system_name,
        url=report.url,
        state=state.value,
        tone=_TONE_OF_STATE[state],
        reason=reason_of(report, now),
        version=report.identity.version if report.identity else "",
        age=ago(report.taken_at, now) if report.taken_at else "",
        vms=counted(vms, "VM") if vms or report.up else "",
        slices=_slices(report.vms_by_status),
        requests=(
            f"{report.requests_per_hour:,} requests an hour planned, "
            f"{report.requests_remaining:,} left in this one"
        ),
        tables=tables,
        tables_summary=_tables_summary(report.tables),
        tables_open=not crowded or not (sound or state is State.WAITING),
        recent_errors=[
            TroubleLine(f"{trouble.at:%Y-%m-%dT%H:%M:%SZ}", ago(trouble.at, now), trouble.what)
            for trouble in report.recent_errors
        ],
        recovery=recovery,
    )


def _recovery_view(recovery: SystemRecovery, now: datetime) -> RecoveryView:
    care = recovery.care
    cases = [
        CaseLine(one.state, _TONE_OF_CASE[one.state], one.sentence)
        for one in recovery.vms
        if one.state in _TONE_OF_CASE
    ][:MOST_VMS]
    counts = Counter(care.states) + Counter(care.others)
    more = sum(counts[state] for state in _TONE_OF_CASE) - len(cases)
    others = sum(care.others.values())
    return RecoveryView(
        mode=care.mode,
        readiness=care.readiness.replace("_", " "),
        tone=_TONE_OF_POSTURE.get(care.readiness, "warn"),
        because="; ".join(filter(None, (care.unseen, care.because))),
        vms=f"{counted(care.vms, 'VM')} looked after"
        + (f", {others} only looked at" if others else ""),
        cases=cases,
        more=f"and {counted(more, 'VM')} more" if more > 0 else "",
        actions=[
            TroubleLine(
                f"{one.time:%Y-%m-%dT%H:%M:%SZ}", ago(one.time, now), f"{one.vm}: {one.text}"
            )
            for one in recovery.actions
        ],
    )


def _tables_summary(tables: Iterable[TableReport]) -> str:
    tables = tuple(tables)
    failing = sum(table.success is False for table in tables)
    old = sum(table.success is True and not table.fresh for table in tables)
    parts = [counted(len(tables), "table")]
    if failing:
        parts.append(f"{failing} failing")
    if old:
        parts.append(f"{old} too old")
    return ", ".join(parts)


def _table_lines(tables: Iterable[TableReport], now: datetime) -> list[TableLine]:
    """Return a line per table; an error that stops them all is told once."""
    lines: list[TableLine] = []
    told: set[str] = set()
    for table in tables:
        lines.append(_table_line(table, now, tell_error=table.error not in told))
        told.add(table.error or "")
    return lines


def _table_line(table: TableReport, now: datetime, *, tell_error: bool) -> TableLine:
    state, tone = _table_state(table)
    return TableLine(
        name=table.table,
        state=state,
        tone=tone,
        every=duration(table.every_seconds),
        last_success=ago_short(table.last_success_at, now),
        took="" if table.duration_seconds is None else duration(table.duration_seconds),
        rows="" if table.rows is None else f"{table.rows:,}",
        skipped="" if table.rows_skipped is None else f"{table.rows_skipped:,}",
        error=(table.error or "") if tell_error else "",
    )


def _table_state(table: TableReport) -> tuple[str, str]:
    if table.success is None:
        return "not read yet", "moving"
    if not table.success:
        return "failing", "bad"
    return ("good", "good") if table.fresh else ("too old", "warn")


def _slices(vms_by_status: Mapping[str, int]) -> list[Slice]:
    present = [(word, count) for word, count in vms_by_status.items() if count > 0]
    present.sort(key=lambda item: (_TONE_ORDER.index(_tone(item[0])), -item[1], item[0]))
    shares = _shares([count for _, count in present])
    slices = []
    left = 0.0
    for (word, count), width in zip(present, shares, strict=True):
        slices.append(Slice(word, _tone(word), f"{count:,}", round(left, 2), round(width, 2)))
        left += width
    return slices


def _shares(counts: Sequence[int]) -> list[float]:
    """Return widths that fill the bar, none below a sliver."""
    total = sum(counts)
    wide = [max(count / total * BAR_WIDTH, SLIVER) for count in counts]
    return [width / sum(wide) * BAR_WIDTH for width in wide]


def _tone(word: str) -> str:
    if word in _TONE_OF_WORD:
        return _TONE_OF_WORD[word]
    return "moving" if word in KNOWN_STATUS_WORDS else "warn"
