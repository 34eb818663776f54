"""Runs every check on an inventory, and remembers since when each finding is there."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from exporter.doctor.check import Check
from exporter.doctor.registry import CHECKS
from exporter.exposition.view import identical
from exporter.model import CheckResult, Finding, Inventory, SystemReport

Since = Mapping[str, Mapping[str, datetime]]
"""When each finding was first found, by check and subject."""


class _Known(NamedTuple):
    facts: tuple[object, ...]
    """What the result was made of: the tables, and the name and version of the system."""
    result: CheckResult


class Doctor:
    """
    Examines the inventories of one system, one after the other.

    A result stays the same object while it is equal, so that it is rendered only when it changes.

    Args:
        since: When earlier findings were first found: those that are still there keep their time.
        remember: Called with all of these times when one of them changes.

    """

    def __init__(
        self,
        checks: Sequence[Check] = CHECKS,
        *,
        since: Since = MappingProxyType({}),
        remember: Callable[[Since], None] = lambda _: None,
    ) -> None:
        self._checks = checks
        self._known: dict[str, _Known] = {}
        self._since = since
        """Of a check that is skipped, it is kept."""
        self._remember = remember
        self.results: tuple[CheckResult, ...] = ()
        """Of the last examination."""

    def examine(
        self, inventory: Inventory | None, report: SystemReport, *, now: datetime
    ) -> SystemReport:
        """
        Return *report* with the results of every check.

        Args:
            inventory: What was polled; None if nothing is recent enough.
            report: How the polling does.
            now: The time of what is found.

        """
        before = self._since
        results = tuple(self._examined(check, inventory, report, now) for check in self._checks)
        if not identical(results, self.results):
            self.results = results
        if self._since != before:
            self._remember(self._since)
        return msgspec.structs.replace(report, doctor=self.results)

    def _examined(
        self, check: Check, inventory: Inventory | None, report: SystemReport, now: datetime
    ) -> CheckResult:
        rows = inventory.sources if inventory is not None else {}
        sources = tuple(rows.get(table) for table in check.tables)
        facts = (*sources, inventory.identity if inventory is not None else None)
        known = self._known.get(check.name)
        is_settled = not (
            None in sources or check.depends_on_time or check.examine_polling is not None
        )
        if known is not None and is_settled and identical(facts, known.facts):
            return known.result
        skipped = check.always_skipped or _skipped(check, sources, report)
        if skipped:
            result = CheckResult(check.name, skipped=skipped)
        elif check.examine_polling is not None:
            result = self._dated(check, check.examine_polling(report), now)
        elif inventory is not None:
            result = self._dated(check, check.examine(inventory), now)
        else:
            result = CheckResult(check.name)
        if known is not None and known.result == result:
            result = known.result
        self._known[check.name] = _Known(facts, result)
        return result

    def _dated(self, check: Check, findings: Iterable[Finding], now: datetime) -> CheckResult:
        """Return the result with *findings*, each with the time at which it was first found."""
        before = self._since.get(check.name, {})
        dated = tuple(
            msgspec.structs.replace(one, since=before.get(one.subject, now)) for one in findings
        )
        found = {check.name: {one.subject: one.since for one in dated if one.since}}
        others = {name: times for name, times in self._since.items() if name != check.name}
        self._since = others | found if dated else others
        return CheckResult(check.name, dated)


def _skipped(check: Check, sources: Sequence[object], report: SystemReport) -> str:
    """Return why *check* cannot be made; empty if it can."""
    for table, rows in zip(check.tables, sources, strict=True):
        if rows is None:
            return _missing(table, report)
        if check.needs_rows and not rows:
            return f"VergeOS shows no rows of {table} to this user"
    return ""


def _missing(table: str, report: SystemReport) -> str:
    """Return why there are no rows of *table*."""
    state = next((one for one in report.tables if one.table == table), None)
    if state is None:
        return f"{table} is not polled: its collector is off"
    if not report.up:
        return "there is no connectivity"
    if state.error:
        return f"{table} cannot be read: {state.error}"
    return f"{table} was not read yet" if state.success is None else f"{table} is out of date"
