"""What a filter of VMs can be set to: the values that VMs have."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from exporter.console.fleet import VMEntry
from exporter.console.vm_query import CHOICES, FILTERS, Enrolment

MAX_CHOICES = 200
"""Of a filter: those of most VMs. Any other is found by its words."""


def choices_of(vms: Iterable[VMEntry]) -> Mapping[str, Sequence[str]]:
    """Return the values of each filter: fixed ones in their order, others sorted."""
    counts: Mapping[str, Counter[str]] = {name: Counter() for name in FILTERS}
    for vm in vms:
        counts["system"][vm.system] += 1
        counts["condition"][vm.condition] += 1
        counts["status"][vm.status] += 1
        counts["state"][vm.recovery_state] += 1
        counts["cause"][vm.cause] += 1
        counts["guard"][vm.failed_guard] += 1
        counts["node"][vm.node] += 1
        counts["cluster"][vm.cluster] += 1
        counts["tag"].update(vm.tags)
        if vm.is_enrolled:
            counts["enrolment"][Enrolment.ENROLLED] += 1
        elif vm.recovery_state:
            counts["enrolment"][Enrolment.MONITORED] += 1
    return {name: _choices(name, counts[name]) for name in FILTERS}


def _choices(name: str, counts: Counter[str]) -> Sequence[str]:
    del counts[""]
    if name in CHOICES:
        return [value for value in CHOICES[name] if value in counts]
    return sorted(value for value, _ in counts.most_common(MAX_CHOICES))
