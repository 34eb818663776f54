"""
The table ``machine_status``: power state and guest agent of every machine.

Fields: docs/vergeos-api.md.
"""

from typing import Any

from exporter.simulator.api.tables.columns import (
    Link,
    RequestView,
    Table,
    attribute,
    computed,
    live,
    status_attribute,
)
from exporter.simulator.world.machines import Machine

STATUS_KEY_OFFSET = 3
"""Keeps keys of ``machine_status`` different from those of ``machines``."""
FEATURES = {"guest-ping": True, "guest-shutdown": True, "guest-get-fsinfo": True}


def status_key(machine: Machine) -> int:
    """Return the key of a status row, which must not be taken for the machine's."""
    return machine.key + STATUS_KEY_OFFSET


def _agent(machine: Machine, view: RequestView) -> bool:
    """Return whether the guest's agent is heard."""
    guest, status = machine.guest, view.status(machine)
    if guest is None or not status.running or view.is_idle(machine):
        return False
    return view.now - status.started >= guest.connects_after


def _agent_version(machine: Machine, view: RequestView) -> str:
    guest = machine.guest
    return guest.agent_version if guest is not None and _agent(machine, view) else ""


def _agent_features(machine: Machine, view: RequestView) -> Any:
    return FEATURES if _agent(machine, view) else []


def _guest_info(machine: Machine, view: RequestView) -> Any:
    guest = machine.guest
    if guest is None or not _agent(machine, view):
        return []
    network = [
        {
            "name": "Ethernet" if guest.identifier == "mswindows" else f"ens{18 + number}",
            "hardware-address": nic.mac,
            "ip-addresses": (
                [{"ip-address-type": "ipv4", "ip-address": guest.address, "prefix": 24}]
                if number == 0
                else []
            ),
        }
        for number, nic in enumerate(machine.nics)
    ]
    filesystems = [
        {
            "name": one.name,
            "type": one.kind,
            "total-bytes": one.total_bytes,
            "used-bytes": int(one.total_bytes * one.used_share),
            "mountpoint": one.mountpoint,
        }
        for one in guest.filesystems
    ]
    return {
        "osinfo": {
            "name": guest.name,
            "pretty-name": guest.pretty_name,
            "version": guest.version,
            "id": guest.identifier,
            "kernel-release": guest.kernel,
            "kernel-version": guest.kernel,
            "machine": "x86_64",
        },
        "hostname": guest.hostname,
        "network": _listed(network, guest.lists_as_maps),
        "fsinfo": _listed(filesystems, guest.lists_as_maps),
        "meminfo": {
            "ram_total": int(machine.memory_mb * 0.97),
            "ram_used": int(machine.memory_mb * 0.97 * machine.load.memory(view.stamp)),
            "vram_total": 0,
            "vram_used": 0,
        },
        "last_refresh": view.last_update(machine),
    }


def _listed(rows: list[dict[str, Any]], as_map: bool) -> Any:
    return {str(number): row for number, row in enumerate(rows)} if as_map else rows


_MACHINE_STATUS = Table(
    name="machine_status",
    rows=lambda view: view.world.machines.values(),
    columns={
        "$key": computed(status_key),
        "machine": attribute("key", leads_to="machines"),
        "running": status_attribute("running"),
        "migratable": attribute("migratable"),
        "status": status_attribute("word"),
        "status_info": status_attribute("info"),
        "state": status_attribute("state"),
        "powerstate": live(
            lambda machine, view: (
                view.status(machine).wanted
                if view.world.powerstate == "desired"
                else view.status(machine).running
            )
        ),
        "node": live(lambda machine, view: view.status(machine).node, leads_to="nodes"),
        "migrated_node": live(
            lambda machine, view: view.status(machine).came_from, leads_to="nodes"
        ),
        "migration_destination": live(
            lambda machine, view: view.status(machine).destination, leads_to="nodes"
        ),
        "started": live(lambda machine, view: int(view.status(machine).started)),
        "local_time": live(lambda machine, view: int(view.stamp) if _agent(machine, view) else 0),
        "last_update": live(lambda machine, view: view.last_update(machine)),
        "running_cores": attribute("cores"),
        "running_ram": attribute("memory_mb"),
        "agent_version": live(_agent_version),
        "agent_features": live(_agent_features, blob=True),
        "agent_guest_info": live(_guest_info, blob=True),
    },
    links={
        "machine": Link("machines", lambda machine, _view: machine),
        "node": Link(
            "nodes", lambda machine, view: view.world.nodes.get(view.status(machine).node or 0)
        ),
    },
    default=(
        "$key",
        "machine",
        "running",
        "migratable",
        "status",
        "status_info",
        "state",
        "powerstate",
        "node",
        "started",
        "last_update",
    ),
)


TABLES = (_MACHINE_STATUS,)
