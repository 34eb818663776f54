"""Journal records of one system, written step by step."""

from datetime import timedelta

from exporter.recovery.model.cases import Action, Cause, Diagnosis, DiagnosisKind, Intent, Outcome
from exporter.recovery.model.commands import Command, CommandKind
from exporter.recovery.model.decision import Decision, GuardName
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.ports import Change
from exporter.recovery.model.records import ActionRecord, DecisionRecord, JournalRecords
from exporter.recovery.model.states import State
from exporter.recovery.report.summary import RecoverySummary, summarize
from tests.fakes import START

HOUR = 3600.0
CRASHED = Diagnosis(DiagnosisKind.CRASHED, Cause.CRASHED)
STOPPED = Diagnosis(DiagnosisKind.STOPPED, Cause.STOPPED_BY_PERSON, "“off” by anna")
TRIM = "VM '<name>' trimmed"
UNCLEAR = Diagnosis(DiagnosisKind.UNKNOWN, Cause.LOGS_UNCLEAR, "“trimmed” by system", TRIM)
FAILED_OVER = Diagnosis(DiagnosisKind.PLATFORM, Cause.NODE_IN_TROUBLE)


class Story:
    """The journal records of one system, written step by step."""

    def __init__(self, mode: Mode = Mode.ENFORCE) -> None:
        self.mode = mode
        self.changes: list[Change] = []
        self.decisions: list[DecisionRecord] = []
        self.actions: list[ActionRecord] = []
        self.answers: list[Command] = []

    def change(
        self,
        at: float,
        before: State | None,
        after: State | None,
        diagnosis: Diagnosis | None = None,
        *,
        by: str = "",
        vm: str = "web-01",
    ) -> "Story":
        self.changes.append(
            Change(
                uuid=vm, vm_key=7, name=vm, at=at, time=START + timedelta(seconds=at),
                before=before, after=after, word="", diagnosis=diagnosis, started_by=by,
            )
        )  # fmt: skip
        return self

    def falls(self, at: float, vm: str = "web-01") -> "Story":
        return self.change(at, State.HEALTHY, State.SUSPECT, vm=vm)

    def is_up(self, at: float, by: str = "", vm: str = "web-01") -> "Story":
        return self.change(at, State.SUSPECT, State.HEALTHY, by=by, vm=vm)

    def decides(
        self,
        at: float,
        guard: GuardName | None,
        diagnosis: Diagnosis = CRASHED,
        vm: str = "web-01",
    ) -> "Story":
        decision = Decision(
            uuid=vm, vm_key=7, name=vm, at=at, time=START + timedelta(seconds=at),
            state=State.HELD, diagnosis=diagnosis, action=Action.POWER_ON, failed_guard=guard,
            guard_results=(), mode=self.mode,
        )  # fmt: skip
        self.decisions.append(DecisionRecord(len(self.decisions) + 1, decision))
        return self

    def acts(
        self, at: float, outcome: Outcome | None = Outcome.CONFIRMED, vm: str = "web-01"
    ) -> "Story":
        self.decides(at, None, vm=vm)
        intent = Intent(
            id=len(self.actions) + 1, uuid=vm, vm_key=7, name=vm, action=Action.POWER_ON,
            prepared_at=at, sent_at=at, deadline=at + 120, outcome=outcome,
        )  # fmt: skip
        time = START + timedelta(seconds=at)
        self.actions.append(ActionRecord(intent, len(self.decisions), time, None))
        return self

    def answered(self, at: float, kind: CommandKind) -> "Story":
        time = START + timedelta(seconds=at)
        self.answers.append(
            Command(
                kind=kind, owner="bob", reason="it is mine", at=at, time=time,
                question=len(self.decisions),
            )
        )  # fmt: skip
        return self

    def report(self, since: float = 0.0, until: float = 4 * HOUR) -> RecoverySummary:
        return summarize(
            JournalRecords(self.changes, self.decisions, self.actions, self.answers),
            system="production",
            mode=self.mode.value,
            since=START + timedelta(seconds=since),
            until=START + timedelta(seconds=until),
        )


def restarted(at: float = 100, story: Story | None = None, vm: str = "web-01") -> Story:
    """Return a story in which recovery starts a crashed VM after 60 s."""
    return (story or Story()).falls(at, vm).acts(at + 40, vm=vm).is_up(at + 60, vm=vm)
