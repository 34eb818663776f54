from datetime import UTC, datetime, time, timedelta

import pytest

from exporter.recovery.decide.maintenance_windows import MaintenanceWindow, active_window

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
