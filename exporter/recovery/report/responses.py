"""The JSON documents of the recovery API: encoded by the daemon, decoded by the CLI."""

from collections.abc import Sequence

import msgspec

from exporter.recovery.model.views import (
    CommandReceipt,
    SystemPatterns,
    SystemRecoveryStatus,
    VMRecoveryStatus,
)
from exporter.recovery.report.events import TimelineEvent
from exporter.recovery.report.summary import RecoverySummary


class StatusResponse(msgspec.Struct, frozen=True, gc=False):
    """Response of ``GET /api/v1/recovery``."""

    systems: Sequence[SystemRecoveryStatus]
    settings_problem: str = ""
    """What of the newest settings is not in force, in sentences; empty if all of it is."""


class VMsResponse(msgspec.Struct, frozen=True, gc=False):
    """Response of ``GET /api/v1/recovery/vms``."""

    vms: Sequence[VMRecoveryStatus]


class LogResponse(msgspec.Struct, frozen=True, gc=False):
    """Response of ``GET /api/v1/recovery/log``, newest first."""

    events: Sequence[TimelineEvent]


class ReportResponse(msgspec.Struct, frozen=True, gc=False):
    """Response of ``GET /api/v1/recovery/report``."""

    summaries: Sequence[RecoverySummary]


class PatternsResponse(msgspec.Struct, frozen=True, gc=False):
    """Response of ``GET /api/v1/recovery/patterns``."""

    systems: Sequence[SystemPatterns]


class CommandResponse(msgspec.Struct, frozen=True, gc=False):
    """Response of ``POST /api/v1/recovery/COMMAND``."""

    commands: Sequence[CommandReceipt]


class ErrorResponse(msgspec.Struct, frozen=True, gc=False):
    """Response to a request that failed."""

    error: str
