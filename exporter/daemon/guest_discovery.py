"""Answers /sd/guests from the newest inventory of each system."""

import threading
from collections.abc import Callable, Mapping, Sequence

import msgspec

from exporter.discovery.config import DiscoverySettings
from exporter.discovery.guests import KnownGuests, target_group
from exporter.discovery.query import TargetQuery, parse_query
from exporter.errors import NotKnownYetError
from exporter.executor import run_in_thread
from exporter.model import SystemReport, SystemState
from exporter.vergeos.recovery_rows import TAG_MEMBERS


class GuestDiscovery:
    """
    Service discovery of the guests of all systems. It costs nothing without requests.

    Args:
        states: Returns the newest state of each system.

    """

    def __init__(
        self, states: Callable[[], Sequence[SystemState]], settings: DiscoverySettings
    ) -> None:
        self._states = states
        self._settings = settings
        self._known: dict[str, KnownGuests] = {}
        """By URL: a system at another address has other VMs."""
        self._turn = threading.Lock()

    def apply(self, settings: DiscoverySettings) -> None:
        """Put *settings* in force."""
        self._settings = settings

    async def targets(self, query: Mapping[str, Sequence[str]]) -> bytes:
        """
        Return the target groups as `http_sd_configs` reads them, one for each guest.

        Raises:
            ValueError: A parameter is invalid.
            NotKnownYetError: The guests of a system that is asked for are not known yet.

        """
        wanted = parse_query(query)
        settings, states = self._settings, self._states()
        systems = _selected(states, wanted)
        urls = [one.report.url for one in states]
        self._known = known = {url: self._known.get(url) or KnownGuests() for url in urls}
        return await run_in_thread(self._groups, systems, known, wanted, settings)

    def _groups(
        self,
        systems: Sequence[SystemState],
        known: Mapping[str, KnownGuests],
        query: TargetQuery,
        settings: DiscoverySettings,
    ) -> bytes:
        if not query.network:
            query = query._replace(network=settings.networks)
        with self._turn:
            guests = [
                guest
                for one in systems
                for guest in known[one.report.url].guests(one.inventory, one.report)
            ]
        groups = (
            target_group(guest, query, settings.port, settings.port_tag_category)
            for guest in guests
            if query.selects(cluster=guest.cluster, os=guest.os, tags=guest.tags)
        )
        return msgspec.json.encode([group for group in groups if group is not None])


def _selected(states: Sequence[SystemState], query: TargetQuery) -> Sequence[SystemState]:
    """Return the systems that *query* asks for."""
    if query.tag and not any(_has_tags(one.report) for one in states):
        raise ValueError("the parameter tag needs the tags of VMs: set discovery.tags")
    if not query.system:
        return states
    by_name = {one.report.system_name.casefold(): one for one in states}
    unknown = query.system - by_name.keys()
    unnamed = [one.report.system_name for one in states if not one.report.named]
    if unknown and unnamed:
        raise NotKnownYetError(f"the name of the system {unnamed[0]} is not known yet")
    if unknown:
        raise ValueError(
            f"no system is named {', '.join(sorted(unknown))}; "
            f"known are {', '.join(one.report.system_name for one in states)}"
        )
    return [one for name, one in by_name.items() if name in query.system]


def _has_tags(report: SystemReport) -> bool:
    return any(table.table == TAG_MEMBERS.name for table in report.tables)
