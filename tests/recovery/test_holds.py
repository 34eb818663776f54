"""VMs wait while the platform cannot run them, start afterwards, and others are unaffected."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from exporter.collectors.cluster_tiers import CLUSTER_TIERS
from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.model.cases import Reply
from exporter.recovery.model.decision import GuardName
from exporter.recovery.model.states import State
from exporter.simulator.world.builder import ClusterPlan
from tests.recovery.conftest import MakeHarness
from tests.recovery.harness import LIMITS, Harness, replies
from tests.recovery.test_scenarios import ENOUGH, reason, until

TWO_CLUSTERS = (ClusterPlan("production", 2), ClusterPlan("lab", 2))
SOON = 120.0
"""Seconds within which a plain crash is over."""


def warm(make_harness: MakeHarness, **kwargs: Any) -> Harness:
    """Return a harness after its warm-up, with two clusters, that reads each table often."""
    harness, _ = make_harness(vms=20, clusters=TWO_CLUSTERS, platform_every=20.0, **kwargs)
    return harness.warm()


def in_cluster(harness: Harness, cluster: str) -> list[str]:
    """Return VMs of a cluster that VergeOS starts nowhere else."""
    key = next(one.key for one in harness.world.clusters.values() if one.name == cluster)
    found = [name for name in harness.names if harness.world.vm(name).machine.cluster == key]
    for name in found:
        harness.world.vm(name).machine.cluster_failover = None
    return found


def detail(harness: Harness, name: str, guard: GuardName) -> str:
    decision = harness.recovery.decisions[harness.world.vm(name).uuid]
    return next(one.detail for one in decision.guard_results if one.guard is guard)


def is_held(harness: Harness, name: str, guard: GuardName, *, seconds: float = ENOUGH) -> bool:
    """Let time pass; return whether *guard* alone kept recovery from acting on a VM."""
    asked = len(harness.asked(name))
    harness.advance(seconds)
    return len(harness.asked(name)) == asked and reason(harness, name) is guard


def is_started(harness: Harness, name: str) -> bool:
    harness.advance(SOON)
    return harness.running(name) and len(harness.asked(name)) >= 1


# Storage


@pytest.mark.parametrize("word", ["offline", "outofspace", "initializing"])
def test_vm_waits_for_the_storage_of_its_cluster(make_harness: MakeHarness, word: str) -> None:
    harness = warm(make_harness)
    ours, other = in_cluster(harness, "production")[0], in_cluster(harness, "lab")[0]
    harness.world.faults.turn_on("storage_tier", word=word, cluster="production")
    harness.advance(40)
    harness.world.crash(ours)

    assert is_held(harness, ours, GuardName.STORAGE_AVAILABLE)
    assert detail(harness, ours, GuardName.STORAGE_AVAILABLE) == f"tier 1 of production is {word}"
    harness.world.crash(other)
    assert is_started(harness, other)

    harness.world.faults.turn_off("storage_tier")
    assert is_started(harness, ours)
    assert len(harness.asked(ours)) == 1


@pytest.mark.parametrize("word", ["online", "repairing", "verifying", "noredundant", "rebuilding"])
def test_storage_that_works_forbids_nothing(make_harness: MakeHarness, word: str) -> None:
    harness, _ = make_harness(vms=20, clusters=TWO_CLUSTERS, platform_every=20.0)
    name = in_cluster(harness, "production")[0]
    for cluster in harness.world.clusters.values():
        cluster.tiers[1].repairs = 4096
    harness.warm()
    harness.world.faults.turn_on("storage_tier", word=word)
    harness.advance(40)

    harness.world.crash(name)

    assert is_started(harness, name)


def test_vm_waits_while_the_repairs_of_a_tier_that_is_not_redundant_grow(
    make_harness: MakeHarness,
) -> None:
    harness = warm(make_harness)
    name = in_cluster(harness, "production")[0]
    faults = harness.world.faults
    faults.turn_on("storage_tier", word="noredundant", repairs_per_minute=60)
    harness.advance(60)
    harness.world.crash(name)

    assert is_held(harness, name, GuardName.STORAGE_AVAILABLE)
    assert "noredundant, and its repairs grow" in detail(harness, name, GuardName.STORAGE_AVAILABLE)

    faults.turn_on("storage_tier", word="noredundant")  # fewer repairs than before
    assert is_started(harness, name)


def test_repairs_that_no_longer_grow_hold_for_a_quarter_of_an_hour(
    make_harness: MakeHarness,
) -> None:
    harness = warm(make_harness)
    name = in_cluster(harness, "production")[0]
    tier = next(one for one in harness.world.clusters.values() if one.name == "production").tiers[1]
    tier.status, tier.repairs = "noredundant", 100
    harness.advance(40)
    tier.repairs = 200
    harness.advance(20)
    harness.world.crash(name)

    assert is_held(harness, name, GuardName.STORAGE_AVAILABLE, seconds=800)
    assert is_started(harness, name)


def test_tier_without_drives_forbids_nothing(make_harness: MakeHarness) -> None:
    harness = warm(make_harness)
    name = in_cluster(harness, "production")[0]
    unused = next(iter(harness.world.clusters.values())).tiers[2]
    assert (unused.capacity_bytes, unused.status) == (0, "offline")

    harness.world.crash(name)

    assert is_started(harness, name)


# Updates


@pytest.mark.parametrize("word", ["installing", "applying"])
def test_vms_wait_until_vergeos_is_updated_and_warm(make_harness: MakeHarness, word: str) -> None:
    harness = warm(make_harness)
    name = harness.names[0]
    harness.world.faults.turn_on("platform_update", word=word)
    harness.advance(40)
    harness.world.crash(name)

    assert is_held(harness, name, GuardName.NO_PLATFORM_UPDATE)
    readiness = harness.recovery.readiness_now
    assert readiness.readiness is ReadinessState.PLATFORM_UPDATE
    assert not harness.recovery.report.ready

    harness.world.faults.turn_off("platform_update")
    assert is_held(harness, name, GuardName.NO_PLATFORM_UPDATE, seconds=LIMITS.warmup_seconds - 40)
    assert is_started(harness, name)
    assert harness.recovery.report.ready


@pytest.mark.parametrize("word", ["refreshing", "downloading"])
def test_download_of_an_update_forbids_nothing(make_harness: MakeHarness, word: str) -> None:
    harness = warm(make_harness)
    harness.world.faults.turn_on("platform_update", word=word)
    harness.advance(40)

    harness.world.crash(harness.names[0])

    assert is_started(harness, harness.names[0])


# Memory


def fill(harness: Harness, cluster: str) -> None:
    """Take the free memory of a cluster away."""
    for node in next(one for one in harness.world.clusters.values() if one.name == cluster).nodes:
        node.memory_mb = node.usable_mb = 1024


def test_vm_waits_for_memory_and_uses_up_no_budget(make_harness: MakeHarness) -> None:
    harness = warm(make_harness)
    ours, other = in_cluster(harness, "production")[0], in_cluster(harness, "lab")[0]
    before = {node.key: (node.memory_mb, node.usable_mb) for node in harness.world.nodes.values()}
    fill(harness, "production")
    harness.world.crash(ours)

    assert is_held(harness, ours, GuardName.MEMORY_AVAILABLE)
    said = detail(harness, ours, GuardName.MEMORY_AVAILABLE)
    memory = harness.world.vm(ours).machine.memory_mb
    assert said == f"it needs {memory} MiB, and production has 0 MiB free"
    harness.world.crash(other)
    assert is_started(harness, other)

    for node in harness.world.nodes.values():
        node.memory_mb, node.usable_mb = before[node.key]
    assert is_started(harness, ours)
    assert len(harness.asked(ours)) == 1


def test_vm_with_a_failover_cluster_that_has_memory_is_started(make_harness: MakeHarness) -> None:
    harness = warm(make_harness)
    name, lab = in_cluster(harness, "production")[0], in_cluster(harness, "lab")[0]
    harness.world.vm(name).machine.cluster_failover = harness.world.vm(lab).machine.cluster
    fill(harness, "production")

    harness.world.crash(name)

    assert is_started(harness, name)


def test_figures_from_before_the_crash_forbid_nothing(make_harness: MakeHarness) -> None:
    """They count the memory of the VM itself, which is free by now."""
    harness, _ = make_harness(platform_every=3600.0)
    name = harness.names[0]
    used = sum(
        one.machine.memory_mb for one in harness.world.live_vms() if one.machine.status.running
    ) + sum(
        one.memory_mb
        for one in harness.world.machines.values()
        if one.kind not in ("vm", "node") and one.status.running
    )
    for node in harness.world.nodes.values():
        node.memory_mb = used // len(harness.world.nodes) + 1
    harness.warm()

    harness.world.crash(name)

    assert is_started(harness, name)


# Devices


def test_vm_waits_for_a_device_that_it_requires(make_harness: MakeHarness) -> None:
    harness = warm(make_harness)
    ours = next(
        name
        for name in harness.names
        if any(one.kind != "tpm" for one in harness.world.vm(name).machine.devices)
    )
    other = next(name for name in harness.names if not harness.world.vm(name).machine.devices)
    harness.world.faults.turn_on("missing_devices")
    harness.advance(40)
    harness.world.crash(ours)

    assert is_held(harness, ours, GuardName.DEVICES_PRESENT)
    assert detail(harness, ours, GuardName.DEVICES_PRESENT) == "gpu"
    harness.world.crash(other)
    assert is_started(harness, other)

    harness.world.faults.turn_off("missing_devices")
    assert is_started(harness, ours)


def test_missing_device_that_is_optional_forbids_nothing(make_harness: MakeHarness) -> None:
    harness = warm(make_harness)
    name = harness.names[0]
    for device in harness.world.vm(name).machine.devices:
        device.optional = True
    harness.world.faults.turn_on("missing_devices")
    harness.advance(40)

    harness.world.crash(name)

    assert is_started(harness, name)


# Unreadable tables


@pytest.mark.parametrize("code", [403, 404, 500])
@pytest.mark.parametrize(
    ("table", "fault"),
    [
        (CLUSTER_TIERS.endpoint, "storage_tier"),
        ("update_*", "platform_update"),
        ("machine_devices", "missing_devices"),
    ],
)
def test_table_that_cannot_be_read_forbids_nothing(
    make_harness: MakeHarness, table: str, fault: str, code: int
) -> None:
    harness, _ = make_harness(platform_every=20.0)
    harness.world.faults.turn_on(fault)
    harness.world.faults.turn_on("status", path=table, code=code)
    harness.warm()

    harness.world.crash(harness.names[0])

    assert is_started(harness, harness.names[0])


# Refusals


BUSY = (
    (423, "locked"),
    (409, "Error: VM is locked: operation in progress"),
    (409, "another operation is in progress"),
    (422, "Error: snapshot in progress"),
)


@pytest.mark.parametrize(("code", "text"), BUSY)
def test_busy_vm_is_started_later_and_uses_up_no_budget(
    make_harness: MakeHarness, code: int, text: str
) -> None:
    harness = warm(make_harness)
    name = harness.names[0]
    harness.world.faults.turn_on("busy", code=code, text=text)
    harness.world.crash(name)
    until(harness, lambda: len(harness.asked(name)) == 4)

    assert set(replies(harness)) == {Reply.BUSY}
    case = harness.case(name)
    assert (case.attempts, case.state is State.QUARANTINED) == (0, False)
    decision = harness.recovery.decisions[case.uuid]
    used = next(
        one for one in decision.guard_results if one.guard is GuardName.WITHIN_RESTART_BUDGET
    )
    assert {one.used for one in used.budgets} == {0}

    harness.world.faults.turn_off("busy")
    until(harness, lambda: harness.running(name))
    assert harness.asked(name)[-1].acted


def test_busy_vm_is_asked_for_ever_more_seldom(make_harness: MakeHarness) -> None:
    harness = warm(make_harness)
    name = harness.names[0]
    harness.world.faults.turn_on("busy")
    harness.world.crash(name)

    harness.advance(3600)
    asked = [one.at for one in harness.asked(name)]

    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 150
    assert 4 <= len(asked) <= 7


def test_refusals_for_lack_of_resources_use_up_no_budget(make_harness: MakeHarness) -> None:
    limits = replace(LIMITS, max_per_hour=2, max_per_day=2, max_per_week=2)
    harness = warm(make_harness, limits=limits)
    name = harness.names[0]
    harness.world.faults.turn_on("no_capacity")
    harness.world.crash(name)
    until(harness, lambda: len(harness.asked(name)) == 5)

    harness.world.faults.turn_off("no_capacity")
    until(harness, lambda: harness.running(name))

    assert set(replies(harness)[:-1]) == {Reply.NO_CAPACITY}


def test_refusals_of_a_day_leave_the_rate_limit_of_the_day(make_harness: MakeHarness) -> None:
    limits = replace(LIMITS, system_max_per_day=6, max_per_day=5, max_per_hour=3, max_per_week=6)
    harness = warm(make_harness, limits=limits)
    name, other = harness.names[:2]
    harness.world.faults.turn_on("no_capacity")
    harness.world.crash(name)
    harness.advance(3 * 3600)
    assert len(harness.asked(name)) > limits.system_max_per_day

    harness.world.faults.turn_off("no_capacity")
    harness.world.crash(other)

    until(harness, lambda: harness.running(name) and harness.running(other))
