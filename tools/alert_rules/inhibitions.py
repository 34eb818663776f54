"""
Which alerts mute which; a test compares them with `alerts/alertmanager.yml`.

Alertmanager sends no "resolved" for an alert that is over while it is muted, and it does tell of
one that began while it was muted if that outlives the muting. So what is muted is frozen: as long
as its source fires, it neither fires nor resolves. That is added to each expression when it is
rendered, from this table.
"""

from collections.abc import Iterable, Sequence

from tools.alert_rules.expressions import by, firing
from tools.alert_rules.model import Alert, Inhibition, Layer, Severity

TROUBLE = ("VergeVMDown", "VergeVMUnresponsive", "VergeVMError")
NOTIFYING = (Severity.CRITICAL, Severity.WARNING)


def inhibitions(alerts: Sequence[Alert]) -> tuple[Inhibition, ...]:
    """Return which of *alerts* mute which."""
    of_vms = tuple(_notifying(alerts, Layer.VM))
    seen = (*of_vms, *_notifying(alerts, Layer.NODE))
    return (
        Inhibition(
            ("VergeSystemDataStale", "VergeAuthenticationFailed"),
            (*seen, "VergeTableFailing", "VergeRecoveryNotReady"),
            ("system_name",),
            "The state of a system without fresh data is unknown.",
        ),
        Inhibition(
            ("VergeAuthenticationFailed",),
            ("VergeSystemDataStale",),
            ("system_name",),
            "Rejected credentials cause stale data.",
        ),
        Inhibition(
            ("VergeVMFailoverWindow",),
            of_vms,
            ("system_name", "vm_id"),
            "VergeOS is starting the VMs of a dead node elsewhere; the node's alert is out.",
        ),
        Inhibition(
            ("VergeRecoveryCircuitBreakerOpen",),
            ("VergeRecoveryFailed", "VergeRecoveryHeldTooLong", "VergeRecoveryUnknownTooLong"),
            ("system_name",),
            "While the circuit breaker is open, single recoveries do not matter.",
        ),
        Inhibition(
            ("VergeRecoveryQuarantined",),
            (*TROUBLE, "VergeVMFlapping", "VergeRecoveryFailed"),
            ("system_name", "vm_id"),
            "A quarantined VM is one notification, not five.",
        ),
        Inhibition(
            ("VergeRecoveryFailed",),
            TROUBLE,
            ("system_name", "vm_id"),
            "A failed recovery implies that the VM is down.",
        ),
        Inhibition(
            ("VergeVMFilesystemAlmostFull",),
            ("VergeVMFilesystemFilling",),
            ("system_name", "vm_id", "mountpoint"),
            "A full filesystem needs no prediction.",
        ),
    )


def frozen(alert: Alert, table: Iterable[Inhibition]) -> str:
    """Return the expression of *alert* that neither fires nor resolves while it is muted."""
    mutes = [
        f"on ({', '.join(rule.equal)}) {firing(*rule.sources)}"
        for rule in table
        if alert.name in rule.targets
    ]
    if not mutes:
        return alert.expr
    begins = "".join(f"\n  unless {mute}" for mute in mutes)
    goes_on = by(alert.identity, firing(alert.name))
    lasts = "".join(f"\nor\n(\n  {goes_on}\n  and {mute}\n)" for mute in mutes)
    return f"(\n{_indented(_bracketed(alert.expr))}{begins}\n){lasts}"


def _bracketed(expr: str) -> str:
    return f"(\n{_indented(expr)}\n)"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _notifying(alerts: Iterable[Alert], layer: Layer) -> Iterable[str]:
    return (alert.name for alert in alerts if alert.layer is layer and alert.severity in NOTIFYING)
