"""The recorded inventory of a system at each poll."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from exporter.model import VM, Cluster, Inventory, MachineStatus, Node, PlatformStatus, VMConfig
from exporter.recovery.model.cases import ObservedState
from exporter.recovery.model.history import (
    Fact,
    FactKind,
    NodeFact,
    StatusFact,
    SystemFact,
    VMFact,
)
from exporter.recovery.model.log_templates import RowSource
from exporter.recovery.observe.inventory_checks import VMS, observed_state_of
from exporter.status_updates import STATUS

T = TypeVar("T")

_TYPES: Mapping[FactKind, type] = {
    FactKind.VM: VMFact,
    FactKind.STATUS: StatusFact,
    FactKind.NODE: NodeFact,
    FactKind.CLUSTER: str,
    FactKind.PLATFORM: PlatformStatus,
    FactKind.SYSTEM: SystemFact,
    FactKind.SILENCE: str,
    FactKind.LEARNED: bool,
}
_DECODERS: Mapping[FactKind, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(of) for kind, of in _TYPES.items()
}
ANY_RUNNING = StatusFact(
    running=True, powered_on=True, word="running", state="online", node=None, started_at=None
)


class RecordedInventory:
    """The newest facts, and the inventory that they make."""

    def __init__(self, facts: Iterable[Fact] = ()) -> None:
        self.vms: dict[int, VMFact] = {}
        self.statuses: dict[int, StatusFact] = {}
        self.nodes: dict[int, Node] = {}
        self.system = SystemFact()
        self.silences: dict[int, str] = {}
        self.learned: dict[RowSource, frozenset[str]] = {}
        self._clusters: dict[int, Cluster] = {}
        self._platform = PlatformStatus()
        self._tags: dict[int, frozenset[str]] = {}
        self._built: dict[int, VM] = {}
        self._ordered: tuple[VM, ...] | None = None
        self._overlay: Mapping[int, StatusFact] = {}
        self._version: object = object()
        """Another object after each change of a configuration or of tags."""
        self.apply(facts)

    def apply(self, facts: Iterable[Fact]) -> None:
        """Put *facts* in place of those about the same things."""
        for fact in facts:
            value = None if fact.value is None else _DECODERS[fact.kind].decode(fact.value)
            self._apply(fact, value)

    def shows(
        self,
        overlay: Mapping[int, StatusFact],
        *,
        time: datetime,
        clock: float | None,
        tags_read: bool,
    ) -> Inventory:
        """
        Return the inventory.

        Args:
            overlay: Statuses that a replay has in place of the recorded ones, by VM.
            time: When it was read.
            clock: VergeOS' time.
            tags_read: Whether the tags could be read.

        """
        for key in {*overlay, *self._overlay}:
            if overlay.get(key) is not self._overlay.get(key):
                self._touch(key)
        self._overlay = dict(overlay)
        if self._ordered is None:
            self._ordered = tuple(self._vm(key) for key in sorted(self.vms))
        # One row stands for all: a recorded inventory was valid, with this time of VergeOS.
        stamp = msgspec.structs.replace(_status(0, ANY_RUNNING), updated_at=clock)
        tags = self._tags if tags_read else None
        sources: dict[str, object] = {VMS: self._version, STATUS: {0: stamp}, "tags": tags}
        if self._clusters:
            sources["clusters"] = self._clusters
        return Inventory(
            system_name="",
            identity=None,
            taken_at=time,
            sources=sources,
            vms=self._ordered,
            clusters=self._clusters,
            nodes=self.nodes,
            tags=tags,
            platform=self._platform,
        )

    def is_up(self, key: int) -> bool:
        """Return whether the record shows that VM up."""
        return shows_up(self.statuses.get(key))

    def status(self, key: int) -> StatusFact | None:
        """Return the status that the last inventory showed, that of the overlay included."""
        return self._overlay.get(key, self.statuses.get(key))

    def tags(self, key: int) -> frozenset[str]:
        return self._tags.get(key, frozenset())

    def _apply(self, fact: Fact, value: Any) -> None:
        match fact.kind:
            case FactKind.SYSTEM:
                self.system = value
            case FactKind.PLATFORM:
                self._platform = value
            case FactKind.LEARNED:
                self._learn(fact.key, is_known=bool(value))
            case FactKind.CLUSTER:
                new = Cluster(int(fact.key), value) if value is not None else None
                self._clusters = _changed(self._clusters, int(fact.key), new)
            case FactKind.NODE:
                node = _node(int(fact.key), value) if value is not None else None
                self.nodes = _changed(self.nodes, int(fact.key), node)
            case FactKind.SILENCE:
                self.silences = _changed(self.silences, int(fact.key), value)
            case FactKind.STATUS:
                self._apply_status(int(fact.key), value)
            case FactKind.VM:
                self._apply_vm(int(fact.key), value)

    def _learn(self, key: str, *, is_known: bool) -> None:
        source, _, template = key.partition(":")
        before = self.learned.get(RowSource(source), frozenset())
        after = before | {template} if is_known else before - {template}
        self.learned = {**self.learned, RowSource(source): after}

    def _apply_status(self, key: int, value: StatusFact | None) -> None:
        self.statuses.pop(key, None)
        if value is not None:
            self.statuses[key] = value
        self._touch(key)

    def _apply_vm(self, key: int, value: VMFact | None) -> None:
        self.vms.pop(key, None)
        self._tags.pop(key, None)
        if value is not None:
            self.vms[key] = value
            if value.tags:
                self._tags[key] = frozenset(value.tags)
        self._version = object()
        self._touch(key)

    def _touch(self, key: int) -> None:
        self._built.pop(key, None)
        self._ordered = None

    def _vm(self, key: int) -> VM:
        built = self._built.get(key)
        if built is None:
            fact, status = self.vms[key], self.status(key)
            machine = _status(fact.machine, status) if status is not None else None
            built = self._built[key] = VM(_config(key, fact), machine)
        return built


def _changed(values: Mapping[int, T], key: int, value: T | None) -> dict[int, T]:
    """Return *values* with *value* under *key*; without that key for None."""
    others = {other: one for other, one in values.items() if other != key}
    return others if value is None else {**others, key: value}


def shows_up(status: StatusFact | None) -> bool:
    """Return whether *status* is that of a VM that is up."""
    if status is None:
        return False
    return observed_state_of(status.word, status.running, status.state) is ObservedState.UP


def _status(machine: int, fact: StatusFact) -> MachineStatus:
    return MachineStatus(
        machine=machine,
        running=fact.running,
        powered_on=fact.powered_on,
        word=fact.word,
        state=fact.state,
        migratable=None,
        node=fact.node,
        started_at=fact.started_at,
        updated_at=None,
        running_cpu_cores=None,
        running_memory_bytes=None,
        agent_version="",
    )


def _config(key: int, fact: VMFact) -> VMConfig:
    return VMConfig(
        key=key,
        machine=fact.machine,
        name=fact.name,
        uuid=fact.uuid,
        enabled=fact.enabled,
        need_restart=None,
        cpu_cores=None,
        memory_bytes=fact.memory_bytes,
        cluster=fact.cluster,
        os_family="",
        machine_type="",
        ha_group=fact.ha_group,
        on_power_loss=fact.on_power_loss,
        created_from="",
        guest_agent=None,
        service=fact.service,
        disable_powercycle=fact.disable_powercycle,
        failover_cluster=fact.failover_cluster,
    )


def _node(key: int, fact: NodeFact) -> Node:
    status = _status(fact.machine or 0, fact.status) if fact.status is not None else None
    return Node(key, fact.name, fact.cluster, fact.machine, fact.maintenance, status)
