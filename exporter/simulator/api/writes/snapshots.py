"""Writes to ``machine_snapshots``: snapshots are taken by hand, renamed and deleted."""

from collections.abc import Mapping

from exporter.simulator.api.messages import Answer, error
from exporter.simulator.api.tables.columns import RequestView
from exporter.simulator.api.tables.snapshots import snapshot_of_key
from exporter.simulator.api.writes.write import (
    FLAG,
    NUMBER,
    TEXT,
    RefusedError,
    Write,
    Writer,
    created,
    missing,
    required,
    unknown_reference,
    values,
    vm_of,
)
from exporter.simulator.world import lifecycle
from exporter.simulator.world.machines import VM
from exporter.simulator.world.world import World

KEPT_SECONDS = 72 * 3600
"""How long a snapshot is kept if the request does not say so."""
COLUMNS = {
    "name": TEXT,
    "description": TEXT,
    "expires": NUMBER,
    "quiesce": FLAG,
}


def kept_in(world: World, key: str) -> VM | None:
    """
    Return the VM that a snapshot is kept in; None if there is no such snapshot.

    Raises:
        RefusedError: The snapshot was taken by a schedule: the simulator keeps none of its data.

    """
    row = snapshot_of_key(key, RequestView(world, world.now, world.now))
    if row is not None and row.copy is None:
        raise RefusedError(error(422, "Error: scheduled snapshots have no data in the simulator\n"))
    return None if row is None else row.copy


def _take(write: Write) -> Answer:
    required(write, "machine", "name")
    world, found = write.world, values(COLUMNS, write)
    machine = world.machines.get(int(write.body["machine"]))
    vm = None if machine is None else vm_of(world, machine)
    if vm is None or vm.is_snapshot:
        raise unknown_reference("machine")
    snapshot = lifecycle.take_snapshot(
        world,
        vm,
        found["name"],
        description=found.get("description", ""),
        expires=found.get("expires", int(world.now) + KEPT_SECONDS),
        quiesced=found.get("quiesce", False) and vm.guest_agent,
        user=write.user,
    )
    return created("machine_snapshots", snapshot.key)


def _change(write: Write) -> Answer:
    snapshot, found = _existing(write), values(COLUMNS, write)
    found.pop("quiesce", None)
    lifecycle.change_snapshot(write.world, snapshot, found, user=write.user)
    return Answer()


def _delete(write: Write) -> Answer:
    lifecycle.delete_snapshot(write.world, _existing(write), user=write.user)
    return Answer()


def _existing(write: Write) -> VM:
    snapshot = kept_in(write.world, write.key)
    if snapshot is None:
        raise missing("machine_snapshots", write.key)
    return snapshot


WRITES: Mapping[tuple[str, str], Writer] = {
    ("POST", "machine_snapshots"): _take,
    ("PUT", "machine_snapshots"): _change,
    ("DELETE", "machine_snapshots"): _delete,
}
