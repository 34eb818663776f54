"""Questions to the operators in mode `ask`: which are open, and what an answer permits."""

from datetime import datetime, timedelta
from enum import StrEnum

from msgspec.structs import replace

from exporter.recovery.decide.facts import SystemFacts
from exporter.recovery.model.cases import Case, Question
from exporter.recovery.model.commands import CommandKind, ControlState
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.views import AnswerRefusedError


class QuestionState(StrEnum):
    """What has become of a question."""

    OPEN = "open"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    """It, or its approval, is too old."""
    WITHDRAWN = "withdrawn"
    """The VM was found to be stopped on purpose."""


def question_state(
    question: Question, control_state: ControlState, *, at: float, time: datetime
) -> QuestionState:
    """
    Return the state of *question*.

    Args:
        at: Seconds of monitored time.
        time: The time of day.

    """
    answer = control_state.answers.get(question.number)
    if answer is not None and answer.kind is CommandKind.DENY:
        return QuestionState.DENIED
    if question.withdrawn:
        return QuestionState.WITHDRAWN
    if at >= question.expires_at or time >= question.expires:
        return QuestionState.EXPIRED
    return QuestionState.OPEN if answer is None else QuestionState.APPROVED


def state_of(question: Question, system: SystemFacts) -> QuestionState:
    """Return the state of *question* now."""
    return question_state(question, system.control_state, at=system.at, time=system.time)


def open_cases(system: SystemFacts) -> list[Case]:
    """Return the cases with an open question, the oldest question first."""
    if system.mode is not Mode.ASK:
        return []
    found = [
        (case.question.number, case)
        for case in system.state.cases.values()
        if case.question is not None and state_of(case.question, system) is QuestionState.OPEN
    ]
    return [case for _, case in sorted(found, key=lambda one: one[0])]


def answerable(number: int, kind: CommandKind, system: SystemFacts) -> Case:
    """
    Return the case that question *number* is about.

    Raises:
        AnswerRefusedError: The question takes no such answer; the message says why.

    """
    for case in system.state.cases.values():
        if case.question is not None and case.question.number == number:
            state, answer = (
                state_of(case.question, system),
                system.control_state.answers.get(number),
            )
            takes_back = state is QuestionState.APPROVED and kind is CommandKind.DENY
            if system.mode is Mode.ASK and (state is QuestionState.OPEN or takes_back):
                return case
            by = f" by {answer.owner}: {answer.reason}" if answer is not None else ""
            if state in (QuestionState.EXPIRED, QuestionState.WITHDRAWN):
                by = ""  # the answer is not the reason
            if state is QuestionState.WITHDRAWN and case.diagnosis is not None:
                by = f": {case.diagnosis.cause}: {case.diagnosis.detail}"
            mode = "" if system.mode is Mode.ASK else f", and the mode is {system.mode}"
            raise AnswerRefusedError(f"question {number} about {case.name} is {state}{by}{mode}")
    listed = ", ".join(
        f"{case.question.number} ({case.name})" for case in open_cases(system) if case.question
    )
    raise AnswerRefusedError(
        f"question {number} is not open: it never was, it has expired, its action was sent, or its "
        f"VM is up again; open questions: {listed or 'none'}"
    )


def needs_question(case: Case, decision: Decision, system: SystemFacts) -> bool:
    """Return whether to ask about *decision*: not while a question is open, nor after a denial."""
    if not decision.asks or decision.action is None:
        return False
    question = case.question
    if question is None:
        return True
    state = state_of(question, system)
    if state in (QuestionState.OPEN, QuestionState.APPROVED):
        return question.action is not decision.action
    return state is not QuestionState.DENIED


def asked(case: Case, decision: Decision, number: int, system: SystemFacts) -> Case:
    """Return *case* with the question whether to carry out *decision*, journaled as *number*."""
    if decision.action is None:
        return case
    seconds = system.limits.question_seconds
    question = Question(
        number=number,
        action=decision.action,
        asked_at=system.at,
        expires_at=system.at + seconds,
        expires=system.time + timedelta(seconds=seconds),
    )
    return replace(case, question=question)
