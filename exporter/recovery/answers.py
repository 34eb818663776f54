"""The answers of operators to questions: which system they concern, and what followed from them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from exporter.formatting import time_of_day
from exporter.recovery.decide.questions import answerable
from exporter.recovery.model.commands import Command, CommandKind
from exporter.recovery.model.views import AnswerRefusedError
from exporter.recovery.report.messages import REASONS, requested_or_done

if TYPE_CHECKING:  # loaded only where recovery is on
    from exporter.recovery.engine import Recovery


def system_of_question(
    number: int, kind: CommandKind, recoveries: Mapping[str, "Recovery"]
) -> Mapping[str, "Recovery"]:
    """
    Return the system that asked question *number*.

    Raises:
        AnswerRefusedError: No system takes such an answer; the message says why.

    """
    problems, standing_by = [], dict[str, "Recovery"]()
    for name, recovery in recoveries.items():
        if recovery.stands_by:
            standing_by[name] = recovery  # the leader knows the question
            continue
        try:
            answerable(number, kind, recovery.system_facts)
        except AnswerRefusedError as error:
            problems.append(f"{name}: {error}")
        else:
            return {name: recovery}
    if len(standing_by) == 1:
        return standing_by
    if standing_by:
        problems.append(f"name one of the systems {', '.join(standing_by)}, which others lead")
    raise AnswerRefusedError("; ".join(problems))


def answer_result(command: Command, recovery: "Recovery") -> str:
    """
    Return what followed from an answer; empty for other commands.

    Raises:
        AnswerRefusedError: It was approved, and the action turned out to be impossible.

    """
    uuid, number = command.uuid, command.question
    if number is None or uuid is None:
        return ""
    case = recovery.state.cases.get(uuid)
    name = case.name if case is not None else uuid
    if command.kind is CommandKind.DENY:
        return f"question {number} is denied; no further question about {name} until it was up"
    intent = recovery.system_facts.open_actions.get(uuid)
    if intent is not None:
        return f"question {number} is approved; Vergewatch {requested_or_done(intent)} ({name})"
    question, decision = case.question if case is not None else None, recovery.decisions.get(uuid)
    why = recovery.not_sent.get(uuid, "")
    if not why and decision is not None and decision.failed_guard is not None:
        detail = next((one.detail for one in decision.guard_results if not one.passed), "")
        why = REASONS[decision.failed_guard].format(detail=detail)
        if question is not None and not question.withdrawn:
            until = time_of_day(question.expires)
            return (
                f"question {number} is approved; no action on {name} yet because {why}; Vergewatch "
                f"acts when every guard passes, until {until}"
            )
    raise AnswerRefusedError(
        f"question {number} about {name} was approved, but no action is possible: "
        f"{why or 'the VM changed meanwhile'}"
    )
