"""The query language of lists: ``filter``, ``fields`` and ``sort``."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

Value = str | int | float | bool | None
Getter = Callable[[str], Any]
"""Returns the value of a column in one row."""
Predicate = Callable[[Getter], bool]

OPERATORS = ("eq", "ne", "gt", "ge", "lt", "le", "bw", "ew", "cs", "ct", "rx", "re")
WORDS: Mapping[str, Value] = {"true": True, "false": False, "null": None}


class InvalidQueryError(Exception):
    """An invalid query, which VergeOS answers with 422 ``Invalid argument``."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A column compared with a literal."""

    column: str
    operator: str
    literal: Value

    def holds(self, get: Getter) -> bool:
        return compare(get(self.column), self.operator, self.literal)


@dataclass(frozen=True, slots=True)
class Chain:
    """Conditions joined by ``and`` and ``or``, evaluated from left to right."""

    first: "Condition"
    rest: tuple[tuple[str, "Condition"], ...]

    def holds(self, get: Getter) -> bool:
        result = self.first.holds(get)
        for word, condition in self.rest:
            # VergeOS has no operator precedence.
            result = (
                (result and condition.holds(get))
                if word == "and"
                else (result or condition.holds(get))
            )
        return result


Condition = Comparison | Chain


@dataclass(frozen=True, slots=True)
class Field:
    """An item of ``fields``: a path along foreign keys, and the columns of a sub-row."""

    path: tuple[str, ...]
    alias: str
    inner: "tuple[Field, ...] | None" = None
    function: str | None = None


def columns_of(condition: Condition) -> set[str]:
    """Return every column that a filter uses."""
    if isinstance(condition, Comparison):
        return {condition.column}
    found = columns_of(condition.first)
    for _, other in condition.rest:
        found |= columns_of(other)
    return found


# Filters.


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # "(" | ")" | "word" | "literal"
    text: str
    value: Value = None


_WORD = re.compile(r"[^\s()'\"]+")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def parse_filter(text: str, *, now: float) -> Condition | None:
    """
    Return the condition in *text*; None when it is blank.

    Args:
        now: Unix seconds, for ``{$now}``.

    Raises:
        InvalidQueryError: The text is no filter.

    """
    return _parsed(text, int(now) if "{$now}" in text else 0)


@lru_cache(maxsize=256)  # clients repeat few distinct filters
def _parsed(text: str, now: int) -> Condition | None:
    tokens = _tokens(text, now)
    if not tokens:
        return None
    condition, rest = _chain(tokens, 0)
    if rest != len(tokens):
        raise InvalidQueryError(text)
    return condition


def _chain(tokens: Sequence[_Token], place: int) -> tuple[Condition, int]:
    first, place = _condition(tokens, place)
    rest: list[tuple[str, Condition]] = []
    while place < len(tokens) and tokens[place].text in ("and", "or"):
        word = tokens[place].text
        other, place = _condition(tokens, place + 1)
        rest.append((word, other))
    return (Chain(first, tuple(rest)) if rest else first), place


def _condition(tokens: Sequence[_Token], place: int) -> tuple[Condition, int]:
    if place >= len(tokens):
        raise InvalidQueryError("the filter is incomplete")
    if tokens[place].kind == "(":
        inner, place = _chain(tokens, place + 1)
        if place >= len(tokens) or tokens[place].kind != ")":
            raise InvalidQueryError("unclosed parenthesis")
        return inner, place + 1
    return _comparison(tokens, place)


def _comparison(tokens: Sequence[_Token], place: int) -> tuple[Condition, int]:
    if place + 3 > len(tokens):
        raise InvalidQueryError("a comparison is incomplete")
    column, operator, literal = tokens[place : place + 3]
    if column.kind != "word" or operator.kind != "word" or operator.text not in OPERATORS:
        raise InvalidQueryError(f"{column.text} {operator.text}")
    if operator.text == "rx":
        _posix(str(literal.value))
    return Comparison(column.text, operator.text, _literal(literal)), place + 3


def _literal(token: _Token) -> Value:
    if token.kind == "literal":
        return token.value
    if token.kind == "word" and token.text in WORDS:
        return WORDS[token.text]
    if token.kind == "word" and _NUMBER.fullmatch(token.text):
        return float(token.text) if "." in token.text else int(token.text)
    raise InvalidQueryError(token.text)


def _tokens(text: str, now: int) -> list[_Token]:
    tokens: list[_Token] = []
    place = 0
    while place < len(text):
        char = text[place]
        if char.isspace():
            place += 1
        elif char in "()":
            tokens.append(_Token(char, char))
            place += 1
        elif char in "'\"":
            value, place = _quoted(text, place, now)
            tokens.append(_Token("literal", value, value))
        else:
            end = _word_end(text, place)
            word = text[place:end].replace("{$now}", str(now))
            tokens.append(_Token("word", word))
            place = end
    return tokens


def _word_end(text: str, place: int) -> int:
    match = _WORD.match(text, place)
    return len(text) if match is None else match.end()


def _quoted(text: str, place: int, now: int) -> tuple[str, int]:
    """Read a string; a backslash escapes a character, and an unescaped ``{…}`` is removed."""
    quote = text[place]
    found: list[str] = []
    place += 1
    while place < len(text) and text[place] != quote:
        char = text[place]
        if char == "\\" and place + 1 < len(text):
            found.append(text[place + 1])
            place += 2
        elif char == "{" and (end := _brace_end(text, place, quote)) is not None:
            if text[place:end] == "{$now}":
                found.append(str(now))
            place = end
        else:
            found.append(char)
            place += 1
    if place >= len(text):
        raise InvalidQueryError("unclosed quotation")
    return "".join(found), place + 1


def _brace_end(text: str, place: int, quote: str) -> int | None:
    depth = 0
    for index in range(place, len(text)):
        if text[index] == quote:
            return None
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return index + 1
    return None


def compare(value: Any, operator: str, literal: Value) -> bool:
    """Return whether the comparison of *value* with *literal* holds."""
    if operator == "eq":
        return _equal(value, literal)
    if operator == "ne":
        return not _equal(value, literal)
    if operator == "re":
        return False  # VergeOS accepts it, and it never matches
    if value is None or literal is None:
        return False
    if operator in ("gt", "ge", "lt", "le"):
        return _ordered(value, operator, literal)
    return _matches(_text(value), operator, _text(literal))


def _equal(value: Any, literal: Value) -> bool:
    if value is None or literal is None:
        return value is literal
    left, right = _comparable(value, literal)
    return bool(left == right)


def _ordered(value: Any, operator: str, literal: Value) -> bool:
    left, right = _comparable(value, literal)
    if isinstance(left, str) != isinstance(right, str):
        return False
    match operator:
        case "gt":
            return bool(left > right)
        case "ge":
            return bool(left >= right)
        case "lt":
            return bool(left < right)
        case _:
            return bool(left <= right)


def _matches(text: str, operator: str, literal: str) -> bool:
    match operator:
        case "bw":
            return text.startswith(literal)
        case "ew":
            return text.endswith(literal)
        case "cs":
            return literal in text
        case "ct":
            return literal.casefold() in text.casefold()
        case _:
            pattern = _posix(literal)
            return pattern is not None and pattern.search(text) is not None


def _comparable(value: Any, literal: Value) -> tuple[Any, Any]:
    """Return both as numbers if the column is numeric, else as text."""
    if isinstance(value, bool | int | float):
        if isinstance(literal, str):
            text = literal.strip()
            if not _NUMBER.fullmatch(text):
                return value, literal
            return value, float(text) if "." in text else int(text)
        return value, literal
    return _text(value), _text(literal)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


_CLASSES = {
    "[:digit:]": "0-9",
    "[:alpha:]": "A-Za-z",
    "[:alnum:]": "A-Za-z0-9",
    "[:lower:]": "a-z",
    "[:upper:]": "A-Z",
    "[:space:]": r"\s",
    "[:punct:]": r"!-/:-@\[-`{-~",
}


def _posix(expression: str) -> re.Pattern[str] | None:
    """Return the pattern of a POSIX extended expression; None when it never matches."""
    if re.search(r"\\[dDwWsSbB]", expression):
        return None
    for name, chars in _CLASSES.items():
        expression = expression.replace(name, chars)
    try:
        return re.compile(expression)
    except re.error as error:
        raise InvalidQueryError(expression) from error


# Fields.

_ITEM = re.compile(r"(?P<what>.*?)(?:\s+as\s+(?P<alias>[\w$-]+))?", re.DOTALL | re.IGNORECASE)
_FUNCTION = re.compile(r"(?P<name>\w+)\((?P<argument>[^()]*)\)")


@lru_cache(maxsize=256)  # clients repeat few distinct lists
def parse_fields(text: str) -> tuple[Field, ...]:
    """Return the items of ``fields`` without invalid ones, which VergeOS ignores."""
    items = (_field(item.strip()) for item in _split(text))
    return tuple(item for item in items if item is not None)


def _field(item: str) -> Field | None:
    match = _ITEM.fullmatch(item)
    if match is None or not match["what"].strip():
        return None
    what, alias = match["what"].strip(), match["alias"]
    inner = None
    if what.endswith("]") and "[" in what:
        what, _, rest = what.partition("[")
        inner = parse_fields(rest[:-1])
    path = tuple(part.strip() for part in what.split("#"))
    function = None
    called = _FUNCTION.fullmatch(path[-1])
    if called is not None:
        function, path = called["name"], (*path[:-1], called["argument"].strip())
    return Field(path, alias or (path[-1] if inner is not None else what), inner, function)


def _split(text: str) -> list[str]:
    """Split at commas outside brackets."""
    parts, depth, start = [], 0, 0
    for place, char in enumerate(text):
        depth += (char in "[(") - (char in "])")
        if char == "," and depth == 0:
            parts.append(text[start:place])
            start = place + 1
    parts.append(text[start:])
    return parts


# Sorting and paging.


def parse_sort(text: str) -> tuple[tuple[str, bool], ...]:
    """Return columns with a descending flag; an unencoded ``+`` arrives as a space."""
    found = []
    for part in text.split(","):
        name = part.strip()
        down = name.startswith("-")
        name = name.lstrip("+-").strip()
        if name:
            found.append((name, down))
    return tuple(found)


def sort_key(value: Any) -> tuple[int, Any]:
    """Return the sort key of *value*: null before numbers before text."""
    if value is None:
        return 0, 0
    if isinstance(value, bool | int | float):
        return 1, value
    return 2, str(value)


def parse_count(text: str | None) -> int:
    """Return the number in ``limit`` or ``offset``; 0 without one."""
    if text is None or not text.strip():
        return 0
    if not text.strip().isdecimal():
        raise InvalidQueryError(text)
    return int(text)
