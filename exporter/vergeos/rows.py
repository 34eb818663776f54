"""
Answers as the model's nouns; every quirk of the wire ends in this file.

Keys arrive as integers or as strings, foreign keys also as null, 0, "" or an expanded object,
absent objects as ``[]``, and words that nobody listed. A row that cannot be understood is
skipped and counted; an answer that cannot is a `BadReplyError`.
Units become base units here: MB (2**20) to bytes, percent to ratios, Mbps to bytes per second,
milliseconds to seconds.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from math import isfinite
from operator import attrgetter
from sys import intern
from typing import Any, Generic, TypeVar

import msgspec

from exporter.errors import BadReplyError
from exporter.model import (
    KNOWN_STATUS_WORDS,
    Cluster,
    Disk,
    DiskStats,
    Filesystem,
    Guest,
    MachineStats,
    MachineStatus,
    Nic,
    Node,
    VMConfig,
)
from exporter.recovery.model.platform_log import LogRow
from exporter.recovery.model.ports import FreshVM
from exporter.vergeos import wire

MIB = 2**20
DIGITS_OF_A_KEY = 18
HIGHEST_KEY = 10**DIGITS_OF_A_KEY
"""More do not fit 64 bits."""
MICROSECONDS = range(10**15, 10**17)
"""What a time in them may be, from 2001 on: one in seconds would be taken for one long ago."""
BYTES_PER_MEGABIT = 1_000_000 / 8
NO_WORD = "unknown"
"""What stands for a status that was not said: the rest of its row is worth showing."""
NIC_WORDS = frozenset({"up", "down", "unknown", "lowerlayerdown"})
WORD_SHAPE = re.compile(r"[a-z][a-z0-9_-]{0,39}")
"""What a status word may look like: it becomes a label, so prose must not get through."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class TableRows(Generic[T_co]):
    """The rows of one answer, and what could not be read of it."""

    rows: T_co
    count: int
    """Rows understood."""
    skipped: int = 0
    problem: str | None = None
    """What was wrong with the first row skipped."""
    unknown_words: frozenset[str] = frozenset()
    """Status words that this version of Vergewatch does not know."""

    def holding(self, rows: U, count: int) -> "TableRows[U]":
        """Return the same reading of other *rows*."""
        return TableRows(rows, count, self.skipped, self.problem, self.unknown_words)


class _SkipRowError(Exception):
    """The row cannot be used; the message says why."""


def vm_configs(body: bytes, path: str) -> TableRows[tuple[VMConfig, ...]]:
    """Return the VMs sorted by key, without snapshots even where the filter let some through."""
    reading = _read(body, path, wire.VM_SHAPE, _vm_config)
    live = [vm for vm in reading.rows.values() if vm is not None]
    return reading.holding(tuple(sorted(live, key=lambda vm: vm.key)), len(live))


def vm_snapshot_count(body: bytes, path: str) -> TableRows[int]:
    """Return how many rows of ``vms`` are snapshots, counted here: the filter may be ignored."""
    reading = _read(body, path, wire.VM_SHAPE, lambda row, _: bool(row.is_snapshot))
    count = sum(reading.rows.values())
    return reading.holding(count, count)


def machine_statuses(body: bytes, path: str) -> TableRows[dict[int, MachineStatus]]:
    """Return live states by machine."""
    reading = _read(body, path, wire.STATUS_SHAPE, _machine_status, key=attrgetter("machine"))
    unknown = {status.word for status in reading.rows.values()} - KNOWN_STATUS_WORDS - {NO_WORD}
    return replace(reading, unknown_words=frozenset(unknown))


def guests(body: bytes, path: str) -> TableRows[dict[int, Guest]]:
    """Return what guest agents say, by machine; machines without one are not among them."""
    reading = _read(body, path, wire.GUEST_SHAPE, _guest, key=attrgetter("machine"))
    found = {machine: guest for machine, guest in reading.rows.items() if guest is not None}
    return reading.holding(found, reading.count)


def machine_stats(body: bytes, path: str) -> TableRows[dict[int, MachineStats]]:
    """Return load figures by machine."""
    return _read(body, path, wire.STATS_SHAPE, _machine_stats, key=attrgetter("machine"))


def nics(body: bytes, path: str) -> TableRows[dict[int, tuple[Nic, ...]]]:
    """Return network cards by machine, each with a name that is unique there."""
    reading = _read(body, path, wire.NIC_SHAPE, _nic)
    return reading.holding(_by_machine(reading.rows.values()), reading.count)


def disks(body: bytes, path: str) -> TableRows[dict[int, tuple[Disk, ...]]]:
    """Return drives by machine, each with a name that is unique there."""
    reading = _read(body, path, wire.DRIVE_SHAPE, _disk)
    return reading.holding(_by_machine(reading.rows.values()), reading.count)


def disk_stats(body: bytes, path: str) -> TableRows[dict[int, DiskStats]]:
    """Return drive statistics by the drive they belong to."""
    return _read(body, path, wire.DRIVE_STATS_SHAPE, _disk_stats, key=attrgetter("parent_drive"))


def clusters(body: bytes, path: str) -> TableRows[dict[int, Cluster]]:
    """Return clusters by key."""
    return _read(
        body, path, wire.CLUSTER_SHAPE, lambda row, key: Cluster(key, row.name or f"#{key}")
    )


def nodes(body: bytes, path: str) -> TableRows[dict[int, Node]]:
    """Return physical nodes by key, without their status."""
    return _read(body, path, wire.NODE_SHAPE, _node, key=lambda row: row.id or row.key)


def tags(body: bytes, path: str) -> TableRows[dict[int, frozenset[str]]]:
    """Return the tags of VMs, by VM; what else has tags is passed over."""
    reading = _read(body, path, wire.TAG_MEMBER_SHAPE, _vm_and_tag)
    found: dict[int, set[str]] = {}
    pairs = [pair for pair in reading.rows.values() if pair is not None]
    for vm, tag in pairs:
        found.setdefault(vm, set()).add(tag)
    return reading.holding({vm: frozenset(names) for vm, names in found.items()}, len(pairs))


def log_rows(body: bytes, path: str) -> TableRows[dict[int, LogRow]]:
    """Return what was logged, by key."""
    return _read(body, path, wire.LOG_SHAPE, _log_row)


def lone_vms(body: bytes, path: str) -> TableRows[dict[int, FreshVM]]:
    """Return VMs as they are right now, by key and without their tags."""
    return _read(body, path, wire.LONE_VM_SHAPE, _lone_vm)


def setting(body: bytes, path: str, name: str) -> str | None:
    """Return the value of the setting *name* from a list of ``settings`` rows."""
    for row in wire.rows(body, path, wire.SETTING_SHAPE, on_skip=lambda _: None):
        if row.key == name:
            return row.value or None
    return None


def version(body: bytes, path: str) -> str:
    """Return the product's version from ``/version.json``."""
    try:
        answer: wire.Version = wire.VERSION.decode(body)
    except wire.UNREADABLE as problem:
        raise BadReplyError(path, wire.what_came_instead(body, problem)) from None
    return answer.version or ""


def key_of(row: bytes) -> int | None:
    """Return the key of one row of JSON, or None where it has none."""
    try:
        return _number(wire.ROW.decode(row).key)
    except wire.UNREADABLE:
        return None


def _read(
    body: bytes,
    path: str,
    shape: wire.Shape,
    convert: Callable[[Any, int], T],
    key: Callable[[Any], wire.Reference] = attrgetter("key"),
) -> TableRows[dict[int, T]]:
    """Decode *body* into rows by key; the second of two rows with one key is skipped."""
    found: dict[int, T] = {}
    problems: list[str] = []
    for row in wire.rows(body, path, shape, on_skip=problems.append):
        number = _number(key(row))
        if number is None:
            problems.append("a row has no key")
        elif number in found:
            problems.append(f"two rows have the key {number}")
        else:
            try:
                found[number] = convert(row, number)
            except _SkipRowError as reason:
                problems.append(str(reason))
    if problems and not found:
        raise BadReplyError(path, f"gave {len(problems)} rows and none can be read: {problems[0]}")
    first = f"{path}: {problems[0]}" if problems else None
    return TableRows(found, len(found), len(problems), first)


def _number(reference: Any) -> int | None:
    """Return the key that a `Reference` names, or None where it names nothing."""
    if type(reference) is int:  # nearly always, and asked of every row
        return reference if 0 < reference < HIGHEST_KEY else None
    while isinstance(reference, dict):
        reference = reference.get("$key")
    if isinstance(reference, bool):
        return None
    if isinstance(reference, str) and len(reference) <= DIGITS_OF_A_KEY and reference.isdecimal():
        reference = int(reference)
    return reference if isinstance(reference, int) and 0 < reference < HIGHEST_KEY else None


def _required(reference: wire.Reference, field: str, key: int) -> int:
    number = _number(reference)
    if number is None:
        raise _SkipRowError(f"row {key} has no {field}")
    return number


def _vm_config(row: wire.VM, key: int) -> VMConfig | None:
    if row.is_snapshot:
        return None
    return VMConfig(
        key=key,
        machine=_required(row.machine, "machine", key),
        name=row.name or "",
        uuid=row.uuid or "",
        enabled=row.enabled,
        need_restart=row.need_restart,
        cpu_cores=row.cpu_cores,
        memory_bytes=_bytes(row.ram),
        cluster=_number(row.cluster),
        os_family=_word(row.os_family),
        machine_type=_word(row.machine_type),
        ha_group=_word(row.ha_group),
        on_power_loss=_word(row.on_power_loss),
        created_from=_word(row.created_from),
        guest_agent=row.guest_agent,
        service=leads_somewhere(row.service),
        disable_powercycle=row.disable_powercycle,
    )


def _machine_status(row: wire.Status, machine: int) -> MachineStatus:
    word = _word(row.status) or NO_WORD
    if word not in KNOWN_STATUS_WORDS and not WORD_SHAPE.fullmatch(word):
        raise _SkipRowError(f"machine {machine} has the status {word[:40]!r}, which is no word")
    return MachineStatus(
        machine=machine,
        running=row.running,
        powered_on=row.powerstate,
        word=word,
        word_info=row.status_info or "",
        state=_word(row.state),
        migratable=row.migratable,
        node=_number(row.node),
        started_at=_moment(row.started),
        updated_at=_moment(row.last_update),
        running_cpu_cores=row.running_cores,
        running_memory_bytes=_bytes(row.running_ram),
        agent_version=_word(row.agent_version),
    )


def _guest(row: wire.GuestReport, _: int) -> Guest | None:
    info = row.agent_guest_info
    if not isinstance(info, wire.GuestInfo):
        return None
    os_info = info.osinfo if isinstance(info.osinfo, wire.OSInfo) else wire.OSInfo()
    memory = info.meminfo if isinstance(info.meminfo, wire.MemInfo) else wire.MemInfo()
    return Guest(
        os_name=_word(os_info.pretty_name or os_info.name),
        os_version=_word(os_info.version),
        kernel=_word(os_info.kernel_release),
        hostname=info.hostname or "",
        memory_total_bytes=_bytes(memory.ram_total),
        memory_used_bytes=_bytes(memory.ram_used),
        filesystems=_filesystems(info.fsinfo),
        refreshed_at=_moment(info.last_refresh),
    )


def _filesystems(
    given: list[wire.FsInfo] | dict[str, wire.FsInfo] | None,
) -> tuple[Filesystem, ...]:
    """Return filesystems by mount point; of two on one mount point, the first."""
    rows = given.values() if isinstance(given, dict) else given or ()
    found: dict[str, Filesystem] = {}
    for row in rows:
        mountpoint = row.mountpoint or row.name or ""
        found.setdefault(
            mountpoint, Filesystem(mountpoint, row.type or "", row.total_bytes, row.used_bytes)
        )
    return tuple(found.values())


def _machine_stats(row: wire.Stats, machine: int) -> MachineStats:
    return MachineStats(machine, _ratio(row.total_cpu), _bytes(row.ram_used))


def _nic(row: wire.Nic, key: int) -> Nic:
    stats = row.stats if isinstance(row.stats, wire.NicStats) else wire.NicStats()
    status = row.status if isinstance(row.status, wire.NicStatus) else wire.NicStatus()
    return Nic(
        key=key,
        machine=_required(row.machine, "machine", key),
        name=_word(row.name),
        status=_nic_word(status.status),
        speed_bytes_per_second=_scaled(status.speed, 1 / BYTES_PER_MEGABIT),
        received_bytes=stats.rx_bytes,
        transmitted_bytes=stats.tx_bytes,
        received_packets=stats.rx_pckts,
        transmitted_packets=stats.tx_pckts,
    )


def _nic_word(text: str | None) -> str | None:
    if text in NIC_WORDS or (text and WORD_SHAPE.fullmatch(text)):
        return intern(text)
    return None


def _disk(row: wire.Drive, key: int) -> Disk:
    return Disk(
        key=key,
        machine=_required(row.machine, "machine", key),
        name=_word(row.name),
        media=_word(row.media),
        interface=_word(row.interface),
        tier=_word("" if row.preferred_tier is None else str(row.preferred_tier)),
        size_bytes=row.disksize,
        used_bytes=row.used_bytes,
    )


def _disk_stats(row: wire.DriveStats, disk: int) -> DiskStats:
    return DiskStats(
        disk=disk,
        reads=row.reads,
        writes=row.writes,
        read_bytes=row.read_bytes,
        written_bytes=row.write_bytes,
        utilization_ratio=_ratio(row.util),
        service_time_seconds=_scaled(row.service_time, 1000),
    )


def _node(row: wire.Node, key: int) -> Node:
    return Node(
        key=key,
        name=row.name or f"#{key}",
        cluster=_number(row.cluster),
        machine=_number(row.machine),
        maintenance=row.maintenance,
        status=None,
    )


def _vm_and_tag(row: wire.TagMember, key: int) -> tuple[int, str] | None:
    table, _, number = (row.member or "").removeprefix("/v4/").partition("/")
    if row.member and table != "vms":
        return None
    vm = _number(number)
    if vm is None or not row.tag_name or not row.category_name:
        raise _SkipRowError(f"row {key} does not say which VM has which tag")
    return vm, intern(f"{row.category_name}/{row.tag_name}")


def _log_row(row: wire.Log, key: int) -> LogRow:
    if row.timestamp is None or row.timestamp not in MICROSECONDS:
        raise _SkipRowError(f"row {key} has no time in microseconds")
    return LogRow(
        key=key,
        machine=_required(row.machine, "machine", key),
        at=row.timestamp / 1e6,
        level=row.level or "",
        text=row.text or "",
        user=_name_in(row.user),
    )


def _name_in(reference: wire.Reference) -> str:
    if isinstance(reference, dict):
        reference = reference.get("name") or reference.get("$key")
    return str(reference) if isinstance(reference, str | int) else ""


def _lone_vm(row: wire.LoneVM, key: int) -> FreshVM:
    return FreshVM(
        key=key,
        uuid=row.uuid or "",
        name=row.name or "",
        machine=_number(row.machine),
        enabled=row.enabled,
        is_snapshot=row.is_snapshot,
        service=leads_somewhere(row.service),
        disable_powercycle=row.disable_powercycle,
        running=row.running,
        word=row.status or NO_WORD,
        tags=frozenset(),
    )


def leads_somewhere(reference: Any) -> bool:
    """Return whether a foreign key names a row, were it by a key that we cannot read."""
    while isinstance(reference, dict):
        reference = reference.get("$key")
    return bool(reference) and reference != "0"


def _word(text: str | None) -> str:
    """Return a text that many rows share, kept once for all of them."""
    return intern(text) if text else ""


def _bytes(mebibytes: int | None) -> int | None:
    return None if mebibytes is None else mebibytes * MIB


def _ratio(percent: float | None) -> float | None:
    return _scaled(percent, 100)


@lru_cache(maxsize=2**14)  # rounding is slow, and a fleet's figures are alike
def _scaled(value: float | None, divisor: float) -> float | None:
    """Divide without leaving the dust of binary fractions: 1.12 % is 0.0112, and reads so."""
    scaled = None if value is None else value / divisor
    return None if scaled is None or not isfinite(scaled) else round(scaled, 9)


def _moment(unix_seconds: float | None) -> float | None:
    """Return a point in time; 0 is how the platform says that there was none."""
    return unix_seconds if unix_seconds and isfinite(unix_seconds) else None


Part = TypeVar("Part", Nic, Disk)


def _by_machine(parts: Iterable[Part]) -> dict[int, tuple[Part, ...]]:
    """
    Group *parts* by machine, sorted by key, under names that are unique within the machine.

    Where two share a name, or have none, each gets its key: their identity must not
    depend on the order in which VergeOS lists them.
    """
    machines: dict[int, list[Part]] = {}
    for part in parts:
        machines.setdefault(part.machine, []).append(part)
    return {machine: _uniquely_named(group) for machine, group in machines.items()}


def _uniquely_named(parts: list[Part]) -> tuple[Part, ...]:
    if len(parts) == 1 and parts[0].name:
        return tuple(parts)
    parts.sort(key=attrgetter("key"))
    names = [part.name for part in parts]
    if all(names) and len(set(names)) == len(names):
        return tuple(parts)
    counts = Counter(names)
    taken = {name for name, count in counts.items() if name and count == 1}
    named = []
    for part in parts:
        name = part.name
        while name not in taken or counts[part.name] > 1 or not part.name:
            name = f"{name}#{part.key}"
            if name not in taken:
                taken.add(name)
                break
        named.append(part if name == part.name else msgspec.structs.replace(part, name=name))
    return tuple(named)
