"""Two simulated systems, the daemons that watch them, and the VMs that crash meanwhile."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from exporter.simulator import Simulator
from exporter.simulator.api.faults import ACTIONS
from exporter.simulator.world.machines import VM
from tests.daemon_process import HASTE, REAL_TIME, Daemon, running_program
from tests.recovery.enrolled_world import enrolled_world

PATIENCE_SECONDS = 90.0
NORTH = "north"
"""Its VMs crash, and recovery restarts them."""
SOUTH = "south"
"""Recovery asks there before an action, and is held by commands of an operator."""
VMS = {NORTH: 48, SOUTH: 4}
TOKEN = "a token for tests"
ROW = "Blinkenlights were reversed"
"""A log row that no pattern knows: it comes with each crash, and has to be taught."""
WARMUP_SECONDS = 20.0
"""Longer than a VM may be down otherwise, so that a warm-up of the wrong replica is seen."""
WARMUP_POLLS = 3
POLL_SECONDS = 1.0
STALE_AFTER_POLLS = 5
SETTINGS = {
    **HASTE,
    "VERGEWATCH_POLL__FAST_SECONDS": f"{POLL_SECONDS}",
    "VERGEWATCH_POLL__SLOW_SECONDS": "5",
    "VERGEWATCH_POLL__STALE_AFTER_POLLS": f"{STALE_AFTER_POLLS}",
    "VERGEWATCH_API__TIMEOUT_SECONDS": "5",
    "VERGEWATCH_RECOVERY__MODE": "enforce",
    "VERGEWATCH_RECOVERY__TOKEN": TOKEN,
    "VERGEWATCH_RECOVERY__LIMITS": json.dumps(
        {
            "warmup_seconds": WARMUP_SECONDS,
            "warmup_polls": WARMUP_POLLS,
            "confirm_down_seconds": 2,
            "platform_seconds": 2,
            "log_settle_seconds": 1,
            "system_max_per_10_minutes": 1000,
            "system_max_per_day": 1000,
            "max_concurrent_actions": 4,
            "breaker_min_vms": 1000,
            "node_failure_vms": 1000,
        }
    ),
}


class Crash(NamedTuple):
    """One VM of `NORTH` that crashed; each crashes once."""

    vm: VM
    at: float
    """In monotonic seconds, as the requests of the simulator have them."""
    phase: str
    """What of the upgrade was done then."""


class Site:
    """
    The systems and the daemons.

    Args:
        systems: By name.

    """

    def __init__(self, folder: Path, systems: Mapping[str, Simulator]) -> None:
        self.folder = folder
        self.systems = systems
        self.daemons: dict[str, Daemon] = {}
        """Those that run, by name."""
        self.crashes: list[Crash] = []
        self.phase = ""
        self._stacks: dict[str, AsyncExitStack] = {}
        self._well = vms_of(systems[NORTH])

    async def start(self, name: str, code: Path | None, env: Mapping[str, str]) -> Daemon:
        """Start a daemon of the earlier *code*, or of the present one."""
        stack = AsyncExitStack()
        daemon = await stack.enter_async_context(running_program({**SETTINGS, **env}, code=code))
        self.daemons[name], self._stacks[name] = daemon, stack
        return daemon

    async def stop(self, name: str) -> None:
        """End a daemon by SIGTERM, as `systemctl stop` does."""
        daemon = self.daemons.pop(name)
        assert await daemon.end() == 0, f"{name}: {log_of(daemon)}"
        await self._stacks.pop(name).aclose()

    async def close(self) -> None:
        for stack in self._stacks.values():
            await stack.aclose()

    def crash(self) -> Crash:
        """Crash the next VM, with a log row that was taught to be harmless."""
        vm, world = self._well.pop(), self.systems[NORTH].world
        world.platform_log.write(
            ROW, at=world.now, user="system", name=vm.name, machine=vm.machine.key
        )
        world.crash(vm)
        crashed = Crash(vm, REAL_TIME.monotonic(), self.phase)
        self.crashes.append(crashed)
        return crashed

    def seconds_to_start(self, crash: Crash) -> float | None:
        """Return how long after a crash the first action was requested; None if none was."""
        return next((at - crash.at for at, vm in self.posts(NORTH) if vm == crash.vm.key), None)

    def posts(self, system: str) -> Sequence[tuple[float, int]]:
        """Return when an action was requested in a system, and of which VM."""
        found = self.systems[system].requests
        return [(one.at, one.body["vm"]) for one in found if one.path == ACTIONS]

    async def until_recovered(self, crashes: Sequence[Crash]) -> None:
        """Return when every VM of *crashes* runs again."""

        async def run() -> bool:
            return all(one.vm.machine.status.running for one in crashes)

        await self.until(run, f"{', '.join(one.vm.name for one in crashes)} run again")

    async def until(self, holds: Callable[[], Awaitable[object]], what: str) -> None:
        """Return when *holds* does; the test fails if it does not within `PATIENCE_SECONDS`."""
        until = REAL_TIME.monotonic() + PATIENCE_SECONDS
        while not await holds():
            if REAL_TIME.monotonic() > until:
                logs = [f"{name}: {log_of(one)}" for name, one in self.daemons.items()]
                raise AssertionError("\n".join([f"never: {what}", *logs]))
            await REAL_TIME.sleep(0.1)

    def check_posts(self, sent: Mapping[int, int]) -> None:
        """
        Hold what VergeOS was asked for against the crashes and the journal.

        Args:
            sent: Actions that the journal has as sent in `NORTH`, by VM.

        """
        posts = Counter(vm for _, vm in self.posts(NORTH))
        assert posts == Counter(one.vm.key for one in self.crashes), f"not one each: {posts}"
        for vm, count in posts.items():
            assert count <= sent.get(vm, 0), f"VM {vm}: {count} requests, {sent} in the journal"


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    """Simulate the systems; end every daemon at the end."""
    async with AsyncExitStack() as stack:
        systems = {
            name: await stack.enter_async_context(
                Simulator(
                    world=enrolled_world(vms + 1, seed=number),
                    clock=REAL_TIME,
                    burst_limit=None,
                )
            )
            for number, (name, vms) in enumerate(VMS.items())
        }
        place = Site(folder, systems)
        try:
            yield place
        finally:
            await place.close()


def pointing_at(systems: Mapping[str, Simulator], *, with_password: bool = False) -> str:
    """
    Return the setting `systems`.

    Args:
        with_password: Log in with a password instead of an API key, so that replicas share none.

    """
    settings = []
    for name, system in systems.items():
        login = {"api_key": system.api_key}
        if with_password:
            login = {"username": system.username, "password": system.password}
        mode = "ask" if name == SOUTH else "enforce"
        settings.append({"name": name, "url": system.url, "recovery_mode": mode, **login})
    return json.dumps(settings)


def vms_of(system: Simulator) -> list[VM]:
    """Return the VMs that recovery may act on."""
    return [vm for vm in system.world.live_vms() if vm.service is None]


async def get(daemon: Daemon, path: str) -> Any:
    """Return the answer of the recovery API."""
    status, text = await daemon.get(f"/api/v1/recovery{path}")
    assert status == 200, f"{path}: {text}"
    return json.loads(text)


async def status_of(daemon: Daemon, system: str) -> Mapping[str, Any]:
    """Return the status of recovery in a system."""
    (status,) = (await get(daemon, f"?system={system}"))["systems"]
    return dict(status)


async def command(daemon: Daemon, kind: str, **details: Any) -> tuple[int, str]:
    """Give a command of an operator; return the HTTP status and the answer."""
    async with daemon.http.post(
        f"{daemon.url}/api/v1/recovery/{kind}",
        json={"owner": "anna", "reason": "a test", **details},
        headers={"X-Vergewatch-Token": TOKEN},
    ) as answer:
        return answer.status, await answer.text()


def log_of(daemon: Daemon) -> str:
    """Return the end of what a daemon logged."""
    return "".join(daemon.output[-30:])
