"""
People's silences, and which VMs they ask to leave alone.

A silence holds a VM when it says which VM, node, cluster or cloud it means, or carries the
matcher ``recovery="hold"``, and fits the alerts that this VM's trouble would raise. One of an
alert that has nothing to do with being up (a full filesystem, say) does not.

What the labels of those alerts are is known but for what a Prometheus adds to them: ``job``,
``instance``, labels of its own. A silence made with one click in Alertmanager carries them all, so
they are taken to fit. Not so where nothing but ``node`` or ``cluster`` says what is meant: other
exporters have these labels too, and such a silence must fit to the letter.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, NamedTuple

import msgspec

from exporter.alerting.matchers import Matcher, acceptable

OURS = ("system_name", "vm_id", "vm_name", "recovery")
"""Labels that nobody else's alerts have."""
NAMING = (*OURS, "node", "cluster")
ORDER = {"recovery": "hold"}
"""What a silence may say to people's daemon rather than to their Alertmanager."""
PARTS = ("nic", "disk", "mountpoint")
"""Labels of alerts about a part of a VM."""


class Choice(NamedTuple):
    """What a label may be that differs from one alert of a VM to the next."""

    telling: tuple[str, ...]
    """On alerts that say that it is down, or may be soon."""
    idle: tuple[str, ...]
    """On alerts of other matters; a value that is in neither may be anybody's."""


VARYING: Mapping[str, Choice] = {
    "alertname": Choice(
        (
            "VergeVMDown",
            "VergeVMUnresponsive",
            "VergeVMError",
            "VergeVMStuckInTransition",
            "VergeVMMigrationStuck",
            "VergeVMFlapping",
            "VergeVMFailoverWindow",
            "VergeNodeOffline",
            "VergeSystemDataStale",
            "VergeRecoveryActing",
            "VergeRecoveryFailed",
            "VergeRecoveryQuarantined",
            "VergeRecoveryHeldTooLong",
            "VergeRecoveryUnknownTooLong",
            "VergeRecoveryOutcomeUnknown",
        ),
        (
            "VergeVMRestartPending",
            "VergeVMGuestAgentLost",
            "VergeVMFilesystemFilling",
            "VergeVMFilesystemAlmostFull",
            "VergeVMCPUSaturated",
            "VergeVMGuestMemoryPressure",
            "VergeRecoveryActed",
            "VergeRecoveryInternalError",
            "VergeRecoveryClockJumps",
            "VergeRecoveryDisarmed",
            "VergeRecoveryJournalDown",
            "VergeRecoveryKeyReadOnly",
            "VergeRecoveryNotReady",
            "VergeRecoveryPausedTooLong",
            "VergeRecoveryCircuitBreakerOpen",
            "VergeAuthenticationFailed",
            "VergeTableFailing",
            "VergeRowsSkipped",
            "VergeAPIBudgetLow",
            "VergeDuplicateSeries",
            "VergeEventLoopStalling",
            "VergeReloadFailed",
            "VergeExporterAbsent",
            "VergeExporterDown",
            "VergeExporterRestarting",
            "VergeWatchdog",
        ),
    ),
    "severity": Choice(("warning", "critical"), ("info", "none")),
    "layer": Choice(("vm", "node", "system", "recovery"), ("exporter", "inhibitor")),
}

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Status(msgspec.Struct, frozen=True, gc=False):
    """Where a silence is in its life."""

    state: str
    """``pending``, ``active`` or ``expired``."""


class Silence(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A silence, as Alertmanager's API tells it."""

    id: str
    status: Status
    starts_at: Moment
    ends_at: Moment
    updated_at: Moment
    matchers: tuple[Matcher, ...]
    created_by: str = ""
    comment: str = ""

    @property
    def names_ours(self) -> bool:
        """Whether it says which of our things it means, in words that nobody else has."""
        return any(one.name in OURS and one.names_something for one in self.matchers)

    @property
    def names_something(self) -> bool:
        return acceptable(self.matchers) and any(
            one.name in NAMING and one.names_something for one in self.matchers
        )

    @property
    def is_active(self) -> bool:
        return self.status.state == "active"

    @property
    def ever_began(self) -> bool:
        """Whether it was not taken back before its time came."""
        return self.starts_at < self.ends_at


class SilencesResponse(NamedTuple):
    """What one Alertmanager answered."""

    silences: Sequence[Silence]
    unread: int
    """Silences that could not be read."""
    time: datetime
    """What time it was over there."""
    at: float
    """The same moment on our monotonic clock."""


class SilenceInterval(NamedTuple):
    """A silence, in seconds of our monotonic clock: nobody else's clock counts."""

    silence: Silence
    begins: float
    ends: float


def read(body: bytes) -> tuple[list[Silence], int]:
    """
    Return the silences in an answer, and how many could not be read.

    Raises:
        msgspec.DecodeError: It is no list of anything.
        UnicodeDecodeError: It is no text.

    """
    silences = []
    rows = msgspec.json.decode(body, type=list[msgspec.Raw])
    for row in rows:
        try:
            silences.append(msgspec.json.decode(row, type=Silence))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return silences, len(rows) - len(silences)


def spells(told: Iterable[SilencesResponse]) -> list[SilenceInterval]:
    """
    Return what all Alertmanagers told, of each silence the newest, where it may hold a VM.

    Of two words that are equally new that counts which says that it is active.
    """
    newest: dict[str, tuple[Silence, SilencesResponse]] = {}
    for one in told:
        for silence in one.silences:
            known = newest.get(silence.id)
            if known is None or _age(known[0]) < _age(silence):
                newest[silence.id] = silence, one
    return [
        _spell(silence, one)
        for silence, one in newest.values()
        if silence.names_something and silence.ever_began
    ]


def _age(silence: Silence) -> tuple[datetime, bool]:
    return silence.updated_at, silence.is_active


def _spell(silence: Silence, told: SilencesResponse) -> SilenceInterval:
    begins = told.at + (silence.starts_at - told.time).total_seconds()
    ends = told.at + (silence.ends_at - told.time).total_seconds()
    match silence.status.state:  # Alertmanager knows best; its answer's time is in whole seconds
        case "active":
            return SilenceInterval(silence, min(begins, told.at), max(ends, told.at))
        case "expired":
            return SilenceInterval(silence, min(begins, ends, told.at), min(ends, told.at))
        case _:
            return SilenceInterval(silence, begins, ends)


def active(told: SilencesResponse) -> int:
    """Return how many silences are active, whatever they are about."""
    return sum(one.is_active for one in told.silences)


def ended(silence: Silence, time: datetime) -> Silence:
    """
    Return an active silence that one Alertmanager lost, as ended at *time*.

    It is as old as it was: another Alertmanager that still has it knows better.
    """
    status, ends_at = Status("expired"), min(silence.ends_at, time)
    return msgspec.structs.replace(silence, status=status, ends_at=ends_at)


def holding(
    known: Iterable[SilenceInterval], labels: Mapping[str, str], *, at: float, after_seconds: float
) -> str:
    """
    Return why the VM with *labels* is to be left alone: who asked for it, and until when.

    Args:
        after_seconds: How long a VM is left alone when its silence has ended.

    """
    fitting = [
        one
        for one in known
        if one.begins <= at < one.ends + after_seconds and concerns(one.silence, labels)
    ]
    if not fitting:
        return ""
    last = max(fitting, key=lambda one: one.ends)
    who, until = _clean(last.silence.created_by) or "somebody", last.silence.ends_at
    text = f"{_clean(last.silence.comment) or 'no comment'} (silence {_clean(last.silence.id)})"
    if at >= last.ends:
        since = f"{at - last.ends:.0f} s ago, and {after_seconds:g} s are to pass"
        return f"the silence of {who} ended {since}: {text}"
    odd = [str(one) for one in last.silence.matchers if not one.understood]
    doubt = f"; {_clean(', '.join(odd))} is not understood, and taken to fit" if odd else ""
    return f"it is silenced by {who} until {_utc(until)}: {text}{doubt}"


def concerns(silence: Silence, labels: Mapping[str, str]) -> bool:
    """Return whether *silence*, which names something, means the VM with *labels*."""
    by_label: dict[str, list[Matcher]] = defaultdict(list)
    for matcher in silence.matchers:
        by_label[matcher.name].append(matcher)
    known, ours = {**labels, **ORDER}, silence.names_ours
    wider = _wider_names(silence, known)
    return all(
        label in wider or _fit(label, some, known, ours=ours) for label, some in by_label.items()
    )


def _wider_names(silence: Silence, labels: Mapping[str, str]) -> tuple[str, ...]:
    """
    Return the labels that are of no matter, because a narrower one names what is meant.

    Alerts about a VM have no ``cluster`` of ours, but a Prometheus of Kubernetes adds its own.
    """
    named = {
        one.name
        for one in silence.matchers
        if one.is_equal and not one.is_regex and one.value == labels.get(one.name)
    }
    if named & {"vm_id", "vm_name"}:
        return ("node", "cluster")
    return ("cluster",) if "system_name" in named and "node" in named else ()


def _fit(label: str, matchers: Sequence[Matcher], labels: Mapping[str, str], *, ours: bool) -> bool:
    """Return whether *matchers* fit what *label* is, or may be, on alerts about a VM."""
    if label in labels:
        return _all_fit(matchers, labels[label])
    choice = VARYING.get(label)
    if choice is not None:
        if any(_all_fit(matchers, value) for value in choice.telling):
            return True
        return ours and not any(_all_fit(matchers, value) for value in choice.idle)
    if ours and label not in PARTS:
        return True  # a label of a Prometheus', of which we know nothing
    return _all_fit(matchers, "")


def _all_fit(matchers: Iterable[Matcher], value: str) -> bool:
    return all(one.fits(value) for one in matchers)


def _utc(moment: datetime) -> str:
    try:
        return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except OverflowError:  # beyond the year 9999
        return "the end of time"


def _clean(text: str) -> str:
    """Return what a person wrote in a shape that pages, logs and terminals can take."""
    return "".join(char if char.isprintable() else " " for char in text[:200]).strip()
