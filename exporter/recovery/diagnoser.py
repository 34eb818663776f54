"""Diagnoses the VMs of one system that are down, and reads the logs of VergeOS for it."""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from exporter.recovery.detect.context import (
    NO_NAMES,
    LogNames,
    LogUsers,
    diagnosis_context,
    log_names,
)
from exporter.recovery.detect.diagnosis import (
    add_stop_author,
    diagnose,
    explains,
    explains_loss,
    lacks_stop_author,
)
from exporter.recovery.detect.log_patterns import LogClassifier
from exporter.recovery.detect.starts import started_by
from exporter.recovery.log_tail import LogTail, Subject
from exporter.recovery.model.cases import Case, Cause, ObservedState
from exporter.recovery.model.commands import Command
from exporter.recovery.model.limits import Limits, PowerState
from exporter.recovery.model.ports import Platform, SavedState
from exporter.recovery.model.states import DIAGNOSED, State
from exporter.recovery.observe.error_budget import with_undone
from exporter.recovery.observe.inventory_checks import CheckedInventory
from exporter.recovery.observe.lifecycle import apply_diagnosis
from exporter.recovery.observe.state import RecoveryState
from exporter.recovery.pauses import with_pauses
from exporter.recovery.template_learner import TemplateLearner

DOWN = (ObservedState.DOWN, ObservedState.HUNG)
UP = (State.HEALTHY, State.PROBATION)


class Diagnoser:
    """
    Diagnoses cases from the inventory and from the logs that were read so far.

    Args:
        users: The daemon's and VergeOS' own users in the logs.

    """

    def __init__(
        self,
        platform: Platform,
        limits: Limits,
        classifier: LogClassifier,
        users: LogUsers,
        powerstate: PowerState,
    ) -> None:
        self._limits = limits
        self.learner = TemplateLearner(classifier, users, limits)
        self._users = users
        self._powerstate = powerstate
        self._names_of: CheckedInventory | None = None
        self._names = NO_NAMES
        self._platform = platform
        self.log_tail = LogTail(platform, limits)

    def use(
        self, limits: Limits, classifier: LogClassifier, users: LogUsers, powerstate: PowerState
    ) -> None:
        """Diagnose by other settings; what was read, taught and learned stays."""
        self._limits, self._users, self._powerstate = limits, users, powerstate
        self.learner.use(classifier, users, limits)
        self.log_tail.use(limits)

    def resume(
        self, saved: SavedState, state: RecoveryState, taught: Mapping[str, Command]
    ) -> None:
        """
        Continue from the journal, with what was *taught*.

        Rows that this process kept in an earlier term are about other outages, and its positions
        may be of another journal's time.
        """
        needed = (
            case.log_from
            for case in state.cases.values()
            if case.log_from is not None and needs_log_rows(case)
        )
        self.log_tail = LogTail(self._platform, self._limits)
        self.log_tail.resume(saved.log_positions, needed)
        self.learner.resume(saved, taught)

    async def diagnosed(self, state: RecoveryState) -> dict[str, Case]:
        """Return the cases that their diagnosis changes, by UUID."""
        wanted = {
            uuid: case
            for uuid, case in state.cases.items()
            if case.state in DIAGNOSED or lacks_stop_author(case)
        }
        undecided = (uuid for uuid, case in state.cases.items() if needs_log_rows(case))
        self.log_tail.forget_all_but({*wanted, *undecided})
        found = {}
        async for case in with_pauses(wanted.values()):
            after = self.diagnose(case, state)
            if after is not case:
                found[case.uuid] = after
        return found

    def diagnose(self, case: Case, state: RecoveryState) -> Case:
        """Return *case* with its diagnosis, and in the state that follows from it."""
        inventory = state.valid_inventory
        case = self._placed_in_logs(case)
        names = self._log_names(inventory)
        logs = self.log_tail.evidence(case, _places(case, inventory))
        context = diagnosis_context(case, state, inventory, logs, self._users, names)
        if lacks_stop_author(case):
            case = add_stop_author(case, context, self._limits, self.learner.classifier)
            return with_undone(case, at=inventory.at)
        diagnosis = diagnose(case, context, self._limits, self.learner.classifier, self._powerstate)
        return with_undone(apply_diagnosis(case, diagnosis, at=inventory.at), at=inventory.at)

    async def explained(self, state: RecoveryState) -> frozenset[str]:
        """Return the VMs that are down and whose going down is no loss, as far as the logs tell."""
        found = set()
        names = self._log_names(state.valid_inventory)
        lost = [case for case in state.cases.values() if case.lost_at is not None]
        async for case in with_pauses(lost):
            if case.state is not State.SUSPECT:
                if case.diagnosis is not None and explains(case.diagnosis):
                    found.add(case.uuid)
                continue
            placed = self._placed_in_logs(case)
            logs = self.log_tail.evidence(placed, _places(placed, state.valid_inventory))
            context = diagnosis_context(
                placed, state, state.valid_inventory, logs, self._users, names
            )
            if explains_loss(placed, context, self._limits, self.learner.classifier):
                found.add(case.uuid)
        return frozenset(found)

    async def read_logs(self, state: RecoveryState, *, at: float) -> bool:
        """Read the logs if that is due; return whether it was."""
        seen_at = state.valid_inventory.at
        down_or_just_up = (
            case for case in state.cases.values() if case.state not in UP or case.since == seen_at
        )
        due = self.log_tail.is_due(at=at) or any(
            self._needs_logs(case, at=at) for case in down_or_just_up
        )
        if due:
            await self.read_logs_now(state, at=at)
        return due

    async def read_logs_now(self, state: RecoveryState, *, at: float) -> None:
        """Read the logs."""
        names = self._log_names(state.valid_inventory)
        rows = await self.log_tail.read(names.vms, at=at)
        if rows is not None:
            self.learner.after_read(rows, state, names, at=at)

    def started_by(self, case: Case) -> str:
        """Return who had a VM started that was down as in *case*; empty if that is not known."""
        names = (case.name, *case.former_names)
        rows = self.log_tail.about({("machine", case.machine), *(("vm", name) for name in names)})
        return started_by(case, rows, self._users, self.learner.classifier)

    def _needs_logs(self, case: Case, *, at: float) -> bool:
        """Return whether a VM that is down or just up needs the logs before the regular read."""
        read_at = self.log_tail.read_at
        if case.state in UP:
            return case.policy.acts and read_at < case.since
        if case.state not in DIAGNOSED or case.observed not in DOWN or case.trouble_at is None:
            return False
        if not case.policy.acts and at - read_at < self._limits.log_read_seconds / 2:
            return False
        if case.policy.acts and read_at < case.trouble_at:
            return True
        settled_at = case.trouble_at + self._limits.log_settle_seconds
        unsettled = case.diagnosis is not None and case.diagnosis.cause is Cause.LOGS_NOT_SETTLED
        return unsettled and read_at < settled_at <= at

    def _placed_in_logs(self, case: Case) -> Case:
        """Return *case* with the positions in the logs at which it was up and went down."""
        tail, up_at = self.log_tail, case.up_at
        if up_at is None or not tail.positions:
            return case
        if case.killed_at is not None and case.killed_until is None:
            until = case.killed_at + self._limits.verify_reset_seconds
            if tail.positions[-1].read_at >= until:
                case = replace(case, killed_until=tail.position_at(until))
        if case.log_from is None:
            # Where it was down at that time, nothing from before explains why it is down again.
            margin = 0.0 if case.ran_unseen else self._limits.log_before_seconds
            before = tail.position_at(up_at - margin)
            if before is None:
                return case
            case = replace(case, log_from=before, log_up=tail.position_at(up_at))
        if case.log_down is None and case.trouble_at is not None:
            after = next((one for one in tail.positions if one.read_at >= case.trouble_at), None)
            if after is not None:
                case = replace(case, log_down=after.position)
        return case

    def _log_names(self, inventory: CheckedInventory) -> LogNames:
        if self._names_of is not inventory:
            self._names_of = inventory
            self._names = log_names(inventory, self._names)
        return self._names


def needs_log_rows(case: Case) -> bool:
    """Return whether log rows may still decide why a VM is down."""
    return case.log_from is not None and case.state is not State.STOPPED


def _places(case: Case, inventory: CheckedInventory) -> Iterable[Subject]:
    """Return what rows about the node and the cluster of a VM are about."""
    node = inventory.nodes.get(case.node or 0)
    if node is not None:
        yield "node", node.name
        if node.machine is not None:
            yield "machine", node.machine
    vm = inventory.vms.get(case.uuid)
    cluster = inventory.reported.clusters.get(vm.config.cluster or 0) if vm is not None else None
    if cluster is not None:
        yield "cluster", cluster.name
