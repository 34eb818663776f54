"""Matchers, exactly as Alertmanager evaluates them."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

import msgspec

from exporter.alerting.regex import NotUnderstoodError, Pattern

REMEMBERED = 1024


class Matcher(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """
    One condition on one label; a label that is missing is empty.

    A regular expression describes the whole value. One that is not understood fits everything,
    under ``=~`` and under ``!~``: to hold is the safe side.
    """

    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True

    def fits(self, value: str) -> bool:
        """Return whether a label with *value* fulfils it."""
        if not self.is_regex:
            return (value == self.value) is self.is_equal
        pattern = _pattern(self.value)
        return pattern is None or pattern.fits(value) is self.is_equal

    @property
    def understood(self) -> bool:
        return not self.is_regex or _pattern(self.value) is not None

    @property
    def names_something(self) -> bool:
        """Whether it says what a label has to be, and not only what it must not be."""
        return self.is_equal and (not self.understood or not self.fits(""))

    def __str__(self) -> str:
        sign = ("=~" if self.is_equal else "!~") if self.is_regex else "!="[self.is_equal :]
        return f'{self.name}{sign}"{self.value}"'


def fit(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Return whether every one of *matchers* fits *labels*."""
    return all(one.fits(labels.get(one.name, "")) for one in matchers)


def acceptable(matchers: Iterable[Matcher]) -> bool:
    """Return whether Alertmanager takes a silence of these: one must not fit what is empty."""
    return any(not one.understood or not one.fits("") for one in matchers)


@lru_cache(maxsize=REMEMBERED)
def _pattern(text: str) -> Pattern | None:
    try:
        return Pattern(text)
    except NotUnderstoodError:
        return None
