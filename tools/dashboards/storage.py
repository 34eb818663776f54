"""Storage: tiers and physical drives, problems first, then space, load, health and all drives."""

from exporter.doctor.storage import FULL, NEARLY_FULL
from tools.alert_rules.expressions import ON_NODE
from tools.alert_rules.storage import DOWN, DRIVE, OFFLINE, TIER, WORN
from tools.dashboards.page import Page, Panel, Panels, alerts, clusters, systems
from tools.dashboards.panels import (
    BYTES,
    DARK_GREY,
    RATIO,
    SECONDS,
    SLOW,
    Column,
    Steps,
    bar_list,
    graph,
    number,
    table,
    texts,
    timeline,
    yes_no,
)
from tools.dashboards.queries import (
    IN_CLUSTER,
    every,
    labeled,
    largest,
    or_zero,
)
from tools.dashboards.words import LabelValues, Meaning, among

INVENTORY = "5m"
"""The least step for rates from tables that are polled every five minutes."""
BYTES_PER_SECOND = "Bps"
OPERATIONS_PER_SECOND = "iops"
HOT_CELSIUS = 51
"""The limit of VergeOS for the temperature of a drive."""
STEPS: Steps = [(NEARLY_FULL, "orange"), (FULL, "red")]

A_TIER = ", ".join(TIER)
A_DRIVE = ", ".join(DRIVE)
ON_TIER = f"on ({A_TIER})"
ON_DRIVE = f"on ({A_DRIVE})"
A_SYSTEM_TIER = "system_name, storage_tier"
ON_SYSTEM_TIER = f"on ({A_SYSTEM_TIER})"

TIER_STATUSES = LabelValues(
    "cluster_tier_info",
    "status",
    (
        Meaning("Online", "green", ("online",)),
        Meaning("Verifying", "light-blue", ("verifying", "initializing")),
        Meaning("Repairing", "yellow", ("repairing",)),
        Meaning("Not redundant", "orange", ("noredundant",)),
        Meaning("Out of space", "red", ("outofspace",)),
        Meaning("Offline", "semi-dark-red", ("offline",)),
    ),
)
"""Statuses of storage tiers; those of drives are the same words."""
SMART_VALUES = texts(
    {
        "temperature": ("Temperature", "orange"),
        "wear": ("Wear", "orange"),
        "power_on_time": ("Power-on time", DARK_GREY),
        "reallocated_sectors": ("Reallocated sectors", "red"),
        "pending_sectors": ("Pending sectors", "red"),
        "uncorrectable_sectors": ("Uncorrectable sectors", "red"),
    }
)


def page() -> Page:
    """Return the dashboard of storage."""
    return Page(
        "vergewatch-storage",
        "Storage",
        "Storage tiers and physical drives of all systems: problems first, then space and load.",
        variables=[systems(), clusters()],
        annotations=[alerts()],
        sections={
            "": {**_numbers(), "Tiers of the system": _system_tiers(), "Status": _status()},
            "Tiers of clusters": {
                "Tiers": _tiers(),
                "Used space": _used(),
                "Repairs": _repairs(),
                "Throughput": _throughput(),
                "Operations": _operations(),
            },
            "Drives with problems": {
                "SMART warnings": _warnings(),
                "Drives that are not online": _offline(),
            },
            "Drives": _drives(),
            "All drives": {"All drives": _all()},
        },
        collapsed=["All drives"],
    )


def _of_clusters(expr: str) -> str:
    """Keep the drives of *expr* that are in nodes of the chosen clusters."""
    return f"{expr} and {ON_NODE} {every('node_info', IN_CLUSTER)}"


def _share(used: str, capacity: str, *matchers: str) -> str:
    return f"{every(used, *matchers)} / ({every(capacity, *matchers)} > 0)"


USED = _share("storage_tier_used_bytes", "storage_tier_capacity_bytes")
CLUSTER_USED = _share("cluster_tier_used_bytes", "cluster_tier_capacity_bytes", IN_CLUSTER)
WARNED = f"({every('drive_smart_warning')} == 1)"


def _numbers() -> Panels:
    down = every("cluster_tier_info", IN_CLUSTER, among("status", DOWN.split("|")))
    single = f"{every('cluster_tier_redundant', IN_CLUSTER)} == 0"
    throttled = f"{every('cluster_tier_write_throttle_seconds', IN_CLUSTER)} > 0"
    offline = _of_clusters(every("drive_info", f'status="{OFFLINE}"', 'storage_tier!=""'))
    repairs = largest(A_TIER, every("cluster_tier_repairs", IN_CLUSTER))

    def counted(about: str, by: str, expr: str, color: str) -> Panel:
        return number(
            about,
            or_zero(f"count({largest(by, expr)})"),
            steps=[(1, "red" if color == "red" else "orange")],
        )

    return {
        "Fullest tier": number(
            "Used share of the fullest storage tier of the chosen systems.",
            f"max({USED})",
            unit=RATIO,
            steps=STEPS,
            decimals=0,
        ),
        "Tiers down": counted(
            "Storage tiers that are offline or out of space.", A_TIER, down, "red"
        ),
        "Not redundant": counted(
            "Storage tiers with only one copy of some data. A full walk is no exception here.",
            A_TIER,
            single,
            "orange",
        ),
        "Slowed": counted(
            "Storage tiers to which VergeOS slows writes because they are almost full.",
            A_TIER,
            throttled,
            "orange",
        ),
        "Repairs": number(
            "Repairs of all chosen tiers. They are normal after the restart of a node, as long "
            "as they become fewer.",
            or_zero(f"sum({repairs})"),
            steps=[(1, "yellow")],
        ),
        "Drives offline": counted(
            "Drives of the vSAN that are offline, also those of nodes that are down.",
            A_DRIVE,
            offline,
            "red",
        ),
        "Drives with warnings": counted(
            "Drives with a SMART value beyond the limit of VergeOS.",
            A_DRIVE,
            _of_clusters(WARNED),
            "orange",
        ),
        "Drives with errors": counted(
            "Drives on which the vSAN counted read or write errors in the last day.",
            A_DRIVE,
            _of_clusters(f"({_errors('1d')}) > 0"),
            "orange",
        ),
    }


def _errors(window: str) -> str:
    read, write = (
        f"increase({every(f'drive_vsan_{kind}_errors_total')}[{window}])"
        for kind in ("read", "write")
    )
    return f"{read} + {write}"


def _system_tiers() -> Panel:
    def value(metric: str) -> str:
        return largest(A_SYSTEM_TIER, every(metric))

    left = f"({value('storage_tier_capacity_bytes')} - {value('storage_tier_used_bytes')})"
    growth = f"deriv({every('storage_tier_used_bytes')}[1d])"
    full_in = f"{left} / ({largest(A_SYSTEM_TIER, growth)} > 0)"
    return table(
        "Each storage tier, over all clusters of its system. The time until it is full assumes "
        "the growth of the last day; it is empty while the tier does not grow.",
        [
            Column("Tier", "storage_tier", 60),
            Column("System", "system_name", 120),
            Column("Description", "description"),
            Column("Used", expr=largest(A_SYSTEM_TIER, USED), gauge=True, base="green",
                   steps=STEPS),
            Column("Capacity", expr=value("storage_tier_capacity_bytes"), unit=BYTES),
            Column("Allocated", expr=value("storage_tier_allocated_bytes"), unit=BYTES),
            Column("Dedupe", expr=value("storage_tier_dedupe_factor"), decimals=2),
            Column("Full in", expr=full_in, unit=SECONDS),
        ],
        info=largest(f"{A_SYSTEM_TIER}, description", every("storage_tier_info")),
        width=14,
        height=9,
    )  # fmt: skip


def _status() -> Panel:
    return timeline(
        "Status of each storage tier of each cluster.",
        {
            "{{cluster_name}} tier {{storage_tier}}": TIER_STATUSES.codes(
                A_TIER, 'system_name=~"$system"', IN_CLUSTER
            )
        },
        width=10,
        height=9,
        texts=TIER_STATUSES.code_texts(),
    )


def _tiers() -> Panel:
    def value(metric: str) -> str:
        return largest(A_TIER, every(metric, IN_CLUSTER))

    missing = f"{value('cluster_tier_drives')} - {value('cluster_tier_online_drives')}"
    return table(
        "Each storage tier of each cluster. Drives that are offline are counted every quarter of "
        "an hour.",
        [
            Column("Tier", "storage_tier", 60),
            Column("Cluster", "cluster_name"),
            Column("System", "system_name"),
            Column("Status", "status", texts=TIER_STATUSES.texts()),
            Column("Used", expr=largest(A_TIER, CLUSTER_USED), gauge=True, base="green",
                   steps=STEPS),
            Column("Capacity", expr=value("cluster_tier_capacity_bytes"), unit=BYTES),
            Column("Redundant", expr=value("cluster_tier_redundant"),
                   texts=yes_no(("Yes", "green"), ("No", "orange"))),
            Column("Encrypted", expr=value("cluster_tier_encrypted"),
                   texts=yes_no(("Yes", "text"), ("No", "text"))),
            Column("Repairs", expr=value("cluster_tier_repairs"), steps=[(1, "yellow")]),
            Column("Drives", expr=value("cluster_tier_drives")),
            Column("Drives offline", expr=missing, steps=[(1, "red")]),
            Column("Full walk", expr=value("cluster_tier_full_walk"),
                   texts=yes_no(("Running", "light-blue"), ("No", "text"))),
            Column("Write delay", expr=value("cluster_tier_write_throttle_seconds"),
                   unit="s", decimals=3, steps=[(0.001, "orange")]),
        ],
        info=largest(f"{A_TIER}, status", every("cluster_tier_info", IN_CLUSTER)),
    )  # fmt: skip


def _used() -> Panel:
    return graph(
        "Used share of each storage tier of each cluster. The lines are the limits of the alerts.",
        {"{{cluster_name}} tier {{storage_tier}}": largest(A_TIER, CLUSTER_USED)},
        unit=RATIO,
        high=1,
        steps=STEPS,
    )


def _repairs() -> Panel:
    repairs = every("cluster_tier_repairs", IN_CLUSTER)
    return graph(
        "Repairs of each storage tier of each cluster.",
        {"{{cluster_name}} tier {{storage_tier}}": largest(A_TIER, repairs)},
        decimals=0,
    )


def _rate(counter: str) -> str:
    return largest(A_SYSTEM_TIER, f"rate({every(counter)}[$__rate_interval])")


def _throughput() -> Panel:
    return graph(
        "Bytes that are read from and written to each storage tier of the system.",
        {
            "tier {{storage_tier}} read": _rate("storage_tier_read_bytes_total"),
            "tier {{storage_tier}} written": _rate("storage_tier_written_bytes_total"),
        },
        step=INVENTORY,
        unit=BYTES_PER_SECOND,
    )


def _operations() -> Panel:
    return graph(
        "Operations of each storage tier of the system.",
        {
            "tier {{storage_tier}} reads": _rate("storage_tier_reads_total"),
            "tier {{storage_tier}} writes": _rate("storage_tier_writes_total"),
        },
        step=INVENTORY,
        unit=OPERATIONS_PER_SECOND,
    )


PLACE = [
    Column("Node", "node_name", 90),
    Column("Drive", "drive", 130),
    Column("Slot", "slot", 80),
    Column("Tier", "storage_tier", 60),
    Column("Serial", "serial", 160),
]


def _placed(expr: str) -> str:
    about = every("drive_info")
    return labeled(_of_clusters(expr), "storage_tier, slot", about, ON_DRIVE)


def _warnings() -> Panel:
    found = largest(f"{A_DRIVE}, smart_value", WARNED)
    return table(
        "Drives with a SMART value beyond the limit of VergeOS.",
        [
            *PLACE,
            Column("Value", "smart_value", texts=SMART_VALUES),
            Column("System", "system_name", 110),
        ],
        info=largest(f"{A_DRIVE}, smart_value, storage_tier, slot", _placed(f"({found})")),
        width=12,
        sort="Node",
        paged=True,
        empty="no warnings",
    )


def _offline() -> Panel:
    status = every("drive_info", 'status!="online"', 'storage_tier!=""')
    return table(
        "Drives of the vSAN that are not online.",
        [
            *PLACE,
            Column("Status", "status", texts=TIER_STATUSES.texts()),
            Column("System", "system_name", 110),
        ],
        info=largest(f"{A_DRIVE}, status, storage_tier, slot", _of_clusters(status)),
        width=12,
        sort="Node",
        paged=True,
        empty="all drives are online",
    )


def _drives() -> Panels:
    def top(about: str, expr: str, unit: str, yellow: float, red: float, high: float) -> Panel:
        return bar_list(
            about,
            {"{{node_name}} {{drive}}": f"topk(10, {largest(A_DRIVE, _of_clusters(expr))})"},
            unit=unit,
            steps=[(yellow, "yellow"), (red, "red")],
            high=high,
            decimals=0 if unit != SECONDS else None,
        )

    busy = every("drive_utilization_ratio")
    latency = every("drive_vsan_average_latency_seconds")
    return {
        "Most worn": top("The ten drives that have used up most of their rated writes.",
                         every("drive_wear_ratio"), RATIO, 0.8, WORN, 1),
        "Hottest": top("The ten hottest drives, in °C.",
                       every("drive_temperature_celsius"), "none", 46, HOT_CELSIUS, 60),
        "Busiest": top("The ten drives that are busy most of the time.", busy, RATIO, 0.8, 0.95, 1),
        "Latency": graph(
            "Average latency of the vSAN on the ten slowest drives, read every quarter of an hour.",
            {"{{node_name}} {{drive}}": f"topk(10, {largest(A_DRIVE, _of_clusters(latency))})"},
            unit=SECONDS,
        ),
        "Written": graph(
            "Bytes that are written to the drives of each node.",
            {"{{node_name}}": _written()},
            step=SLOW,
            unit=BYTES_PER_SECOND,
        ),
    }  # fmt: skip


def _written() -> str:
    of_drive = f"rate({every('drive_written_bytes_total')}[$__rate_interval])"
    return f"sum by (system_name, node_name) ({largest(A_DRIVE, _of_clusters(of_drive))})"


def _all() -> Panel:
    def value(metric: str) -> str:
        return largest(A_DRIVE, _of_clusters(every(metric)))

    return table(
        "Every physical drive of the chosen systems and clusters.",
        [
            *PLACE,
            Column("Model", "model"),
            Column("Status", "status", texts=TIER_STATUSES.texts()),
            Column("Size", expr=value("drive_size_bytes"), unit=BYTES),
            Column("Wear", expr=value("drive_wear_ratio"), gauge=True),
            Column("°C", expr=value("drive_temperature_celsius")),
            Column("Powered on", expr=value("drive_power_on_seconds"), unit=SECONDS),
            Column("System", "system_name"),
        ],
        info=largest(
            f"{A_DRIVE}, status, storage_tier, slot, model", _of_clusters(every("drive_info"))
        ),
        height=16,
        paged=True,
    )
