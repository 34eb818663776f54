"""Variables are put into queries as Grafana does it."""

from typing import Any

import pytest

from tools.preview.dashboard import Dashboard, QueryError, TimeRange, Variable, fill
from tools.preview.prometheus import ALL, filled


def _dashboard(*variables: dict[str, Any]) -> Dashboard:
    return Dashboard(
        {
            "templating": {
                "list": [
                    {"type": "query", "query": {"query": f"label_values(up, {one['name']})"}, **one}
                    for one in variables
                ]
            }
        }
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('up{vm="$vm"}', 'up{vm="db-1"}'),
        ('up{vm="${vm}"}', 'up{vm="db-1"}'),
        ('up{vm="${vm:regex}"}', 'up{vm="db-1"}'),
        ("rate(x[$__rate_interval])", "rate(x[60s])"),
        ('label_replace(up, "a", "$1", "b", "(.+)")', 'label_replace(up, "a", "$1", "b", "(.+)")'),
    ],
)
def test_variables_are_replaced_by_their_values(text: str, expected: str) -> None:
    assert fill(text, {"vm": "db-1", "__rate_interval": "60s"}) == expected


@pytest.mark.parametrize(("chosen", "expected"), [(ALL, ".+"), ("one", "one"), ("a.b", r"a\\.b")])
def test_value_of_a_multi_variable_becomes_a_pattern(chosen: str, expected: str) -> None:
    dashboard = _dashboard({"name": "system", "allValue": ".+"})

    assert filled(dashboard, {"system": chosen}) == {"system": expected}


def test_value_of_a_single_variable_stays_as_it_is() -> None:
    assert filled(_dashboard({"name": "vm"}), {"vm": "a.b"}) == {"vm": "a.b"}


def test_undefined_variable_is_an_error() -> None:
    with pytest.raises(QueryError):
        fill("$unknown", {})


def test_variable_is_split_into_selector_and_label() -> None:
    found = Variable("vm", 'label_values(up{a="b", c="d"}, vm_name)', all_values=None)

    assert found.parts() == ('up{a="b", c="d"}', "vm_name")
    with pytest.raises(QueryError):
        Variable("x", "query_result(up)", all_values=None).parts()


@pytest.mark.parametrize(
    ("span", "least", "step", "rate"),
    [
        (900, 0, "15s", "60s"),  # no finer than the scrapes, and four of them for a rate
        (900, 60.0, "60s", "240s"),  # the least step of the query
        (86_400, 0, "120s", "135s"),  # no more points than pixels
    ],
)
def test_step_follows_from_range_scrapes_and_query(
    span: float, least: float, step: str, rate: str
) -> None:
    values = TimeRange(0, span, scrape_seconds=15).variables(least)

    assert values == {"__interval": step, "__rate_interval": rate, "__range": f"{span:g}s"}
