"""Which systems a request for targets asks for, and what it needs to know of them."""

import json
from typing import Any

import pytest

from exporter.daemon.guest_discovery import GuestDiscovery
from exporter.discovery.config import DiscoverySettings
from exporter.errors import NotKnownYetError
from exporter.model import Inventory, SystemState
from tests.discovery.test_guests import TABLES, agent, rows
from tests.exposition.builders import inventory, report, table

POLLED = tuple(table(name) for name in TABLES)


def state(name: str, found: Inventory | None, **about: Any) -> SystemState:
    about = {"url": f"https://{name}.example", "tables": POLLED, **about}
    return SystemState(found, report(name, **about))


def read(name: str, **changes: Any) -> SystemState:
    return state(name, inventory(rows(**changes), name))


def unread(name: str, **about: Any) -> SystemState:
    return state(name, None, **about)


class Site:
    def __init__(self, *states: SystemState, **settings: Any) -> None:
        self.states = list(states)
        self.discovery = GuestDiscovery(lambda: self.states, DiscoverySettings(**settings))

    async def targets(self, **query: str) -> list[tuple[str, str]]:
        """Return the system and the first target of each guest."""
        found = await self.discovery.targets({name: [value] for name, value in query.items()})
        return [
            (one["labels"]["__meta_vergeos_system"], one["targets"][0]) for one in json.loads(found)
        ]


async def test_guests_of_all_systems_are_listed_in_their_order() -> None:
    site = Site(read("south"), read("north"))

    assert await site.targets() == [
        ("south", "10.0.0.1:9100"),
        ("south", "10.0.0.2:9100"),
        ("north", "10.0.0.1:9100"),
        ("north", "10.0.0.2:9100"),
    ]
    assert [system for system, _ in await site.targets(system="NORTH")] == ["north", "north"]


async def test_system_that_was_never_read_holds_up_only_who_asks_for_it() -> None:
    site = Site(unread("south"), read("north"))

    with pytest.raises(NotKnownYetError, match="south"):
        await site.targets()
    assert len(await site.targets(system="north")) == 2


async def test_unknown_system_is_an_error_and_not_an_empty_list() -> None:
    with pytest.raises(ValueError, match="no system is named x; known are south, north"):
        await Site(read("south"), read("north")).targets(system="x")


async def test_system_whose_name_is_not_known_may_be_the_one_that_is_asked_for() -> None:
    with pytest.raises(NotKnownYetError, match=r"the name of the system 10\.0\.0\.9 is not known"):
        await Site(unread("10.0.0.9", named=False)).targets(system="north")


async def test_system_at_another_address_has_other_guests() -> None:
    site = Site(read("north"))
    await site.targets()

    silent = {11: agent(), 12: agent("10.0.0.2")}
    site.states = [read("north", guests=silent)]
    assert len(await site.targets()) == 2

    moved = read("north", guests=silent)
    site.states = [moved._replace(report=report("north", url="https://new", tables=POLLED))]
    assert await site.targets() == [("north", "10.0.0.2:9100")]


async def test_settings_apply_where_the_request_names_nothing_else() -> None:
    site = Site(read("north"), port=9182, networks=["10.0.0.2/32"], port_tag_category="my-port")

    assert await site.targets() == [("north", "10.0.0.2:9182")]
    assert await site.targets(port="1", network="10.0.0.0/8") == [
        ("north", "10.0.0.1:9182"),  # by its tag
        ("north", "10.0.0.2:1"),
    ]
    site.discovery.apply(DiscoverySettings())
    assert await site.targets() == [("north", "10.0.0.1:9100"), ("north", "10.0.0.2:9100")]
