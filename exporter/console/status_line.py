"""The state of the systems and of their recovery in one line, for ``systemctl status``."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from exporter.console.health import state_of
from exporter.formatting import counted, plain
from exporter.model import RecoveryReport, SystemReport
from exporter.recovery.report.presentation import present_readiness

MAX_NAMES = 3


def status_line(reports: Sequence[SystemReport], reload_problem: str) -> str:
    """
    Return the line.

    Args:
        reports: Of every system.
        reload_problem: What of the configuration is not in force, in sentences; empty if all is.

    """
    up = sum(report.up for report in reports)
    states = _names_by((state_of(one).value, one) for one in reports if not one.up)
    systems = "; ".join(
        (
            f"{up} of {counted(len(reports), 'system')} up",
            *(f"{_listed(names)}: {state}" for state, names in states.items()),
        )
    )
    recovery = _names_by((_readiness(one.recovery), one) for one in reports)
    recoveries = "; ".join(
        state if len(recovery) == 1 else f"{_listed(names)}: {state}"
        for state, names in recovery.items()
    )
    parts = [f"{systems}."] + [f"Recovery: {recoveries}."] * bool(reports)
    return plain(" ".join([*parts, *filter(None, (reload_problem,))]))


def _readiness(recovery: RecoveryReport | None) -> str:
    if recovery is None:
        return "off"
    return f"{recovery.mode}, {present_readiness(recovery.readiness).label}"


def _names_by(pairs: Iterable[tuple[str, SystemReport]]) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for text, report in pairs:
        found[text].append(report.system_name)
    return found


def _listed(names: Sequence[str]) -> str:
    more = [f"{len(names) - MAX_NAMES} more"] * (len(names) > MAX_NAMES)
    return ", ".join([*names[:MAX_NAMES], *more])
