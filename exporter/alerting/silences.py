"""Silences as Alertmanager's API returns them, and when each applies on our monotonic clock."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Annotated, NamedTuple

import msgspec

from exporter.alerting.matchers import Matcher, is_valid_silence
from exporter.tolerant_json import UnreadableError, decode_object, split_list

OWN_LABELS = ("system_name", "vm_id", "vm_name", "recovery")
"""Labels that only Vergewatch's alerts have."""
IDENTIFYING_LABELS = (*OWN_LABELS, "node_name", "cluster_name")

Timestamp = Annotated[datetime, msgspec.Meta(tz=True)]


class Status(msgspec.Struct, frozen=True, gc=False):
    """State of a silence when Alertmanager sent it."""

    state: str
    """``pending``, ``active`` or ``expired``."""


class Silence(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A silence, with the fields of Alertmanager's API that are needed."""

    id: str
    status: Status
    starts_at: Timestamp
    ends_at: Timestamp
    updated_at: Timestamp
    matchers: tuple[Matcher, ...]
    created_by: str = ""
    comment: str = ""

    @property
    def selects_own_label(self) -> bool:
        """Whether it selects Vergewatch's alerts by a label that no other alerts have."""
        return any(one.name in OWN_LABELS and one.selects_values for one in self.matchers)

    @property
    def selects_vms(self) -> bool:
        """Whether it selects a VM, node, cluster or system, or has the matcher recovery="hold"."""
        return is_valid_silence(self.matchers) and any(
            one.name in IDENTIFYING_LABELS and one.selects_values for one in self.matchers
        )

    @property
    def is_active(self) -> bool:
        return self.status.state == "active"

    @property
    def ever_applied(self) -> bool:
        """Whether it was not expired before its start."""
        return self.starts_at < self.ends_at

    def expired_at(self, time: datetime) -> "Silence":
        """
        Return this active silence, which one Alertmanager has lost, as expired at *time*.

        It keeps its `updated_at`, so that the copy of another Alertmanager takes precedence.
        """
        ends_at = min(self.ends_at, time)
        return msgspec.structs.replace(self, status=Status("expired"), ends_at=ends_at)


class NewSilence(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A silence that is to be created, with the fields of Alertmanager's API."""

    matchers: tuple[Matcher, ...]
    starts_at: Timestamp
    ends_at: Timestamp
    created_by: str
    comment: str


class SilencesResponse(NamedTuple):
    """The silences of one Alertmanager at one poll."""

    silences: Sequence[Silence]
    invalid: int
    """How many silences could not be decoded."""
    time: datetime
    """Alertmanager's wall clock."""
    at: float
    """Our monotonic clock at the same moment."""

    @property
    def active(self) -> int:
        return sum(silence.is_active for silence in self.silences)


class SilenceInterval(NamedTuple):
    """A silence with its start and end on our monotonic clock: wall clocks may differ."""

    silence: Silence
    starts: float
    ends: float


def decode_silences(body: bytes) -> tuple[list[Silence], int]:
    """
    Return the silences in *body*, and how many could not be decoded.

    Raises:
        UnreadableError: *body* is not a JSON list.

    """
    silences = []
    rows = split_list(body)
    for row in rows:
        with suppress(UnreadableError):
            silences.append(decode_object(row, Silence, []))
    return silences, len(rows) - len(silences)


def silence_intervals(responses: Iterable[SilencesResponse]) -> list[SilenceInterval]:
    """
    Merge the responses of all Alertmanagers into the silences that may apply.

    The newest version of each silence counts, and of equally new ones the active one.
    """
    newest: dict[str, tuple[Silence, SilencesResponse]] = {}
    for response in responses:
        for silence in response.silences:
            known = newest.get(silence.id)
            if known is None or _version(known[0]) < _version(silence):
                newest[silence.id] = silence, response
    return [
        _interval(silence, response)
        for silence, response in newest.values()
        if silence.ever_applied and is_valid_silence(silence.matchers)
    ]


def _version(silence: Silence) -> tuple[datetime, bool]:
    return silence.updated_at, silence.is_active


def _interval(silence: Silence, response: SilencesResponse) -> SilenceInterval:
    at = response.at
    starts = at + (silence.starts_at - response.time).total_seconds()
    ends = at + (silence.ends_at - response.time).total_seconds()
    match silence.status.state:  # more exact than the response's time, which is in whole seconds
        case "active":
            return SilenceInterval(silence, min(starts, at), max(ends, at))
        case "expired":
            return SilenceInterval(silence, min(starts, ends, at), min(ends, at))
        case _:
            return SilenceInterval(silence, starts, ends)
