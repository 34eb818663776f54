"""Templates of log rows, and the log patterns that give them a meaning."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from exporter.recovery.detect.log_patterns import (
    LOG_PATTERNS,
    STOPS,
    LogClassifier,
    LogPattern,
    Meaning,
    compile_log_pattern,
)
from exporter.recovery.detect.templates import NAME, template
from exporter.recovery.model.log_templates import RowSource
from exporter.simulator.world.platform_log import LOG_TEMPLATES

EXPECTED: dict[str, Meaning | None] = {
    "powered_on": Meaning.START,
    "powered_off": Meaning.DOUBT,
    "guest_shut_down": Meaning.GUEST_STOP,
    "guest_rebooted": Meaning.RESET,
    "hung": Meaning.HARMLESS,
    "woke_up": Meaning.HARMLESS,
    "hibernated": Meaning.STOP,
    "migration_started": Meaning.MOVE,
    "migrated": Meaning.MOVE,
    "renamed": Meaning.HARMLESS,
    "changed": Meaning.DOUBT,
    "created": Meaning.HARMLESS,
    "tagged": Meaning.HARMLESS,
    "untagged": Meaning.HARMLESS,
    "status_forced": None,
    "ha_restarted": Meaning.PLATFORM,
    "no_capacity": Meaning.HARMLESS,
    "out_of_space": None,
    "node_failed": Meaning.HARMLESS,
    "node_returned": Meaning.HARMLESS,
    "node_maintenance": Meaning.NODE,
    "node_maintenance_left": Meaning.START,
    "maintenance_power_off": Meaning.NODE,
    "deleted": Meaning.DOUBT,
    "logged_in": Meaning.HARMLESS,
    "login_failed": Meaning.HARMLESS,
}
ACTIONS = {
    "poweroff": Meaning.STOP,
    "kill": Meaning.STOP,
    "hibernate": Meaning.STOP,
    "restore": Meaning.STOP,
    "delete": Meaning.STOP,
    "poweron": Meaning.START,
    "reset": Meaning.RESET,
    "migrate": Meaning.MOVE,
    "defragment": None,
}
WORDS = {"user": "anna", "node": "node1", "task": "Friday off", "old": "x", "tag": "auto"}
NAMES = (
    "web-01",
    "powered on",
    "created",
    "off",
    "poweroff",
    "it's responsive-web",
    "powered off by 'anna'",
    "Datenbank Süd",
    "機械-01",
    "1",
)
POWER_TEXTS = (
    "VM is unresponsive, forced off by operator",
    "Machine halted by user: unresponsive",
    "VM stopped on node node2, state is now offline",
    "VM terminated on request, snapshot created",
    "Stopped by user. Last migrated 3 days ago",
    "VM 'web-01' reverted to snapshot created 2026-11-28 10:00",
    "Tag 'night-off' assigned to 'web-01': powering down",
    "VM process was killed (signal 9)",
    "Node 'node1' power supply 1 OK",
    "VM 'web-01' crashed",
    "Guest agent disconnected",
    "Flux capacitor drained",
)


def meaning(text: str, *names: str) -> Meaning | None:
    return LogClassifier().meaning(template(text, names))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("event", EXPECTED)
def test_row_has_its_meaning_for_every_vm_name(event: str, name: str) -> None:
    wording = LOG_TEMPLATES[event]
    assert wording is not None
    text = wording.text.format(name=name, **WORDS)

    assert meaning(text, name, *WORDS.values()) is EXPECTED[event]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("action", ACTIONS)
def test_action_has_its_meaning_for_every_vm_name(action: str, name: str) -> None:
    assert meaning(f"VM action '{action}' sent", name) is ACTIONS[action]


@pytest.mark.parametrize(
    ("action", "expected"), [("poweroff", Meaning.TASK), ("kill", Meaning.TASK), ("snapshot", None)]
)
def test_task_stops_a_vm_only_with_an_action_that_stops_it(
    action: str, expected: Meaning | None
) -> None:
    assert meaning(f"Task 'Friday off' sent '{action}' to 'web-01'", "web-01") is expected


@pytest.mark.parametrize("text", POWER_TEXTS)
def test_word_about_power_in_an_unknown_text_has_no_meaning(text: str) -> None:
    assert meaning(text, "web-01", "node1") is None


@given(name=st.text(min_size=1).filter(str.strip), before=st.sampled_from(["", "VM ", "“"]))
def test_known_name_leaves_nothing_of_itself_in_the_template(name: str, before: str) -> None:
    assume("\ue000" not in name)

    assert template(f"{before}'{name}' did it", [name]) == f"{before}'{NAME}' did it".strip()


@given(st.text(max_size=200), st.lists(st.text(min_size=1, max_size=30), max_size=4))
def test_no_text_and_no_names_break_the_template(text: str, names: list[str]) -> None:
    found = template(text, names)

    assert template(found, []) == found or NAME in found


@given(st.sampled_from(sorted(ACTIONS)), st.sampled_from(NAMES), st.text(min_size=1, max_size=20))
def test_words_around_a_known_text_make_it_unknown(action: str, name: str, extra: str) -> None:
    assume(extra.strip() and "\ue000" not in extra)

    found = meaning(f"VM action '{action}' sent {extra.strip()}x", name)

    assert found not in STOPS
    assert found is not Meaning.HARMLESS


def test_number_and_unknown_name_are_placeholders() -> None:
    text = "Job 'Nightly copy' of \"x-9\" took 17 s, id 0b1c9f1e-5c0a-4bb5-9df0-5d1f6f2f7a11"

    assert template(text, []) == "Job '<name>' of \"<name>\" took <n> s, id <n>"


def test_quoted_text_with_a_word_about_power_stays() -> None:
    assert template("Request 'power down' by x", []) == "Request 'power down' by x"


def test_site_patterns_match_whole_templates_before_the_built_in_ones() -> None:
    site = LogClassifier(
        [LogPattern("backup of '<name>' took <n> s", Meaning.HARMLESS),
         LogPattern("VM has reset", Meaning.STOP)]
    )  # fmt: skip

    assert site.meaning("Backup of '<name>' took <n> s") is Meaning.HARMLESS
    assert site.meaning("Backup of '<name>' took <n> s: powered off") is None
    assert site.meaning("VM has reset") is Meaning.STOP


def test_taught_template_precedes_every_pattern() -> None:
    taught = LogClassifier().with_templates({"VM has reset": Meaning.STOP})

    assert taught.meaning("vm has RESET") is Meaning.STOP
    assert taught.meaning("VM has shutdown") is Meaning.GUEST_STOP


@pytest.mark.parametrize("pattern", LOG_PATTERNS, ids=lambda one: one.pattern)
def test_built_in_pattern_and_the_same_of_a_site_mean_what_they_say(pattern: LogPattern) -> None:
    text = re.sub(r"\(([^|)]*)\|[^)]*\)", r"\1", pattern.pattern)
    text = text.replace(".*", "night").replace(" ?", "")

    assert LogClassifier().meaning(text.upper()) is pattern.means
    assert LogClassifier([pattern]).meaning(text) is pattern.means
    assert LogClassifier([pattern]).meaning(f"{text} by x") is None


@pytest.mark.parametrize("pattern", [r"(job) \1", r"job (?=done)", "(job"])
def test_pattern_of_a_site_has_to_be_valid_in_re2(
    pattern: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=r"is not a regular expression in RE2 syntax: \w+"):
        compile_log_pattern(pattern)

    assert capfd.readouterr() == ("", "")  # the reason is in the error alone


def test_pattern_of_a_site_takes_linear_time() -> None:
    evil = LogClassifier([LogPattern("(x+x+)+y", Meaning.STOP)])

    assert evil.meaning("x" * 300) is None
    assert evil.meaning("X" * 300 + "Y") is Meaning.STOP


@pytest.mark.parametrize(
    ("text", "source", "expected"),
    [
        ("Flux of <n>", RowSource.SYSTEM, Meaning.HARMLESS),
        ("FLUX of <n>", RowSource.SYSTEM, Meaning.HARMLESS),
        ("Flux of <n>", RowSource.PERSON, None),
        ("Flux of <n>", RowSource.MANY, None),
        ("Flux of <n>", None, None),
        ("Flux", RowSource.SYSTEM, None),
        ("VM has shutdown", RowSource.SYSTEM, Meaning.GUEST_STOP),
        ("VM has shutdown", None, Meaning.GUEST_STOP),
        ("Taught", RowSource.SYSTEM, Meaning.DOUBT),
    ],
)
def test_experience_makes_only_rows_of_its_source_harmless(
    text: str, source: RowSource | None, expected: Meaning | None
) -> None:
    known = LogClassifier().with_templates(
        {"taught": Meaning.DOUBT},
        {RowSource.SYSTEM: frozenset({"flux of <n>", "vm has shutdown", "taught"})},
    )

    assert known.meaning_of_row(text, source) is expected
    assert known.meaning_of_row(text, source) is expected  # not changed by what is kept


def test_stops_are_the_meanings_that_prove_a_stop_on_purpose() -> None:
    assert {Meaning.STOP, Meaning.GUEST_STOP, Meaning.TASK, Meaning.NODE} == STOPS
