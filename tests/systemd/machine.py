"""A Debian machine with a systemd of its own: a container of systemd-nspawn, without a network."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

SUITE = "bookworm"
PYTHON = "3.11"
"""Of the suite."""
PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-venv"
BOOT = """\
umount --recursive /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
exec systemd-nspawn --quiet --directory "$1" --boot --private-network --register=no --keep-unit \
    --console=pipe --kill-signal=SIGRTMIN+3
"""
"""In a mount namespace: systemd in the container needs cgroup2, and the host may have cgroup1.
Without registration, because the host may have no systemd."""
COPY = 'tar --create --null --files-from - | tar --extract --directory "$0"'
PATIENCE_SECONDS = 120.0

Waiting = Callable[[], bool]


class Machine(NamedTuple):
    """A booted machine."""

    root: Path
    init: int
    """The process ID of its systemd."""

    def run(self, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command as its root, whatever the exit code."""
        inside = ("nsenter", "--target", str(self.init), "--all", "--wd=/")
        variables = ("PIP_NO_INDEX=1", "PIP_FIND_LINKS=/wheels", "HOME=/root", "COLUMNS=200")
        path = "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return subprocess.run(
            (*inside, "env", "--chdir=/checkout", "-i", path, *variables, *command),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    def do(self, *command: str, stdin: str = "") -> str:
        """Run a command that must succeed, and return its output."""
        done = self.run(*command, stdin=stdin)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}{self.log()}"
        return done.stdout

    def script(self, text: str, stdin: str = "") -> str:
        """Run a script of the documentation, each command of which must succeed."""
        return self.do("sh", "-eu", "-c", text, stdin=stdin)

    def show(self, name: str) -> str:
        """Return a property of the unit."""
        return self.do("systemctl", "show", "--value", "--property", name, "vergewatch").strip()

    def log(self) -> str:
        """Return the last lines that the unit logged."""
        return self.run("journalctl", "--no-pager", "-n", "30", "-u", "vergewatch").stdout

    def until(self, holds: Waiting) -> None:
        """Wait until something holds; the test fails if it does not."""
        deadline = time.monotonic() + PATIENCE_SECONDS  # noqa: TID251 - of another machine
        while not holds():
            late = time.monotonic() > deadline  # noqa: TID251
            assert not late, self.run("systemctl", "status", "vergewatch").stdout + self.log()
            time.sleep(0.2)

    def until_up(self) -> None:
        """Wait until the unit is active and its system is up."""
        self.until(
            lambda: (
                self.show("ActiveState") == "active"
                and self.show("StatusText").startswith("1 of 1 system up.")
            )
        )

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to the daemon."""
        self.do("systemctl", "kill", "--kill-whom=main", f"--signal={number.name}", "vergewatch")

    def main_pid(self) -> int:
        """Return the process ID of the daemon, as the machine counts."""
        return int(self.show("MainPID"))


def make_root(root: Path, checkout: Path, cache: Path) -> None:
    """Make the file system of a machine, with *checkout* and the wheels of what it locks."""
    archive = cache / f"debian-{SUITE}.tar"
    if not archive.exists():
        made = archive.with_suffix(".part.tar")
        subprocess.run(
            ("mmdebstrap", "--quiet", "--variant=apt", f"--include={PACKAGES}", SUITE, made),
            check=True,
        )
        made.rename(archive)
    root.mkdir()
    subprocess.run(("tar", "--extract", "--file", archive, "--directory", root), check=True)
    files = subprocess.run(
        ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"),
        cwd=checkout, check=True, capture_output=True,
    ).stdout  # fmt: skip
    (root / "checkout").mkdir()
    subprocess.run(
        ("sh", "-c", COPY, root / "checkout"),
        cwd=checkout, check=True, input=files,
    )  # fmt: skip
    subprocess.run(
        (
            *(checkout / ".venv/bin/python", "-m", "pip", "download", "--quiet"),
            *("--dest", root / "wheels", "--only-binary", ":all:", "--python-version", PYTHON),
            *("--require-hashes", "-r", "deploy/requirements.txt"),
            *("-r", "deploy/requirements-build.txt"),
        ),
        cwd=checkout,
        check=True,
    )


@contextmanager
def booted(root: Path) -> Iterator[Machine]:
    """Boot the machine whose file system is at *root*; power it off at the end."""
    with subprocess.Popen(
        ("unshare", "--mount", "--propagation", "private", "sh", "-c", BOOT, "sh", root),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    ) as nspawn:  # fmt: skip
        try:
            machine = Machine(root, _child(nspawn))
            machine.until(
                lambda: machine.run("systemctl", "is-system-running").stdout == "running\n"
            )
            yield machine
            machine.run("systemctl", "poweroff")
            nspawn.wait(PATIENCE_SECONDS)
        finally:
            if nspawn.poll() is None:
                nspawn.kill()  # the machine ends with it


def _child(process: "subprocess.Popen[bytes]") -> int:
    """Return the child of *process*, when it has one."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    for _ in range(int(PATIENCE_SECONDS / 0.1)):
        assert process.poll() is None, "systemd-nspawn ended"
        found = children.read_text().split()
        if found and Path(f"/proc/{found[0]}/comm").read_text() == "systemd\n":
            return int(found[0])
        time.sleep(0.1)
    raise AssertionError("systemd-nspawn does not boot")


def commands(page: Path, name: str) -> str:
    """Return the commands of *page* that follow the mark *name*."""
    pattern = rf"<!-- {name} -->\n( *)```sh\n(.*?)\n *```\n"
    (found,) = re.findall(pattern, page.read_text(), re.DOTALL)
    indent, text = found
    return "\n".join(line.removeprefix(indent) for line in text.split("\n"))


def status_fields(machine: Machine, pid: int) -> Mapping[str, str]:
    """Return ``/proc/PID/status`` of a process of the machine."""
    lines = machine.do("cat", f"/proc/{pid}/status").splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def is_possible() -> str:
    """Return what is missing to boot a machine; empty if nothing is."""
    return "" if os.geteuid() == 0 else "only root can boot a container"
