"""All checks, in the order in which they are printed."""

from exporter.doctor import clusters, connectivity, fabric, nodes, vsan_journal
from exporter.doctor.check import Check

CHECKS: tuple[Check, ...] = tuple(
    check
    for module in (connectivity, clusters, nodes, fabric, vsan_journal)
    for check in module.CHECKS
)
