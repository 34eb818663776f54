"""Patterns of names, as operators write them: a glob, or ``re:`` and a regular expression."""

import re
from collections.abc import Callable
from fnmatch import translate
from functools import lru_cache
from typing import Annotated, Any
from unicodedata import normalize

from annotated_types import Predicate

REGEX_PREFIX = "re:"
REGEX_BYTES = 2**20
"""Memory limit of one compiled regular expression and its automaton."""
CACHED_LISTS = 4096


def is_pattern(text: str) -> bool:
    """
    Return True if *text* is a pattern.

    Raises:
        ValueError: It is none.

    """
    if not text.strip():
        raise ValueError('is empty and would fit nothing; "*" fits every name')
    if text.startswith(REGEX_PREFIX):
        if not text.removeprefix(REGEX_PREFIX).strip():
            raise ValueError("has no regular expression after re:")
        _regex(text)
    return True


def is_filled(patterns: tuple[str, ...]) -> bool:
    """
    Return True if there is a pattern.

    Raises:
        ValueError: There is none: the list could mean every name, or none.

    """
    if not patterns:
        raise ValueError("is an empty list: give at least one pattern, or leave the setting out")
    return True


Pattern = Annotated[str, Predicate(is_pattern)]
Patterns = Annotated[tuple[Pattern, ...], Predicate(is_filled)]


def normalized(name: str) -> str:
    """Return *name* with every accented letter as one character (NFC)."""
    return name if name.isascii() else normalize("NFC", name)


def folded(name: str) -> str:
    """Return *name* as it is compared: without capitals, in one form of accented letters."""
    if name.isascii():
        return name.lower()
    return normalize("NFC", normalize("NFD", name).casefold())


def fits(name: str, patterns: tuple[str, ...]) -> bool:
    """Return whether *name* as a whole fits one of *patterns*; without a pattern, it does not."""
    return _matcher(patterns)(name)


@lru_cache(maxsize=CACHED_LISTS)
def any_fits(names: frozenset[str], patterns: tuple[str, ...]) -> bool:
    """Return whether one of *names* fits one of *patterns*; remembered, as VMs share their tags."""
    return any(map(_matcher(patterns), names))


def may_overlap(one: str, other: str) -> bool:
    """Return whether two patterns are equal, or one fits the other's text: an approximation."""
    return one == other or fits(one, (other,)) or fits(other, (one,))


def has_brackets(pattern: str) -> bool:
    """Return whether *pattern* is a glob with brackets, which stand for themselves."""
    return "[" in pattern and not pattern.startswith(REGEX_PREFIX)


@lru_cache(maxsize=CACHED_LISTS)
def _matcher(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    globs = [_translated(one) for one in patterns if not one.startswith(REGEX_PREFIX)]
    regexes = [_regex(one) for one in patterns if one.startswith(REGEX_PREFIX)]
    # Without a glob, a lookahead that never succeeds.
    glob = re.compile("|".join(globs) or "(?!)").match

    def matches(name: str) -> bool:
        if glob(folded(name)) is not None:
            return True
        if not regexes:
            return False
        encoded = normalized(name).encode(errors="replace")
        return any(regex.fullmatch(encoded) is not None for regex in regexes)

    return matches


def _translated(glob: str) -> str:
    """Return *glob* as a regular expression; `fnmatch` takes ``[[]`` as a literal bracket."""
    return translate(folded(glob).replace("[", "[[]"))


@lru_cache(maxsize=CACHED_LISTS)
def _regex(pattern: str) -> Any:
    """
    Return the regular expression of a pattern with the prefix: RE2, linear in time.

    Raises:
        ValueError: It is not valid in RE2 syntax.

    """
    import re2  # noqa: PLC0415 - 2 MiB, and most configurations have no regular expression

    options = re2.Options()
    options.case_sensitive = False
    options.dot_nl = True
    options.never_capture = True
    options.log_errors = False
    options.max_mem = REGEX_BYTES
    try:
        return re2.compile(normalized(pattern.removeprefix(REGEX_PREFIX)), options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace")
        raise ValueError(f"is not a regular expression in RE2 syntax: {reason}") from None
    except UnicodeEncodeError:
        raise ValueError("has a character that UTF-8 cannot encode") from None
