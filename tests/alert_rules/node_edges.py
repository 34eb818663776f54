"""Cases about the hardware of nodes and the memory of clusters that are not stories."""

from tests.alert_rules.edges import RUNBOOKS, silent, unrelated
from tests.alert_rules.promtool import Case
from tests.alert_rules.stories import (
    CLUSTER,
    NODE,
    NODE_NIC,
    OF_CLUSTER,
    OF_NODE,
    OF_NODE_NIC,
    SYS,
    SYSTEM,
    headroom,
    hot,
    steady,
    then,
)

DOWN = steady(f"vergewatch_node_running{{{NODE}}}", 0)
IN_MAINTENANCE = steady(f"vergewatch_node_maintenance{{{NODE}}}", 1)
NIC_UP = f"vergewatch_node_nic_up{{{NODE_NIC}}}"
LOST = then(NIC_UP, "1x4 0x200")
IPMI = f"vergewatch_node_ipmi_info{{{NODE}"
IN_CLUSTER = steady(f"vergewatch_node_info{{{NODE},{CLUSTER.partition(',')[2]}}}", 1)

CASES = (
    silent("VergeNodeHot", "it is below its limit", *hot(89)),
    silent("VergeNodeHot", "its limit is not known", hot(120)[0]),
    Case("VergeNodeHot", "shows the temperature", hot(97.5), {10: [OF_NODE]}, (9,), text={
        "summary": "A CPU core of node n1 is as hot as it may become",
        "description": f"For more than 10m, the hottest CPU core of node n1 of system {SYSTEM} has "
        "been as hot as it may become, or hotter: 97.5 degrees Celsius.",
        "runbook_url": f"{RUNBOOKS}/VergeNodeHot.md",
        "dashboard_url": f"/d/vergewatch-nodes?var-system={SYSTEM}",
    }),
    silent("VergeNodeNICDown", "it has a link", steady(NIC_UP, 1)),
    silent("VergeNodeNICDown", "it never had a link, and another alert fires for it",
           steady(NIC_UP, 0), unrelated(NODE_NIC)),
    Case("VergeNodeNICDown", "its last link was a day before the end of the wait",
         (then(NIC_UP, "1 _x358 0x60"),), silent=(361, 370), minutes=4),
    silent("VergeNodeNICDown", "the node is down, which has its own alert", LOST, DOWN),
    silent("VergeNodeNICDown", "the node is in maintenance", LOST, IN_MAINTENANCE),
    Case("VergeNodeNICDown", "lasts until it has a link again, for days",
         (then(NIC_UP, "1x4 0x500"),), {8: [OF_NODE_NIC], 390: [OF_NODE_NIC]}, minutes=4),
    silent("VergeNodeIPMIError", "it is ready", steady(f'{IPMI},status="ready"}}', 1)),
    silent("VergeNodeIPMIError", "the node never had one, and another alert fires for it",
           steady(f'{IPMI},status="offline"}}', 1), unrelated(NODE)),
    silent("VergeNodeIPMIError", "an error ends within the wait, and the node never had one",
           then(f'{IPMI},status="error"}}', "1x9 stale"),
           then(f'{IPMI},status="offline"}}', "_x10 1x150")),
    silent("VergeNodeIPMIError", "the node is down, which has its own alert",
           steady(f'{IPMI},status="error"}}', 1), DOWN),
    Case("VergeNodeIPMIError", "fires for one that went offline, for days",
         (then(f'{IPMI},status="ready"}}', "1 stale"),
          then(f'{IPMI},status="offline"}}', "_ 1x500")),
         {10: [OF_NODE], 390: [OF_NODE]}, minutes=4),
    silent("VergeClusterNoHeadroom", "some is left", *headroom(0)),
    silent("VergeClusterNoHeadroom", "the cluster has one node", *headroom(-1, 1, 1)),
    silent("VergeClusterNoHeadroom", "a node is missing, which has its own alert",
           *headroom(-1, 3, 2)),
    silent("VergeClusterNoHeadroom", "a node is in maintenance", *headroom(-1), IN_CLUSTER,
           IN_MAINTENANCE),
    Case("VergeClusterNoHeadroom", "shows how much is missing, whatever another cluster's nodes do",
         (*headroom(-(12.5 * 2**30)), IN_MAINTENANCE,
          steady(f'vergewatch_node_info{{{NODE},cluster_name="other"}}', 1),
          steady(f'vergewatch_node_info{{{SYS},node_name="n2",cluster_name="lab"}}', 1)),
         {30: [OF_CLUSTER]}, (29,), text={
        "summary": "Cluster lab could not run all of its VMs without its largest node",
        "description": "For more than 30m, 12.5GiB of memory would be missing if the largest node "
        f"of cluster lab of system {SYSTEM} failed: VMs would stay down.",
        "runbook_url": f"{RUNBOOKS}/VergeClusterNoHeadroom.md",
        "dashboard_url": f"/d/vergewatch-nodes?var-system={SYSTEM}",
    }),
)  # fmt: skip
