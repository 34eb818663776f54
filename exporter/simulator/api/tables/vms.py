"""The table ``vms``. Fields: docs/vergeos-api.md."""

from exporter.simulator.api.tables.columns import (
    Link,
    Table,
    attribute,
    by_key,
    computed,
    constant,
    live,
    written,
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
        "owner_user": written("owner_user", default=None),
        "creator": attribute("creator"),
        "cluster": attribute("machine.cluster", leads_to="clusters"),
        "cluster_failover": attribute("machine.cluster_failover", leads_to="clusters"),
        "cpu_cores": attribute("machine.configured_cores"),
        "cpu_type": written("cpu_type", default="host"),
        "ram": attribute("machine.configured_memory_mb"),
        "machine_type": attribute("machine_type"),
        "iommu": written("iommu", default=False),
        "usb_legacy": written("usb_legacy", default=False),
        "uefi": attribute("uefi"),
        "secure_boot": written("secure_boot", default=False),
        "boot_order": written("boot_order", default="cd"),
        "boot_delay": written("boot_delay", default=5),
        "console": written("console", default="vnc"),
        "video": written("video", default="std"),
        "sound": written("sound", default="none"),
        "serial_port": written("serial_port", default=False),
        "os_family": attribute("os_family"),
        "os_description": attribute("os_description"),
        "rtc_base": written("rtc_base", default="utc"),
        "allow_hotplug": written("allow_hotplug", default=True),
        "guest_agent": attribute("guest_agent"),
        "nested_virtualization": written("nested_virtualization", default=False),
        "disable_hypervisor": written("disable_hypervisor", default=False),
        "allow_export": written("allow_export", default=True),
        "cloudinit_datasource": written("cloudinit_datasource", default="none"),
        "preferred_node": attribute("machine.preferred_node", leads_to="nodes"),
        "ha_group": attribute("machine.ha_group"),
        "snapshot_profile": live(profile_of, leads_to="snapshot_profiles"),
        "on_power_loss": attribute("on_power_loss"),
        "migration_method": attribute("machine.migration_method"),
        "power_cycle_timeout": written("power_cycle_timeout", default=0),
        "disable_powercycle": attribute("disable_powercycle"),
        "need_restart": attribute("machine.need_restart"),
        "created_from": attribute("created_from"),
        "imported": computed(lambda vm: str(vm.created_from).startswith("import")),
        "service": attribute("service"),
        "recipe_instance": written("recipe_instance", default=None),
        "note": written("note", default=""),
        "advanced": written("advanced", default=""),
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
