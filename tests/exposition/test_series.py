"""Identity of series over the life of a VM, absent values, and counts by status."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from prometheus_client.parser import text_string_to_metric_families

from exporter.collectors.clusters import NEW_WORD, NO_STATUS
from exporter.collectors.disks import DriveStatsRow
from exporter.collectors.guests import MemInfo
from exporter.collectors.nics import NicStats
from exporter.exposition.formats import Format
from exporter.model import KNOWN_STATUS_WORDS, Cluster, MachineStatus, Node
from tests.exposition import strategies
from tests.exposition.builders import (
    GUEST,
    RenderInput,
    config,
    disk,
    disk_stats,
    guest,
    inventory,
    load,
    nic,
    report,
    status,
    stopped,
    system,
)
from tests.exposition.pages import FAMILIES
from tests.exposition.sample import page

Series = tuple[str, frozenset[tuple[str, str]]]


def values(*systems: RenderInput) -> dict[Series, float]:
    """Return the value of every series."""
    text = page(Format.CLASSIC, systems).plain(b"").read().decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def families_of(vm_id: int, *systems: RenderInput) -> set[str]:
    """Return the families with series of a VM, without the common prefix."""
    label = ("vm_id", str(vm_id))
    return {
        name.removeprefix("vergewatch_vm_") for name, labels in values(*systems) if label in labels
    }


def constant_series(*systems: RenderInput) -> set[Series]:
    """Return the series whose labels must not change: all but the info families."""
    return {series for series in values(*systems) if not series[0].endswith("_info")}


NODES = {
    1: Node(1, "node1", 1, 91, maintenance=False, status=None),
    2: Node(2, "node2", 1, 92, maintenance=False, status=None),
}
RUNNING: strategies.Rows = {
    "clusters": {1: Cluster(1, "Production"), 2: Cluster(2, "Lab")},
    "nodes": NODES,
    "vms": (config(1, "web"), config(2, "db")),
    "machine_status": {11: status(11, node=1), 12: status(12, node=2), 91: status(91)},
    "guests": {11: GUEST, 12: GUEST},
    "machine_stats": {11: load(50.0, 1024), 12: load(10.0, 2048)},
    "machine_nics": {11: (nic(81, 11, "lan"), nic(82, 11, "wan"))},
    "machine_drives": {11: (disk(111, 11, "root"),)},
    "machine_drive_stats": {111: disk_stats()},
}


def with_status(**changes: object) -> strategies.Rows:
    """Return the rows with a changed status of the first VM."""
    statuses = dict(RUNNING["machine_status"])
    statuses[11] = msgspec.structs.replace(statuses[11], **changes)
    return RUNNING | {"machine_status": statuses}


# Identity


@pytest.mark.parametrize("word", ["initmigrate", "startmigrate", "migrating", "migratecomplete"])
def test_migrating_vm_keeps_every_series(word: str) -> None:
    before, during, after = (
        system(RUNNING),
        system(with_status(word=word)),
        system(with_status(node=2)),
    )

    assert constant_series(before) == constant_series(during) == constant_series(after)
    assert len(constant_series(before)) > 50


@pytest.mark.parametrize(("node", "name"), [(1, "node1"), (2, "node2"), (9, "node_9"), (None, "")])
def test_node_of_a_vm_is_a_label_of_its_info_metric(node: int | None, name: str) -> None:
    infos = [
        dict(labels)
        for family, labels in values(system(with_status(node=node)))
        if family == "vergewatch_vm_info" and ("vm_id", "1") in labels
    ]

    assert [info["node_name"] for info in infos] == [name]


def vm_series(series: set[Series]) -> set[Series]:
    return {(name, labels) for name, labels in series if name.startswith("vergewatch_vm_")}


@pytest.mark.parametrize(
    "change",
    [
        {"nodes": {1: msgspec.structs.replace(NODES[1], name="renamed"), 2: NODES[2]}},
        {"nodes": {2: NODES[2]}},
        {"clusters": {1: Cluster(1, "Renamed"), 2: Cluster(2, "Lab")}},
        {"clusters": {}},
        {"vms": (config(1, "web", cluster=2), config(2, "db"))},
        {
            "vms": (
                config(1, "web", uuid="new", os_family="windows", ha_group="+x"),
                config(2, "db"),
            )
        },
        {"machine_drives": {11: (disk(111, 11, "root", preferred_tier="3", media="clone"),)}},
        {"machine_nics": {11: (nic(81, 11, "lan", status="down"), nic(82, 11, "wan"))}},
    ],
    ids=[
        "node renamed",
        "node removed",
        "cluster renamed",
        "clusters removed",
        "moved to another cluster",
        "reconfigured",
        "disk moved to another tier",
        "NIC down",
    ],
)
def test_vm_keeps_every_series_when_its_surroundings_change(change: strategies.Rows) -> None:
    before, after = system(RUNNING), system(RUNNING | change)

    assert vm_series(constant_series(before)) == vm_series(constant_series(after))


def test_guest_with_another_operating_system_keeps_every_series() -> None:
    other = guest(pretty_name="Other", hostname="new", kernel_release="7.0")
    after = with_status(agent_version="10") | {"guests": RUNNING["guests"] | {11: other}}

    assert constant_series(system(RUNNING)) == constant_series(system(after))


def test_two_systems_with_the_same_vms_share_no_series() -> None:
    north, south = system(RUNNING, "north"), system(RUNNING, "south")

    assert len(values(north, south)) == len(values(north)) + len(values(south))


# Unknown is absent


def test_unknown_value_has_no_sample() -> None:
    unknown = config(
        1,
        "web",
        enabled=None,
        need_restart=None,
        cpu_cores=None,
        memory_bytes=None,
        cluster=None,
        guest_agent=None,
    )
    rows = {
        "vms": (unknown,),
        "machine_status": {11: status(11, **_unknown(MachineStatus))},
        "machine_stats": {11: load(None, None)},
        "machine_nics": {11: (nic(1, 11, "lan", speed=None, **_unknown(NicStats)),)},
        "machine_drives": {11: (disk(2, 11, "root", disksize=None, used_bytes=None),)},
        "machine_drive_stats": {2: disk_stats(**_unknown(DriveStatsRow))},
    }

    assert families_of(1, system(rows)) == {"info", "status_info", "nic_status_info", "disk_info"}


def _unknown(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return None for each optional field of *kind*."""
    return {
        field.name: None for field in msgspec.structs.fields(kind) if field.type not in (int, str)
    }


def test_guest_without_information_has_no_values() -> None:
    empty = guest(
        pretty_name="",
        version="",
        kernel_release="",
        memory=MemInfo(),
        fsinfo=[],
        hostname="",
        last_refresh=None,
    )

    found = families_of(1, system(RUNNING | {"guests": {11: empty}}))

    assert {name for name in found if name.startswith("guest_")} == {
        "guest_info",
        "guest_agent_enabled",
        "guest_agent_connected",
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(strategies.any_rows)
def test_absent_table_exports_no_series(rows: strategies.Rows) -> None:
    exported = {
        name for name, _ in values((inventory(rows, identity=rows.get("identity")), report()))
    }

    for family in FAMILIES:
        if not family.group.tables <= rows.keys() | {"report", "clusters"}:
            may_lack = family.group.name in ("VM place", "node state")
            assert family.name not in exported or may_lack, family.name


CONFIGURATION = {
    "enabled",
    "need_restart",
    "configured_cpu_cores",
    "configured_memory_bytes",
    "guest_agent_enabled",
    "info",
}


def test_vm_without_a_status_keeps_its_configuration() -> None:
    rows = {name: RUNNING[name] for name in ("vms", "clusters", "nodes")}

    without_table = families_of(1, system(rows))
    without_row = families_of(1, system(rows | {"machine_status": {12: status(12)}}))

    assert without_table == without_row == CONFIGURATION


ONLY_WHILE_RUNNING = {
    "cpu_usage_ratio",
    "memory_used_bytes",
    "running_cpu_cores",
    "running_memory_bytes",
    "guest_agent_connected",
    "guest_info",
    "guest_memory_used_bytes",
    "guest_filesystem_used_bytes",
}


def test_vm_that_is_off_exports_no_usage_although_its_rows_remain() -> None:
    off = RUNNING | {"machine_status": {11: stopped(11), 12: status(12)}}

    assert families_of(1, system(RUNNING)) >= ONLY_WHILE_RUNNING
    assert not families_of(1, system(off)) & ONLY_WHILE_RUNNING
    assert families_of(2, system(off)) >= ONLY_WHILE_RUNNING


def test_vm_that_is_off_keeps_configuration_nics_disks_and_last_start() -> None:
    found = families_of(1, system(RUNNING | {"machine_status": {11: stopped(11)}}))

    assert found >= CONFIGURATION | {"running", "status_info", "start_timestamp_seconds"}
    assert {"nic_receive_bytes_total", "disk_reads_total", "disk_size_bytes"} <= found


def test_zero_is_exported() -> None:
    rows = with_status(running_cpu_cores=0) | {"machine_stats": {11: load(0.0, 0)}}

    zeros = {name for (name, labels), value in values(system(rows)).items() if value == 0}

    assert {"vergewatch_vm_cpu_usage_ratio", "vergewatch_vm_running_cpu_cores"} <= zeros
    assert "vergewatch_vm_memory_used_bytes" in zeros


# Counts by cluster and status


def vm_counts(rows: strategies.Rows) -> dict[tuple[str, str], float]:
    return {
        (dict(labels)["cluster_name"], dict(labels)["status"]): value
        for (name, labels), value in values(system(rows)).items()
        if name == "vergewatch_cluster_vms"
    }


def test_every_cluster_exports_every_status_zeros_included() -> None:
    found = vm_counts(RUNNING)

    statuses = {*KNOWN_STATUS_WORDS, NO_STATUS, NEW_WORD}
    assert found.keys() == {(name, status) for name in ("Production", "Lab") for status in statuses}
    assert found["Production", "running"] == 2
    assert sum(found.values()) == 2


def test_vm_without_a_status_and_vm_with_an_unknown_one_are_counted() -> None:
    found = vm_counts(RUNNING | {"machine_status": {11: status(11, word="levitating")}})

    assert (found["Production", NEW_WORD], found["Production", NO_STATUS]) == (1, 1)


def test_vm_without_a_cluster_or_in_an_unknown_one_is_counted() -> None:
    vms = (config(1, "a", cluster=None), config(2, "b", cluster=77))

    found = vm_counts(RUNNING | {"vms": vms})

    assert (found["", "running"], found["cluster_77", "running"]) == (1, 1)


def test_clusters_with_the_same_name_are_counted_together() -> None:
    found = vm_counts(
        RUNNING
        | {
            "clusters": {1: Cluster(1, "Same"), 2: Cluster(2, "Same")},
            "vms": (config(1, "a", cluster=1), config(2, "b", cluster=2)),
        }
    )

    assert found["Same", "running"] == 2


@pytest.mark.parametrize("missing", ["vms", "machine_status"])
def test_missing_table_exports_no_counts(missing: str) -> None:
    rows = {name: rows for name, rows in RUNNING.items() if name != missing}

    assert vm_counts(rows) == {}
