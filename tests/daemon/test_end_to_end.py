"""One night, with everything real: a VM crashes, people hear of it once, and it is up again."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from exporter.simulator import Simulator
from tests.alert_rules.fast_rules import write_fast_rules
from tests.alert_rules.test_alertmanager import Alertmanager, alertmanager
from tests.daemon_process import REAL_TIME, Daemon, pointing_at, running, simulating
from tests.real_prometheus import Prometheus, alertmanagers, prometheus

PATIENCE_SECONDS = 40
CRASHED, STOPPED, SILENCED = "web-01", "app-01", "db-01"
SLOW = {
    # Recovery waits for longer than the alert's hurried five seconds, so that both are seen.
    "VERGEWATCH_RECOVERY__MODE": "enforce",
    "VERGEWATCH_RECOVERY__LIMITS__WARMUP_SECONDS": "2",
    "VERGEWATCH_RECOVERY__LIMITS__WARMUP_POLLS": "2",
    "VERGEWATCH_RECOVERY__LIMITS__CONFIRM_DOWN_SECONDS": "9",
    "VERGEWATCH_RECOVERY__LIMITS__LOG_SETTLE_SECONDS": "1",
    "VERGEWATCH_RECOVERY__LIMITS__BREAKER_MIN_VMS": "6",
    "VERGEWATCH_RECOVERY__LIMITS__NODE_FAILURE_VMS": "6",
    "VERGEWATCH_ALERTMANAGER__SILENCES_EVERY_SECONDS": "0.5",
    "VERGEWATCH_ALERTMANAGER__AFTER_SILENCE_SECONDS": "1",
    "VERGEWATCH_ALERTMANAGER__POST": "false",
}


async def test_crash_sends_one_alert_and_is_restarted_and_stopped_vm_is_not(
    tmp_path: Path,
) -> None:
    state = {"VERGEWATCH_RECOVERY__DIRECTORY": str(tmp_path / "state")}
    async with simulating(vms=12) as system, alertmanager(made(tmp_path / "am")) as people:
        for name in (CRASHED, STOPPED, SILENCED):
            system.world.untag(name, "recovery/never")
            system.world.tag(name, "recovery/auto")
        heeds = {"VERGEWATCH_ALERTMANAGER__URLS": json.dumps([people.url])}
        async with (
            running({**pointing_at(system), **SLOW, **state, **heeds}) as daemon,
            watching(made(tmp_path / "prometheus"), daemon, people) as prometheus,
        ):
            await until(lambda: "recovery.started" in daemon.events())
            await prometheus.ask_until("vergewatch_recovery_ready == 1", 1)
            await a_crash_is_told_and_mended(system, daemon, people)
            await a_stop_is_nobodys_business(system, prometheus)
            await a_silence_holds_the_robot(system, daemon, people)


async def a_crash_is_told_and_mended(
    system: Simulator, daemon: Daemon, people: Alertmanager
) -> None:
    system.world.crash(CRASHED)

    told = await people.until_notified("/pager", "firing", "VergeVMDown", system.world.system_name)
    await until(lambda: is_running(system, CRASHED))
    await people.until_notified("/pager", "resolved", "VergeVMDown", system.world.system_name)

    assert [alert["labels"]["vm_name"] for alert in told[0]["alerts"]] == [CRASHED]
    firing = people.notifications("/pager", "firing", "VergeVMDown", system.world.system_name)
    assert len(firing) == 1
    assert actions(system) == [(CRASHED, "poweron")]
    assert daemon.events().count("recovery.restarted") == 1


async def a_stop_is_nobodys_business(system: Simulator, prometheus: Prometheus) -> None:
    system.world.operator_stops(STOPPED)
    await prometheus.ask_until(
        f'vergewatch_recovery_vm_state_info{{vm_name="{STOPPED}",state="stopped"}}', 1
    )

    await REAL_TIME.sleep(8)

    assert not await prometheus.ask(f'ALERTS{{vm_name="{STOPPED}",alertstate="firing"}}')
    assert not is_running(system, STOPPED)


async def a_silence_holds_the_robot(
    system: Simulator, daemon: Daemon, people: Alertmanager
) -> None:
    silence = await silence_vm(people, SILENCED)
    await REAL_TIME.sleep(1.5)
    system.world.crash(SILENCED)
    await until(lambda: "not_silenced" in reasons(daemon, SILENCED))

    said = await explained(daemon, SILENCED)
    guard = next(one for one in said["guards"] if one["guard"] == "not_silenced")
    assert "alice" in guard["detail"]
    assert "a new disk" in guard["detail"]
    assert not is_running(system, SILENCED)

    async with people.http.delete(f"{people.url}/api/v2/silence/{silence}") as answer:
        assert answer.status == 200
    await until(lambda: is_running(system, SILENCED))
    assert actions(system) == [(CRASHED, "poweron"), (SILENCED, "poweron")]


@asynccontextmanager
async def watching(folder: Path, daemon: Daemon, people: Alertmanager) -> AsyncIterator[Prometheus]:
    """Run Debian's Prometheus with the shipped rules, in a hurry, telling *people*."""
    write_fast_rules(folder, 60)  # minutes become seconds
    async with prometheus(
        folder,
        {"vergewatch": daemon.url},
        every="500ms",
        rule_files=["*.rules.yml"],
        alerting=alertmanagers(people.url),
    ) as server:
        yield server


async def silence_vm(people: Alertmanager, name: str) -> str:
    now = datetime.now(UTC)  # noqa: TID251  # Alertmanager goes by its own clock
    body = {
        "matchers": [{"name": "vm_name", "value": name, "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "alice",
        "comment": "a new disk",
    }
    async with people.http.post(f"{people.url}/api/v2/silences", json=body) as answer:
        silence: str = (await answer.json())["silenceID"]
        return silence


async def explained(daemon: Daemon, name: str) -> Any:
    status, text = await daemon.get(f"/api/v1/recovery/explain/{name}")
    assert status == 200, text
    return json.loads(text)


def actions(system: Simulator) -> list[tuple[str, str]]:
    """Return what was asked for, by whom it was about."""
    names = {vm.key: vm.name for vm in system.world.live_vms()}
    return [
        (names[request.body["vm"]], request.body["action"])
        for request in system.requests
        if request.method == "POST" and request.path.endswith("/vm_actions")
    ]


def reasons(daemon: Daemon, name: str) -> list[str]:
    return [
        entry["failed_guard"]
        for entry in daemon.log
        if entry["event"] == "recovery.decided" and entry["vm"] == name
    ]


def is_running(system: Simulator, name: str) -> bool:
    return system.world.vm(name).machine.status.word == "running"


async def until(holds: Any) -> None:
    for _ in range(PATIENCE_SECONDS * 10):
        if holds():
            return
        await REAL_TIME.sleep(0.1)
    raise AssertionError("it never happened")


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder
