"""All systems at a glance: what is wrong, and where; then how the rest is doing."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel as Drawn

from tools.alert_rules import thresholds
from tools.alert_rules.vms import UNWANTED_DOWN
from tools.dashboards.page import Page, Section, alerts, recovery_actions
from tools.dashboards.panels import (
    BYTES,
    RATIO,
    SECONDS,
    TO_VM_OF_SERIES,
    Column,
    Query,
    bar_list,
    graph,
    now,
    number,
    of,
    rows,
    texts,
    texts_of_codes,
    texts_of_words,
    timeline,
    to_vm,
    yes_no,
)
from tools.dashboards.queries import EVERY_SYSTEM, in_clusters, or_zero, series
from tools.dashboards.variables import clusters, datasource, systems
from tools.dashboards.words import (
    BLUE,
    CALM_STATES,
    GREEN,
    ORANGE,
    RED,
    STATES,
    STATUSES,
    TROUBLE,
    YELLOW,
    among,
    coded,
)

Panel = Builder[Drawn]

IN_CLUSTER = 'cluster=~"$cluster"'
A_VM = "system_name, vm_id, vm_name"

RUNNING = series("vm_running", EVERY_SYSTEM)
STATUS = series("vm_status_info", EVERY_SYSTEM)
IN_TROUBLE = series("vm_status_info", EVERY_SYSTEM, among("status", TROUBLE))
UNWANTED = f"{UNWANTED_DOWN}{{{EVERY_SYSTEM}}}"
TROUBLED = f"(max by ({A_VM}) ({IN_TROUBLE}) or {UNWANTED})"
STATE = series("recovery_vm_state_info", EVERY_SYSTEM)
UNCALM = series("recovery_vm_state_info", EVERY_SYSTEM, f'state!~"{"|".join(CALM_STATES)}"')
VM_INFO = series("vm_info", EVERY_SYSTEM, IN_CLUSTER)
PLACE = f"max by (system_name, vm_id, cluster, node) ({VM_INFO})"
WAS_UP = f"max_over_time({RUNNING}[$__range]) == 1"
NODE_DOWN = (
    f"({series('node_running', EVERY_SYSTEM)} == 0"
    f" unless on (system_name, node) {series('node_maintenance', EVERY_SYSTEM)} == 1)"
    f" and on (system_name, node) {series('node_info', EVERY_SYSTEM, IN_CLUSTER)}"
)
AN_ALERT = "alertname, severity, alertstate"
OURS = 'alertname=~"Verge.*"'
FIRING = series("ALERTS", OURS, 'alertstate="firing"', 'severity=~"critical|warning"')
SERIOUS = series("ALERTS", OURS, 'severity=~"critical|warning"')
TOLD = series("ALERTS", OURS, 'alertstate="firing"', 'severity="info"')

SEVERITIES_IN_ORDER = ("critical", "warning", "info")
SEVERITIES = texts(
    {"critical": ("critical", RED), "warning": ("warning", ORANGE), "info": ("info", BLUE)}
)
ALERT_STATES = texts({"firing": ("fires", RED), "pending": ("pending", YELLOW)})
RUNBOOK = {"title": "Open the runbook", "url": f"{thresholds.RUNBOOKS}/${{__value.raw}}.md"}


def page() -> Page:
    """Return the page on the whole fleet."""
    return Page(
        uid="vergewatch-fleet",
        title="SystemManager",
        description="All VMs of all systems: what is wrong first, then how the rest is doing.",
        variables=(datasource(), systems(), clusters()),
        marks=(recovery_actions(EVERY_SYSTEM), alerts()),
        sections=(
            Section(0, "", [*_numbers(), _wrong(), _alerts(), _bands()]),
            Section(20, "Clusters and nodes", [_by_status(), _clusters(), _nodes()]),
            Section(30, "Load", _load()),
            Section(40, "All VMs", [_all()], collapsed=True),
        ),
    )


# --- What is wrong ---


def _numbers() -> list[Panel]:
    down = f"{WAS_UP} and {RUNNING} == 0"
    quarantined = series(
        "recovery_vm_state_info", EVERY_SYSTEM, 'policy!="no"', 'state="quarantined"'
    )
    return [
        number(
            of(
                1,
                "Alerts firing",
                "Alerts of Vergewatch's rules that fire now, critical ones and warnings, in all "
                "systems.",
                width=3,
                height=4,
            ),
            now(f"count({FIRING}) or vector(0)"),
            steps=[(1, ORANGE)],
        ),
        number(
            of(
                2,
                "Systems up",
                "Whether every chosen system is seen: its tables are read and young enough.",
                width=3,
                height=4,
            ),
            now(f"min({series('up', EVERY_SYSTEM)})"),
            texts=yes_no(("All systems", GREEN), ("Stale", RED)),
            empty="no system",
        ),
        number(
            of(
                3,
                "Recovery",
                "Recovery's mode and what it is ready for. Green while it would act.",
                width=3,
                height=4,
            ),
            now(
                f"{series('recovery_ready', EVERY_SYSTEM)} * on (system_name) "
                f"group_left (mode, readiness) {series('recovery_info', EVERY_SYSTEM)}",
                "{{mode}}, {{readiness}}",
            ),
            base=ORANGE,
            steps=[(1, GREEN)],
            named=True,
            empty="off",
        ),
        number(
            of(4, "Running", "VMs that run now.", width=3, height=4),
            now(or_zero(f"sum({in_clusters(RUNNING)})")),
            empty="no data",
            base=BLUE,
        ),
        number(
            of(
                5,
                "Went down",
                "VMs that do not run now and did at some time in this range, for any reason.",
                width=3,
                height=4,
            ),
            now(or_zero(f"count({in_clusters(f'({down})')})")),
            empty="no data",
            steps=[(1, YELLOW)],
        ),
        number(
            of(
                6,
                "With problems",
                "VMs that are down but were not stopped on purpose, that VergeOS calls "
                "unresponsive or in error, or that wait for resources or a licence.",
                width=3,
                height=4,
            ),
            now(or_zero(f"count({in_clusters(TROUBLED)})")),
            empty="no data",
            steps=[(1, RED)],
        ),
        number(
            of(
                7,
                "Quarantined",
                "VMs that recovery does not restart any more. Manual action is required.",
                width=3,
                height=4,
            ),
            now(or_zero(f"count({in_clusters(quarantined)})")),
            empty="no data",
            steps=[(1, RED)],
        ),
        number(
            of(8, "Nodes down", "Nodes that do not run, maintenance aside.", width=3, height=4),
            now(or_zero(f"count({NODE_DOWN})")),
            empty="no data",
            steps=[(1, RED)],
        ),
    ]


def _wrong() -> Panel:
    down = f"{STATUS} and on (system_name, vm_id) ({WAS_UP} and {RUNNING} == 0)"
    uncalm = f"{STATUS} and on (system_name, vm_id) {UNCALM}"
    wrong = f"max by ({A_VM}, status) ({IN_TROUBLE} or ({down}) or ({uncalm}))"
    state = (
        f"(max by (system_name, vm_id, state) ({STATE})"
        f" or on (system_name, vm_id) max by (system_name, vm_id) ({STATUS}))"
    )
    return rows(
        of(
            9,
            "Current problems",
            "VMs in trouble, VMs that ran in this range and do not run now, and VMs that recovery "
            "is busy with. The bar is the share of the range in which the VM ran. A click on a "
            "name opens its page.",
            width=15,
            height=9,
        ),
        [
            now(
                f"max by ({A_VM}) (avg_over_time({RUNNING}[$__range]))"
                f" * on (system_name, vm_id) group_left (status) {wrong}"
                f" * on (system_name, vm_id) group_left (cluster, node) {PLACE}"
                f" * on (system_name, vm_id) group_left (state) {state}"
            )
        ],
        [
            Column("vm_name", "VM", 150, link=to_vm()),
            Column("status", "Status", 115, texts=texts_of_words(STATUSES)),
            Column("state", "Recovery", 165, texts=texts_of_words(STATES)),
            Column(
                "Value",
                "Ran in this range",
                unit=RATIO,
                decimals=0,
                gauge=True,
                base=RED,
                steps=[(0.5, ORANGE), (0.9, YELLOW), (0.99, GREEN)],
            ),
            Column("cluster", "Cluster", 100),
            Column("node", "Node", 80),
            Column("system_name", "System", 110),
        ],
        sort="Ran in this range",
        hide=["vm_id"],
        empty="nothing that is seen",
        paged=True,
    )


def _alerts() -> Panel:
    about = f"count by ({AN_ALERT}, system_name, node, vm_name) ({SERIOUS} or {TOLD})"
    for label in ("system_name", "node", "vm_name"):  # the last that there is
        about = f'label_replace({about}, "about", "$1", "{label}", "(.+)")'
    rank = " or ".join(
        f'label_replace(vector({at}), "severity", "{word}", "", "")'
        for at, word in enumerate(SEVERITIES_IN_ORDER)
    )
    return rows(
        of(
            11,
            "Alerts",
            "Alerts of Vergewatch's rules that fire, and serious ones that are about to. A click "
            "on a name opens its runbook. Empty, too, where the rules are not installed.",
            width=9,
            height=9,
        ),
        [now(f"sort(0 * {about} + on (severity) group_left () ({rank}))")],
        [
            Column("alertname", "Alert", 230, link=RUNBOOK),
            Column("severity", "Severity", 90, texts=SEVERITIES),
            Column("alertstate", "State", 85, texts=ALERT_STATES),
            Column("about", "About"),
        ],
        hide=["Value", "system_name", "node", "vm_name"],
        empty="No alert",
        paged=True,
    )


def _bands() -> Panel:
    down = f"(min_over_time({RUNNING}[$__range] @ end()) == 0)"
    up = f"(max_over_time({RUNNING}[$__range] @ end()) == 1)"
    trouble = f"max_over_time({IN_TROUBLE}[$__range] @ end())"
    stirred = f"(({down} and {up}) or {trouble})"
    code = coded(STATUSES, "vm_status_info", EVERY_SYSTEM, label="status", by=A_VM)
    return timeline(
        of(
            10,
            "VMs that were not simply running",
            "Those that went down, came up or were in trouble in this range, with what VergeOS "
            "said of them. A click opens the VM's page.",
            width=24,
            height=11,
        ),
        [
            Query(
                f"{in_clusters(code)} and on (system_name, vm_id) {stirred}",
                "{{vm_name}}",
            )
        ],
        texts=texts_of_codes(STATUSES),
        links=[TO_VM_OF_SERIES],
        empty="Every VM just ran",
    )


# --- Where ---


def _by_status() -> Panel:
    counted = series("cluster_vms", EVERY_SYSTEM, IN_CLUSTER)
    by_status = f"sum by (status) (max by (system_name, cluster, status) ({counted}))"
    seen = f"sum by (status) (max_over_time({counted}[$__range] @ end())) > 0"
    return graph(
        of(
            21,
            "VMs by status",
            "How many VMs have which status; statuses that no VM had in this range are left out.",
            width=12,
        ),
        [Query(f"{by_status} and on (status) ({seen})", "{{status}}")],
        stacked=True,
        decimals=0,
        colours={word: one.colour for one in STATUSES for word in one.words},
    )


def _clusters() -> Panel:
    counted = ("cluster_vms", EVERY_SYSTEM, IN_CLUSTER)
    by = "by (system_name, cluster)"
    cluster = f"max by (system_name, vm_id, cluster) ({VM_INFO})"
    place = f"on (system_name, vm_id) group_left (cluster) {cluster}"
    return rows(
        of(
            22,
            "Clusters",
            "Each cluster with its VMs, their mean CPU usage and the memory that they run with.",
            width=12,
        ),
        [
            now(f"sum {by} ({series(*counted)})"),
            now(f"sum {by} ({series(*counted, among('status', ['running']))})"),
            now(f"count {by} ({TROUBLED} * {place}) or 0 * sum {by} ({series(*counted)})"),
            now(f"avg {by} ({series('vm_cpu_usage_ratio', EVERY_SYSTEM)} * {place})"),
            now(f"sum {by} ({series('vm_running_memory_bytes', EVERY_SYSTEM)} * {place})"),
        ],
        [
            Column("cluster", "Cluster"),
            Column("system_name", "System"),
            Column("Value #A", "VMs"),
            Column("Value #B", "Running"),
            Column("Value #C", "With problems", steps=[(1, RED)]),
            Column("Value #D", "Mean CPU", unit=RATIO, decimals=1),
            Column("Value #E", "Memory", unit=BYTES),
        ],
        sort="Cluster",
        empty="no clusters",
    )


def _nodes() -> Panel:
    nodes = series("node_info", EVERY_SYSTEM, IN_CLUSTER)
    of_these = f"on (system_name, node) group_left (cluster) {nodes}"
    status = series("node_status_info", EVERY_SYSTEM)
    placed = series("vm_info", EVERY_SYSTEM, IN_CLUSTER, 'node!=""')
    return rows(
        of(23, "Nodes", "Each node with its status and its VMs.", width=24),
        [
            now(f"max by (system_name, node, cluster, status) ({status} * {of_these})"),
            now(
                f"count by (system_name, node, cluster) ({placed})"
                f" or 0 * max by (system_name, node, cluster) ({nodes})"
                f" and on (system_name) {series('up', EVERY_SYSTEM)} == 1"
            ),
            now(
                f"max by (system_name, node, cluster) "
                f"({series('node_maintenance', EVERY_SYSTEM)} * {of_these})"
            ),
        ],
        [
            Column("node", "Node"),
            Column("cluster", "Cluster"),
            Column("system_name", "System"),
            Column("status", "Status", texts=texts_of_words(STATUSES)),
            Column(
                "Value #C",
                "Maintenance",
                texts=yes_no(("In maintenance", "purple"), ("no", "text")),
            ),
            Column("Value #B", "VMs on it"),
        ],
        sort="Node",
        hide=["Value #A"],
        empty="no nodes",
    )


# --- How the rest is doing ---


def _load() -> list[Panel]:
    cpu = series("vm_cpu_usage_ratio", EVERY_SYSTEM)
    used = series("vm_guest_memory_used_bytes", EVERY_SYSTEM)
    total = series("vm_guest_memory_total_bytes", EVERY_SYSTEM)
    full = (
        f"{series('vm_guest_filesystem_used_bytes', EVERY_SYSTEM)}"
        f" / ({series('vm_guest_filesystem_size_bytes', EVERY_SYSTEM)} > 0)"
    )
    return [
        bar_list(
            of(31, "Busiest CPUs", "The ten VMs that use most of their CPU time now.", width=8),
            now(f"topk(10, {in_clusters(cpu)})", "{{vm_name}}"),
            unit=RATIO,
            steps=[(0.8, YELLOW), (thresholds.CPU_BUSY_RATIO, RED)],
            high=1,
            decimals=0,
            links=[TO_VM_OF_SERIES],
        ),
        bar_list(
            of(
                32,
                "Fullest memories",
                "The ten guests that use most of their memory now, as their agents say.",
                width=8,
            ),
            now(f"topk(10, {in_clusters(f'{used} / ({total} > 0)')})", "{{vm_name}}"),
            unit=RATIO,
            steps=[(0.8, YELLOW), (thresholds.MEMORY_FULL_RATIO, RED)],
            high=1,
            decimals=0,
            links=[TO_VM_OF_SERIES],
        ),
        bar_list(
            of(
                33,
                "Fullest filesystems",
                "The ten fullest filesystems in guests, as their agents say.",
                width=8,
            ),
            now(f"topk(10, {in_clusters(full)})", "{{vm_name}} {{mountpoint}}"),
            unit=RATIO,
            steps=[(0.8, YELLOW), (thresholds.FILESYSTEM_FULL_RATIO, RED)],
            high=1,
            decimals=0,
            links=[TO_VM_OF_SERIES],
        ),
    ]


def _all() -> Panel:
    start = series("vm_start_timestamp_seconds", EVERY_SYSTEM)
    cpu = series("vm_cpu_usage_ratio", EVERY_SYSTEM)
    memory = series("vm_configured_memory_bytes", EVERY_SYSTEM)
    placed = f"max by ({A_VM}, cluster, node, os_family) ({VM_INFO})"
    return rows(
        of(41, "All VMs", "Every VM of the chosen systems and clusters.", width=24, height=16),
        [
            now(
                f"{placed} * on (system_name, vm_id) group_left (status) "
                f"max by (system_name, vm_id, status) ({STATUS})"
            ),
            now(f"max by ({A_VM}) ({in_clusters(cpu)})"),
            now(f"max by ({A_VM}) ({in_clusters(memory)})"),
            now(f"max by ({A_VM}) ({in_clusters(f'(time() - {start} and {RUNNING} == 1)')})"),
        ],
        [
            Column("vm_name", "VM", link=to_vm()),
            Column("status", "Status", texts=texts_of_words(STATUSES)),
            Column("cluster", "Cluster"),
            Column("node", "Node"),
            Column("os_family", "OS"),
            Column("Value #B", "CPU", unit=RATIO, decimals=0, gauge=True),
            Column("Value #C", "Memory", unit=BYTES),
            Column("Value #D", "Uptime", unit=SECONDS, decimals=0),
            Column("system_name", "System"),
        ],
        sort="VM",
        hide=["Value #A", "vm_id"],
        empty="no VMs",
        paged=True,
    )
