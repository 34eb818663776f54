import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.simulator.api.query import (
    Field,
    InvalidQueryError,
    parse_fields,
    parse_filter,
    parse_sort,
)

ROW = {"name": "web-01", "ram": 4096, "enabled": True, "owner": None, "note": "it's {odd} a\\b"}


def matches(text: str, row: dict[str, Any] = ROW, now: float = 1_000.0) -> bool:
    condition = parse_filter(text, now=now)
    return condition is None or condition.holds(row.__getitem__)


@pytest.mark.parametrize(
    "text",
    [
        "name eq 'web-01'",
        'name eq "web-01"',
        "name ne 'web-02'",
        "ram gt 4095",
        "ram ge 4096",
        "ram lt 4097",
        "ram le 4096",
        "ram eq '4096'",
        "name bw 'web'",
        "name ew '01'",
        "name cs 'b-0'",
        "name ct 'WEB'",
        "name rx '^web-[0-9]+$'",
        "name rx '^web-[[:digit:]]+$'",
        "enabled eq true",
        "enabled ne false",
        "owner eq null",
        "ram ge {$now}",
        "ram gt '{$now}'",
        "(name eq 'x' or ram eq 4096) and enabled eq true",
        "",
        "  ",
    ],
)
def test_the_row_matches(text: str) -> None:
    assert matches(text)


@pytest.mark.parametrize(
    "text",
    [
        "name eq 'WEB-01'",
        "name cs 'WEB'",
        "name re 'web'",
        "name rx '\\\\d'",
        "owner gt 0",
        "owner ne null",
        "ram gt 'many'",
        "name bw 'eb'",
        "name ew 'web'",
    ],
)
def test_the_row_does_not_match(text: str) -> None:
    assert not matches(text)


@pytest.mark.parametrize(
    "text",
    [
        "name like 'web%'",
        "name in ('a','b')",
        "name sw 'web'",
        "name matches 'x'",
        "name regex 'x'",
        "startswith(name,'web')",
        "name eq",
        "name",
        "name eq web",
        "name eq 'web",
        "(name eq 'web'",
        "name eq 'web')",
        "name eq 'a' and",
        "name eq 'a' nor name eq 'b'",
        "name eq 'it''s'",
        "name rx '('",
        "and name eq 'a'",
    ],
)
def test_invalid_filter_is_an_error(text: str) -> None:
    with pytest.raises(InvalidQueryError):
        parse_filter(text, now=0.0)


def test_backslash_escapes_a_character() -> None:
    assert matches(r"note eq 'it\'s \{odd} a\\b'")


def test_unescaped_braces_are_removed() -> None:
    assert matches("name eq 'web{whatever}-01'")
    assert not matches("note cs '{odd}x'")


def test_and_does_not_bind_more_tightly_than_or() -> None:
    # With precedence this would be: true or (… and false), which is true.
    assert not matches("name eq 'web-01' or ram eq 1 and enabled eq false")
    assert matches("name eq 'web-01' or (ram eq 1 and enabled eq false)")


chains = st.recursive(
    st.booleans(),
    lambda inner: st.lists(
        st.tuples(st.sampled_from(("and", "or")), inner), min_size=1, max_size=5
    ),
    max_leaves=20,
)


def _text(chain: Any) -> str:
    if isinstance(chain, bool):
        return f"enabled eq {'true' if chain else 'false'}"
    parts = [_text(one) if isinstance(one, bool) else f"({_text(one)})" for _, one in chain]
    return parts[0] + "".join(
        f" {word} {part}" for (word, _), part in zip(chain[1:], parts[1:], strict=True)
    )


def _truth(chain: Any) -> bool:
    """Fold from the left, knowing nothing of precedence."""
    if isinstance(chain, bool):
        return chain
    value = _truth(chain[0][1])
    for word, one in chain[1:]:
        value = (value and _truth(one)) if word == "and" else (value or _truth(one))
    return value


@given(chains)
def test_chains_are_read_from_left_to_right(chain: Any) -> None:
    assert matches(_text(chain)) is _truth(chain)


@given(st.text())
def test_any_text_is_a_filter_or_an_invalid_argument(text: str) -> None:
    try:
        parse_filter(text, now=0.0)
    except InvalidQueryError:
        return


@given(st.text(alphabet="ab'\\{}$now \"", max_size=12))
def test_any_escaped_name_is_found(name: str) -> None:
    escaped = re.sub(r"([\\'{])", r"\\\1", name)

    assert matches(f"name eq '{escaped}'", {"name": name})


def test_fields_are_paths_aliases_and_subrows() -> None:
    assert parse_fields("$key, machine#status#running as on,stats[all],status[a,b] as s") == (
        Field(("$key",), "$key"),
        Field(("machine", "status", "running"), "on"),
        Field(("stats",), "stats", (Field(("all",), "all"),)),
        Field(("status",), "s", (Field(("a",), "a"), Field(("b",), "b"))),
    )


def test_a_function_wraps_the_last_part_of_a_path() -> None:
    assert parse_fields("status#display(status) as word") == (
        Field(("status", "status"), "word", None, "display"),
    )


def test_empty_fields_are_ignored() -> None:
    assert parse_fields(",") == ()
    assert parse_fields("") == ()


def test_sort_is_ascending_without_minus() -> None:
    # An unencoded plus arrives as a space.
    assert parse_sort("+name,-$key, ram") == (("name", False), ("$key", True), ("ram", False))
