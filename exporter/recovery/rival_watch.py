"""Watches the logs of one system for rivals, and holds recovery when it finds one."""

from collections.abc import Mapping, Sequence

import structlog

from exporter.clock import Clock
from exporter.recovery.detect.context import LogUsers
from exporter.recovery.detect.log_evidence import quoted
from exporter.recovery.detect.rivals import RivalFinder
from exporter.recovery.log_tail import LogTail
from exporter.recovery.model.cases import Case, Spent
from exporter.recovery.model.commands import Command, CommandKind
from exporter.recovery.model.limits import HOUR

log = structlog.get_logger()

HOLD_SECONDS = HOUR
"""Recovery is held until a rival has not acted for so long."""


class RivalWatch:
    """Looks at each row of the logs once."""

    def __init__(self, users: LogUsers, clock: Clock) -> None:
        self._finder = RivalFinder(users)
        self._clock = clock

    def hold(
        self, tail: LogTail, sent: Sequence[Spent], cases: Mapping[str, Case], *, at: float
    ) -> Command | None:
        """Return the command that holds recovery if a new row is a rival's; else None."""
        new_rows, read_before = tail.take_new_rows(), tail.read_before
        found = self._finder.rows_of_rivals(new_rows, sent, cases, read_before=read_before)
        if not found:
            return None
        reason = f"no action of this instance explains {quoted(found[-1])}"
        log.warning("recovery.rival", because=reason)
        return Command(
            kind=CommandKind.RIVAL,
            owner="vergewatch",
            reason=reason,
            at=at,
            time=self._clock.now(),
            until=at + HOLD_SECONDS,
        )
