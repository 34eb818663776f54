"""The VMs in trouble, grouped by what keeps them where they are."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from exporter.model import RecoveryVM
from exporter.recovery.model.cases import Cause
from exporter.recovery.model.decision import GuardName
from exporter.recovery.model.states import State
from exporter.recovery.report.messages import CAUSES, REASONS
from exporter.recovery.report.presentation import CALM_STATES, URGENCY

OWN_WORDS: Mapping[str, str] = {
    GuardName.MODE_PERMITS: "the mode forbids an action without an operator",
    GuardName.NOT_PAUSED: "recovery is paused",
    GuardName.LEADS: "another replica leads, or none does",
    GuardName.NOT_SILENCED: "a silence mutes its alert",
}
"""Of the guards whose reason is nothing but its detail, which differs between VMs."""


class Reason(NamedTuple):
    """What keeps VMs where they are: the same for all VMs of a group."""

    state: str
    guard: str
    """Empty where no crash is proven."""
    cause: str
    template: str
    """Of the log row that makes the cause unknown; else empty."""

    @property
    def text(self) -> str:
        """The reason as a clause; empty if none is known yet."""
        if self.guard in OWN_WORDS:
            return OWN_WORDS[self.guard]
        if self.guard in REASONS:
            return REASONS[GuardName(self.guard)].partition(": {detail}")[0]
        if self.state == State.SUSPECT and not self.cause:
            return "the failure is being confirmed"
        return CAUSES[Cause(self.cause)] if self.cause in CAUSES else self.guard or self.cause


class VMGroup(NamedTuple):
    """The VMs of one system with the same reason."""

    reason: Reason
    vms: Sequence[RecoveryVM]
    """Those that went down first, first."""

    @property
    def down_since(self) -> datetime | None:
        """When the first of them went down."""
        return next((one.down_since for one in self.vms if one.down_since is not None), None)


def vm_groups(vms: Iterable[RecoveryVM]) -> list[VMGroup]:
    """Return the groups of those *vms* that are in trouble: the most urgent, and largest, first."""
    groups: dict[Reason, list[RecoveryVM]] = defaultdict(list)
    for vm in vms:
        if vm.state not in CALM_STATES:
            groups[_reason(vm)].append(vm)
    found = [VMGroup(reason, sorted(each, key=_order)) for reason, each in groups.items()]
    return sorted(
        found, key=lambda one: (URGENCY.get(one.reason.state, 0), -len(one.vms), one.reason)
    )


def _reason(vm: RecoveryVM) -> Reason:
    guard = vm.failed_guard
    return Reason(vm.state, guard, "" if guard else vm.cause, vm.blocking_template)


def _order(vm: RecoveryVM) -> tuple[bool, float, str, int]:
    down = vm.down_since
    return down is None, down.timestamp() if down is not None else 0.0, vm.name, vm.key
