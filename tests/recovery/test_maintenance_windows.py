from datetime import UTC, datetime, time, timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from exporter.recovery.decide.maintenance_windows import DAYS, MaintenanceWindow, active_window

BERLIN = "Europe/Berlin"


def window(begins: time, hours: float, **more: object) -> MaintenanceWindow:
    given = {"reason": "backups run", **more}
    return MaintenanceWindow(start=begins, hours=hours, **given)  # type: ignore[arg-type]


def holds(one: MaintenanceWindow, moment: datetime) -> bool:
    return one.until("web-01", moment) is not None


@pytest.mark.parametrize(
    ("hour", "minute", "still"),
    [(21, 59, False), (22, 0, True), (23, 59, True), (0, 0, True), (3, 59, True), (4, 0, False)],
)
def test_a_window_over_midnight(hour: int, minute: int, still: bool) -> None:
    nights = window(time(22, 0), 6)

    assert holds(nights, datetime(2026, 3, 4, hour, minute, tzinfo=UTC)) is still


def test_window_belongs_to_the_day_of_its_start() -> None:
    saturday_night = window(time(22, 0), 6, days=("sat",))

    assert holds(saturday_night, datetime(2026, 3, 8, 3, 0, tzinfo=UTC))
    assert not holds(saturday_night, datetime(2026, 3, 7, 3, 0, tzinfo=UTC))


def test_a_window_of_several_days() -> None:
    weekend = window(time(18, 0), 60, days=("fri",))

    assert holds(weekend, datetime(2026, 3, 9, 5, 59, tzinfo=UTC))
    assert not holds(weekend, datetime(2026, 3, 9, 6, 0, tzinfo=UTC))


def test_window_applies_to_the_named_vms_only() -> None:
    for_databases = window(time(0, 0), 24, names=("db-*",))
    moment = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)

    assert active_window([for_databases], "db-01", moment) == "backups run (until Thu 00:00 UTC)"
    assert active_window([for_databases], "web-01", moment) == ""


@pytest.mark.parametrize(
    ("moment", "still"),
    [
        (datetime(2026, 3, 29, 0, 30, tzinfo=UTC), True),  # 1:30, an hour before 3:00
        (datetime(2026, 3, 29, 1, 30, tzinfo=UTC), True),  # 3:30: 2:00 to 3:00 was left out
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), True),  # 2:30 for the first time
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), True),  # and for the second
        (datetime(2026, 10, 25, 3, 30, tzinfo=UTC), False),  # 4:30
    ],
)
def test_window_uses_local_time_across_a_clock_change(moment: datetime, still: bool) -> None:
    small_hours = window(time(1, 0), 3, zone=BERLIN)

    assert holds(small_hours, moment) is still


@pytest.mark.parametrize(
    ("night", "begins", "minutes"),
    [
        (datetime(2026, 3, 29, tzinfo=UTC), time(2, 0), 60),  # an hour that is not there
        (datetime(2026, 3, 29, tzinfo=UTC), time(1, 0), 120),
        (datetime(2026, 10, 25, tzinfo=UTC), time(1, 30), 60),
        (datetime(2026, 10, 25, tzinfo=UTC), time(1, 0), 180),
    ],
)
def test_clock_change_neither_shortens_nor_splits_a_window(
    night: datetime, begins: time, minutes: int
) -> None:
    of_that_night = window(begins, minutes / 60, zone=BERLIN)

    held = [
        minute
        for minute in range(-120, 360)
        if holds(of_that_night, night + timedelta(minutes=minute))
    ]

    assert len(held) >= minutes
    assert held == list(range(held[0], held[-1] + 1))


@pytest.mark.parametrize(("minute", "still"), [(0, True), (28, True), (29, False), (30, False)])
def test_window_that_a_clock_change_extends_into_a_third_day(minute: int, *, still: bool) -> None:
    """It lasts 23.5 hours from Saturday 23:59 on, and the clock is put forward by one."""
    saturday_night = window(time(23, 59), 23.5, days=("sat",), zone=BERLIN)
    monday = datetime(2026, 3, 29, 22, minute, tzinfo=UTC)  # 0:00 and later in Berlin

    assert holds(saturday_night, monday) is still


@pytest.mark.parametrize("number", range(7))
@pytest.mark.parametrize("day", DAYS)
def test_window_is_on_its_day_of_the_week(day: str, number: int) -> None:
    noon = datetime(2026, 3, 2 + number, 12, 0, tzinfo=UTC)  # the first is a Monday
    starts_on = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[number]

    assert holds(window(time(11, 0), 2, days=(day,)), noon) is (day == starts_on)
    assert holds(window(time(11, 0), 2), noon)


@pytest.mark.parametrize("second", [-1, 0, 7 * 86_400 - 1, 7 * 86_400])
def test_window_of_a_whole_week_never_ends(second: int) -> None:
    whole_week = window(time(0, 0), 7 * 24, days=("mon",))

    assert holds(whole_week, datetime(2026, 3, 2, tzinfo=UTC) + timedelta(seconds=second))


@pytest.mark.parametrize(
    ("names", "applies"),
    [((), True), (("web-*",), True), (("db-*", "web-01"), True), (("db-*", "web-1"), False)],
)
def test_window_without_patterns_applies_to_all_vms(
    names: tuple[str, ...], *, applies: bool
) -> None:
    assert holds(window(time(0, 0), 24, names=names), datetime(2026, 3, 4, tzinfo=UTC)) is applies


def test_first_window_that_holds_gives_the_reason_and_the_end_in_its_zone() -> None:
    later = window(time(13, 0), 1, reason="later")
    here = window(time(12, 0), 3, zone=BERLIN, reason="here")
    also = window(time(0, 0), 24, reason="also")
    moment = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)

    assert active_window([later, here, also], "a", moment) == f"here (until Wed 15:00 {BERLIN})"
    assert active_window([later], "a", moment) == ""


CONFIGURED = TypeAdapter(MaintenanceWindow)
NIGHT = {"start": "22:00", "hours": 6, "reason": "backups run"}


@pytest.mark.parametrize("day", ["mon", "tue", "wed", "thu", "fri", "sat", "sun"])
def test_day_is_configured_by_three_letters(day: str) -> None:
    assert CONFIGURED.validate_python({**NIGHT, "days": [day]}).days == (day,)
    with pytest.raises(ValidationError, match="days"):
        CONFIGURED.validate_python({**NIGHT, "days": [f"{day}day"]})


@pytest.mark.parametrize("zone", ["UTC", BERLIN, "America/Argentina/Ushuaia"])
def test_time_zone_is_accepted(zone: str) -> None:
    assert CONFIGURED.validate_python({**NIGHT, "zone": zone}).zone == zone


@pytest.mark.parametrize(
    "zone", ["", "Mars/Olympus", "../etc/passwd", "/etc/passwd", "Europe", "a" * 300, "a\0b"]
)
def test_name_that_is_no_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValidationError, match="is not a time zone such as Europe/Berlin"):
        CONFIGURED.validate_python({**NIGHT, "zone": zone})
