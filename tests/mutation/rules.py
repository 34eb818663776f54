"""Mutants of the alert rules, and the cases of promtool that must notice them."""

import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.alert_rules.cases import all_cases
from tests.alert_rules.promtool import ALERTS, Case, promtools, run, write
from tests.alert_rules.promtool import rule_files as loaded_files
from tests.mutation.mutant import Mutant
from tools.alert_rules.files import rule_files

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
RECORDED = re.compile(r"\w+:\w+:\w+")
"""The name of a recorded series."""


def rule_mutants() -> Iterator[Mutant]:
    """Yield every mutant of the alert rules that `tools.alert_rules` generates."""
    for path, text in rule_files().items():
        if not path.endswith(".rules.yml"):
            continue
        content = yaml.safe_load(text)
        rules = content["groups"][0]["rules"]
        for number, rule in enumerate(rules):
            for before, after, changed in _rule_changes(rule):
                content["groups"][0]["rules"] = [*rules[:number], changed, *rules[number + 1 :]]
                name = rule.get("alert") or rule["record"]
                mutated = json.dumps(content)
                yield Mutant(Path(path), range(0), f"{name}: {before}", after, mutated)


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


def killed_by_cases(mutant: Mutant) -> str:
    """Return the rule whose cases fail with *mutant*, or that others do; empty if none fails."""
    rule = mutant.before.partition(": ")[0]
    loading = [case for case in _cases() if mutant.file.name in loaded_files(case)]
    own = [case for case in loading if rule in (case.alert, *_records_of(case))]
    others = [case for case in loading if case not in own]
    if _fails(mutant, own):
        return rule
    return "other cases" if _fails(mutant, others) else ""


def _records_of(case: Case) -> Iterator[str]:
    """Yield the recorded series that the alert of *case* is about."""
    if case.alert in ALERTS:
        yield from RECORDED.findall(ALERTS[case.alert].expr)


@cache
def _cases() -> tuple[Case, ...]:
    return all_cases()


def _fails(mutant: Mutant, cases: Sequence[Case]) -> bool:
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        folder = Path(name)
        for path, text in {**rule_files(), str(mutant.file): mutant.text}.items():
            if path.endswith(".rules.yml"):
                (folder / Path(path).name).write_text(text, encoding="utf-8")
        return any(run(promtools()[0], [path]) for path in write(cases, folder))
