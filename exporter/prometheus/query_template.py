"""
Templates of PromQL queries about a VM.

``{{vm}}``, ``{{uuid}}`` and ``{{system}}`` stand in the string of a label matcher and are filled
by value: a name cannot change what the query means. ``[{{window}}]`` is the range of every
selector. It is filled with the time since the VM went down, or since an action, so no older sample
counts. (An instant selector would return samples that are up to five minutes old.)
"""

import re
from collections.abc import Callable, Iterator, Mapping

NAMES = ("vm", "uuid", "system")
WINDOW = "[{{window}}]"
_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_STRING_OR_COMMENT = re.compile(
    r""" "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' | `[^`]*` | \#[^\n]* """, re.VERBOSE | re.DOTALL
)
_MATCHER = re.compile(r"(=~|!~|!=|=)\s*\Z")
_REGEX_META = re.compile(r"[\\.+*?()|\[\]{}^$]")
_GROUPING = re.compile(
    r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)", re.IGNORECASE
)
_NAME = re.compile(r"(?<![\w:.])[A-Za-z_:][\w:]*+(?!\s*[({\[])")
"""A name that is neither a function nor followed by matchers or a range."""
_WORDS = frozenset(
    ("and", "or", "unless", "atan2", "bool", "group_left", "group_right", "inf", "nan")
)


def checked(template: str) -> str:
    """Return *template*; raise `ValueError` if older samples or a name could change its meaning."""
    rest = []
    for before, piece in _pieces(template):
        rest.append(before)
        for found in _PLACEHOLDER.finditer(piece):
            if found[1] not in NAMES:
                raise ValueError(f"{found[0]} is not {', '.join(f'{{{{{n}}}}}' for n in NAMES)}")
            if piece[0] not in "\"'" or not _MATCHER.search("".join(rest)):
                raise ValueError(
                    f'{found[0]} belongs in a label matcher, such as name="{found[0]}"'
                )
            if piece[found.start() - 1] == "\\":
                raise ValueError(f"{found[0]} follows a backslash")
        rest.append('""' if piece and piece[0] != "#" else " ")
    _check_ranges("".join(rest))
    return template


def uses(template: str, name: str) -> bool:
    """Return whether the query has the placeholder of *name*."""
    return f"{{{{{name}}}}}" in template


def names_vm(template: str) -> bool:
    """Return whether the query differs from VM to VM."""
    return uses(template, "vm") or uses(template, "uuid")


def filled(template: str, values: Mapping[str, str], *, seconds: int) -> str:
    """
    Return the query.

    Args:
        template: From `checked`.
        values: By `NAMES`.
        seconds: The window.

    """
    query = []
    for before, piece in _pieces(template):
        query.append(before.replace(WINDOW, f"[{seconds}s]"))
        matcher = _MATCHER.search(before)
        is_regex = matcher is not None and matcher[1] in ("=~", "!~")
        query.append(_PLACEHOLDER.sub(_quote(values, is_regex=is_regex), piece))
    return "".join(query)


def _quote(values: Mapping[str, str], *, is_regex: bool) -> Callable[[re.Match[str]], str]:
    def quoted(found: re.Match[str]) -> str:
        value = values.get(found[1], found[0])
        if is_regex:
            value = _REGEX_META.sub(r"\\\g<0>", value)
        return "".join(map(_escaped, value))

    return quoted


def _escaped(char: str) -> str:
    """Return *char* as it is written in a string of PromQL, with any quotes."""
    if char.isprintable() and char not in "\"'`\\\N{REPLACEMENT CHARACTER}":
        return char
    code = ord(char)
    if 0xD800 <= code <= 0xDFFF:  # noqa: PLR2004 - a surrogate, which is no text
        code = ord("\N{REPLACEMENT CHARACTER}")
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004


def _pieces(template: str) -> Iterator[tuple[str, str]]:
    """Yield each string or comment with the text before it; the last one is empty."""
    end = 0
    for found in _STRING_OR_COMMENT.finditer(template):
        yield template[end : found.start()], found[0]
        end = found.end()
    yield template[end:], ""


def _check_ranges(query: str) -> None:
    """Raise `ValueError` unless every selector of *query* (without strings) has the window."""
    if WINDOW not in query:
        raise ValueError(f"has no range {WINDOW}")
    query = query.replace(WINDOW, "[]")
    if found := _PLACEHOLDER.search(query):
        raise ValueError(f"{found[0]} is neither in a string nor the range {WINDOW}")
    if "[" in query.replace("[]", ""):
        raise ValueError(f"has a range that is not {WINDOW}")
    if "@" in query or re.search(r"\boffset\b", query, re.IGNORECASE):
        raise ValueError("has offset or @: samples from before the outage could count")
    query = re.sub(r"\{[^{}]*\}", "{}", query)
    if re.search(r"\{\}(?!\s*\[)", query):
        raise ValueError(f"has a selector without the range {WINDOW}")
    for found in _NAME.finditer(_GROUPING.sub(" ", query)):
        if found[0].lower() not in _WORDS:
            raise ValueError(f"{found[0]} has no range {WINDOW}")
