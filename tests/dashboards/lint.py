"""
What a dashboard has to keep to: Grafana's own lint rules, as far as they need no Grafana, and ours.

docs/dashboards.md lists them. The names of Grafana's are those of its dashboard-linter.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import Any

from tests.dashboards.promql import grouping_labels, selectors
from tools.dashboards.queries import KNOWN
from tools.preview.dashboard import Dashboard, UnfilledError, queries

Panel = Mapping[str, Any]
Findings = Iterator[str]

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
KINDS = {"stat", "timeseries", "state-timeline", "table", "bargauge", "row"}
UNITS = {
    "none", "percentunit", "s", "bytes", "bps", "Bps", "iops", "pps", "reqpm", "string",
    "dateTimeFromNow",
}  # fmt: skip
"""Of Grafana's units, those that we need."""
COLUMNS = 24
ON_CHANGE_OF_TIME = 2
SCRAPED = frozenset({"job", "instance"})
RATES = {"rate", "irate", "increase"}
COUNTERS_OF_EVENTS = ("offset", "min_over_time", "0 *", "clamp_min")
"""How `per_step` and `in_range` use a counter; see the exceptions in docs/dashboards.md."""
FILLED = {
    "$__rate_interval": "5m",
    "$__interval": "5m",
    "$__range": "5m",
}


# --- Grafana's rules ---


def template_datasource_rule(dashboard: Dashboard) -> Findings:
    first = dashboard.document["templating"]["list"][0]
    wanted = ("datasource", "datasource", "Data source", "prometheus")
    if (first["type"], first["name"], first["label"], first["query"]) != wanted:
        yield f"{first['name']} is not the choice of a data source"


def template_label_promql_rule(dashboard: Dashboard) -> Findings:
    for choice in dashboard.choices():
        try:
            selector, label = choice.parts()
        except UnfilledError as problem:
            yield str(problem)
            continue
        (found,) = selectors(_filled(selector))
        if label not in KNOWN.get(found.metric, frozenset()):
            yield f"{choice.name}: {found.metric} has no label {label}"


def template_on_time_change_reload_rule(dashboard: Dashboard) -> Findings:
    for one in dashboard.document["templating"]["list"]:
        if one["type"] == "query" and one["refresh"] != ON_CHANGE_OF_TIME:
            yield f"{one['name']} is not asked for again when the range changes"


def panel_datasource_rule(dashboard: Dashboard) -> Findings:
    for panel in _drawn(dashboard):
        if panel["datasource"] != SOURCE:
            yield f"{panel['title']}: {panel['datasource']}"
        for target in panel["targets"]:
            if target["datasource"] != SOURCE:
                yield f"{panel['title']} {target['refId']}: {target['datasource']}"


def panel_title_description_rule(dashboard: Dashboard) -> Findings:
    for panel in _drawn(dashboard):
        if not panel.get("title") or not panel.get("description"):
            yield f"panel {panel['id']} lacks a title or a description"


def panel_units_rule(dashboard: Dashboard) -> Findings:
    for panel in _drawn(dashboard):
        config = panel["fieldConfig"]
        given = [config["defaults"].get("unit")]
        for override in config.get("overrides", ()):
            given += [one["value"] for one in override["properties"] if one["id"] == "unit"]
        for unit in given:
            if unit not in UNITS:
                yield f"{panel['title']}: {unit} is not a unit of Grafana's, or not one of ours"


def panel_no_targets_rule(dashboard: Dashboard) -> Findings:
    for panel in _drawn(dashboard):
        if not panel.get("targets"):
            yield f"{panel['title']} asks nothing"


def target_rate_interval_rule(dashboard: Dashboard) -> Findings:
    for where, expr in _asked(dashboard):
        for call in re.findall(r"\bi?rate\([^\[]*\[([^\]]*)\]", expr):
            if call != "$__rate_interval":
                yield f"{where}: a rate over [{call}]"


def target_counter_agg_rule(dashboard: Dashboard) -> Findings:
    for where, expr in _asked(dashboard):
        for one in selectors(_filled(expr)):
            plain = not (one.inside and one.inside[0] in RATES)
            if one.metric.endswith("_total") and plain and not _counts_events(expr):
                yield f"{where}: {one.metric} without a rate"


def uneditable_dashboard(dashboard: Dashboard) -> Findings:
    if dashboard.document["editable"]:
        yield "can be edited, and the changes would be lost"


# --- Our own ---


def no_hard_wired_source(dashboard: Dashboard) -> Findings:
    text = json.dumps(dashboard.document)
    for word in ("__inputs", "__requires", "__elements", "DS_PROMETHEUS"):
        if word in text:
            yield f"{word} works in the import dialog only"
    for one in _objects(dashboard.document):
        if one.get("datasource", SOURCE) != SOURCE:
            yield f"the data source {one['datasource']}"


def ids_are_unique(dashboard: Dashboard) -> Findings:
    ids = [panel["id"] for panel in dashboard.panels()]
    if 0 in ids:
        yield "a panel has the id 0"
    for one in sorted({one for one in ids if ids.count(one) > 1}):
        yield f"several panels have the id {one}"


def nothing_overlaps(dashboard: Dashboard) -> Findings:
    for panel in dashboard.panels():
        place = panel["gridPos"]
        if place["x"] + place["w"] > COLUMNS or place["h"] < 1 or place["w"] < 1:
            yield f"{panel['title']} leaves the grid"
    for one, other in combinations(dashboard.document["panels"], 2):
        if _overlap(one["gridPos"], other["gridPos"]):
            yield f"{one['title']} and {other['title']} overlap"


def known_kinds(dashboard: Dashboard) -> Findings:
    for panel in dashboard.panels():
        if panel["type"] not in KINDS:
            yield f"{panel['title']} is a {panel['type']}"


def names_are_in_the_catalogue(dashboard: Dashboard) -> Findings:
    for where, expr in _asked(dashboard):
        allowed: set[str] = set(SCRAPED)
        for one in selectors(_filled(expr)):
            if one.metric not in KNOWN:
                yield f"{where}: no metric is called {one.metric}"
                continue
            allowed |= KNOWN[one.metric]
            for label in set(one.labels) - KNOWN[one.metric] - SCRAPED:
                yield f"{where}: {one.metric} has no label {label}"
        for label in grouping_labels(expr) - allowed:
            yield f"{where}: nothing there has the label {label}"


def several_series_have_names(dashboard: Dashboard) -> Findings:
    for panel in _drawn(dashboard):
        if panel["type"] in {"timeseries", "state-timeline", "bargauge"}:
            for query in queries(panel):
                if not query.legend:
                    yield f"{panel['title']} {query.ref} has no legend"


def nothing_is_said_in_words(dashboard: Dashboard) -> Findings:
    for panel in _drawn(dashboard):
        if not panel["fieldConfig"]["defaults"].get("noValue"):
            yield f"{panel['title']} says nothing where there is nothing"


def colours_have_texts(dashboard: Dashboard) -> Findings:
    for one in _objects(dashboard.document):
        if one.get("type") == "value":
            for value, shown in one["options"].items():
                if not shown.get("text"):
                    yield f"{value} is told by a colour only"


def variables_are_used(dashboard: Dashboard) -> Findings:
    asked = " ".join(
        [*(expr for _, expr in _asked(dashboard)), *(one.query for one in dashboard.choices())]
    )
    known = {choice.name for choice in dashboard.choices()}
    for name in known:
        if not re.search(rf"\${name}\b", asked):
            yield f"${name} is not used"
    for name in set(re.findall(r"\$([A-Za-z_]\w*)", asked)):
        if name not in known and not name.startswith("__"):
            yield f"${name} is not there"


def links_exist(dashboard: Dashboard) -> Findings:
    yield from ()
    for found in re.findall(r"/d/([\w-]+)\?([^\"]*)", json.dumps(dashboard.document)):
        uid, rest = found
        if uid not in TARGETS:
            yield f"there is no dashboard {uid}"
            continue
        for name in re.findall(r"var-(\w+)=", rest):
            if name not in TARGETS[uid]:
                yield f"{uid} has no variable {name}"


RULES: tuple[Callable[[Dashboard], Findings], ...] = (
    template_datasource_rule,
    template_label_promql_rule,
    template_on_time_change_reload_rule,
    panel_datasource_rule,
    panel_title_description_rule,
    panel_units_rule,
    panel_no_targets_rule,
    target_rate_interval_rule,
    target_counter_agg_rule,
    uneditable_dashboard,
    no_hard_wired_source,
    ids_are_unique,
    nothing_overlaps,
    known_kinds,
    names_are_in_the_catalogue,
    several_series_have_names,
    nothing_is_said_in_words,
    colours_have_texts,
    variables_are_used,
    links_exist,
)

TARGETS: dict[str, set[str]] = {}
"""The variables of every dashboard, by its uid."""


def findings(dashboard: Dashboard) -> list[str]:
    """Return what is wrong with *dashboard*, each with the rule that says so."""
    return [f"{rule.__name__}: {found}" for rule in RULES for found in rule(dashboard)]


# --- Details ---


def _objects(part: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every object in a document."""
    if isinstance(part, Mapping):
        yield part
    if isinstance(part, Mapping | list):
        for inner in part.values() if isinstance(part, Mapping) else part:
            yield from _objects(inner)


def _drawn(dashboard: Dashboard) -> Iterator[Panel]:
    return (panel for panel in dashboard.panels() if panel["type"] != "row")


def _asked(dashboard: Dashboard) -> Iterator[tuple[str, str]]:
    for panel in _drawn(dashboard):
        for query in queries(panel):
            yield f"{panel['title']} {query.ref}", query.expr
    for mark in dashboard.marks():
        yield mark["name"], mark["target"]["expr"]


def _filled(expr: str) -> str:
    for name, value in FILLED.items():
        expr = expr.replace(name, value)
    return expr


def _counts_events(expr: str) -> bool:
    return all(sign in expr for sign in COUNTERS_OF_EVENTS[:3])


def _overlap(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    return all(
        one[at] < other[at] + other[size] and other[at] < one[at] + one[size]
        for at, size in (("x", "w"), ("y", "h"))
    )
