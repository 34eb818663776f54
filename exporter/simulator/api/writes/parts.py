"""What writes to drives, NICs and devices have in common: each belongs to a machine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from exporter.simulator.api.messages import Answer
from exporter.simulator.api.writes.write import (
    Column,
    Write,
    Writer,
    created,
    missing,
    name_in_use,
    required,
    unknown_reference,
    values,
)
from exporter.simulator.world import lifecycle
from exporter.simulator.world.machines import Machine, Part
from exporter.simulator.world.world import World


@dataclass(frozen=True, slots=True)
class PartTable:
    """
    A table of parts of machines.

    Args:
        parts: Returns the parts of a machine.
        stem: Names parts without a name, such as ``drive_0``.
        attributes: The attributes of a part by column; other columns are shown as written.
        make: Returns a new part of a machine, given its name and the values of the request.
        needed: Returns the columns that a ``POST`` needs.

    """

    name: str
    parts: Callable[[Machine], list[Any]]
    stem: str
    attributes: Mapping[str, str]
    columns: Mapping[str, Column]
    make: Callable[[World, Machine, str], Part]
    needed: Callable[[Mapping[str, Any]], tuple[str, ...]]

    def writes(self) -> Mapping[tuple[str, str], Writer]:
        """Return the writers of this table."""
        return {
            ("POST", self.name): self._create,
            ("PUT", self.name): self._change,
            ("DELETE", self.name): self._delete,
        }

    def part(self, world: World, key: str) -> Part | None:
        """Return the part of a row's key."""
        for machine in world.machines.values():
            for part in self.parts(machine):
                if str(part.key) == key:
                    return part  # type: ignore[no-any-return]
        return None

    def _create(self, write: Write) -> Answer:
        required(write, "machine", *self.needed(write.body))
        world = write.world
        machine = world.machines.get(int(write.body["machine"]))
        if machine is None:
            raise unknown_reference("machine")
        found = values(self.columns, write)
        name = found.pop("name", "") or self._free_name(machine)
        self._refuse_taken(machine, name)
        part = self.make(world, machine, name)
        self._set(part, found)
        lifecycle.add(world, part, user=write.user)
        return created(self.name, part.key)

    def _change(self, write: Write) -> Answer:
        part = self._existing(write)
        found = values(self.columns, write)
        if found.get("name", part.name) != part.name:
            self._refuse_taken(part.machine, found["name"])
        self._set(part, found)
        write.world.power.record(
            part.machine, "part_changed", user=write.user, part=lifecycle.described(part)
        )
        return Answer()

    def _delete(self, write: Write) -> Answer:
        lifecycle.remove(write.world, self._existing(write), user=write.user)
        return Answer()

    def _existing(self, write: Write) -> Part:
        part = self.part(write.world, write.key)
        if part is None:
            raise missing(self.name, write.key)
        return part

    def _set(self, part: Part, found: Mapping[str, Any]) -> None:
        for column, value in found.items():
            if column in self.attributes:
                setattr(part, self.attributes[column], value)
            else:
                part.columns[column] = value

    def _refuse_taken(self, machine: Machine, name: str) -> None:
        if any(part.name == name for part in self.parts(machine)):
            raise name_in_use()

    def _free_name(self, machine: Machine) -> str:
        names = {part.name for part in self.parts(machine)}
        number = len(names)
        while f"{self.stem}_{number}" in names:
            number += 1
        return f"{self.stem}_{number}"
