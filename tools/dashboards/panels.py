"""The kinds of panels we use, each with our manners: a title, a description, a unit, a legend."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as values
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from exporter.collectors.registry import FAMILIES
from exporter.telemetry import INSTRUMENTS
from tools.dashboards.variables import SOURCE
from tools.dashboards.words import BLUE, GREEN, OTHER, Meaning

Panel = TypeVar(
    "Panel", stat.Panel, timeseries.Panel, statetimeline.Panel, table.Panel, bargauge.Panel
)

SLOW = "1m"
"""
The least step for what is read once a minute.

It makes `$__rate_interval` at least four minutes long. Shorter ones hold one poll or two, by
chance, and draw a comb.
"""
STEPS = "1m"
"""The least width of a bar that counts events."""

COUNT = "none"
RATIO = "percentunit"
SECONDS = "s"
BYTES = "bytes"
BITS_PER_SECOND = "bps"

_HELP = {
    name.removeprefix("vergewatch_"): text
    for name, text in (
        *((family.name, family.help) for family in FAMILIES),
        *((instrument.name, instrument.help) for instrument in INSTRUMENTS),
    )
}

Steps = Sequence[tuple[float, str]]
"""From which value on which colour, besides the one that everything begins with."""


class Query(NamedTuple):
    """What a panel asks."""

    expr: str
    legend: str = ""
    now: bool = False
    """Whether only the latest value is wanted, and not those of the whole range."""
    step: str = ""
    buckets: bool = False


def now(expr: str, legend: str = "") -> Query:
    """Ask for the latest value."""
    return Query(expr, legend, now=True)


class Look(NamedTuple):
    """What every panel has, whatever its kind."""

    id: int
    title: str
    description: str
    width: int
    height: int


def of(id_: int, title: str, about: str, *, width: int, height: int = 8) -> Look:
    """Say what a panel is called, what it is about (a text, or a metric's name), and its size."""
    return Look(id_, title, _HELP.get(about, about), width, height)


def number(
    look: Look,
    query: Query,
    *,
    unit: str = COUNT,
    steps: Steps = (),
    base: str = GREEN,
    decimals: int | None = None,
    texts: Sequence[models.ValueMapping] = (),
    named: bool = False,
    empty: str = "none",
) -> stat.Panel:
    """
    Return a panel with one large value.

    Args:
        named: Show the name of the series, which says more than its value.

    """
    panel = (
        _dressed(stat.Panel(), look, [query], unit, texts)
        .thresholds(_steps(base, steps))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .color_mode(values.BigValueColorMode.VALUE)
        .graph_mode(values.BigValueGraphMode.NONE)
        .text_mode(values.BigValueTextMode.NAME if named else values.BigValueTextMode.VALUE)
        .justify_mode(values.BigValueJustifyMode.AUTO)
        .orientation(values.VizOrientation.AUTO)
        .no_value(empty)
    )
    return panel if decimals is None else panel.decimals(decimals)


def graph(
    look: Look,
    queries: Sequence[Query],
    *,
    unit: str = COUNT,
    stacked: bool = False,
    bars: bool = False,
    low: float | None = 0,
    high: float | None = None,
    colours: Mapping[str, str] = {},
    steps: Steps = (),
    empty: str = "nothing in this range",
    wide: bool = False,
    decimals: int | None = None,
) -> timeseries.Panel:
    """
    Return a graph over time.

    Args:
        low: Where the axis begins; None leaves it to the data.
        colours: By the name of a series.
        steps: Lines at these values.
        wide: Put the legend beside it, where many series need room.

    """
    panel = (
        _dressed(timeseries.Panel(), look, queries, unit)
        .thresholds(_steps("transparent", steps))
        .no_value(empty)
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC))
        .line_width(1)
        .fill_opacity(70 if bars else 35 if stacked else 0 if len(queries) > 1 else 8)
        .show_points(values.VisibilityMode.NEVER)
        .span_nulls(False)
        .tooltip(
            common.VizTooltipOptions()
            .mode(values.TooltipDisplayMode.MULTI)
            .sort(values.SortOrder.DESCENDING)
        )
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(values.LegendDisplayMode.LIST)
            .placement(values.LegendPlacement.RIGHT if wide else values.LegendPlacement.BOTTOM)
        )
    )
    if bars:
        panel.draw_style(values.GraphDrawStyle.BARS).axis_soft_max(1)
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
    if decimals is not None:
        panel.decimals(decimals)
    for name, colour in colours.items():
        panel.override_by_name(name, [_colour(colour)])
    return panel


def timeline(
    look: Look,
    queries: Sequence[Query],
    *,
    texts: Sequence[models.ValueMapping] = (),
    own_texts: Mapping[str, Sequence[models.ValueMapping]] = {},
    links: Sequence[dict[str, object]] = (),
    empty: str = "nothing in this range",
    page: int = 20,
) -> statetimeline.Panel:
    """
    Return bands over time, one for each series, that change with its value.

    Args:
        own_texts: By a pattern for names of series, where *texts* are not theirs.

    """
    panel = (
        _dressed(statetimeline.Panel(), look, queries, "none", texts)
        .thresholds(_steps(BLUE, ()))
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .no_value(empty)
        .merge_values(True)
        .show_value(values.VisibilityMode.AUTO)
        .align_value(values.TimelineValueAlignment.LEFT)
        .row_height(0.85)
        .line_width(0)
        .fill_opacity(80)
        .per_page(page)
        .legend(common.VizLegendOptions().show_legend(False))
        .tooltip(common.VizTooltipOptions().mode(values.TooltipDisplayMode.SINGLE))
    )
    for pattern, own in own_texts.items():
        panel.override_by_regexp(pattern, [models.DynamicConfigValue("mappings", list(own))])
    if links:
        panel.data_links(_links(links))
    return panel


class Column(NamedTuple):
    """A column of a table, in the order of its place."""

    field: str
    """A label, or `Value`, or `Value #B` where there are several queries."""
    title: str
    width: int | None = None
    unit: str = ""
    texts: Sequence[models.ValueMapping] = ()
    link: Mapping[str, object] | None = None
    gauge: bool = False
    """Draw a share of 1 as a bar."""
    steps: Steps = ()
    base: str = "text"
    decimals: int | None = None


def rows(
    look: Look,
    queries: Sequence[Query],
    columns: Sequence[Column],
    *,
    sort: str = "",
    descending: bool = False,
    hide: Iterable[str] = (),
    empty: str = "nothing",
    paged: bool = False,
) -> table.Panel:
    """
    Return a table of the latest values.

    Args:
        sort: The title of the column to sort by; without it the rows come as the query has them.
        hide: Fields that are not shown, besides the time.
        paged: Turn pages instead of scrolling, where there may be many rows.

    """
    panel = (
        # A label is a text, even where it looks like a number: 9.4 is not 9.40.
        _dressed(table.Panel(), look, queries, "string", as_table=True)
        .thresholds(_steps("text", ()))
        .no_value(empty)
        .show_header(True)
        .min_width(60)
        .cell_height(values.TableCellHeight.SM)
    )
    if sort:
        panel.sort_by([common.TableSortByFieldState().display_name(sort).desc(descending)])
    if paged:
        panel.footer(common.TableFooterOptions().enable_pagination(True).show(False))
    if len(queries) > 1:
        panel.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    panel.with_transformation(
        models.DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": dict.fromkeys(["Time", *hide], True),
                "indexByName": {column.field: at for at, column in enumerate(columns)},
                "renameByName": {column.field: column.title for column in columns},
            },
        )
    )
    # The text for no rows at all is not the text for an empty cell.
    panel.override_by_regexp("/.*/", [models.DynamicConfigValue("noValue", "\u2013")])
    for column in columns:
        properties = _properties(column)
        if properties:
            panel.override_by_name(column.title, properties)
    return panel


def bar_list(
    look: Look,
    query: Query,
    *,
    unit: str = COUNT,
    steps: Steps = (),
    base: str = GREEN,
    high: float | None = None,
    links: Sequence[dict[str, object]] = (),
    names: Mapping[str, str] = {},
    empty: str = "none",
    decimals: int | None = None,
) -> bargauge.Panel:
    """
    Return horizontal bars, one for each series.

    Args:
        names: What series are called instead, by a pattern.

    """
    panel = (
        _dressed(bargauge.Panel(), look, [query], unit)
        .thresholds(_steps(base, steps))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .display_mode(values.BarGaugeDisplayMode.BASIC)
        .orientation(values.VizOrientation.HORIZONTAL)
        .value_mode(values.BarGaugeValueMode.TEXT)
        .name_placement(values.BarGaugeNamePlacement.LEFT)
        .sizing(values.BarGaugeSizing.AUTO)
        .min_viz_height(16)
        .max_viz_height(28)
        .show_unfilled(True)
        .min(0)
        .no_value(empty)
    )
    if high is not None:
        panel.max(high)
    if decimals is not None:
        panel.decimals(decimals)
    if links:
        panel.data_links(_links(links))
    for pattern, name in names.items():
        panel.override_by_regexp(pattern, [models.DynamicConfigValue("displayName", name)])
    return panel


# --- What values are called ---


def texts_of_codes(meanings: Iterable[Meaning]) -> list[models.ValueMapping]:
    """Return what the numbers of `coded` mean."""
    return texts(
        {
            **{str(one.code): (one.text, one.colour) for one in meanings},
            str(OTHER): ("Unknown value", "purple"),
        }
    )


def texts_of_words(meanings: Iterable[Meaning]) -> list[models.ValueMapping]:
    """Return how the words themselves are shown."""
    return texts({word: (one.text, one.colour) for one in meanings for word in one.words})


def texts(told: Mapping[str, tuple[str, str]]) -> list[models.ValueMapping]:
    """Return a mapping from values to texts and colours."""
    return [
        models.ValueMap(
            options={
                value: models.ValueMappingResult(text=text, color=colour, index=index)
                for index, (value, (text, colour)) in enumerate(told.items())
            }
        )
    ]


def yes_no(yes: tuple[str, str], no: tuple[str, str]) -> list[models.ValueMapping]:
    """Return the texts and colours of 1 and 0."""
    return texts({"1": yes, "0": no})


OUTCOMES = texts(
    {
        "confirmed": ("Confirmed", "green"),
        "failed": ("Failed", "red"),
        "unknown": ("Unknown", "orange"),
        "abandoned": ("Abandoned", "text"),
    }
)
"""How an action ended."""

WINDOWS = texts(
    {"3600": ("an hour", "text"), "86400": ("a day", "text"), "604800": ("a week", "text")}
)
"""The usual windows of budgets, in seconds."""


# --- Where values lead ---

VM_UID = "vergewatch-vm"


def to_vm(prefix: str = "__data.fields") -> dict[str, object]:
    """Return the link to the page of the VM of a row, or, with ``__field.labels``, of a series."""
    return {
        "title": "Show this VM",
        "url": f"/d/{VM_UID}?${{datasource:queryparam}}"
        f"&var-system=${{{prefix}.system_name:percentencode}}"
        f"&var-vm=${{{prefix}.vm_name:percentencode}}"
        "&${__url_time_range}",
    }


TO_VM_OF_SERIES = to_vm("__field.labels")


# --- Details ---


def _dressed(
    panel: Panel,
    look: Look,
    queries: Sequence[Query],
    unit: str,
    mappings: Sequence[models.ValueMapping] = (),
    *,
    as_table: bool = False,
) -> Panel:
    (
        panel.id(look.id)
        .title(look.title)
        .description(look.description)
        .span(look.width)
        .height(look.height)
        .datasource(SOURCE)
        .unit(unit)
    )
    if mappings:
        panel.mappings(list(mappings))
    for letter, query in zip("ABCDEFGHIJKLMNOP", queries, strict=False):
        panel.with_target(_target(letter, query, as_table=as_table))
    return panel


def _target(letter: str, query: Query, *, as_table: bool) -> prometheus.Dataquery:
    target = prometheus.Dataquery().datasource(SOURCE).ref_id(letter).expr(query.expr)
    target = target.instant() if query.now else target.range()
    if as_table:
        target.format(PromQueryFormat.TABLE)
    elif query.buckets:
        target.format(PromQueryFormat.HEATMAP)
    else:
        target.format(PromQueryFormat.TIME_SERIES)
    if query.legend:
        target.legend_format(query.legend)
    if query.step:
        target.interval(query.step)
    return target


def _steps(base: str, steps: Steps) -> dashboard.ThresholdsConfig:
    colours = [models.Threshold(value=None, color=base)]
    colours += [models.Threshold(value=value, color=colour) for value, colour in steps]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(colours)


def _colour(colour: str) -> models.DynamicConfigValue:
    return models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})


def _links(links: Sequence[dict[str, object]]) -> list[Builder[models.DashboardLink]]:
    return [dashboard.DashboardLink(str(link["title"])).url(str(link["url"])) for link in links]


def _properties(column: Column) -> list[models.DynamicConfigValue]:
    found: dict[str, Any] = {}
    if column.width is not None:
        found["custom.width"] = column.width
    if column.unit or column.field.startswith("Value"):
        found["unit"] = column.unit or COUNT
    if column.decimals is not None:
        found["decimals"] = column.decimals
    if column.texts:
        found["mappings"] = list(column.texts)
        found["custom.cellOptions"] = {"type": "color-text"}
    if column.steps:
        found["thresholds"] = _steps(column.base, column.steps).build()
        found.setdefault("custom.cellOptions", {"type": "color-text"})
    if column.gauge:
        found["custom.cellOptions"] = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
        found["min"] = 0
        found["max"] = 1
    if column.link:
        found["links"] = [dict(column.link)]
    return [models.DynamicConfigValue(id_val, value) for id_val, value in found.items()]
