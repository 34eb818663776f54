"""
Decode JSON of which parts may be unreadable, so that each of them costs nothing but itself.

msgspec refuses a whole document for one lone surrogate, ``NaN``, control character or wrong byte
anywhere in it. So a list is split into its entries first, and an object that cannot be decoded is
decoded field by field, nested objects and lists included.

A struct may name *identity* fields in ``IDENTITY``: where one of them is unreadable, so is the
struct. Any other field of which the value is unreadable has its default.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, NamedTuple, Protocol, TypeVar, get_args, get_origin

import msgspec

T = TypeVar("T", bound=msgspec.Struct)
Part = bytes | msgspec.Raw

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""Errors of decoding: wrong types or JSON, wrong bytes, excessive nesting."""
BLANK = b" \t\r\n\xef\xbb\xbf"
"""White space and the bytes of a byte order mark."""
COMMA = ord(",")
CLOSING = {ord("["): ord("]"), ord("{"): ord("}")}

_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_TOKEN = re.compile(
    # An object without objects or lists in it, in one step: most rows are such.
    rb'\{(?:[^"{}\[\]]++|' + _STRING + rb')*+\}|[{}\[\],]|"(?:[^"\\]++|\\.)*+"?',
    re.DOTALL,
)
_MEMBER = re.compile(rb"(" + _STRING + rb")\s*+:(.*+)", re.DOTALL)
_SIMPLE_VALUE = re.compile(_STRING + rb'|[^\s"{}\[\],:]++', re.DOTALL)
_RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_RAW_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NAME = msgspec.json.Decoder(str)


class UnreadableError(ValueError):
    """A document, or an object in it, cannot be used; the text does not quote it."""


class LostValue(NamedTuple):
    """A value that could not be read."""

    field: str
    """Its path, such as ``agent_guest_info.fsinfo[].name``."""
    reason: str


class _Decoder(Protocol):
    def decode(self, text: Part, /) -> Any: ...


class _AsItIs:
    """Decodes the field of a struct that keeps its JSON."""

    def decode(self, text: Part, /) -> msgspec.Raw:
        return msgspec.Raw(bytes(text))


_AS_IT_IS = _AsItIs()


class _Field(NamedTuple):
    """How one field of a struct is decoded by itself."""

    name: str
    key: str
    """Its name in JSON."""
    decoder: "_Decoder"
    is_required: bool
    struct: type[msgspec.Struct] | None
    """The struct that its value may be."""
    entry: type[msgspec.Struct] | None
    """The struct that the entries of its value may be, if that is a list."""
    member: type[msgspec.Struct] | None
    """The struct that the members of its value may be, if that is an object."""


@cache
def decoder_of(kind: type[T]) -> msgspec.json.Decoder[T]:
    """Return the decoder of one object, which accepts numbers and flags as strings."""
    return msgspec.json.Decoder(kind, strict=False)


def decode_object(text: Part, kind: type[T], lost: list[LostValue]) -> T:
    """
    Decode one object; add the values that cannot be read to *lost*.

    Raises:
        UnreadableError: It is not an object, or lacks a field that it must have.

    """
    try:
        found: T = decoder_of(kind).decode(text)
    except UNREADABLE as problem:
        return decode_fields(text, kind, lost, problem)
    return found


def decode_fields(text: Part, kind: type[T], lost: list[LostValue], problem: Exception) -> T:
    """Decode an object that cannot be decoded at once because of *problem*, field by field."""
    return _by_fields(bytes(text), kind, "", lost, error_summary(problem))


def split_list(body: bytes) -> list[Part]:
    """
    Return the entries of a JSON list as they are.

    Raises:
        UnreadableError: It is not a list, or is cut off.

    """
    body = body.removeprefix(b"\xef\xbb\xbf")
    try:
        return list(_RAW_LIST.decode(body))
    except UNREADABLE as problem:
        if not body.lstrip(BLANK).startswith(b"["):
            raise UnreadableError(error_summary(problem)) from None
    return list(_split(body))


def error_summary(problem: Exception) -> str:
    """Return the reason of a decoding error without the body, which may be confidential."""
    return problem.reason if isinstance(problem, UnicodeDecodeError) else str(problem)


def _by_fields(text: bytes, kind: type[T], path: str, lost: list[LostValue], problem: str) -> T:
    """Return the object with the fields that can be read; *path* leads to it."""
    if not text.lstrip(BLANK).startswith(b"{"):
        raise UnreadableError(problem)
    members = _members(text)
    values: dict[str, Any] = {}
    missed: list[LostValue] = []
    for field in _fields_of(kind):
        part = members.get(field.key)
        if part is None:
            found = not field.is_required
        else:
            found = _read_field(field, part, f"{path}{field.key}", values, missed)
        if not found and (field.is_required or field.key in getattr(kind, "IDENTITY", ())):
            raise UnreadableError(missed[-1].reason if part is not None else problem)
    lost += missed
    return kind(**values)


def _read_field(
    field: _Field, part: Part, path: str, values: dict[str, Any], lost: list[LostValue]
) -> bool:
    """Add the value of *field* to *values*, or to *lost* if none of it can be read."""
    try:
        values[field.name] = field.decoder.decode(part)
    except UNREADABLE as problem:
        missed: list[LostValue] = []
        try:
            text = bytes(part).strip(BLANK)
            values[field.name] = _by_parts(field, text, path, missed, error_summary(problem))
        except UnreadableError as reason:
            lost.append(LostValue(path, str(reason)))
            return False
        lost += missed
    return True


def _by_parts(field: _Field, text: bytes, path: str, lost: list[LostValue], problem: str) -> Any:
    """Return what can be read of a value that consists of structs."""
    if field.entry is not None and text.startswith(b"["):
        return list(_entries(split_list(text), field.entry, path, lost))
    if field.member is not None and text.startswith(b"{"):
        entries = _entries(list(_members(text).values()), field.member, path, lost)
        return {str(number): one for number, one in enumerate(entries)}
    if field.struct is not None:
        return _by_fields(text, field.struct, f"{path}.", lost, problem)
    raise UnreadableError(problem)


def _entries(
    parts: list[Part], kind: type[msgspec.Struct], path: str, lost: list[LostValue]
) -> Iterator[msgspec.Struct]:
    """Yield the entries of a list that can be read."""
    for part in parts:
        try:
            yield decoder_of(kind).decode(part)
        except UNREADABLE as problem:
            try:
                yield _by_fields(bytes(part), kind, f"{path}[].", lost, error_summary(problem))
            except UnreadableError as reason:
                lost.append(LostValue(f"{path}[]", str(reason)))


@cache
def _fields_of(kind: type[msgspec.Struct]) -> tuple[_Field, ...]:
    return tuple(
        _Field(
            field.name,
            field.encode_name,
            _AS_IT_IS
            if field.type is msgspec.Raw
            else msgspec.json.Decoder(field.type, strict=False),
            field.required,
            _struct_among(field.type, None),
            _struct_among(field.type, list),
            _struct_among(field.type, dict),
        )
        for field in msgspec.structs.fields(kind)
    )


def _struct_among(of: Any, container: type | None) -> type[msgspec.Struct] | None:
    """Return the struct among the alternatives of a type, or that a *container* among them has."""
    if get_origin(of) is Annotated:
        return _struct_among(get_args(of)[0], container)
    for kind in get_args(of) or (of,) if get_origin(of) not in (list, dict) else (of,):
        inner = kind if container is None else None
        if container is not None and get_origin(kind) is container:
            inner = get_args(kind)[-1]
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            return inner
    return None


def _members(text: bytes) -> dict[str, Part]:
    """
    Return the members of an object; one whose name cannot be read is no field of ours.

    Raises:
        UnreadableError: It is not made of names and values, so which value is whose is not known.

    """
    try:
        return dict(_RAW_OBJECT.decode(text))
    except UNREADABLE:
        pass
    found: dict[str, Part] = {}
    for part in _split(text):
        member = _MEMBER.fullmatch(part)
        value = member[2].strip(BLANK) if member is not None else b""
        if member is None or not _is_one_value(value):
            raise UnreadableError("JSON is malformed: an object is not made of names and values")
        try:
            found[_NAME.decode(member[1])] = value
        except UNREADABLE:
            continue
    return found


def _is_one_value(text: bytes) -> bool:
    if not text.startswith((b"{", b"[")):
        return _SIMPLE_VALUE.fullmatch(text) is not None
    try:
        list(_split(text))
    except UnreadableError:
        return False
    return True


def _split(text: bytes) -> Iterator[bytes]:
    """
    Yield the parts of a list or an object, by strings and nesting alone, in linear time.

    Raises:
        UnreadableError: It is cut off, or there is more after its end.

    """
    text = text.strip(BLANK)
    begin, depth, start, end = 1, 1, 0, 1
    for token in _TOKEN.finditer(text, 1):
        start, end = token.span()
        mark = text[start]
        if mark == COMMA:
            if depth == 1:
                yield text[begin:start].strip(BLANK)
                begin = end
        elif mark in b"[{":
            depth += end - start == 1  # else it is a whole object
        elif mark in b"]}":
            depth -= 1
            if depth == 0:
                break
    if depth or text[start] != CLOSING[text[0]]:
        raise UnreadableError("JSON is cut off")
    if end != len(text):
        raise UnreadableError("JSON is malformed: there is more after its end")
    last = text[begin:start].strip(BLANK)
    if last or begin > 1:
        yield last
