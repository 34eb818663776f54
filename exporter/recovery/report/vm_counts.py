"""The VMs of a system by what recovery does with them: every count of them comes from here."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from exporter.recovery.model.cases import Case, NotMonitored
from exporter.recovery.observe.inventory_checks import not_monitored_because
from exporter.recovery.observe.state import RecoveryState
from exporter.recovery.report.presentation import STATES


class VMCounts(NamedTuple):
    """
    How many VMs a system has, and what recovery does with them.

    ``listed = enrolled + monitored - gone + not_monitored``, where each mapping counts as its sum.
    """

    listed: int
    """VMs in the last valid inventory, without snapshots: those that the console counts."""
    enrolled: Mapping[str, int]
    """By state, the most urgent state first."""
    monitored: Mapping[str, int]
    """Those that are monitored only, by state."""
    not_monitored: Mapping[str, int]
    """Those in the inventory that recovery does not monitor, by the first `NotMonitored`."""
    gone: int
    """Enrolled and monitored ones that are not in that inventory; for three polls at most."""


def count_vms(state: RecoveryState) -> VMCounts:
    """Return the counts of one system."""
    cases = state.cases
    listed = state.inventory.reported.vms if state.inventory is not None else ()
    shared = state.inventory.shared_uuids if state.inventory is not None else frozenset[str]()
    of_case = {(case.key, uuid) for uuid, case in cases.items()}
    present = {(vm.config.key, vm.config.uuid) for vm in listed} & of_case
    others = Counter(
        not_monitored_because(vm, state.enrolments.get(vm.config.uuid), shared)[0]
        for vm in listed
        if (vm.config.key, vm.config.uuid) not in present
    )
    return VMCounts(
        listed=len(listed),
        enrolled=_by_state(case for case in cases.values() if case.policy.acts),
        monitored=_by_state(case for case in cases.values() if not case.policy.acts),
        not_monitored={str(why): others[why] for why in NotMonitored if others[why]},
        gone=len(cases) - len(present) if state.inventory is not None else 0,
    )


def _by_state(cases: Iterable[Case]) -> Mapping[str, int]:
    states = Counter[str](case.state for case in cases)
    return {str(state): states[state] for state in STATES if states[state]}
