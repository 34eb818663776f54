"""Writes to ``tag_members``: a tag is put on a VM, or taken from it."""

from collections.abc import Mapping

from exporter.simulator.api.messages import Answer, error
from exporter.simulator.api.writes.write import (
    RefusedError,
    Write,
    Writer,
    created,
    missing,
    unknown_reference,
)
from exporter.simulator.world.machines import VM
from exporter.simulator.world.world import World


def _tag(write: Write) -> Answer:
    world, body = write.world, write.body
    tag, vm = world.tags.get(int(body.get("tag", 0))), _vm_of(world, body.get("member"))
    if tag is None or vm is None:
        raise unknown_reference("member")
    member = f"vms/{vm.key}"
    if any(row.tag is tag and row.member == member for row in world.tag_members.values()):
        raise RefusedError(error(409, "Error: tag member already exists\n"))
    return created("tag_members", world.add_tag(tag, vm, user=write.user).key)


def _untag(write: Write) -> Answer:
    world = write.world
    row = world.tag_members.pop(int(write.key), None)
    if row is None:
        raise missing("tag_members", write.key)
    vm = _vm_of(world, row.member)
    if vm is not None:
        world.power.record(vm.machine, "untagged", user=write.user, tag=row.tag.name)
    return Answer()


def _vm_of(world: World, member: object) -> VM | None:
    table, _, key = str(member).rpartition("/")
    return world.vms.get(int(key)) if table == "vms" and key.isdecimal() else None


WRITES: Mapping[tuple[str, str], Writer] = {
    ("POST", "tag_members"): _tag,
    ("DELETE", "tag_members"): _untag,
}
