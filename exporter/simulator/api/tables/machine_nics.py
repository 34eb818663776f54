"""
The tables ``machine_nics``, ``machine_nic_stats`` and ``machine_nic_status``.

Fields: docs/vergeos-api.md.
"""

from collections.abc import Iterable
from operator import attrgetter

from exporter.simulator.api.tables.columns import (
    Getter,
    Link,
    RequestView,
    Table,
    attribute,
    computed,
    constant,
    counter,
    current_rate,
    live,
    written,
)
from exporter.simulator.world.machines import Nic


def _nics(view: RequestView) -> Iterable[Nic]:
    return (nic for machine in view.world.machines.values() for nic in machine.nics)


def _linked(nic: Nic, view: RequestView) -> bool:
    return view.status(nic.machine).running and nic.attached


def _counted(nic: Nic) -> bool:
    """Return whether *nic* has counted anything: its machine ran with it."""
    return nic.machine.status.started > 0 and nic.attached


def _packets(name: str) -> Getter:
    getter = attrgetter(name)
    return lambda nic, view: int(getter(nic) * view.active_seconds(nic.machine) / nic.packet_bytes)


_MACHINE_NICS = Table(
    name="machine_nics",
    rows=_nics,
    columns={
        "$key": attribute("key"),
        "machine": attribute("machine.key", leads_to="machines"),
        "orderid": computed(lambda nic: nic.columns.get("orderid", nic.machine.nics.index(nic))),
        "name": attribute("name"),
        "description": written("description", default=""),
        "enabled": written("enabled", default=True),
        "interface": attribute("interface"),
        "macaddress": attribute("mac"),
        "ipaddress": written("ipaddress", default=""),
        "vnet": attribute("vnet", leads_to="vnets"),
        "stats": attribute("key", leads_to="machine_nic_stats"),
        "status": attribute("key", leads_to="machine_nic_status"),
    },
    links={
        "machine": Link("machines", lambda nic, _view: nic.machine),
        "vnet": Link("vnets", lambda nic, view: view.world.networks.get(nic.vnet)),
        "stats": Link(
            "machine_nic_stats",
            lambda nic, _view: nic if _counted(nic) else None,
        ),
        "status": Link("machine_nic_status", lambda nic, _view: nic),
    },
    default=("$key", "machine", "name"),
)


_NIC_STATS = Table(
    name="machine_nic_stats",
    rows=lambda view: [nic for nic in _nics(view) if _counted(nic)],
    columns={
        "$key": attribute("key"),
        "parent_nic": attribute("key", leads_to="machine_nics"),
        "txpps": live(
            lambda x, view: int(x.sent_per_second / x.packet_bytes * view.rate(x.machine))
        ),
        "rxpps": live(
            lambda x, view: int(x.received_per_second / x.packet_bytes * view.rate(x.machine))
        ),
        "txbps": live(current_rate("sent_per_second")),
        "rxbps": live(current_rate("received_per_second")),
        "totalxbps": live(
            lambda x, view: int((x.sent_per_second + x.received_per_second) * view.rate(x.machine))
        ),
        "tx_pckts": live(_packets("sent_per_second")),
        "rx_pckts": live(_packets("received_per_second")),
        "tx_bytes": live(counter("sent_per_second")),
        "rx_bytes": live(counter("received_per_second")),
        "tx_pckts_cur": constant(0),
        "rx_pckts_cur": constant(0),
        "tx_bytes_cur": constant(0),
        "rx_bytes_cur": constant(0),
        "last_update": live(lambda x, view: view.last_update(x.machine)),
    },
    links={"parent_nic": Link("machine_nics", lambda nic, _view: nic)},
)


_NIC_STATUS = Table(
    name="machine_nic_status",
    rows=_nics,
    columns={
        "$key": attribute("key"),
        "parent_nic": attribute("key", leads_to="machine_nics"),
        "status": live(lambda x, view: "up" if _linked(x, view) else "down"),
        "state": live(lambda x, view: "online" if _linked(x, view) else "offline"),
        "speed": attribute("speed_mbps"),
        "last_update": live(lambda x, view: view.last_update(x.machine)),
    },
)


TABLES = (_MACHINE_NICS, _NIC_STATS, _NIC_STATUS)
