"""What the cloud writes into its logs, in exchangeable wordings: the real ones are unknown."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

KEPT_ROWS = 20_000
SYSTEM = "system"

JournalStore = Literal["logs", "machine_logs", "both"]


@dataclass(frozen=True, slots=True)
class LogPattern:
    """How one kind of event reads; ``{name}``, ``{user}``, ``{node}``, ``{task}`` are filled in."""

    level: str
    text: str
    book: JournalStore = "both"


LOG_PATTERNS: Mapping[str, LogPattern | None] = {
    "action_sent": LogPattern("audit", "VM action '{action}' sent"),
    "powered_on": LogPattern("message", "VM '{name}' powered on"),
    "powered_off": LogPattern("message", "VM '{name}' powered off"),
    "guest_shut_down": LogPattern("message", "VM has shutdown"),
    "guest_rebooted": LogPattern("message", "VM has reset"),
    "crashed": None,
    "hung": LogPattern("warning", "VM '{name}' is unresponsive"),
    "woke_up": LogPattern("message", "VM '{name}' is responsive again"),
    "hibernated": LogPattern("message", "VM '{name}' hibernated"),
    "migration_started": LogPattern("message", "Migrating VM '{name}' to '{node}'"),
    "migrated": LogPattern("message", "VM '{name}' migrated to '{node}'"),
    "renamed": LogPattern("audit", "VM '{old}' renamed to '{name}'"),
    "changed": LogPattern("audit", "VM '{name}' modified"),
    "created": LogPattern("audit", "VM '{name}' created"),
    "deleted": LogPattern("audit", "VM '{name}' deleted", book="logs"),
    "task_ran": LogPattern("message", "Task '{task}' sent '{action}' to '{name}'"),
    "tagged": LogPattern("audit", "Tag '{tag}' assigned to '{name}'", book="logs"),
    "untagged": LogPattern("audit", "Tag '{tag}' removed from '{name}'", book="logs"),
    "status_forced": LogPattern("audit", "Status of machine '{name}' set by hand"),
    "ha_restarted": LogPattern("warning", "HA: starting '{name}' on '{node}'"),
    "no_capacity": LogPattern("error", "Not enough resources to start '{name}'"),
    "out_of_space": LogPattern("critical", "VM '{name}' stopped: tier is out of space"),
    "node_failed": LogPattern("critical", "Node '{name}' is not responding"),
    "node_returned": LogPattern("message", "Node '{name}' is online"),
    "node_maintenance": LogPattern("audit", "Node '{name}' entered maintenance mode"),
    "node_maintenance_left": LogPattern("audit", "Node '{name}' left maintenance mode"),
    "maintenance_power_off": LogPattern(
        "warning", "VM '{name}' cannot migrate and was powered off for maintenance"
    ),
    "logged_in": LogPattern("audit", "User '{name}' logged in", book="logs"),
    "login_failed": LogPattern("audit", "Login of '{name}' failed", book="logs"),
}
"""``None``: nothing is written, as when a process dies and nobody notices."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of ``logs`` or ``machine_logs``."""

    key: int
    level: str
    text: str
    at_us: int
    """Unix microseconds, as in every log table."""
    user: str
    object_type: str
    object_name: str
    machine: int | None


class Chronicle:
    """Both log books of a cloud, newest last, the oldest rows forgotten."""

    def __init__(self, wordings: Mapping[str, LogPattern | None] | None = None) -> None:
        self.wordings: dict[str, LogPattern | None] = {**LOG_PATTERNS, **(wordings or {})}
        self.logs: deque[Entry] = deque(maxlen=KEPT_ROWS)
        self.machine_logs: deque[Entry] = deque(maxlen=KEPT_ROWS)
        self._keys = {"logs": 0, "machine_logs": 0}

    def tell(
        self,
        event: str,
        *,
        at: float,
        name: str,
        object_type: str = "vm",
        machine: int | None = None,
        user: str = SYSTEM,
        **words: Any,
    ) -> None:
        """Write the rows for *event*, if it has a wording."""
        wording = self.wordings[event]
        if wording is None:
            return
        text = wording.text.format(name=name, user=user, **words)
        self.write(
            text,
            at=at,
            level=wording.level,
            book=wording.book,
            user=user,
            object_type=object_type,
            name=name,
            machine=machine,
        )

    def write(
        self,
        text: str,
        *,
        at: float,
        level: str = "message",
        book: JournalStore = "both",
        user: str = SYSTEM,
        object_type: str = "vm",
        name: str = "",
        machine: int | None = None,
    ) -> None:
        """Write any text at all."""
        for title, rows in (("logs", self.logs), ("machine_logs", self.machine_logs)):
            if book not in (title, "both") or (title == "machine_logs" and machine is None):
                continue
            self._keys[title] += 1
            rows.append(
                Entry(
                    key=self._keys[title],
                    level=level,
                    text=text,
                    at_us=round(at * 1_000_000),
                    user=user,
                    object_type=object_type,
                    object_name=name,
                    machine=machine,
                )
            )
