"""Finds queries that count a VM, node or system once for each daemon that exports it."""

from collections.abc import Iterator
from typing import Any

import promql_parser as promql

from exporter.collectors.registry import FAMILIES

OF_EACH_DAEMON = "instance"
OF_SYSTEMS = frozenset(
    family.name for family in FAMILIES if not family.name.startswith("vergewatch_table_")
)
"""What every daemon that watches a system exports of it; the other metrics are about daemons."""
COUNTING = frozenset({"sum", "count", "avg", "stddev", "stdvar", "quantile", "topk", "bottomk"})
FILTERS = frozenset({"and", "unless"})


def counted_for_each_daemon(query: str) -> Iterator[str]:
    """Yield each aggregation of *query* over series that differ only in the daemon."""
    yield from _found(promql.parse(query))


def _found(node: Any) -> Iterator[str]:
    if isinstance(node, promql.AggregateExpr):
        op = str(node.op).lower()
        picks_one = op == "topk" and str(node.param) == "1"
        if op in COUNTING and not picks_one and _is_of_each_daemon(node.expr):
            yield f"{op} of series that each daemon exports: {node.expr}"
    for part in _parts(node):
        yield from _found(part)


def _is_of_each_daemon(node: Any) -> bool:
    """Return whether the result of *node* has a series for each daemon that watches a system."""
    if isinstance(node, promql.VectorSelector):
        return node.name in OF_SYSTEMS
    if isinstance(node, promql.AggregateExpr):
        return _keeps_daemon(node.modifier) and _is_of_each_daemon(node.expr)
    if isinstance(node, promql.BinaryExpr) and _is_of_left(node):
        return _is_of_each_daemon(node.lhs)
    return any(map(_is_of_each_daemon, _parts(node)))


def _keeps_daemon(modifier: Any) -> bool:
    if modifier is None:
        return False
    listed = OF_EACH_DAEMON in modifier.labels
    return bool(listed != (modifier.type == promql.AggModifierType.Without))


def _is_of_left(node: Any) -> bool:
    """Return whether the result has one series for each on the left."""
    return str(node.op) in FILTERS or "group_left" in str(node.modifier)


def _parts(node: Any) -> Iterator[Any]:
    if isinstance(node, promql.BinaryExpr):
        yield from (node.lhs, node.rhs)
    elif isinstance(node, promql.Call):
        yield from node.args
    elif isinstance(node, promql.MatrixSelector):
        yield node.vector_selector
    elif hasattr(node, "expr"):
        yield node.expr
