"""
Runs tests with the other Pythons that Vergewatch supports: `make pythons`.

An interpreter is one that this machine has, in ``PATH`` or of pyenv. Where there is none, root
unpacks that of a Debian release below ``.venv`` and runs it in a chroot: nothing is installed.
"""

# ruff: noqa: S603, T201 - it runs programs that it names, and prints what it does

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).parents[1]
VENV = (CHECKOUT / ".venv").resolve()
LOCKED = "deploy/requirements-dev.txt"
RELEASES: Mapping[str, str] = {"3.12": "", "3.13": "trixie", "3.14": "sid"}
"""The Debian release that has each version; none has 3.12."""
TESTS = (
    "tests/alerting/test_matchers.py",
    "tests/cli/test_commands.py",
    "tests/config",
    "tests/daemon/test_reload_command.py",
    "tests/daemon/test_systemd.py",
    "tests/exposition",
    "tests/journal/test_schema.py",
    "tests/web/test_routes.py",
)
"""Those that a new Python breaks first: sockets, TLS, SQLite, processes, annotations."""
UNPACKED = "bash,coreutils,dash,libstdc++6,openssl,sed,tzdata,util-linux"
"""What tests run, and what wheels are linked to, besides Python."""
MERGED = 'cd "$1" && mkdir -p usr/bin usr/sbin usr/lib usr/lib64 && ln -s usr/* .'
"""Debian's packages expect these links, which only an installed package makes."""
CHROOT = """\
root=$1 && shift
for place in /dev /proc /tmp "$CHECKOUT" "$VENV"; do
    mkdir -p "$root$place" && mount --rbind "$place" "$root$place"
done
exec chroot "$root" sh -c 'cd "$CHECKOUT" && exec "$@"' sh "$@"
"""


class Interpreter(NamedTuple):
    """A Python that can run the tests."""

    version: str
    python: str
    within: tuple[str, ...] = ()
    """The command that runs another one where the interpreter is."""


def main() -> int:
    """Run the tests with every version that can be had; return 1 if some fail."""
    parser = argparse.ArgumentParser(prog="make pythons", description=__doc__)
    parser.add_argument("--uv", required=True, help="The program that installs packages.")
    parser.add_argument("tests", nargs="*", help="What to pass to pytest.")
    given = parser.parse_args()
    failed = []
    for version in RELEASES:
        interpreter = installed(version) or unpacked(version)
        if interpreter is None:
            print(f"\n== Python {version}: not run, there is no such interpreter here", flush=True)
            continue
        print(f"\n== Python {version}", flush=True)
        prepared = with_packages(interpreter, given.uv)
        if not passes(prepared, given.tests or TESTS):
            failed.append(version)
    print(f"\nfailed with Python {', '.join(failed)}" if failed else "\nnothing failed")
    return int(bool(failed))


def installed(version: str) -> Interpreter | None:
    """Return the interpreter of this machine; None if it has none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [*map(str, pyenv.glob(f"{version}.*/bin/python{version}"))]
    for path in (shutil.which(f"python{version}"), *found):
        if path is None:
            continue
        tried = subprocess.run((path, "-c", "import venv"), check=False, capture_output=True)
        if tried.returncode == 0:  # a shim of pyenv may lead nowhere
            return Interpreter(version, path)
    return None


def unpacked(version: str) -> Interpreter | None:
    """Return the interpreter of Debian; None if it cannot be unpacked and run here."""
    release, root = RELEASES[version], VENV / f"debian-python-{version}"
    if not release or os.geteuid() != 0 or not shutil.which("mmdebstrap"):
        return None
    if not root.exists():
        made = root.with_suffix(".part")
        shutil.rmtree(made, ignore_errors=True)
        # Extracted only: no package's script runs. A mirror may lag behind; signatures count.
        command = (
            *("mmdebstrap", "--quiet", "--mode=root", "--variant=extract"),
            f"--include=python{version},python{version}-venv,{UNPACKED}",
            f"--setup-hook={MERGED}",
            '--aptopt=Acquire::Check-Valid-Until "false"',
            *(release, str(made)),
        )
        if subprocess.run(command, check=False).returncode:
            return None
        for name in ("passwd", "group", "hosts"):  # which an installed package makes
            shutil.copyfile(Path("/etc") / name, made / "etc" / name)
        made.rename(root)
    unshare = ("unshare", "--mount", "--propagation", "private", "sh", "-eu", "-c", CHROOT, "sh")
    within, python = (*unshare, str(root)), f"/usr/bin/python{version}"
    # A container may not be allowed to mount anything.
    tried = subprocess.run((*within, python, "-c", "import venv"), check=False, env=variables())
    return Interpreter(version, python, within) if tried.returncode == 0 else None


def with_packages(interpreter: Interpreter, uv: str) -> Interpreter:
    """Return the interpreter of an environment that has the locked packages and the product."""
    version, within = interpreter.version, interpreter.within
    environment = VENV / f"python-{version}"
    locked, stamp = CHECKOUT / LOCKED, environment / ".locked"
    packages = environment / f"lib/python{version}/site-packages"
    if not stamp.exists() or stamp.read_bytes() != locked.read_bytes():
        make = (*within, interpreter.python, "-m", "venv", "--clear", "--without-pip")
        subprocess.run((*make, str(environment)), check=True, env=variables())
        # From outside: a chroot has no network.
        command = (
            *(uv, "pip", "install", "--quiet", "--target", packages, "--python-version", version),
            *("--only-binary", ":all:", "--require-hashes", "-r", locked),
        )
        subprocess.run(command, check=True)
        shutil.copyfile(locked, stamp)
    (packages / "checkout.pth").write_text(f"{CHECKOUT}\n")
    return Interpreter(version, str(environment / "bin/python"), within)


def passes(interpreter: Interpreter, tests: Sequence[str]) -> bool:
    """Run pytest and return whether it passes."""
    workers = str((os.cpu_count() or 1) + 1)
    pytest = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", workers, *tests)
    command = (*interpreter.within, interpreter.python, *pytest)
    return subprocess.run(command, cwd=CHECKOUT, env=variables(), check=False).returncode == 0


def variables() -> dict[str, str]:
    """Return the environment variables of what is run."""
    cache = str(VENV / "bytecode")  # a test starts many processes: compile once
    own = {"CHECKOUT": str(CHECKOUT), "VENV": str(VENV), "PYTHONPYCACHEPREFIX": cache}
    # Without CI, tests of programs that are missing in a chroot are skipped.
    without = ("CI", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    return {**{name: value for name, value in os.environ.items() if name not in without}, **own}


if __name__ == "__main__":
    sys.exit(main())
