"""Systems with VMs, for the pages and commands that list them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import msgspec

from exporter.console.system_history import SystemHistory
from exporter.model import RecoveryReport, RecoveryVM, SystemState
from tests.exposition.builders import AT, config, inventory, status, stopped
from tests.web.samples import system
from tests.web.site import StubOverview


class Systems(StubOverview):
    """Systems with inventories."""

    def __init__(self, *states: SystemState) -> None:
        super().__init__(*(state.report for state in states))
        self._states = states

    def states(self) -> Sequence[SystemState]:
        return self._states

    def histories(self) -> Mapping[str, SystemHistory]:
        found = {}
        for state in self._states:
            found[state.report.system_name] = history = SystemHistory(hours=0)
            if state.inventory is not None:
                history.record(state.inventory, state.report.recovery)
        return found


def fleet(*names: str, name: str = "production", down: Sequence[str] = ()) -> SystemState:
    """Return a system with these VMs; those that are *down* crashed, and a guard holds them."""
    vms = [config(key, one) for key, one in enumerate(names, 1)]
    states = [stopped(one.machine) if one.name in down else status(one.machine) for one in vms]
    rows = {
        "vms": tuple(vms),
        "machine_status": {one.machine: one for one in states},
    }
    cases = tuple(
        RecoveryVM(
            one.key, one.name, "on-failure", "held", AT, down_since=AT - timedelta(minutes=5),
            cause="crashed", detail="the log says so", failed_guard="circuit_breaker_closed",
        )
        if one.name in down
        else RecoveryVM(one.key, one.name, "no", "healthy", AT)
        for one in vms
    )  # fmt: skip
    recovery = RecoveryReport(
        mode="shadow", readiness="active", because="", ready=True, vms=cases, budgets_remaining=(),
        last_actions=(), open_actions=0, journal_problem="", inventory_at=AT,
    )  # fmt: skip
    report = msgspec.structs.replace(system(name), recovery=recovery)
    return SystemState(inventory(rows, name), report)
