"""Queries and commands of recovery, for all systems: what the web API calls."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from exporter.clock import Clock
from exporter.errors import JournalError
from exporter.executor import run_in_thread
from exporter.formatting import moment
from exporter.recovery.answers import answer_result, system_of_question
from exporter.recovery.decide.facts import suppressed_by
from exporter.recovery.model.cases import Case
from exporter.recovery.model.commands import NO_LESSON, Command, CommandDetails, CommandKind, Lesson
from exporter.recovery.model.decision import Decision
from exporter.recovery.model.records import JournalReader
from exporter.recovery.model.states import State
from exporter.recovery.model.views import (
    CommandInForce,
    CommandReceipt,
    SystemPatterns,
    SystemRecoveryStatus,
    UnknownNameError,
    VMRecoveryStatus,
)
from exporter.recovery.observe.inventory_checks import not_monitored_because
from exporter.recovery.report.context import (
    ExplainContext,
    context_of_case,
    context_of_decision,
)
from exporter.recovery.report.events import (
    TimelineEvent,
    action_event,
    change_event,
    command_event,
    decision_event,
)
from exporter.recovery.report.explain import Explanation, explain
from exporter.recovery.report.presentation import CALM_STATES, URGENCY
from exporter.recovery.report.sentences import sentence, shared_reason
from exporter.recovery.report.summary import RecoverySummary, summarize
from exporter.recovery.report.time_range import time_range
from exporter.recovery.report.vm_counts import count_vms
from exporter.recovery.report.vm_timeline import VMTimeline
from exporter.recovery.vm_lookup import (
    FoundVM,
    find_key,
    find_systems,
    find_vm,
    systems_that_know,
)
from exporter.recovery.vm_records import (
    ROWS_OF_A_SYSTEM,
    VMRecords,
    read_records,
    timeline_of,
)

if TYPE_CHECKING:  # loaded only where recovery is on
    from exporter.recovery.engine import Recovery

ALL_ROWS = 1_000_000


class RecoveryService:
    """
    Queries and commands for every system whose recovery is on.

    A query without *system* covers all of them.

    Args:
        recoveries: Returns the engines by the name of their system.
        journal: Returns the journal; None while it is not open.

    """

    def __init__(
        self,
        recoveries: Callable[[], Mapping[str, "Recovery"]],
        journal: Callable[[], JournalReader | None],
        clock: Clock,
    ) -> None:
        self._recoveries = recoveries
        self._journal = journal
        self._clock = clock

    @property
    def is_on(self) -> bool:
        """Whether recovery is on in a system."""
        return bool(self._recoveries())

    def status(self, system: str | None = None) -> Sequence[SystemRecoveryStatus]:
        """Return the state of recovery in each system; empty if recovery is off."""
        return [self._status(name, one) for name, one in self._systems(system).items()]

    async def vms(
        self, system: str | None = None, *, everyone: bool = False, limit: int | None = None
    ) -> Sequence[VMRecoveryStatus]:
        """Return the VMs in trouble, or *everyone*, the most urgent first."""
        found = [
            (name, recovery, case)
            for name, recovery in self._systems(system).items()
            for case in recovery.state.cases.values()
            if everyone or _is_listed(case)
        ]
        found.sort(key=lambda one: (URGENCY[one[2].state], one[0], one[2].name, one[2].key))
        found = found[:limit]
        records = await read_records(
            self._journal(), [(recovery.key, case.uuid) for _, recovery, case in found]
        )
        return [
            _vm_status(case, self._context(name, recovery, case, records[recovery.key, case.uuid]))
            for name, recovery, case in found
        ]

    async def explain(
        self, vm: str | int, system: str | None = None, *, decision: int | None = None
    ) -> Explanation:
        """Explain a VM, found by name, key or UUID, as it is or as it was at *decision*."""
        found = await self._find(vm, system)
        recovery = found.recovery
        if decision is not None:
            return await _explain_decision(self._open_journal(), found, decision)
        vm_key = recovery.key, found.uuid
        records = (await read_records(self._journal(), [vm_key]))[vm_key]
        case = recovery.state.cases.get(found.uuid)
        if case is not None:
            now = recovery.decision_now(found.uuid)
            return explain(self._context(found.system, recovery, case, records, now))
        inventory = recovery.state.inventory
        seen = inventory.vms.get(found.uuid) if inventory is not None else None
        enrolment = recovery.state.enrolments.get(found.uuid)
        return explain(
            ExplainContext(
                system=found.system,
                now=self._clock.now(),
                vm=found.name,
                vm_key=found.key,
                uuid=found.uuid,
                state=None,
                enrolment=enrolment,
                changes=records.changes,
                actions=records.actions,
                not_monitored=(
                    not_monitored_because(seen, enrolment, inventory.shared_uuids)
                    if inventory is not None and seen is not None
                    else ()
                ),
                gone=inventory is not None and seen is None,
            )
        )

    async def log(
        self,
        vm: str | None = None,
        system: str | None = None,
        *,
        limit: int,
        since: str = "",
    ) -> Sequence[TimelineEvent]:
        """
        Return the newest events; changes of VMs that are not enrolled only for a given *vm*.

        Args:
            since: The beginning, as `time_range` takes it; empty for all.

        Raises:
            InvalidPeriodError: *since* is no time.

        """
        began = time_range(since, "", self._clock.now())[0] if since else None
        found = await self._find(vm, system) if vm is not None else None
        uuid = found.uuid if found is not None else None
        chosen = {found.system: found.recovery} if found else self._systems(system)
        journal = self._open_journal()
        events: list[TimelineEvent] = []
        for name, recovery in chosen.items():
            events += await _events(journal, name, recovery, uuid, limit)
        return _newest([one for one in events if began is None or one.time >= began], limit)

    async def timeline(self, key: int, system: str, since: datetime) -> VMTimeline:
        """Return what happened to the VM *key* since then, by the journal."""
        return await timeline_of(await self._find(key, system), self._open_journal(), since)

    async def actions(self, system: str | None = None, *, limit: int) -> Sequence[TimelineEvent]:
        """Return the newest actions; empty if the journal cannot be read."""
        journal = self._journal()
        if journal is None:
            return []
        events: list[TimelineEvent] = []
        for name, recovery in self._systems(system).items():
            try:
                done = await journal.intents(recovery.key, limit=limit)
            except JournalError:
                continue
            events += [action_event(one, name) for one in done]
        return _newest(events, limit)

    async def report(
        self, system: str | None = None, *, since: str, until: str = ""
    ) -> Sequence[RecoverySummary]:
        """
        Return the summary of each system in a period.

        Args:
            since: As `time_range` takes it, like *until*.

        Raises:
            InvalidPeriodError: They name no period.

        """
        began, ended = time_range(since, until, self._clock.now())
        journal = self._open_journal()
        return [
            await run_in_thread(
                summarize,
                await journal.since(recovery.key, began),
                system=name,
                mode=recovery.setup.mode.value,
                since=began,
                until=ended,
                monitored=frozenset(
                    uuid for uuid in recovery.state.cases if not _is_enrolled(uuid, recovery)
                ),
            )
            for name, recovery in self._systems(system).items()
        ]

    def patterns(self, system: str | None = None) -> Sequence[SystemPatterns]:
        """Return what the log templates of each system mean."""
        return [one.learner.patterns(name) for name, one in self._systems(system).items()]

    async def command(
        self,
        kind: CommandKind,
        *,
        owner: str,
        reason: str,
        seconds: float | None = None,
        vm: str | None = None,
        lesson: Lesson = NO_LESSON,
        question: int | None = None,
        system: str | None = None,
    ) -> Sequence[CommandReceipt]:
        """
        Record a command and put it in force.

        Args:
            owner: The operator who gives the command.
            seconds: Duration; None: without end.
            vm: Complete name, key or UUID.
            lesson: With a log template or the text of a row.
            question: The number of the question that is answered.

        Raises:
            JournalError: The command could not be recorded for a system, and is not in force there.
            AnswerRefusedError: The question takes no such answer, or its action is not possible.

        """
        found = await self._find(vm, system, exact=True) if vm is not None else None
        chosen = {found.system: found.recovery} if found else self._systems(system)
        if not chosen:
            raise UnknownNameError("recovery is off in every system, so it takes no commands")
        if question is not None:
            chosen = system_of_question(question, kind, chosen)
        if found is not None and not (found.recovery.stands_by or _can_be_cleared(found)):
            raise UnknownNameError(f"{found} is not enrolled, so there is nothing to clear")
        if kind is CommandKind.FORGET and lesson.template is not None:
            chosen = systems_that_know(lesson.template, chosen)

        details = CommandDetails(owner=owner, reason=reason, seconds=seconds, question=question)
        details["uuid"] = found.uuid if found is not None else None

        async def give(name: str, recovery: "Recovery") -> CommandReceipt | str:
            try:
                about = recovery.learner.lesson_of(lesson, recovery.vm_names)
                given = CommandDetails(**details, lesson=about)
                command = await recovery.command(kind, **given)
            except JournalError as error:
                return f"{name}: {error}"
            for successor in self._recoveries().values():  # of a reload in the meantime
                if successor.key == recovery.key and successor is not recovery:
                    successor.apply_command(command)
            return _receipt(command, name, recovery, found)

        # All at once: a slow system must not delay a command to the others.
        results = await asyncio.gather(*(give(name, one) for name, one in chosen.items()))
        receipts = [one for one in results if isinstance(one, CommandReceipt)]
        problems = [one for one in results if isinstance(one, str)]
        if problems:
            raise _unrecorded(problems, receipts)
        return receipts

    def _systems(self, system: str | None) -> Mapping[str, "Recovery"]:
        return find_systems(self._recoveries(), system)

    async def _find(self, vm: str | int, system: str | None, *, exact: bool = False) -> FoundVM:
        if isinstance(vm, int):
            return await find_key(vm, system or "", self._recoveries(), self._journal())
        return await find_vm(vm, system, self._recoveries(), self._journal(), exact=exact)

    def _status(self, name: str, recovery: "Recovery") -> SystemRecoveryStatus:
        facts, commands = recovery.system_facts, recovery.commands
        journal = self._journal()
        readiness, because = recovery.readiness_now
        counts = count_vms(recovery.state)
        return SystemRecoveryStatus(
            system=name,
            url=recovery.key,
            mode=recovery.mode.value,
            readiness=readiness.value,
            because=because,
            leader=recovery.leader,
            kill_switch=facts.kill_switch,
            kill_switch_file=recovery.setup.kill_switch_file,
            silences_unknown=facts.silences_unknown,
            paused=_in_force(commands.pause, recovery),
            disarmed=_in_force(commands.disarm, recovery),
            journal=journal.place if journal is not None else "",
            journal_problem=facts.journal_problem,
            vms=sum(counts.enrolled.values()),
            states=counts.enrolled,
            others=counts.monitored,
            listed=counts.listed,
            not_monitored=counts.not_monitored,
            gone=counts.gone,
            under_way=tuple(sorted(intent.name for intent in facts.open_actions.values())),
            questions=recovery.report.questions,
            inventory_at=recovery.state.seen_time,
            unseen=_unseen(recovery, self._clock.now()),
            circuit_breaker=recovery.state.breaker.breaker_state.value,
            outage=len(recovery.state.breaker.outage),
        )

    def _context(
        self,
        system: str,
        recovery: "Recovery",
        case: Case,
        records: VMRecords,
        decision: Decision | None = None,
    ) -> ExplainContext:
        decision = decision or recovery.decisions.get(case.uuid)
        record = next(iter(records.decisions), None)
        if decision is None and record and record.decision.mode is recovery.mode:
            decision = record.decision
        if record is not None and not (decision and _same_result(record.decision, decision)):
            record = None
        return context_of_case(case, system=system, now=self._clock.now())._replace(
            unseen=_unseen(recovery, self._clock.now()),
            enrolment=recovery.state.enrolments.get(case.uuid),
            suppressed_by=suppressed_by(case, recovery.system_facts),
            blocked=recovery.learner.blocked(case),
            decision=decision,
            number=record.number if record is not None else None,
            decided=record.decision.time if record is not None else None,
            changes=records.changes,
            actions=records.actions,
        )

    def _open_journal(self) -> JournalReader:
        journal = self._journal()
        if journal is None:
            problems = {one.system_facts.journal_problem for one in self._recoveries().values()}
            raise JournalError("; ".join(sorted(problems - {""})) or "the journal is not open")
        return journal


async def _explain_decision(journal: JournalReader, found: FoundVM, number: int) -> Explanation:
    key = found.recovery.key
    record = await journal.decision(key, found.uuid, number)
    if record is None:
        raise UnknownNameError(f"the journal has no decision {number} about {found}")
    return explain(
        context_of_decision(
            record,
            system=found.system,
            changes=await journal.changes(key, found.uuid, ALL_ROWS),
            actions=await journal.intents(key, found.uuid, ALL_ROWS),
        )
    )


def _vm_status(case: Case, context: ExplainContext) -> VMRecoveryStatus:
    return VMRecoveryStatus(
        system=context.system,
        vm=case.name,
        vm_key=case.key,
        uuid=case.uuid,
        state=case.state.value,
        sentence=sentence(context),
        reason=shared_reason(context),
    )


async def _events(
    journal: JournalReader, name: str, recovery: "Recovery", uuid: str | None, limit: int
) -> Sequence[TimelineEvent]:
    """Return events of the system *name*, or of one VM; the newest of each kind."""
    key = recovery.key
    changes = await journal.changes(key, uuid, max(limit, ROWS_OF_A_SYSTEM))
    return [
        *(
            change_event(one, name)
            for one in changes
            if uuid is not None or _is_enrolled(one.uuid, recovery)
        ),
        *(decision_event(one, name) for one in await journal.decisions(key, uuid, limit)),
        *(action_event(one, name) for one in await journal.intents(key, uuid, limit)),
        *(
            command_event(one, name, vm=_name_of(one, recovery))
            for one in await journal.commands(key, limit)
            if uuid in (None, one.uuid)
        ),
    ]


def _unrecorded(problems: Sequence[str], receipts: Sequence[CommandReceipt]) -> JournalError:
    others = ", ".join(one.system for one in receipts)
    return JournalError(
        "the command could not be recorded and is not in force: "
        + "; ".join(problems)
        + (f"; it is in force for {others}" if others else "")
    )


def _unseen(recovery: "Recovery", now: datetime) -> str:
    """Return why the state of a system is out of date; empty if it is current."""
    seen = recovery.state.seen_time
    if seen is None:
        return "no inventory yet"
    if (now - seen).total_seconds() <= recovery.setup.limits.max_gap_seconds:
        return ""
    return f"no inventory since {moment(seen)}"


def _same_result(one: Decision, other: Decision) -> bool:
    return (one.failed_guard, one.diagnosis.cause) == (other.failed_guard, other.diagnosis.cause)


def _newest(events: Iterable[TimelineEvent], limit: int) -> Sequence[TimelineEvent]:
    return sorted(events, key=lambda event: event.time, reverse=True)[:limit]


def _is_listed(case: Case) -> bool:
    if case.policy.acts:
        return case.state is not State.HEALTHY
    return case.state not in CALM_STATES


def _is_enrolled(uuid: str, recovery: "Recovery") -> bool:
    """Return whether a VM is enrolled; a VM without a case was, when it was last seen."""
    case = recovery.state.cases.get(uuid)
    return case is None or case.policy.acts


def _can_be_cleared(found: FoundVM) -> bool:
    case = found.recovery.state.cases.get(found.uuid)
    return case is not None and (case.policy.acts or case.state is State.QUARANTINED)


def _name_of(command: Command, recovery: "Recovery") -> str:
    if command.uuid is None:
        return ""
    case = recovery.state.cases.get(command.uuid)
    return case.name if case is not None else command.uuid


def _in_force(command: Command | None, recovery: "Recovery") -> CommandInForce | None:
    if command is None:
        return None
    return CommandInForce(
        owner=command.owner,
        reason=command.reason,
        since=command.time,
        left_seconds=command.until - recovery.watched if command.until is not None else None,
    )


def _receipt(
    command: Command, system: str, recovery: "Recovery", vm: FoundVM | None
) -> CommandReceipt:
    (readiness, because), pause = recovery.readiness_now, recovery.commands.pause
    return CommandReceipt(
        system=system,
        kind=command.kind.value,
        owner=command.owner,
        reason=command.reason,
        time=command.time,
        seconds=command.until - command.at if command.until is not None else None,
        paused_seconds=pause.until - recovery.watched if pause and pause.until else None,
        vm=vm.name if vm is not None else _name_of(command, recovery),
        template=command.template or "",
        means=command.means or "",
        question=command.question,
        result=answer_result(command, recovery),
        readiness=readiness.value,
        because=because,
    )
