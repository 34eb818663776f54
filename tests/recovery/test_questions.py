"""Mode ask: recovery asks before each action; an answer is for one action of one outage."""

import pytest

from exporter.recovery.answers import answer_result
from exporter.recovery.model.cases import Question
from exporter.recovery.model.commands import Command, CommandKind
from exporter.recovery.model.decision import GuardName
from exporter.recovery.model.limits import Limits, Mode
from exporter.recovery.model.states import State
from exporter.recovery.model.views import AnswerRefusedError
from tests.recovery.conftest import MakeHarness
from tests.recovery.harness import ENFORCE, LIMITS, Harness, KilledError, at_once

ASK = ENFORCE._replace(mode=Mode.ASK)


def answer(harness: Harness, kind: CommandKind, number: int) -> Command:
    recovery = harness.recovery
    return at_once(recovery.command(kind, owner="anna", reason="because", question=number))


def approve(harness: Harness, number: int) -> str:
    return answer_result(answer(harness, CommandKind.APPROVE, number), harness.recovery)


def deny(harness: Harness, number: int) -> str:
    return answer_result(answer(harness, CommandKind.DENY, number), harness.recovery)


def questions(harness: Harness) -> list[int]:
    return [one.number for one in harness.recovery.report.questions]


def asked_about(make_harness: MakeHarness, name: str = "web-01") -> tuple[Harness, int]:
    """Return a harness in mode ask in which a VM crashed, and the number of the question."""
    harness, _ = make_harness(setup=ASK)
    harness.warm()
    harness.world.crash(name)
    harness.advance(120)
    (number,) = questions(harness)
    return harness, number


def question_of(harness: Harness, name: str = "web-01") -> Question | None:
    return harness.case(name).question


def test_crash_opens_a_question_and_sends_no_action(make_harness: MakeHarness) -> None:
    harness, number = asked_about(make_harness)

    harness.advance(600)

    assert not harness.asked()
    assert questions(harness) == [number]
    (question,) = harness.recovery.report.questions
    assert (question.vm_name, question.action, question.diagnosis) == (
        "web-01", "poweron", "crashed",
    )  # fmt: skip
    assert "VergeOS logged no stop request" in question.evidence
    assert question.since < harness.clock.now() < question.expires
    decision = harness.journal.decisions[number - 1]
    assert (decision.name, decision.failed_guard) == ("web-01", GuardName.MODE_PERMITS)
    assert [one.failed_guard for one in harness.journal.decisions].count(
        GuardName.MODE_PERMITS
    ) == 1


def test_approved_action_is_sent_at_once_and_closes_the_question(
    make_harness: MakeHarness,
) -> None:
    harness, number = asked_about(make_harness)
    at = harness.clock.elapsed

    result = approve(harness, number)

    (request,) = harness.asked()
    assert (request.action, request.at) == ("poweron", at)
    assert "started it (web-01)" in result
    assert questions(harness) == []
    harness.advance(LIMITS.probation_seconds + 120)
    assert harness.case("web-01").state is State.HEALTHY
    assert len(harness.asked()) == 1


def test_approval_is_for_one_action_and_the_next_one_is_asked_about(
    make_harness: MakeHarness,
) -> None:
    harness, number = asked_about(make_harness)
    harness.world.faults.turn_on("accepted_but_never_starts")

    approve(harness, number)
    harness.advance(900)

    assert len(harness.asked()) == 1
    (second,) = questions(harness)
    assert second != number
    with pytest.raises(AnswerRefusedError, match=rf"open questions: {second} \(web-01\)"):
        approve(harness, number)
    assert len(harness.asked()) == 1


def test_next_outage_is_asked_about_again(make_harness: MakeHarness) -> None:
    harness, number = asked_about(make_harness)
    approve(harness, number)
    harness.advance(LIMITS.probation_seconds + 120)

    harness.world.crash("web-01")
    harness.advance(600)

    assert len(harness.asked()) == 1
    assert len(questions(harness)) == 1
    assert questions(harness) != [number]


def test_denied_outage_is_not_asked_about_again_until_the_vm_was_up(
    make_harness: MakeHarness,
) -> None:
    harness, number = asked_about(make_harness)

    result = deny(harness, number)
    harness.advance(1800)

    assert "denied" in result
    assert not harness.asked()
    assert questions(harness) == []
    with pytest.raises(AnswerRefusedError, match="denied by anna: because"):
        approve(harness, number)
    harness.world.operator_starts("web-01")
    harness.advance(900)
    harness.world.crash("web-01")
    harness.advance(120)
    assert len(questions(harness)) == 1


def test_denied_outage_is_left_alone_in_mode_enforce_too(make_harness: MakeHarness) -> None:
    harness, number = asked_about(make_harness)
    deny(harness, number)

    harness.setup = ENFORCE
    harness.new_process()
    harness.advance(1500)

    assert not harness.asked()


def test_cleared_vm_is_asked_about_again_after_a_denial(make_harness: MakeHarness) -> None:
    harness, number = asked_about(make_harness)
    deny(harness, number)

    at_once(
        harness.recovery.command(
            CommandKind.CLEAR,
            owner="anna",
            reason="a mistake",
            uuid=harness.world.vm("web-01").uuid,
        )
    )
    harness.advance(60)

    assert len(questions(harness)) == 1


def test_unanswered_question_expires_and_is_asked_again_with_new_evidence(
    make_harness: MakeHarness,
) -> None:
    harness, number = asked_about(make_harness)

    harness.advance(LIMITS.question_seconds)

    (second,) = questions(harness)
    assert second > number
    with pytest.raises(AnswerRefusedError, match="expired"):
        approve(harness, number)
    assert not harness.asked()
    approve(harness, second)
    assert len(harness.asked()) == 1


def test_question_expires_by_the_time_of_day_too(make_harness: MakeHarness) -> None:
    harness, number = asked_about(make_harness)

    harness.clock.elapsed += 3600  # no poll meanwhile, as if the daemon had not run
    harness.recovery._time.began = harness.clock.monotonic()

    with pytest.raises(AnswerRefusedError, match="expired"):
        approve(harness, number)


def test_approval_after_a_person_stopped_the_vm_is_refused_with_the_reason(
    make_harness: MakeHarness,
) -> None:
    harness, number = asked_about(make_harness)
    harness.world.operator_stops("web-01", user="jonas", graceful=False)

    with pytest.raises(AnswerRefusedError, match=r"stopped_by_person.*jonas"):
        approve(harness, number)

    harness.advance(3600)
    assert not harness.asked()
    assert questions(harness) == []
    assert harness.case("web-01").state is State.STOPPED


def test_stop_by_a_person_closes_the_question(make_harness: MakeHarness) -> None:
    harness, number = asked_about(make_harness)
    harness.world.operator_stops("web-01", graceful=False)

    harness.advance(300)

    assert questions(harness) == []
    with pytest.raises(AnswerRefusedError, match="withdrawn"):
        approve(harness, number)


def test_approval_after_the_vm_was_started_is_refused(make_harness: MakeHarness) -> None:
    harness, number = asked_about(make_harness)
    harness.world.operator_starts("web-01")
    harness.clock.elapsed += 15
    harness.world.catch_up()

    with pytest.raises(AnswerRefusedError):
        approve(harness, number)
    harness.advance(60)

    assert not harness.asked()
    assert question_of(harness) is None


def test_approved_action_waits_for_another_guard_until_it_expires(
    make_harness: MakeHarness,
) -> None:
    harness, number = asked_about(make_harness)
    at_once(harness.recovery.command(CommandKind.PAUSE, owner="jo", reason="storage", seconds=600))

    result = approve(harness, number)
    harness.advance(1800)

    assert "no action on web-01 yet because recovery is paused by jo: storage" in result
    assert not harness.asked()
    assert len(questions(harness)) == 1


def test_approved_action_is_sent_when_the_concurrency_limit_permits(
    make_harness: MakeHarness,
) -> None:
    harness, _ = make_harness(setup=ASK, vms=40)
    harness.warm()
    for name in ("web-01", "web-02", "web-03"):
        harness.world.crash(name)
        harness.advance(20)
    harness.advance(120)
    numbers = questions(harness)
    assert len(numbers) == 3

    for number in numbers:
        approve(harness, number)
    assert len(harness.asked()) == LIMITS.max_concurrent_actions
    harness.advance(300)

    assert len(harness.asked()) == 3
    assert all(harness.running(name) for name in ("web-01", "web-02", "web-03"))


def test_approval_is_taken_back_by_a_denial(make_harness: MakeHarness) -> None:
    harness, number = asked_about(make_harness)
    at_once(harness.recovery.command(CommandKind.PAUSE, owner="jo", reason="x", seconds=60))
    approve(harness, number)

    deny(harness, number)
    harness.advance(1200)

    assert not harness.asked()


def test_denial_during_the_action_prevents_it(make_harness: MakeHarness) -> None:
    harness, checker = make_harness(setup=ASK)
    harness.warm()
    harness.world.crash("web-01")
    harness.advance(120)
    (number,) = questions(harness)

    def take_back(step: str) -> None:
        if step == "prepared" and len(harness.journal.commands) == 1:
            recovery = harness.recovery
            given = Command(
                kind=CommandKind.DENY, owner="jo", reason="no", at=recovery.watched,
                time=harness.clock.now(), uuid=harness.world.vm("web-01").uuid, question=number,
            )  # fmt: skip
            harness.journal.commands.append(given)
            recovery.apply_command(given)

    checker.on_journal = take_back
    with pytest.raises(AnswerRefusedError, match="jo denied it: no"):
        approve(harness, number)
    harness.advance(3600)

    assert not harness.asked()


def test_old_crash_is_asked_about(make_harness: MakeHarness) -> None:
    setup = ASK._replace(limits=Limits(crash_age_seconds=1500, question_seconds=7200))
    harness, _ = make_harness(setup=setup)
    harness.warm()
    at_once(harness.recovery.command(CommandKind.PAUSE, owner="jo", reason="x", seconds=1200))
    harness.world.crash("web-01")
    harness.advance(3000)

    (number,) = questions(harness)
    assert not harness.asked()
    approve(harness, number)
    harness.advance(120)
    assert harness.running("web-01")


@pytest.mark.parametrize("mode", [Mode.SHADOW, Mode.ENFORCE])
def test_question_is_not_answered_in_another_mode(make_harness: MakeHarness, mode: Mode) -> None:
    harness, number = asked_about(make_harness)
    harness.setup = ENFORCE._replace(mode=mode)
    harness.new_process()
    harness.poll()

    assert questions(harness) == []
    with pytest.raises(AnswerRefusedError, match=f"the mode is {mode}"):
        approve(harness, number)


def test_hung_vm_is_asked_about_step_by_step_and_a_kill_includes_its_start(
    make_harness: MakeHarness,
) -> None:
    tags = {"web-01": ["recovery/auto", "recovery/on-hang-power-cycle"]}
    harness, _ = make_harness(setup=ASK, tags=tags)
    harness.warm()
    harness.world.hang("web-01")
    approved: list[int] = []

    while harness.clock.elapsed < 6 * 3600 and not harness.asked("web-01")[3:]:
        harness.advance(harness.every)
        for number in questions(harness):
            approve(harness, number)
            approved.append(number)
            if harness.asked()[-1].action in ("reboot", "reset"):
                harness.world.hang("web-01")
    harness.advance(LIMITS.probation_seconds)

    assert [one.action for one in harness.asked()] == ["reboot", "reset", "kill", "poweron"]
    assert len(approved) == 3
    assert harness.running("web-01")


# Restarts of the daemon.


def test_restart_keeps_an_open_question(make_harness: MakeHarness) -> None:
    harness, number = asked_about(make_harness)

    harness.new_process()
    harness.advance(60)

    assert questions(harness) == [number]
    result = approve(harness, number)  # the warm-up of the new process still holds
    assert "warming up" in result
    assert not harness.asked()


def test_restart_keeps_an_approval_and_acts_once(make_harness: MakeHarness) -> None:
    setup = ASK._replace(limits=Limits(question_seconds=7200))
    harness, _ = make_harness(setup=setup)
    harness.warm()
    harness.world.crash("web-01")
    harness.advance(120)
    (number,) = questions(harness)
    at_once(harness.recovery.command(CommandKind.PAUSE, owner="jo", reason="x", seconds=60))
    approve(harness, number)

    harness.new_process()
    harness.advance(3600)

    assert [one.action for one in harness.asked()] == ["poweron"]
    assert harness.running("web-01")


def test_restart_keeps_a_denial(make_harness: MakeHarness) -> None:
    harness, number = asked_about(make_harness)
    deny(harness, number)

    harness.new_process()
    harness.advance(1800)

    assert not harness.asked()
    assert questions(harness) == []


def test_kill_after_a_refused_action_uses_up_the_approval(make_harness: MakeHarness) -> None:
    setup = ASK._replace(limits=Limits(question_seconds=7200))
    harness, checker = make_harness(setup=setup)
    harness.warm()
    harness.world.crash("web-01")
    harness.advance(120)
    (number,) = questions(harness)
    harness.world.faults.turn_on("status", code=422, path="vm_actions", times=1)

    def kill(now: str) -> None:
        if now == "save" and harness.asked():
            checker.on_journal = lambda _: None
            raise KilledError

    checker.on_journal = kill
    with pytest.raises(KilledError):
        approve(harness, number)
    harness.new_process()
    harness.advance(1800)

    assert [one.status for one in harness.asked()] == [422]
    assert questions(harness) not in ([], [number])


STEPS = (
    "commanded", "decide", "prepare", "prepared", "update", "updated", "save", "saved",
    "POST /api/v4/vm_actions", "answered POST /api/v4/vm_actions",
)  # fmt: skip


LOST_STEPS = ("updated", "POST /api/v4/vm_actions")
"""Before the request, when the journal already has it as sent: that uses up the approval."""


@pytest.mark.parametrize("step", STEPS)
def test_kill_at_any_step_after_an_approval_never_acts_twice(
    make_harness: MakeHarness, step: str
) -> None:
    setup = ASK._replace(limits=Limits(question_seconds=7200))
    harness, checker = make_harness(setup=setup)
    harness.warm()
    harness.world.crash("web-01")
    harness.advance(120)
    (number,) = questions(harness)
    harness.world.faults.turn_on("accepted_but_never_starts")
    killed: list[str] = []

    def kill(now: str) -> None:
        if now == step and not killed:
            killed.append(now)
            raise KilledError

    checker.on_wire = checker.on_journal = kill
    with pytest.raises(KilledError):
        approve(harness, number)
    harness.new_process()
    harness.advance(1800)

    # The VM never comes up, so without that rule a second action would follow.
    assert len(harness.asked()) == (step not in LOST_STEPS)
    assert questions(harness) not in ([], [number])
