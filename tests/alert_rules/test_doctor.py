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

FASTER = 120
PATIENCE_SECONDS = 60
POLLS = {"VERGEWATCH_POLL__RARE_SECONDS": "2", "VERGEWATCH_POLL__HOURLY_SECONDS": "2"}
PLATFORM, SILENT = "platform", "silent"
"""Two systems: one with all the faults of a round, and one that cannot be read."""
HIDDEN = frozenset({"fabric_speed"})
"""Checks that are silent about an object while another one has a worse finding about it."""
EVERYWHERE = "VergeWatchdog"
OF_MACHINE = ("exporter",)
"""Layers whose alerts are about the daemon, not about a system."""


def alert_of(expected: Expected) -> str:
    """Return the name of the alert that a finding raises."""
    return expected.check.alert_of(expected.level)


def rounds() -> tuple[list[Expected], list[Expected]]:
    """Return the findings to cause at once, in two rounds: a check has one level at a time."""
    of_rows = [one for one in expected_findings() if one.check.examine_polling is None]
    second = [one for one in of_rows if one.level is Level.CRITICAL or one.check.name in HIDDEN]
    return [one for one in of_rows if one not in second], second


async def test_fault_of_each_check_raises_exactly_its_alert_and_clears(tmp_path: Path) -> None:
    """
    Raise all alerts of a round at once, which takes seconds instead of minutes.

    That a fault is found by no other check is tested in `tests/doctor/test_faults.py`.
    """
    write_fast_rules(tmp_path, FASTER)
    async with AsyncExitStack() as stack:
        platform, silent = [
            await stack.enter_async_context(simulating(vms=10, seed=seed)) for seed in (1, 2)
        ]
        config = tmp_path / "vergewatch.yaml"
        systems = {PLATFORM: platform, SILENT: silent}
        config.write_text(yaml.safe_dump({"systems": _settings(systems)}))
        (unreadable,) = (one for one in expected_findings() if one.check.examine_polling)
        silent.faults.turn_on(unreadable.cause.fault, **unreadable.cause.parameters)
        daemon = await stack.enter_async_context(running(POLLS, "--config", str(config)))
        server = await stack.enter_async_context(
            prometheus(
                tmp_path, {"vergewatch": daemon.url}, every="500ms", rule_files=["*.rules.yml"]
            )
        )
        for some in rounds():
            platform.faults.clear()
            for one in some:
                platform.faults.turn_on(one.cause.fault, **one.cause.parameters)
            wanted = {PLATFORM: set(map(alert_of, some)), SILENT: {alert_of(unreadable)}}
            assert await _once(server, wanted) == wanted
        platform.faults.clear()
        silent.faults.clear()
        assert await _once(server, {}) == {}
        assert await _once(server, {}, "pending") == {}


def _settings(systems: Mapping[str, Simulator]) -> list[dict[str, str]]:
    return [
        {"name": name, "url": system.url, "api_key": system.api_key}
        for name, system in systems.items()
    ]


async def _once(
    server: Prometheus, wanted: Mapping[str, set[str]], state: str = "firing"
) -> dict[str, set[str]]:
    """Return the alerts in *state* of each system, once they are the *wanted* ones."""
    found: dict[str, set[str]] = {}
    for _ in range(PATIENCE_SECONDS * 4):
        await REAL_TIME.sleep(0.25)
        found = await _active(server, state)
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


def test_alerts_of_the_doctor_are_warnings_but_for_these() -> None:
    made = {alert.name: str(alert.severity) for group in GROUPS if group.name == "doctor"
            for alert in group.alerts}  # fmt: skip

    assert made == {
        **dict.fromkeys(made, "warning"),
        "VergeStorageTierFullCritical": "critical",
        "VergeAlarmRaisedCritical": "critical",
        "VergeLicenseExpiringCritical": "critical",
        "VergeUpdateAvailable": "info",
    }


def test_only_critical_findings_of_some_checks_wake_a_person() -> None:
    check = next(iter(CHECKS))
    both = check._replace(alert="VergeX", levels=tuple(Level))
    waking = both._replace(wakes=True)

    assert _severities(waking) == {"VergeX": "warning", "VergeXCritical": "critical"}
    assert _severities(waking._replace(levels=(Level.CRITICAL,))) == {"VergeX": "critical"}
    assert _severities(both) == {"VergeX": "warning"}
    assert _severities(both._replace(name="updates_available")) == {"VergeX": "info"}
    assert doctor.alerts([both], elsewhere={"VergeX"}) == ()


def _severities(check: Check) -> dict[str, str]:
    return {one.name: str(one.severity) for one in doctor.alerts([check], elsewhere=())}
