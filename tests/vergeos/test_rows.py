"""Rows in every spelling that VergeOS uses; any other body gives rows or a `BadReplyError`."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from exporter.collectors.clusters import CLUSTERS
from exporter.collectors.disks import MACHINE_DRIVE_STATS, MACHINE_DRIVES, DriveRow, DriveStatsRow
from exporter.collectors.guests import GUESTS, FsInfo, Guest, MemInfo, OSInfo
from exporter.collectors.nics import MACHINE_NICS, NicRow, NicStats, NicStatus
from exporter.collectors.nodes import NODES
from exporter.collectors.vm_snapshots import MACHINE_SNAPSHOTS, Snapshots
from exporter.collectors.vms import MACHINE_STATS, MACHINE_STATUS, VMS, StatsRow
from exporter.errors import BadReplyError
from exporter.exposition.collector import divide
from exporter.model import (
    KNOWN_STATUS_WORDS,
    Cluster,
    MachineStatus,
    Node,
    VMConfig,
)
from exporter.polling.state import TableRows
from exporter.recovery.model.platform_log import LogRow, LogTable
from exporter.tolerant_json import LostValue
from exporter.vergeos import rows, source
from exporter.vergeos.recovery_rows import LOGS, LONE_VMS, TAG_MEMBERS
from exporter.vergeos.tables import Table

VM = {
    "$key": 36,
    "machine": 54,
    "name": "web-1",
    "uuid": "0b8f1a5e-2f63-4ab1-9d0c-7a2b5a3f0e11",
    "is_snapshot": False,
    "enabled": True,
    "need_restart": False,
    "cpu_cores": 4,
    "ram": 8192,
    "cluster": 1,
    "os_family": "linux",
    "machine_type": "pc-q35-9.0",
    "ha_group": "+web",
    "on_power_loss": "last_state",
    "created_from": "custom",
    "guest_agent": True,
    "service": 2,
    "disable_powercycle": False,
}
GUEST = {
    "osinfo": {
        "name": "Debian GNU/Linux",
        "pretty-name": "Debian GNU/Linux 13 (trixie)",
        "version": "13 (trixie)",
        "kernel-release": "6.12.1",
    },
    "meminfo": {"ram_total": 7940, "ram_used": 1210},
    "fsinfo": [
        {
            "name": "sda1",
            "type": "ext4",
            "mountpoint": "/",
            "total-bytes": 21_003_583_488,
            "used-bytes": 4_321_000_000,
        }
    ],
    "hostname": "web-1.example",
    "last_refresh": 1_755_993_350,
}
STATUS = {
    "$key": 54,
    "machine": 54,
    "running": True,
    "powerstate": True,
    "status": "running",
    "state": "online",
    "migratable": True,
    "node": 3,
    "started": 1_755_993_338,
    "last_update": 1_755_993_358,
    "running_cores": 4,
    "running_ram": 8192,
    "agent_version": "9.2.0",
}
GUEST_ROW = {"$key": 54, "machine": 54, "agent_guest_info": GUEST}
STATS = {"$key": 7, "machine": 54, "total_cpu": 37, "ram_used": 6000}
NIC = {
    "$key": 81,
    "machine": 54,
    "name": "nic_1",
    "stats": {"rx_bytes": 1000, "tx_bytes": 2000, "rx_pckts": 10, "tx_pckts": 20},
    "status": {"status": "up", "speed": 10_000},
}
DRIVE = {
    "$key": 91,
    "machine": 54,
    "name": "drive_0",
    "media": "disk",
    "interface": "virtio-scsi",
    "preferred_tier": "1",
    "disksize": 53_687_091_200,
    "used_bytes": 12_000_000_000,
}
DRIVE_STATS = {
    "$key": 5,
    "parent_drive": 91,
    "reads": 100,
    "writes": 200,
    "read_bytes": 300,
    "write_bytes": 400,
    "util": 12.5,
    "service_time": 3.5,
}
CLUSTER = {"$key": 1, "name": "Production"}
TAG = {"$key": 7, "member": "vms/36", "tag_name": "auto", "category_name": "recovery"}
LOG = {
    "$key": 12,
    "machine": 54,
    "level": "audit",
    "text": "VM action 'kill' sent",
    "user": "anna",
    "timestamp": 1_755_993_338_250_000,
}
LONE_VM = {
    "$key": 36,
    "uuid": "0b8f1a5e-2f63-4ab1-9d0c-7a2b5a3f0e11",
    "machine": 54,
    "enabled": True,
    "is_snapshot": False,
    "service": None,
    "running": True,
    "status": "running",
    "started": 1_755_993_338,
}
NODE = {"id": 3, "$key": 3, "name": "node3", "cluster": 1, "machine": 9, "maintenance": False}


class Case(NamedTuple):
    """A table, a row of it, and the field with the key of the row."""

    table: Table
    row: dict[str, Any]
    key: str
    also: tuple[str, ...] = ()
    """Other fields that must differ between the rows of a test."""


TABLES = {
    "vms": Case(VMS, VM, "$key", ("machine",)),
    "machine_status": Case(MACHINE_STATUS, STATUS, "machine"),
    "guests": Case(GUESTS, GUEST_ROW, "machine"),
    "machine_stats": Case(MACHINE_STATS, STATS, "machine"),
    "machine_nics": Case(MACHINE_NICS, NIC, "$key", ("machine",)),
    "machine_drives": Case(MACHINE_DRIVES, DRIVE, "$key", ("machine",)),
    "machine_drive_stats": Case(MACHINE_DRIVE_STATS, DRIVE_STATS, "parent_drive"),
    "clusters": Case(CLUSTERS, CLUSTER, "$key"),
    "nodes": Case(NODES, NODE, "id", ("$key",)),
    "lone_vms": Case(LONE_VMS, LONE_VM, "$key"),
}
every_table = pytest.mark.parametrize("case", TABLES.values(), ids=TABLES)


def body_of(*given: Any) -> bytes:
    return json.dumps(given, allow_nan=False).encode()


def one_of(decoded: TableRows[Any]) -> Any:
    """Return the only row."""
    assert decoded.count == 1
    found = list(decoded.rows.values() if isinstance(decoded.rows, dict) else decoded.rows)
    (only,) = found
    return only[0] if isinstance(only, tuple) else only


def vm(**fields: Any) -> Any:
    return one_of(VMS.decode(body_of(VM | fields)))


def status(**fields: Any) -> Any:
    return one_of(MACHINE_STATUS.decode(body_of(STATUS | fields)))


def nic(**fields: Any) -> Any:
    return one_of(MACHINE_NICS.decode(body_of(NIC | fields)))


def disk(**fields: Any) -> Any:
    return one_of(MACHINE_DRIVES.decode(body_of(DRIVE | fields)))


def names(*given: tuple[int, str]) -> list[str]:
    """Return the names of one machine's NICs, in the order of their keys."""
    body = body_of(*(NIC | {"$key": key, "name": name} for key, name in given))
    return [nic.name for nic in MACHINE_NICS.decode(body).rows[54]]


def values_skipped(decoded: TableRows[Any]) -> dict[str, int]:
    return {field: lost.number for field, lost in decoded.skipped_values.items()}


# A documented row


def test_vm_is_decoded_in_base_units() -> None:
    assert vm() == VMConfig(
        key=36,
        machine=54,
        name="web-1",
        uuid="0b8f1a5e-2f63-4ab1-9d0c-7a2b5a3f0e11",
        enabled=True,
        need_restart=False,
        cpu_cores=4,
        memory_bytes=8192 * 2**20,
        cluster=1,
        os_family="linux",
        machine_type="pc-q35-9.0",
        ha_group="+web",
        on_power_loss="last_state",
        created_from="custom",
        guest_agent=True,
        service=True,
        disable_powercycle=False,
    )


def test_status_is_decoded_in_base_units() -> None:
    assert status() == MachineStatus(
        machine=54,
        running=True,
        powered_on=True,
        word="running",
        state="online",
        migratable=True,
        node=3,
        started_at=1_755_993_338,
        updated_at=1_755_993_358,
        running_cpu_cores=4,
        running_memory_bytes=8192 * 2**20,
        agent_version="9.2.0",
    )


def test_guest_is_decoded_in_vergeos_units() -> None:
    assert guest() == Guest(
        osinfo=OSInfo("Debian GNU/Linux", "Debian GNU/Linux 13 (trixie)", "13 (trixie)", "6.12.1"),
        meminfo=MemInfo(7940, 1210),
        fsinfo=[FsInfo("sda1", "/", 21_003_583_488, 4_321_000_000)],
        hostname="web-1.example",
        last_refresh=1_755_993_350,
    )


def test_rows_of_other_tables_are_decoded() -> None:
    assert one_of(MACHINE_STATS.decode(body_of(STATS))) == StatsRow(
        7, 54, 37.0, 6000, core_usagelist=()
    )
    assert nic() == NicRow(81, 54, "nic_1", NicStats(1000, 2000, 10, 20), NicStatus("up", 10_000.0))
    assert disk() == DriveRow(
        91, 54, "drive_0", "disk", "virtio-scsi", "1", 53_687_091_200, 12_000_000_000
    )
    assert one_of(MACHINE_DRIVE_STATS.decode(body_of(DRIVE_STATS))) == DriveStatsRow(
        5, 91, 100, 200, 300, 400, 12.5, 3.5
    )
    assert one_of(CLUSTERS.decode(body_of(CLUSTER))) == Cluster(1, "Production")
    assert one_of(NODES.decode(body_of(NODE))) == Node(
        3, "node3", 1, 9, maintenance=False, status=None
    )


def test_ratio_has_no_rounding_error() -> None:
    assert list(divide("total_cpu", 100)([StatsRow(total_cpu=1.12)])) == [0.0112]
    assert list(divide("util", 100)([DriveStatsRow(util=5.6)])) == [0.056]


# Keys and references


@pytest.mark.parametrize(
    "key",
    [7, "7", {"$key": 7}, {"$key": "7", "name": "Prod"}, {"$key": {"$key": 7}}, 7.0, "007"],
    ids=repr,
)
def test_key_is_the_same_number_in_every_spelling(key: object) -> None:
    assert vm(**{"$key": key}).key == 7
    assert vm(machine=key).machine == 7
    assert vm(cluster=key).cluster == 7
    assert status(machine=key).machine == 7
    assert status(node=key).node == 7
    assert nic(machine=key).machine == 7
    assert disk(machine=key).machine == 7
    io = DRIVE_STATS | {"parent_drive": key}
    assert list(MACHINE_DRIVE_STATS.decode(body_of(io)).rows) == [7]
    assert one_of(NODES.decode(body_of(NODE | {"id": key}))).key == 7


@pytest.mark.parametrize(
    "reference",
    [None, 0, "", "0", {}, {"$key": None}, {"$key": 0}, {"$key": []}, "self", "7.5", "²"],
    ids=repr,
)
def test_empty_reference_is_unknown_and_keeps_the_row(reference: object) -> None:
    assert vm(cluster=reference).cluster is None
    assert status(node=reference).node is None


def test_boolean_is_not_a_key() -> None:
    assert vm(cluster={"$key": True}).cluster is not True


@pytest.mark.parametrize("key", [None, 0, "", {}, {"$key": None}, "self"], ids=repr)
@every_table
def test_row_without_a_key_is_skipped_and_counted(case: Case, key: object) -> None:
    without_key = case.row | {case.key: key} | dict.fromkeys(case.also)

    decoded = case.table.decode(body_of(without_key, case.row))

    assert decoded.count == 1
    assert decoded.skipped == 1
    assert decoded.problem == f"{case.table.path}: a row has no key"


@pytest.mark.parametrize("table", [VMS, MACHINE_NICS, MACHINE_DRIVES], ids=lambda one: one.name)
def test_row_without_a_machine_is_skipped_and_counted(table: Table) -> None:
    complete, without_machine = {"$key": 1, "machine": 2}, {"$key": 3, "machine": None}

    decoded = table.decode(body_of(complete, without_machine))

    assert decoded.count == 1
    assert decoded.skipped == 1
    assert decoded.problem == f"{table.path}: row 3 has no machine"


@every_table
def test_second_row_with_the_same_key_is_skipped_and_counted(case: Case) -> None:
    decoded = case.table.decode(body_of(case.row, case.row))

    assert decoded.count == 1
    assert decoded.skipped == 1
    assert decoded.problem is not None
    assert "two rows have the key" in decoded.problem


def test_first_of_two_rows_with_the_same_key_is_kept() -> None:
    first, second = VM | {"name": "first"}, VM | {"name": "second", "$key": "36"}

    assert one_of(VMS.decode(body_of(first, second))).name == "first"


def test_key_of_a_node_is_its_id_or_else_its_key_field() -> None:
    with_id, without_id = NODE | {"id": 3, "$key": 30}, {"$key": 4, "name": "node4"}

    assert list(NODES.decode(body_of(with_id, without_id)).rows) == [3, 4]


def test_vms_are_sorted_by_key() -> None:
    body = body_of(*(VM | {"$key": key} for key in (30, "4", 100)))

    assert [found.key for found in VMS.decode(body).rows] == [4, 30, 100]


# Values


def test_empty_list_instead_of_an_object_is_an_absent_object() -> None:
    decoded = GUESTS.decode(body_of(GUEST_ROW, GUEST_ROW | {"machine": 55, "agent_guest_info": []}))

    assert decoded.rows[55].agent_guest_info is None
    assert (decoded.count, decoded.skipped) == (2, 0)


@pytest.mark.parametrize("absent", [[], None], ids=repr)
def test_nic_without_stats_and_status_has_unknown_values(absent: object) -> None:
    assert nic(stats=absent, status=absent) == NicRow(
        81, 54, "nic_1", NicStats(), NicStatus("unknown", None)
    )


def test_numbers_and_booleans_may_be_strings() -> None:
    found = vm(cpu_cores="4", ram="8192", enabled="true", need_restart="0", is_snapshot="false")

    assert (found.cpu_cores, found.memory_bytes) == (4, 8192 * 2**20)
    assert (found.enabled, found.need_restart) == (True, False)


@pytest.mark.parametrize(("flag", "meaning"), [(1, True), (0, False), ("1", True), (None, None)])
def test_boolean_may_be_a_number_a_string_or_unknown(flag: object, meaning: bool | None) -> None:
    assert vm(enabled=flag).enabled is meaning
    assert status(running=flag).running is meaning


@every_table
def test_row_with_only_its_key_is_decoded(case: Case) -> None:
    needed = {field: case.row[field] for field in (case.key, "machine") if field in case.row}
    if case.table is MACHINE_STATUS:
        needed["status"] = "running"

    decoded = case.table.decode(body_of(needed))

    assert (decoded.count, decoded.skipped) == (1, 0)


def test_absent_field_is_unknown_and_not_zero() -> None:
    bare = one_of(VMS.decode(body_of({"$key": 1, "machine": 2})))
    state = one_of(MACHINE_STATUS.decode(body_of({"machine": 2, "status": "stopped"})))
    stats = one_of(MACHINE_STATS.decode(body_of({"machine": 2})))
    drive = one_of(MACHINE_DRIVE_STATS.decode(body_of({"parent_drive": 2})))

    assert (bare.enabled, bare.need_restart, bare.guest_agent) == (None, None, None)
    assert (bare.cpu_cores, bare.memory_bytes, bare.cluster) == (None, None, None)
    assert (bare.name, bare.uuid, bare.ha_group) == ("", "", "")
    assert (state.running, state.powered_on, state.migratable, state.node) == (None,) * 4
    assert (state.started_at, state.updated_at) == (None, None)
    assert (state.running_cpu_cores, state.running_memory_bytes) == (None, None)
    assert (stats.total_cpu, stats.ram_used) == (None, None)
    assert drive == DriveStatsRow(parent_drive=2)


def test_unknown_fields_are_ignored() -> None:
    found = vm(invented={"deep": [1, {"x": None}]}, description="a line\nand another")

    assert found.name == "web-1"


def test_time_of_zero_is_unknown() -> None:
    found = status(started=0, last_update=0)

    assert (found.started_at, found.updated_at) == (None, None)
    assert guest(last_refresh=0).last_refresh is None


@pytest.mark.parametrize("tier", [1, "1"])
def test_tier_is_a_name_also_when_it_is_a_number(tier: object) -> None:
    assert disk(preferred_tier=tier).preferred_tier == "1"


def test_name_may_be_the_string_null() -> None:
    assert vm(name="null").name == "null"


LARGEST = 2**63 - 1


@pytest.mark.parametrize("number", [LARGEST, -(2**63)])
def test_integer_of_64_bits_is_decoded(number: int) -> None:
    assert disk(disksize=number).disksize == number


@pytest.mark.parametrize("digits", [str(LARGEST + 1), str(-(2**63) - 1), "9" * 400, "9" * 5000])
def test_integer_beyond_64_bits_is_absent_and_counted(digits: str) -> None:
    body = f'[{{"$key":1,"machine":2,"disksize":{digits}}},{{"$key":3,"machine":4}}]'.encode()

    decoded = MACHINE_DRIVES.decode(body)

    assert list(decoded.rows) == [2, 4]
    assert decoded.rows[2][0].disksize is None
    assert values_skipped(decoded) == {"disksize": 1}


@pytest.mark.parametrize("digits", ["9" * 400, "9" * 5000, "1e400", "-1e400"])
@every_table
def test_huge_key_skips_at_most_its_row(case: Case, digits: str) -> None:
    body = body_of(case.row | dict.fromkeys((case.key, *case.also), "KEY"), case.row)

    decoded = case.table.decode(body.replace(b'"KEY"', digits.encode()))

    assert decoded.count + decoded.skipped == 2


@every_table
def test_key_beyond_63_bits_is_skipped(case: Case) -> None:
    body = body_of(case.row | {case.key: 2**63}, case.row)

    decoded = case.table.decode(body)

    assert (decoded.count, decoded.skipped) == (1, 1)


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity"])
def test_infinite_or_nan_number_is_unknown(text: str) -> None:
    decoded = MACHINE_STATS.decode(body_of(STATS | {"total_cpu": text}, {"machine": 1}))

    assert list(divide("total_cpu", 100)([decoded.rows.get(54, StatsRow())])) == [None]


def test_negative_counter_is_unknown_or_skipped() -> None:
    negative_nic = NIC | {"stats": {"rx_bytes": -1, "tx_bytes": 7}}
    negative_disk = DRIVE_STATS | {"parent_drive": 92, "reads": -1}

    nics = MACHINE_NICS.decode(body_of(negative_nic, NIC | {"$key": 82, "machine": 55})).rows
    disks = MACHINE_DRIVE_STATS.decode(body_of(negative_disk, DRIVE_STATS)).rows

    assert not [nic for nic in nics.get(54, ()) if nic.stats.rx_bytes == -1]
    assert disks.get(92) is None or disks[92].reads is None


def test_nic_status_that_is_prose_is_not_kept() -> None:
    prose = NIC | {"$key": 82, "status": {"status": "Link is not ready"}}

    nics = MACHINE_NICS.decode(body_of(NIC, prose)).rows[54]

    assert [nic.status.status for nic in nics] == ["up", "unknown"]


# Statuses


@pytest.mark.parametrize("word", sorted(KNOWN_STATUS_WORDS))
def test_known_status_is_kept_and_not_reported(word: str) -> None:
    decoded = MACHINE_STATUS.decode(body_of(STATUS | {"status": word}))

    assert one_of(decoded).word == word
    assert decoded.unknown_words == frozenset()


@pytest.mark.parametrize("word", ["levitating", "needs-repair", "phase_2", "x", "a" + "b" * 39])
def test_unknown_status_is_kept_and_reported(word: str) -> None:
    decoded = MACHINE_STATUS.decode(body_of(STATUS | {"status": word}))

    assert one_of(decoded).word == word
    assert decoded.unknown_words == {word}


@pytest.mark.parametrize("absent", ["", None], ids=repr)
def test_absent_status_is_unknown_and_keeps_the_row(absent: str | None) -> None:
    decoded = MACHINE_STATUS.decode(body_of(STATUS | {"status": absent}))

    assert one_of(decoded) == msgspec.structs.replace(status(), word="unknown")
    assert (decoded.skipped, decoded.unknown_words) == (0, frozenset())


@pytest.mark.parametrize(
    "prose",
    [
        "Waiting for node 3",
        "3rd",
        "running ",
        "running\n",
        "läuft",
        "a" + "b" * 40,  # one character too long
    ],
    ids=repr,
)
def test_status_that_is_prose_is_unknown_and_counted(prose: str) -> None:
    invalid = STATUS | {"machine": 55, "status": prose}

    decoded = MACHINE_STATUS.decode(body_of(invalid, STATUS))

    assert decoded.rows[55] == msgspec.structs.replace(
        status(), machine=55, word="unknown", unreadable=frozenset({"status"})
    )
    assert decoded.skipped == 0
    assert values_skipped(decoded) == {"status": 1}
    problem = decoded.skipped_values["status"].problem
    assert "machine 55 has the status" in problem
    assert len(problem.removeprefix(MACHINE_STATUS.path)) < 120


@pytest.mark.parametrize("word", ["Running", "RUNNING", "Stopped", "NeedsRestart", "Levitating"])
def test_status_in_capitals_is_the_same_status(word: str) -> None:
    found = MACHINE_STATUS.decode(body_of(STATUS | {"status": word, "state": "Online"}))

    assert one_of(found) == msgspec.structs.replace(status(), word=word.lower())
    assert found.skipped_values == {}


# Snapshots


@pytest.mark.parametrize("flag", [True, 1, "1", "true"], ids=repr)
def test_snapshot_among_the_vms_is_left_out_and_not_counted_as_skipped(flag: object) -> None:
    snapshot = VM | {"$key": 37, "is_snapshot": flag}

    decoded = VMS.decode(body_of(snapshot, VM))

    assert [found.key for found in decoded.rows] == [36]
    assert (decoded.count, decoded.skipped) == (1, 0)


def test_answer_with_only_snapshots_has_no_vms_and_no_problem() -> None:
    decoded = VMS.decode(body_of(VM | {"is_snapshot": True, "machine": None}))

    assert decoded == TableRows((), 0)


def test_snapshots_are_counted_by_machine_with_the_newest_and_the_oldest() -> None:
    body = body_of(
        {"$key": 1, "machine": 101, "created": 1_772_000_000},
        {"$key": 2, "machine": "101", "created": 1_772_366_400},
        {"$key": 3, "machine": 101, "created": 0},
        {"$key": 4, "machine": 102},
        {"$key": 5, "created": 1_772_366_400},
    )

    decoded = MACHINE_SNAPSHOTS.decode(body)

    assert decoded.rows == {
        101: Snapshots(3, newest_at=1_772_366_400, oldest_at=1_772_000_000),
        102: Snapshots(1),
    }
    assert decoded.skipped == 1


# Guests


def guest(**fields: Any) -> Any:
    row = one_of(GUESTS.decode(body_of(GUEST_ROW | {"agent_guest_info": GUEST | fields})))
    return row.agent_guest_info


ROOT = {"name": "sda1", "type": "ext4", "mountpoint": "/", "total-bytes": 10, "used-bytes": 5}
DATA = {"name": "sdb1", "type": "xfs", "mountpoint": "/data", "total-bytes": 20, "used-bytes": 6}


@pytest.mark.parametrize("shape", [[ROOT, DATA], {"0": ROOT, "1": DATA}], ids=["list", "map"])
def test_filesystems_may_be_a_list_or_an_object(shape: object) -> None:
    assert guest(fsinfo=shape).fsinfo == [
        FsInfo("sda1", "/", 10, 5),
        FsInfo("sdb1", "/data", 20, 6),
    ]


@pytest.mark.parametrize("shape", [[], {}, None], ids=repr)
def test_guest_without_filesystems_has_none(shape: object) -> None:
    assert guest(fsinfo=shape).fsinfo == []


def test_first_of_two_filesystems_on_one_mount_point_is_kept() -> None:
    assert guest(fsinfo=[ROOT, DATA | {"mountpoint": "/"}]).fsinfo == [FsInfo("sda1", "/", 10, 5)]


def test_filesystem_without_a_mount_point_is_identified_by_its_name() -> None:
    (swap,) = guest(fsinfo=[{"name": "swap"}]).fsinfo

    assert swap == FsInfo("swap", "swap", None, None)


@pytest.mark.parametrize("absent", [[], None], ids=repr)
def test_absent_guest_fields_are_unknown(absent: object) -> None:
    found = guest(osinfo=absent, meminfo=absent, hostname=None)

    assert (found.osinfo.pretty_name, found.osinfo.version, found.hostname) == ("",) * 3
    assert found.osinfo.kernel_release == ""
    assert found.meminfo == MemInfo(None, None)


def test_operating_system_without_a_pretty_name_has_its_plain_name() -> None:
    assert guest(osinfo={"name": "FreeBSD"}).osinfo.pretty_name == "FreeBSD"


@pytest.mark.parametrize("invalid", ["{}", 5, True], ids=repr)
def test_guest_information_of_the_wrong_type_is_absent(invalid: object) -> None:
    body = body_of(GUEST_ROW | {"machine": 55, "agent_guest_info": invalid}, GUEST_ROW)

    decoded = GUESTS.decode(body)

    assert decoded.rows[54].agent_guest_info == guest()
    assert decoded.rows[55].agent_guest_info is None
    assert (decoded.skipped, values_skipped(decoded)) == (0, {"agent_guest_info": 1})


INVALID_GUESTS: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({"osinfo": 5}, "osinfo", {"osinfo": None}),
    ({"osinfo": {"name": 5}}, "osinfo.name", {"osinfo": {}}),
    ({"fsinfo": {"a": []}}, "fsinfo[]", {"fsinfo": {}}),
    ({"fsinfo": {"a": [], "b": ROOT}}, "fsinfo[]", {"fsinfo": [ROOT]}),
    ({"fsinfo": "none"}, "fsinfo", {"fsinfo": []}),
    ({"fsinfo": [ROOT, None, DATA]}, "fsinfo[]", {"fsinfo": [ROOT, DATA]}),
    ({"fsinfo": [ROOT, DATA | {"mountpoint": 5}]}, "fsinfo[]", {"fsinfo": [ROOT]}),
    ({"fsinfo": [DATA, {"mountpoint": "/", "total-bytes": 2**64 - 1}]}, "fsinfo[].total-bytes",
     {"fsinfo": [DATA, {"mountpoint": "/"}]}),
    ({"meminfo": {"ram_total": 1.5, "ram_used": 7}}, "meminfo.ram_total",
     {"meminfo": {"ram_used": 7}}),
    ({"hostname": ["a", "b"]}, "hostname", {"hostname": None}),
    ({"last_refresh": "yesterday"}, "last_refresh", {"last_refresh": None}),
]  # fmt: skip


@pytest.mark.parametrize(("invalid", "field", "same"), INVALID_GUESTS, ids=repr)
def test_part_of_a_guest_that_cannot_be_read_costs_no_other(
    invalid: dict[str, Any], field: str, same: dict[str, Any]
) -> None:
    decoded = GUESTS.decode(body_of(GUEST_ROW | {"agent_guest_info": GUEST | invalid}))

    assert one_of(decoded).agent_guest_info == guest(**same)
    assert values_skipped(decoded) == {f"agent_guest_info.{field}": 1}


@pytest.mark.parametrize(
    "value",
    [
        b'{"last_refresh":1e400}',
        b'{"meminfo":{"ram_total":' + b"9" * 5000 + b"}}",
        b'{"hostname":"M\xfcnchen"}',
    ],
    ids=["beyond a float", "beyond an integer", "Latin-1"],
)
def test_undecodable_guest_information_affects_only_its_row(value: bytes) -> None:
    invalid = GUEST_ROW | {"machine": 55, "agent_guest_info": "VALUE"}
    body = body_of(invalid, GUEST_ROW).replace(b'"VALUE"', value)

    assert GUESTS.decode(body).rows[54].agent_guest_info == guest()


# Names


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_equal_names_on_one_machine_get_their_keys_in_any_order(
    order: tuple[int, ...],
) -> None:
    given = [(81, "lan"), (82, "wan"), (83, "lan")]

    assert names(*(given[place] for place in order)) == ["lan#81", "wan", "lan#83"]


def test_nic_or_disk_without_a_name_is_named_by_its_key() -> None:
    assert names((81, "")) == ["#81"]
    assert names((81, ""), (82, "wan")) == ["#81", "wan"]
    assert nic(name=None).name == "#81"
    assert disk(name="").name == "#91"


def test_disks_of_two_machines_may_share_a_name() -> None:
    body = body_of(DRIVE, DRIVE | {"$key": 92, "machine": 55})

    found = MACHINE_DRIVES.decode(body).rows

    assert [disk.name for disk in (*found[54], *found[55])] == ["drive_0", "drive_0"]


@pytest.mark.parametrize(
    "given",
    [
        [(1, "a#3"), (2, "a"), (3, "a")],
        [(1, "#2"), (2, "")],
        [(1, "a"), (2, "a"), (3, "a#1"), (4, "a#1")],
    ],
)
def test_generated_name_is_unique(given: list[tuple[int, str]]) -> None:
    assert len(set(names(*given))) == len(given)


@given(st.lists(st.sampled_from(["", "a", "b", "lan", "ü"]), min_size=1), st.randoms())
def test_names_are_unique_and_do_not_depend_on_the_order(given: list[str], order: Any) -> None:
    numbered = list(enumerate(given, start=1))
    shuffled = order.sample(numbered, len(numbered))

    found = names(*shuffled)

    assert len(set(found)) == len(numbered)
    assert found == names(*numbered)


def test_10000_disks_on_one_machine_are_named_in_linear_time() -> None:
    count = 10_000
    body = body_of(*({"$key": key, "machine": 5, "name": f"d{key}"} for key in range(1, count)))

    started = time.process_time()
    MACHINE_DRIVES.decode(body)

    assert time.process_time() - started < 0.25


def test_cluster_or_node_without_a_name_is_named_by_its_key() -> None:
    assert one_of(CLUSTERS.decode(b'[{"$key":3}]')).name == "#3"
    assert one_of(NODES.decode(b'[{"id":4,"name":""}]')).name == "#4"


# Answers that are not a list of rows


INVALID_BODIES = {
    "empty": (b"", "answered with an empty body"),
    "blank": (b" \r\n\t", "answered with an empty body"),
    "HTML": (b"\n<!DOCTYPE html><title>Login</title>", "answered with HTML instead of JSON"),
    "object": (b'{"err":"Login required"}', "one object instead of a list of rows"),
    "empty object": (b"{}", "one object instead of a list of rows"),
    "cut off": (body_of(VM)[:-5], "JSON that cannot be read"),
    "text": (b"Bad gateway", "JSON that cannot be read"),
    "number": (b"5", "JSON that cannot be read"),
    "string": (b'"[]"', "JSON that cannot be read"),
    "flag": (b"true", "JSON that cannot be read"),
    "two lists": (b"[] []", "JSON that cannot be read"),
    "not a number": (b'[{"$key":NaN,"machine":NaN,"id":NaN}]', "gave 1 rows"),
    "half a surrogate": (b'[{"$key":1 "name":"\\ud800"}]', "gave 1 rows"),
    "gzip": (b"\x1f\x8b\x08\x00\x00", "JSON that cannot be read"),
    "NUL": (b"\x00", "JSON that cannot be read"),
    "a list of lists": (b"[[],[]]", "gave 2 rows and none can be read"),
    "a list of nulls": (b"[null]", "gave 1 rows and none can be read"),
    "a count": (b'[{"$count":12}]', "gave 1 rows and none can be read"),
}


@pytest.mark.parametrize(("body", "problem"), INVALID_BODIES.values(), ids=INVALID_BODIES)
@every_table
def test_answer_that_is_not_a_list_of_rows_is_described(
    case: Case, body: bytes, problem: str
) -> None:
    with pytest.raises(BadReplyError, match=problem) as caught:
        case.table.decode(body)

    assert str(caught.value).startswith(case.table.path)


@pytest.mark.parametrize("body", [b"[]", b" [ ] ", b"null", b"\nnull\n"])
@every_table
def test_empty_list_or_null_has_no_rows_and_no_problem(case: Case, body: bytes) -> None:
    decoded = case.table.decode(body)

    assert (decoded.count, decoded.skipped, decoded.problem) == (0, 0, None)
    assert not decoded.rows


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@every_table
def test_too_deep_nesting_in_a_row_is_a_bad_reply(case: Case) -> None:
    with pytest.raises(BadReplyError):
        case.table.decode(b'[{"a":' + nested(100_000) + b"}]")


@every_table
def test_too_deep_nesting_is_a_bad_reply(case: Case) -> None:
    with pytest.raises(BadReplyError):
        case.table.decode(nested(100_000))


def test_nesting_of_500_levels_is_decoded() -> None:
    body = b'[{"$key":1,"machine":2,"x":' + nested(500) + b"}]"

    assert VMS.decode(body).count == 1


def test_too_deep_nesting_skips_only_its_row() -> None:
    body = b'[{"$key":1,"machine":2},{"name":5},{"x":' + nested(100_000) + b"}]"

    decoded = VMS.decode(body)

    assert [found.key for found in decoded.rows] == [1]
    assert decoded.skipped == 2


def test_too_deep_nesting_in_an_unknown_field_costs_nothing() -> None:
    deep = VM | {"$key": 37, "invented": "DEEP"}

    decoded = VMS.decode(body_of(VM, deep).replace(b'"DEEP"', nested(100_000)))

    assert [found.key for found in decoded.rows] == [36, 37]
    assert (decoded.skipped, decoded.skipped_values) == (0, {})


def test_error_does_not_contain_the_answer() -> None:
    secret = "hunter2"

    for body in (
        f'{{"password":"{secret}"}}'.encode(),
        f"<b>{secret}".encode(),
        f'[{{"$key":"{secret}"}}]'.encode(),
        f'[{{"name":"{secret} '.encode() + b'\xfc"}]',
        b"\xfc" + secret.encode(),
        secret.encode(),
    ):
        with pytest.raises(BadReplyError) as caught:
            VMS.decode(body)
        assert secret not in str(caught.value)


# One invalid row


@pytest.mark.parametrize(("field", "value"), [("machine", [54]), ("$key", True)], ids=repr)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_key_of_the_wrong_type_skips_only_its_row(field: str, value: object, place: int) -> None:
    given = [VM | {"$key": key} for key in (1, 2, 3)]
    given[place] = given[place] | {field: value}

    decoded = VMS.decode(body_of(*given))

    assert [found.key for found in decoded.rows] == [key for key in (1, 2, 3) if key != place + 1]
    assert (decoded.count, decoded.skipped) == (2, 1)
    assert decoded.problem is not None
    assert decoded.problem.startswith(f"{VMS.path}: ")


# Field case D1: the release changes the type of one field

INVALID_VM_FIELDS = [
    ("name", 5),
    ("name", ["a"]),
    ("ram", "plenty"),
    ("ram", 1.5),
    ("ram", {}),
    ("enabled", "perhaps"),
    ("enabled", []),
    ("uuid", {}),
    ("ha_group", 0),
    ("created_from", {"$key": 7}),
    ("machine_type", []),
    ("need_restart", ""),
    ("guest_agent", ""),
    ("is_snapshot", "maybe"),
    ("cluster", [1]),
    ("cluster", "self"),
    ("disable_powercycle", {}),
    ("os_family", "x" * 1025),
]
INVALID_STATUS_FIELDS = [
    ("agent_version", []),
    ("agent_version", 9),
    ("state", 1),
    ("node", [3]),
    ("node", False),
    ("node", "node3"),
    ("started", ""),
    ("last_update", {}),
    ("running", "often"),
    ("powerstate", 2),
    ("status", 5),
]


@pytest.mark.parametrize(("field", "value"), INVALID_VM_FIELDS, ids=repr)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_value_of_a_vm_of_the_wrong_type_is_absent(field: str, value: object, place: int) -> None:
    given = [VM | {"$key": key} for key in (1, 2, 3)]
    without = [dict(row) for row in given]
    given[place] = given[place] | {field: value}
    without[place].pop(field)

    decoded = VMS.decode(body_of(*given))

    found = [msgspec.structs.replace(one, unreadable=frozenset()) for one in decoded.rows]
    assert found == list(VMS.decode(body_of(*without)).rows)
    assert decoded.rows[place].unreadable == {field}
    assert (decoded.count, decoded.skipped, values_skipped(decoded)) == (3, 0, {field: 1})
    assert decoded.skipped_values[field].problem.startswith(f"{VMS.path}: row {place + 1}: ")


@pytest.mark.parametrize(("field", "value"), INVALID_STATUS_FIELDS, ids=repr)
def test_value_of_a_status_of_the_wrong_type_is_absent(field: str, value: object) -> None:
    decoded = MACHINE_STATUS.decode(body_of(STATUS | {field: value}))

    without = {name: one for name, one in STATUS.items() if name != field}
    absent = one_of(MACHINE_STATUS.decode(body_of(without)))
    assert one_of(decoded) == msgspec.structs.replace(absent, unreadable=frozenset({field}))
    assert (decoded.skipped, values_skipped(decoded)) == (0, {field: 1})


def test_field_that_changed_its_type_in_every_row_costs_no_row() -> None:
    decoded = VMS.decode(body_of(*(VM | {"$key": key, "ha_group": 0} for key in range(1, 301))))

    assert (decoded.count, decoded.skipped, values_skipped(decoded)) == (300, 0, {"ha_group": 300})


def test_status_info_is_not_asked_for_and_may_be_anything() -> None:
    decoded = MACHINE_STATUS.decode(body_of(STATUS | {"status_info": ["x"]}))

    assert (one_of(decoded), decoded.skipped_values) == (status(), {})


# Field case D2: what a strict JSON reader refuses in one row

REFUSED = {
    "half a surrogate": b'"\\ud800"',
    "NaN": b"NaN",
    "Infinity": b"-Infinity",
    "control character": b'"a\x01b"',
    "line feed": b'"a\nb"',
    "Latin-1": b'"M\xfcnchen"',
    "leading zero": b"007",
    "deep": nested(100_000),
    "single quotes": b"'x'",
    "huge": b"9" * 100_000,
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@every_table
def test_value_that_a_strict_reader_refuses_costs_no_row(
    case: Case, value: bytes, bom: bytes
) -> None:
    odd = case.row | {case.key: 70001, "invented": "ODD"} | dict.fromkeys(case.also, 70001)
    body = bom + body_of(odd, case.row).replace(b'"ODD"', value)

    decoded = case.table.decode(body)

    assert (decoded.count, decoded.skipped, decoded.skipped_values) == (2, 0, {})


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
@every_table
def test_key_that_a_strict_reader_refuses_skips_only_its_row(case: Case, value: bytes) -> None:
    odd = case.row | dict.fromkeys((case.key, *case.also), "ODD")

    decoded = case.table.decode(body_of(odd, case.row).replace(b'"ODD"', value))

    assert (decoded.count, decoded.skipped) == (1, 1)
    assert decoded.skipped_values == {}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
def test_name_that_a_strict_reader_refuses_is_absent(value: bytes) -> None:
    body = body_of(VM | {"$key": 37, "name": "ODD"}, VM).replace(b'"ODD"', value)

    decoded = VMS.decode(body)

    assert [(one.name, one.uuid) for one in decoded.rows] == [
        ("web-1", VM["uuid"]),
        ("", VM["uuid"]),
    ]
    assert (decoded.skipped, values_skipped(decoded)) == (0, {"name": 1})


def test_byte_order_mark_before_a_row_or_a_name_changes_nothing() -> None:
    body = body_of(VM, VM | {"$key": 37}).replace(b"{", b"\xef\xbb\xbf{ \xef\xbb\xbf")

    decoded = VMS.decode(b"\xef\xbb\xbf\r\n" + body)

    assert [one.name for one in decoded.rows] == ["web-1", "web-1"]
    assert (decoded.skipped, decoded.skipped_values) == (0, {})


@pytest.mark.parametrize("cut", range(1, 40))
def test_answer_that_is_cut_off_is_refused_as_a_whole(cut: int) -> None:
    body = b'[{"$key":1,"machine":2,"x":NaN},{"$key":3,"machine":4,"name":"b"}]'

    with pytest.raises(BadReplyError):
        VMS.decode(body[:-cut])


def test_row_in_which_names_and_values_are_not_told_apart_is_skipped() -> None:
    odd = b'{"$key":1,"machine":2,"description":"x" "is_snapshot":true}'

    decoded = VMS.decode(b"[" + odd + b"," + body_of(VM)[1:])

    assert (decoded.count, decoded.skipped) == (1, 1)


def test_odd_row_of_a_large_table_is_found_in_linear_time() -> None:
    body = body_of(*(VM | {"$key": key, "machine": key} for key in range(1, 10_001)))

    started = time.process_time()
    decoded = VMS.decode(body.replace(b"[", b'[{"$key":20000,"x":NaN},', 1))

    assert (decoded.count, decoded.skipped) == (10_000, 1)
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize(
    "opening", [b"{", b'{"', b'{"a":', b"[", b'"', b'{"a":"b",', b'{"a":1,"b":[']
)
def test_hostile_answer_is_refused_in_linear_time(opening: bytes) -> None:
    started = time.process_time()
    with pytest.raises(BadReplyError):
        VMS.decode(b"[{" + opening * (1_000_000 // len(opening)))

    assert time.process_time() - started < 2.0


def test_numbers_and_booleans_may_be_strings_beside_an_invalid_row() -> None:
    lenient = VM | {"$key": "1", "cpu_cores": "4", "enabled": "1"}

    found, _ = VMS.decode(body_of(lenient, VM | {"name": 5})).rows

    assert (found.cpu_cores, found.enabled) == (4, True)


def test_only_invalid_rows_are_a_bad_reply_that_describes_the_first() -> None:
    with pytest.raises(BadReplyError, match=r"gave 2 rows and none can be read: row 0: Expected"):
        VMS.decode(body_of(5, VM | {"$key": []}))


@every_table
def test_byte_that_is_not_utf8_costs_at_most_its_row(case: Case) -> None:
    field = "agent_version" if case.table is MACHINE_STATUS else "name"
    invalid = case.row | {case.key: 99, field: "M?nchen"} | dict.fromkeys(case.also, 99)
    if field not in case.row:
        invalid[case.key] = "M?nchen"
    body = body_of(invalid, case.row).replace(b"M?nchen", b"M\xfcnchen")

    decoded = case.table.decode(body)

    assert decoded.skipped + sum(values_skipped(decoded).values()) == 1
    assert decoded.count + decoded.skipped == 2


# Any body

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["7", "-7", "nan", "inf", "true", "null", "running", "\n", "²"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=6) | st.sampled_from(["$key", "machine", "name", "osinfo", "fsinfo"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


DECODERS: tuple[Callable[[bytes], Any], ...] = (
    *(case.table.decode for case in TABLES.values()),
    MACHINE_SNAPSHOTS.decode,
    TAG_MEMBERS.decode,
    *(table.decode for table in LOGS.values()),
    lambda body: source._version(body, []),
    lambda body: rows.raw_rows(body, "/api/v4/vms"),
    lambda body: source._setting(body, "cloud_name", []),
)


def decode_all(body: bytes) -> None:
    """Decode *body* with every decoder; the only error that may occur is `BadReplyError`."""
    for decode in DECODERS:
        with suppress(BadReplyError):
            decode(body)


@given(json_values)
def test_any_json_gives_rows_or_a_bad_reply(value: Any) -> None:
    decode_all(json.dumps(value).encode())


@given(st.binary(max_size=60))
@example(b"\xef\xbb\xbf[]")
@example(b"[" + b"\xff" + b"]")
def test_any_bytes_give_rows_or_a_bad_reply(body: bytes) -> None:
    decode_all(body)


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path to each value in *value*, its own first."""
    found = [prefix]
    children = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, child in children:
        found += paths(child, (*prefix, key))
    return found


def with_value(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return *value* with *new* at *path*."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = with_value(copy[path[0]], path[1:], new)
    return copy


KEYS = (70001, 70002, 70003)


@every_table
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_replaced_value_affects_only_its_row(case: Case, data: st.DataObject) -> None:
    given = [case.row | dict.fromkeys((case.key, *case.also), key) for key in KEYS]
    invalid = data.draw(st.integers(0, 2))
    path = data.draw(st.sampled_from(paths(given[invalid])))
    value = data.draw(json_values)
    assume("7000" not in json.dumps(value))  # the key of another row
    valid = [row for number, row in enumerate(given) if number != invalid]
    given[invalid] = with_value(given[invalid], path, value)

    decoded = case.table.decode(body_of(*given))

    kept = _by_key(decoded.rows)
    for key, row in _by_key(case.table.decode(body_of(*valid)).rows).items():
        assert kept[key] == row
    assert decoded.count + decoded.skipped in (2, 3)  # two only if it became a snapshot
    assert (decoded.problem is None) == (decoded.skipped == 0)


def _by_key(found: Any) -> dict[int, Any]:
    return dict(found) if isinstance(found, dict) else {row.key: row for row in found}


# Rows that recovery uses


@pytest.mark.parametrize("service", [None, 0, "", "0", {}, {"$key": None}, [], False], ids=repr)
def test_vm_without_a_service_is_no_service_vm(service: object) -> None:
    assert vm(service=service).service is False


@pytest.mark.parametrize("service", [2, "2", {"$key": 2}, "vm_services/2", "ab12", [2]], ids=repr)
def test_vm_with_a_service_is_a_service_vm_in_every_spelling(service: object) -> None:
    assert vm(service=service).service is True


def tags(*given: Any) -> TableRows[Any]:
    return TAG_MEMBERS.decode(
        body_of(*(TAG | {"$key": 7 + i} | row for i, row in enumerate(given)))
    )


def test_tags_are_grouped_by_vm_with_their_category() -> None:
    decoded = tags(
        {"member": "vms/36"},
        {"member": "/v4/vms/36", "tag_name": "tier-0"},
        {"member": "vms/41", "category_name": "environment", "tag_name": "test"},
    )

    assert decoded.rows == {
        36: frozenset({"recovery/auto", "recovery/tier-0"}),
        41: frozenset({"environment/test"}),
    }
    assert (decoded.count, decoded.skipped) == (3, 0)


@pytest.mark.parametrize("member", ["nodes/36", "/v4/nodes/36", "vms_of_old/36", "vmsx/36"])
def test_tags_of_other_objects_are_left_out_and_not_counted_as_skipped(member: str) -> None:
    decoded = tags({"member": member}, {"member": "vms/41"})

    assert set(decoded.rows) == {41}
    assert (decoded.count, decoded.skipped) == (1, 0)


@pytest.mark.parametrize(
    "invalid",
    [
        {"member": "vms/"},
        {"member": "vms/x"},
        {"member": ""},
        {"member": None},
        {"member": 36},
    ],
    ids=repr,
)
def test_tag_without_its_vm_is_skipped_and_counted(invalid: dict[str, Any]) -> None:
    decoded = tags(invalid, {"member": "vms/41"})

    assert set(decoded.rows) == {41}
    assert decoded.skipped == 1


@pytest.mark.parametrize("field", ["tag_name", "category_name"])
@pytest.mark.parametrize("value", [None, "", 5, [], "x" * 1025], ids=lambda one: repr(one)[:9])
def test_tag_that_cannot_be_read_forbids_for_its_vm_alone(field: str, value: object) -> None:
    decoded = tags({"member": "vms/36", field: value}, {"member": "vms/41"})

    assert decoded.rows == {36: {"recovery/(unreadable)"}, 41: {"recovery/auto"}}
    assert (decoded.skipped, values_skipped(decoded)) == (0, {field: 1})


def log(**fields: Any) -> Any:
    return one_of(LOGS[LogTable.MACHINE_LOGS].decode(body_of(LOG | fields)))


def test_time_of_a_log_row_is_decoded_in_seconds() -> None:
    assert log() == LogRow(
        table=LogTable.MACHINE_LOGS,
        key=12,
        machine=54,
        at=1_755_993_338.25,
        level="audit",
        text="VM action 'kill' sent",
        user="anna",
    )


@pytest.mark.parametrize(
    ("user", "name"),
    [(None, ""), (7, "7"), ({"$key": 7, "name": "anna"}, "anna"), ({"$key": 7}, "7"), ({}, "")],
    ids=repr,
)
def test_user_of_a_log_row_is_a_name_in_every_spelling(user: object, name: str) -> None:
    assert log(user=user).user == name


@pytest.mark.parametrize(
    "invalid",
    [
        {"timestamp": 1_755_993_338},
        {"timestamp": 1_755_993_338_250},
        {"timestamp": 1_755_993_338_250_000_000},
        {"timestamp": None},
        {"timestamp": "soon"},
    ],
    ids=repr,
)
def test_log_row_without_a_time_is_kept_because_keys_decide(invalid: dict[str, Any]) -> None:
    decoded = LOGS[LogTable.MACHINE_LOGS].decode(body_of(LOG | invalid, LOG | {"$key": 13}))

    assert decoded.rows[12] == msgspec.structs.replace(decoded.rows[13], key=12, at=0.0)
    assert values_skipped(decoded) == {"timestamp": 1}


@pytest.mark.parametrize("machine", [None, "n/a", [], True, 0], ids=repr)
def test_log_row_that_names_no_machine_is_about_an_unknown_one(machine: object) -> None:
    decoded = LOGS[LogTable.MACHINE_LOGS].decode(body_of(LOG | {"machine": machine}))

    assert one_of(decoded).machine is None
    assert one_of(decoded).unreadable == {"machine"}
    assert values_skipped(decoded) == {"machine": 1}


@pytest.mark.parametrize(
    ("table", "field"),
    [
        (LogTable.MACHINE_LOGS, "text"),
        (LogTable.MACHINE_LOGS, "user"),
        (LogTable.LOGS, "text"),
        (LogTable.LOGS, "object_name"),
        (LogTable.LOGS, "object_type"),
    ],
)
@pytest.mark.parametrize("value", [b'"\\ud800"', b"[]", b"NaN"], ids=repr)
def test_log_row_names_what_of_its_evidence_cannot_be_read(
    table: LogTable, field: str, value: bytes
) -> None:
    body = body_of(LOG | {field: "ODD"}, LOG | {"$key": 13}).replace(b'"ODD"', value)

    decoded = LOGS[table].decode(body)

    assert decoded.rows[12].unreadable == {field}
    assert decoded.rows[13].unreadable == frozenset()
    assert (decoded.skipped, values_skipped(decoded)) == (0, {field: 1})
    assert field != "text" or decoded.rows[12].text == "(unreadable)"


# Settings and the version


def test_setting_is_found_by_its_name() -> None:
    body = body_of(
        {"key": "other", "value": "x"},
        "nonsense",
        {"key": "cloud_name", "value": "Nordwolke"},
    )

    assert source._setting(body, "cloud_name", []) == "Nordwolke"
    assert source._setting(body, "missing", []) == ""


@pytest.mark.parametrize("value", [None, "", []], ids=repr)
def test_setting_without_a_value_is_empty(value: object) -> None:
    body = body_of({"key": "cloud_name", "value": value, "default_value": "x"})

    lost: list[LostValue] = []
    assert source._setting(body, "cloud_name", lost) == ""
    assert [one.field for one in lost] == (["value"] if value == [] else [])


def test_absent_version_is_empty() -> None:
    assert source._version(b'{"name":"v4","version":"26.0.2.1","hash":"x"}', []) == source.Version(
        "26.0.2.1", "x"
    )
    assert source._version(b'{"name":"v4"}', []) == source.Version()
    assert source._version(b'{"version":null}', []) == source.Version()


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"<html>", b'{"vers', b'{"version":NaN'])
def test_invalid_version_is_a_bad_reply(body: bytes) -> None:
    with pytest.raises(BadReplyError):
        source._version(body, [])


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
def test_strange_value_beside_the_version_costs_nothing(value: bytes) -> None:
    lost: list[LostValue] = []

    assert source._version(b'{"x":' + value + b',"version":"26.1"}', lost).version == "26.1"
    assert not source._version(b'{"version":' + value + b"}", lost).version
    assert [one.field for one in lost] == ["version"]


def test_raw_rows_are_the_unchanged_text_of_each_row() -> None:
    found = rows.raw_rows(b'[{"$key": 1}, [2] ,"3"]', VMS.path)

    assert b",".join(found) == b'{"$key": 1},[2],"3"'
