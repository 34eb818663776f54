"""The period of a report, as an operator gives it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.recovery.report.time_range import InvalidPeriodError, time_range

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        ("7d", "", (NOW - 7 * DAY, NOW)),
        ("1h30m", "", (NOW - timedelta(hours=1.5), NOW)),
        (" 7D ", "", (NOW - 7 * DAY, NOW)),
        ("2026-11-01", "", (NOVEMBER, NOW)),
        ("2026-11-01T02:00+02:00", "", (NOVEMBER, NOW)),
        ("2026-11-01T00:00:00Z", "1d", (NOVEMBER, NOW - DAY)),
        ("7d", "2026-11-01", (NOVEMBER - 7 * DAY, NOVEMBER)),
        ("7d", "2027-01-01", (NOW - 7 * DAY, NOW)),
    ],
)
def test_period(since: str, until: str, expected: tuple[datetime, datetime]) -> None:
    assert time_range(since, until, NOW) == expected


@pytest.mark.parametrize(
    ("since", "until", "says"),
    [
        ("", "", "since () must be a duration such as 7d or 12h, or a time"),
        ("soon", "", "since (soon) must be a duration"),
        ("7d", "soon", "until (soon) must be a duration"),
        ("0s", "", "since (2026-11-29 12:00 UTC) is not before until (2026-11-29 12:00 UTC)"),
        (
            "2026-11-02",
            "2026-11-01",
            "since (2026-11-02 00:00 UTC) is not before until (2026-11-01",
        ),
        ("400d", "", "since (400d) is more than 366 days before until"),
        ("99999999999d", "", "since (99999999999d) is too long ago"),
    ],
)
def test_no_period(since: str, until: str, says: str) -> None:
    with pytest.raises(InvalidPeriodError) as error:
        time_range(since, until, NOW)

    assert str(error.value).startswith(says)


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_a_period_or_refused(since: str, until: str) -> None:
    try:
        began, ended = time_range(since, until, NOW)
    except InvalidPeriodError:
        return
    assert began < ended <= NOW
