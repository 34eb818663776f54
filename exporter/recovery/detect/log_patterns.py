"""Log patterns: what the template of a log row means."""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

from annotated_types import Predicate

from exporter.patterns import REGEX_PREFIX
from exporter.recovery.model.log_templates import RowSource


class Meaning(StrEnum):
    """The meaning of a log row."""

    STOP = "stop"
    """An operator or an API user asked for a stop."""
    GUEST_STOP = "guest-stop"
    """The guest shut itself down."""
    TASK = "task"
    """A task of VergeOS asked for a stop."""
    NODE = "node"
    """The node was put into maintenance, rebooted or powered off."""
    START = "start"
    """It was started, a start was requested, or its node left maintenance: what stopped it before
    is over."""
    RESET = "reset"
    """It was reset, and goes on; earlier stop requests still hold."""
    MOVE = "move"
    """It went to another node."""
    PLATFORM = "platform"
    """VergeOS' own high availability acts on it."""
    CRASH = "crash"
    """It crashed."""
    DOUBT = "doubt"
    """It may have been a stop, or something that must not be disturbed."""
    HARMLESS = "harmless"
    """It does not affect the diagnosis."""


STOPS = frozenset({Meaning.STOP, Meaning.GUEST_STOP, Meaning.TASK, Meaning.NODE})
"""Meanings that prove that a VM was stopped on purpose."""


def compile_log_pattern(pattern: str) -> Any:
    """
    Return *pattern* as a regular expression that ignores case and matches in linear time.

    Raises:
        ValueError: It is not valid in RE2 syntax.

    """
    if pattern.startswith(REGEX_PREFIX):
        raise ValueError("is always a regular expression: leave out re:")
    if any(pattern == own.pattern for own in LOG_PATTERNS):
        # They are linear in any engine.
        return re.compile(pattern, re.IGNORECASE | re.ASCII)
    import re2  # noqa: PLC0415 - 2 MiB, and most configurations have no pattern

    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace")
        raise ValueError(f"is not a regular expression in RE2 syntax: {reason}") from None


@dataclass(frozen=True, slots=True)
class LogPattern:
    """A log pattern: templates of rows in the VergeOS log and their meaning."""

    __pydantic_config__: ClassVar = {"extra": "forbid", "use_attribute_docstrings": True}

    pattern: Annotated[str, Predicate(compile_log_pattern)]
    """A regular expression (RE2 syntax) that matches the whole template of a row; case is
    ignored. In a template, `<name>` stands for each name and `<n>` for each number."""
    means: Meaning
    """The meaning; `harmless` does not affect the diagnosis."""


LOG_PATTERNS: tuple[LogPattern, ...] = (
    # Documented by the vendor: "Reasons a Windows VM restarted".
    LogPattern(r"VM action '(kill|poweroff|hibernate|restore|delete|move)' sent", Meaning.STOP),
    LogPattern(r"VM has shut ?down", Meaning.GUEST_STOP),
    LogPattern(r"VM has reset", Meaning.RESET),
    LogPattern(r"VM action 'reset' sent", Meaning.RESET),
    LogPattern(r"VM action 'poweron' sent", Meaning.START),
    LogPattern(r"VM action 'migrate' sent", Meaning.MOVE),
    # Seen in examples and fixtures only; no release is known to write them exactly so.
    LogPattern(r"VM '<name>' powered on", Meaning.START),
    LogPattern(r"VM '<name>' hibernated", Meaning.STOP),
    LogPattern(r"Task '.*' sent '(kill|poweroff|hibernate)' to '<name>'", Meaning.TASK),
    LogPattern(r"VM '<name>' cannot migrate and was powered off for maintenance", Meaning.NODE),
    LogPattern(r"Node '<name>' entered maintenance mode", Meaning.NODE),
    LogPattern(r"Node '<name>' left maintenance mode", Meaning.START),
    LogPattern(r"Node '<name>' is (not responding|online|offline)", Meaning.HARMLESS),
    LogPattern(r"Migrating VM '<name>' to '<name>'", Meaning.MOVE),
    LogPattern(r"VM '<name>' migrated to '<name>'", Meaning.MOVE),
    LogPattern(r"HA: starting '<name>' on '<name>'", Meaning.PLATFORM),
    LogPattern(r"VM '<name>' is (unresponsive|responsive again)", Meaning.HARMLESS),
    LogPattern(r"VM '<name>' (renamed to '<name>'|created)", Meaning.HARMLESS),
    LogPattern(r"Tag '<name>' (assigned to|removed from) '<name>'", Meaning.HARMLESS),
    # Our own tags with words about power, which are no names in a template.
    LogPattern(
        r"Tag 'on-hang-(reset|power-cycle)' (assigned to|removed from) '<name>'", Meaning.HARMLESS
    ),
    LogPattern(r"Not enough resources to start '<name>'", Meaning.HARMLESS),
    LogPattern(r"User '<name>' logged in", Meaning.HARMLESS),
    LogPattern(r"Login of '<name>' failed", Meaning.HARMLESS),
    LogPattern(r"VM '<name>' (deleted|modified|powered off)", Meaning.DOUBT),
)
"""
Whole templates, the first that matches decides. What matches none is unknown.

``powered off`` shows an effect and no request, so alone it proves no stop.
"""


@lru_cache(maxsize=16)
def _compiled(patterns: tuple[LogPattern, ...]) -> Sequence[tuple[Any, Meaning]]:
    return [(compile_log_pattern(pattern.pattern), pattern.means) for pattern in patterns]


class LogClassifier:
    """
    The meanings of log templates in one system.

    Taught meanings come first, then the patterns; what neither knows is harmless if it was learned.

    Args:
        patterns: In the order in which they are tried.
        taught: Meanings of single templates, which come before the patterns.
        learned: Templates that are harmless by experience, in lower case, by the source of their
            rows.

    """

    def __init__(
        self,
        patterns: Sequence[LogPattern] = LOG_PATTERNS,
        taught: Mapping[str, Meaning] = MappingProxyType({}),
        learned: Mapping[RowSource, AbstractSet[str]] = MappingProxyType({}),
    ) -> None:
        self.patterns = patterns
        self._compiled = _compiled(tuple(patterns))
        self._taught = {text.casefold(): means for text, means in taught.items()}
        self._learned = learned
        self.meaning = lru_cache(maxsize=4096)(self._meaning)

    def with_templates(
        self,
        taught: Mapping[str, Meaning],
        learned: Mapping[RowSource, AbstractSet[str]] = MappingProxyType({}),
    ) -> "LogClassifier":
        """Return a classifier with the same patterns and other templates."""
        return LogClassifier(self.patterns, taught, learned)

    def meaning_of_row(self, template: str, source: RowSource | None) -> Meaning | None:
        """Return what a row from *source* means, if that is known, taught or learned."""
        known = self.meaning(template)
        if known is None and source is not None:
            is_learned = template.casefold() in self._learned.get(source, ())
            return Meaning.HARMLESS if is_learned else None
        return known

    def _meaning(self, template: str) -> Meaning | None:
        """Return what *template* means by teaching and patterns; None where nothing matches it."""
        taught = self._taught.get(template.casefold())
        if taught is not None:
            return taught
        for pattern, means in self._compiled:
            if pattern.fullmatch(template):
                return means
        return None
