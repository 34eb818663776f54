"""Templates of log rows: which parts of a text are names, and which are words with a meaning."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.recovery.detect.templates import MAX_LENGTH, has_name, template


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("web-01 is up", "web-01", "<name> is up"),
        ("up: web-01", "web-01", "up: <name>"),
        ("web-01", "web-01", "<name>"),
        ("VM web-01 and web-01 again", "web-01", "VM <name> and <name> again"),
        ("webserver", "web", "webserver"),
        ("ßweb", "web", "ßweb"),
        ("subweb is up", "web", "subweb is up"),
        ("web_a is up", "web", "web_a is up"),
        ("a_web is up", "web", "a_web is up"),
        ("a_ is up", "a", "a_ is up"),
        ("x_web is up", "_web", "x_web is up"),
        ("web_x is up", "web_", "web_x is up"),
        ("-web- is up", "web", "-<name>- is up"),
        ("x-web is up", "-web", "x<name> is up"),
        ("web-x is up", "web-", "<name>x is up"),
        ("xa-b is up", "a-b", "xa-b is up"),
        ("a-bx is up", "a-b", "a-bx is up"),
        ("web-ab is up", "web-a", "web-ab is up"),
        ("** is up", "*", "<name><name> is up"),
    ],
)
def test_name_is_replaced_where_it_is_a_whole_word(text: str, name: str, expected: str) -> None:
    assert template(text, [name]) == expected


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("web-a db-b up", ("web-a", "db-b"), "<name> <name> up"),
        ("web-a up", ("web", "web-a"), "<name> up"),
        ("web-a of web and web", ("web", "web-a"), "<name> of <name> and <name>"),
        ("web of web-a", ("web", "web-a"), "<name> of <name>"),
        ("a-web up", ("web", "a-web"), "<name> up"),
        ("(a)(b", ("(a)", "(b"), "<name><name>"),
        ("(b(a)", ("(a)", "(b"), "<name><name>"),
        ("web-a-b up", ("web-a", "a-b"), "<name>-b up"),
        ("web-a-b up", ("web-a", "x-web-a", "a-b"), "<name>-b up"),
    ],
)
def test_of_several_names_the_longest_is_replaced(
    text: str, names: tuple[str, ...], expected: str
) -> None:
    assert template(text, names) == template(text, names[::-1]) == expected


def test_of_names_of_one_length_the_first_in_order_is_replaced() -> None:
    assert template("b-a-b up", ("b-a", "a-b")) == "b-<name> up"
    assert template("b-a-b up", ("a-b", "b-a")) == "b-<name> up"


@pytest.mark.parametrize("name", ["", " ", "\t"])
def test_empty_name_replaces_nothing(name: str) -> None:
    assert template("VM is up", [name]) == "VM is up"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("VM 'off' is off", "VM '<name>' is off"),
        ('VM "off" is off', 'VM "<name>" is off'),
        ("'off' is off", "'<name>' is off"),
        ("off is 'off'", "off is '<name>'"),
        ("VM off is 'off'", "VM off is '<name>'"),
        ("'off line' of 'off'", "'off line' of '<name>'"),
        ("is 'power off' of 'off'", "is 'power off' of '<name>'"),
        ("VM (off( is 'off'", "VM (off( is '<name>'"),
        ("VM off is off", "VM <name> is <name>"),
    ],
)
def test_name_that_is_quoted_somewhere_is_a_word_elsewhere(text: str, expected: str) -> None:
    assert template(text, ["off"]) == expected


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("VM action 'poweroff' sent", ["poweroff"], "VM action 'poweroff' sent"),
        ("VM action 'snapshot' sent", [], "VM action 'snapshot' sent"),
        ("VM ACTION 'Snapshot' sent", [], "VM ACTION 'Snapshot' sent"),
        ("action 'snapshot' sent", [], "action 'snapshot' sent"),
        ("Reaction 'snapshot' sent", [], "Reaction '<name>' sent"),
        ("VM action 'kill' sent to 'kill'", ["kill"], "VM action 'kill' sent to '<name>'"),
    ],
)
def test_action_is_no_name(text: str, names: list[str], expected: str) -> None:
    assert template(text, names) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tag 'night' set", "Tag '<name>' set"),
        ('Tag "night" set', 'Tag "<name>" set'),
        ("Tag 'night-off' set", "Tag 'night-off' set"),
        ('Tag "night-off" set', 'Tag "night-off" set'),
        ("Tag '' set", "Tag '<name>' set"),
    ],
)
def test_unknown_quoted_text_is_a_name_unless_it_is_about_power(text: str, expected: str) -> None:
    assert template(text, []) == expected


def test_template_has_at_most_300_characters() -> None:
    assert MAX_LENGTH == 300
    assert template("x" * 300, []) == "x" * 300
    assert template("x" * 301, []) == "x" * 300
    assert template(" a \n  b ", []) == "a b"


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("Stop of web-01", "web-01", True),
        ("Stop of 'web-01', db", "web-01", True),
        ("Stop of web-011", "web-01", False),
        ("Stop of web-011 and web-01", "web-01", True),
        ("Stop of db-01", "web-01", False),
        ("Stop of WEB-01", "web-01", True),
        ("Stop of STRASSE", "Straße", True),
        ("Stop", "", False),
        ("Stop all", " ", False),
    ],
)
def test_text_has_a_name_as_a_whole_word(text: str, name: str, *, expected: bool) -> None:
    assert has_name(text, name) is expected


WORDS = st.text(st.sampled_from("ab_-. 'é٣\n"), max_size=6)
"""Letters, digits and marks of several kinds, for texts in which many names occur."""


@given(
    parts=st.lists(WORDS, max_size=8),
    names=st.lists(WORDS, max_size=3),
    places=st.frozensets(WORDS, max_size=6),
)
def test_places_are_names_too(parts: list[str], names: list[str], places: frozenset[str]) -> None:
    text = " ".join((*parts, *sorted(places)))

    assert template(text, names, places) == template(text, [*names, *places])
