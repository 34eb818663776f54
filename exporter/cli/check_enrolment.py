"""What the enrolment rules and the other patterns of recovery fit in one system, for `check`."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from rich.markup import escape
from rich.table import Table

from exporter.formatting import counted
from exporter.model import VM, Inventory
from exporter.patterns import fits, has_brackets
from exporter.prometheus.config import ConfirmationRule
from exporter.recovery.model.cases import Enrolment
from exporter.recovery.observe.enrolment import (
    CONDITIONS,
    EFFECTS,
    EnrolmentRule,
    cluster_name,
    enrol_all,
    rule_title,
)
from exporter.recovery.observe.inventory_checks import is_eligible, repeated
from exporter.recovery.recovery_config import RecoveryConfig

KINDS: Mapping[str, str] = {
    "names": "VM name",
    "clusters": "cluster of a VM",
    "ha_groups": "HA group of a VM",
    "tags": "tag of a VM",
    "after": "VM name",
}
"""What the patterns of each setting are compared with."""
BRACKETS = " (brackets stand for themselves; a set of characters needs re:)"


class EnrolmentCheck(NamedTuple):
    """The enrolment of every VM of one system, and how many VMs each rule fits."""

    inventory: Inventory
    rules: Sequence[EnrolmentRule]
    enrolments: Mapping[str, Enrolment]
    fitting: Sequence[int]
    """The number of VMs that each rule fits."""

    def enrolled(self) -> list[tuple[VM, Enrolment]]:
        """Return the VMs that would be restarted after a crash, by name."""
        shared = repeated([vm.config.uuid for vm in self.inventory.vms if vm.config.uuid])
        found = [
            (vm, enrolment)
            for vm in self.inventory.vms
            if (enrolment := self.enrolments.get(vm.config.uuid)) is not None
            if enrolment.policy.acts and is_eligible(vm, enrolment)
            if vm.config.uuid not in shared  # recovery cannot tell them apart
        ]
        return sorted(found, key=lambda one: (one[0].config.name.casefold(), one[0].config.key))

    def summary(self) -> str:
        """Return how many VMs are enrolled, and by which tags and rules."""
        reasons = Counter(enrolment.because for _, enrolment in self.enrolled())
        by = ", ".join(f"{number} by {reason}" for reason, number in reasons.items())
        total = counted(len(self.inventory.vms), "VM")
        return f"{reasons.total()} of {total} enrolled" + (f": {by}" if by else "")


def check_enrolment(inventory: Inventory, rules: Sequence[EnrolmentRule]) -> EnrolmentCheck:
    """Return the enrolments in *inventory*; its tags must have been read."""
    tags = inventory.tags or {}
    fitting = [
        sum(
            rule.fits(
                vm.config.name,
                cluster_name(vm, inventory.clusters),
                vm.config.ha_group,
                tags.get(vm.config.key, frozenset()),
            )
            for vm in inventory.vms
        )
        for rule in rules
    ]
    return EnrolmentCheck(inventory, rules, enrol_all(inventory, rules), fitting)


def rules_table(found: EnrolmentCheck) -> Table:
    """Return a line for each rule: how many VMs it fits and enrolls, and what it says."""
    by = Counter(enrolment.because for _, enrolment in found.enrolled())
    table = Table("  RULE", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("FITS", justify="right")
    table.add_column("ENROLLS", justify="right")
    table.add_column("")
    for number, (rule, fitting) in enumerate(zip(found.rules, found.fitting, strict=True)):
        title = rule_title(number)
        table.add_row(f"  {escape(title)}", str(fitting), str(by[title]), _cell(_text(rule)))
    return table


def enrolled_table(found: EnrolmentCheck) -> Table:
    """Return a line for each VM that would be enrolled: its policy, and the tag or rule."""
    table = Table("  VM", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("KEY", justify="right")
    table.add_column("POLICY")
    table.add_column("ENROLLED BY")
    for vm, enrolment in found.enrolled():
        name, because = _cell(vm.config.name), _cell(enrolment.because)
        table.add_row(f"  {name}", str(vm.config.key), str(enrolment.policy), because)
    return table


def enrolment_notes(
    found: EnrolmentCheck, setup: RecoveryConfig, confirmed: Sequence[ConfirmationRule]
) -> Iterator[str]:
    """Yield what may be a mistake: rules and patterns that fit no VM, or have no effect."""
    by = Counter(enrolment.because for _, enrolment in found.enrolled())
    values = _values(found.inventory)
    for number, (rule, fitting) in enumerate(zip(found.rules, found.fitting, strict=True)):
        title = rule_title(number)
        unfit = [
            text
            for setting, kind in KINDS.items()
            for text in _unfit(getattr(rule, setting), values[setting], kind)
        ]
        if not fitting:
            yield f"{title} fits no VM" + (f": {'; '.join(unfit)}" if unfit else "")
            continue
        if rule.policy is not None and rule.policy.acts and not by[title]:
            yield f"{title} enrolls none of the VMs that it fits: another rule or a tag decides"
        yield from (f"{title}: {text}" for text in unfit)
    others = {
        "recovery.maintenance_windows": [one.names for one in setup.maintenance_windows],
        "recovery.confirm.rules": [one.names for one in confirmed],
    }
    for setting, lists in others.items():
        for number, patterns in enumerate(lists):
            for text in _unfit(patterns, values["names"], KINDS["names"]):
                yield f"{setting}[{number}]: {text}"


def _unfit(patterns: Sequence[str], values: frozenset[str], kind: str) -> Iterator[str]:
    for pattern in patterns:
        if not any(fits(value, (pattern,)) for value in values):
            yield f'no {kind} fits "{pattern}"' + BRACKETS * has_brackets(pattern)


def _values(inventory: Inventory) -> Mapping[str, frozenset[str]]:
    names = frozenset(vm.config.name for vm in inventory.vms)
    tags = (inventory.tags or {}).values()
    return {
        "names": names,
        "after": names,
        "clusters": frozenset(
            filter(None, (cluster_name(vm, inventory.clusters) for vm in inventory.vms))
        ),
        "ha_groups": frozenset(filter(None, (vm.config.ha_group for vm in inventory.vms))),
        "tags": frozenset[str]().union(*tags),
    }


def _cell(text: str) -> str:
    """Return a name for a table: it neither controls the terminal nor has a style."""
    shown = (char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return escape("".join(shown))


def _text(rule: EnrolmentRule) -> str:
    """Return a rule in one line, such as ``names db-*; policy on-failure``."""
    parts = []
    for name in (*CONDITIONS, *EFFECTS):
        value = getattr(rule, name)
        if value not in (None, ()):
            text = ", ".join(value) if isinstance(value, tuple) else str(value)
            parts.append(f"{name} {text}")
    return "; ".join(parts)
