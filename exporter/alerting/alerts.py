"""
The alerts that the daemon posts itself, derived from its reports.

The alert rules for Prometheus have alerts with the same names and labels, so that Alertmanager
merges both where both are used.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec

from exporter.alerting.config import AlertLimits
from exporter.alerting.definitions import DEFINITIONS, AlertName, Links
from exporter.formatting import minute, moment
from exporter.model import LastAction, OpenQuestion, RecoveryReport, RecoveryVM, SystemReport
from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.model.cases import Cause, Outcome, Policy
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.states import State
from exporter.recovery.observe.circuit_breaker import BreakerState

ACTING_MODES = (Mode.ASK, Mode.ENFORCE)
SETTLED = frozenset({State.HEALTHY, State.PROBATION, State.STOPPED})
"""States in which the outcome of an earlier action no longer matters."""
BREAKER_NOT_CLOSED = frozenset(
    {ReadinessState.CIRCUIT_BREAKER_OPEN, ReadinessState.CIRCUIT_BREAKER_HALF_OPEN}
)
HOLDS_ALL_VMS = frozenset(
    {ReadinessState.CIRCUIT_BREAKER_OPEN, ReadinessState.JOURNAL_DOWN, ReadinessState.BROKEN}
)
"""States with one alert for recovery as a whole, in place of one alert for each held VM."""
UNWANTED_DOWN = frozenset(
    {
        State.SUSPECT,
        State.PLATFORM,
        State.UNKNOWN,
        State.BACKOFF,
        State.HELD,
        State.ACTING,
        State.VERIFYING,
        State.INDETERMINATE,
    }
)
"""States of a VM that was not stopped on purpose, besides `State.QUARANTINED`."""


class Alert(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A condition that holds now, with the labels and annotations that are posted for it."""

    url: str
    """URL of the system. Unlike its name, it is known from the start."""
    name: AlertName
    vm_id: str = ""
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    for_seconds: float = 0.0
    """How long the condition must last before the alert fires."""
    held_seconds: float = 0.0
    """How long the condition has held by the journal, if that is known."""

    @property
    def label_set(self) -> tuple[tuple[str, str], ...]:
        """Identity of the alert in Alertmanager."""
        return tuple(sorted(self.labels.items()))

    @property
    def subject(self) -> tuple[str, str, str]:
        """Identity of the alert that survives a rename of its system or VM."""
        return self.url, self.name, self.vm_id


class AlertBuilder:
    """Builds the alerts of one system."""

    def __init__(self, report: SystemReport, links: Links) -> None:
        self._url = report.url
        self._system_name = report.system_name
        self._links = links

    def for_system(self, name: AlertName, description: str, for_seconds: float = 0.0) -> Alert:
        """Build an alert; "{}" in *description* becomes the system."""
        subject = f"system {self._system_name}"
        return self._alert(name, description.replace("{}", subject, 1), for_seconds=for_seconds)

    def for_vm(self, name: AlertName, vm: RecoveryVM, text: str, for_seconds: float = 0.0) -> Alert:
        description = f"VM {vm.name} ({vm.key}) in system {self._system_name} {text}"
        return self._alert(
            name, description, for_seconds=for_seconds, vm_id=str(vm.key), vm_name=vm.name
        )

    def _alert(
        self, name: AlertName, description: str, *, for_seconds: float = 0.0, **vm_labels: str
    ) -> Alert:
        definition = DEFINITIONS[name]
        named = {"system_name": self._system_name, **vm_labels}
        return Alert(
            url=self._url,
            name=name,
            vm_id=vm_labels.get("vm_id", ""),
            labels={
                "alertname": str(name),
                "severity": definition.severity,
                "layer": definition.layer,
                **named,
            },
            annotations={
                "summary": definition.summary.format_map(named),
                "description": description,
                "runbook_url": self._links.runbook(name),
                "dashboard_url": self._links.dashboard_of(name, named),
            },
            for_seconds=for_seconds,
        )


def current_alerts(
    report: SystemReport, limits: AlertLimits, links: Links, *, now: datetime
) -> Iterator[Alert]:
    """Yield the alerts whose conditions hold in *report*."""
    build = AlertBuilder(report, links)
    if not report.authenticated:
        yield build.for_system(
            AlertName.AUTHENTICATION_FAILED,
            "VergeOS in {} rejects the configured credentials. Requests are paused so that the "
            "account is not locked. Check the API key or the password.",
        )
    if not report.up:
        since = f" since {minute(report.taken_at)}" if report.taken_at else ""
        yield build.for_system(
            AlertName.SYSTEM_DATA_STALE,
            f"No data from {{}}{since}. Its VMs are not monitored."
            + (" Its name is not known yet." if not report.named else ""),
            limits.outage_seconds,
        )
    if report.frozen:
        yield build.for_system(
            AlertName.STATUS_FROZEN,
            "VergeOS in {} no longer updates the status of any VM that runs. Their metrics show an "
            "old state, and a crash would not be seen.",
            limits.outage_seconds,
        )
    recovery = report.recovery
    if recovery is not None:
        yield from _recovery_alerts(build, recovery, limits)
    if recovery is not None and report.named:  # alerts about VMs wait for the name
        yield from _down_alerts(build, recovery, limits, now)
        if recovery.mode in ACTING_MODES:
            yield from _vm_alerts(build, recovery, limits, now)


def _recovery_alerts(
    build: AlertBuilder, recovery: RecoveryReport, limits: AlertLimits
) -> Iterator[Alert]:
    reason = recovery.because
    if recovery.readiness == ReadinessState.BROKEN:
        yield build.for_system(
            AlertName.INTERNAL_ERROR,
            f"Recovery of {{}} stopped because of an internal error: {reason}. Restart the daemon "
            "to resume recovery.",
        )
    if recovery.journal_problem:
        yield build.for_system(
            AlertName.JOURNAL_DOWN,
            f"Recovery of {{}} takes no action without its journal: {recovery.journal_problem}.",
            limits.journal_seconds,
        )
    if recovery.mode not in ACTING_MODES:
        return
    if recovery.readiness == ReadinessState.DISARMED:
        yield build.for_system(
            AlertName.DISARMED,
            f"Recovery of {{}} is disarmed ({reason}). Crashed VMs are not restarted.",
            limits.disarmed_seconds,
        )
    if recovery.fell_back:
        yield build.for_system(
            AlertName.ERROR_BUDGET_SPENT,
            f"Recovery of {{}} fell back from mode enforce to ask: {recovery.fell_back}. Run "
            "`vergewatch recovery arm --reason ...` to let it act by itself again.",
        )
    if recovery.readiness == ReadinessState.RIVAL:
        yield build.for_system(
            AlertName.RIVAL,
            f"Recovery of {{}} is held because another instance acts on it: {reason}. Stop that "
            'instance, then run `vergewatch recovery arm --reason "..."`.',
        )
    if recovery.readiness in BREAKER_NOT_CLOSED:
        yield build.for_system(
            AlertName.CIRCUIT_BREAKER_OPEN,
            f"The circuit breaker limits recovery of {{}}: {reason}.",
            limits.breaker_open_seconds,
        )


def _down_alerts(
    build: AlertBuilder, recovery: RecoveryReport, limits: AlertLimits, now: datetime
) -> Iterator[Alert]:
    """Yield an alert for each VM, enrolled or not, that is down and was not stopped on purpose."""
    for vm in recovery.vms:
        if vm.down_since is None or not _is_unwanted(vm, recovery):
            continue
        # Not since it entered the state: while the VM waits for resources, each poll enters it.
        seconds = (now - vm.down_since).total_seconds()
        if vm.state != State.PLATFORM or seconds >= limits.platform_seconds:
            alert = build.for_vm(AlertName.VM_DOWN, vm, _what_is_known(vm), limits.down_seconds)
            yield msgspec.structs.replace(alert, held_seconds=seconds)


def _is_unwanted(vm: RecoveryVM, recovery: RecoveryReport) -> bool:
    """Return whether a VM that is down needs an alert that it is."""
    if vm.state == State.QUARANTINED:  # where recovery may act, it has an alert of its own
        return recovery.mode not in ACTING_MODES or vm.policy == Policy.NO
    return vm.state in UNWANTED_DOWN


def _what_is_known(vm: RecoveryVM) -> str:
    """Return why a VM is down, as far as that is known, and why recovery does not start it."""
    evidence = f": {vm.detail}" if vm.detail else ""
    is_enrolled = vm.policy != Policy.NO
    match vm.state:
        case State.HELD | State.BACKOFF if is_enrolled and vm.failed_guard:
            text = f"crashed{evidence}. The guard `{vm.failed_guard}` forbids its start."
        case State.HELD | State.BACKOFF:
            text = f"crashed{evidence}."
        case State.UNKNOWN:
            row = f" The log row: {vm.blocking_row}" if vm.blocking_row else ""
            text = f"is down, and it is unknown why{evidence}.{row}"
        case State.PLATFORM:
            text = f"is down, and VergeOS, which has to restart it, has not done so{evidence}."
        case State.SUSPECT:
            text = "is down, and is not diagnosed yet."
        case State.QUARANTINED:
            text = f"is down and quarantined{evidence}."
        case _:
            text = "is down, and the outcome of a recovery action is not known yet."
    if not is_enrolled:
        text += " It is not enrolled, so recovery does not act on it."
    return f"{text} Run `vergewatch explain VM`."


def _vm_alerts(
    build: AlertBuilder, recovery: RecoveryReport, limits: AlertLimits, now: datetime
) -> Iterator[Alert]:
    vms = {vm.key: vm for vm in _enrolled_vms(recovery)}
    asked = {question.vm_key for question in recovery.questions}
    for question in recovery.questions:
        if question.vm_key in vms:
            yield build.for_vm(
                AlertName.APPROVAL_NEEDED, vms[question.vm_key], question_text(question)
            )
    for vm in vms.values():
        name = _alert_of_state(vm, limits, now)
        held = name is AlertName.HELD_TOO_LONG and (
            recovery.readiness in HOLDS_ALL_VMS or vm.key in asked
        )
        if name is not None and not held:
            yield build.for_vm(name, vm, _state_text(name, vm))
    for action in recovery.last_actions:
        if action.vm_key in vms:
            yield from _action_alert(build, action, vms[action.vm_key], limits, now)


def _state_text(name: AlertName, vm: RecoveryVM) -> str:
    match name:
        case AlertName.QUARANTINED:
            is_flapping = vm.cause == Cause.FLAPPING
            spent = "its restart budget or its allowed actions are exhausted"
            why = "it goes down again and again" if is_flapping else spent
            return (
                f"is quarantined: {why}. Recovery does not act on it. Run "
                "`vergewatch explain VM`, then start the VM in VergeOS."
            )
        case AlertName.OUTCOME_UNKNOWN:
            return (
                "has a recovery action without a known outcome. Recovery does not act on it again "
                "until the outcome is known. Run `vergewatch explain VM`."
            )
        case _:
            return _what_is_known(vm)


def _action_alert(
    build: AlertBuilder, action: LastAction, vm: RecoveryVM, limits: AlertLimits, now: datetime
) -> Iterator[Alert]:
    what = f"the recovery action {action.action} at {minute(action.at)}"
    settled = action.ran_since or vm.state in SETTLED
    match action.outcome:
        case Outcome.CONFIRMED if (now - action.at).total_seconds() < limits.acted_seconds:
            yield build.for_vm(AlertName.ACTED, vm, f"is running again after {what}.")
        case Outcome.FAILED if not settled:
            yield build.for_vm(AlertName.FAILED, vm, f"is not running after {what}, which failed.")
        case Outcome.UNKNOWN if not settled:
            text = f"is not running after {what}, whose outcome is unknown."
            yield build.for_vm(AlertName.FAILED, vm, text)


def question_text(question: OpenQuestion) -> str:
    """Return what recovery asks about a VM, with the commands that answer it."""
    number = question.number
    return (
        f"is down since {moment(question.since)}: {question.evidence}. Recovery asks "
        f"whether to send the action {question.action} (question {number}, open until "
        f"{moment(question.expires)}). Answer with "
        f'`vergewatch recovery approve {number} --reason "..."` or '
        f'`vergewatch recovery deny {number} --reason "..."`.'
    )


def _enrolled_vms(recovery: RecoveryReport) -> list[RecoveryVM]:
    return [vm for vm in recovery.vms if vm.policy != Policy.NO]


def _alert_of_state(vm: RecoveryVM, limits: AlertLimits, now: datetime) -> AlertName | None:
    """Return the alert about the state of a VM; None if it has none, or not for long enough."""
    match vm.state:
        case State.QUARANTINED:
            name, seconds = AlertName.QUARANTINED, 0.0
        case State.HELD:
            name, seconds = AlertName.HELD_TOO_LONG, limits.held_seconds
        case State.ACTING | State.VERIFYING | State.INDETERMINATE:
            name, seconds = AlertName.OUTCOME_UNKNOWN, limits.outcome_seconds
        case _:
            return None
    return name if (now - vm.since).total_seconds() >= seconds else None


def is_resolved(
    alert: Alert,
    report: SystemReport | None,
    limits: AlertLimits,
    *,
    since: datetime,
    now: datetime,
) -> bool:
    """
    Return whether *report*, which does not cause *alert*, proves that it is resolved.

    After a restart of the daemon much is unknown for a while, and unknown is not resolved.

    Args:
        report: Of the alert's system; ``None`` if that is no longer monitored.
        since: When the alert began.

    """
    if report is None:
        return True
    if alert.name == AlertName.AUTHENTICATION_FAILED:
        return any(table.success for table in report.tables)
    if alert.name == AlertName.STATUS_FROZEN:
        return report.frozen is False
    recovery = report.recovery
    if recovery is None:
        return True
    if alert.name == AlertName.VM_DOWN:
        return _is_up_or_stopped(alert, recovery)
    if recovery.mode not in ACTING_MODES:
        return True
    match alert.name:
        case AlertName.SYSTEM_DATA_STALE | AlertName.INTERNAL_ERROR | AlertName.JOURNAL_DOWN:
            return True
        case AlertName.DISARMED | AlertName.RIVAL | AlertName.ERROR_BUDGET_SPENT:
            return recovery.journal_up and recovery.readiness != ReadinessState.BROKEN
        case AlertName.CIRCUIT_BREAKER_OPEN:
            # Not by the readiness: a disarm, for one, outranks the breaker in it.
            return recovery.breaker == BreakerState.CLOSED
        case _:
            return _is_resolved_for_vm(alert, recovery, limits, since, now)


def _is_up_or_stopped(alert: Alert, recovery: RecoveryReport) -> bool:
    """Return whether a VM that was down is up again, was stopped on purpose, or was deleted."""
    vm = next((vm for vm in recovery.vms if str(vm.key) == alert.vm_id), None)
    return vm.state in SETTLED if vm is not None else recovery.journal_up


def _is_resolved_for_vm(
    alert: Alert, recovery: RecoveryReport, limits: AlertLimits, since: datetime, now: datetime
) -> bool:
    vm = next((vm for vm in _enrolled_vms(recovery) if str(vm.key) == alert.vm_id), None)
    if vm is None:
        return recovery.journal_up  # until the journal is open, no VM is enrolled
    if alert.name in (
        AlertName.QUARANTINED, AlertName.APPROVAL_NEEDED, AlertName.OUTCOME_UNKNOWN
    ):  # fmt: skip
        return True  # the VM's state comes from the journal, so it is known
    if alert.name == AlertName.HELD_TOO_LONG:
        # Not current as well while recovery as a whole has an alert.
        return _alert_of_state(vm, limits, now) is not AlertName.HELD_TOO_LONG
    is_acted = alert.name == AlertName.ACTED
    if is_acted and (now - since).total_seconds() >= limits.acted_seconds:
        return True
    has_newer_outcome = any(action.vm_key == vm.key for action in recovery.last_actions)
    return has_newer_outcome or (not is_acted and vm.state in SETTLED)
