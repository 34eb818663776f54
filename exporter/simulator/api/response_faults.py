"""Faults in the rows of a response: wrong, missing or repeated values and rows."""

from collections.abc import Callable, Mapping
from typing import Any

from exporter.simulator.api.faults import ActiveFaults, Fault
from exporter.simulator.api.listing import Listing, Row, Shown
from exporter.simulator.api.messages import Answer
from exporter.simulator.api.tables import TABLES
from exporter.simulator.api.tables.columns import RequestView

STATISTICS = ("machine_stats", "machine_drive_stats", "machine_nic_stats")
ResponseFault = Callable[[list[Row], Listing, Fault, RequestView], list[Row]]


def with_response_faults(answer: Answer, faults: ActiveFaults, view: RequestView) -> Answer:
    """Return *answer* with *faults* applied to its rows."""
    listing = answer.listing
    if listing is None or not faults:
        return answer
    one = not isinstance(answer.payload, list)
    rows = listing.rows
    for name, change in RESPONSE_FAULTS.items():
        if name in faults:
            rows = change(rows, listing, faults[name], view)
    payload: Any = rows
    if one:
        payload = rows[0] if rows else listing.rows[0]  # single rows are never removed
    elif "object_instead_of_list" in faults:
        payload = {str(number): row for number, row in enumerate(rows)}
    return Answer(answer.status, payload, listing)


def chosen(number: int, share: float) -> bool:
    """Return whether row *number* belongs to an evenly spread *share* of all rows."""
    return int((number + 1) * share) > int(number * share)


def _some(change: Callable[[Row, Listing], Row]) -> ResponseFault:
    """Return a fault that changes its share of the rows."""

    def apply(rows: list[Row], listing: Listing, fault: Fault, _moment: RequestView) -> list[Row]:
        share = fault["share"]
        return [
            change(row, listing) if chosen(number, share) else row
            for number, row in enumerate(rows)
        ]

    return apply


def _wrong_types(row: Row, _listing: Listing) -> Row:
    return {name: value if name == "$key" else _wrong(value) for name, value in row.items()}


def _wrong(value: Any) -> Any:
    if isinstance(value, bool):
        return {"value": value}
    if isinstance(value, int | float):
        return "n/a"
    if isinstance(value, dict):
        return {name: _wrong(inner) for name, inner in value.items()}
    return value


def _without_key(row: Row, _listing: Listing) -> Row:
    return {name: value for name, value in row.items() if name not in ("$key", "id")}


def _repeated(rows: list[Row], _listing: Listing, fault: Fault, _moment: RequestView) -> list[Row]:
    repeated = [row for number, row in enumerate(rows) if chosen(number, fault["share"])]
    return [*rows, *repeated]


def _unknown_status(
    rows: list[Row], listing: Listing, fault: Fault, _moment: RequestView
) -> list[Row]:
    aliases = [one.alias for one in listing.shown if one.path[-1] == "status" and not one.leads_to]
    return [
        {**row, **dict.fromkeys(aliases, fault["word"])} if chosen(number, fault["share"]) else row
        for number, row in enumerate(rows)
    ]


def _short(rows: list[Row], _listing: Listing, fault: Fault, _moment: RequestView) -> list[Row]:
    return [row for number, row in enumerate(rows) if chosen(number, fault["keep"])]


def _empty(_rows: list[Row], _listing: Listing, _fault: Fault, _moment: RequestView) -> list[Row]:
    return []


def _missing_stats(rows: list[Row], listing: Listing, fault: Fault, _m: RequestView) -> list[Row]:
    share = fault["share"]
    if listing.table.name in STATISTICS:
        return [row for number, row in enumerate(rows) if not chosen(number, share)]
    subrows = {one.alias for one in listing.shown if one.subrow and one.path[-1] == "stats"}
    return [
        {name: value for name, value in row.items() if name not in subrows}
        if chosen(number, share)
        else row
        for number, row in enumerate(rows)
    ]


def _columns(choose: Callable[[Shown], bool], change: Callable[[Any], Any]) -> ResponseFault:
    """Return a fault that changes whole columns."""

    def apply(rows: list[Row], listing: Listing, _fault: Fault, _moment: RequestView) -> list[Row]:
        aliases = {one.alias for one in listing.shown if choose(one)}
        return [
            {name: change(value) if name in aliases else value for name, value in row.items()}
            for row in rows
        ]

    return apply


def _is_key(column: Shown) -> bool:
    return column.path[-1] in ("$key", "id") or column.leads_to is not None or column.subrow


def _as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: str(inner) if name in ("$key", "parent_nic", "cluster") else inner
            for name, inner in value.items()
        }
    return str(value) if isinstance(value, int) else value


def _expanded(rows: list[Row], listing: Listing, _fault: Fault, view: RequestView) -> list[Row]:
    tables = {one.alias: one.leads_to for one in listing.shown if one.leads_to is not None}
    return [
        {
            name: _object(value, tables[name], view) if name in tables else value
            for name, value in row.items()
        }
        for row in rows
    ]


def _object(value: Any, table: str, view: RequestView) -> Any:
    if not value:
        return value
    found = TABLES[table].find
    name = getattr(found(view, str(value)), "name", None) if found is not None else None
    return {"$key": value} if name is None else {"$key": value, "name": name}


def _refers_to_node(column: Shown) -> bool:
    return column.leads_to == "nodes" or "node" in column.path


RESPONSE_FAULTS: Mapping[str, ResponseFault] = {
    "short_list": _short,
    "missing_stats": _missing_stats,
    "empty_list": _empty,
    "unknown_status": _unknown_status,
    "null_nodes": _columns(_refers_to_node, lambda _value: None),
    "null_subrows": _columns(lambda one: one.subrow, lambda _value: None),
    "empty_arrays": _columns(lambda one: one.subrow or one.blob, lambda _value: []),
    "expanded_keys": _expanded,
    "string_keys": _columns(_is_key, _as_text),
    "wrong_types": _some(_wrong_types),
    "duplicate_keys": _repeated,
    "missing_key": _some(_without_key),
}
"""Applied in this order."""
