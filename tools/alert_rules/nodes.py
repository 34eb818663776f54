"""Rules about nodes' hardware and clusters' memory, besides those of the doctor's checks."""

from functools import partial

from exporter.collectors.node_details import IpmiStatus
from tools.alert_rules.expressions import NODE, OF_SYSTEM, ON_NODE, by, firing
from tools.alert_rules.model import FOR, MUTED, Alert, Layer, Severity

CLUSTER = ("system_name", "cluster_name")
NODE_NIC = (*NODE, "nic")
ON_CLUSTER = "on (system_name, cluster_name)"
ON_NIC = "on (system_name, node_name, nic)"

_NODE_DOWN = "(vergewatch_node_running == 0)"
_NODE_IN_MAINTENANCE = "(vergewatch_node_maintenance == 1)"
_OF_NODE = "node {{ $labels.node_name }} of system {{ $labels.system_name }}"
_IPMI = "vergewatch_node_ipmi_info"
_warning = partial(Alert, severity=Severity.WARNING, layer=Layer.NODE, keep_firing_for=MUTED)

ALERTS = (
    _warning(
        name="VergeNodeHot",
        identity=NODE,
        expr=f"""\
{by(NODE, "vergewatch_node_core_temperature_top_celsius")}
>= {by(NODE, "vergewatch_node_core_temperature_limit_celsius")}""",
        for_="10m",
        summary="A CPU core of node {node_name} is as hot as it may become",
        description=f"For more than {FOR}, the hottest CPU core of {_OF_NODE} has been as hot as "
        "it may become, or hotter: {{ $value | humanize }} degrees Celsius.",
    ),
    _warning(
        name="VergeNodeNICDown",
        identity=NODE_NIC,
        # A port that is not used never had a link. Once this fires, it lasts until there is one.
        expr=f"""\
{by(NODE_NIC, "vergewatch_node_nic_up")} == 0
and {ON_NIC} (
  max_over_time(vergewatch_node_nic_up[1d]) == 1
  or {firing("VergeNodeNICDown")}
)
unless {ON_NODE} {_NODE_DOWN}
unless {ON_NODE} {_NODE_IN_MAINTENANCE}""",
        for_="5m",
        summary="NIC {nic} of node {node_name} lost its link",
        description=f"NIC {{{{ $labels.nic }}}} of {_OF_NODE} has had no link for more than "
        f"{FOR}. It had one within the last 1d.",
    ),
    _warning(
        name="VergeNodeIPMIError",
        identity=NODE,
        # A node without IPMI is offline from the start.
        expr=f"""\
(
  {by(NODE, f'{_IPMI}{{status="{IpmiStatus.ERROR}"}}')} == 1
  or
  {by(NODE, f'{_IPMI}{{status="{IpmiStatus.OFFLINE}"}}')} == 1
  and {ON_NODE} (
    max_over_time({_IPMI}{{status="{IpmiStatus.READY}"}}[1d]) == 1
    or {firing("VergeNodeIPMIError")}
  )
)
unless {ON_NODE} {_NODE_DOWN}""",
        for_="30m",
        summary="VergeOS cannot reach the IPMI of node {node_name}",
        description=f"The IPMI of {_OF_NODE} has been in error, or offline, for more than {FOR}. "
        "If the node hangs, VergeOS cannot restart it.",
    ),
    _warning(
        name="VergeClusterNoHeadroom",
        identity=CLUSTER,
        # A cluster that lacks a node already, or gives one to maintenance, has no headroom to lose.
        expr=f"""\
-1 * {by(CLUSTER, "vergewatch_cluster_memory_headroom_bytes")} > 0
and {ON_CLUSTER} (vergewatch_cluster_nodes > 1)
unless {ON_CLUSTER} (vergewatch_cluster_online_nodes < vergewatch_cluster_nodes)
unless {ON_CLUSTER} (vergewatch_node_info and {ON_NODE} {_NODE_IN_MAINTENANCE})""",
        for_="30m",
        summary="Cluster {cluster_name} could not run all of its VMs without its largest node",
        description=f"For more than {FOR}, {{{{ $value | humanize1024 }}}}B of memory would be "
        "missing if the largest node of cluster {{ $labels.cluster_name }} of "
        f"{OF_SYSTEM} failed: VMs would stay down.",
    ),
)
