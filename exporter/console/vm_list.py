"""The documents of ``GET /api/v1/vms``: JSON, encoded by the daemon and decoded by the CLI; CSV."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO

import msgspec

from exporter.console.fleet import VMEntry
from exporter.console.vm_condition import Condition
from exporter.console.vm_query import FoundVMs
from exporter.formatting import csv_cell

VMS_PATH = "/api/v1/vms"


class VMListResponse(msgspec.Struct, frozen=True, gc=False):
    """Response of ``GET /api/v1/vms``: one page of the VMs that fit."""

    total: int
    """How many VMs fit."""
    page: int
    pages: int
    conditions: Mapping[Condition, int]
    """How many would fit with each condition; those with none are left out."""
    vms: Sequence[VMEntry]
    """In the order that was asked for; none on a page after the last."""


def list_response(found: FoundVMs) -> VMListResponse:
    """Return the page of *found* that was asked for."""
    return VMListResponse(len(found.vms), found.page, found.pages, found.conditions, found.shown)


COLUMNS = (
    "system",
    "vm",
    "vm_key",
    "uuid",
    "condition",
    "status",
    "node",
    "cluster",
    "cores",
    "memory_bytes",
    "cpu_ratio",
    "memory_used_ratio",
    "os",
    "addresses",
    "tags",
    "enrolled",
    "recovery_state",
    "cause",
    "detail",
    "failed_guard",
    "down_since",
)


def vms_csv(vms: Iterable[VMEntry]) -> str:
    """Return *vms* as CSV (RFC 4180) with a header."""
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows(map(_row, vms))
    return out.getvalue()


def _row(vm: VMEntry) -> Sequence[str]:
    values = (
        vm.system,
        vm.name,
        vm.key,
        vm.uuid,
        vm.condition,
        vm.status,
        vm.node,
        vm.cluster,
        vm.cores,
        vm.memory_bytes,
        _ratio(vm.cpu_ratio),
        _ratio(vm.memory_used_ratio),
        vm.os,
        ";".join(vm.addresses),
        ";".join(vm.tags),
        vm.is_enrolled if vm.policy else None,
        vm.recovery_state,
        vm.cause,
        vm.detail,
        vm.failed_guard,
        vm.down_since,
    )
    return [csv_cell(value) for value in values]


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
