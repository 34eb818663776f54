"""Which guests are targets, at which address and port, and what does not make them come and go."""

from typing import Any

import msgspec
import pytest

from exporter.collectors.guests import GUESTS, MachineGuest
from exporter.discovery.guests import Guest, KnownGuests, target_group
from exporter.discovery.query import TargetQuery, parse_query
from exporter.errors import NotKnownYetError
from exporter.model import Cluster, Inventory, Node, SystemReport
from tests.exposition.builders import config, guest, inventory, report, status, stopped, table

TABLES = ("vms", "machine_status", "guests", "clusters", "nodes", "tags")
READ = report(tables=tuple(table(name) for name in TABLES))


def agent(*addresses: str) -> MachineGuest:
    return guest(addresses=addresses)


def rows(**changes: Any) -> dict[str, Any]:
    """Return the tables of a system with the VMs 1 and 2, which run and report an address."""
    default = {
        "vms": (config(1, "web-1"), config(2, "db", os_family="windows")),
        "machine_status": {11: status(11), 12: status(12, node=2)},
        "guests": {11: agent("10.0.0.1"), 12: agent("10.0.0.2")},
        "clusters": {1: Cluster(1, "Harbour")},
        "nodes": {1: Node(1, "node1", 1, 91, None, None), 2: Node(2, "node2", 1, 92, None, None)},
        "tags": {1: frozenset({"team/web", "team/api", "my-port/9182"})},
    }
    return {key: value for key, value in (default | changes).items() if value is not None}


def seen(known: KnownGuests, report_: SystemReport = READ, **changes: Any) -> list[str]:
    """Return the names of the guests after another inventory."""
    return names(known.guests(inventory(rows(**changes)), report_))


def names(guests: tuple[Guest, ...]) -> list[str]:
    return [one.labels["__meta_vergeos_vm_name"] for one in guests]


def targets(*addresses: str, tags: tuple[str, ...] = (), category: str = "", **query: str) -> Any:
    one = Guest({}, "", "", tags, addresses)
    wanted = parse_query({name: [value] for name, value in query.items()})
    group = target_group(one, wanted, 9100, category)
    return group and group["targets"]


# Which guests


def test_running_guest_with_an_address_is_a_target_with_its_labels() -> None:
    (web, _) = KnownGuests().guests(inventory(rows(), "northwind"), READ)

    assert target_group(web, TargetQuery(), 9100, "") == {
        "targets": ["10.0.0.1:9100"],
        "labels": {
            "__meta_vergeos_system": "northwind",
            "__meta_vergeos_cluster": "Harbour",
            "__meta_vergeos_node": "node1",
            "__meta_vergeos_vm_name": "web-1",
            "__meta_vergeos_vm_id": "1",
            "__meta_vergeos_os": "linux",
            "__meta_vergeos_tag_team": "api,web",
            "__meta_vergeos_tag_my_port": "9182",
        },
    }


def test_guest_that_is_off_or_has_no_agent_is_no_target() -> None:
    assert seen(KnownGuests(), machine_status={11: stopped(11), 12: status(12)}) == ["db"]
    assert seen(KnownGuests(), guests={12: agent("10.0.0.2")}) == ["db"]
    assert seen(KnownGuests(), guests={11: MachineGuest(), 12: agent("10.0.0.2")}) == ["db"]


# What makes no guest come and go


def test_silent_agent_keeps_its_last_addresses_while_the_vm_runs() -> None:
    known = KnownGuests()
    seen(known)

    assert seen(known, guests={11: MachineGuest(), 12: agent("10.0.0.2")}) == ["web-1", "db"]
    assert seen(known, guests=None) == ["web-1", "db"]


def test_silent_agent_loses_its_addresses_when_the_vm_stops() -> None:
    known = KnownGuests()
    seen(known)
    seen(known, machine_status={11: stopped(11), 12: status(12)})

    assert seen(known, guests={12: agent("10.0.0.2")}) == ["db"]


def test_silent_agent_loses_an_address_that_another_guest_reports() -> None:
    known = KnownGuests()
    seen(known)

    assert seen(known, guests={12: agent("10.0.0.1")}) == ["db"]


def test_stale_names_and_tags_stay_in_use() -> None:
    known = KnownGuests()
    before = known.guests(inventory(rows()), READ)

    after = known.guests(inventory(rows(clusters=None, nodes=None, tags=None)), READ)

    assert after == before


@pytest.mark.parametrize("lost", ["vms", "machine_status"])
def test_guests_stay_while_vergeos_does_not_answer(lost: str) -> None:
    known = KnownGuests()
    seen(known)

    without: dict[str, Any] = {lost: None}
    assert seen(known, **without) == ["web-1", "db"]
    assert names(known.guests(None, READ)) == ["web-1", "db"]


def test_migration_changes_only_the_label_of_the_node() -> None:
    known = KnownGuests()
    (before, _) = known.guests(inventory(rows()), READ)

    moved = {11: status(11, node=2, word="migrating"), 12: status(12)}
    (after, _) = known.guests(inventory(rows(machine_status=moved)), READ)

    changed = {name for name in before.labels if before.labels[name] != after.labels[name]}
    assert changed == {"__meta_vergeos_node"}
    assert after.addresses == before.addresses


# Before everything was read


@pytest.mark.parametrize("missing", TABLES)
def test_no_guest_is_known_until_each_polled_table_was_read(missing: str) -> None:
    tables = tuple(table(name, awaited=name == missing, error="503") for name in TABLES)

    with pytest.raises(NotKnownYetError, match=f"prod are not known yet: table {missing}: 503"):
        seen(KnownGuests(), report(tables=tables))


def test_nothing_is_known_without_an_inventory_or_the_collector_of_guests() -> None:
    without = report(tables=tuple(table(name) for name in TABLES if name != "guests"))

    with pytest.raises(NotKnownYetError, match="prod are not known yet"):
        KnownGuests().guests(None, READ)
    with pytest.raises(NotKnownYetError, match=r"collectors\.guests is off"):
        seen(KnownGuests(), without)


# After something was read


def test_known_guests_are_not_current_while_the_collector_is_off() -> None:
    known = KnownGuests()
    seen(known)
    without = report(tables=tuple(table(name) for name in TABLES if name != "guests"))

    with pytest.raises(NotKnownYetError, match=r"collectors\.guests is off"):
        seen(known, without, guests=None)
    assert seen(known) == ["web-1", "db"]


def test_known_guests_are_not_current_on_a_standby_that_does_not_poll_them() -> None:
    known = KnownGuests()
    seen(known)
    standby = report(tables=(table("vms"), table("machine_status")), stands_by=True)

    with pytest.raises(NotKnownYetError, match="prod are polled by the replica that leads"):
        seen(known, standby, guests=None)
    with pytest.raises(NotKnownYetError, match="prod are polled by the replica that leads"):
        seen(KnownGuests(), standby, guests=None)


def test_known_guests_stay_while_every_table_is_stale() -> None:
    known = KnownGuests()
    seen(known)
    stale = report(tables=tuple(table(name, fresh=False, error="503") for name in TABLES))

    assert names(known.guests(None, stale)) == ["web-1", "db"]


def test_tags_that_are_not_polled_are_not_waited_for() -> None:
    without = report(tables=tuple(table(name) for name in TABLES if name != "tags"))

    assert seen(KnownGuests(), without, tags=None) == ["web-1", "db"]


# Addresses and ports


def test_first_ipv4_address_is_preferred_then_ipv6() -> None:
    assert targets("fd00::1", "10.0.0.1", "10.0.0.2") == ["10.0.0.1:9100"]
    assert targets("fd00::1", "fd00::2") == ["[fd00::1]:9100"]


def test_network_chooses_the_address_and_leaves_out_guests_outside() -> None:
    assert targets("10.0.0.1", "172.17.0.1", network="172.16.0.0/12") == ["172.17.0.1:9100"]
    assert targets("10.0.0.1", "fd00::1", network="fd00::/8") == ["[fd00::1]:9100"]
    assert targets("10.0.0.1", network="192.168.0.0/16") is None


@pytest.mark.parametrize(
    "address",
    ["169.254.1.1", "fe80::1", "fe80::1%ens18", "127.0.0.1", "::1", "0.0.0.0", "224.0.0.1", "x"],
)
def test_address_that_others_cannot_use_is_ignored(address: str) -> None:
    assert seen(KnownGuests(), guests={11: agent(address), 12: agent("10.0.0.2")}) == ["db"]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ((), ["10.0.0.1:9100"]),
        (("ports/9182",), ["10.0.0.1:9182"]),
        (("Ports/9182", "ports/9100", "ports/9182"), ["10.0.0.1:9100", "10.0.0.1:9182"]),
        (("ports/none", "ports/0", "ports/70000"), ["10.0.0.1:9100"]),
        (("port/9182",), ["10.0.0.1:9100"]),
    ],
)
def test_tags_of_the_category_name_the_ports(tags: tuple[str, ...], expected: list[str]) -> None:
    assert targets("10.0.0.1", tags=tags, category="ports") == expected


def test_port_of_the_request_applies_where_no_tag_names_one() -> None:
    assert targets("10.0.0.1", port="9182") == ["10.0.0.1:9182"]
    assert targets("10.0.0.1", port="9182", tags=("p/1",), category="p") == ["10.0.0.1:1"]


# What the agent sends


@pytest.mark.parametrize("as_map", [False, True])
def test_addresses_of_every_interface_are_read_as_list_and_as_map(as_map: bool) -> None:
    def listed(items: list[Any]) -> Any:
        return {str(number): one for number, one in enumerate(items)} if as_map else items

    def address(text: Any) -> dict[str, Any]:
        return {"ip-address-type": "ipv4", "ip-address": text, "prefix": 24}

    network = listed(
        [
            {"name": "lo", "ip-addresses": listed([address("127.0.0.1")])},
            {"name": "ens18", "ip-addresses": listed([address("10.0.0.1"), address("fd00::1")])},
            {"name": "ens19", "ip-addresses": None},
            {"name": "ens20"},
        ]
    )
    row = {"$key": 5, "machine": 11, "agent_guest_info": {"network": network}}

    decoded = GUESTS.decode(msgspec.json.encode([row]))

    info = decoded.rows[11].agent_guest_info
    assert info.addresses == ("127.0.0.1", "10.0.0.1", "fd00::1")
    assert not decoded.skipped_values


def test_address_that_cannot_be_read_costs_no_other_value() -> None:
    network = [{"ip-addresses": [{"ip-address": 7}, {"ip-address": "10.0.0.1"}]}]
    row = {"$key": 5, "machine": 11, "agent_guest_info": {"hostname": "h", "network": network}}

    decoded = GUESTS.decode(msgspec.json.encode([row]))

    info = decoded.rows[11].agent_guest_info
    assert info.hostname == "h"
    assert info.addresses == ("10.0.0.1",)
    assert decoded.skipped_values


def test_inventory_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    known, one = KnownGuests(), inventory(rows())
    first = known.guests(one, READ)

    assert known.guests(one, READ) is first
    assert isinstance(one, Inventory)
