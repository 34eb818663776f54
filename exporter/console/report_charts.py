"""The recovery report of a system as values for a page: figures, bars and a chart."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from exporter.formatting import counted, lasting, minute
from exporter.recovery.report.incidents import Incident
from exporter.recovery.report.scorecard import DowntimeBar, Result, Scorecard, Share, result_of
from exporter.recovery.report.summary import RecoverySummary
from exporter.recovery.report.summary_text import (
    NOT_KNOWN,
    headline,
    incident_details,
    share_text,
    starts_text,
    with_text,
    without_text,
)

MAX_INCIDENTS = 500
"""Downtimes that are listed, the newest; `--csv` has all."""
MAX_ROWS = 20
"""Reasons and templates that are listed."""
MAX_LABELS = 6
"""Labels below the chart, as many as a telephone has room for."""
MIN_SLOTS = 4
"""So that one day is no bar as wide as the page."""
PLOT_TOP, PLOT_BOTTOM = 20, 160
"""Pixels from the top of the chart."""
AXIS_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1440, 3000)

TONES: Mapping[str, str] = {
    Result.RESTARTED: "ok",
    Result.WOULD: "pending",
    Result.PERSON: "warning",
    Result.OTHER: "inactive",
    Result.PLATFORM: "ok",
    Result.STOPPED: "inactive",
    Result.BRIEF: "inactive",
    Result.DOWN: "critical",
    Result.RELEASED: "inactive",
}
"""CSS classes."""


class Row(NamedTuple):
    """A horizontal bar with its label and its value."""

    label: str
    value: str
    percent: float
    tone: str


class Segment(NamedTuple):
    """A part of a bar that shows shares of a whole."""

    label: str
    cases: int
    start: float
    percent: float
    tone: str


class Column(NamedTuple):
    """A pair of bars of the chart, in percent of its width and pixels of its height."""

    title: str
    left: float
    width: float
    middle: float
    """Where the second bar begins."""
    label: str
    """Empty where there is no room for one."""
    with_top: float
    without_top: float | None
    """``None`` if the downtime without recovery is not known."""


class Line(NamedTuple):
    """A line across the chart."""

    top: float
    label: str


class Chart(NamedTuple):
    """The downtime in each hour or day."""

    columns: Sequence[Column]
    lines: Sequence[Line]


class Event(NamedTuple):
    """A downtime in the list."""

    incident: Incident
    result: str
    tone: str
    details: str


def system_report(summary: RecoverySummary) -> dict[str, object]:
    """Return the values of the templates in ``report_parts.html``."""
    card = summary.scorecard
    newest = summary.incidents[: -MAX_INCIDENTS - 1 : -1]
    return {
        "summary": summary,
        "headline": headline(summary),
        "period": f"{minute(summary.since)} to {minute(summary.until)}",
        "precision": _unbroken(share_text(card.precision)),
        "recall": _unbroken(share_text(card.recall)),
        "starts": starts_text(card),
        "with_text": with_text(card),
        "without_text": without_text(card),
        "with_recovery": lasting(card.with_seconds),
        "without": lasting(card.without_seconds) if card.without_seconds is not None else NOT_KNOWN,
        "without_estimated": card.without_seconds is not None
        and any(one.acted and one.without_seconds != one.with_seconds for one in summary.incidents),
        "chart": _chart(card),
        "bottom": PLOT_BOTTOM,
        "results": _results(card),
        "actions": _segments(card.precision, ("right", "wrong", "not known")),
        "needed": _segments(card.recall, ("started by Vergewatch", "missed", "not known")),
        "holds": _holds(card),
        "templates": card.templates[:MAX_ROWS],
        "events": [_event(one, summary) for one in newest],
        "unlisted": len(summary.incidents) - len(newest),
    }


def _unbroken(share: str) -> str:
    """Return *share* with no line break before a percent sign."""
    return share.replace(" %", "\N{NO-BREAK SPACE}%")


def _event(incident: Incident, summary: RecoverySummary) -> Event:
    result = result_of(incident)
    details = "; ".join(incident_details(incident, summary.until))
    if incident.is_wrong:
        return Event(incident, f"{result}, wrong", "critical", details)
    return Event(incident, result.value, TONES[result], details)


def _results(card: Scorecard) -> list[Row]:
    most = max(card.results.values(), default=1)
    return [
        Row(name, f"{count:,}", 100 * count / most, TONES.get(name, "inactive"))
        for name, count in card.results.items()
    ]


def _holds(card: Scorecard) -> list[Row]:
    most = max((one.seconds for one in card.holds), default=0.0) or 1.0
    return [
        Row(
            one.reason,
            f"{counted(one.downtimes, 'downtime')}, {lasting(one.seconds)}",
            100 * one.seconds / most,
            "warning",
        )
        for one in card.holds[:MAX_ROWS]
    ]


def _segments(share: Share, labels: Sequence[str]) -> list[Segment]:
    counts = (share.right, share.wrong, share.not_known)
    total = sum(counts)
    if not total:
        return []
    starts = accumulate(counts, initial=0)
    return [
        Segment(label, count, 100 * start / total, 100 * count / total, tone)
        for label, count, start, tone in zip(
            labels, counts, starts, ("ok", "critical", "inactive"), strict=False
        )
    ]


def _chart(card: Scorecard) -> Chart:
    longest = max(
        (second for bar in card.bars for second in (bar.with_seconds, bar.without_seconds or 0.0)),
        default=0.0,
    )
    if not longest:
        return Chart((), ())
    step = _axis_step(longest)
    axis = step * -(-longest // step)

    def top(seconds: float) -> float:
        return round(PLOT_BOTTOM - (PLOT_BOTTOM - PLOT_TOP) * seconds / axis, 1)

    marks = [step * number for number in range(1, round(axis / step) + 1)]
    return Chart(list(_columns(card, top)), [Line(top(mark), lasting(mark)) for mark in marks])


def _axis_step(longest: float) -> float:
    """Return the seconds between two lines, of which there are four at most."""
    for minutes in AXIS_MINUTES:
        if longest <= 4 * minutes * 60:
            return minutes * 60.0
    days = -(-longest // (4 * 86_400))
    return days * 86_400.0


def _columns(card: Scorecard, top: Callable[[float], float]) -> Iterator[Column]:
    slot = 100 / max(len(card.bars), MIN_SLOTS)
    width = slot * 0.38
    every = -(-len(card.bars) // MAX_LABELS)
    for number, bar in enumerate(card.bars):
        left, without = slot * number + slot * 0.12, bar.without_seconds
        yield Column(
            title=_title(bar, hourly=card.hourly),
            left=round(left, 3),
            width=round(width, 3),
            middle=round(left + width, 3),
            label=_label(bar, hourly=card.hourly) if number % every == 0 else "",
            with_top=top(bar.with_seconds),
            without_top=top(without) if without is not None else None,
        )


def _label(bar: DowntimeBar, *, hourly: bool) -> str:
    return f"{bar.began:%H:%M} UTC" if hourly else f"{bar.began:%b} {bar.began.day}"


def _title(bar: DowntimeBar, *, hourly: bool) -> str:
    when = minute(bar.began) if hourly else f"{bar.began:%Y-%m-%d}"
    without = bar.without_seconds
    estimate = lasting(without) if without is not None else NOT_KNOWN
    return f"{when}: {lasting(bar.with_seconds)} with recovery, {estimate} without"
