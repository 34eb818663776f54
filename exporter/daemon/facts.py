"""What the page Data shows of the daemon itself."""

import platform
import resource
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from exporter import __version__
from exporter.clock import Clock
from exporter.config.setting_lines import setting_lines
from exporter.console.daemon_facts import DaemonFacts, LoopLag, SystemPlan
from exporter.daemon.reload import Reload
from exporter.daemon.watchdog import EVERY_SECONDS

MEASUREMENTS = int(60 / EVERY_SECONDS)
_STATM = Path("/proc/self/statm")


class RecentLag:
    """The event loop's lag in the last minute."""

    def __init__(self, observe: Callable[[float], None]) -> None:
        self._observe = observe
        self._measured: deque[float] = deque(maxlen=MEASUREMENTS)

    def observe(self, seconds: float) -> None:
        """Count a measurement, also in the metric."""
        self._measured.append(seconds)
        self._observe(seconds)

    def newest(self) -> LoopLag | None:
        """Return what was measured; None if nothing was."""
        measured = self._measured
        if not measured:
            return None
        return LoopLag(max(measured), sum(measured) / len(measured), len(measured))


class Facts:
    """
    Collects the facts when a page asks for them.

    Args:
        plans: Returns what the requests of each system are planned from.
        reload: Has the settings in force, and the result of the last reload.

    """

    def __init__(
        self,
        plans: Callable[[], Mapping[str, SystemPlan]],
        reload: Reload,
        lag: RecentLag,
        clock: Clock,
    ) -> None:
        self._plans, self._reload, self._lag = plans, reload, lag
        self._started_at = clock.now()

    def __call__(self) -> DaemonFacts:
        """Return the facts of now."""
        return DaemonFacts(
            version=__version__,
            python=platform.python_version(),
            started_at=self._started_at,
            resident_bytes=_resident_bytes(),
            lag=self._lag.newest(),
            reload=self._reload.last,
            settings=setting_lines(self._reload.in_force),
            plans=self._plans(),
        )


def _resident_bytes() -> int | None:
    """Return the memory of this process; None where the kernel does not tell."""
    try:
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        return None
