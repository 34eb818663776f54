"""Tenants: problems first, then load, storage and nodes."""

from tools.alert_rules import thresholds
from tools.alert_rules.expressions import ON_TENANT
from tools.dashboards.page import Page, Panel, Panels, alerts, systems
from tools.dashboards.panels import (
    BYTES,
    RATIO,
    Column,
    bar_list,
    graph,
    number,
    table,
    timeline,
    yes_no,
)
from tools.dashboards.queries import EVERY_SYSTEM, every, labeled, largest, or_zero
from tools.dashboards.words import STATUSES, TENANT_STATUSES

A_TENANT = "system_name, tenant_id, tenant_name"
A_NODE = f"{A_TENANT}, tenant_node"
RUNNING = every("tenant_running")
STATUS = every("tenant_status_info")
TROUBLED = every("tenant_status_info", 'state=~"warning|error"')
USED = every("tenant_storage_used_bytes")
PROVISIONED = every("tenant_storage_provisioned_bytes")
NAME = "{{tenant_name}}"


def page() -> Page:
    """Return the dashboard of tenants."""
    return Page(
        "vergewatch-tenants",
        "Tenants",
        "Tenants of all systems: problems first, then load, storage and nodes.",
        variables=[systems()],
        annotations=[alerts(EVERY_SYSTEM)],
        sections={
            "": {**_numbers(), "Status": _bands()},
            "Load": _load(),
            "Storage": {"Fullest storage": _fullest(), "Storage": _storage()},
            "All tenants": {"All tenants": _all(), "Nodes of tenants": _nodes()},
        },
    )


def _numbers() -> Panels:
    went_down = f"({RUNNING} == 0 and max_over_time({RUNNING}[$__range]) == 1)"
    full = f"{USED} / ({PROVISIONED} > 0) > {thresholds.TENANT_STORAGE_FULL_RATIO}"

    def count(expr: str) -> str:
        return or_zero(f"count({largest('system_name, tenant_id', expr)})")

    return {
        "Tenants": number("Tenants without their snapshots.", count(STATUS), width=5, base="blue"),
        "Running": number("Tenants that run.", count(f"{RUNNING} == 1"), width=5, base="blue"),
        "Went down": number(
            "Tenants that ran in this range and do not run now.",
            count(went_down),
            width=5,
            steps=[(1, "red")],
        ),
        "With problems": number(
            "Tenants for which VergeOS reports a warning or an error.",
            count(TROUBLED),
            width=5,
            steps=[(1, "red")],
        ),
        "Storage almost full": number(
            "Tenants that have used almost all of the storage that they were given in a tier.",
            count(full),
            width=4,
            steps=[(1, "orange")],
        ),
    }


def _bands() -> Panel:
    return timeline(
        "Status of each tenant.",
        {NAME: TENANT_STATUSES.codes(A_TENANT, EVERY_SYSTEM)},
        height=7,
        texts=TENANT_STATUSES.code_texts(),
        empty="no tenants",
    )


def _load() -> Panels:
    used, allocated = every("tenant_memory_used_bytes"), every("tenant_memory_allocated_bytes")
    return {
        "CPU usage": graph(
            "CPU usage of tenants, 1 being all of their cores; of each moment the ten with the "
            "highest.",
            {NAME: f"topk(10, {largest(A_TENANT, every('tenant_cpu_usage_ratio'))})"},
            unit=RATIO,
            high=1,
        ),
        "Memory usage": graph(
            "Share of its memory that a tenant uses; of each moment the ten with the highest.",
            {NAME: f"topk(10, {largest(A_TENANT, f'{used} / ({allocated} > 0)')})"},
            unit=RATIO,
            high=1,
        ),
    }


def _fullest() -> Panel:
    ratio = largest(f"{A_TENANT}, storage_tier", f"{USED} / ({PROVISIONED} > 0)")
    return bar_list(
        "The ten tenants that use most of the storage that they were given in a tier. It is no "
        "hard limit.",
        {f"{NAME} tier {{{{storage_tier}}}}": f"topk(10, {ratio})"},
        width=10,
        unit=RATIO,
        steps=[(0.8, "yellow"), (thresholds.TENANT_STORAGE_FULL_RATIO, "red")],
        high=1,
        decimals=0,
    )


def _storage() -> Panel:
    by = f"{A_TENANT}, storage_tier"
    return table(
        "Storage of each tenant in each tier.",
        [
            Column("Tenant", "tenant_name"),
            Column("Tier", "storage_tier"),
            Column("Used", expr=largest(by, USED), unit=BYTES),
            Column("Provisioned", expr=largest(by, PROVISIONED), unit=BYTES),
            Column(
                "Allocated",
                expr=largest(by, every("tenant_storage_allocated_bytes")),
                unit=BYTES,
            ),
            Column("System", "system_name"),
        ],
        width=14,
        hide=["tenant_id"],
        paged=True,
    )


def _all() -> Panel:
    def of(metric: str) -> str:
        return largest(A_TENANT, every(metric))

    return table(
        "Every tenant. Its load is that of the newest sample, which VergeOS takes every five "
        "minutes.",
        [
            Column("Tenant", "tenant_name"),
            Column("Status", "status", texts=TENANT_STATUSES.texts()),
            Column("Cores", expr=of("tenant_cpu_cores")),
            Column("CPU", expr=of("tenant_cpu_usage_ratio"), gauge=True),
            Column("Memory used", expr=of("tenant_memory_used_bytes"), unit=BYTES),
            Column("Memory", expr=of("tenant_memory_allocated_bytes"), unit=BYTES),
            Column("IP addresses", expr=of("tenant_ip_addresses")),
            Column("Layer-2 networks", expr=of("tenant_layer2_networks")),
            Column("GPUs in use", expr=of("tenant_used_gpus")),
            Column("vGPUs in use", expr=of("tenant_used_vgpus")),
            Column("System", "system_name"),
        ],
        info=largest(f"{A_TENANT}, status", STATUS),
        height=10,
        hide=["tenant_id"],
        paged=True,
    )


def _nodes() -> Panel:
    on_node = ON_TENANT.replace(")", ", tenant_node)")
    enabled = every("tenant_node_enabled")
    status = (
        f"(max by (system_name, tenant_id, tenant_node, status, node_name)"
        f" ({every('tenant_node_status_info')})"
        f" or {on_node} max by (system_name, tenant_id, tenant_node) ({enabled}))"
    )
    return table(
        "Every node of every tenant, and the node that it runs on.",
        [
            Column("Tenant", "tenant_name"),
            Column("Node", "tenant_node"),
            Column("Status", "status", texts=STATUSES.texts()),
            Column("Runs on", "node_name"),
            Column(
                "Enabled",
                expr=largest(A_NODE, enabled),
                texts=yes_no(("Yes", "text"), ("No", "orange")),
            ),
            Column("Cores", expr=largest(A_NODE, every("tenant_node_cpu_cores"))),
            Column("CPU", expr=largest(A_NODE, every("tenant_node_cpu_usage_ratio")), gauge=True),
            Column(
                "Memory used",
                expr=largest(A_NODE, every("tenant_node_memory_used_bytes")),
                unit=BYTES,
            ),
            Column("Memory", expr=largest(A_NODE, every("tenant_node_memory_bytes")), unit=BYTES),
            Column("System", "system_name"),
        ],
        info=labeled(largest(A_NODE, enabled), "status, node_name", status, on_node),
        height=10,
        hide=["tenant_id"],
        paged=True,
    )
