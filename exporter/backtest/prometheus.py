"""
A recorded history from metrics in Prometheus, as far as they tell it.

Metrics have statuses, nodes and policies, and the cause of a downtime only where recovery ran and
diagnosed it. They have no log rows: a known stop gets a row that shows it, and a downtime without
a known cause gets a row that matches no pattern, so that no action follows.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from exporter.recovery.model.cases import Action, Cause, Intent, Outcome, Reply
from exporter.recovery.model.history import (
    Fact,
    FactKind,
    NodeFact,
    RecordedPoll,
    StatusFact,
    VMFact,
)
from exporter.recovery.model.platform_log import LogPosition, LogRow, LogTable, PositionRead
from exporter.recovery.model.records import ActionRecord, History
from exporter.recovery.model.states import OPEN, State
from exporter.recovery.observe.inventory_checks import BUSY, UP
from exporter.recovery.observe.inventory_facts import encode

STATUS = "vergewatch_vm_status_info"
INFO = "vergewatch_vm_info"
STATE = "vergewatch_recovery_vm_state_info"
NODE_STATUS = "vergewatch_node_status_info"
NODE_INFO = "vergewatch_node_info"
MAINTENANCE = "vergewatch_node_maintenance"
METRICS = (STATUS, INFO, STATE, NODE_STATUS, NODE_INFO, MAINTENANCE)

STOP_ROW = "VM action 'poweroff' sent"
UNKNOWN_ROW = "the cause of this downtime is not recorded"
KEYS_PER_POLL = 10_000
BEFORE_SECONDS = 3600.0
"""The logs are taken to be read since so long before the first sample."""
CRASHES = frozenset({Cause.CRASHED, Cause.HUNG, Cause.KILLED_TO_RESTART})
STOPS = frozenset(
    {
        Cause.STOPPED_BY_PERSON,
        Cause.STOPPED_BY_GUEST,
        Cause.STOPPED_BY_TASK,
        Cause.SEEN_STOPPING,
        Cause.HIBERNATED,
        Cause.LEFT_OFF_BY_POLICY,
        Cause.POWERED_OFF_AS_DESIRED,
    }
)
AFTER_ACTION = frozenset({*OPEN, State.PROBATION})

Labels = Mapping[str, str]
Series = tuple[Labels, Sequence[tuple[float, str]]]
"""The labels of a series, and its samples: Unix seconds and value."""


class MetricsHistory:
    """Collects samples in their order, and makes a history of them."""

    def __init__(self, system: str, step: float) -> None:
        self._system = system
        self._step = step
        self._begin = 0.0
        self._polls: list[RecordedPoll] = []
        self._facts: list[Fact] = []
        self._known: dict[tuple[FactKind, str], str] = {}
        self._numbers: dict[tuple[FactKind, str], int] = {}
        """Keys of nodes and clusters by their names: metrics have only these."""
        self._down: dict[str, tuple[int, str]] = {}
        """The poll at which each VM went down, and its cause as far as it is known."""
        self._rows: list[LogRow] = []
        self._rows_at = Counter[int]()
        """The number of rows of each poll."""
        self._states: dict[str, str] = {}
        self._uuids: dict[str, str] = {}
        self._actions: list[ActionRecord] = []
        self.causes_unknown = 0
        """Downtimes whose cause the metrics do not tell."""

    def add(self, times: Iterable[float], found: Mapping[str, Iterable[Series]]) -> None:
        """Add the series of each metric at *times*, which follow those before."""
        by_time = defaultdict[float, dict[str, list[tuple[Labels, str]]]](lambda: defaultdict(list))
        for metric, series in found.items():
            for labels, samples in series:
                for at, value in samples:
                    by_time[at][metric].append((labels, value))
        for at in times:
            self._add_poll(at, by_time.get(at, {}))

    def history(self) -> History:
        """Return the history."""
        for key in list(self._down):
            self._end_downtime(key)
        self._rows.sort(key=lambda row: row.key)
        return History(
            self._system,
            base=(),
            polls=self._polls,
            facts=self._facts,
            rows=self._rows,
            changes=(),
            decisions=(),
            actions=self._actions,
            commands=(),
            causes_recorded=False,
        )

    def _add_poll(self, unix: float, found: Mapping[str, Sequence[tuple[Labels, str]]]) -> None:
        if not self._polls:
            self._begin = unix - BEFORE_SECONDS
        number, at = len(self._polls), unix - self._begin
        positions = [PositionRead(at, _position(number + 1))]
        if not number:
            positions.insert(0, PositionRead(0.0, _position(number)))
        is_there = STATUS in found and INFO in found
        self._polls.append(
            RecordedPoll(
                at=at,
                time=datetime.fromtimestamp(unix, UTC),
                lag_seconds=0.0,
                took_seconds=0.0,
                every_seconds=self._step,
                clock=unix if is_there else None,
                problem="" if is_there else "Prometheus has no samples of this time",
                log_positions=tuple(positions),
            )
        )
        if is_there:
            facts = {**self._nodes(found), **self._vms(found)}
            self._note(facts, at)
            self._follow_states(number, at, found)

    def _nodes(
        self, found: Mapping[str, Sequence[tuple[Labels, str]]]
    ) -> dict[tuple[FactKind, str], str]:
        facts: dict[tuple[FactKind, str], str] = {}
        in_maintenance = {
            one["node_name"]: value == "1" for one, value in found.get(MAINTENANCE, ())
        }
        words = {one["node_name"]: one["status"] for one, _ in found.get(NODE_STATUS, ())}
        for one, _ in found.get(NODE_INFO, ()):
            name, word = one["node_name"], words.get(one["node_name"])
            status = _status(word, None) if word is not None else None
            node = NodeFact(name, self._cluster(one), None, in_maintenance.get(name), status)
            facts[FactKind.NODE, str(self._number(FactKind.NODE, name))] = encode(node)
        return facts

    def _vms(
        self, found: Mapping[str, Sequence[tuple[Labels, str]]]
    ) -> dict[tuple[FactKind, str], str]:
        facts: dict[tuple[FactKind, str], str] = {}
        words = {one["vm_id"]: one["status"] for one, _ in found[STATUS]}
        policies = {one["vm_id"]: one["policy"] for one, _ in found.get(STATE, ())}
        for one, _ in found[INFO]:
            key, node = one["vm_id"], one.get("node_name", "")
            policy = policies.get(key, "no")
            self._uuids[key] = one.get("uuid", "") or f"vm-{key}"
            vm = VMFact(
                machine=int(key),
                name=one["vm_name"],
                uuid=self._uuids[key],
                enabled=True,
                memory_bytes=None,
                cluster=self._cluster(one),
                failover_cluster=None,
                ha_group=one.get("ha_group", ""),
                on_power_loss=one.get("on_power_loss", ""),
                service=False,
                disable_powercycle=None,
                tags=() if policy == "no" else (f"recovery/{policy}",),
            )
            facts[FactKind.VM, key] = encode(vm)
            if key in words:
                number = self._number(FactKind.NODE, node) if node else None
                facts[FactKind.STATUS, key] = encode(_status(words[key], number))
        for name in {one["cluster_name"] for one, _ in found[INFO] if one.get("cluster_name")}:
            facts[FactKind.CLUSTER, str(self._number(FactKind.CLUSTER, name))] = encode(name)
        return facts

    def _note(self, facts: Mapping[tuple[FactKind, str], str], at: float) -> None:
        self._facts += [
            Fact(at, *key, value) for key, value in facts.items() if self._known.get(key) != value
        ]
        self._facts += [Fact(at, *key, None) for key in self._known if key not in facts]
        self._known = dict(facts)

    def _follow_states(
        self, number: int, at: float, found: Mapping[str, Sequence[tuple[Labels, str]]]
    ) -> None:
        """Follow downtimes, and what recovery made of them."""
        of_recovery = {one["vm_id"]: one for one, _ in found.get(STATE, ())}
        up = {one["vm_id"] for one, _ in found[STATUS] if one["status"] in UP}
        for one, _ in found[STATUS]:
            key = one["vm_id"]
            state = of_recovery.get(key, {})
            # A migration is no downtime; a start ends one only when the VM is up.
            if key not in up and (key in self._down or one["status"] not in BUSY):
                since, cause = self._down.get(key, (number, ""))
                self._down[key] = since, state.get("cause", "") or cause
            # An action that is seen once the VM is up was sent while it was down.
            acted_at = self._polls[number - 1].at if key in up and number else at
            self._follow_action(key, state, acted_at)
            if key in up and key in self._down:
                self._end_downtime(key)

    def _follow_action(self, key: str, state: Labels, at: float) -> None:
        """Note an action where recovery began to wait for its effect."""
        before, now = self._states.get(key), state.get("state", "")
        self._states[key] = now
        if now not in AFTER_ACTION or before is None or before in AFTER_ACTION:
            return
        time = self._polls[-1].time
        intent = Intent(
            id=len(self._actions) + 1,
            uuid=self._uuids[key],
            vm_key=int(key),
            name=state["vm_name"],
            action=Action.POWER_ON,
            prepared_at=at,
            sent_at=at,
            deadline=at,
            reply=Reply.ACCEPTED,
            outcome=Outcome.CONFIRMED,
        )
        self._actions.append(ActionRecord(intent, 0, time, time))

    def _end_downtime(self, key: str) -> None:
        """Put a row in place of what showed the cause of a downtime, or of what is not known."""
        number, cause = self._down.pop(key)
        if not number or cause in CRASHES:
            return  # down since before the first sample, or nothing was logged
        self.causes_unknown += cause not in STOPS
        keys = number * KEYS_PER_POLL
        self._rows_at[number] += 1
        self._rows.append(
            LogRow(
                table=LogTable.MACHINE_LOGS,
                key=keys + self._rows_at[number],
                at=self._begin + self._polls[number].at,
                text=STOP_ROW if cause in STOPS else UNKNOWN_ROW,
                user="unknown",
                machine=int(key),
                read_at=self._polls[number].at,
            )
        )

    def _number(self, kind: FactKind, name: str) -> int:
        return self._numbers.setdefault((kind, name), len(self._numbers) + 1)

    def _cluster(self, labels: Labels) -> int | None:
        name = labels.get("cluster_name", "")
        return self._number(FactKind.CLUSTER, name) if name else None


def _status(word: str, node: int | None) -> StatusFact:
    is_up = word in UP
    return StatusFact(
        running=is_up, powered_on=is_up, word=word, state="", node=node, started_at=None
    )


def _position(number: int) -> LogPosition:
    """Return the end of the logs at a poll; the rows of its time have the keys before."""
    key = number * KEYS_PER_POLL or 1
    return LogPosition(key, key)
