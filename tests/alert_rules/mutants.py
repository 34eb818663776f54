"""
Breaks each rule in every way that is easy to think of, and asks whether a case notices.

    python -m tests.alert_rules.mutants [ALERT ...]

What survives is printed; so is why that does not matter, where it does not.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from os import cpu_count
from pathlib import Path
from typing import Any, NamedTuple

import promql_parser as promql
import yaml

from tests.alert_rules.cases import all_cases
from tests.alert_rules.promtool import ALERTS, Case, rule_files, run, write
from tools.alert_rules.files import files
from tools.alert_rules.thresholds import duration

FLIPPED = {">": "<", "<": ">", "==": "!=", "!=": "==", ">=": "<=", "<=": ">="}
SEVERITIES = ("critical", "warning", "info", "none")

HARMLESS: Mapping[str, str] = {}
"""Survivors that do not matter, as ``alert: what was done``, and why they do not."""


class Mutant(NamedTuple):
    """A rule with something broken."""

    name: str
    what: str
    rule: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.name}: {self.what}"


@cache
def rules() -> dict[str, list[dict[str, Any]]]:
    """Return the rules of each file."""
    return {
        Path(path).name: yaml.safe_load(text)["groups"][0]["rules"]
        for path, text in files().items()
        if path.endswith(".rules.yml")
    }


def mutants(rule: dict[str, Any]) -> Iterator[Mutant]:
    name = rule.get("alert") or rule["record"]
    for expr, what in _expressions(rule["expr"]):
        promql.parse(expr)  # what does not even parse is no mutant
        yield Mutant(name, what, {**rule, "expr": expr})
    if "alert" not in rule:
        return
    alert = ALERTS[name]
    if alert.wait_seconds:
        yield Mutant(name, "without for", _without(rule, "for"))
        longer = duration(alert.wait_seconds * 4)
        yield Mutant(name, "four times the for", {**rule, "for": longer})
    if alert.linger_seconds:
        yield Mutant(name, "without keep_firing_for", _without(rule, "keep_firing_for"))
    severity = rule["labels"]["severity"]
    other = SEVERITIES[(SEVERITIES.index(severity) + 1) % len(SEVERITIES)]
    labels = {**rule["labels"], "severity": other}
    yield Mutant(name, f"{other} instead of {severity}", {**rule, "labels": labels})


def _expressions(text: str) -> Iterator[tuple[str, str]]:
    """Yield the expression with one operator broken, and what was done."""
    whole = str(promql.parse(text))
    for node in _binaries(promql.parse(text)):
        here, left, right = str(node), str(node.lhs), str(node.rhs)
        rest = here[len(left) :].lstrip()
        operator = rest.split(" ", 1)[0]
        if operator in ("and", "unless", "or"):
            yield whole.replace(here, f"({left})", 1), f"without {operator} {_short(right)}"
        if operator == "or":
            yield whole.replace(here, f"({right})", 1), f"without {_short(left)} or"
        if operator in FLIPPED:
            flipped = f"({left} {FLIPPED[operator]} {rest.removeprefix(operator).lstrip()})"
            yield whole.replace(here, flipped, 1), f"{FLIPPED[operator]} for {_short(here)}"


def _binaries(expr: Any) -> Iterable[Any]:
    found: list[Any] = []

    def visit(node: Any) -> bool:
        if isinstance(node, promql.BinaryExpr):
            found.append(node)
        return True

    promql.walk(expr, visit)
    return found


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 100 else f"{text[:60]} ... {text[-37:]}"


def _without(rule: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in rule.items() if name != key}


def survives(mutant: Mutant, program: str, cases: Sequence[Case]) -> bool:
    """Return whether no case notices *mutant*."""
    folder = Path(tempfile.mkdtemp(prefix="mutant-"))
    try:
        needed = set().union(*map(rule_files, cases))
        for file in needed:
            alone = len(needed) == 1
            changed = [
                mutant.rule if _name(rule) == mutant.name else rule
                for rule in rules()[file]
                if not alone or "record" in rule or _name(rule) in {case.alert for case in cases}
            ]
            content = {"groups": [{"name": f"vergewatch-{file.split('.')[0]}", "rules": changed}]}
            (folder / file).write_text(json.dumps(content))
        return not run(program, write(cases, folder, one_world=True))
    finally:
        shutil.rmtree(folder)


def _name(rule: dict[str, Any]) -> str:
    return str(rule.get("alert") or rule["record"])


def tests_of(mutant: Mutant) -> list[Case]:
    """Return the cases that should notice; a recording's are also those that read it."""
    readers = {mutant.name}
    for some in rules().values():
        readers |= {_name(rule) for rule in some if mutant.name in rule["expr"]}
    return [case for case in all_cases() if case.alert in readers]


def main(names: list[str]) -> int:
    program = shutil.which("promtool")
    if program is None:
        sys.exit("promtool is missing: install Debian's package prometheus")
    every = [
        mutant
        for some in rules().values()
        for rule in some
        if not names or _name(rule) in names
        for mutant in mutants(rule)
    ]
    with ThreadPoolExecutor(cpu_count()) as pool:
        untouched = {one.name: one for one in map(_untouched, every)}.values()
        for one, lives in zip(
            untouched,
            pool.map(lambda one: survives(one, program, tests_of(one)), untouched),
            strict=True,
        ):
            if not lives:
                sys.exit(f"{one.name} fails as it is: run the tests first")
        alive = list(pool.map(lambda one: survives(one, program, tests_of(one)), every))
    survivors = [mutant for mutant, lives in zip(every, alive, strict=True) if lives]
    for mutant in survivors:
        why = HARMLESS.get(str(mutant))
        _say(f"{mutant}\n    {'harmless: ' + why if why else 'NOBODY NOTICES'}")
    bad = [mutant for mutant in survivors if str(mutant) not in HARMLESS]
    killed, harmless = len(every) - len(survivors), len(survivors) - len(bad)
    _say(f"{len(every)} mutants, {killed} killed, {harmless} harmless, {len(bad)} that matter")
    return 1 if bad else 0


def _untouched(mutant: Mutant) -> Mutant:
    """Return the rule as it is, whose death would make every other one worthless."""
    (rule,) = (rule for some in rules().values() for rule in some if _name(rule) == mutant.name)
    return Mutant(mutant.name, "nothing", rule)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
