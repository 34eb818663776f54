"""Clusters, nodes and their NICs on the vendor's page: its units, labels and zeros."""

import json
from typing import Any

from exporter.collectors.inventory import join
from exporter.collectors.plan import tables_of
from exporter.collectors.registry import COLLECTORS
from exporter.exposition.formats import Format
from exporter.exposition.page import PageBuilder
from exporter.exposition.renderer import Renderer
from exporter.vendor import clusters, nodes
from tests.exposition.builders import AT, report

TABLES = {table.name: table for table in tables_of(COLLECTORS)}
FAMILIES = (*clusters.FAMILIES, *nodes.FAMILIES)


def shown(**answers: list[dict[str, Any]]) -> dict[str, str]:
    """Return the value of each series of the page, without its system."""
    rows = {
        name: TABLES[name].decode(json.dumps(one).encode()).rows for name, one in answers.items()
    }
    inventory = join(rows, system_name="north", identity=None, taken_at=AT)
    rendered = Renderer(FAMILIES).render(inventory, report("north"))
    page = PageBuilder(FAMILIES).page([rendered], Format.CLASSIC).plain(b"").read().decode()
    series = (line.rpartition(" ") for line in page.splitlines() if not line.startswith("#"))
    return {
        name.removeprefix("vergeos_").replace(',system_name="north"', ""): value
        for name, _, value in series
    }


CLUSTERS = [{"$key": 1, "name": "production"}]
NODES = [
    {"$key": 1, "id": 1, "name": "node1", "cluster": 1, "machine": 91},
    {"$key": 2, "id": 2, "name": "node2", "cluster": 7, "machine": 92},
]


def test_cluster_has_every_family_in_mb_and_percent() -> None:
    full = {
        "$key": 1, "name": "production", "status_state": "reduced", "status_health": "warning",
        "total_nodes": 3, "online_nodes": 2, "running_machines": 15, "total_ram": 786432,
        "online_ram": 524288, "used_ram": 161536, "total_cores": 144, "online_cores": 96,
        "used_cores": 86, "phys_ram_used": 120259084288, "target_ram_pct": 80.5, "enabled": True,
        "ram_per_unit": 4096, "cores_per_unit": 1,
    }  # fmt: skip
    page = shown(cluster_status=[full])

    of_cluster = {name.partition("{")[0]: float(value) for name, value in page.items()}
    assert of_cluster == {
        "cluster_status": 1, "cluster_total_ram": 786432, "cluster_used_ram": 161536,
        "cluster_cores_total": 144, "cluster_used_cores": 86, "cluster_running_machines": 15,
        "cluster_health": 0, "clusters_total": 1, "cluster_enabled": 1,
        "cluster_ram_per_unit": 4096, "cluster_cores_per_unit": 1,
        "cluster_target_ram_pct": 80.5, "cluster_total_nodes": 3, "cluster_online_nodes": 2,
        "cluster_online_ram": 524288, "cluster_online_cores": 96,
        "cluster_phys_ram_used": 120259084288,
    }  # fmt: skip
    assert 'cluster_health{cluster="production"}' in page


NUMBERS = {
    'nodes_total{cluster="production"}': "1.0",
    'nodes_total{cluster="cluster_7"}': "1.0",
    'nodes_total{cluster="all"}': "2.0",
}


def test_nodes_are_counted_by_cluster_and_for_all() -> None:
    assert shown(clusters=CLUSTERS, nodes=NODES) == NUMBERS


def test_node_without_rows_of_its_machine_has_zeros() -> None:
    assert shown(clusters=CLUSTERS, nodes=NODES, machine_stats=[], machine_status=[]) == {
        **NUMBERS,
        **zeros_of("production", "node1"),
        **zeros_of("cluster_7", "node2"),
    }


def zeros_of(cluster: str, node: str) -> dict[str, str]:
    """Return what a node without a row of statistics has."""
    names = "cpu_total cpu_user cpu_system cpu_iowait ram_used ram_pct running_cores running_ram"
    labels = f'cluster="{cluster}",node_name="{node}"'
    return {f"node_{name}{{{labels}}}": "0.0" for name in names.split()}


def test_node_with_statistics_has_its_load_cores_and_temperature() -> None:
    page = shown(
        clusters=CLUSTERS,
        nodes=NODES[:1],
        node_details=[
            {"$key": 1, "id": 1, "ram": 524288, "vm_ram": 471859, "ipmi_status": "ready"}
        ],
        machine_stats=[
            {"$key": 9, "machine": 91, "total_cpu": 31, "user_cpu": 22, "system_cpu": 7,
             "iowait_cpu": 2, "ram_used": 181236, "ram_pct": 35, "core_temp": 58,
             "core_usagelist": [31, 2.5, "x", True]},
        ],
        machine_status=[
            {"$key": 1, "machine": 91, "running": True, "node": 1, "running_cores": 64},
            {"$key": 2, "machine": 11, "running": True, "node": 1, "running_cores": 4,
             "running_ram": 8192},
        ],
    )  # fmt: skip

    labels = 'cluster="production",node_name="node1"'
    assert {name: value for name, value in page.items() if name.startswith("node_")} == {
        f"node_ipmi_status{{{labels}}}": "0.0",
        f"node_ram_total{{{labels}}}": "524288.0",
        f"node_ram_allocated{{{labels}}}": "471859.0",
        f"node_cpu_total{{{labels}}}": "31.0",
        f"node_cpu_user{{{labels}}}": "22.0",
        f"node_cpu_system{{{labels}}}": "7.0",
        f"node_cpu_iowait{{{labels}}}": "2.0",
        'node_cpu_core_usage{cluster="production",core_id="0",node_name="node1"}': "31.0",
        'node_cpu_core_usage{cluster="production",core_id="1",node_name="node1"}': "2.5",
        f"node_core_temp{{{labels}}}": "58.0",
        f"node_ram_used{{{labels}}}": "181236.0",
        f"node_ram_pct{{{labels}}}": "35.0",
        f"node_running_cores{{{labels}}}": "4.0",
        f"node_running_ram{{{labels}}}": "8192.0",
    }


def test_nic_without_counters_has_its_status_only() -> None:
    page = shown(
        clusters=CLUSTERS,
        nodes=NODES[:1],
        machine_nics=[
            {"$key": 31, "machine": 91, "name": "eno1", "stats": {"tx_bytes": 7, "rx_bytes": 8},
             "status": {"status": "up"}},
            {"$key": 32, "machine": 91, "name": "eno2", "stats": None, "status": []},
            {"$key": 33, "machine": 11, "name": "nic_0", "stats": {"tx_bytes": 7}},
        ],
    )  # fmt: skip

    labels = 'cluster="production",interface="eno1",node_name="node1"'
    assert {name: value for name, value in page.items() if name.startswith("nic_")} == {
        f"nic_tx_packets_total{{{labels}}}": "0.0",
        f"nic_rx_packets_total{{{labels}}}": "0.0",
        f"nic_tx_bytes_total{{{labels}}}": "7.0",
        f"nic_rx_bytes_total{{{labels}}}": "8.0",
        f"nic_status{{{labels}}}": "1.0",
        f"nic_status{{{labels.replace('eno1', 'eno2')}}}": "0.0",
    }
