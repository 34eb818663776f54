"""The life of a VM through pyvergeos, VergeOS' own SDK; our metrics follow each step."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from pyvergeos import VergeClient
from pyvergeos.exceptions import APIError, ConflictError, NotFoundError, ValidationError
from pyvergeos.resources.vms import VM

from exporter.simulator import Simulator
from exporter.simulator.certificate import self_signed
from tests.daemon_process import Daemon, Page, pointing_at, running, simulating

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")

GIB = 1024**3
NAME, STOPPED = "walker", "sleeper"
SIZES = {"os": 10 * GIB, "data": 20 * GIB}
AT_ONCE = {"VERGEWATCH_POLL__RARE_SECONDS": "2"}


@dataclass(frozen=True)
class Stage:
    """A simulated system, the vendor's client of it, and the daemon that watches it."""

    system: Simulator
    client: VergeClient
    daemon: Daemon

    async def do(self, step: Callable[[VergeClient], Any]) -> Any:
        """Return what a blocking call of the SDK returns, while the simulator answers it."""
        return await asyncio.to_thread(step, self.client)

    async def seen(self, holds: Callable[["Metrics"], bool], *, vm: str = NAME) -> None:
        """Wait until the metrics of a VM are as expected."""
        await self.daemon.page_where(lambda page: holds(Metrics(page, vm)))

    def log(self) -> list[tuple[str, str]]:
        """Return who did what to the VM, as the platform log says."""
        rows = self.system.world.platform_log.logs
        return [(row.user, row.text) for row in rows if row.object_name == NAME]


@dataclass(frozen=True)
class Metrics:
    """The metrics of one VM."""

    page: Page
    vm: str

    def value(self, name: str) -> float | None:
        found = self.page.get(f"vergewatch_vm_{name}", vm_name=self.vm)
        return found[0] if found else None

    def of_parts(self, name: str, label: str) -> dict[str, float]:
        """Return a value of each drive or NIC of the VM."""
        samples = self.page.samples.get(f"vergewatch_vm_{name}", {})
        rows = ((dict(labels), value) for labels, value in samples.items())
        return {row[label]: value for row, value in rows if row["vm_name"] == self.vm}

    def labels(self, name: str, label: str, value: str) -> dict[str, str]:
        """Return for each part that the info metric *name* describes another of its labels."""
        samples = self.page.samples.get(f"vergewatch_vm_{name}", {})
        rows = (dict(labels) for labels in samples)
        return {row[label]: row[value] for row in rows if row["vm_name"] == self.vm}


class Sdk(NamedTuple):
    """A simulated system and the vendor's client of it, which trusts its certificate."""

    system: Simulator
    client: VergeClient
    certificate: Path


@pytest.fixture
async def sdk() -> AsyncIterator[Sdk]:
    with self_signed() as certificate:
        async with simulating(vms=12, burst_limit=None, ssl_context=certificate.context) as system:
            session = requests.Session()
            session.verify, session.trust_env = str(certificate.file), False
            client = VergeClient(
                system.url.removeprefix("https://"),
                token=system.api_key,
                session=session,
                close_session=True,
                auto_connect=False,
            )
            await asyncio.to_thread(client.connect)
            yield Sdk(system, client, certificate.file)
            client.disconnect()


@pytest.fixture
async def stage(sdk: Sdk) -> AsyncIterator[Stage]:
    trusting = {"VERGEWATCH_TLS__CA_FILE": str(sdk.certificate)}
    async with running({**pointing_at(sdk.system), **trusting, **AT_ONCE}) as daemon:
        await daemon.until_up()
        yield Stage(sdk.system, sdk.client, daemon)


def create(client: VergeClient) -> VM:
    """Create a VM with two drives, two NICs and a device of a node."""
    vm = client.vms.create(NAME, ram=2048, cpu_cores=2, description="a walk through its life")
    vm.drives.create(size_gb=10, name="os", tier=1)
    vm.drives.create(size_gb=20, name="data", tier=3, interface="virtio")
    vm.nics.create(network="Internal", name="lan")
    vm.nics.create(network="External", name="wan", interface="e1000", ip_address="192.0.2.7")
    pool = client.resource_groups.create("cards", device_type="node_pci_devices")
    vm.devices.create_pci(pool.key, name="card")  # type: ignore[arg-type]  # the key is a UUID
    return vm


async def test_metrics_follow_a_vm_through_its_life(stage: Stage) -> None:
    vm = await stage.do(create)

    await creation_is_seen(stage)
    await power_on_is_seen(stage, vm)
    await configuration_is_seen(stage, vm)
    await snapshot_and_clone_are_seen(stage, vm)
    await restores_are_seen(stage, vm)
    await deletion_is_seen(stage, vm)
    for text in (
        f"VM '{NAME}' created",
        f"Drive 'data' added to VM '{NAME}'",
        f"NIC 'wan' added to VM '{NAME}'",
        f"Device 'card' added to VM '{NAME}'",
        f"VM '{NAME}' modified",
        f"Drive 'more' of VM '{NAME}' hot-plugged",
        f"Snapshot 'before' of VM '{NAME}' created",
        f"VM '{NAME}' cloned to 'twin'",
        f"VM '{NAME}' restored from snapshot 'before'",
        f"VM '{NAME}' deleted",
    ):
        assert (stage.system.username, text) in stage.log()


async def creation_is_seen(stage: Stage) -> None:
    await stage.seen(lambda now: now.value("running") == 0)
    await stage.seen(lambda now: now.value("configured_cpu_cores") == 2)
    await stage.seen(lambda now: now.value("configured_memory_bytes") == 2 * GIB)
    await stage.seen(lambda now: now.of_parts("disk_size_bytes", "disk") == SIZES)
    await stage.seen(
        lambda now: now.labels("disk_info", "disk", "storage_tier") == {"os": "1", "data": "3"}
    )
    down = {"lan": "down", "wan": "down"}
    await stage.seen(lambda now: now.labels("nic_status_info", "nic", "status") == down)
    await stage.seen(
        lambda now: now.labels("device_info", "device", "type") == {"card": "node_pci_devices"}
    )


async def power_on_is_seen(stage: Stage, vm: VM) -> None:
    await stage.do(lambda _: vm.power_on())

    await stage.seen(lambda now: now.value("running") == 1)
    await stage.seen(lambda now: now.value("running_cpu_cores") == 2)
    up = {"lan": "up", "wan": "up"}
    await stage.seen(lambda now: now.labels("nic_status_info", "nic", "status") == up)
    await stage.seen(lambda now: set(now.of_parts("disk_reads_total", "disk")) == {"os", "data"})


async def configuration_is_seen(stage: Stage, vm: VM) -> None:
    """Cores and memory wait for a restart; a hot-plugged drive does not."""
    await stage.do(lambda _: vm.save(cpu_cores=4, ram=4096))
    await stage.seen(lambda now: now.value("need_restart") == 1)
    await stage.seen(lambda now: now.value("configured_cpu_cores") == 4)
    await stage.seen(lambda now: now.value("running_cpu_cores") == 2)
    await stage.seen(lambda now: now.value("running_memory_bytes") == 2 * GIB)

    await stage.do(lambda _: vm.hotplug_drive("more", 5 * GIB))
    await stage.seen(lambda now: "more" in now.of_parts("disk_reads_total", "disk"))
    await stage.do(lambda _: vm.drives.delete(vm.drives.get(name="more").key))
    await stage.seen(lambda now: now.of_parts("disk_size_bytes", "disk") == SIZES)

    await stage.do(lambda _: vm.power_off(force=True))
    await stage.seen(lambda now: now.value("running") == 0)
    await stage.do(lambda _: vm.power_on())
    await stage.seen(lambda now: now.value("running_cpu_cores") == 4)
    await stage.seen(lambda now: now.value("running_memory_bytes") == 4 * GIB)
    await stage.seen(lambda now: now.value("need_restart") == 0)


async def snapshot_and_clone_are_seen(stage: Stage, vm: VM) -> None:
    taken = await stage.do(lambda _: vm.snapshots.create("before", retention=0))
    await stage.seen(lambda now: now.value("snapshots") == 1)
    snapshot = await stage.do(lambda _: vm.snapshots.get(name="before"))
    assert snapshot.key == int(taken["$key"])
    assert snapshot.is_manual
    assert snapshot.never_expires

    await stage.do(lambda _: vm.clone("twin"))
    await stage.seen(lambda now: now.of_parts("disk_size_bytes", "disk") == SIZES, vm="twin")

    def addresses(client: VergeClient) -> set[str | None]:
        both = (vm, client.vms.get(name="twin"))
        return {nic.mac_address for one in both for nic in one.nics.list()}

    assert len(await stage.do(addresses)) == 4


async def restores_are_seen(stage: Stage, vm: VM) -> None:
    """Restore the VM in place, and as another VM."""
    await stage.do(lambda _: vm.power_off(force=True))
    await stage.seen(lambda now: now.value("running") == 0)
    await stage.do(lambda _: vm.save(cpu_cores=1, ram=1024))
    await stage.do(lambda _: vm.drives.delete(vm.drives.get(name="data").key))
    await stage.seen(lambda now: now.value("configured_cpu_cores") == 1)
    await stage.seen(lambda now: set(now.of_parts("disk_size_bytes", "disk")) == {"os"})

    await stage.do(lambda _: vm.refresh())
    snapshot = await stage.do(lambda _: vm.snapshots.get(name="before"))
    await stage.do(lambda _: vm.snapshots.restore(snapshot.key, replace_original=True))
    await stage.seen(lambda now: now.value("configured_cpu_cores") == 4)
    await stage.seen(lambda now: now.of_parts("disk_size_bytes", "disk") == SIZES)
    await stage.seen(lambda now: now.value("need_restart") == 0)

    await stage.do(lambda _: snapshot.restore(name="again"))
    await stage.seen(lambda now: now.value("configured_cpu_cores") == 4, vm="again")


async def deletion_is_seen(stage: Stage, vm: VM) -> None:
    await stage.do(lambda _: vm.delete())
    await stage.seen(lambda now: now.value("running") is None)
    await stage.seen(lambda now: not now.of_parts("disk_size_bytes", "disk"))


async def test_refusals_of_the_simulator_are_errors_of_the_sdk(sdk: Sdk) -> None:
    client = sdk.client

    def walk() -> None:
        vm = client.vms.create(NAME)
        vm.nics.create(network="Internal", name="lan")
        with pytest.raises(ConflictError):
            client.vms.create(NAME)
        with pytest.raises(ConflictError):
            vm.nics.create(network="Internal", name="lan")
        with pytest.raises(NotFoundError):
            vm.nics.create(network=9999)
        with pytest.raises(ValidationError, match="not in list for field 'interface'"):
            vm.drives.create(size_gb=1, interface="floppy")
        with pytest.raises(APIError, match="Cannot power on VM"):
            vm.save(enabled=False).power_on()
        vm.save(enabled=True)
        with pytest.raises(APIError, match="not running"):
            vm.reset()
        vm.delete()
        with pytest.raises(NotFoundError):
            client.vms.get(vm.key)

    await asyncio.to_thread(walk)


async def test_hot_plugged_parts_of_a_vm_that_is_off_are_rolled_back(sdk: Sdk) -> None:
    client = sdk.client

    def walk() -> None:
        vm = client.vms.create(NAME)
        with pytest.raises(APIError, match="not running"):
            vm.hotplug_nic("late", network=client.networks.get(name="Internal").key)
        assert vm.nics.list() == []

    await asyncio.to_thread(walk)


LISTS: Mapping[str, Callable[[VergeClient], Sequence[Any]]] = {
    name: lambda client, name=name: getattr(client, name).list()
    for name in (
        *("alarms", "api_keys", "certificates", "cloud_snapshots", "cluster_status", "clusters"),
        *("logs", "machine_drive_stats", "machine_nic_fabric_status", "machine_nic_stats"),
        *("machine_nic_status", "machine_nics", "networks", "node_lldp_neighbors", "node_memory"),
        *("nodes", "physical_drives", "resource_groups", "site_syncs", "site_syncs_incoming"),
        *("snapshot_profiles", "storage_tiers", "tag_categories", "tags", "tasks", "tenants"),
        *("update_branches", "update_source_packages", "update_source_status", "update_sources"),
        *("users", "vms"),
    )
} | {
    "alarms of VMs": lambda client: client.alarms.list_by_owner_type("VM"),
    "alarm summary": lambda client: [client.alarms.get_summary()],
    "certificates that expire": lambda client: client.certificates.list_expiring(days=4000),
    "devices of a VM": lambda client: client.vms.list()[0].devices.list(),
    "drives of a VM": lambda client: client.vms.list()[0].drives.list(),
    "internal networks": lambda client: client.networks.list_internal(),
    "layer 2 of a tenant": lambda client: client.tenants.list()[0].l2_networks.list(),
    "licenses": lambda client: client.system.licenses.list(),
    "logs of a machine": lambda client: client.vms.get(name=STOPPED).machine_logs.list(),
    "members of a tag": lambda client: client.tags.list()[0].members.list(),
    "neighbors of a node": lambda client: client.nodes.list()[0].lldp_neighbors.list(),
    "network history": lambda client: client.networks.get(name="External").stats.history_short(
        limit=5
    ),
    "networks that run": lambda client: client.networks.list_running(),
    "NICs of a node": lambda client: client.nodes.list()[0].nics.list(),
    "NICs of a VM": lambda client: client.vms.list()[0].nics.list(),
    "nodes of a tenant": lambda client: client.tenants.list()[0].nodes.list(),
    "nodes that run": lambda client: client.nodes.list(filter="running eq true"),
    "settings": lambda client: client.system.settings.list(),
    "snapshots of a VM": lambda client: client.vms.list()[0].snapshots.list(),
    "statistics of a VM": lambda client: [client.vms.list()[0].stats.get()],
    "status of a VM": lambda client: [client.vms.list()[0].machine_status.get()],
    "storage of a tenant": lambda client: client.tenants.list()[0].storage.list(),
    "storage tier summary": lambda client: [client.storage_tiers.get_summary()],
    "tenant history": lambda client: client.tenants.list()[0].stats.history_short(limit=5),
    "tenants that run": lambda client: client.tenants.list_running(),
    "tiers of a cluster": lambda client: client.clusters.list()[0].tiers.list(),
    "users of the API": lambda client: client.users.list_api_users(),
    "VMs that run": lambda client: client.vms.list(filter="running eq true"),
    "VMs that are off": lambda client: client.vms.list_stopped(),
}
"""Calls of the SDK that list rows."""


@pytest.mark.parametrize("what", LISTS)
async def test_lists_of_the_sdk_have_rows(sdk: Sdk, what: str) -> None:
    world = sdk.system.world
    world.creates(STOPPED, running=False)
    first, *_ = world.live_vms()
    world.out_of_space(first)
    world.task_stops(first)

    rows = await asyncio.to_thread(LISTS[what], sdk.client)

    assert rows
    assert {request.status for request in sdk.system.requests} == {200}
