"""Rows that only recovery asks for: the platform's log, and one VM read again before an action."""

from collections.abc import Mapping
from sys import intern
from typing import Annotated, Any

from msgspec.structs import replace

from exporter.polling.state import TableRows
from exporter.recovery.model.platform_log import LogRow, LogTable, cut
from exporter.recovery.model.ports import FreshVM
from exporter.recovery.observe.enrolment import OURS
from exporter.tolerant_json import LostValue
from exporter.vergeos.rows import (
    Lost,
    Name,
    Reference,
    Row,
    SkipRowError,
    Whole,
    joined,
    key_number,
    names_a_row,
    status_word,
    unreadable,
)
from exporter.vergeos.tables import Importance, Pace, Table

MICROSECONDS = range(10**15, 10**17)
"""Plausible log times, from 2001 on; a value in seconds would be taken for one long past."""
UNREADABLE_TEXT = "(unreadable)"
EVIDENCE = frozenset({"machine", "text", "user", "object_type", "object_name"})
"""The fields of a log row that decide what it proves."""
UNREADABLE_TAG = f"{OURS}(unreadable)"
"""Stands for a tag that could not be read. It may forbid, so it does: it is of our category."""


class MachineLog(Row, gc=False):
    """A row of ``machine_logs``; its time is in microseconds, unlike all others."""

    machine: Reference = None
    level: Name | None = None
    text: str | None = None
    user: Reference = None
    timestamp: Whole | None = None


class Log(Row, gc=False):
    """A row of ``logs``; its time is in microseconds too."""

    level: Name | None = None
    text: str | None = None
    user: Reference = None
    timestamp: Whole | None = None
    object_type: Name | None = None
    object_name: Name | None = None


class TagMember(Row, gc=False):
    """A row of ``tag_members``; the names are joined from ``tags`` and ``tag_categories``."""

    member: Name | None = None
    tag_name: Annotated[Name | None, joined("tag#name as tag_name")] = None
    category_name: Annotated[Name | None, joined("tag#category#name as category_name")] = None


class LoneVM(Row, gc=False):
    """
    A row of ``vms`` with the status of its machine.

    Only the joined fields hold the status; the columns of ``vms`` with these names are empty.
    """

    uuid: Name | None = None
    name: Name | None = None
    machine: Reference = None
    enabled: bool | None = None
    is_snapshot: bool | None = None
    service: Any = None
    disable_powercycle: bool | None = None
    running: Annotated[bool | None, joined("machine#status#running as running")] = None
    status: Annotated[Name | None, joined("machine#status#status as status")] = None


def _log_row(row: MachineLog | Log, key: int, lost: Lost) -> LogRow:
    """Return a row; one without a time has 0, because keys decide and times are for display."""
    fields = unreadable(lost)
    if "timestamp" not in fields and (row.timestamp or 0) not in MICROSECONDS:
        row.timestamp = None
        lost.append(LostValue("timestamp", "it is no time in microseconds"))
    machine = key_number(row.machine) if isinstance(row, MachineLog) else None
    if isinstance(row, MachineLog) and machine is None and "machine" not in fields:
        lost.append(LostValue("machine", "it names no machine"))
    known = LogRow(
        table=LogTable.LOGS,
        key=key,
        at=(row.timestamp or 0) / 1e6,
        level=row.level or "",
        text=UNREADABLE_TEXT if "text" in fields else cut(row.text or ""),
        user=_user_name(row.user),
        unreadable=unreadable(lost) & EVIDENCE,
    )
    if isinstance(row, MachineLog):
        return replace(known, table=LogTable.MACHINE_LOGS, machine=machine)
    return replace(known, object_type=row.object_type or "", object_name=row.object_name or "")


def _user_name(reference: Reference) -> str:
    if isinstance(reference, dict):
        reference = reference.get("name") or reference.get("$key")
    return str(reference) if isinstance(reference, str | int) else ""


def _lone_vm(row: LoneVM, key: int, lost: Lost) -> FreshVM:
    word = status_word(row.status, "status", lost, of=f"VM {key}")
    return FreshVM(
        key=key,
        uuid=row.uuid or "",
        name=row.name or "",
        machine=key_number(row.machine),
        enabled=row.enabled,
        is_snapshot=row.is_snapshot,
        service=names_a_row(row.service),
        disable_powercycle=row.disable_powercycle,
        running=row.running,
        word=word,
        tags=frozenset(),
        unreadable=unreadable(lost),
    )


def _by_vm(decoded: TableRows[dict[int, tuple[int, str]]]) -> TableRows[dict[int, frozenset[str]]]:
    """Return the tags of each VM by its key."""
    tags: dict[int, set[str]] = {}
    for vm, tag in decoded.rows.values():
        tags.setdefault(vm, set()).add(tag)
    return decoded.with_rows({vm: frozenset(names) for vm, names in tags.items()})


def _vm_and_tag(row: TagMember, key: int, lost: Lost) -> tuple[int, str] | None:
    table, _, number = (row.member or "").removeprefix("/v4/").partition("/")
    if row.member and table != "vms":
        return None  # a tag of another object
    vm = key_number(number)
    if vm is None:
        raise SkipRowError(f"row {key} names no VM")
    fields = unreadable(lost)
    for field, name in (("tag_name", row.tag_name), ("category_name", row.category_name)):
        if not name and field not in fields:
            lost.append(LostValue(field, "it is empty"))
    if not row.tag_name or not row.category_name:
        return vm, UNREADABLE_TAG
    return vm, intern(f"{row.category_name}/{row.tag_name}")


LOGS: Mapping[LogTable, Table] = {
    table: Table(table, table, Pace.FAST, row, _log_row)
    for table, row in ((LogTable.MACHINE_LOGS, MachineLog), (LogTable.LOGS, Log))
}
LONE_VMS = Table("vms", "vms", Pace.FAST, LoneVM, _lone_vm)
"""VMs without their tags. Like `LOGS`, it is read when recovery needs it, and never polled."""
TAG_MEMBERS = Table(
    "tags",
    "tag_members",
    Pace.INVENTORY,
    TagMember,
    _vm_and_tag,
    _by_vm,
    where="member bw 'vms/'",
    turn=2,
    importance=Importance.HIGH,
)
"""Which VMs have which tags; polled only where recovery is on."""
