"""
What recovery reads and writes, each of it missing in every way: told, and never acted without.

A list that lacks what forbids a start is worse than one that cannot be read: it looks well.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from exporter.collectors.recovery import COLLECTOR
from exporter.model import Cluster
from exporter.recovery.decide.inputs import HOLDS, InputName
from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.model.cases import DiagnosisKind, Policy
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.confirmation import Confirmation, ConfirmationQuery
from exporter.recovery.model.history import FactKind
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.ports import VMLocation
from exporter.recovery.model.states import State
from exporter.recovery.observe.enrolment import EnrolmentRule
from exporter.recovery.observe.enrolment_cache import EnrolmentCache
from exporter.recovery.observe.inventory_facts import encode, vm_fact
from exporter.recovery.recovery_config import RecoveryConfig
from tests.recovery.harness import LIMITS, Harness
from tests.recovery.inventory_values import inventory, poll, vm
from tests.recovery.test_scenarios import command

WAYS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "403": ("status", {"code": 403}),
    "404": ("status", {"code": 404}),
    "500": ("status", {"code": 500}),
    "empty": ("empty_list", {}),
    "an object": ("object_instead_of_list", {}),
    "rows without keys": ("missing_key", {"share": 1.0}),
}
"""How a table can be missing."""
EVERY_VM = EnrolmentRule(names=("*",), policy=Policy.ON_FAILURE)
PATHS = {"cluster_status": "clusters"}
"""Of the tables that are not called like their path."""
DOWN = (State.UNKNOWN, State.HELD, State.BACKOFF)
"""States in which a VM that is down alerts."""


def problems(harness: Harness) -> dict[str, str]:
    """Return the inputs, and why each is missing, as the metrics have them."""
    return {one.name: one.problem for one in harness.recovery.report.inputs}


def after_losing(table: str, way: str, **options: Any) -> Harness:
    """Return a harness whose VM web-01 crashed while *table* was missing."""
    harness = Harness(**options).warm()
    fault, parameters = WAYS[way]
    harness.world.faults.turn_on(fault, path=f"/api/v4/{PATHS.get(table, table)}", **parameters)
    harness.advance(2 * harness.platform_every)
    harness.world.crash("web-01")
    harness.advance(200)
    return harness


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("table", ["machine_logs", "logs", "tag_members", "nodes"])
def test_missing_table_is_told_and_the_vm_that_is_down_alerts(table: str, way: str) -> None:
    harness = after_losing(table, way)

    case, readiness = harness.case("web-01"), harness.recovery.readiness_now
    assert [name for name, problem in problems(harness).items() if problem] == [table]
    assert readiness == (ReadinessState.DEGRADED, problems(harness)[table])
    assert not harness.recovery.report.ready
    assert not harness.asked()
    assert case.state in DOWN
    assert case.diagnosis is not None
    is_known = table == "tag_members"  # the tags say what may be done, not what happened
    assert case.diagnosis.kind is (DiagnosisKind.CRASHED if is_known else DiagnosisKind.UNKNOWN)

    harness.world.faults.clear()
    harness.advance(600)
    assert not any(problems(harness).values())
    assert harness.recovery.readiness_now.readiness is ReadinessState.ACTIVE


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("table", ["vms", "machine_status"])
def test_missing_inventory_is_told(table: str, way: str) -> None:
    if (table, way) == ("machine_status", "rows without keys"):
        pytest.skip("a status is known by its machine, and needs no key")
    harness = after_losing(table, way)

    assert problems(harness)[InputName.INVENTORY]
    assert harness.recovery.readiness_now.readiness is ReadinessState.DEGRADED
    assert not harness.asked()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("table", HOLDS)
def test_table_of_a_guard_that_is_missing_is_told_and_holds_no_vm(
    table: InputName, way: str
) -> None:
    harness = after_losing(table, way)

    is_well = (table, way) == (InputName.MACHINE_DEVICES, "empty")
    missing = [name for name, problem in problems(harness).items() if problem]
    assert missing == ([] if is_well else [table])
    assert HOLDS[table] in problems(harness)[table] or is_well
    assert harness.recovery.readiness_now.readiness is ReadinessState.ACTIVE
    assert [request.vm_key for request in harness.asked()] == [harness.world.vm("web-01").key]


def test_every_input_has_a_success_metric() -> None:
    assert "vergewatch_recovery_input_success" in {family.name for family in COLLECTOR.families}
    harness = Harness(setup=RecoveryConfig(LIMITS, mode=Mode.SHADOW)).warm()

    unused = {InputName.CLUSTERS, InputName.SILENCES, InputName.PROMETHEUS, InputName.WRITE_ACCESS}
    assert problems(harness) == dict.fromkeys(set(InputName) - unused, "")


# Tables that forbid.


@pytest.mark.parametrize("way", WAYS)
def test_lost_tag_that_forbids_lets_no_rule_enrol_its_vm(way: str) -> None:
    setup = RecoveryConfig(LIMITS, mode=Mode.ENFORCE, enrolment_rules=(EVERY_VM,))
    tags = {"web-01": ["recovery/never"]}

    harness = after_losing("tag_members", way, setup=setup, tags=tags)

    assert not harness.asked()
    assert problems(harness)[InputName.TAG_MEMBERS]


@pytest.mark.parametrize("way", WAYS)
def test_lost_cluster_of_a_rule_that_forbids_lets_no_other_rule_enrol_its_vms(way: str) -> None:
    forbids = EnrolmentRule(clusters=("prod*",), policy=Policy.NO)
    setup = RecoveryConfig(LIMITS, mode=Mode.ENFORCE, enrolment_rules=(forbids, EVERY_VM))

    harness = after_losing("clusters", way, setup=setup, tags={})

    assert not harness.asked()
    assert problems(harness)[InputName.CLUSTERS]
    assert harness.recovery.readiness_now.readiness is ReadinessState.DEGRADED


def test_vm_whose_cluster_is_not_listed_is_not_enrolled_past_a_rule_that_forbids() -> None:
    rules = (EnrolmentRule(clusters=("prod",), policy=Policy.NO), EVERY_VM)
    cache = EnrolmentCache(rules)
    other = Cluster(8, "other")
    seen = inventory([vm()], clusters=[other], sources={"clusters": {8: other}})

    found = cache.enrolments(seen, {})

    assert found["u1"].policy is Policy.NO


def test_last_tag_that_is_removed_by_hand_is_no_fault() -> None:
    harness = Harness(tags={"web-01": ["recovery/auto"], "web-02": ["recovery/auto"]})
    for one in list(harness.world.live_vms()):
        for tag in harness.world.tags_of(one):
            if not tag.startswith("recovery/"):
                harness.world.untag(one, tag)
    harness.warm()
    for name in ("web-01", "web-02"):
        harness.world.untag(harness.world.vm(name), "recovery/auto")

    harness.world.crash("web-01")
    harness.advance(200)

    assert not problems(harness)[InputName.TAG_MEMBERS]
    assert not harness.asked()


def test_operator_accepts_that_no_vm_has_a_tag_any_more() -> None:
    setup = RecoveryConfig(LIMITS, mode=Mode.ENFORCE, enrolment_rules=(EVERY_VM,))
    harness = after_losing("tag_members", "empty", setup=setup)
    assert "recovery accept" in problems(harness)[InputName.TAG_MEMBERS]

    command(harness, CommandKind.ACCEPT)
    harness.advance(harness.every)

    assert not problems(harness)[InputName.TAG_MEMBERS]


def test_new_process_knows_that_there_were_tags() -> None:
    cache = EnrolmentCache((EVERY_VM,))
    never = {vm().config.key: frozenset({"recovery/never"})}
    cache.resume({(FactKind.VM, "1"): encode(vm_fact(vm(), never))})
    harness = Harness(vms=1, tags={})
    harness.poll()
    case = harness.case(harness.names[0])
    first = poll(inventory([vm()], tags={}))

    found = cache.checked(first, {"u1": case})

    assert found.inventory is None
    assert "no VM has a tag any more" in found.problem


# What is no table of VergeOS.


class LostSilences:
    """An Alertmanager that does not answer."""

    def __init__(self, *, are_needed: bool) -> None:
        self.are_needed = are_needed

    def holding(self, _vm: VMLocation, /) -> str:
        return self.unknown if self.are_needed else ""

    unknown = "silences are unknown: refused"

    async def refresh(self) -> None: ...


@dataclass
class LostPrometheus:
    """A Prometheus that does not answer."""

    goes_on: bool

    def is_needed(self, _vm_name: str, /) -> bool:
        return True

    async def find_problem(self) -> str:
        return "refused"

    async def ask(self, queries: Sequence[ConfirmationQuery], /) -> Sequence[Confirmation]:
        return [Confirmation("q", problem="refused", unreachable=True) for _ in queries]


def lose_silences(*, needed: bool) -> dict[str, Any]:
    return {"silences": LostSilences(are_needed=needed)}


def lose_prometheus(*, needed: bool) -> dict[str, Any]:
    return {"confirmer": LostPrometheus(goes_on=not needed)}


@pytest.mark.parametrize("needed", [True, False])
@pytest.mark.parametrize(
    ("name", "lose"),
    [(InputName.SILENCES, lose_silences), (InputName.PROMETHEUS, lose_prometheus)],
)
def test_helper_that_is_lost_is_told_before_a_vm_crashes_if_it_is_needed(
    name: InputName, lose: Callable[..., dict[str, Any]], *, needed: bool
) -> None:
    harness = Harness(
        setup=RecoveryConfig(LIMITS, mode=Mode.ENFORCE)._replace(**lose(needed=needed))
    )
    harness.warm()
    readiness = harness.recovery.readiness_now

    harness.world.crash("web-01")
    harness.advance(200)

    assert bool(problems(harness)[name]) is needed
    assert readiness.readiness is (ReadinessState.DEGRADED if needed else ReadinessState.ACTIVE)
    assert bool(harness.asked()) is not needed
    assert harness.case("web-01").state is (State.HELD if needed else State.PROBATION)


@pytest.mark.parametrize("mode", [Mode.ENFORCE, Mode.SHADOW])
def test_credential_that_was_refused_is_told_in_a_mode_that_acts(mode: Mode) -> None:
    harness = Harness(readonly=True, mode=mode).warm()
    harness.world.crash("web-01")
    harness.advance(120)

    acts = mode is Mode.ENFORCE
    assert bool(problems(harness).get(InputName.WRITE_ACCESS)) is acts
    assert (harness.recovery.readiness_now.readiness is ReadinessState.DEGRADED) is acts
    assert harness.case("web-01").state in DOWN


def test_journal_that_cannot_be_written_is_told() -> None:
    harness = Harness().warm()
    harness.journal.broken = "disk full"
    harness.world.crash("web-01")
    harness.advance(200)

    assert problems(harness)[InputName.JOURNAL]
    assert harness.recovery.readiness_now.readiness is ReadinessState.JOURNAL_DOWN
    assert not harness.asked()
    assert harness.case("web-01").state in DOWN
