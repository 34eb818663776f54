"""Tables are joined to one inventory; what no table contains stays unknown."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors import disks, nics, nodes, vms
from exporter.collectors.inventory import join
from exporter.model import (
    VM,
    Cluster,
    Disk,
    DiskStats,
    Guest,
    Identity,
    Inventory,
    MachineStats,
    Nic,
    Node,
    VMConfig,
)
from tests.exposition import builders
from tests.exposition.builders import AT, status

IDENTITY = Identity("Nordwolke", "26.1.8")


def inventory(rows: Mapping[str, Any], identity: Identity | None = IDENTITY) -> Inventory:
    return join(rows, system_name="prod", identity=identity, taken_at=AT)


def config(key: int, machine: int) -> VMConfig:
    return builders.config(key, f"vm-{key}", machine=machine)


def guest(hostname: str) -> Guest:
    return Guest("", "", "", hostname, None, None, (), None)


def nic(key: int, machine: int) -> Nic:
    return builders.nic(key, machine, f"nic-{key}")


def disk(key: int, machine: int) -> Disk:
    return builders.disk(key, machine, f"disk-{key}")


def test_vm_is_joined_with_the_rows_of_its_machine_and_not_of_its_key() -> None:
    rows = {
        "vms": (config(1, 20), config(2, 10)),
        "machine_status": {machine: status(machine) for machine in (1, 2, 10, 20)},
        "guests": {machine: guest(f"guest-{machine}") for machine in (1, 2, 10, 20)},
        "machine_stats": {machine: MachineStats(machine, 0.5, 1) for machine in (1, 2, 10, 20)},
        "machine_nics": {machine: (nic(machine + 1, machine),) for machine in (1, 2, 10, 20)},
        "machine_drives": {machine: (disk(machine + 2, machine),) for machine in (1, 2, 10, 20)},
    }

    first, second = inventory(rows).vms

    assert first == VM(
        config(1, 20),
        status(20),
        guest("guest-20"),
        MachineStats(20, 0.5, 1),
        (nic(21, 20),),
        (disk(22, 20),),
    )
    assert second == VM(
        config(2, 10),
        status(10),
        guest("guest-10"),
        MachineStats(10, 0.5, 1),
        (nic(11, 10),),
        (disk(12, 10),),
    )


def test_vm_without_rows_in_other_tables_keeps_its_configuration() -> None:
    rows = {"vms": (config(1, 20),), "machine_status": {30: status(30)}, "machine_nics": {}}

    assert inventory(rows).vms == (VM(config(1, 20), None, None, None, (), ()),)


def test_inventory_without_tables_is_empty_or_unknown() -> None:
    assert inventory({}, identity=None) == Inventory(
        system_name="prod",
        identity=None,
        taken_at=AT,
        sources={},
        vms=(),
        disk_stats={},
        vm_snapshot_count=None,
        clusters={},
        nodes={},
        tags=None,
    )


def test_empty_tags_table_differs_from_unknown_tags() -> None:
    tags = {36: frozenset({"recovery/auto"})}

    assert inventory({"tags": tags}).tags is tags
    assert inventory({"tags": {}}).tags == {}
    assert inventory({}).tags is None


def test_no_snapshots_is_zero_and_not_unknown() -> None:
    assert inventory({"vm_snapshots": 0}).vm_snapshot_count == 0


def test_rows_of_machines_that_are_no_vms_are_left_out() -> None:
    rows = {
        "vms": (config(1, 20),),
        "machine_status": {20: status(20), 9: status(9), 77: status(77)},
        "machine_nics": {9: (nic(5, 9),)},
        "machine_drives": {9: (disk(6, 9),)},
    }

    (only,) = inventory(rows).vms

    assert (only.nics, only.disks) == ((), ())


def test_node_has_the_status_of_its_machine() -> None:
    node = Node(3, "node3", 1, 9, maintenance=False, status=None)
    without_machine = Node(4, "node4", 1, None, maintenance=None, status=None)
    rows = {"nodes": {3: node, 4: without_machine}, "machine_status": {9: status(9), 3: status(3)}}

    found = inventory(rows).nodes

    assert found[3].status == status(9)
    assert found[4] == without_machine
    assert rows["nodes"] == {3: node, 4: without_machine}  # the rows themselves are unchanged


def test_inventory_keeps_its_tables_identity_and_time() -> None:
    rows = {"vms": (), "clusters": {1: Cluster(1, "A")}, "machine_drive_stats": {}}

    found = inventory(rows)

    assert found.sources is rows
    assert found.clusters is rows["clusters"]
    assert (found.system_name, found.identity, found.taken_at) == ("prod", IDENTITY, AT)


def test_disk_statistics_are_kept_by_disk_key() -> None:
    stats = DiskStats(91, 1, 2, 3, 4, 0.5, 0.001)

    assert inventory({"machine_drive_stats": {91: stats}}).disk_stats == {91: stats}


def test_decoded_answers_are_joined_across_spellings_of_keys() -> None:
    at = "/api/v4/table"
    rows = {
        "vms": vms.vm_configs(b'[{"$key":"36","machine":{"$key":54},"name":"web"}]', at).rows,
        "machine_status": vms.machine_statuses(
            b'[{"machine":"54","status":"running","node":3},{"machine":9,"status":"running"}]', at
        ).rows,
        "machine_nics": nics.nics(b'[{"$key":1,"machine":54,"name":"lan"}]', at).rows,
        "machine_drives": disks.disks(b'[{"$key":2,"machine":"54","name":"root"}]', at).rows,
        "machine_drive_stats": disks.disk_stats(b'[{"parent_drive":2,"reads":7}]', at).rows,
        "nodes": nodes.nodes(b'[{"id":3,"machine":9,"name":"node3"}]', at).rows,
    }

    found = inventory(rows)

    (vm,) = found.vms
    assert vm.status is not None
    assert found.nodes[vm.status.node or 0].status is not None
    assert [nic.name for nic in vm.nics] == ["lan"]
    assert [found.disk_stats[disk.key].reads for disk in vm.disks] == [7]


machines = st.sets(st.integers(1, 12))


@given(st.dictionaries(st.integers(1, 9), st.integers(1, 12)), machines, machines, machines)
def test_every_vm_has_exactly_the_rows_of_its_machine(
    vms: dict[int, int], with_status: set[int], with_stats: set[int], with_nics: set[int]
) -> None:
    rows = {
        "vms": tuple(config(key, machine) for key, machine in sorted(vms.items())),
        "machine_status": {machine: status(machine) for machine in with_status},
        "machine_stats": {machine: MachineStats(machine, None, None) for machine in with_stats},
        "machine_nics": {machine: (nic(machine, machine),) for machine in with_nics},
    }

    found = inventory(rows)

    assert [vm.config for vm in found.vms] == list(rows["vms"])
    for vm in found.vms:
        machine = vm.config.machine
        assert (vm.status is not None) == (machine in with_status)
        assert vm.status is None or vm.status.machine == machine
        assert (vm.stats is not None) == (machine in with_stats)
        assert vm.stats is None or vm.stats.machine == machine
        assert [nic.machine for nic in vm.nics] == [machine] * (machine in with_nics)
