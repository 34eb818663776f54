"""The simulated world is consistent, repeatable and fast."""

import time
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.simulator import UnknownObjectError, World, create_world
from exporter.simulator.api.listing import list_rows
from exporter.simulator.api.tables import TABLES
from exporter.simulator.api.tables.columns import RequestView
from exporter.simulator.world.load import Load
from exporter.simulator.world.machines import VM
from exporter.simulator.world.platform_log import LogTemplate
from tools.alert_rules import thresholds

from .fakes import START

SMALL = create_world(vms=3, start=START)


def everything(world: World) -> bytes:
    moment = RequestView(world, now=world.now, stamp=world.now)
    return msgspec.json.encode(
        {name: list_rows(table, {"fields": "all"}, moment).rows for name, table in TABLES.items()}
    )


def eventful_world(seed: int) -> World:
    world = create_world(seed=seed, vms=60, start=START)
    vms = [vm for vm in world.live_vms() if vm.machine.status.running]
    world.crash(vms[0])
    world.operator_stops(vms[1])
    world.node_fails(next(iter(world.nodes)))
    world.advance(START + 400)
    world.migrate(vms[3])
    world.creates("newcomer")
    world.advance(START + 1000)
    return world


def test_same_seed_and_events_give_the_same_bytes() -> None:
    assert everything(eventful_world(1)) == everything(eventful_world(1))
    assert everything(eventful_world(1)) != everything(eventful_world(2))


def test_many_small_steps_equal_one_large_step() -> None:
    leaping, stepping = eventful_world(5), eventful_world(5)
    leaping.advance(START + 5000)
    for second in range(1001, 5001):
        stepping.advance(START + second)

    assert everything(leaping) == everything(stepping)


def test_time_never_goes_backwards() -> None:
    world = create_world(vms=10, start=START)
    world.advance(START + 10)
    world.advance(START + 5)

    assert world.now == START + 10


def test_ten_thousand_vms_are_built_and_listed_fast() -> None:
    began = time.process_time()
    world = create_world(seed=1, vms=10_000, start=START)
    built = time.process_time()
    world.advance(START + 3600)
    advanced = time.process_time()
    moment = RequestView(world, now=world.now, stamp=world.now)
    fields = "$key,name,machine,enabled,ram,machine#status#running as running"
    listing = list_rows(TABLES["vms"], {"fields": fields, "filter": "is_snapshot eq false"}, moment)
    listed = time.process_time()

    assert len(listing.rows) == 10_000
    # Generous: the machine that runs the tests may be busy with other things.
    assert built - began < 6.0
    assert advanced - built < 0.1
    assert listed - advanced < 1.0


@pytest.mark.parametrize("vms", [1, 10, 40, 1000])
def test_system_of_any_size_is_consistent(vms: int) -> None:
    world = create_world(seed=2, vms=vms, start=START)
    live = list(world.live_vms())

    assert len(live) == vms
    assert len({vm.name for vm in live}) == vms
    assert len({vm.machine.key for vm in world.vms.values()}) == len(world.vms)
    for node in world.nodes.values():
        assert node.used_mb == sum(machine.memory_mb for machine in node.hosted.values())
        assert node.used_mb <= node.usable_mb
        assert all(machine.status.node == node.key for machine in node.hosted.values())


def test_vms_are_diverse() -> None:
    world = create_world(seed=2, vms=1000, start=START)
    live = list(world.live_vms())
    cards = Counter(len(vm.machine.nics) for vm in live)
    drives = Counter(len(vm.machine.drives) for vm in live)
    media = Counter(drive.media for vm in live for drive in vm.machine.drives)

    assert cards[1] > 700
    assert cards[2] > 50
    assert set(drives) <= {1, 2, 3, 4}
    assert media["cdrom"] > 20
    assert {vm.os_family for vm in live} == {"linux", "windows", "freebsd", "other"}
    assert any(vm.guest_agent and vm.machine.guest is None for vm in live)
    assert all(len({nic.name for nic in vm.machine.nics}) == len(vm.machine.nics) for vm in live)
    assert {vm.on_power_loss for vm in live} == {"last_state", "power_on", "leave_off"}
    assert sum(vm.service is not None for vm in live) == 1


@given(st.sampled_from(sorted(TABLES)), st.text(alphabet="$key,ame#s[]() all_tu", max_size=30))
def test_any_fields_give_a_response(table: str, fields: str) -> None:
    moment = RequestView(SMALL, now=SMALL.now, stamp=SMALL.now)

    msgspec.json.encode(list_rows(TABLES[table], {"fields": fields}, moment).rows)


loads = st.builds(
    Load, level=st.floats(0, 1), phase=st.floats(0, 6.3), memory_share=st.floats(0, 1)
)


@given(loads, st.floats(0, 1e6), st.floats(0, 1e5), st.floats(0, 1e5))
def test_counters_never_decrease(load: Load, start: float, first: float, more: float) -> None:
    assert (
        load.active_seconds(start, start + first + more)
        >= load.active_seconds(start, start + first) - 1e-6
    )


@given(loads, st.floats(0, 2e9))
def test_load_stays_below_the_alert_thresholds(load: Load, at: float) -> None:
    assert 0 <= load.cpu(at) < thresholds.CPU_BUSY_RATIO
    assert 0 <= load.memory(at) < thresholds.MEMORY_FULL_RATIO


def test_counters_stop_with_a_vm_and_reset_at_its_start(world: World, running: VM) -> None:
    nic = running.machine.nics[0]

    def counted(after: float) -> int:
        world.advance(START + after)
        moment = RequestView(world, now=world.now, stamp=world.now)
        query = {"filter": f"$key eq {nic.key}", "fields": "tx_bytes"}
        (row,) = list_rows(TABLES["machine_nic_stats"], query, moment).rows
        value: int = row["tx_bytes"]
        return value

    before = counted(0)
    world.crash(running)
    assert counted(500) == before
    world.operator_starts(running)
    assert 0 < counted(600) < before


def test_last_update_advances_while_a_vm_runs(world: World, running: VM) -> None:
    def age(after: float) -> float:
        world.advance(START + after)
        return world.now - RequestView(world, world.now, world.now).last_update(running.machine)

    assert all(age(second) <= 16 for second in range(0, 300, 7))
    world.crash(running)
    stopped_at = world.now
    assert age(1000) == pytest.approx(START + 1000 - stopped_at, abs=1)


def test_log_templates_can_be_replaced_and_removed() -> None:
    log_templates = {"crashed": LogTemplate("error", "QEMU of {name} died"), "action_sent": None}
    world = create_world(vms=10, start=START, log_templates=log_templates)
    vm = next(vm for vm in world.live_vms() if vm.machine.status.running)
    seen = len(world.platform_log.logs)
    world.operator_stops(vm)
    world.crash(vm)

    assert [row.text for row in list(world.platform_log.logs)[seen:]] == [f"QEMU of {vm.name} died"]


def test_any_text_can_be_written_into_the_logs(world: World, running: VM) -> None:
    machine = running.machine.key
    world.platform_log.write("Odd things", at=world.now, user="anna", name="x", machine=machine)

    assert (
        world.platform_log.logs[-1].text == world.platform_log.machine_logs[-1].text == "Odd things"
    )


def test_unknown_vm_or_node_is_an_error(world: World) -> None:
    with pytest.raises(UnknownObjectError, match="no VM 'missing'"):
        world.crash("missing")
    with pytest.raises(UnknownObjectError, match="no node 'nowhere'"):
        world.node_fails("nowhere")


def test_old_name_is_free_after_a_rename(world: World, running: VM) -> None:
    old = running.name
    world.renames(running, "other")

    assert world.vm("other") is running
    world.creates(old)
    with pytest.raises(UnknownObjectError, match="already exists"):
        world.creates("other")


def test_a_deleted_vm_leaves_nothing_behind(world: World, running: VM) -> None:
    world.tag(running, "team/web")
    world.deletes(running)

    assert running.key not in world.vms
    assert running.machine.key not in world.machines
    assert f"vms/{running.key}" not in {row.member for row in world.tag_members.values()}
    assert not any(running.machine.key in node.hosted for node in world.nodes.values())
