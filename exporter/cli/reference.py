"""The parts of docs/ that are generated from the code: metrics, settings, states, checks."""

import ast
import inspect
import re
from collections.abc import Iterable
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from exporter.cli import command_tree
from exporter.collectors.registry import FAMILIES
from exporter.config.loader import SINGLE_SYSTEM
from exporter.config.settings import PREFIX, Settings
from exporter.doctor.check import Check
from exporter.doctor.registry import CHECKS
from exporter.inputs.validation import walk
from exporter.recovery.model.decision import GuardName
from exporter.recovery.model.states import DIAGNOSED, DOWN, OPEN, TRANSITIONS, Event, State
from exporter.telemetry import INSTRUMENTS

LISTS = frozenset({"systems", "rules", "maintenance_windows", "log_patterns"})
"""Lists of settings; variables cannot set their items."""
GROUPS = {"down": DOWN, "judged": DIAGNOSED, "open": OPEN}
"""Groups of states with common transitions."""


class Metric(NamedTuple):
    """A line of the metrics reference."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


def metrics() -> tuple[Metric, ...]:
    """Return every metric, those of the systems first."""
    return (
        *(Metric(one.name, one.kind.value, one.labels, one.help) for one in FAMILIES),
        *(Metric(one.name, one.kind.__name__.lower(), one.labels, one.help) for one in INSTRUMENTS),
    )


def updated(path: Path) -> str:
    """Return a file of docs/ with the parts written again that are generated from the code."""
    if path.suffix == ".json":
        from exporter.web.api.openapi import openapi_json  # noqa: PLC0415 - loads the web server

        return openapi_json().decode()
    if path.suffix == ".1":
        return command_tree.manual()
    page = path.read_text()
    return GENERATED.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n{found[3]}", page)


def metrics_table() -> str:
    """Return the metrics as Markdown."""
    return _table(("Metric", "Type", "Labels", "Meaning"), map(_metric_row, metrics()))


def settings_table() -> str:
    """Return the settings as Markdown."""
    return _table(("Setting", "Variable", "Default", "Meaning"), _setting_rows())


def doctor_table() -> str:
    """Return the checks of the doctor as Markdown, each with an anchor of its name."""
    head = ("Check", "What must be so", "Levels", "Tables", "What to do", "Alerts")
    return _table(head, map(_check_row, CHECKS))


def recovery_tables() -> str:
    """Return the diagram of a VM's states, and the tables of states and guards, as Markdown."""
    diagram = "\n".join(("```mermaid", *_diagram(), "```\n"))
    states = _table(("State", "Meaning"), _words(State))
    return "\n".join((diagram, states, _table(("Guard", "Meaning"), _words(GuardName))))


GENERATED = re.compile(
    r"(<!-- (\w+): written by `make docs` from the code -->\n).*?(<!-- end -->)", re.DOTALL
)
PARTS = {
    "metrics": metrics_table,
    "settings": settings_table,
    "recovery": recovery_tables,
    "doctor": doctor_table,
    "commands": command_tree.markdown,
    "statuses": command_tree.statuses,
}


def _diagram() -> Iterable[str]:
    """Yield the state transitions as a Mermaid diagram, with common transitions drawn once."""
    sources: dict[tuple[State, Event], set[State]] = {}
    for (before, event), after in TRANSITIONS.items():
        sources.setdefault((after, event), set()).add(before)
    arrows: dict[tuple[str, State], list[str]] = {}
    for (after, event), states in sources.items():
        rest = {str(state) for state in states}
        for group, items in GROUPS.items():
            if rest.issuperset(items):
                rest = rest.difference(items) | {group}
        for source in sorted(rest):
            arrows.setdefault((source, after), []).append(event)
    yield "stateDiagram-v2"
    yield f"    [*] --> {State.BASELINE}"
    yield "    state down {"
    yield f"        {State.STOPPED}"
    yield "        state judged {"
    yield from (f"            {state}" for state in DIAGNOSED)
    yield "        }"
    yield "    }"
    yield "    state open {"
    yield from (f"        {state}" for state in OPEN)
    yield "    }"
    for (source, after), events in arrows.items():
        yield f"    {source} --> {after}: {', '.join(events)}"


def _words(kind: type[StrEnum]) -> Iterable[tuple[str, ...]]:
    """Yield each value of an enumeration with its meaning."""
    meanings = _member_texts(kind)
    return ((f"`{word}`", meanings[word.name]) for word in kind)


def _member_texts(kind: type[Enum]) -> dict[str, str]:
    """Return the attribute docstrings of an enumeration, which Python does not keep."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    texts: dict[str, str] = {}
    name = ""
    for node in getattr(definition, "body", ()):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            texts[name] = ""
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and name:
            texts[name] = " ".join(str(node.value.value).split())
    return texts


def _metric_row(metric: Metric) -> tuple[str, ...]:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"`{metric.name}`", metric.kind, labels, metric.help


def _check_row(check: Check) -> tuple[str, ...]:
    tables = ", ".join(f"`{table}`" for table in check.tables)
    if check.needs_admin:
        tables += " (administrator)"
    names = dict.fromkeys(check.alert_of(level) for level in check.levels if check.alert)
    alerts = ", ".join(f"[{alert}](runbooks/{alert}.md)" for alert in names)
    levels = "skipped" if check.always_skipped else ", ".join(check.levels)
    name = f'<a id="{check.name}"></a>`{check.name}`'
    return name, check.about, levels, tables.strip(), check.remedy, alerts


def setting_list() -> list[dict[str, str]]:
    """Return the settings as values for JSON."""
    names = ("setting", "variable", "default", "meaning")
    return [
        {
            name: cell.strip("`*") if name != "meaning" else cell
            for name, cell in zip(names, row, strict=True)
        }
        for row in _setting_rows()
    ]


def _setting_rows() -> Iterable[tuple[str, ...]]:
    for path, field in walk(Settings):
        listed = not LISTS.isdisjoint(path)
        name = ".".join(f"{step}[]" if step in LISTS else step for step in path)
        variable = "" if listed else f"`{PREFIX}{'__'.join(path).upper()}`"
        if path[0] in SINGLE_SYSTEM or not listed or ("poll" not in path and "api" not in path):
            yield f"`{name}`", variable, _default(field), _meaning(field)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*required*"
    default = field.default
    if default in (None, "", ()):
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default}`"


def _meaning(field: FieldInfo) -> str:
    text = " ".join((field.description or "").split())
    choices = _choices(field.annotation)
    if choices:
        text += f" One of {', '.join(f'`{choice}`' for choice in choices)}."
    kinds = set(_kinds(field.annotation))
    if SecretStr in kinds:
        text += " A secret."
    if Path in kinds:
        text += " A path."
    return text


def _kinds(annotation: Any) -> Iterable[Any]:
    """Yield every type in *annotation*, however deep."""
    yield annotation
    for inner in get_args(annotation):
        yield from _kinds(inner)


def _choices(annotation: Any) -> tuple[Any, ...]:
    for kind in _kinds(annotation):
        if get_origin(kind) is Literal:
            return get_args(kind)
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return tuple(kind)
    return ()


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines
    )
