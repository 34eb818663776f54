"""Start, stop and migration of machines: status words and times."""

from exporter.simulator import World
from exporter.simulator.world.machines import VM

from .fakes import START


def words(world: World, vm: VM, *moments: float) -> list[tuple[str, bool]]:
    """Return what the status says at moments after the start."""
    seen = []
    for moment in moments:
        world.advance(START + moment)
        seen.append((vm.machine.status.word, vm.machine.status.running))
    return seen


def logged(world: World, vm: VM) -> list[tuple[str, str]]:
    rows = [row for row in world.platform_log.machine_logs if row.at_us >= START * 1e6]
    return [(row.text, row.user) for row in rows if row.machine == vm.machine.key]


def test_a_start_initializes_then_runs(world: World, stopped: VM) -> None:
    assert world.operator_starts(stopped)

    assert words(world, stopped, 0.005, 0.011, 0.51, 0.53) == [
        ("stopped", False),
        ("initializing", False),
        ("initializing", False),
        ("running", True),
    ]
    assert stopped.machine.status.started == START + 0.52


def test_killed_vm_is_running_for_half_a_second(world: World, running: VM) -> None:
    world.operator_stops(running, graceful=False)

    assert words(world, running, 0.51, 1.03) == [("running", True), ("stopped", False)]


def test_graceful_power_off_takes_shutdown_seconds(world: World, running: VM) -> None:
    world.operator_stops(running)

    assert words(world, running, 0.1, 0.3, 10.1, 10.3) == [
        ("running", True),
        ("stopping", True),
        ("stopping", True),
        ("stopped", False),
    ]


def test_guest_that_ignores_power_off_must_be_killed(world: World, running: VM) -> None:
    running.machine.shutdown_seconds = None
    world.operator_stops(running)

    assert words(world, running, 3600) == [("stopping", True)]

    world.operator_stops(running, graceful=False)
    assert words(world, running, 3602) == [("stopped", False)]


def test_crash_is_immediate_and_not_logged(world: World, running: VM) -> None:
    world.crash(running)

    assert words(world, running, 0) == [("stopped", False)]
    assert running.machine.status.node is None
    assert logged(world, running) == []
    assert [one.what for one in world.history] == ["crashed"]


def test_guest_shutdown_differs_from_a_crash_by_its_log_row(world: World, running: VM) -> None:
    world.guest_shuts_down(running)

    assert words(world, running, 0) == [("stopped", False)]
    assert logged(world, running) == [("VM has shutdown", "system")]


def test_log_row_of_an_operator_action_names_the_user(world: World, running: VM) -> None:
    world.operator_stops(running, user="anna", graceful=False)
    world.advance(START + 2)

    assert logged(world, running)[0] == ("VM action 'kill' sent", "anna")


def test_started_and_size_are_kept_after_a_stop(world: World, running: VM) -> None:
    started = running.machine.status.started
    world.crash(running)

    assert running.machine.status.started == started


def test_a_migration_never_stops_running(world: World, running: VM) -> None:
    source = running.machine.status.node
    target = next(
        node
        for node in world.nodes.values()
        if node.cluster == running.machine.cluster and node.key != source
    )
    running.machine.memory_mb = 4096
    assert world.migrate(running, target)

    assert words(world, running, 0.02, 0.6, 1.1, 3.1, 3.4) == [
        ("initmigrate", True),
        ("startmigrate", True),
        ("migrating", True),
        ("migratecomplete", True),
        ("running", True),
    ]
    assert (running.machine.status.node, running.machine.status.came_from) == (target.key, source)
    assert running.machine.key in target.hosted


def test_crash_ends_a_migration(world: World, running: VM) -> None:
    world.migrate(running)
    world.advance(START + 1.1)
    world.crash(running)

    assert words(world, running, 60) == [("stopped", False)]
    assert not any(running.machine.key in node.hosted for node in world.nodes.values())


def test_hung_guest_is_unresponsive_until_woken(world: World, running: VM) -> None:
    world.hang(running)

    assert words(world, running, 300) == [("unresponsive", True)]

    world.wake(running)
    assert words(world, running, 301) == [("running", True)]


def test_guest_reboot_is_a_power_cycle(world: World, running: VM) -> None:
    world.guest_reboots(running)

    assert words(world, running, 0, 2.9, 3.1, 3.6) == [
        ("stopped", False),
        ("stopped", False),
        ("initializing", False),
        ("running", True),
    ]


def test_guest_reboot_with_disable_powercycle_keeps_running(world: World, running: VM) -> None:
    running.disable_powercycle = True
    world.guest_reboots(running)

    assert words(world, running, 0, 3) == [("running", True), ("running", True)]


def test_hibernate_ends_as_hibernated(world: World, running: VM) -> None:
    world.hibernate(running)

    assert words(world, running, 1, 9) == [("hibernating", True), ("hibernated", False)]


def test_new_action_replaces_an_older_one(world: World, running: VM) -> None:
    world.operator_stops(running)
    world.advance(START + 5)
    world.operator_stops(running, graceful=False)
    world.advance(START + 6)
    world.operator_starts(running)

    assert words(world, running, 30) == [("running", True)]


def test_a_task_stops_a_vm_and_can_be_found(world: World, running: VM) -> None:
    world.task_stops(running, task="Nightly power-off")
    (task,) = world.tasks.values()

    assert (task.owner, task.action, task.last_run) == (f"vms/{running.key}", "poweroff", START)
    assert words(world, running, 11) == [("stopped", False)]


def test_wanted_power_state_follows_requests_only(running: VM, world: World) -> None:
    world.crash(running)
    assert running.machine.status.wanted

    world.operator_starts(running)
    world.operator_stops(running, graceful=False)
    world.advance(START + 5)
    assert not running.machine.status.wanted


def test_a_full_tier_stops_a_vm_and_raises_an_alarm(world: World, running: VM) -> None:
    world.out_of_space(running)

    assert [alarm.owner for alarm in world.alarms.values()] == [f"vms/{running.key}"]
    assert words(world, running, 0) == [("stopped", False)]
