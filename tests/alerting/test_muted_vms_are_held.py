"""Recovery holds the VMs whose alert a real Alertmanager mutes, whatever the silence looks like."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
import yaml

from exporter.alerting.alerts import AlertBuilder
from exporter.alerting.definitions import AlertName, Links
from exporter.alerting.matchers import Matcher
from exporter.alerting.silences import (
    Silence,
    SilencesResponse,
    decode_silences,
    silence_intervals,
)
from exporter.alerting.vm_silences import (
    DOWN_LABELS,
    hold_reason,
    holds_vm,
    may_hold_vms,
)
from tests.alerting.real_alertmanager import Matchers, Real, alertmanagers
from tests.alerting.samples import report, vm

SYSTEMS = ("production", "läb")
VM_NAMES = ("web-01", "web-02", "Wéb [old]", "db.1", "日本", '"quoted" \\ name', "", "web-01\n2")
SILENCES = 500
RULES = Path(__file__).parents[2] / "alerts" / "vms.rules.yml"
ADDED = {"prometheus": "eu", "job": "vergewatch", "cluster": "k8s"}
"""Labels that a Prometheus adds to its alerts."""
LABELS = {
    "system_name": SYSTEMS,
    "vm_id": ("1", "2", "7"),
    "vm_name": VM_NAMES,
    "alertname": ("VergeVMDown", "VergeVMUnresponsive", "InstanceDown"),
    "severity": ("critical", "warning"),
    "layer": ("vm", "node"),
    "node_name": ("node1", "node2"),
    "cluster_name": ("Workloads",),
    "prometheus": ("eu", "us"),
    "job": ("vergewatch", "node"),
    "mountpoint": ("/var",),
    "team": ("web",),
    "recovery": ("hold",),
}
REGEXES = (".*", ".+", "", "web-.*", "web|db.1", "(?i)WEB-0[1-9]", "[^w].*", r"\p{L}+", "Verge.*",
           "critical|warning", "vm|node", "1|2", "production|x", ".", "eu|us")  # fmt: skip
Alert = Mapping[str, str]


def daemons_alert(system: str, key: int, name: str) -> Alert:
    """Return the labels of the alert that the daemon posts for a VM that is down."""
    build = AlertBuilder(report(system_name=system), Links("https://docs.example"))
    one = msgspec.structs.replace(vm(key), name=name)
    return build.for_vm(AlertName.VM_DOWN, one, "is down").labels


def random_matcher(rng: Random, label: str) -> dict[str, Any]:
    is_regex = rng.random() < 0.4
    value = rng.choice(REGEXES) if is_regex else rng.choice((*LABELS[label], ""))
    return {"name": label, "value": value, "isRegex": is_regex, "isEqual": rng.random() < 0.5}


def random_matchers(rng: Random) -> Matchers:
    labels = [*LABELS] + ["vm_name", "vm_id", "system_name", "alertname"] * 2
    return [random_matcher(rng, rng.choice(labels)) for _ in range(rng.choice((1, 1, 2, 2, 3, 4)))]


def vm_labels(alert: Alert) -> Alert:
    """Return what recovery knows of the VM of an alert."""
    own = {name: alert[name] for name in ("system_name", "vm_id", "vm_name")}
    return {**own, "node_name": "node1", "cluster_name": "Workloads"}


async def muting(real: Real, alerts: Sequence[Alert]) -> list[set[str]]:
    """Post *alerts*, and return the ids of the silences that mute each."""
    body = [{"labels": labels} for labels in alerts]
    async with real.http.post(f"{real.url}/api/v2/alerts", json=body) as response:
        assert response.status == 200, await response.text()
    found = {
        frozenset(one["labels"].items()): set(one["status"]["silencedBy"])
        for one in await real.get("alerts")
    }
    # Alertmanager drops labels without a value.
    return [found[frozenset((n, v) for n, v in one.items() if v)] for one in alerts]


async def read_silences(real: Real) -> Mapping[str, Silence]:
    async with real.http.get(f"{real.url}/api/v2/silences") as response:
        silences, invalid = decode_silences(await response.read())
    assert not invalid
    return {one.id: one for one in silences}


def is_about_our_alerts(matchers: Sequence[Matcher]) -> bool:
    """Return whether the silence names a VM or system, or our alert, in any way."""
    return any(
        one.name in ("system_name", "vm_id", "vm_name")
        or (
            one.name == "alertname"
            and one.matches("VergeVMDown")
            and not one.matches("InstanceDown")
        )
        for one in matchers
    )


@pytest.mark.parametrize(("seed", "external"), [(11, {}), (12, {}), (13, {"prometheus": "eu"})])
async def test_vm_is_held_by_each_silence_that_mutes_its_alert(
    tmp_path: Path, seed: int, external: Mapping[str, str]
) -> None:
    rng = Random(seed)
    own = [
        {**daemons_alert(system, key, name), **external}
        for key, name in enumerate(VM_NAMES, 1)
        for system in SYSTEMS
    ]
    added = [{**one, **ADDED} for one in own]
    async with alertmanagers(tmp_path) as (real,):
        for _ in range(SILENCES):
            await real.silence(random_matchers(rng))
        silences = await read_silences(real)
        mutes = await muting(real, [*own, *added])
    held_only = muted = 0
    for place, alert in enumerate(own):
        by_own, by_added = (mutes[place + start * len(own)] for start in range(2))
        for one in silences.values():
            holds = holds_vm(one, vm_labels(alert), external)
            ours = is_about_our_alerts(one.matchers)
            mutes_alert = one.id in by_own or (ours and one.id in by_added)
            muted += mutes_alert
            held_only += holds and not mutes_alert
            text = f"{alert}: {', '.join(map(str, one.matchers))}"
            assert holds or not mutes_alert, text
            assert may_hold_vms(one, external) or not holds, text
            if holds and not (one.selects_vms or ours):
                assert mutes_alert, text
    assert len(silences) > SILENCES / 2
    assert muted > 10 * len(own)
    assert held_only


async def test_silence_holds_while_a_real_alertmanager_applies_it(tmp_path: Path) -> None:
    alert = daemons_alert("production", 1, "web-01")
    excluding = [{"name": "vm_name", "value": "db.1", "isRegex": False, "isEqual": False}]
    now = datetime.now(UTC)  # noqa: TID251 - Alertmanager's
    later = (now + timedelta(hours=1)).isoformat()
    async with alertmanagers(tmp_path) as (real,):
        ids = {}
        for state in ("active", "expired", "pending"):
            more = {"startsAt": later} if state == "pending" else {}
            status, ids[state] = await real.silence(excluding, seconds=7200.0, **more)
            assert status == 200
        await real.expire(ids["expired"])
        silences = await read_silences(real)
        (mutes,) = await muting(real, [alert])
    states = {silences[one].status.state: one for one in ids.values()}

    def held_by(state: str, *, seconds: float) -> bool:
        response = SilencesResponse([silences[ids[state]]], 0, now, at=100.0)
        intervals = silence_intervals([response])
        return bool(hold_reason(intervals, vm_labels(alert), at=100.0 + seconds, after_seconds=0))

    assert states == {state: ids[state] for state in ("active", "expired", "pending")}
    assert mutes == {ids["active"]}
    assert [state for state in ids if held_by(state, seconds=60.0)] == ["active"]
    assert [state for state in ids if held_by(state, seconds=3700.0)] == ["active", "pending"]
    assert [state for state in ids if held_by(state, seconds=10_900.0)] == []


def test_alert_of_a_vm_that_is_down_has_the_labels_that_silences_are_held_against() -> None:
    labels = daemons_alert("production", 1, "web-01")
    (rule,) = [
        rule
        for group in yaml.safe_load(RULES.read_text())["groups"]
        for rule in group["rules"]
        if rule.get("alert") == "VergeVMDown"
    ]

    assert labels == {
        **DOWN_LABELS,
        "system_name": "production",
        "vm_id": "1",
        "vm_name": "web-01",
    }
    assert {"alertname": rule["alert"], **rule["labels"]} == DOWN_LABELS
    assert "max by (system_name, vm_id, vm_name)" in rule["expr"]
