"""
The history of one system: polls, changes of its inventory and log rows, for a backtest.

What recovery saw is kept in full values, each written only when it changed: a fact is replaced by
the next one with the same kind and key, so the oldest can be pruned.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec

from exporter.recovery.model.platform_log import LogRow, PositionRead


class FactKind(StrEnum):
    """What a fact is about."""

    VM = "vm"
    """The configuration and the tags of a VM, by its key: a `VMFact`."""
    STATUS = "status"
    """The status of a VM, by its key: a `StatusFact`."""
    NODE = "node"
    """A node, by its key: a `NodeFact`."""
    CLUSTER = "cluster"
    """The name of a cluster, by its key."""
    PLATFORM = "platform"
    """What of the platform may prevent starts: a `PlatformStatus`."""
    LEARNED = "learned"
    """A log template that is harmless by experience, by its source and text."""
    SYSTEM = "system"
    """What forbids actions on the whole system: a `SystemFact`."""
    SILENCE = "silence"
    """The silence in Alertmanager that matches a VM that is down, by the key of the VM."""

    @property
    def is_seen(self) -> bool:
        """Whether it was known when its poll was processed; what was learned counts after it."""
        return self is not FactKind.LEARNED


class VMFact(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What recovery reads of a VM's configuration."""

    machine: int
    name: str
    uuid: str
    enabled: bool | None
    memory_bytes: int | None
    cluster: int | None
    failover_cluster: int | None
    ha_group: str
    on_power_loss: str
    service: bool
    disable_powercycle: bool | None
    tags: tuple[str, ...]


class StatusFact(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What recovery reads of a machine's status."""

    running: bool | None
    powered_on: bool | None
    word: str
    state: str
    node: int | None
    started_at: float | None


class NodeFact(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What recovery reads of a node."""

    name: str
    cluster: int | None
    machine: int | None
    maintenance: bool | None
    status: StatusFact | None


class SystemFact(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What forbids actions on every VM, besides commands; texts are empty if nothing does."""

    kill_switch: str = ""
    read_only: str = ""
    silences_unknown: str = ""


class Fact(msgspec.Struct, frozen=True, gc=False):
    """A value from its poll on."""

    at: float
    """The poll, in seconds of monitored time."""
    kind: FactKind
    key: str
    value: str | None
    """As JSON; ``None``: it is gone."""


class RecordedPoll(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One poll, as recovery processed it."""

    at: float
    """When it was asked for, in seconds of monitored time."""
    time: datetime
    lag_seconds: float
    """From then until recovery processed it."""
    took_seconds: float
    every_seconds: float
    began: float | None = None
    """The monitored time at which the process began, in the first poll of a process."""
    clock: float | None = None
    """VergeOS' time."""
    problem: str = ""
    """Why its inventory was rejected; empty if it was valid."""
    tags_read: bool = True
    log_positions: tuple[PositionRead, ...] = ()
    """Those that were read since the poll before."""
    log_problem: str = ""
    """Why the logs could not be read."""
    log_complete: bool = True
    """Whether the last read of the logs had no gap."""
    random_numbers: tuple[float, ...] = ()
    """Those that were drawn, for the pauses after actions."""


class HistoryRecord(NamedTuple):
    """What was not written yet."""

    polls: Sequence[RecordedPoll] = ()
    facts: Sequence[Fact] = ()
    rows: Sequence[LogRow] = ()
    """Rows that diagnoses rest on; ``read_at`` is when they were read first."""


NO_HISTORY = HistoryRecord()


FactValues = Mapping[tuple[FactKind, str], str]
"""The newest facts as JSON, by kind and key."""
