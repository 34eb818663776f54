"""Explanations: of simulated incidents, of every state and cause, and of earlier decisions."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.model import VM
from exporter.recovery.decide.guards import GUARDS
from exporter.recovery.model.cases import (
    Action,
    Cause,
    Diagnosis,
    DiagnosisKind,
    Enrolment,
    Intent,
    NotMonitored,
    ObservedState,
    OnHang,
    Outcome,
    Policy,
    Reply,
)
from exporter.recovery.model.commands import Command, CommandKind
from exporter.recovery.model.decision import BudgetUse, Decision, GuardName, GuardResult
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.ports import Change
from exporter.recovery.model.records import ActionRecord, DecisionRecord
from exporter.recovery.model.states import State
from exporter.recovery.observe.enrolment import NOT_ENROLLED
from exporter.recovery.observe.inventory_checks import not_monitored_because
from exporter.recovery.report.context import ExplainContext, context_of_decision
from exporter.recovery.report.events import command_event
from exporter.recovery.report.explain import HISTORY_EVENTS, explain
from exporter.recovery.report.messages import (
    CAUSES,
    COMMANDS,
    NOT_MONITORED,
    OUTCOMES,
    REASONS,
    VERBS,
)
from exporter.recovery.report.sentences import _SENTENCES, sentence
from tests.fakes import START
from tests.recovery.archive import RecordingJournal, about, as_json, explained, stage
from tests.recovery.harness import Harness, at_once
from tests.recovery.inventory_values import vm

UUID = "5c2f-web"


def at(seconds: float) -> Any:
    return START + timedelta(seconds=seconds)


def change(
    seconds: float,
    before: State | None,
    after: State | None,
    diagnosis: Diagnosis | None = None,
    word: str = "stopped",
) -> Change:
    return Change(
        uuid=UUID, vm_key=7, name="web-01", at=seconds, time=at(seconds),
        before=before, after=after, word=word, diagnosis=diagnosis,
    )  # fmt: skip


def attempt(
    seconds: float,
    outcome: Outcome | None = Outcome.CONFIRMED,
    *,
    reply: Reply | None = Reply.ACCEPTED,
    action: Action = Action.POWER_ON,
) -> ActionRecord:
    intent = Intent(
        id=1, uuid=UUID, vm_key=7, name="web-01", action=action, prepared_at=seconds,
        sent_at=seconds, deadline=seconds + 120, reply=reply, outcome=outcome,
    )  # fmt: skip
    return ActionRecord(intent, 1, at(seconds), None if outcome is None else at(seconds + 20))


def decision(
    reason: GuardName | None = GuardName.CIRCUIT_BREAKER_CLOSED,
    *,
    cause: Cause = Cause.CRASHED,
    says: str = "what it says",
    action: Action | None = Action.POWER_ON,
    state: State = State.HELD,
    more: tuple[GuardResult, ...] = (),
) -> Decision:
    denied = (
        []
        if reason is None
        else [GuardResult(reason, passed=False, detail=says, fix=f"cure of {reason}")]
    )
    return Decision(
        uuid=UUID, vm_key=7, name="web-01", at=100.0, time=at(100), state=state,
        diagnosis=Diagnosis(DiagnosisKind.CRASHED, cause, "the detail"), action=action,
        failed_guard=reason,
        guard_results=(*denied, *more), mode=Mode.ENFORCE,
    )  # fmt: skip


def of(state: State | None, **known: Any) -> ExplainContext:
    return ExplainContext(
        system="stage", now=at(600), vm="web-01", vm_key=7, uuid=UUID, state=state, **known
    )


# Simulated incidents.


def test_restarted_vm_is_explained_in_one_line() -> None:
    harness = stage()
    harness.world.crash("web-01")
    harness.advance(100)

    assert explained(harness, "web-01").sentence == (
        "web-01 crashed at 00:10:40 UTC. Vergewatch started it at 00:11:20 UTC, "
        "and it has been up since 00:11:40 UTC."
    )


def test_vm_without_downtime_is_up_and_enrolled() -> None:
    found = explained(stage(), "web-01")

    assert found.sentence == (
        "web-01 is up, without downtime since Vergewatch first saw it at 00:00:20 UTC."
    )
    assert found.enrolled is True
    assert (found.policy, found.policy_source) == ("on-failure", "tag recovery/auto")
    assert found.fixes == ()


def test_vm_stopped_by_user_quotes_the_log_row() -> None:
    harness = stage()
    harness.world.operator_stops("db-01", graceful=False, user="anna")
    harness.advance(60)

    found = explained(harness, "db-01")

    assert found.state == "stopped"
    assert found.sentence.startswith(
        "db-01 has been down since 00:10:40 UTC: a user stopped it (“VM action 'kill' sent"
    )
    assert "by anna" in found.sentence
    assert found.sentence.endswith("). Vergewatch does not start it.")
    assert len(found.fixes) == 1


def test_vm_shut_down_by_guest_is_not_a_crash() -> None:
    harness = stage()
    harness.world.guest_shuts_down("erp-01")
    harness.advance(60)

    sentence = explained(harness, "erp-01").sentence
    assert ": its guest shut itself down (“VM has shutdown”" in sentence
    assert "at 00:10:20 UTC" in sentence


def test_vm_first_seen_down_is_not_a_crash() -> None:
    harness = Harness(journal=RecordingJournal())
    harness.world.crash("web-01")
    harness.advance(700)

    found = explained(harness, "web-01")

    assert found.sentence == (
        "web-01 was already down when Vergewatch first saw it at 00:00:20 UTC, "
        "so a crash cannot be "
        "proven. Vergewatch does not start it."
    )
    assert found.fixes == ("start the VM once",)


def test_crashed_vm_is_held_by_a_pause() -> None:
    harness = stage()
    at_once(
        harness.recovery.command(CommandKind.PAUSE, owner="anna", reason="upgrade", seconds=3600)
    )
    harness.world.crash("web-01")
    harness.advance(60)

    found = explained(harness, "web-01")

    assert (
        "Vergewatch does not start it now because recovery is paused by anna: upgrade"
        in found.sentence
    )
    assert found.failed_guard is GuardName.NOT_PAUSED
    assert [one.guard for one in found.guards if not one.passed] == [GuardName.NOT_PAUSED]
    assert found.fixes == ("vergewatch recovery resume --reason ..., or wait",)
    assert len(found.guards) == len(GUARDS)


def test_fixes_follow_the_order_of_the_guards() -> None:
    harness = stage(mode=Mode.SHADOW)
    at_once(
        harness.recovery.command(CommandKind.PAUSE, owner="anna", reason="upgrade", seconds=3600)
    )
    at_once(harness.recovery.command(CommandKind.DISARM, owner="jonas", reason="no idea"))
    harness.world.crash("web-01")
    harness.advance(60)

    assert explained(harness, "web-01").fixes == (
        "vergewatch recovery arm --reason ...",
        "vergewatch recovery resume --reason ..., or wait",
        "set recovery.mode: enforce",
    )


def test_shadow_mode_gives_the_time_of_the_first_decision() -> None:
    harness = stage(mode=Mode.SHADOW)
    harness.world.crash("web-01")
    harness.advance(400)

    assert explained(harness, "web-01").sentence == (
        "web-01 crashed at 00:10:40 UTC. In enforce mode, Vergewatch would have started it at "
        "00:11:20 UTC. The mode is shadow, so an operator must start it."
    )


@pytest.mark.parametrize(("stopped_again", "named"), [(False, True), (True, False)])
def test_vm_that_is_up_again_keeps_the_author_of_its_last_stop(
    stopped_again: bool, named: bool
) -> None:
    harness = stage()
    web = harness.world.vm("web-01")
    web.machine.shutdown_seconds = 60.0
    harness.world.operator_stops(web, graceful=True, user="anna")
    harness.advance(200)
    decision = about(harness, "web-01").decision
    harness.world.operator_starts(web)
    harness.advance(700)
    if stopped_again:
        harness.world.operator_stops(web, graceful=True, user="mira")
        harness.advance(40)
        harness.world.operator_starts(web)
        harness.advance(200)

    found = sentence(about(harness, "web-01")._replace(decision=decision))

    assert found.endswith("It came back without Vergewatch.")
    assert ("a user stopped it (" in found and "by anna at" in found) == named


def test_quarantined_vm_gives_the_used_budget_and_the_clear_command() -> None:
    harness = stage()
    for _ in range(4):
        harness.world.crash("web-02")
        harness.advance(400)

    assert explained(harness, "web-02").sentence == (
        "web-02 crashed again at 00:30:40 UTC after Vergewatch restarted it 3 times within 1 h. "
        "Vergewatch takes no more action until the VM is started, or an operator runs "
        "`vergewatch recovery clear web-02 --reason ...`."
    )


def test_quarantined_vm_has_no_backoff_to_wait_for() -> None:
    harness = stage()
    for pause in (400, 400, 200, 100):
        harness.world.crash("web-02")
        harness.advance(pause)

    found = explained(harness, "web-02")
    assert found.state == "quarantined"
    failed = {one.guard for one in found.guards if not one.passed}
    assert GuardName.BACKOFF_ELAPSED in failed
    assert found.fixes == ("vergewatch recovery clear web-02 --reason ...",)


def test_vm_started_by_operator_after_second_crash_was_not_quarantined() -> None:
    harness = stage()
    harness.world.crash("web-02")
    harness.advance(400)
    harness.world.crash("web-02")
    harness.clock.elapsed += 25
    harness.poll()
    harness.world.operator_starts("web-02")
    harness.advance(60)

    found = explained(harness, "web-02")

    assert found.state == "probation"
    assert "quarantined" not in found.sentence
    assert found.sentence.startswith("web-02 is up. It was down from 00:17:")


def test_quarantined_vm_started_by_operator_is_on_probation() -> None:
    harness = stage()
    for _ in range(4):
        harness.world.crash("web-02")
        harness.advance(400)
    harness.world.operator_starts("web-02")
    harness.advance(60)

    assert explained(harness, "web-02").sentence.startswith(
        "web-02 was quarantined. It was started without Vergewatch"
    )


def test_vms_of_a_failed_node_wait_for_high_availability() -> None:
    harness = stage()
    harness.world.node_fails(harness.case("git-01").node or "")
    harness.advance(60)

    found = explained(harness, "git-01")

    assert found.state == "platform"
    assert "its node is in trouble, or was shortly before (node" in found.sentence
    assert found.sentence.endswith(
        "Vergewatch waits for VergeOS high availability, which acts first."
    )


def test_hung_vm_is_unresponsive_not_crashed() -> None:
    harness = stage()
    harness.world.hang("queue-01")
    harness.advance(400)

    assert explained(harness, "queue-01").sentence.startswith(
        "queue-01 became unresponsive at 00:10:40 UTC. Vergewatch does not act "
        "on it now because the "
        "next action is not allowed"
    )


# Earlier decisions.


def test_decision_is_explained_with_the_same_bytes_later() -> None:
    harness = stage()
    journal: RecordingJournal = harness.journal
    harness.world.crash("web-02")
    found: dict[int, bytes] = {}
    uuid = harness.case("web-02").uuid
    for step in range(150):
        for record in journal.decisions_of(uuid):
            found.setdefault(record.number, as_json(replayed(journal, record)))
        if step % 20 == 19 and harness.running("web-02"):
            harness.world.crash("web-02")
        if step == 70:
            harness.new_process()
        harness.advance(harness.every)

    assert len(found) > 7
    assert any(b"Vergewatch started it at" in text for text in found.values())
    now = {one.number: as_json(replayed(journal, one)) for one in journal.decisions_of(uuid)}
    assert {number: now[number] for number in found} == found


def replayed(journal: RecordingJournal, record: DecisionRecord) -> Any:
    uuid = record.decision.uuid
    return explain(
        context_of_decision(
            record,
            system="stage",
            changes=journal.changes_of(uuid),
            actions=journal.actions_of(uuid),
        )
    )


def test_earlier_decision_does_not_know_a_later_outcome() -> None:
    found = context_of_decision(
        DecisionRecord(3, decision()), system="stage", changes=(), actions=[attempt(90)]
    )

    assert found.actions[0].intent.outcome is None
    assert found.now == at(100)


# Every state, cause and guard.


@pytest.mark.parametrize("cause", list(Cause))
@pytest.mark.parametrize("state", [None, *State])
def test_every_state_and_cause_has_a_sentence(state: State | None, cause: Cause) -> None:
    for observed in (None, *ObservedState):
        found = sentence(
            of(
                state,
                observed=observed,
                diagnosis=Diagnosis(DiagnosisKind.UNKNOWN, cause, "the detail"),
                decision=decision(cause=cause),
                changes=[change(50, State.HEALTHY, State.SUSPECT)],
            )
        )

        assert found.startswith("web-01 ")
        assert found.endswith(".")
        assert "None" not in found
        assert "{" not in found


@pytest.mark.parametrize("reason", list(GuardName))
def test_every_failed_guard_has_a_sentence(reason: GuardName | None) -> None:
    found = sentence(of(State.HELD, decision=decision(reason)))

    assert found.startswith("web-01 crashed. ")
    assert "None" not in found
    assert "{" not in found


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        (CAUSES, Cause),
        (REASONS, GuardName),
        (VERBS, Action),
        (OUTCOMES, Outcome),
        (COMMANDS, CommandKind),
        (_SENTENCES, (None, *State)),
    ],
)
def test_every_value_has_a_text(words: dict[Any, Any], kinds: Any) -> None:
    assert set(words) == set(kinds)


def test_state_alone_has_a_sentence() -> None:
    for state in (None, *State):
        assert sentence(of(state)).startswith("web-01 ")


# Downtimes.

ROW = "“off” by anna (log row 4)"
STOPPED_BY_PERSON = Diagnosis(DiagnosisKind.STOPPED, Cause.STOPPED_BY_PERSON, ROW)
FELL = change(
    50,
    State.HEALTHY,
    State.SUSPECT,
    Diagnosis(DiagnosisKind.PENDING, Cause.NOT_LONG_ENOUGH, "down for 0 s"),
)


def test_failed_action_precedes_the_next_one() -> None:
    found = sentence(
        of(
            State.PROBATION,
            changes=[change(400, State.VERIFYING, State.PROBATION, word="running"), FELL],
            actions=[attempt(380), attempt(100, Outcome.FAILED)],
        )
    )

    assert found == (
        "web-01 crashed at 00:00:50 UTC. Vergewatch started it at 00:01:40 "
        "UTC, which did not bring it "
        "up, then started it at 00:06:20 UTC, and it has been up since 00:06:40 UTC."
    )


def test_refused_action_gives_the_refusal() -> None:
    found = sentence(
        of(
            State.BACKOFF,
            decision=decision(GuardName.BACKOFF_ELAPSED, says="280 s left"),
            changes=[FELL],
            actions=[attempt(100, Outcome.FAILED, reply=Reply.NO_CAPACITY)],
        )
    )

    assert (
        "Vergewatch asked VergeOS to start it at 00:01:40 UTC, which VergeOS refused for lack of "
        "resources"
    ) in found
    assert "the backoff after the last action has not elapsed: 280 s left" in found


def test_actions_of_an_earlier_downtime_are_left_out() -> None:
    found = sentence(
        of(
            State.HELD,
            decision=decision(),
            changes=[
                FELL,
                change(40, State.PROBATION, State.HEALTHY),
                change(30, State.VERIFYING, State.PROBATION),
                change(10, State.HEALTHY, State.SUSPECT),
            ],
            actions=[attempt(20)],
        )
    )

    assert "started it at" not in found


def test_action_never_sent_is_left_out() -> None:
    found = sentence(
        of(State.HELD, decision=decision(), changes=[FELL], actions=[
            attempt(100, Outcome.ABANDONED)
        ])
    )  # fmt: skip

    assert "00:01:40 UTC" not in found


def test_vm_started_without_vergewatch_gives_the_cause_of_its_downtime() -> None:
    found = sentence(
        of(
            State.HEALTHY,
            observed=ObservedState.UP,
            changes=[
                change(400, State.STOPPED, State.HEALTHY, word="running"),
                change(80, State.SUSPECT, State.STOPPED, STOPPED_BY_PERSON),
                FELL,
            ],
        )
    )  # fmt: skip

    assert found == (
        "web-01 is up. It was down from 00:00:50 UTC to 00:06:40 UTC: a user "
        "stopped it (“off” by anna "
        "(log row 4)). It came back without Vergewatch."
    )


def test_unknown_cause_needs_an_operator() -> None:
    found = sentence(
        of(
            State.UNKNOWN,
            diagnosis=Diagnosis(DiagnosisKind.UNKNOWN, Cause.LOGS_UNREAD, "the log answered 500"),
            changes=[FELL],
        )
    )

    assert found == (
        "web-01 has been down since 00:00:50 UTC, and the cause is unknown: "
        "the VergeOS log could not "
        "be read (the log answered 500). Vergewatch does not start it. An operator must check it "
        "and start it."
    )


def test_time_of_another_day_has_its_date() -> None:
    found = sentence(of(State.UNKNOWN, changes=[FELL])._replace(now=at(90_000)))

    assert "since 2026-01-01 00:00:50 UTC" in found


def test_name_with_braces_is_not_a_format() -> None:
    about = of(State.HELD, decision=decision(says="{0} and {name}"))._replace(vm="{web}")

    assert sentence(about).startswith("{web} crashed")
    assert "{0} and {name}" in sentence(about)


def test_quarantine_after_failed_actions_counts_the_budget_that_is_used_up() -> None:
    spent = GuardResult(
        GuardName.WITHIN_RESTART_BUDGET, passed=False, detail="used up",
        budgets=(BudgetUse(1, 6, 86_400.0), BudgetUse(2, 2, 3600.0)),
    )  # fmt: skip
    found = sentence(
        of(
            State.QUARANTINED,
            decision=decision(None, more=(spent,)),
            actions=[attempt(300, Outcome.FAILED), attempt(100)],
        )
    )

    assert found.startswith("web-01 is down again after 2 actions within 1 h. ")


def test_vm_not_monitored_gives_the_reason() -> None:
    ignored = Enrolment(Policy.IGNORE, OnHang.ALERT, 2, (), "tag recovery/ignore")
    reasons = not_monitored_because(configured(enabled=False), ignored, frozenset())
    found = explain(of(None, enrolment=ignored, not_monitored=reasons))

    assert found.sentence == (
        "web-01 is not monitored by recovery: it is disabled in VergeOS, and it is ignored "
        "(tag recovery/ignore)."
    )
    assert found.fixes == ()
    assert "no longer in the inventory" in sentence(of(None, gone=True))


def configured(**config: Any) -> VM:
    return replace(vm(), config=replace(vm().config, **config))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"enabled": False}, NotMonitored.DISABLED),
        ({"service": True}, NotMonitored.SERVICE),
        ({"uuid": ""}, NotMonitored.NO_UUID),
        ({"uuid": "shared"}, NotMonitored.NO_UUID),
        ({}, NotMonitored.NO_STATUS),
    ],
)
def test_vm_not_monitored_has_one_reason(config: dict[str, Any], reason: NotMonitored) -> None:
    assert not_monitored_because(configured(**config), NOT_ENROLLED, {"shared"}) == [reason]


@pytest.mark.parametrize(
    "unreadable", [replace(vm(), status=None), configured(enabled=None)], ids=["status", "enabled"]
)
def test_unreadable_vm_without_tags_is_not_monitored_for_both(unreadable: VM) -> None:
    found = not_monitored_because(unreadable, None, frozenset())
    assert found == [NotMonitored.NO_STATUS, NotMonitored.NO_POLICY]


@pytest.mark.parametrize("reason", NotMonitored)
def test_each_reason_is_a_sentence(reason: NotMonitored) -> None:
    assert NOT_MONITORED[reason].format(by="") in sentence(of(None, not_monitored=[reason]))


def test_history_is_newest_first_and_limited() -> None:
    changes = [change(second, State.HEALTHY, State.SUSPECT) for second in range(100, 0, -1)]
    found = explain(of(State.SUSPECT, changes=changes, actions=[attempt(50.5)]))

    times = [line.time for line in found.history]
    assert times == sorted(times, reverse=True)
    assert len(times) == HISTORY_EVENTS


def test_command_event_has_owner_and_reason() -> None:
    command = Command(
        kind=CommandKind.PAUSE, owner="anna", reason="upgrade", at=0, time=START, until=5400.0
    )

    assert command_event(command, "stage").text == "anna paused recovery for 1 h 30 min: upgrade"
    cleared = replace(command, kind=CommandKind.CLEAR, until=None)
    assert command_event(cleared, "stage", vm="web-01").text == (
        "anna cleared the restart budget of the VM: upgrade"
    )


def test_same_case_gives_the_same_explanation() -> None:
    harness = stage()
    harness.world.crash("web-01")
    harness.advance(60)

    assert as_json(explain(about(harness, "web-01"))) == as_json(explain(about(harness, "web-01")))
