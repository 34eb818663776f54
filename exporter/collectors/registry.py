"""
All collectors, in the order of their families on the page.

A new collector is added here, and nowhere else.
"""

from exporter.collectors import (
    cluster_status,
    cluster_tiers,
    clusters,
    disks,
    doctor,
    guests,
    machine_devices,
    nics,
    nodes,
    physical_drives,
    recovery,
    storage_tiers,
    system,
    update_settings,
    vm_tags,
    vms,
)

COLLECTORS = tuple(
    module.COLLECTOR
    for module in (
        system,
        clusters,
        cluster_status,
        cluster_tiers,
        storage_tiers,
        physical_drives,
        update_settings,
        nodes,
        vms,
        guests,
        nics,
        disks,
        machine_devices,
        doctor,
        recovery,
        vm_tags,
    )
)
FAMILIES = tuple(family for collector in COLLECTORS for family in collector.families)
