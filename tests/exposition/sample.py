"""Two small systems with unusual names; every metric family has a sample."""

from collections.abc import Sequence
from typing import Any

from exporter.exposition.formats import Format
from exporter.exposition.page import Page
from exporter.exposition.renderer import Renderer
from exporter.model import (
    BudgetRemaining,
    Cluster,
    Identity,
    LastAction,
    Node,
    OpenQuestion,
    RecoveryInput,
    RecoveryReport,
    RecoveryVM,
)
from tests.exposition.builders import (
    AT,
    GUEST,
    RenderInput,
    config,
    disk,
    disk_stats,
    filesystem,
    guest,
    inventory,
    load,
    nic,
    report,
    status,
    stopped,
    table,
)
from tests.exposition.pages import FAMILIES, page_of

NORTH, SOUTH = "Nordwolke", 'Süd "2" \\ backup'

NORTH_ROWS: dict[str, Any] = {
    "identity": Identity(NORTH, "26.1.8"),
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
        # VM 8 has no status and keeps its other series.
        91: status(91, agent_version=""),
        92: stopped(92, word="maintenance"),
    },
    "guests": {
        11: GUEST,
        14: GUEST,  # off; VergeOS keeps what the guest agent reported
        15: guest(
            pretty_name='Windows "Server" 2025',
            hostname="FOX",
            fsinfo=[
                filesystem("C:\\", 107_374_182_400, 2**53 + 2),
                filesystem("/mnt/ж", None, 0),
            ],
        ),
        16: GUEST,
    },
    "machine_stats": {
        11: load(1.12, 6000),
        12: load(0.0, None),
        14: load(50.0, 1000),  # off; VergeOS keeps the row
        15: load(100.0, 0),
        91: load(
            31, 181_236, user_cpu=22, system_cpu=7, iowait_cpu=0.5, core_temp=58, core_temp_top=62
        ),
    },
    "machine_nics": {
        11: (nic(81, 11, "lan#81"), nic(82, 11, "lan#82", status="unknown", rx_bytes=None)),
        15: (nic(85, 15, 'nic "é"', status="down", speed=0.0),),
        91: (nic(31, 91, "eno1"), nic(32, 91, "eno2", status="lowerlayerdown", speed=0.0)),
    },
    "machine_drives": {
        11: (
            disk(111, 11, "system"),
            disk(112, 11, "cd\\rom", media="cdrom", preferred_tier="", disksize=None, used_bytes=0),
        ),
        14: (disk(141, 14, "data"),),
    },
    "machine_drive_stats": {111: disk_stats(), 141: disk_stats(util=None)},
}

SOUTH_ROWS: dict[str, Any] = {
    "vms": (config(1, "web-1"), config(2, "web-2", cluster=None)),  # the other system has a web-1
    # machine_status is stale: VMs keep the series of their configuration.
    "machine_stats": {11: load(25.0, 1)},
    "machine_drives": {12: (disk(121, 12, "data"),)},
    "machine_drive_stats": {},
}

SYSTEMS: Sequence[RenderInput] = (
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
                inputs=(RecoveryInput("journal", ""), RecoveryInput("logs", "403")),
                questions=(OpenQuestion(7, 3, "web-2", "poweron", "crashed", "no row", AT, AT),),
                open_actions=0,
                journal_problem="",
                lease_epoch=4,
                lease_age_seconds=2.5,
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


def page(form: Format, systems: Sequence[RenderInput] = SYSTEMS) -> Page:
    """Return the page of *systems*, each rendered by its own renderer."""
    return page_of([Renderer(FAMILIES).render(*each) for each in systems], form)
