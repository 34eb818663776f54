"""Rounds of random faults against three replicas, and what must hold in each of them."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

from exporter.simulator.api.faults import ACTIONS
from tests.daemon_process import REAL_TIME
from tests.forking import start_fork_server
from tests.network import Peer, network, unavailable
from tests.postgres import Postgres, backends, postgres_server
from tests.recovery.crash_runner import EndAt, Ending
from tests.recovery.replica_scene import LIMITS, Replica, Scene, scene

NAMES = ("first", "second", "third")
VMS = 6
RECOVERS_WITHIN_SECONDS = 90.0
"""After the last fault of a round."""
SETTLED_SECONDS = 1.0

Fault = Callable[["Chaos"], Awaitable[None]]


class Result(NamedTuple):
    """What happened in all rounds."""

    faults: Counter[str]
    crashes: int
    posts: int
    epochs: int
    slowest_seconds: float
    """From the last fault of a round until every VM ran again."""

    def __str__(self) -> str:
        faults = ", ".join(f"{count} x {name}" for name, count in sorted(self.faults.items()))
        return (
            f"{faults}\n{self.crashes} crashes, {self.posts} actions requested, {self.epochs} "
            f"epochs; all VMs ran again at most {self.slowest_seconds:.0f} s after a round's faults"
        )


class Chaos:
    """Three replicas of one system, and the faults that befall them."""

    def __init__(self, stage: Scene, postgres: Postgres, seed: int) -> None:
        self.stage = stage
        self.postgres = postgres
        self.random = Random(seed)
        self.faults = FAULTS if stage.network is None else {**FAULTS, **PARTITIONS}
        self.running: dict[str, Replica] = {}
        self._stopped: set[str] = set()
        self._ended: set[str] = set()
        self.result = Result(Counter(), 0, 0, 0, 0.0)

    async def begin(self) -> None:
        first, *others = NAMES
        suspends = EndAt("recovery.reread", self.stage.vms[0].key, Ending.SUSPENDED)
        self.running[first] = await self.stage.start(first, suspends)
        await self.stage.until(lambda: self.running[first].leads, "the first leads")
        for name in others:
            self.running[name] = await self.stage.start(name)
        for vm in self.stage.vms:
            await self.stage.until_watched(vm)

    async def suspend_leader(self) -> None:
        """
        Suspend the leader within an action, until another leads and has completed it.

        The clocks of the first do not tell it that its lease has ended: only the fence does.
        """
        first, *others = NAMES
        vm = self.stage.vms[0]
        self.stage.system.world.crash(vm)
        await self.stage.until(
            lambda: any(self.running[name].leads for name in others), "another leads"
        )
        await self.stage.until_over(vm)
        self.running[first].send(signal.SIGCONT)
        await self.stage.until(lambda: not self.running[first].leads, "the first stands by")
        await self.check()
        self.result = self.result._replace(crashes=1)
        self.running[first].send(signal.SIGKILL)  # its clocks are late from now on
        self._ended.add(first)
        await self._mend()

    async def round(self) -> None:
        """Crash a VM or two, let faults come, mend them, and wait until the VMs run."""
        crashed = self.random.sample(list(self.stage.vms), self.random.randint(1, 2))
        for vm in crashed:
            self.stage.system.world.crash(vm)
        for _ in range(self.random.randint(1, 3)):
            await REAL_TIME.sleep(self.random.uniform(0.0, 3.0))
            fault = self.random.choice(list(self.faults))
            self.result.faults[fault] += 1
            await self.faults[fault](self)
        await self._mend()
        began = REAL_TIME.monotonic()
        for vm in crashed:
            await self.stage.until_over(vm)
        seconds = REAL_TIME.monotonic() - began
        await self.check()
        assert seconds <= RECOVERS_WITHIN_SECONDS, f"{seconds:.0f} s until all VMs ran again"
        self.result = self.result._replace(
            crashes=self.result.crashes + len(crashed),
            slowest_seconds=max(self.result.slowest_seconds, seconds),
        )

    async def check(self) -> None:
        """Hold the journal against what VergeOS was asked for."""
        await REAL_TIME.sleep(SETTLED_SECONDS)
        sent = await self.stage.rows(
            "SELECT vm_key, count(*) FROM intents WHERE sent_at IS NOT NULL GROUP BY vm_key"
        )
        for vm, posts in Counter(self.stage.posts).items():
            assert posts <= dict(sent)[vm], f"VM {vm}: {posts} requests for fewer decisions"
        twice = "SELECT decision FROM intents GROUP BY decision HAVING count(*) > 1"
        assert not await self.stage.rows(twice), "one decision has two actions"
        for table in ("intents", "decisions"):
            older = (
                f"SELECT id FROM (SELECT id, epoch, max(epoch) OVER (ORDER BY id) AS newest "  # noqa: S608
                f"FROM {table}) AS all_rows WHERE epoch < newest"
            )
            assert not await self.stage.rows(older), f"an older epoch wrote {table}"
        at_once = (
            "SELECT count(*) FROM intents one JOIN intents other "
            "ON other.prepared_time <= one.prepared_time "
            "AND coalesce(other.closed_time, one.prepared_time) >= one.prepared_time "
            "GROUP BY one.id ORDER BY 1 DESC LIMIT 1"
        )
        for (most,) in await self.stage.rows(at_once):
            assert most <= LIMITS["max_concurrent_actions"], f"{most} actions were open at once"
        (newest,) = await self.stage.rows("SELECT max(epoch) FROM leases")
        self.result = self.result._replace(epochs=newest[0], posts=len(self.stage.posts))

    async def stop(self) -> None:
        name = self._any()
        self.running[name].send(signal.SIGSTOP)
        self._stopped.add(name)
        if self.random.random() < 0.5:
            await REAL_TIME.sleep(self.random.uniform(0.0, 15.0))
            self.running[name].send(signal.SIGCONT)

    async def kill(self) -> None:
        name = self._any()
        self.running[name].send(signal.SIGKILL)
        self._ended.add(name)

    async def end(self) -> None:
        name = self._any()
        self.running[name].send(signal.SIGTERM)
        self._ended.add(name)

    async def step_down(self) -> None:
        with suppress(Exception):  # it may be stopped, dead, or without its journal
            async with asyncio.timeout(2.0):
                await self.running[self._any()].command("step-down")

    async def terminate_sessions(self) -> None:
        with suppress(OSError):
            for pid in await backends(self.postgres, self.stage.place):
                if self.random.random() < 0.7:
                    await self.postgres.execute(f"SELECT pg_terminate_backend({pid})")

    async def restart_database(self) -> None:
        how = self.random.choice((signal.SIGINT, signal.SIGQUIT))
        await asyncio.to_thread(self.postgres.stop, how)
        await REAL_TIME.sleep(self.random.uniform(0.0, 12.0))
        await asyncio.to_thread(self.postgres.start)

    async def slow_answers(self) -> None:
        self.stage.system.faults.turn_on("latency", seconds=self.random.uniform(0.2, 2.0), times=20)

    async def lost_answers(self) -> None:
        self.stage.system.faults.turn_on(
            "hang", path=ACTIONS, times=1, after=self.random.random() < 0.5
        )

    async def cut_off(self, peers: Collection[Peer]) -> None:
        assert self.stage.network is not None
        name = self._any()
        self.stage.network.cut(name, *peers)
        if self.random.random() < 0.5:
            await REAL_TIME.sleep(self.random.uniform(0.0, 20.0))
            self.stage.network.heal(name, *peers)

    def _any(self) -> str:
        """Return a replica's name: more often that of the leader."""
        leaders = [name for name, one in self.running.items() if one.leads]
        return self.random.choice(leaders if leaders and self.random.random() < 0.7 else NAMES)

    async def _mend(self) -> None:
        """Let the stopped go on, join the network again, and start those that ended."""
        self.stage.system.faults.clear()
        if self.stage.network is not None:
            self.stage.network.heal_all()
        for name in self._stopped:
            self.running[name].send(signal.SIGCONT)
        for name in self._ended:
            await self.stage.until(self.running[name].daemon.ended.done, f"{name} ends")
            self.running[name] = await self.stage.start(name)
        self._stopped.clear()
        self._ended.clear()


FAULTS: Mapping[str, Fault] = {
    "SIGSTOP": Chaos.stop,
    "SIGKILL": Chaos.kill,
    "SIGTERM": Chaos.end,
    "step-down": Chaos.step_down,
    "pg_terminate_backend": Chaos.terminate_sessions,
    "restart of PostgreSQL": Chaos.restart_database,
    "slow answers": Chaos.slow_answers,
    "lost answers": Chaos.lost_answers,
}
PARTITIONS: Mapping[str, Fault] = {
    "partition from PostgreSQL": partial(Chaos.cut_off, peers=(Peer.POSTGRESQL,)),
    "partition from VergeOS": partial(Chaos.cut_off, peers=(Peer.VERGEOS,)),
    "partition from both": partial(Chaos.cut_off, peers=(Peer.POSTGRESQL, Peer.VERGEOS)),
}
"""Where the machine allows a network of its own."""


@asynccontextmanager
async def replicas(
    folder: Path, *, vms: int = VMS, fenced: bool = True
) -> AsyncIterator[tuple[Scene, Postgres]]:
    """Provide a scene in a network of its own, where the machine allows one."""
    start_fork_server()  # outside that network: the next tests use it too
    with (
        nullcontext() if unavailable() else network() as own_network,
        postgres_server(Peer.POSTGRESQL.address if own_network else "") as postgres,
    ):
        place = postgres.new_database()
        async with scene(folder, place, vms=vms, fenced=fenced, network=own_network) as stage:
            yield stage, postgres


async def play(
    folder: Path,
    *,
    rounds: int,
    seed: int,
    told: Callable[[str], None] = lambda _: None,
    fenced: bool = True,
) -> Result:
    """Play so many rounds; raise `AssertionError` where something does not hold."""
    async with replicas(folder, fenced=fenced) as (stage, postgres):
        if stage.network is None:
            told(f"without partitions, which this machine does not allow: {unavailable()}")
        chaos = Chaos(stage, postgres, seed)
        await chaos.begin()
        await chaos.suspend_leader()
        for number in range(rounds):
            await chaos.round()
            told(f"round {number + 1}: {len(stage.posts)} actions, epoch {chaos.result.epochs}")
        return chaos.result
