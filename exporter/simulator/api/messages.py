"""A request as it came in, and the answer before it becomes bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exporter.simulator.api.listing import Listing

EMPTY = object()
"""A payload that is no bytes at all."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a client wants."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    """The decoded JSON of the body; ``None`` when there was none."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client gets, if nothing goes wrong on the way."""

    status: int = 200
    payload: Any = EMPTY
    listing: Listing | None = None
    """Where the payload's rows come from, when it has rows."""


def error(status: int, text: str) -> Answer:
    """Return an answer with the body that all errors of VergeOS have."""
    return Answer(status, {"err": text})
