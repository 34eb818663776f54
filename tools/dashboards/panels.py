"""
The kinds of panels, one function each.

Each takes what the panel is about, a text or the name of a metric with a help text, and its queries
in PromQL, by legend where a panel has several series. Titles and ids are given by the page.
"""

from collections.abc import Iterable, Mapping, Sequence
from string import ascii_uppercase
from typing import Any, Literal, NamedTuple, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.builders import table as tables
from grafana_foundation_sdk.models import common as values
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from exporter.collectors.registry import FAMILIES
from exporter.telemetry import INSTRUMENTS
from tools.dashboards.page import SOURCE, VM_UID, Panel

AnyPanel = TypeVar("AnyPanel", bound=Panel)
Color = Literal[
    "green", "yellow", "orange", "red", "semi-dark-red", "blue", "light-blue", "purple",
    "#a7adb8", "#737a87", "text", "transparent",
]  # fmt: skip
Steps = Sequence[tuple[float, Color]]
"""Thresholds: from which value on which color."""
Texts = Sequence[models.ValueMapping]
Link = Mapping[str, str]

GREY: Color = "#a7adb8"
DARK_GREY: Color = "#737a87"

SLOW = "1m"
"""
The least step for rates from tables that are polled once a minute.

It makes `$__rate_interval` at least four minutes long. A shorter interval would contain one or two
polls, by chance, and the graph would zigzag.
"""
EVENT_STEP = "1m"
"""The least width of a bar that counts events."""

COUNT = "none"
RATIO = "percentunit"
SECONDS = "s"
"""Seconds, rounded except in graphs."""
TIME = "dateTimeFromNow"
"""Unix milliseconds, shown as the time since then."""
BYTES = "bytes"
BITS_PER_SECOND = "bps"

_HELP = {one.name.removeprefix("vergewatch_"): one.help for one in (*FAMILIES, *INSTRUMENTS)}


def number(
    about: str,
    expr: str,
    *,
    width: int = 3,
    height: int = 4,
    unit: str = COUNT,
    base: Color = "green",
    steps: Steps = (),
    decimals: int | None = None,
    texts: Texts = (),
    name: str = "",
    empty: str = "no data",
) -> Panel:
    """
    Return a panel with one large value.

    Args:
        name: The legend; it is shown instead of the value.

    """
    query = _query(expr, name, instant=True)
    if decimals is None and unit == SECONDS:
        decimals = 0
    return (
        _panel(stat.Panel(), about, [query], width, height, unit, empty, decimals, texts)
        .thresholds(_steps(base, steps))
        .reduce_options(_LATEST_VALUE)
        .color_mode(values.BigValueColorMode.VALUE)
        .graph_mode(values.BigValueGraphMode.NONE)
        .text_mode(values.BigValueTextMode.NAME if name else values.BigValueTextMode.VALUE)
        .justify_mode(values.BigValueJustifyMode.AUTO)
        .orientation(values.VizOrientation.AUTO)
    )


def graph(
    about: str,
    queries: Mapping[str, str],
    *,
    width: int = 12,
    height: int = 8,
    step: str = "",
    unit: str = COUNT,
    low: float | None = 0,
    high: float | None = None,
    colors: Mapping[str, Color] = {},
    steps: Steps = (),
    stacked: bool = False,
    legend_right: bool = False,
    decimals: int | None = None,
    empty: str = "nothing in this range",
) -> timeseries.Panel:
    """
    Return a graph over time.

    Args:
        step: The least time between two values.
        low: Where the axis begins; ``None`` leaves it to the data.
        colors: By legend; the others are from Grafana's palette.
        steps: Draws lines at these values.

    """
    asked = [_query(expr, legend, step=step) for legend, expr in queries.items()]
    legend_at = values.LegendPlacement.RIGHT if legend_right else values.LegendPlacement.BOTTOM
    panel = (
        _panel(timeseries.Panel(), about, asked, width, height, unit, empty, decimals)
        .thresholds(_steps("transparent", steps))
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC))
        .line_width(1)
        .fill_opacity(35 if stacked else 0 if len(queries) > 1 else 8)
        .show_points(values.VisibilityMode.NEVER)
        .span_nulls(False)
        .tooltip(_ALL_SERIES)
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(values.LegendDisplayMode.LIST)
            .placement(legend_at)
        )
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(values.StackingMode.NORMAL).group("A"))
    if steps:
        panel.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(values.GraphThresholdsStyleMode.DASHED)
        )
    if low is not None:
        panel.min(low)
    if high is not None:
        panel.max(high)
    for name, color in colors.items():
        panel.override_by_name(name, _property("color", {"mode": "fixed", "fixedColor": color}))
    return panel


def events(
    about: str,
    queries: Mapping[str, str],
    *,
    width: int = 12,
    height: int = 8,
    empty: str = "nothing in this range",
) -> Panel:
    """Return a graph with a bar for each step, as high as the number of its events."""
    return (
        graph(
            about,
            queries,
            width=width,
            height=height,
            step=EVENT_STEP,
            stacked=True,
            decimals=0,
            empty=empty,
        )
        .draw_style(values.GraphDrawStyle.BARS)
        .axis_soft_max(1)
        .fill_opacity(70)
    )


def timeline(
    about: str,
    queries: Mapping[str, str],
    *,
    width: int = 24,
    height: int = 8,
    texts: Texts = (),
    texts_of: Mapping[str, Texts] = {},
    link: Link | None = None,
    empty: str = "nothing in this range",
) -> Panel:
    """
    Return a band over time for each series, which changes its color with the value.

    Args:
        texts_of: The texts of some series instead of *texts*, by a pattern of their legends.

    """
    asked = [_query(expr, legend) for legend, expr in queries.items()]
    panel = (
        _panel(
            statetimeline.Panel(), about, asked, width, height, COUNT, empty, texts=texts, link=link
        )
        .thresholds(_steps("blue"))
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .merge_values(True)
        .show_value(values.VisibilityMode.AUTO)
        .align_value(values.TimelineValueAlignment.LEFT)
        .row_height(0.85)
        .line_width(0)
        .fill_opacity(80)
        .per_page(20)
        .legend(common.VizLegendOptions().show_legend(False))
        .tooltip(common.VizTooltipOptions().mode(values.TooltipDisplayMode.SINGLE))
    )
    for pattern, own in texts_of.items():
        panel.override_by_regexp(pattern, _property("mappings", list(own)))
    return panel


def bar_list(
    about: str,
    queries: Mapping[str, str],
    *,
    width: int = 8,
    height: int = 8,
    unit: str = COUNT,
    base: Color = "green",
    steps: Steps = (),
    high: float | None = None,
    buckets: bool = False,
    names: Mapping[str, str] = {},
    link: Link | None = None,
    decimals: int | None = None,
    empty: str = "no data",
) -> Panel:
    """
    Return a horizontal bar for each series.

    Args:
        buckets: The series are the buckets of a histogram.
        names: What to show instead of a legend, by a pattern.

    """
    kind = PromQueryFormat.HEATMAP if buckets else PromQueryFormat.TIME_SERIES
    asked = [_query(expr, legend, instant=True, kind=kind) for legend, expr in queries.items()]
    panel = (
        _panel(bargauge.Panel(), about, asked, width, height, unit, empty, decimals, link=link)
        .thresholds(_steps(base, steps))
        .reduce_options(_LATEST_VALUE)
        .display_mode(values.BarGaugeDisplayMode.BASIC)
        .orientation(values.VizOrientation.HORIZONTAL)
        .value_mode(values.BarGaugeValueMode.TEXT)
        .name_placement(values.BarGaugeNamePlacement.LEFT)
        .sizing(values.BarGaugeSizing.AUTO)
        .min_viz_height(16)
        .max_viz_height(28)
        .show_unfilled(True)
        .min(0)
    )
    if high is not None:
        panel.max(high)
    for pattern, name in names.items():
        panel.override_by_regexp(pattern, _property("displayName", name))
    return panel


class Column(NamedTuple):
    """A column of a table: a label of its queries, or the value of a query of its own."""

    title: str
    label: str = ""
    width: int | None = None
    expr: str = ""
    unit: str = ""
    decimals: int | None = None
    texts: Texts = ()
    base: Color = "text"
    steps: Steps = ()
    gauge: bool = False
    """Draw a ratio as a bar."""
    link: Link | None = None

    def properties(self) -> list[models.DynamicConfigValue]:
        """Return the options of the column that differ from those of its table."""
        found: dict[str, Any] = {}
        if self.width is not None:
            found["custom.width"] = self.width
        if self.expr:
            found["unit"] = RATIO if self.gauge else self.unit or COUNT
        if self.decimals is not None:
            found["decimals"] = self.decimals
        elif self.gauge or self.unit == SECONDS:
            found["decimals"] = 0
        if self.texts:
            found["mappings"] = list(self.texts)
        if self.steps:
            found["thresholds"] = _steps(self.base, self.steps).build()
        if self.texts or self.steps:
            found["custom.cellOptions"] = {"type": "color-text"}
        if self.gauge:
            cell = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
            found |= {"custom.cellOptions": cell, "min": 0, "max": 1}
        if self.link:
            found["links"] = [dict(self.link)]
        return [models.DynamicConfigValue(key, value) for key, value in found.items()]


def table(
    about: str,
    columns: Sequence[Column],
    *,
    width: int = 24,
    height: int = 8,
    info: str = "",
    hide: Iterable[str] = (),
    sort: str | None = None,
    paged: bool = False,
    empty: str = "no data",
) -> Panel:
    """
    Return a table of the latest values.

    Args:
        info: A query for labels only; its value is not shown.
        hide: Labels that are not shown.
        sort: The title of the column to sort by, with ``-`` before it for descending order; by
            default the first column, if empty the order of the query.
        paged: Turn pages instead of scrolling, where there may be many rows.

    """
    exprs = list(filter(None, (info, *(column.expr for column in columns))))
    names = ["Value"] if len(exprs) == 1 else [f"Value #{letter}" for letter in ascii_uppercase]
    fields = dict(zip(exprs, names, strict=False))
    asked = [_query(expr, instant=True, kind=PromQueryFormat.TABLE) for expr in exprs]
    # Labels are texts, even if they look like numbers: version 9.40 is not 9.4.
    panel = (
        _panel(tables.Panel(), about, asked, width, height, "string", empty)
        .thresholds(_steps("text"))
        .show_header(True)
        .min_width(60)
        .cell_height(values.TableCellHeight.SM)
    )
    sort = columns[0].title if sort is None else sort
    if sort:
        by = common.TableSortByFieldState().display_name(sort.removeprefix("-"))
        panel.sort_by([by.desc(sort.startswith("-"))])
    if paged:
        panel.footer(common.TableFooterOptions().enable_pagination(True).show(False))
    if len(exprs) > 1:
        panel.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    shown = {column.label or fields[column.expr]: column.title for column in columns}
    hidden = ["Time", *hide, *([fields[info]] if info else [])]
    panel.with_transformation(
        models.DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": dict.fromkeys(hidden, True),
                "indexByName": {field: at for at, field in enumerate(shown)},
                "renameByName": shown,
            },
        )
    )
    # An empty cell does not show the text of an empty table.
    panel.override_by_regexp("/.*/", _property("noValue", "\u2013"))
    for column in filter(Column.properties, columns):
        panel.override_by_name(column.title, column.properties())
    return panel


# --- Texts of values, and links ---


def texts(shown: Mapping[str, tuple[str, Color]]) -> Texts:
    """Return the texts and colors of values."""
    return [
        models.ValueMap(
            options={
                value: models.ValueMappingResult(text=text, color=color, index=index)
                for index, (value, (text, color)) in enumerate(shown.items())
            }
        )
    ]


def absent(text: str, color: Color) -> Texts:
    """Return the text and color of a value that an object lacks."""
    return [
        models.SpecialValueMap(
            options=models.DashboardSpecialValueMapOptions(
                match=models.SpecialValueMatch.NULL,
                result=models.ValueMappingResult(text=text, color=color, index=0),
            )
        )
    ]


def yes_no(yes: tuple[str, Color], no: tuple[str, Color]) -> Texts:
    """Return the texts and colors of 1 and 0."""
    return texts({"1": yes, "0": no})


OUTCOMES = texts(
    {
        "confirmed": ("Confirmed", "green"),
        "failed": ("Failed", "red"),
        "unknown": ("Unknown", "orange"),
        "abandoned": ("Abandoned", "text"),
    }
)
"""The outcomes of an action."""


def _vm_page(fields: str) -> Link:
    return {
        "title": "Show this VM",
        "url": f"/d/{VM_UID}?${{datasource:queryparam}}"
        f"&var-system=${{{fields}.system_name:percentencode}}"
        f"&var-vm=${{{fields}.vm_name:percentencode}}"
        "&${__url_time_range}",
    }


VM_OF_ROW = _vm_page("__data.fields")
VM_OF_SERIES = _vm_page("__field.labels")


# --- Details ---

_LATEST_VALUE = common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
_ALL_SERIES = (
    common.VizTooltipOptions()
    .mode(values.TooltipDisplayMode.MULTI)
    .sort(values.SortOrder.DESCENDING)
)


def _panel(
    panel: AnyPanel,
    about: str,
    queries: Iterable[prometheus.Dataquery],
    width: int,
    height: int,
    unit: str,
    empty: str,
    decimals: int | None = None,
    texts: Texts = (),
    link: Link | None = None,
) -> AnyPanel:
    (
        panel.description(_HELP.get(about, about))
        .span(width)
        .height(height)
        .datasource(SOURCE)
        .unit(unit)
        .no_value(empty)
    )
    if decimals is not None:
        panel.decimals(decimals)
    if texts:
        panel.mappings(list(texts))
    if link:
        panel.data_links([dashboard.DashboardLink(link["title"]).url(link["url"])])
    for letter, query in zip(ascii_uppercase, queries, strict=False):
        panel.with_target(query.ref_id(letter))
    return panel


def _query(
    expr: str,
    legend: str = "",
    *,
    step: str = "",
    instant: bool = False,
    kind: PromQueryFormat = PromQueryFormat.TIME_SERIES,
) -> prometheus.Dataquery:
    query = prometheus.Dataquery().datasource(SOURCE).expr(expr).format(kind)
    query = query.instant() if instant else query.range()
    if legend:
        query.legend_format(legend)
    return query.interval(step) if step else query


def _steps(base: Color, steps: Steps = ()) -> dashboard.ThresholdsConfig:
    colors = [models.Threshold(value=None, color=base)]
    colors += [models.Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(colors)


def _property(key: str, value: object) -> list[models.DynamicConfigValue]:
    return [models.DynamicConfigValue(key, value)]
