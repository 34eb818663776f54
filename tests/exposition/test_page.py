"""Pages built from segments are complete and valid, plain and compressed."""

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
from exporter.exposition.page import CHUNK_BYTES, Page, header
from exporter.exposition.renderer import Rendered, segment
from tests.exposition.pages import FAMILIES, page_of

DEFLATERS: list[ModuleType] = list(dict.fromkeys([vars(renderer)["deflater"], zlib]))
every_format = pytest.mark.parametrize("form", Format)
texts = st.lists(st.text(max_size=40), min_size=1, max_size=5)


def rendered(lines: Sequence[str]) -> Rendered:
    """Return a system whose families have the text of *lines*, in turn."""
    segments = [segment(line) for line in lines]
    by_family = {
        family.name: segments[number % len(segments)] for number, family in enumerate(FAMILIES)
    }
    return Rendered(by_family, ())


def only_member(gzipped: bytes) -> bytes:
    """Return the text of a gzip body that must have exactly one member."""
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    text = reader.decompress(gzipped)
    assert reader.eof
    assert reader.unused_data == b""
    return text


@given(st.lists(texts, max_size=4), st.binary(max_size=200), st.sampled_from(Format))
def test_compressed_page_equals_the_plain_page(
    systems: list[list[str]], rest: bytes, form: Format
) -> None:
    page = page_of([rendered(lines) for lines in systems], form)

    plain, gzipped = page.plain(rest).read(), page.gzipped(rest, page.deflated()).read()

    assert gzip.decompress(gzipped) == plain
    assert only_member(gzipped) == plain
    assert plain.endswith(rest)
    assert page.size == len(plain) - len(rest)
    assert page.checksum == zlib.crc32(page.plain(b"").read())


@every_format
def test_page_without_systems_has_every_header_and_no_sample(form: Format) -> None:
    lines = page_of([], form).plain(b"").read().decode().splitlines()

    assert [line.split()[:2] for line in lines if "TYPE" in line] == [["#", "TYPE"]] * len(FAMILIES)
    assert all(line.startswith("# ") for line in lines)


@every_format
def test_samples_are_grouped_by_family_and_then_by_system(form: Format) -> None:
    page = page_of([rendered(["first\n"]), rendered(["second\n"])], form)

    expected = "".join(f"{header(family, form)}first\nsecond\n" for family in FAMILIES)
    assert page.plain(b"").read().decode() == expected


def test_system_without_samples_does_not_change_the_page() -> None:
    page = page_of([rendered([""]), rendered(["x\n"]), rendered([""])], Format.CLASSIC)

    assert page.plain(b"").read() == page_of([rendered(["x\n"])], Format.CLASSIC).plain(b"").read()
    assert only_member(page.gzipped(b"", page.deflated()).read()) == page.plain(b"").read()


@pytest.mark.parametrize(
    ("size", "recorded"), [(2**32 - 3, 2**32 - 1), (2**32 - 2, 0), (2**32 + 5, 7)]
)
def test_gzip_size_of_a_page_over_four_gibibytes_is_modulo_2_32(size: int, recorded: int) -> None:
    end = Page((), 0, size).gzipped(b"ab", Page((), 0, size).deflated()).read()[-4:]

    assert unpack("<I", end) == (recorded,)


def test_same_samples_give_the_same_compressed_bytes() -> None:
    system = rendered(["x\n"])

    first, second = (page_of([system], Format.CLASSIC) for _ in range(2))

    assert (
        first.gzipped(b"rest", first.deflated()).read()
        == second.gzipped(b"rest", second.deflated()).read()
    )


@given(st.text())
def test_segment_has_its_text_compressed_text_and_checksum(text: str) -> None:
    made = segment(text)

    assert b"".join(made.texts(1000)) == text.encode()
    assert zlib.decompressobj(-zlib.MAX_WBITS).decompress(made.deflated) == text.encode()
    assert made.checksum == zlib.crc32(text.encode())


LINES = "".join(f'vergewatch_vm_running{{vm_id="{key}"}} {key % 2}.0\n' for key in range(60_000))
NOISE = "".join(hashlib.sha256(bytes(key)).hexdigest() for key in range(12_000))


@pytest.mark.parametrize("deflater", DEFLATERS, ids=lambda module: module.__name__)
@pytest.mark.parametrize("text", [LINES, NOISE, "x" * 2_000_000], ids=["lines", "noise", "run"])
def test_large_segments_of_any_compressor_make_a_valid_page(
    monkeypatch: pytest.MonkeyPatch, deflater: ModuleType, text: str
) -> None:
    monkeypatch.setattr(renderer, "deflater", deflater)
    large, small = segment(text), segment("small\n")
    segments = (large, small, large, segment(""), small)
    plain = b"".join(piece for each in segments for piece in each.texts(100))

    page = Page(segments, zlib.crc32(plain), len(plain))

    assert only_member(page.gzipped(b"rest", page.deflated()).read()) == plain + b"rest"


def test_segments_of_different_compressors_make_a_valid_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    segments = []
    for deflater in (*DEFLATERS, *DEFLATERS):
        monkeypatch.setattr(renderer, "deflater", deflater)
        segments.append(segment(LINES[:5000]))
    plain = b"".join(piece for each in segments for piece in each.texts(100))

    page = Page(tuple(segments), zlib.crc32(plain), len(plain))

    assert only_member(page.gzipped(b"", page.deflated()).read()) == plain


def test_segment_without_text_has_no_bytes() -> None:
    assert segment("").deflated == b""


@given(st.integers(0, 40_000), st.integers(1, 5000))
def test_text_of_a_segment_comes_in_pieces_of_a_given_size(lines: int, most: int) -> None:
    text = "".join(f'vergewatch_vm_running{{vm_id="{number}"}} 1.0\n' for number in range(lines))

    pieces = list(segment([text]).texts(max(most, len(text) // 50)))

    assert b"".join(pieces) == text.encode()
    assert all(0 < len(piece) <= max(most, len(text) // 50) for piece in pieces)


@pytest.mark.parametrize("gzipped", [False, True])
def test_body_is_read_in_chunks_and_again_by_each_client(gzipped: bool) -> None:
    lines = [
        f'vergewatch_vm_running{{vm_id="{number * 7919 % 65_537}"}} 1.0\n' for number in range(3000)
    ]
    page = page_of([rendered(["".join(lines)]), rendered(["small\n"])], Format.CLASSIC)
    body = page.gzipped(b"rest\n", page.deflated()) if gzipped else page.plain(b"rest\n")

    chunks = list(body.chunks())

    assert len(chunks) >= 2
    assert max(map(len, chunks)) <= 2 * CHUNK_BYTES
    assert sum(map(len, chunks)) == body.size
    assert body.read() == b"".join(chunks)
