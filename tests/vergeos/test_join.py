"""Tables are joined to one inventory; what no table contains stays unknown."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors import disks, guests, nics, nodes, vm_snapshots, vms
from exporter.collectors.inventory import join
from exporter.exposition.view import RenderView
from exporter.model import VM, Cluster, Identity, Inventory, Node, VMConfig
from tests.exposition import builders
from tests.exposition.builders import AT, disk, guest, load, nic, report, status

IDENTITY = Identity("Nordwolke", "26.1.8")


def inventory(rows: Mapping[str, Any], identity: Identity | None = IDENTITY) -> Inventory:
    return join(rows, system_name="prod", identity=identity, taken_at=AT)


def config(key: int, machine: int) -> VMConfig:
    return builders.config(key, f"vm-{key}", machine=machine)


def view(rows: Mapping[str, Any]) -> RenderView:
    return RenderView(inventory(rows), report())


def test_vm_is_joined_with_the_rows_of_its_machine_and_not_of_its_key() -> None:
    rows = {
        "vms": (config(1, 20), config(2, 10)),
        "machine_status": {machine: status(machine) for machine in (1, 2, 10, 20)},
        "guests": {machine: guest(hostname=f"guest-{machine}") for machine in (1, 2, 10, 20)},
        "machine_stats": {machine: load(machine, 1) for machine in (1, 2, 10, 20)},
        "machine_nics": {
            machine: (nic(3, machine, f"nic-{machine}"),) for machine in (1, 2, 10, 20)
        },
        "machine_drives": {
            machine: (disk(4, machine, f"disk-{machine}"),) for machine in (1, 10, 20)
        },
    }

    found = view(rows)

    assert found.vms.objects == [VM(config(1, 20), status(20)), VM(config(2, 10), status(10))]
    assert [row.hostname for row in guests.running_guests(found).objects] == [
        "guest-20",
        "guest-10",
    ]
    assert [row.total_cpu for row in vms.loads(found).objects] == [20, 10]
    assert [row.name for row in nics.vm_nics(found).objects] == ["nic-20", "nic-10"]
    assert [row.name for row in disks.vm_disks(found).objects] == ["disk-20", "disk-10"]


def test_vm_without_rows_in_other_tables_keeps_its_configuration() -> None:
    rows = {"vms": (config(1, 20),), "machine_status": {30: status(30)}, "machine_nics": {}}

    assert inventory(rows).vms == (VM(config(1, 20), None),)


def test_inventory_without_tables_is_empty_or_unknown() -> None:
    assert inventory({}, identity=None) == Inventory(
        system_name="prod",
        identity=None,
        taken_at=AT,
        sources={},
        vms=(),
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
    vms = {"vms": (config(1, 20),)}

    assert vm_snapshots.snapshots(view(vms | {"machine_snapshots": {}})).objects == [
        vm_snapshots.NONE
    ]
    assert vm_snapshots.snapshots(view(vms)).objects == []


def test_rows_of_machines_that_are_no_vms_are_left_out() -> None:
    rows = {
        "vms": (config(1, 20),),
        "machine_status": {20: status(20), 9: status(9), 77: status(77)},
        "machine_nics": {9: (nic(5, 9, "lan"),)},
        "machine_drives": {9: (disk(6, 9, "root"),)},
    }

    found = view(rows)

    assert found.vms.objects == [VM(config(1, 20), status(20))]
    assert nics.vm_nics(found).objects == []
    assert disks.vm_disks(found).objects == []


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


def test_decoded_answers_are_joined_across_spellings_of_keys() -> None:
    answers = {
        vms.VMS: b'[{"$key":"36","machine":{"$key":54},"name":"web"}]',
        vms.MACHINE_STATUS: b'[{"machine":"54","status":"running","node":3},'
        b'{"machine":9,"status":"running"}]',
        nics.MACHINE_NICS: b'[{"$key":1,"machine":54,"name":"lan"}]',
        disks.MACHINE_DRIVES: b'[{"$key":2,"machine":"54","name":"root"}]',
        disks.MACHINE_DRIVE_STATS: b'[{"parent_drive":"2","reads":7}]',
        nodes.NODES: b'[{"id":3,"machine":9,"name":"node3"}]',
    }
    rows = {table.name: table.decode(body).rows for table, body in answers.items()}

    found = inventory(rows)

    (vm,) = found.vms
    assert vm.status is not None
    assert found.nodes[vm.status.node or 0].status is not None
    assert [nic.name for nic in nics.vm_nics(view(rows)).objects] == ["lan"]
    assert [stats.reads for stats in disks.disk_loads(view(rows)).objects] == [7]


machines = st.sets(st.integers(1, 12))


@given(st.dictionaries(st.integers(1, 9), st.integers(1, 12)), machines, machines, machines)
def test_every_vm_has_exactly_the_rows_of_its_machine(
    machine_of: dict[int, int], with_status: set[int], with_stats: set[int], with_nics: set[int]
) -> None:
    rows = {
        "vms": tuple(config(key, machine) for key, machine in sorted(machine_of.items())),
        "machine_status": {machine: status(machine) for machine in with_status},
        "machine_stats": {machine: load(machine, None) for machine in with_stats},
        "machine_nics": {machine: (nic(machine, machine, "lan"),) for machine in with_nics},
    }

    found = inventory(rows)

    assert [vm.config for vm in found.vms] == list(rows["vms"])
    for vm in found.vms:
        machine = vm.config.machine
        assert (vm.status is not None) == (machine in with_status)
        assert vm.status is None or vm.status.machine == machine
    shown = [machine_of[key] for key in sorted(machine_of)]
    running = [machine for machine in shown if machine in with_status]
    assert [row.total_cpu for row in vms.loads(view(rows)).objects] == [
        machine for machine in running if machine in with_stats
    ]
    assert [row.machine for row in nics.vm_nics(view(rows)).objects] == [
        machine for machine in shown if machine in with_nics
    ]
