"""Faults of virtual networks and of the gateways behind them."""

from collections.abc import Callable
from typing import Any

from exporter.simulator.api.fault_types import API_ROOT, FaultType, Parameter, row_fault
from exporter.simulator.world.machines import Machine

LOST_PERCENT = 20
SLOW_USEC = 900_000
SMALL_MTU = 1500


def _of_router(attribute: str, value: Any) -> Callable[[Machine, Any], Any]:
    """Return *value* for routers, and what the status says for all other machines."""
    return lambda machine, view: (
        value if machine.kind == "vnet" else getattr(view.status(machine), attribute)
    )


def _router_fault(about: str, *, running: bool, word: str, state: str) -> FaultType:
    """Return a fault that changes the status of a network's router."""
    return FaultType(
        about,
        {"row": Parameter("External", "the name of the network; *: every network")},
        path=f"{API_ROOT}vnets",
        rows={
            "machine_status": {
                "running": _of_router("running", running),
                "status": _of_router("word", word),
                "state": _of_router("state", state),
            }
        },
    )


def _gateway_fault(about: str, *, lost_percent: int = 0, **values: Any) -> FaultType:
    """Return a fault that changes the newest sample of a network, or all of its samples."""
    return FaultType(
        about,
        {"row": Parameter("External", "the name of the network; *: every network")},
        path=f"{API_ROOT}vnet_monitor_stats_history_short",
        rows={
            "vnet_monitor_stats_history_short": {
                "dropped": 60 * lost_percent // 100,
                "dropped_pct": lost_percent,
                "quality": 100 - lost_percent,
                **values,
            }
        },
    )


FAULTS = {
    "vnet_pending_rules": row_fault(
        "changes of a network wait to be applied",
        vnets={"need_fw_apply": True, "need_dns_apply": True},
    ),
    "vnet_down": _router_fault(
        "the router of a network is off", running=False, word="stopped", state="offline"
    ),
    "vnet_unresponsive": _router_fault(
        "the router of a network does not respond",
        running=True,
        word="unresponsive",
        state="warning",
    ),
    "gateway_lossy": _gateway_fault(
        "the gateway of a network loses packets", lost_percent=LOST_PERCENT
    ),
    "gateway_down": _gateway_fault(
        "the gateway of a network does not answer",
        lost_percent=100,
        latency_usec_avg=0,
        latency_usec_peak=0,
    ),
    "gateway_slow": _gateway_fault(
        "the gateway of a network answers late",
        latency_usec_avg=SLOW_USEC,
        latency_usec_peak=2 * SLOW_USEC,
    ),
    "mtu_small": FaultType(
        "the network between the nodes has no jumbo frames",
        {"row": Parameter("Core", "the name of the network; *: every network")},
        path=f"{API_ROOT}vnets",
        rows={"vnets": {"mtu": SMALL_MTU}},
    ),
}
