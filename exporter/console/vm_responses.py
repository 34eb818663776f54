"""What the API answers about one VM."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from exporter.console.fleet import VMEntry
from exporter.console.timeline_strip import Span
from exporter.recovery.report.events import TimelineEvent
from exporter.recovery.report.explain import Explanation

VM_PATH = "/api/v1/vms/{system:[^/]+}/{key:[^/]+}"
"""As routes are written: without the patterns, a name with a brace would not fit."""
VM_HISTORY_PATH = f"{VM_PATH}/history"


class VMResponse(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Response of ``GET /api/v1/vms/SYSTEM/KEY``."""

    system: str
    key: int
    vm: VMEntry | None
    """``None``: it is gone."""
    last_seen: datetime | None = None
    """When a VM that is gone was last in the inventory, if that is less than a day ago."""
    explanation: Explanation | None = None
    """``None`` where recovery is off or does not know the VM."""
    problem: str = ""
    """Why the journal could not be read; empty if it could."""
    events: Sequence[TimelineEvent] = ()
    """What happened to it in the last 24 hours by the journal, the newest first."""


class VMHistoryResponse(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Response of ``GET /api/v1/vms/SYSTEM/KEY/history``."""

    system: str
    key: int
    times: Sequence[int]
    """When each five minutes began, in Unix seconds; the columns that follow have the same
    length."""
    cpu_ratios: Sequence[float | None]
    """The mean use of its cores, 0 to 1; ``null`` while it was off, or not observed."""
    memory_ratios: Sequence[float | None]
    """The mean use of its memory, as its guest agent reports it."""
    problem: str = ""
    """Why these columns are not from Prometheus; empty if they are, or if none is configured."""
    conditions: Sequence[Span]
    """The worst condition of each half hour of the last 24 hours."""
