"""All checks, in the order in which they are printed."""

from exporter.doctor import clusters, networks
from exporter.doctor.check import Check

CHECKS: tuple[Check, ...] = tuple(
    check for module in (clusters, networks) for check in module.CHECKS
)
