"""Replicas of the daemon as processes, on one simulated system and one PostgreSQL."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from exporter.journal.place import PostgresServer
from exporter.simulator import Simulator
from exporter.simulator.api.faults import ACTIONS
from exporter.simulator.world.machines import VM
from tests.daemon_process import REAL_TIME
from tests.forking import ForkedProcess
from tests.network import Network, Peer
from tests.recovery.crash_runner import EndAt, StartRequest, run_daemon
from tests.recovery.enrolled_world import enrolled_world
from tests.recovery.test_sigkill import LIMITS as SHORT_LIMITS
from tests.recovery.test_sigkill import ticks

SPEEDUP = 3.0
"""The lease lasts 10 s, and a leader gives up after 7 s."""
PATIENCE_SECONDS = 60.0
TOKEN = "0123456789abcdef"
LIMITS = {
    **SHORT_LIMITS,
    "reread_age_seconds": 4,
    "verify_power_on_seconds": 5,
    "max_concurrent_actions": 2,
    "flap_losses": 1000,
}


class Replica:
    """One daemon, by its process and its log."""

    def __init__(self, name: str, daemon: ForkedProcess, log: Path) -> None:
        self.name = name
        self.daemon = daemon
        self.log = log

    def entries(self, event: str = "") -> list[dict[str, Any]]:
        """Return what it has logged, or its entries of one *event*."""
        found = []
        for line in self.log.read_text().splitlines() if self.log.exists() else ():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue  # it is being written, or is no event
            if event in ("", entry["event"]):
                found.append(entry)
        return found

    @property
    def leads(self) -> bool:
        return [one["leads"] for one in self.entries("recovery.leader")][-1:] == [True]

    def send(self, number: signal.Signals) -> None:
        self.daemon.send_signal(number)

    @property
    def url(self) -> str:
        (started,) = self.entries("daemon.started")
        return f"http://{started['listen']}"

    async def get_text(self, path: str) -> str:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
            return await answer.text()

    async def get(self, path: str) -> Any:
        return json.loads(await self.get_text(path))

    async def command(self, kind: str, **details: Any) -> None:
        """Give it a command as an operator does."""
        url = f"{self.url}/api/v1/recovery/{kind}"
        body = {"owner": "anna", "reason": "because", **details}
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, json=body, headers={"X-Vergewatch-Token": TOKEN}) as answer,
        ):
            assert answer.status == 200, await answer.text()


class Scene:
    """A simulated system of few VMs, all enrolled, with its journal and its replicas."""

    def __init__(
        self,
        folder: Path,
        place: PostgresServer,
        system: Simulator,
        *,
        speedup: float = SPEEDUP,
        fenced: bool = True,
        network: Network | None = None,
    ) -> None:
        self.folder = folder
        self.network = network
        self.speedup = speedup
        self.fenced = fenced
        self.place = place
        self.system = system
        self.replicas: list[Replica] = []

    @property
    def vms(self) -> Sequence[VM]:
        return [vm for vm in self.system.world.live_vms() if vm.service is None]

    @property
    def posts(self) -> list[int]:
        """The VMs of the actions that were requested, in their order."""
        return [one.body["vm"] for one in self.system.requests if one.path == ACTIONS]

    def kill_switch(self, name: str) -> Path:
        return self.folder / name / "kill-switch"

    async def start(self, name: str, end_at: EndAt | None = None, *, url: str = "") -> Replica:
        """Start a replica; its log continues that of an earlier process of the same name."""
        state = self.folder / name
        state.mkdir(exist_ok=True)
        number = sum(one.name == name for one in self.replicas)
        log = state / f"log-{number}"
        namespace = self.network.namespace(name) if self.network else ""
        (state / "vergewatch.yaml").write_text(json.dumps(self._settings(name, url)))
        request = StartRequest(
            str(state / "vergewatch.yaml"),
            str(log),
            end_at,
            self.speedup,
            self.fenced,
            namespace,
        )
        replica = Replica(name, ForkedProcess(run_daemon, request), log)
        self.replicas.append(replica)
        await self.until(lambda: bool(replica.entries("daemon.started")), f"{name} starts")
        return replica

    async def until(self, holds: Callable[[], Any], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                async for _ in ticks():
                    if holds():
                        return
        except TimeoutError:
            logs = [f"{one.name}:\n{one.log.read_text()[-3000:]}" for one in self.replicas[-3:]]
            raise AssertionError("\n".join([f"never: {what}", *logs])) from None

    async def until_watched(self, vm: VM) -> None:
        """Return when the leader has seen that *vm* is up."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for _ in ticks():
                query = "SELECT case_json::json->>'state' FROM cases WHERE uuid = $1"
                if await self.rows(query, vm.uuid) in ([("healthy",)], [("probation",)]):
                    return

    async def until_over(self, vm: VM) -> None:
        """Return when *vm* runs, and no action is open."""
        query = "SELECT id FROM intents WHERE outcome IS NULL"
        await self.until(lambda: vm.machine.status.running, f"{vm.name} runs")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self.rows(query):
                await REAL_TIME.sleep(0.1)
        await self.until_watched(vm)

    async def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.place.url)
        try:
            return [tuple(row) for row in await connection.fetch(query, *values)]
        except asyncpg.UndefinedTableError:
            return []
        finally:
            await connection.close()

    def end(self) -> None:
        for replica in self.replicas:
            replica.send(signal.SIGKILL)

    def _settings(self, name: str, url: str) -> Mapping[str, Any]:
        address = self.network.address(name) if self.network else "127.0.0.1"
        return {
            "url": url or self.system.url,
            "api_key": self.system.api_key,
            "poll": {"fast_seconds": 0.5, "slow_seconds": 60, "stale_after_polls": 40},
            "api": {"requests_per_hour": 1_000_000, "spacing_seconds": 0, "timeout_seconds": 3},
            "web": {"listen_address": f"{address}:0"},
            "log": {"format": "json"},
            "journal": {"url": self.place.url, "replica": name},
            "recovery": {
                "mode": "enforce",
                "token": TOKEN,
                "directory": str(self.folder / name),
                "i_accept_endless_restarts": True,
                "limits": LIMITS,
            },
        }


@asynccontextmanager
async def scene(
    folder: Path,
    place: PostgresServer,
    *,
    vms: int = 3,
    speedup: float = SPEEDUP,
    fenced: bool = True,
    network: Network | None = None,
) -> AsyncIterator[Scene]:
    """
    Simulate a system; end every replica at the end; `StartRequest` has the other arguments.

    Args:
        network: For the replicas; *place* is in the namespace of its peers.

    """
    folder.mkdir(exist_ok=True)  # noqa: ASYNC240 - in a test, and short
    world = enrolled_world(vms + 1)
    host = Peer.VERGEOS.address if network else "127.0.0.1"
    async with Simulator(world=world, clock=REAL_TIME, host=host, burst_limit=None) as system:
        stage = Scene(folder, place, system, speedup=speedup, fenced=fenced, network=network)
        try:
            yield stage
        finally:
            stage.end()
