"""The tables ``logs`` and ``machine_logs``; the real texts are unknown, so templates can be set."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

KEPT_ROWS = 20_000
SYSTEM = "system"

LogTable = Literal["logs", "machine_logs", "both"]


@dataclass(frozen=True, slots=True)
class LogTemplate:
    """The log text of one kind of event, with ``{name}``, ``{user}``, ``{node}``, ``{task}``."""

    level: str
    text: str
    table: LogTable = "both"


LOG_TEMPLATES: Mapping[str, LogTemplate | None] = {
    "action_sent": LogTemplate("audit", "VM action '{action}' sent"),
    "powered_on": LogTemplate("message", "VM '{name}' powered on"),
    "powered_off": LogTemplate("message", "VM '{name}' powered off"),
    "guest_shut_down": LogTemplate("message", "VM has shutdown"),
    "guest_rebooted": LogTemplate("message", "VM has reset"),
    "crashed": None,
    "hung": LogTemplate("warning", "VM '{name}' is unresponsive"),
    "woke_up": LogTemplate("message", "VM '{name}' is responsive again"),
    "hibernated": LogTemplate("message", "VM '{name}' hibernated"),
    "migration_started": LogTemplate("message", "Migrating VM '{name}' to '{node}'"),
    "migrated": LogTemplate("message", "VM '{name}' migrated to '{node}'"),
    "renamed": LogTemplate("audit", "VM '{old}' renamed to '{name}'"),
    "changed": LogTemplate("audit", "VM '{name}' modified"),
    "created": LogTemplate("audit", "VM '{name}' created"),
    "part_added": LogTemplate("audit", "{part} added to VM '{name}'"),
    "part_changed": LogTemplate("audit", "{part} of VM '{name}' modified"),
    "part_removed": LogTemplate("audit", "{part} removed from VM '{name}'"),
    "part_attached": LogTemplate("audit", "{part} of VM '{name}' hot-plugged"),
    "part_detached": LogTemplate("audit", "{part} of VM '{name}' unplugged"),
    "snapshot_taken": LogTemplate("audit", "Snapshot '{snapshot}' of VM '{name}' created"),
    "snapshot_changed": LogTemplate("audit", "Snapshot '{snapshot}' of VM '{name}' modified"),
    "snapshot_deleted": LogTemplate("audit", "Snapshot '{snapshot}' of VM '{name}' deleted"),
    "cloned": LogTemplate("audit", "VM '{name}' cloned to '{clone}'"),
    "restored": LogTemplate("audit", "VM '{name}' restored from snapshot '{snapshot}'"),
    "moved": LogTemplate("audit", "VM '{name}' moved to cluster '{cluster}'"),
    "resource_group_created": LogTemplate("audit", "Resource group '{name}' created"),
    "resource_group_changed": LogTemplate("audit", "Resource group '{name}' modified"),
    "resource_group_deleted": LogTemplate("audit", "Resource group '{name}' deleted"),
    "deleted": LogTemplate("audit", "VM '{name}' deleted", table="logs"),
    "task_ran": LogTemplate("message", "Task '{task}' sent '{action}' to '{name}'"),
    "tagged": LogTemplate("audit", "Tag '{tag}' assigned to '{name}'", table="logs"),
    "untagged": LogTemplate("audit", "Tag '{tag}' removed from '{name}'", table="logs"),
    "status_forced": LogTemplate("audit", "Status of machine '{name}' set by hand"),
    "ha_restarted": LogTemplate("warning", "HA: starting '{name}' on '{node}'"),
    "no_capacity": LogTemplate("error", "Not enough resources to start '{name}'"),
    "out_of_space": LogTemplate("critical", "VM '{name}' stopped: tier is out of space"),
    "node_failed": LogTemplate("critical", "Node '{name}' is not responding"),
    "node_returned": LogTemplate("message", "Node '{name}' is online"),
    "node_maintenance": LogTemplate("audit", "Node '{name}' entered maintenance mode"),
    "node_maintenance_left": LogTemplate("audit", "Node '{name}' left maintenance mode"),
    "maintenance_power_off": LogTemplate(
        "warning", "VM '{name}' cannot migrate and was powered off for maintenance"
    ),
    "logged_in": LogTemplate("audit", "User '{name}' logged in", table="logs"),
    "login_failed": LogTemplate("audit", "Login of '{name}' failed", table="logs"),
}
"""None: the event writes no row."""


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


class PlatformLog:
    """Rows of ``logs`` and ``machine_logs``, oldest first; only the latest are kept."""

    def __init__(self, log_templates: Mapping[str, LogTemplate | None] | None = None) -> None:
        self.templates: dict[str, LogTemplate | None] = {
            **LOG_TEMPLATES,
            **(log_templates or {}),
        }
        self.logs: deque[Entry] = deque(maxlen=KEPT_ROWS)
        self.machine_logs: deque[Entry] = deque(maxlen=KEPT_ROWS)
        self._keys = {"logs": 0, "machine_logs": 0}

    def record(
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
        """Write the rows of *event*, if it has a template."""
        template = self.templates[event]
        if template is None:
            return
        text = template.text.format(name=name, user=user, **words)
        self.write(
            text,
            at=at,
            level=template.level,
            table=template.table,
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
        table: LogTable = "both",
        user: str = SYSTEM,
        object_type: str = "vm",
        name: str = "",
        machine: int | None = None,
    ) -> None:
        """Write *text* to the log tables."""
        for log, rows in (("logs", self.logs), ("machine_logs", self.machine_logs)):
            if table not in (log, "both") or (log == "machine_logs" and machine is None):
                continue
            self._keys[log] += 1
            rows.append(
                Entry(
                    key=self._keys[log],
                    level=level,
                    text=text,
                    at_us=round(at * 1_000_000),
                    user=user,
                    object_type=object_type,
                    object_name=name,
                    machine=machine,
                )
            )
