"""
One alert for each check of the doctor, made of the check itself.

A check whose alert another module defines, such as VergeSystemDataStale, gets none here: one fact
is one alert.
"""

from collections.abc import Collection, Iterable

from exporter.doctor.check import Check
from exporter.doctor.registry import CHECKS
from exporter.model import Level
from tools.alert_rules.expressions import OF_SYSTEM, by
from tools.alert_rules.model import FOR, MUTED, Alert, Layer, Severity

SUBJECT = ("system_name", "subject")
ADVICE = frozenset({"updates_available"})
"""Checks whose findings may stay as long as the operator likes."""
_WAITS = {Severity.CRITICAL: "5m", Severity.WARNING: "15m", Severity.INFO: "15m"}
"""Most tables are read every five minutes or less often: a warning is one that stays."""


def alerts(checks: Iterable[Check] = CHECKS, *, elsewhere: Collection[str]) -> tuple[Alert, ...]:
    """
    Return the alerts of *checks*.

    Args:
        elsewhere: The names of alerts that other modules define.

    """
    return tuple(
        alert
        for check in checks
        if check.alert and check.alert not in elsewhere
        for alert in _alerts(check)
    )


def _alerts(check: Check) -> Iterable[Alert]:
    """Yield the alert of *check*, and one for its critical findings if these wake a person."""
    if not check.wakes:
        severity = Severity.INFO if check.name in ADVICE else Severity.WARNING
        yield _alert(check, check.alert, severity)
        return
    if Level.WARNING in check.levels:
        yield _alert(check, check.alert, Severity.WARNING, f',level="{Level.WARNING}"')
    name = check.alert_of(Level.CRITICAL)
    yield _alert(check, name, Severity.CRITICAL, f',level="{Level.CRITICAL}"')


def _alert(check: Check, name: str, severity: Severity, level: str = "") -> Alert:
    findings = f'vergewatch_doctor_finding{{check="{check.name}"{level}}}'
    return Alert(
        name=name,
        severity=severity,
        layer=Layer.PLATFORM,
        identity=SUBJECT,
        expr=f"{by(SUBJECT, findings)} == 1",
        for_=_WAITS[severity],
        keep_firing_for=MUTED,
        summary=f"{{subject}}: {check.summary.removesuffix('.')}",
        description=f"{{{{ $labels.subject }}}} in {OF_SYSTEM}, for more than {FOR}: "
        f"{check.summary} {check.remedy} Run `vergewatch doctor` to see the values.",
    )
