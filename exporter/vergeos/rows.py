"""
Decode the rows of an API answer: JSON to row structs, keys to integers, units to base units.

VergeOS sends keys as integers or strings, and foreign keys also as null, 0, "" or an expanded
object. Decoding is not strict: a number or flag that arrives as a string is accepted. A value that
cannot be read is absent, and a row that lacks its key is skipped; both are counted. An answer
without any usable row is a `BadReplyError`.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from math import isfinite
from operator import attrgetter
from sys import intern
from typing import Annotated, Any

import msgspec

from exporter.errors import BadReplyError
from exporter.model import KNOWN_STATUS_WORDS
from exporter.polling.state import SkippedValues, TableRows
from exporter.tolerant_json import (
    UNREADABLE,
    LostValue,
    UnreadableError,
    decode_fields,
    decode_object,
    decoder_of,
    split_list,
)

MIB = 2**20
KEY_DIGITS = 18
KEY_LIMIT = 10**KEY_DIGITS
"""Larger keys do not fit 64 bits."""
WORD_SHAPE = re.compile(r"[a-z][a-z0-9_-]{0,39}")
"""The form of a status word. It becomes a label value, so free text must not pass."""
EVERYTHING_READ: frozenset[str] = frozenset()
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


def joined_status(field: str, alias: str = "") -> msgspec.Meta:
    """Return the metadata of a *field* of the row's status, which has a table of its own."""
    return joined(f"status#{field} as {alias or field}")


class SkipRowError(Exception):
    """The row cannot be used; the message gives the reason."""


Lost = list[LostValue]
"""The values of one row that could not be read; what converts the row may add some."""


def unchanged(row: Any, _: int, __: Lost) -> Any:
    """Return *row* as it was decoded."""
    return row


def decode(
    body: bytes,
    path: str,
    row: type[msgspec.Struct],
    convert: Callable[[Any, int, Lost], Any] = unchanged,
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
    skipped_values: dict[str, SkippedValues] = {}
    lost: Lost = []
    strict = decoder_of(row).decode
    for position, raw in enumerate(raw_rows(body, path)):
        try:
            try:
                decoded = strict(raw)
            except UNREADABLE as problem:
                decoded = decode_fields(raw, row, lost, problem)
            number = key_number(key(decoded))
            if number is None:
                problems.append("a row has no key")
            elif number in found:
                problems.append(f"two rows have the key {number}")
            else:
                found[number] = convert(decoded, number, lost)
                if lost:
                    _count(lost, f"{path}: row {number}", skipped_values)
        except UnreadableError as reason:
            problems.append(f"row {position}: {reason}")
        except SkipRowError as reason:
            problems.append(str(reason))
        if lost:
            lost.clear()
    if problems and not found:
        raise BadReplyError(path, f"gave {len(problems)} rows and none can be read: {problems[0]}")
    kept = {number: value for number, value in found.items() if value is not None}
    first = f"{path}: {problems[0]}" if problems else None
    return TableRows(kept, len(kept), len(problems), first, skipped_values=skipped_values)


def counted(lost: Lost, place: str) -> dict[str, SkippedValues]:
    """Return the values that were lost at *place*, by field."""
    found: dict[str, SkippedValues] = {}
    _count(lost, place, found)
    return found


def _count(lost: Lost, place: str, counted: dict[str, SkippedValues]) -> None:
    """Add the values that a row lost, by field; the first of each field has its reason."""
    for field, reason in lost:
        known = counted.get(field) or SkippedValues(0, f"{place}: {reason}")
        counted[field] = known._replace(number=known.number + 1)


def raw_rows(body: bytes, path: str) -> list[bytes | msgspec.Raw]:
    """Return the rows of *body* as undecoded JSON."""
    try:
        return split_list(body)
    except UnreadableError as problem:
        if body.strip() == b"null":  # some releases answer null for an empty list
            return []
        raise bad_answer(path, body, str(problem)) from None


def bad_answer(path: str, body: bytes, problem: str) -> BadReplyError:
    """Return the error of an answer that is no JSON."""
    is_html = body.lstrip().startswith(b"<")
    return BadReplyError(path, describe_body(body, problem), is_foreign=is_html)


def describe_body(body: bytes, problem: str) -> str:
    """Return what *body* is instead of a list of rows, for an error message."""
    text = body.lstrip()
    if not text:
        return "answered with an empty body"
    if text.startswith(b"<"):
        return (
            "answered with HTML instead of JSON: "
            "a login page or a proxy is in front of the API, or the URL is not a VergeOS"
        )
    if text.startswith(b"{") and problem.startswith("Expected"):
        return "answered with one object instead of a list of rows"
    return f"answered with JSON that cannot be read: {problem}"


def raw_row_key(row: bytes | msgspec.Raw) -> int | None:
    """Return the key of one row of JSON, or None if it has none; a storage tier may have 0."""
    try:
        key = decode_object(row, Row, []).key
        return 0 if key in (0, "0") else key_number(key)
    except UnreadableError:
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


def optional_key(reference: Reference, field: str, lost: Lost) -> int | None:
    """Return the key that *reference* names; one that names a row by no key is unreadable."""
    number = key_number(reference)
    if number is None and reference is not None and names_a_row(reference):
        lost.append(LostValue(field, "a reference that names a row by no key"))
    return number


def unreadable(lost: Lost) -> frozenset[str]:
    """Return the fields of a row that could not be read."""
    return frozenset(field for field, _ in lost)


def names_a_row(reference: Any) -> bool:
    """Return whether a foreign key names a row, even by a key that cannot be decoded."""
    while isinstance(reference, dict):
        reference = reference.get("$key")
    return bool(reference) and reference != "0"


def status_word(text: str | None, field: str, lost: Lost, *, of: str) -> str:
    """
    Return the status word *text* in lower case: capitals do not change what VergeOS means.

    Free text is unreadable, and the status then unknown.
    """
    word = shared(text) or UNKNOWN_WORD
    if word in KNOWN_STATUS_WORDS or WORD_SHAPE.fullmatch(word):
        return word
    small = lower_case(word)
    if WORD_SHAPE.fullmatch(small):
        return small
    lost.append(LostValue(field, f"{of} has the status {word[:40]!r}, which is no status word"))
    return UNKNOWN_WORD


@lru_cache(maxsize=256)
def lower_case(text: str | None) -> str:
    """Return a word of VergeOS in lower case; other letters than A to Z occur in none."""
    return intern(text.lower() if text and text.isascii() else text or "")


@lru_cache(maxsize=256)
def label_word(text: str | None) -> str:
    """Return a word of VergeOS as a label value, ``unknown`` for free text, which must be none."""
    word = lower_case(text)
    return word if WORD_SHAPE.fullmatch(word) else UNKNOWN_WORD


def shared(text: str | None) -> str:
    """Return *text*, interned: many rows have the same values."""
    return intern(text) if text else ""


def mebibytes(value: int | None) -> int | None:
    """Convert MB as VergeOS counts them (2**20) to bytes."""
    return None if value is None else value * MIB


def timestamp(unix_seconds: float | None) -> float | None:
    """Return a point in time; VergeOS sends 0 for none."""
    return unix_seconds if unix_seconds and isfinite(unix_seconds) else None
