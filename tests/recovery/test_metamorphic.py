"""What may be changed about a play without a request more being made, or any other."""

import math
import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.recovery.model.decision import Decision, GuardName
from exporter.recovery.model.limits import Limits, Mode
from tests.recovery.harness import Theatre
from tests.recovery.invariants import Observer

FEW = settings(max_examples=15)
HURRIED = Limits(warmup_seconds=120.0, warmup_polls=5)
POLLS = 60
WHEN = st.integers(8, POLLS - 1)
MISHAPS = st.lists(
    st.tuples(
        WHEN,
        st.integers(0, 10),
        st.sampled_from(["crash", "crash", "crash", "kill", "guest", "start", "migrate"]),
    ),
    min_size=1,
    max_size=6,
)
Mishaps = Sequence[tuple[int, int, str]]
Twist = Callable[[Theatre, int], None]


def happen(theatre: Theatre, vm_key: int, what: str) -> None:
    world, vm = theatre.world, theatre.world.vms[vm_key]
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
    mishaps: Mishaps,
    twist: Twist = lambda _theatre, _poll: None,
    *,
    prepare: Callable[[Theatre], None] = lambda _theatre: None,
    **play: Any,
) -> Theatre:
    """Play the mishaps, with a twist at every poll, before an observer."""
    theatre = Theatre(**{"limits": HURRIED, **play})
    observer = Observer(theatre)
    keys = [theatre.world.vm(name).key for name in theatre.names]
    prepare(theatre)
    for poll in range(POLLS):
        theatre.clock.elapsed += theatre.every
        theatre.world.catch_up()
        for when, which, what in mishaps:
            if when == poll:
                happen(theatre, keys[which], what)
        twist(theatre, poll)
        theatre.poll()
    observer.check()
    return theatre


def requested(theatre: Theatre) -> list[tuple[float, int, str]]:
    return [(one.at, one.vm_key, one.action) for one in theatre.requests]


def decided(theatre: Theatre) -> list[tuple[object, ...]]:
    return [told(decision) for decision in theatre.book.decisions]


def told(decision: Decision) -> tuple[object, ...]:
    return (
        decision.at,
        decision.uuid,
        decision.failed_guard,
        decision.diagnosis.cause,
        decision.action,
    )


def is_never_ahead(one: Theatre, other: Theatre) -> bool:
    """Return whether at every moment at most as much had been asked for in one play."""
    return all(
        sum(before.at <= request.at for before in one.requests)
        <= sum(before.at <= request.at for before in other.requests)
        for request in one.requests
    )


def let_nothing_help(theatre: Theatre) -> None:
    """Take away what would let two plays drift apart: that a request changes anything."""
    theatre.world.faults.turn_on("accepted_but_never_starts")


@FEW
@given(MISHAPS)
def test_the_same_play_is_decided_the_same_twice(mishaps: Mishaps) -> None:
    one, other = perform(mishaps), perform(mishaps)

    assert decided(one) == decided(other)
    assert requested(one) == requested(other)


@FEW
@given(MISHAPS, st.permutations(range(11)))
def test_names_decide_nothing(mishaps: Mishaps, command: Sequence[int]) -> None:
    def rename(theatre: Theatre) -> None:
        strange = ["migrated", "task", "node online", "powered on", "created", "vua", "shutdown"]
        names = [*strange, *theatre.names][:11]
        for number, name in zip(command, list(theatre.names), strict=True):
            vm = theatre.world.vm(name)
            vm.name = vm.machine.name = f"{names[number]} {number}"

    plain, renamed = perform(mishaps), perform(mishaps, prepare=rename)

    assert decided(plain) == decided(renamed)
    assert requested(plain) == requested(renamed)


@FEW
@given(MISHAPS)
def test_whether_keys_are_numbers_or_words_decides_nothing(mishaps: Mishaps) -> None:
    def strings(theatre: Theatre) -> None:
        theatre.world.faults.turn_on("string_keys")

    plain, strung = perform(mishaps), perform(mishaps, prepare=strings)

    assert decided(plain) == decided(strung)


@FEW
@given(MISHAPS, st.integers(0, 999))
def test_the_order_of_rows_decides_nothing(mishaps: Mishaps, seed: int) -> None:
    dice = random.Random(seed)

    def shuffle(theatre: Theatre) -> None:
        read = theatre.line._read

        def shuffled(path: str, status: int, payload: Any) -> Any:
            if isinstance(payload, list) and not path.endswith("machine_logs"):
                payload = dice.sample(payload, len(payload))
            return read(path, status, payload)

        theatre.line._read = shuffled  # type: ignore[method-assign]

    plain, shuffled = perform(mishaps), perform(mishaps, prepare=shuffle)

    assert decided(plain) == decided(shuffled)
    assert requested(plain) == requested(shuffled)


@FEW
@given(MISHAPS)
def test_in_shadow_everything_is_decided_alike_until_the_first_action(mishaps: Mishaps) -> None:
    enforced = perform(mishaps)
    shadowed = perform(mishaps, limits=HURRIED, mode=Mode.SHADOW)

    def until_first_action(theatre: Theatre) -> list[str]:
        decisions = theatre.book.decisions  # in one round, those that act are written down first
        first = min((one.at for one in decisions if one.failed_guard in acting), default=math.inf)
        return sorted(
            str((*told(one)[:2], *told(one)[3:]))
            for one in decisions
            if one.at < first or (one.failed_guard in acting and one.at == first)
        )

    acting = (None, GuardName.MODE_ENFORCE)
    assert not shadowed.requests
    assert until_first_action(enforced) == until_first_action(shadowed)


@FEW
@given(WHEN, st.integers(0, 10), st.lists(st.tuples(WHEN, st.sampled_from([-1, 0, 1])), max_size=4))
def test_clocks_that_jump_release_nothing(
    when: int, which: int, jumps: list[tuple[int, int]]
) -> None:
    def jump(theatre: Theatre, poll: int) -> None:
        for moment, days in jumps:
            if moment == poll:
                theatre.clock.offset = timedelta(days=days)

    mishaps = [(when, which, "crash")]

    steady = perform(mishaps, prepare=let_nothing_help)
    jumped = perform(mishaps, jump, prepare=let_nothing_help)

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
def test_rows_that_are_missing_lead_to_nothing(
    when: int, which: int, table: str, keep: float, polls: set[int]
) -> None:
    def cut(theatre: Theatre, poll: int) -> None:
        if poll in polls:
            theatre.world.faults.turn_on("short_list", path=table, keep=keep, lasting=19.0)

    mishaps = [(when, which, "crash")]

    whole = perform(mishaps, prepare=let_nothing_help)
    short = perform(mishaps, cut, prepare=let_nothing_help)

    assert is_never_ahead(short, whole)


@FEW
@given(WHEN, st.integers(0, 10), WHEN, st.sampled_from(["kill", "poweroff", "hibernate"]))
def test_a_stop_request_in_the_log_leads_to_nothing(
    when: int, which: int, moment: int, action: str
) -> None:
    def wish(theatre: Theatre, poll: int) -> None:
        if poll == moment:
            machine = theatre.world.vm(theatre.names[which]).machine.key
            theatre.world.platform_log.write(
                f"VM action '{action}' sent",
                at=theatre.world.now,
                user="anna",
                machine=machine,
            )

    mishaps = [(when, which, "crash")]

    quiet = perform(mishaps, prepare=let_nothing_help)
    wished = perform(mishaps, wish, prepare=let_nothing_help)

    assert is_never_ahead(wished, quiet)
    if 0 <= when - moment <= 28:  # ten minutes, less what is between two polls
        assert not wished.requests
