"""Nodes and fabric: clusters and their headroom, nodes, their load, network and hardware."""

from exporter.collectors.node_details import IpmiStatus
from tools.alert_rules.expressions import ON_NODE
from tools.alert_rules.nodes import NODE_NIC
from tools.dashboards.page import Page, Panel, Panels, alerts, clusters, systems
from tools.dashboards.panels import (
    BITS_PER_SECOND,
    BYTES,
    DARK_GREY,
    RATIO,
    SLOW,
    Column,
    graph,
    number,
    table,
    texts,
    yes_no,
)
from tools.dashboards.queries import EVERY_SYSTEM, IN_CLUSTER, every, labeled, largest, or_zero
from tools.dashboards.words import STATUSES, LabelValues, Meaning

A_CLUSTER = "system_name, cluster_name"
A_NODE = "system_name, node_name"
A_NIC = ", ".join(NODE_NIC)
NODES = every("node_info", IN_CLUSTER)

LINKS = texts(
    {
        "up": ("Up", "green"),
        "down": ("Down", "red"),
        "lowerlayerdown": ("Lower layer down", "red"),
        "unknown": ("Unknown", DARK_GREY),
    }
)
FABRIC = LabelValues(
    "node_fabric_info",
    "status",
    (
        Meaning("Confirmed", "green", ("confirmed",)),
        Meaning("Degraded", "orange", ("degraded",)),
        Meaning("No path", "red", ("no_path",)),
    ),
)
IPMI = LabelValues(
    "node_ipmi_info",
    "status",
    (
        Meaning("Ready", "green", (IpmiStatus.READY,)),
        Meaning("Connecting", "light-blue", (IpmiStatus.CONNECTING,)),
        Meaning("Offline", DARK_GREY, (IpmiStatus.OFFLINE,)),
        Meaning("Error", "red", (IpmiStatus.ERROR,)),
    ),
)
DIMMS = texts(
    {
        "online": ("Online", "green"),
        "warning": ("Warning", "orange"),
        "error": ("Error", "red"),
        "offline": ("Offline", "red"),
    }
)
CLUSTERS = texts(
    {
        "online": ("Online", "green"),
        "reduced": ("Reduced", "orange"),
        "noredundant": ("Not redundant", "orange"),
        "insufficient": ("Insufficient", "red"),
        "offline": ("Offline", "red"),
        "error": ("Error", "red"),
        "maintenance": ("Maintenance", "purple"),
        "updating": ("Updating", "blue"),
        "shutdown": ("Shut down", DARK_GREY),
    }
)


def page() -> Page:
    """Return the dashboard of nodes and fabric."""
    return Page(
        "vergewatch-nodes",
        "Nodes and fabric",
        "Clusters and their headroom; nodes with their load, network and hardware.",
        variables=[systems(), clusters()],
        annotations=[alerts()],
        sections={
            "": {**_numbers(), "Clusters": _clusters(), "Nodes": _nodes()},
            "Load": _load(),
            "Network": {"NICs and core fabric": _nics(), "Switches": _switches(), **_traffic()},
            "Hardware": {"Memory modules": _dimms(), "GPUs": _gpus(), "Versions": _versions()},
        },
    )


def _of_clusters(expr: str) -> str:
    """Keep what *expr* has of nodes in the chosen clusters."""
    return f"({expr}) and {ON_NODE} {NODES}"


def _number_of(expr: str) -> str:
    return or_zero(f"count(max without (job, instance) ({_of_clusters(expr)}))")


def _problem(about: str, expr: str) -> Panel:
    return number(about, _number_of(expr), steps=[(1, "orange")])


def _numbers() -> Panels:
    not_running = f"{every('node_running')} == 0 unless {ON_NODE} {every('node_maintenance')} == 1"
    unconfirmed = every("node_fabric_info", 'status!="confirmed"')
    return {
        "Nodes down": number(
            "Nodes that do not run and are not in maintenance.",
            _number_of(not_running),
            steps=[(1, "red")],
        ),
        "Need a restart": _problem("node_need_restart", f"{every('node_need_restart')} == 1"),
        "Without vSAN": number(
            "Nodes that are not connected to the vSAN.",
            _number_of(f"{every('node_vsan_connected')} == 0"),
            steps=[(1, "red")],
        ),
        "NICs without link": number(
            "NICs of nodes that have no link, those that were never connected among them.",
            _number_of(f"{every('node_nic_up')} == 0"),
            base="blue",
        ),
        "Fabric not confirmed": _problem(
            "NICs of the core network that do not reach every other node on both paths.",
            unconfirmed,
        ),
        "Failing memory modules": _problem(
            "Memory modules that are not online.", every("node_dimm_info", 'status!="online"')
        ),
        "Least headroom": number(
            "cluster_memory_headroom_bytes",
            f"min({every('cluster_memory_headroom_bytes', IN_CLUSTER)})",
            unit=BYTES,
            base="red",
            steps=[(0, "green")],
        ),
        "Hottest core, °C": number(
            "Temperature of the hottest CPU core of all nodes.",
            f"max({_of_clusters(every('node_core_temperature_top_celsius'))})",
            base="blue",
            decimals=0,
        ),
    }


def _clusters() -> Panel:
    def of_cluster(metric: str) -> str:
        return largest(A_CLUSTER, every(metric, IN_CLUSTER))

    used = f"{of_cluster('cluster_used_memory_bytes')} / ({of_cluster('cluster_memory_bytes')} > 0)"
    cores = f"{of_cluster('cluster_used_cpu_cores')} / ({of_cluster('cluster_cpu_cores')} > 0)"
    return table(
        "Each cluster with its nodes, its memory and its CPU cores. Headroom is the memory that "
        "would be left without the largest node; a cluster that overcommits its memory has none.",
        [
            Column("Cluster", "cluster_name"),
            Column("System", "system_name"),
            Column("Status", "status", texts=CLUSTERS),
            Column("Nodes", expr=of_cluster("cluster_nodes")),
            Column("Online", expr=of_cluster("cluster_online_nodes")),
            Column("Machines", expr=of_cluster("cluster_running_machines")),
            Column("Memory", expr=of_cluster("cluster_memory_bytes"), unit=BYTES),
            Column("Memory assigned", expr=used, gauge=True),
            Column("Target", expr=of_cluster("cluster_memory_target_ratio"), unit=RATIO),
            Column(
                "Headroom",
                expr=of_cluster("cluster_memory_headroom_bytes"),
                unit=BYTES,
                base="red",
                steps=[(0, "green")],
            ),
            Column("Cores assigned", expr=cores, unit=RATIO, decimals=0),
        ],
        info=largest(f"{A_CLUSTER}, status", every("cluster_status_info", IN_CLUSTER)),
        height=6,
    )


def _nodes() -> Panel:
    def of_node(expr: str) -> str:
        return largest(A_NODE, _of_clusters(expr))

    def share(used: str) -> str:
        return f"{every(used)} / ({every('node_memory_bytes')} > 0)"

    status = largest(f"{A_NODE}, status", every("node_status_info"))
    version = largest(f"{A_NODE}, version", every("node_version_info"))
    info = labeled(f"{largest(f'{A_NODE}, cluster_name', NODES)}", "status", status, ON_NODE)
    return table(
        "Each node with its load and what asks for attention.",
        [
            Column("Node", "node_name"),
            Column("Cluster", "cluster_name"),
            Column("System", "system_name"),
            Column("Status", "status", texts=STATUSES.texts()),
            Column("Version", "version"),
            Column("CPU", expr=of_node(every("node_cpu_usage_ratio")), gauge=True),
            Column("Memory", expr=of_node(every("node_memory_bytes")), unit=BYTES),
            Column("Memory in use", expr=of_node(share("node_memory_used_bytes")), gauge=True),
            Column("Machines", expr=of_node(every("node_running_machines"))),
            Column(
                "Hottest core, °C",
                expr=of_node(every("node_core_temperature_top_celsius")),
                decimals=0,
            ),
            Column(
                "Restart",
                expr=of_node(every("node_need_restart")),
                texts=yes_no(("Needed", "orange"), ("No", "text")),
            ),
            Column(
                "Drivers",
                expr=of_node(every("node_drivers_reload_required")),
                texts=yes_no(("Reload", "orange"), ("Loaded", "text")),
            ),
            Column(
                "vSAN",
                expr=of_node(every("node_vsan_connected")),
                texts=yes_no(("Connected", "text"), ("Not connected", "red")),
            ),
        ],
        info=labeled(info, "version", version, ON_NODE),
        height=9,
        paged=True,
    )


def _load() -> Panels:
    def by_node(about: str, metric: str, **how: str | float) -> Panel:
        expr = largest(A_NODE, _of_clusters(every(metric)))
        return graph(about, {"{{node_name}}": expr}, step=SLOW, **how)  # type: ignore[arg-type]

    return {
        "CPU": by_node("node_cpu_usage_ratio", "node_cpu_usage_ratio", unit=RATIO, high=1),
        "CPU that waits for storage": by_node(
            "node_cpu_iowait_ratio", "node_cpu_iowait_ratio", unit=RATIO
        ),
        "Memory in use": by_node("node_memory_used_bytes", "node_memory_used_bytes", unit=BYTES),
        "Hottest CPU core, °C": by_node(
            "node_core_temperature_top_celsius", "node_core_temperature_top_celsius"
        ),
    }


def _nics() -> Panel:
    links = largest(f"{A_NIC}, status", _of_clusters(every("node_nic_status_info")))

    def of_nic(metric: str, factor: str = "") -> str:
        return largest(A_NIC, _of_clusters(every(metric))) + factor

    return table(
        "Each NIC of the nodes. Those of the core network have a fabric status and scores, which "
        "are twice the speed in Gbit/s; the worst score is below the best one if a path is slow.",
        [
            Column("Node", "node_name"),
            Column("NIC", "nic"),
            Column("System", "system_name"),
            Column("Link", "status", texts=LINKS),
            Column(
                "Speed",
                expr=of_nic("node_nic_speed_bytes_per_second", " * 8"),
                unit=BITS_PER_SECOND,
            ),
            Column(
                "Fabric",
                expr=_of_clusters(FABRIC.codes(A_NIC, EVERY_SYSTEM)),
                texts=FABRIC.code_texts(),
            ),
            Column("Best score", expr=of_nic("node_fabric_max_score")),
            Column("Worst score", expr=of_nic("node_fabric_min_score")),
        ],
        info=links,
        width=16,
        paged=True,
    )


def _switches() -> Panel:
    def of_node(metric: str) -> str:
        return largest(A_NODE, _of_clusters(every(metric)))

    return table(
        "How many switches each node is connected to, as far as they send LLDP.",
        [
            Column("Node", "node_name"),
            Column("System", "system_name"),
            Column("NICs", expr=of_node("node_lldp_nics")),
            Column(
                "Switches",
                expr=of_node("node_lldp_switches"),
                base="orange",
                steps=[(2, "green")],
            ),
        ],
        width=8,
        paged=True,
        empty="no switch sends LLDP",
    )


def _traffic() -> Panels:
    def rates(metric: str) -> str:
        of_nic = largest(A_NIC, f"rate({every(metric)}[$__rate_interval])")
        return f"8 * sum by ({A_NODE}) ({_of_clusters(of_nic)})"

    return {
        "Received": graph(
            "What the NICs of each node receive, together.",
            {"{{node_name}}": rates("node_nic_receive_bytes_total")},
            step=SLOW,
            unit=BITS_PER_SECOND,
        ),
        "Sent": graph(
            "What the NICs of each node send, together.",
            {"{{node_name}}": rates("node_nic_transmit_bytes_total")},
            step=SLOW,
            unit=BITS_PER_SECOND,
        ),
    }


def _dimms() -> Panel:
    dimms = _of_clusters(every("node_dimm_info"))
    return table(
        "The memory modules of each node.",
        [
            Column("Node", "node_name"),
            Column("Module", "dimm"),
            Column("Status", "status", texts=DIMMS),
            Column("Size", "size"),
            Column("Serial number", "serial_number"),
            Column("System", "system_name"),
        ],
        info=largest(f"{A_NODE}, dimm, status, size, serial_number", dimms),
        width=14,
        sort="-Status",
        paged=True,
    )


def _gpus() -> Panel:
    def of_gpu(metric: str) -> str:
        return largest(f"{A_NODE}, gpu", _of_clusters(every(metric)))

    return table(
        "The GPUs of the nodes that machines may get, and how many have them.",
        [
            Column("Node", "node_name"),
            Column("GPU", "gpu"),
            Column("Machines", expr=of_gpu("node_gpu_instances")),
            Column("At most", expr=of_gpu("node_gpu_max_instances")),
            Column("System", "system_name"),
        ],
        width=10,
        paged=True,
        empty="no GPUs",
    )


def _versions() -> Panel:
    names = {
        "VergeOS": "version",
        "OS": "os_version",
        "Kernel": "kernel_version",
        "vSAN": "vsan_version",
        "Application server": "appserver_version",
        "QEMU": "qemu_version",
    }
    versions = largest(
        f"{A_NODE}, {', '.join(names.values())}", _of_clusters(every("node_version_info"))
    )
    return table(
        "The versions that each node runs, and the status of its IPMI.",
        [
            Column("Node", "node_name"),
            Column("System", "system_name"),
            *(Column(title, label) for title, label in names.items()),
            Column(
                "IPMI",
                expr=_of_clusters(IPMI.codes(A_NODE, EVERY_SYSTEM)),
                texts=IPMI.code_texts(),
            ),
            Column("Events", expr=largest(A_NODE, _of_clusters(every("node_ipmi_log_records")))),
        ],
        info=versions,
        paged=True,
    )
