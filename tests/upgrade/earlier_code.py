"""The code of an earlier commit, in a directory from which its daemon and commands can be run."""

import asyncio
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
TEST_OF_REPLICAS = "tests/recovery/test_replicas.py"
"""A commit that has it can run replicas: it starts two on PostgreSQL."""
MODULES = ("exporter.cli.main", "exporter.daemon.app", "exporter.journal.journal")
"""What a daemon with recovery imports at its start or later."""
POSTGRES_MODULES = (*MODULES, "exporter.journal.postgres_database")


class MissingError(Exception):
    """A commit, or what its code needs, is not here; the message says which."""


def short_name(commit: str) -> str:
    """
    Return the abbreviated name of *commit*.

    Raises:
        MissingError: There is no such commit.

    """
    try:
        return _git("log", "-1", "--format=%h", commit, "--").decode().strip()
    except MissingError as error:
        raise MissingError(f"{error}. Is this a clone with its history?") from None


def has_replicas(commit: str) -> bool:
    """Return whether the code of *commit* can run replicas on PostgreSQL."""
    return bool(_git("ls-tree", commit, TEST_OF_REPLICAS))


def oldest_with_replicas() -> str:
    """Return the oldest commit of this history that can run replicas on PostgreSQL."""
    adding = _git("log", "--diff-filter=A", "--format=%h", "HEAD", "--", TEST_OF_REPLICAS)
    return adding.decode().split()[-1]


@contextmanager
def code_of(commit: str, modules: tuple[str, ...] = MODULES) -> Iterator[Path]:
    """
    Write the code of *commit* into a temporary directory.

    Raises:
        MissingError: There is no such commit, or one of its *modules* cannot be imported.

    """
    with TemporaryDirectory(prefix="vergewatch-upgrade-") as directory:
        folder = Path(directory)
        with tarfile.open(fileobj=io.BytesIO(_git("archive", commit, "exporter"))) as archive:
            archive.extractall(folder, filter="data")
        _check_imports(commit, folder, modules)
        yield folder


async def vergewatch(code: Path, env: Mapping[str, str], *args: str) -> str:
    """Run a command of the *code* and return what it prints; the test fails if it fails."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "exporter", *args),
        cwd=code,
        env={**os.environ, "PYTHONPATH": str(code), **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, f"vergewatch {' '.join(args)}: {output.decode()}"
    return output.decode()


def _check_imports(commit: str, folder: Path, modules: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {', '.join(modules)}; print(exporter.__file__)"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise MissingError(
            f"the code of {commit} cannot be imported with the packages of this .venv "
            f"({done.stderr.strip().splitlines()[-1]}): install what its pyproject.toml names"
        )
    assert Path(done.stdout.strip()).is_relative_to(folder), f"not of {commit}: {done.stdout}"


def _git(*args: str) -> bytes:
    try:
        done = subprocess.run(["git", "-C", ROOT, *args], capture_output=True, check=True)
    except FileNotFoundError:
        raise MissingError("git is missing, which has the earlier code") from None
    except subprocess.CalledProcessError as error:
        problem = error.stderr.decode().strip().splitlines()[-1]
        raise MissingError(f"git {args[0]}: {problem}") from None
    return done.stdout
