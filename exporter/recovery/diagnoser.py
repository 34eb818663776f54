"""Diagnoses the VMs of one system that are down, and reads the logs of VergeOS for it."""

from collections.abc import Callable, Iterable, Sequence

from exporter.recovery.detect.context import diagnosis_context
from exporter.recovery.detect.diagnosis import add_stop_author, diagnose, lacks_stop_author
from exporter.recovery.detect.log_patterns import LogClassifier
from exporter.recovery.log_reader import LogReader
from exporter.recovery.model.cases import Case, DiagnosisKind
from exporter.recovery.model.limits import Limits, PowerState
from exporter.recovery.model.ports import Platform
from exporter.recovery.model.states import DIAGNOSED
from exporter.recovery.observe.lifecycle import apply_diagnosis
from exporter.recovery.observe.state import RecoveryState


class Diagnoser:
    """
    Diagnoses cases from the inventory and from the logs that were read so far.

    Args:
        own_user: The daemon's user in the logs of VergeOS.

    """

    def __init__(
        self,
        platform: Platform,
        limits: Limits,
        classifier: LogClassifier,
        own_user: str,
        powerstate: PowerState,
    ) -> None:
        self._limits = limits
        self._classifier = classifier
        self._own_user = own_user
        self._powerstate = powerstate
        self._log_reader = LogReader(platform, limits)

    def diagnose(self, cases: Iterable[Case], state: RecoveryState) -> dict[str, Case]:
        """Return those of *cases* that their diagnosis changes, by UUID."""
        found = ((case, self._diagnosed(case, state)) for case in cases)
        return {after.uuid: after for before, after in found if after is not before}

    async def read_logs_of_enrolled(
        self,
        cases: Iterable[Case],
        state: RecoveryState,
        is_allowed: Callable[[Case], bool],
        *,
        at: float,
    ) -> Sequence[Case]:
        """
        Read the logs of the enrolled VMs among *cases* that are due; return their cases.

        Args:
            is_allowed: Whether all guards pass: then the logs are read again before the action.

        """
        due = [
            case
            for case in cases
            if case.policy.acts
            and self._log_reader.is_due(case, at=at, to_act=_is_crashed(case) and is_allowed(case))
        ]
        return await self._read(due, state, at=at)

    async def read_other_logs(self, state: RecoveryState, *, at: float) -> Sequence[Case]:
        """Read the logs of some VMs on which recovery takes no action, and return their cases."""
        troubled = {uuid: case for uuid, case in state.cases.items() if case.state in DIAGNOSED}
        unattributed = {uuid: case for uuid, case in state.cases.items() if lacks_stop_author(case)}
        self._log_reader.forget_all_but(troubled | unattributed)
        due = [
            case
            for case in troubled.values()
            if not case.policy.acts and self._log_reader.is_due(case, at=at, to_act=False)
        ]
        due += [case for case in unattributed.values() if self._log_reader.is_unread(case, at=at)]
        return await self._read(self._log_reader.some_of_others(due, at=at), state, at=at)

    async def _read(
        self, cases: Sequence[Case], state: RecoveryState, *, at: float
    ) -> Sequence[Case]:
        if cases:
            await self._log_reader.read(cases, state.valid_inventory, at=at)
        return cases

    def _diagnosed(self, case: Case, state: RecoveryState) -> Case:
        inventory, logs = state.valid_inventory, self._log_reader.of(case.uuid)
        context = diagnosis_context(case, state, inventory, logs, self._own_user)
        if lacks_stop_author(case):
            return add_stop_author(case, context, self._limits, self._classifier)
        diagnosis = diagnose(case, context, self._limits, self._classifier, self._powerstate)
        return apply_diagnosis(case, diagnosis, at=inventory.at)


def _is_crashed(case: Case) -> bool:
    return case.diagnosis is not None and case.diagnosis.kind is DiagnosisKind.CRASHED
