"""What the recovery service returns, as the web API encodes it and the command line decodes it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from exporter.errors import VergewatchError
from exporter.model import OpenQuestion

API_ROOT = "/api/v1/recovery"
TOKEN_HEADER = "X-Vergewatch-Token"  # noqa: S105 - the name of a header


class UnknownNameError(VergewatchError):
    """No system or VM has the name; the message lists similar names."""


class AmbiguousNameError(VergewatchError):
    """Several VMs match the name; the message lists them."""


class AnswerRefusedError(VergewatchError):
    """A command that cannot be followed, such as an answer to a question that is not open."""


class CommandInForce(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A command of an operator that is in force."""

    owner: str
    reason: str
    since: datetime
    left_seconds: float | None = None
    """Seconds until it ends; ``None``: it does not end by itself."""


class VMRecoveryStatus(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The recovery state of one VM."""

    system: str
    vm: str
    vm_key: int
    uuid: str
    state: str
    sentence: str
    reason: str = ""
    """Why it is in its state, in words that do not differ between VMs; empty if nothing is told."""


class SystemRecoveryStatus(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The state of recovery in one system."""

    system: str
    url: str
    mode: str
    readiness: str
    because: str
    """The reason of the readiness."""
    leader: str = ""
    """The replica that leads; empty if none does, or if no other shares the journal."""
    kill_switch: str = ""
    """Path of the kill switch file if it exists; otherwise empty."""
    kill_switch_file: str = ""
    """Path of the kill switch file, whether it exists or not."""
    silences_unknown: str = ""
    """Why the silences cannot be read; empty if they can, or if none are used."""
    paused: CommandInForce | None = None
    disarmed: CommandInForce | None = None
    journal: str = ""
    """Where the journal is; empty while it is not open."""
    journal_problem: str = ""
    vms: int = 0
    """Number of enrolled VMs."""
    states: Mapping[str, int] = {}
    """Enrolled VMs by state, the most urgent state first."""
    others: Mapping[str, int] = {}
    """VMs that are monitored only, by state."""
    listed: int = 0
    """VMs in the inventory: those that are enrolled or monitored only, without those that are gone,
    and those that are not monitored."""
    not_monitored: Mapping[str, int] = {}
    """VMs in the inventory that recovery does not monitor, by reason: ``service``, ``disabled``,
    ``ignored``, ``no_uuid`` or ``no_status``."""
    gone: int = 0
    """Enrolled and monitored VMs that the inventory has no longer, for three polls at most."""
    under_way: tuple[str, ...] = ()
    """Names of the VMs with an open action."""
    inventory_at: datetime | None = None
    """When the newest accepted inventory was taken."""
    unseen: str = ""
    """Why the status is out of date; empty if it is current."""
    questions: tuple[OpenQuestion, ...] = ()
    """The questions that wait for an answer."""
    circuit_breaker: str = "closed"
    """``closed``, ``open`` or ``half_open``."""
    outage: int = 0
    """How many VMs were lost in the mass outage for which the circuit breaker is not closed."""


class CommandReceipt(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A command that was recorded for one system and is in force."""

    system: str
    kind: str
    owner: str
    reason: str
    time: datetime
    seconds: float | None = None
    """Duration of the command; ``None``: it has no end."""
    paused_seconds: float | None = None
    """Seconds until recovery resumes; an earlier pause may last longer than this one."""
    vm: str = ""
    template: str = ""
    means: str = ""
    question: int | None = None
    result: str = ""
    """What followed from the answer to a question."""
    readiness: str
    """Readiness after the command."""
    because: str


class KnownPattern(msgspec.Struct, frozen=True, gc=False):
    """A log pattern of the settings or of Vergewatch."""

    pattern: str
    means: str


class TaughtTemplate(msgspec.Struct, frozen=True, gc=False):
    """A template that an operator gave a meaning."""

    template: str
    means: str
    owner: str
    reason: str
    time: datetime


class TemplateStatus(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A template that no pattern matches, and the experience with it."""

    template: str
    example: str
    """The text of one of its rows."""
    sightings: Mapping[str, int]
    """How often it was seen on VMs that stayed up, by the source of the row."""
    learned: tuple[str, ...]
    """Sources whose rows are harmless by experience."""
    missing: str
    """Why no more is learned; empty if nothing is missing."""
    marks: int
    last_mark: str
    blocked: int
    """How many diagnoses it blocked."""
    command: str
    """The command that teaches its meaning."""


class SystemPatterns(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The meanings of log templates in one system."""

    system: str
    known: Sequence[KnownPattern]
    """In the order in which they are tried."""
    taught: Sequence[TaughtTemplate]
    learned: Sequence[TemplateStatus]
    """Those seen most first."""
    unknown: Sequence[TemplateStatus]
    """Those that blocked most diagnoses first."""
