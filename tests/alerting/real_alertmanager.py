"""Runs Debian's Alertmanager for tests, and talks to its API."""

import asyncio
import base64
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
from tests.real_prometheus import free_port

TIMEOUT_SECONDS = 15.0
REAL = SystemClock()
CONFIG = "route: {receiver: none}\nreceivers: [{name: none}]\n"
Matchers = list[dict[str, Any]]


def equal(name: str, value: str) -> dict[str, Any]:
    return {"name": name, "value": value, "isRegex": False, "isEqual": True}


@dataclass
class Real:
    """A running Alertmanager."""

    url: str
    process: asyncio.subprocess.Process
    http: aiohttp.ClientSession

    async def get(self, path: str, **params: str) -> Any:
        async with self.http.get(f"{self.url}/api/v2/{path}", params=params) as response:
            return await response.json()

    async def alerts(self) -> dict[str, dict[str, Any]]:
        """Return the firing alerts by "alertname vm_name"."""
        return {
            " ".join(filter(None, (one["labels"]["alertname"], one["labels"].get("vm_name")))): one
            for one in await self.get("alerts")
        }

    async def silence(
        self, matchers: Matchers, seconds: float = 3600.0, **more: str
    ) -> tuple[int, str]:
        """Create a silence; return the HTTP status and the silence's id, or the error text."""
        body = {
            "matchers": matchers,
            "startsAt": (datetime.now(UTC)).isoformat(),  # noqa: TID251 - real time
            "endsAt": (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(),  # noqa: TID251
            "createdBy": "alice",
            "comment": "a new disk",
            **more,
        }
        async with self.http.post(f"{self.url}/api/v2/silences", json=body) as response:
            result = await response.json()
            ok = response.status == 200
            return response.status, result["silenceID"] if ok else str(result)

    async def expire(self, silence: str) -> None:
        async with self.http.delete(f"{self.url}/api/v2/silence/{silence}") as response:
            assert response.status == 200

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


async def start(folder: Path, http: aiohttp.ClientSession, port: int, *args: str) -> Real:
    """Run one Alertmanager without a cluster on *port*, and wait until it is ready."""
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
    for _ in range(int(TIMEOUT_SECONDS / 0.05)):
        try:
            async with http.get(f"{real.url}/-/ready", ssl=False) as response:
                if response.status in (200, 401):
                    return real
        except aiohttp.ClientError:
            await REAL.sleep(0.05)
    await real.stop()
    raise AssertionError("Alertmanager is not ready in time")


@asynccontextmanager
async def alertmanagers(folder: Path, count: int = 1) -> AsyncIterator[list[Real]]:
    """Run *count* Alertmanagers that are no cluster."""
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
    """Run one with TLS that requires the password of the user ``vergewatch``."""
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


async def eventually(condition: Callable[[], Any]) -> None:
    """Wait until *condition*, which may be asynchronous, is true; fail after a timeout."""
    for _ in range(int(TIMEOUT_SECONDS / 0.05)):
        result = condition()
        if await result if asyncio.iscoroutine(result) else result:
            return
        await REAL.sleep(0.05)
    raise AssertionError("the condition was not true in time")
