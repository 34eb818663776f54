"""Query templates: no name changes what a query means, and no older sample can count."""

import re

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from exporter.prometheus.query_template import WINDOW, checked, filled

EQUAL = 'max_over_time(probe_success{vm_name="{{vm}}"}[{{window}}]) == bool 0'
PART = "max_over_time(probe_success{instance='https://{{vm}}:443/'}[{{window}}]) == bool 0"
REGEX = 'max_over_time(probe_success{instance=~"{{vm}}[.].*"}[{{window}}]) == bool 0'
NASTY = st.text(
    st.sampled_from("\"'`\\{}[](),.*+?^$|#@=~!\n\r\t\0 aZ0éß漢😀\u2028\ufeff\ufffd{{vm}}")
)
STRING = re.compile(r"""=~?("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""", re.DOTALL)
ESCAPE = re.compile(r"\\(?:u([0-9a-f]{4})|U([0-9a-f]{8}))")


def unquoted(query: str) -> tuple[str, str]:
    """Return what the query's string means to PromQL, and the query without the string."""
    (string,) = STRING.findall(query)
    inside = string[1:-1]
    assert "\\" not in ESCAPE.sub("", inside)
    assert string[0] not in inside
    text = ESCAPE.sub(lambda found: chr(int(found[1] or found[2], 16)), inside)
    return text, query.replace(string, "")


@given(st.text() | NASTY)
def test_name_is_the_value_of_the_matcher_and_nothing_else(name: str) -> None:
    for template, around in ((EQUAL, "{}"), (PART, "https://{}:443/")):
        query = filled(template, {"vm": name}, seconds=25)

        text, rest = unquoted(query)

        assert text == around.format(name)
        assert rest == unquoted(filled(template, {"vm": "web-01"}, seconds=25))[1]


@given(st.text() | NASTY, st.text() | NASTY)
def test_name_in_a_regular_expression_matches_only_itself(name: str, other: str) -> None:
    text, _ = unquoted(filled(REGEX, {"vm": name}, seconds=25))
    pattern = re2.compile(text.removesuffix("[.].*"))

    assert pattern.fullmatch(name)
    assert bool(pattern.fullmatch(other)) is (name == other)


def test_surrogate_becomes_the_replacement_character() -> None:
    assert "\\ufffd" in filled(EQUAL, {"vm": "a\ud800"}, seconds=1)


@pytest.mark.parametrize(
    "query",
    [
        EQUAL,
        PART,
        REGEX,
        'min by (vm) (last_over_time(up{job="a"}[{{window}}])) == bool 0',
        'max_over_time({__name__="up", s!~"{{system}}"}[{{window}}]) * 1e5 > bool Inf',
        "rate(up[{{window}}]) * on (job) group_left(x) rate(b:c[{{window}}])",
        "rate(up[{{window}}]) * on (job) group_left rate(b:c[{{window}}])",
        "f(a[{{window}}]) and f(b[{{window}}]) or f(c[{{window}}]) unless f(d[{{window}}])",
        "f(a[{{window}}]) atan2 1 < bool NaN",
        "rate(up[{{window}}]) * ignoring (job) group_right rate(d[{{window}}])",
        'last_over_time(offset_seconds{a="@ offset [5m] {{vm}}"}[{{window}}]) # offset 5m',
    ],
)
def test_query_over_the_window_is_accepted(query: str) -> None:
    assert checked(query) == query


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ('probe_success{vm="{{vm}}"} == bool 0', "has no range"),
        ('max_over_time(up{vm="{{vm}}"}[5m])', "has no range"),
        ('max_over_time(up{vm="{{vm}}"}[{{window}}:1m])', "has no range"),
        (f"{EQUAL} * max_over_time(up[5m])", "a range that is not"),
        (f"{EQUAL} * up", "up has no range"),
        (f"{EQUAL} * on (vm) up", "up has no range"),
        (f"{EQUAL} * sum(up)", "up has no range"),
        (EQUAL + ' * up{a="}"}', "a selector without the range"),
        ('max_over_time(up{vm="{{vm}}"}[{{window}}] offset 5m)', "offset or @"),
        ('max_over_time(up{vm="{{vm}}"}[{{window}}] @ 1)', "offset or @"),
        ("max_over_time(up{vm={{vm}}}[{{window}}])", "neither in a string"),
        ("max_over_time(up{vm=`{{vm}}`}[{{window}}])", "belongs in a label matcher"),
        ('max_over_time(up{vm="{{name}}"}[{{window}}])', "{{name}} is not {{vm}}, {{uuid}}"),
        ('max_over_time(up{vm="\\{{vm}}"}[{{window}}])', "follows a backslash"),
        (f'label_replace({EQUAL}, "a", "{{{{vm}}}}", "b", "c")', "belongs in a label matcher"),
        (f"{EQUAL} # {{{{vm}}}}", "belongs in a label matcher"),
        ("", "has no range"),
    ],
)
def test_query_that_could_see_older_samples_or_misread_a_name_is_refused(
    query: str, says: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        checked(query)


def test_window_is_filled_outside_of_strings_only() -> None:
    query = filled(f'up{{a="{WINDOW}"}}{WINDOW}', {}, seconds=7)

    assert query == f'up{{a="{WINDOW}"}}[7s]'
