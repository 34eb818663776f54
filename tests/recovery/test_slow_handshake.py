"""
The real daemon, whose connections for actions take long: what is forbidden meanwhile stays undone.

The process, the sockets, TLS, the files and the signals are real. A relay in front of the simulated
VergeOS holds back the handshake of the connection that an action is about to be sent on.
"""

import asyncio
import json
import re
import signal
import sqlite3
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from exporter.journal.sqlite_database import FILE
from exporter.simulator import FaultInjector, Simulator
from exporter.simulator.api.faults import ACTIONS, ActiveFaults
from exporter.simulator.world.machines import VM
from tests.daemon.test_daemon import self_signed
from tests.daemon_process import REAL_TIME, Daemon, running
from tests.http_proxy import proxying
from tests.recovery.enrolled_world import enrolled_world
from tests.recovery.slow_tls import SlowTLS, slow_tls

PATIENCE_SECONDS = 20.0
HANDSHAKE_SECONDS = 1.4
"""Longer than a check may precede its request."""
FORBIDDEN_AFTER_SECONDS = 0.2
TOKEN = "a-token-for-commands"
LIMITS = {
    "warmup_seconds": 0.2,
    "warmup_polls": 2,
    "confirm_down_seconds": 0.2,
    "platform_seconds": 0.2,
    "log_settle_seconds": 0.1,
    "capacity_backoff_seconds": 0.2,
    "backoff_seconds": 0.1,
    "backoff_max_seconds": 0.2,
    "backoff_jitter": 0,
    "breaker_min_vms": 1000,
}


class Watched(FaultInjector):
    """Calls a function for each request that VergeOS gets."""

    def __init__(self) -> None:
        super().__init__()
        self.look: Callable[[str, str], None] = lambda _method, _path: None

    def faults_for(self, method: str, path: str) -> ActiveFaults:
        self.look(method, path)
        return super().faults_for(method, path)


@dataclass
class Scene:
    """A daemon that is about to act on a VM that crashed."""

    system: Simulator
    requests: Watched
    relay: SlowTLS
    daemon: Daemon
    directory: Path
    silences: list[dict[str, Any]]
    vm: VM
    posted: list[float] = field(default_factory=list)

    @property
    def kill_switch(self) -> Path:
        return self.directory / "kill-switch"

    async def command(self, kind: str) -> None:
        more = {"seconds": 3600} if kind == "pause" else {}
        async with self.daemon.http.post(
            f"{self.daemon.url}/api/v1/recovery/{kind}",
            json={"owner": "anna", "reason": "test", **more},
            headers={"Authorization": f"Bearer {TOKEN}"},
        ) as answer:
            assert answer.status == 200, await answer.text()

    def silence(self) -> None:
        now = REAL_TIME.now()
        self.silences.append(
            {
                "id": "s1",
                "status": {"state": "active"},
                "startsAt": now.isoformat(),
                "endsAt": (now + timedelta(hours=1)).isoformat(),
                "updatedAt": now.isoformat(),
                "createdBy": "anna",
                "comment": "a new disk",
                "matchers": [
                    {"name": "vm_name", "value": self.vm.name, "isRegex": False, "isEqual": True}
                ],
            }
        )

    def intents(self) -> list[tuple[str | None, str | None, str]]:
        """Return reply, outcome and detail of each action in the journal."""
        place = f"file:{self.directory / FILE}?mode=ro"
        with closing(sqlite3.connect(place, uri=True)) as connection:
            return connection.execute(
                "SELECT reply, outcome, detail FROM intents ORDER BY id"
            ).fetchall()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not holds():
                await REAL_TIME.sleep(0.02)


@asynccontextmanager
async def about_to_act(folder: Path, *, proxy: str = "", **limits: float) -> AsyncIterator[Scene]:
    """Crash a VM, and return when the daemon waits for the handshake for its action."""
    certificate, key = self_signed(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    requests, silences = Watched(), list[dict[str, Any]]()
    world = enrolled_world(6)
    vm = next(vm for vm in world.live_vms() if vm.service is None)
    async with (
        Simulator(
            world=world, clock=REAL_TIME, faults=requests, burst_limit=None, ssl_context=context
        ) as system,
        slow_tls(int(system.url.rpartition(":")[2])) as relay,
        alertmanager(silences) as alertmanager_url,
        running(
            {
                "VERGEWATCH_URL": f"https://127.0.0.1:{relay.port}",
                "VERGEWATCH_API_KEY": system.api_key,
                "VERGEWATCH_PROXY": proxy,
                "VERGEWATCH_TLS__CA_FILE": str(certificate),
                "VERGEWATCH_POLL__FAST_SECONDS": "0.3",
                "VERGEWATCH_API__TIMEOUT_SECONDS": "15",
                "VERGEWATCH_ALERTMANAGER__URLS": json.dumps([alertmanager_url]),
                "VERGEWATCH_RECOVERY__MODE": "enforce",
                "VERGEWATCH_RECOVERY__TOKEN": TOKEN,
                "VERGEWATCH_RECOVERY__DIRECTORY": str(folder / "state"),
                "VERGEWATCH_RECOVERY__LIMITS": json.dumps(LIMITS | limits),
            }
        ) as daemon,
    ):
        scene = Scene(system, requests, relay, daemon, folder / "state", silences, vm)
        await daemon.page_where(lambda page: page.get("vergewatch_recovery_ready") == [1])

        def look(method: str, path: str) -> None:
            if method == "POST" and path == ACTIONS:
                scene.posted.append(REAL_TIME.monotonic())

        requests.look = look
        relay.hold()
        world.crash(vm.name)
        yield scene


@asynccontextmanager
async def alertmanager(silences: list[dict[str, Any]]) -> AsyncIterator[str]:
    """Run what a daemon asks an Alertmanager for."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(silences if request.path.endswith("/silences") else {})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


async def touch(scene: Scene) -> None:
    scene.kill_switch.touch()


async def disarm(scene: Scene) -> None:
    await scene.command("disarm")


async def pause(scene: Scene) -> None:
    await scene.command("pause")


async def tag(scene: Scene) -> None:
    scene.system.world.tag(scene.vm, "recovery/never")


async def silence(scene: Scene) -> None:
    scene.silence()


async def stop(scene: Scene) -> None:
    scene.system.world.operator_stops(scene.vm.name, user="anna", graceful=False)


@pytest.mark.parametrize(
    ("forbid", "reason"),
    [
        (touch, "kill switch"),
        (disarm, "disarmed"),
        (pause, "paused"),
        (tag, "recovery/never"),
        (silence, "silenced by anna"),
        (stop, "'kill' sent"),
    ],
)
async def test_action_forbidden_during_its_handshake_is_not_sent(
    forbid: Callable[[Scene], Awaitable[None]], reason: str, tmp_path: Path
) -> None:
    async with about_to_act(tmp_path) as scene:
        await asyncio.wait_for(scene.relay.held.wait(), PATIENCE_SECONDS)
        await REAL_TIME.sleep(FORBIDDEN_AFTER_SECONDS)
        await forbid(scene)
        await REAL_TIME.sleep(HANDSHAKE_SECONDS - FORBIDDEN_AFTER_SECONDS)
        scene.relay.holds = False
        scene.relay.go_on.set()
        await scene.until(lambda: any(outcome for _, outcome, _ in scene.intents()))
        await REAL_TIME.sleep(1.0)

        assert not scene.posted
        ((_, outcome, detail),) = scene.intents()
        assert outcome == "abandoned"
        assert reason in detail


async def test_action_forbidden_just_before_the_end_of_its_handshake_is_not_sent(
    tmp_path: Path,
) -> None:
    async with about_to_act(tmp_path) as scene:
        await asyncio.wait_for(scene.relay.held.wait(), PATIENCE_SECONDS)
        await REAL_TIME.sleep(0.3)
        scene.kill_switch.touch()
        scene.relay.go_on.set()
        await scene.until(lambda: any(outcome for _, outcome, _ in scene.intents()))

        assert not scene.posted


@pytest.mark.parametrize("forbid", [None, touch, tag])
async def test_handshake_in_the_tunnel_of_a_proxy_is_like_any_other(
    forbid: Callable[[Scene], Awaitable[None]] | None, tmp_path: Path
) -> None:
    async with (
        proxying() as proxy,
        about_to_act(tmp_path, proxy=proxy.url, reread_age_seconds=1.2) as scene,
    ):
        await asyncio.wait_for(scene.relay.held.wait(), PATIENCE_SECONDS)
        tunnels = len(proxy.asked)
        if forbid is not None:
            await forbid(scene)
        await REAL_TIME.sleep(HANDSHAKE_SECONDS)
        scene.relay.holds = False
        scene.relay.go_on.set()
        await scene.until(lambda: any(outcome for _, outcome, _ in scene.intents()))

        assert tunnels
        assert all(line.startswith("CONNECT ") for line in proxy.asked)
        assert bool(scene.posted) is (forbid is None)


async def test_slow_handshake_alone_prevents_no_action(tmp_path: Path) -> None:
    async with about_to_act(tmp_path, reread_age_seconds=1.2) as scene:
        await asyncio.wait_for(scene.relay.held.wait(), PATIENCE_SECONDS)
        await REAL_TIME.sleep(HANDSHAKE_SECONDS)
        scene.relay.go_on.set()
        await scene.until(lambda: scene.vm.machine.status.word == "running")

        assert len(scene.posted) == 1


@pytest.mark.parametrize("during_handshake", [False, True])
async def test_process_stopped_between_its_reads_and_its_action_sends_nothing(
    tmp_path: Path, *, during_handshake: bool
) -> None:
    async with about_to_act(tmp_path, reread_age_seconds=1.5) as scene:
        look, stopped = scene.requests.look, list[float]()

        def stop_process(method: str, path: str) -> None:
            """Stop the process while it waits for the VM's tags, for longer than they count."""
            look(method, path)
            if path.endswith("/tag_members") and _is_about_one_vm(scene) and not stopped:
                stopped.append(REAL_TIME.monotonic())
                scene.daemon.signal(signal.SIGSTOP)
                asyncio.get_running_loop().call_later(2.0, scene.daemon.signal, signal.SIGCONT)

        if during_handshake:
            await asyncio.wait_for(scene.relay.held.wait(), PATIENCE_SECONDS)
            await REAL_TIME.sleep(HANDSHAKE_SECONDS)
        scene.requests.look = stop_process
        scene.relay.holds = False
        scene.relay.go_on.set()
        await scene.until(lambda: any(outcome for _, outcome, _ in scene.intents()))
        went_on = REAL_TIME.monotonic() - stopped[0]

        ((_, outcome, detail), *_) = scene.intents()
        assert outcome == "abandoned"
        age = re.search(r"were read (\d+) s ago", detail)
        assert age is not None
        assert 2 <= int(age[1]) <= round(went_on)


def _is_about_one_vm(scene: Scene) -> bool:
    return "member eq" in scene.system.requests[-1].query.get("filter", "")
