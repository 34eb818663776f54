"""What Prometheus says about a VM that recovery would act on."""

import math
from typing import NamedTuple


class ConfirmationQuery(NamedTuple):
    """A question to Prometheus about one VM."""

    vm_name: str
    uuid: str
    window_seconds: int
    """Only samples of the last so many seconds count."""


class Confirmation(NamedTuple):
    """The answer of Prometheus about one VM."""

    query: str
    """The query that was sent, or its template if none was."""
    values: tuple[float, ...] = ()
    """The value of every sample that it returned."""
    problem: str = ""
    """Why there is no result; empty if there is one."""
    unreachable: bool = False
    """Whether the problem is that Prometheus could not be reached, or was not able to answer."""

    @property
    def is_down(self) -> bool:
        """Whether every sample says that the VM is down, and there is one."""
        return bool(self.values) and all(
            value != 0 and not math.isnan(value) for value in self.values
        )

    @property
    def is_up(self) -> bool:
        """Whether every sample says that its service works, and there is one."""
        return bool(self.values) and all(value == 0 for value in self.values)


class TimedConfirmation(NamedTuple):
    """A confirmation, and when Prometheus was asked for it."""

    confirmation: Confirmation
    at: float
    """Seconds of monitored time."""
