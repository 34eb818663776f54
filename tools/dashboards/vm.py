"""One VM: its state, its history, and what recovery did."""

from tools.alert_rules import thresholds
from tools.dashboards.page import (
    VM_UID,
    Page,
    Panel,
    Panels,
    alerts,
    clusters,
    recovery_actions,
    system,
    vm,
)
from tools.dashboards.panels import (
    BITS_PER_SECOND,
    BYTES,
    GREY,
    OUTCOMES,
    RATIO,
    SECONDS,
    SLOW,
    TIME,
    Column,
    bar_list,
    graph,
    number,
    table,
    texts,
    timeline,
    yes_no,
)
from tools.dashboards.queries import ONE_SYSTEM, ONE_VM, labeled, largest, series
from tools.dashboards.recovery import WINDOWS
from tools.dashboards.words import STATES, STATUSES

NOT_MONITORED = -1
STATE_TEXTS = [*texts({str(NOT_MONITORED): ("Not monitored", GREY)}), *STATES.code_texts()]
FROZEN = yes_no(("Yes", "red"), ("No", "text"))
ENABLED = yes_no(("Yes", "green"), ("No", "orange"))


def page() -> Page:
    """Return the dashboard of one VM."""
    return Page(
        VM_UID,
        "VM",
        "One VM: its state, its history and its recovery.",
        variables=[system(), clusters(of=ONE_SYSTEM), vm()],
        annotations=[recovery_actions(ONE_SYSTEM, ONE_VM), alerts(ONE_SYSTEM, ONE_VM)],
        sections={
            "": {**_numbers(), "History": _bands()},
            "CPU and memory": {"CPU usage": _cpu(), "Memory": _memory()},
            "Disks": {**_disk_graphs(), "Disks": _disks()},
            "Network": {**_traffic(), "Network cards": _cards()},
            "Guest": {**_filesystems(), "Guest information": _guest()},
            "Properties and recovery": {
                "Properties": _properties(),
                **_recovery(),
                "Question": _question(),
                "Devices": _devices(),
            },
            "Snapshots": _snapshots(),
        },
    )


def mine(metric: str, *matchers: str) -> str:
    """Return *metric* of the chosen VM."""
    return series(metric, ONE_SYSTEM, ONE_VM, *matchers)


def last(metric: str) -> str:
    """Return the last value of *metric* in the range."""
    return f"last_over_time({mine(metric)}[$__range])"


def _status() -> str:
    return STATUSES.codes("vm_name", ONE_SYSTEM, ONE_VM)


def _state() -> str:
    none = largest("vm_name", f"{NOT_MONITORED} + 0 * {mine('vm_enabled')}")
    return f"{STATES.codes('vm_name', ONE_SYSTEM, ONE_VM)} or {none}"


def _numbers() -> Panels:
    # 1 and 0 while the VM runs; while it is off, -1 if an agent is enabled, -2 if not.
    agent = f"{mine('vm_guest_agent_connected')} or {mine('vm_guest_agent_enabled')} - 2"
    return {
        "Status": number("vm_status_info", _status(), base="purple", texts=STATUSES.code_texts()),
        "Recovery": number("recovery_vm_state_info", _state(), width=4, texts=STATE_TEXTS),
        "Location": number(
            "Cluster and node of the VM.",
            largest("cluster_name, node_name", mine("vm_info")),
            base="text",
            name="{{cluster_name}} {{node_name}}",
        ),
        "Uptime": number(
            "Time since the last start.",
            f"time() - {mine('vm_start_timestamp_seconds')} and {mine('vm_running')} == 1",
            unit=SECONDS,
            base="text",
            empty="off",
        ),
        "Ran in this range": number(
            "Share of the range in which the VM ran.",
            f"avg_over_time({mine('vm_running')}[$__range])",
            unit=RATIO,
            decimals=1,
            base="orange",
            steps=[(0.99, "green")],
        ),
        "Starts": number(
            "Number of starts in this range, by any user.",
            f"changes({mine('vm_start_timestamp_seconds')}[$__range])",
            width=2,
            decimals=0,
            base="text",
            steps=[(thresholds.FLAPPING_RESTARTS, "orange")],
        ),
        "Guest agent": number(
            "vm_guest_agent_connected",
            agent,
            texts=texts(
                {
                    "1": ("Connected", "green"),
                    "0": ("Not connected", "orange"),
                    "-1": ("VM is off", GREY),
                    "-2": ("None", GREY),
                }
            ),
            empty="unknown",
        ),
        "Restart due": number(
            "vm_need_restart",
            mine("vm_need_restart"),
            texts=yes_no(("Yes", "yellow"), ("No", "green")),
            empty="unknown",
        ),
    }


def _bands() -> Panel:
    return timeline(
        "VergeOS status, recovery state, whether the VM was powered on, whether the guest agent "
        "was connected, and the node.",
        {
            "VergeOS": _status(),
            "Recovery": _state(),
            "Powered on": largest("vm_name", mine("vm_powered_on")),
            "Guest agent connected": largest("vm_name", mine("vm_guest_agent_connected")),
            "On {{node_name}}": largest("node_name", mine("vm_info", 'node_name!=""')),
        },
        texts=STATUSES.code_texts(),
        texts_of={
            "/^Recovery$/": STATE_TEXTS,
            "/^(Powered on|Guest agent connected)$/": yes_no(("yes", "green"), ("no", GREY)),
            "/^On /": texts({"1": ("here", "blue")}),
        },
    )


def _cpu() -> Panel:
    return graph(
        "vm_cpu_usage_ratio",
        {"usage": largest("vm_name", mine("vm_cpu_usage_ratio"))},
        unit=RATIO,
        high=1,
        empty="off in this range",
    )


def _memory() -> Panel:
    metrics = {
        "configured": "vm_configured_memory_bytes",
        "running": "vm_running_memory_bytes",
        "held on the host": "vm_memory_used_bytes",
        "guest total": "vm_guest_memory_total_bytes",
        "guest used": "vm_guest_memory_used_bytes",
    }
    return graph(
        "Configured memory, memory of the running VM, memory held on the host (which is not "
        "what the guest uses), and memory as reported by the guest.",
        {legend: largest("vm_name", mine(metric)) for legend, metric in metrics.items()},
        unit=BYTES,
    )


def _rates(
    about: str, part: str, *counters: tuple[str, str, int], unit: str, width: int = 12
) -> Panel:
    """Return a graph of (legend, counter, factor); a negative factor draws below the line."""
    rates = {}
    for legend, counter, factor in counters:
        rate = largest(part, f"rate({mine(counter)}[$__rate_interval])")
        rates[f"{{{{{part}}}}} {legend}"] = rate if factor == 1 else f"{factor} * {rate}"
    return graph(about, rates, width=width, step=SLOW, unit=unit, low=None)


def _disk_graphs() -> Panels:
    return {
        "Bytes read and written": _rates(
            "Bytes per second of each disk; written bytes are below the line.",
            "disk",
            ("read", "vm_disk_read_bytes_total", 1),
            ("written", "vm_disk_written_bytes_total", -1),
            unit="Bps",
        ),
        "Operations": _rates(
            "Operations per second of each disk; writes are below the line.",
            "disk",
            ("reads", "vm_disk_reads_total", 1),
            ("writes", "vm_disk_writes_total", -1),
            unit="iops",
        ),
        "Busy": graph(
            "vm_disk_utilization_ratio",
            {"{{disk}}": largest("disk", mine("vm_disk_utilization_ratio"))},
            width=8,
            height=7,
            unit=RATIO,
        ),
        "Service time": graph(
            "vm_disk_service_time_seconds",
            {"{{disk}}": largest("disk", mine("vm_disk_service_time_seconds"))},
            width=8,
            height=7,
            unit=SECONDS,
        ),
    }


def _disks() -> Panel:
    size = mine("vm_disk_size_bytes")
    taken = f"{mine('vm_disk_used_bytes')} / ({size} > 0)"
    return table(
        "Each disk and the space that it takes on its tier. Without discard this space only "
        "grows, so a full bar is not a problem.",
        [
            Column("Disk", "disk", 80),
            Column("Tier", "storage_tier", 50),
            Column("Media", "media", 65),
            Column("Interface", "interface", 100),
            Column("Size", width=75, expr=largest("disk", size), unit=BYTES),
            Column("Taken", expr=largest("disk", taken), gauge=True),
        ],
        info=largest("disk, storage_tier, media, interface", mine("vm_disk_info")),
        width=8,
        height=7,
        empty="no disks",
    )


def _snapshots() -> Panels:
    def age(metric: str) -> str:
        return largest("vm_name", f"time() - {mine(metric)}")

    return {
        "Snapshot profile": number(
            "vm_snapshot_profile_info",
            largest("snapshot_profile", mine("vm_snapshot_profile_info", 'snapshot_profile!=""')),
            width=6,
            base="text",
            name="{{snapshot_profile}}",
            empty="none",
        ),
        "Snapshots": number(
            "vm_snapshots", largest("vm_name", mine("vm_snapshots")), width=4, base="text"
        ),
        "Newest snapshot": number(
            "Time since the newest snapshot.",
            age("vm_snapshot_newest_timestamp_seconds"),
            width=5,
            unit=SECONDS,
            base="text",
            empty="none",
        ),
        "Oldest snapshot": number(
            "Time since the oldest snapshot.",
            age("vm_snapshot_oldest_timestamp_seconds"),
            width=4,
            unit=SECONDS,
            base="text",
            empty="none",
        ),
        "Next is due in": number(
            "Time until the next snapshot is due at the latest; negative if it is overdue.",
            f"-({age('vm_snapshot_due_timestamp_seconds')})",
            width=5,
            unit=SECONDS,
            base="orange",
            steps=[(0, "green")],
            empty="no profile",
        ),
    }


def _traffic() -> Panels:
    return {
        "Traffic": _rates(
            "Bits per second of each network card; sent bits are below the line.",
            "nic",
            ("received", "vm_nic_receive_bytes_total", 8),
            ("sent", "vm_nic_transmit_bytes_total", -8),
            unit=BITS_PER_SECOND,
            width=9,
        ),
        "Packets": _rates(
            "Packets per second of each network card; sent packets are below the line.",
            "nic",
            ("received", "vm_nic_receive_packets_total", 1),
            ("sent", "vm_nic_transmit_packets_total", -1),
            unit="pps",
            width=9,
        ),
    }


def _cards() -> Panel:
    speed = f"8 * {largest('nic', mine('vm_nic_speed_bytes_per_second'))}"
    return table(
        "Status and speed of each network card.",
        [
            Column("Card", "nic"),
            Column(
                "Status", "status", texts=texts({"up": ("Up", "green"), "down": ("Down", "red")})
            ),
            Column("Speed", expr=speed, unit=BITS_PER_SECOND),
        ],
        info=largest("nic, status", mine("vm_nic_status_info")),
        width=6,
        empty="no network cards",
    )


def _filesystems() -> Panels:
    used, size = "vm_guest_filesystem_used_bytes", "vm_guest_filesystem_size_bytes"
    return {
        "Filesystems": graph(
            "Used share of each filesystem in the guest.",
            {"{{mountpoint}}": largest("mountpoint", f"{mine(used)} / ({mine(size)} > 0)")},
            width=8,
            unit=RATIO,
            high=1,
            steps=[(thresholds.FILESYSTEM_FULL_RATIO, "red")],
            empty="no guest agent",
        ),
        "Filesystems now": bar_list(
            "Used share of each filesystem in the guest now.",
            {"{{mountpoint}}": largest("mountpoint", f"{last(used)} / ({last(size)} > 0)")},
            width=6,
            unit=RATIO,
            steps=[(0.8, "yellow"), (thresholds.FILESYSTEM_FULL_RATIO, "red")],
            high=1,
            decimals=0,
            empty="no guest agent",
        ),
    }


def _guest() -> Panel:
    updated = f"{last('vm_guest_update_timestamp_seconds')} * 1000"
    return table(
        "vm_guest_info",
        [
            Column("Host name", "guest_hostname", 105),
            Column("System", "os_name", 120),
            Column("Version", "os_version", 75),
            Column("Kernel", "kernel", 165),
            Column(
                "Last report",
                expr=largest(
                    "guest_hostname", labeled(updated, "guest_hostname", last("vm_guest_info"))
                ),
                unit=TIME,
            ),
        ],
        info=largest("guest_hostname, os_name, os_version, kernel", last("vm_guest_info")),
        width=10,
        empty="no guest agent",
    )


def _properties() -> Panel:
    updated = f"1000 * {largest('vm_id', mine('vm_status_update_timestamp_seconds'))}"

    def value(metric: str) -> str:
        return largest("vm_id", mine(metric))

    return table(
        "vm_info",
        [
            Column("ID", "vm_id", 60),
            Column("UUID", "uuid", 310),
            Column("Cores", width=65, expr=value("vm_configured_cpu_cores")),
            Column("Memory", width=85, expr=value("vm_configured_memory_bytes"), unit=BYTES),
            Column("OS", "os_family", 80),
            Column("Machine", "machine_type", 110),
            Column("After power loss", "on_power_loss", 130),
            Column("HA group", "ha_group", 90),
            Column("Created from", "created_from", 100),
            Column("Agent", "agent_version", 75),
            Column("Enabled", width=80, expr=value("vm_enabled"), texts=ENABLED),
            Column("Migratable", width=95, expr=value("vm_migratable"), texts=ENABLED),
            Column("Status updated", expr=updated, unit=TIME),
            Column("Frozen", width=75, expr=value("vm_status_frozen"), texts=FROZEN),
        ],
        info=largest(
            "vm_id, uuid, os_family, machine_type, ha_group, on_power_loss, created_from, "
            "agent_version",
            mine("vm_info"),
        ),
        height=5,
    )


def _question() -> Panel:
    return table(
        "recovery_vm_question_info",
        [Column("Number", "question"), Column("Action", "action")],
        info=largest("question, action", mine("recovery_vm_question_info")),
        width=8,
        height=4,
        empty="no question",
    )


def _devices() -> Panel:
    return table(
        "vm_device_info",
        [
            Column("Device", "device"),
            Column("Type", "type"),
            Column("Status", "status"),
            Column("Optional", "optional"),
        ],
        info=largest("device, type, status, optional", mine("vm_device_info")),
        width=16,
        height=4,
        empty="no devices",
    )


def _recovery() -> Panels:
    when = f"{mine('recovery_vm_last_action_timestamp_seconds')} * 1000"
    action = labeled(when, "action, outcome", mine("recovery_vm_last_action_info"))
    budget = largest("window_seconds", mine("recovery_vm_budget_remaining"))
    return {
        "Remaining budget": bar_list(
            "recovery_vm_budget_remaining",
            {"within {{window_seconds}} s": f"sort({budget})"},
            height=5,
            base="red",
            steps=[(1, "orange"), (2, "green")],
            names={f"/ {seconds} s/": f"within {text}" for seconds, text in WINDOWS.items()},
            empty="no recent actions",
        ),
        "Last action of recovery": table(
            "recovery_vm_last_action_info",
            [
                Column("Action", "action"),
                Column("Outcome", "outcome", texts=OUTCOMES),
                Column("When", expr=largest("action, outcome", action), unit=TIME),
            ],
            width=8,
            height=5,
            sort="When",
            empty="no actions",
        ),
        "Time in recovery state": number(
            "recovery_vm_state_since_timestamp_seconds",
            f"time() - {mine('recovery_vm_state_since_timestamp_seconds')}",
            width=4,
            height=5,
            unit=SECONDS,
            base="text",
            empty="not monitored",
        ),
        "Running cores": number(
            "vm_running_cpu_cores",
            largest("vm_name", last("vm_running_cpu_cores")),
            width=4,
            height=5,
            base="text",
            empty="off",
        ),
    }
