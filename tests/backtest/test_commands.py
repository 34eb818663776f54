"""Recorded commands are given again in a replay, at their time."""

import pytest

from exporter.backtest.acts import Replayed
from exporter.recovery.model.commands import CommandDetails, CommandKind, Lesson
from exporter.recovery.model.limits import Mode
from tests.backtest.recorded import acts, recorded, replayed
from tests.backtest.test_differences import ODD, SLOW, write_odd_row
from tests.recovery.harness import Harness, at_once


def command(harness: Harness, kind: CommandKind, **details: object) -> None:
    """Give a command ten seconds after the last poll."""
    harness.clock.elapsed += 10
    given = CommandDetails(owner="anna", reason="test", **details)  # type: ignore[typeddict-item]
    at_once(harness.recovery.command(kind, **given))
    harness.clock.elapsed -= 10


def asked() -> tuple[Harness, str, int]:
    """Return a record in which recovery asks about a crash."""
    harness = recorded(mode=Mode.ASK)
    name = harness.names[3]
    harness.world.crash(harness.world.vm(name))
    harness.advance(60)
    question = harness.case(name).question
    assert question is not None
    return harness, name, question.number


def same(harness: Harness) -> Replayed:
    replay = replayed(harness.journal, harness.setup)
    assert acts(replay.now) == acts(replay.then)
    assert not replay.held_until
    return replay


def test_an_approved_action_is_approved_in_the_replay() -> None:
    harness, name, question = asked()
    command(harness, CommandKind.APPROVE, question=question)
    harness.advance(600)
    assert len(harness.asked(name)) == 1

    replay = same(harness)

    assert [str(one.kind) for one in replay.now] == ["asked", "sent"]
    assert replay.answers_lost == 0


def test_a_denied_action_is_denied_in_the_replay() -> None:
    harness, name, question = asked()
    command(harness, CommandKind.DENY, question=question)
    harness.advance(1800)
    assert harness.asked(name) == []

    assert [str(one.kind) for one in same(harness).now] == ["asked"]


def test_an_answer_to_a_question_that_is_not_asked_is_counted() -> None:
    harness, _, question = asked()
    command(harness, CommandKind.APPROVE, question=question)
    harness.advance(600)

    replay = replayed(harness.journal, SLOW._replace(mode=Mode.ASK))

    assert replay.answers_lost == 1


@pytest.mark.parametrize("kind", [CommandKind.PAUSE, CommandKind.DISARM])
def test_what_forbade_actions_forbids_them_in_the_replay(kind: CommandKind) -> None:
    harness = recorded()
    name = harness.names[3]
    seconds = {"seconds": 1800.0} if kind is CommandKind.PAUSE else {}
    command(harness, kind, **seconds)
    harness.world.crash(harness.world.vm(name))
    harness.advance(600)
    if kind is CommandKind.DISARM:
        command(harness, CommandKind.ARM)
    harness.advance(3600)
    assert len(harness.asked(name)) == 1

    same(harness)


def test_what_was_taught_is_taught_in_the_replay() -> None:
    harness = recorded()
    vm = harness.world.vm(harness.names[3])
    write_odd_row(harness, vm)
    harness.world.crash(vm)
    harness.advance(300)
    assert harness.asked() == []
    command(harness, CommandKind.TEACH, lesson=Lesson(ODD, "harmless"))
    harness.advance(300)
    assert len(harness.asked(vm.name)) == 1

    same(harness)


def test_a_kill_switch_is_set_in_the_replay() -> None:
    switch = ""
    harness = recorded(setup=SLOW._replace(kill_switch=lambda: switch))
    name = harness.names[3]
    harness.world.crash(harness.world.vm(name))
    switch = "/var/lib/vergewatch/kill-switch"
    harness.advance(900)
    switch = ""
    harness.advance(1800)
    assert len(harness.asked(name)) == 1

    same(harness)
