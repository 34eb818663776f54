"""
The tables of virtual networks: ``vnets``, the history of gateways and ``vnet_dashboard``.

Fields: what the vendor's exporter and pyvergeos request. ``powerstate`` is not kept up to date by
VergeOS, so it is always false; whether a network runs is the status of its router.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from exporter.simulator.api.tables.columns import (
    Column,
    Link,
    RequestView,
    Table,
    attribute,
    by_key,
    computed,
    constant,
    live,
)
from exporter.simulator.world.networks import PINGS, GatewaySample, Network, samples


def _nic_key(network: Network) -> int | None:
    return None if network.nic is None else network.nic.key


def _samples(view: RequestView) -> Iterable[GatewaySample]:
    return samples(view.world.networks.values(), view.stamp)


_VNETS = Table(
    name="vnets",
    rows=lambda view: view.world.networks.values(),
    find=by_key(lambda view: view.world.networks),
    columns={
        "$key": attribute("key"),
        "name": attribute("name"),
        "description": constant(""),
        "enabled": constant(value=True),
        "creator": constant("admin"),
        "created": attribute("created"),
        "modified": attribute("created"),
        "type": attribute("kind"),
        "machine": computed(
            lambda one: None if one.router is None else one.router.key, leads_to="machines"
        ),
        "nic": computed(_nic_key, leads_to="machine_nics"),
        "nic_dmz": constant(None),
        "cluster": attribute("cluster", leads_to="clusters"),
        "cluster_failover": constant(None),
        "preferred_node": constant(None),
        "ha_group": constant(""),
        "interface_vnet": attribute("uplink", leads_to="vnets"),
        "layer2_type": attribute("layer2_type"),
        "layer2_id": attribute("layer2_id"),
        "vxlan_multicast": attribute("multicast"),
        "mtu": attribute("mtu"),
        "physical_bridged": constant(value=False),
        "ipaddress_type": computed(lambda one: "static" if one.address else "none"),
        "ipaddress": attribute("address"),
        "network": computed(lambda one: one.address and f"{one.address[:-1]}0/24"),
        "gateway": computed(lambda one: f"{one.address[:-1]}254" if one.monitored else ""),
        "dmz_ipaddress": constant(""),
        "hostname": constant(""),
        "dns": constant("simple"),
        "domain": constant(""),
        "dnslist": constant(""),
        "dhcp_enabled": computed(lambda one: one.kind == "internal"),
        "dhcp_start": computed(lambda one: f"{one.address[:-1]}100" if one.address else ""),
        "dhcp_stop": computed(lambda one: f"{one.address[:-1]}200" if one.address else ""),
        "proxy_enabled": constant(value=False),
        "on_power_loss": constant("last_state"),
        "powerstate": constant(value=False),
        "need_restart": constant(value=False),
        "need_fw_apply": constant(value=False),
        "need_dns_apply": constant(value=False),
        "need_proxy_apply": constant(value=False),
        "last_fw_apply": attribute("created"),
        "statistics": constant(value=False),
        "rate_limit": constant(0),
        "monitor_gateway": attribute("monitored"),
        "monitor_ip": constant(""),
        "monitor_interval_ms": constant(1000),
        "note": constant(""),
    },
    links={
        "machine": Link("machines", lambda one, _view: one.router),
        "nic": Link("machine_nics", lambda one, _view: one.nic),
        "nic_dmz": Link("machine_nics", lambda _one, _view: None),
        "cluster": Link("clusters", lambda one, view: view.world.clusters.get(one.cluster)),
        "interface_vnet": Link("vnets", lambda one, view: view.world.networks.get(one.uplink)),
    },
)

_HISTORY = {
    "$key": attribute("key"),
    "vnet": attribute("network.key", leads_to="vnets"),
    "timestamp": attribute("at"),
    "sent": constant(PINGS),
    "dropped": constant(0),
    "quality": constant(100),
    "dropped_pct": constant(0),
    "latency_usec_avg": attribute("latency_usec"),
    "latency_usec_peak": attribute("peak_usec"),
    "duplicates": constant(0),
    "truncated": constant(0),
    "bad_checksums": constant(0),
    "bad_data": constant(0),
}
_VNET_LINK = {"vnet": Link("vnets", lambda sample, _view: sample.network)}
_MONITOR_SHORT = Table("vnet_monitor_stats_history_short", _samples, _HISTORY, _VNET_LINK)


@dataclass(frozen=True, slots=True)
class _Dashboard:
    """The only row of ``vnet_dashboard``."""

    key: int = 1


def _of_kinds(view: RequestView, *kinds: str) -> list[Network]:
    return [one for one in view.world.networks.values() if not kinds or one.kind in kinds]


def _in_state(view: RequestView, state: str, *kinds: str) -> int:
    return sum(
        one.router is not None and view.status(one.router).state == state
        for one in _of_kinds(view, *kinds)
    )


_GROUPS = {
    "vnets": (),
    "ext": ("external",),
    "int": ("internal", "dmz"),
    "ten": ("tenant",),
    "vpn": ("vpn",),
}
"""By the prefix of their columns, the kinds of networks that are counted; none: all."""
_STATES = {"online": "online", "warn": "warning", "error": "error"}


def _counted(kinds: tuple[str, ...]) -> Column:
    return live(lambda _row, view: len(_of_kinds(view, *kinds)))


def _counted_in(state: str, kinds: tuple[str, ...]) -> Column:
    return live(lambda _row, view: _in_state(view, state, *kinds))


_DASHBOARD = Table(
    name="vnet_dashboard",
    rows=lambda _view: (_Dashboard(),),
    columns={
        "$key": attribute("key"),
        **{f"{prefix}_count": _counted(kinds) for prefix, kinds in _GROUPS.items()},
        **{
            f"{prefix}_{word}": _counted_in(state, kinds)
            for prefix, kinds in _GROUPS.items()
            for word, state in _STATES.items()
        },
        "wireguards_count": constant(0),
    },
)

TABLES = (_VNETS, _MONITOR_SHORT, _DASHBOARD)
