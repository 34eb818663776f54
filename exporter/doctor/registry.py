"""All checks, in the order in which they are printed."""

from exporter.doctor import clusters, storage
from exporter.doctor.check import Check

CHECKS: tuple[Check, ...] = tuple(
    check for module in (clusters, storage) for check in module.CHECKS
)
