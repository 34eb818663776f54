"""The checks of storage: what they find on a simulated system, and at which values."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from exporter.collectors.physical_drives import MACHINE_DRIVE_PHYS, PhysicalDriveRow
from exporter.collectors.plan import tables_of
from exporter.collectors.registry import COLLECTORS
from exporter.collectors.storage_tiers import STORAGE_TIERS, StorageTierRow
from exporter.doctor.check import Check
from exporter.doctor.storage import CHECKS
from exporter.model import Inventory, Level
from exporter.simulator import create_world
from exporter.simulator.api.listing import list_rows
from exporter.simulator.api.tables import TABLES
from exporter.simulator.api.tables.columns import RequestView
from exporter.simulator.world.world import World

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TB = 10**12
Result = tuple[str, Level]
"""The subject and the level of a finding."""


def inventory(**tables: Any) -> Inventory:
    return Inventory("north", None, AT, tables, (), {}, {}, None)


def read(world: World) -> Inventory:
    """Return what every table of a simulated system shows."""
    view = RequestView(world=world, now=world.now, stamp=world.now)
    found = {}
    for table in tables_of(COLLECTORS):
        if table.endpoint in TABLES:
            query = {"fields": ",".join(table.fields)}
            rows = list_rows(TABLES[table.endpoint], query, view).rows
            found[table.name] = table.decode(json.dumps(rows).encode()).rows
    return inventory(**found)


def findings(found: Inventory, checks: Sequence[Check] = CHECKS) -> dict[str, set[Result]]:
    results = {
        check.name: {(one.subject, one.level) for one in check.examine(found)} for check in checks
    }
    return {name: some for name, some in results.items() if some}


def evidence(**tables: Any) -> list[str]:
    (check,) = (check for check in CHECKS if set(check.tables) == set(tables))
    return [finding.evidence for finding in check.examine(inventory(**tables))]


def test_healthy_system_has_no_findings_and_rows_for_each_check() -> None:
    found = read(create_world(vms=30))

    assert findings(found) == {}
    assert all(found.sources[table] for check in CHECKS for table in check.tables)


FIRST_DRIVE = "node1 /dev/nvme0n1"


@pytest.mark.parametrize(
    ("fault", "check", "subject", "level"),
    [
        ("tier_nearly_full", "storage", "tier 0", Level.WARNING),
        ("tier_full", "storage", "tier 0", Level.CRITICAL),
        ("drive_failing", "drive_smart", FIRST_DRIVE, Level.WARNING),
        ("drive_worn", "drive_smart", FIRST_DRIVE, Level.WARNING),
        ("drive_hot", "drive_smart", FIRST_DRIVE, Level.WARNING),
    ],
)
def test_fault_is_found_by_one_check_only(
    fault: str, check: str, subject: str, level: Level
) -> None:
    world = create_world(vms=30)
    world.faults.turn_on(fault)

    (found,) = findings(read(world)).items()

    assert found[0] == check
    ((name, found_level),) = found[1]
    assert (name.partition(" (")[0], found_level) == (subject, level)

    world.faults.clear()
    assert not findings(read(world))


@pytest.mark.parametrize(
    ("used", "level"),
    [(79.9, None), (80.0, Level.WARNING), (94.9, Level.WARNING), (95.0, Level.CRITICAL)],
)
def test_tier_is_full_from_the_limits_of_vrg_doctor_on(used: float, level: Level | None) -> None:
    row = StorageTierRow(key=1, tier=1, capacity=100 * TB, used=int(used * TB))

    found = findings(inventory(**{STORAGE_TIERS.name: {1: row}}), CHECKS[:1])

    assert found == ({} if level is None else {"storage": {("tier 1", level)}})


@pytest.mark.parametrize(
    ("capacity", "used"), [(0, 0), (0, 5), (None, 5), (5, None)]
)  # without drives, or not known
def test_tier_without_known_space_is_not_full(capacity: int | None, used: int | None) -> None:
    row = StorageTierRow(key=3, tier=3, capacity=capacity, used=used)

    assert not evidence(**{STORAGE_TIERS.name: {3: row}})


def test_evidence_names_every_exceeded_value_of_a_drive_in_one_finding() -> None:
    row = PhysicalDriveRow(
        key=7,
        path="/dev/sda",
        serial="S1",
        node_display="node2",
        vsan_tier=1,
        temp=58,
        temp_warn=True,
        realloc_sectors_warn=True,
        current_pending_sector=8.0,
        current_pending_sector_warn=True,
        vsan_write_errors=2,
    )

    (found,) = evidence(**{MACHINE_DRIVE_PHYS.name: {7: row}})

    assert found.split(", ") == [
        "a temperature of 58 °C",
        "a warning about reallocated sectors",
        "8 pending sectors",
        "2 vSAN write errors",
    ]


def test_errors_of_a_drive_outside_the_vsan_are_not_those_of_the_vsan() -> None:
    row = PhysicalDriveRow(key=7, vsan_tier=-1, vsan_read_errors=9)

    assert not evidence(**{MACHINE_DRIVE_PHYS.name: {7: row}})
