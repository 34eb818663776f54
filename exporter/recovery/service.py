"""Where people ask about recovery, and steer it: every cloud's, by the names that people use."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

from exporter.clock import Clock
from exporter.errors import JournalError
from exporter.executor import run_in_thread
from exporter.recovery.engine import Recovery
from exporter.recovery.model.cases import Case
from exporter.recovery.model.commands import Command, CommandKind
from exporter.recovery.model.limits import DAY
from exporter.recovery.model.ports import Change
from exporter.recovery.model.states import State
from exporter.recovery.report.events import (
    TimelineEvent,
    line_of_attempt,
    line_of_change,
    line_of_decision,
    line_of_order,
)
from exporter.recovery.report.explain import (
    About,
    Explanation,
    about_case,
    about_decision,
    explain,
    sentence,
)
from exporter.recovery.report.summary import Records, RecoverySummary, account
from exporter.web.ports import (
    AmbiguousNameError,
    Brief,
    Care,
    CommandInForce,
    Given,
    UnknownNameError,
)

if TYPE_CHECKING:  # half a second of imports that a start need not wait for
    from exporter.journal.journal import Journal
    from exporter.journal.rows import Attempt, Decided

ROWS_OF_A_VM = 500
"""Rows of the journal that an explanation looks back on."""
ROWS_OF_ONE_AMONG_MANY = 50
"""The same for a VM in a short list."""
ROWS_OF_A_CLOUD = 1000
"""The same for a long list, all its VMs together."""
SHORT_LIST = 30
EVERY_ROW = 1_000_000
NAMES_TO_SUGGEST = 3
NAMES_TO_LIST = 10

URGENCY = (
    State.QUARANTINED,
    State.UNKNOWN,
    State.HELD,
    State.INDETERMINATE,
    State.BACKOFF,
    State.ACTING,
    State.VERIFYING,
    State.PLATFORM,
    State.SUSPECT,
    State.PROBATION,
    State.STOPPED,
    State.BASELINE,
    State.HEALTHY,
)
"""Those in need of a person first."""


CLOSED = (State.HEALTHY,)
CALM_OF_OTHERS = (State.HEALTHY, State.BASELINE, State.STOPPED)
"""Nothing is to be said of VMs in these states, unless somebody asks."""


class _Named(NamedTuple):
    """A VM that somebody asked for."""

    system: str
    recovery: Recovery
    uuid: str
    key: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (key {self.key}, uuid {self.uuid}) in {self.system}"


class _Papers(NamedTuple):
    """What the journal has on some VMs, by uuid, newest first."""

    changes: dict[str, list[Change]]
    attempts: dict[str, list[Attempt]]
    decisions: dict[str, list[Decided]]


class RecoveryService:
    """
    Answers for every cloud that recovery looks after.

    Args:
        recoveries: Returns the recoveries at work, by the name of their cloud.
        journal: Returns the journal; None as long as it is not open.

    """

    def __init__(
        self,
        recoveries: Callable[[], Mapping[str, Recovery]],
        journal: Callable[[], Journal | None],
        clock: Clock,
    ) -> None:
        self._recoveries = recoveries
        self._journal = journal
        self._clock = clock

    # How it stands.

    def status(self, system: str | None = None) -> Sequence[Care]:
        """Return how recovery stands in each cloud; empty where it is off."""
        return [self._care(name, one) for name, one in self._chosen(system).items()]

    async def vms(
        self, system: str | None = None, *, everyone: bool = False, limit: int | None = None
    ) -> Sequence[Brief]:
        """Return the VMs that something is to be said of, or *everyone*, the neediest first."""
        found = [
            (name, recovery, case)
            for name, recovery in self._chosen(system).items()
            for case in recovery.state.cases.values()
            if everyone or _is_remarkable(case)
        ]
        found.sort(key=lambda one: (URGENCY.index(one[2].state), one[0], one[2].name, one[2].key))
        if limit is not None:
            found = found[:limit]
        papers = await self._papers_of_many([(recovery, case.uuid) for _, recovery, case in found])
        return [
            Brief(
                system=name,
                vm=case.name,
                vm_key=case.key,
                uuid=case.uuid,
                state=case.state.value,
                sentence=sentence(self._about(name, recovery, case, papers[recovery.key])),
            )
            for name, recovery, case in found
        ]

    # Why it stands so.

    async def explain(
        self, vm: str, system: str | None = None, *, decision: int | None = None
    ) -> Explanation:
        """Return why a VM, by name, key or uuid, is as it is, or was when *decision* was made."""
        named = await self._find(vm, system)
        recovery = named.recovery
        if decision is not None:
            return await self._replay(named, decision)
        papers = await self._papers(recovery.key, named.uuid, ROWS_OF_A_VM)
        case = recovery.state.cases.get(named.uuid)
        if case is not None:
            return explain(self._about(named.system, recovery, case, papers))
        inventory = recovery.state.inventory
        return explain(
            About(
                system=named.system,
                now=self._clock.now(),
                vm=named.name,
                vm_key=named.key,
                uuid=named.uuid,
                state=None,
                enrolment=recovery.state.enrolments.get(named.uuid),
                changes=papers.changes.get(named.uuid, ()),
                attempts=papers.attempts.get(named.uuid, ()),
                gone=inventory is not None and named.uuid not in inventory.vms,
            )
        )

    async def log(
        self, vm: str | None = None, system: str | None = None, *, limit: int
    ) -> Sequence[TimelineEvent]:
        """Return what happened, newest first; to VMs that nobody enrolled only if one is named."""
        named = await self._find(vm, system) if vm is not None else None
        chosen = {named.system: named.recovery} if named is not None else self._chosen(system)
        journal = self._open_journal()
        lines: list[TimelineEvent] = []
        for name, recovery in chosen.items():
            uuid = named.uuid if named is not None else None
            key = recovery.key
            lines += [
                line_of_change(one, name)
                for one in await journal.changes(key, uuid, max(limit, ROWS_OF_A_CLOUD))
                if uuid is not None or _is_ours(one.uuid, recovery)
            ]
            lines += [
                line_of_decision(one, name) for one in await journal.decisions(key, uuid, limit)
            ]
            lines += [line_of_attempt(one, name) for one in await journal.intents(key, uuid, limit)]
            lines += [
                line_of_order(one, name, vm=_name_of(one, recovery))
                for one in await journal.commands(key, limit)
                if uuid in (None, one.uuid)
            ]
        return sorted(lines, key=lambda line: line.time, reverse=True)[:limit]

    async def actions(self, system: str | None = None, *, limit: int) -> Sequence[TimelineEvent]:
        """Return what was done lately, newest first; empty where nobody can tell."""
        journal = self._journal()
        if journal is None:
            return []
        lines: list[TimelineEvent] = []
        for name, recovery in self._chosen(system).items():
            try:
                done = await journal.intents(recovery.key, limit=limit)
            except JournalError:
                continue
            lines += [line_of_attempt(one, name) for one in done]
        return sorted(lines, key=lambda line: line.time, reverse=True)[:limit]

    async def report(self, system: str | None = None, *, days: float) -> Sequence[RecoverySummary]:
        """Return the account of each cloud's last *days*."""
        journal = self._open_journal()
        until = self._clock.now()
        since = until - timedelta(seconds=days * DAY)
        accounts = []
        for name, recovery in self._chosen(system).items():
            stretch = await journal.since(recovery.key, since)
            accounts.append(
                await run_in_thread(
                    account,
                    Records(stretch.changes, stretch.decisions, stretch.intents),
                    system=name,
                    mode=recovery.setup.limits.mode.value,
                    since=since,
                    until=until,
                    strangers=frozenset(
                        uuid for uuid in recovery.state.cases if not _is_ours(uuid, recovery)
                    ),
                )
            )
        return accounts

    # What is to be.

    async def command(
        self,
        kind: CommandKind,
        *,
        owner: str,
        reason: str,
        seconds: float | None = None,
        vm: str | None = None,
        system: str | None = None,
    ) -> Sequence[Given]:
        """Give an order; what is returned is written down and in force."""
        named = await self._find(vm, system) if vm is not None else None
        chosen = {named.system: named.recovery} if named is not None else self._chosen(system)
        if not chosen:
            raise UnknownNameError("recovery is off in every cloud, so there is nothing to steer")
        if named is not None and not _can_be_cleared(named):
            raise UnknownNameError(f"{named} is not in recovery's care, so nothing can be cleared")

        async def give(name: str, recovery: Recovery) -> Given | str:
            try:
                command = await recovery.command(
                    kind,
                    owner=owner,
                    reason=reason,
                    seconds=seconds,
                    uuid=named.uuid if named is not None else None,
                )
            except JournalError as error:
                return f"{name}: {error}"
            for successor in self._recoveries().values():  # of a reload in the meantime
                if successor.key == recovery.key and successor is not recovery:
                    successor.apply_command(command)
            return _given(command, name, recovery, named)

        # All at once: who is told to stop must not act on because another cloud is slow.
        answers = await asyncio.gather(*(give(name, one) for name, one in chosen.items()))
        given = [one for one in answers if isinstance(one, Given)]
        problems = [one for one in answers if isinstance(one, str)]
        if problems:
            told = ", ".join(one.system for one in given)
            raise JournalError(
                "the order could not be written down, and is not in force: "
                + "; ".join(problems)
                + (f"; it is in force for {told}" if told else "")
            )
        return given

    # What that takes.

    def _chosen(self, system: str | None) -> Mapping[str, Recovery]:
        recoveries = self._recoveries()
        if system is None:
            return recoveries
        if system in recoveries:
            return {system: recoveries[system]}
        for name, recovery in recoveries.items():
            if recovery.key == system:
                return {name: recovery}
        known = ", ".join(recoveries) or "none: recovery is off"
        raise UnknownNameError(f"no cloud is called {system!r}; those looked after are {known}")

    def _care(self, name: str, recovery: Recovery) -> Care:
        memory, commands = recovery.state, recovery.commands
        journal = self._journal()
        readiness, because = recovery.readiness_now
        cases = memory.cases.values()
        states = _counted(case for case in cases if case.policy.acts)
        return Care(
            system=name,
            url=recovery.key,
            mode=recovery.setup.limits.mode.value,
            readiness=readiness.value,
            because=because,
            kill_switch=recovery.kill_switch,
            kill_switch_file=recovery.setup.kill_switch_file,
            silences_unknown=recovery.silences_unknown,
            paused=self._in_force(commands.pause, recovery),
            disarmed=self._in_force(commands.disarm, recovery),
            journal=journal.place if journal is not None else "",
            journal_problem=recovery.journal_problem,
            vms=sum(states.values()),
            states=states,
            others=_counted(case for case in cases if not case.policy.acts),
            under_way=tuple(sorted(intent.name for intent in recovery.intents.values())),
            inventory_at=memory.seen_time,
            unseen=self._unseen(recovery),
        )

    def _unseen(self, recovery: Recovery) -> str:
        """Return since when nothing was seen of a cloud; empty while it is watched."""
        seen, now = recovery.state.seen_time, self._clock.now()
        if seen is None:
            return "nothing has been seen of it yet"
        if (now - seen).total_seconds() <= recovery.setup.limits.max_gap_seconds:
            return ""
        return f"nothing has been seen of it since {seen:%Y-%m-%d %H:%M:%S} UTC"

    def _in_force(self, command: Command | None, recovery: Recovery) -> CommandInForce | None:
        if command is None:
            return None
        return CommandInForce(
            owner=command.owner,
            reason=command.reason,
            since=command.time,
            left_seconds=command.until - recovery.watched if command.until is not None else None,
        )

    def _about(self, system: str, recovery: Recovery, case: Case, papers: _Papers) -> About:
        decision, mode = recovery.decision(case.uuid), recovery.setup.limits.mode
        written = next(iter(papers.decisions.get(case.uuid, ())), None)
        if decision is None and written is not None and written.decision.mode is mode:
            decision = written.decision
        same = (
            written is not None
            and decision is not None
            and written.decision.failed_guard is decision.failed_guard
            and written.decision.diagnosis.cause is decision.diagnosis.cause
        )
        return about_case(case, system=system, now=self._clock.now())._replace(
            unseen=self._unseen(recovery),
            enrolment=recovery.state.enrolments.get(case.uuid),
            left_alone=recovery.left_alone(case),
            decision=decision,
            number=written.number if same and written is not None else None,
            decided=written.decision.time if same and written is not None else None,
            changes=papers.changes.get(case.uuid, ()),
            attempts=papers.attempts.get(case.uuid, ()),
        )

    async def _replay(self, named: _Named, number: int) -> Explanation:
        journal, key = self._open_journal(), named.recovery.key
        record = await journal.decision(key, named.uuid, number)
        if record is None:
            raise UnknownNameError(f"the journal has no decision {number} on {named}")
        return explain(
            about_decision(
                record,
                system=named.system,
                changes=await journal.changes(key, named.uuid, EVERY_ROW),
                attempts=await journal.intents(key, named.uuid, EVERY_ROW),
            )
        )

    async def _papers_of_many(self, vms: Sequence[tuple[Recovery, str]]) -> dict[str, _Papers]:
        """Return what the journal has on *vms*, by the keys of their clouds."""
        found = {recovery.key: _Papers({}, {}, {}) for recovery, _ in vms}
        if len(vms) > SHORT_LIST:
            for key in found:
                found[key] = await self._papers(key, None, ROWS_OF_A_CLOUD)
            return found
        for recovery, uuid in vms:
            mine = await self._papers(recovery.key, uuid, ROWS_OF_ONE_AMONG_MANY)
            found[recovery.key].changes.update(mine.changes)
            found[recovery.key].attempts.update(mine.attempts)
            found[recovery.key].decisions.update(mine.decisions)
        return found

    async def _papers(self, key: str, uuid: str | None, rows: int) -> _Papers:
        """Return what the journal has on one VM or on all; nothing where it cannot be read."""
        journal, papers = self._journal(), _Papers({}, {}, {})
        if journal is None:
            return papers
        try:
            for change in await journal.changes(key, uuid, rows):
                papers.changes.setdefault(change.uuid, []).append(change)
            for attempt in await journal.intents(key, uuid, rows):
                papers.attempts.setdefault(attempt.intent.uuid, []).append(attempt)
            for record in await journal.decisions(key, uuid, rows):
                papers.decisions.setdefault(record.decision.uuid, []).append(record)
        except JournalError:
            pass  # the sentences then lack their times; why is told with the status
        return papers

    def _open_journal(self) -> Journal:
        journal = self._journal()
        if journal is None:
            problems = {one.journal_problem for one in self._recoveries().values()}
            raise JournalError("; ".join(sorted(problems - {""})) or "the journal is not open")
        return journal

    # Names.

    async def _find(self, wanted: str, system: str | None) -> _Named:
        """Return the one VM that *wanted* names: by its name, else its key, else its uuid."""
        chosen = self._chosen(system)
        if not chosen:
            raise UnknownNameError("recovery is off in every cloud, so nobody looks after any VM")
        known = [one for name, recovery in chosen.items() for one in _known(name, recovery)]
        found = _matching(known, wanted)
        if not found:
            found = _matching(await self._remembered(chosen), wanted)
        if len(found) == 1:
            return found[0]
        if found:
            listed = "; ".join(map(str, found[:NAMES_TO_LIST]))
            more = f"; and {len(found) - NAMES_TO_LIST} more" * (len(found) > NAMES_TO_LIST)
            raise AmbiguousNameError(
                f"{wanted!r} may be any of {len(found)} VMs: {listed}{more}; "
                "ask for it by its uuid, or say which system"
            )
        where = system or ", ".join(chosen)
        blind = [one.journal_problem for one in chosen.values() if one.state.inventory is None]
        if not known and any(blind):
            raise JournalError(
                f"nobody knows the VMs of {where} yet: {'; '.join(filter(None, blind))}"
            )
        unseen = [name for name, one in chosen.items() if one.state.inventory is None]
        if unseen:
            raise UnknownNameError(
                f"recovery has not seen {', '.join(unseen)} yet; ask again in half a minute"
            )
        near = await run_in_thread(_names_like, wanted, {one.name for one in known})
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise UnknownNameError(f"no VM is called {wanted!r} in {where}{hint}")

    async def _remembered(self, chosen: Mapping[str, Recovery]) -> list[_Named]:
        """Return the VMs that are not there any more, and that the journal tells of."""
        journal = self._journal()
        if journal is None:
            return []
        found: dict[tuple[str, str], _Named] = {}
        for name, recovery in chosen.items():
            try:
                changes = await journal.changes(recovery.key, limit=ROWS_OF_A_CLOUD)
            except JournalError:
                continue
            for one in changes:
                named = _Named(name, recovery, one.uuid, one.vm_key, one.name)
                found.setdefault((name, one.uuid), named)
        return list(found.values())


def _counted(cases: Iterable[Case]) -> dict[str, int]:
    """Return how many of *cases* are in each state, the most urgent first."""
    states = Counter(case.state for case in cases)
    return {state.value: states[state] for state in URGENCY if states[state]}


def _is_remarkable(case: Case) -> bool:
    """Return whether something is to be said of a VM; of one that nobody enrolled only trouble."""
    return case.state not in (CLOSED if case.policy.acts else CALM_OF_OTHERS)


def _is_ours(uuid: str, recovery: Recovery) -> bool:
    """Return whether a VM is looked after, or was when somebody last saw it."""
    case = recovery.state.cases.get(uuid)
    return case is None or case.policy.acts


def _can_be_cleared(named: _Named) -> bool:
    case = named.recovery.state.cases.get(named.uuid)
    return case is not None and (case.policy.acts or case.state is State.QUARANTINED)


def _known(system: str, recovery: Recovery) -> list[_Named]:
    """Return the VMs of a cloud: those that recovery looks at, and those seen besides."""
    memory = recovery.state
    found = {
        uuid: _Named(system, recovery, uuid, case.key, case.name)
        for uuid, case in memory.cases.items()
    }
    vms = memory.inventory.vms if memory.inventory is not None else {}
    for uuid, vm in vms.items():
        if uuid not in found:
            found[uuid] = _Named(system, recovery, uuid, vm.config.key, vm.config.name)
    return list(found.values())


def _names_like(wanted: str, names: Iterable[str]) -> Sequence[str]:
    """Return the names that come near, whatever their capitals, or begin so."""
    by_small = {name.casefold(): name for name in names}
    small = wanted.casefold()
    near = get_close_matches(small, by_small, NAMES_TO_SUGGEST)
    longer = sorted(one for one in by_small if small and one.startswith(small) and one not in near)
    return [by_small[one] for one in (*near, *longer)][:NAMES_TO_SUGGEST]


def _matching(known: Sequence[_Named], wanted: str) -> list[_Named]:
    for found in (
        [one for one in known if one.name == wanted],
        [one for one in known if str(one.key) == wanted],
        [one for one in known if one.uuid.lower() == wanted.lower()],
    ):
        if found:
            return found
    return []


def _name_of(command: Command, recovery: Recovery) -> str:
    case = recovery.state.cases.get(command.uuid or "")
    return case.name if case is not None else command.uuid or ""


def _given(command: Command, system: str, recovery: Recovery, vm: _Named | None) -> Given:
    readiness_now, pause = recovery.readiness_now, recovery.commands.pause
    return Given(
        system=system,
        kind=command.kind.value,
        owner=command.owner,
        reason=command.reason,
        time=command.time,
        seconds=command.until - command.at if command.until is not None else None,
        paused_seconds=pause.until - recovery.watched if pause and pause.until else None,
        vm=vm.name if vm is not None else "",
        readiness=readiness_now.readiness.value,
        because=readiness_now.because,
    )
