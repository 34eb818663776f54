from datetime import UTC, datetime, timedelta

import pytest

from exporter.formatting import ago, counted, lasting, nearest, nearest_or_all, parse_duration, span


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 VMs"), (1, "1 VM"), (2, "2 VMs"), (1200, "1,200 VMs")]
)
def test_one_has_the_singular(count: int, said: str) -> None:
    assert counted(count, "VM") == said


def test_irregular_plural_is_used() -> None:
    assert (counted(1, "try", "tries"), counted(3, "try", "tries")) == ("1 try", "3 tries")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, "0 s"),
        (0.9, "0 s"),
        (59.7, "59 s"),
        (60.0, "1 min"),
        (100.0, "100 s"),
        (120.0, "2 min"),
        (3599.9, "59 min"),
        (3600.0, "1 h"),
        (11_100.0, "3 h 5 min"),
        (604_800.0, "168 h"),
    ],
)
def test_duration_is_rounded_down(seconds: float, said: str) -> None:
    assert lasting(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.5, "0.5 s"),
        (45.0, "45 s"),
        (90.0, "90 s"),
        (5400.0, "90 min"),
        (3600.0, "1 h"),
        (604_800.0, "7 d"),
    ],
)
def test_span_is_exact(seconds: float, said: str) -> None:
    assert span(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "just now"),
        (0.9, "just now"),
        (1.9, "1 s ago"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (7_500, "2 h 5 min ago"),
    ],
)
def test_age_is_rounded_down(seconds: float, text: str) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)

    assert ago(now - timedelta(seconds=seconds), now) == text


def test_age_of_missing_time_is_never() -> None:
    assert ago(None, datetime(2026, 3, 1, tzinfo=UTC)) == "never"


@pytest.mark.parametrize(
    ("name", "most", "hint"),
    [
        ("urls", 1, "; did you mean url?"),
        ("URL", 1, "; did you mean url?"),
        ("WEB-1", 2, "; did you mean Web-10, web-2?"),
        ("password", 1, ""),
    ],
)
def test_nearest_names_are_suggested_in_any_capitalization(name: str, most: int, hint: str) -> None:
    assert nearest(name, ("url", "Web-10", "web-2", ""), most=most) == hint


def test_every_name_is_listed_where_none_is_near() -> None:
    assert nearest_or_all("password", ("", "url", "mode")) == "; known are url, mode"
    assert nearest_or_all("urls", ("", "url", "mode")) == "; did you mean url?"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h", 7200), ("1h30m", 5400), ("90s", 90), ("1d", 86_400), ("1.5h", 5400), ("250ms", 0.25)],
)
def test_duration_is_parsed(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "soon", "-1h", "2 h", "h", "5"])
def test_invalid_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration(text)
