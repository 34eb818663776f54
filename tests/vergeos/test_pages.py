"""Reading in pages loses no row, also from a server that cuts pages, and costs what is planned."""

import json
import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import BadReplyError, UnreachableError
from exporter.telemetry import Telemetry
from exporter.vergeos.rows import Row
from exporter.vergeos.source import VergeOSSource
from exporter.vergeos.tables import Pace, Table
from tests.recovery.harness import at_once

TABLE = Table("vms", "vms", Pace.FAST, Row, lambda _, key, __: key)
FILTERED = TABLE._replace(where="kind eq 1")


class Server:
    """A table of keys, and the client that reads it; gives at most *most* rows a page."""

    def __init__(self, keys: set[int], most: int = 10**6, *, sorts: bool = True) -> None:
        self.keys = keys
        self.most = most
        self.sorts = sorts
        self.asked: list[Mapping[str, str]] = []
        self.fails = False
        self.meter = Telemetry().meter("system")

    def time(self) -> float:
        return 1000.7

    async def read(self, path: str, query: Mapping[str, str], *, endpoint: str) -> bytes:
        self.asked.append(query)
        if self.fails:
            raise UnreachableError(path)
        below = re.search(r"\$key lt (\d+)", query.get("filter", ""))
        keys = [key for key in self.keys if below is None or key < int(below[1])]
        keys.sort(reverse=self.sorts and query["sort"] == "-$key")
        return json.dumps([{"$key": key} for key in keys[: min(self.most, int(query["limit"]))]]
                          ).encode()  # fmt: skip


class Reader:
    """Reads the table of a server, and counts requests."""

    def __init__(self, server: Server, page_rows: int, table: Table = TABLE) -> None:
        self.server = server
        self.source = VergeOSSource(server, [table], page_rows=page_rows)  # type: ignore[arg-type]

    def read(self) -> set[int]:
        return set(at_once(self.source.read("vms")).rows)

    def cost(self) -> int:
        """Read; return the number of requests."""
        before = len(self.server.asked)
        assert self.read() == self.server.keys
        return len(self.server.asked) - before

    @property
    def planned(self) -> int:
        return self.source.requests()["vms"]


@pytest.mark.parametrize(
    ("rows", "page_rows", "requests"),
    [
        (12, 1000, 1),
        (0, 1000, 1),
        (999, 1000, 1),
        (1000, 1000, 2),  # a full page may not be the last
        (1001, 1000, 2),
        (2100, 1000, 3),
        (12, 12, 2),
        (12, 5, 3),
    ],
)
def test_read_costs_one_request_a_page_once_the_last_page_is_known(
    rows: int, page_rows: int, requests: int
) -> None:
    reader = Reader(Server(set(range(1, rows + 1))), page_rows)
    assert reader.planned == 1  # assumed
    reader.cost()

    assert reader.planned == requests
    assert [reader.cost() for _ in range(3)] == [requests] * 3
    assert reader.planned == requests


def test_key_of_zero_ends_a_page_like_any_other() -> None:
    by_number = TABLE._replace(key=lambda row: 1000 if row.key == 0 else row.key)
    reader = Reader(Server({0, 1, 3}), 1000, by_number)

    assert reader.read() == {1000, 1, 3}
    before = len(reader.server.asked)
    assert reader.read() == {1000, 1, 3}
    assert len(reader.server.asked) - before == 1


def test_table_that_grows_needs_more_requests() -> None:
    server = Server(set(range(1, 999)))
    reader = Reader(server, 1000)
    planned = []

    for rows in (1000, 1001, 2100):
        server.keys = set(range(1, rows))
        reader.cost()
        planned.append(reader.planned)

    assert planned == [1, 2, 3]


@pytest.mark.parametrize(("rows", "most"), [(13, 12), (500, 100), (250, 100), (300, 100)])
def test_server_that_cuts_pages_hides_no_row(rows: int, most: int) -> None:
    reader = Reader(Server(set(range(1, rows + 1)), most), 1000)

    costs = [reader.cost() for _ in range(3)]

    assert costs == [-(-rows // most) + 1] * 3
    assert reader.planned == costs[0]


@pytest.mark.parametrize("most", [12, 100])
def test_row_is_found_that_is_created_when_the_page_just_reached_the_cut(most: int) -> None:
    server = Server(set(range(1, most + 1)), most)
    reader = Reader(server, 1000)
    assert [reader.cost() for _ in range(3)] == [2, 1, 1]

    server.keys.add(most + 1)

    assert reader.read() == server.keys


def test_server_that_comes_back_from_an_outage_is_not_trusted_as_before() -> None:
    server = Server(set(range(1, 31)))
    reader = Reader(server, 10)
    assert reader.cost() == 4
    server.fails, server.most = True, 5
    with pytest.raises(UnreachableError):
        reader.read()
    server.fails = False

    assert reader.cost() == 7


def test_pages_of_a_filtered_table_keep_its_filter() -> None:
    reader = Reader(Server(set(range(1, 8))), 5, FILTERED)
    reader.cost()

    filters = [query["filter"] for query in reader.server.asked]
    assert filters == ["kind eq 1", "(kind eq 1) and ($key lt 3)"]


@pytest.mark.parametrize(
    ("where", "wanted"),
    [("", "timestamp ge 400"), ("kind eq 1", "(kind eq 1) and (timestamp ge 400)")],
)
def test_history_is_asked_for_its_recent_rows_only(where: str, wanted: str) -> None:
    table = TABLE._replace(recent_seconds=600, where=where)
    reader = Reader(Server({1, 2, 3}), 2, table)
    reader.read()

    filters = [query["filter"] for query in reader.server.asked]
    assert filters == [wanted, f"({wanted}) and ($key lt 2)"]


def test_server_that_does_not_sort_is_refused() -> None:
    reader = Reader(Server({1, 2, 3}, sorts=False), 2)

    with pytest.raises(BadReplyError, match="its keys do not descend"):
        reader.read()


changes = st.lists(
    st.tuples(st.integers(0, 6), st.sets(st.integers(1, 60), max_size=6)), max_size=12
)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 40), changes)
def test_no_row_is_lost_whatever_the_server_cuts_and_the_table_does(
    page_rows: int, most: int, rows: int, steps: list[tuple[int, set[int]]]
) -> None:
    server = Server(set(range(1, rows + 1)), most)
    reader = Reader(server, page_rows)
    newest = rows

    for created, deleted in steps:
        assert reader.read() == server.keys
        planned = reader.planned
        assert reader.cost() == planned
        server.keys = server.keys - deleted | set(range(newest + 1, newest + created + 1))
        newest += created
