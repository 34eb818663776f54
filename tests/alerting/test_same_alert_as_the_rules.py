"""The daemon and the alert rules send the same alert for the same fact."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
import yaml

from exporter.alerting.alert_store import AlertStore, encode_alerts
from exporter.alerting.config import AlertLimits
from exporter.alerting.definitions import AlertName, Links
from exporter.model import RecoveryVM, SystemReport
from tests.alert_rules.stories import STORIES, SYSTEM
from tests.alerting.samples import LONG_AGO, last_action, question, recovery, report
from tests.fakes import START
from tools.alert_rules.files import rule_files

LINKS = Links("https://docs.example/runbooks", "https://grafana.example")
OF_STORY = {story.alert: story.labels for story in STORIES}
"""The labels of each rule's alert, as promtool confirms them."""
RULES = {
    rule["alert"]: rule
    for path, text in rule_files(LINKS).items()
    if path.endswith(".rules.yml")
    for group in yaml.safe_load(text)["groups"]
    for rule in group["rules"]
    if "alert" in rule
}


def of_vm(state: str, mode: str = "enforce", **changed: object) -> SystemReport:
    """Return a report of the VM of the stories in *state*."""
    one = RecoveryVM(7, "web", "on-failure", state, LONG_AGO, down_since=LONG_AGO)
    return report(system_name=SYSTEM, recovery=recovery(vms=(one,), mode=mode, **changed))


def of_recovery(**changed: object) -> SystemReport:
    return report(system_name=SYSTEM, recovery=recovery(**changed))


SITUATIONS: Mapping[AlertName, SystemReport] = {
    AlertName.SYSTEM_DATA_STALE: report(system_name=SYSTEM, up=False),
    AlertName.AUTHENTICATION_FAILED: report(system_name=SYSTEM, authenticated=False),
    AlertName.STATUS_FROZEN: report(system_name=SYSTEM, frozen=True),
    AlertName.DISARMED: of_recovery(readiness="disarmed"),
    AlertName.RIVAL: of_recovery(readiness="rival"),
    AlertName.INTERNAL_ERROR: of_recovery(readiness="broken"),
    AlertName.CIRCUIT_BREAKER_OPEN: of_recovery(readiness="circuit_breaker_open"),
    AlertName.JOURNAL_DOWN: of_recovery(journal_problem="the disk is full"),
    AlertName.ERROR_BUDGET_SPENT: of_recovery(fell_back="2 of 20 were undone"),
    AlertName.VM_DOWN: of_vm("held"),
    AlertName.QUARANTINED: of_vm("quarantined"),
    AlertName.HELD_TOO_LONG: of_vm("held"),
    AlertName.FAILED: of_vm("backoff", last_actions=(last_action(7, "failed"),)),
    AlertName.OUTCOME_UNKNOWN: of_vm("indeterminate"),
    AlertName.ACTED: of_vm("healthy", last_actions=(last_action(7, "confirmed", START),)),
    AlertName.APPROVAL_NEEDED: of_vm("held", "ask", questions=(question(7),)),
}
"""The situation of the story of each alert, as the daemon reports it."""


def posted(name: AlertName, more_labels: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return what the daemon posts in the situation of *name* once it has lasted."""
    store, given = AlertStore(), SITUATIONS[name]
    seconds = (0.0, 3000.0 if name is AlertName.ACTED else 86_400.0)
    for at in seconds:
        store = store.evaluate(
            [given], AlertLimits(), LINKS, now=START + timedelta(seconds=at), at=at
        )
    body = msgspec.json.decode(encode_alerts(store.firing, more_labels, expires_at=START))
    (found,) = [one for one in body if one["labels"]["alertname"] == name]
    return dict(found)


def template(text: str, labels: Mapping[str, str]) -> str:
    """Return *text* as Prometheus expands it, as far as it has labels only."""
    for name, value in labels.items():
        for use in (f"{{{{ $labels.{name} }}}}", f"{{{{ $labels.{name} | urlquery }}}}"):
            text = text.replace(use, value)
    return text


@pytest.mark.parametrize("name", AlertName)
def test_labels_title_and_links_are_those_of_the_rule(name: AlertName) -> None:
    rule, labels = RULES[name], OF_STORY[name]

    alert = posted(name, {})

    assert alert["labels"] == {"alertname": name, **rule["labels"], **labels}
    own = alert["annotations"]
    for annotation in ("summary", "runbook_url", "dashboard_url"):
        assert own.pop(annotation) == template(rule["annotations"][annotation], labels)
    assert list(own) == ["description"]


def test_external_labels_are_added_as_prometheus_adds_them() -> None:
    name = AlertName.RIVAL

    labels = posted(name, {"site": "eu", "severity": "none"})["labels"]

    assert labels == {**posted(name, {})["labels"], "site": "eu"}


def test_name_with_braces_and_percent_signs_stays_as_it_is() -> None:
    odd = RecoveryVM(7, "100% {x} {{.}} &", "on-failure", "quarantined", LONG_AGO)
    given = report(system_name="a&b", recovery=recovery(vms=(odd,)))

    (stored,) = AlertStore().evaluate([given], AlertLimits(), LINKS, now=START, at=0.0).firing

    annotations = stored.alert.annotations
    assert annotations["summary"] == "VM 100% {x} {{.}} & is quarantined; manual action is required"
    assert annotations["dashboard_url"].endswith(
        "?var-system=a%26b&var-vm=100%25+%7Bx%7D+%7B%7B.%7D%7D+%26"
    )


@pytest.mark.parametrize("path", list(rule_files()))
def test_links_of_a_site_replace_those_of_the_repository(tmp_path: Path, path: str) -> None:
    text = rule_files(LINKS)[path]

    assert "github.com" not in text
    assert text.count("https://docs.example/runbooks/Verge") == rule_files()[path].count("- alert:")
    assert '"/d/' not in text
