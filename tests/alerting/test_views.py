"""Alerts and silences as they are shown."""

from datetime import timedelta

import pytest

from exporter.alerting.alert_store import StoredAlert
from exporter.alerting.alerts import Alert
from exporter.alerting.definitions import AlertName
from exporter.alerting.matchers import Matcher
from exporter.alerting.silences import Silence, SilenceInterval, Status
from exporter.alerting.views import (
    MADE_HERE,
    alert_views,
    muted_vms,
    silence_views,
    vm_labels,
)
from tests.fakes import START

AT = 1000.0
VMS = [
    vm_labels("production", 1, "web-01", "node1", "prod"),
    vm_labels("production", 2, "web-02", "node2", "prod"),
    vm_labels("laboratory", 1, "web-01", "", ""),
]


def silence(
    name: str, *matchers: Matcher, starts: float = 0.0, ends: float = 2000.0, comment: str = ""
) -> SilenceInterval:
    found = Silence(
        name, Status("active"), START, START + timedelta(hours=1), START, matchers, "anna", comment
    )
    return SilenceInterval(found, starts, ends)


def alert(
    name: AlertName = AlertName.VM_DOWN,
    vm: str = "",
    *,
    severity: str = "critical",
    resolved: bool = False,
    at: int = 0,
) -> StoredAlert:
    of_vm = {"vm_name": vm, "vm_id": vm[-1]} if vm else {}
    every = {"alertname": str(name), "severity": severity, "system_name": "production", **of_vm}
    ends = START + timedelta(minutes=9) if resolved else None
    found = Alert(url="https://v", name=name, labels=every, annotations={"summary": "s"})
    return StoredAlert(found, START + timedelta(seconds=at), ends)


@pytest.mark.parametrize(
    ("matchers", "keys"),
    [
        ((Matcher("vm_name", "web-01"),), [("production", 1), ("laboratory", 1)]),
        (
            (Matcher("vm_name", "web-01"), Matcher("system_name", "laboratory")),
            [("laboratory", 1)],
        ),
        ((Matcher("vm_name", "web-.*", is_regex=True), Matcher("vm_id", "2")), [("production", 2)]),
        ((Matcher("vm_name", "web-01", is_equal=False),), [("production", 2)]),
        ((Matcher("system_name", "production"),), [("production", 1), ("production", 2)]),
        ((Matcher("alertname", "VergeStorageTierFull"),), []),
    ],
)
def test_silence_names_the_vms_that_it_mutes(
    matchers: tuple[Matcher, ...], keys: list[tuple[str, int]]
) -> None:
    known = [silence("a", *matchers)]

    (view,) = silence_views(known, muted_vms(known, VMS, {}), at=AT)

    assert [(vm.system, vm.key) for vm in view.vms] == keys


def test_silences_are_active_first_and_without_those_that_are_over() -> None:
    of_vm = Matcher("vm_name", "web-01")
    known = [
        silence("later", of_vm, starts=1500.0),
        silence("over", of_vm, ends=999.0),
        silence("long", of_vm, ends=9000.0),
        silence("short", of_vm, ends=1001.0, comment=f"a disk {MADE_HERE}"),
    ]

    views = silence_views(known, {}, at=AT)

    assert [(one.id, one.active, one.made_here) for one in views] == [
        ("short", True, True),
        ("long", True, False),
        ("later", False, False),
    ]


@pytest.mark.parametrize(
    ("vm", "key", "ids"),
    [
        ("web-01", 1, ("of web-01", "of all")),
        ("web-02", 2, ("of all",)),
        ("", None, ("of all",)),
    ],
)
def test_alert_names_the_active_silences_that_mute_it(
    vm: str, key: int | None, ids: tuple[str, ...]
) -> None:
    known = [
        silence("of all", Matcher("severity", "critical")),
        silence("of web-01", Matcher("vm_name", "web-01")),
        silence("later", Matcher("vm_name", "web-01"), starts=1500.0),
        silence("over", Matcher("severity", "critical"), ends=999.0),
    ]

    (view,) = alert_views([alert(vm=vm)], known, {}, at=AT)

    assert view.silences == ids
    assert view.vm_key == key


def test_worst_alert_that_fires_is_first() -> None:
    alerts = [
        alert(AlertName.DISARMED, severity="warning"),
        alert(vm="web-03", resolved=True),
        alert(vm="web-02", at=5),
        alert(vm="web-01", at=9),
    ]

    views = alert_views(alerts, (), {}, at=AT)

    assert [(one.name, one.vm, one.resolved is None) for one in views] == [
        ("VergeVMDown", "web-02", True),
        ("VergeVMDown", "web-01", True),
        ("VergeRecoveryDisarmed", "", True),
        ("VergeVMDown", "web-03", False),
    ]


def test_alert_has_the_external_labels_that_it_is_posted_with() -> None:
    known = [silence("of the site", Matcher("site", "bern"))]
    external = {"site": "bern", "severity": "not that of the alert"}

    (view,) = alert_views([alert(vm="web-01")], known, external, at=AT)

    assert view.labels == {**alert(vm="web-01").alert.labels, "site": "bern"}
    assert view.more_labels == {"site": "bern"}
    assert view.silences == ("of the site",)
