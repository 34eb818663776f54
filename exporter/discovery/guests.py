"""
The guests of one system, as targets.

A target must not come and go with things that say nothing about the guest: the targets that are
known stay while a guest agent is silent, while a table is stale, and while VergeOS does not answer.
Where the guests are not polled any more, there is no answer: the list would stay old for good.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, NamedTuple

from exporter.collectors.clusters import CLUSTERS
from exporter.collectors.guests import GUESTS
from exporter.collectors.nodes import NODES
from exporter.collectors.vm_tags import tags_of_category
from exporter.collectors.vms import MACHINE_STATUS, VMS
from exporter.discovery.query import Network, TargetQuery, port_number
from exporter.errors import NotKnownYetError
from exporter.exposition.view import Names
from exporter.model import VM, Inventory, SystemReport, TableReport
from exporter.vergeos.recovery_rows import TAG_MEMBERS, UNREADABLE_TAG

Address = IPv4Address | IPv6Address

META = "__meta_vergeos_"
"""Prometheus drops labels that begin with ``__meta_`` after relabeling. That they change, such as
that of the node in a migration, changes no target."""
ESSENTIAL = (VMS.name, MACHINE_STATUS.name, GUESTS.name)
NAMES = (CLUSTERS.name, NODES.name, TAG_MEMBERS.name)
_NO_LABEL = re.compile(r"[^a-zA-Z0-9_]")


class Guest(NamedTuple):
    """A running VM whose addresses are known."""

    labels: Mapping[str, str]
    cluster: str
    os: str
    tags: tuple[str, ...]
    """Sorted, each as ``category/name``."""
    addresses: tuple[str, ...]


class KnownGuests:
    """The running guests of one system, as far as they are known."""

    def __init__(self) -> None:
        self._guests: tuple[Guest, ...] | None = None
        self._seen: object = None
        """The inventory and the name that they were made of."""
        self._names: dict[str, Any] = {}
        """The last rows of each table of `NAMES`."""
        self._addresses: dict[int, tuple[str, ...]] = {}
        """What each running guest reported last, by VM."""

    def guests(self, inventory: Inventory | None, report: SystemReport) -> tuple[Guest, ...]:
        """
        Return the guests by the newest inventory; the known ones if it shows no VMs.

        Raises:
            NotKnownYetError: The guests are not polled, or a table that is needed was never read.

        """
        tables = {one.table: one for one in report.tables}
        if GUESTS.name not in tables:
            raise NotKnownYetError(_why_not_polled(report))
        if self._guests is None:
            _check_read(report, tables)
        if inventory is not None and {VMS.name, MACHINE_STATUS.name} <= inventory.sources.keys():
            if self._seen is not inventory:
                self._guests = tuple(self._made(inventory))
            self._seen = inventory
        if self._guests is None:
            raise NotKnownYetError(f"the VMs of {report.system_name} are not known yet")
        return self._guests

    def _made(self, inventory: Inventory) -> Iterator[Guest]:
        sources: Mapping[str, Any] = inventory.sources
        self._names |= {name: sources[name] for name in NAMES if name in sources}
        clusters = Names("cluster", self._names.get(CLUSTERS.name, {}))
        nodes = Names("node", self._names.get(NODES.name, {}))
        tags = self._names.get(TAG_MEMBERS.name) or {}
        running = [vm for vm in inventory.vms if vm.status and vm.status.running is not False]
        self._remember(running, sources.get(GUESTS.name) or {})
        for vm in running:
            config = vm.config
            if addresses := self._addresses.get(config.key):
                own_tags = tuple(sorted(tags.get(config.key, frozenset()) - {UNREADABLE_TAG}))
                labels = {
                    "system": inventory.system_name,
                    "cluster": clusters[config.cluster],
                    "node": nodes[vm.status.node] if vm.status else "",
                    "vm_name": config.name,
                    "vm_id": str(config.key),
                    "os": config.os_family,
                    **_tag_labels(own_tags),
                }
                named = {f"{META}{name}": value for name, value in labels.items()}
                yield Guest(named, labels["cluster"], config.os_family, own_tags, addresses)

    def _remember(self, running: Iterable[VM], rows: Mapping[int, Any]) -> None:
        """Note what each guest reports; keep what a silent one did, unless another has it now."""
        heard: dict[int, tuple[str, ...]] = {}
        silent: list[int] = []
        for vm in running:
            row = rows.get(vm.config.machine)
            info = row.agent_guest_info if row is not None else None
            if info is not None and (usable := tuple(filter(_is_usable, info.addresses))):
                heard[vm.config.key] = usable
            elif vm.config.key in self._addresses:
                silent.append(vm.config.key)
        taken = {address for addresses in heard.values() for address in addresses}
        kept = {
            key: tuple(one for one in self._addresses[key] if one not in taken) for key in silent
        }
        self._addresses = heard | kept


def target_group(
    guest: Guest, query: TargetQuery, port: int, port_tag_category: str
) -> dict[str, Any] | None:
    """Return the target group of *guest* as `http_sd` has it; None if it has no fitting address."""
    address = _preferred(guest.addresses, query.network)
    if address is None:
        return None
    host = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
    ports = _ports(guest.tags, port_tag_category) or [query.port or port]
    return {"targets": [f"{host}:{one}" for one in ports], "labels": guest.labels}


def _check_read(report: SystemReport, tables: Mapping[str, TableReport]) -> None:
    for name in (*ESSENTIAL, *NAMES):
        if name in tables and tables[name].awaited:
            error = tables[name].error or "it was not read"
            raise NotKnownYetError(
                f"the guests of {report.system_name} are not known yet: table {name}: {error}"
            )


def _why_not_polled(report: SystemReport) -> str:
    if report.stands_by:
        return (
            f"the guests of {report.system_name} are polled by the replica that leads, and this "
            "replica is a standby with the same API key: ask the leader"
        )
    return "collectors.guests is off: the addresses of guests are not read"


def _tag_labels(tags: Iterable[str]) -> dict[str, str]:
    """Return a label for each category; several tags are separated by commas."""
    found: dict[str, list[str]] = {}
    for tag in tags:
        category, _, name = tag.partition("/")
        found.setdefault(f"tag_{_NO_LABEL.sub('_', category)}", []).append(name)
    return {label: ",".join(names) for label, names in found.items()}


def _ports(tags: Iterable[str], category: str) -> list[int]:
    if not category:
        return []
    names = tags_of_category(tags, category)
    return sorted({number for name in names if (number := port_number(name.strip())) is not None})


def _preferred(addresses: Iterable[str], networks: tuple[Network, ...]) -> Address | None:
    """Return the first IPv4 address, else the first IPv6 address, within *networks* if given."""
    found = [
        one
        for one in map(ip_address, addresses)
        if not networks or any(one in network for network in networks)
    ]
    return min(found, key=lambda one: one.version, default=None)


def _is_usable(text: str) -> bool:
    """Return whether another host can use the address *text*."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.scope_id:
        return False
    return not (
        address.is_link_local
        or address.is_loopback
        or address.is_unspecified
        or address.is_multicast
    )
