"""All systems: current problems, then clusters and nodes, load, and all VMs."""

from tools.alert_rules import thresholds
from tools.alert_rules.expressions import ENROLLED, ON_NODE, ON_SYSTEM, ON_VM, VM
from tools.alert_rules.vms import UNWANTED_DOWN
from tools.dashboards.page import Page, Panel, Panels, alerts, clusters, recovery_actions, systems
from tools.dashboards.panels import (
    BYTES,
    RATIO,
    SECONDS,
    VM_OF_ROW,
    VM_OF_SERIES,
    Column,
    bar_list,
    graph,
    number,
    table,
    texts,
    timeline,
    yes_no,
)
from tools.dashboards.queries import (
    EVERY_SYSTEM,
    IN_CLUSTER,
    every,
    in_clusters,
    labeled,
    largest,
    or_zero,
    series,
)
from tools.dashboards.recovery import mode_and_readiness
from tools.dashboards.words import STATES, STATUSES, TROUBLE, TROUBLE_STATE, among

A_VM = ", ".join(VM)
STATUS = every("vm_status_info")
IN_TROUBLE = every("vm_status_info", among("status", TROUBLE))
TROUBLED = f"({largest(A_VM, IN_TROUBLE)} or {UNWANTED_DOWN}{{{EVERY_SYSTEM}}})"
VM_INFO = every("vm_info", IN_CLUSTER)
RUNNING = every("vm_running")
WAS_UP = f"max_over_time({RUNNING}[$__range]) == 1"
RUNS = largest(A_VM, RUNNING)
WENT_DOWN = f"({RUNS} == 0 and {ON_VM} {WAS_UP})"
CPU = every("vm_cpu_usage_ratio")

OURS = 'alertname=~"Verge.*"'
SERIOUS = 'severity=~"critical|warning"'
FIRING = 'alertstate="firing"'
SEVERITIES = texts(
    {"critical": ("critical", "red"), "warning": ("warning", "orange"), "info": ("info", "blue")}
)
ALERT_STATES = texts({"firing": ("firing", "red"), "pending": ("pending", "yellow")})
RUNBOOK = {"title": "Open the runbook", "url": f"{thresholds.RUNBOOKS}/${{__value.raw}}.md"}


def page() -> Page:
    """Return the dashboard of all systems."""
    return Page(
        "vergewatch-systems",
        "Systems",
        "All VMs of all systems: current problems first, then the load.",
        variables=[systems(), clusters()],
        annotations=[recovery_actions(EVERY_SYSTEM), alerts()],
        sections={
            "": {
                **_numbers(),
                "Current problems": _problems(),
                "Alerts": _alerts(),
                "VMs with changes or problems": _bands(),
            },
            "Clusters and nodes": {
                "VMs by status": _by_status(),
                "Clusters": _clusters(),
                "Nodes": _nodes(),
            },
            "Load": _load(),
            "All VMs": {"All VMs": _all()},
        },
        collapsed=["All VMs"],
    )


def _numbers() -> Panels:
    quarantined = largest(A_VM, every("recovery_vm_state_info", ENROLLED, 'state="quarantined"'))
    runs = largest("system_name, node_name", every("node_running"))
    nodes_down = (
        f"({runs} == 0 unless {ON_NODE} {every('node_maintenance')} == 1)"
        f" and {ON_NODE} {every('node_info', IN_CLUSTER)}"
    )
    return {
        "Alerts firing": number(
            "Critical alerts and warnings of Vergewatch's rules that fire now, in all systems.",
            f"count({series('ALERTS', OURS, FIRING, SERIOUS)}) or vector(0)",
            steps=[(1, "orange")],
        ),
        "Systems up": number(
            "up",
            f"min({every('up')})",
            texts=yes_no(("All systems", "green"), ("Stale", "red")),
            empty="no system",
        ),
        "Recovery": mode_and_readiness(width=3),
        "Running": number("VMs that run now.", or_zero(f"sum({in_clusters(RUNS)})"), base="blue"),
        "Went down": number(
            "VMs that ran in this range and do not run now, for any reason.",
            or_zero(f"count({in_clusters(WENT_DOWN)})"),
            steps=[(1, "yellow")],
        ),
        "With problems": number(
            "VMs that are down but were not stopped on purpose, that VergeOS reports as "
            "unresponsive or in error, or that wait for resources or a license.",
            or_zero(f"count({in_clusters(TROUBLED)})"),
            steps=[(1, "red")],
        ),
        "Quarantined": number(
            "VMs that recovery no longer restarts. Manual action is required.",
            or_zero(f"count({in_clusters(quarantined)})"),
            steps=[(1, "red")],
        ),
        "Nodes down": number(
            "Nodes that do not run and are not in maintenance.",
            or_zero(f"count({nodes_down})"),
            steps=[(1, "red")],
        ),
    }


def _problems() -> Panel:
    troubled = every("recovery_vm_state_info", TROUBLE_STATE)
    wrong = (
        f"max by ({A_VM}, status) ({IN_TROUBLE}"
        f" or ({STATUS} and {ON_VM} {WENT_DOWN}) or ({STATUS} and {ON_VM} {troubled}))"
    )
    place = largest("system_name, vm_id, cluster_name, node_name", VM_INFO)
    state = (
        f"(max by (system_name, vm_id, state) ({every('recovery_vm_state_info')})"
        f" or {ON_VM} max by (system_name, vm_id) ({STATUS}))"
    )
    ran = largest(A_VM, f"avg_over_time({RUNNING}[$__range])")
    ran = labeled(ran, "status", wrong)
    ran = labeled(ran, "cluster_name, node_name", place)
    ran = labeled(ran, "state", state)
    return table(
        "VMs with problems, VMs that ran in this range and do not run now, and VMs whose "
        "recovery state needs attention. The bar is the share of the range in which the VM ran. "
        "Click a name to open the dashboard of the VM.",
        [
            Column("VM", "vm_name", 150, link=VM_OF_ROW),
            Column("Status", "status", 115, texts=STATUSES.texts()),
            Column("Recovery", "state", 165, texts=STATES.texts()),
            Column(
                "Ran in this range",
                expr=ran,
                gauge=True,
                base="red",
                steps=[(0.5, "orange"), (0.9, "yellow"), (0.99, "green")],
            ),
            Column("Cluster", "cluster_name", 100),
            Column("Node", "node_name", 80),
            Column("System", "system_name", 110),
        ],
        width=15,
        height=9,
        hide=["vm_id"],
        sort="Ran in this range",
        paged=True,
        empty="no problems",
    )


def _alerts() -> Panel:
    serious = series("ALERTS", OURS, SERIOUS)
    info = series("ALERTS", OURS, FIRING, 'severity="info"')
    about = (
        "count by (alertname, severity, alertstate, system_name, node_name, vm_name) "
        f"({serious} or {info})"
    )
    for label in ("system_name", "node_name", "vm_name"):  # the last one that the alert has
        about = f'label_replace({about}, "about", "$1", "{label}", "(.+)")'
    rank = " or ".join(
        f'label_replace(vector({at}), "severity", "{word}", "", "")'
        for at, word in enumerate(("critical", "warning", "info"))
    )
    return table(
        "Alerts of Vergewatch's rules that fire, and serious ones that are pending. Click a "
        "name to open its runbook. Also empty if the rules are not installed.",
        [
            Column("Alert", "alertname", 230, link=RUNBOOK),
            Column("Severity", "severity", 90, texts=SEVERITIES),
            Column("State", "alertstate", 85, texts=ALERT_STATES),
            Column("About", "about"),
        ],
        info=f"sort(0 * {about} + on (severity) group_left () ({rank}))",
        width=9,
        height=9,
        hide=["system_name", "node_name", "vm_name"],
        sort="",
        paged=True,
        empty="no alerts",
    )


def _bands() -> Panel:
    down = f"(min_over_time({RUNNING}[$__range] @ end()) == 0)"
    up = f"(max_over_time({RUNNING}[$__range] @ end()) == 1)"
    trouble = f"max_over_time({IN_TROUBLE}[$__range] @ end())"
    codes = in_clusters(STATUSES.codes(A_VM, EVERY_SYSTEM))
    return timeline(
        "VergeOS status of the VMs that went down, came up or had problems in this range. Click "
        "a band to open the dashboard of the VM.",
        {"{{vm_name}}": f"{codes} and {ON_VM} (({down} and {up}) or {trouble})"},
        height=11,
        texts=STATUSES.code_texts(),
        link=VM_OF_SERIES,
        empty="no changes and no problems",
    )


def _by_status() -> Panel:
    counted = every("cluster_vms", IN_CLUSTER)
    by_status = f"sum by (status) (max by (system_name, cluster_name, status) ({counted}))"
    seen = f"max by (status) (max_over_time({counted}[$__range] @ end())) > 0"
    return graph(
        "Number of VMs by status. Statuses that no VM had in this range are left out.",
        {"{{status}}": f"{by_status} and on (status) ({seen})"},
        colors=STATUSES.colors(),
        stacked=True,
        decimals=0,
    )


def _clusters() -> Panel:
    by_status = "system_name, cluster_name, status"
    counted = largest(by_status, every("cluster_vms", IN_CLUSTER))
    total = f"sum by (system_name, cluster_name) ({counted})"
    running = largest(by_status, every("cluster_vms", IN_CLUSTER, 'status="running"'))
    memory = largest(A_VM, every("vm_running_memory_bytes"))

    def placed(expr: str) -> str:
        return labeled(expr, "cluster_name", largest("system_name, vm_id, cluster_name", VM_INFO))

    def each(function: str, expr: str) -> str:
        return f"{function} by (system_name, cluster_name) ({expr})"

    return table(
        "Each cluster with its VMs, their mean CPU usage and the memory of those that run.",
        [
            Column("Cluster", "cluster_name"),
            Column("System", "system_name"),
            Column("VMs", expr=total),
            Column("Running", expr=each("sum", running)),
            Column(
                "With problems",
                expr=f"{each('count', placed(TROUBLED))} or 0 * {total}",
                steps=[(1, "red")],
            ),
            Column(
                "Mean CPU", expr=each("avg", placed(largest(A_VM, CPU))), unit=RATIO, decimals=1
            ),
            Column("Memory", expr=each("sum", placed(memory)), unit=BYTES),
        ],
        width=12,
    )


def _nodes() -> Panel:
    nodes = every("node_info", IN_CLUSTER)
    node = "system_name, node_name, cluster_name"
    vms = largest(f"{node}, vm_id", every("vm_info", IN_CLUSTER, 'node_name!=""'))

    def placed(expr: str) -> str:
        return labeled(expr, "cluster_name", nodes, ON_NODE)

    return table(
        "Each node with its status and its VMs.",
        [
            Column("Node", "node_name"),
            Column("Cluster", "cluster_name"),
            Column("System", "system_name"),
            Column("Status", "status", texts=STATUSES.texts()),
            Column(
                "Maintenance",
                expr=largest(node, placed(every("node_maintenance"))),
                texts=yes_no(("In maintenance", "purple"), ("No", "text")),
            ),
            Column(
                "VMs",
                expr=f"count by ({node}) ({vms})"
                f" or 0 * {largest(node, nodes)} and {ON_SYSTEM} {every('up')} == 1",
            ),
        ],
        info=largest(f"{node}, status", placed(every("node_status_info"))),
    )


def _load() -> Panels:
    def share(used: str, size: str) -> str:
        return f"{every(used)} / ({every(size)} > 0)"

    def top(about: str, expr: str, red: float, more: str = "") -> Panel:
        return bar_list(
            about,
            {f"{{{{vm_name}}}}{more}": f"topk(10, {in_clusters(expr)})"},
            unit=RATIO,
            steps=[(0.8, "yellow"), (red, "red")],
            high=1,
            decimals=0,
            link=VM_OF_SERIES,
        )

    return {
        "Highest CPU usage": top(
            "The ten VMs with the highest CPU usage now.",
            largest(A_VM, CPU),
            thresholds.CPU_BUSY_RATIO,
        ),
        "Highest memory usage": top(
            "The ten guests with the highest memory usage now, as reported by their agents.",
            largest(A_VM, share("vm_guest_memory_used_bytes", "vm_guest_memory_total_bytes")),
            thresholds.MEMORY_FULL_RATIO,
        ),
        "Fullest filesystems": top(
            "The ten fullest filesystems in guests now, as reported by their agents.",
            largest(
                f"{A_VM}, mountpoint",
                share("vm_guest_filesystem_used_bytes", "vm_guest_filesystem_size_bytes"),
            ),
            thresholds.FILESYSTEM_FULL_RATIO,
            " {{mountpoint}}",
        ),
    }


def _all() -> Panel:
    placed = largest(f"{A_VM}, cluster_name, node_name, os_family", VM_INFO)
    status = largest("system_name, vm_id, status", STATUS)
    uptime = f"(time() - {every('vm_start_timestamp_seconds')} and {RUNNING} == 1)"
    memory = every("vm_configured_memory_bytes")
    return table(
        "Every VM of the chosen systems and clusters.",
        [
            Column("VM", "vm_name", link=VM_OF_ROW),
            Column("Status", "status", texts=STATUSES.texts()),
            Column("Cluster", "cluster_name"),
            Column("Node", "node_name"),
            Column("OS", "os_family"),
            Column("CPU", expr=largest(A_VM, in_clusters(CPU)), gauge=True),
            Column("Memory", expr=largest(A_VM, in_clusters(memory)), unit=BYTES),
            Column("Uptime", expr=largest(A_VM, in_clusters(uptime)), unit=SECONDS),
            Column("System", "system_name"),
        ],
        info=labeled(placed, "status", status),
        height=16,
        hide=["vm_id"],
        paged=True,
    )
