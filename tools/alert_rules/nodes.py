"""Alerts about nodes."""

from tools.alert_rules.expressions import NODE, ON_NODE, SYSTEMS_PAGE, VM, VM_PAGE, by
from tools.alert_rules.model import Alert, Layer, Runbook, Severity, Step
from tools.alert_rules.thresholds import Thresholds, duration

OFFLINE = f"""\
{by(NODE, "vergewatch_node_running")} == 0
unless {ON_NODE} (vergewatch_node_maintenance == 1)"""


def alerts(t: Thresholds) -> tuple[Alert, ...]:
    """Return the alerts about nodes."""
    return (_offline(t), _failover(t))


def _offline(t: Thresholds) -> Alert:
    return Alert(
        name="VergeNodeOffline",
        severity=Severity.CRITICAL,
        layer=Layer.NODE,
        identity=NODE,
        expr=OFFLINE,
        wait_seconds=t.node_offline_seconds,
        linger_seconds=t.muted_linger_seconds,
        summary="A node is down.",
        description="Node {{ $labels.node }} of system {{ $labels.system_name }} has not been "
        f"running for more than {duration(t.node_offline_seconds)}, and is not in maintenance.",
        dashboard=SYSTEMS_PAGE,
        quiet="A node in maintenance is silent. A quick reboot is over within the wait.",
        runbook=Runbook(
            meaning="VergeOS reports that the node does not run.",
            impact="VergeOS starts its VMs on other nodes if they have capacity; the system has "
            "less capacity and redundancy.",
            steps=(
                Step(
                    "List the VMs that were on it.",
                    promql='max_over_time(vergewatch_vm_info{node="NODE"}[30m])',
                ),
                Step(
                    "Count the VMs that are still down.",
                    promql="system:vergewatch_vm_unwanted_down:count",
                ),
                Step("Show the readiness of recovery.", command="vergewatch recovery status"),
                Step("Look at the node's console by IPMI, and at its switch ports."),
            ),
            automation="VergeOS starts the node's VMs elsewhere, unless their `on_power_loss` is "
            "`leave_off`, and reboots the node by IPMI after an hour if it can. Recovery leaves "
            "these VMs to it for 5 minutes. Their alerts are muted for "
            f"{duration(t.failover_window_seconds)} by VergeVMFailoverWindow.",
            mitigation=(
                "Put the node into maintenance in VergeOS if you are going to work on it.",
                "Power-cycle it by IPMI.",
            ),
            noise="A node that was switched off without having been put into maintenance.",
        ),
    )


def _failover(t: Thresholds) -> Alert:
    window = duration(t.failover_window_seconds)
    return Alert(
        name="VergeVMFailoverWindow",
        severity=Severity.NONE,
        layer=Layer.INHIBITOR,
        identity=VM,
        expr=f"""\
max by (system_name, vm_id, vm_name) (
  max_over_time(vergewatch_vm_info{{node!=""}}[{window}])
  and {ON_NODE} (
    {by(NODE, f"max_over_time(vergewatch_node_running[{window}])")} == 1
    and {ON_NODE} (vergewatch_node_running == 0)
    unless {ON_NODE} (vergewatch_node_maintenance == 1)
  )
) == 1""",
        summary="The node of a VM failed a moment ago.",
        description="VM {{ $labels.vm_name }} ({{ $labels.vm_id }}) in system "
        f"{{{{ $labels.system_name }}}} was on a node that failed within the last {window}.",
        dashboard=VM_PAGE,
        quiet="No notification is sent: it mutes the alerts of the node's VMs while VergeOS "
        "starts them "
        f"elsewhere, and closes after {window} however long the node is down.",
        runbook=Runbook(
            meaning="An alert for Alertmanager, not for people: while it fires, it mutes the "
            "alerts of a VM whose node has just failed.",
            impact="None. Alerts of these VMs come later, by the length of the window.",
            steps=(
                Step("List the VMs whose alerts it mutes.",
                     promql='ALERTS{alertname="VergeVMFailoverWindow", alertstate="firing"}'),
                Step("Show the node.", promql="vergewatch_node_running == 0"),
            ),
            automation="VergeOS starts the VMs elsewhere; see VergeNodeOffline.",
            mitigation=("No action is required.",),
            noise="VMs that left the node by themselves shortly before it failed are muted, too. "
            "If that matters more to you than quiet, take its rule out of `inhibit_rules`.",
        ),
    )  # fmt: skip
