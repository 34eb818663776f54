"""The shipped rules with shorter durations, for tests against a real Prometheus."""

import re
from pathlib import Path
from typing import Any

import yaml

from tools.alert_rules.files import rule_files
from tools.alert_rules.model import seconds

DURATION = re.compile(r"(?<=\[)\w+(?=\])|(?<=offset )\w+")
SECONDS = re.compile(r"(?<=[<>,] )\d{2,}\b")
"""Ages and forecasts in an expression. No rule compares another value with two digits or more."""


def write_fast_rules(folder: Path, factor: float) -> None:
    """Write the rule files into *folder*, with every duration divided by *factor*."""
    for path, text in rule_files().items():
        if path.endswith(".rules.yml"):
            (folder / Path(path).name).write_text(fast(text, factor))


def fast(rules: str, factor: float) -> str:
    content = yaml.safe_load(rules)
    for group in content["groups"]:
        group["rules"] = [_fast_rule(rule, factor) for rule in group["rules"]]
    text: str = yaml.safe_dump(content)
    return text


def _fast_rule(rule: dict[str, Any], factor: float) -> dict[str, Any]:
    def shorter(duration: str) -> str:
        return f"{max(1, round(seconds(duration) * 1000 / factor))}ms"

    expr = DURATION.sub(lambda found: shorter(found[0]), rule["expr"])
    expr = SECONDS.sub(lambda found: f"{int(found[0]) / factor:g}", expr)
    waits = {key: shorter(rule[key]) for key in ("for", "keep_firing_for") if key in rule}
    return rule | waits | {"expr": expr}
