"""
Virtual networks: state of the router, traffic and changes that wait to be applied, from ``vnets``.

VergeOS joins the status of the router to each row; its traffic is that of its NIC, whose row is
read with those of all machines. The column ``powerstate`` is not kept up to date, and not used.
"""

from operator import attrgetter
from typing import Annotated, Any

import msgspec

from exporter.collectors.collector import Collector
from exporter.collectors.nics import MACHINE_NICS
from exporter.exposition.collector import counter, each, gauge, group, info, or_unknown
from exporter.exposition.view import Items, RenderView, escape
from exporter.vergeos.rows import Lost, Name, Reference, Row, Whole, joined, key_number, lower_case
from exporter.vergeos.tables import Pace, Table


class VnetRow(Row, gc=False):
    """A row of ``vnets`` with the status of its router, if it has one."""

    name: Name | None = None
    enabled: bool | None = None
    type: Name | None = None
    layer2_type: Name | None = None
    cluster: Reference = None
    mtu: Whole | None = None
    vxlan_multicast: Name | None = None
    machine: Reference = None
    nic: Reference = None
    on_power_loss: Name | None = None
    monitor_gateway: bool | None = None
    need_restart: bool | None = None
    need_fw_apply: bool | None = None
    need_dns_apply: bool | None = None
    need_proxy_apply: bool | None = None
    running: Annotated[bool | None, joined("machine#status#running as running")] = None
    router_status: Annotated[Name | None, joined("machine#status#status as router_status")] = None
    router_state: Annotated[Name | None, joined("machine#status#state as router_state")] = None

    @property
    def label(self) -> str:
        """Its name; made of its key if it has none."""
        return self.name or f"#{key_number(self.key)}"


def _vnet(row: VnetRow, _: int, __: Lost) -> VnetRow:
    row.router_status = lower_case(row.router_status)
    row.router_state = lower_case(row.router_state)
    return row


VNETS = Table("vnets", "vnets", Pace.INVENTORY, VnetRow, _vnet, may_be_hidden=True)


class PlacedVnet(msgspec.Struct, frozen=True, gc=False):
    """A network with the name of its cluster."""

    vnet: VnetRow
    cluster: str


def identity(view: RenderView, key: int, row: VnetRow) -> tuple[str, ...]:
    """Return the labels that identify a network."""
    return view.system, str(key), escape(row.label)


def vnets(view: RenderView) -> Items:
    """Return each network with the name of its cluster."""
    rows = view.rows(VNETS.name)
    return Items(
        [identity(view, key, row) for key, row in rows.items()],
        [PlacedVnet(row, view.clusters[key_number(row.cluster)]) for row in rows.values()],
    )


def routers(view: RenderView) -> Items:
    """Return the networks with a router."""
    rows = view.rows(VNETS.name)
    found = {key: row for key, row in rows.items() if row.running is not None}
    return view.keyed(found, attrgetter("label"))


def router_nics(view: RenderView) -> Items:
    """Return the NIC of each network's router."""
    rows = view.rows(VNETS.name)
    return Items(
        [identity(view, key, row) for key, row in rows.items()],
        [nic_of(view, row) for row in rows.values()],
    ).known()


def nic_of(view: RenderView, row: VnetRow) -> Any:
    """Return the row of ``machine_nics`` that a network's ``nic`` names, if there is one."""
    key, machine = key_number(row.nic), key_number(row.machine)
    nics = view.rows(MACHINE_NICS.name).get(machine, ()) if key and machine else ()
    return next((nic for nic in nics if nic.key == key), None)


LABELS = "system_name vnet_id vnet_name"
VNET = group("virtual network", LABELS, "vnets clusters", vnets)
ROUTER = group("router", LABELS, "vnets", routers)
ROUTER_NIC = group("NIC of a router", LABELS, "vnets machine_nics", router_nics)

FAMILIES = (
    info("vnet_info", VNET, "vnets.type", "Type, cluster and MTU of a virtual network",
         {
             "type": or_unknown("vnet.type"),
             "layer2_type": or_unknown("vnet.layer2_type"),
             "mtu": each(lambda one: "unknown" if one.vnet.mtu is None else str(one.vnet.mtu)),
             "cluster_name": "cluster",
         }),
    gauge("vnet_enabled", VNET, "vnets.enabled", "1 if the network is enabled", "vnet.enabled"),
    gauge("vnet_running", ROUTER, "vnets.machine#status#running",
          "1 while the network's router is running; absent if it has none", "running"),
    info("vnet_status_info", ROUTER, "vnets.machine#status#status",
         "Status and state of the network's router",
         {"status": or_unknown("router_status"), "state": or_unknown("router_state")}),
    gauge("vnet_firewall_apply_pending", VNET, "vnets.need_fw_apply",
          "1 while changed firewall rules of the network are not applied", "vnet.need_fw_apply"),
    gauge("vnet_dns_apply_pending", VNET, "vnets.need_dns_apply",
          "1 while changes of the network's DNS are not applied", "vnet.need_dns_apply"),
    gauge("vnet_proxy_apply_pending", VNET, "vnets.need_proxy_apply",
          "1 while changes of the network's proxy are not applied", "vnet.need_proxy_apply"),
    gauge("vnet_need_restart", VNET, "vnets.need_restart",
          "1 if a configuration change of the network needs a restart", "vnet.need_restart"),
    gauge("vnet_gateway_monitored", VNET, "vnets.monitor_gateway",
          "1 if VergeOS monitors the network's gateway", "vnet.monitor_gateway"),
    counter("vnet_receive_bytes_total", ROUTER_NIC, "machine_nics.stats.rx_bytes",
            "Bytes the network's router received", "stats.rx_bytes"),
    counter("vnet_transmit_bytes_total", ROUTER_NIC, "machine_nics.stats.tx_bytes",
            "Bytes the network's router sent", "stats.tx_bytes"),
    counter("vnet_receive_packets_total", ROUTER_NIC, "machine_nics.stats.rx_pckts",
            "Packets the network's router received", "stats.rx_pckts"),
    counter("vnet_transmit_packets_total", ROUTER_NIC, "machine_nics.stats.tx_pckts",
            "Packets the network's router sent", "stats.tx_pckts"),
)  # fmt: skip

COLLECTOR = Collector("vnets", (VNETS,), FAMILIES)
