"""Variables get into queries as Grafana would put them there."""

import pytest

from tools.preview.dashboard import (
    EVERYTHING,
    Choice,
    Moment,
    UnfilledError,
    Values,
    seconds,
)

ONE = Choice("vm", "label_values(vm_name)", several=False, everything=None)
SEVERAL = Choice("system", "label_values(up, system_name)", several=True, everything=".+")


def _values(**chosen: list[str]) -> Values:
    return Values(chosen, {"vm": ONE, "system": SEVERAL})


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ('up{vm="$vm"}', 'up{vm="db-1"}'),
        ('up{vm="${vm}"}', 'up{vm="db-1"}'),
        ('up{vm="${vm:regex}"}', 'up{vm="db-1"}'),
        ("rate(x[$__rate_interval])", "rate(x[60s])"),
        ('label_replace(up, "a", "$1", "b", "(.+)")', 'label_replace(up, "a", "$1", "b", "(.+)")'),
    ],
)
def test_fills_in_what_is_chosen(text: str, filled: str) -> None:
    built_in = {"__rate_interval": "60s"}

    assert _values(vm=["db-1"]).fill(text, built_in) == filled


@pytest.mark.parametrize(
    ("chosen", "filled"),
    [([EVERYTHING], ".+"), (["one"], "one"), (["a.b", "c"], r"(a\\.b|c)")],
)
def test_several_values_become_a_pattern(chosen: list[str], filled: str) -> None:
    assert _values(system=chosen).fill("$system", {}) == filled


def test_an_unknown_variable_is_an_error() -> None:
    with pytest.raises(UnfilledError):
        _values().fill("$unknown", {})


def test_a_selector_and_its_label() -> None:
    assert SEVERAL.parts() == ("up", "system_name")
    assert ONE.parts() == ("", "vm_name")
    with pytest.raises(UnfilledError):
        Choice("x", "query_result(up)", several=False, everything=None).parts()


@pytest.mark.parametrize(
    ("span", "least", "step", "rate"),
    [
        (900, None, "15s", "60s"),  # no finer than the scrapes, and four of them for a rate
        (900, 60.0, "60s", "240s"),  # what a query asks for at least
        (86_400, None, "120s", "135s"),  # no more points than pixels
    ],
)
def test_steps(span: float, least: float | None, step: str, rate: str) -> None:
    built_in = Moment(0, span, scrape_seconds=15).built_in(least)

    assert (built_in["__interval"], built_in["__rate_interval"]) == (step, rate)
    assert built_in["__range"] == f"{span:g}s"


def test_spans() -> None:
    assert [seconds(text) for text in ("500ms", "15s", "1m", "2h", "1d")] == [
        0.5, 15, 60, 7200, 86_400,
    ]  # fmt: skip
    with pytest.raises(UnfilledError):
        seconds("soon")
