"""Label matchers, evaluated as Alertmanager evaluates them."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Protocol

import msgspec

CACHED_PATTERNS = 256
PATTERN_BYTES = 2**20
"""Memory limit of one compiled pattern and its automaton."""


class Pattern(Protocol):
    """A compiled regular expression; `re2` has no type annotations."""

    def search(self, text: str, /) -> object | None: ...


class Matcher(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """
    One condition on one label. A missing label has the value "".

    A pattern that RE2 cannot compile matches every value, for ``=~`` and for ``!~``: a silence then
    holds too many VMs rather than too few.
    """

    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True

    def matches(self, value: str) -> bool:
        if not self.is_regex:
            return (value == self.value) is self.is_equal
        pattern = _compile(self.value)
        return pattern is None or (pattern.search(value) is not None) is self.is_equal

    @property
    def is_valid(self) -> bool:
        """Whether the pattern compiles; ``True`` where there is none."""
        return not self.is_regex or _compile(self.value) is not None

    @property
    def selects_values(self) -> bool:
        """Whether it lists values that the label must have, instead of only excluding some."""
        return self.is_equal and (not self.is_valid or not self.matches(""))

    def __str__(self) -> str:
        sign = ("=~" if self.is_equal else "!~") if self.is_regex else "!="[self.is_equal :]
        return f'{self.name}{sign}"{self.value}"'


def all_match(matchers: Iterable[Matcher], value: str) -> bool:
    """Return whether every one of *matchers* matches *value*."""
    return all(matcher.matches(value) for matcher in matchers)


def is_valid_silence(matchers: Iterable[Matcher]) -> bool:
    """
    Return whether Alertmanager accepts a silence with these: one must exclude, or not match "".

    Newer releases refuse those that only exclude, and have none.
    """
    return any(
        not matcher.is_equal or not matcher.is_valid or not matcher.matches("")
        for matcher in matchers
    )


@lru_cache(maxsize=CACHED_PATTERNS)
def _compile(pattern: str) -> Pattern | None:
    """
    Compile *pattern*, anchored as in Alertmanager 0.25.

    RE2 matches what Go's ``regexp`` matches, also in linear time. It rejects very large patterns
    that Go accepts.
    """
    import re2  # noqa: PLC0415 - 2 MiB, and most silences have no pattern

    options = re2.Options()
    options.log_errors = False
    options.max_mem = PATTERN_BYTES
    try:
        compiled: Pattern = re2.compile(f"^(?:{pattern})$", options)
    except (re2.error, UnicodeEncodeError):
        return None
    return compiled
