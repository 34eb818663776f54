"""A daemon with recovery on, a simulated system, the operator, and what holds in an attack."""

import asyncio
import json
import resource
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import aiohttp
import bcrypt

from tests.bench.daemon import GZIP, simulating
from tests.daemon_process import REAL_TIME, Daemon, running_program

TOKEN = "a-token-for-the-siege"
USER, PASSWORD = "anna", "a password"
LOGIN = {"Authorization": aiohttp.encode_basic_auth(USER, PASSWORD)}
PASSWORDS = "wrong passwords"
"""The attack for which the daemon asks for a login."""
FILES = 300
"""The file limit of the daemon."""
PATIENCE_SECONDS = 120.0
START_SECONDS = 300.0
"""The simulator of 10,000 VMs takes a while where other programs run."""
BEFORE_SECONDS = 1.0
"""From the begin of an attack until the VM crashes."""
LATE_SECONDS = 1.0
"""How late a command may still be carried out whose connection was closed."""
EVERY_VM = [{"names": ["*"], "policy": "on-failure"}]
LIMITS = {
    "warmup_seconds": 2,
    "warmup_polls": 2,
    "confirm_down_seconds": 1,
    "platform_seconds": 1,
    "log_settle_seconds": 1,
    "system_max_per_10_minutes": 1000,
    "system_max_per_day": 1000,
    # One VM crashes in each attack: together they would look like a mass outage.
    "breaker_min_vms": 1000,
    "breaker_max_vms": 1000,
    "node_failure_window_seconds": 0.5,
}
MIB = 2**20


class Held(NamedTuple):
    """What was measured during one attack."""

    attack: str
    connections: int
    """Of the attackers."""
    rss_mib: float
    """The highest."""
    acted_seconds: float
    """From the crash of a VM until VergeOS got the action."""
    disarm_seconds: float
    scrape_seconds: float
    """After the attack."""


class Scene:
    """The daemon under attack."""

    def __init__(self, daemon: Daemon, system_url: str, web_config: Path) -> None:
        self.daemon = daemon
        self._system = system_url
        self._web_config = web_config
        self._vms: Iterator[str] = iter(())
        self._hash = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()

    @property
    def port(self) -> int:
        return int(self.daemon.url.rsplit(":", 1)[1])

    async def until_ready(self) -> None:
        """Return when recovery would act."""
        while (await self._ask("/api/v1/recovery"))["systems"][0]["readiness"] != "active":
            await REAL_TIME.sleep(0.5)
        vms = (await self._ask("/api/v1/recovery/vms?all=1"))["vms"]
        self._vms = iter([vm["vm"] for vm in vms if vm["state"] == "healthy"])

    async def under(self, *attacks: str, seconds: float, share: float = 1.0) -> Held:
        """
        Run *attacks* at once with a *share* of their clients, and return what held.

        They last for *seconds*, and until the crash meanwhile is acted on.
        """
        await self._ask_for_login(needed=PASSWORDS in attacks)
        await self._scrape()
        vm = await self._next_vm()
        self._reset_peak()
        attackers = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.siege.attacks"),
            *(str(self.port), str(2 * PATIENCE_SECONDS), str(share), *attacks),
            stdout=asyncio.subprocess.PIPE,
        )
        began = REAL_TIME.monotonic()
        try:
            await REAL_TIME.sleep(BEFORE_SECONDS)
            disarmed = await self._disarm()
            acted = await self._crash(vm)
            await REAL_TIME.sleep(began + seconds - REAL_TIME.monotonic())
            with suppress(ProcessLookupError):  # it has failed
                attackers.terminate()
            output, _ = await attackers.communicate()
        finally:
            if attackers.returncode is None:
                attackers.kill()
                await attackers.wait()
        peak = self._peak_mib()
        scraped = await self._scrape()
        await self._ask_for_login(needed=False)
        if attackers.returncode:
            raise AssertionError(f"{', '.join(attacks)}: exit code {attackers.returncode}")
        return Held(", ".join(attacks), int(output), peak, acted, disarmed, scraped)

    async def calm(self) -> Held:
        """Return the same measures without an attack, after a first crash."""
        await self._crash(await self._next_vm())
        vm = await self._next_vm()
        self._reset_peak()
        disarmed = await self._disarm()
        acted = await self._crash(vm)
        return Held("none", 0, self._peak_mib(), acted, disarmed, await self._scrape())

    async def _disarm(self) -> float:
        """Disarm and arm again, as commands do; return the seconds of the first."""
        seconds = await self._command("disarm")
        await self._command("arm")
        # A disarm that was sent again, because its connection was closed, may be done after that.
        await REAL_TIME.sleep(LATE_SECONDS)
        await self._command("arm")
        return seconds

    async def _command(self, kind: str) -> float:
        began = REAL_TIME.monotonic()
        async with asyncio.timeout(PATIENCE_SECONDS), self._operator() as http:
            while True:
                try:
                    async with http.post(
                        f"{self.daemon.url}/api/v1/recovery/{kind}",
                        json={"owner": "anna", "reason": "siege"},
                        headers={"X-Vergewatch-Token": TOKEN},
                    ) as answer:
                        if answer.status == 200:
                            return REAL_TIME.monotonic() - began
                except aiohttp.ClientError:
                    pass  # the operator tries again
                await REAL_TIME.sleep(0.1)

    async def _scrape(self) -> float:
        began = REAL_TIME.monotonic()
        async with asyncio.timeout(PATIENCE_SECONDS), self._operator() as http:
            while True:
                try:
                    async with http.get(f"{self.daemon.url}/metrics", headers=GZIP) as answer:
                        if answer.status == 200 and b"vergewatch_up" in await answer.read():
                            return REAL_TIME.monotonic() - began
                except aiohttp.ClientError:
                    pass
                await REAL_TIME.sleep(0.1)

    async def _next_vm(self) -> str:
        """Return a VM on which the daemon itself says it would act: some are tagged not to be."""
        for name in self._vms:
            vm = await self._ask(f"/api/v1/recovery/explain/{name}")
            if vm["state"] == "healthy" and vm["enrolled"] and not vm["suppressed_by"]:
                return name
        raise AssertionError("no VM is left to crash")

    async def _crash(self, name: str) -> float:
        """Crash a VM that runs, and return the seconds until an action on it arrives."""
        async with aiohttp.ClientSession(self._system) as http:
            async with http.post(f"/simulator/vms/{name}/crash") as answer:
                assert answer.status == 200, await answer.text()
            began = REAL_TIME.monotonic()
            while (seconds := REAL_TIME.monotonic() - began) < PATIENCE_SECONDS:
                async with http.get("/simulator/") as answer:
                    history = (await answer.json())["history"]
                if any(one["what"] == "action_sent" and one["name"] == name for one in history):
                    return seconds
                await REAL_TIME.sleep(0.2)
        why = (await self._ask(f"/api/v1/recovery/explain/{name}"))["sentence"]
        sys.stderr.write(f"no action on {name}: {why}\n")
        return seconds

    async def _ask(self, path: str) -> Any:
        async with (
            self._operator() as http,
            http.get(self.daemon.url + path) as answer,
        ):
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def _ask_for_login(self, *, needed: bool) -> None:
        users = {USER: self._hash} if needed else {}
        self._web_config.write_text(json.dumps({"basic_auth_users": users}))
        await REAL_TIME.sleep(1.5)  # the file is looked at once a second

    @staticmethod
    @asynccontextmanager
    async def _operator() -> AsyncIterator[aiohttp.ClientSession]:
        """Return a client with a new connection, as each command has."""
        connector = aiohttp.TCPConnector(force_close=True)
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(
            headers=LOGIN, connector=connector, timeout=timeout, auto_decompress=True
        ) as http:
            yield http

    def _reset_peak(self) -> None:
        Path(f"/proc/{self.daemon.process.pid}/clear_refs").write_text("5")

    def _peak_mib(self) -> float:
        status = Path(f"/proc/{self.daemon.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / MIB


@asynccontextmanager
async def besieged(vms: int) -> AsyncIterator[Scene]:
    """Run a simulator of *vms* VMs and a daemon that may open few files."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with TemporaryDirectory(prefix="vergewatch-siege-") as directory:
        web_config = Path(directory) / "web.yml"
        web_config.write_text("{}")
        async with simulating(vms) as (url, key):
            env = {
                "VERGEWATCH_URL": url,
                "VERGEWATCH_API_KEY": key,
                "VERGEWATCH_POLL__FAST_SECONDS": "4",
                "VERGEWATCH_POLL__SLOW_SECONDS": "15",
                "VERGEWATCH_POLL__INVENTORY_SECONDS": "20",
                "VERGEWATCH_API__TIMEOUT_SECONDS": "30",
                "VERGEWATCH_WEB__CONFIG_FILE": str(web_config),
                "VERGEWATCH_RECOVERY__MODE": "enforce",
                "VERGEWATCH_RECOVERY__DIRECTORY": directory,
                "VERGEWATCH_RECOVERY__TOKEN": TOKEN,
                "VERGEWATCH_RECOVERY__RULES": json.dumps(EVERY_VM),
                "VERGEWATCH_RECOVERY__LIMITS": json.dumps(LIMITS),
            }
            async with running_program(env, files=FILES) as daemon:
                scene = Scene(daemon, url, web_config)
                async with asyncio.timeout(START_SECONDS):
                    await scene.until_ready()
                yield scene
