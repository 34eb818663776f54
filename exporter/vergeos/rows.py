"""
Decode the rows of an API answer: JSON to row structs, keys to integers, units to base units.

VergeOS sends keys as integers or strings, and foreign keys also as null, 0, "" or an expanded
object. Decoding is not strict: a number or flag that arrives as a string is accepted. A row that
cannot be decoded is skipped and counted; an answer without any usable row is a `BadReplyError`.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from math import isfinite
from operator import attrgetter
from sys import intern
from typing import Annotated, Any

import msgspec

from exporter.errors import BadReplyError
from exporter.polling.state import TableRows

MIB = 2**20
KEY_DIGITS = 18
KEY_LIMIT = 10**KEY_DIGITS
"""Larger keys do not fit 64 bits."""
WORD_SHAPE = re.compile(r"[a-z][a-z0-9_-]{0,39}")
"""The form of a status word. It becomes a label value, so free text must not pass."""
UNKNOWN_WORD = "unknown"
"""Status of a row that has none; the rest of the row is still exported."""

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""An integer of at most 64 bits; JSON itself sets no limit."""
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""A counter. OpenMetrics parsers reject a page with a negative counter."""
Name = Annotated[str, msgspec.Meta(max_length=1024)]
"""A name that becomes a label value."""
Reference = int | str | dict[str, Any] | None
"""A foreign key: 7, "7", null, 0, "", or the expanded ``{"$key": 7, ...}``."""


class Row(msgspec.Struct, gc=False):
    """The field that every row has."""

    key: Reference = msgspec.field(name="$key", default=None)


def joined(query: str) -> msgspec.Meta:
    """
    Return the metadata of a field that is asked for as *query*.

    The list request then names *query* instead of the field's own name, for fields that VergeOS
    joins from another table, such as ``status#total_ram as total_ram``.
    """
    return msgspec.Meta(extra={"query": query})


class SkipRowError(Exception):
    """The row cannot be used; the message gives the reason."""


UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""Errors of decoding: wrong types or JSON, wrong bytes, excessive nesting."""

_RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])


@cache
def decoder_of(row: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    """Return the decoder of one row."""
    return msgspec.json.Decoder(row, strict=False)


def unchanged(row: Any, _: int) -> Any:
    """Return *row* as it was decoded."""
    return row


def decode(
    body: bytes,
    path: str,
    row: type[msgspec.Struct],
    convert: Callable[[Any, int], Any] = unchanged,
    key: Callable[[Any], Reference] = attrgetter("key"),
) -> TableRows[dict[int, Any]]:
    """
    Decode *body* into converted rows by key; of two rows with one key the second is skipped.

    Rows are decoded one at a time: decoding a large table at once would fill the processor's
    caches before the first row is converted.

    Args:
        body: A JSON list.
        path: The request's path, for error messages.
        row: The struct that one row is decoded into.
        convert: Returns the value to keep of a row and its key, or None to leave the row out;
            raises `SkipRowError` if the row cannot be used.
        key: Returns the row's key.

    Raises:
        BadReplyError: The answer is not a list, or none of its rows can be used.

    """
    found: dict[int, Any] = {}
    problems: list[str] = []
    for decoded in decoded_rows(body, path, row, on_skip=problems.append):
        number = key_number(key(decoded))
        if number is None:
            problems.append("a row has no key")
        elif number in found:
            problems.append(f"two rows have the key {number}")
        else:
            try:
                found[number] = convert(decoded, number)
            except SkipRowError as reason:
                problems.append(str(reason))
    if problems and not found:
        raise BadReplyError(path, f"gave {len(problems)} rows and none can be read: {problems[0]}")
    kept = {number: value for number, value in found.items() if value is not None}
    first = f"{path}: {problems[0]}" if problems else None
    return TableRows(kept, len(kept), len(problems), first)


def decoded_rows(
    body: bytes, path: str, row: type[msgspec.Struct], *, on_skip: Callable[[str], None]
) -> Iterator[Any]:
    """Yield the rows of *body*; call *on_skip* with the reason for each that cannot be decoded."""
    decoder = decoder_of(row)
    for number, raw in enumerate(raw_rows(body, path)):
        try:
            yield decoder.decode(raw)
        except UNREADABLE as problem:
            on_skip(f"row {number}: {error_summary(problem)}")


def raw_rows(body: bytes, path: str) -> list[msgspec.Raw]:
    """Return the rows of *body* as undecoded JSON."""
    try:
        return _RAW_LIST.decode(body)
    except UNREADABLE as problem:
        if body.strip() == b"null":  # some releases answer null for an empty list
            return []
        raise BadReplyError(path, describe_body(body, problem)) from None


def describe_body(body: bytes, problem: Exception) -> str:
    """Return what *body* is instead of a list of rows, for an error message."""
    text = body.lstrip()
    if not text:
        return "answered with an empty body"
    if text.startswith(b"<"):
        return (
            "answered with HTML instead of JSON: "
            "a login page or a proxy is in front of the API, or the URL is not a VergeOS"
        )
    if text.startswith(b"{") and isinstance(problem, msgspec.ValidationError):
        return "answered with one object instead of a list of rows"
    return f"answered with JSON that cannot be read: {error_summary(problem)}"


def error_summary(problem: Exception) -> str:
    """Return the reason of a decoding error without the body, which may be confidential."""
    return problem.reason if isinstance(problem, UnicodeDecodeError) else str(problem)


def raw_row_key(row: bytes) -> int | None:
    """Return the key of one row of JSON, or None if it has none."""
    try:
        return key_number(decoder_of(Row).decode(row).key)
    except UNREADABLE:
        return None


def key_number(reference: Any) -> int | None:
    """Return the key that a `Reference` names, or None if it names no row."""
    if type(reference) is int:  # the usual case, checked for every row
        return reference if 0 < reference < KEY_LIMIT else None
    while isinstance(reference, dict):
        reference = reference.get("$key")
    if isinstance(reference, bool):
        return None
    if isinstance(reference, str) and len(reference) <= KEY_DIGITS and reference.isdecimal():
        reference = int(reference)
    return reference if isinstance(reference, int) and 0 < reference < KEY_LIMIT else None


def required_key(reference: Reference, field: str, key: int) -> int:
    """Return the key that *reference* names; skip the row *key* if it names none."""
    number = key_number(reference)
    if number is None:
        raise SkipRowError(f"row {key} has no {field}")
    return number


def names_a_row(reference: Any) -> bool:
    """Return whether a foreign key names a row, even by a key that cannot be decoded."""
    while isinstance(reference, dict):
        reference = reference.get("$key")
    return bool(reference) and reference != "0"


def shared(text: str | None) -> str:
    """Return *text*, interned: many rows have the same values."""
    return intern(text) if text else ""


def mebibytes(value: int | None) -> int | None:
    """Convert MB as VergeOS counts them (2**20) to bytes."""
    return None if value is None else value * MIB


def timestamp(unix_seconds: float | None) -> float | None:
    """Return a point in time; VergeOS sends 0 for none."""
    return unix_seconds if unix_seconds and isfinite(unix_seconds) else None
