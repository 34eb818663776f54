"""Mutants of Python code, made from its syntax tree."""

import ast
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.mutation.mutant import ROOT, Mutant

_PAIRS: tuple[tuple[type, type], ...] = (
    *((ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq)),
    *((ast.Is, ast.IsNot), (ast.In, ast.NotIn)),
)
NEIGHBORS: Mapping[type, type] = dict([*_PAIRS, *(pair[::-1] for pair in _PAIRS)])


def python_mutants(file: Path) -> Iterator[Mutant]:
    """Yield every mutant of the module *file*, each different text once."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    seen = {ast.unparse(tree)}
    for parent, field, index in list(_places(tree)):
        held: Any = getattr(parent, field)
        node = held if index is None else held[index]
        replacements = REPLACEMENTS.get(type(node), lambda _: [])(node)
        if field in ("test", "guard", "ifs") and _code(node) != "TYPE_CHECKING":
            replacements = [ast.UnaryOp(ast.Not(), node), *replacements]
        for new in replacements:
            changed = new
            if index is not None:
                changed = [*held[:index], *([new] if new else []), *held[index + 1 :]]
            setattr(parent, field, changed)
            text = ast.unparse(ast.fix_missing_locations(tree)) if changed else ""
            setattr(parent, field, held)
            if text and text not in seen:
                seen.add(text)
                placed = node if hasattr(node, "lineno") else parent
                first = getattr(placed, "lineno", 0)
                lines = range(first, getattr(node, "end_lineno", first) + 1)
                before, after = _code(node), _code(new)
                start = max(_common_length(before, after) - 60, 0)
                excerpt = slice(start, start + 160)
                yield Mutant(file, lines, before[excerpt], after[excerpt], text)


def _places(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None]]:
    """Yield where each node below *node* is held, without types and defaults of fields."""
    skipped = {"annotation", "returns", "decorator_list", "pattern", "bases"}
    if isinstance(node, ast.ClassDef):
        skipped.add("keywords")  # such as frozen=True: what the type checker holds
    for field, value in ast.iter_fields(node):
        if field in skipped:
            continue
        if field == "func" and isinstance(value, ast.Subscript):
            continue  # dict[str, int](): types again
        for index, child in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(child, ast.AST) and not _is_type_alias(child):
                if not isinstance(node, ast.ClassDef):
                    yield node, field, index if isinstance(value, list) else None
                if not (isinstance(node, ast.ClassDef) and isinstance(child, ast.AnnAssign)):
                    yield from _places(child)


def _is_type_alias(node: ast.AST) -> bool:
    """Return whether *node* is a statement such as ``Tags = Mapping[int, str]``."""
    return (
        isinstance(node, ast.Assign)
        and node.col_offset == 0
        and isinstance(node.value, ast.Subscript)
    )


def _code(node: ast.AST | None) -> str:
    return " ".join(ast.unparse(node).split()) if node else "(removed)"


def _common_length(before: str, after: str) -> int:
    pairs = enumerate(zip(before, after, strict=False))
    return next((index for index, (one, other) in pairs if one != other), len(after))


def _constant(node: ast.Constant) -> list[Any]:
    if isinstance(node.value, bool):
        return [ast.Constant(not node.value)]
    return [ast.Constant(node.value * 2 or 1)] if isinstance(node.value, int | float) else []


def _boolean(node: ast.BoolOp) -> list[Any]:
    rests = _without_one(node.values)
    return [ast.BoolOp(node.op, rest) if len(rest) > 1 else rest[0] for rest in rests]


def _dictionary(node: ast.Dict) -> list[Any]:
    rests = _without_one(list(zip(node.keys, node.values, strict=True)))
    return [ast.Dict([key for key, _ in rest], [value for _, value in rest]) for rest in rests]


def _compare(node: ast.Compare) -> list[Any]:
    if len(node.ops) > 1:
        return []
    return [ast.Compare(node.left, [NEIGHBORS[type(node.ops[0])]()], node.comparators)]


REPLACEMENTS: Mapping[type[ast.AST], Callable[[Any], list[Any]]] = {
    ast.UnaryOp: lambda node: [node.operand] if isinstance(node.op, ast.Not) else [],
    ast.Compare: _compare,
    ast.BoolOp: _boolean,
    ast.Constant: _constant,
    ast.Tuple: lambda node: [ast.Tuple(rest, node.ctx) for rest in _without_one(node.elts)],
    ast.Set: lambda node: [ast.Set(rest) for rest in _without_one(node.elts) if rest],
    ast.Dict: _dictionary,
    ast.Return: lambda node: [] if _is_falsy(node.value) else [ast.Return(ast.Constant(None))],
    ast.Expr: lambda node: [] if isinstance(node.value, ast.Constant) else [ast.Pass()],
    ast.Assign: lambda node: [] if isinstance(node.targets[0], ast.Name) else [ast.Pass()],
    ast.AugAssign: lambda _: [ast.Pass()],
    ast.Raise: lambda _: [ast.Pass()],
    ast.Continue: lambda _: [ast.Pass()],
    ast.match_case: lambda _: [None],  # None removes the item
}
"""What may stand instead of a node."""


def _is_falsy(node: ast.expr | None) -> bool:
    """Return whether None in place of *node* would be a change for the type checker alone."""
    empty = isinstance(node, ast.Tuple | ast.List) and not node.elts
    return node is None or empty or (isinstance(node, ast.Constant) and not node.value)


def _without_one(items: list[Any]) -> list[list[Any]]:
    return [[*items[:index], *items[index + 1 :]] for index in range(len(items))]
