"""One VM: everything that is known of it."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel as Drawn

from tools.alert_rules import thresholds
from tools.dashboards.page import Page, Section, alerts, recovery_actions
from tools.dashboards.panels import (
    BITS_PER_SECOND,
    BYTES,
    OUTCOMES,
    RATIO,
    SECONDS,
    SLOW,
    VM_UID,
    Column,
    Query,
    Steps,
    bar_list,
    graph,
    now,
    number,
    of,
    rows,
    texts,
    texts_of_codes,
    timeline,
    yes_no,
)
from tools.dashboards.queries import ONE_SYSTEM, ONE_VM, series
from tools.dashboards.variables import clusters, datasource, system, vm
from tools.dashboards.words import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    STATES,
    STATUSES,
    YELLOW,
    coded,
)

Panel = Builder[Drawn]

FULL: Steps = [(0.8, YELLOW), (thresholds.FILESYSTEM_FULL_RATIO, RED)]
NOT_MONITORED = -1
SOMEWHERE = 'node!=""'


def page() -> Page:
    """Return the page on one VM."""
    return Page(
        uid=VM_UID,
        title="VM",
        description="One VM: how it is, how it was, and its recovery state.",
        variables=(datasource(), system(), clusters(of=ONE_SYSTEM), vm()),
        marks=(recovery_actions(ONE_SYSTEM, ONE_VM), alerts(ONE_SYSTEM, ONE_VM)),
        sections=(
            Section(0, "", [*_numbers(), _bands()]),
            Section(20, "CPU and memory", [_cpu(), _memory()]),
            Section(30, "Disks", _disks()),
            Section(40, "Network", _network()),
            Section(50, "Guest", _guest()),
            Section(60, "What it is, and what recovery did", _facts()),
        ),
    )


def mine(metric: str, *matchers: str) -> str:
    """Return *metric* of the chosen VM."""
    return series(metric, ONE_SYSTEM, ONE_VM, *matchers)


def _state() -> str:
    code = coded(STATES, "recovery_vm_state_info", ONE_SYSTEM, ONE_VM, label="state", by="vm_name")
    none = f"max by (vm_name) ({NOT_MONITORED} + 0 * {mine('vm_enabled')})"
    return f"{code} or {none}"


def _status() -> str:
    return coded(STATUSES, "vm_status_info", ONE_SYSTEM, ONE_VM, label="status", by="vm_name")


STATE_TEXTS = [
    *texts({str(NOT_MONITORED): ("Not monitored", GREY)}),
    *texts_of_codes(STATES),
]


# --- How it is ---


def _numbers() -> list[Panel]:
    uptime = f"time() - {mine('vm_start_timestamp_seconds')} and {mine('vm_running')} == 1"
    # 1 and 0 while it runs; while it is off, -1 if it is meant to have an agent, -2 if not.
    agent = f"{mine('vm_guest_agent_connected')} or {mine('vm_guest_agent_enabled')} - 2"
    return [
        number(
            of(1, "Status", "vm_status_info", width=3, height=4),
            now(_status()),
            texts=texts_of_codes(STATUSES),
            base=PURPLE,
            empty="no data",
        ),
        number(
            of(2, "Recovery", "recovery_vm_state_info", width=4, height=4),
            now(_state()),
            texts=STATE_TEXTS,
            empty="no data",
        ),
        number(
            of(3, "Where", "The cluster and the node that it is on.", width=3, height=4),
            now(
                f"max by (cluster, node) ({mine('vm_info')})",
                "{{cluster}} {{node}}",
            ),
            named=True,
            base="text",
            empty="no data",
        ),
        number(
            of(4, "Uptime", "How long ago it last started.", width=3, height=4),
            now(uptime),
            unit=SECONDS,
            decimals=0,
            base="text",
            empty="off",
        ),
        number(
            of(
                5,
                "Ran in this range",
                "The share of the range in which its process ran.",
                width=3,
                height=4,
            ),
            now(f"avg_over_time({mine('vm_running')}[$__range])"),
            unit=RATIO,
            decimals=1,
            base=ORANGE,
            steps=[(0.99, GREEN)],
        ),
        number(
            of(
                6,
                "Starts",
                "How often it started in this range, by any user.",
                width=2,
                height=4,
            ),
            now(f"changes({mine('vm_start_timestamp_seconds')}[$__range])"),
            base="text",
            steps=[(thresholds.FLAPPING_RESTARTS, ORANGE)],
            decimals=0,
        ),
        number(
            of(7, "Guest agent", "vm_guest_agent_connected", width=3, height=4),
            now(agent),
            texts=texts(
                {
                    "1": ("Answers", GREEN),
                    "0": ("Silent", ORANGE),
                    "-1": ("VM is off", GREY),
                    "-2": ("None", GREY),
                }
            ),
            empty="not known",
        ),
        number(
            of(8, "Restart due", "vm_need_restart", width=3, height=4),
            now(mine("vm_need_restart")),
            texts=yes_no(("Yes", YELLOW), ("No", GREEN)),
            empty="not known",
        ),
    ]


def _bands() -> Panel:
    on = texts({"1": ("yes", GREEN), "0": ("no", GREY)})
    here = texts({"1": ("here", BLUE)})
    return timeline(
        of(
            9,
            "What happened",
            "What VergeOS said of it, its recovery state, whether the platform had it "
            "powered on and the guest agent answered, and on which node it was.",
            width=24,
            height=8,
        ),
        [
            Query(_status(), "VergeOS"),
            Query(_state(), "Recovery"),
            Query(f"max by (vm_name) ({mine('vm_powered_on')})", "Powered on"),
            Query(f"max by (vm_name) ({mine('vm_guest_agent_connected')})", "Guest agent answers"),
            Query(f"max by (node) ({mine('vm_info', SOMEWHERE)})", "On {{node}}"),
        ],
        texts=texts_of_codes(STATUSES),
        own_texts={
            "/^Recovery$/": STATE_TEXTS,
            "/^(Powered on|Guest agent answers)$/": on,
            "/^On /": here,
        },
    )


def _cpu() -> Panel:
    return graph(
        of(21, "CPU in use", "vm_cpu_usage_ratio", width=12),
        [Query(f"max by (vm_name) ({mine('vm_cpu_usage_ratio')})", "in use")],
        unit=RATIO,
        high=1,
        empty="off in this range",
    )


def _memory() -> Panel:
    legends = {
        "vm_configured_memory_bytes": "configured",
        "vm_running_memory_bytes": "runs with",
        "vm_memory_used_bytes": "held on the host",
        "vm_guest_memory_total_bytes": "the guest has",
        "vm_guest_memory_used_bytes": "the guest uses",
    }
    return graph(
        of(
            22,
            "Memory",
            "What it is configured with and runs with, what it holds on its host (which is not "
            "what its guest uses), and the guest's report.",
            width=12,
        ),
        [Query(f"max by (vm_name) ({mine(metric)})", legend) for metric, legend in legends.items()],
        unit=BYTES,
    )


# --- Disks ---


def _disks() -> list[Panel]:
    return [
        graph(
            of(
                31,
                "Bytes read and written",
                "Bytes per second of each disk; written ones are below the line.",
                width=12,
            ),
            [
                _rate("vm_disk_read_bytes_total", "disk", "{{disk}} read"),
                _rate("vm_disk_written_bytes_total", "disk", "{{disk}} written", below=True),
            ],
            unit="Bps",
            low=None,
        ),
        graph(
            of(
                32,
                "Operations",
                "Operations per second of each disk; writes are below the line.",
                width=12,
            ),
            [
                _rate("vm_disk_reads_total", "disk", "{{disk}} reads"),
                _rate("vm_disk_writes_total", "disk", "{{disk}} writes", below=True),
            ],
            unit="iops",
            low=None,
        ),
        graph(
            of(33, "Busy", "vm_disk_utilization_ratio", width=8, height=7),
            [Query(f"max by (disk) ({mine('vm_disk_utilization_ratio')})", "{{disk}}")],
            unit=RATIO,
        ),
        graph(
            of(34, "Time of an operation", "vm_disk_service_time_seconds", width=8, height=7),
            [Query(f"max by (disk) ({mine('vm_disk_service_time_seconds')})", "{{disk}}")],
            unit=SECONDS,
        ),
        rows(
            of(
                35,
                "Disks",
                "Each disk, and the space that it takes on its tier. Without discard that only "
                "grows, so a full bar is no trouble.",
                width=8,
                height=7,
            ),
            [
                now(f"max by (disk, tier, media, interface) ({mine('vm_disk_info')})"),
                now(f"max by (disk) ({mine('vm_disk_size_bytes')})"),
                now(
                    f"max by (disk) ({mine('vm_disk_used_bytes')}"
                    f" / ({mine('vm_disk_size_bytes')} > 0))"
                ),
            ],
            [
                Column("disk", "Disk", 80),
                Column("tier", "Tier", 50),
                Column("media", "Media", 65),
                Column("interface", "Interface", 100),
                Column("Value #B", "Size", 75, unit=BYTES),
                Column("Value #C", "Taken", unit=RATIO, decimals=0, gauge=True),
            ],
            sort="Disk",
            hide=["Value #A"],
            empty="no disks",
        ),
    ]


# --- Network ---


def _network() -> list[Panel]:
    return [
        graph(
            of(
                41,
                "Traffic",
                "Bits per second of each network card; sent ones are below the line.",
                width=9,
            ),
            [
                _rate("vm_nic_receive_bytes_total", "nic", "{{nic}} received", times=8),
                _rate("vm_nic_transmit_bytes_total", "nic", "{{nic}} sent", times=8, below=True),
            ],
            unit=BITS_PER_SECOND,
            low=None,
        ),
        graph(
            of(
                42,
                "Packets",
                "Packets per second of each network card; sent ones are below the line.",
                width=9,
            ),
            [
                _rate("vm_nic_receive_packets_total", "nic", "{{nic}} received"),
                _rate("vm_nic_transmit_packets_total", "nic", "{{nic}} sent", below=True),
            ],
            unit="pps",
            low=None,
        ),
        rows(
            of(43, "Network cards", "Each network card, its status and its speed.", width=6),
            [
                now(f"max by (nic, status) ({mine('vm_nic_status_info')})"),
                now(f"8 * max by (nic) ({mine('vm_nic_speed_bytes_per_second')})"),
            ],
            [
                Column("nic", "Card"),
                Column(
                    "status", "Status", texts=texts({"up": ("Up", GREEN), "down": ("Down", RED)})
                ),
                Column("Value #B", "Speed", unit=BITS_PER_SECOND),
            ],
            sort="Card",
            hide=["Value #A"],
            empty="no network cards",
        ),
    ]


# --- Guest ---


def _guest() -> list[Panel]:
    used, size = "vm_guest_filesystem_used_bytes", "vm_guest_filesystem_size_bytes"
    full = f"max by (mountpoint) ({mine(used)} / ({mine(size)} > 0))"
    return [
        graph(
            of(51, "Filesystems", "How full each filesystem in the guest is.", width=8),
            [Query(full, "{{mountpoint}}")],
            unit=RATIO,
            high=1,
            steps=[(thresholds.FILESYSTEM_FULL_RATIO, RED)],
            empty="no guest agent",
        ),
        bar_list(
            of(52, "Filesystems now", "How full each filesystem in the guest is now.", width=6),
            now(
                f"max by (mountpoint) (last_over_time({mine(used)}[$__range])"
                f" / (last_over_time({mine(size)}[$__range]) > 0))",
                "{{mountpoint}}",
            ),
            unit=RATIO,
            steps=FULL,
            high=1,
            decimals=0,
            empty="no guest agent",
        ),
        rows(
            of(53, "Guest information", "vm_guest_info", width=10),
            [
                now(
                    "max by (hostname, os_name, os_version, kernel) "
                    f"(last_over_time({mine('vm_guest_info')}[$__range]))"
                ),
                now(
                    "max by (hostname) (last_over_time("
                    f"{mine('vm_guest_update_timestamp_seconds')}[$__range]) * 1000"
                    " * on (system_name, vm_id) group_left (hostname) "
                    f"last_over_time({mine('vm_guest_info')}[$__range]))"
                ),
            ],
            [
                Column("hostname", "Host name", 105),
                Column("os_name", "System", 120),
                Column("os_version", "Version", 75),
                Column("kernel", "Kernel", 165),
                Column("Value #B", "Last report", unit="dateTimeFromNow"),
            ],
            sort="Host name",
            hide=["Value #A"],
            empty="no guest agent",
        ),
    ]


# --- What it is, and what recovery did ---


def _facts() -> list[Panel]:
    when = mine("recovery_vm_last_action_timestamp_seconds")
    return [
        rows(
            of(
                61,
                "What it is",
                "vm_info",
                width=24,
                height=5,
            ),
            [
                now(
                    "max by (vm_id, uuid, os_family, machine_type, ha_group, on_power_loss, "
                    f"created_from, agent_version) ({mine('vm_info')})"
                ),
                now(f"max by (vm_id) ({mine('vm_enabled')})"),
                now(f"max by (vm_id) ({mine('vm_migratable')})"),
                now(f"max by (vm_id) ({mine('vm_configured_cpu_cores')})"),
                now(f"max by (vm_id) ({mine('vm_configured_memory_bytes')})"),
                now(f"1000 * max by (vm_id) ({mine('vm_status_update_timestamp_seconds')})"),
            ],
            [
                Column("vm_id", "ID", 60),
                Column("uuid", "UUID", 310),
                Column("Value #D", "Cores", 65),
                Column("Value #E", "Memory", 85, unit=BYTES),
                Column("os_family", "OS", 80),
                Column("machine_type", "Machine", 110),
                Column("on_power_loss", "After power loss", 130),
                Column("ha_group", "HA group", 90),
                Column("created_from", "Made from", 100),
                Column("agent_version", "Agent", 75),
                Column("Value #B", "Enabled", 80, texts=yes_no(("Yes", GREEN), ("No", ORANGE))),
                Column("Value #C", "Migratable", 95, texts=yes_no(("Yes", GREEN), ("No", ORANGE))),
                Column("Value #F", "Status updated", unit="dateTimeFromNow"),
            ],
            sort="ID",
            hide=["Value #A"],
            empty="no data",
        ),
        bar_list(
            of(
                62,
                "Remaining budget",
                "recovery_vm_budget_remaining",
                width=8,
                height=5,
            ),
            now(
                f"sort(max by (window_seconds) ({mine('recovery_vm_budget_remaining')}))",
                "within {{window_seconds}} s",
            ),
            names={
                "/ 3600 s/": "within an hour",
                "/ 86400 s/": "within a day",
                "/ 604800 s/": "within a week",
            },
            base=RED,
            steps=[(1, ORANGE), (2, GREEN)],
            empty="not acted upon lately",
        ),
        rows(
            of(63, "Last action of recovery", "recovery_vm_last_action_info", width=8, height=5),
            [
                now(
                    f"max by (action, outcome) ({when} * 1000 * on (system_name, vm_id) "
                    f"group_left (action, outcome) {mine('recovery_vm_last_action_info')})"
                )
            ],
            [
                Column("action", "Action"),
                Column("outcome", "Outcome", texts=OUTCOMES),
                Column("Value", "When", unit="dateTimeFromNow"),
            ],
            sort="When",
            empty="recovery has not acted on it",
        ),
        number(
            of(
                64,
                "In this state of recovery for",
                "recovery_vm_state_since_timestamp_seconds",
                width=4,
                height=5,
            ),
            now(f"time() - {mine('recovery_vm_state_since_timestamp_seconds')}"),
            unit=SECONDS,
            decimals=0,
            base="text",
            empty="not monitored",
        ),
        number(
            of(65, "Cores it runs with", "vm_running_cpu_cores", width=4, height=5),
            now(f"max by (vm_name) (last_over_time({mine('vm_running_cpu_cores')}[$__range]))"),
            base="text",
            empty="off",
        ),
    ]


def _rate(counter: str, part: str, legend: str, *, times: int = 1, below: bool = False) -> Query:
    """Ask for the rate of *counter*, perhaps below the line."""
    rate = f"sum by ({part}) (rate({mine(counter)}[$__rate_interval]))"
    factor = -times if below else times
    return Query(rate if factor == 1 else f"{factor} * {rate}", legend, step=SLOW)
