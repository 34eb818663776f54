"""
All collectors, in the order of their families on the page.

A new collector is added here, and nowhere else.
"""

from exporter.collectors import (
    cluster_headroom,
    cluster_status,
    cluster_tiers,
    clusters,
    disks,
    doctor,
    guests,
    machine_devices,
    nics,
    node_details,
    node_fabric,
    node_gpus,
    node_lldp,
    node_loads,
    node_memory,
    node_nics,
    nodes,
    physical_drives,
    recovery,
    storage_tiers,
    system,
    tenant_networks,
    tenant_nodes,
    tenant_stats,
    tenant_storage,
    tenants,
    update_settings,
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
        cluster_headroom,
        cluster_tiers,
        storage_tiers,
        physical_drives,
        update_settings,
        nodes,
        node_details,
        node_loads,
        node_nics,
        node_memory,
        node_fabric,
        node_lldp,
        node_gpus,
        vms,
        guests,
        nics,
        disks,
        machine_devices,
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
