"""Pages put together from pieces are whole, plain and compressed."""

import gzip
import hashlib
import zlib
from collections.abc import Sequence
from struct import unpack
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.exposition import renderer
from exporter.exposition.formats import Format
from exporter.exposition.page import Page, header
from exporter.exposition.renderer import Rendered, segment
from tests.exposition.pages import FAMILIES, page_of

DEFLATERS: list[ModuleType] = list(dict.fromkeys([vars(renderer)["deflater"], zlib]))
every_format = pytest.mark.parametrize("form", Format)
texts = st.lists(st.text(max_size=40), min_size=1, max_size=5)


def saying(lines: Sequence[str]) -> Rendered:
    """Return a cloud that says *lines*, over and over, in the order of the families."""
    pieces = [segment(line) for line in lines]
    segments = {family.name: pieces[number % len(pieces)] for number, family in enumerate(FAMILIES)}
    return Rendered(segments, ())


def only_member(gzipped: bytes) -> bytes:
    """Return what a reader that stops at the end of the first gzip member reads."""
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    text = reader.decompress(gzipped)
    assert reader.eof
    assert reader.unused_data == b""
    return text


@given(st.lists(texts, max_size=4), st.binary(max_size=200), st.sampled_from(Format))
def test_the_compressed_page_is_the_plain_page(
    systems: list[list[str]], rest: bytes, form: Format
) -> None:
    page = page_of([saying(lines) for lines in systems], form)

    plain, gzipped = page.plain(rest), page.gzipped(rest)

    assert gzip.decompress(gzipped) == plain
    assert only_member(gzipped) == plain
    assert plain.endswith(rest)
    assert page.size == len(plain) - len(rest)
    assert page.checksum == zlib.crc32(page.plain(b""))


@every_format
def test_a_page_without_clouds_has_every_header_and_no_sample(form: Format) -> None:
    lines = page_of([], form).plain(b"").decode().splitlines()

    assert [line.split()[:2] for line in lines if "TYPE" in line] == [["#", "TYPE"]] * len(FAMILIES)
    assert all(line.startswith("# ") for line in lines)


@every_format
def test_each_familys_samples_stand_together_cloud_by_cloud(form: Format) -> None:
    page = page_of([saying(["first\n"]), saying(["second\n"])], form)

    expected = "".join(f"{header(family, form)}first\nsecond\n" for family in FAMILIES)
    assert page.plain(b"").decode() == expected


def test_a_cloud_without_samples_leaves_no_trace() -> None:
    page = page_of([saying([""]), saying(["x\n"]), saying([""])], Format.CLASSIC)

    assert page.plain(b"") == page_of([saying(["x\n"])], Format.CLASSIC).plain(b"")
    assert only_member(page.gzipped(b"")) == page.plain(b"")


@pytest.mark.parametrize(
    ("size", "shown"), [(2**32 - 3, 2**32 - 1), (2**32 - 2, 0), (2**32 + 5, 7)]
)
def test_a_page_of_four_gibibytes_says_its_size_as_gzip_does(size: int, shown: int) -> None:
    end = Page((), 0, size).gzipped(b"ab")[-4:]

    assert unpack("<I", end) == (shown,)


def test_the_same_page_has_the_same_bytes_every_time() -> None:
    system = saying(["x\n"])

    first, second = (page_of([system], Format.CLASSIC) for _ in range(2))

    assert first.gzipped(b"rest") == second.gzipped(b"rest")


@given(st.text())
def test_a_piece_says_the_same_in_every_shape(text: str) -> None:
    piece = segment(text)

    assert piece.text == text.encode()
    assert zlib.decompressobj(-zlib.MAX_WBITS).decompress(piece.deflated) == piece.text
    assert piece.checksum == zlib.crc32(piece.text)


LINES = "".join(f'vergewatch_vm_running{{vm_id="{key}"}} {key % 2}.0\n' for key in range(60_000))
NOISE = "".join(hashlib.sha256(bytes(key)).hexdigest() for key in range(12_000))


@pytest.mark.parametrize("deflater", DEFLATERS, ids=lambda module: module.__name__)
@pytest.mark.parametrize("text", [LINES, NOISE, "x" * 2_000_000], ids=["lines", "noise", "run"])
def test_large_pieces_make_a_whole_page_whoever_compresses_them(
    monkeypatch: pytest.MonkeyPatch, deflater: ModuleType, text: str
) -> None:
    monkeypatch.setattr(renderer, "deflater", deflater)
    piece, small = segment(text), segment("small\n")
    pieces = (piece, small, piece, segment(""), small)
    plain = b"".join(each.text for each in pieces)

    page = Page(pieces, zlib.crc32(plain), len(plain))

    assert only_member(page.gzipped(b"rest")) == plain + b"rest"


def test_pieces_of_one_compressor_fit_beside_those_of_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pieces = []
    for deflater in (*DEFLATERS, *DEFLATERS):
        monkeypatch.setattr(renderer, "deflater", deflater)
        pieces.append(segment(LINES[:5000]))
    plain = b"".join(each.text for each in pieces)

    page = Page(tuple(pieces), zlib.crc32(plain), len(plain))

    assert only_member(page.gzipped(b"")) == plain


def test_a_piece_without_text_has_no_bytes() -> None:
    assert segment("").deflated == b""
