"""No value that VergeOS may answer, however odd, is an error of a check."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from exporter.collectors.plan import tables_of
from exporter.collectors.registry import COLLECTORS
from exporter.doctor.doctor import Doctor
from exporter.doctor.registry import CHECKS
from exporter.errors import BadReplyError
from exporter.model import Level
from exporter.simulator.api.listing import list_rows
from exporter.simulator.api.tables import TABLES
from exporter.simulator.api.tables.columns import RequestView
from exporter.vergeos.tables import Table
from tests.doctor.faults import expected_findings
from tests.doctor.test_doctor import NOON, report
from tests.doctor.test_faults import read, world

ODD: tuple[Any, ...] = (
    None,
    "",
    "odd",
    "-1",
    "nan",
    0,
    -1,
    1e300,
    2**70,
    True,
    [],
    {},
    [None],
    {"name": None},
)
CHECKED = [table for table in tables_of(COLLECTORS)
           if any(table.name in check.tables for check in CHECKS)]  # fmt: skip


def answers(table: Table, level: Level) -> Iterator[list[dict[str, Any]]]:
    """
    Yield answers for *table* in which one value of the first row is odd, or missing.

    Every fault of *level* is on, so that all that the checks say of a finding is said.
    """
    here = world()
    for one in expected_findings():
        if one.check.examine_polling is None and (
            one.level is level or one.check.name == "alarms"  # which has no rows without
        ):
            here.faults.turn_on(one.cause.fault, **one.cause.parameters)
    view = RequestView(world=here, now=here.now, stamp=here.now)
    query = {"fields": ",".join(table.fields)}
    if where := table.condition(now=here.now):
        query["filter"] = where
    rows = list_rows(TABLES[table.endpoint], query, view, joined="work").rows
    first = rows[0] if rows else {}
    for field in first:
        yield [{name: value for name, value in first.items() if name != field}, *rows[1:]]
        for odd in ODD:
            yield [{**first, field: odd}, *rows[1:]]


@pytest.mark.parametrize("table", CHECKED, ids=lambda table: table.name)
@pytest.mark.parametrize("level", Level)
def test_odd_value_is_no_error_of_a_check(table: Table, level: Level) -> None:
    whole = read(world())
    names = {check.name for check in CHECKS if table.name in check.tables}
    checks = [check for check in CHECKS if check.name in names]

    for answer in answers(table, level):
        try:
            rows = table.decode(json.dumps(answer).encode()).rows
        except BadReplyError:
            continue
        found = msgspec.structs.replace(whole, sources={**whole.sources, table.name: rows})
        results = Doctor(checks).examine(found, report(), now=NOON).doctor
        assert {one.check for one in results} == names
