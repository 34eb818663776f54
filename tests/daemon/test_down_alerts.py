"""VMs that are down, in a real Prometheus and Alertmanager: which alert, with which text."""

import json
from pathlib import Path
from typing import Any

from exporter.simulator import Simulator
from tests.alert_rules.test_alertmanager import Alertmanager, alertmanager
from tests.alert_rules.test_healthy import alerts_of
from tests.daemon.test_end_to_end import made, watching
from tests.daemon_process import REAL_TIME, pointing_at, running, simulating
from tests.real_prometheus import Prometheus

SILENT_SECONDS = 10
"""Twice the wait of the rules, whose minutes are seconds here."""
ROW = "Blinkenlights were reversed"
FAST = {
    "VERGEWATCH_RECOVERY__MODE": "shadow",
    "VERGEWATCH_RECOVERY__LIMITS__WARMUP_SECONDS": "1",
    "VERGEWATCH_RECOVERY__LIMITS__WARMUP_POLLS": "2",
    "VERGEWATCH_RECOVERY__LIMITS__CONFIRM_DOWN_SECONDS": "1",
    "VERGEWATCH_RECOVERY__LIMITS__LOG_SETTLE_SECONDS": "1",
    "VERGEWATCH_RECOVERY__LIMITS__LOG_READ_SECONDS": "2",
    "VERGEWATCH_RECOVERY__LIMITS__LOG_BEFORE_SECONDS": "1",
    "VERGEWATCH_ALERTMANAGER__LIMITS__DOWN_SECONDS": "3",
    "VERGEWATCH_ALERTMANAGER__EVALUATE_EVERY_SECONDS": "0.5",
    "VERGEWATCH_ALERTMANAGER__POST_EVERY_SECONDS": "1",
}


async def test_unknown_cause_pages_with_the_row_and_a_stop_does_not(tmp_path: Path) -> None:
    state = {"VERGEWATCH_RECOVERY__DIRECTORY": str(tmp_path / "state")}
    async with simulating(vms=12) as system, alertmanager(made(tmp_path / "am")) as people:
        posts = {"VERGEWATCH_ALERTMANAGER__URLS": json.dumps([people.url])}
        async with (
            running({**pointing_at(system), **FAST, **state, **posts}) as daemon,
            watching(made(tmp_path / "prometheus"), daemon, people) as prometheus,
        ):
            seen_up = 'vergewatch_recovery_vm_state_info{state="healthy",vm_name="web-01"}'
            await prometheus.ask_until(seen_up, 1)
            await REAL_TIME.sleep(2)
            crash_with_row(system, "web-01")
            system.world.operator_stops("app-01", graceful=False)

            of_rule = await rule_text(prometheus, "VergeVMDown", "logs_unclear")
            of_daemon = await description(people, "VergeVMDown", "web-01", ROW)
            await REAL_TIME.sleep(SILENT_SECONDS)
            others = await paged(people, "app-01")

    assert "It is unknown why (logs_unclear)." in of_rule
    assert f"it is unknown why: “{ROW}” by system" in of_daemon
    assert others == []


async def test_without_recovery_a_vm_that_went_down_is_a_ticket_and_a_stop_is_not(
    tmp_path: Path,
) -> None:
    off = {"VERGEWATCH_RECOVERY__MODE": "off"}
    async with (
        simulating(vms=12) as system,
        alertmanager(made(tmp_path / "am")) as people,
        running({**pointing_at(system), **off}) as daemon,
        watching(made(tmp_path / "prometheus"), daemon, people) as prometheus,
    ):
        await until_running(prometheus, "web-01")
        await until_running(prometheus, "app-01")
        system.world.crash("web-01")
        await hibernate(system, prometheus, "app-01")

        text = await description(people, "VergeVMWentDown", "web-01")
        await REAL_TIME.sleep(SILENT_SECONDS)
        others = await paged(people, "app-01")
        tickets = people.notifications(
            "/tickets", "firing", "VergeVMWentDown", system.world.system_name
        )
        system.world.operator_starts(system.world.vm("web-01"))
        await people.until_notified(
            "/tickets", "resolved", "VergeVMWentDown", system.world.system_name
        )

    assert "VM web-01" in text
    assert "no status that shows an intended stop" in text
    assert len(tickets) == 1
    assert others == []


def crash_with_row(system: Simulator, name: str) -> None:
    """Crash a VM, with a row of the system that no log pattern matches."""
    world = system.world
    machine = world.vm(name).machine.key
    world.platform_log.write(ROW, at=world.now, user="system", name=name, machine=machine)
    world.crash(name)


async def hibernate(system: Simulator, prometheus: Prometheus, name: str) -> None:
    """Hibernate a VM, and wait until Prometheus has seen that it is down."""
    system.world.hibernate(name)
    await prometheus.ask_until(
        f'vergewatch_vm_status_info{{vm_name="{name}",status="hibernated"}}', 1
    )


async def until_running(prometheus: Prometheus, name: str) -> None:
    await prometheus.ask_until(f'vergewatch_vm_running{{vm_name="{name}"}}', 1)


async def description(people: Alertmanager, alert: str, vm: str, part: str = "") -> str:
    """Return the description of the one alert about a VM, once it has *part*."""
    found: list[str] = []
    for _ in range(300):
        found = [
            one["annotations"]["description"]
            for one in await alerts(people)
            if one["labels"]["alertname"] == alert and one["labels"]["vm_name"] == vm
        ]
        assert len(found) <= 1
        if found and part in found[0]:
            return found[0]
        await REAL_TIME.sleep(0.1)
    raise AssertionError(f"{alert} of {vm}: {found}")


async def rule_text(prometheus: Prometheus, alert: str, part: str) -> str:
    """Return the description that the rule gives the firing alert, once it has *part*."""
    found: list[str] = []
    for _ in range(300):
        found = [
            one["annotations"]["description"]
            for one in alerts_of(await prometheus.rules())
            if one["labels"]["alertname"] == alert and one["state"] == "firing"
        ]
        if found and part in found[0]:
            return found[0]
        await REAL_TIME.sleep(0.1)
    raise AssertionError(f"{alert}: {found}")


async def paged(people: Alertmanager, vm: str) -> list[str]:
    """Return the names of the alerts about a VM."""
    return [
        one["labels"]["alertname"]
        for one in await alerts(people)
        if one["labels"].get("vm_name") == vm
    ]


async def alerts(people: Alertmanager) -> list[dict[str, Any]]:
    async with people.http.get(f"{people.url}/api/v2/alerts") as answer:
        found: list[dict[str, Any]] = await answer.json()
        return found
