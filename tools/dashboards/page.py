"""A dashboard: panels in sections, what is chosen at its top, and what is marked in its graphs."""

from collections.abc import Sequence
from typing import NamedTuple

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from tools.dashboards.queries import series
from tools.dashboards.variables import SOURCE, Variable

TAG = "vergewatch"


class Section(NamedTuple):
    """Panels below a heading, or, without a title, at the top."""

    id: int
    title: str
    panels: Sequence[Builder[models.Panel]]
    collapsed: bool = False
    """Whether it is opened by a click only; what it asks is not asked until then."""


class Page(NamedTuple):
    """A dashboard."""

    uid: str
    title: str
    description: str
    variables: Sequence[Variable]
    marks: Sequence[build.AnnotationQuery]
    sections: Sequence[Section]
    since: str = "now-6h"

    def build(self) -> models.Dashboard:
        """Return it as Grafana knows it."""
        dashboard = (
            build.Dashboard(f"Vergewatch / {self.title}")
            .uid(self.uid)
            .description(self.description)
            .tags([TAG])
            .readonly()
            .timezone("browser")
            .tooltip(models.DashboardCursorSync.CROSSHAIR)
            .time(self.since, "now")
            .refresh("30s")
            .variables(list(self.variables))
            .annotations(list(self.marks))
            .link(_other_dashboards())
        )
        for section in self.sections:
            _add(dashboard, section)
        return dashboard.build()


def recovery_actions(*matchers: str) -> build.AnnotationQuery:
    """Mark what recovery did, at the second at which its outcome was known."""
    # Grafana takes the value for the time, in milliseconds.
    when = series("recovery_vm_last_action_timestamp_seconds", *matchers)
    what = series("recovery_vm_last_action_info", *matchers)
    return _mark(
        "Recovery",
        f"1000 * {when} * on (system_name, vm_id) group_left (action, outcome) {what}",
        title="{{action}} {{vm_name}}",
        text="{{outcome}}",
        colour="blue",
    ).use_value_for_time(True)


def alerts(*matchers: str) -> build.AnnotationQuery:
    """Mark while alerts fire; not shown at first."""
    firing = ('alertname=~"Verge.*"', 'alertstate="firing"', 'severity!="none"')
    return _mark(
        "Alerts",
        series("ALERTS", *firing, *matchers),
        title="{{alertname}}",
        text="{{severity}} {{vm_name}}",
        colour="red",
    ).enable(False)


def _mark(name: str, expr: str, *, title: str, text: str, colour: str) -> build.AnnotationQuery:
    return (
        build.AnnotationQuery()
        .name(name)
        .datasource(SOURCE)
        .enable(True)
        .icon_color(colour)
        .expr(expr)
        .target(prometheus.Dataquery().datasource(SOURCE).expr(expr).ref_id("Anno").range())
        .title_format(title)
        .text_format(text)
    )


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


def _add(dashboard: build.Dashboard, section: Section) -> None:
    if not section.title:
        for panel in section.panels:
            dashboard.with_panel(panel)
        return
    row = build.Row(section.title).id(section.id).collapsed(section.collapsed)
    if section.collapsed:
        for panel in section.panels:
            row.with_panel(panel)
        dashboard.with_row(row)
        return
    dashboard.with_row(row)
    for panel in section.panels:
        dashboard.with_panel(panel)
