"""
The documented limits of the circuit breaker, at any size and however the losses arrive.

docs/recovery.md: it opens when 5 VMs or 15 % of the enrolled, whichever is less, but at least 3,
are lost within 5 minutes, with the poll that shows it; then recovery does not act.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.model import Inventory
from exporter.recovery.model.cases import Enrolment
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.ports import SavedState
from exporter.recovery.observe.boot import boot
from exporter.recovery.observe.circuit_breaker import BreakerState, threshold
from exporter.recovery.observe.losses import after_diagnoses
from exporter.recovery.observe.state import RecoveryState, advance
from tests.recovery.harness import Harness
from tests.recovery.inventory_values import CLOCK, DOWN, ENROLLED, inventory, node, poll, vm
from tests.recovery.test_mass_outage import breaker_of, make_large, spread

LIMITS = Limits()
WINDOW_SECONDS = 300
PAUSES = (20, 40, 100, 299, 300)
SIZES = st.one_of(st.integers(10, 100), st.integers(100, 1000), st.sampled_from([3000, 10_000]))
Losses = Sequence[tuple[int, int]]
"""Seconds after the poll before, and how many VMs more are lost in this one."""


def is_mass_outage(lost: int, of: int) -> bool:
    """Return what the documentation says."""
    return lost >= 3 and (lost >= 5 or Fraction(lost, of) >= Fraction(15, 100))


def shown(of: int, lost: int, *, at: float) -> Inventory:
    """Return the inventory in which the first *lost* VMs are down."""
    vms = [
        vm(number, updated_at=CLOCK + at, node=1 + number % 4, **(DOWN if number < lost else {}))
        for number in range(of)
    ]
    return inventory(vms, nodes=[node(key) for key in range(1, 5)])


def after(state: RecoveryState, of: int, lost: int, *, at: float) -> RecoveryState:
    enrolments: Mapping[str, Enrolment] = {f"u{number}": ENROLLED for number in range(of)}
    seen = advance(state, poll(shown(of, lost, at=at), at=at), enrolments, LIMITS)
    assert seen.health.problem is None
    return after_diagnoses(seen, frozenset(), LIMITS)


@settings(max_examples=40, deadline=None)
@example(10_000, [(20, 500)])  # the report: the breaker stayed closed
@example(10_000, [(20, 4), (299, 1)])
@example(10_000, [(20, 4), (300, 1)])
@example(20, [(20, 2), (20, 1)])
@example(21, [(20, 3)])
@given(
    SIZES,
    st.lists(st.tuples(st.sampled_from(PAUSES), st.integers(0, 2)), min_size=1, max_size=5),
)
def test_breaker_opens_with_the_poll_that_shows_a_mass_outage_and_not_before(
    of: int, losses: Losses
) -> None:
    state, at = boot(SavedState(), LIMITS, pause_seconds=lambda _: 60.0).state, 20.0
    state = after(state, of, 0, at=at)
    lost_at = list[float]()

    totals = accumulate(more for _, more in losses)
    for pause, lost in zip((pause for pause, _ in losses), totals, strict=True):
        at += pause
        lost_at += [at] * (lost - len(lost_at))
        state = after(state, of, lost, at=at)

        recent = sum(one > at - WINDOW_SECONDS for one in lost_at)
        is_open = state.breaker.breaker_state is not BreakerState.CLOSED
        assert is_open == is_mass_outage(recent, of), (at, recent)
        if is_open:
            return


@given(st.integers(1, 10_000), st.integers(1, 100), st.integers(1, 30), st.integers(0, 10))
@example(100, 7, 10, 3)  # 0.07 * 100 is more than 7
@example(50, 14, 10, 3)
def test_limits_of_the_settings_are_exact(of: int, percent: int, most: int, least: int) -> None:
    limits = Limits(breaker_share=percent / 100, breaker_max_vms=most, breaker_min_vms=least)

    def opens(lost: int) -> bool:
        is_share = Fraction(lost, of) >= Fraction(percent, 100)
        return lost >= least and (lost >= most or is_share)

    assert threshold(of, limits) == next(lost for lost in range(of + 32) if opens(lost))


@settings(max_examples=25, deadline=None)
@given(st.integers(10, 60), st.integers(0, 6), st.integers(0, 6), st.integers(0, 2**16))
def test_no_vm_is_started_in_the_poll_in_which_the_breaker_opens(
    of: int, first: int, second: int, seed: int
) -> None:
    harness = Harness(vms=of, seed=seed).warm()
    of = len(harness.names)
    lost = spread(harness, min(of, first + second))

    for part in (lost[:first], lost[first:]):
        for name in part:
            harness.world.crash(name)
        harness.advance(harness.every)
        down = sum(not harness.running(name) for name in harness.names)
        is_open = breaker_of(harness) is BreakerState.OPEN
        assert is_open == is_mass_outage(down, of)
        if is_open:
            break

    harness.advance(200)
    if is_mass_outage(len(lost), of):
        assert not harness.asked()


@pytest.mark.parametrize("of", [400, 3000])
def test_outage_while_the_daemon_does_not_run_opens_the_breaker_of_the_next(of: int) -> None:
    harness = make_large(of)
    for name in spread(harness, of // 20):
        harness.world.crash(name)

    harness.new_process()
    harness.advance(harness.every)

    assert breaker_of(harness) is BreakerState.OPEN
    harness.warm()
    assert not harness.asked()
