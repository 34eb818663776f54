"""Decoded requests and responses of the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exporter.simulator.api.listing import Listing

EMPTY = object()
"""The payload of an empty body."""


@dataclass(frozen=True, slots=True)
class Call:
    """A decoded request."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    """The decoded JSON body; None without one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response before encoding and transport faults."""

    status: int = 200
    payload: Any = EMPTY
    listing: Listing | None = None
    """The listing that the payload shows; None if it shows no rows."""


def error(status: int, text: str) -> Answer:
    """Return an error response in the format of VergeOS."""
    return Answer(status, {"err": text})
