"""What of the platform forbids a start, at its edges; what is not known forbids nothing."""

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.model import VM, Cluster, Inventory, PlatformStatus, StorageTier, VMConfig
from exporter.recovery.decide.platform_holds import (
    device_hold,
    memory_hold,
    storage_hold,
    update_hold,
)
from exporter.recovery.model.limits import Limits
from exporter.recovery.observe.inventory_checks import CheckedInventory
from exporter.recovery.observe.platform_history import PlatformHistory, Repairs
from tests.fakes import START
from tests.recovery.test_edges import DOWN, LIMITS

NOW = 10_000.0
MIB = 1024 * 1024
CONFIG = VMConfig(
    key=1, machine=11, name="web-01", uuid="u", enabled=True, need_restart=False, cpu_cores=2,
    memory_bytes=2048 * MIB, cluster=7, os_family="linux", machine_type="q35", ha_group="",
    on_power_loss="last_state", created_from="", guest_agent=False, service=False,
    disable_powercycle=False,
)  # fmt: skip
WEB = VM(CONFIG, None)
CLUSTERS = {7: Cluster(7, "production"), 8: Cluster(8, "lab")}


def vm_with(**config: Any) -> VM:
    return VM(replace(CONFIG, **config), None)


def inventory_with(**platform: Any) -> CheckedInventory:
    reported = Inventory(
        system_name="s", identity=None, taken_at=START, sources={}, vms=(), clusters=CLUSTERS,
        nodes={}, tags={}, platform=PlatformStatus(**platform),
    )  # fmt: skip
    return CheckedInventory(
        at=NOW, time=START, clock=None, written_at=NOW, node_clocks={}, vms={},
        shared_uuids=frozenset(), nodes={}, vm_count=1, status_count=1, reported=reported,
    )  # fmt: skip


# Updates.


@pytest.mark.parametrize(
    ("ago", "hold"),
    [
        (0.0, "it installs an update"),
        (0.9, "it installs an update"),
        (1.0, "it installs an update, seen 1 s ago"),
        (2.0, "it installs an update, seen 2 s ago"),
        (599.9, "it installs an update, seen 600 s ago"),
        (600.0, ""),
        (600.1, ""),
    ],
)
def test_update_holds_for_the_time_of_a_warm_up(ago: float, hold: str) -> None:
    history = PlatformHistory("it installs an update", NOW - ago)

    assert update_hold(history, Limits(warmup_seconds=600), at=NOW) == hold


def test_system_without_an_update_is_not_held() -> None:
    assert update_hold(PlatformHistory(), LIMITS, at=0.0) == ""


# Storage.


def storage(
    *tiers: StorageTier,
    vm: VM | None = WEB,
    repairs: Mapping[tuple[int, int | None], Repairs] | None = None,
) -> str:
    history = PlatformHistory(repairs=repairs or {})
    return storage_hold(vm, history, inventory_with(tiers=tiers))


@pytest.mark.parametrize(
    ("status", "holds"),
    [
        *((status, True) for status in ("offline", "outofspace", "initializing")),
        *((status, False) for status in ("online", "repairing", "noredundant", "new", "")),
    ],
)
def test_tier_that_cannot_be_used_holds_the_vms_of_its_cluster(status: str, *, holds: bool) -> None:
    tier = StorageTier(7, 1, status, None)

    assert storage(tier) == f"tier 1 of production is {status}" * holds
    assert storage(tier, vm=vm_with(cluster=8)) == ""
    assert storage(tier, vm=vm_with(cluster=None)) == ""
    assert storage(tier, vm=None) == ""


def test_each_impaired_tier_is_named() -> None:
    tiers = [
        StorageTier(7, 1, "offline", None),
        StorageTier(8, 1, "offline", None),
        StorageTier(7, 2, "online", None),
        StorageTier(7, 3, "outofspace", None),
    ]

    assert storage(*tiers) == "tier 1 of production is offline; tier 3 of production is outofspace"
    assert storage(*tiers, vm=vm_with(cluster=8)) == "tier 1 of lab is offline"


def test_cluster_without_a_known_name_is_called_by_its_key() -> None:
    assert storage(StorageTier(9, 1, "offline", None), vm=vm_with(cluster=9)) == (
        "tier 1 of cluster 9 is offline"
    )


@pytest.mark.parametrize(
    ("repairs", "holds"),
    [
        ({}, False),
        ({(7, 1): Repairs(5)}, False),
        ({(7, 1): Repairs(5, grew_at=NOW)}, True),
        ({(7, 1): Repairs(5, grew_at=NOW - 899.9)}, True),
        ({(7, 1): Repairs(5, grew_at=NOW - 900.0)}, False),
        ({(7, 2): Repairs(5, grew_at=NOW)}, False),
        ({(8, 1): Repairs(5, grew_at=NOW)}, False),
    ],
)
def test_tier_without_redundancy_holds_for_15_minutes_after_its_repairs_grew(
    repairs: Mapping[tuple[int, int | None], Repairs], *, holds: bool
) -> None:
    without, repairing = (StorageTier(7, 1, status, 5) for status in ("noredundant", "repairing"))

    expected = "tier 1 of production is noredundant, and its repairs grow (5)"
    assert storage(without, repairs=repairs) == expected * holds
    assert storage(repairing, repairs=repairs) == ""


def test_tier_that_cannot_be_used_is_not_said_to_degrade() -> None:
    offline = StorageTier(7, 1, "offline", 5)

    found = storage(offline, repairs={(7, 1): Repairs(5, grew_at=NOW)})

    assert found == "tier 1 of production is offline"


# Memory.


def memory(
    free: Mapping[int, int],
    *,
    vm: VM | None = WEB,
    read_at: float = NOW,
    **case: Any,
) -> str:
    history = PlatformHistory(free_memory=free, free_memory_at=read_at)
    of_case = {"up_at": NOW - 60.0, **case}
    inventory = inventory_with(free_memory_bytes=free)
    return memory_hold(replace(DOWN, **of_case), vm, history, inventory)


@pytest.mark.parametrize(
    ("free", "hold"),
    [
        (2048 * MIB - 1, "it needs 2048 MiB, and production has 2047 MiB free"),
        (2048 * MIB, ""),
        (2048 * MIB + 1, ""),
        (1, "it needs 2048 MiB, and production has 0 MiB free"),
        (-1, "it needs 2048 MiB, and production has 0 MiB free"),
    ],
)
def test_vm_needs_as_much_free_memory_as_it_is_given(free: int, hold: str) -> None:
    assert memory({7: free}) == hold


@pytest.mark.parametrize(
    ("free", "hold"),
    [
        ({7: 1024 * MIB, 8: 512 * MIB}, "production has 1024 MiB, lab has 512 MiB free"),
        ({7: 1024 * MIB, 8: 2048 * MIB}, ""),
        ({7: 2048 * MIB, 8: 512 * MIB}, ""),
        ({7: 1024 * MIB}, ""),  # what is not known forbids nothing
        ({8: 512 * MIB}, ""),
        ({}, ""),
    ],
)
def test_memory_of_the_failover_cluster_is_enough(free: Mapping[int, int], hold: str) -> None:
    found = memory(free, vm=vm_with(failover_cluster=8))

    assert found == (f"it needs 2048 MiB, and {hold}" if hold else "")


def test_failover_cluster_counts_without_a_cluster() -> None:
    vm = vm_with(cluster=None, failover_cluster=8)

    assert memory({7: 0, 8: 0}, vm=vm) == "it needs 2048 MiB, and lab has 0 MiB free"


@pytest.mark.parametrize(
    "vm", [None, vm_with(memory_bytes=None), vm_with(cluster=None), vm_with(cluster=9)]
)
def test_unknown_vm_memory_or_cluster_forbids_nothing(vm: VM | None) -> None:
    assert memory({7: 0, 8: 0}, vm=vm) == ""


@pytest.mark.parametrize(
    ("up_at", "killed_at", "read_at", "holds"),
    [
        (50.0, None, 49.9, False),
        (50.0, None, 50.0, False),
        (50.0, None, 50.1, True),
        (50.0, 70.0, 60.0, False),
        (50.0, 70.0, 70.0, False),
        (50.0, 70.0, 70.1, True),
        (90.0, 70.0, 80.0, False),
        (None, 70.0, 70.0, False),
        (None, 70.0, 70.1, True),
        (None, None, 0.5, True),
        (None, None, 0.0, False),
    ],
)
def test_figures_from_before_the_vm_went_down_count_its_own_memory(
    up_at: float | None, killed_at: float | None, read_at: float, *, holds: bool
) -> None:
    found = memory({7: 0}, up_at=up_at, killed_at=killed_at, read_at=read_at)

    assert bool(found) is holds


# Devices.


def test_missing_devices_of_its_machine_are_named() -> None:
    inventory = inventory_with(missing_devices={0: ("none",), 1: ("x",), 11: ("gpu", "usb stick")})

    assert device_hold(vm_with(), inventory) == "gpu, usb stick"
    assert device_hold(vm_with(machine=12), inventory) == ""


def test_vm_without_a_row_lacks_no_device() -> None:
    assert device_hold(None, inventory_with(missing_devices={1: ("gpu",), 11: ("gpu",)})) == ""
