"""A few rounds of what ``make chaos`` plays for as long as it is asked to, and one partition."""

import asyncio
from pathlib import Path

import pytest

from tests.chaos.chaos import play, replicas
from tests.daemon_process import REAL_TIME
from tests.network import Peer, unavailable
from tests.recovery.replica_scene import Replica

TAKEOVER_SECONDS = 40.0


async def test_replicas_under_faults_repeat_no_action_and_recover_every_vm(tmp_path: Path) -> None:
    result = await play(tmp_path, rounds=3, seed=1)

    assert result.posts >= result.crashes >= 4


async def test_without_the_fence_an_earlier_leader_writes_and_that_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="an older epoch wrote intents"):
        await play(tmp_path, rounds=0, seed=1, fenced=False)


async def told_by(replica: Replica) -> tuple[str, str]:
    """Return the readiness of a replica and the leader that it knows, as its API tells them."""
    (system,) = (await replica.get("/api/v1/recovery"))["systems"]
    return system["readiness"], system["leader"]


async def test_leader_that_is_cut_off_from_postgresql_stands_by_before_another_leads(
    tmp_path: Path,
) -> None:
    if reason := unavailable():
        pytest.skip(reason)
    async with replicas(tmp_path, vms=1) as (stage, _):
        assert stage.network is not None
        vm = stage.vms[0]
        first = await stage.start("first")
        await stage.until(lambda: first.leads, "the first leads")
        second = await stage.start("second")
        await stage.until_watched(vm)
        assert (await told_by(first))[1] == "first"

        stage.network.cut("first", Peer.POSTGRESQL)
        async with asyncio.timeout(TAKEOVER_SECONDS):
            while not second.leads:
                await REAL_TIME.sleep(0.05)
        assert await told_by(first) == ("standby", "")

        stage.system.world.crash(vm)
        await stage.until_over(vm)
        assert stage.posts == [vm.key]
        (unknown,) = first.entries("recovery.lease_unknown")
        assert "no answer within 5 s" in unknown["error"]
        assert await told_by(first) == ("journal_down", "")

        stage.network.heal("first", Peer.POSTGRESQL)
        async with asyncio.timeout(TAKEOVER_SECONDS):
            while await told_by(first) != ("standby", "second"):
                await REAL_TIME.sleep(0.05)
