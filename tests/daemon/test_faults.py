"""Everything that can go wrong with a VergeOS, done to a running daemon, one by one and mixed."""

import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from exporter.simulator import FAULTS, Simulator
from tests.daemon_process import REAL_TIME, Daemon, Page, pointing_at, polls, running, simulating

pytestmark = pytest.mark.asyncio(loop_scope="module")

Symptom = Callable[[Page, Page], bool]
"""Tells an ill page from a healthy one."""


@dataclass
class EnrolmentRuleSettings:
    """A cloud to make ill, and the daemon that watches it."""

    system: Simulator
    daemon: Daemon


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ward() -> AsyncIterator[EnrolmentRuleSettings]:
    async with simulating(lockout_after=None) as system:
        env = {
            **pointing_at(system),
            "VERGEWATCH_API__MAX_ANSWER_MIB": "1",
            "VERGEWATCH_API__TIMEOUT_SECONDS": "1",
            "VERGEWATCH_API__REFUSED_WAIT_SECONDS": "1",
        }
        async with running(env) as daemon:
            await daemon.until_up()
            yield EnrolmentRuleSettings(system, daemon)


def a_table_fails(before: Page, page: Page) -> bool:
    return 0 in page.get("vergewatch_table_success")


def rows_are_skipped(before: Page, page: Page) -> bool:
    skipped = "vergewatch_table_rows_skipped_total"
    return a_table_fails(before, page) or sum(page.get(skipped)) > sum(before.get(skipped))


def the_key_is_refused(before: Page, page: Page) -> bool:
    return page.get("vergewatch_authenticated") == [0]


def vms_are_missing(before: Page, page: Page) -> bool:
    return len(page.get("vergewatch_vm_enabled")) < len(before.get("vergewatch_vm_enabled"))


def all_is_well(page: Page) -> bool:
    return (
        page.get("vergewatch_up") == [1]
        and set(page.get("vergewatch_table_success")) == {1}
        and set(page.get("vergewatch_table_fresh")) == {1}
        and len(page.get("vergewatch_vm_running")) >= 20
    )


@pytest.mark.parametrize(
    ("fault", "parameters", "symptom"),
    [
        ("latency", {"seconds": 3}, a_table_fails),
        ("hang", {}, a_table_fails),
        ("status", {"code": 429}, a_table_fails),
        ("status", {"code": 403}, a_table_fails),
        ("status", {"code": 404}, a_table_fails),
        ("status", {"code": 500}, a_table_fails),
        ("status", {"code": 503}, a_table_fails),
        ("reset", {}, a_table_fails),
        ("reset_after", {}, a_table_fails),
        ("truncate", {"mode": "length"}, a_table_fails),
        ("truncate", {"mode": "json"}, a_table_fails),
        ("html", {}, a_table_fails),
        ("object_instead_of_list", {}, a_table_fails),
        ("oversize", {"mebibytes": 2}, a_table_fails),
        ("outage", {}, a_table_fails),
        ("reject_key", {}, the_key_is_refused),
        ("missing_key", {}, rows_are_skipped),
        ("duplicate_keys", {}, rows_are_skipped),
        ("wrong_types", {}, rows_are_skipped),
        ("short_list", {"keep": 0.5}, vms_are_missing),
        ("empty_list", {}, vms_are_missing),
    ],
)
async def test_fault_is_reported_and_daemon_recovers(
    ward: EnrolmentRuleSettings, fault: str, parameters: dict[str, Any], symptom: Symptom
) -> None:
    before = await ward.daemon.page_where(all_is_well)
    told = len(ward.daemon.log)

    with ward.system.faults.on(fault, **parameters):
        await ward.daemon.page_where(lambda page: symptom(before, page))
        if symptom is not vms_are_missing:  # fewer rows are not for us to doubt
            await ward.daemon.page_where(lambda _: len(ward.daemon.log) > told)

    await ward.daemon.page_where(all_is_well)
    assert ward.daemon.process.returncode is None


async def test_unknown_status_is_exported_counted_and_logged(
    ward: EnrolmentRuleSettings,
) -> None:
    with ward.system.faults.on("unknown_status"):
        page = await ward.daemon.page_where(
            lambda page: sum(page.get("vergewatch_cluster_vms", status="other")) > 0
        )

        assert page.get("vergewatch_up") == [1]
        assert "table.unknown_status" in ward.daemon.events()


@pytest.mark.parametrize("fault", ["frozen_writer", "frozen_clock"])
async def test_frozen_platform_is_visible(ward: EnrolmentRuleSettings, fault: str) -> None:
    await ward.daemon.page_where(all_is_well)
    with ward.system.faults.on(fault):
        await polls(ward.system, 2)
        page = await ward.daemon.page()

        assert page.get("vergewatch_up") == [1]
        assert page.get("vergewatch_vm_status_update_timestamp_seconds")


@pytest.mark.parametrize(
    "quirk",
    [
        "string_keys",
        "expanded_keys",
        "null_subrows",
        "missing_stats",
        "empty_arrays",
        "null_nodes",
        "late_logs",
        "lost_logs",
    ],
)
async def test_unusual_response_hides_no_vm(ward: EnrolmentRuleSettings, quirk: str) -> None:
    before = await ward.daemon.page_where(all_is_well)

    with ward.system.faults.on(quirk):
        await polls(ward.system, 5)
        page = await ward.daemon.page_where(all_is_well)

    assert page.samples["vergewatch_vm_enabled"] == before.samples["vergewatch_vm_enabled"]


@pytest.mark.parametrize("seed", range(3))
async def test_daemon_survives_any_mix_of_faults(ward: EnrolmentRuleSettings, seed: int) -> None:
    dice = random.Random(seed)
    faults = sorted(name for name in FAULTS if FAULTS[name].path is None)

    for _ in range(5):
        for fault in dice.sample(faults, 3):
            ward.system.faults.turn_on(fault, probability=dice.choice([0.3, 1.0]))
        await REAL_TIME.sleep(1)  # two polls, if anything still works
        page = await ward.daemon.page()
        assert page.get("vergewatch_up") in ([0], [1])
        ward.system.faults.clear()

    await ward.daemon.page_where(all_is_well)
    assert ward.daemon.process.returncode is None
    assert not any("Traceback" in line for line in ward.daemon.output)
