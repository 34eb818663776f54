"""What people may tell recovery, and what each order leaves of those before it."""

import math
from datetime import timedelta
from typing import Any

import pytest

from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.model.commands import (
    ANSWERS,
    GIVEN_BY_OPERATORS,
    GIVEN_BY_RECOVERY,
    KILL_SWITCH,
    Command,
    CommandDetails,
    CommandKind,
    ControlState,
    control_state,
    hold_ended_at,
)
from tests.fakes import START
from tests.recovery.harness import Harness, at_once


def given(kind: CommandKind, *, at: float = 0.0, **details: Any) -> Command:
    time = START + timedelta(seconds=at)
    return Command(kind=kind, owner="anna", reason="because", at=at, time=time, **details)


def tell(harness: Harness, kind: CommandKind, *, seconds: float | None = None) -> None:
    command = harness.recovery.command(kind, owner="anna", reason="because", seconds=seconds)
    at_once(command)


@pytest.mark.parametrize(
    ("commands", "ended_at"),
    [
        ([], -math.inf),
        ([given(CommandKind.PAUSE)], -math.inf),  # without an end
        ([given(CommandKind.DISARM, at=50.0)], -math.inf),
        ([given(CommandKind.ARM, at=50.0)], 50.0),
        ([given(CommandKind.RESUME, at=50.0)], 50.0),
        ([given(CommandKind.KILL_SWITCH_REMOVED, at=50.0)], 50.0),
        ([given(CommandKind.ACCEPT, at=50.0)], 50.0),
        ([given(CommandKind.PAUSE, until=100.0)], 100.0),
        ([given(CommandKind.PAUSE, until=100.1)], -math.inf),  # it still holds
        ([given(CommandKind.PAUSE, until=90.0), given(CommandKind.ARM, at=50.0)], 90.0),
        ([given(CommandKind.ARM, at=95.0), given(CommandKind.PAUSE, until=90.0)], 95.0),
    ],
)
def test_last_hold_ended_by_a_command_or_by_its_time(
    commands: list[Command], ended_at: float
) -> None:
    assert hold_ended_at(commands, at=100.0) == ended_at


def test_new_pause_does_not_shorten_a_longer_one() -> None:
    long = given(CommandKind.PAUSE, until=7200.0)
    short = given(CommandKind.PAUSE, at=60.0, until=120.0)
    longer = given(CommandKind.PAUSE, at=60.0, until=9000.0)

    paused = ControlState().after(long)

    assert paused.after(short).pause is long
    assert paused.after(longer).pause is longer
    assert paused.after(given(CommandKind.RESUME)).after(short).pause is short


@pytest.mark.parametrize(
    ("until", "new_until", "new_counts"),
    [
        (None, 120.0, False),
        (None, None, True),
        (7200.0, None, True),
        (7200.0, 7199.0, False),
        (7200.0, 7200.0, True),
        (7200.0, 7201.0, True),
    ],
)
def test_pause_that_ends_first_does_not_replace_the_other(
    until: float | None, new_until: float | None, *, new_counts: bool
) -> None:
    pause = given(CommandKind.PAUSE, until=until)
    new = given(CommandKind.PAUSE, at=60.0, until=new_until)

    assert ControlState(pause=pause).after(new).pause is (new if new_counts else pause)


PAUSE, DISARM, FALL_BACK, RIVAL = (
    given(CommandKind.PAUSE, until=100.0),
    given(CommandKind.DISARM),
    given(CommandKind.FALL_BACK, at=7.0),
    given(CommandKind.RIVAL, until=100.0),
)
APPROVAL = given(CommandKind.APPROVE, question=3)
LESSON = given(CommandKind.TEACH, template="vm has frobbed", means="harmless")
EVERYTHING = ControlState(
    pause=PAUSE,
    disarm=DISARM,
    answers={3: APPROVAL},
    fallback=FALL_BACK,
    fell_back_at=7.0,
    rival=RIVAL,
    taught={"vm has frobbed": LESSON},
)


@pytest.mark.parametrize(
    ("command", "changed"),
    [
        (later := given(CommandKind.PAUSE, until=200.0), {"pause": later}),
        (given(CommandKind.RESUME), {"pause": None}),
        (again := given(CommandKind.DISARM, at=8.0), {"disarm": again}),
        (given(CommandKind.ARM), {"disarm": None, "fallback": None, "rival": None}),
        (
            back := given(CommandKind.FALL_BACK, at=9.0),
            {"fallback": back, "fell_back_at": 9.0},
        ),
        (rival := given(CommandKind.RIVAL, until=200.0), {"rival": rival}),
        (
            yes := given(CommandKind.APPROVE, question=4),
            {"answers": {3: APPROVAL, 4: yes}},
        ),
        (no := given(CommandKind.DENY, question=3), {"answers": {3: no}}),
        (given(CommandKind.APPROVE), {}),
        (
            taught := given(CommandKind.TEACH, template="Task ran", means="stop"),
            {"taught": {"vm has frobbed": LESSON, "task ran": taught}},
        ),
        (
            other := given(CommandKind.TEACH, template="VM has Frobbed", means="crash"),
            {"taught": {"vm has frobbed": other}},
        ),
        (given(CommandKind.FORGET, template="VM has Frobbed"), {"taught": {}}),
        (given(CommandKind.FORGET, template="Task ran"), {}),
        (given(CommandKind.FORGET), {}),
        (given(CommandKind.ACCEPT), {}),
        (given(CommandKind.CLEAR, uuid="u"), {}),
    ],
)
def test_command_changes_only_what_it_is_about(command: Command, changed: dict[str, Any]) -> None:
    assert EVERYTHING.after(command) == EVERYTHING._replace(**changed)


@pytest.mark.parametrize("kind", ANSWERS)
def test_denial_is_final(kind: CommandKind) -> None:
    denied = control_state([given(CommandKind.DENY, question=3)])

    assert denied.after(given(kind, at=5.0, question=3)) is denied


@pytest.mark.parametrize("kind", ANSWERS)
def test_approval_can_be_answered_again(kind: CommandKind) -> None:
    answer = given(kind, at=5.0, question=3)

    assert EVERYTHING.after(answer).answers == {3: answer}


@pytest.mark.parametrize(
    ("now", "in_force"),
    [(99.9, {"pause", "rival"}), (100.0, set()), (100.1, set())],
)
def test_pause_and_rival_end_exactly_when_they_say(now: float, in_force: set[str]) -> None:
    state = EVERYTHING.at(now)

    assert {name for name in ("pause", "rival") if getattr(state, name) is not None} == in_force
    assert state._replace(pause=PAUSE, rival=RIVAL) == EVERYTHING


def test_pause_and_rival_without_an_end_stay_in_force() -> None:
    endless = ControlState(pause=given(CommandKind.PAUSE), rival=given(CommandKind.RIVAL))

    assert endless.at(1e9) == endless
    assert ControlState().at(1e9) == ControlState()


def test_end_of_one_hold_leaves_the_other_in_force() -> None:
    short = given(CommandKind.PAUSE, until=50.0)

    assert EVERYTHING._replace(pause=short).at(50.0) == EVERYTHING._replace(pause=None)
    assert EVERYTHING._replace(rival=short).at(50.0) == EVERYTHING._replace(rival=None)


def test_every_command_has_a_reason_and_may_have_nothing_else() -> None:
    assert CommandDetails.__required_keys__ == {"reason"}


def test_operator_cannot_give_the_commands_of_recovery_itself() -> None:
    assert set(GIVEN_BY_RECOVERY) == {CommandKind.FALL_BACK, CommandKind.RIVAL, *KILL_SWITCH}
    assert set(GIVEN_BY_OPERATORS) == set(CommandKind) - set(GIVEN_BY_RECOVERY)
    assert set(ANSWERS) == {CommandKind.APPROVE, CommandKind.DENY}


@pytest.mark.parametrize("kind", [CommandKind.RESUME, CommandKind.ARM])
def test_resume_without_pause_changes_nothing(kind: CommandKind) -> None:
    harness = Harness()
    harness.warm()

    tell(harness, kind)

    assert harness.recovery.readiness_now.readiness is ReadinessState.ACTIVE


def test_resume_leaves_recovery_disarmed() -> None:
    harness = Harness()
    harness.warm()
    tell(harness, CommandKind.DISARM)
    tell(harness, CommandKind.PAUSE, seconds=3600)

    tell(harness, CommandKind.RESUME)

    assert harness.recovery.readiness_now.readiness is ReadinessState.DISARMED


def test_expired_pause_is_followed_by_warm_up_despite_a_later_command() -> None:
    harness = Harness()
    harness.warm()
    tell(harness, CommandKind.PAUSE, seconds=5)
    harness.clock.elapsed += 10

    tell(harness, CommandKind.ARM)
    harness.advance(20)

    assert harness.recovery.readiness_now.readiness is ReadinessState.WARMING_UP


def crashed() -> Harness:
    """Return a system with a VM that crashed."""
    harness = Harness().warm()
    harness.world.crash(harness.names[0])
    return harness


@pytest.mark.parametrize(("step", "acts"), [(0, False), (1, False), (2, True)])
def test_disarm_between_two_steps_of_a_poll_holds_the_action_of_a_later_step(
    step: int, *, acts: bool
) -> None:
    harness, polls = crashed(), 0
    while not harness.asked():
        harness.advance(harness.every)
        polls += 1
    harness = crashed()
    harness.advance((polls - 1) * harness.every)
    harness.clock.elapsed += harness.every

    for number, _ in enumerate(harness.steps_of_poll()):
        if number == step:
            tell(harness, CommandKind.DISARM)

    assert bool(harness.asked()) is acts


@pytest.mark.parametrize("step", range(3))
def test_mass_deletion_is_accepted_between_two_steps_of_a_poll(step: int) -> None:
    harness = Harness(vms=20).warm()
    for name in harness.names[1:7]:
        harness.world.deletes(name)
    harness.advance(600)
    problem = harness.recovery.state.health.problem

    for number, _ in enumerate(harness.steps_of_poll()):
        if number == step:
            tell(harness, CommandKind.ACCEPT)
    harness.advance(harness.every)

    assert problem is not None
    assert harness.recovery.state.health.problem is None
