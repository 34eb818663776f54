"""What a filter of VMs can be set to: the values that VMs have."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from exporter.console.fleet import VMEntry
from exporter.console.vm_query import CHOICES, FILTERS, VALUES, enrolment_of

MAX_CHOICES = 200
"""Of a filter: those of most VMs. Any other is found by its words."""


def choices_of(vms: Iterable[VMEntry]) -> Mapping[str, Sequence[str]]:
    """Return the values of each filter: fixed ones in their order, others sorted."""
    vms = tuple(vms)
    counts = {name: Counter(map(read, vms)) for name, read in VALUES.items()}
    counts["tag"] = Counter(chain.from_iterable(vm.tags for vm in vms))
    counts["enrolment"] = Counter(map(enrolment_of, vms))
    return {name: _choices(name, counts[name]) for name in FILTERS}


def _choices(name: str, counts: Counter[str]) -> Sequence[str]:
    del counts[""]
    if name in CHOICES:
        return [value for value in CHOICES[name] if value in counts]
    return sorted(value for value, _ in counts.most_common(MAX_CHOICES))
