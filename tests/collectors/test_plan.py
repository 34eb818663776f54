"""Which tables the enabled collectors poll, how often, and which settings are refused."""

import re
from collections.abc import Mapping
from math import ceil

import pytest

from exporter.collectors.collector import Collector
from exporter.collectors.plan import enabled_collectors, plan, tables_of
from exporter.collectors.registry import COLLECTORS
from exporter.errors import ConfigError
from exporter.model import IDENTITY
from exporter.polling.schedule import MAX_STRETCH, TableSchedule, requests_per_hour
from exporter.vergeos.tables import Importance, Pace

SECONDS = {
    Pace.FAST: 20.0,
    Pace.SLOW: 60.0,
    Pace.INVENTORY: 300.0,
    Pace.RARE: 900.0,
    Pace.HOURLY: 3600.0,
}
IMPORTANCE = {table.name: table.importance for table in tables_of(COLLECTORS)}
OPTIONAL = [collector for collector in COLLECTORS if not collector.required]
NEEDED_BY_RECOVERY = ["clusters", "nodes", "recovery"]


def planned(
    *,
    off: tuple[str, ...] = (),
    recovery: bool = True,
    intervals: Mapping[str, float] | None = None,
    per_hour: int = 1000,
) -> dict[str, TableSchedule]:
    """Return the schedule by table, with default intervals and the collectors *off* disabled."""
    collectors = enabled_collectors(dict.fromkeys(off, False), recovery=recovery)
    schedules = plan(
        tables_of(collectors),
        SECONDS,
        identity_seconds=3600.0,
        intervals=intervals or {},
        per_hour=per_hour,
        reserve=0.15,
    )
    return {schedule.table: schedule for schedule in schedules}


# Collectors that are off


def test_all_collectors_are_on_by_default() -> None:
    assert enabled_collectors({}, recovery=True) == COLLECTORS
    assert planned().keys() == {IDENTITY, *IMPORTANCE}


@pytest.mark.parametrize("collector", OPTIONAL, ids=lambda one: one.name)
def test_tables_of_a_disabled_collector_are_not_polled(collector: Collector) -> None:
    freed = {table.name for table in collector.tables}

    schedule = planned(off=(collector.name,), recovery=False)

    polled_without_recovery = planned(recovery=False).keys()
    assert schedule.keys() == polled_without_recovery - freed


def test_disabled_collector_frees_its_requests() -> None:
    before, after = planned(), planned(off=("nics",))

    assert requests_per_hour(before.values()) - requests_per_hour(after.values()) == 60


def test_tables_of_the_recovery_collector_are_polled_only_with_recovery() -> None:
    assert planned().keys() - planned(recovery=False).keys() == {"tags"}


@pytest.mark.parametrize("recovery", [True, False])
def test_required_collector_cannot_be_switched_off(recovery: bool) -> None:
    with pytest.raises(ConfigError, match=r"^collectors\.vms cannot be off: it is required$"):
        enabled_collectors({"vms": False}, recovery=recovery)


@pytest.mark.parametrize("name", NEEDED_BY_RECOVERY)
def test_collector_needed_by_recovery_cannot_be_switched_off(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        enabled_collectors({name: False}, recovery=True)

    assert str(caught.value) == (
        f"collectors.{name} is off, but recovery needs its tables: "
        "switch it on, or set recovery.mode: off"
    )


@pytest.mark.parametrize("name", NEEDED_BY_RECOVERY)
def test_collector_needed_by_recovery_can_be_off_without_recovery(name: str) -> None:
    assert name not in {one.name for one in enabled_collectors({name: False}, recovery=False)}


# Names


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("disk", "; did you mean disks?"),
        ("clusterstatus", "; did you mean cluster_status?"),
        ("42", "; known are system, clusters, "),
    ],
)
def test_unknown_collector_is_refused_with_the_nearest_name(name: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        enabled_collectors({name: True}, recovery=True)

    assert str(caught.value).startswith(f"collectors.{name} is unknown{hint}")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("machine_nic", "; did you mean machine_nics?"),
        ("identitiy", "; did you mean identity?"),
        ("42", "; known are identity, "),
    ],
)
def test_interval_of_an_unknown_table_is_refused_with_the_nearest_name(
    name: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        planned(intervals={name: 60.0})

    assert str(caught.value).startswith(f"poll.tables.{name} is unknown{hint}")


def test_interval_of_a_table_of_a_disabled_collector_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"poll\.tables\.machine_nics is unknown"):
        planned(off=("nics",), intervals={"machine_nics": 60.0})


# Intervals


def test_each_table_has_the_interval_of_its_pace() -> None:
    schedule = planned()

    assert {
        name: schedule[name].every_seconds
        for name in ("vms", "machine_nics", "nodes", "update_settings", IDENTITY)
    } == {
        "vms": 20.0,
        "machine_nics": 60.0,
        "nodes": 300.0,
        "update_settings": 900.0,
        IDENTITY: 3600.0,
    }


def test_only_tables_without_which_there_is_no_inventory_are_essential() -> None:
    assert {name for name, one in planned().items() if one.essential} == {"vms", "machine_status"}


def test_slow_tables_take_turns_in_the_polls_of_the_fast_ones() -> None:
    schedule = planned()

    assert schedule["machine_drives"].phase_seconds == 20.0
    assert schedule["machine_nics"].phase_seconds == 40.0


@pytest.mark.parametrize("table", ["machine_nics", "vms", IDENTITY])
def test_interval_under_poll_tables_is_used(table: str) -> None:
    assert planned(intervals={table: 45.0})[table].every_seconds == 45.0


def test_interval_under_poll_tables_is_not_stretched() -> None:
    schedule = planned(intervals={"machine_nics": 60.0}, per_hour=700)

    assert schedule["machine_nics"].every_seconds == 60.0
    assert schedule["machine_drives"].every_seconds > 60.0


def test_intervals_under_poll_tables_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"remove intervals under poll\.tables"):
        planned(intervals={"machine_nics": 5.0}, per_hour=700)


@pytest.mark.parametrize("seconds", [120.0, 900.0], ids=["shorter", "longer"])
@pytest.mark.parametrize("table", ["clusters", "cluster_status"])
def test_interval_of_one_table_holds_for_the_table_that_shares_its_request(
    table: str, seconds: float
) -> None:
    schedule = planned(intervals={table: seconds})

    assert schedule["clusters"].every_seconds == seconds
    assert schedule["cluster_status"].every_seconds == seconds


def test_different_intervals_of_tables_that_share_a_request_are_refused() -> None:
    both = {"clusters": 120.0, "cluster_status": 900.0}

    with pytest.raises(ConfigError, match=r"poll\.tables\.clusters and poll\.tables\.cluster_s"):
        planned(intervals=both)
    assert planned(intervals=dict.fromkeys(both, 900.0))["clusters"].every_seconds == 900.0


def test_tables_that_share_a_request_cost_one_request() -> None:
    schedule = planned()

    assert (schedule["clusters"].requests, schedule["cluster_status"].requests) == (1, 0)


def test_table_that_no_longer_shares_its_request_pays_for_it() -> None:
    schedule = planned(off=("clusters",), recovery=False)

    assert schedule["cluster_status"].requests == 1


def test_tables_of_one_endpoint_with_different_paces_do_not_share_a_request() -> None:
    schedule = planned()

    assert (schedule["machine_status"].requests, schedule["guests"].requests) == (1, 1)


# The request budget


def test_schedule_with_every_collector_fits_the_default_budget_without_stretching() -> None:
    schedule = planned()

    assert requests_per_hour(schedule.values()) <= 850
    assert {one.every_seconds for one in schedule.values()} == {20.0, 60.0, 300.0, 900.0, 3600.0}


def test_short_budget_stretches_the_least_important_tables_and_no_essential_one() -> None:
    before, after = planned(), planned(per_hour=700)

    assert requests_per_hour(after.values()) <= 700 * 0.85
    for name, importance in IMPORTANCE.items():
        old, new = before[name].every_seconds, after[name].every_seconds
        # These come with the requests of clusters and nodes, which are of high importance.
        if importance >= Importance.HIGH or name in ("cluster_status", "node_details"):
            assert new == old, name
        elif importance == Importance.NORMAL:
            assert old < new < ceil(old * MAX_STRETCH), name
        else:
            assert new == old * MAX_STRETCH, name


def test_budget_too_short_for_the_essential_tables_is_refused() -> None:
    with pytest.raises(ConfigError, match="requests an hour, and 340 are allowed") as caught:
        planned(per_hour=400)

    needed = re.search(r"needs (\d+) requests an hour", str(caught.value))
    assert needed
    assert planned(per_hour=ceil((int(needed[1]) + 1) / 0.85))


def test_disabled_collectors_leave_their_requests_to_the_other_tables() -> None:
    schedule = planned(off=("nics", "disks", "guests"), per_hour=700)

    assert schedule["machine_stats"].every_seconds == 60.0
