"""
The tables ``logs`` and ``machine_logs``, with timestamps in microseconds.

Fields: docs/vergeos-api.md.
"""

from collections.abc import Iterable
from functools import lru_cache

from exporter.simulator.api.tables.columns import Link, RequestView, Table, attribute
from exporter.simulator.world.platform_log import Entry
from exporter.simulator.world.rng import Rng


def _visible(view: RequestView, table: str, rows: Iterable[Entry]) -> Iterable[Entry]:
    if view.logs_until is not None:
        limit = view.logs_until * 1_000_000
        rows = [row for row in rows if row.at_us <= limit]
    if view.logs_lost:
        rows = [row for row in rows if loss_rank(view.world.seed, table, row.key) >= view.logs_lost]
    return rows


@lru_cache(maxsize=2**16)
def loss_rank(seed: int, table: str, key: int) -> float:
    """Return a number from 0 to 1, always the same for one row; below the lost share it is lost."""
    return Rng(f"{seed}/{table}/{key}").random()


_LOGS = Table(
    name="logs",
    ordered=True,
    rows=lambda view: _visible(view, "logs", view.world.platform_log.logs),
    columns={
        "$key": attribute("key"),
        "level": attribute("level"),
        "text": attribute("text"),
        "timestamp": attribute("at_us"),
        "dbtime": attribute("at_us"),
        "user": attribute("user"),
        "object_type": attribute("object_type"),
        "object_name": attribute("object_name"),
    },
)


_MACHINE_LOGS = Table(
    name="machine_logs",
    ordered=True,
    rows=lambda view: _visible(view, "machine_logs", view.world.platform_log.machine_logs),
    columns={
        "$key": attribute("key"),
        "machine": attribute("machine", leads_to="machines"),
        "level": attribute("level"),
        "text": attribute("text"),
        "timestamp": attribute("at_us"),
        "user": attribute("user"),
    },
    links={"machine": Link("machines", lambda row, view: view.world.machines.get(row.machine))},
)


TABLES = (_LOGS, _MACHINE_LOGS)
