"""What becomes of a question to the operators, by its times and by its answer."""

from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.recovery.decide.facts import SystemFacts
from exporter.recovery.decide.guards import decide
from exporter.recovery.decide.questions import (
    QuestionState,
    answerable,
    asked,
    needs_question,
    open_cases,
    question_state,
)
from exporter.recovery.model.cases import Action, Case, Cause, Diagnosis, DiagnosisKind, Question
from exporter.recovery.model.commands import CommandKind, ControlState
from exporter.recovery.model.decision import Decision, GuardName
from exporter.recovery.model.limits import Limits, Mode
from exporter.recovery.model.views import AnswerRefusedError
from tests.fakes import START
from tests.recovery.test_commands import given
from tests.recovery.test_edges import CRASHED, facts_with

AT = 10_000.0
"""The moment of `facts_with`."""
QUESTION = Question(
    number=7,
    action=Action.POWER_ON,
    asked_at=AT - 100.0,
    expires_at=AT + 800.0,
    expires=START + timedelta(seconds=900),
)
WITHDRAWN = replace(QUESTION, withdrawn=True)
EXPIRED = replace(QUESTION, expires_at=AT)
APPROVE, DENY = CommandKind.APPROVE, CommandKind.DENY
OPEN, APPROVED, DENIED = QuestionState.OPEN, QuestionState.APPROVED, QuestionState.DENIED


def about(question: Question | None, **case: Any) -> Case:
    return replace(CRASHED, question=question, **case)


def asking(*cases: Case, answer: CommandKind | None = None, mode: Mode = Mode.ASK) -> SystemFacts:
    """Return a system in mode ask with *cases*, whose question 7 has *answer*."""
    system = facts_with(mode=mode).system
    answers = {7: given(answer, question=7)} if answer is not None else {}
    state = system.state._replace(cases=MappingProxyType({one.uuid: one for one in cases}))
    return system._replace(state=state, control_state=ControlState(answers=answers))


@pytest.mark.parametrize(
    ("question", "answer", "state"),
    [
        (QUESTION, None, OPEN),
        (QUESTION, APPROVE, APPROVED),
        (QUESTION, DENY, DENIED),
        (EXPIRED, None, QuestionState.EXPIRED),
        (EXPIRED, APPROVE, QuestionState.EXPIRED),
        (EXPIRED, DENY, DENIED),
        (WITHDRAWN, None, QuestionState.WITHDRAWN),
        (WITHDRAWN, APPROVE, QuestionState.WITHDRAWN),
        (WITHDRAWN, DENY, DENIED),
        (replace(EXPIRED, withdrawn=True), None, QuestionState.WITHDRAWN),
    ],
)
def test_denial_outlasts_everything_and_no_approval_outlasts_the_question(
    question: Question, answer: CommandKind | None, state: QuestionState
) -> None:
    assert system_state(question, answer=answer) is state


def system_state(
    question: Question, *, answer: CommandKind | None = None, after: float = 0.0, by_day: float = 0
) -> QuestionState:
    control_state = asking(answer=answer).control_state
    time = START + timedelta(seconds=by_day)
    return question_state(question, control_state, at=AT + after, time=time)


@pytest.mark.parametrize("answer", [None, APPROVE])
@pytest.mark.parametrize(
    ("after", "by_day", "is_over"),
    [
        (799.9, 0.0, False),
        (800.0, 0.0, True),
        (800.1, 0.0, True),
        (0.0, 899.9, False),
        (0.0, 900.0, True),
        (0.0, 900.1, True),
    ],
)
def test_question_expires_by_either_clock(
    answer: CommandKind | None, after: float, by_day: float, *, is_over: bool
) -> None:
    found = system_state(QUESTION, answer=answer, after=after, by_day=by_day)

    assert (found is QuestionState.EXPIRED) is is_over


def test_answer_to_another_question_does_not_count() -> None:
    assert system_state(replace(QUESTION, number=8), answer=DENY) is OPEN


# The list of open questions.


def test_open_questions_are_listed_by_age() -> None:
    cases = [
        about(replace(QUESTION, number=9), uuid="a", key=1),
        about(replace(QUESTION, number=8), uuid="b", key=3),
        about(None, uuid="c", key=4),
        about(QUESTION, uuid="d", key=2),
        about(replace(EXPIRED, number=3), uuid="e", key=5),
    ]

    assert [one.uuid for one in open_cases(asking(*cases))] == ["d", "b", "a"]
    assert [one.uuid for one in open_cases(asking(*cases, answer=APPROVE))] == ["b", "a"]


@pytest.mark.parametrize("mode", [mode for mode in Mode if mode is not Mode.ASK])
def test_no_question_is_open_in_another_mode(mode: Mode) -> None:
    assert open_cases(asking(about(QUESTION), mode=mode)) == []


# Answers.


@pytest.mark.parametrize(("answer", "kind"), [(None, APPROVE), (None, DENY), (APPROVE, DENY)])
def test_open_question_and_the_denial_of_an_approval_are_accepted(
    answer: CommandKind | None, kind: CommandKind
) -> None:
    others = [about(None, uuid="a"), about(replace(QUESTION, number=8), uuid="b")]
    case = about(QUESTION, uuid="c")

    assert answerable(7, kind, asking(*others, case, answer=answer)) is case


STOPPED = Diagnosis(DiagnosisKind.STOPPED, Cause.STOPPED_BY_PERSON, "by jonas")


@pytest.mark.parametrize(
    ("case", "answer", "kind", "message"),
    [
        (about(QUESTION), APPROVE, APPROVE, "approved by anna: because"),
        (about(QUESTION), DENY, APPROVE, "denied by anna: because"),
        (about(QUESTION), DENY, DENY, "denied by anna: because"),
        (about(EXPIRED), None, APPROVE, "expired"),
        (about(EXPIRED), APPROVE, DENY, "expired"),
        (about(EXPIRED, diagnosis=STOPPED), None, DENY, "expired"),
        (about(WITHDRAWN), None, DENY, "withdrawn: crashed: it crashed"),
        (about(WITHDRAWN, diagnosis=STOPPED), None, APPROVE,
         "withdrawn: stopped_by_person: by jonas"),
        (about(WITHDRAWN, diagnosis=STOPPED), APPROVE, APPROVE,
         "withdrawn: stopped_by_person: by jonas"),
        (about(WITHDRAWN, diagnosis=None), None, APPROVE, "withdrawn"),
        (about(WITHDRAWN, diagnosis=None), APPROVE, APPROVE, "withdrawn"),
    ],
)  # fmt: skip
def test_answer_that_comes_too_late_is_refused_with_the_reason(
    case: Case, answer: CommandKind | None, kind: CommandKind, message: str
) -> None:
    with pytest.raises(AnswerRefusedError) as refused:
        answerable(7, kind, asking(case, answer=answer))

    assert str(refused.value) == f"question 7 about web-01 is {message}"


@pytest.mark.parametrize("mode", [mode for mode in Mode if mode is not Mode.ASK])
@pytest.mark.parametrize(("answer", "kind"), [(None, APPROVE), (None, DENY), (APPROVE, DENY)])
def test_answer_in_another_mode_is_refused_and_names_the_mode(
    mode: Mode, answer: CommandKind | None, kind: CommandKind
) -> None:
    with pytest.raises(AnswerRefusedError, match=f", and the mode is {mode}$"):
        answerable(7, kind, asking(about(QUESTION), answer=answer, mode=mode))


@pytest.mark.parametrize(
    ("cases", "listed"),
    [
        ((), "none"),
        ((about(None), about(EXPIRED, uuid="v")), "none"),
        (
            (about(QUESTION), about(replace(QUESTION, number=3), uuid="v", name="db-01")),
            r"3 \(db-01\), 7 \(web-01\)",
        ),
    ],
)
def test_answer_to_no_question_is_refused_with_the_open_ones(
    cases: tuple[Case, ...], listed: str
) -> None:
    with pytest.raises(AnswerRefusedError, match=f"^question 99 is .*open questions: {listed}$"):
        answerable(99, APPROVE, asking(*cases))


# New questions.


def decision(
    action: Action | None = Action.POWER_ON,
    *,
    failed: GuardName | None = GuardName.MODE_PERMITS,
    mode: Mode = Mode.ASK,
) -> Decision:
    return replace(decide(facts_with()), action=action, failed_guard=failed, mode=mode)


@pytest.mark.parametrize(
    ("question", "answer", "action", "needs"),
    [
        (None, None, Action.POWER_ON, True),
        (QUESTION, None, Action.POWER_ON, False),
        (QUESTION, APPROVE, Action.POWER_ON, False),
        (QUESTION, DENY, Action.POWER_ON, False),
        (EXPIRED, None, Action.POWER_ON, True),
        (EXPIRED, APPROVE, Action.POWER_ON, True),
        (EXPIRED, DENY, Action.POWER_ON, False),
        (WITHDRAWN, None, Action.POWER_ON, True),
        (QUESTION, None, Action.RESET, True),
        (QUESTION, APPROVE, Action.RESET, True),
        (QUESTION, DENY, Action.RESET, False),
        (None, None, None, False),
        (EXPIRED, None, None, False),
    ],
)
def test_operators_are_asked_about_each_action_until_they_deny_one(
    question: Question | None, answer: CommandKind | None, action: Action | None, *, needs: bool
) -> None:
    case = about(question)

    assert needs_question(case, decision(action), asking(case, answer=answer)) is needs


@pytest.mark.parametrize(
    ("failed", "mode"),
    [
        (None, Mode.ASK),
        (GuardName.DOWN_CONFIRMED, Mode.ASK),
        (GuardName.MODE_PERMITS, Mode.SHADOW),
        (GuardName.MODE_PERMITS, Mode.ENFORCE),
    ],
)
def test_operators_are_asked_when_only_their_approval_is_missing(
    failed: GuardName | None, mode: Mode
) -> None:
    case = about(None)

    assert not needs_question(case, decision(failed=failed, mode=mode), asking(case))


def test_question_names_the_action_and_when_it_expires() -> None:
    system = asking()._replace(limits=Limits(question_seconds=60), at=AT, time=START)

    case = asked(about(EXPIRED), decision(Action.RESET), 12, system)

    assert case == about(
        Question(
            number=12,
            action=Action.RESET,
            asked_at=AT,
            expires_at=AT + 60.0,
            expires=START + timedelta(seconds=60),
        )
    )


def test_nothing_is_asked_without_an_action() -> None:
    assert asked(about(EXPIRED), decision(None), 12, asking()) == about(EXPIRED)
