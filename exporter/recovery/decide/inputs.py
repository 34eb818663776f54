"""What recovery needs to read or to write, and what of it is missing at the moment."""

from enum import StrEnum
from typing import NamedTuple

from exporter.recovery.decide.facts import SystemFacts
from exporter.recovery.model.platform_log import LogTable

NODES_MISSING = "the nodes of VergeOS cannot be read, so no node is known to be healthy"


class InputName(StrEnum):
    """An input of recovery; the same word is the metric's label."""

    INVENTORY = "inventory"
    """Polls of the VMs and their status that can be believed."""
    TAG_MEMBERS = "tag_members"
    NODES = "nodes"
    CLUSTERS = "clusters"
    """Only if an enrolment rule names some."""
    MACHINE_LOGS = "machine_logs"
    LOGS = "logs"
    JOURNAL = "journal"
    SILENCES = "silences"
    """Only if recovery holds while they are unknown."""
    PROMETHEUS = "prometheus"
    """Only if it must confirm that a VM is down."""
    WRITE_ACCESS = "write_access"
    """Only in a mode that acts, and only as far as it is known without an action."""
    UPDATE_SETTINGS = "update_settings"
    UPDATE_SOURCE_STATUS = "update_source_status"
    CLUSTER_TIERS = "cluster_tiers"
    CLUSTER_STATUS = "cluster_status"
    MACHINE_DEVICES = "machine_devices"


HOLDS = {
    InputName.UPDATE_SETTINGS: "no_platform_update",
    InputName.UPDATE_SOURCE_STATUS: "no_platform_update",
    InputName.CLUSTER_TIERS: "storage_available",
    InputName.CLUSTER_STATUS: "memory_available",
    InputName.MACHINE_DEVICES: "devices_present",
}
"""The tables without which a guard forbids nothing; some users and releases do not have them."""
MAY_BE_EMPTY = frozenset({InputName.MACHINE_DEVICES})


class Input(NamedTuple):
    """An input at one moment."""

    name: InputName
    problem: str
    """Why it is missing; empty while it is there."""

    @property
    def is_needed(self) -> bool:
        """Whether recovery starts no VM without it."""
        return self.name not in HOLDS


def inputs(system: SystemFacts) -> tuple[Input, ...]:
    """Return every input that recovery uses in this configuration."""
    needed = {
        InputName.INVENTORY: system.state.health.degraded_by,
        InputName.TAG_MEMBERS: system.tags_problem,
        InputName.CLUSTERS: system.clusters_problem,
        InputName.MACHINE_LOGS: system.log_problems.get(LogTable.MACHINE_LOGS, ""),
        InputName.LOGS: system.log_problems.get(LogTable.LOGS, ""),
        InputName.NODES: _nodes_problem(system),
        InputName.JOURNAL: system.journal_problem,
        InputName.SILENCES: system.silences_missing,
        InputName.PROMETHEUS: system.confirmer_problem,
        InputName.WRITE_ACCESS: system.read_only and f"no write access: {system.read_only}",
    }
    unused = _unused(system)
    found = [Input(name, problem) for name, problem in needed.items() if name not in unused]
    return (*found, *_holds(system))


def missing_inputs(system: SystemFacts) -> list[str]:
    """Return the problems because of which recovery can start no VM."""
    return [one.problem for one in inputs(system) if one.problem and one.is_needed]


def _unused(system: SystemFacts) -> set[InputName]:
    """Return the inputs that this configuration does not need."""
    unused = set[InputName]()
    if not system.names_clusters:
        unused.add(InputName.CLUSTERS)
    if system.silences is None:
        unused.add(InputName.SILENCES)
    if system.confirmer is None:
        unused.add(InputName.PROMETHEUS)
    if not system.mode.acts:
        unused.add(InputName.WRITE_ACCESS)
    return unused


def _nodes_problem(system: SystemFacts) -> str:
    inventory = system.state.inventory
    return NODES_MISSING if inventory is not None and not inventory.nodes else ""


def _holds(system: SystemFacts) -> list[Input]:
    """Return the tables that only hold actions back; each forbids nothing while it is missing."""
    inventory = system.state.inventory
    if inventory is None:
        return []
    sources = inventory.reported.sources
    return [
        Input(
            name,
            ""
            if sources.get(name) or (name in MAY_BE_EMPTY and name in sources)
            else f"the table {name} has no rows or cannot be read: the guard {guard} holds no VM",
        )
        for name, guard in HOLDS.items()
    ]
