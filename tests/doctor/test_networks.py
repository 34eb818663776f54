"""Checks of virtual networks: what they find in rows, and that each fault has its own check."""

from typing import Any

import msgspec
import pytest

from exporter.collectors.vnets import VNETS, VnetRow
from exporter.doctor.doctor import Doctor
from exporter.doctor.networks import CHECKS
from exporter.exposition.view import EMPTY
from exporter.simulator import create_world
from exporter.simulator.api.listing import list_rows
from exporter.simulator.api.tables import TABLES
from exporter.simulator.api.tables.columns import RequestView
from tests.doctor.test_doctor import NOON, report

Found = dict[str, dict[str, str]]
"""The evidence by check and network."""


def found(rows: dict[int, VnetRow]) -> Found:
    inventory = msgspec.structs.replace(EMPTY, taken_at=NOON, sources={VNETS.name: rows})
    results = Doctor(CHECKS).examine(inventory, report(), now=NOON).doctor
    return {
        result.check: {finding.subject: finding.evidence for finding in result.findings}
        for result in results
        if result.findings
    }


def of(**fields: Any) -> Found:
    return found({7: VnetRow(key=7, name="blue", **fields)})


def test_router_with_a_warning_or_an_error_is_found() -> None:
    assert of(enabled=True, router_status="unresponsive", router_state="warning") == {
        "networks": {"blue": "its router has the status unresponsive"}
    }
    assert "networks" in of(enabled=True, router_status="error", router_state="error")


def test_router_of_a_disabled_network_is_not_found() -> None:
    assert not of(enabled=False, router_status="error", router_state="error")


def test_router_that_is_off_is_found_only_if_vergeos_always_starts_it() -> None:
    off = {"running": False, "router_status": "stopped", "router_state": "offline"}

    assert not of(on_power_loss="last_state", **off)
    assert "networks" in of(on_power_loss="power_on", **off)


def test_pending_changes_of_a_network_are_one_finding() -> None:
    assert of(need_fw_apply=True, need_dns_apply=True, need_restart=True) == {
        "network_pending": {"blue": "it waits for: firewall rules, DNS, a restart"}
    }


@pytest.mark.parametrize(
    ("kind", "group", "mtu", "is_found"),
    [
        ("core", "239.0.0.1", 8999, True),
        ("core", "239.0.0.1", 9000, False),
        ("physical", "239.0.0.1", 9000, True),
        ("physical", "239.0.0.1", 9001, False),
        ("physical", "239.0.0.9", 1500, False),
        ("physical", "", 1500, False),
        ("internal", "239.0.0.1", 1500, False),
        ("core", "239.0.0.1", None, False),
    ],
)
def test_mtu_of_the_core_network_and_of_what_carries_it(
    kind: str, group: str, mtu: int | None, is_found: bool
) -> None:
    core = VnetRow(key=1, name="core", type="core", mtu=9000, vxlan_multicast="239.0.0.1")
    other = VnetRow(key=2, name="other", type=kind, mtu=mtu, vxlan_multicast=group)

    assert found({1: core, 2: other}).get("mtu", {}).keys() == ({"other"} if is_found else set())


@pytest.mark.parametrize(
    ("fault", "checks"),
    [
        ("", {}),
        ("vnet_unresponsive", {"networks": "External"}),
        ("vnet_pending_rules", {"network_pending": "External"}),
        ("mtu_small", {"mtu": "Core"}),
        ("vnet_down", {}),  # an alert finds it, which knows that it ran before
    ],
)
def test_fault_of_the_simulator_fails_exactly_its_check(fault: str, checks: dict[str, str]) -> None:
    world = create_world(vms=12)
    if fault:
        world.faults.turn_on(fault)
    view = RequestView(world, now=world.now, stamp=world.now)
    listed = list_rows(TABLES["vnets"], {"fields": ",".join(VNETS.fields)}, view).rows

    rows = VNETS.decode(msgspec.json.encode(listed)).rows

    assert {check: next(iter(subjects)) for check, subjects in found(rows).items()} == checks
