"""What `check` says about rules and patterns: how many VMs each fits, and which fit none."""

from datetime import time
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from exporter import model
from exporter.cli.check_enrolment import (
    EnrolmentCheck,
    check_enrolment,
    enrolled_table,
    enrolment_notes,
    rules_table,
)
from exporter.prometheus.config import ConfirmationRule
from exporter.recovery.decide.maintenance_windows import MaintenanceWindow
from exporter.recovery.model.cases import Policy
from exporter.recovery.observe.enrolment import EnrolmentRule
from exporter.recovery.recovery_config import RecoveryConfig
from tests.recovery import inventory_values as values

NAMES = {1: "db-01", 2: "[DO NOT START] erp", 3: "Web-1", 4: "b[/red]c\x1b[2J"}
BRACKETS = "(brackets stand for themselves; a set of characters needs re:)"
EVERYONE = EnrolmentRule(names=("*",), policy=Policy.ON_FAILURE)


def checked(*rules: EnrolmentRule) -> EnrolmentCheck:
    vms = [
        model.VM(values.config(key, name=name, cluster=7, ha_group="gold"), None)
        for key, name in NAMES.items()
    ]
    tags = {1: frozenset({"Env/Prod"}), 3: frozenset({"recovery/always"})}
    return check_enrolment(
        values.inventory(vms, clusters=[model.Cluster(7, "lab")], tags=tags), rules
    )


def notes(*rules: EnrolmentRule, confirmed: Any = (), **setup: Any) -> list[str]:
    config = RecoveryConfig(enrolment_rules=rules, **setup)
    return list(enrolment_notes(checked(*rules), config, confirmed))


def printed(table: Table) -> list[list[str]]:
    out = StringIO()
    Console(file=out, width=200).print(table)
    lines = out.getvalue().splitlines()
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]


def test_each_rule_has_the_number_of_vms_that_it_fits_and_enrolls() -> None:
    denied = EnrolmentRule(names=("[do not start]*",), policy=Policy.NO)
    unfit = EnrolmentRule(tags=("env/test",), policy=Policy.ALWAYS, after=("db-*", "web-?"), tier=0)

    assert printed(rules_table(checked(EVERYONE, denied, unfit))) == [
        ["RULE", "FITS", "ENROLLS"],
        ["recovery.rules[0]", "4", "2", "names *; policy on-failure"],
        ["recovery.rules[1]", "1", "0", "names [do not start]*; policy no"],
        ["recovery.rules[2]", "0", "0",
         "tags env/test; policy always; tier 0; after db-*, web-?"],
    ]  # fmt: skip


def test_enrolled_vms_are_listed_with_policy_and_rule_or_tag() -> None:
    denied = EnrolmentRule(names=("[do not start]*",), policy=Policy.NO)
    found = checked(EVERYONE, denied)

    assert printed(enrolled_table(found)) == [
        ["VM", "KEY", "POLICY", "ENROLLED BY"],
        ["b[/red]c\ufffd[2J", "4", "on-failure", "recovery.rules[0]"],
        ["db-01", "1", "on-failure", "recovery.rules[0]"],
        ["Web-1", "3", "always", "tag recovery/always"],
    ]
    assert found.summary() == (
        "3 of 4 VMs enrolled: 2 by recovery.rules[0], 1 by tag recovery/always"
    )


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (EnrolmentRule(names=("[DO]*",), policy=Policy.NO),
         f' fits no VM: no VM name fits "[DO]*" {BRACKETS}'),
        (EnrolmentRule(names=("re:db",), policy=Policy.NO), ' fits no VM: no VM name fits "re:db"'),
        (EnrolmentRule(names=("dbx-*", "web-[0-9]"), policy=Policy.NO),
         f' fits no VM: no VM name fits "dbx-*"; no VM name fits "web-[0-9]" {BRACKETS}'),
        (EnrolmentRule(names=("db-*", "dbx-*"), policy=Policy.NO), ': no VM name fits "dbx-*"'),
        (EnrolmentRule(tags=("env/prod", "env/[ab]"), policy=Policy.NO),
         f': no tag of a VM fits "env/[ab]" {BRACKETS}'),
        (EnrolmentRule(clusters=("l?b", "prod"), policy=Policy.NO),
         ': no cluster of a VM fits "prod"'),
        (EnrolmentRule(ha_groups=("gold", "silver"), policy=Policy.NO),
         ': no HA group of a VM fits "silver"'),
        (EnrolmentRule(names=("db-*",), after=("storage-*",)), ': no VM name fits "storage-*"'),
        (EnrolmentRule(names=("db-*",), tags=("recovery/*",), policy=Policy.NO), " fits no VM"),
        (EnrolmentRule(names=("web-*",), policy=Policy.ALWAYS),
         " enrolls none of the VMs that it fits: another rule or a tag decides"),
    ],
)  # fmt: skip
def test_rule_or_pattern_that_fits_nothing_is_pointed_out(rule: EnrolmentRule, says: str) -> None:
    assert notes(EVERYONE, rule)[-1] == f"recovery.rules[1]{says}"


def test_rules_that_fit_are_not_pointed_out() -> None:
    assert notes(EVERYONE, EnrolmentRule(names=("[do*", "re:DB-[0-9]+"), policy=Policy.NO)) == []


def test_patterns_of_windows_and_confirmations_that_fit_nothing_are_pointed_out() -> None:
    windows = [
        MaintenanceWindow(start=time(1), hours=1, reason="backup", names=names)
        for names in ((), ("db-*",), ("db-[0-9]*",))
    ]
    query = "max_over_time(up[{{window}}]) == bool 0"
    confirmed = [ConfirmationRule(names=(name,), query=query) for name in ("web-*", "mail*")]

    assert notes(maintenance_windows=windows, confirmed=confirmed) == [
        f'recovery.maintenance_windows[2]: no VM name fits "db-[0-9]*" {BRACKETS}',
        'recovery.confirm.rules[1]: no VM name fits "mail*"',
    ]
