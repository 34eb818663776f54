"""
All collectors, in the order of their families on the page.

A new collector is added here, and nowhere else.
"""

from exporter.collectors import (
    cluster_status,
    clusters,
    disks,
    guests,
    nics,
    nodes,
    recovery,
    system,
    vms,
)

COLLECTORS = tuple(
    module.COLLECTOR
    for module in (system, clusters, cluster_status, nodes, vms, guests, nics, disks, recovery)
)
FAMILIES = tuple(family for collector in COLLECTORS for family in collector.families)
