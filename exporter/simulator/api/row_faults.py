"""Applies the faults that change values of rows, whichever request shows the row."""

from collections.abc import Callable
from typing import Any

from exporter.simulator.api.faults import FAULTS, Fault
from exporter.simulator.api.tables.columns import RequestView, Table


def with_row_faults(
    table: Table, column: str, read: Callable[[Any], Any], view: RequestView
) -> Callable[[Any], Any]:
    """Return *read*, a reader of a column of *table*, with the faults that are on."""
    for fault in view.world.faults.row_faults:
        values = FAULTS[fault.name].rows.get(table.name, {})
        if column in values:
            read = _changed(read, values[column], _concerns(fault, table, view), view)
    return read


def _changed(
    read: Callable[[Any], Any], value: Any, concerns: Callable[[Any], bool], view: RequestView
) -> Callable[[Any], Any]:
    def changed(thing: Any) -> Any:
        if not concerns(thing):
            return read(thing)
        return value(thing, view) if callable(value) else value

    return changed


def _concerns(fault: Fault, table: Table, view: RequestView) -> Callable[[Any], bool]:
    """Return whether *fault* changes the row of an object."""
    wanted = fault["row"]
    if wanted == "*":
        return lambda _: True
    if wanted:
        return lambda thing: wanted in names_of(thing)
    key = table.columns["$key"].get
    first = next((key(thing, view) for thing in table.rows(view)), None)
    return lambda thing: key(thing, view) == first


def names_of(thing: Any) -> tuple[str, ...]:
    """Return the names by which a fault finds the row of an object; its key if it has none."""
    name = str(getattr(thing, "name", "") or thing.key)
    machine = getattr(thing, "machine", None)
    return (name,) if machine is None else (name, f"{machine.name}/{name}")
