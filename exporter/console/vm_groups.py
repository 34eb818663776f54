"""VMs that are not well, grouped by what is known of them, so that many become a few lines."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from exporter.console import links
from exporter.console.fleet import VMEntry
from exporter.console.recovery_groups import Reason
from exporter.console.tones import tone_of_condition
from exporter.console.vm_condition import Condition
from exporter.recovery.model.states import State
from exporter.recovery.report.presentation import URGENCY

TOGETHER = timedelta(minutes=2)
"""VMs that went down within this time went down at once."""
_FIELDS: Mapping[Condition, Mapping[str, Callable[[VMEntry], str]]] = {
    Condition.DOWN: {
        "state": lambda vm: vm.recovery_state,
        "cause": lambda vm: vm.cause,
        "guard": lambda vm: vm.failed_guard,
    },
    Condition.TROUBLE: {"status": lambda vm: vm.status},
    Condition.UNKNOWN: {},
}
"""By condition, what its groups differ in: parameters of the list of VMs."""
_STATES: Mapping[str, str] = {
    State.SUSPECT: "being diagnosed",
    State.PLATFORM: "VergeOS is to restart them",
    State.ACTING: "being restarted",
    State.VERIFYING: "being restarted",
    State.INDETERMINATE: "restarted, with unknown outcome",
    State.QUARANTINED: "quarantined: manual action is required",
}


class VMGroup(NamedTuple):
    """VMs of one system and one condition with the same reason."""

    condition: Condition
    tone: str
    vms: Sequence[VMEntry]
    """Those that went down first, first."""
    reason: str
    """Empty if nothing is known."""
    href: str
    """Of exactly these VMs."""

    @property
    def since(self) -> datetime | None:
        """When the first of them went down; None if that is not known of any."""
        return next((vm.down_since for vm in self.vms if vm.down_since is not None), None)

    @property
    def is_at_once(self) -> bool:
        """Whether all of them went down at nearly the same time."""
        last = self.vms[-1].down_since
        return self.since is not None and last is not None and last - self.since <= TOGETHER


def vm_groups(vms: Iterable[VMEntry]) -> tuple[VMGroup, ...]:
    """Return the groups of those *vms*, all of one system, that are not well: the worst first."""
    found: list[VMGroup] = []
    for condition, fields in _FIELDS.items():
        fitting = [vm for vm in vms if vm.condition is condition]
        if fitting:
            found += _groups(condition, fitting, dict(fields), {})
    return tuple(sorted(found, key=_urgency))


def _groups(
    condition: Condition,
    vms: Sequence[VMEntry],
    fields: Mapping[str, Callable[[VMEntry], str]],
    filters: Mapping[str, str],
) -> Iterable[VMGroup]:
    """
    Yield the groups of *vms*, which fit *filters*.

    They are told apart by a field only if each of them has a value: a list of VMs can ask for a
    value, and not for none. So each group is exactly the list that it links to.
    """
    if not fields:
        yield _group(condition, vms, filters)
        return
    (name, value), *rest = fields.items()
    by_value: dict[str, list[VMEntry]] = defaultdict(list)
    for vm in vms:
        by_value[value(vm)].append(vm)
    if "" in by_value:
        yield _group(condition, vms, filters)
        return
    for each, fitting in by_value.items():
        yield from _groups(condition, fitting, dict(rest), {**filters, name: each})


def _group(condition: Condition, vms: Sequence[VMEntry], filters: Mapping[str, str]) -> VMGroup:
    first = vms[0]
    if len(vms) == 1:
        href = links.vm(first.system, first.key)
    else:
        href = links.vms(system=first.system, condition=condition, **filters)
    return VMGroup(
        condition,
        tone_of_condition(condition),
        sorted(vms, key=_age),
        _reason(condition, filters),
        href,
    )


def _reason(condition: Condition, filters: Mapping[str, str]) -> str:
    if condition is Condition.TROUBLE:
        return f"VergeOS reports {filters['status']}" if "status" in filters else ""
    guard, cause, state = (filters.get(name, "") for name in ("guard", "cause", "state"))
    if state in _STATES:
        return _STATES[state]
    return Reason(state, guard, "" if guard else cause, "").text


def _age(vm: VMEntry) -> tuple[bool, float, str, int]:
    down = vm.down_since
    return down is None, down.timestamp() if down is not None else 0.0, vm.name, vm.key


def _urgency(group: VMGroup) -> tuple[int, int, int]:
    state = group.vms[0].recovery_state
    return list(_FIELDS).index(group.condition), URGENCY.get(state, 0), -len(group.vms)
