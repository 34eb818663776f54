"""The pages of the sample equal the golden files, which other parsers read without errors."""

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
from tests.exposition.sample import SYSTEMS, page

PROMTOOL = shutil.which("promtool")


@pytest.mark.parametrize("form", Format)
def test_page_of_the_sample_equals_the_golden_file(form: Format) -> None:
    path, end = FILES[form]

    assert (
        page(form).plain(end).read().decode().splitlines() == path.read_text("utf-8").splitlines()
    )
    assert page(form).plain(end).read() == path.read_bytes()


@pytest.mark.parametrize("form", Format)
def test_client_library_writes_the_golden_file(form: Format) -> None:
    path, end = FILES[form]

    assert Reference(SYSTEMS).text(form) + end == path.read_bytes()


def test_every_family_has_a_sample_in_the_golden_file() -> None:
    path, _ = FILES[Format.CLASSIC]
    lines = path.read_text("utf-8").splitlines()
    names = {line.partition("{")[0] for line in lines if not line.startswith("#")}

    assert names == {family.name for family in FAMILIES}


def test_both_formats_have_the_same_samples() -> None:
    samples = {
        form: [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
        for form, (path, _) in FILES.items()
    }

    assert samples[Format.CLASSIC] == samples[Format.OPENMETRICS]


def test_openmetrics_parser_finds_every_family_with_type_unit_and_help() -> None:
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
def test_unusual_name_is_parsed_unchanged(name: str) -> None:
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
def test_promtool_accepts_the_page_without_warnings() -> None:
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
