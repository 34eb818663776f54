"""The queries and the body of the recovery API: decoded by the daemon, encoded by the CLI."""

from typing import Annotated

import msgspec
from msgspec import Meta

from exporter.recovery.model.limits import DAY, HOUR

PAUSE_SECONDS = 4 * HOUR
"""The length of a pause for which none is given."""
MAX_PAUSE_SECONDS = DAY
REPORT_SINCE = "7d"
"""The beginning of the period of a report for which none is given."""


class SystemQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Query of ``GET /api/v1/recovery``, and what all queries have in common."""

    system: str | None = None
    """The name of one system; all by default."""


class VMsQuery(SystemQuery, frozen=True):
    """Query of ``GET /api/v1/recovery/vms``."""

    all: bool = False
    """Whether to include the VMs that are not in trouble."""


class ExplainQuery(SystemQuery, frozen=True):
    """Query of ``GET /api/v1/recovery/explain/VM``."""

    decision: Annotated[int, Meta(gt=0)] | None = None
    """The number of an earlier decision."""


class LogQuery(SystemQuery, frozen=True):
    """Query of ``GET /api/v1/recovery/log``."""

    vm: str | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    since: str = ""
    """A duration before now, such as ``2h``, or a time; all events by default."""


class ReportQuery(SystemQuery, frozen=True):
    """Query of ``GET /api/v1/recovery/report``."""

    since: str = REPORT_SINCE
    """A duration before `until`, such as ``7d``, or a time."""
    until: str = ""
    """A duration before now, or a time; now by default."""


class CommandBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Body of ``POST /api/v1/recovery/COMMAND``."""

    owner: Annotated[str, Meta(max_length=100)]
    reason: Annotated[str, Meta(max_length=500)]
    seconds: float | None = None
    """How long a pause lasts; at most `MAX_PAUSE_SECONDS`."""
    vm: str | None = None
    """The VM of ``clear``, which other commands do not have."""
    template: Annotated[str, Meta(max_length=1000)] | None = None
    """The log template, or a row of the log, of ``teach`` and ``forget``."""
    means: str | None = None
    """The meaning that is taught."""
    question: Annotated[int, Meta(gt=0)] | None = None
    """The number of the question that ``approve`` and ``deny`` answer."""
    system: str | None = None
