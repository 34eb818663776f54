"""Numbers are formatted as by ``prometheus_client``."""

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
    # Integers of every length, with and without trailing zeros.
    st.builds(lambda digits, zeros: digits * 10**zeros, st.integers(1, 9999), st.integers(0, 16)),
).filter(lambda number: str(number) != "-0.0")


def by_client(number: float) -> str:
    """Return what ``prometheus_client`` writes for *number*."""
    return str(utils.floatToGoString(number))  # type: ignore[no-untyped-call]


def formatted(*values: float | None) -> list[str]:
    return Numbers().spell(values)


@given(numbers)
@example(2**53 - 1)
@example(2**53)
@example(2**53 + 1)
@example(2**63)
def test_number_is_formatted_as_by_the_client(number: float) -> None:
    assert formatted(number) == [by_client(number)]


@given(st.lists(numbers, max_size=30))
def test_remembered_numbers_are_formatted_the_same(given: list[float]) -> None:
    ours = Numbers()

    twice = [ours.spell(given), ours.spell(given)]

    assert twice == [[by_client(number) for number in given]] * 2


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0.0"),
        (1, "1.0"),
        (True, "1.0"),
        (False, "0.0"),
        (4_095, "4095.0"),  # the largest integer that is remembered
        (4_096, "4096.0"),
        (999_999, "999999.0"),  # the largest without an exponent
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
        (-2_000_000, "-2000000.0"),  # the client uses an exponent only for positive numbers
        (0.0112, "0.0112"),
        (1e-7, "1e-07"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (inf, "+Inf"),
        (-inf, "-Inf"),
        (nan, "NaN"),
    ],
)
def test_boundary_numbers_are_formatted_as_by_the_client(number: float, text: str) -> None:
    assert formatted(number) == [text]
    assert by_client(number) == text


def test_unknown_number_has_no_text() -> None:
    assert formatted(None, 0, None, 1) == ["", "0.0", "", "1.0"]
    assert formatted() == []


def test_boolean_and_equal_number_have_the_same_text_in_any_order() -> None:
    flag = True

    assert formatted(flag, 1, 1.0) == formatted(1.0, flag, 1) == ["1.0"] * 3


def test_negative_zero_has_no_sign_in_any_order() -> None:
    assert formatted(-0.0, 0, 0.0) == formatted(0, -0.0, 0.0) == ["0.0"] * 3


def test_only_small_numbers_are_remembered() -> None:
    ours = Numbers()

    ours.spell([0, 1, 4_095, 4_096, 2**40, 0.25, -1, inf, nan, None])

    assert set(ours._remembered) == {0, 0.25, 1, 4_095}


def test_remembered_numbers_are_limited() -> None:
    ours = Numbers()
    ratios = [number / 2**15 for number in range(2**15)]

    assert ours.spell(ratios) == [by_client(ratio) for ratio in ratios]
    assert len(ours._remembered) <= 2**15
    assert ours.spell([-0.0]) == ["0.0"]


def test_small_families_remember_few_numbers_however_long_they_change() -> None:
    ours = Numbers()

    for poll in range(2**10):
        ours.spell([(poll * 100 + vm) / 2**20 for vm in range(100)])

    assert len(ours._remembered) <= 2**11
