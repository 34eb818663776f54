"""The checks of alarms, updates, certificates, licenses, accounts and snapshot profiles."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from exporter.collectors.accounts import UserRow
from exporter.collectors.alarms import AlarmRow
from exporter.collectors.certificates import CertificateRow
from exporter.collectors.licenses import LicenseRow
from exporter.collectors.plan import tables_of
from exporter.collectors.registry import COLLECTORS
from exporter.collectors.update_settings import UpdatePackageRow, UpdateSettingsRow
from exporter.doctor import accounts, alarms, expiry, snapshot_profiles, updates
from exporter.doctor.check import Check
from exporter.model import Finding, Identity, Inventory, Level
from exporter.simulator import World, create_world
from exporter.simulator.api.listing import list_rows
from exporter.simulator.api.tables import TABLES
from exporter.simulator.api.tables.columns import RequestView

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = AT.timestamp()
DAY = 86_400
CHECKS = {
    check.name: check
    for module in (accounts, alarms, expiry, snapshot_profiles, updates)
    for check in module.CHECKS
}


def inventory(version: str = "26.1.8", **tables: Any) -> Inventory:
    return Inventory("north", Identity("north", version), AT, tables, (), {}, {}, None)


def found(check: Check | str, **tables: Any) -> list[tuple[str, str, str]]:
    """Return level, subject and evidence of what *check* finds."""
    examined = CHECKS[check] if isinstance(check, str) else check
    return [shown(one) for one in examined.examine(inventory(**tables))]


def shown(one: Finding) -> tuple[str, str, str]:
    return str(one.level), one.subject, one.evidence


def numbered(*rows: Any) -> dict[int, Any]:
    return dict(enumerate(rows, start=1))


def read(world: World) -> dict[str, Any]:
    """Return the rows of every table of a simulated system."""
    view = RequestView(world=world, now=world.now, stamp=world.now)
    rows = {}
    for table in tables_of(COLLECTORS):
        query = {"fields": ",".join(table.fields)}
        if table.where:
            query["filter"] = table.where
        answer = list_rows(TABLES[table.endpoint], query, view, joined="work").rows
        rows[table.name] = table.decode(json.dumps(answer).encode()).rows
    return rows


@pytest.mark.parametrize(
    ("fault", "parameters", "expected"),
    [
        ("alarm_raised", {}, {("alarms", "warning", "Core temperature")}),
        (
            "alarm_raised",
            {"level": "critical"},
            {("alarms", "critical", "Core temperature")},
        ),
        ("alarm_raised", {"level": "warning"}, set()),
        ("alarm_raised", {"snoozed": True}, set()),
        ("reboot_required", {}, {("updates", "warning", "VergeOS")}),
        ("update_available", {}, {("updates_available", "warning", "VergeOS")}),
        (
            "certificate_expiring",
            {},
            {("certificates", "warning", "northwind.example.com")},
        ),
        (
            "certificate_invalid",
            {},
            {("certificates", "critical", "northwind.example.com")},
        ),
        ("license_expiring", {}, {("licenses", "warning", "Production")}),
        ("license_expired", {}, {("licenses", "critical", "Production")}),
        ("only_one_admin", {}, {("admin_users", "warning", "administrators")}),
        ("admin_without_mfa", {}, {("mfa", "warning", "administrators")}),
        ("no_snapshot_profiles", {}, {("snapshot_profiles", "warning", "snapshot profiles")}),
        ("api_key_expiring", {}, set()),
        ("sync_failing", {}, set()),
        ("snapshot_overdue", {}, set()),
    ],
)
def test_fault_of_the_simulator_is_found_by_its_check_only(
    fault: str, parameters: dict[str, Any], expected: set[tuple[str, str, str]]
) -> None:
    world = create_world(vms=20, start=NOW)

    with world.faults.on(fault, **parameters):
        rows = read(world)

    assert {
        (check, level, subject) for check in CHECKS for level, subject, _ in found(check, **rows)
    } == expected


def test_healthy_system_has_no_findings() -> None:
    rows = read(create_world(vms=20, start=NOW))

    assert not [finding for check in CHECKS for finding in found(check, **rows)]


# Alarms


def alarm(level: str, name: str, owner: str | None = None, snooze: float | None = 0) -> AlarmRow:
    return AlarmRow(level=level, alarm_type_name=name, owner_name=owner, snooze=snooze)


def test_alarms_of_one_type_are_one_finding_with_the_worst_level() -> None:
    rows = numbered(
        alarm("error", "Offline", "node2"),
        alarm("critical", "Offline", "node1"),
        alarm("error", "Offline", "node1"),
        alarm("error", "Out of space"),
        alarm("warning", "Restart required", "web"),
    )

    assert found("alarms", alarms=rows) == [
        ("critical", "Offline", "3 alarms about node1, node2"),
        ("warning", "Out of space", "1 alarm"),
    ]


def test_evidence_names_a_few_owners_of_many() -> None:
    rows = numbered(*(alarm("error", "Offline", f"vm{number}") for number in range(9)))

    assert found("alarms", alarms=rows) == [
        ("warning", "Offline", "9 alarms about vm0, vm1, vm2 and 6 more")
    ]


@pytest.mark.parametrize(
    ("snooze", "is_found"), [(None, True), (0, True), (NOW, True), (NOW + 1, False), (-1, False)]
)
def test_snoozed_alarm_is_found_again_when_its_time_is_over(
    snooze: float | None, *, is_found: bool
) -> None:
    assert bool(found("alarms", alarms=numbered(alarm("error", "A", snooze=snooze)))) is is_found


# Certificates and licenses


@pytest.mark.parametrize(
    ("days", "evidence"),
    [
        (31, None),
        (30.99, "expires on 2026-04-01, in 30 days"),
        (1, "expires on 2026-03-02, in 1 day"),
        (0.5, "expires on 2026-03-02, in 0 days"),
        (-1, "expired on 2026-02-28"),
    ],
)
def test_certificate_is_found_thirty_days_before_it_expires(
    days: float, evidence: str | None
) -> None:
    rows = numbered(CertificateRow(domain="a", valid=True, expires=NOW + days * DAY))

    assert found("certificates", certificates=rows) == (
        [] if evidence is None else [("warning", "a", evidence)]
    )


def test_worst_certificate_of_a_domain_is_found_once() -> None:
    rows = numbered(
        CertificateRow(domain="a", valid=True, expires=NOW + DAY),
        CertificateRow(domain="a", valid=False, expires=NOW - DAY),
        CertificateRow(domain="a", valid=True, expires=NOW + 2 * DAY),
        CertificateRow(valid=False),
        CertificateRow(domain="b", expires=0),
    )

    assert found("certificates", certificates=rows) == [
        ("critical", "a", "not valid, expiry 2026-02-28"),
        ("critical", "#4", "not valid"),
    ]


def test_license_is_found_outside_its_time_and_shortly_before_its_end() -> None:
    rows = numbered(
        LicenseRow(name="ended", valid_from=NOW - 9 * DAY, valid_until=NOW - 1),
        LicenseRow(name="early", valid_from=NOW + 1, valid_until=NOW + 99 * DAY),
        LicenseRow(name="soon", valid_until=NOW + 3 * DAY),
        LicenseRow(name="long", valid_from=NOW - DAY, valid_until=NOW + 31 * DAY),
        LicenseRow(name="for ever", valid_from=0, valid_until=0),
        LicenseRow(name="in the year 9999999", valid_until=10**15),
    )

    assert found("licenses", licenses=rows) == [
        ("critical", "ended", "expired on 2026-03-01"),
        ("critical", "early", "not valid before 2026-03-01"),
        ("warning", "soon", "expires on 2026-03-04, in 3 days"),
    ]


# Updates


@pytest.mark.parametrize(
    ("running", "offered", "is_found"),
    [
        ("26.1.8", "26.1.8", False),
        ("26.1.8", "26.2.1", True),
        ("26.1.9", "26.1.10", True),
        ("26.2.1", "26.1.8", False),
        ("26.1.8", "26.1.8.1", True),
        ("26.1.8", "26.1.8-rc1", False),
        ("", "26.2.1", False),
        ("26.1.8", "next", False),
    ],
)
def test_newer_version_is_found(running: str, offered: str, *, is_found: bool) -> None:
    tables = {
        "update_settings": numbered(UpdateSettingsRow(branch=4, source=2)),
        "update_source_packages": numbered(
            UpdatePackageRow(branch=5, source=2, version="99.0"),
            UpdatePackageRow(branch="4", source=2, version=offered),
        ),
    }

    examined = CHECKS["updates_available"].examine(inventory(version=running, **tables))

    assert bool(list(examined)) is is_found


# Administrators


def user(*, admin: bool | None = True, mfa: bool | None = True, enabled: bool = True) -> UserRow:
    return UserRow(physical_access=admin, two_factor_authentication=mfa, enabled=enabled)


@pytest.mark.parametrize(
    ("users", "is_found"),
    [
        ([user(), user()], False),
        ([user(), user(enabled=False), user(admin=False)], True),
        ([user(admin=False), user(admin=None)], False),
    ],
)
def test_only_one_administrator_is_found(users: list[UserRow], *, is_found: bool) -> None:
    assert bool(found("admin_users", users=numbered(*users))) is is_found


def test_administrators_without_mfa_are_counted_and_not_named() -> None:
    users = numbered(
        user(mfa=False), user(), user(mfa=None), user(admin=False, mfa=False),
        user(mfa=False, enabled=False),
    )  # fmt: skip

    assert found("mfa", users=users) == [
        ("warning", "administrators", "1 of 3 administrators without it")
    ]


def test_levels_of_findings_are_declared() -> None:
    assert {name for name, check in CHECKS.items() if Level.CRITICAL in check.levels} == {
        "alarms",
        "certificates",
        "licenses",
    }
