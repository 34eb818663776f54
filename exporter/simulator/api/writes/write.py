"""A request that writes a row, the answers to it, and the columns that it may write."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from exporter.errors import VergewatchError
from exporter.simulator.api.listing import find
from exporter.simulator.api.messages import Answer, error
from exporter.simulator.api.tables import TABLES
from exporter.simulator.api.tables.columns import RequestView
from exporter.simulator.world.machines import VM, Machine
from exporter.simulator.world.world import World


@dataclass(frozen=True, slots=True)
class Write:
    """A decoded ``POST``, ``PUT`` or ``DELETE``."""

    world: World
    key: str
    """Empty for a ``POST``."""
    body: Mapping[str, Any]
    user: str


Writer = Callable[[Write], Answer]


class RefusedError(VergewatchError):
    """A write is refused with *answer*."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(str(answer.payload))
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Column:
    """A column that may be written: the type of its values, and the words that it accepts."""

    kind: type[str | int | bool | dict[str, Any]]
    words: frozenset[str] = frozenset()
    table: str | None = None
    """The table that the value is a key of; null and empty values refer to nothing."""

    def value(self, name: str, given: Any, world: World) -> Any:
        if self.table is not None:
            return None if given in (None, "", 0) else self._reference(name, given, world)
        if self.kind is bool and given in (0, 1):
            return bool(given)
        if self.kind is int and not isinstance(given, bool):
            return int(given)  # VergeOS accepts numbers in quotes
        if self.kind is str and isinstance(given, int) and not isinstance(given, bool):
            given = str(given)
        if not isinstance(given, self.kind):
            raise invalid_argument()
        if self.words and given not in self.words:
            raise RefusedError(
                error(422, f"Error: value '{given}' is not in list for field '{name}'\n")
            )
        return given

    def _reference(self, name: str, given: Any, world: World) -> Any:
        if not row_exists(world, str(self.table), str(given)):
            raise unknown_reference(name)
        return int(given) if self.kind is int else str(given)


TEXT = Column(str)
NUMBER = Column(int)
FLAG = Column(bool)
BLOB = Column(dict)


def words(*accepted: str) -> Column:
    """Return a column that accepts these words."""
    return Column(str, frozenset(accepted))


def reference(table: str, kind: type[str | int] = int) -> Column:
    """Return a column with keys of *table*."""
    return Column(kind, table=table)


def values(columns: Mapping[str, Column], write: Write) -> dict[str, Any]:
    """
    Return the values of the body by column; unknown names are ignored, as in VergeOS.

    Raises:
        RefusedError: A value is invalid.

    """
    body = write.body
    return {
        name: column.value(name, body[name], write.world)
        for name, column in columns.items()
        if name in body
    }


def required(write: Write, *names: str) -> None:
    """Refuse a body without a value for each of *names*."""
    for name in names:
        if write.body.get(name) in (None, ""):
            raise RefusedError(error(422, f"Error: field '{name}' is required\n"))


def row_exists(world: World, table: str, key: str) -> bool:
    """Return whether a table has a row of this key."""
    return find(TABLES[table], key, RequestView(world, world.now, world.now)) is not None


def vm_of(world: World, machine: Machine) -> VM | None:
    """Return the VM whose machine this is."""
    return next((vm for vm in world.vms.values() if vm.machine is machine), None)


def created(table: str, key: int | str) -> Answer:
    """Return the answer to a ``POST``, whose key is text, unlike that of a listed row."""
    place = f"{table}/{key}"
    body = {"location": f"/v4/{place}", "dbpath": place, "$row": key, "$key": str(key)}
    return Answer(201, body)


def missing(table: str, key: str) -> RefusedError:
    """Return the refusal of a write to a row that does not exist."""
    return RefusedError(error(404, f"{table}/{key} - No such file or directory\n"))


def unknown_reference(name: str) -> RefusedError:
    """Return the refusal of a column whose value refers to no row."""
    return RefusedError(error(404, f"Error setting field '{name}' - No such file or directory\n"))


def name_in_use() -> RefusedError:
    """Return the refusal of a name that another object has."""
    return RefusedError(error(409, "Error: name already in use\n"))


def invalid_argument() -> RefusedError:
    """Return the refusal of an invalid value."""
    return RefusedError(error(422, "Invalid argument"))
