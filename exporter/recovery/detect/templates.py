"""
The template of a log row: its text without names and numbers.

Names are replaced by their values, which the inventory and the row itself give, so a VM called
``powered off`` changes no meaning. What is quoted and unknown is taken for a name too, unless it
has a word about power: that may be what the row is about.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

NAME, NUMBER = "<name>", "<n>"
MAX_LENGTH = 300
_SENTINEL = "\ue000"
_ACTION = re.compile(r"\baction '([a-z]+)'", re.IGNORECASE)
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_NUMBER = re.compile(
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|\d+", re.IGNORECASE
)
_WORD = re.compile(r"\w+")
_POWER = re.compile(
    r"\b(on|off|power\w*|start\w*|stop\w*|kill\w*|shut\w*|halt\w*|reset\w*|reboot\w*|restart\w*|"
    r"suspend\w*|resum\w*|paus\w*|hibernat\w*|restor\w*|revert\w*|delet\w*|destroy\w*|"
    r"terminat\w*|maintenance|migrat\w*|move\w*)\b",
    re.IGNORECASE,
)


class _Span(NamedTuple):
    start: int
    end: int


def template(text: str, names: Iterable[str], places: frozenset[str] = frozenset()) -> str:
    """
    Return the template of a log text.

    Args:
        text: The text of the row.
        names: Names that may occur in it: of its object, its user.
        places: The names of all nodes and clusters, which may occur in it too.

    """
    text = text.replace(_SENTINEL, " ")
    text = _without_names(text, (*names, *_places_in(text, places)))
    text = _QUOTED.sub(lambda quoted: _without_name(quoted, text), text)
    text = _NUMBER.sub(NUMBER, text).replace(_SENTINEL, NAME)
    return " ".join(text.split())[:MAX_LENGTH]


def has_name(text: str, name: str) -> bool:
    """Return whether *name* occurs in *text* as a whole word, quoted or not, in any case."""
    if not name.strip():
        return False
    return any(True for _ in _whole_words(text.casefold(), name.casefold()))


def _places_in(text: str, places: frozenset[str]) -> Iterator[str]:
    """Yield those of *places* that may occur in *text*; there are many places, and many texts."""
    by_first_word = _by_first_word(places)
    for word in {"", *_WORD.findall(text)}:
        yield from by_first_word.get(word, ())


@lru_cache(maxsize=64)
def _by_first_word(names: frozenset[str]) -> Mapping[str, Sequence[str]]:
    """Return *names* by their first words: where such a name occurs, its words are words too."""
    found = defaultdict[str, list[str]](list)
    for name in names:
        word = _WORD.search(name)
        found[word[0] if word is not None else ""].append(name)
    return found


def _without_names(text: str, names: Iterable[str]) -> str:
    """Return *text* with the sentinel in place of each name, in one pass: a row may be long."""
    parts, end = list[str](), 0
    for span in sorted(_names_in(text, names)):
        parts += text[end : span.start], _SENTINEL
        end = span.end
    return "".join(parts) + text[end:]


def _names_in(text: str, names: Iterable[str]) -> list[_Span]:
    """Return where names occur, the longest first; an action that VMs have is no name."""
    actions = {_Span(*match.span(1)) for match in _ACTION.finditer(text)}
    found: list[_Span] = []
    taken = bytearray(len(text))
    present = {name for name in names if name in text and name.strip()}
    for name in sorted(present, key=lambda one: (-len(one), one)):
        spans = list(_whole_words(text, name))
        # Where it is quoted somewhere, the same word elsewhere is a word: VM 'off' is off.
        for span in [span for span in spans if _is_quoted(text, span)] or spans:
            overlaps = taken.find(1, span.start, span.end) >= 0
            if not overlaps and span not in actions:
                found.append(span)
                taken[span.start : span.end] = b"\1" * (span.end - span.start)
    return found


def _whole_words(text: str, name: str) -> Iterator[_Span]:
    start = text.find(name)
    while start >= 0:
        end = start + len(name)
        before = start > 0 and _continues(text[start - 1], name[0])
        after = end < len(text) and _continues(name[-1], text[end])
        if not before and not after:
            yield _Span(start, end)
        start = text.find(name, start + 1)


def _is_quoted(text: str, span: _Span) -> bool:
    before, after = text[span.start - 1 : span.start], text[span.end : span.end + 1]
    return before == after and before in ("'", '"')


def _continues(left: str, right: str) -> bool:
    return (left.isalnum() or left == "_") and (right.isalnum() or right == "_")


def _without_name(quoted: re.Match[str], text: str) -> str:
    content = quoted[1] if quoted[1] is not None else quoted[2]
    is_action = _ACTION.match(text, max(0, quoted.start() - len("action ")))
    if is_action or _POWER.search(content):
        return quoted[0]
    quote = quoted[0][0]
    return f"{quote}{_SENTINEL}{quote}"
