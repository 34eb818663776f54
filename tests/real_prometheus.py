"""Runs Debian's Prometheus for tests, and asks it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from tests.daemon_process import PATIENCE_SECONDS, REAL_TIME
from tests.debian import needs


@dataclass
class Prometheus:
    """A running Prometheus."""

    url: str
    http: aiohttp.ClientSession

    async def until_ready(self) -> None:
        for _ in range(int(PATIENCE_SECONDS / 0.1)):
            try:
                async with self.http.get(f"{self.url}/-/ready") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await REAL_TIME.sleep(0.1)
        raise AssertionError("Prometheus does not get ready")

    async def ask(self, query: str) -> list[tuple[dict[str, str], float]]:
        params = {"query": query}
        async with self.http.get(f"{self.url}/api/v1/query", params=params) as answer:
            result = (await answer.json())["data"]["result"]
        return [(one["metric"], float(one["value"][1])) for one in result]

    async def ask_until(self, query: str, size: int) -> list[tuple[dict[str, str], float]]:
        """Ask until there are *size* answers."""
        found: list[tuple[dict[str, str], float]] = []
        for _ in range(int(PATIENCE_SECONDS / 0.1)):
            found = await self.ask(query)
            if len(found) == size:
                return found
            await REAL_TIME.sleep(0.1)
        raise AssertionError(f"{query} has {len(found)} answers, not {size}")

    async def targets(self) -> dict[str, dict[str, Any]]:
        async with self.http.get(f"{self.url}/api/v1/targets") as answer:
            active = (await answer.json())["data"]["activeTargets"]
        return {target["scrapePool"]: target for target in active}

    async def metadata(self, metric: str) -> dict[str, str]:
        async with self.http.get(
            f"{self.url}/api/v1/metadata", params={"metric": metric}
        ) as answer:
            found: dict[str, str] = (await answer.json())["data"][metric][0]
            return found

    async def rules(self) -> list[dict[str, Any]]:
        """Return the rules with their alerts."""
        async with self.http.get(f"{self.url}/api/v1/rules") as answer:
            groups = (await answer.json())["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]


@asynccontextmanager
async def prometheus(
    folder: Path, jobs: Mapping[str, str], *, every: str = "1s", **more: Any
) -> AsyncIterator[Prometheus]:
    """
    Run Prometheus on a free port.

    Args:
        folder: For its configuration and data.
        jobs: What it scrapes: the URLs by the name of the job.
        every: Interval of scrapes and of the evaluation of rules.
        more: The rest of its configuration.

    """
    config = folder / "prometheus.yml"
    scrapes = [
        {"job_name": name, "static_configs": [{"targets": [urlsplit(url).netloc]}]}
        for name, url in jobs.items()
    ]
    intervals = ("scrape_interval", "scrape_timeout", "evaluation_interval")
    config.write_text(
        json.dumps({"global": dict.fromkeys(intervals, every), "scrape_configs": scrapes, **more})
    )
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        needs("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as http:
            server = Prometheus(f"http://127.0.0.1:{port}", http)
            await server.until_ready()
            yield server
    finally:
        process.terminate()
        await process.wait()


def alertmanagers(url: str) -> dict[str, Any]:
    """Return the part of the configuration that names an Alertmanager."""
    return {"alertmanagers": [{"static_configs": [{"targets": [urlsplit(url).netloc]}]}]}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
