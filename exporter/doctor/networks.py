"""Checks of virtual networks."""

from collections.abc import Iterator, Mapping
from typing import Any

from exporter.collectors.vnets import VNETS, VnetRow
from exporter.doctor.check import Check
from exporter.model import Finding, Inventory, Level

SMALLEST_CORE_MTU = 9000
"""Between nodes, VergeOS works best with jumbo frames."""
CORE, PHYSICAL = "core", "physical"
TROUBLED_STATES = ("warning", "error")
ALWAYS_ON = "power_on"
"""The value of ``on_power_loss`` of a network that VergeOS starts whenever it can."""


def _networks(inventory: Inventory) -> Iterator[Finding]:
    """
    Find networks whose router is in trouble.

    A router that is off, without an error, was stopped by someone, unless the network is always on.
    """
    for row in _rows(inventory).values():
        if row.enabled is False:
            continue
        stopped = row.running is False and row.on_power_loss == ALWAYS_ON
        if row.router_state in TROUBLED_STATES or stopped:
            yield Finding(
                Level.WARNING,
                row.label,
                f"its router has the status {row.router_status or 'unknown'}",
            )


def _network_pending(inventory: Inventory) -> Iterator[Finding]:
    for row in _rows(inventory).values():
        pending = [
            what
            for what, is_pending in (
                ("firewall rules", row.need_fw_apply),
                ("DNS", row.need_dns_apply),
                ("a restart", row.need_restart),
            )
            if is_pending
        ]
        if pending:
            yield Finding(Level.WARNING, row.label, f"it waits for: {', '.join(pending)}")


def _mtu(inventory: Inventory) -> Iterator[Finding]:
    """Find networks between nodes without jumbo frames; what carries one adds headers to them."""
    rows = _rows(inventory).values()
    groups = {row.vxlan_multicast for row in rows if row.type == CORE} - {None, ""}
    for row in rows:
        if not row.mtu:
            continue
        if row.type == CORE and row.mtu < SMALLEST_CORE_MTU:
            yield Finding(
                Level.WARNING, row.label, f"its MTU is {row.mtu}, less than {SMALLEST_CORE_MTU}"
            )
        carries_core = row.type == PHYSICAL and row.vxlan_multicast in groups
        if carries_core and row.mtu <= SMALLEST_CORE_MTU:
            yield Finding(
                Level.WARNING, row.label, f"its MTU is {row.mtu}, not more than {SMALLEST_CORE_MTU}"
            )


def _rows(inventory: Inventory) -> Mapping[int, VnetRow]:
    rows: Any = inventory.sources[VNETS.name]
    return rows  # type: ignore[no-any-return]


CHECKS = (
    Check(
        "networks",
        "No virtual network reports a warning or an error.",
        (VNETS.name,),
        _networks,
        "Look at the log of the network in VergeOS, and restart its router.",
        "VergeNetworkTroubled",
        "A virtual network reports a warning or an error.",
    ),
    Check(
        "network_pending",
        "No change of a virtual network waits to be applied.",
        (VNETS.name,),
        _network_pending,
        "Apply the rules and the DNS of the network in VergeOS, or restart it.",
        "VergeNetworkChangesPending",
        "Changes of a virtual network have not been applied.",
    ),
    Check(
        "mtu",
        "The networks between the nodes have jumbo frames.",
        (VNETS.name,),
        _mtu,
        "Raise the MTU of the core network to 9000, and that of the physical networks and switch "
        "ports below it to more.",
        "VergeNetworkMTUTooSmall",
        "A network between the nodes has no jumbo frames.",
    ),
)
