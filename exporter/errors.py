"""
The errors that Vergewatch raises.

Every message names the object and the place, and none contains a secret.
"""

import os


class VergewatchError(Exception):
    """Base class of all errors of Vergewatch."""


class PrometheusError(VergewatchError):
    """
    Prometheus did not answer a query.

    Args:
        unreachable: Whether it cannot be reached, or fails.

    """

    def __init__(self, text: str, *, unreachable: bool = False) -> None:
        super().__init__(text)
        self.unreachable = unreachable


class ConfigError(VergewatchError):
    """
    An invalid setting or option: the process exits with 2.

    The message names it, its source and the remedy.
    """


class UnavailableError(ConfigError):
    """Something is temporarily unavailable, such as an address in use: the process exits with 1."""


class NotKnownYetError(VergewatchError):
    """Something was asked for that was not read yet; half an answer would mislead."""


class JournalError(VergewatchError):
    """The journal cannot be read or written; recovery sends no action meanwhile."""


class JournalLostError(JournalError):
    """What was read of the journal no longer holds: it must be opened and read again."""


class IntentOpenError(JournalError):
    """The VM has an open action."""


class LimitReachedError(JournalError):
    """The actions in the journal leave no room for another one."""


class LeaseLostError(JournalLostError):
    """The replica does not lead recovery, so it writes nothing."""


class VergeOSError(VergewatchError):
    """A failed request to VergeOS: the poll of this table fails, and its last good rows stay."""

    outcome = "error"
    """The value of the metrics' ``outcome`` label."""
    repeatable = True
    """Whether the request may be repeated; an action may not."""


class UnreachableError(VergeOSError):
    """VergeOS sent no HTTP response: the connection broke, or the time is over."""

    outcome = "unreachable"


class AbsentError(UnreachableError):
    """No connection could be made: it was refused, or TLS or DNS failed."""


class UnauthorizedError(VergeOSError):
    """VergeOS refused the credentials (401); a repetition may lock the account."""

    outcome = "unauthorized"


class ForbiddenError(VergeOSError):
    """The user lacks the permission for this request (403)."""

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


class ThrottledError(VergeOSError):
    """VergeOS asked to wait (429, or 503 with ``Retry-After``); no request is sent meanwhile."""

    outcome = "throttled"

    def __init__(self, path: str, because: str, *, wait_seconds: float) -> None:
        super().__init__(
            f"{path}: VergeOS asked to wait ({because}); "
            f"no request is sent for {wait_seconds:.0f} s"
        )
        self.wait_seconds = wait_seconds


class NotSentError(VergeOSError):
    """An action was not sent, so it had no effect."""

    outcome = "not_sent"


class BadReplyError(VergeOSError):
    """The response has an unexpected status, size or shape."""

    outcome = "bad_reply"

    def __init__(
        self, path: str, problem: str, *, status: int | None = None, is_foreign: bool = False
    ) -> None:
        super().__init__(f"{path} {problem}")
        self.path = path
        self.status = status
        self.is_foreign = is_foreign
        """Whether the body is none that VergeOS sends: something else has answered."""


def system_reason(error: OSError) -> str:
    """Return the text of the operating system for *error*."""
    known = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else ""
    return known or error.strerror or type(error).__name__
