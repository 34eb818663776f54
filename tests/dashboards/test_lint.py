"""Every dashboard passes the lint rules, and every rule finds a violation."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.dashboards import lint
from tests.dashboards.shipped import shipped
from tools.preview.dashboard import Dashboard

DASHBOARDS = shipped()
lint.TARGETS.update(
    {
        one.uid: {variable["name"] for variable in one.document["templating"]["list"]}
        for one in DASHBOARDS.values()
    }
)

Document = dict[str, Any]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_dashboard_passes_the_lint_rules(name: str) -> None:
    assert lint.findings(DASHBOARDS[name]) == []


def test_dashboards_have_unique_uids_and_titles() -> None:
    assert {one.uid for one in DASHBOARDS.values()} == {
        "vergewatch-systems",
        "vergewatch-vm",
        "vergewatch-nodes",
        "vergewatch-storage",
        "vergewatch-networks",
        "vergewatch-tenants",
        "vergewatch-protection",
        "vergewatch-recovery",
        "vergewatch-doctor",
        "vergewatch-exporter",
    }
    assert len({one.document["title"] for one in DASHBOARDS.values()}) == len(DASHBOARDS)


def _panel(document: Document) -> Document:
    found: Document = document["panels"][0]
    return found


def _table(document: Document) -> Document:
    found: Document = next(one for one in document["panels"] if one["type"] == "table")
    return found


def _graph(document: Document) -> Document:
    found: Document = next(one for one in document["panels"] if one["type"] == "timeseries")
    return found


def _set_query(document: Document, expr: str) -> None:
    _panel(document)["targets"][0]["expr"] = expr


VIOLATIONS: dict[str, Callable[[Document], object]] = {
    "template_datasource_rule": lambda d: d["templating"]["list"].pop(0),
    "template_label_promql_rule": lambda d: d["templating"]["list"][1]["query"].update(
        query="label_values(vergewatch_up, node_name)"
    ),
    "template_on_time_change_reload_rule": lambda d: d["templating"]["list"][1].update(refresh=1),
    "panel_datasource_rule": lambda d: _panel(d).update(datasource={"uid": "abc"}),
    "panel_title_description_rule": lambda d: _panel(d).update(description=""),
    "panel_units_rule": lambda d: _panel(d)["fieldConfig"]["defaults"].update(unit="seconds"),
    "panel_no_targets_rule": lambda d: _panel(d).update(targets=[]),
    "target_rate_interval_rule": lambda d: _set_query(d, "rate(vergewatch_api_retries_total[5m])"),
    "target_counter_agg_rule": lambda d: _set_query(d, "sum(vergewatch_api_retries_total)"),
    "uneditable_dashboard": lambda d: d.update(editable=True),
    "data_source_is_the_variable": lambda d: d.update(__inputs=[]),
    "ids_are_unique": lambda d: _panel(d).update(id=2),
    "panels_do_not_overlap": lambda d: _panel(d)["gridPos"].update(w=4),
    "panel_types_are_built_in": lambda d: _panel(d).update(type="graph"),
    "metrics_and_labels_exist": lambda d: _set_query(
        d, "sum by (cluster_name) (vergewatch_vm_running)"
    ),
    "series_have_legends": lambda d: _graph(d)["targets"][0].pop("legendFormat"),
    "empty_panels_have_a_text": lambda d: _panel(d)["fieldConfig"]["defaults"].pop("noValue"),
    "colors_have_texts": lambda d: _panel(d)["fieldConfig"]["defaults"].update(
        mappings=[{"options": {"1": {"color": "red"}}, "type": "value"}]
    ),
    "variables_are_used": lambda d: _set_query(d, 'vergewatch_vm_running{vm_name="$other"}'),
    "counts_once_what_several_daemons_export": lambda d: _set_query(d, "count(vergewatch_vm_info)"),
    "links_exist": lambda d: _panel(d).update(links=[{"url": "/d/vergewatch-vm?var-host=1"}]),
}


@pytest.mark.parametrize("rule", [rule.__name__ for rule in lint.RULES])
def test_rule_finds_a_violation(rule: str) -> None:
    document = json.loads(json.dumps(DASHBOARDS["systems.json"].document))

    VIOLATIONS[rule](document)

    findings = lint.findings(Dashboard(document))
    assert [one for one in findings if one.startswith(rule)], findings
