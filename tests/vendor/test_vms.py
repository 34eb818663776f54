"""VMs on the vendor's page, with its labels and zeros."""

from typing import Any

import pytest

from exporter.collectors.disks import MACHINE_DRIVE_STATS, MACHINE_DRIVES
from exporter.collectors.nics import MACHINE_NICS, NicStats
from exporter.collectors.vms import MACHINE_STATS
from exporter.exposition.formats import Format
from exporter.exposition.page import PageBuilder
from exporter.exposition.renderer import Renderer
from exporter.model import Cluster, Node
from exporter.vendor.vms import FAMILIES, NEEDED
from tests.exposition.builders import (
    config,
    disk,
    disk_stats,
    load,
    nic,
    status,
    stopped,
    system,
)

WEB = 'cluster="Harbour",node="node1",system_name="prod",vm_id="1",vm_name="web \\"1\\""'
OFF = 'cluster="cluster_7",node="",system_name="prod",vm_id="2",vm_name="off"'


def rows(**changes: Any) -> dict[str, Any]:
    default: dict[str, Any] = {
        "vms": (
            config(1, 'web "1"'),
            config(2, "off", cluster=7, enabled=False, cpu_cores=None, memory_bytes=None),
        ),
        "machine_status": {11: status(11), 12: stopped(12)},
        MACHINE_STATS.name: {11: load(12, 2048), 12: load(None, 512)},
        "clusters": {1: Cluster(1, "Harbour")},
        "nodes": {1: Node(1, "node1", 1, 91, None, None)},
        MACHINE_NICS.name: {
            11: (nic(1, 11, "eth0", tx_bytes=None), nic(2, 11, "eth1")),
            12: (nic(3, 12, "eth0"),),
        },
        MACHINE_DRIVES.name: {
            11: (disk(21, 11, "root"), disk(22, 11, "cd", media="cdrom", interface="ahci")),
            12: (disk(23, 12, "root", used_bytes=None),),
        },
        MACHINE_DRIVE_STATS.name: {21: disk_stats(util=None)},
    }
    default[MACHINE_NICS.name][11][1].stats = NicStats()  # VergeOS sent none
    return default | changes


def samples(found: dict[str, Any]) -> dict[str, str]:
    rendered = Renderer(FAMILIES).render(*system(found))
    text = PageBuilder(FAMILIES).page([rendered], Format.CLASSIC).plain(b"").read().decode()
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return dict(line.rsplit(" ", 1) for line in lines)


def of(name: str) -> dict[str, str]:
    """Return the samples of the family vergeos_*name*, by their labels."""
    start = f"vergeos_{name}{{"
    return {
        key.removeprefix(start).removesuffix("}"): value
        for key, value in samples(rows()).items()
        if key.startswith(start)
    }


@pytest.mark.parametrize(
    ("name", "web", "off"),
    [
        ("vm_running", "1.0", "0.0"),
        ("vm_enabled", "1.0", "0.0"),
        ("vm_cpu_cores", "4.0", "0.0"),
        ("vm_ram_bytes", "8.589934592e+09", "0.0"),
        ("vm_cpu_total", "12.0", "0.0"),
        ("vm_ram_used_bytes", "2.147483648e+09", "5.36870912e+08"),
    ],
)
def test_vm_that_is_off_has_what_its_rows_hold_and_zeros(name: str, web: str, off: str) -> None:
    assert of(name) == {WEB: web, OFF: off}


def test_nic_without_counters_is_left_out_and_a_missing_counter_is_zero() -> None:
    assert of("vm_nic_rx_bytes_total") == {
        WEB.replace("node=", 'nic_name="eth0",node='): "1.234567e+06",
        OFF.replace("node=", 'nic_name="eth0",node='): "1.234567e+06",
    }
    assert set(of("vm_nic_tx_bytes_total").values()) == {"0.0", "890.0"}


def test_every_disk_has_a_size_and_those_with_counters_their_load() -> None:
    root = WEB.replace("node=", 'disk_name="root",interface="virtio-scsi",media="disk",node=')
    cd = WEB.replace("node=", 'disk_name="cd",interface="ahci",media="cdrom",node=')
    off = OFF.replace("node=", 'disk_name="root",interface="virtio-scsi",media="disk",node=')

    assert of("vm_disk_used_bytes") == {
        root: "1.2000000001e+10",
        cd: "1.2000000001e+10",
        off: "0.0",
    }
    assert of("vm_disk_read_ops_total") == {root: "100.0"}
    assert of("vm_disk_util") == {root: "0.0"}
    assert of("vm_disk_service_time") == {root: "3.5"}


@pytest.mark.parametrize("lost", [table.name for table in NEEDED])
def test_no_vm_is_shown_while_a_table_is_stale_that_the_vendor_needs(lost: str) -> None:
    found = rows()
    del found[lost]

    assert samples(found) == {}
