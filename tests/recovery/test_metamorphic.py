"""Changes of a run that must not change the requests of recovery."""

import math
import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.recovery.model.decision import Decision, GuardName
from exporter.recovery.model.limits import Limits, Mode
from tests.recovery.harness import Harness
from tests.recovery.invariants import InvariantChecker

FEW = settings(max_examples=15)
HURRIED = Limits(warmup_seconds=120.0, warmup_polls=5)
POLLS = 60
WHEN = st.integers(8, POLLS - 1)
INCIDENTS = st.lists(
    st.tuples(
        WHEN,
        st.integers(0, 10),
        st.sampled_from(["crash", "crash", "crash", "kill", "guest", "start", "migrate"]),
    ),
    min_size=1,
    max_size=6,
)
Incidents = Sequence[tuple[int, int, str]]
Twist = Callable[[Harness, int], None]


def happen(harness: Harness, vm_key: int, what: str) -> None:
    world, vm = harness.world, harness.world.vms[vm_key]
    running = vm.machine.status.running
    match what:
        case "crash" if running:
            world.crash(vm)
        case "kill" if running:
            world.operator_stops(vm, graceful=False)
        case "guest" if running:
            world.guest_shuts_down(vm)
        case "start" if not running:
            world.operator_starts(vm)
        case "migrate" if running:
            world.migrate(vm)


def perform(
    incidents: Incidents,
    twist: Twist = lambda _harness, _poll: None,
    *,
    prepare: Callable[[Harness], None] = lambda _harness: None,
    **options: Any,
) -> Harness:
    """Let the incidents happen, with a twist at every poll, before a checker."""
    harness = Harness(**{"limits": HURRIED, **options})
    checker = InvariantChecker(harness)
    keys = [harness.world.vm(name).key for name in harness.names]
    prepare(harness)
    for poll in range(POLLS):
        harness.clock.elapsed += harness.every
        harness.world.catch_up()
        for when, which, what in incidents:
            if when == poll:
                happen(harness, keys[which], what)
        twist(harness, poll)
        harness.poll()
    checker.check()
    return harness


def requested(harness: Harness) -> list[tuple[float, int, str]]:
    return [(one.at, one.vm_key, one.action) for one in harness.requests]


def decided(harness: Harness) -> list[tuple[object, ...]]:
    return [told(decision) for decision in harness.journal.decisions]


def told(decision: Decision) -> tuple[object, ...]:
    return (
        decision.at,
        decision.uuid,
        decision.failed_guard,
        decision.diagnosis.cause,
        decision.action,
    )


def is_never_ahead(one: Harness, other: Harness) -> bool:
    """Return whether at every moment at most as much had been asked for in one run."""
    return all(
        sum(before.at <= request.at for before in one.requests)
        <= sum(before.at <= request.at for before in other.requests)
        for request in one.requests
    )


def let_nothing_help(harness: Harness) -> None:
    """Take away what would let two runs drift apart: that a request changes anything."""
    harness.world.faults.turn_on("accepted_but_never_starts")


@FEW
@given(INCIDENTS)
def test_same_scenario_gives_the_same_decisions(incidents: Incidents) -> None:
    one, other = perform(incidents), perform(incidents)

    assert decided(one) == decided(other)
    assert requested(one) == requested(other)


@FEW
@given(INCIDENTS, st.permutations(range(11)))
def test_vm_names_do_not_change_decisions(incidents: Incidents, command: Sequence[int]) -> None:
    def rename(harness: Harness) -> None:
        strange = ["migrated", "task", "node online", "powered on", "created", "vua", "shutdown"]
        names = [*strange, *harness.names][:11]
        for number, name in zip(command, list(harness.names), strict=True):
            vm = harness.world.vm(name)
            vm.name = vm.machine.name = f"{names[number]} {number}"

    plain, renamed = perform(incidents), perform(incidents, prepare=rename)

    assert decided(plain) == decided(renamed)
    assert requested(plain) == requested(renamed)


@FEW
@given(INCIDENTS)
def test_key_type_does_not_change_decisions(incidents: Incidents) -> None:
    def strings(harness: Harness) -> None:
        harness.world.faults.turn_on("string_keys")

    plain, strung = perform(incidents), perform(incidents, prepare=strings)

    assert decided(plain) == decided(strung)


@FEW
@given(INCIDENTS, st.integers(0, 999))
def test_row_order_does_not_change_decisions(incidents: Incidents, seed: int) -> None:
    dice = random.Random(seed)

    def shuffle(harness: Harness) -> None:
        read = harness.line._read

        def shuffled(path: str, status: int, payload: Any) -> Any:
            if isinstance(payload, list) and not path.endswith("logs"):
                payload = dice.sample(payload, len(payload))
            return read(path, status, payload)

        harness.line._read = shuffled  # type: ignore[method-assign]

    plain, shuffled = perform(incidents), perform(incidents, prepare=shuffle)

    assert decided(plain) == decided(shuffled)
    assert requested(plain) == requested(shuffled)


@FEW
@given(INCIDENTS)
def test_shadow_mode_decides_the_same_until_the_first_action(incidents: Incidents) -> None:
    enforced = perform(incidents)
    shadowed = perform(incidents, limits=HURRIED, mode=Mode.SHADOW)

    def until_first_action(harness: Harness) -> list[str]:
        decisions = harness.journal.decisions  # in one poll, those that act are written first
        first = min((one.at for one in decisions if one.failed_guard in acting), default=math.inf)
        return sorted(
            str((*told(one)[:2], *told(one)[3:]))
            for one in decisions
            if one.at < first or (one.failed_guard in acting and one.at == first)
        )

    acting = (None, GuardName.MODE_PERMITS)
    assert not shadowed.requests
    assert until_first_action(enforced) == until_first_action(shadowed)


@FEW
@given(WHEN, st.integers(0, 10), st.lists(st.tuples(WHEN, st.sampled_from([-1, 0, 1])), max_size=4))
def test_clock_jumps_add_no_actions(when: int, which: int, jumps: list[tuple[int, int]]) -> None:
    def jump(harness: Harness, poll: int) -> None:
        for moment, days in jumps:
            if moment == poll:
                harness.clock.offset = timedelta(days=days)

    incidents = [(when, which, "crash")]

    steady = perform(incidents, prepare=let_nothing_help)
    jumped = perform(incidents, jump, prepare=let_nothing_help)

    assert is_never_ahead(jumped, steady)


@FEW
@given(
    WHEN,
    st.integers(0, 10),
    st.sampled_from(["vms", "machine_status", "tag_members", "nodes", "machine_logs"]),
    st.floats(0.05, 0.95),
    st.sets(st.integers(0, POLLS)),
)
@example(when=8, which=0, table="tag_members", keep=0.125, polls={38})  # after it was given up
def test_missing_rows_add_no_actions(
    when: int, which: int, table: str, keep: float, polls: set[int]
) -> None:
    def cut(harness: Harness, poll: int) -> None:
        if poll in polls:
            harness.world.faults.turn_on("short_list", path=table, keep=keep, lasting=19.0)

    incidents = [(when, which, "crash")]

    whole = perform(incidents, prepare=let_nothing_help)
    short = perform(incidents, cut, prepare=let_nothing_help)

    assert is_never_ahead(short, whole)


@FEW
@given(WHEN, st.integers(0, 10), WHEN, st.sampled_from(["kill", "poweroff", "hibernate"]))
@example(when=49, which=0, moment=18, action="kill")  # just as long before as rows count
@example(when=49, which=0, moment=19, action="kill")
def test_stop_request_in_the_log_adds_no_action(
    when: int, which: int, moment: int, action: str
) -> None:
    def wish(harness: Harness, poll: int) -> None:
        if poll == moment:
            machine = harness.world.vm(harness.names[which]).machine.key
            harness.world.platform_log.write(
                f"VM action '{action}' sent",
                at=harness.world.now,
                user="anna",
                machine=machine,
            )

    incidents = [(when, which, "crash")]

    quiet = perform(incidents, prepare=let_nothing_help)
    wished = perform(incidents, wish, prepare=let_nothing_help)

    assert is_never_ahead(wished, quiet)
    if 0 <= when - moment <= 28:  # ten minutes, less what is between two polls
        assert not wished.requests
