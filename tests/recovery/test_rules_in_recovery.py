"""Rules decide which crashed VMs are started: brackets, capitals, patterns, unread clusters."""

from typing import Any

import pytest

from exporter.config.recovery import RecoverySettings
from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.observe.enrolment_cache import CLUSTERS_UNREAD
from tests.recovery.harness import ENFORCE, Harness

EVERYONE = {"names": ["*"], "policy": "on-failure"}
LONG = 900.0


def ruled(*rules: dict[str, Any], tags: Any = None, name: str = "") -> Harness:
    """Return a system with *rules*, whose VM web-01 is called *name*."""
    made = RecoverySettings.model_validate({"rules": rules}).rules
    harness = Harness(tags=tags or {}, setup=ENFORCE._replace(enrolment_rules=made))
    vm = harness.world.vm("web-01")
    if name:
        vm.name = vm.machine.name = name
    return harness.warm()


def started(harness: Harness, *names: str) -> list[str]:
    """Crash VMs one after the other; return those that recovery started."""
    for name in names:
        harness.world.crash(name)
        harness.advance(LONG)
    return [name for name in names if harness.asked(name)]


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("[DO NOT START] web", "[DO NOT START]*"),
        ("[DO NOT START] web", "[do not start]*"),
        ("web [old]", "*[old]"),
        ("WEB-01", "web-01"),
        ("web-x17", "re:WEB-X[0-9]+"),
        ("Straße", "STRASSE"),
        ("zoe\u0308", "ZO\xcb"),
    ],
)
def test_vm_whose_name_a_rule_forbids_is_not_started(name: str, pattern: str) -> None:
    harness = ruled(EVERYONE, {"names": [pattern], "policy": "no"}, name=name)

    assert started(harness, name, "web-02") == ["web-02"]


@pytest.mark.parametrize("pattern", ["env/prod", "ENV/*", "env/pro?", "re:env/(prod|test)"])
def test_vm_whose_tag_a_rule_forbids_is_not_started_whatever_its_capitals(pattern: str) -> None:
    rules = (EVERYONE, {"tags": [pattern], "policy": "no"})
    harness = ruled(*rules, tags={"web-01": ["Env/Prod"], "web-02": ["team/prod"]})

    assert started(harness, "web-01", "web-02") == ["web-02"]


def test_vm_in_a_cluster_that_a_rule_forbids_stays_so_while_clusters_cannot_be_read() -> None:
    harness = ruled(EVERYONE)
    cluster = next(iter(harness.world.clusters.values())).name
    forbidding = ruled(EVERYONE, {"clusters": [cluster.upper()], "policy": "no"})
    forbidding.world.faults.turn_on("status", code=500, path="clusters")
    forbidding.advance(LONG)

    forbidding.world.crash("web-01")
    forbidding.advance(LONG)

    assert not forbidding.requests
    readiness, because = forbidding.recovery.readiness_now
    assert readiness is ReadinessState.DEGRADED
    assert because == CLUSTERS_UNREAD
    assert started(harness, "web-01") == ["web-01"]
