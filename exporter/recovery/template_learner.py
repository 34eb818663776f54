"""Keeps what one system's log templates mean: by patterns, by teaching and by experience."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import structlog

from exporter.recovery.detect.context import LogNames, LogUsers
from exporter.recovery.detect.experience import (
    MAX_EXAMPLE,
    Experience,
    UnknownRow,
    after_diagnosis,
    after_read,
    learned,
    resumed,
)
from exporter.recovery.detect.log_evidence import QUOTED_NAME
from exporter.recovery.detect.log_patterns import LogClassifier, Meaning
from exporter.recovery.detect.templates import NAME, NUMBER, template
from exporter.recovery.log_tail import MANY, Subject
from exporter.recovery.model.cases import Case
from exporter.recovery.model.commands import Command, CommandKind, Lesson
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.log_templates import RowSource
from exporter.recovery.model.platform_log import LogRow
from exporter.recovery.model.ports import SavedState
from exporter.recovery.model.views import SystemPatterns
from exporter.recovery.observe.state import RecoveryState
from exporter.recovery.report.patterns import system_patterns
from exporter.recovery.report.teaching import blocking_row

log = structlog.get_logger()

MAX_TEMPLATES_LOGGED = 5
MAX_ROWS_AT_ONCE = 4000
"""Rows of one read that are learned from, the newest: more would delay other tasks."""


class TemplateLearner:
    """
    What the log templates of one system mean.

    Args:
        patterns: The classifier with the patterns alone.
        users: The daemon's and VergeOS' own users in the logs.

    """

    def __init__(self, patterns: LogClassifier, users: LogUsers, limits: Limits) -> None:
        self._patterns = patterns
        self._users = users
        self._limits = limits
        self._learned: Mapping[RowSource, frozenset[str]] = {}
        self.taught: Mapping[str, Command] = MappingProxyType({})
        self.experience = Experience()
        self._followed: Mapping[RowSource, frozenset[str]] | None = None
        self.classifier = patterns
        """With what is taught and learned."""

    def use(self, patterns: LogClassifier, users: LogUsers, limits: Limits) -> None:
        """Change the patterns; what is taught and learned stays."""
        self._patterns, self._users, self._limits = patterns, users, limits
        self._classify()

    def resume(self, saved: SavedState, taught: Mapping[str, Command]) -> None:
        """Continue after an earlier process, with what was *taught*."""
        forgotten = [
            command.template or ""
            for command in saved.commands
            if command.kind is CommandKind.FORGET and command.at >= saved.watched
        ]
        self.experience = resumed(saved.templates, saved.cases, forgotten=forgotten)
        self.taught = taught
        self._classify()

    def apply(self, command: Command, taught: Mapping[str, Command]) -> None:
        """Put what is taught in force after *command*."""
        if command.kind is CommandKind.FORGET:
            forgotten = (command.template or "").casefold()
            if self._followed is not None:
                self._followed = {
                    source: known - {forgotten} for source, known in self._followed.items()
                }
            self.experience = self.experience.without(command.template or "")
        if taught is not self.taught or command.kind is CommandKind.FORGET:
            self.taught = taught
            self._classify()

    def after_read(
        self,
        rows: Iterable[tuple[Subject, LogRow]],
        state: RecoveryState,
        names: LogNames,
        *,
        at: float,
    ) -> None:
        """Take in the rows that are new."""
        is_first = self.experience.read_at == float("-inf")
        # The first rows may be older than this process: what followed them was not observed.
        unknown = () if is_first else self._unknown_rows(rows, state.cases, names)
        self.experience = after_read(self.experience, unknown, state.cases, self._limits, at=at)

    def after_diagnosis(self, state: RecoveryState) -> None:
        """Take in which VMs are up, and why others are down."""
        inventory = state.valid_inventory
        before = self.experience
        self.experience = after_diagnosis(
            before,
            state.cases,
            self._limits,
            at=inventory.at,
            time=inventory.time,
            nodes=state.nodes,
        )
        if self.experience.templates is not before.templates:
            self._classify()

    @property
    def learned(self) -> Mapping[RowSource, frozenset[str]]:
        """The templates that are harmless by experience, in lower case."""
        return self._learned

    def follow(self, learned: Mapping[RowSource, frozenset[str]]) -> None:
        """Use what another process *learned* from more rows than this one reads."""
        self._followed = learned
        self._classify()

    @property
    def known(self) -> list[str]:
        """Templates that are taught, or that there is experience with."""
        taught = [command.template or "" for command in self.taught.values()]
        return [*taught, *(one.template for one in self.experience.templates.values())]

    def knows(self, template: str) -> bool:
        """Return whether *template* is taught, or there is experience with it."""
        key = template.casefold()
        return key in self.taught or key in self.experience.templates

    def blocked(self, case: Case) -> int:
        """Return how many diagnoses were blocked by rows like the one that blocks *case*."""
        text = case.diagnosis.template if case.diagnosis is not None else ""
        history = self.experience.history(text) if text else None
        return history.blocked if history is not None else 0

    def blocking(self, case: Case) -> str:
        """Return the row that makes the cause unknown and how to teach it; empty if none does."""
        return blocking_row(case.diagnosis, self.blocked(case))

    def patterns(self, system: str) -> SystemPatterns:
        """Return what is known, taught, learned and unknown, for people."""
        return system_patterns(system, self._patterns, self.taught, self.experience)

    def template_of(self, text: str, vm_names: Iterable[str] = ()) -> str:
        """
        Return the template that an operator means, who may give a row or its template.

        Args:
            text: What is given.
            vm_names: Names that a row may have.

        """
        text = text.strip()
        if self.knows(text):
            return text
        histories = self.experience.templates.values()
        of_row = next((one.template for one in histories if one.example.strip() == text), None)
        is_template = NAME in text or NUMBER in text
        return of_row or template(text, () if is_template else [n for n in vm_names if n in text])

    def lesson_of(self, given: Lesson, vm_names: Iterable[str]) -> Lesson:
        """Return *given* with the template that is meant."""
        if not given.template:
            return given
        return given._replace(template=self.template_of(given.template, vm_names))

    def _classify(self) -> None:
        """Make a classifier with what is taught and learned now."""
        now_learned = learned(self.experience) if self._followed is None else self._followed
        taught = {key: Meaning(one.means) for key, one in self.taught.items() if one.means}
        self._log_changes(now_learned)
        self._learned = now_learned
        self.classifier = self._patterns.with_templates(taught, now_learned)

    def _log_changes(self, now_learned: Mapping[RowSource, frozenset[str]]) -> None:
        for source, templates in now_learned.items():
            before = self._learned.get(source, frozenset())
            for event, changed in (
                ("recovery.template_learned", templates - before),
                ("recovery.template_unlearned", before - templates),
            ):
                for one in sorted(changed)[:MAX_TEMPLATES_LOGGED]:
                    log.info(event, template=one, source=str(source))

    def _unknown_rows(
        self, rows: Iterable[tuple[Subject, LogRow]], cases: Mapping[str, Case], names: LogNames
    ) -> Iterator[UnknownRow]:
        """Return the rows about a VM, or by a person about no single object, that are unknown."""
        of_interest = [one for one in rows if self._is_of_interest(*one)][-MAX_ROWS_AT_ONCE:]
        if not of_interest:
            return
        by_machine = {case.machine: case for case in cases.values()}
        by_name = defaultdict[str, list[Case | None]](list)
        for known in cases.values():
            for name in (known.name, *known.former_names):
                by_name[name].append(known)
        seen = set[tuple[str, str, str]]()
        for subject, row in of_interest:
            kind, value = subject
            about: Sequence[Case | None] = [None]
            if subject != MANY:
                found = by_machine.get(int(value)) if kind == "machine" else None
                about = [found] if found is not None else by_name.get(str(value), [])
            for case in about:
                # VergeOS writes an event into both logs; one of the two rows is enough.
                event = row.text, row.user, case.uuid if case is not None else ""
                if event not in seen:
                    seen.add(event)
                    yield from self._unknown(row, case, names)

    def _is_of_interest(self, subject: Subject, row: LogRow) -> bool:
        if row.unreadable:
            return False  # it has no template, or is about it is not known whom
        if subject == MANY:
            return not self._users.is_system(row.user)  # those of VergeOS block nothing
        return subject[0] in ("machine", "vm")

    def _unknown(self, row: LogRow, case: Case | None, names: LogNames) -> Iterator[UnknownRow]:
        """Return *row* if no pattern matches its template and it is not taught."""
        of_case = (case.name, *case.former_names) if case is not None else ()
        text = template(row.text, (*of_case, row.object_name, row.user), names.places)
        if self.classifier.meaning(text) is not None:
            return
        by_person = not self._users.is_system(row.user)
        if case is not None:
            source = RowSource.PERSON if by_person else RowSource.SYSTEM
            yield UnknownRow(text, source, case.uuid, text=row.text[:MAX_EXAMPLE])
            return
        quoted = {first or second for first, second in QUOTED_NAME.findall(row.text)}
        yield UnknownRow(text, RowSource.MANY, "", names.vms & quoted, text=row.text[:MAX_EXAMPLE])
