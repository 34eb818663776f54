"""Runs every check on an inventory, and remembers since when each finding is there."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from exporter.doctor.check import Check
from exporter.doctor.registry import CHECKS
from exporter.exposition.view import identical
from exporter.model import CheckResult, Finding, Inventory


class _Known(NamedTuple):
    sources: tuple[object, ...]
    """The tables that the result was made of."""
    result: CheckResult


class Doctor:
    """
    Examines the inventories of one system, one after the other.

    A result stays the same object while it is equal, so that it is rendered only when it changes.
    """

    def __init__(self, checks: Sequence[Check] = CHECKS) -> None:
        self._checks = checks
        self._known: dict[str, _Known] = {}
        self._since: dict[tuple[str, str], datetime] = {}
        """By check and subject; kept while a check is skipped."""
        self._results: tuple[CheckResult, ...] = ()

    def examine(self, inventory: Inventory) -> Inventory:
        """Return *inventory* with the results of every check."""
        results = tuple(self._examined(check, inventory) for check in self._checks)
        if not identical(results, self._results):
            self._results = results
        return msgspec.structs.replace(inventory, doctor=self._results)

    def _examined(self, check: Check, inventory: Inventory) -> CheckResult:
        sources = tuple(inventory.sources.get(table) for table in check.tables)
        known = self._known.get(check.name)
        if known is not None and identical(sources, known.sources) and not check.depends_on_time:
            return known.result
        result = self._result(check, inventory, sources)
        if known is not None and known.result == result:
            result = known.result
        self._known[check.name] = _Known(sources, result)
        return result

    def _result(
        self, check: Check, inventory: Inventory, sources: tuple[object, ...]
    ) -> CheckResult:
        for table, rows in zip(check.tables, sources, strict=True):
            if rows is None:
                return CheckResult(check.name, skipped=f"there are no fresh rows of {table}")
            if check.needs_rows and not rows:
                return CheckResult(check.name, skipped=f"VergeOS shows no rows of {table}")
        findings = tuple(
            self._dated(check.name, finding, inventory.taken_at)
            for finding in check.examine(inventory)
        )
        found = {(check.name, finding.subject) for finding in findings}
        for gone in [key for key in self._since if key[0] == check.name and key not in found]:
            del self._since[gone]
        return CheckResult(check.name, findings)

    def _dated(self, check: str, finding: Finding, now: datetime) -> Finding:
        since = self._since.setdefault((check, finding.subject), now)
        return msgspec.structs.replace(finding, since=since)
