"""The page ``/vms``: finds VMs by words and filters, the worst first."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from exporter.console import links
from exporter.console.fleet import VMEntry
from exporter.console.history_bar import HEIGHT, WIDTH, history_bar
from exporter.console.tones import OF_RECOVERY
from exporter.console.vm_condition import Condition
from exporter.console.vm_list import VMS_PATH
from exporter.console.vm_query import (
    NO_QUERY,
    PAGE_SIZE,
    FoundVMs,
    InvalidQueryError,
    ListFormat,
    VMQuery,
    parse_query,
    query_string,
)
from exporter.executor import run_in_thread
from exporter.recovery.report.presentation import STATES
from exporter.web.console.console import Console

PATH = "/vms"
LABELS: Mapping[str, str] = {
    "system": "System",
    "condition": "Condition",
    "status": "Status",
    "state": "Recovery state",
    "cause": "Cause",
    "guard": "Held by",
    "enrolment": "Enrolment",
    "tag": "Tag",
    "node": "Node",
    "cluster": "Cluster",
}
"""The filters, in the order of the page."""


class Column(NamedTuple):
    """A column of the table."""

    key: str
    """What it is sorted by; empty if it is not sorted by it."""
    title: str
    is_number: bool = False
    """It is first sorted in descending order."""


COLUMNS = (
    Column("condition", "Condition"),
    Column("name", "Name"),
    Column("", "Last 24 h"),
    Column("status", "Status"),
    Column("node", "Node"),
    Column("cluster", "Cluster"),
    Column("cores", "Cores", is_number=True),
    Column("cpu", "CPU", is_number=True),
    Column("memory", "Memory", is_number=True),
    Column("address", "IP"),
    Column("tags", "Tags"),
    Column("recovery", "Recovery"),
    Column("down_since", "Down since", is_number=True),
)


SORTS = (
    ("condition", "Worst first"),
    ("name", "Name"),
    ("-cpu", "Most CPU"),
    ("-memory", "Most memory"),
    ("-down_since", "Down most recently"),
    ("down_since", "Down for longest"),
    ("node", "Node"),
    ("recovery", "Recovery state"),
)
"""What a screen that is too narrow for the heads of columns offers."""
TONES = {state: OF_RECOVERY[tone] for state, tone in STATES.items()}
"""Of each recovery state."""


class Heading(NamedTuple):
    """The head of a column."""

    column: Column
    href: str
    """Where the table is sorted by it; empty if it never is."""
    order: str
    """``ascending`` or ``descending`` if the table is sorted by it; else empty."""


class Filter(NamedTuple):
    """A filter: what can be chosen, and what is."""

    name: str
    label: str
    chosen: str
    options: Sequence[str]
    without: str
    """The address of the list without it."""


async def show(console: Console, request: web.Request) -> web.Response:
    """Respond with the VMs that fit the query, one page of them."""
    try:
        query = parse_query(request.query.items(), ignore_unknown=True)
    except InvalidQueryError as error:
        return await console.problem(request, HTTPStatus.BAD_REQUEST, f"{error}.")
    query = msgspec.structs.replace(query, per_page=PAGE_SIZE, format=ListFormat.JSON)
    vms = console.vms()
    response = await console.page(
        request,
        "vms.html",
        await run_in_thread(partial(_values, console, vms, query)),
    )
    if "HX-Trigger-Name" in request.headers:
        # A form also sends what is empty. Each word typed is no page of its own.
        is_typing = request.headers["HX-Trigger-Name"] == "q"
        header = "HX-Replace-Url" if is_typing else "HX-Push-Url"
        response.headers[header] = address(query)
    return response


def address(query: VMQuery, **changes: Any) -> str:
    """Return the address of the list with *query* and *changes*, on its first page."""
    changed = msgspec.structs.replace(query, **{"page": 1, **changes})
    parameters = query_string(changed)
    return f"{PATH}?{parameters}" if parameters else PATH


def _values(console: Console, vms: tuple[VMEntry, ...], query: VMQuery) -> Mapping[str, Any]:
    found = console.search.find(vms, query)
    if found.page > found.pages:
        query = msgspec.structs.replace(query, page=found.pages)
        found = msgspec.structs.replace(found, page=found.pages)
    everything = msgspec.structs.replace(query, page=1, format=ListFormat.CSV)
    choices = console.choices(vms)
    filters = list(_filters(choices, query))
    return {
        "query": query,
        "found": found,
        "first": (found.page - 1) * found.per_page + 1,
        "all_vms": len(vms),
        "here": address(query, page=query.page),
        "before": address(query, page=query.page - 1) if query.page > 1 else "",
        "after": address(query, page=query.page + 1) if query.page < found.pages else "",
        "conditions": _conditions(found, query),
        "without_condition": address(query, condition=None),
        "filters": filters,
        "chosen": [one for one in filters if one.chosen],
        "without_words": address(query, q=""),
        "sorts": SORTS,
        "tones": TONES,
        "headings": [_heading(column, query) for column in COLUMNS],
        "several_systems": len(choices["system"]) > 1,
        "csv": f"{VMS_PATH}?{query_string(everything)}",
        "json": f"{VMS_PATH}?{query_string(query)}",
        "vm_address": links.vm,
        "bars": {
            name: history_bar(segments)
            for name, segments in console.status_history(found.shown).items()
        },
        "bar_size": f"0 0 {WIDTH} {HEIGHT}",
        "tag_address": lambda tag: address(VMQuery(tag=tag)),
    }


def _conditions(found: FoundVMs, query: VMQuery) -> Sequence[tuple[Condition, int, str]]:
    """Return each condition, how many VMs are in it, and where they are listed."""
    return [
        (condition, found.conditions.get(condition, 0), address(query, condition=condition))
        for condition in Condition
    ]


def _filters(choices: Mapping[str, Sequence[str]], query: VMQuery) -> Iterable[Filter]:
    """Return the filters that have a choice, or are in use."""
    for name, label in LABELS.items():
        chosen = str(getattr(query, name) or "")
        options = choices[name]
        if chosen and chosen not in options:
            options = [chosen, *options]
        if len(options) > 1 or chosen:
            without = address(query, **{name: getattr(NO_QUERY, name)})
            yield Filter(name, label, chosen, options, without)


def _heading(column: Column, query: VMQuery) -> Heading:
    if not column.key:
        return Heading(column, "", "")
    ascending, descending = column.key, f"-{column.key}"
    orders = {ascending: "ascending", descending: "descending"}
    first, second = (descending, ascending) if column.is_number else (ascending, descending)
    sort = second if query.sort == first else first
    return Heading(column, address(query, sort=sort), orders.get(query.sort, ""))
