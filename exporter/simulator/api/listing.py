"""Answers list requests: selects, sorts and projects the rows of a table."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import Any, Literal, NamedTuple

from exporter.simulator.api.query import (
    Comparison,
    Condition,
    Field,
    InvalidQueryError,
    columns_of,
    parse_count,
    parse_fields,
    parse_filter,
    parse_sort,
    sort_key,
)
from exporter.simulator.api.row_faults import with_row_faults
from exporter.simulator.api.tables import TABLES
from exporter.simulator.api.tables.columns import RequestView, Table

Row = dict[str, Any]
JoinedFilters = Literal["reject", "ignore", "aliases", "work"]
"""
How a filter on a joined column is treated: ``aliases`` accepts the aliases among ``fields``, and
``work`` paths such as ``machine#type`` too.
"""

Steps = tuple[Callable[[Any, RequestView], Any], ...]

VIEWS = ("most", "summary", "dashboard", "list")


class Reader(NamedTuple):
    """Reads a value of a row's object: ``get(thing)`` if it is fixed, else ``get(thing, view)``."""

    get: Callable[..., Any]
    fixed: bool

    def read(self, thing: Any, view: RequestView) -> Any:
        return self.get(thing) if self.fixed else self.get(thing, view)

    def bound(self, view: RequestView) -> Callable[[Any], Any]:
        get = self.get
        return get if self.fixed else lambda thing: get(thing, view)


@dataclass(frozen=True, slots=True)
class Shown:
    """A column of a response."""

    alias: str
    reader: Reader
    path: tuple[str, ...]
    leads_to: str | None = None
    """The table that the value is a key of, if any."""
    subrow: bool = False
    blob: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """The response to a list request."""

    table: Table
    shown: tuple[Shown, ...]
    rows: list[Row]


def list_rows(
    table: Table, query: Mapping[str, str], view: RequestView, *, joined: JoinedFilters = "aliases"
) -> Listing:
    """
    Return what ``GET /<table>?<query>`` lists.

    Raises:
        InvalidQueryError: The query is invalid.

    """
    shown = _columns(table, query.get("fields"), view)
    things = _select(table, query, shown, view, joined)
    if not shown:
        return Listing(table, shown, [{"$count": len(things)}])
    return Listing(table, shown, project(things, shown, view))


def show_row(table: Table, key: str, fields: str | None, view: RequestView) -> Listing | None:
    """Return what ``GET /<table>/<key>`` shows; None without such a row."""
    thing = find(table, key, view)
    if thing is None:
        return None
    shown = _columns(table, fields, view) or _columns(table, None, view)
    return Listing(table, shown, project([thing], shown, view))


def find(table: Table, key: str, view: RequestView) -> Any:
    """Return the object of a row's key; None without one."""
    if table.find is not None:
        return table.find(view, key)
    column = table.columns.get("$key") or table.columns["key"]
    return next((one for one in table.rows(view) if str(column.get(one, view)) == key), None)


def project(things: Iterable[Any], shown: tuple[Shown, ...], view: RequestView) -> list[Row]:
    """Return one row for each object."""
    columns = [(column.alias, *column.reader) for column in shown]
    return [
        {alias: get(thing) if fixed else get(thing, view) for alias, get, fixed in columns}
        for thing in things
    ]


# Rows.


def _select(
    table: Table,
    query: Mapping[str, str],
    shown: tuple[Shown, ...],
    view: RequestView,
    joined: JoinedFilters,
) -> list[Any]:
    things = list(table.rows(view))
    condition = parse_filter(query.get("filter", ""), now=view.now)
    if condition is not None:
        things = _filter(things, table, condition, shown, view, joined)
    things = _sort(things, table, query.get("sort", ""), shown, view)
    offset, limit = parse_count(query.get("offset")), parse_count(query.get("limit"))
    return things[offset : offset + limit] if limit else things[offset:]


def _filter(
    things: list[Any],
    table: Table,
    condition: Condition,
    shown: tuple[Shown, ...],
    view: RequestView,
    joined: JoinedFilters,
) -> list[Any]:
    names = columns_of(condition)
    others = names - set(table.columns)
    if others and joined == "reject":
        raise InvalidQueryError(", ".join(sorted(others)))
    paths = joined != "aliases"
    getters = {name: _named_reader(table, name, shown, view, paths).bound(view) for name in names}
    if others and joined == "ignore":
        condition = _without(condition, others)
        getters[""] = lambda _thing: ""
    if isinstance(condition, Comparison):
        get = getters[condition.column]

        def holds(thing: Any) -> bool:
            return condition.holds(lambda _name: get(thing))

        if table.ordered and (condition.column, condition.operator) in NEWEST_ROWS:
            return list(takewhile(holds, reversed(things)))[::-1]
        return list(filter(holds, things))
    return [
        thing
        for thing in things
        if condition.holds(lambda name, thing=thing: getters[name](thing))  # type: ignore[misc]
    ]


NEWEST_ROWS = {("$key", "ge"), ("$key", "gt")}
"""Comparisons that hold for the last rows of an ordered table only."""
_TRUE = Comparison("", "ne", "nothing")


def _without(condition: Condition, others: set[str]) -> Condition:
    """Return the condition with comparisons of *others* replaced by true."""
    if isinstance(condition, Comparison):
        return _TRUE if condition.column in others else condition
    return type(condition)(
        _without(condition.first, others),
        tuple((word, _without(other, others)) for word, other in condition.rest),
    )


def _sort(
    things: list[Any], table: Table, text: str, shown: tuple[Shown, ...], view: RequestView
) -> list[Any]:
    for name, down in reversed(parse_sort(text)):
        get = _named_reader(table, name, shown, view, paths=False).bound(view)
        things = sorted(things, key=lambda thing: sort_key(get(thing)), reverse=down)
    return things


def _named_reader(
    table: Table, name: str, shown: tuple[Shown, ...], view: RequestView, paths: bool
) -> Reader:
    """Return the reader of a column of the table, of an alias that is shown, or of a path."""
    if name in table.columns:
        return _reader(table, name, _changes_rows(view))
    for column in shown:
        if column.alias == name and not column.subrow:
            return column.reader
    if paths and "#" in name:
        found = _path(table, Field(tuple(name.split("#")), name), _changes_rows(view))
        if found is not None:
            return found.reader
    raise InvalidQueryError(name)


# Columns.


def _columns(table: Table, fields: str | None, view: RequestView) -> tuple[Shown, ...]:
    """Return the columns in ``fields``; unknown ones are ignored, as in VergeOS."""
    faulty = _changes_rows(view)
    if faulty is None and TABLES.get(table.name) is table:
        return _healthy_columns(table.name, fields)
    return _resolved(table, fields, faulty)


@lru_cache(maxsize=512)  # clients repeat few distinct lists
def _healthy_columns(table: str, fields: str | None) -> tuple[Shown, ...]:
    return _resolved(TABLES[table], fields, None)


def _changes_rows(view: RequestView) -> RequestView | None:
    """Return *view* if faults change values of its rows."""
    return view if view.world.faults.row_faults else None


def _resolved(table: Table, fields: str | None, faulty: RequestView | None) -> tuple[Shown, ...]:
    if fields is None:
        return _named(table, table.default or tuple(table.columns), faulty)
    shown: dict[str, Shown] = {}
    for item in parse_fields(fields):
        for column in _item(table, item, faulty):
            shown[column.alias] = column
    return tuple(shown.values())


def _item(table: Table, item: Field, faulty: RequestView | None) -> tuple[Shown, ...]:
    if item.path == ("all",) and item.inner is None:
        names = [name for name in table.columns if name not in table.hidden_from_all]
        return _named(table, names, faulty)
    if item.path[0] in VIEWS and len(item.path) == 1 and item.inner is None:
        return _named(table, table.default or tuple(table.columns), faulty)
    shown = _path(table, item, faulty)
    return () if shown is None else (shown,)


def _named(table: Table, names: Iterable[str], faulty: RequestView | None) -> tuple[Shown, ...]:
    found = (_path(table, Field((name,), name), faulty) for name in names)
    return tuple(column for column in found if column is not None)


def _path(table: Table, item: Field, faulty: RequestView | None) -> Shown | None:
    """Return the column of a path such as ``machine#status#running``; None if unknown."""
    steps: list[Callable[[Any, RequestView], Any]] = []
    for name in item.path[:-1] if item.inner is None else item.path:
        link = table.links.get(name)
        if link is None:
            return None
        steps.append(link.follow)
        table = TABLES[link.table]
    if item.inner is not None:
        return _subrow(table, item, tuple(steps), faulty)
    return _scalar(table, item, tuple(steps), faulty)


def _subrow(table: Table, item: Field, steps: Steps, faulty: RequestView | None) -> Shown | None:
    columns: dict[str, Shown] = {}
    for inner in item.inner or ():
        for column in _item(table, inner, faulty):
            columns[column.alias] = column
    readers = [(column.alias, *column.reader) for column in columns.values()]

    def get(child: Any, view: RequestView) -> Any:
        return {
            alias: read(child) if fixed else read(child, view) for alias, read, fixed in readers
        }

    reader = _followed(steps, Reader(get, fixed=False))
    return Shown(item.alias, reader, item.path, subrow=True)


def _scalar(table: Table, item: Field, steps: Steps, faulty: RequestView | None) -> Shown | None:
    name = item.path[-1]
    if name == "$display":
        name = "name" if "name" in table.columns else "$key"
    column = table.columns.get(name)
    if column is None:
        return None
    reader = _reader(table, name, faulty)
    if item.function is not None:
        function = FUNCTIONS.get(item.function)
        if function is None:
            return None
        reader = _applied(function, reader)
    leads_to = column.leads_to if item.function is None else None
    return Shown(
        item.alias, _followed(steps, reader), item.path, leads_to=leads_to, blob=column.blob
    )


FUNCTIONS: Mapping[str, Callable[[Any], Any]] = {
    "display": lambda value: None if value is None else str(value).replace("_", " ").capitalize(),
    "count": lambda value: len(value or ()),
    "upper": lambda value: None if value is None else str(value).upper(),
    "lower": lambda value: None if value is None else str(value).lower(),
}


def _applied(function: Callable[[Any], Any], reader: Reader) -> Reader:
    get = reader.get
    if reader.fixed:
        return Reader(lambda thing: function(get(thing)), fixed=True)
    return Reader(lambda thing, view: function(get(thing, view)), fixed=False)


def _reader(table: Table, name: str, faulty: RequestView | None) -> Reader:
    """Return what reads the column *name*, with the faults of the view *faulty*, if any."""
    column = table.columns[name]
    reader = Reader(column.fixed or column.get, fixed=column.fixed is not None)
    if faulty is None:
        return reader
    return Reader(with_row_faults(table, name, reader.bound(faulty), faulty), fixed=True)


def _followed(steps: Steps, reader: Reader) -> Reader:
    """Return what reads the object that *steps* lead to; None where a step leads nowhere."""
    if not steps:
        return reader
    read, fixed = reader

    def get(thing: Any, view: RequestView) -> Any:
        for step in steps:
            thing = step(thing, view)
            if thing is None:
                return None
        return read(thing) if fixed else read(thing, view)

    return Reader(get, fixed=False)
