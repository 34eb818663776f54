"""
When VergeOS last updated the status of machines: one rule, for the metrics and for recovery.

While a machine runs, VergeOS updates its status row again and again, so that ``last_update`` moves.
Only whether it moves counts, not how old it is: the clock of VergeOS may differ from ours.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import NamedTuple

import msgspec

from exporter.model import VM, FrozenStatus, Inventory, MachineStatus, StatusWord

STATUS = "machine_status"
"""The table."""
HANGS = frozenset({StatusWord.UNRESPONSIVE, StatusWord.ERROR})
"""The row of a machine that hangs may stand still while those of others are updated."""

Statuses = Mapping[int, MachineStatus]
"""By machine."""


def updated_rows(statuses: Iterable[MachineStatus]) -> Sequence[MachineStatus]:
    """
    Return the rows that VergeOS updates again and again: of machines that run.

    The row of a machine that is off keeps an old time, and one that names no node was set by hand,
    if others name theirs.
    """
    running = [row for row in statuses if row.updated_at and row.running]
    return [row for row in running if row.node is not None] or running


def newest_by_node(rows: Iterable[MachineStatus]) -> dict[int | None, float]:
    """Return the newest time of each node."""
    found: dict[int | None, float] = {}
    for row in rows:
        updated_at = row.updated_at
        if updated_at and updated_at > found.get(row.node, -inf):
            found[row.node] = updated_at
    return found


def written_by_node(rows: Iterable[MachineStatus], before: Statuses) -> dict[int | None, float]:
    """
    Return the newest time of each node of which a row was written since *before*.

    Row by row: one that stands still, because it was set by hand or its VM hangs, hides neither
    that the others are written nor, if it is from before a clock was set back, their time.
    """
    was = before.get
    written = [
        row for row in rows if (old := was(row.machine)) and old.updated_at != row.updated_at
    ]
    return newest_by_node(written)


class StatusUpdates(NamedTuple):
    """
    When VMs' status rows on each node were last seen to be updated, by our clock.

    Rows of physical nodes and routers are no evidence: that VergeOS updates those as well, where
    no VM runs, is not known.
    """

    statuses: Statuses = {}
    """The last ones."""
    seen_at: Mapping[int | None, float] = {}
    """By node, in monotonic seconds; only nodes with VMs that run."""
    at: float = 0.0
    """When the last ones were asked for."""
    since: float | None = None
    """When the first ones were asked for."""
    moved: bool = False
    """Whether an update was ever seen."""

    def after(self, inventory: Inventory, *, at: float) -> "StatusUpdates":
        """Return what is known after *inventory*, whose status rows were asked for *at*."""
        statuses = statuses_of(inventory)
        rows = updated_rows(statuses_of_vms(inventory.vms))
        rows = [row for row in rows if row.word not in HANGS]
        written, known = written_by_node(rows, self.statuses), self.seen_at
        seen_at = {
            node: at if node in written else known.get(node, at)
            for node in dict.fromkeys(row.node for row in rows)
        }
        since = self.since if self.since is not None else at
        return StatusUpdates(statuses, seen_at, at, since, self.moved or bool(written))

    def frozen(self, *, after_seconds: float) -> FrozenStatus:
        """Return what was not updated for *after_seconds*."""
        nodes = frozenset(
            node for node, seen in self.seen_at.items() if self.at - seen >= after_seconds
        )
        if not self.seen_at:
            return FrozenStatus(system=False)  # no VM runs
        if not self.moved and not nodes:
            return FrozenStatus()  # the first minutes
        if len(nodes) == len(self.seen_at):
            return FrozenStatus(system=True, nodes=nodes, machines=frozenset(self.statuses))
        machines = (key for key, row in self.statuses.items() if row.running and row.node in nodes)
        return FrozenStatus(
            system=False, nodes=nodes, machines=frozenset(machines) if nodes else frozenset()
        )


def statuses_of(inventory: Inventory) -> Statuses:
    """Return the status rows by machine; none if the table is stale."""
    return inventory.sources.get(STATUS) or {}  # type: ignore[return-value]


def statuses_of_vms(vms: Iterable[VM]) -> Sequence[MachineStatus]:
    """Return the status of each VM that has one."""
    return [vm.status for vm in vms if vm.status is not None]


def without_frozen(inventory: Inventory) -> Inventory:
    """Return *inventory* without what its frozen rows tell."""
    frozen = inventory.frozen.machines
    if not frozen:
        return inventory
    known = statuses_of(inventory)
    statuses = {key: row for key, row in known.items() if key not in frozen}
    return msgspec.structs.replace(
        inventory,
        sources={**inventory.sources, STATUS: statuses},
        vms=tuple(VM(vm.config, statuses.get(vm.config.machine)) for vm in inventory.vms),
        nodes={
            key: msgspec.structs.replace(node, status=statuses.get(node.machine or 0))
            for key, node in inventory.nodes.items()
        },
    )
