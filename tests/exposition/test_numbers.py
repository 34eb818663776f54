"""Numbers read in Prometheus exactly as its own client would have written them."""

from math import inf, nan

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import utils

from exporter.exposition.numbers import Numbers

numbers = st.one_of(
    st.integers(-(2**63), 2**84),
    st.integers(0, 70_000),
    st.floats(),
    st.floats(0, 1),
    st.floats(1e5, 1e7),
    st.booleans(),
    # Whole numbers in every length, with and without zeros at the end.
    st.builds(lambda digits, zeros: digits * 10**zeros, st.integers(1, 9999), st.integers(0, 16)),
).filter(lambda number: str(number) != "-0.0")


def clients(number: float) -> str:
    """Return what ``prometheus_client`` writes for *number*."""
    return str(utils.floatToGoString(number))  # type: ignore[no-untyped-call]


def spell(*values: float | None) -> list[str]:
    return Numbers().spell(values)


@given(numbers)
@example(2**53 - 1)
@example(2**53)
@example(2**53 + 1)
@example(2**63)
def test_a_number_is_spelled_as_the_client_does(number: float) -> None:
    assert spell(number) == [clients(number)]


@given(st.lists(numbers, max_size=30))
def test_what_was_spelled_before_changes_nothing(given: list[float]) -> None:
    ours = Numbers()

    twice = [ours.spell(given), ours.spell(given)]

    assert twice == [[clients(number) for number in given]] * 2


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0.0"),
        (1, "1.0"),
        (True, "1.0"),
        (False, "0.0"),
        (4_095, "4095.0"),  # the last whole number that is remembered
        (4_096, "4096.0"),
        (999_999, "999999.0"),  # the last without an exponent
        (1_000_000, "1e+06"),
        (1_000_001, "1.000001e+06"),
        (1_200_000, "1.2e+06"),
        (10_000_000, "1e+07"),
        (999_999.5, "999999.5"),
        (1_000_000.5, "1.0000005e+06"),
        (1e15, "1e+15"),
        (1e16, "1e+16"),
        (2**53 - 1, "9.007199254740991e+15"),
        (2**53 + 1, "9.007199254740992e+15"),
        (2**63 - 1, "9.223372036854776e+18"),
        (-1, "-1.0"),
        (-2_000_000, "-2000000.0"),  # the client shortens only what is positive
        (0.0112, "0.0112"),
        (1e-7, "1e-07"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (inf, "+Inf"),
        (-inf, "-Inf"),
        (nan, "NaN"),
    ],
)
def test_the_edges_are_spelled_so(number: float, text: str) -> None:
    assert spell(number) == [text]
    assert clients(number) == text


def test_what_is_unknown_has_no_text() -> None:
    assert spell(None, 0, None, 1) == ["", "0.0", "", "1.0"]
    assert spell() == []


def test_a_flag_and_its_number_are_the_same_whichever_came_first() -> None:
    flag = True

    assert spell(flag, 1, 1.0) == spell(1.0, flag, 1) == ["1.0"] * 3


def test_a_zero_is_written_without_a_sign_whichever_came_first() -> None:
    assert spell(-0.0, 0, 0.0) == spell(0, -0.0, 0.0) == ["0.0"] * 3


def test_only_small_numbers_are_remembered() -> None:
    ours = Numbers()

    ours.spell([0, 1, 4_095, 4_096, 2**40, 0.25, -1, inf, nan, None])

    assert set(ours._remembered) == {0, 0.25, 1, 4_095}


def test_not_more_is_remembered_than_there_is_room_for() -> None:
    ours = Numbers()
    shares = [number / 2**15 for number in range(2**15)]

    assert ours.spell(shares) == [clients(share) for share in shares]
    assert len(ours._remembered) <= 2**14
    assert ours.spell([-0.0]) == ["0.0"]
