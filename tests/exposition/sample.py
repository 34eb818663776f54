"""Two clouds with odd names, small enough to be checked by eye; every family has a sample."""

from collections.abc import Sequence
from typing import Any

import msgspec

from exporter.exposition.formats import Format
from exporter.exposition.page import Page
from exporter.exposition.renderer import Renderer
from exporter.model import (
    BudgetRemaining,
    Cluster,
    Filesystem,
    Identity,
    LastAction,
    MachineStats,
    Node,
    RecoveryReport,
    RecoveryVM,
)
from tests.exposition.pages import FAMILIES, page_of
from tests.exposition.builders import (
    AT,
    GUEST,
    Cloud,
    config,
    disk,
    disk_stats,
    inventory,
    nic,
    report,
    status,
    stopped,
    table,
)

NORTH, SOUTH = "Nordwolke", 'Süd "2" \\ backup'

NORTH_ROWS: dict[str, Any] = {
    "identity": Identity(NORTH, "26.1.8"),
    "vm_snapshots": 7,
    "clusters": {1: Cluster(1, "Production"), 2: Cluster(2, 'Test "lab"')},
    "nodes": {
        1: Node(1, "node1", 1, 91, maintenance=False, status=None),
        2: Node(2, "node\\2", 2, 92, maintenance=True, status=None),
        3: Node(3, "node3", None, None, maintenance=None, status=None),
    },
    "vms": (
        config(1, "web-1"),
        config(2, 'say "hi"', cluster=2, ha_group="+pair", need_restart=True),
        config(3, "C:\\temp\\new"),
        config(4, "two\nlines", enabled=False),
        config(5, "🦊 fox — naïve"),
        config(6, "שלום עולם"),
        config(7, "100%s {x} 'y'", cluster=77),
        config(
            8,
            "",
            cluster=None,
            enabled=None,
            need_restart=None,
            cpu_cores=None,
            memory_bytes=None,
            guest_agent=None,
        ),
    ),
    "machine_status": {
        11: status(11),
        12: status(12, node=2, word="migrating", migratable=False, agent_version=""),
        13: stopped(13, word="hibernated"),
        14: stopped(14),
        15: status(15),
        16: status(16, node=99, word="levitating", running=None, powered_on=None, migratable=None),
        17: status(17, started_at=None, updated_at=1_772_366_395.25, running_cpu_cores=None),
        # VM 8 has no status, and stays visible.
        91: status(91, agent_version=""),
        92: stopped(92, word="maintenance"),
    },
    "guests": {
        11: GUEST,
        14: GUEST,  # it is off; the platform keeps what it said
        15: msgspec.structs.replace(
            GUEST,
            os_name='Windows "Server" 2025',
            hostname="FOX",
            filesystems=(
                Filesystem("C:\\", "NTFS", 107_374_182_400, 2**53 + 2),
                Filesystem("/mnt/ж", "ext4", None, 0),
            ),
        ),
        16: GUEST,
    },
    "machine_stats": {
        11: MachineStats(11, 0.0112, 6_291_456_000),
        12: MachineStats(12, 0.0, None),
        14: MachineStats(14, 0.5, 1_000),  # it is off; the platform keeps the row
        15: MachineStats(15, 1.0, 0),
    },
    "machine_nics": {
        11: (nic(81, 11, "lan#81"), nic(82, 11, "lan#82", status=None, received_bytes=None)),
        15: (nic(85, 15, 'nic "é"', status="down", speed_bytes_per_second=0.0),),
    },
    "machine_drives": {
        11: (
            disk(111, 11, "system"),
            disk(112, 11, "cd\\rom", media="cdrom", tier="", size_bytes=None, used_bytes=0),
        ),
        14: (disk(141, 14, "data"),),
    },
    "machine_drive_stats": {111: disk_stats(111), 141: disk_stats(141, utilization_ratio=None)},
}

SOUTH_ROWS: dict[str, Any] = {
    "vms": (config(1, "web-1"), config(2, "web-2", cluster=None)),  # the other cloud has a web-1
    # machine_status could not be read for too long: VMs keep what they are meant to be.
    "machine_stats": {11: MachineStats(11, 0.25, 1_048_576)},
    "machine_drives": {12: (disk(121, 12, "data"),)},
    "machine_drive_stats": {},
}

CLOUDS: Sequence[Cloud] = (
    (
        inventory(NORTH_ROWS, NORTH, NORTH_ROWS["identity"]),
        report(
            NORTH,
            tables=(
                table("vms"),
                table("machine_status", duration_seconds=1.5, rows=1_000_000),
                table("machine_nics", every_seconds=60.0, rows_skipped_total=3),
            ),
            recovery=RecoveryReport(
                mode="enforce",
                readiness="active",
                because="all is well",
                ready=True,
                vms=(
                    RecoveryVM(1, "web-1", "on-failure", "healthy", AT),
                    RecoveryVM(2, 'say "hi"', "always", "quarantined", AT),
                    RecoveryVM(3, "web-2", "no", "held", AT),
                ),
                budgets_remaining=(
                    BudgetRemaining(2, 'say "hi"', 3600.0, 0),
                    BudgetRemaining(2, 'say "hi"', 86400.0, 3),
                ),
                last_actions=(LastAction(2, 'say "hi"', "poweron", "failed", AT),),
                open_actions=0,
                journal_problem="",
                inventory_at=AT,
            ),
        ),
    ),
    (
        inventory(SOUTH_ROWS, SOUTH),
        report(
            SOUTH,
            up=False,
            authenticated=False,
            requests_remaining=0,
            tables=(
                table("vms"),
                table("machine_status", success=False, fresh=False, failures_total=12),
                table(
                    "machine_nics",
                    success=None,
                    fresh=False,
                    last_success_at=None,
                    duration_seconds=None,
                    rows=None,
                ),
            ),
        ),
    ),
)


def page(form: Format, systems: Sequence[Cloud] = CLOUDS) -> Page:
    """Return the page of *clouds*, each drawn by a renderer of its own."""
    return page_of([Renderer(FAMILIES).render(*each) for each in systems], form)
