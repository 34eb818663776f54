"""Two real replicas: the leader ends or stalls at each step of an action, the other takes over."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.daemon_process import REAL_TIME
from tests.postgres import Postgres
from tests.recovery.crash_runner import EndAt, Ending
from tests.recovery.replica_scene import Scene, scene

STEPS = ("reread", "prepared", "sending", "answered", "recorded")
"""The steps of an action; the third is the last before its request."""


async def takes_over(stage: Scene, step: str, how: Ending) -> None:
    """Let the leader stop at a *step* of its action, and the other replica take over."""
    vm = stage.vms[0]
    first = await stage.start("first", EndAt(f"recovery.{step}", vm.key, how))
    await stage.until(lambda: first.leads, "the first leads")
    second = await stage.start("second")
    await stage.until_watched(vm)
    stage.system.world.crash(vm)
    await stage.until(lambda: second.leads, f"the second leads, after {step}")
    await stage.until_over(vm)

    first.send(signal.SIGCONT)
    if how is not Ending.AFTER_LOG:
        await stage.until(lambda: not first.leads, "the first stands by")
        await REAL_TIME.sleep(2.0)

    assert stage.posts == [vm.key], step
    by_the_first = await stage.rows("SELECT id FROM intents WHERE epoch = 1")
    assert len(by_the_first) == (step != "reread"), step


@pytest.mark.parametrize("how", [Ending.AFTER_LOG, Ending.STOPPED, Ending.SUSPENDED])
async def test_replica_that_takes_over_repeats_no_action(
    tmp_path: Path, postgres: Postgres, how: Ending
) -> None:
    async def play(step: str) -> None:
        async with scene(tmp_path / step, postgres.new_database()) as stage:
            await takes_over(stage, step, how)

    async with asyncio.TaskGroup() as parts:
        for step in STEPS:
            parts.create_task(play(step))


HOLDS = {"reread": "pause", "prepared": "disarm", "sending": "kill switch"}


async def test_command_given_to_the_standby_before_the_request_is_obeyed(
    tmp_path: Path, postgres: Postgres
) -> None:
    async def play(step: str, hold: str) -> None:
        async with scene(tmp_path / step, postgres.new_database()) as stage:
            vm = stage.vms[0]
            first = await stage.start("first", EndAt(f"recovery.{step}", vm.key, Ending.STOPPED))
            await stage.until(lambda: first.leads, "the first leads")
            second = await stage.start("second")
            await stage.until_watched(vm)
            stage.system.world.crash(vm)
            await stage.until(lambda: first.entries(f"recovery.{step}"), step)
            if hold == "kill switch":
                stage.kill_switch("second").touch()
                waits = "SELECT id FROM commands WHERE epoch = 0"
                while not await stage.rows(waits):
                    await REAL_TIME.sleep(0.05)
            else:
                await second.command(hold)

            first.send(signal.SIGCONT)
            await stage.until(
                lambda: first.entries("recovery.command_taken") or second.leads, "it is obeyed"
            )
            await REAL_TIME.sleep(2.0)

            assert not stage.posts, (step, hold)
            assert not vm.machine.status.running

    async with asyncio.TaskGroup() as parts:
        for step, hold in HOLDS.items():
            parts.create_task(play(step, hold))


async def test_ended_leader_hands_over_at_once(tmp_path: Path, postgres: Postgres) -> None:
    async with scene(tmp_path, postgres.new_database()) as stage:
        first = await stage.start("first")
        await stage.until(lambda: first.leads, "the first leads")
        second = await stage.start("second")
        await stage.until_watched(stage.vms[0])

        began = REAL_TIME.monotonic()
        first.send(signal.SIGTERM)
        await stage.until(lambda: second.entries("recovery.started"), "the second leads")

        # A machine may be slow; without a release it takes the 10 s of the lease.
        assert REAL_TIME.monotonic() - began < 8.0
        assert [one["epoch"] for one in first.entries("recovery.lease_released")] == [1]


async def test_leader_that_steps_down_hands_over_and_stands_by(
    tmp_path: Path, postgres: Postgres
) -> None:
    async with scene(tmp_path, postgres.new_database()) as stage:
        first = await stage.start("first")
        await stage.until(lambda: first.leads, "the first leads")
        second = await stage.start("second")
        await stage.until_watched(stage.vms[0])

        await second.command("step-down")  # any replica passes it on
        await stage.until(lambda: second.leads and not first.leads, "the second leads")
        stage.system.world.crash(stage.vms[0])
        await stage.until_over(stage.vms[0])

        status = await first.get("/api/v1/recovery")
        assert [(one["readiness"], one["leader"]) for one in status["systems"]] == [
            ("standby", "second")
        ]
        page = await first.get_text("/metrics")
        assert "\nvergewatch_recovery_vm_" not in page
        assert (await first.get_text("/-/ready")).startswith("ready\n")
        assert "; the replica second leads recovery" in await first.get_text("/-/ready")
        assert stage.posts == [stage.vms[0].key]
