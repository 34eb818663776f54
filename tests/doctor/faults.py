"""The fault of the simulator that causes a finding of each check, at each of its levels."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from exporter.doctor.check import Check
from exporter.doctor.registry import CHECKS
from exporter.model import Level


class Cause(NamedTuple):
    """A fault, and its parameters."""

    fault: str
    parameters: Mapping[str, Any] = {}


CAUSES: Mapping[tuple[str, Level], Cause] = {
    ("connectivity", Level.CRITICAL): Cause("status", {"code": 503, "text": "out of order"}),
    ("clusters", Level.WARNING): Cause("cluster_reduced"),
}
"""By check and level; a check without one fails a test."""


class Expected(NamedTuple):
    """A finding that a fault has to cause."""

    check: Check
    level: Level

    def __str__(self) -> str:
        return f"{self.check.name}-{self.level}"

    @property
    def cause(self) -> Cause:
        return CAUSES[self.check.name, self.level]


def expected_findings() -> Iterator[Expected]:
    """Yield every check with each of its levels."""
    for check in CHECKS:
        if not check.always_skipped:
            yield from (Expected(check, level) for level in check.levels)
