"""Which alerts fire and resolve, when, and over a restart of the daemon."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import yaml

from exporter.alerting.alert_store import AlertStore, encode_alerts
from exporter.alerting.alerts import UNWANTED_DOWN
from exporter.alerting.config import AlertLimits
from exporter.alerting.definitions import DEFINITIONS, AlertName, Links
from exporter.alerting.vm_silences import VARYING_LABELS
from exporter.model import Identity, SystemReport
from exporter.recovery.model.states import OPEN
from tests.alerting.samples import (
    LONG_AGO,
    STARTING,
    down,
    last_action,
    question,
    recovery,
    report,
    table,
    vm,
    with_vm,
)
from tests.fakes import START
from tools.alert_rules.groups import ALERTS
from tools.alert_rules.model import Layer, Severity

ROOT = Path(__file__).parents[2]
LINKS = Links("https://docs.example/runbooks/", "https://grafana.example/")
HEALTHY = report()
STALE = report(up=False)
SHADOW = "shadow"
RAN_SINCE = msgspec.structs.replace(last_action(1, "failed"), ran_since=True)


def evaluate(store: AlertStore, *reports: SystemReport, seconds: float = 0.0) -> AlertStore:
    return store.evaluate(
        reports, AlertLimits(), LINKS, now=START + timedelta(seconds=seconds), at=seconds
    )


def firing(store: AlertStore) -> list[str]:
    """Return the firing alerts as "alertname vm_name"."""
    return [
        " ".join([one.alert.name, *filter(None, [one.alert.labels.get("vm_name")])])
        for one in store.firing
    ]


def settled(given: SystemReport) -> AlertStore:
    """Return the store after *given* has been reported for a day."""
    return evaluate(evaluate(AlertStore(), given), given, seconds=86400.0)


def restarted(store: AlertStore) -> AlertStore:
    return AlertStore.from_json(store.to_json())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (HEALTHY, []),
        (report(recovery=None), []),
        (STALE, [AlertName.SYSTEM_DATA_STALE]),
        (report(authenticated=False), [AlertName.AUTHENTICATION_FAILED]),
        (report(recovery=recovery(readiness="broken")), [AlertName.INTERNAL_ERROR]),
        (report(recovery=recovery(readiness="disarmed")), [AlertName.DISARMED]),
        (report(recovery=recovery(readiness="rival")), [AlertName.RIVAL]),
        (report(recovery=recovery(readiness="paused")), []),
        (
            report(recovery=recovery(readiness="circuit_breaker_open")),
            [AlertName.CIRCUIT_BREAKER_OPEN],
        ),
        (report(recovery=recovery(journal_problem="the disk is full")), [AlertName.JOURNAL_DOWN]),
        (with_vm("quarantined"), [f"{AlertName.QUARANTINED} web-01"]),
        (with_vm("held"), [f"{AlertName.HELD_TOO_LONG} web-01"]),
        (with_vm("unknown"), []),  # it hangs, and is not down
        (down("baseline"), []),
        (down("stopped"), []),
        (down("healthy"), []),  # its status is missing
        (down("probation"), []),
        *((down(state), [f"{AlertName.VM_DOWN} web-01"]) for state in sorted(UNWANTED_DOWN)),
        (down("unknown", policy="no"), [f"{AlertName.VM_DOWN} web-01"]),
        (down("unknown", mode="enforce"), [f"{AlertName.VM_DOWN} web-01"]),
        (
            down("held", mode="enforce"),
            [f"{AlertName.VM_DOWN} web-01", f"{AlertName.HELD_TOO_LONG} web-01"],
        ),
        (down("quarantined", mode="enforce"), [f"{AlertName.QUARANTINED} web-01"]),
        (down("quarantined", mode="shadow"), [f"{AlertName.VM_DOWN} web-01"]),
        (down("quarantined", mode="enforce", policy="no"), [f"{AlertName.VM_DOWN} web-01"]),
        (with_vm("held", readiness="circuit_breaker_open"), [AlertName.CIRCUIT_BREAKER_OPEN]),
        (
            with_vm("held", readiness="circuit_breaker_half_open"),
            [AlertName.CIRCUIT_BREAKER_OPEN, f"{AlertName.HELD_TOO_LONG} web-01"],
        ),
        (with_vm("held", readiness="paused"), [f"{AlertName.HELD_TOO_LONG} web-01"]),
        (with_vm("held", readiness="warming_up"), [f"{AlertName.HELD_TOO_LONG} web-01"]),
        (with_vm("held", readiness="broken"), [AlertName.INTERNAL_ERROR]),
        (with_vm("held", mode="ask"), [f"{AlertName.HELD_TOO_LONG} web-01"]),
        (
            with_vm("held", mode="ask", questions=(question(1),)),
            [f"{AlertName.APPROVAL_NEEDED} web-01"],
        ),
        (with_vm("quarantined", mode="ask"), [f"{AlertName.QUARANTINED} web-01"]),
        (with_vm("platform"), []),
        (with_vm("stopped"), []),
        (
            with_vm("held", last_actions=(last_action(1, "failed"),)),
            [f"{AlertName.HELD_TOO_LONG} web-01", f"{AlertName.FAILED} web-01"],
        ),
        (
            with_vm("backoff", last_actions=(last_action(1, "failed"),)),
            [f"{AlertName.FAILED} web-01"],
        ),
        (
            with_vm("backoff", last_actions=(last_action(1, "unknown"),)),
            [f"{AlertName.FAILED} web-01"],
        ),
        (with_vm("suspect", last_actions=(RAN_SINCE,)), []),
        *((with_vm(state), [f"{AlertName.OUTCOME_UNKNOWN} web-01"]) for state in OPEN),
        (
            with_vm("healthy", last_actions=(last_action(1, "failed"), last_action(2, "unknown"))),
            [],
        ),
        (
            with_vm(
                "backoff", last_actions=(last_action(1, "abandoned"), last_action(9, "failed"))
            ),
            [],
        ),
        (with_vm("healthy", last_actions=(last_action(1, "confirmed"),)), []),
        (with_vm("quarantined", mode=SHADOW, readiness="circuit_breaker_open"), []),
        (with_vm("held", mode=SHADOW, readiness="disarmed"), []),
        (with_vm("held", mode=SHADOW, readiness="broken"), [AlertName.INTERNAL_ERROR]),
    ],
)
def test_report_fires_its_alerts(given: SystemReport, expected: list[str]) -> None:
    assert sorted(firing(settled(given))) == sorted(expected)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (STALE, 120),
        (report(recovery=recovery(readiness="disarmed")), 4 * 3600),
        (report(recovery=recovery(readiness="circuit_breaker_open")), 60),
        (report(recovery=recovery(journal_problem="the disk is full")), 120),
        (with_vm("held", START), 900),
        (with_vm("indeterminate", START), 600),
        (down("unknown", START), 240),
        (down("held", START), 240),
        (down("platform", LONG_AGO), 240),
    ],
)
def test_condition_shorter_than_its_limit_fires_no_alert(
    given: SystemReport, seconds: float
) -> None:
    store = evaluate(AlertStore(), given)
    store = evaluate(store, given, seconds=seconds - 1)

    assert firing(store) == []
    assert firing(evaluate(evaluate(store, HEALTHY), given, seconds=seconds - 0.5)) == []
    assert len(firing(evaluate(store, given, seconds=seconds))) == 1


def test_alert_of_a_quarantined_vm_has_all_labels_and_annotations() -> None:
    (stored,) = settled(with_vm("quarantined")).firing

    assert stored.alert.labels == {
        "alertname": "VergeRecoveryQuarantined",
        "severity": "critical",
        "layer": "recovery",
        "system_name": "production",
        "vm_id": "1",
        "vm_name": "web-01",
    }
    assert stored.alert.annotations == {
        "summary": "VM web-01 is quarantined; manual action is required",
        "description": "VM web-01 (1) in system production is quarantined: its restart budget "
        "or its allowed actions are exhausted. Recovery does not act on it. Run "
        "`vergewatch explain VM`, then start the VM in VergeOS.",
        "runbook_url": "https://docs.example/runbooks/VergeRecoveryQuarantined.md",
        "dashboard_url": "https://grafana.example/d/vergewatch-vm?var-system=production&var-vm=web-01",
    }


def test_alert_of_a_flapping_vm_says_so() -> None:
    flapping = report(recovery=recovery(vms=(vm(1, "quarantined", cause="flapping"),)))

    (stored,) = settled(flapping).firing

    assert (
        "is quarantined: it goes down again and again." in stored.alert.annotations["description"]
    )


def test_vm_in_state_platform_alerts_only_after_the_time_of_the_platform() -> None:
    given = down("platform", START)

    store = evaluate(evaluate(AlertStore(), given), given, seconds=299.0)
    store = evaluate(store, given, seconds=300.0)

    assert firing(evaluate(store, given, seconds=539.0)) == []
    assert firing(evaluate(store, given, seconds=540.0)) == [f"{AlertName.VM_DOWN} web-01"]


NOT_ENROLLED = " It is not enrolled, so recovery does not act on it."
ROW = "“Blinkenlights” by system at 10:00:00 UTC (machine_logs row 7), which no log pattern matches"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            down("held", failed_guard="not_silenced", detail="no stop request"),
            "crashed: no stop request. The guard `not_silenced` forbids its start.",
        ),
        (down("held"), "crashed."),
        (
            down("held", policy="no", failed_guard="enrolled"),
            f"crashed.{NOT_ENROLLED}",
        ),
        (down("unknown", detail=ROW), f"is down, and it is unknown why: {ROW}."),
        (
            down("unknown", detail=ROW, policy="no"),
            f"is down, and it is unknown why: {ROW}.{NOT_ENROLLED}",
        ),
        (
            down("platform", detail="node1 is not well"),
            "is down, and VergeOS, which has to restart it, has not done so: node1 is not well.",
        ),
        (down("suspect"), "is down, and is not diagnosed yet."),
        (down("verifying"), "is down, and the outcome of a recovery action is not known yet."),
    ],
)
def test_alert_of_a_vm_that_is_down_has_what_is_known(given: SystemReport, text: str) -> None:
    (stored,) = settled(given).firing

    assert stored.alert.annotations["description"] == (
        f"VM web-01 (1) in system production {text} Run `vergewatch explain VM`."
    )


@pytest.mark.parametrize("state", ["suspect", "baseline", "verifying", "platform", "quarantined"])
def test_alert_of_a_vm_that_is_down_resolves_only_when_it_runs_or_its_stop_is_proven(
    state: str,
) -> None:
    store = settled(down("unknown"))
    other = report(recovery=recovery(vms=(vm(1, state, START), vm(2)), mode=SHADOW))

    assert f"{AlertName.VM_DOWN} web-01" in firing(evaluate(store, other, seconds=86500.0))
    for after in (with_vm("stopped", mode=SHADOW), with_vm("healthy", mode=SHADOW)):
        assert firing(evaluate(store, after, seconds=86500.0)) == []


def test_special_characters_in_a_vm_name_are_kept() -> None:
    odd = msgspec.structs.replace(vm(1, "quarantined"), name='100%s "x"\\\n{{.}}')

    (stored,) = settled(report(recovery=recovery(vms=(odd,)))).firing

    assert stored.alert.labels["vm_name"] == odd.name
    assert f"VM {odd.name} (1)" in stored.alert.annotations["description"]


def test_alert_that_recovery_acted_fires_for_one_hour() -> None:
    acted = with_vm("healthy", last_actions=(last_action(1, "confirmed"),))

    store = evaluate(AlertStore(), acted)

    assert firing(evaluate(store, acted, seconds=3599.0)) == [f"{AlertName.ACTED} web-01"]
    assert firing(evaluate(store, acted, seconds=3600.0)) == []


def payloads(
    store: AlertStore, expires_at: datetime = START + timedelta(hours=9)
) -> list[dict[str, str]]:
    found: list[dict[str, str]] = msgspec.json.decode(
        encode_alerts(store.firing, {}, expires_at=expires_at)
    )
    return found


def test_resolved_alert_keeps_its_end_time_and_is_dropped_after_the_retention() -> None:
    store = settled(with_vm("quarantined"))
    began = store.firing[0].starts_at

    store = evaluate(store, HEALTHY, seconds=90000.0)

    assert firing(store) == []
    (kept,) = evaluate(store, HEALTHY, seconds=90500.0).alerts.values()
    assert (kept.starts_at, kept.ends_at) == (began, START + timedelta(seconds=90000.0))
    assert evaluate(store, HEALTHY, seconds=90900.0).alerts == {}


def test_firing_alert_keeps_its_start_and_expires_when_not_posted_again() -> None:
    store = settled(with_vm("quarantined"))

    (line,) = payloads(evaluate(store, with_vm("quarantined"), seconds=99999.0))

    assert datetime.fromisoformat(line["startsAt"]) == START
    assert datetime.fromisoformat(line["endsAt"]) == START + timedelta(hours=9)


def test_alert_that_fires_again_gets_a_new_start() -> None:
    store = evaluate(settled(with_vm("quarantined")), HEALTHY, seconds=90000.0)

    store = evaluate(store, with_vm("quarantined"), seconds=90010.0)

    assert [one.starts_at for one in store.firing] == [START + timedelta(seconds=90010.0)]
    assert len(store.alerts) == 1


@pytest.mark.parametrize("seconds", [-1e6, -1.0, 1.0])
def test_alert_resolved_after_the_clock_was_set_back_ends_no_earlier_than_it_starts(
    seconds: float,
) -> None:
    store = settled(with_vm("quarantined"))
    started = store.firing[0].starts_at

    resolved = store.evaluate(
        [HEALTHY], AlertLimits(), LINKS, now=started + timedelta(seconds=seconds), at=9e6
    )

    (stored,) = resolved.alerts.values()
    assert stored.ends_at == started + timedelta(seconds=max(seconds, 0.0))
    assert stored.starts_at == started


def test_firing_alert_posted_after_the_clock_was_set_back_starts_no_later_than_it_ends() -> None:
    store = settled(with_vm("quarantined"))
    expires_at = store.firing[0].starts_at - timedelta(days=1)

    (payload,) = payloads(store, expires_at)

    assert datetime.fromisoformat(payload["startsAt"]) == expires_at
    assert datetime.fromisoformat(payload["endsAt"]) == expires_at


FIRING_BEFORE_RESTART: Sequence[SystemReport] = (
    STALE,
    report(authenticated=False),
    report(recovery=recovery(readiness="disarmed", because="by alice: patching")),
    report(recovery=recovery(readiness="circuit_breaker_open")),
    report(recovery=recovery(journal_problem="the disk is full")),
    with_vm("quarantined"),
    with_vm("held"),
    down("unknown"),
    with_vm("backoff", last_actions=(last_action(1, "failed"),)),
    with_vm("backoff", last_actions=(last_action(1, "unknown"),)),
)


@pytest.mark.parametrize("before", FIRING_BEFORE_RESTART)
def test_restart_of_the_daemon_resolves_no_alert_before_data_is_read(before: SystemReport) -> None:
    store = settled(before)
    names = {
        (one.alert.name, one.alert.labels["system_name"], one.starts_at) for one in store.firing
    }

    store = evaluate(restarted(store), STARTING, seconds=86410.0)
    store = evaluate(store, STARTING, seconds=86470.0)

    assert names == {
        (one.alert.name, one.alert.labels["system_name"], one.starts_at) for one in store.firing
    }


@pytest.mark.parametrize("before", FIRING_BEFORE_RESTART)
def test_alert_whose_condition_ended_during_a_restart_resolves(before: SystemReport) -> None:
    store = evaluate(restarted(settled(before)), STARTING, seconds=86410.0)

    store = evaluate(store, HEALTHY, seconds=86500.0)

    assert firing(store) == []
    assert len(store.alerts) == 1


@pytest.mark.parametrize(
    ("breaker", "resolved"),
    [(None, False), ("open", False), ("half_open", False), ("closed", True)],
)
@pytest.mark.parametrize("readiness", ["warming_up", "disarmed", "paused", "degraded"])
def test_circuit_breaker_alert_resolves_once_the_breaker_is_known_to_be_closed(
    readiness: str, breaker: str | None, resolved: bool
) -> None:
    tripped = report(recovery=recovery(readiness="circuit_breaker_open", breaker="open"))
    after = report(recovery=recovery(readiness=readiness, breaker=breaker))

    store = evaluate(restarted(settled(tripped)), after, seconds=86500.0)

    assert (AlertName.CIRCUIT_BREAKER_OPEN not in firing(store)) is resolved


def test_alert_of_a_failed_action_resolves_after_a_restart_only_when_the_vm_runs() -> None:
    failed = with_vm("backoff", last_actions=(last_action(1, "failed"),))
    store = restarted(settled(failed))

    assert firing(evaluate(store, with_vm("suspect"), seconds=86500.0)) == [
        f"{AlertName.FAILED} web-01"
    ]
    assert firing(evaluate(store, with_vm("healthy"), seconds=86500.0)) == []


def test_alert_that_recovery_acted_outlives_a_restart() -> None:
    store = evaluate(AlertStore(), with_vm("healthy", last_actions=(last_action(1, "confirmed"),)))

    store = evaluate(restarted(store), HEALTHY, seconds=600.0)

    assert firing(store) == [f"{AlertName.ACTED} web-01"]
    assert firing(evaluate(store, HEALTHY, seconds=3600.0)) == []


def test_alerts_of_a_removed_system_resolve() -> None:
    store = settled(STALE)

    other = report(system_name="lab", url="https://lab.example")

    assert firing(evaluate(store, other, seconds=90000.0)) == []


def test_alerts_of_recovery_resolve_when_it_is_off_or_in_shadow_mode() -> None:
    assert firing(evaluate(settled(with_vm("held")), report(recovery=None), seconds=90000.0)) == []
    in_shadow = report(recovery=recovery(mode=SHADOW, readiness="disarmed"))
    disarmed = settled(report(recovery=recovery(readiness="disarmed")))
    assert firing(evaluate(disarmed, in_shadow, seconds=90000.0)) == []


def test_alerts_of_a_vm_that_is_no_longer_enrolled_resolve_if_the_journal_is_open() -> None:
    store = settled(with_vm("quarantined"))

    gone = report(recovery=recovery(vms=(vm(2),)))
    unread = report(recovery=recovery(vms=(), journal_problem="the disk is full"))

    assert firing(evaluate(store, gone, seconds=90000.0)) == []
    assert f"{AlertName.QUARANTINED} web-01" in firing(evaluate(store, unread, seconds=90000.0))


def test_system_that_gets_its_name_later_keeps_one_firing_alert() -> None:
    nameless = report(system_name="10.0.0.5", identity=None, up=False, named=False)
    store = settled(nameless)

    named = report(system_name="production", identity=Identity("production", "26"), up=False)
    store = evaluate(store, named, seconds=90000.0)

    assert [one.alert.labels["system_name"] for one in store.firing] == ["production"]
    ended = [one for one in store.alerts.values() if one.ends_at is not None]
    assert [one.alert.labels["system_name"] for one in ended] == ["10.0.0.5"]
    assert len(restarted(store).alerts) == 2


def test_alerts_about_vms_wait_for_the_name_of_the_system() -> None:
    nameless = msgspec.structs.replace(
        with_vm("quarantined"), system_name="10.0.0.5", up=False, named=False
    )

    store = settled(nameless)
    assert firing(store) == [AlertName.SYSTEM_DATA_STALE]
    assert "Its name is not known yet." in store.firing[0].alert.annotations["description"]

    store = evaluate(store, with_vm("quarantined"), seconds=90000.0)
    assert {one.alert.labels["system_name"] for one in store.firing} == {"production"}


@pytest.mark.parametrize("up", [True, False])
def test_frozen_status_alerts_after_a_wait_and_until_it_is_known_to_be_updated(up: bool) -> None:
    frozen = report(frozen=True)
    store = evaluate(AlertStore(), frozen)
    assert firing(store) == []
    store = evaluate(store, frozen, seconds=120.0)
    assert firing(store) == [AlertName.STATUS_FROZEN]

    restarting = report(frozen=None, up=up)  # nothing is known for minutes
    store = evaluate(restarted(store), restarting, seconds=130.0)
    assert firing(store) == [AlertName.STATUS_FROZEN]

    store = evaluate(store, report(frozen=False), seconds=400.0)
    assert firing(store) == []


def test_authentication_alert_resolves_when_a_table_was_read() -> None:
    store = settled(report(authenticated=False))
    unread = report(tables=(table(success=False),))

    assert firing(evaluate(store, unread, seconds=90000.0)) == [AlertName.AUTHENTICATION_FAILED]
    assert firing(evaluate(store, HEALTHY, seconds=90000.0)) == []


def rule_alert_names() -> set[str]:
    return {
        rule["alert"]
        for file in (ROOT / "alerts").glob("*.rules.yml")
        for group in yaml.safe_load(file.read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }


def test_alert_names_that_silences_distinguish_are_those_of_the_alert_rules() -> None:
    vm_down, other = VARYING_LABELS["alertname"]

    assert sorted([*vm_down, *other]) == sorted(rule_alert_names())
    exporter_alerts = {one.name for one in ALERTS if one.layer is Layer.EXPORTER}
    assert exporter_alerts
    assert exporter_alerts <= set(other)


@pytest.mark.parametrize(("label", "values"), [("severity", Severity), ("layer", Layer)])
def test_label_values_that_silences_distinguish_are_those_of_the_alert_rules(
    label: str, values: type[Severity] | type[Layer]
) -> None:
    vm_down, other = VARYING_LABELS[label]

    assert sorted([*vm_down, *other]) == sorted(str(value) for value in values)


@pytest.mark.parametrize("name", AlertName)
def test_alert_of_the_daemon_is_defined_like_its_alert_rule(name: AlertName) -> None:
    rule = next(alert for alert in ALERTS if alert.name == name)
    definition = DEFINITIONS[name]

    assert (definition.severity, definition.layer, definition.summary, definition.identity) == (
        rule.severity, rule.layer, rule.summary, rule.identity,
    )  # fmt: skip


def posted(store: AlertStore) -> list[str]:
    return [one.alert.name for one in store.posted]


def standing_by(**changed: object) -> SystemReport:
    """Return a report of a replica that does not lead."""
    about = recovery(leads=False, readiness="standby", vms=(), **changed)
    return report(up=False, authenticated=False, recovery=about)


def test_standby_posts_no_alert_that_could_mute_those_of_the_leader() -> None:
    store = settled(standing_by())

    assert posted(store) == []
    assert {AlertName.SYSTEM_DATA_STALE, AlertName.AUTHENTICATION_FAILED} <= set(firing(store))


def test_replica_without_journal_posts_its_alerts_because_none_may_lead() -> None:
    store = settled(standing_by(journal_problem="cannot connect"))

    assert {AlertName.SYSTEM_DATA_STALE, AlertName.JOURNAL_DOWN} <= set(posted(store))


def test_alerts_of_a_system_do_not_wait_again_after_a_takeover() -> None:
    store = settled(standing_by())

    store = evaluate(store, STALE, seconds=86401.0)

    assert AlertName.SYSTEM_DATA_STALE in posted(store)


@pytest.mark.parametrize(("down_seconds", "expected"), [(60.0, []), (1200.0, [AlertName.VM_DOWN])])
def test_alert_of_a_vm_that_is_down_does_not_wait_again_after_a_takeover(
    down_seconds: float, expected: list[str]
) -> None:
    store = settled(standing_by())
    leads = report(recovery=recovery(vms=()))  # until the journal is read
    one = down("held", START + timedelta(seconds=86402.0 - down_seconds))

    store = evaluate(evaluate(store, leads, seconds=86401.0), one, seconds=86402.0)

    assert posted(store) == expected


def test_alert_of_a_vm_that_is_down_waits_where_no_replica_saw_it_before() -> None:
    store = evaluate(AlertStore(), HEALTHY)

    store = evaluate(store, down("held", LONG_AGO), seconds=1.0)

    assert posted(store) == []


def test_former_leader_posts_no_alert_of_a_vm_any_more() -> None:
    store = settled(down("held"))
    assert posted(store) == [AlertName.VM_DOWN]

    assert posted(evaluate(store, standing_by(), seconds=86401.0)) == []
