"""
Rivals: whether another instance acts on the system, with the same user as this one.

VergeOS logs each action with the user that requested it. A row in our own user's name that belongs
to no action of ours is a rival's. Each action of ours explains one row of each log about its VM.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from exporter.recovery.detect.context import LogUsers
from exporter.recovery.model.cases import Case, Reply, Spent
from exporter.recovery.model.platform_log import LogRow, LogTable

ACTION_ROW = re.compile(r"VM action '(poweron|reset|kill)' sent", re.IGNORECASE)
ROW_DELAY_SECONDS = 600.0
"""How long after an action its row may still be missing in what is read of a log."""
WITHOUT_A_ROW = (Reply.NOT_SENT, Reply.FORBIDDEN)
"""Replies after which VergeOS logged no action of ours."""


class RivalFinder:
    """Tells rows about our own actions from those about a rival's."""

    def __init__(self, users: LogUsers) -> None:
        self._users = users
        self._explained: dict[tuple[float, str], set[LogTable]] = {}
        """The logs that have the row of an action, by its time and VM."""

    def use(self, users: LogUsers) -> None:
        """Change the users; rows that an action explained stay explained."""
        self._users = users

    def rows_of_rivals(
        self,
        rows: Iterable[LogRow],
        sent: Sequence[Spent],
        cases: Mapping[str, Case],
        *,
        read_before: float,
    ) -> list[LogRow]:
        """
        Return those of *rows* that tell of an action of another instance.

        Args:
            rows: Rows that were read for the first time now.
            sent: The actions of this instance, of earlier processes too.
            read_before: When the logs were read before.

        """
        since = read_before - ROW_DELAY_SECONDS
        recent = [one for one in sent if one.at >= since and one.reply not in WITHOUT_A_ROW]
        known = {(one.at, one.uuid) for one in recent}
        self._explained = {key: on for key, on in self._explained.items() if key in known}
        return [
            row
            for row in rows
            if self._users.is_own(row.user)
            and ACTION_ROW.fullmatch(row.text.strip())
            and not self._is_explained(row, recent, cases)
        ]

    def _is_explained(
        self, row: LogRow, recent: Sequence[Spent], cases: Mapping[str, Case]
    ) -> bool:
        for one in recent:
            case = cases.get(one.uuid)
            tables = self._explained.setdefault((one.at, one.uuid), set())
            is_ours = case is not None and one.at <= row.read_at and _is_about(row, case)
            if is_ours and row.table not in tables:
                tables.add(row.table)
                return True
        return False


def _is_about(row: LogRow, case: Case) -> bool:
    if row.table is LogTable.MACHINE_LOGS:
        return row.machine == case.machine
    return row.object_name in (case.name, *case.former_names)
