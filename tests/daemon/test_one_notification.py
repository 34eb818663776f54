"""One night with both sources: the rules and the daemon report, and each fact is told once."""

import json
from pathlib import Path
from typing import Any

from exporter.simulator import Simulator
from tests.alert_rules.test_alertmanager import Alertmanager, alertmanager
from tests.daemon.test_end_to_end import SLOW, is_running, made, until, watching
from tests.daemon_process import REAL_TIME, pointing_at, running, simulating
from tests.real_prometheus import Prometheus

CRASHED, HELD, QUARANTINED = "web-01", "app-01", "db-01"
BOTH = {
    **SLOW,
    "VERGEWATCH_ALERTMANAGER__POST": "true",
    # A minute of the rules is a second, and so it is for the daemon.
    "VERGEWATCH_ALERTMANAGER__POST_EVERY_SECONDS": "0.5",
    "VERGEWATCH_ALERTMANAGER__EVALUATE_EVERY_SECONDS": "0.1",
    "VERGEWATCH_ALERTMANAGER__DASHBOARDS": "https://grafana.example",
    "VERGEWATCH_ALERTMANAGER__LIMITS__DOWN_SECONDS": "4",
    "VERGEWATCH_ALERTMANAGER__LIMITS__HELD_SECONDS": "15",
    "VERGEWATCH_ALERTMANAGER__LIMITS__ACTED_SECONDS": "60",
    "VERGEWATCH_RECOVERY__LIMITS__MAX_PER_HOUR": "1",
    "VERGEWATCH_RECOVERY__LIMITS__BACKOFF_SECONDS": "1",
    "VERGEWATCH_RECOVERY__MAINTENANCE_WINDOWS": json.dumps(
        [{"start": "00:00", "hours": 48, "names": [HELD], "reason": "a move"}]
    ),
}


async def test_night_with_rules_and_daemon_sends_each_notification_once(tmp_path: Path) -> None:
    state = {"VERGEWATCH_RECOVERY__DIRECTORY": str(tmp_path / "state")}
    async with simulating(vms=12) as system, alertmanager(made(tmp_path / "am")) as people:
        for name in (CRASHED, HELD, QUARANTINED):
            system.world.untag(name, "recovery/never")
            system.world.tag(name, "recovery/auto")
        heeds = {"VERGEWATCH_ALERTMANAGER__URLS": json.dumps([people.url])}
        async with (
            running({**pointing_at(system), **BOTH, **state, **heeds}) as daemon,
            watching(made(tmp_path / "prometheus"), daemon, people) as prometheus,
        ):
            await until(lambda: "recovery.started" in daemon.events())
            await prometheus.ask_until("vergewatch_recovery_ready == 1", 1)
            await crashes_and_is_started(system, prometheus, people)
            await crashes_and_is_held(system, prometheus, people)
            await crashes_again_and_is_quarantined(system, prometheus, people)
            await REAL_TIME.sleep(3)

            assert begun(people) == [
                ("VergeVMDown", CRASHED),
                ("VergeVMDown", HELD),
                ("VergeRecoveryHeldTooLong", HELD),
                ("VergeVMDown", QUARANTINED),
                ("VergeRecoveryQuarantined", QUARANTINED),
            ]
            assert titles(people)[:2] == [
                f"1 firing: VM {CRASHED} is down unexpectedly (northwind)",
                f"resolved: VM {CRASHED} is down unexpectedly (northwind)",
            ]


async def crashes_and_is_started(
    system: Simulator, prometheus: Prometheus, people: Alertmanager
) -> None:
    name = system.world.system_name
    system.world.crash(CRASHED)
    await people.until_notified("/pager", "firing", "VergeVMDown", name)
    await prometheus.ask_until('ALERTS{alertname="VergeVMDown",alertstate="firing"}', 1)
    await prometheus.ask_until("vergewatch_alertmanager_alerts == 1", 1)
    assert await shown(people, "VergeVMDown") == [CRASHED]

    await until(lambda: is_running(system, CRASHED))
    await people.until_notified("/pager", "resolved", "VergeVMDown", name)

    told = [message["status"] for path, message in people.received if path == "/pager"]
    assert told == ["firing", "resolved"]


async def crashes_and_is_held(
    system: Simulator, prometheus: Prometheus, people: Alertmanager
) -> None:
    name = system.world.system_name
    system.world.crash(HELD)
    await REAL_TIME.sleep(20)  # until it is held, and most of the fifteen minutes
    await people.until_notified("/tickets", "firing", "VergeRecoveryHeldTooLong", name)
    await prometheus.ask_until(
        'ALERTS{alertname="VergeRecoveryHeldTooLong",alertstate="firing"}', 1
    )

    system.world.operator_starts(HELD)
    await people.until_notified("/tickets", "resolved", "VergeRecoveryHeldTooLong", name)


async def crashes_again_and_is_quarantined(
    system: Simulator, prometheus: Prometheus, people: Alertmanager
) -> None:
    name = system.world.system_name
    system.world.crash(QUARANTINED)
    await until(lambda: is_running(system, QUARANTINED))
    await REAL_TIME.sleep(3)
    system.world.crash(QUARANTINED)
    await people.until_notified("/pager", "firing", "VergeRecoveryQuarantined", name)
    await prometheus.ask_until(
        'ALERTS{alertname="VergeRecoveryQuarantined",alertstate="firing"}', 1
    )


async def shown(people: Alertmanager, name: str) -> list[str]:
    """Return the VMs of the alerts with *name* that Alertmanager has."""
    async with people.http.get(f"{people.url}/api/v2/alerts") as answer:
        labels = [one["labels"] for one in await answer.json()]
    return [one["vm_name"] for one in labels if one["alertname"] == name]


def begun(people: Alertmanager) -> list[tuple[str, str]]:
    """Return the alerts that notifications began to tell of, each time that they did."""
    found: list[tuple[str, str]] = []
    known: dict[str, set[str]] = {}
    for path, message in people.received:
        if path not in ("/pager", "/tickets"):
            continue
        name = message["groupLabels"]["alertname"]
        firing = {
            alert["labels"]["vm_name"] for alert in message["alerts"] if alert["status"] == "firing"
        }
        found += [(name, vm) for vm in sorted(firing - known.get(name, set()))]
        known[name] = firing
    return found


def titles(people: Alertmanager) -> list[str]:
    chats: list[dict[str, Any]] = [message for path, message in people.received if path == "/chat"]
    return [one["title"] for message in chats for one in message["attachments"]]
