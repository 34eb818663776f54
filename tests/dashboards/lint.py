"""
Lint rules for dashboards: those of Grafana's dashboard-linter that need no Grafana, and ours.

docs/dashboards.md lists them.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import Any

from tests.dashboards.promql import grouping_labels, selectors
from tests.dashboards.replicas import counted_for_each_daemon
from tools.dashboards.queries import KNOWN, SCRAPED
from tools.preview.dashboard import Dashboard, QueryError, queries

Panel = Mapping[str, Any]
Findings = Iterator[str]

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
PANEL_TYPES = {"stat", "timeseries", "state-timeline", "table", "bargauge", "row"}
UNITS = {
    "none", "percentunit", "s", "bytes", "bps", "Bps", "iops", "pps", "reqpm", "string",
    "dateTimeFromNow",
}  # fmt: skip
"""The units of Grafana that we use."""
COLUMNS = 24
ON_TIME_RANGE_CHANGE = 2
RATES = {"rate", "irate", "increase"}
EVENT_COUNT = ("offset", "min_over_time", "0 *")
"""Parts of what `per_step` and `in_range` return; see the exceptions in docs/dashboards.md."""


# --- Grafana's rules ---


def template_datasource_rule(dashboard: Dashboard) -> Findings:
    first = dashboard.document["templating"]["list"][0]
    wanted = ("datasource", "datasource", "Data source", "prometheus")
    if (first["type"], first["name"], first["label"], first["query"]) != wanted:
        yield f"{first['name']} is not the variable of the data source"


def template_label_promql_rule(dashboard: Dashboard) -> Findings:
    for variable in dashboard.variables():
        try:
            selector, label = variable.parts()
        except QueryError as problem:
            yield str(problem)
            continue
        (found,) = selectors(_filled(selector))
        if label not in KNOWN.get(found.metric, frozenset()):
            yield f"{variable.name}: {found.metric} has no label {label}"


def template_on_time_change_reload_rule(dashboard: Dashboard) -> Findings:
    for one in dashboard.document["templating"]["list"]:
        if one["type"] == "query" and one["refresh"] != ON_TIME_RANGE_CHANGE:
            yield f"{one['name']} does not reload when the time range changes"


def panel_datasource_rule(dashboard: Dashboard) -> Findings:
    for panel in _panels(dashboard):
        if panel["datasource"] != SOURCE:
            yield f"{panel['title']}: {panel['datasource']}"
        for target in panel["targets"]:
            if target["datasource"] != SOURCE:
                yield f"{panel['title']} {target['refId']}: {target['datasource']}"


def panel_title_description_rule(dashboard: Dashboard) -> Findings:
    for panel in _panels(dashboard):
        if not panel.get("title") or not panel.get("description"):
            yield f"panel {panel['id']} lacks a title or a description"


def panel_units_rule(dashboard: Dashboard) -> Findings:
    for panel in _panels(dashboard):
        config = panel["fieldConfig"]
        given = [config["defaults"].get("unit")]
        for override in config.get("overrides", ()):
            given += [one["value"] for one in override["properties"] if one["id"] == "unit"]
        for unit in given:
            if unit not in UNITS:
                yield f"{panel['title']}: {unit} is not one of our units"


def panel_no_targets_rule(dashboard: Dashboard) -> Findings:
    for panel in _panels(dashboard):
        if not panel.get("targets"):
            yield f"{panel['title']} has no query"


def target_rate_interval_rule(dashboard: Dashboard) -> Findings:
    for where, expr in _expressions(dashboard):
        for call in re.findall(r"\bi?rate\([^\[]*\[([^\]]*)\]", expr):
            if call != "$__rate_interval":
                yield f"{where}: a rate over [{call}]"


def target_counter_agg_rule(dashboard: Dashboard) -> Findings:
    for where, expr in _expressions(dashboard):
        for one in selectors(_filled(expr)):
            plain = not (one.inside and one.inside[0] in RATES)
            if one.metric.endswith("_total") and plain and not _counts_events(expr):
                yield f"{where}: {one.metric} without a rate"


def uneditable_dashboard(dashboard: Dashboard) -> Findings:
    if dashboard.document["editable"]:
        yield "is editable; the next import overwrites the changes"


# --- Our own ---


def data_source_is_the_variable(dashboard: Dashboard) -> Findings:
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


def panels_do_not_overlap(dashboard: Dashboard) -> Findings:
    for panel in dashboard.panels():
        place = panel["gridPos"]
        if place["x"] + place["w"] > COLUMNS or place["h"] < 1 or place["w"] < 1:
            yield f"{panel['title']} leaves the grid"
    for one, other in combinations(dashboard.document["panels"], 2):
        if _overlap(one["gridPos"], other["gridPos"]):
            yield f"{one['title']} and {other['title']} overlap"


def panel_types_are_built_in(dashboard: Dashboard) -> Findings:
    for panel in dashboard.panels():
        if panel["type"] not in PANEL_TYPES:
            yield f"{panel['title']} is a {panel['type']}"


def metrics_and_labels_exist(dashboard: Dashboard) -> Findings:
    for where, expr in _expressions(dashboard):
        allowed: set[str] = set(SCRAPED)
        for one in selectors(_filled(expr)):
            if one.metric not in KNOWN:
                yield f"{where}: there is no metric {one.metric}"
                continue
            allowed |= KNOWN[one.metric]
            for label in set(one.labels) - KNOWN[one.metric] - SCRAPED:
                yield f"{where}: {one.metric} has no label {label}"
        for label in grouping_labels(expr) - allowed:
            yield f"{where}: no metric there has the label {label}"


def series_have_legends(dashboard: Dashboard) -> Findings:
    for panel in _panels(dashboard):
        if panel["type"] in {"timeseries", "state-timeline", "bargauge"}:
            for query in queries(panel):
                if not query.legend:
                    yield f"{panel['title']} {query.ref} has no legend"


def empty_panels_have_a_text(dashboard: Dashboard) -> Findings:
    for panel in _panels(dashboard):
        if not panel["fieldConfig"]["defaults"].get("noValue"):
            yield f"{panel['title']} has no text for no data"


def colors_have_texts(dashboard: Dashboard) -> Findings:
    for one in _objects(dashboard.document):
        if one.get("type") == "value":
            for value, shown in one["options"].items():
                if not shown.get("text"):
                    yield f"{value} has a color without a text"


def variables_are_used(dashboard: Dashboard) -> Findings:
    variables = dashboard.variables()
    exprs = [*(expr for _, expr in _expressions(dashboard)), *(one.query for one in variables)]
    used = {name for expr in exprs for name in re.findall(r"\$([A-Za-z_]\w*)", expr)}
    known = {one.name for one in variables}
    for name in known - used:
        yield f"${name} is not used"
    for name in used - known:
        if not name.startswith("__"):
            yield f"${name} is not defined"


def links_exist(dashboard: Dashboard) -> Findings:
    for uid, rest in re.findall(r"/d/([\w-]+)\?([^\"]*)", json.dumps(dashboard.document)):
        if uid not in TARGETS:
            yield f"there is no dashboard {uid}"
            continue
        for name in re.findall(r"var-(\w+)=", rest):
            if name not in TARGETS[uid]:
                yield f"{uid} has no variable {name}"


def counts_once_what_several_daemons_export(dashboard: Dashboard) -> Findings:
    for where, expr in _expressions(dashboard):
        for found in counted_for_each_daemon(_filled(expr)):
            yield f"{where}: {found}"


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
    data_source_is_the_variable,
    ids_are_unique,
    panels_do_not_overlap,
    panel_types_are_built_in,
    metrics_and_labels_exist,
    series_have_legends,
    empty_panels_have_a_text,
    colors_have_texts,
    variables_are_used,
    links_exist,
    counts_once_what_several_daemons_export,
)

TARGETS: dict[str, set[str]] = {}
"""The variables of every dashboard, by its uid."""


def findings(dashboard: Dashboard) -> list[str]:
    """Return what is wrong with *dashboard*, each with the name of the rule."""
    return [f"{rule.__name__}: {found}" for rule in RULES for found in rule(dashboard)]


# --- Details ---


def _objects(part: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every object in a document."""
    if isinstance(part, Mapping):
        yield part
    if isinstance(part, Mapping | list):
        for inner in part.values() if isinstance(part, Mapping) else part:
            yield from _objects(inner)


def _panels(dashboard: Dashboard) -> Iterator[Panel]:
    return (panel for panel in dashboard.panels() if panel["type"] != "row")


def _expressions(dashboard: Dashboard) -> Iterator[tuple[str, str]]:
    for panel in _panels(dashboard):
        for query in queries(panel):
            yield f"{panel['title']} {query.ref}", query.expr
    for annotation in dashboard.annotations():
        yield annotation["name"], annotation["target"]["expr"]


def _filled(expr: str) -> str:
    """Return *expr* with a duration in place of every variable."""
    return re.sub(r"\$[A-Za-z_]\w*", "5m", expr)


def _counts_events(expr: str) -> bool:
    return all(sign in expr for sign in EVENT_COUNT)


def _overlap(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    return all(
        one[at] < other[at] + other[size] and other[at] < one[at] + one[size]
        for at, size in (("x", "w"), ("y", "h"))
    )
