"""
What the daemon itself has to tell, read off its reports.

They are the alerts that the rules for Prometheus have too, under the same names, so that one route
and one runbook serve both; the label ``source`` tells them apart.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec

from exporter.model import LastAction, RecoveryReport, RecoveryVM, SystemReport
from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.model.cases import Outcome, Policy
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.states import State

SOURCE = "vergewatch"
SETTLED = frozenset({State.HEALTHY, State.PROBATION, State.STOPPED})
"""It is up, or a person wants it down: what an action came to does not matter any more."""
STORMY = frozenset({ReadinessState.CIRCUIT_BREAKER_OPEN, ReadinessState.CIRCUIT_BREAKER_HALF_OPEN})
HELD_BECAUSE: Mapping[str, str] = {
    State.HELD: "crashed, and something forbids to start it; `vergewatch explain` says what",
    State.PLATFORM: "is down, and VergeOS, whose turn it is, has not brought it back",
}
SPEAKS_FOR_ALL = frozenset(
    {ReadinessState.CIRCUIT_BREAKER_OPEN, ReadinessState.JOURNAL_DOWN, ReadinessState.BROKEN}
)
"""What is told of recovery as a whole; one alert for each VM besides would only be a flood."""


class Name(StrEnum):
    """What an alert is called, here and in the rules for Prometheus."""

    CLOUD_BLIND = "VergeSystemDataStale"
    KEY_REFUSED = "VergeAuthenticationFailed"
    DISARMED = "VergeRecoveryDisarmed"
    BROKEN = "VergeRecoveryInternalError"
    OPEN_BREAKER = "VergeRecoveryCircuitBreakerOpen"
    JOURNAL_DOWN = "VergeRecoveryJournalDown"
    QUARANTINED = "VergeRecoveryQuarantined"
    HELD = "VergeRecoveryHeldTooLong"
    UNKNOWN = "VergeRecoveryUnknownTooLong"
    FAILED = "VergeRecoveryFailed"
    UNKNOWN_OUTCOME = "VergeRecoveryOutcomeUnknown"
    ACTED = "VergeRecoveryActed"


class Kind(NamedTuple):
    """What all alerts of one name have in common."""

    severity: str
    layer: str
    summary: str


KINDS: Mapping[Name, Kind] = {
    Name.CLOUD_BLIND: Kind("critical", "system", "A cloud cannot be seen."),
    Name.KEY_REFUSED: Kind("critical", "system", "VergeOS refuses our credentials."),
    Name.DISARMED: Kind("warning", "recovery", "Recovery has been disarmed for long."),
    Name.BROKEN: Kind("critical", "recovery", "Recovery stopped itself because of a bug."),
    Name.OPEN_BREAKER: Kind(
        "critical", "recovery", "Too many VMs are down at once, so recovery holds."
    ),
    Name.JOURNAL_DOWN: Kind("critical", "recovery", "Recovery cannot write its journal."),
    Name.QUARANTINED: Kind("critical", "recovery", "Recovery gave a VM up."),
    Name.HELD: Kind(
        "warning", "recovery", "Recovery knows of a crash, and something forbids it to act."
    ),
    Name.UNKNOWN: Kind("warning", "recovery", "VMs are down, and nobody can prove why."),
    Name.FAILED: Kind("critical", "recovery", "Recovery acted, and it did not help."),
    Name.UNKNOWN_OUTCOME: Kind("warning", "recovery", "The outcome of an action is not known."),
    Name.ACTED: Kind("info", "recovery", "Recovery brought a VM back."),
}
"""As the rules have it, word for word: two alerts of one thing are one message with one title."""


class Limits(NamedTuple):
    """How long something has to last before it is told."""

    outage_seconds: float = 120.0
    """On top of the time after which a picture is not shown any more."""
    disarmed_seconds: float = 4 * 3600.0
    breaker_open_seconds: float = 60.0
    journal_seconds: float = 120.0
    held_seconds: float = 900.0
    unknown_seconds: float = 1800.0
    acted_seconds: float = 3600.0
    """How long it is told that recovery acted."""


class Alert(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Something that is so, and that people should know."""

    url: str
    """Of the cloud: unlike its name, it is known from the start."""
    name: Name
    vm_id: str = ""
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    wait_seconds: float = 0.0
    """How much longer it has to be so before it is told."""

    @property
    def key(self) -> tuple[tuple[str, str], ...]:
        """What makes two alerts the same one for Alertmanager."""
        return tuple(sorted(self.labels.items()))

    @property
    def thing(self) -> tuple[str, str, str]:
        """What makes two alerts the same one for us, though a cloud or a VM got a new name."""
        return self.url, self.name, self.vm_id


def alerts(
    report: SystemReport, limits: Limits, runbooks: str, *, now: datetime
) -> Iterator[Alert]:
    """
    Yield what is so.

    Args:
        runbooks: Where the runbooks are.

    """
    tell = AlertBuilder(report, runbooks)
    system = f"cloud {report.system_name}"
    if not report.authenticated:
        text = f"VergeOS in {system} refuses our credentials, so next to nothing is asked any more."
        yield tell(Name.KEY_REFUSED, text)
    if not report.up:
        since = f" since {report.taken_at:%Y-%m-%d %H:%M} UTC" if report.taken_at else ""
        text = f"Nothing has been seen of {system}{since}; its VMs are not watched."
        yield tell(Name.CLOUD_BLIND, text, wait_seconds=limits.outage_seconds)
    recovery = report.recovery
    if recovery is not None:
        yield from _of_recovery(tell, recovery, system, limits)
    if recovery is not None and recovery.mode == Mode.ENFORCE:
        yield from _of_vms(tell, recovery, limits, now)


def _of_recovery(
    tell: "AlertBuilder", recovery: RecoveryReport, system: str, limits: Limits
) -> Iterator[Alert]:
    why = recovery.because
    enforcing = recovery.mode == Mode.ENFORCE
    if recovery.readiness == ReadinessState.BROKEN:
        text = f"Recovery of {system} is out of order until the daemon is started anew: {why}."
        yield tell(Name.BROKEN, text)
    if recovery.journal_problem:
        text = f"Recovery of {system} has no journal, and does nothing: {recovery.journal_problem}."
        yield tell(Name.JOURNAL_DOWN, text, wait_seconds=limits.journal_seconds)
    if enforcing and recovery.readiness == ReadinessState.DISARMED:
        text = f"Recovery of {system} is disarmed ({why}). Crashed VMs stay down."
        yield tell(Name.DISARMED, text, wait_seconds=limits.disarmed_seconds)
    if enforcing and recovery.readiness in STORMY:
        text = f"Recovery of {system} holds back: {why}."
        yield tell(Name.OPEN_BREAKER, text, wait_seconds=limits.breaker_open_seconds)


def _of_vms(
    tell: "AlertBuilder", recovery: RecoveryReport, limits: Limits, now: datetime
) -> Iterator[Alert]:
    for vm in _looked_after(recovery):
        if vm.state == State.QUARANTINED:
            text = "was helped too often, or with every step allowed, and is left to a person"
            yield tell(Name.QUARANTINED, f"%s {text}.", vm)
        elif _is_held(vm, limits, now) and recovery.readiness not in SPEAKS_FOR_ALL:
            yield tell(Name.HELD, f"%s {HELD_BECAUSE[vm.state]}.", vm)
        elif vm.state == State.UNKNOWN and _lasted(vm, now) >= limits.unknown_seconds:
            text = "is down and nobody can prove why, so that it is left to a person"
            yield tell(Name.UNKNOWN, f"%s {text}.", vm)
    vms = {vm.key: vm for vm in _looked_after(recovery)}
    for action in recovery.last_actions:
        cared = vms.get(action.vm_key)
        name = _name_of(action, cared, limits, now)
        if cared is not None and name is not None:
            text = f"{action.action} at {action.at:%Y-%m-%d %H:%M} UTC: {action.outcome}"
            yield tell(name, f"%s: {text}.", cared)


def _looked_after(recovery: RecoveryReport) -> Iterator[RecoveryVM]:
    """Yield the VMs that somebody enrolled: nobody promised anything about the others."""
    return (vm for vm in recovery.vms if vm.policy != Policy.NO)


def _lasted(vm: RecoveryVM, now: datetime) -> float:
    return (now - vm.since).total_seconds()


def _is_held(vm: RecoveryVM, limits: Limits, now: datetime) -> bool:
    if vm.state == State.PLATFORM:
        return _lasted(vm, now) >= limits.unknown_seconds
    return vm.state == State.HELD and _lasted(vm, now) >= limits.held_seconds


def _name_of(
    action: LastAction, vm: RecoveryVM | None, limits: Limits, now: datetime
) -> Name | None:
    """Return which alert the last action on *vm* is, if it is one."""
    if vm is None:
        return None
    match action.outcome:
        case Outcome.CONFIRMED:
            fresh = (now - action.at).total_seconds() < limits.acted_seconds
            return Name.ACTED if fresh else None
        case Outcome.FAILED:
            return Name.FAILED if vm.state not in SETTLED else None
        case Outcome.UNKNOWN:
            return Name.UNKNOWN_OUTCOME if vm.state not in SETTLED else None
        case _:
            return None


class AlertBuilder:
    """Puts into words what is so in one cloud."""

    def __init__(self, report: SystemReport, runbooks: str) -> None:
        self._report = report
        self._runbooks = runbooks.rstrip("/")

    def __call__(
        self, name: Name, text: str, vm: RecoveryVM | None = None, *, wait_seconds: float = 0.0
    ) -> Alert:
        kind, system = KINDS[name], self._report.system_name
        labels = {
            "alertname": str(name),
            "severity": kind.severity,
            "layer": kind.layer,
            "source": SOURCE,
            "system_name": system,
        }
        if vm is not None:
            labels |= {"vm_id": str(vm.key), "vm_name": vm.name}
            text = text.replace("%s", f"VM {vm.name} ({vm.key}) in cloud {system}", 1)
        annotations = {
            "summary": kind.summary,
            "description": text,
            "runbook_url": f"{self._runbooks}/{name}.md",
        }
        return Alert(
            url=self._report.url,
            name=name,
            vm_id=labels.get("vm_id", ""),
            labels=labels,
            annotations=annotations,
            wait_seconds=wait_seconds,
        )


def is_over(
    alert: Alert, report: SystemReport | None, limits: Limits, *, since: datetime, now: datetime
) -> bool:
    """
    Return whether *alert*, which is not so any more, is surely not.

    After a restart much is not known for a while: what is not known is not over.

    Args:
        report: Of its cloud; ``None`` where that is not watched any more.
        since: When the alert began.

    """
    if report is None:
        return True
    match alert.name:
        case Name.CLOUD_BLIND:
            return report.up
        case Name.KEY_REFUSED:
            return report.authenticated and any(table.success for table in report.tables)
    recovery = report.recovery
    if recovery is None:
        return True
    enforcing = recovery.mode == Mode.ENFORCE
    match alert.name:
        case Name.BROKEN:
            return recovery.readiness != ReadinessState.BROKEN
        case Name.JOURNAL_DOWN:
            return recovery.journal_up
        case Name.DISARMED:
            known = recovery.journal_up and recovery.readiness != ReadinessState.BROKEN
            return not enforcing or (known and recovery.readiness != ReadinessState.DISARMED)
        case Name.OPEN_BREAKER:
            return not enforcing or recovery.readiness == ReadinessState.ACTIVE
        case _:
            return not enforcing or _is_over_for_vm(alert, recovery, limits, since, now)


def _is_over_for_vm(
    alert: Alert, recovery: RecoveryReport, limits: Limits, since: datetime, now: datetime
) -> bool:
    vm = next((vm for vm in _looked_after(recovery) if str(vm.key) == alert.vm_id), None)
    if vm is None:
        return recovery.journal_up  # before that is open, nobody is in its care
    if alert.name in (Name.QUARANTINED, Name.UNKNOWN):
        return True  # states are known from the journal, and it would be told if it were so
    if alert.name == Name.HELD:
        return not _is_held(vm, limits, now)
    if alert.name == Name.ACTED and (now - since).total_seconds() >= limits.acted_seconds:
        return True
    done = any(one.vm_key == vm.key for one in recovery.last_actions)
    return done or (alert.name != Name.ACTED and vm.state in SETTLED)
