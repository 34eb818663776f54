"""Writes to ``machine_status``: a status is forced, as a knowledge-base article describes."""

from collections.abc import Mapping

from exporter.simulator.api.listing import find
from exporter.simulator.api.messages import Answer
from exporter.simulator.api.tables import TABLES
from exporter.simulator.api.tables.columns import RequestView
from exporter.simulator.api.writes.write import Write, Writer, missing, vm_of


def _force(write: Write) -> Answer:
    world = write.world
    machine = find(TABLES["machine_status"], write.key, RequestView(world, world.now, world.now))
    vm = None if machine is None else vm_of(world, machine)
    if vm is None:
        raise missing("machine_status", write.key)
    fields = {"word" if name == "status" else name: value for name, value in write.body.items()}
    world.forces_status(vm, user=write.user, **fields)
    return Answer()


WRITES: Mapping[tuple[str, str], Writer] = {("PUT", "machine_status"): _force}
