"""A real Prometheus: the fault of each check of the doctor raises exactly its alert, and clears."""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import yaml

from exporter.doctor.check import Check
from exporter.doctor.registry import CHECKS
from exporter.model import Level
from exporter.simulator import Simulator
from tests.alert_rules.fast_rules import write_fast_rules
from tests.alert_rules.test_healthy import alerts_of
from tests.daemon_process import REAL_TIME, running, simulating
from tests.doctor.faults import Expected, expected_findings
from tests.real_prometheus import Prometheus, prometheus
from tools.alert_rules import doctor
from tools.alert_rules.groups import ALERTS, GROUPS

FASTER = 100
"""The rules then take a system for stale after 6 s, three polls."""
PATIENCE_SECONDS = 120
POLLS = {
    "VERGEWATCH_POLL__FAST_SECONDS": "2",
    "VERGEWATCH_POLL__SLOW_SECONDS": "6",
    "VERGEWATCH_POLL__INVENTORY_SECONDS": "6",
    "VERGEWATCH_POLL__RARE_SECONDS": "6",
    "VERGEWATCH_POLL__HOURLY_SECONDS": "6",
    "VERGEWATCH_API__TIMEOUT_SECONDS": "20",
}
"""Two dozen systems are polled at once, and none of their tables may become stale."""
EVERYWHERE = "VergeWatchdog"
OF_MACHINE = ("exporter",)
"""Layers whose alerts are about the daemon, not about a system."""


def alert_of(expected: Expected) -> str:
    """Return the name of the alert that a finding raises."""
    is_separate = expected.level is Level.CRITICAL and expected.check.name in doctor.WAKING
    return doctor.critical_name(expected.check) if is_separate else expected.check.alert


async def test_fault_of_each_check_raises_exactly_its_alert_and_clears(tmp_path: Path) -> None:
    write_fast_rules(tmp_path, FASTER)
    expected = {str(one): one for one in expected_findings()}
    async with AsyncExitStack() as stack:
        systems = {
            name: await stack.enter_async_context(simulating(vms=4, seed=number))
            for number, name in enumerate(expected)
        }
        for name, system in systems.items():
            cause = expected[name].cause
            system.faults.turn_on(cause.fault, **cause.parameters)
        config = tmp_path / "vergewatch.yaml"
        config.write_text(yaml.safe_dump({"systems": _settings(systems)}))
        daemon = await stack.enter_async_context(running(POLLS, "--config", str(config)))
        server = await stack.enter_async_context(
            prometheus(
                tmp_path, {"vergewatch": daemon.url}, every="500ms", rule_files=["*.rules.yml"]
            )
        )

        wanted = {name: {alert_of(one)} for name, one in expected.items()}
        assert await _firing(server, wanted) == wanted
        await REAL_TIME.sleep(2)
        assert await _firing(server, wanted, seconds=0.5) == wanted

        for system in systems.values():
            system.faults.clear()
        assert await _firing(server, {}) == {}
        assert await _pending(server) == set()


def _settings(systems: Mapping[str, Simulator]) -> list[dict[str, str]]:
    return [
        {"name": name, "url": system.url, "api_key": system.api_key}
        for name, system in systems.items()
    ]


async def _firing(
    server: Prometheus, wanted: Mapping[str, set[str]], seconds: float = PATIENCE_SECONDS
) -> dict[str, set[str]]:
    """Return the alerts that fire in each system, once they are the *wanted* ones."""
    found: dict[str, set[str]] = {}
    for _ in range(round(seconds / 0.5)):
        await REAL_TIME.sleep(0.5)
        found = await _active(server, "firing")
        if found == wanted:
            break
    return found


async def _active(server: Prometheus, state: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for alert in alerts_of(await server.rules()):
        labels = alert["labels"]
        is_ours = labels["alertname"] != EVERYWHERE and labels["layer"] not in OF_MACHINE
        if alert["state"] == state and is_ours:
            found[labels["system_name"]].add(labels["alertname"])
    return dict(found)


async def _pending(server: Prometheus) -> set[str]:
    return {name for names in (await _active(server, "pending")).values() for name in names}


def test_each_check_has_its_alerts() -> None:
    names = {alert.name for alert in ALERTS}
    for one in expected_findings():
        assert alert_of(one) in names, str(one)


def test_alert_that_another_module_defines_is_not_made_again() -> None:
    made = {alert.name for group in GROUPS if group.name == "doctor" for alert in group.alerts}

    assert "VergeSystemDataStale" not in made
    assert made <= {alert_of(one) for one in expected_findings()}


def test_no_two_checks_share_an_alert_that_is_made_of_them() -> None:
    made = {alert.name for group in GROUPS if group.name == "doctor" for alert in group.alerts}
    names = [check.alert for check in CHECKS if check.alert in made]

    assert len(names) == len(set(names))


def test_only_critical_findings_of_some_checks_wake_a_person() -> None:
    check = next(iter(CHECKS))
    both = check._replace(alert="VergeX", levels=tuple(Level))

    assert _severities(both._replace(name="storage")) == {
        "VergeX": "warning",
        "VergeXCritical": "critical",
    }
    assert _severities(both._replace(name="storage", levels=(Level.CRITICAL,))) == {
        "VergeX": "critical"
    }
    assert _severities(both._replace(name="certificates")) == {"VergeX": "warning"}
    assert _severities(both._replace(name="updates_available")) == {"VergeX": "info"}
    assert doctor.alerts([both], elsewhere={"VergeX"}) == ()


def _severities(check: Check) -> dict[str, str]:
    return {one.name: str(one.severity) for one in doctor.alerts([check], elsewhere=())}
