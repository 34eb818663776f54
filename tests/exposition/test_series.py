"""What the series promise to whoever keeps them for years."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from prometheus_client.parser import text_string_to_metric_families

from exporter.collectors.clusters import NEW_WORD, NO_STATUS
from exporter.exposition.formats import Format
from exporter.model import (
    KNOWN_STATUS_WORDS,
    Cluster,
    DiskStats,
    Guest,
    MachineStats,
    Node,
)
from tests.exposition import strategies
from tests.exposition.pages import FAMILIES
from tests.exposition.sample import page
from tests.exposition.builders import (
    GUEST,
    Cloud,
    config,
    disk,
    disk_stats,
    inventory,
    nic,
    report,
    status,
    stopped,
    system,
)

Series = tuple[str, frozenset[tuple[str, str]]]


def numbers(*systems: Cloud) -> dict[Series, float]:
    """Return every sample, by name and labels."""
    text = page(Format.CLASSIC, systems).plain(b"").decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def names_of(vm_id: int, *systems: Cloud) -> set[str]:
    """Return the families that say something of a VM."""
    label = ("vm_id", str(vm_id))
    return {
        name.removeprefix("vergewatch_vm_") for name, labels in numbers(*systems) if label in labels
    }


def lasting(*systems: Cloud) -> set[Series]:
    """Return the series whose identity must not change: all but the info families."""
    return {series for series in numbers(*systems) if not series[0].endswith("_info")}


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
    "machine_stats": {11: MachineStats(11, 0.5, 1024), 12: MachineStats(12, 0.1, 2048)},
    "machine_nics": {11: (nic(81, 11, "lan"), nic(82, 11, "wan"))},
    "machine_drives": {11: (disk(111, 11, "root"),)},
    "machine_drive_stats": {111: disk_stats(111)},
}


def with_status(**changes: object) -> strategies.Rows:
    """Return the fleet with another status of its first VM."""
    statuses = dict(RUNNING["machine_status"])
    statuses[11] = msgspec.structs.replace(statuses[11], **changes)
    return RUNNING | {"machine_status": statuses}


# Identity


@pytest.mark.parametrize("word", ["initmigrate", "startmigrate", "migrating", "migratecomplete"])
def test_a_migration_keeps_every_series(word: str) -> None:
    before, during, after = (
        system(RUNNING),
        system(with_status(word=word)),
        system(with_status(node=2)),
    )

    assert lasting(before) == lasting(during) == lasting(after)
    assert len(lasting(before)) > 50


@pytest.mark.parametrize(("node", "name"), [(1, "node1"), (2, "node2"), (9, "node_9"), (None, "")])
def test_a_migration_is_seen_where_it_belongs(node: int | None, name: str) -> None:
    infos = [
        dict(labels)
        for family, labels in numbers(system(with_status(node=node)))
        if family == "vergewatch_vm_info" and ("vm_id", "1") in labels
    ]

    assert [info["node"] for info in infos] == [name]


def of_vms(series: set[Series]) -> set[Series]:
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
        {"machine_drives": {11: (disk(111, 11, "root", tier="3", media="clone"),)}},
        {"machine_nics": {11: (nic(81, 11, "lan", status="down"), nic(82, 11, "wan"))}},
    ],
    ids=[
        "node renamed",
        "node gone",
        "cluster renamed",
        "clusters gone",
        "moved to another cluster",
        "reconfigured",
        "disk moved to another tier",
        "cable pulled",
    ],
)
def test_what_changes_around_a_vm_keeps_every_series_of_it(change: strategies.Rows) -> None:
    before, after = system(RUNNING), system(RUNNING | change)

    assert of_vms(lasting(before)) == of_vms(lasting(after))


def test_a_guest_that_changes_its_system_keeps_every_series() -> None:
    guest = msgspec.structs.replace(GUEST, os_name="Other", hostname="new", kernel="7.0")
    after = with_status(agent_version="10") | {"guests": RUNNING["guests"] | {11: guest}}

    assert lasting(system(RUNNING)) == lasting(system(after))


def test_two_clouds_with_the_same_vms_share_no_series() -> None:
    north, south = system(RUNNING, "north"), system(RUNNING, "south")

    assert len(numbers(north, south)) == len(numbers(north)) + len(numbers(south))


# Unknown is absent


def test_what_the_platform_did_not_say_has_no_sample() -> None:
    silent = config(
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
        "vms": (silent,),
        "machine_status": {11: status(11, **_unknown(status(11)))},
        "machine_stats": {11: MachineStats(11, None, None)},
        "machine_nics": {11: (nic(1, 11, "lan", **_unknown(nic(1, 11, "lan"))),)},
        "machine_drives": {11: (disk(2, 11, "root", **_unknown(disk(2, 11, "root"))),)},
        "machine_drive_stats": {2: DiskStats(2, None, None, None, None, None, None)},
    }

    assert names_of(1, system(rows)) == {"info", "status_info", "nic_status_info", "disk_info"}


def _unknown(part: msgspec.Struct) -> dict[str, None]:
    """Return all that *part* may leave unsaid."""
    return {
        field.name: None
        for field in msgspec.structs.fields(type(part))
        if field.type not in (int, str)
    }


def test_a_guest_that_says_nothing_has_no_numbers() -> None:
    guest = Guest("", "", "", "", None, None, (), None)

    found = names_of(1, system(RUNNING | {"guests": {11: guest}}))

    assert {name for name in found if name.startswith("guest_")} == {
        "guest_info",
        "guest_agent_enabled",
        "guest_agent_connected",
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(strategies.any_rows)
def test_no_table_means_no_sample_of_it(rows: strategies.Rows) -> None:
    shown = {
        name for name, _ in numbers((inventory(rows, identity=rows.get("identity")), report()))
    }

    for family in FAMILIES:
        if not family.group.tables <= rows.keys() | {"report", "clusters", "vm_snapshots"}:
            may_lack = family.group.name in ("VM place", "node state")
            assert family.name not in shown or may_lack, family.name


def test_snapshots_are_counted_though_the_cloud_has_not_said_who_it_is() -> None:
    shown = {name for name, _ in numbers(system({"vms": (), "vm_snapshots": 7}))}

    assert "vergewatch_vm_snapshots" in shown


CONFIGURATION = {
    "enabled",
    "need_restart",
    "configured_cpu_cores",
    "configured_memory_bytes",
    "guest_agent_enabled",
    "info",
}


def test_a_vm_without_a_status_keeps_its_configuration() -> None:
    rows = {name: RUNNING[name] for name in ("vms", "clusters", "nodes")}

    without_table = names_of(1, system(rows))
    without_row = names_of(1, system(rows | {"machine_status": {12: status(12)}}))

    assert without_table == without_row == CONFIGURATION


OFF = {
    "cpu_usage_ratio",
    "memory_used_bytes",
    "running_cpu_cores",
    "running_memory_bytes",
    "guest_agent_connected",
    "guest_info",
    "guest_memory_used_bytes",
    "guest_filesystem_used_bytes",
}


def test_a_vm_that_is_off_uses_nothing_though_the_platform_keeps_the_rows() -> None:
    off = RUNNING | {"machine_status": {11: stopped(11), 12: status(12)}}

    assert names_of(1, system(RUNNING)) >= OFF
    assert not names_of(1, system(off)) & OFF
    assert names_of(2, system(off)) >= OFF


def test_a_vm_that_is_off_keeps_its_configuration_its_parts_and_its_last_start() -> None:
    found = names_of(1, system(RUNNING | {"machine_status": {11: stopped(11)}}))

    assert found >= CONFIGURATION | {"running", "status_info", "start_timestamp_seconds"}
    assert {"nic_receive_bytes_total", "disk_reads_total", "disk_size_bytes"} <= found


def test_zero_is_a_number_and_is_shown() -> None:
    rows = with_status(running_cpu_cores=0) | {"machine_stats": {11: MachineStats(11, 0.0, 0)}}

    zeros = {name for (name, labels), value in numbers(system(rows)).items() if value == 0}

    assert {"vergewatch_vm_cpu_usage_ratio", "vergewatch_vm_running_cpu_cores"} <= zeros
    assert "vergewatch_vm_memory_used_bytes" in zeros


# Counts by cluster and status


def counted(rows: strategies.Rows) -> dict[tuple[str, str], float]:
    return {
        (dict(labels)["cluster"], dict(labels)["status"]): value
        for (name, labels), value in numbers(system(rows)).items()
        if name == "vergewatch_cluster_vms"
    }


def test_every_cluster_shows_every_word_and_the_zeros_too() -> None:
    found = counted(RUNNING)

    words = {*KNOWN_STATUS_WORDS, NO_STATUS, NEW_WORD}
    assert found.keys() == {(name, word) for name in ("Production", "Lab") for word in words}
    assert found["Production", "running"] == 2
    assert sum(found.values()) == 2


def test_a_vm_without_a_status_and_one_with_a_new_word_are_counted_too() -> None:
    found = counted(RUNNING | {"machine_status": {11: status(11, word="levitating")}})

    assert (found["Production", NEW_WORD], found["Production", NO_STATUS]) == (1, 1)


def test_vms_without_a_cluster_or_in_one_without_a_name_are_counted() -> None:
    vms = (config(1, "a", cluster=None), config(2, "b", cluster=77))

    found = counted(RUNNING | {"vms": vms})

    assert (found["", "running"], found["cluster_77", "running"]) == (1, 1)


def test_two_clusters_of_one_name_are_counted_together() -> None:
    found = counted(
        RUNNING
        | {
            "clusters": {1: Cluster(1, "Same"), 2: Cluster(2, "Same")},
            "vms": (config(1, "a", cluster=1), config(2, "b", cluster=2)),
        }
    )

    assert found["Same", "running"] == 2


@pytest.mark.parametrize("missing", ["vms", "machine_status"])
def test_what_cannot_be_counted_is_not_counted_as_none(missing: str) -> None:
    rows = {name: rows for name, rows in RUNNING.items() if name != missing}

    assert counted(rows) == {}
