"""The facts that the guards check, each at the edge where it changes."""

from collections.abc import Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.model import Node
from exporter.recovery.decide.budgets import ActionHistory
from exporter.recovery.decide.facts import (
    Facts,
    forbidden,
    gather_facts,
    suppressed_by,
)
from exporter.recovery.decide.maintenance_windows import MaintenanceWindow
from exporter.recovery.model.cases import Action, Case, Cause, Diagnosis, DiagnosisKind, Spent
from exporter.recovery.model.commands import CommandKind, ControlState
from exporter.recovery.model.confirmation import (
    Confirmation,
    ConfirmationQuery,
    TimedConfirmation,
)
from exporter.recovery.model.ports import VMLocation
from exporter.recovery.observe.health import Health
from exporter.recovery.observe.platform_history import PlatformHistory
from tests.fakes import START
from tests.recovery.test_commands import given
from tests.recovery.test_edges import CARE, DOWN, FREE, HUNG, INTENT, LIMITS
from tests.recovery.test_platform_holds import NOW, inventory_with, vm_with
from tests.recovery.test_question_states import QUESTION

INVENTORY = inventory_with()._replace(vms={"u": vm_with()})
STATE = FREE.system.state._replace(
    cases=MappingProxyType({"u": DOWN}),
    enrolments={"u": CARE},
    inventory=INVENTORY,
    health=Health(warm_since=100.0, warm_because="a clock jumped"),
)
SYSTEM = FREE.system._replace(state=STATE)


def facts(case: Case = DOWN, *, inventory: Any = INVENTORY, **system: Any) -> Facts:
    state = STATE._replace(inventory=inventory)
    return gather_facts(case, SYSTEM._replace(**{"state": state, **system}))


def acted(*actions: tuple[float, Action]) -> ActionHistory:
    return ActionHistory(LIMITS, [Spent(at, "u", action) for at, action in actions])


class Silenced:
    """Silences that match VMs by name."""

    unknown = "Alertmanager cannot be reached"

    def __init__(self, *names: str) -> None:
        self.names = names
        self.asked: list[VMLocation] = []

    are_needed = True

    async def refresh(self) -> None:
        pass

    def holding(self, vm: VMLocation, /) -> str:
        self.asked.append(vm)
        return "it is silenced by alice: a new disk" if vm.vm_name in self.names else ""


class Asked:
    """A Prometheus that must confirm that some VMs are down."""

    goes_on = False

    def __init__(self, *names: str) -> None:
        self.names = names

    def is_needed(self, vm_name: str, /) -> bool:
        return vm_name in self.names

    async def find_problem(self) -> str:
        return ""

    async def ask(self, queries: Sequence[ConfirmationQuery], /) -> Sequence[Confirmation]:
        raise AssertionError


# What holds for the system.


def test_silences_are_unknown_as_long_as_alertmanager_says_so() -> None:
    assert SYSTEM._replace(silences=Silenced()).silences_unknown == Silenced.unknown
    assert SYSTEM.silences_unknown == ""


def test_update_of_the_system_is_told_with_its_age() -> None:
    state = STATE._replace(platform=PlatformHistory("it installs an update", NOW - 2))

    assert SYSTEM._replace(state=state).update_hold == "it installs an update, seen 2 s ago"
    assert SYSTEM.update_hold == ""


# How old the crash and the inventory are.


def test_ages_are_in_seconds_of_monitored_time() -> None:
    found = facts(replace(DOWN, lost_at=NOW - 70.0), at=NOW + 5.0)

    assert found.inventory_age_seconds == 5.0
    assert found.crash_age_seconds == 75.0


@pytest.mark.parametrize(
    ("lost_at", "up_at", "lost_clock", "clock", "age"),
    [
        (NOW - 70.0, NOW - 90.0, None, None, 70.0),
        (0.0, NOW - 90.0, None, None, NOW),
        (None, NOW - 90.0, None, None, 90.0),
        (None, None, None, None, 0.0),
        (NOW - 70.0, None, 5000.0, 5080.0, 80.0),
        (NOW - 70.0, None, 5000.0, 5060.0, 70.0),
        (NOW - 70.0, None, 5000.0, None, 70.0),
        (NOW - 70.0, None, None, 5080.0, 70.0),
        (None, None, 5000.0, 5080.0, 80.0),
    ],
)
def test_crash_is_as_old_as_the_clock_says_that_saw_more_of_it(
    lost_at: float | None,
    up_at: float | None,
    lost_clock: float | None,
    clock: float | None,
    age: float,
) -> None:
    case = replace(DOWN, lost_at=lost_at, up_at=up_at, lost_clock=lost_clock)

    assert facts(case, inventory=INVENTORY._replace(clock=clock)).crash_age_seconds == age


# Earlier actions.


def test_actions_of_the_vm_and_of_the_system_are_counted() -> None:
    history = acted((NOW - 90.0, Action.RESET), (NOW - 80.0, Action.KILL))
    history.add(Spent(NOW - 70.0, "other", Action.POWER_ON))

    found = facts(history=history, open_actions={"other": replace(INTENT, name="db-01")})

    assert [use.used for use in found.vm_uses] == [2, 2, 2]
    assert [use.used for use in found.system_uses] == [3, 3]
    assert found.acted_at == NOW - 70.0
    assert list(found.in_flight) == ["db-01"]
    assert found.open_intent is None
    assert facts(open_actions={"u": INTENT}).open_intent is INTENT


@pytest.mark.parametrize(
    ("actions", "at"),
    [
        ((), None),
        (((5.0, Action.POWER_ON), (6.0, Action.REBOOT), (7.0, Action.KILL)), None),
        (((5.0, Action.RESET), (6.0, Action.RESET), (7.0, Action.REBOOT)), 6.0),
    ],
)
def test_last_hard_reset_is_no_other_action(
    actions: Sequence[tuple[float, Action]], at: float | None
) -> None:
    assert facts(history=acted(*actions)).hard_reset_at == at


@pytest.mark.parametrize(
    ("cause", "actions", "completes"),
    [
        (Cause.KILLED_TO_RESTART, (Action.RESET, Action.KILL), True),
        (Cause.KILLED_TO_RESTART, (Action.KILL, Action.POWER_ON), False),
        (Cause.KILLED_TO_RESTART, (), False),
        (Cause.CRASHED, (Action.KILL,), False),
        (None, (Action.KILL,), False),
    ],
)
def test_start_completes_a_kill_of_ours_that_took_the_vm_down(
    cause: Cause | None, actions: Sequence[Action], *, completes: bool
) -> None:
    diagnosis = Diagnosis(DiagnosisKind.CRASHED, cause) if cause is not None else None
    history = acted(*((float(at), action) for at, action in enumerate(actions)))

    found = facts(replace(DOWN, diagnosis=diagnosis), history=history)

    assert found.completes_kill is completes


@pytest.mark.parametrize(("setting", "may"), [(False, True), (True, False), (None, False)])
def test_power_cycle_is_permitted_only_by_a_vm_that_is_known_to_allow_it(
    setting: bool | None, *, may: bool
) -> None:
    vm = vm_with(disable_powercycle=setting)

    assert facts(inventory=INVENTORY._replace(vms={"u": vm})).may_power_cycle is may
    assert facts(inventory=INVENTORY._replace(vms={})).may_power_cycle is False


# Confirmation by Prometheus.


@pytest.mark.parametrize(
    ("confirmer", "is_asked"), [(Asked("web-01"), True), (Asked("db-01"), False), (None, False)]
)
def test_vm_needs_the_confirmation_that_is_configured_for_it(
    confirmer: Asked | None, *, is_asked: bool
) -> None:
    assert facts(confirmer=confirmer).confirmer is (confirmer if is_asked else None)


@pytest.mark.parametrize(("age", "counts"), [(0.0, True), (4.9, True), (5.0, True), (5.1, False)])
def test_confirmation_counts_for_as_long_as_what_is_read_again(age: float, *, counts: bool) -> None:
    answer = Confirmation("down", (1.0,))
    confirmations = {"u": TimedConfirmation(answer, NOW - age)}

    assert facts(confirmations=confirmations).confirmation is (answer if counts else None)
    assert facts(replace(DOWN, uuid="v"), confirmations=confirmations).confirmation is None


# Maintenance windows.


def window_in(minutes: float, *, lasts_minutes: float = 1.0, **given: Any) -> MaintenanceWindow:
    start = (START + timedelta(minutes=minutes)).time()
    return MaintenanceWindow(start=start, hours=lasts_minutes / 60, reason="backups", **given)


@pytest.mark.parametrize(
    ("minutes", "is_soon"),
    [(0, False), (1, True), (2, True), (9, True), (10, True), (11, False), (20, False)],
)
def test_window_within_ten_minutes_leaves_no_time_from_a_kill_to_the_start(
    minutes: int, *, is_soon: bool
) -> None:
    windows = (window_in(60), window_in(minutes), window_in(90))

    assert bool(facts(HUNG, maintenance_windows=windows).window_before_start) is is_soon
    assert facts(DOWN, maintenance_windows=windows).window_before_start == ""
    assert bool(facts(HUNG, maintenance_windows=windows).maintenance_window) is (minutes == 0)


def test_window_of_other_vms_does_not_matter() -> None:
    windows = (window_in(0, names=("db-*",)), window_in(5, names=("db-*",)))

    assert facts(HUNG, maintenance_windows=windows).window_before_start == ""
    assert facts(HUNG, maintenance_windows=windows).maintenance_window == ""


# Silences.


def test_silence_is_looked_up_by_the_vm_and_its_place() -> None:
    silences = Silenced("web-01")
    nodes = {3: Node(3, "node3", 7, 33, maintenance=False, status=None)}

    found = facts(silences=silences, inventory=INVENTORY._replace(nodes=nodes))

    assert found.silenced == "it is silenced by alice: a new disk"
    assert silences.asked == [VMLocation(1, "web-01", "node3", "production")]
    assert facts(silences=Silenced("db-01")).silenced == ""
    assert facts(silences=None).silenced == ""


@pytest.mark.parametrize(
    ("silences", "windows", "reason"),
    [
        (None, (), ""),
        (Silenced("db-01"), (), ""),
        (Silenced("web-01"), (), "it is silenced by alice: a new disk"),
        (None, (window_in(0),), "backups (until Thu 00:01 UTC)"),
        (Silenced("db-01"), (window_in(0),), "backups (until Thu 00:01 UTC)"),
        (Silenced("web-01"), (window_in(0),), "it is silenced by alice: a new disk"),
        (None, (window_in(5),), ""),
    ],
)
def test_vm_is_suppressed_by_a_silence_or_a_window(
    silences: Silenced | None, windows: Sequence[MaintenanceWindow], reason: str
) -> None:
    system = SYSTEM._replace(silences=silences, maintenance_windows=windows)

    assert suppressed_by(DOWN, system) == reason
    unread = system._replace(state=STATE._replace(inventory=None))
    assert suppressed_by(DOWN, unread) == ""


# The last moment before a request.

DENIED = given(CommandKind.DENY, question=QUESTION.number)
APPROVED = given(CommandKind.APPROVE, question=QUESTION.number)


def forbids(case: Case = DOWN, *, warm_since: float = 100.0, **system: Any) -> str:
    return forbidden(case, SYSTEM._replace(**system), warm_since)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"kill_switch": "/run/off"}, "the kill switch /run/off exists"),
        (
            {"control_state": ControlState(disarm=given(CommandKind.DISARM))},
            "recovery was disarmed",
        ),
        ({"control_state": ControlState(pause=given(CommandKind.PAUSE))}, "recovery was paused"),
        ({"control_state": ControlState(rival=given(CommandKind.RIVAL))}, "because"),
        ({"silences": Silenced("web-01")}, "it is silenced by alice: a new disk"),
        ({"silences": Silenced("db-01")}, ""),
        ({"control_state": ControlState(fallback=given(CommandKind.FALL_BACK))}, ""),
    ],
)
def test_request_is_forbidden_by_what_happened_since_the_decision(
    change: dict[str, Any], reason: str
) -> None:
    assert forbids(**change) == reason


@pytest.mark.parametrize(
    ("number", "answer", "reason"),
    [
        (QUESTION.number, DENIED, "anna denied it: because"),
        (QUESTION.number, APPROVED, ""),
        (QUESTION.number + 1, DENIED, ""),
    ],
)
def test_request_is_forbidden_by_a_denial(number: int, answer: Any, reason: str) -> None:
    control_state = ControlState(answers={number: answer})

    assert forbids(replace(DOWN, question=QUESTION), control_state=control_state) == reason
    assert forbids(control_state=control_state) == ""


@pytest.mark.parametrize("warm_since", [99.9, 100.1, 0.0])
def test_request_is_forbidden_by_a_warm_up_since_the_decision(warm_since: float) -> None:
    assert forbids(warm_since=warm_since) == "a clock jumped"


def test_facts_are_about_the_vm_and_keep_the_system() -> None:
    found = facts()

    assert found.case is DOWN
    assert found.system == SYSTEM
    assert found.enrolment is CARE
    assert facts(replace(DOWN, uuid="v")).enrolment is None
