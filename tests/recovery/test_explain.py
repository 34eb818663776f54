"""What `explain` says: of real plays, of every word there is, and of the past."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.recovery.decide.guards import GUARDS
from exporter.recovery.model.cases import (
    Action,
    Cause,
    Diagnosis,
    DiagnosisKind,
    Enrolment,
    Intent,
    ObservedState,
    OnHang,
    Outcome,
    Policy,
    Reply,
)
from exporter.recovery.model.commands import Command, CommandKind
from exporter.recovery.model.decision import Decision, GuardName, GuardResult
from exporter.recovery.model.limits import Limits, Mode
from exporter.recovery.model.ports import Change
from exporter.recovery.model.records import ActionRecord, DecisionRecord
from exporter.recovery.model.states import State
from exporter.recovery.observe.enrolment import NOT_ENROLLED
from exporter.recovery.report import explain as module
from exporter.recovery.report.context import ExplainContext, context_of_decision
from exporter.recovery.report.events import command_event
from exporter.recovery.report.explain import explain
from exporter.recovery.report.messages import CAUSES, COMMANDS, OUTCOMES, POLICIES, REASONS, VERBS
from exporter.recovery.report.sentences import _SENTENCES, sentence
from tests.fakes import START
from tests.recovery.archive import ArchiveBook, about, as_json, explained, stage
from tests.recovery.harness import Theatre, at_once

UUID = "5c2f-web"


def at(seconds: float) -> Any:
    return START + timedelta(seconds=seconds)


def change(
    seconds: float,
    before: State | None,
    after: State | None,
    detail: str = "",
    word: str = "stopped",
) -> Change:
    return Change(
        uuid=UUID, vm_key=7, name="web-01", at=seconds, time=at(seconds),
        before=before, after=after, word=word, detail=detail,
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


# Plays.


def test_a_vm_that_crashed_and_was_started_is_told_in_one_sentence() -> None:
    theatre = stage()
    theatre.world.crash("web-01")
    theatre.let_pass(100)

    assert explained(theatre, "web-01").sentence == (
        "web-01 stopped at 00:10:40 and nobody asked for it: Vergewatch started it at 00:11:20 "
        "and it has been up since 00:11:40."
    )


def test_a_vm_that_nothing_happened_to_is_up() -> None:
    told = explained(stage(), "web-01")

    assert told.sentence == (
        "web-01 is up, and nothing happened to it since 00:00:20, when Vergewatch first saw it."
    )
    assert told.enrolment == "start it again when it crashed (on-failure, by tag recovery/auto)"
    assert told.to_change == ()


def test_who_stopped_it_is_named_with_the_row_that_says_so() -> None:
    theatre = stage()
    theatre.world.operator_stops("db-01", graceful=False, user="anna")
    theatre.let_pass(60)

    told = explained(theatre, "db-01")

    assert told.state == "stopped"
    assert told.sentence.startswith(
        "db-01 is down since 00:10:40 because anna stopped it (“VM action 'kill' sent"
    )
    assert told.sentence.endswith("); it stays down until somebody starts it.")
    assert told.to_change == ("whoever stopped it starts it again",)


def test_a_guest_that_shut_down_is_told_from_a_crash() -> None:
    theatre = stage()
    theatre.world.guest_shuts_down("erp-01")
    theatre.let_pass(60)

    sentence = explained(theatre, "erp-01").sentence
    assert "because its guest shut itself down (“VM has shutdown” at 00:10:20 UTC" in sentence


def test_what_was_down_at_first_sight_is_nobodys_crash() -> None:
    theatre = Theatre(book=ArchiveBook())
    theatre.world.crash("web-01")
    theatre.let_pass(700)

    told = explained(theatre, "web-01")

    assert told.sentence == (
        "web-01 was down when Vergewatch first saw it at 00:00:20. Nobody can tell a crash from a "
        "wish then, so it stays as it is until somebody starts it."
    )
    assert told.to_change == ("it is seen up once",)


def test_a_pause_is_what_holds_a_crashed_vm_back() -> None:
    theatre = stage()
    at_once(
        theatre.recovery.command(CommandKind.PAUSE, owner="anna", reason="upgrade", seconds=3600)
    )
    theatre.world.crash("web-01")
    theatre.let_pass(60)

    told = explained(theatre, "web-01")

    assert (
        "Vergewatch does not start it now because recovery is paused by anna: upgrade"
        in told.sentence
    )
    assert told.to_change == ("vergewatch recovery resume --reason ..., or wait",)
    assert [guard.name for guard in told.guards if not guard.passed] == ["paused"]
    assert len(told.guards) == len(GUARDS)


def test_all_that_speaks_against_it_is_to_change_in_the_order_of_the_guards() -> None:
    theatre = stage(Limits(mode=Mode.SHADOW))
    at_once(
        theatre.recovery.command(CommandKind.PAUSE, owner="anna", reason="upgrade", seconds=3600)
    )
    at_once(theatre.recovery.command(CommandKind.DISARM, owner="jonas", reason="no idea"))
    theatre.world.crash("web-01")
    theatre.let_pass(60)

    assert explained(theatre, "web-01").to_change == (
        "vergewatch recovery arm --reason ...",
        "vergewatch recovery resume --reason ..., or wait",
        "recovery.mode: enforce",
    )


def test_shadow_mode_says_when_it_would_have_started_it_first() -> None:
    theatre = stage(Limits(mode=Mode.SHADOW))
    theatre.world.crash("web-01")
    theatre.let_pass(400)

    assert explained(theatre, "web-01").sentence == (
        "web-01 stopped at 00:10:40 and nobody asked for it: in mode enforce Vergewatch would have "
        "started it at 00:11:20. The mode is shadow, so it stays down until somebody starts it."
    )


def test_a_vm_given_up_says_how_often_it_crashed_and_what_helps() -> None:
    theatre = stage()
    for _ in range(4):
        theatre.world.crash("web-02")
        theatre.let_pass(400)

    assert explained(theatre, "web-02").sentence == (
        "web-02 crashed again after Vergewatch had brought it back 3 times within an hour; "
        "Vergewatch has given up until somebody starts it, or runs "
        "`vergewatch recovery clear web-02 --reason ...`."
    )


def test_who_was_started_by_a_person_after_a_second_crash_had_not_been_given_up() -> None:
    theatre = stage()
    theatre.world.crash("web-02")
    theatre.let_pass(400)
    theatre.world.crash("web-02")
    theatre.clock.elapsed += 25
    theatre.poll()
    theatre.world.operator_starts("web-02")
    theatre.let_pass(60)

    told = explained(theatre, "web-02")

    assert told.state == "probation"
    assert "given up" not in told.sentence
    assert told.sentence.startswith("web-02 is up. It was not from 00:17:")


def test_who_was_given_up_and_started_by_a_person_is_said_to_be() -> None:
    theatre = stage()
    for _ in range(4):
        theatre.world.crash("web-02")
        theatre.let_pass(400)
    theatre.world.operator_starts("web-02")
    theatre.let_pass(60)

    assert explained(theatre, "web-02").sentence.startswith("web-02 had been given up; somebody")


def test_a_node_in_trouble_leaves_its_vms_to_the_platform() -> None:
    theatre = stage()
    theatre.world.node_fails(theatre.case("git-01").node or "")
    theatre.let_pass(60)

    told = explained(theatre, "git-01")

    assert told.state == "platform"
    assert "its node is in trouble, or was just now (node" in told.sentence
    assert told.sentence.endswith(
        ": VergeOS' own high availability goes first, and Vergewatch waits for it."
    )


def test_a_vm_that_hangs_is_not_said_to_have_stopped() -> None:
    theatre = stage()
    theatre.world.hang("queue-01")
    theatre.let_pass(400)

    assert explained(theatre, "queue-01").sentence.startswith(
        "queue-01 became unresponsive at 00:10:40; Vergewatch does not act on it now because the "
        "step that would come next is not allowed"
    )


# The past.


def test_a_decision_is_explained_later_as_it_was_then_byte_for_byte() -> None:
    theatre = stage()
    book: ArchiveBook = theatre.book
    theatre.world.crash("web-02")
    told: dict[int, bytes] = {}
    uuid = theatre.case("web-02").uuid
    for step in range(150):
        for record in book.decisions_of(uuid):
            told.setdefault(record.number, as_json(replayed(book, record)))
        if step % 20 == 19 and theatre.running("web-02"):
            theatre.world.crash("web-02")
        if step == 70:
            theatre.new_process()
        theatre.let_pass(theatre.every)

    assert len(told) > 7
    assert any(b"Vergewatch started it at" in text for text in told.values())
    now = {one.number: as_json(replayed(book, one)) for one in book.decisions_of(uuid)}
    assert {number: now[number] for number in told} == told


def replayed(book: ArchiveBook, record: DecisionRecord) -> Any:
    uuid = record.decision.uuid
    return explain(
        context_of_decision(
            record,
            system="stage",
            changes=book.changes_of(uuid),
            actions=book.actions_of(uuid),
        )
    )


def test_the_past_does_not_know_how_an_action_ended() -> None:
    told = context_of_decision(
        DecisionRecord(3, decision()), system="stage", changes=(), actions=[attempt(90)]
    )

    assert told.actions[0].intent.outcome is None
    assert told.now == at(100)


# Words.


@pytest.mark.parametrize("cause", list(Cause))
@pytest.mark.parametrize("state", [None, *State])
def test_every_state_has_its_words_for_every_cause(state: State | None, cause: Cause) -> None:
    for observed in (None, *ObservedState):
        told = sentence(
            of(
                state,
                observed=observed,
                diagnosis=Diagnosis(DiagnosisKind.UNKNOWN, cause, "the detail"),
                decision=decision(cause=cause),
                changes=[change(50, State.HEALTHY, State.SUSPECT)],
            )
        )

        assert told.startswith("web-01 ")
        assert told.endswith(".")
        assert "None" not in told
        assert "{" not in told


@pytest.mark.parametrize("reason", list(GuardName))
def test_every_reason_has_its_words(reason: GuardName | None) -> None:
    told = sentence(of(State.HELD, decision=decision(reason)))

    assert told.startswith("web-01 stopped and nobody asked for it")
    assert "None" not in told
    assert "{" not in told


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        (CAUSES, Cause),
        (REASONS, GuardName),
        (VERBS, Action),
        (OUTCOMES, Outcome),
        (POLICIES, Policy),
        (COMMANDS, CommandKind),
        (_SENTENCES, (None, *State)),
    ],
)
def test_no_word_is_forgotten(words: dict[Any, Any], kinds: Any) -> None:
    assert set(words) == set(kinds)


def test_no_knowledge_at_all_is_a_sentence_too() -> None:
    for state in (None, *State):
        assert sentence(of(state)).startswith("web-01 ")


# Stories.

ROW = "“off” by anna (log row 4)"
FELL = change(50, State.HEALTHY, State.SUSPECT, "not_long_enough: down for 0 s")


def test_a_try_that_did_not_help_is_told_before_the_next_one() -> None:
    told = sentence(
        of(
            State.PROBATION,
            changes=[change(400, State.VERIFYING, State.PROBATION, word="running"), FELL],
            actions=[attempt(380), attempt(100, Outcome.FAILED)],
        )
    )

    assert told == (
        "web-01 stopped at 00:00:50 and nobody asked for it: Vergewatch started it at 00:01:40, "
        "which did not help, then started it at 00:06:20 and it has been up since 00:06:40."
    )


def test_a_refusal_is_said_to_be_one() -> None:
    told = sentence(
        of(
            State.BACKOFF,
            decision=decision(GuardName.BACKOFF_ELAPSED, says="280 s left"),
            changes=[FELL],
            actions=[attempt(100, Outcome.FAILED, reply=Reply.NO_CAPACITY)],
        )
    )

    assert (
        "Vergewatch asked VergeOS to start it at 00:01:40, which VergeOS refused for want of "
        "resources"
    ) in told
    assert "waits a little longer each time: 280 s left" in told


def test_actions_of_an_earlier_trouble_are_not_told_again() -> None:
    told = sentence(
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

    assert "started it at" not in told


def test_an_action_that_was_never_sent_is_not_told() -> None:
    told = sentence(
        of(State.HELD, decision=decision(), changes=[FELL], actions=[
            attempt(100, Outcome.ABANDONED)
        ])
    )  # fmt: skip

    assert "00:01:40" not in told


def test_a_vm_that_somebody_else_started_is_said_to_be_so_and_why_it_was_down() -> None:
    told = sentence(
        of(
            State.HEALTHY,
            observed=ObservedState.UP,
            changes=[
                change(400, State.STOPPED, State.HEALTHY, word="running"),
                change(80, State.SUSPECT, State.STOPPED, f"stopped_by_person: {ROW}"),
                FELL,
            ],
        )
    )  # fmt: skip

    assert told == (
        "web-01 is up. It was not from 00:00:50 to 00:06:40 because anna stopped it; "
        "it came back without Vergewatch."
    )


def test_an_unknown_cause_asks_for_a_person() -> None:
    told = sentence(
        of(
            State.UNKNOWN,
            diagnosis=Diagnosis(DiagnosisKind.UNKNOWN, Cause.LOGS_UNREAD, "the log answered 500"),
            changes=[FELL],
        )
    )

    assert told == (
        "web-01 has been down since 00:00:50 and nobody can prove why: VergeOS' log could not be "
        "read (the log answered 500). Vergewatch does not act on a guess; somebody has to look at "
        "it, and start it."
    )


def test_a_day_that_is_not_today_is_named() -> None:
    told = sentence(of(State.UNKNOWN, changes=[FELL])._replace(now=at(90_000)))

    assert "since 2026-01-01 00:00:50" in told


def test_a_name_with_braces_is_only_a_name() -> None:
    about = of(State.HELD, decision=decision(says="{0} and {name}"))._replace(vm="{web}")

    assert sentence(about).startswith("{web} stopped")
    assert "{0} and {name}" in sentence(about)


def test_a_row_by_nobody_is_by_somebody() -> None:
    diagnosis = Diagnosis(
        DiagnosisKind.STOPPED, Cause.STOPPED_BY_PERSON, "“off” by system (log row 4)"
    )

    assert "because somebody stopped it (“off”, log row 4)" in (
        sentence(of(State.STOPPED, diagnosis=diagnosis))
    )


def test_a_vm_that_nobody_looks_at_says_why() -> None:
    ignored = Enrolment(Policy.IGNORE, OnHang.ALERT, 2, (), "tag recovery/ignore")
    told = explain(of(None, enrolment=ignored))

    assert told.sentence == (
        "web-01 is nothing that recovery looks at: its owner says ignore, by tag recovery/ignore."
    )
    assert told.to_change == ("enable it, or take away what says that it is ignored",)
    assert "it is disabled" in sentence(of(None, enrolment=NOT_ENROLLED))
    assert "not there any more" in sentence(of(None, gone=True))


def test_the_history_is_newest_first_and_has_an_end() -> None:
    changes = [change(second, State.HEALTHY, State.SUSPECT) for second in range(100, 0, -1)]
    told = explain(of(State.SUSPECT, changes=changes, actions=[attempt(50.5)]))

    times = [line.time for line in told.history]
    assert times == sorted(times, reverse=True)
    assert len(times) == module.HISTORY_LINES


def test_an_order_is_a_line_with_its_giver_and_its_reason() -> None:
    command = Command(
        kind=CommandKind.PAUSE, owner="anna", reason="upgrade", at=0, time=START, until=5400.0
    )

    assert command_event(command, "stage").text == "anna paused recovery for 1 h 30 min: upgrade"
    cleared = replace(command, kind=CommandKind.CLEAR, until=None)
    assert command_event(cleared, "stage", vm="web-01").text == "anna cleared it: upgrade"


def test_explaining_a_case_twice_is_the_same() -> None:
    theatre = stage()
    theatre.world.crash("web-01")
    theatre.let_pass(60)

    assert as_json(explain(about(theatre, "web-01"))) == as_json(explain(about(theatre, "web-01")))
