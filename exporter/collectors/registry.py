"""
All collectors, in the order of their families on the page.

A new collector is added here, and nowhere else.
"""

from exporter.collectors import (
    accounts,
    alarms,
    certificates,
    cluster_status,
    cluster_tiers,
    clusters,
    disks,
    doctor,
    guests,
    licenses,
    machine_devices,
    nics,
    nodes,
    physical_drives,
    recovery,
    replication,
    snapshot_profiles,
    storage_tiers,
    system,
    system_snapshots,
    update_settings,
    vm_snapshots,
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
        vm_snapshots,
        snapshot_profiles,
        system_snapshots,
        replication,
        alarms,
        certificates,
        licenses,
        accounts,
        doctor,
        recovery,
    )
)
FAMILIES = tuple(family for collector in COLLECTORS for family in collector.families)
