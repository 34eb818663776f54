"""What is told, from when, until when, and over a restart."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import pytest

from exporter.alerting.alert_store import EMPTY, AlertStore, from_bytes, post, to_bytes
from exporter.alerting.alerts import KINDS, Limits, Name
from exporter.alerting.silences import VARYING
from exporter.model import Identity, SystemReport
from tests.alerting.samples import (
    STARTING,
    done,
    recovery,
    report,
    table,
    vm,
    with_vm,
)
from tests.fakes import START
from tools.alert_rules.files import all_alerts
from tools.alert_rules.model import Layer, Severity

RUNBOOKS = "https://docs.example/runbooks/"
WELL = report()
BLIND = report(up=False)
SHADOW = "shadow"


def look(roll: AlertStore, *reports: SystemReport, seconds: float = 0.0) -> AlertStore:
    return roll.after(
        reports, Limits(), RUNBOOKS, now=START + timedelta(seconds=seconds), at=seconds
    )


def firing(roll: AlertStore) -> list[str]:
    """Return what fires, as the alert's name and the VM's."""
    return [
        " ".join([one.alert.name, *filter(None, [one.alert.labels.get("vm_name")])])
        for one in roll.firing
    ]


def settled(given: SystemReport) -> AlertStore:
    """Return the roll when everything has been so for a day."""
    return look(look(EMPTY, given), given, seconds=86400.0)


def restarted(roll: AlertStore) -> AlertStore:
    return from_bytes(to_bytes(roll))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (WELL, []),
        (report(recovery=None), []),
        (BLIND, [Name.CLOUD_BLIND]),
        (report(authenticated=False), [Name.KEY_REFUSED]),
        (report(recovery=recovery(readiness="broken")), [Name.BROKEN]),
        (report(recovery=recovery(readiness="disarmed")), [Name.DISARMED]),
        (report(recovery=recovery(readiness="paused")), []),
        (report(recovery=recovery(readiness="circuit_breaker_open")), [Name.OPEN_BREAKER]),
        (report(recovery=recovery(journal_problem="the disk is full")), [Name.JOURNAL_DOWN]),
        (with_vm("quarantined"), [f"{Name.QUARANTINED} web-01"]),
        (with_vm("held"), [f"{Name.HELD} web-01"]),
        (with_vm("unknown"), [f"{Name.UNKNOWN} web-01"]),
        (with_vm("held", readiness="circuit_breaker_open"), [Name.OPEN_BREAKER]),
        (with_vm("held", readiness="circuit_breaker_half_open"), [Name.OPEN_BREAKER, f"{Name.HELD} web-01"]),
        (with_vm("held", readiness="paused"), [f"{Name.HELD} web-01"]),
        (with_vm("held", readiness="warming_up"), [f"{Name.HELD} web-01"]),
        (with_vm("held", readiness="broken"), [Name.BROKEN]),
        (with_vm("platform"), [f"{Name.HELD} web-01"]),
        (with_vm("stopped"), []),
        (with_vm("held", last_actions=(done(1, "failed"),)),
         [f"{Name.HELD} web-01", f"{Name.FAILED} web-01"]),
        (with_vm("backoff", last_actions=(done(1, "failed"),)), [f"{Name.FAILED} web-01"]),
        (with_vm("backoff", last_actions=(done(1, "unknown"),)),
         [f"{Name.UNKNOWN_OUTCOME} web-01"]),
        (with_vm("healthy", last_actions=(done(1, "failed"), done(2, "unknown"))), []),
        (with_vm("backoff", last_actions=(done(1, "abandoned"), done(9, "failed"))), []),
        (with_vm("healthy", last_actions=(done(1, "confirmed"),)), []),
        (with_vm("quarantined", mode=SHADOW, readiness="circuit_breaker_open"), []),
        (with_vm("held", mode=SHADOW, readiness="disarmed"), []),
        (with_vm("held", mode=SHADOW, readiness="broken"), [Name.BROKEN]),
    ],
)  # fmt: skip
def test_tells_what_is_so(given: SystemReport, told: list[str]) -> None:
    assert sorted(firing(settled(given))) == sorted(told)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (BLIND, 120),
        (report(recovery=recovery(readiness="disarmed")), 4 * 3600),
        (report(recovery=recovery(readiness="circuit_breaker_open")), 60),
        (report(recovery=recovery(journal_problem="the disk is full")), 120),
        (with_vm("held", START), 900),
        (with_vm("platform", START), 1800),
        (with_vm("unknown", START), 1800),
    ],
)
def test_what_passes_soon_is_not_told(given: SystemReport, seconds: float) -> None:
    roll = look(EMPTY, given)
    roll = look(roll, given, seconds=seconds - 1)

    assert firing(roll) == []
    assert firing(look(look(roll, WELL), given, seconds=seconds - 0.5)) == []
    assert len(firing(look(roll, given, seconds=seconds))) == 1


def test_what_is_told_says_what_it_is_about_and_where_to_read_on() -> None:
    (entry,) = settled(with_vm("quarantined")).firing

    assert entry.alert.labels == {
        "alertname": "VergeRecoveryQuarantined",
        "severity": "critical",
        "layer": "recovery",
        "source": "vergewatch",
        "system_name": "production",
        "vm_id": "1",
        "vm_name": "web-01",
    }
    assert entry.alert.annotations == {
        "summary": "Recovery gave a VM up.",
        "description": "VM web-01 (1) in cloud production was helped too often, or with every step "
        "allowed, and is left to a person.",
        "runbook_url": "https://docs.example/runbooks/VergeRecoveryQuarantined.md",
    }


def test_a_vm_with_an_odd_name_is_told_of_as_it_is() -> None:
    odd = msgspec.structs.replace(vm(1, "quarantined"), name='100%s "x"\\\n{{.}}')

    (entry,) = settled(report(recovery=recovery(vms=(odd,)))).firing

    assert entry.alert.labels["vm_name"] == odd.name
    assert f"VM {odd.name} (1)" in entry.alert.annotations["description"]


def test_that_recovery_acted_is_told_for_an_hour() -> None:
    acted = with_vm("healthy", last_actions=(done(1, "confirmed"),))

    roll = look(EMPTY, acted)

    assert firing(look(roll, acted, seconds=3599.0)) == [f"{Name.ACTED} web-01"]
    assert firing(look(roll, acted, seconds=3600.0)) == []


def lines(roll: AlertStore) -> list[dict[str, str]]:
    until = START + timedelta(hours=9)
    found: list[dict[str, str]] = msgspec.json.decode(post(roll.entries.values(), until=until))
    return found


def test_what_is_over_ends_when_it_was_over_and_is_forgotten_later() -> None:
    roll = settled(with_vm("quarantined"))
    began = roll.firing[0].starts_at

    roll = look(roll, WELL, seconds=90000.0)

    assert firing(roll) == []
    (line,) = lines(look(roll, WELL, seconds=90500.0))
    assert datetime.fromisoformat(line["startsAt"]) == began
    assert datetime.fromisoformat(line["endsAt"]) == START + timedelta(seconds=90000.0)
    assert lines(look(roll, WELL, seconds=90900.0)) == []


def test_what_fires_began_once_and_lasts_until_it_is_told_again() -> None:
    roll = settled(with_vm("quarantined"))

    (line,) = lines(look(roll, with_vm("quarantined"), seconds=99999.0))

    assert datetime.fromisoformat(line["startsAt"]) == START
    assert datetime.fromisoformat(line["endsAt"]) == START + timedelta(hours=9)


def test_what_comes_back_begins_anew() -> None:
    roll = look(settled(with_vm("quarantined")), WELL, seconds=90000.0)

    roll = look(roll, with_vm("quarantined"), seconds=90010.0)

    assert [one.starts_at for one in roll.firing] == [START + timedelta(seconds=90010.0)]
    assert len(roll.entries) == 1


def test_a_clock_that_was_set_back_makes_no_alert_that_ends_before_it_began() -> None:
    roll = settled(with_vm("quarantined"))

    for line in lines(look(roll, WELL, seconds=-1e6)) + lines(look(roll, BLIND, seconds=-1e6)):
        assert line["startsAt"] <= line["endsAt"]


TRUE_BEFORE: Sequence[SystemReport] = (
    BLIND,
    report(authenticated=False),
    report(recovery=recovery(readiness="disarmed", because="by alice: patching")),
    report(recovery=recovery(readiness="circuit_breaker_open")),
    report(recovery=recovery(journal_problem="the disk is full")),
    with_vm("quarantined"),
    with_vm("held"),
    with_vm("unknown"),
    with_vm("backoff", last_actions=(done(1, "failed"),)),
    with_vm("backoff", last_actions=(done(1, "unknown"),)),
)


@pytest.mark.parametrize("before", TRUE_BEFORE)
def test_a_restart_ends_nothing_before_more_is_known(before: SystemReport) -> None:
    roll = settled(before)
    names = {
        (one.alert.name, one.alert.labels["system_name"], one.starts_at) for one in roll.firing
    }

    roll = look(restarted(roll), STARTING, seconds=86410.0)
    roll = look(roll, STARTING, seconds=86470.0)

    assert names == {
        (one.alert.name, one.alert.labels["system_name"], one.starts_at) for one in roll.firing
    }


@pytest.mark.parametrize("before", TRUE_BEFORE)
def test_after_a_restart_what_is_not_so_any_more_is_told_to_be_over(before: SystemReport) -> None:
    roll = look(restarted(settled(before)), STARTING, seconds=86410.0)

    roll = look(roll, WELL, seconds=86500.0)

    assert firing(roll) == []
    assert len(lines(roll)) == 1


def test_while_recovery_warms_up_nobody_says_that_a_storm_is_over() -> None:
    storm = report(recovery=recovery(readiness="circuit_breaker_open"))
    warming = report(recovery=recovery(readiness="warming_up"))

    roll = look(restarted(settled(storm)), warming, seconds=86500.0)

    assert firing(roll) == [Name.OPEN_BREAKER]


def test_after_a_restart_a_failure_is_not_over_before_the_vm_is_up() -> None:
    failed = with_vm("backoff", last_actions=(done(1, "failed"),))
    roll = restarted(settled(failed))

    assert firing(look(roll, with_vm("suspect"), seconds=86500.0)) == [f"{Name.FAILED} web-01"]
    assert firing(look(roll, with_vm("healthy"), seconds=86500.0)) == []


def test_after_a_restart_that_recovery_acted_is_still_told_to_its_end() -> None:
    roll = look(EMPTY, with_vm("healthy", last_actions=(done(1, "confirmed"),)))

    roll = look(restarted(roll), WELL, seconds=600.0)

    assert firing(roll) == [f"{Name.ACTED} web-01"]
    assert firing(look(roll, WELL, seconds=3600.0)) == []


def test_a_cloud_that_is_watched_no_longer_has_no_alerts() -> None:
    roll = settled(BLIND)

    other = report(system_name="lab", url="https://lab.example")

    assert firing(look(roll, other, seconds=90000.0)) == []


def test_recovery_that_is_turned_off_has_no_alerts() -> None:
    assert firing(look(settled(with_vm("held")), report(recovery=None), seconds=90000.0)) == []
    in_shadow = report(recovery=recovery(mode=SHADOW, readiness="disarmed"))
    disarmed = settled(report(recovery=recovery(readiness="disarmed")))
    assert firing(look(disarmed, in_shadow, seconds=90000.0)) == []


def test_a_vm_that_nobody_cares_for_any_more_has_no_alerts() -> None:
    roll = settled(with_vm("quarantined"))

    gone = report(recovery=recovery(vms=(vm(2),)))
    unread = report(recovery=recovery(vms=(), journal_problem="the disk is full"))

    assert firing(look(roll, gone, seconds=90000.0)) == []
    assert f"{Name.QUARANTINED} web-01" in firing(look(roll, unread, seconds=90000.0))


def test_a_cloud_that_says_its_name_late_is_not_told_of_twice() -> None:
    nameless = report(system_name="10.0.0.5", identity=None, up=False)
    roll = settled(nameless)

    named = report(system_name="production", identity=Identity("production", "26"), up=False)
    roll = look(roll, named, seconds=90000.0)

    assert [one.alert.labels["system_name"] for one in roll.firing] == ["production"]
    ended = [one for one in roll.entries.values() if one.ends_at is not None]
    assert [one.alert.labels["system_name"] for one in ended] == ["10.0.0.5"]
    assert len(restarted(roll).entries) == 2


def test_a_key_that_is_accepted_again_is_known_only_when_something_was_read() -> None:
    roll = settled(report(authenticated=False))
    unread = report(tables=(table(success=False),))

    assert firing(look(roll, unread, seconds=90000.0)) == [Name.KEY_REFUSED]
    assert firing(look(roll, WELL, seconds=90000.0)) == []


def test_every_rule_is_either_about_being_down_or_not() -> None:
    telling, idle = VARYING["alertname"]
    names = {one.name for one in all_alerts()}

    assert not names - {*telling, *idle}
    assert {one.name for one in all_alerts() if one.layer is Layer.EXPORTER} <= set(idle)
    for label, values in (("severity", Severity), ("layer", Layer)):
        assert {str(one) for one in values} == {*VARYING[label].telling, *VARYING[label].idle}


@pytest.mark.parametrize("name", Name)
def test_the_rules_for_prometheus_call_the_same_things_by_the_same_names(name: Name) -> None:
    rule = next(alert for alert in all_alerts() if alert.name == name)

    assert KINDS[name] == (rule.severity, rule.layer, rule.summary)
