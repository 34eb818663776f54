"""Virtual networks: problems first, then gateways, traffic and all networks."""

from tools.alert_rules import thresholds
from tools.alert_rules.expressions import ON_VNET
from tools.dashboards.page import Page, Panel, Panels, alerts, systems
from tools.dashboards.panels import (
    BITS_PER_SECOND,
    RATIO,
    SECONDS,
    SLOW,
    Column,
    graph,
    number,
    table,
    timeline,
    yes_no,
)
from tools.dashboards.queries import EVERY_SYSTEM, every, labeled, largest, or_zero
from tools.dashboards.words import ROUTER_STATUSES, STATUSES

A_VNET = "system_name, vnet_id, vnet_name"
INFO = every("vnet_info")
RUNNING = every("vnet_running")
ENABLED = f"{every('vnet_enabled')} == 1"
WENT_DOWN = f"({RUNNING} == 0 and max_over_time({RUNNING}[$__range]) == 1 and {ON_VNET} {ENABLED})"
TROUBLED = every("vnet_status_info", 'state=~"warning|error"')
PENDING = " or ".join(
    f"({every(name)} == 1)"
    for name in (
        "vnet_firewall_apply_pending",
        "vnet_dns_apply_pending",
        "vnet_proxy_apply_pending",
        "vnet_need_restart",
    )
)
QUALITY = every("vnet_gateway_quality_ratio")
DROPPED = every("vnet_gateway_dropped_ratio")
LATENCY = every("vnet_gateway_latency_average_seconds")
NAME = "{{vnet_name}}"


def page() -> Page:
    """Return the dashboard of virtual networks."""
    return Page(
        "vergewatch-networks",
        "Networks",
        "Virtual networks of all systems: problems first, then gateways and traffic.",
        variables=[systems()],
        annotations=[alerts(EVERY_SYSTEM)],
        sections={
            "": {**_numbers(), "Routers with changes or problems": _bands()},
            "Gateways": _gateways(),
            "Traffic": _traffic(),
            "All networks": {"All networks": _all()},
        },
    )


def _numbers() -> Panels:
    def count(expr: str) -> str:
        return or_zero(f"count({largest('system_name, vnet_id', expr)})")

    return {
        "Networks": number("Virtual networks.", count(INFO), width=4, base="blue"),
        "Running": number(
            "Networks whose router runs.", count(f"{RUNNING} == 1"), width=4, base="blue"
        ),
        "Went down": number(
            "Enabled networks whose router ran in this range and does not run now.",
            count(WENT_DOWN),
            width=4,
            steps=[(1, "red")],
        ),
        "With problems": number(
            "Networks for whose router VergeOS reports a warning or an error.",
            count(TROUBLED),
            width=4,
            steps=[(1, "red")],
        ),
        "Changes pending": number(
            "Networks with changes that have not been applied: firewall rules, DNS, proxy, or "
            "changes that need a restart.",
            count(PENDING),
            width=4,
            steps=[(1, "yellow")],
        ),
        "Gateways with loss": number(
            "Monitored gateways that lost more than a few packets of the newest sample.",
            count(f"{DROPPED} > {thresholds.GATEWAY_LOSS_RATIO}"),
            width=4,
            steps=[(1, "orange")],
        ),
    }


def _bands() -> Panel:
    down = f"(min_over_time({RUNNING}[$__range] @ end()) == 0)"
    up = f"(max_over_time({RUNNING}[$__range] @ end()) == 1)"
    trouble = f"max_over_time({TROUBLED}[$__range] @ end())"
    codes = ROUTER_STATUSES.codes(A_VNET, EVERY_SYSTEM)
    shown = f"{codes} and {ON_VNET} (({down} and {up}) or {trouble})"
    return timeline(
        "Status of the routers that went down, came up or had problems in this range.",
        {NAME: shown},
        height=7,
        texts=ROUTER_STATUSES.code_texts(),
        empty="no changes and no problems",
    )


def _gateways() -> Panels:
    return {
        "Quality": graph(
            "vnet_gateway_quality_ratio",
            {NAME: largest(A_VNET, QUALITY)},
            width=8,
            unit=RATIO,
            high=1,
            empty="no gateway is monitored",
        ),
        "Mean latency": graph(
            "vnet_gateway_latency_average_seconds",
            {NAME: largest(A_VNET, LATENCY)},
            width=8,
            unit=SECONDS,
            empty="no gateway is monitored",
        ),
        "Peak latency": graph(
            "vnet_gateway_latency_peak_seconds",
            {NAME: largest(A_VNET, every("vnet_gateway_latency_peak_seconds"))},
            width=8,
            unit=SECONDS,
            empty="no gateway is monitored",
        ),
    }


def _traffic() -> Panels:
    def busiest(about: str, counter: str) -> Panel:
        rate = f"8 * rate({every(counter)}[$__rate_interval])"
        return graph(
            about,
            {NAME: f"topk(10, {largest(A_VNET, rate)})"},
            step=SLOW,
            unit=BITS_PER_SECOND,
        )

    return {
        "Received": busiest(
            "Traffic that routers received; of each moment the ten with the most.",
            "vnet_receive_bytes_total",
        ),
        "Sent": busiest(
            "Traffic that routers sent; of each moment the ten with the most.",
            "vnet_transmit_bytes_total",
        ),
    }


def _all() -> Panel:
    placed = largest(f"{A_VNET}, type, layer2_type, mtu, cluster_name", INFO)
    # A network without a router has no status.
    status = (
        f"(max by (system_name, vnet_id, status) ({every('vnet_status_info')})"
        f" or {ON_VNET} max by (system_name, vnet_id) ({INFO}))"
    )
    rate = f"8 * rate({every('vnet_receive_bytes_total')}[$__rate_interval])"
    return table(
        "Every virtual network. The core and physical networks have no router.",
        [
            Column("Network", "vnet_name"),
            Column("Type", "type"),
            Column("Status", "status", texts=STATUSES.texts()),
            Column("Layer 2", "layer2_type"),
            Column("MTU", "mtu"),
            Column("Cluster", "cluster_name"),
            Column("Received", expr=largest(A_VNET, rate), unit=BITS_PER_SECOND),
            Column("Gateway", expr=largest(A_VNET, QUALITY), unit=RATIO, decimals=0),
            Column(
                "Changes",
                expr=f"{largest(A_VNET, PENDING)} or 0 * {largest(A_VNET, INFO)}",
                texts=yes_no(("Pending", "orange"), ("None", "text")),
            ),
            Column("System", "system_name"),
        ],
        info=labeled(placed, "status", status, ON_VNET),
        height=12,
        hide=["vnet_id"],
        paged=True,
    )
