"""Alertmanagers: Debian's, with everything that a test asks it or tells it."""

import asyncio
import base64
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import bcrypt

from exporter.clock import SystemClock
from tests.debian import needs

PATIENCE_SECONDS = 15.0
REAL = SystemClock()
CONFIG = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
Matchers = list[dict[str, Any]]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def equal(name: str, value: str) -> dict[str, Any]:
    return {"name": name, "value": value, "isRegex": False, "isEqual": True}


@dataclass
class Real:
    """A running Alertmanager."""

    url: str
    process: asyncio.subprocess.Process
    http: aiohttp.ClientSession

    async def get(self, path: str, **params: str) -> Any:
        async with self.http.get(f"{self.url}/api/v2/{path}", params=params) as answer:
            return await answer.json()

    async def alerts(self) -> dict[str, dict[str, Any]]:
        """Return what is firing, by the alert's name and the VM's."""
        return {
            " ".join(filter(None, (one["labels"]["alertname"], one["labels"].get("vm_name")))): one
            for one in await self.get("alerts")
        }

    async def silence(
        self, matchers: Matchers, seconds: float = 3600.0, **more: str
    ) -> tuple[int, str]:
        """Make a silence, and return the status and its id, or what is wrong with it."""
        body = {
            "matchers": matchers,
            "startsAt": (datetime.now(UTC)).isoformat(),  # noqa: TID251 - real time
            "endsAt": (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(),  # noqa: TID251
            "createdBy": "alice",
            "comment": "a new disk",
            **more,
        }
        async with self.http.post(f"{self.url}/api/v2/silences", json=body) as answer:
            said = await answer.json()
            return answer.status, said["silenceID"] if answer.status == 200 else str(said)

    async def expire(self, silence: str) -> None:
        async with self.http.delete(f"{self.url}/api/v2/silence/{silence}") as answer:
            assert answer.status == 200

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


async def start(folder: Path, http: aiohttp.ClientSession, port: int, *args: str) -> Real:
    """Run Debian's Alertmanager, alone, on *port*."""
    config = write(folder / "alertmanager.yml", CONFIG)
    process = await asyncio.create_subprocess_exec(
        needs("prometheus-alertmanager"),
        f"--config.file={config}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        *args,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    scheme = "https" if args else "http"
    real = Real(f"{scheme}://127.0.0.1:{port}", process, http)
    for _ in range(int(PATIENCE_SECONDS / 0.05)):
        try:
            async with http.get(f"{real.url}/-/ready", ssl=False) as answer:
                if answer.status in (200, 401):
                    return real
        except aiohttp.ClientError:
            await REAL.sleep(0.05)
    await real.stop()
    raise AssertionError("Alertmanager does not get ready")


@asynccontextmanager
async def alertmanagers(folder: Path, count: int = 1) -> AsyncIterator[list[Real]]:
    """Run *count* Alertmanagers that know nothing of each other."""
    async with aiohttp.ClientSession() as http:
        folders = [folder / f"am{number}" for number in range(count)]
        running = await asyncio.gather(*(start(one, http, free_port()) for one in folders))
        try:
            yield running
        finally:
            await asyncio.gather(*(one.stop() for one in running))


@asynccontextmanager
async def locked_alertmanager(
    folder: Path, cert: Path, key: Path, password: str
) -> AsyncIterator[Real]:
    """Run one that wants TLS and the password of the user ``vergewatch``."""
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    config = write(
        folder / "web.yml",
        f"tls_server_config: {{cert_file: {cert}, key_file: {key}}}\n"
        f"basic_auth_users: {{vergewatch: '{hashed}'}}\n",
    )
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=False),
        headers={"Authorization": "Basic " + _pair("vergewatch", password)},
    ) as http:
        real = await start(folder, http, free_port(), f"--web.config.file={config}")
        try:
            yield real
        finally:
            await real.stop()


def _pair(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


async def eventually(holds: Callable[[], Any]) -> None:
    """Wait until *holds*, which may be asynchronous, says yes; the test fails if it never does."""
    for _ in range(int(PATIENCE_SECONDS / 0.05)):
        said = holds()
        if await said if asyncio.iscoroutine(said) else said:
            return
        await REAL.sleep(0.05)
    raise AssertionError("it never came to that")
