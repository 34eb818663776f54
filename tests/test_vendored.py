"""Files of other projects that the repository has: they are the published ones."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from flit_core.wheel import make_wheel_in

from tools.vendored import (
    RECORDS,
    ROOT,
    ChecksumError,
    File,
    Package,
    integrity,
    read_record,
    unpack,
)

BODY = b"let one = 1;"
CONSOLE = ROOT / "exporter/web/console"


def archive(body: bytes = BODY) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as tar:
        member = tarfile.TarInfo("package/dist/one.js")
        member.size = len(body)
        tar.addfile(member, io.BytesIO(body))
    return written.getvalue()


def package(of: bytes, *, sha256: str = hashlib.sha256(BODY).hexdigest()) -> Package:
    files = (File("one.js", "dist/one.js", sha256),)
    return Package("one", "1.0.0", "MIT", integrity(of), files)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.parent.name)
def test_each_vendored_file_is_the_recorded_one_and_has_its_license_beside_it(record: Path) -> None:
    for of in read_record(record):
        found = {
            file.name: hashlib.sha256((record.parent / file.name).read_bytes()).hexdigest()
            for file in of.files
        }
        assert found == {file.name: file.sha256 for file in of.files}
        assert any("LICENSE" in file.path for file in of.files), of.name


def test_every_script_of_the_console_that_is_minified_is_recorded() -> None:
    recorded = {file.name for of in read_record(RECORDS[0]) for file in of.files}
    assert {path.name for path in (CONSOLE / "static").glob("*.min.*")} <= recorded


def test_files_of_a_package_are_unpacked(tmp_path: Path) -> None:
    given = archive()
    unpack(package(given), given, tmp_path)
    assert (tmp_path / "one.js").read_bytes() == BODY


def test_nothing_is_written_from_another_archive(tmp_path: Path) -> None:
    with pytest.raises(ChecksumError, match=r"^one 1\.0\.0: "):
        unpack(package(archive()), archive(b"steal()"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_if_a_file_is_another(tmp_path: Path) -> None:
    given = archive()
    with pytest.raises(ChecksumError, match=r"dist/one\.js"):
        unpack(package(given, sha256="0" * 64), given, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_wheel_has_the_templates_and_files_of_the_console(tmp_path: Path) -> None:
    wheel = make_wheel_in(ROOT / "pyproject.toml", tmp_path).file
    with zipfile.ZipFile(wheel) as archived:
        built = set(archived.namelist())
    files = [
        path
        for folder in ("templates", "static")
        for path in (CONSOLE / folder).rglob("*")
        if path.is_file()
    ]
    assert files
    assert {str(path.relative_to(ROOT)) for path in files} <= built
