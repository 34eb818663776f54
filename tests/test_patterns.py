"""Patterns: a glob of `*` and `?` alone, or a regular expression; without regard to capitals."""

import re
from unicodedata import normalize

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.patterns import (
    any_fits,
    fits,
    folded,
    has_brackets,
    is_filled,
    is_pattern,
    may_overlap,
)

NFC, NFD = normalize("NFC", "Zoë-é"), normalize("NFD", "Zoë-é")


@pytest.mark.parametrize(
    ("pattern", "name", "fit"),
    [
        ("[DO NOT START]*", "[DO NOT START] erp", True),
        ("[DO NOT START]*", "D", False),
        ("web-[0-9]", "web-1", False),
        ("web-[0-9]", "web-[0-9]", True),
        ("[!a]*", "b", False),
        ("[!a]*", "[!a] old", True),
        ("a]b", "a]b", True),
        ("a[b", "a[b", True),
        ("[[]x", "[[]x", True),
        ("(prod) {a,b}.+^$|\\*", "(prod) {a,b}.+^$|\\7", True),
        ("a.c", "abc", False),
        ("web-*", "web-", True),
        ("web-*", "my-web-1", False),
        ("web-?", "web-1", True),
        ("web-?", "web-12", False),
        ("*", "", True),
        ("?", "", False),
        ("*", "two\nlines", True),
        ("web", "web ", False),
        ("WEB-*", "web-1", True),
        ("web-*", "WEB-1", True),
        ("ΟΔΟΣ*", "οδος-1", True),
        ("STRASSE", "Straße", True),
        (NFC, NFD, True),
        (NFD, NFC.upper(), True),
        ("zo?-?", NFD, True),
        ("re:web-[0-9]+", "WEB-17", True),
        ("re:web-[0-9]+", "web-17-old", False),
        ("re:web|db", "web-1", False),
        ("re:.*", "two\nlines", True),
        ("re:zo[ë]-.", NFD, True),
        ("RE:web", "web", False),
        ("RE:web", "re:web", True),
    ],
)
def test_name_fits_pattern(pattern: str, name: str, fit: bool) -> None:
    assert is_pattern(pattern)
    assert fits(name, (pattern,)) is fit
    assert any_fits(frozenset({"none of it", name}), (pattern,)) is fit


def test_list_of_patterns_fits_if_one_does() -> None:
    mixed = ("db-*", "re:web-[0-9]+", "[x]")

    assert [name for name in ("DB-1", "web-3", "[X]", "web-x", "x") if fits(name, mixed)] == [
        "DB-1", "web-3", "[X]",
    ]  # fmt: skip
    assert not fits("web", ())
    assert not any_fits(frozenset(), ("*",))


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("re:", "has no regular expression"),
        ("re:(", "missing \\)"),
        ("re:[", "missing \\]"),
        ("re:a)|(b", "RE2 syntax"),
        ("re:(?=web)", "RE2 syntax"),
        (r"re:(a)\1", "RE2 syntax"),
        ("re:((((((a{1000}){1000})))))", "RE2 syntax"),
        ("re:\ud800", "UTF-8"),
    ],
)
def test_text_that_is_no_pattern_is_refused(pattern: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        is_pattern(pattern)


def test_empty_list_is_refused() -> None:
    assert is_filled(("*",))
    with pytest.raises(ValueError, match="empty list"):
        is_filled(())


def test_lone_surrogate_in_a_name_fits_what_fits_any_character() -> None:
    assert fits("web-\ud800", ("web-?",))
    assert fits("web-\ud800", ("re:web-.",))


def test_slow_patterns_take_no_long_time() -> None:
    assert not fits("a" * 5000, ("*a" * 30 + "b",))
    assert not fits("a" * 5000, ("re:(a*)*b",))


TEXT = st.text(alphabet="aB[]!-ß*?.\\é", max_size=8)


@given(TEXT, TEXT)
@example("[a]*", "[A]b")
def test_glob_is_what_its_definition_says(pattern: str, name: str) -> None:
    every = {"*": ".*", "?": "."}
    expected = re.compile(
        "".join(every.get(char, re.escape(char)) for char in folded(pattern)), re.DOTALL
    )

    assert fits(name, (pattern,)) is (expected.fullmatch(folded(name)) is not None)


@given(st.text(max_size=20).filter(lambda text: not set("*?") & set(text)))
def test_name_without_wildcards_fits_itself_in_any_form(name: str) -> None:
    if name.startswith("re:"):
        return
    forms = {name, name.casefold(), normalize("NFC", name), normalize("NFD", name)}

    assert all(fits(one, (other,)) for one in forms for other in forms)


def test_overlap_is_found_between_globs_and_regular_expressions() -> None:
    assert may_overlap("web-*", "WEB-1")
    assert may_overlap("re:web-[0-9]", "web-1")
    assert may_overlap("re:a+", "re:a+")
    assert not may_overlap("re:a+", "b*")


def test_brackets_are_noticed_in_globs_only() -> None:
    assert has_brackets("[a]*")
    assert not has_brackets("re:[a]")
    assert not has_brackets("web")
