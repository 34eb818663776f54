"""All checks, in the order in which they are printed."""

from exporter.doctor import clusters, fabric, nodes
from exporter.doctor.check import Check

CHECKS: tuple[Check, ...] = tuple(
    check for module in (clusters, nodes, fabric) for check in module.CHECKS
)
