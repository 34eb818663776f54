"""Writes cases as rule tests of promtool, and runs it."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from tests.alert_rules.stories import DAEMON, SYSTEM, Series
from tools.alert_rules import groups
from tools.alert_rules.groups import GROUPS
from tools.alert_rules.model import Alert

ALERTS: Mapping[str, Alert] = {alert.name: alert for alert in groups.ALERTS}
GROUP_OF = {alert.name: group for group in GROUPS for alert in group.alerts}
RULE_FILES = tuple(f"{group.name}.rules.yml" for group in GROUPS)
TIMEOUT_SECONDS = 600

NEWER = Path(".venv/bin/promtool-3")
"""`deploy/fetch-promtool-3` installs it here."""


class Case(NamedTuple):
    """Series, and the steps at which an alert must and must not fire."""

    alert: str
    title: str
    series: tuple[Series, ...] = ()
    fires: Mapping[int, Sequence[Mapping[str, str]]] = {}
    silent: tuple[int, ...] = ()
    ends: int = 400
    """The step at which steady series end."""
    text: Mapping[str, str] = {}
    """The exact annotations wherever it fires."""
    samples_of: Mapping[str, Mapping[int, Sequence[tuple[str, float]]]] = {}
    """Expected samples of expressions, by step."""
    minutes: int = 1
    samples: int = 1
    rules: tuple[str, ...] = ()
    """The rule files; without any, the file of the alert."""
    place: str = ""
    """A matcher that only the alerts of this case meet; set when the case is written."""
    more_of_place: str = ""
    """Further matchers of the alerts that are checked."""


def rule_files(case: Case) -> tuple[str, ...]:
    if case.rules:
        return case.rules
    return (f"{GROUP_OF[case.alert].name}.rules.yml",)


def write(cases: Iterable[Case], folder: Path) -> list[Path]:
    """Write *cases* into files for promtool, many of similar length in one test."""
    by_kind = sorted(cases, key=_kind)
    paths = []
    for number, (kind, some) in enumerate(groupby(by_kind, key=_kind)):
        path = folder / f"{number}_test.yml"
        content = {
            "rule_files": list(kind.rules),
            "evaluation_interval": f"{kind.minutes}m",
            "group_eval_order": [f"vergewatch-{group.name}" for group in GROUPS],
            "tests": list(_tests(kind, list(some))),
        }
        path.write_text(json.dumps(content))  # JSON is YAML, and written much faster
        paths.append(path)
    return paths


class Kind(NamedTuple):
    """The properties that cases in one test share."""

    rules: tuple[str, ...]
    minutes: int
    samples: int


def _kind(case: Case) -> Kind:
    return Kind(rule_files(case), case.minutes, case.samples)


def _tests(kind: Kind, cases: Sequence[Case]) -> Iterable[dict[str, Any]]:
    together: dict[int, list[Case]] = {}
    for number, case in enumerate(cases):
        own = _named(case, number)
        if _place(case) and not case.text:
            together.setdefault(_horizon(case).bit_length(), []).append(own)
        else:
            yield _test(kind, [own])
    for some in together.values():
        yield _test(kind, some)


def _length(case: Case) -> int:
    """Return the number of samples of a steady series, which may end after the last step."""
    return min(case.ends, _horizon(case) + 2) * case.samples


def _horizon(case: Case) -> int:
    """Return the last step that *case* checks."""
    asked = (step for by_step in case.samples_of.values() for step in by_step)
    return max((*case.fires, *case.silent, *asked), default=0)


def _named(case: Case, number: int) -> Case:
    """Return *case* with unique names of system and daemon."""

    def name(text: str) -> str:
        return text.replace(SYSTEM, f"c{number}").replace(DAEMON, f"d{number}:9888")

    return case._replace(
        series=tuple(Series(name(series.selector), series.values) for series in case.series),
        fires={
            step: [{key: name(value) for key, value in labels.items()} for labels in some]
            for step, some in case.fires.items()
        },
        text={key: name(value) for key, value in case.text.items()},
        samples_of={
            name(expr): {
                step: [(name(labels), value) for labels, value in samples]
                for step, samples in by_step.items()
            }
            for expr, by_step in case.samples_of.items()
        },
        place=name(_place(case)) + case.more_of_place,
    )


def _place(case: Case) -> str:
    """Return a matcher that no alert of another case meets, if there is one."""
    selectors = "".join(series.selector for series in case.series)
    is_of_daemon = case.alert in ALERTS and "instance" in ALERTS[case.alert].identity
    if SYSTEM in selectors and not is_of_daemon:
        return f'system_name="{SYSTEM}"'
    return f'instance="{DAEMON}"' if DAEMON in selectors else ""


def _test(kind: Kind, cases: Sequence[Case]) -> dict[str, Any]:
    return {
        "name": "; ".join(dict.fromkeys(case.alert for case in cases)),
        "interval": f"{kind.minutes * 60 // kind.samples}s",
        "input_series": [
            {"series": series.selector, "values": series.values(_length(case))}
            for case in cases
            for series in case.series
        ],
        "alert_rule_test": [
            {
                "eval_time": _time(case, step),
                "alertname": case.alert,
                "exp_alerts": [
                    {"exp_labels": _labels(case, labels), "exp_annotations": dict(case.text)}
                    for labels in some
                ],
            }
            for case in cases
            if case.text
            for step, some in case.fires.items()
        ],
        "promql_expr_test": [
            test for case in cases for test in (*_firing(case), *_expressions(case))
        ],
    }


def _firing(case: Case) -> Iterable[dict[str, Any]]:
    if case.alert not in ALERTS:
        return
    for step, some in sorted([*case.fires.items(), *((step, ()) for step in case.silent)]):
        yield {
            "expr": f'ALERTS{{alertname="{case.alert}",alertstate="firing",{case.place}}}',
            "eval_time": _time(case, step),
            "exp_samples": [
                {"labels": f"ALERTS{{{_text(_series_labels(case, labels))}}}", "value": 1}
                for labels in some
            ],
        }


def _expressions(case: Case) -> Iterable[dict[str, Any]]:
    for expr, by_step in case.samples_of.items():
        for step, samples in by_step.items():
            yield {
                "expr": expr,
                "eval_time": _time(case, step),
                "exp_samples": [{"labels": labels, "value": value} for labels, value in samples],
            }


def _labels(case: Case, labels: Mapping[str, str]) -> dict[str, str]:
    alert = ALERTS[case.alert]
    return {**labels, "severity": alert.severity.value, "layer": alert.layer.value}


def _series_labels(case: Case, labels: Mapping[str, str]) -> dict[str, str]:
    return {"alertname": case.alert, "alertstate": "firing", **_labels(case, labels)}


def _text(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{value}"' for name, value in labels.items())


def _time(case: Case, step: int) -> str:
    return f"{step * case.minutes}m"


def run(program: str, paths: Sequence[Path]) -> str:
    """Return the output of promtool if a test fails, else nothing."""
    done = subprocess.run(
        [program, "test", "rules", *(path.name for path in paths)],
        cwd=paths[0].parent,
        env={**os.environ, "GOGC": "400"},  # a fifth less time, for a little memory
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def promtools() -> list[str]:
    """Return every installed promtool: Debian's, and a newer one if it was fetched."""
    found = [shutil.which("promtool"), shutil.which(str(NEWER.resolve()))]
    return [program for program in found if program] or ["promtool"]
