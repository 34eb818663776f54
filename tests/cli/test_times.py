"""Times in the output of commands: in the zone of the terminal or in UTC, with the zone."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from exporter.cli import times

NOW = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    times._choose(utc=False)
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("down since 2026-02-28 20:00:10 UTC", "down since 2026-03-01 05:00:10 JST"),
        ("from 23:10:00 UTC to 23:20:00 UTC", "from 08:10:00 JST to 08:20:00 JST"),
        ("at 2026-03-01 23:10 UTC.", "at 2026-03-02 08:10 JST."),
        # Yesterday in Tokyo, although the same day in UTC.
        ("crashed at 14:00:00 UTC", "crashed at 2026-03-01 23:00:00 JST"),
        ("a VM called 99:99:99 UTC", "a VM called 99:99:99 UTC"),
        ("no time\x1b[0m", "no time\N{REPLACEMENT CHARACTER}[0m"),
    ],
)
def test_times_in_sentences_are_local_with_their_zone(text: str, expected: str) -> None:
    assert times.shown(text, near=NOW) == expected


def test_utc_leaves_times_as_they_are() -> None:
    times._choose(utc=True)
    assert times.shown("at 23:10:00 UTC", near=NOW) == "at 23:10:00 UTC"
    assert times.moment(NOW) == "2026-03-01 23:30:00 UTC"


def test_times_of_events_have_the_same_zone() -> None:
    assert times.moment(NOW) == "2026-03-02 08:30:00 JST"
    assert times.time_of_day(NOW) == "08:30:00 JST"
