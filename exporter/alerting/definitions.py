"""
The alerts that the daemon posts and the alert rules have too: one name and label set for each fact.

Alertmanager takes two alerts with equal labels for one, whichever of both sends it. So the rules
take names, labels, titles and links from here.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import quote_plus

OF_SYSTEM = ("system_name",)
OF_VM = ("system_name", "vm_id", "vm_name")


class AlertName(StrEnum):
    """Value of the label ``alertname``."""

    SYSTEM_DATA_STALE = "VergeSystemDataStale"
    AUTHENTICATION_FAILED = "VergeAuthenticationFailed"
    STATUS_FROZEN = "VergeSystemStatusFrozen"
    DISARMED = "VergeRecoveryDisarmed"
    RIVAL = "VergeRecoveryRival"
    INTERNAL_ERROR = "VergeRecoveryInternalError"
    CIRCUIT_BREAKER_OPEN = "VergeRecoveryCircuitBreakerOpen"
    JOURNAL_DOWN = "VergeRecoveryJournalDown"
    VM_DOWN = "VergeVMDown"
    QUARANTINED = "VergeRecoveryQuarantined"
    HELD_TOO_LONG = "VergeRecoveryHeldTooLong"
    FAILED = "VergeRecoveryFailed"
    OUTCOME_UNKNOWN = "VergeRecoveryOutcomeUnknown"
    ACTED = "VergeRecoveryActed"
    APPROVAL_NEEDED = "VergeRecoveryApprovalNeeded"
    ERROR_BUDGET_SPENT = "VergeRecoveryErrorBudgetSpent"


class AlertDefinition(NamedTuple):
    """What all alerts of one name have in common."""

    summary: str
    """The title: which object, and what is wrong with it. ``{label}`` stands for the label."""
    severity: str = "critical"
    layer: str = "recovery"
    identity: tuple[str, ...] = OF_SYSTEM
    """The labels that tell its alerts apart."""
    vm_down: bool = False
    """Whether a VM is or may be down: silencing such an alert also holds recovery of the VM."""


DEFINITIONS: Mapping[AlertName, AlertDefinition] = {
    AlertName.SYSTEM_DATA_STALE: AlertDefinition(
        "System {system_name} sends no data; its VMs are not monitored",
        layer="system",
        vm_down=True,
    ),
    AlertName.AUTHENTICATION_FAILED: AlertDefinition(
        "System {system_name} rejects the credentials of Vergewatch", layer="system"
    ),
    AlertName.STATUS_FROZEN: AlertDefinition(
        "System {system_name} no longer updates the status of its VMs", layer="system", vm_down=True
    ),
    AlertName.DISARMED: AlertDefinition(
        "Recovery of system {system_name} has been disarmed for a long time", "warning"
    ),
    AlertName.RIVAL: AlertDefinition(
        "Another instance acts on system {system_name}; recovery is held"
    ),
    AlertName.INTERNAL_ERROR: AlertDefinition(
        "Recovery of system {system_name} stopped because of an internal error"
    ),
    AlertName.CIRCUIT_BREAKER_OPEN: AlertDefinition(
        "Too many VMs of system {system_name} are down at once; the circuit breaker is open"
    ),
    AlertName.JOURNAL_DOWN: AlertDefinition(
        "Recovery of system {system_name} cannot write its journal and takes no action"
    ),
    AlertName.VM_DOWN: AlertDefinition(
        "VM {vm_name} is down unexpectedly", layer="vm", identity=OF_VM, vm_down=True
    ),
    AlertName.QUARANTINED: AlertDefinition(
        "VM {vm_name} is quarantined; manual action is required", identity=OF_VM, vm_down=True
    ),
    AlertName.HELD_TOO_LONG: AlertDefinition(
        "VM {vm_name} crashed, and recovery is not allowed to start it",
        "warning",
        identity=OF_VM,
        vm_down=True,
    ),
    AlertName.FAILED: AlertDefinition(
        "VM {vm_name} is still down after a recovery action", identity=OF_VM, vm_down=True
    ),
    AlertName.OUTCOME_UNKNOWN: AlertDefinition(
        "The recovery action on VM {vm_name} has no known outcome",
        "warning",
        identity=OF_VM,
        vm_down=True,
    ),
    AlertName.ACTED: AlertDefinition("Recovery restarted VM {vm_name}", "info", identity=OF_VM),
    AlertName.APPROVAL_NEEDED: AlertDefinition(
        "VM {vm_name} crashed, and recovery asks whether to act on it", identity=OF_VM, vm_down=True
    ),
    AlertName.ERROR_BUDGET_SPENT: AlertDefinition(
        "People undid actions of recovery in system {system_name}, so it asks before each action",
        "warning",
    ),
}


class Links(NamedTuple):
    """Where the links of the alerts lead: base URLs without a slash at the end."""

    runbooks: str
    dashboards: str = ""
    """The address of Grafana; without it, links to dashboards are paths."""

    def runbook(self, name: str) -> str:
        return f"{self.runbooks.rstrip('/')}/{name}.md"

    def dashboard(self, name: str, variables: Mapping[str, str]) -> str:
        """Return the link to a dashboard with *variables*, which are quoted."""
        query = "&".join(f"var-{key}={value}" for key, value in variables.items())
        path = f"/d/vergewatch-{name}{'?' if query else ''}{query}"
        return self.dashboards.rstrip("/") + path

    def dashboard_of(self, name: AlertName, labels: Mapping[str, str]) -> str:
        """Return the link to the dashboard that shows more of an alert of the daemon."""
        of_vm = "vm_name" in labels
        variables = {
            "system": labels["system_name"],
            **({"vm": labels["vm_name"]} if of_vm else {}),
        }
        quoted = {key: quote_plus(value) for key, value in variables.items()}
        return self.dashboard(dashboard_name(DEFINITIONS[name].layer, tuple(labels)), quoted)


_DASHBOARDS_OF_LABELS = (
    ("vnet_name", "networks"),
    ("tenant_name", "tenants"),
    ("vm_name", "vm"),
    ("storage_tier", "storage"),
    ("drive", "storage"),
)
_DASHBOARDS_OF_LAYERS = {"node": "nodes", "platform": "doctor", "recovery": "recovery"}


def dashboard_name(layer: str, labels: tuple[str, ...]) -> str:
    """Return which dashboard shows more of an alert with *labels*."""
    by_label = (name for label, name in _DASHBOARDS_OF_LABELS if label in labels)
    return next(by_label, _DASHBOARDS_OF_LAYERS.get(layer, "exporter"))
