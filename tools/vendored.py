"""
``make static``: fetch the vendored files again, from the packages of npm that they come from.

A folder with such files has a ``vendored.json``, which pins each package by version and integrity,
and each file by checksum. A file is written only if all of them are as recorded.
"""

import base64
import hashlib
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

ROOT = Path(__file__).parents[1]
RECORD = "vendored.json"
RECORDS = (ROOT / "exporter/web/console/static" / RECORD, ROOT / "tests/browser" / RECORD)


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of a package."""

    name: str
    """Where it is written, from the folder of the record."""
    path: str
    """In the package."""
    sha256: str


class Package(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A package of npm."""

    name: str
    version: str
    license: str
    """As SPDX names it."""
    integrity: str
    """Of its archive, as npm writes it."""
    files: tuple[File, ...]


class ChecksumError(Exception):
    """A package or a file is not the recorded one."""


def read_record(record: Path) -> tuple[Package, ...]:
    """Return the packages that *record* names."""
    return msgspec.json.decode(record.read_bytes(), type=tuple[Package, ...])


def unpack(package: Package, archive: bytes, folder: Path) -> None:
    """
    Write the files of *package* into *folder*.

    Raises:
        ChecksumError: The archive or a file is not the recorded one; nothing is written then.

    """
    name = f"{package.name} {package.version}"
    _compare(name, integrity(archive), package.integrity)
    with TemporaryDirectory() as directory:
        path = Path(directory, "archive.tgz")
        path.write_bytes(archive)
        with tarfile.open(path) as tar:
            bodies = {file: _member(tar, f"package/{file.path}") for file in package.files}
    for file, body in bodies.items():
        _compare(f"{name}: {file.path}", hashlib.sha256(body).hexdigest(), file.sha256)
    for file, body in bodies.items():
        target = folder / file.name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(body)


def integrity(archive: bytes) -> str:
    """Return the checksum of *archive* as npm writes it."""
    return f"sha512-{base64.b64encode(hashlib.sha512(archive).digest()).decode()}"


def fetched(package: Package) -> bytes:
    """Return the archive of *package*, fetched by npm from the registry that it is set up with."""
    with TemporaryDirectory() as directory:
        command = ("npm", "pack", "--silent", f"{package.name}@{package.version}")
        subprocess.run(command, cwd=directory, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        (archive,) = Path(directory).iterdir()
        return archive.read_bytes()


def main(records: Sequence[Path] = RECORDS) -> int:
    """Write every vendored file; return 1 if one is not the recorded one."""
    for record in records:
        for package in read_record(record):
            try:
                unpack(package, fetched(package), record.parent)
            except ChecksumError as error:
                sys.stderr.write(f"{error}\n")
                return 1
            sys.stdout.write(f"{package.name} {package.version} into {record.parent.name}/\n")
    return 0


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    member = tar.extractfile(name)
    if member is None:
        raise ChecksumError(f"{name} is not a file")
    return member.read()


def _compare(what: str, found: str, recorded: str) -> None:
    if found != recorded:
        raise ChecksumError(f"{what}: the checksum is {found}, recorded is {recorded}")


if __name__ == "__main__":
    raise SystemExit(main())
