"""Faults of nodes: their hardware, versions, NICs and the fabric between them."""

from exporter.simulator.api.fault_types import row_fault

FAULTS = {
    "node_needs_restart": row_fault(
        "a node has to be restarted",
        nodes={"need_restart": True, "restart_reason": "Kernel settings changed"},
    ),
    "node_vsan_disconnected": row_fault(
        "a node is not connected to the vSAN", nodes={"vsan_connected": False}
    ),
    "node_version_drift": row_fault(
        "a node runs another version than the others", nodes={"yb_version": "26.1.7"}
    ),
    "drivers_reload_required": row_fault(
        "drivers of a node have to be loaded again", nodes={"reload_drivers_required": True}
    ),
    "ipmi_error": row_fault(
        "VergeOS cannot use the IPMI of a node",
        nodes={"ipmi_status": "error", "ipmi_status_info": "Unable to establish IPMI session"},
    ),
    "node_hot": row_fault(
        "the cores of a node are too hot",
        default="node1",
        machine_stats={"core_temp": 93, "core_temp_top": 97},
    ),
    "dimm_failed": row_fault(
        "a memory module of a node fails",
        node_memory={"status": "error", "status_info": "Uncorrectable ECC error"},
    ),
    "fabric_degraded": row_fault(
        "a NIC of a node lost a path of the core fabric",
        machine_nic_fabric_status={"status": "degraded", "state": "warning"},
    ),
    "fabric_slow": row_fault(
        "a path of the core fabric is slower than the others",
        machine_nic_fabric_status={"min_score": lambda nic, _view: nic.speed_mbps / 1000},
    ),
    "lldp_one_switch": row_fault(
        "all NICs of the nodes are connected to one switch",
        default="*",
        node_lldp_neighbors={"chassis": {"name": "sw-rack1-a", "ChassisID": "mac 00"}},
    ),
    "node_nic_down": row_fault(
        "a NIC of the node has no link",
        default="node1/eno1",
        machine_nic_status={"status": "down", "state": "offline", "speed": 0},
    ),
    "cluster_no_headroom": row_fault(
        "the memory of a cluster is nearly all assigned",
        cluster_status={
            "used_ram": lambda cluster, _view: (
                sum(node.memory_mb for node in cluster.nodes if node.alive) - 1024
            ),
        },
    ),
}
