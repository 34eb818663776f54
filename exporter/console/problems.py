"""What is wrong with a system, the worst first; the first line of the overview is made of it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from exporter.console import links
from exporter.console.fleet import VMEntry
from exporter.console.health import State, state_of
from exporter.console.tones import (
    CRITICAL,
    OF_RECOVERY,
    OF_STATE,
    OK,
    PENDING,
    WARNING,
    tone_of_condition,
)
from exporter.console.vm_condition import Condition
from exporter.model import Level, RecoveryReport, SystemReport
from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.model.limits import Mode
from exporter.recovery.report.presentation import present_readiness


class Kind(StrEnum):
    """The kinds of problems, the worst first."""

    DOWN = "VMs down"
    TROUBLE = "VMs in trouble"
    REFUSED = "credentials refused"
    UNREACHABLE = "unreachable"
    STALE = "stale"
    FROZEN = "status frozen"
    UNNAMED = "name unknown"
    RECOVERY = "recovery not ready"
    DOCTOR = "critical findings"
    QUESTIONS = "questions"
    UNKNOWN = "VMs without status"
    WAITING = "waiting"


_OF_STATE: Mapping[State, Kind] = {
    State.REFUSED: Kind.REFUSED,
    State.UNREACHABLE: Kind.UNREACHABLE,
    State.STALE: Kind.STALE,
    State.FROZEN: Kind.FROZEN,
    State.UNNAMED: Kind.UNNAMED,
    State.WAITING: Kind.WAITING,
}
_OF_CONDITION: Mapping[Condition, Kind] = {
    Condition.DOWN: Kind.DOWN,
    Condition.TROUBLE: Kind.TROUBLE,
    Condition.UNKNOWN: Kind.UNKNOWN,
}
CONDITION_OF: Mapping[Kind, Condition] = {kind: one for one, kind in _OF_CONDITION.items()}
_ORDER: Mapping[Kind, int] = {kind: place for place, kind in enumerate(Kind)}
_TONES = (CRITICAL, WARNING, PENDING, OK)
"""The worst first."""


class Problem(NamedTuple):
    """Something that is wrong with a system."""

    kind: Kind
    system: str
    tone: str
    href: str
    """Of the page that shows it."""
    number: int = 1
    """How many VMs, findings or questions."""
    name: str = ""
    """Of the only VM."""
    detail: str = ""
    """Such as the readiness of recovery."""


def urgency(problem: Problem) -> tuple[bool, int]:
    """Return what problems are sorted by: one that passes by itself is after those that do not."""
    return problem.tone == PENDING, _ORDER[problem.kind]


def worst_tone(tones: Iterable[str]) -> str:
    """Return the worst of *tones*; `OK` of none."""
    return min(tones, key=_TONES.index, default=OK)


def problems_of(report: SystemReport, vms: Sequence[VMEntry]) -> tuple[Problem, ...]:
    """
    Return what is wrong with a system, the worst first.

    Args:
        report: How its polling does, what recovery says and what the doctor found.
        vms: Its VMs.

    """
    system = report.system_name
    found = [*_of_vms(system, vms), *_of_polling(report)]
    if report.recovery is not None:
        found += _of_recovery(system, report.recovery)
    critical = count_findings(report)[Level.CRITICAL]
    if critical:
        found.append(Problem(Kind.DOCTOR, system, CRITICAL, links.DOCTOR, critical))
    return tuple(sorted(found, key=urgency))


def count_findings(report: SystemReport) -> Mapping[Level, int]:
    """Return how many findings of each level the doctor has."""
    counts = Counter(finding.level for result in report.doctor for finding in result.findings)
    return {level: counts[level] for level in Level}


def _of_vms(system: str, vms: Sequence[VMEntry]) -> Iterator[Problem]:
    for condition, kind in _OF_CONDITION.items():
        fitting = [vm for vm in vms if vm.condition is condition]
        if fitting:
            only = fitting[0] if len(fitting) == 1 else None
            yield Problem(
                kind,
                system,
                tone_of_condition(condition),
                links.vm(system, only.key)
                if only is not None
                else links.vms(system=system, condition=condition),
                len(fitting),
                only.name if only is not None else "",
            )


def _of_polling(report: SystemReport) -> Iterator[Problem]:
    state = state_of(report)
    if state in _OF_STATE:
        yield Problem(_OF_STATE[state], report.system_name, OF_STATE[state], links.DATA)


def _of_recovery(system: str, recovery: RecoveryReport) -> Iterator[Problem]:
    acts = recovery.mode in (Mode.ASK, Mode.ENFORCE)
    if acts and recovery.readiness not in (ReadinessState.ACTIVE, ReadinessState.STANDBY):
        shown = present_readiness(recovery.readiness)
        yield Problem(
            Kind.RECOVERY, system, OF_RECOVERY[shown.tone], links.RECOVERY, detail=shown.label
        )
    if recovery.questions:
        yield Problem(Kind.QUESTIONS, system, WARNING, links.RECOVERY, len(recovery.questions))
