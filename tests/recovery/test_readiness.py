"""Whether recovery would act: of several reasons not to, the one that lasts longest."""

from typing import Any

import pytest
from msgspec.structs import replace

from exporter.model import Node
from exporter.recovery.decide.facts import SystemFacts
from exporter.recovery.decide.inputs import HOLDS, NODES_MISSING, InputName, inputs, missing_inputs
from exporter.recovery.decide.readiness import Readiness, ReadinessState, readiness_now
from exporter.recovery.model.commands import CommandKind, ControlState
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.platform_log import LogTable
from exporter.recovery.observe.circuit_breaker import BreakerState, CircuitBreaker
from exporter.recovery.observe.health import Health
from exporter.recovery.observe.platform_history import PlatformHistory
from tests.recovery.test_commands import given
from tests.recovery.test_edges import facts_with
from tests.recovery.test_platform_holds import inventory_with

AT = 10_000.0
"""The moment of `facts_with`."""
UPDATED = PlatformHistory("it installs an update", AT)
OPEN = CircuitBreaker(breaker_state=BreakerState.OPEN)
HALF_OPEN = CircuitBreaker(breaker_state=BreakerState.HALF_OPEN)


def held_by(*kinds: CommandKind, until: float | None = None) -> ControlState:
    state = ControlState()
    for kind in kinds:
        state = state.after(given(kind, until=until))
    return state


REASONS: list[tuple[ReadinessState, str, dict[str, Any]]] = [
    (
        ReadinessState.DISARMED,
        "the kill switch /run/off exists",
        {"kill_switch": "/run/off"},
    ),
    (
        ReadinessState.DISARMED,
        "by anna: because",
        {"control_state": held_by(CommandKind.DISARM, CommandKind.PAUSE, CommandKind.RIVAL)},
    ),
    (
        ReadinessState.PAUSED,
        "by anna: because",
        {"control_state": held_by(CommandKind.PAUSE, CommandKind.RIVAL)},
    ),
    (ReadinessState.RIVAL, "because", {"control_state": held_by(CommandKind.RIVAL)}),
    (ReadinessState.JOURNAL_DOWN, "disk full", {"journal_problem": "disk full"}),
    (ReadinessState.DEGRADED, "rejected", {"health": Health(polls=10, degraded_by="rejected")}),
    (ReadinessState.CIRCUIT_BREAKER_OPEN, "too many VMs are down at once", {"breaker": OPEN}),
    (ReadinessState.DEGRADED, "tags: 403", {"tags_problem": "tags: 403"}),
    (ReadinessState.PLATFORM_UPDATE, "it installs an update", {"platform": UPDATED}),
    (ReadinessState.WARMING_UP, "b led until now", {"lease_problem": "b led until now"}),
    (
        ReadinessState.WARMING_UP,
        "since start, 100 s and valid inventories to go",
        {"health": Health(warm_since=AT - 500.0)},
    ),
    (
        ReadinessState.CIRCUIT_BREAKER_HALF_OPEN,
        "the circuit breaker is half open: one VM at a time",
        {"breaker": HALF_OPEN},
    ),
]
"""The reasons not to act, the one that counts most first, and what brings each about."""


def system_with(**change: Any) -> SystemFacts:
    return facts_with(**change).system


@pytest.mark.parametrize("number", range(len(REASONS)))
def test_reason_is_told_unless_one_before_it_holds_too(number: int) -> None:
    readiness, because, change = REASONS[number]
    later: dict[str, Any] = {}
    for _, _, other in reversed(REASONS[number + 1 :]):
        later.update({name: other[name] for name in other if name not in change})

    for system in (system_with(**change), system_with(**{**later, **change})):
        assert readiness_now(system, bug="") == Readiness(readiness, because)
        assert readiness_now(system, bug="KeyError") == (ReadinessState.BROKEN, "KeyError")


@pytest.mark.parametrize(
    ("journal_problem", "expected"),
    [
        ("", (ReadinessState.STANDBY, "b leads")),
        ("no server", (ReadinessState.JOURNAL_DOWN, "no server")),
    ],
)
def test_standby_that_has_no_journal_says_so(
    journal_problem: str, expected: tuple[ReadinessState, str]
) -> None:
    system = system_with(standby="b leads", journal_problem=journal_problem)

    assert readiness_now(system, bug="") == expected


def test_recovery_without_a_reason_not_to_act_is_active() -> None:
    assert readiness_now(system_with(), bug="") == (ReadinessState.ACTIVE, "ready to act")


@pytest.mark.parametrize("kind", [CommandKind.PAUSE, CommandKind.RIVAL])
@pytest.mark.parametrize(("until", "is_over"), [(AT - 1, True), (AT, True), (AT + 1, False)])
def test_hold_that_has_just_expired_does_not_count(
    kind: CommandKind, until: float, *, is_over: bool
) -> None:
    system = system_with(control_state=held_by(kind, until=until))

    assert (readiness_now(system, bug="").readiness is ReadinessState.ACTIVE) is is_over


READY_TO_ASK = "ready to ask: the mode is ask, and each action needs an operator's approval"


@pytest.mark.parametrize(
    ("mode", "fell_back", "because"),
    [
        (Mode.OFF, "", "the mode is off: decisions are recorded, no action is sent"),
        (Mode.SHADOW, "", "the mode is shadow: decisions are recorded, no action is sent"),
        (Mode.ASK, "", READY_TO_ASK),
        (Mode.ASK, "2 undone", "fell back to mode ask until an operator arms recovery: 2 undone"),
        (Mode.ENFORCE, "", "ready to act"),
    ],
)
def test_active_recovery_tells_what_its_mode_permits(
    mode: Mode, fell_back: str, because: str
) -> None:
    system = system_with(mode=mode, fell_back=fell_back)

    assert readiness_now(system, bug="") == (ReadinessState.ACTIVE, because)


@pytest.mark.parametrize(
    ("lasted", "polls", "to_go"),
    [
        (0.0, 0, "600 s and valid inventories"),
        (599.0, 10, "1 s and valid inventories"),
        (600.0, 9, "valid inventories"),
        (601.0, 9, "valid inventories"),
        (600.0, 10, ""),
    ],
)
def test_warm_up_tells_what_is_left_of_it(lasted: float, polls: int, to_go: str) -> None:
    health = Health(warm_since=AT - lasted, warm_because="a clock jumped", polls=polls)

    found = readiness_now(system_with(health=health), bug="")

    warming_up = (ReadinessState.WARMING_UP, f"since a clock jumped, {to_go} to go")
    assert found == (warming_up if to_go else (ReadinessState.ACTIVE, "ready to act"))


# What recovery reads, and cannot do without.


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({}, []),
        ({"tags_problem": "tags: 403"}, ["tags: 403"]),
        ({"log_problems": {LogTable.LOGS: "logs: 403"}}, ["logs: 403"]),
        ({"read_only": "403"}, ["no write access: 403"]),
        ({"read_only": "403", "mode": Mode.ASK}, ["no write access: 403"]),
        ({"read_only": "403", "mode": Mode.SHADOW}, []),
        (
            {"read_only": "403", "mode": Mode.SHADOW, "log_problems": {LogTable.LOGS: "logs: 403"}},
            ["logs: 403"],
        ),
        (
            {
                "tags_problem": "tags: 403",
                "log_problems": {LogTable.LOGS: "logs: 403"},
                "read_only": "403",
            },
            ["tags: 403", "logs: 403", "no write access: 403"],
        ),
    ],
)
def test_everything_that_is_missing_is_told(change: dict[str, Any], missing: list[str]) -> None:
    system = system_with(**change)

    assert missing_inputs(system) == missing
    found = readiness_now(system, bug="")
    if missing:
        assert found == (ReadinessState.DEGRADED, "; ".join(missing))
    else:
        assert found.readiness is ReadinessState.ACTIVE


def test_inventory_without_nodes_is_missing_them() -> None:
    system = system_with()
    no_nodes = system.state._replace(inventory=inventory_with())
    node = Node(3, "node3", 7, 33, maintenance=False, status=None)
    nodes = system.state._replace(inventory=inventory_with()._replace(nodes={3: node}))

    assert missing_inputs(system) == []  # no inventory was read yet
    assert missing_inputs(system._replace(state=no_nodes)) == [NODES_MISSING]
    assert missing_inputs(system._replace(state=nodes)) == []


@pytest.mark.parametrize(
    ("devices", "missing"), [({1: object()}, []), ({}, []), (None, [InputName.MACHINE_DEVICES])]
)
def test_table_of_devices_may_be_empty_but_not_unreadable(
    devices: dict[int, object] | None, missing: list[InputName]
) -> None:
    sources: dict[str, Any] = {
        **{name: {1: object()} for name in HOLDS},
        "machine_devices": devices,
    }
    if devices is None:
        del sources["machine_devices"]
    inventory, system = inventory_with(), system_with()
    reported = replace(inventory.reported, sources=sources)
    state = system.state._replace(inventory=inventory._replace(reported=reported))

    found = inputs(system._replace(state=state))

    assert [one.name for one in found if one.problem and one.name in HOLDS] == missing
