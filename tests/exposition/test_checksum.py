"""A page's checksum is that of its text, though nobody reads the text again."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.exposition.checksum import combine, shift


@given(st.binary(), st.binary())
def test_two_pieces_have_the_checksum_of_the_whole(first: bytes, second: bytes) -> None:
    whole = combine(zlib.crc32(first), zlib.crc32(second), shift(len(second)))

    assert whole == zlib.crc32(first + second)


@given(st.lists(st.binary(max_size=50), max_size=12))
def test_any_number_of_pieces_have_the_checksum_of_the_whole(pieces: list[bytes]) -> None:
    total = 0
    for piece in pieces:
        total = combine(total, zlib.crc32(piece), shift(len(piece)))

    assert total == zlib.crc32(b"".join(pieces))


@given(st.binary(max_size=200), st.integers(0, 200))
def test_it_does_not_matter_where_the_cut_is(whole: bytes, cut: int) -> None:
    first, second = whole[:cut], whole[cut:]

    assert combine(zlib.crc32(first), zlib.crc32(second), shift(len(second))) == zlib.crc32(whole)


SIZES = sorted({2**n + d for n in range(23) for d in (-1, 0, 1)})


@pytest.mark.parametrize("size", SIZES)
def test_a_piece_may_be_of_any_length(size: int) -> None:
    second = bytes(size)

    assert combine(zlib.crc32(b"head"), zlib.crc32(second), shift(size)) == zlib.crc32(
        second, zlib.crc32(b"head")
    )


def test_nothing_before_and_nothing_after_change_nothing() -> None:
    page = zlib.crc32(b"page")

    assert combine(0, page, shift(4)) == page
    assert combine(page, 0, shift(0)) == page


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(0, 2**32 - 1))
def test_shifting_twice_is_shifting_by_the_sum(first: int, second: int, checksum: int) -> None:
    twice = combine(combine(checksum, 0, shift(first)), 0, shift(second))

    assert twice == combine(checksum, 0, shift(first + second))
