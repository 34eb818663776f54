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
    recovery,
    replication,
    snapshot_profiles,
    system,
    system_snapshots,
    tenant_networks,
    tenant_nodes,
    tenant_stats,
    tenant_storage,
    tenants,
    update_settings,
    vm_snapshots,
    vms,
    vnet_monitor,
    vnets,
)

COLLECTORS = tuple(
    module.COLLECTOR
    for module in (
        system,
        clusters,
        cluster_status,
        cluster_tiers,
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
        vnets,
        vnet_monitor,
        tenants,
        tenant_stats,
        tenant_nodes,
        tenant_storage,
        tenant_networks,
        doctor,
        recovery,
    )
)
FAMILIES = tuple(family for collector in COLLECTORS for family in collector.families)
