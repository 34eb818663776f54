"""
Experience: log templates that are harmless because nothing was stopped after their rows.

A template that no log pattern matches becomes harmless when its rows were seen often enough, for
long enough, on VMs that stayed up, and never shortly before a VM went down that was not found
crashed. One such row is a mark that stays until an operator forgets the template.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from msgspec.structs import replace

from exporter.formatting import moment
from exporter.recovery.detect.diagnosis import WITHOUT_STOP_AUTHOR
from exporter.recovery.detect.templates import has_name
from exporter.recovery.model.cases import Case, Cause, DiagnosisKind, ObservedState
from exporter.recovery.model.limits import DAY, Limits
from exporter.recovery.model.log_templates import RowSource, Sightings, TemplateHistory
from exporter.recovery.model.states import State
from exporter.recovery.observe.node_history import NodeHistory, has_failed

STAYS_UP_SECONDS = 600.0
"""Time that a VM must stay up after a row about it."""
SUSPECT_SECONDS = 120.0
"""A row is suspect if a VM is found down so soon after it was read."""
LEARNING_SECONDS = DAY
"""Minimum time between the first and the last row that count."""
TIMES_NEEDED: Mapping[RowSource, int] = {
    RowSource.SYSTEM: 5,
    RowSource.PERSON: 20,
    RowSource.MANY: 20,
}
MAX_EXAMPLE = 300
"""Characters of an unknown row that are kept."""
MAX_TEMPLATES = 2000
"""Templates that are kept; those that were seen least are forgotten first."""
REPEATED_SECONDS = 60.0
"""VergeOS writes an event into both logs: within this time, both rows are one sighting."""
UP = (State.HEALTHY, State.PROBATION)
NOT_YET_KNOWN = (Cause.LOGS_UNREAD, Cause.UUID_SHARED)
"""Causes of ``unknown`` that may give way to a diagnosis, and blame no row."""
AUTHOR_SECONDS = 60.0
"""Time after an observed stop within which the row that requested it appears in the log."""


class UnknownRow(NamedTuple):
    """A row that no log pattern matches."""

    template: str
    source: RowSource
    uuid: str
    """The VM that it is about; empty if it names no single object."""
    names: AbstractSet[str] = frozenset()
    """The VMs that a row about no single object names."""
    text: str = ""


class Arrival(NamedTuple):
    """An unknown row and when it was read."""

    row: UnknownRow
    at: float
    counts: bool
    """Whether its VM had been up since the read before."""


class Downtime(NamedTuple):
    """A VM that is down, as far as experience is concerned."""

    suspects: frozenset[str] = frozenset()
    """Templates of the rows shortly before, and until it is judged."""
    trusted: frozenset[str] = frozenset()
    """Templates of the rows before a crash after which recovery started it, until it stays up."""
    is_judged: bool = False
    blocked_by: frozenset[str] = frozenset()
    """Templates that its diagnosis rested on."""
    is_over: bool = False
    """Whether recovery started it and it is up, and not yet for long enough."""


class Experience(NamedTuple):
    """What was observed of the log templates of one system; replaced by each change."""

    templates: Mapping[str, TemplateHistory] = MappingProxyType({})
    """By their key: the template in lower case."""
    recent: tuple[Arrival, ...] = ()
    """Rows of the last ten minutes, oldest first."""
    downtimes: Mapping[str, Downtime] = MappingProxyType({})
    """By the UUID of the VM."""
    seen_at: float | None = None
    """When VMs were last observed."""
    read_at: float = float("-inf")
    """When the logs were last read."""

    def history(self, template: str) -> TemplateHistory | None:
        """Return the history of *template*, if there is one."""
        return self.templates.get(template.casefold())

    def without(self, template: str) -> "Experience":
        """Return the experience with *template* forgotten: its count starts again at 0."""
        key = template.casefold()
        return self._replace(
            templates=_read_only({k: one for k, one in self.templates.items() if k != key}),
            recent=tuple(one for one in self.recent if _key(one) != key),
        )


def resumed(
    templates: Iterable[TemplateHistory], cases: Iterable[Case], *, forgotten: Iterable[str] = ()
) -> Experience:
    """
    Return the experience that a new process continues with.

    Args:
        templates: From the journal.
        cases: Their diagnoses were counted by the process before.
        forgotten: Templates that were forgotten after the journal was last written.

    """
    dropped = {template.casefold() for template in forgotten}
    known = {one.template.casefold(): one for one in templates}
    downtimes = {
        case.uuid: Downtime(
            is_judged=_judgement(case, None, float("-inf")) is not None, blocked_by=_blocker(case)
        )
        for case in cases
        if case.state not in UP
    }
    kept = {key: one for key, one in known.items() if key not in dropped}
    return Experience(templates=_read_only(kept), downtimes=MappingProxyType(downtimes))


def learned(experience: Experience) -> Mapping[RowSource, frozenset[str]]:
    """Return the templates that are harmless by experience, in lower case, by source."""
    return {
        source: frozenset(
            key for key, one in experience.templates.items() if is_learned(one, source)
        )
        for source in RowSource
    }


def is_learned(history: TemplateHistory, source: RowSource) -> bool:
    """Return whether rows of a template from *source* are harmless by experience."""
    seen = history.sightings.get(source)
    return (
        seen is not None
        and not history.marks
        and seen.times >= TIMES_NEEDED[source]
        and seen.seconds >= LEARNING_SECONDS
    )


def after_read(
    experience: Experience,
    rows: Iterable[UnknownRow],
    cases: Mapping[str, Case],
    limits: Limits,
    *,
    at: float,
) -> Experience:
    """Return the experience after the logs were read; *rows* are those that are new."""
    before = experience.read_at
    has_gap = at - before > limits.log_read_seconds + limits.max_gap_seconds
    lately = {
        (one.row.template, one.row.source, one.row.uuid)
        for one in experience.recent
        if one.at > at - REPEATED_SECONDS
    }
    arrivals = []
    for row in rows:
        event = row.template, row.source, row.uuid
        counts = not has_gap and event not in lately and _was_up_since(row, cases, before)
        lately.add(event)
        arrivals.append(Arrival(row, at, counts))
    experience = experience._replace(read_at=at)
    if not arrivals:
        return experience
    downtimes = {
        uuid: one
        if one.is_judged or uuid not in cases
        else one._replace(suspects=one.suspects | _suspects(arrivals, cases[uuid]))
        for uuid, one in experience.downtimes.items()
    }
    return experience._replace(
        recent=(*experience.recent, *arrivals), downtimes=MappingProxyType(downtimes)
    )


def after_diagnosis(
    experience: Experience,
    cases: Mapping[str, Case],
    limits: Limits,
    *,
    at: float,
    time: datetime,
    nodes: Mapping[int, NodeHistory] = MappingProxyType({}),
) -> Experience:
    """Return the experience after the VMs were observed and those that are down diagnosed."""
    seen_at = experience.seen_at
    if seen_at is not None and at - seen_at > limits.max_gap_seconds:
        # What happened to the VMs in between is not known, so these rows prove nothing.
        recent = tuple(one._replace(counts=False) for one in experience.recent)
        experience = experience._replace(recent=recent)
    changed = dict(experience.templates)
    downtimes = {}
    for uuid, case in cases.items():
        if case.state is State.HEALTHY:
            continue
        downtime = experience.downtimes.get(uuid)
        if case.state is State.PROBATION:
            if downtime is not None:
                downtimes[uuid] = downtime._replace(is_over=True)
            continue
        if downtime is None or downtime.is_over:
            downtime = _begun(experience, case, downtime)
        node = nodes.get(case.node or 0)
        downtimes[uuid] = _judged(downtime, case, node, experience, changed, time)
    experience = experience._replace(
        templates=_kept(changed, experience.templates),
        downtimes=MappingProxyType(downtimes),
        seen_at=at,
    )
    return _counted(experience, cases, at=at)


def _was_up_since(row: UnknownRow, cases: Mapping[str, Case], since: float) -> bool:
    """Return whether the VM of *row* has been up without interruption; true of all VMs."""
    if not row.uuid:
        return True
    case = cases.get(row.uuid)
    return (
        case is not None
        and case.state in UP
        and case.observed is ObservedState.UP
        and case.since <= since
    )


def _begun(experience: Experience, case: Case, before: Downtime | None) -> Downtime:
    """Return the downtime of a VM that went down since VMs were last observed."""
    found_at = case.trouble_at if case.trouble_at is not None else case.since
    lately = [one for one in experience.recent if one.at >= found_at - SUSPECT_SECONDS]
    return Downtime(_suspects(lately, case), before.trusted if before is not None else frozenset())


def _suspects(arrivals: Iterable[Arrival], case: Case) -> frozenset[str]:
    """Return the templates of rows that may be about the VM of *case*."""
    return frozenset(one.row.template for one in arrivals if _may_be_about(one.row, case))


def _may_be_about(row: UnknownRow, case: Case) -> bool:
    """Return whether *row* is about the VM of *case*, or about no VM and may mean it."""
    if row.uuid:
        return row.uuid == case.uuid
    names = (case.name, *case.former_names)
    if len(row.text) >= MAX_EXAMPLE:  # the end, which may name it, is not kept
        return True
    return not row.names or any(one in row.names or has_name(row.text, one) for one in names)


def _judged(
    downtime: Downtime,
    case: Case,
    node: NodeHistory | None,
    experience: Experience,
    templates: dict[str, TemplateHistory],
    time: datetime,
) -> Downtime:
    """Return *downtime* after a diagnosis, and write what follows from it into *templates*."""
    blockers = _blocker(case) - downtime.blocked_by
    for template in blockers:
        before = _history(templates, template)
        templates[template.casefold()] = replace(
            before, blocked=before.blocked + 1, example=before.example or _text(case, experience)
        )
    if blockers:
        downtime = downtime._replace(blocked_by=downtime.blocked_by | blockers)
    if downtime.is_judged:
        return downtime
    judgement = _judgement(case, node, experience.read_at)
    if judgement is None:
        return downtime
    assert case.diagnosis is not None  # noqa: S101 - it was judged by its diagnosis
    kind = case.diagnosis.kind
    # A VM that recovery started is stopped again: the rows before its crash were not harmless.
    undone = downtime.trusted if kind is DiagnosisKind.STOPPED else frozenset()
    marked = undone | downtime.suspects if judgement else undone
    if case.diagnosis.cause is Cause.WENT_DOWN_UNOBSERVED:
        # The logs show no stop; rows of a busy site precede some downtime by chance.
        marked = frozenset(one for one in marked if not _is_learned(experience, one))
    if marked:
        why = f"{case.diagnosis.kind}: {case.diagnosis.cause}"
        mark = f"{case.name} at {moment(time)} ({why})"
        for template in marked:
            before = _history(templates, template)
            templates[template.casefold()] = replace(before, marks=before.marks + 1, last_mark=mark)
    trusted = downtime.suspects if kind is DiagnosisKind.CRASHED else frozenset()
    return downtime._replace(is_judged=True, suspects=frozenset(), trusted=trusted)


def _is_learned(experience: Experience, template: str) -> bool:
    history = experience.history(template)
    return history is not None and any(is_learned(history, one) for one in RowSource)


def _judgement(case: Case, node: NodeHistory | None, read_at: float) -> bool | None:
    """Return whether the rows before a downtime are marked; None while that is not known."""
    diagnosis = case.diagnosis
    if diagnosis is None or case.up_at is None:
        return None
    match diagnosis.kind:
        case DiagnosisKind.CRASHED:
            return False
        case DiagnosisKind.UNKNOWN:
            return None if diagnosis.cause in NOT_YET_KNOWN else True
        case DiagnosisKind.STOPPED if diagnosis.template:
            return False  # another row, which is known, requested it
        case DiagnosisKind.STOPPED if node is not None and has_failed(
            node, since=case.up_at, since_clock=case.up_clock
        ):
            return False  # its node went down with it
        case DiagnosisKind.STOPPED:
            awaited = diagnosis.cause in WITHOUT_STOP_AUTHOR
            return None if awaited and read_at < case.since + AUTHOR_SECONDS else True
    return None


def _blocker(case: Case) -> frozenset[str]:
    """Return the template of the row that makes the diagnosis of *case* unknown, if one does."""
    diagnosis = case.diagnosis
    if diagnosis is None or diagnosis.cause is not Cause.LOGS_UNCLEAR or not diagnosis.template:
        return frozenset()
    return frozenset({diagnosis.template})


def _text(case: Case, experience: Experience) -> str:
    """Return the text of the row that *case* is blocked by, if it is among the recent ones."""
    template = case.diagnosis.template if case.diagnosis is not None else ""
    return next((one.row.text for one in experience.recent if one.row.template == template), "")


def _counted(experience: Experience, cases: Mapping[str, Case], *, at: float) -> Experience:
    """Return the experience with the sightings whose ten minutes are over."""
    due = 0
    changed: dict[str, TemplateHistory] = {}
    for arrival in experience.recent:
        if at - arrival.at < STAYS_UP_SECONDS:
            break
        due += 1
        if not arrival.counts or not _was_up_since(arrival.row, cases, arrival.at):
            continue
        key = _key(arrival)
        before = changed.get(key) or _history(experience.templates, arrival.row.template)
        changed[key] = _with_sighting(before, arrival)
    if not due:
        return experience
    templates = experience.templates
    if changed:
        templates = _kept({**templates, **changed}, templates)
    return experience._replace(templates=templates, recent=experience.recent[due:])


def _with_sighting(history: TemplateHistory, arrival: Arrival) -> TemplateHistory:
    source, at = arrival.row.source, arrival.at
    before = history.sightings.get(source, Sightings(0, at, at))
    after = Sightings(before.times + 1, before.first_at, at)
    return replace(
        history,
        example=arrival.row.text or history.example,
        sightings={**history.sightings, source: after},
    )


def _history(templates: Mapping[str, TemplateHistory], template: str) -> TemplateHistory:
    return templates.get(template.casefold()) or TemplateHistory(template=template)


def _kept(
    templates: dict[str, TemplateHistory], before: Mapping[str, TemplateHistory]
) -> Mapping[str, TemplateHistory]:
    """Return *templates*, at most as many as are kept; marks are the last to be forgotten."""
    if templates == before:
        return before
    if len(templates) <= MAX_TEMPLATES:
        return _read_only(templates)
    ranked: Sequence[str] = sorted(templates, key=lambda key: _rank(templates[key]), reverse=True)
    return _read_only({key: templates[key] for key in ranked[:MAX_TEMPLATES]})


def _rank(history: TemplateHistory) -> tuple[bool, bool, int, float]:
    last_at = max((one.last_at for one in history.sightings.values()), default=0.0)
    return history.marks > 0, history.blocked > 0, history.times, last_at


def _key(arrival: Arrival) -> str:
    return arrival.row.template.casefold()


def _read_only(templates: dict[str, TemplateHistory]) -> Mapping[str, TemplateHistory]:
    return MappingProxyType(templates)
