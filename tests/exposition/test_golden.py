"""The sample's pages, byte for byte; and every other program that reads them has no complaint."""

import os
import shutil
import subprocess

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as read_classic

from exporter.exposition.collector import Kind
from exporter.exposition.formats import Format
from tests.exposition.golden import FILES
from tests.exposition.pages import FAMILIES
from tests.exposition.reference import Reference
from tests.exposition.sample import CLOUDS, page

PROMTOOL = shutil.which("promtool")


@pytest.mark.parametrize("form", Format)
def test_the_sample_reads_exactly_like_the_golden_file(form: Format) -> None:
    path, end = FILES[form]

    assert page(form).plain(end).decode().splitlines() == path.read_text("utf-8").splitlines()
    assert page(form).plain(end) == path.read_bytes()


@pytest.mark.parametrize("form", Format)
def test_the_client_library_writes_the_same_bytes(form: Format) -> None:
    path, end = FILES[form]

    assert Reference(CLOUDS).text(form) + end == path.read_bytes()


def test_every_family_has_a_sample_in_the_golden_file() -> None:
    path, _ = FILES[Format.CLASSIC]
    lines = path.read_text("utf-8").splitlines()
    shown = {line.partition("{")[0] for line in lines if not line.startswith("#")}

    assert shown == {family.name for family in FAMILIES}


def test_both_formats_say_the_same() -> None:
    samples = {
        form: [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
        for form, (path, _) in FILES.items()
    }

    assert samples[Format.CLASSIC] == samples[Format.OPENMETRICS]


def test_a_strict_reader_of_openmetrics_finds_every_family_with_its_unit() -> None:
    path, _ = FILES[Format.OPENMETRICS]

    found = {
        family.name: (family.type, family.unit, family.documentation)
        for family in read_openmetrics(path.read_text("utf-8"))  # type: ignore[no-untyped-call]
    }

    assert found == {
        family.name.removesuffix("_total" if family.kind is Kind.COUNTER else ""): (
            family.kind.value,
            family.unit,
            family.help,
        )
        for family in FAMILIES
    }


@pytest.mark.parametrize(
    "name",
    [
        "web-1",
        'say "hi"',
        "C:\\temp\\new",
        "two\nlines",
        "🦊 fox — naïve",
        "שלום עולם",
        "100%s {x} 'y'",
        "",
    ],
    ids=ascii,
)
def test_an_odd_name_comes_back_as_it_was(name: str) -> None:
    for form, read in ((Format.CLASSIC, read_classic), (Format.OPENMETRICS, read_openmetrics)):
        path, _ = FILES[form]
        names = {
            sample.labels["vm_name"]
            for family in read(path.read_text("utf-8"))
            for sample in family.samples
            if family.name == "vergewatch_vm_info"
        }
        assert name in names


@pytest.mark.skipif(
    PROMTOOL is None and os.environ.get("CI") != "true",
    reason="promtool is not installed (Debian's package prometheus has it)",
)
def test_promtool_has_nothing_to_say() -> None:
    assert PROMTOOL is not None, "CI must have promtool"
    path, _ = FILES[Format.CLASSIC]

    check = subprocess.run(
        [PROMTOOL, "check", "metrics"],
        input=path.read_bytes(),
        capture_output=True,
        check=False,
        timeout=20,
    )

    assert (check.returncode, check.stdout, check.stderr) == (0, b"", b"")
