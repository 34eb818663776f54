"""The table ``vms``. Fields: docs/vergeos-api.md."""

from exporter.simulator.api.tables.columns import (
    Link,
    Table,
    attribute,
    by_key,
    computed,
    constant,
    live,
)
from exporter.simulator.api.tables.snapshots import profile_of

_VMS = Table(
    name="vms",
    rows=lambda view: view.world.vms.values(),
    find=by_key(lambda view: view.world.vms),
    columns={
        "$key": attribute("key"),
        "machine": attribute("machine.key", leads_to="machines"),
        "name": attribute("name"),
        "description": attribute("description"),
        "enabled": attribute("enabled"),
        "created": attribute("created"),
        "modified": attribute("modified"),
        "is_snapshot": attribute("is_snapshot"),
        "uuid": attribute("uuid"),
        "owner": attribute("owner"),
        "owner_user": constant(None),
        "creator": attribute("creator"),
        "cluster": attribute("machine.cluster", leads_to="clusters"),
        "cluster_failover": attribute("machine.cluster_failover", leads_to="clusters"),
        "cpu_cores": attribute("machine.cores"),
        "cpu_type": constant("host"),
        "ram": attribute("machine.memory_mb"),
        "machine_type": attribute("machine_type"),
        "iommu": constant(value=False),
        "usb_legacy": constant(value=False),
        "uefi": attribute("uefi"),
        "secure_boot": constant(value=False),
        "boot_order": constant("cd"),
        "boot_delay": constant(5),
        "console": constant("vnc"),
        "video": constant("std"),
        "sound": constant("none"),
        "serial_port": constant(value=False),
        "os_family": attribute("os_family"),
        "os_description": attribute("os_description"),
        "rtc_base": constant("utc"),
        "allow_hotplug": constant(value=True),
        "guest_agent": attribute("guest_agent"),
        "nested_virtualization": constant(value=False),
        "disable_hypervisor": constant(value=False),
        "allow_export": constant(value=True),
        "cloudinit_datasource": constant("none"),
        "preferred_node": attribute("machine.preferred_node", leads_to="nodes"),
        "ha_group": attribute("machine.ha_group"),
        "snapshot_profile": live(profile_of, leads_to="snapshot_profiles"),
        "on_power_loss": attribute("on_power_loss"),
        "migration_method": attribute("machine.migration_method"),
        "power_cycle_timeout": constant(0),
        "disable_powercycle": attribute("disable_powercycle"),
        "need_restart": attribute("need_restart"),
        "created_from": attribute("created_from"),
        "imported": computed(lambda vm: str(vm.created_from).startswith("import")),
        "service": attribute("service"),
        "recipe_instance": constant(None),
        "note": constant(""),
        "advanced": constant(""),
        "meta": constant([], blob=True),
        "console_status": constant(None),
    },
    links={
        "machine": Link("machines", lambda vm, _view: vm.machine),
        "cluster": Link("clusters", lambda vm, view: view.world.clusters.get(vm.machine.cluster)),
        "cluster_failover": Link(
            "clusters", lambda vm, view: view.world.clusters.get(vm.machine.cluster_failover)
        ),
        "preferred_node": Link(
            "nodes", lambda vm, view: view.world.nodes.get(vm.machine.preferred_node)
        ),
    },
    default=("$key", "name", "description", "enabled", "machine", "cluster", "cpu_cores", "ram"),
    hidden_from_all=("snapshot_profile", "console_status", "recipe_instance"),
)


TABLES = (_VMS,)
