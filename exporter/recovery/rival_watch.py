"""Watches the logs of one system for rivals."""

from collections.abc import Mapping, Sequence

import structlog

from exporter.recovery.detect.context import LogUsers
from exporter.recovery.detect.log_evidence import quoted
from exporter.recovery.detect.rivals import RivalFinder
from exporter.recovery.log_tail import LogTail
from exporter.recovery.model.cases import Case, Spent
from exporter.recovery.model.limits import HOUR

log = structlog.get_logger()

HOLD_SECONDS = HOUR
"""Recovery is held until a rival has not acted for so long."""


class RivalWatch:
    """Looks at each row of the logs once."""

    def __init__(self, users: LogUsers) -> None:
        self._finder = RivalFinder(users)

    def use(self, users: LogUsers) -> None:
        """Change the users in the logs."""
        self._finder.use(users)

    def find(self, tail: LogTail, sent: Sequence[Spent], cases: Mapping[str, Case]) -> str:
        """Return why another instance acts, if a new row shows that; else an empty string."""
        new_rows, read_before = tail.take_new_rows(), tail.read_before
        found = self._finder.rows_of_rivals(new_rows, sent, cases, read_before=read_before)
        if not found:
            return ""
        reason = f"no action of this instance explains {quoted(found[-1])}"
        log.warning("recovery.rival", because=reason)
        return reason
