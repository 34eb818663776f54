"""Answers list requests: selects, sorts and projects the rows of a table."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

from exporter.simulator.api.query import (
    Comparison,
    Condition,
    Field,
    Getter,
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
JoinedFilters = Literal["reject", "ignore", "work"]
"""
How a filter on a joined column is treated; the behavior of a real system is not known.

``reject`` accepts an alias that is among ``fields``, which pyvergeos filters by, and no path.
"""

VIEWS = ("most", "summary", "dashboard", "list")


@dataclass(frozen=True, slots=True)
class Shown:
    """A column of a response."""

    alias: str
    get: Callable[[Any], Any]
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
    table: Table, query: Mapping[str, str], view: RequestView, *, joined: JoinedFilters = "reject"
) -> Listing:
    """
    Return what ``GET /<table>?<query>`` lists.

    Raises:
        InvalidQueryError: The query is invalid.

    """
    things = _select(table, query, view, joined)
    shown = _columns(table, query.get("fields"), view)
    if not shown:
        return Listing(table, shown, [{"$count": len(things)}])
    return Listing(table, shown, project(things, shown))


def show_row(table: Table, key: str, fields: str | None, view: RequestView) -> Listing | None:
    """Return what ``GET /<table>/<key>`` shows; None without such a row."""
    thing = find(table, key, view)
    if thing is None:
        return None
    shown = _columns(table, fields, view) or _columns(table, None, view)
    return Listing(table, shown, project([thing], shown))


def find(table: Table, key: str, view: RequestView) -> Any:
    """Return the object of a row's key; None without one."""
    if table.find is not None:
        return table.find(view, key)
    column = table.columns.get("$key") or table.columns["key"]
    return next((one for one in table.rows(view) if str(column.get(one, view)) == key), None)


def project(things: Iterable[Any], shown: tuple[Shown, ...]) -> list[Row]:
    """Return one row for each object."""
    pairs = [(column.alias, column.get) for column in shown]
    return [{alias: get(thing) for alias, get in pairs} for thing in things]


# Rows.


def _select(
    table: Table, query: Mapping[str, str], view: RequestView, joined: JoinedFilters
) -> list[Any]:
    things = list(table.rows(view))
    condition = parse_filter(query.get("filter", ""), now=view.now)
    if condition is not None:
        things = _filter(things, table, condition, query.get("fields"), view, joined)
    things = _sort(things, table, query.get("sort", ""), query.get("fields"), view)
    offset, limit = parse_count(query.get("offset")), parse_count(query.get("limit"))
    return things[offset : offset + limit] if limit else things[offset:]


def _filter(
    things: list[Any],
    table: Table,
    condition: Condition,
    fields: str | None,
    view: RequestView,
    joined: JoinedFilters,
) -> list[Any]:
    getters = {name: _reader(table, name, view) for name in table.columns}
    joined_names = columns_of(condition) - set(getters)
    if joined_names:
        found = _joined(table, joined_names, fields, view)
        paths = {name for name in joined_names if "#" in name}
        if (joined == "reject" and paths) or joined_names - set(found):
            raise InvalidQueryError(", ".join(sorted(joined_names)))
        if joined == "ignore":
            condition = _without(condition, joined_names)
        getters.update(found)
    if isinstance(condition, Comparison) and condition.column in getters:
        get = getters[condition.column]

        def holds(thing: Any) -> bool:
            return condition.holds(lambda _name: get(thing))

        if table.ordered and (condition.column, condition.operator) in NEWEST_ROWS:
            return list(takewhile(holds, reversed(things)))[::-1]
        return list(filter(holds, things))
    return [thing for thing in things if condition.holds(_getter(getters, thing))]


def _getter(getters: Mapping[str, Callable[[Any], Any]], thing: Any) -> Getter:
    return lambda name: getters[name](thing)


NEWEST_ROWS = {("$key", "ge"), ("$key", "gt")}
"""Comparisons that hold for the last rows of an ordered table only."""
_TRUE = Comparison("", "ne", "nothing")


def _without(condition: Condition, joined_names: set[str]) -> Condition:
    """Return the condition with comparisons of *joined_names* replaced by true."""
    if isinstance(condition, Comparison):
        return _TRUE if condition.column in joined_names else condition
    return type(condition)(
        _without(condition.first, joined_names),
        tuple((word, _without(other, joined_names)) for word, other in condition.rest),
    )


def _joined(
    table: Table, names: set[str], fields: str | None, view: RequestView
) -> dict[str, Callable[[Any], Any]]:
    """Return getters for columns of other tables, by path or alias in ``fields``."""
    found = {"": lambda _thing: ""}
    aliases = {column.alias: column.get for column in _columns(table, fields, view)}
    for name in names:
        if name in aliases:
            found[name] = aliases[name]
        elif "#" in name and (shown := _path(table, Field(tuple(name.split("#")), name), view)):
            found[name] = shown.get
    return found


def _sort(
    things: list[Any], table: Table, text: str, fields: str | None, view: RequestView
) -> list[Any]:
    for name, down in reversed(parse_sort(text)):
        if name in table.columns:
            get = _reader(table, name, view)
        else:
            found = _joined(table, {name}, fields, view)
            if "#" in name or name not in found:
                raise InvalidQueryError(name)
            get = found[name]
        things = sorted(things, key=lambda thing: sort_key(get(thing)), reverse=down)
    return things


# Columns.


def _columns(table: Table, fields: str | None, view: RequestView) -> tuple[Shown, ...]:
    """Return the columns in ``fields``; unknown ones are ignored, as in VergeOS."""
    if fields is None:
        return _named(table, table.default or tuple(table.columns), view)
    shown: dict[str, Shown] = {}
    for item in parse_fields(fields):
        for column in _item(table, item, view):
            shown[column.alias] = column
    return tuple(shown.values())


def _item(table: Table, item: Field, view: RequestView) -> tuple[Shown, ...]:
    if item.path == ("all",) and item.inner is None:
        names = [name for name in table.columns if name not in table.hidden_from_all]
        return _named(table, names, view)
    if item.path[0] in VIEWS and len(item.path) == 1 and item.inner is None:
        return _named(table, table.default or tuple(table.columns), view)
    shown = _path(table, item, view)
    return () if shown is None else (shown,)


def _named(table: Table, names: Iterable[str], view: RequestView) -> tuple[Shown, ...]:
    found = (_path(table, Field((name,), name), view) for name in names)
    return tuple(column for column in found if column is not None)


def _path(table: Table, item: Field, view: RequestView) -> Shown | None:
    """Return the column of a path such as ``machine#status#running``; None if unknown."""
    steps: list[Callable[[Any, RequestView], Any]] = []
    for name in item.path[:-1] if item.inner is None else item.path:
        link = table.links.get(name)
        if link is None:
            return None
        steps.append(link.follow)
        table = TABLES[link.table]
    if item.inner is not None:
        return _subrow(table, item, steps, view)
    return _scalar(table, item, steps, view)


def _subrow(
    table: Table, item: Field, steps: list[Callable[[Any, RequestView], Any]], view: RequestView
) -> Shown | None:
    columns: dict[str, Shown] = {}
    for inner in item.inner or ():
        for column in _item(table, inner, view):
            columns[column.alias] = column
    pairs = [(column.alias, column.get) for column in columns.values()]
    follow = _follower(steps, view)

    def get(thing: Any) -> Any:
        child = follow(thing)
        return None if child is None else {alias: read(child) for alias, read in pairs}

    return Shown(item.alias, get, item.path, subrow=True)


def _scalar(
    table: Table, item: Field, steps: list[Callable[[Any, RequestView], Any]], view: RequestView
) -> Shown | None:
    name = item.path[-1]
    if name == "$display":
        name = "name" if "name" in table.columns else "$key"
    column = table.columns.get(name)
    if column is None:
        return None
    read = _reader(table, name, view)
    if item.function is not None:
        function = FUNCTIONS.get(item.function)
        if function is None:
            return None
        read = _applied(function, read)
    if steps:
        follow, last = _follower(steps, view), read

        def read(thing: Any) -> Any:
            child = follow(thing)
            return None if child is None else last(child)

    leads_to = column.leads_to if item.function is None else None
    return Shown(item.alias, read, item.path, leads_to=leads_to, blob=column.blob)


FUNCTIONS: Mapping[str, Callable[[Any], Any]] = {
    "display": lambda value: None if value is None else str(value).replace("_", " ").capitalize(),
    "count": lambda value: len(value or ()),
    "upper": lambda value: None if value is None else str(value).upper(),
    "lower": lambda value: None if value is None else str(value).lower(),
}


def _applied(function: Callable[[Any], Any], read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda thing: function(read(thing))


def _reader(table: Table, name: str, view: RequestView) -> Callable[[Any], Any]:
    """Return what reads the column *name* of an object in *view*."""
    column = table.columns[name]
    read = column.fixed or _bound(column.get, view)
    return with_row_faults(table, name, read, view) if view.world.faults.row_faults else read


def _bound(get: Callable[[Any, RequestView], Any], view: RequestView) -> Callable[[Any], Any]:
    return lambda thing: get(thing, view)


def _follower(
    steps: list[Callable[[Any, RequestView], Any]], view: RequestView
) -> Callable[[Any], Any]:
    if len(steps) == 1:
        step = steps[0]
        return lambda thing: step(thing, view)

    def follow(thing: Any) -> Any:
        for step in steps:
            if thing is None:
                return None
            thing = step(thing, view)
        return thing

    return follow
