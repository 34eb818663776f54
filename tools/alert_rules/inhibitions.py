"""
Which alerts mute which; a test compares them with `alerts/alertmanager.yml`.

Alertmanager sends no "resolved" for an alert that ends while it is muted, and it notifies of one
that began while it was muted. A muted alert is therefore frozen: while its source fires, it
neither fires nor resolves. `frozen` adds that to the expression of each rule.
"""

from textwrap import indent

from tools.alert_rules.expressions import by, firing
from tools.alert_rules.groups import ALERTS
from tools.alert_rules.model import Alert, Inhibition, Layer, Severity
from tools.alert_rules.storage import TIER

NOTIFYING = (Severity.CRITICAL, Severity.WARNING)
_OF_VMS, _OF_NODES, _OF_PLATFORM = (
    tuple(one.name for one in ALERTS if one.layer is layer and one.severity in NOTIFYING)
    for layer in (Layer.VM, Layer.NODE, Layer.PLATFORM)
)
_VM_DOWN = ("VergeVMDown", "VergeVMUnresponsive", "VergeVMError")

INHIBITIONS = (
    # The state of a system without fresh data is unknown.
    Inhibition(
        ("VergeSystemDataStale", "VergeAuthenticationFailed"),
        (
            *_OF_VMS,
            *_OF_NODES,
            *_OF_PLATFORM,
            "VergeTableFailing",
            "VergeRecoveryNotReady",
            "VergeRecoveryInputMissing",
        ),
        ("system_name",),
    ),
    # Rejected credentials cause stale data.
    Inhibition(("VergeAuthenticationFailed",), ("VergeSystemDataStale",), ("system_name",)),
    # VergeOS is starting the VMs of a dead node elsewhere; the node has its own alert.
    Inhibition(("VergeVMFailoverWindow",), _OF_VMS, ("system_name", "vm_id")),
    # While the circuit breaker is open, single recoveries do not matter.
    Inhibition(
        ("VergeRecoveryCircuitBreakerOpen",),
        ("VergeRecoveryFailed", "VergeRecoveryHeldTooLong"),
        ("system_name",),
    ),
    # A quarantined VM is one notification, not five.
    Inhibition(
        ("VergeRecoveryQuarantined",),
        (*_VM_DOWN, "VergeVMFlapping", "VergeRecoveryFailed"),
        ("system_name", "vm_id"),
    ),
    # A failed recovery implies that the VM is down.
    Inhibition(("VergeRecoveryFailed",), _VM_DOWN, ("system_name", "vm_id")),
    # A cluster lacks the node that is offline.
    Inhibition(("VergeNodeOffline",), ("VergeClusterReduced",), ("system_name",)),
    # A tier that cannot be written has no smaller problems.
    Inhibition(
        ("VergeStorageTierDown",),
        (
            "VergeStorageTierNotRedundant",
            "VergeStorageRepairsGrow",
            "VergeStorageWritesThrottled",
        ),
        TIER,
    ),
    # A full filesystem needs no prediction.
    Inhibition(
        ("VergeVMFilesystemAlmostFull",),
        ("VergeVMFilesystemFilling",),
        ("system_name", "vm_id", "mountpoint"),
    ),
    # A tenant that is down has an error too.
    Inhibition(("VergeTenantDown",), ("VergeTenantError",), ("system_name", "tenant_id")),
)


def frozen(alert: Alert) -> str:
    """Return the expression of *alert*, which neither fires nor resolves while it is muted."""
    mutes = [
        f"on ({', '.join(rule.equal)}) {firing(*rule.sources)}"
        for rule in INHIBITIONS
        if alert.name in rule.targets
    ]
    if not mutes:
        return alert.expr
    begins = "".join(f"\n  unless {mute}" for mute in mutes)
    before = by(alert.identity, firing(alert.name))
    goes_on = "".join(f"\nor\n(\n  {before}\n  and {mute}\n)" for mute in mutes)
    return f"(\n  (\n{indent(alert.expr, '    ')}\n  ){begins}\n){goes_on}"
