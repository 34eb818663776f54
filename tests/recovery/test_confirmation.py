"""Confirmation by Prometheus: it may forbid an action and never causes one."""

from collections.abc import Sequence
from typing import Any

import pytest

from exporter.recovery.decide.facts import gather_facts
from exporter.recovery.decide.guards import decide
from exporter.recovery.model.cases import Action
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.confirmation import (
    Confirmation,
    ConfirmationQuery,
    TimedConfirmation,
)
from exporter.recovery.model.decision import Decision, GuardName, GuardResult
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.states import State
from exporter.recovery.report.summary_text import summary_text
from tests.recovery.archive import RecordingJournal, accounted, explained
from tests.recovery.conftest import MakeHarness
from tests.recovery.harness import ENFORCE, LIMITS, Harness
from tests.recovery.invariants import InvariantChecker
from tests.recovery.test_edges import FREE
from tests.recovery.test_scenarios import ENOUGH, command, on_different_nodes

NAME = "web-01"
DOWN, UP = Confirmation("q", (1.0,)), Confirmation("q", (0.0,))
UNREACHABLE = Confirmation("q", problem="http://p did not respond within 2 s", unreachable=True)
REFUSED = Confirmation("q", problem="http://p: parse error")


class Probes:
    """
    A Prometheus in virtual time that probes every VM, and the `Confirmer` that asks it.

    The query is that of the documentation: 1 if every probe of the window failed, else 0.
    """

    def __init__(self, *, needed: bool = True, goes_on: bool = False, every: float = 10.0) -> None:
        self.goes_on = goes_on
        self.needed = needed
        self.every = every
        self.problem = ""
        self.always: Confirmation | None = None
        """The answer, whatever was probed."""
        self.service_delay_seconds = 0.0
        """How long after its start a VM's service works."""
        self.silent_since = float("inf")
        """From when on no VM is probed."""
        self.took_seconds = 0.0
        """How long an answer takes."""
        self.asked: list[Sequence[ConfirmationQuery]] = []
        self.asked_at: list[float] = []
        """When it was asked, by the true time."""
        self.harness: Harness | None = None
        self._samples: list[tuple[float, frozenset[str]]] = []
        """When the VMs were probed, and the names of those whose service worked."""

    def is_needed(self, _vm_name: str, /) -> bool:
        return self.needed

    async def find_problem(self) -> str:
        return self.problem

    def probe(self) -> None:
        """Probe every VM now; called as time passes."""
        assert self.harness is not None
        now = self.harness.clock.elapsed
        if now < self.silent_since:
            started = self.harness.world.now - self.service_delay_seconds
            working = frozenset(
                vm.name
                for vm in self.harness.world.live_vms()
                if vm.machine.status.running and vm.machine.status.since <= started
            )
            self._samples.append((now, working))

    async def ask(self, queries: Sequence[ConfirmationQuery], /) -> Sequence[Confirmation]:
        assert self.harness is not None
        self.asked.append(queries)
        self.asked_at.append(self.harness.clock.elapsed)
        self.harness.clock.elapsed += self.took_seconds
        return [self._answer(one) for one in queries]

    def _answer(self, query: ConfirmationQuery) -> Confirmation:
        assert self.harness is not None
        if self.always is not None:
            return self.always
        if self.problem:
            return Confirmation("q", problem=self.problem, unreachable=True)
        since = self.harness.clock.elapsed - query.window_seconds
        seen = [query.vm_name in working for at, working in self._samples if at >= since]
        return Confirmation("q", (0.0 if any(seen) else 1.0,) if seen else ())


def start(
    make_harness: MakeHarness, probes: Probes, *, mode: Mode = Mode.ENFORCE, **more: Any
) -> tuple[Harness, InvariantChecker]:
    setup = ENFORCE._replace(confirmer=probes, mode=mode)
    harness, checker = make_harness(setup=setup, journal=RecordingJournal(), **more)
    harness.journal.now = harness.clock.now
    probes.harness = harness
    harness.warm()
    return harness, checker


def advance(harness: Harness, probes: Probes, seconds: float) -> None:
    """Let time pass, with a probe before every poll."""
    until = harness.clock.elapsed + seconds
    while harness.clock.elapsed < until:
        harness.clock.elapsed += probes.every
        probes.probe()
        if harness.clock.elapsed % harness.every < probes.every:
            harness.poll()


def decision(harness: Harness) -> Decision:
    found = harness.recovery.decisions.get(harness.world.vm(NAME).uuid)
    assert found is not None
    return found


def result(of: Decision) -> GuardResult:
    return next(one for one in of.guard_results if one.guard is GuardName.DOWN_CONFIRMED)


# The guard, on its own.


def decided(confirmation: Confirmation | None, *, goes_on: bool = False) -> Decision:
    return decide(FREE._replace(confirmer=Probes(goes_on=goes_on), confirmation=confirmation))


@pytest.mark.parametrize("values", [(1.0,), (1.0, 3.0), (-1.0,), (float("inf"),)])
def test_vm_is_down_if_every_sample_is_not_zero(values: tuple[float, ...]) -> None:
    assert decided(Confirmation("q", values)).acts


@pytest.mark.parametrize("values", [(), (0.0,), (1.0, 0.0), (float("nan"),), (1.0, float("nan"))])
def test_vm_is_not_confirmed_to_be_down_otherwise(values: tuple[float, ...]) -> None:
    assert decided(Confirmation("q", values)).failed_guard is GuardName.DOWN_CONFIRMED


def test_service_works_if_every_sample_is_zero() -> None:
    assert UP.is_up
    assert not Confirmation("q", (0.0, 1.0)).is_up
    assert not Confirmation("q").is_up
    assert not UNREACHABLE.is_up


def test_prometheus_that_was_not_asked_confirms_nothing() -> None:
    assert decided(None).failed_guard is GuardName.DOWN_CONFIRMED


def test_unreachable_prometheus_holds_unless_the_setting_says_go_on() -> None:
    held, goes_on = decided(UNREACHABLE), decided(UNREACHABLE, goes_on=True)

    assert held.failed_guard is GuardName.DOWN_CONFIRMED
    assert result(held).fix == "restore the connection to Prometheus"
    assert goes_on.acts
    assert result(goes_on).detail == (
        "not confirmed, which the settings permit: http://p did not respond within 2 s"
    )


def test_refused_query_holds_whatever_the_setting_says() -> None:
    assert decided(REFUSED, goes_on=True).failed_guard is GuardName.DOWN_CONFIRMED


def test_fix_says_whether_the_samples_or_their_absence_hold_it() -> None:
    assert result(decided(UP)).fix.startswith("check the VM, or correct recovery.confirm")
    assert result(decided(Confirmation("q"))).fix.startswith("wait for a sample that is newer")
    assert result(decided(REFUSED)).fix.startswith("correct recovery.confirm")


def test_answer_counts_for_five_seconds(make_harness: MakeHarness) -> None:
    harness, _ = start(make_harness, Probes())
    case, system = harness.case(NAME), harness.recovery.system_facts

    def known(age: float) -> bool:
        answers = {case.uuid: TimedConfirmation(DOWN, system.at - age)}
        return gather_facts(case, system._replace(confirmations=answers)).confirmation is DOWN

    assert known(LIMITS.reread_age_seconds)
    assert not known(LIMITS.reread_age_seconds + 0.1)


def test_start_after_a_kill_needs_no_confirmation() -> None:
    assert decide(FREE._replace(confirmer=Probes(), completes_kill=True)).acts


# With the engine, in virtual time.


def test_crashed_vm_is_started_if_its_probes_fail(make_harness: MakeHarness) -> None:
    probes = Probes()
    harness, _ = start(make_harness, probes)

    harness.world.crash(NAME)
    advance(harness, probes, ENOUGH)

    assert [one.action for one in harness.asked(NAME)] == ["poweron"]
    assert harness.running(NAME)


def test_crashed_vm_whose_probes_succeed_is_held_with_the_reason(make_harness: MakeHarness) -> None:
    probes = Probes()
    harness, checker = start(make_harness, probes)
    checker.unconfirmed = lambda name: name == NAME
    probes.always = UP

    harness.world.crash(NAME)
    advance(harness, probes, ENOUGH)

    assert harness.asked(NAME) == []
    assert max(one.window_seconds for (one,) in probes.asked) == 300
    assert harness.case(NAME).state is State.HELD
    assert decision(harness).failed_guard is GuardName.DOWN_CONFIRMED
    assert result(decision(harness)).detail == "q returned 0"
    assert explained(harness, NAME).sentence.endswith(
        "does not start it now because Prometheus does not confirm that it is down: q returned 0."
    )


def test_samples_from_before_the_outage_confirm_nothing(make_harness: MakeHarness) -> None:
    """Its service failed before, so the last probes say down; since the crash there is none."""
    probes = Probes()
    harness, checker = start(make_harness, probes)
    probes.service_delay_seconds = 1e9
    advance(harness, probes, 100.0)
    probes.silent_since = harness.clock.elapsed
    checker.unconfirmed = lambda _name: True

    harness.world.crash(NAME)
    advance(harness, probes, ENOUGH)

    assert harness.asked(NAME) == []
    assert result(decision(harness)).detail == "q returned no sample"
    probes.silent_since = float("inf")
    checker.unconfirmed = lambda _name: False
    advance(harness, probes, 60.0)
    assert [one.action for one in harness.asked(NAME)] == ["poweron"]


@pytest.mark.parametrize("goes_on", [False, True])
def test_unreachable_prometheus_holds_or_goes_on_as_set(
    make_harness: MakeHarness, goes_on: bool
) -> None:
    probes = Probes(goes_on=goes_on)
    harness, checker = start(make_harness, probes)
    probes.problem = "http://p: cannot connect"
    checker.unconfirmed = lambda _name: not goes_on

    harness.world.crash(NAME)
    advance(harness, probes, ENOUGH)

    assert harness.running(NAME) is goes_on
    if goes_on:
        (acted,) = (one for one in harness.journal.decisions if one.acts)
        assert result(acted).detail == (
            "not confirmed, which the settings permit: http://p: cannot connect"
        )


def test_answer_that_changes_before_the_action_is_sent_forbids_it(
    make_harness: MakeHarness,
) -> None:
    """The connection takes two seconds, so everything is read again, and the service works."""
    probes = Probes()
    harness, checker = start(make_harness, probes)

    def connect_slowly(step: str) -> None:
        if step == "connected" and not harness.asked(NAME):
            harness.clock.elapsed += 2.0
            probes.always = UP
            checker.unconfirmed = lambda _name: True

    checker.on_wire = connect_slowly
    harness.world.crash(NAME)
    advance(harness, probes, ENOUGH)

    assert harness.asked(NAME) == []
    assert "q returned 0" in {one.detail for one in harness.journal.intents.values()}


def test_slow_prometheus_delays_an_action_and_is_asked_again_before_it(
    make_harness: MakeHarness,
) -> None:
    probes = Probes()
    harness, _ = start(make_harness, probes)
    probes.took_seconds = 1.9

    harness.world.crash(NAME)
    advance(harness, probes, ENOUGH)

    (request,) = harness.asked(NAME)
    before = [at for at in probes.asked_at if at < request.at]
    assert len(before) == 3, "to decide, to look again, and on the connection"
    assert request.at - before[-1] == pytest.approx(1.9)
    assert request.acted


def test_answer_that_takes_longer_than_the_last_look_permits_starts_nothing(
    make_harness: MakeHarness,
) -> None:
    probes = Probes()
    harness, checker = start(make_harness, probes)
    probes.took_seconds = LIMITS.reread_age_seconds + 0.1
    checker.unconfirmed = lambda _name: True

    harness.world.crash(NAME)
    advance(harness, probes, ENOUGH)

    assert probes.asked
    assert harness.asked(NAME) == []


def test_only_vms_that_every_other_guard_lets_be_started_are_asked_about(
    make_harness: MakeHarness,
) -> None:
    probes = Probes()
    harness, _ = start(make_harness, probes)
    command(harness, CommandKind.PAUSE, seconds=3600.0)

    harness.world.crash(NAME)
    harness.world.operator_stops("web-02")
    advance(harness, probes, ENOUGH)
    assert probes.asked == []
    assert decision(harness).failed_guard is GuardName.NOT_PAUSED

    command(harness, CommandKind.RESUME)
    advance(harness, probes, LIMITS.warmup_seconds + ENOUGH)

    assert {one.vm_name for asked in probes.asked for one in asked} == {NAME}


def test_vms_are_asked_about_all_at_once(make_harness: MakeHarness) -> None:
    probes = Probes()
    harness, checker = start(make_harness, probes, vms=30)
    probes.always = UP
    checker.unconfirmed = lambda _name: True

    crashed = on_different_nodes(harness)[:2]
    for name in crashed:
        harness.world.crash(name)
    advance(harness, probes, ENOUGH)

    assert probes.asked
    assert {frozenset(one.vm_name for one in asked) for asked in probes.asked} == {
        frozenset(crashed)
    }


def test_vm_without_a_query_is_started_without_a_question(make_harness: MakeHarness) -> None:
    probes = Probes(needed=False)
    harness, _ = start(make_harness, probes)

    harness.world.crash(NAME)
    advance(harness, probes, ENOUGH)

    assert harness.running(NAME)
    assert probes.asked == []


def test_shadow_acts_only_in_words_and_only_if_confirmed(make_harness: MakeHarness) -> None:
    probes = Probes()
    harness, _ = start(make_harness, probes, mode=Mode.SHADOW)
    probes.silent_since = harness.clock.elapsed

    harness.world.crash(NAME)
    advance(harness, probes, ENOUGH)
    assert decision(harness).failed_guard is GuardName.DOWN_CONFIRMED

    probes.silent_since = float("inf")
    advance(harness, probes, 60.0)
    assert decision(harness).failed_guard is GuardName.MODE_PERMITS


def test_time_to_service_is_in_the_journal_the_report_and_the_metrics(
    make_harness: MakeHarness,
) -> None:
    probes = Probes()
    harness, _ = start(make_harness, probes)
    probes.service_delay_seconds = 90.0

    harness.world.crash(NAME)
    advance(harness, probes, ENOUGH)

    (intent,) = harness.journal.intents.values()
    (seconds,) = harness.journal.times_to_service.values()
    assert intent.action is Action.POWER_ON
    assert 90.0 <= seconds <= 90.0 + 3 * harness.every
    assert ("service_returned", str(seconds)) in harness.tally.measured
    assert len(harness.asked(NAME)) == 1
    (event,) = (one for one in explained(harness, NAME).history if one.kind == "action")
    assert "its service worked again after" in event.text
    summary = accounted(harness)
    assert summary.time_to_service_seconds == seconds
    assert "after the action" in summary_text(summary)


def test_service_that_does_not_return_causes_no_second_action(make_harness: MakeHarness) -> None:
    probes = Probes()
    harness, _ = start(make_harness, probes)
    probes.service_delay_seconds = 1e9

    harness.world.crash(NAME)
    advance(harness, probes, 3600.0)

    assert len(harness.asked(NAME)) == 1
    assert harness.case(NAME).state is State.HEALTHY
    assert harness.journal.times_to_service == {}
    asked = len(probes.asked)
    advance(harness, probes, 600.0)
    assert len(probes.asked) == asked
