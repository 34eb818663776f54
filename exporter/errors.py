"""
What can go wrong, and who has to do something about it.

VergewatchError
├── ConfigError             the operator; the process exits with 2
│   └── UnavailableError    the machine, which may come round; the process exits with 1
├── JournalError            the operator; recovery acts on nothing while it lasts
│   └── IntentOpenError     nobody: one action at a time for each VM
└── VergeOSError            nobody yet: this reading is lost, the last good one stays
    ├── UnreachableError    no HTTP answer: the connection broke, or time ran out
    │   └── AbsentError     not even a connection: refused, TLS or DNS failed
    ├── UnauthorizedError   401: asking again can lock the account, so nobody does
    ├── ForbiddenError      403: this table is not for this user
    ├── BudgetSpentError    we did not even ask
    ├── NotSentError        what would have changed something never left here
    └── BadReplyError       an answer whose status, size or shape we do not understand

Every message names the thing and the place, and none carries a secret.
"""

import os


class VergewatchError(Exception):
    """Anything that Vergewatch raises on purpose."""


class ConfigError(VergewatchError):
    """The operator asked for something that cannot be; the message says what, where and how."""


class UnavailableError(ConfigError):
    """What was asked for cannot be had now, and may be had later: an address, for one."""


class JournalError(VergewatchError):
    """The journal cannot be read or written; the message says where and why."""


class IntentOpenError(JournalError):
    """The VM has an intent whose outcome is not known yet."""


class VergeOSError(VergewatchError):
    """A request to VergeOS that brought nothing usable."""

    outcome = "error"
    """The word for this failure, as the metrics' ``outcome`` label says it."""
    repeatable = True
    """Whether the request may be made again; what changes something over there may not."""


class UnreachableError(VergeOSError):
    """No HTTP answer came."""

    outcome = "unreachable"


class AbsentError(UnreachableError):
    """No connection could be made, so nothing else can be asked either."""


class UnauthorizedError(VergeOSError):
    """VergeOS refused who we are; asking again may lock the account for everybody."""

    outcome = "unauthorized"


class ForbiddenError(VergeOSError):
    """VergeOS knows us and will not show us this."""

    outcome = "forbidden"


class BudgetSpentError(VergeOSError):
    """The hourly allowance of requests is used up; nothing was sent."""

    outcome = "budget_spent"

    def __init__(self, path: str, *, wait_seconds: float) -> None:
        super().__init__(
            f"{path} was not asked: this hour's requests are spent, "
            f"the next one is free in {wait_seconds:.0f} s"
        )
        self.wait_seconds = wait_seconds


class NotSentError(VergeOSError):
    """A request that acts was not sent, so surely nothing came of it."""

    outcome = "not_sent"


class BadReplyError(VergeOSError):
    """VergeOS answered with a status, a size or a shape we do not understand."""

    outcome = "bad_reply"

    def __init__(self, path: str, problem: str, *, status: int | None = None) -> None:
        super().__init__(f"{path} {problem}")
        self.path = path
        self.status = status


def system_reason(error: OSError) -> str:
    """Return what the operating system says of *error*, in the words that people know."""
    known = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else ""
    return known or error.strerror or type(error).__name__
