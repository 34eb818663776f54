"""A dashboard: its variables, its annotations, and its panels in sections."""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from grafana_foundation_sdk.builders import (
    bargauge,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.common import DataSourceRef

from tools.alert_rules.expressions import VM
from tools.dashboards.queries import EVERY_SYSTEM, ONE_SYSTEM, labeled, largest, series

TAG = "vergewatch"
VM_UID = "vergewatch-vm"
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")


Panel = bargauge.Panel | stat.Panel | statetimeline.Panel | table.Panel | timeseries.Panel
Panels = Mapping[str, Panel]
"""Panels by title, from left to right and from top to bottom."""


class Page(NamedTuple):
    """A dashboard."""

    uid: str
    title: str
    description: str
    variables: Sequence[build.DatasourceVariable | build.QueryVariable]
    annotations: Sequence[build.AnnotationQuery]
    sections: Mapping[str, Panels]
    """Panels by heading; the first section has none."""
    collapsed: Sequence[str] = ()
    """Sections that a click opens; their queries run only then."""

    def json(self) -> str:
        """Return the file that Grafana reads."""
        dashboard = (
            build.Dashboard(f"Vergewatch / {self.title}")
            .uid(self.uid)
            .description(self.description)
            .tags([TAG])
            .readonly()
            .timezone("browser")
            .tooltip(models.DashboardCursorSync.CROSSHAIR)
            .time("now-6h", "now")
            .refresh("30s")
            .variables([_datasource(), *self.variables])
            .annotations(list(self.annotations))
            .link(_other_dashboards())
        )
        self._add_sections(dashboard)
        document = json.loads(JSONEncoder().encode(dashboard.build()))
        # With a placement, newer Grafanas would move links and annotations out of the head.
        for head in (*document["links"], *document["annotations"]["list"]):
            head.pop("placement", None)
        return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def _add_sections(self, dashboard: build.Dashboard) -> None:
        for number, (heading, panels) in enumerate(self.sections.items()):
            collapsed = heading in self.collapsed
            row = build.Row(heading).id(100 * number).collapsed(collapsed)
            if heading and not collapsed:
                dashboard.with_row(row)
            for at, (title, panel) in enumerate(panels.items(), start=1):
                (row if collapsed else dashboard).with_panel(
                    panel.title(title).id(100 * number + at)
                )
            if collapsed:
                dashboard.with_row(row)


def _other_dashboards() -> build.DashboardLink:
    return (
        build.DashboardLink("Vergewatch")
        .type(models.DashboardLinkType.DASHBOARDS)
        .icon("external link")
        .tags([TAG])
        .as_dropdown(False)
        .include_vars(True)
        .keep_time(True)
    )


# --- Variables ---


def _datasource() -> build.DatasourceVariable:
    return build.DatasourceVariable("datasource").label("Data source").type("prometheus")


def systems() -> build.QueryVariable:
    """Return the choice of any number of systems; all of them by default."""
    return _several(system(), ".+")


def system() -> build.QueryVariable:
    """Return the choice of one system."""
    return _variable("system", "System", series("up"), "system_name")


def clusters(of: str = EVERY_SYSTEM) -> build.QueryVariable:
    """Return the choice of any number of clusters; all of them includes VMs without one."""
    return _several(_variable("cluster", "Cluster", series("vm_info", of), "cluster_name"), ".*")


def vm() -> build.QueryVariable:
    """Return the choice of one VM of the chosen system and clusters."""
    return _variable(
        "vm", "VM", series("vm_info", ONE_SYSTEM, 'cluster_name=~"$cluster"'), "vm_name"
    )


def recovery_vms() -> build.QueryVariable:
    """Return the choice of any number of the VMs that have a recovery state."""
    states = series("recovery_vm_state_info", EVERY_SYSTEM)
    return _several(_variable("vm", "VM", states, "vm_name"), ".+")


def _variable(name: str, title: str, selector: str, label: str) -> build.QueryVariable:
    query = f"label_values({selector}, {label})"
    return (
        build.QueryVariable(name)
        .label(title)
        .datasource(SOURCE)
        .query({"query": query, "refId": name})
        .definition(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.NATURAL_ASC)
    )


def _several(variable: build.QueryVariable, all_of_them: str) -> build.QueryVariable:
    return (
        variable.multi(True)
        .include_all(True)
        .all_value(all_of_them)
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )


# --- Annotations ---


def recovery_actions(*matchers: str) -> build.AnnotationQuery:
    """Mark each action of recovery at the second at which its outcome was known."""
    # Grafana takes the value for the time, in milliseconds.
    when = series("recovery_vm_last_action_timestamp_seconds", *matchers)
    what = series("recovery_vm_last_action_info", *matchers)
    expr = labeled(f"1000 * {largest(', '.join(VM), when)}", "action, outcome", what)
    return _annotation(
        "Recovery", expr, title="{{action}} {{vm_name}}", text="{{outcome}}", color="blue"
    ).use_value_for_time(True)


def alerts(*matchers: str) -> build.AnnotationQuery:
    """Mark while alerts fire; off by default."""
    firing = ('alertname=~"Verge.*"', 'alertstate="firing"', 'severity!="none"')
    expr = series("ALERTS", *firing, *matchers)
    return _annotation(
        "Alerts", expr, title="{{alertname}}", text="{{severity}} {{vm_name}}", color="red"
    ).enable(False)


def _annotation(
    name: str, expr: str, *, title: str, text: str, color: str
) -> build.AnnotationQuery:
    return (
        build.AnnotationQuery()
        .name(name)
        .datasource(SOURCE)
        .enable(True)
        .icon_color(color)
        .expr(expr)
        .target(prometheus.Dataquery().datasource(SOURCE).expr(expr).ref_id("Anno").range())
        .title_format(title)
        .text_format(text)
    )
