"""The facts that the guards check, gathered for one VM."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

from exporter.recovery.decide.budgets import ActionHistory, Use
from exporter.recovery.decide.maintenance_windows import MaintenanceWindow, active_window
from exporter.recovery.decide.platform_holds import (
    device_hold,
    memory_hold,
    storage_hold,
    update_hold,
)
from exporter.recovery.detect.context import location, node_hold, waits_for
from exporter.recovery.model.cases import (
    Action,
    Case,
    Cause,
    Enrolment,
    Intent,
    ObservedState,
    Spent,
)
from exporter.recovery.model.commands import CommandKind, ControlState
from exporter.recovery.model.confirmation import Confirmation, TimedConfirmation
from exporter.recovery.model.limits import Limits, Mode
from exporter.recovery.model.platform_log import LogTable
from exporter.recovery.model.ports import Confirmer, Silences
from exporter.recovery.observe.inventory_checks import CheckedInventory
from exporter.recovery.observe.state import RecoveryState

MINUTE = timedelta(minutes=1)
KILL_TO_START_MINUTES = 10
"""The longest time from a kill to the start that follows it."""


class SystemFacts(NamedTuple):
    """What holds for every VM of the system at the moment of a decision."""

    at: float
    """Seconds of monitored time."""
    time: datetime
    limits: Limits
    mode: Mode
    state: RecoveryState
    control_state: ControlState
    kill_switch: str
    """The path of the kill switch file; empty if it does not exist."""
    journal_problem: str
    open_actions: Mapping[str, Intent]
    """By VM UUID."""
    history: ActionHistory
    read_only: str
    """Why the credential may not act; empty if no such reason is known."""
    tags_problem: str
    """Why enrolment is unknown; empty when the tags were read."""
    log_problems: Mapping[LogTable, str]
    """Why a log of VergeOS cannot be read, or may lack rows."""
    maintenance_windows: Sequence[MaintenanceWindow]
    silences: Silences | None
    fell_back: str = ""
    """Why the mode is ``ask`` although ``enforce`` is configured; empty if it is not."""
    confirmer: Confirmer | None = None
    confirmations: Mapping[str, TimedConfirmation] = MappingProxyType({})
    """By VM UUID."""
    confirmer_problem: str = ""
    """Why Prometheus could not be asked, where recovery does not act without it."""
    names_clusters: bool = False
    """Whether an enrolment rule names clusters."""
    clusters_problem: str = ""
    """Why the clusters that a rule names are unknown."""
    standby: str = ""
    """Which other replica leads, or that none does; empty while this one leads."""
    lease_problem: str = ""
    """Why this replica must not begin an action; empty if it may."""

    @property
    def update_hold(self) -> str:
        """What VergeOS does, or did lately, to update itself; empty if nothing is known."""
        return update_hold(self.state.platform, self.limits, at=self.at)

    @property
    def silences_unknown(self) -> str:
        """Why the silences are unknown; empty while they are known or not used."""
        return self.silences.unknown if self.silences is not None else ""

    @property
    def silences_missing(self) -> str:
        """Why the silences are unknown, where that forbids every action; else empty."""
        return self.silences_unknown if self.silences and self.silences.are_needed else ""


class Facts(NamedTuple):
    """Everything that the guards check about one VM."""

    system: SystemFacts
    case: Case
    inventory_age_seconds: float
    crash_age_seconds: float
    """How long ago the VM went down."""
    in_flight: Sequence[str]
    """Names of the VMs with an open action."""
    system_uses: Sequence[Use]
    acted_at: float | None
    """When the last action on any VM was sent."""
    no_capacity: Sequence[float]
    """When VergeOS refused actions because resources were short."""
    enrolment: Enrolment | None
    open_intent: Intent | None
    vm_uses: Sequence[Use]
    maintenance_window: str
    """The reason of the current maintenance window; empty if none is active."""
    window_before_start: str
    """The reason of a window that begins before a VM killed now could be started."""
    node_hold: str
    waits_for: str
    """The VMs that must be up before it; empty if they are, or after the dependency timeout."""
    may_power_cycle: bool
    hard_reset_at: float | None
    silenced: str = ""
    """The silence that matches it: author, comment and end; empty if none does."""
    completes_kill: bool = False
    """Whether the next action is the start that follows a kill of ours."""
    storage_hold: str = ""
    """What is wrong with the storage of its cluster; empty if nothing is known to be."""
    memory_hold: str = ""
    """How much memory its cluster lacks for it; empty if none, or if that is not known."""
    device_hold: str = ""
    """The devices that it requires and that are missing."""
    confirmer: Confirmer | None = None
    """The Prometheus that must confirm that it is down; ``None`` if none must."""
    confirmation: Confirmation | None = None
    """What Prometheus said; ``None`` if it was not asked, or too long ago."""


def gather_facts(case: Case, system: SystemFacts) -> Facts:
    """Return the facts about *case* that the guards check."""
    state, inventory, history = system.state, system.state.valid_inventory, system.history
    at, limits = system.at, system.limits
    vm = inventory.vms.get(case.uuid)
    done = history.on(case)
    resets = [one.at for one in done if one.action is Action.RESET]
    return Facts(
        system=system,
        case=case,
        inventory_age_seconds=at - inventory.at,
        crash_age_seconds=_crash_age(case, inventory, at=at),
        in_flight=[intent.name for intent in system.open_actions.values()],
        system_uses=history.system_uses(now=inventory.at),
        acted_at=history.acted_at,
        no_capacity=history.no_capacity,
        enrolment=state.enrolments.get(case.uuid),
        open_intent=system.open_actions.get(case.uuid),
        vm_uses=history.uses(case, now=at),
        maintenance_window=active_window(system.maintenance_windows, case.name, system.time),
        window_before_start=_window_before_start(system.maintenance_windows, case, system.time),
        node_hold=node_hold(case, state, inventory, limits, at=at),
        waits_for=waits_for(case, state, limits, at=at),
        may_power_cycle=vm is not None and vm.config.disable_powercycle is False,
        hard_reset_at=max(resets, default=None),
        silenced=silenced(system.silences, case, inventory),
        completes_kill=_completes_kill(case, done),
        storage_hold=storage_hold(vm, state.platform, inventory),
        memory_hold=memory_hold(case, vm, state.platform, inventory),
        device_hold=device_hold(vm, inventory),
        confirmer=system.confirmer if _needs_confirmation(case, system) else None,
        confirmation=_confirmation(case, system),
    )


def _needs_confirmation(case: Case, system: SystemFacts) -> bool:
    """Return whether Prometheus must confirm that a VM is down."""
    return system.confirmer is not None and system.confirmer.is_needed(case.name)


def _confirmation(case: Case, system: SystemFacts) -> Confirmation | None:
    """Return what Prometheus said about a VM, if that is not too long ago to act on."""
    found = system.confirmations.get(case.uuid)
    if found is None or system.at - found.at > system.limits.reread_age_seconds:
        return None
    return found.confirmation


def _completes_kill(case: Case, done: Sequence[Spent]) -> bool:
    """Return whether our last action on a VM was the kill that took it down."""
    killed = case.diagnosis is not None and case.diagnosis.cause is Cause.KILLED_TO_RESTART
    return killed and bool(done) and done[-1].action is Action.KILL


def suppressed_by(case: Case, system: SystemFacts) -> str:
    """Return the silence or maintenance window that forbids actions on a VM now; else empty."""
    if system.state.inventory is None:
        return ""
    return silenced(system.silences, case, system.state.inventory) or active_window(
        system.maintenance_windows, case.name, system.time
    )


def forbidden(case: Case, system: SystemFacts, warm_since: float) -> str:
    """
    Return why no action may be sent at this moment; empty if it may.

    Args:
        warm_since: The start of the last warm-up before the decision, in seconds of monitored time.

    """
    if system.lease_problem:
        return system.lease_problem
    if system.kill_switch:
        return f"the kill switch {system.kill_switch} exists"
    if system.control_state.disarm is not None:
        return "recovery was disarmed"
    if system.control_state.pause is not None:
        return "recovery was paused"
    answer = system.control_state.answers.get(case.question.number) if case.question else None
    if answer is not None and answer.kind is CommandKind.DENY:
        return f"{answer.owner} denied it: {answer.reason}"
    if system.control_state.rival is not None:
        return system.control_state.rival.reason
    health = system.state.health
    if health.warm_since != warm_since:
        return health.warm_because
    return silenced(system.silences, case, system.state.valid_inventory)


def silenced(silences: Silences | None, case: Case, inventory: CheckedInventory) -> str:
    """Return the silence that matches a VM: its author, reason and end; empty if none does."""
    return "" if silences is None else silences.holding(location(case, inventory))


def _crash_age(case: Case, inventory: CheckedInventory, *, at: float) -> float:
    """Return how long ago a VM went down, by whichever clock saw more of it."""
    lost_at = case.lost_at if case.lost_at is not None else case.up_at
    ages = [at - lost_at if lost_at is not None else 0.0]
    if inventory.clock is not None and case.lost_clock is not None:
        ages.append(inventory.clock - case.lost_clock)
    return max(ages)


def _window_before_start(windows: Sequence[MaintenanceWindow], case: Case, now: datetime) -> str:
    """Return the maintenance window that would begin between a kill and the start after it."""
    if case.observed is not ObservedState.HUNG:
        return ""
    moments = (now + minute * MINUTE for minute in range(1, KILL_TO_START_MINUTES + 1))
    return next(filter(None, (active_window(windows, case.name, moment) for moment in moments)), "")
