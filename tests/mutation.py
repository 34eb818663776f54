"""
Mutation tests: ``make mutants``.

Changes one expression, statement or alert rule at a time in a copy of the checkout, and runs the
tests that must notice. A mutant that survives shows a behavior that no test requires.
"""

import argparse
import ast
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Any, NamedTuple

import yaml

from tools.alert_rules.files import rule_files

ROOT = Path(__file__).parents[1]
CORE = re.compile(r"exporter/recovery/(observe|detect|decide|verify|model)\b.*\.py")
RULES = Path("tools/alert_rules/files.py")
CORE_TESTS = "tests/recovery/test_*.py"
RULE_TESTS = "tests/alert_rules/test_cases.py"
SLOW_SECONDS = 30.0
"""A test file that needs more CPU time is not run for every mutant."""
HANG_SECONDS = 600.0
"""A mutant whose tests take longer counts as killed."""
NOT_COPIED = (".*", "__pycache__", "node_modules", "dist", "htmlcov")

ACCEPTED: Mapping[str, str] = {}
"""Survivors that change no behavior, as printed but without the line number, and the reason."""

_PAIRS: tuple[tuple[type, type], ...] = (
    *((ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq)),
    *((ast.Is, ast.IsNot), (ast.In, ast.NotIn)),
)
NEIGHBORS: Mapping[type, type] = dict([*_PAIRS, *(pair[::-1] for pair in _PAIRS)])
OPPOSITES = dict(
    pair.split() for pair in ("> <", "< >", ">= <=", "<= >=", "== !=", "!= ==", "= !=", "=~ !~")
) | {"!~": "=~", "and": "unless", "unless": "and", "or": "and"}
EXPRESSION_CHANGES = (
    (r"(?<= )(>=|<=|==|!=|>|<)(?= )", None),
    (r"\b(and|unless|or)\b", None),
    (r"(?<=\w)(=~|!~|=)(?=\")", None),
    (r"!=(?=\")", "="),
    (r"(?<=[<>=] )(\d[\d.]*)", r"(2 * \1 + 1)"),
    (r"\{[^}]+\}", '{no_such_label="x"}'),  # selects nothing: as without this operand
    (r'\w+=~?"[^"]*"(?=[,}])', 'no_such_label=""'),  # as without this matcher
)
"""Patterns of PromQL and their replacement; without one, the opposite."""


class Mutant(NamedTuple):
    """One change of one file."""

    file: Path
    line: int
    before: str
    after: str
    text: str
    """The whole file after the change."""

    @property
    def key(self) -> str:
        return f"{self.file}: {self.before} → {self.after}"


# --- Mutants of Python code ---


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
                line = getattr(node, "lineno", getattr(parent, "lineno", 0))
                before, after = _code(node), _code(new)
                start = max(_common_length(before, after) - 60, 0)
                excerpt = slice(start, start + 160)
                yield Mutant(file, line, before[excerpt], after[excerpt], text)


def _places(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None]]:
    """Yield where each node below *node* is held, without types and defaults of fields."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "pattern", "bases"):
            continue
        for index, child in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(child, ast.AST):
                if not isinstance(node, ast.ClassDef):
                    yield node, field, index if isinstance(value, list) else None
                if not (isinstance(node, ast.ClassDef) and isinstance(child, ast.AnnAssign)):
                    yield from _places(child)


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
    ast.Return: lambda node: [ast.Return(ast.Constant(None))] if node.value else [],
    ast.Expr: lambda node: [] if isinstance(node.value, ast.Constant) else [ast.Pass()],
    ast.Assign: lambda node: [] if isinstance(node.targets[0], ast.Name) else [ast.Pass()],
    ast.AugAssign: lambda _: [ast.Pass()],
    ast.Raise: lambda _: [ast.Pass()],
    ast.Continue: lambda _: [ast.Pass()],
    ast.match_case: lambda _: [None],  # None removes the item
}
"""What may stand instead of a node."""


def _without_one(items: list[Any]) -> list[list[Any]]:
    return [[*items[:index], *items[index + 1 :]] for index in range(len(items))]


# --- Mutants of alert rules ---


def rule_mutants() -> Iterator[Mutant]:
    """Yield every mutant of the alert rules that `tools.alert_rules` generates."""
    source = (ROOT / RULES).read_text(encoding="utf-8")
    for path, text in rule_files().items():
        if not path.endswith(".rules.yml"):
            continue
        content = yaml.safe_load(text)
        rules = content["groups"][0]["rules"]
        for number, rule in enumerate(rules):
            for before, after, changed in _rule_changes(rule):
                content["groups"][0]["rules"] = [*rules[:number], changed, *rules[number + 1 :]]
                override = (
                    f"\n_generated = rule_files\n\ndef rule_files():\n"
                    f"    return {{**_generated(), {path!r}: {json.dumps(content)!r}}}\n"
                )
                name = rule.get("alert") or rule["record"]
                yield Mutant(RULES, 0, f"{name}: {before}", after, source + override)


def _rule_changes(rule: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    expr = rule["expr"]
    for pattern, replacement in EXPRESSION_CHANGES:
        for found in re.finditer(pattern, expr):
            after = OPPOSITES[found[0]] if replacement is None else found.expand(replacement)
            changed = expr[: found.start()] + after + expr[found.end() :]
            context = expr[max(found.start() - 60, 0) : found.end() + 20]
            yield " ".join(context.split()), after.strip(), {**rule, "expr": changed}
    for field in ("for", "keep_firing_for"):
        if field in rule:
            longer = re.sub(r"\d+", lambda number: str(int(number[0]) * 4), rule[field])
            yield f"{field} {rule[field]}", longer, {**rule, field: longer}
            without = {key: value for key, value in rule.items() if key != field}
            yield f"{field} {rule[field]}", "(removed)", without


# --- Running the tests ---


def fast_tests(place: Path, pattern: str) -> list[str]:
    """
    Return the test files that match *pattern* and are not slow, the fastest first.

    Raises:
        SystemExit: A test fails without a mutant.

    """
    seconds: dict[str, float] = {}
    for file in sorted(str(path.relative_to(place)) for path in place.glob(pattern)):
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        if failed := run(place, [file]):
            sys.exit(f"without a mutant, {file} fails: {failed}")
        spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        if spent < SLOW_SECONDS:
            seconds[file] = spent
    return sorted(seconds, key=seconds.__getitem__)


def run(place: Path, tests: Sequence[str]) -> str:
    """Run *tests* up to the first failure; return its name, ``timeout``, or an empty string."""
    options = ["-x", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider"]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=place,
            # A cached bytecode file could be that of another mutant of the same size and second.
            env={**os.environ, "PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "timeout"
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return "" if done.returncode == 0 else failed[1] if failed else f"exit {done.returncode}"


def survives(mutant: Mutant, copies: "Queue[Path]", tests: Sequence[str]) -> bool:
    place = copies.get()
    file = place / mutant.file
    original = file.read_text(encoding="utf-8")
    try:
        file.write_text(mutant.text, encoding="utf-8")
        return not run(place, tests)
    finally:
        file.write_text(original, encoding="utf-8")
        copies.put(place)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("pattern", nargs="?", default="", help="only mutants with this text")
    parser.add_argument("--sample", type=int, default=0, help="number of mutants (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the sample")
    options = parser.parse_args()
    modules = (file.relative_to(ROOT) for file in sorted((ROOT / "exporter").rglob("*.py")))
    core = (mutant for file in modules if CORE.match(str(file)) for mutant in python_mutants(file))
    mutants = [one for one in (*core, *rule_mutants()) if options.pattern in one.key]
    if options.sample:
        mutants = random.Random(options.seed).sample(mutants, min(options.sample, len(mutants)))
    jobs = os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ThreadPoolExecutor(jobs) as pool:
        copies: Queue[Path] = Queue()
        for number in range(jobs):
            place = Path(folder) / str(number)
            shutil.copytree(ROOT, place, ignore=shutil.ignore_patterns(*NOT_COPIED))
            copies.put(place)
        patterns = {RULE_TESTS if mutant.file == RULES else CORE_TESTS for mutant in mutants}
        tests = {pattern: fast_tests(place, pattern) for pattern in patterns}
        alive = pool.map(
            lambda one: survives(
                one, copies, tests[RULE_TESTS if one.file == RULES else CORE_TESTS]
            ),
            mutants,
        )
        survivors = [mutant for mutant, lives in zip(mutants, alive, strict=True) if lives]
    for mutant in survivors:
        print(f"line {mutant.line} of {mutant.key}", ACCEPTED.get(mutant.key, ""))  # noqa: T201
    print(f"{len(mutants) - len(survivors)} of {len(mutants)} mutants killed")  # noqa: T201
    return int(any(mutant.key not in ACCEPTED for mutant in survivors))


if __name__ == "__main__":
    sys.exit(main())
