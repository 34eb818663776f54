"""Log patterns: what a row of VergeOS' log means."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar

import re2
from annotated_types import Predicate


class Meaning(StrEnum):
    """The meaning of a log row."""

    STOP = "stop"
    """An operator or an API user asked for a stop."""
    GUEST_STOP = "guest-stop"
    """The guest shut itself down."""
    TASK = "task"
    """A task of VergeOS acted."""
    NODE = "node"
    """The node was put into maintenance, rebooted or powered off."""
    START = "start"
    """It was started or a start was requested: earlier stop requests are over."""
    RESET = "reset"
    """It was reset, and goes on; what was wanted before still holds."""
    MOVE = "move"
    """It went to another node."""
    PLATFORM = "platform"
    """VergeOS' own high availability is at it."""
    DOUBT = "doubt"
    """It may have been a stop, or something that must not be disturbed."""
    HARMLESS = "harmless"


def compile_log_pattern(pattern: str) -> Any:
    """
    Return *pattern* as a regular expression that ignores case and matches in linear time.

    Raises:
        ValueError: It is not valid in RE2 syntax.

    """
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
    """A log pattern: a text in the VergeOS log and its meaning."""

    __pydantic_config__: ClassVar = {"extra": "forbid", "use_attribute_docstrings": True}

    pattern: Annotated[str, Predicate(compile_log_pattern)]
    """A regular expression (RE2 syntax), searched anywhere in the text; case is ignored."""
    # The text is searched without quoted names, which can contain anything.
    means: Meaning
    """The meaning; `harmless` does not affect the diagnosis."""


NAMES = re.compile(r"(?<!action )'[^']*'|\"[^\"]*\"", re.IGNORECASE)

LOG_PATTERNS: tuple[LogPattern, ...] = (
    LogPattern(r"powered off for maintenance", Meaning.NODE),
    LogPattern(r"action '(kill|poweroff|hibernate|restore|delete|move)' sent", Meaning.STOP),
    LogPattern(r"\btask\b", Meaning.TASK),
    LogPattern(r"\bvm has shut ?down\b", Meaning.GUEST_STOP),
    LogPattern(r"\bnode\b.*\b(maintenance|reboot|updat|shut ?down|power)", Meaning.NODE),
    LogPattern(r"action 'poweron' sent", Meaning.START),
    LogPattern(r"action 'reset' sent", Meaning.RESET),
    LogPattern(r"action 'migrate' sent", Meaning.MOVE),
    LogPattern(r"\b(set by hand|power(ed)?[ -]?off|shut ?down|killed|hibernat\w+)\b", Meaning.STOP),
    LogPattern(
        r"\b(modified|(forced|switched|turned) off|(halt|stop|terminat|suspend|paus|destroy|delet)"
        r"(e|s|ped|ping|ed|ing)?|restor\w+)\b",
        Meaning.DOUBT,
    ),
    LogPattern(r"\bha: starting\b", Meaning.PLATFORM),
    LogPattern(r"\bpowered on\b", Meaning.START),
    LogPattern(r"\bvm has reset\b", Meaning.RESET),
    LogPattern(r"\bmigrat(ing|ed)\b", Meaning.MOVE),
    LogPattern(r"\bnode\b.*\b(not responding|offline|online)\b", Meaning.HARMLESS),
    LogPattern(
        r"\b(un)?responsive\b|^tag\b|\brenamed\b|\bcreated\b|\bnot enough resources\b",
        Meaning.HARMLESS,
    ),
)
"""
Texts seen in documents, most telling first; the first that is found decides.

No real text of a power event is known for certain. What none of these explains is doubt, and
doubt never acts: an operator reads the row in `explain` and adds what it means.
"""


class LogClassifier:
    """The wordings of one site, ready to be looked up."""

    def __init__(self, wordings: Sequence[LogPattern] = LOG_PATTERNS) -> None:
        self._wordings = [
            (compile_log_pattern(wording.pattern), wording.means) for wording in wordings
        ]

    def meaning(self, text: str) -> Meaning | None:
        """Return what *text* means; None where no wording explains it."""
        nameless = NAMES.sub("''", text)
        for pattern, means in self._wordings:
            if pattern.search(nameless):
                return means
        return None
