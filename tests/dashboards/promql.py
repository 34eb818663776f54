"""The part of PromQL's grammar that finds the metrics and labels of a query."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_SPAN = re.compile(r"\[[^\]]*\]|offset\s+\S+|@\s*\w+\(\)")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SELECTOR = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)\s*(?:\{(?P<matchers>[^}]*)\})?")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_WORDS = frozenset({"and", "or", "unless", "bool", "inf", "nan", "atan2"})


@dataclass(frozen=True)
class Selector:
    """A metric, the labels of its matchers, and the functions around it, the innermost first."""

    metric: str
    labels: tuple[str, ...]
    inside: tuple[str, ...]


def selectors(query: str) -> Iterator[Selector]:
    """Yield the metrics of *query*; variables must be filled in, or look like numbers."""
    text = _GROUPING.sub("", _plain(query))
    for found in _SELECTOR.finditer(text):
        name = found["name"]
        if name in _WORDS or text[found.start() - 1 : found.start()].isdigit():
            continue
        if _is_function(text, found.end("name")):
            continue
        yield Selector(
            name,
            tuple(_MATCHER.findall(found["matchers"] or "")),
            tuple(_around(text, found.start())),
        )


def grouping_labels(query: str) -> set[str]:
    """Return the labels that *query* sums by, joins on and takes over."""
    return {
        label.strip()
        for clause in _GROUPING.findall(_plain(query))
        for label in clause.split(",")
        if label.strip()
    }


def _plain(query: str) -> str:
    """Return *query* without the contents of texts, and without spans of time."""
    return _SPAN.sub("", _TEXT.sub('""', query))


def _is_function(text: str, end: int) -> bool:
    return text[end:].lstrip().startswith("(")


def _around(text: str, at: int) -> Iterator[str]:
    """Yield the functions whose parentheses are open at *at*, the innermost first."""
    depth = 0
    for index in range(at - 1, -1, -1):
        if text[index] == ")":
            depth += 1
        elif text[index] == "(":
            if depth:
                depth -= 1
            else:
                before = re.search(r"(\w*)\s*$", text[:index])
                yield before[1] if before else ""
