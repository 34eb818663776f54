"""
Answers as VergeOS sends them: the shapes of its rows, and JSON decoded into them.

Nothing is interpreted here. Decoding is not strict: a number or a flag that comes as a string
is still that number or flag. A row that has another shape is left out and told of.
"""

from collections.abc import Callable, Iterator
from typing import Annotated, Any

import msgspec

from exporter.errors import BadReplyError

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""An integer that a float can come near: JSON would let a broken answer send any number."""
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""What a counter may say: one below zero would make strict readers refuse the whole page."""
Name = Annotated[str, msgspec.Meta(max_length=1024)]
"""A name that becomes a label; longer ones would only serve to fill memory."""
Reference = int | str | dict[str, Any] | None
"""A foreign key: 7, "7", null, 0, "", or the expanded ``{"$key": 7, ...}``."""


class Row(msgspec.Struct, gc=False):
    """What every row has."""

    key: Reference = msgspec.field(name="$key", default=None)


class VM(Row, gc=False):
    """A row of ``vms``; snapshots of VMs are among them."""

    machine: Reference = None
    name: Name | None = None
    uuid: str | None = None
    is_snapshot: bool | None = None
    enabled: bool | None = None
    need_restart: bool | None = None
    cpu_cores: Whole | None = None
    ram: Whole | None = None
    cluster: Reference = None
    os_family: str | None = None
    machine_type: str | None = None
    ha_group: str | None = None
    on_power_loss: str | None = None
    created_from: str | None = None
    guest_agent: bool | None = None
    service: Any = None
    """A foreign key; in no shape worth losing the row for."""
    disable_powercycle: bool | None = None


class OSInfo(msgspec.Struct, gc=False):
    """``osinfo`` of a guest."""

    name: Name | None = None
    pretty_name: str | None = msgspec.field(name="pretty-name", default=None)
    version: Name | None = None
    kernel_release: str | None = msgspec.field(name="kernel-release", default=None)


class MemInfo(msgspec.Struct, gc=False):
    """``meminfo`` of a guest, in MB."""

    ram_total: Whole | None = None
    ram_used: Whole | None = None


class FsInfo(msgspec.Struct, gc=False):
    """One of ``fsinfo`` of a guest."""

    name: Name | None = None
    type: str | None = None
    mountpoint: Name | None = None
    total_bytes: Whole | None = msgspec.field(name="total-bytes", default=None)
    used_bytes: Whole | None = msgspec.field(name="used-bytes", default=None)


class GuestInfo(msgspec.Struct, gc=False):
    """``agent_guest_info`` of a row of ``machine_status``; ``[]`` without an agent."""

    osinfo: OSInfo | list[Any] | None = None
    meminfo: MemInfo | list[Any] | None = None
    fsinfo: list[FsInfo] | dict[str, FsInfo] | None = None
    hostname: Name | None = None
    last_refresh: Whole | float | None = None


class Status(Row, gc=False):
    """A row of ``machine_status``."""

    machine: Reference = None
    running: bool | None = None
    powerstate: bool | None = None
    status: str | None = None
    status_info: str | None = None
    state: str | None = None
    migratable: bool | None = None
    node: Reference = None
    started: Whole | float | None = None
    last_update: Whole | float | None = None
    running_cores: Whole | None = None
    running_ram: Whole | None = None
    agent_version: str | None = None


class GuestReport(Row, gc=False):
    """A row of ``machine_status``, as far as the guest has to say something."""

    machine: Reference = None
    agent_guest_info: GuestInfo | list[Any] | None = None


class Stats(Row, gc=False):
    """A row of ``machine_stats``; percent and MB."""

    machine: Reference = None
    total_cpu: float | None = None
    ram_used: Whole | None = None


class NicStats(msgspec.Struct, gc=False):
    """``stats`` of a row of ``machine_nics``."""

    rx_bytes: Count | None = None
    tx_bytes: Count | None = None
    rx_pckts: Count | None = None
    tx_pckts: Count | None = None


class NicStatus(msgspec.Struct, gc=False):
    """``status`` of a row of ``machine_nics``; the speed in Mbps."""

    status: str | None = None
    speed: float | None = None


class Nic(Row, gc=False):
    """A row of ``machine_nics``."""

    machine: Reference = None
    name: Name | None = None
    stats: NicStats | list[Any] | None = None
    status: NicStatus | list[Any] | None = None


class Drive(Row, gc=False):
    """A row of ``machine_drives``."""

    machine: Reference = None
    name: Name | None = None
    media: str | None = None
    interface: str | None = None
    preferred_tier: Whole | str | None = None
    disksize: Whole | None = None
    used_bytes: Whole | None = None


class DriveStats(Row, gc=False):
    """A row of ``machine_drive_stats``; percent and milliseconds."""

    parent_drive: Reference = None
    reads: Count | None = None
    writes: Count | None = None
    read_bytes: Count | None = None
    write_bytes: Count | None = None
    util: float | None = None
    service_time: float | None = None


class Cluster(Row, gc=False):
    """A row of ``clusters``."""

    name: Name | None = None


class Node(Row, gc=False):
    """A row of ``nodes``."""

    id: Reference = None
    name: Name | None = None
    cluster: Reference = None
    machine: Reference = None
    maintenance: bool | None = None


class TagMember(Row, gc=False):
    """A row of ``tag_members``; the names are joined from ``tags`` and ``tag_categories``."""

    member: str | None = None
    tag_name: Name | None = None
    category_name: Name | None = None


class Log(Row, gc=False):
    """A row of ``machine_logs``; the time in microseconds, unlike all others."""

    machine: Reference = None
    level: str | None = None
    text: str | None = None
    user: Reference = None
    timestamp: Whole | None = None


class LoneVM(Row, gc=False):
    """A row of ``vms`` with what is joined from its machine's status."""

    uuid: str | None = None
    name: Name | None = None
    machine: Reference = None
    enabled: bool | None = None
    is_snapshot: bool | None = None
    service: Any = None
    disable_powercycle: bool | None = None
    running: bool | None = None
    status: str | None = None


class Setting(msgspec.Struct, gc=False):
    """A row of ``settings``."""

    key: str | None = None
    value: Name | None = None


class Version(msgspec.Struct, gc=False):
    """``/version.json``."""

    version: Name | None = None


UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises: wrong types and wrong JSON, wrong bytes, and nesting without end."""
_RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])


Shape = msgspec.json.Decoder[Any]


def _shape(row: type[Any]) -> Shape:
    return msgspec.json.Decoder(row, strict=False)


VM_SHAPE, STATUS_SHAPE, STATS_SHAPE = _shape(VM), _shape(Status), _shape(Stats)
GUEST_SHAPE = _shape(GuestReport)
NIC_SHAPE, DRIVE_SHAPE, DRIVE_STATS_SHAPE = _shape(Nic), _shape(Drive), _shape(DriveStats)
CLUSTER_SHAPE, NODE_SHAPE, SETTING_SHAPE = _shape(Cluster), _shape(Node), _shape(Setting)
TAG_MEMBER_SHAPE, LOG_SHAPE, LONE_VM_SHAPE = _shape(TagMember), _shape(Log), _shape(LoneVM)
ROW = msgspec.json.Decoder(Row, strict=False)
VERSION = msgspec.json.Decoder(Version, strict=False)


def raw_rows(body: bytes, path: str) -> list[msgspec.Raw]:
    """Return the rows of *body* as JSON, each by itself and unread."""
    try:
        return _RAW_LIST.decode(body)
    except UNREADABLE as problem:
        if body.strip() == b"null":  # how some clients have seen an empty list
            return []
        raise BadReplyError(path, what_came_instead(body, problem)) from None


def rows(body: bytes, path: str, shape: Shape, *, on_skip: Callable[[str], None]) -> Iterator[Any]:
    """
    Decode a JSON list row by row; one that has another shape is left out and told of.

    All at once would be fewer calls, but a large table's rows would then fill the processor's
    caches before the first of them is looked at.
    """
    for number, raw in enumerate(raw_rows(body, path)):
        try:
            yield shape.decode(raw)
        except UNREADABLE as problem:
            on_skip(f"row {number}: {in_short(problem)}")


def what_came_instead(body: bytes, problem: Exception) -> str:
    """Describe an answer that is no list of rows, for the person who has to find out why."""
    text = body.lstrip()
    if not text:
        return "answered with nothing at all"
    if text.startswith(b"<"):
        return (
            "answered with HTML instead of JSON: "
            "a login page or a proxy is in front of the API, or the URL is not a VergeOS"
        )
    if text.startswith(b"{") and isinstance(problem, msgspec.ValidationError):
        return "answered with one object where a list of rows belongs"
    return f"answered with JSON that cannot be read: {in_short(problem)}"


def in_short(problem: Exception) -> str:
    """Say what is wrong without repeating the answer, which may hold anybody's business."""
    return problem.reason if isinstance(problem, UnicodeDecodeError) else str(problem)
