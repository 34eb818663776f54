"""
How good recovery was in a period: precision, recall, downtime with and without it, what held it.

docs/recovery.md defines the terms.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from statistics import median
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from exporter.recovery.model.cases import DiagnosisKind
from exporter.recovery.report.incidents import (
    ACTION_FAILED,
    NEEDS_NO_START,
    Confirmation,
    End,
    Incident,
)
from exporter.recovery.report.teaching import teach_command

HOURLY_UP_TO = timedelta(days=2)
"""Periods up to this length have a bar for each hour in the chart, longer ones for each day."""


class Result(StrEnum):
    """What became of a downtime."""

    RESTARTED = "restarted by Vergewatch"
    WOULD = "would have been restarted"
    PERSON = "started by a person"
    OTHER = "came back, it is not known by whom"
    PLATFORM = "restarted by VergeOS"
    STOPPED = "stopped on purpose"
    BRIEF = "up again before a diagnosis"
    DOWN = "still down"
    RELEASED = "no longer monitored"


class Share(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A share of which some cases are not known."""

    right: int = 0
    wrong: int = 0
    not_known: int = 0
    low: float | None = None
    """If all that is not known was wrong; ``None`` without any case."""
    high: float | None = None
    """If all that is not known was right."""


class DowntimeBar(msgspec.Struct, frozen=True, gc=False):
    """The downtime in an hour or a day."""

    began: datetime
    with_seconds: float
    without_seconds: float | None
    """``None`` if it cannot be estimated."""


class HoldTotal(msgspec.Struct, frozen=True, gc=False):
    """A reason why recovery did not act."""

    reason: str
    downtimes: int
    seconds: float


class TemplateTotal(msgspec.Struct, frozen=True, gc=False):
    """The template of unknown log rows that blocked diagnoses."""

    template: str
    diagnoses: int
    """In how many downtimes it blocked the diagnosis."""
    command: str
    """The command that teaches its meaning."""


class Scorecard(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """How good recovery was."""

    precision: Share = Share()
    """Of the actions: how many were right."""
    recall: Share = Share()
    """Of the downtimes that needed a start: in how many recovery started the VM."""
    missed_seconds: float = 0.0
    """Downtime in which a person had to start the VM."""
    with_seconds: float = 0.0
    """Unwanted downtime with recovery; in shadow mode an estimate."""
    without_seconds: float | None = 0.0
    """Without recovery; ``None`` if it cannot be estimated."""
    person_seconds: float | None = None
    """Median of the downtimes that a person ended, on which that rests; ``None`` without any."""
    is_estimated: bool = False
    """Whether the downtime with recovery has estimates: actions that would have been taken."""
    bars: tuple[DowntimeBar, ...] = ()
    """Oldest first, without gaps."""
    hourly: bool = False
    """Whether the bars are hours; else they are days (UTC)."""
    holds: tuple[HoldTotal, ...] = ()
    """The reason that held most downtimes first."""
    templates: tuple[TemplateTotal, ...] = ()
    """The template that blocked most diagnoses first."""
    results: dict[str, int] = {}
    """Downtimes by `Result`."""


class _Interval(NamedTuple):
    began: datetime
    ended: datetime

    @property
    def seconds(self) -> float:
        return max(0.0, (self.ended - self.began).total_seconds())

    def within(self, since: datetime, until: datetime) -> "_Interval":
        return _Interval(max(self.began, since), min(self.ended, until))


class _Downtimes(NamedTuple):
    """When a VM was down, and when it would have been down with and without recovery."""

    actual: _Interval
    with_recovery: _Interval
    without: _Interval | None
    """``None`` if it cannot be estimated."""


def scored(
    incidents: Sequence[Incident], *, since: datetime, until: datetime
) -> tuple[tuple[Incident, ...], Scorecard]:
    """Return *incidents*, oldest first, with their seconds in the period, and the scorecard."""
    usual = _person_seconds(incidents)
    downtimes = _estimated(incidents, usual, since, until)
    found = tuple(
        replace(
            one,
            down_seconds=down.actual.seconds,
            with_seconds=down.with_recovery.seconds,
            without_seconds=down.without.seconds if down.without is not None else None,
        )
        for one, down in zip(incidents, downtimes, strict=True)
    )
    without = [one.without_seconds for one in found]
    hourly = until - since <= HOURLY_UP_TO
    return found, Scorecard(
        precision=_precision(found),
        recall=_recall(found),
        missed_seconds=sum(one.down_seconds for one in found if one.missed),
        with_seconds=sum(one.with_seconds for one in found),
        without_seconds=_sum(without),
        person_seconds=usual,
        is_estimated=any(one.would_have_acted and not one.acted for one in found),
        bars=tuple(_bars(downtimes, since, until, hourly=hourly)),
        hourly=hourly,
        holds=_holds(found),
        templates=_templates(found),
        results=dict(Counter(str(result_of(one)) for one in found).most_common()),
    )


def _person_seconds(incidents: Iterable[Incident]) -> float | None:
    took = [
        (one.ended - one.began).total_seconds()
        for one in incidents
        if one.started_by and one.ended is not None and one.kind not in NEEDS_NO_START
    ]
    return max(0.0, median(took)) if took else None


def _estimated(
    incidents: Sequence[Incident], usual: float | None, since: datetime, until: datetime
) -> list[_Downtimes]:
    """Return the downtimes of *incidents* within the period, in their order."""
    next_began: dict[str, datetime] = {}
    found = []
    for incident in reversed(incidents):
        next_one = next_began.get(incident.uuid, until)
        next_began[incident.uuid] = incident.began
        actual, with_recovery, without = _downtimes(incident, usual, next_one, until)
        found.append(
            _Downtimes(
                actual.within(since, until),
                with_recovery.within(since, until),
                without.within(since, until) if without is not None else None,
            )
        )
    return found[::-1]


def _downtimes(
    incident: Incident, usual: float | None, next_began: datetime, until: datetime
) -> _Downtimes:
    began, ended = incident.began, incident.ended or until
    actual = _Interval(began, ended)
    if incident.kind is DiagnosisKind.STOPPED:
        none = _Interval(began, began)
        return _Downtimes(actual, none, none)
    if incident.is_wrong:
        return _Downtimes(actual, actual, actual)
    if incident.end is End.VERGEWATCH:
        if usual is None:
            return _Downtimes(actual, actual, None)
        # Where it went down again meanwhile, that downtime counts in its place.
        until_person = max(ended, min(began + timedelta(seconds=usual), next_began))
        return _Downtimes(actual, actual, _Interval(began, until_person))
    would = incident.would_have_acted
    if would is not None and incident.acted is None:
        return _Downtimes(actual, _Interval(began, min(would, ended)), actual)
    return _Downtimes(actual, actual, actual)


def _precision(incidents: Iterable[Incident]) -> Share:
    counts = Counter(one.confirmation for one in incidents)
    return _share(
        counts[Confirmation.RIGHT], counts[Confirmation.WRONG], counts[Confirmation.NOT_KNOWN]
    )


def _recall(incidents: Iterable[Incident]) -> Share:
    started = missed = not_known = 0
    for incident in incidents:
        if incident.missed:
            missed += 1
        elif incident.is_wrong or incident.end is End.PLATFORM:
            continue
        elif incident.confirmation is Confirmation.RIGHT:
            started += 1
        elif incident.confirmation is not None or incident.kind not in NEEDS_NO_START:
            not_known += 1
    return _share(started, missed, not_known)


def _share(right: int, wrong: int, not_known: int) -> Share:
    total = right + wrong + not_known
    return Share(
        right=right,
        wrong=wrong,
        not_known=not_known,
        low=right / total if total else None,
        high=(right + not_known) / total if total else None,
    )


def _sum(seconds: Iterable[float | None]) -> float | None:
    total = 0.0
    for one in seconds:
        if one is None:
            return None
        total += one
    return total


def _bars(
    downtimes: Iterable[_Downtimes], since: datetime, until: datetime, *, hourly: bool
) -> Iterator[DowntimeBar]:
    step = timedelta(hours=1) if hourly else timedelta(days=1)
    with_recovery: dict[datetime, float] = defaultdict(float)
    without: dict[datetime, float] = defaultdict(float)
    unknown: set[datetime] = set()
    for down in downtimes:
        for place, seconds in _split(down.with_recovery, step):
            with_recovery[place] += seconds
        if down.without is None:
            unknown |= {place for place, _ in _split(down.actual, step)}
        else:
            for place, seconds in _split(down.without, step):
                without[place] += seconds
    place = _start_of(since, step)
    while place < until:
        estimate = None if place in unknown else without[place]
        yield DowntimeBar(place, with_recovery[place], estimate)
        place += step


def _split(interval: _Interval, step: timedelta) -> Iterator[tuple[datetime, float]]:
    """Return the hours or days of *interval* with its seconds in each."""
    place = _start_of(interval.began, step)
    while place < interval.ended:
        yield place, interval.within(place, place + step).seconds
        place += step


def _start_of(time: datetime, step: timedelta) -> datetime:
    midnight = time.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (time - midnight) // step * step


def _holds(incidents: Iterable[Incident]) -> tuple[HoldTotal, ...]:
    seconds: dict[str, list[float]] = defaultdict(list)
    for incident in incidents:
        for hold in incident.holds:
            seconds[hold.reason].append(hold.seconds)
        if incident.missed == ACTION_FAILED:
            seconds[ACTION_FAILED].append(incident.down_seconds)
    totals = [HoldTotal(reason, len(each), sum(each)) for reason, each in seconds.items()]
    return tuple(sorted(totals, key=lambda one: (-one.downtimes, -one.seconds, one.reason)))


def _templates(incidents: Iterable[Incident]) -> tuple[TemplateTotal, ...]:
    counts = Counter(template for one in incidents for template in one.templates)
    totals = [TemplateTotal(one, count, teach_command(one)) for one, count in counts.items()]
    return tuple(sorted(totals, key=lambda one: (-one.diagnoses, one.template)))


def result_of(incident: Incident) -> Result:
    """Return what became of *incident*."""
    if incident.kind is DiagnosisKind.STOPPED:
        return Result.STOPPED
    if incident.end is End.VERGEWATCH:
        return Result.RESTARTED
    if incident.would_have_acted is not None and not incident.is_wrong:
        return Result.WOULD
    if incident.end is End.STILL_DOWN:
        return Result.DOWN
    if incident.end is End.RELEASED:
        return Result.RELEASED
    if incident.kind is DiagnosisKind.PENDING:
        return Result.BRIEF
    if incident.end is End.PLATFORM:
        return Result.PLATFORM
    return Result.PERSON if incident.started_by else Result.OTHER
