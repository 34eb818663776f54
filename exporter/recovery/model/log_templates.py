"""What was observed of one log template: how often it was seen, and what followed."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

TEACHABLE = ("harmless", "stop", "guest-stop", "start", "crash", "doubt")
"""Meanings that an operator can teach; ``doubt`` keeps a template from being learned."""


class RowSource(StrEnum):
    """Whose rows about what have a template; each source is learned by itself."""

    SYSTEM = "system"
    """VergeOS, about one VM."""
    PERSON = "person"
    """A person or an API user, about one VM."""
    MANY = "many"
    """A person or an API user, about no single object."""


class Sightings(msgspec.Struct, frozen=True, gc=False):
    """How often a template was seen without consequence: the VM was up and stayed up."""

    times: int
    first_at: float
    """In seconds of monitored time."""
    last_at: float

    @property
    def seconds(self) -> float:
        """The time from the first to the last."""
        return self.last_at - self.first_at


class TemplateHistory(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The history of one template that no log pattern matches."""

    template: str
    example: str = ""
    """The text of one of its rows."""
    sightings: Mapping[RowSource, Sightings] = {}
    marks: int = 0
    """How often one of its rows came shortly before a VM went down and was not found crashed."""
    last_mark: str = ""
    """The last of these VMs, and its diagnosis."""
    blocked: int = 0
    """How many diagnoses rested on one of its rows and were therefore ``unknown``."""

    @property
    def times(self) -> int:
        """How often it was seen, whatever the source."""
        return sum(one.times for one in self.sightings.values())
