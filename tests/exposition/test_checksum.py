"""The checksum of a page, combined from those of its segments, is the CRC-32 of its text."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.exposition.checksum import combine, shift


@given(st.binary(), st.binary())
def test_combined_checksum_of_two_segments_is_that_of_their_text(
    first: bytes, second: bytes
) -> None:
    whole = combine(zlib.crc32(first), zlib.crc32(second), shift(len(second)))

    assert whole == zlib.crc32(first + second)


@given(st.lists(st.binary(max_size=50), max_size=12))
def test_combined_checksum_of_many_segments_is_that_of_their_text(segments: list[bytes]) -> None:
    total = 0
    for segment in segments:
        total = combine(total, zlib.crc32(segment), shift(len(segment)))

    assert total == zlib.crc32(b"".join(segments))


SIZES = sorted({2**n + d for n in range(23) for d in (-1, 0, 1)})


@pytest.mark.parametrize("size", SIZES)
def test_segment_may_have_any_length(size: int) -> None:
    second = bytes(size)

    assert combine(zlib.crc32(b"head"), zlib.crc32(second), shift(size)) == zlib.crc32(
        second, zlib.crc32(b"head")
    )


def test_empty_segment_does_not_change_the_checksum() -> None:
    page = zlib.crc32(b"page")

    assert combine(0, page, shift(4)) == page
    assert combine(page, 0, shift(0)) == page


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(0, 2**32 - 1))
def test_two_shifts_equal_one_shift_by_the_sum(first: int, second: int, checksum: int) -> None:
    twice = combine(combine(checksum, 0, shift(first)), 0, shift(second))

    assert twice == combine(checksum, 0, shift(first + second))
