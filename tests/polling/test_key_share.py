"""How replicas with one key share the requests of an hour."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.settings import Settings
from exporter.config.systems import ResolvedSystem, resolve_systems
from exporter.errors import ConfigError
from exporter.polling.key_share import ALONE, KeyShare
from exporter.polling.schedule import allowance, requests_per_hour


def resolved(per_hour: int = 1000, mode: str = "enforce") -> ResolvedSystem:
    settings = Settings.model_validate(
        {
            "systems": [{"url": "https://verge.example", "api_key": "k"}],
            "api": {"requests_per_hour": per_hour},
            "recovery": {"mode": mode},
        }
    )
    return resolve_systems(settings)[0]


def planned(system: ResolvedSystem, share: KeyShare) -> float:
    return requests_per_hour(system.schedules_for({}, share, is_running=True))


@given(replicas=st.integers(1, 6), per_hour=st.integers(800, 3000))
def test_plans_of_all_replicas_fit_the_hour_whichever_leads(replicas: int, per_hour: int) -> None:
    system = resolved(per_hour)
    leader, standby = (planned(system, KeyShare(replicas, one)) for one in (True, False))

    if replicas == 1:
        assert leader == standby == planned(system, ALONE)
        return
    in_all = leader + (replicas - 1) * standby
    assert in_all <= allowance(per_hour, 0.15)


@given(
    replicas=st.integers(2, 4),
    vms=st.integers(1, 10_000),
    page=st.sampled_from([250, 1000]),
    mode=st.sampled_from(["enforce", "off"]),
)
def test_plans_of_all_replicas_use_and_fit_the_hour_however_many_vms_there_are(
    replicas: int, vms: int, page: int, mode: str
) -> None:
    system = resolved(mode=mode)
    tables = ("vms", "machine_status", "machine_stats", "machine_nics", "machine_drives")
    pages = dict.fromkeys(tables, ceil(vms / page))
    shares = (
        [KeyShare(replicas, leads=True)] + [KeyShare(replicas, leads=False)] * (replicas - 1)
        if mode == "enforce"
        else [KeyShare(replicas, leads=None)] * replicas
    )

    plans = [requests_per_hour(system.schedules_for(pages, one, is_running=True)) for one in shares]

    assert sum(plans) <= 850
    assert all(plan >= 850 / 12 for plan in plans)


@pytest.mark.parametrize("replicas", [2, 3, 4])
def test_replicas_without_recovery_share_alike(replicas: int) -> None:
    assert replicas * planned(resolved(mode="off"), KeyShare(replicas, None)) <= 850


@pytest.mark.parametrize(("replicas", "expected"), [(2, 728), (3, 606)])
def test_standby_costs_122_requests_an_hour_and_the_leader_keeps_its_fast_tables(
    replicas: int, expected: float
) -> None:
    system = resolved()
    fast = {"vms", "machine_status"}

    standby = system.schedules_for({}, KeyShare(replicas, leads=False), is_running=True)
    leader = system.schedules_for({}, KeyShare(replicas, leads=True), is_running=True)

    assert requests_per_hour(standby) == 122
    assert {one.table: one.every_seconds for one in standby} == {
        "identity": 3600, "vms": 60, "machine_status": 60,
    }  # fmt: skip
    assert {one.every_seconds for one in leader if one.table in fast} == {20}
    assert requests_per_hour(leader) <= expected


def test_more_replicas_than_the_key_allows_are_refused_with_the_arithmetic() -> None:
    with pytest.raises(ConfigError, match=r"and 488 of replicas with the same key"):
        resolved(900).schedules_for({}, KeyShare(5, leads=True), is_running=False)


def test_standby_polls_no_faster_than_the_settings_say() -> None:
    settings = Settings.model_validate(
        {
            "systems": [{"url": "https://verge.example", "api_key": "k"}],
            "poll": {"fast_seconds": 90},
        }
    )
    (system,) = resolve_systems(settings)

    found = system.schedules_for({}, KeyShare(2, leads=False), is_running=True)

    assert {one.every_seconds for one in found} == {90, 3600}
