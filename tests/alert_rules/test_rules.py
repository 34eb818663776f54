"""The rules, their runbooks and their cases are whole, and the committed files are the rules."""

import re
import shlex
import subprocess
from enum import StrEnum
from pathlib import Path

import pytest
import typer
import yaml

from exporter.cli.main import full_command
from exporter.model import StatusWord
from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.model.cases import Outcome
from exporter.recovery.model.decision import GuardName
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.states import State
from tests.alert_rules.cases import all_cases, cases_of
from tests.alert_rules.grammar import complaints
from tests.alert_rules.promtool import promtools
from tests.alert_rules.stories import STORIES
from tests.debian import needs
from tools.alert_rules import vms
from tools.alert_rules.expressions import DOWN_STATES
from tools.alert_rules.files import all_alerts, files, groups
from tools.alert_rules.inhibitions import NOTIFYING, frozen, inhibitions
from tools.alert_rules.model import Alert, Layer, Recording, Severity
from tools.alert_rules.runbooks import HEADINGS
from tools.alert_rules.thresholds import DEFAULT, duration

ROOT = Path(__file__).parent.parent.parent
ALERTS = all_alerts()
TABLE = inhibitions(ALERTS)
MARKED = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
QUERIES = re.compile(r"`([^`]*vergewatch_[^`]*)`")

every_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)


def page(alert: Alert) -> str:
    return files()[f"docs/runbooks/{alert.name}.md"]


def test_the_committed_files_are_those_that_are_generated() -> None:
    for path, text in files().items():
        assert (ROOT / path).read_text() == text, f"{path} is out of date: run make docs"


def test_nothing_else_lies_there() -> None:
    ours = {"alerts/README.md", "alerts/alertmanager.yml", "alerts/vergewatch.tmpl"}
    there = {
        str(path.relative_to(ROOT))
        for folder in ("alerts", "docs/runbooks")
        for path in (ROOT / folder).iterdir()
    }

    assert there == {*files(), *ours}


@pytest.mark.parametrize("program", promtools(), ids=lambda path: Path(path).name)
def test_promtool_has_nothing_to_say(program: str) -> None:
    needs("promtool")

    done = subprocess.run(
        [program, "check", "rules", "--lint=all", "--lint-fatal",
         *sorted(map(str, (ROOT / "alerts").glob("*.rules.yml")))],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_operators_object_has_the_same_rules() -> None:
    whole = yaml.safe_load((ROOT / "alerts/prometheusrule.yaml").read_text())
    parts = [
        group
        for name in ("vms", "recovery", "exporter")
        for group in yaml.safe_load((ROOT / f"alerts/{name}.rules.yml").read_text())["groups"]
    ]

    assert whole["kind"] == "PrometheusRule"
    assert whole["spec"]["groups"] == parts


def test_what_each_alert_asks_of_people() -> None:
    asks = {
        Severity.CRITICAL: "NodeOffline VMDown RecoveryFailed RecoveryQuarantined "
        "RecoveryCircuitBreakerOpen RecoveryInternalError RecoveryJournalDown "
        "ExporterDown ExporterAbsent SystemDataStale "
        "AuthenticationFailed",
        Severity.WARNING: "VMUnresponsive VMError VMStuckInTransition VMMigrationStuck VMFlapping "
        "VMFilesystemAlmostFull VMFilesystemFilling RecoveryOutcomeUnknown RecoveryHeldTooLong "
        "RecoveryUnknownTooLong RecoveryNotReady RecoveryDisarmed RecoveryPausedTooLong "
        "RecoveryKeyReadOnly RecoveryClockJumps ExporterRestarting TableFailing RowsSkipped "
        "APIBudgetLow EventLoopStalling ReloadFailed",
        Severity.INFO: "VMRestartPending VMGuestAgentLost VMCPUSaturated VMGuestMemoryPressure "
        "RecoveryActed DuplicateSeries",
        Severity.NONE: "VMFailoverWindow Watchdog",
    }

    assert {alert.name: alert.severity for alert in ALERTS} == {
        f"Verge{name}": severity for severity, names in asks.items() for name in names.split()
    }


@every_alert
def test_a_name_is_camel_case_and_says_whose_it_is(alert: Alert) -> None:
    assert re.fullmatch(r"Verge([A-Z]+[a-z]*)+", alert.name)
    assert sum(other.name == alert.name for other in ALERTS) == 1


@every_alert
def test_a_summary_is_one_plain_sentence(alert: Alert) -> None:
    assert alert.summary.endswith(".")
    assert "{{" not in alert.summary
    assert alert.quiet


@every_alert
def test_an_expression_uses_what_there_is(alert: Alert) -> None:
    assert list(complaints(frozen(alert, TABLE))) == []


@pytest.mark.parametrize(
    "recording", [one for group in groups() for one in group.recordings], ids=lambda one: one.name
)
def test_a_recording_uses_what_there_is(recording: Recording) -> None:
    assert list(complaints(recording.expr)) == []
    assert re.fullmatch(r"[a-z_]+:vergewatch_[a-z_]+:[a-z_]+", recording.name)


@every_alert
def test_a_text_names_labels_that_the_alert_has(alert: Alert) -> None:
    texts = alert.description + alert.dashboard

    used = set(re.findall(r"\$labels\.(\w+)", texts))

    assert used <= set(alert.identity)
    if alert.layer is Layer.VM:
        assert {"system_name", "vm_name"} <= used


@every_alert
def test_a_text_asks_for_what_there_is(alert: Alert) -> None:
    for query in QUERIES.findall(alert.description):
        assert list(complaints(query.replace("%q", '"x"'))) == []


@every_alert
def test_a_text_shows_no_bare_numbers_with_many_digits(alert: Alert) -> None:
    for use in re.findall(r"\{\{ \$value[^}]*\}\}", alert.description):
        counted = "count by" in alert.expr or "vergewatch_api" in alert.expr
        assert "|" in use or counted or "duplicate" in alert.expr, use


@every_alert
def test_an_alert_has_a_case_that_fires_and_one_that_does_not(alert: Alert) -> None:
    cases = cases_of(alert.name)

    assert any(case.fires for case in cases)
    if alert.name != "VergeWatchdog":  # which is never silent, that is the point
        assert any(case.silent and not case.fires for case in cases)


def test_every_case_is_about_a_rule_that_there_is() -> None:
    names = {alert.name for alert in ALERTS}
    recorded = {one.name for group in groups() for one in group.recordings}

    assert {case.alert for case in all_cases()} == names | (
        recorded & {c.alert for c in all_cases()}
    )
    assert sorted(story.alert for story in STORIES) == sorted(names)
    for story in STORIES:
        (alert,) = (one for one in ALERTS if one.name == story.alert)
        assert set(story.labels) == set(alert.identity)


@every_alert
def test_a_runbook_is_whole(alert: Alert) -> None:
    text = page(alert)

    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    sections = re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]

    assert tuple(headings) == HEADINGS
    assert all(section.strip() for section in sections)
    assert not re.search(r"TODO|FIXME|TBD", text)
    assert f"({alert.name}.md)" in files()["docs/runbooks/README.md"]
    assert all(
        (f"docs/runbooks/{name}") in files() for name in re.findall(r"\]\((\w+\.md)\)", text)
    )


@every_alert
def test_a_runbooks_queries_use_what_there_is(alert: Alert) -> None:
    queries = [text for kind, text in MARKED.findall(page(alert)) if kind == "promql"]

    assert queries
    for query in queries[1:]:  # the first is the alert's own
        wrong = [one for one in complaints(query) if not one.startswith("the counter")]
        assert wrong == []


@every_alert
def test_a_runbooks_commands_are_ours_and_understood(alert: Alert) -> None:
    text = page(alert)
    commands = re.findall(r"\$ (vergewatch .*)", text) + re.findall(r"`(vergewatch [^`]*)`", text)

    for line in commands:
        understand(shlex.split(line.replace("...", "why"))[1:])


def understand(words: list[str]) -> None:
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


def test_words_are_those_of_the_code() -> None:
    states = set(DOWN_STATES.split("|"))
    whole = "\n".join(alert.expr for alert in ALERTS)

    assert states == set(State) - {
        State.BASELINE, State.HEALTHY, State.STOPPED, State.PROBATION
    }  # fmt: skip
    assert set(f"{vms.TRANSITIONS}|{vms.MIGRATIONS}".split("|")) <= set(StatusWord)
    kinds: dict[str, type[StrEnum]] = {
        "status": StatusWord,
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


def test_what_is_muted_outlives_what_mutes_it() -> None:
    by_name = {alert.name: alert for alert in ALERTS}
    for rule in TABLE:
        for name in rule.targets:
            target = by_name[name]
            assert target.severity in NOTIFYING
            assert set(rule.equal) <= set(target.identity)
            assert target.linger_seconds >= DEFAULT.mute_linger_seconds
            if target.layer in (Layer.VM, Layer.NODE):  # their series go before the alert comes
                assert target.linger_seconds > DEFAULT.outage_seconds + 60
        for name in rule.sources:
            assert set(rule.equal) <= set(by_name[name].identity)
            assert by_name[name].linger_seconds <= DEFAULT.muted_linger_seconds


def test_nothing_mutes_itself_in_a_circle() -> None:
    muted_by = {(source, target) for rule in TABLE for source in rule.sources
                for target in rule.targets}  # fmt: skip

    reach = set(muted_by)
    for _ in ALERTS:
        reach |= {(one, three) for one, two in reach for also, three in muted_by if two == also}

    assert all(one != two for one, two in reach)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(300, "5m"), (5400, "1h30m"), (604800, "7d"), (1.5, "1s500ms"), (0.0001, "1ms")],
)
def test_durations_are_written_as_prometheus_reads_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_test_in_a_hurry_shortens_every_duration_and_nothing_else() -> None:
    hurried = DEFAULT.hurried(60)

    assert hurried.vm_down_seconds == DEFAULT.vm_down_seconds / 60
    assert hurried.filesystem_full_ratio == DEFAULT.filesystem_full_ratio
    assert "for: 5s" in files(hurried)["alerts/vms.rules.yml"]
