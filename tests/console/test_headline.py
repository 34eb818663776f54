"""The first line of the overview: the worst truth, with counts that agree with every list."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.console.fleet import VMEntry, count_conditions
from exporter.console.headline import Headline, headline
from exporter.console.problems import problems_of
from exporter.console.vm_condition import Condition
from exporter.console.vm_groups import vm_groups
from exporter.console.vm_query import VMSearch, parse_query
from exporter.model import CheckResult, Finding, Level, OpenQuestion, RecoveryReport, SystemReport
from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.model.cases import Cause
from exporter.recovery.model.decision import GuardName
from exporter.recovery.model.states import State
from tests.console.entries import vm
from tests.web.samples import refused, system, table, waiting

NOW = datetime(2026, 3, 1, 2, 14, tzinfo=UTC)


def down(name: str, key: int, **changes: object) -> VMEntry:
    values = {"condition": Condition.DOWN, "recovery_state": "held", "cause": "crashed"}
    return vm(name, key=key, **{**values, **changes})


def recovering(report: SystemReport, **changes: object) -> SystemReport:
    values: dict[str, object] = {
        "mode": "enforce", "readiness": "active", "because": "ready to act", "ready": True,
        "vms": (), "budgets_remaining": (), "last_actions": (), "open_actions": 0,
        "journal_problem": "", "inventory_at": None,
    }  # fmt: skip
    return replace(report, recovery=RecoveryReport(**{**values, **changes}))  # type: ignore[arg-type]


def found(level: Level) -> tuple[CheckResult, ...]:
    return (CheckResult("storage", (Finding(level, "tier 1", "97 % used"),)),)


def line(*systems: tuple[SystemReport, list[VMEntry]]) -> Headline:
    problems = [one for report, vms in systems for one in problems_of(report, vms)]
    return headline(len(systems), sum(len(vms) for _, vms in systems), problems)


def test_all_is_well() -> None:
    calm = line((system("a"), [vm()]), (recovering(system("b")), [vm()] * 999))

    assert calm.worst.text == "All is well: 2 systems up, 1,000 VMs"
    assert (calm.tone, calm.others) == ("ok", ())


def test_no_system() -> None:
    assert (line().worst.text, line().tone) == ("No system is monitored yet", "pending")


def test_vms_down_in_one_system_are_counted_and_listed() -> None:
    worst = line((system(), [down("a", 1), down("b", 2), vm("c", key=3)])).worst

    assert worst.text == "2 VMs down unexpectedly in production"
    assert worst.tone == "critical"
    assert worst.href == "/vms?system=production&condition=down"


def test_the_only_vm_that_is_down_is_named() -> None:
    worst = line((system(), [down("web-01", 7), vm(key=8)])).worst

    assert worst.text == "VM web-01 down unexpectedly in production"
    assert worst.href == "/vms/production/7"


def test_vms_down_in_several_systems_are_one_sentence_and_one_list() -> None:
    worst = line(
        (system("a"), [down("x", 1, system="a")]),
        (system("b"), [down("y", 1, system="b"), down("z", 2, system="b")]),
    ).worst

    assert worst.text == "3 VMs down unexpectedly in 2 systems"
    assert worst.href == "/vms?condition=down"


def test_names_with_braces_are_no_templates() -> None:
    worst = line((system("{detail}"), [down("{count}{0}", 1, system="{detail}")])).worst

    assert worst.text == "VM {count}{0} down unexpectedly in {detail}"
    assert [part.text for part in worst.parts if part.is_name] == ["{count}{0}", "{detail}"]


QUESTION = OpenQuestion(1, 1, "web", "poweron", "crashed", "it stopped", NOW, NOW)


@pytest.mark.parametrize(
    ("report", "text", "tone"),
    [
        (refused(), "Credentials refused by laboratory", "critical"),
        (
            system(up=False, tables=(table(success=False, seconds_ago=None, error="x"),)),
            "production unreachable",
            "critical",
        ),
        (
            system(up=False, tables=(table(success=False, seconds_ago=300, error="x"),)),
            "Data of production stale",
            "critical",
        ),
        (replace(system(), frozen=True), "Status of VMs frozen in production", "critical"),
        (
            recovering(system(), readiness=ReadinessState.JOURNAL_DOWN),
            "Recovery not ready in production: journal down",
            "critical",
        ),
        (
            recovering(system(), mode="ask", readiness=ReadinessState.DISARMED),
            "Recovery not ready in production: disarmed",
            "warning",
        ),
        (
            replace(system(), doctor=found(Level.CRITICAL)),
            "1 critical finding of the doctor in production",
            "critical",
        ),
        (
            recovering(system(), mode="ask", questions=(QUESTION, QUESTION)),
            "2 questions waiting in production",
            "warning",
        ),
        (waiting(), "Waiting for the first poll of production", "pending"),
        (
            recovering(system(), readiness=ReadinessState.WARMING_UP),
            "Recovery not ready in production: warming up",
            "pending",
        ),
        # What needs no attention is on the page, and not in its first line.
        (
            recovering(system(), mode="shadow", readiness=ReadinessState.DISARMED),
            "All is well: 1 system up, 1 VM",
            "ok",
        ),
        (
            replace(system(), doctor=found(Level.WARNING)),
            "All is well: 1 system up, 1 VM",
            "ok",
        ),
    ],
)
def test_problem_in_the_first_line(report: SystemReport, text: str, tone: str) -> None:
    first = line((report, [vm()]))

    assert (first.worst.text, first.tone) == (text, tone)


def test_worst_comes_first_and_the_others_follow() -> None:
    broken = recovering(
        replace(refused(), doctor=found(Level.CRITICAL)),
        mode="ask",
        readiness=ReadinessState.DISARMED,
        questions=(QUESTION,),
    )

    first = line((broken, [down("a", 1), vm(key=2, condition=Condition.TROUBLE)]))

    assert [one.text.split(" in ")[0] for one in (first.worst, *first.others)] == [
        "VM a down unexpectedly",
        "VM web-01",
        "Credentials refused by laboratory",
        "Recovery not ready",
        "1 critical finding of the doctor",
        "1 question waiting",
    ]


def test_what_passes_by_itself_hides_nothing_that_does_not() -> None:
    warming = recovering(
        replace(system(), doctor=found(Level.CRITICAL)), readiness=ReadinessState.WARMING_UP
    )

    first = line((warming, []))

    assert first.worst.text.startswith("1 critical finding")
    assert first.others[0].text == "Recovery not ready in production: warming up"


ENTRIES = st.builds(
    vm,
    system=st.sampled_from(["a", "b"]),
    key=st.integers(1, 10**6),
    condition=st.sampled_from(Condition),
    status=st.sampled_from(["", "error", "stopped", "unresponsive"]),
    recovery_state=st.sampled_from(State).map(str),
    cause=st.sampled_from(["", *Cause]).map(str),
    failed_guard=st.sampled_from(["", *GuardName]).map(str),
    down_since=st.none() | st.integers(0, 10**5).map(lambda one: NOW + timedelta(seconds=one)),
)
REPORTS = st.sampled_from(
    [
        system(),
        refused(),
        waiting(),
        replace(system(), frozen=True, doctor=found(Level.CRITICAL)),
        recovering(system(), readiness=ReadinessState.BROKEN, questions=(QUESTION,)),
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(ENTRIES, unique_by=lambda one: (one.system, one.key)), REPORTS, REPORTS)
def test_vms_down_are_never_behind_a_calmer_sentence(
    vms: list[VMEntry], first: SystemReport, second: SystemReport
) -> None:
    reports = {"a": replace(first, system_name="a"), "b": replace(second, system_name="b")}
    of = {name: [one for one in vms if one.system == name] for name in reports}

    top = line(*((reports[name], of[name]) for name in reports))

    counts = Counter(one.condition for one in vms)
    number = counts[Condition.DOWN]
    assert ("down unexpectedly" in top.worst.text) is (number > 0)
    if number:
        assert top.tone == "critical"
    if number > 1:
        assert top.worst.text.startswith(f"{number} VMs down unexpectedly in ")
        assert _listed(tuple(vms), top.worst.href) == {
            (one.system, one.key) for one in vms if one.condition is Condition.DOWN
        }


@settings(max_examples=200, deadline=None)
@given(st.lists(ENTRIES.map(lambda one: msgspec.structs.replace(one, system="a")),
                unique_by=lambda one: one.key))  # fmt: skip
def test_each_vm_that_is_not_well_is_in_one_group_which_links_to_exactly_its_vms(
    vms: list[VMEntry],
) -> None:
    groups = vm_groups(vms)

    for condition in (Condition.DOWN, Condition.TROUBLE, Condition.UNKNOWN):
        of_condition = [one for one in groups if one.condition is condition]
        keys = [one.key for group in of_condition for one in group.vms]
        assert len(keys) == len(set(keys)) == count_conditions(vms).get(condition, 0)
    for group in groups:
        if len(group.vms) == 1:
            assert group.href == f"/vms/a/{group.vms[0].key}"
        else:
            assert _listed(tuple(vms), group.href) == {("a", one.key) for one in group.vms}
    assert {one.condition for one in groups} <= set(Condition) - {Condition.RUNNING, Condition.OFF}


def _listed(vms: tuple[VMEntry, ...], href: str) -> set[tuple[str, int]]:
    query = parse_query(parse_qsl(urlsplit(href).query))
    return {(one.system, one.key) for one in VMSearch().find(vms, query).vms}


def test_many_vms_with_one_reason_are_one_group() -> None:
    at_once = [
        down(f"web-{n}", n, failed_guard="circuit_breaker_closed", down_since=NOW)
        for n in range(49)
    ]
    later = NOW + timedelta(hours=1)

    groups = vm_groups([*at_once, down("db", 99, recovery_state="suspect", cause="",
                                       down_since=later)])  # fmt: skip

    many = next(one for one in groups if len(one.vms) == 49)
    assert (many.since, many.is_at_once) == (NOW, True)
    assert many.reason == "the circuit breaker is not closed"
    assert dict(parse_qsl(urlsplit(many.href).query)) == {
        "system": "production", "condition": "down", "state": "held",
        "cause": "crashed", "guard": "circuit_breaker_closed",
    }  # fmt: skip


def test_vms_that_went_down_one_by_one_did_not_go_down_at_once() -> None:
    (group,) = vm_groups(
        down(f"web-{n}", n, down_since=NOW + timedelta(minutes=3 * n)) for n in (2, 1)
    )

    assert (group.since, group.is_at_once) == (NOW + timedelta(minutes=3), False)
