"""
The errors that Vergewatch raises, and who handles them.

VergewatchError
├── ConfigError             the operator; the process exits with 2
│   └── UnavailableError    temporary; the process exits with 1
├── JournalError            the operator; recovery sends no action meanwhile
│   └── IntentOpenError     internal: one open action per VM
└── VergeOSError            temporary: this poll fails, the last good rows stay
    ├── UnreachableError    no HTTP response: broken connection or timeout
    │   └── AbsentError     no connection: refused, TLS or DNS failed
    ├── UnauthorizedError   401: not repeated, which could lock the account
    ├── ForbiddenError      403: the user may not read this table
    ├── BudgetSpentError    the request was not sent
    ├── NotSentError        an action was not sent
    └── BadReplyError       a response with unexpected status, size or shape

Every message names the object and the place, and none contains a secret.
"""

import os


class VergewatchError(Exception):
    """Base class of all errors of Vergewatch."""


class ConfigError(VergewatchError):
    """An invalid setting or option; the message names it, its source and the remedy."""


class UnavailableError(ConfigError):
    """Something is temporarily unavailable, such as a listen address in use."""


class JournalError(VergewatchError):
    """The journal cannot be read or written."""


class IntentOpenError(JournalError):
    """The VM has an open action."""


class VergeOSError(VergewatchError):
    """A failed request to VergeOS."""

    outcome = "error"
    """The value of the metrics' ``outcome`` label."""
    repeatable = True
    """Whether the request may be repeated; an action may not."""


class UnreachableError(VergeOSError):
    """VergeOS sent no HTTP response."""

    outcome = "unreachable"


class AbsentError(UnreachableError):
    """No connection could be made."""


class UnauthorizedError(VergeOSError):
    """VergeOS refused the credentials; a repetition may lock the account."""

    outcome = "unauthorized"


class ForbiddenError(VergeOSError):
    """The user lacks the permission for this request."""

    outcome = "forbidden"


class BudgetSpentError(VergeOSError):
    """The hourly request budget is spent; the request was not sent."""

    outcome = "budget_spent"

    def __init__(self, path: str, *, wait_seconds: float) -> None:
        super().__init__(
            f"{path} was not requested: this hour's request budget is spent, "
            f"the next request is possible in {wait_seconds:.0f} s"
        )
        self.wait_seconds = wait_seconds


class NotSentError(VergeOSError):
    """An action was not sent, so it had no effect."""

    outcome = "not_sent"


class BadReplyError(VergeOSError):
    """The response has an unexpected status, size or shape."""

    outcome = "bad_reply"

    def __init__(self, path: str, problem: str, *, status: int | None = None) -> None:
        super().__init__(f"{path} {problem}")
        self.path = path
        self.status = status


def system_reason(error: OSError) -> str:
    """Return the text of the operating system for *error*."""
    known = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else ""
    return known or error.strerror or type(error).__name__
