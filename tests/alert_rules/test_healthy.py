"""A healthy system in a real Prometheus: every rule evaluates, and only the watchdog fires."""

from pathlib import Path
from typing import Any

from tests.alert_rules.fast_rules import write_fast_rules
from tests.daemon_process import REAL_TIME, pointing_at, running, simulating
from tests.real_prometheus import prometheus
from tools.alert_rules.groups import ALERTS

FASTER = 120
WATCHED_SECONDS = 5
MACHINE = ("exporter", "system")
"""Layers whose alerts may be pending for a moment on a slow machine."""


async def test_only_the_watchdog_fires_with_200_healthy_vms(tmp_path: Path) -> None:
    env = {
        "VERGEWATCH_RECOVERY__MODE": "shadow",
        "VERGEWATCH_RECOVERY__DIRECTORY": str(tmp_path / "state"),
    }
    write_fast_rules(tmp_path, FASTER)
    async with (
        simulating(vms=200) as system,
        running({**pointing_at(system), **env}) as daemon,
        prometheus(
            tmp_path, {"vergewatch": daemon.url}, every="500ms", rule_files=["*.rules.yml"]
        ) as server,
    ):
        await daemon.until_up()
        await server.ask_until("vergewatch_up == 1", 1)
        await REAL_TIME.sleep(1)  # another evaluation follows
        firing: set[str] = set()
        pending: set[str] = set()
        for _ in range(WATCHED_SECONDS * 2):
            await REAL_TIME.sleep(0.5)
            rules = await server.rules()
            for alert in alerts_of(rules):
                (firing if alert["state"] == "firing" else pending).add(
                    "{layer} {alertname}".format_map(alert["labels"])
                )

    assert {(rule["name"], rule["health"], rule.get("lastError", "")) for rule in rules} == {
        (rule["name"], "ok", "") for rule in rules
    }
    assert {rule["name"] for rule in rules if rule["type"] == "alerting"} == {
        alert.name for alert in ALERTS
    }
    assert firing == {"inhibitor VergeWatchdog"}
    assert {name for name in pending if not name.startswith(MACHINE)} == set()


def alerts_of(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [alert for rule in rules for alert in rule.get("alerts", ())]
