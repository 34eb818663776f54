"""A healthy system in a real Prometheus: every rule evaluates, and only the watchdog fires."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from tests.alert_rules.fast_rules import write_fast_rules
from tests.daemon.test_prometheus import Prometheus, free_port, ready
from tests.daemon_process import REAL_TIME, pointing_at, running, simulating
from tests.debian import needs
from tools.alert_rules.groups import ALERTS

FASTER = 120
WATCHED_SECONDS = 5
MACHINE = ("exporter", "system")
"""Layers whose alerts may be pending for a moment on a slow machine."""


async def test_only_the_watchdog_fires_with_200_healthy_vms(tmp_path: Path) -> None:
    program = needs("prometheus")
    port = free_port()
    env = {
        "VERGEWATCH_RECOVERY__MODE": "shadow",
        "VERGEWATCH_RECOVERY__DIRECTORY": str(tmp_path / "state"),
    }
    async with (
        simulating(vms=200) as system,
        running({**pointing_at(system), **env}) as daemon,
        aiohttp.ClientSession() as http,
    ):
        await daemon.until_up()
        write_configuration(tmp_path, daemon.url)
        process = await asyncio.create_subprocess_exec(
            program,
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await ready(http, port)
            await Prometheus(f"http://127.0.0.1:{port}", http).ask_until("up == 1", 1)
            await REAL_TIME.sleep(1)  # another evaluation follows
            firing: set[str] = set()
            pending: set[str] = set()
            for _ in range(WATCHED_SECONDS * 2):
                await REAL_TIME.sleep(0.5)
                rules = await rules_of(http, port)
                for alert in alerts_of(rules):
                    (firing if alert["state"] == "firing" else pending).add(
                        "{layer} {alertname}".format_map(alert["labels"])
                    )
        finally:
            process.terminate()
            await process.wait()

    assert {(rule["name"], rule["health"], rule.get("lastError", "")) for rule in rules} == {
        (rule["name"], "ok", "") for rule in rules
    }
    assert {rule["name"] for rule in rules if rule["type"] == "alerting"} == {
        alert.name for alert in ALERTS
    }
    assert firing == {"inhibitor VergeWatchdog"}
    assert {name for name in pending if not name.startswith(MACHINE)} == set()


def write_configuration(folder: Path, url: str) -> None:
    write_fast_rules(folder, FASTER)
    scrape = {
        "job_name": "vergewatch",
        "static_configs": [{"targets": [urlsplit(url).netloc]}],
    }
    (folder / "prometheus.yml").write_text(
        json.dumps(
            {
                "global": {
                    "scrape_interval": "500ms",
                    "scrape_timeout": "500ms",
                    "evaluation_interval": "500ms",
                },
                "rule_files": ["*.rules.yml"],
                "scrape_configs": [scrape],
            }
        )
    )


def alerts_of(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [alert for rule in rules for alert in rule.get("alerts", ())]


async def rules_of(http: aiohttp.ClientSession, port: int) -> list[dict[str, Any]]:
    async with http.get(f"http://127.0.0.1:{port}/api/v1/rules") as answer:
        groups = (await answer.json())["data"]["groups"]
    return [rule for group in groups for rule in group["rules"]]
