"""The rules and their runbooks are complete, and the committed files are up to date."""

import re
import shlex
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
import typer
import yaml

from exporter.cli.main import full_command
from exporter.collectors.node_details import IpmiStatus
from exporter.config.settings import Settings
from exporter.inputs.validation import walk
from exporter.model import StatusWord
from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.model.cases import Outcome
from exporter.recovery.model.decision import GuardName
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.states import State
from tests.alert_rules.cases import all_cases, cases_of
from tests.alert_rules.fast_rules import fast
from tests.alert_rules.grammar import KNOWN, problems
from tests.alert_rules.promtool import promtools
from tests.alert_rules.stories import STORIES
from tests.debian import needs
from tools.alert_rules import storage, vms
from tools.alert_rules.expressions import DOWN_STATES, UP_STATES
from tools.alert_rules.files import LINKS, rule_files
from tools.alert_rules.groups import ALERTS, GROUPS
from tools.alert_rules.inhibitions import INHIBITIONS, NOTIFYING, frozen
from tools.alert_rules.model import FOR, MUTED, MUTING, Alert, Layer, Recording, Severity, seconds
from tools.alert_rules.runbooks import BEGIN, END, SECTIONS, runbooks

ROOT = Path(__file__).parent.parent.parent
BY_NAME = {alert.name: alert for alert in ALERTS}
RECORDINGS = [recording for group in GROUPS for recording in group.recordings]
MARKED = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
QUERIES = re.compile(r"`([^`]*vergewatch_[^`]*)`")

SETTINGS = {
    ".".join(path[:length]) for path, _ in walk(Settings) for length in range(1, len(path) + 1)
}

SHOWN_WITH_SYSTEM = set(
    re.search(r"if or ((?:\.\w+ ?)+)", (ROOT / "alerts/vergewatch.tmpl").read_text())[1]  # type: ignore[index]
    .replace(".", "")
    .split()
)
"""The labels of objects whose system `vergewatch.tmpl` adds to the title."""

every_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)


def page(alert: Alert) -> str:
    return (ROOT / f"docs/runbooks/{alert.name}.md").read_text()


def prose(alert: Alert) -> str:
    """Return the hand-written part of a runbook."""
    before, _, rest = page(alert).partition(BEGIN)
    return before + rest.partition(END)[2]


def test_committed_files_are_up_to_date() -> None:
    for path, text in {**rule_files(), **runbooks(ROOT)}.items():
        assert (ROOT / path).read_text() == text, f"{path} is out of date: run make docs"


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    found = {path.name for path in (ROOT / "docs/runbooks").iterdir()}

    assert found == {"README.md", *(f"{alert.name}.md" for alert in ALERTS)}


def test_alerts_directory_has_no_other_files() -> None:
    found = {f"alerts/{path.name}" for path in (ROOT / "alerts").iterdir()}

    assert found == {
        *rule_files(), "alerts/README.md", "alerts/alertmanager.yml", "alerts/vergewatch.tmpl",
    }  # fmt: skip


def test_new_alert_gets_a_runbook_with_empty_sections(tmp_path: Path) -> None:
    text = runbooks(tmp_path)["docs/runbooks/VergeVMDown.md"]

    assert text.startswith("# VergeVMDown\n")
    assert "VM `vm_name` is down unexpectedly." in text
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == list(SECTIONS)


@pytest.mark.parametrize("marker", [BEGIN, END])
def test_runbook_without_marker_is_refused(tmp_path: Path, marker: str) -> None:
    path = "docs/runbooks/VergeVMDown.md"
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text((ROOT / path).read_text().replace(marker, ""))

    with pytest.raises(ValueError, match=r"VergeVMDown.*lacks the lines"):
        runbooks(tmp_path)


@pytest.mark.parametrize("program", promtools(), ids=lambda path: Path(path).name)
def test_promtool_accepts_the_rules(program: str) -> None:
    needs("promtool")

    done = subprocess.run(
        [program, "check", "rules", "--lint=all", "--lint-fatal",
         *sorted(map(str, (ROOT / "alerts").glob("*.rules.yml")))],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheusrule_has_the_same_rules() -> None:
    whole = yaml.safe_load((ROOT / "alerts/prometheusrule.yaml").read_text())
    parts = [
        group
        for name in (group.name for group in GROUPS)
        for group in yaml.safe_load((ROOT / f"alerts/{name}.rules.yml").read_text())["groups"]
    ]

    assert whole["kind"] == "PrometheusRule"
    assert whole["spec"]["groups"] == parts


def test_alerts_are_warnings_but_for_these() -> None:
    others = {
        Severity.CRITICAL: "NodeOffline VMDown RecoveryFailed RecoveryQuarantined RecoveryRival "
        "RecoveryApprovalNeeded RecoveryCircuitBreakerOpen RecoveryInternalError "
        "RecoveryJournalDown RecoveryNoLeader RecoverySeveralLeaders ExporterDown ExporterAbsent "
        "SystemDataStale SystemStatusFrozen AuthenticationFailed StorageTierDown NetworkDown "
        "GatewayUnreachable TenantDown",
        Severity.INFO: "VMRestartPending VMGuestAgentLost VMCPUSaturated VMGuestMemoryPressure "
        "RecoveryActed DuplicateSeries",
        Severity.NONE: "VMFailoverWindow Watchdog",
    }
    expected = {
        f"Verge{name}": severity for severity, names in others.items() for name in names.split()
    }

    found = {alert.name: alert.severity for group in GROUPS for alert in group.alerts
             if group.name != "doctor"}  # fmt: skip
    assert found == {**dict.fromkeys(found, Severity.WARNING), **expected}


@every_alert
def test_alert_name_is_unique_camel_case_with_prefix(alert: Alert) -> None:
    assert re.fullmatch(r"Verge([A-Z]+[a-z]*)+", alert.name)
    assert sum(other.name == alert.name for other in ALERTS) == 1


@every_alert
def test_summary_names_the_object(alert: Alert) -> None:
    named = re.findall(r"\{(\w+)\}", alert.summary)

    assert set(named) <= set(alert.identity)
    assert named or not alert.identity
    assert not alert.summary.endswith(".")
    if alert.identity and "system_name" in alert.identity:  # the message adds the system to these
        assert ("system_name" in named) is not bool({*named} & SHOWN_WITH_SYSTEM)


@every_alert
def test_expression_uses_existing_metrics_and_labels(alert: Alert) -> None:
    assert list(problems(frozen(alert))) == []


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda one: one.name)
def test_recording_uses_existing_metrics_and_labels(recording: Recording) -> None:
    assert list(problems(recording.expr)) == []
    assert re.fullmatch(r"[a-z_]+:vergewatch_[a-z_]+:[a-z_]+", recording.name)


@every_alert
def test_description_uses_labels_of_the_alert(alert: Alert) -> None:
    texts = alert.description + alert.title + alert.dashboard(LINKS)

    used = set(re.findall(r"\$labels\.(\w+)", texts))

    assert used <= set(alert.identity)
    if alert.layer is Layer.VM:
        assert {"system_name", "vm_name"} <= used


@every_alert
def test_query_in_description_uses_existing_metrics_and_labels(alert: Alert) -> None:
    for query in QUERIES.findall(alert.description):
        assert list(problems(query.replace("%q", '"x"'))) == []


@every_alert
def test_description_formats_its_value(alert: Alert) -> None:
    for use in re.findall(r"\{\{ \$value[^}]*\}\}", alert.description):
        counted = "count by" in alert.expr or "vergewatch_api" in alert.expr
        assert "|" in use or counted or "duplicate" in alert.expr, use


@every_alert
def test_duration_in_description_is_one_of_the_rule(alert: Alert) -> None:
    durations = re.findall(r"\b\d+[dhms]\b", alert.description)

    for duration in durations:
        assert re.search(rf"\b({duration}|{seconds(duration)})\b", alert.expr), duration
    assert alert.for_ or FOR not in alert.description


@every_alert
def test_alert_has_cases_where_it_fires_and_where_it_does_not(alert: Alert) -> None:
    cases = cases_of(alert.name)

    assert any(case.fires for case in cases)
    if alert.name != "VergeWatchdog":  # which always fires
        assert any(case.silent and not case.fires for case in cases)


def test_each_case_is_about_an_existing_rule() -> None:
    tested = {case.alert for case in all_cases()}

    assert tested - {recording.name for recording in RECORDINGS} == set(BY_NAME)
    assert sorted(story.alert for story in STORIES) == sorted(BY_NAME)
    for story in STORIES:
        assert set(story.labels) == set(BY_NAME[story.alert].identity)


@every_alert
def test_runbook_has_all_sections(alert: Alert) -> None:
    text = page(alert)

    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    sections = re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]

    assert text.startswith(f"# {alert.name}\n")
    assert text.count(BEGIN) == text.count(END) == 1
    assert tuple(headings) == SECTIONS
    assert all(section.strip() for section in sections)
    assert not re.search(r"TODO|FIXME|TBD", text)


@every_alert
def test_runbook_names_existing_alerts_metrics_and_settings(alert: Alert) -> None:
    text = prose(alert)

    assert set(re.findall(r"\bVerge[A-Z]+[a-z]\w*", text)) - {"VergeOS"} <= set(BY_NAME)
    assert set(re.findall(r"\b(?:\w+:)?vergewatch_[\w:]*", text)) <= set(KNOWN)
    assert set(re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", text)) <= SETTINGS


@every_alert
def test_runbook_queries_use_existing_metrics_and_labels(alert: Alert) -> None:
    blocks = MARKED.findall(prose(alert))

    assert {kind for kind, _ in blocks} <= {"promql", "console"}
    for query in (text for kind, text in blocks if kind == "promql"):
        wrong = [one for one in problems(query) if not one.startswith("the counter")]
        assert wrong == []


@every_alert
def test_runbook_commands_exist(alert: Alert) -> None:
    text = prose(alert)
    lines = re.findall(r"\$ (vergewatch .*)", text) + re.findall(r"`(vergewatch [^`]*)`", text)
    lines += re.findall(r"`(vergewatch [^`]*)`", alert.description)

    for line in lines:
        understand(shlex.split(line.replace("...", "why"))[1:])


def understand(words: list[str]) -> None:
    """Fail unless the command line has *words* as a command with its options."""
    command = typer.main.get_command(full_command())
    while words and hasattr(command, "commands") and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    assert not hasattr(command, "commands"), f"{words} names no command"
    options = {name for one in command.params for name in one.opts}
    for one in command.params:
        if one.required and one.param_type_name == "option":
            assert set(one.opts) & set(words), f"{command.name} needs {one.opts}"
    for word in words:
        if word.startswith("-"):
            assert word in options, f"{command.name} has no {word}"


def test_label_values_in_expressions_are_those_of_the_code() -> None:
    states = set(DOWN_STATES.split("|"))
    others = [alert for alert in ALERTS if alert.layer is not Layer.PLATFORM]  # of other words
    whole = "\n".join(alert.expr for alert in others)

    assert set(UP_STATES.split("|")) == {State.HEALTHY, State.PROBATION}
    assert states == set(State) - {
        State.BASELINE, State.HEALTHY, State.STOPPED, State.PROBATION
    }  # fmt: skip
    assert set(f"{vms.TRANSITIONS}|{vms.MIGRATIONS}".split("|")) <= set(StatusWord)
    kinds: dict[str, Iterable[str]] = {
        "status": (*StatusWord, *IpmiStatus, *storage.DOWN.split("|"), storage.OFFLINE),
        "state": State,
        "readiness": ReadinessState,
        "mode": Mode,
        "outcome": Outcome,
        "failed_guard": GuardName,
    }
    for label, words in kinds.items():
        used = re.findall(rf'[{{ ,]{label}=~?"([^"]*)"', whole)
        assert used
        assert {word for some in used for word in some.split("|")} <= {str(one) for one in words}


def test_muted_alert_keeps_firing_longer_than_its_source() -> None:
    stale = BY_NAME["VergeSystemDataStale"]
    for rule in INHIBITIONS:
        for target in (BY_NAME[name] for name in rule.targets):
            keeps = seconds(target.keep_firing_for)
            assert target.severity in NOTIFYING
            assert set(rule.equal) <= set(target.identity)
            assert keeps >= seconds(MUTING)
            if target.layer in (Layer.VM, Layer.NODE):  # their series end before the alert starts
                assert keeps > seconds(stale.for_) + 60
        for source in (BY_NAME[name] for name in rule.sources):
            assert set(rule.equal) <= set(source.identity)
            assert seconds(source.keep_firing_for) <= seconds(MUTED)


def test_no_alert_mutes_itself_through_others() -> None:
    muted_by = {(source, target) for rule in INHIBITIONS for source in rule.sources
                for target in rule.targets}  # fmt: skip

    reach = set(muted_by)
    for _ in ALERTS:
        reach |= {(one, three) for one, two in reach for also, three in muted_by if two == also}

    assert all(one != two for one, two in reach)


@pytest.mark.parametrize(
    ("duration", "expected"), [("", 0), ("30s", 30), ("5m", 300), ("1h30m", 5400), ("7d", 604800)]
)
def test_seconds_of_a_duration(duration: str, expected: int) -> None:
    assert seconds(duration) == expected


def test_fast_rules_divide_every_duration_and_nothing_else() -> None:
    text = fast(rule_files()["alerts/vms.rules.yml"], 60)

    rules = {rule["alert"]: rule for rule in yaml.safe_load(text)["groups"][0]["rules"]
             if "alert" in rule}  # fmt: skip
    pending = rules["VergeVMRestartPending"]["expr"]
    assert rules["VergeVMDown"]["for"] == "5000ms"
    assert rules["VergeVMDown"]["keep_firing_for"] == "4000ms"
    assert "offset 10080000ms" in pending
    assert "> 10080)" in pending
    assert "[360000ms], 1440)" in rules["VergeVMFilesystemFilling"]["expr"]
    assert "> 0.7" in rules["VergeVMFilesystemFilling"]["expr"]
