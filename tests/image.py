"""
``make image``: build the container image, and test what it promises.

buildah builds it. podman runs it, with runc, beside a simulator and without a network.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from rich.console import Console

ROOT = Path(__file__).parents[1]
IMAGE = "localhost/vergewatch"
DEBIAN = "debian"
DEBIAN_BASE = "localhost/vergewatch-debian-base"
DEBIAN_RELEASE = "bookworm"
DEBIAN_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
CERTIFICATES = "/etc/ssl/certs"

USER_ID = 65532
KEY = "key-in-a-file-of-the-container"
SIMULATOR = "127.0.0.1:8000"
HEALTHCHECK = ("python", "-I", "/opt/vergewatch/healthcheck.py")
METRICS = (
    "from urllib.request import urlopen;"
    "print(urlopen('http://127.0.0.1:9888/metrics').read().decode())"
)
START_SECONDS = 60
STOP_SECONDS = 10
LIMIT_MIB = 256
RESIDENT_MIB = 110
"""At most, after the first polls, with recovery in shadow mode."""


class FailedError(Exception):
    """A program failed, or the image does not do what it promises."""


def output(*command: str) -> str:
    """Return what *command* prints; raise `FailedError` if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise FailedError(f"{' '.join(command)}: status {done.returncode}\n{done.stderr.strip()}")
    return done.stdout.strip()


def podman(*arguments: str) -> str:
    return output("podman", "--runtime", "runc", *arguments)


def build(base: str) -> None:
    """Build the image on *base*; on the base that the Dockerfile names if it is empty."""
    output(
        *("buildah", "bud", "--isolation", "chroot", "--layers", "--tag", IMAGE),
        *("--format", "docker"),  # the other format has no HEALTHCHECK
        # This machine's, where the package index is behind a proxy with a certificate of its own.
        *("--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro"),
        *("--build-arg", f"REVISION={output('git', 'rev-parse', 'HEAD')}"),
        *(("--build-arg", f"PYTHON_IMAGE={base}") if base else ()),
        ".",
    )


def make_debian_base() -> str:
    """Return the name of a base image made of Debian's packages, without any registry."""
    if not output("podman", "images", "--quiet", DEBIAN_BASE):
        as_in_the_official_image = (
            'ln -s python3 "$1/usr/bin/python"; rm "$1"/usr/lib/python3*/EXTERNALLY-MANAGED'
        )
        with TemporaryDirectory() as folder:
            archive = f"{folder}/base.tar"
            output(
                *("mmdebstrap", "--variant=minbase", f"--include={DEBIAN_PACKAGES}"),
                *("--dpkgopt=force-unsafe-io", f"--customize-hook={as_in_the_official_image}"),
                *(DEBIAN_RELEASE, archive),
            )
            podman("import", "--quiet", archive, DEBIAN_BASE)
    return DEBIAN_BASE


@dataclass(frozen=True)
class Container:
    """A running container."""

    name: str

    def run(self, *command: str) -> str:
        return podman("exec", self.name, *command)

    def fails(self, *command: str) -> str:
        """Return the error of *command*, which must fail."""
        try:
            self.run(*command)
        except FailedError as error:
            return str(error)
        raise FailedError(f"{' '.join(command)} does not fail")

    @cached_property
    def facts(self) -> Any:
        """What podman knows of it."""
        return json.loads(podman("container", "inspect", self.name))[0]

    @property
    def process(self) -> dict[str, str]:
        """The kernel's status of its first process."""
        status = Path(f"/proc/{self.facts['State']['Pid']}/status").read_text(encoding="utf-8")
        return dict(re.findall(r"^(\w+):\s*(.*)$", status, re.MULTILINE))


@contextmanager
def started(*arguments: str) -> Iterator[Container]:
    """Run a container of the image as it should be run: read-only, without any privilege."""
    container = Container(f"vergewatch-test-{uuid4().hex[:8]}")
    run = (
        *("run", "--detach", "--name", container.name, "--read-only", "--tmpfs=/tmp"),
        *("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"),  # podman would raise them
        "--no-healthcheck",  # by podman, which needs systemd
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        *("--memory", f"{LIMIT_MIB}m", *arguments),
    )
    try:
        podman(*run)
        yield container
    finally:
        podman("rm", "--force", "--volumes", container.name)


@contextmanager
def monitored_simulator() -> Iterator[Container]:
    """Run a simulator, and a daemon that has its key from a file; yield the daemon."""
    with TemporaryDirectory() as folder:
        key = Path(folder) / "api_key"
        key.write_text(f"{KEY}\n", encoding="utf-8")
        Path(folder).chmod(0o755)
        key.chmod(0o644)
        simulate = (IMAGE, "simulate", "--listen", SIMULATOR)
        variable = ("--env", f"VERGEWATCH_SIMULATOR_API_KEY={KEY}")
        with (
            started("--network", "none", *variable, *simulate) as simulator,
            started(
                *("--network", f"container:{simulator.name}"),
                *("--env", f"VERGEWATCH_URL=http://{SIMULATOR}"),
                *("--env", "VERGEWATCH_SECRETS_DIR=/run/secrets/vergewatch"),
                *("--volume", f"{folder}:/run/secrets/vergewatch:ro"),
                IMAGE,
            ) as daemon,
        ):
            yield daemon


def until(holds: Callable[[], object]) -> None:
    """Ask every second until *holds*; raise what it raises if it never does."""
    for _ in range(START_SECONDS):
        try:
            if holds():
                return
        except FailedError:
            pass
        time.sleep(1)
    require(holds(), f"not within {START_SECONDS} s")


def require(holds: object, why: str) -> None:
    if not holds:
        raise FailedError(why)


def test_health(daemon: Container) -> str:
    image = json.loads(podman("image", "inspect", IMAGE))[0]
    asked = image["Healthcheck"]["Test"]
    require(asked == ["CMD", *HEALTHCHECK], f"HEALTHCHECK is {asked}")
    until(lambda: not daemon.run(*HEALTHCHECK))
    elsewhere = "VERGEWATCH_WEB__LISTEN_ADDRESS=127.0.0.1:1"
    daemon.fails("env", elsewhere, "STATE_DIRECTORY=/tmp", *HEALTHCHECK)
    return "0 if the daemon answers, else 1"


def test_secret(daemon: Container) -> str:
    until(
        lambda: re.search(
            r"^vergewatch_up{.*} 1", daemon.run("python", "-c", METRICS), re.MULTILINE
        )
    )
    told = json.dumps(daemon.facts) + podman("logs", daemon.name)
    require(KEY not in told, "the key is in the log or in the container's configuration")
    return "the API key is read from a file, and not shown"


def test_user(daemon: Container) -> str:
    process = daemon.process
    require(process["Uid"].split() == [str(USER_ID)] * 4, f"Uid is {process['Uid']}")
    capabilities = {name: process[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapInh")}
    require(not any(int(bits, 16) for bits in capabilities.values()), f"has {capabilities}")
    require(process["NoNewPrivs"] == "1", "may gain privileges")
    require(process["Seccomp"] == "2", "is not confined by seccomp")
    return f"uid {USER_ID}, no capabilities, no new privileges, seccomp"


def test_files(daemon: Container) -> str:
    for place in ("/opt/vergewatch", "/etc", "/"):
        error = daemon.fails("touch", f"{place}/new")
        require("Read-only file system" in error, error)
    until(lambda: "journal" in daemon.run("ls", "/var/lib/vergewatch"))  # after the first poll
    writable = daemon.run("find", "/opt/vergewatch", "!", "-type", "l", "-perm", "/022")
    require(not writable, f"may be written to: {writable}")
    return "the root is read-only, the journal is in its volume"


def test_memory(daemon: Container) -> str:
    resident = int(daemon.process["VmRSS"].split()[0]) / 1024
    require(resident <= RESIDENT_MIB, f"{resident:.0f} MiB, over {RESIDENT_MIB}")
    return f"{resident:.0f} MiB, at most {RESIDENT_MIB}"


def test_stop(daemon: Container) -> str:
    podman("stop", "--time", str(STOP_SECONDS), daemon.name)
    status = podman("wait", daemon.name)
    require(status == "0", f"SIGTERM: status {status}\n{podman('logs', daemon.name)}")
    return "SIGTERM: status 0"


TESTS = (test_health, test_secret, test_user, test_files, test_memory, test_stop)


def main(base: str) -> None:
    """Build the image on *base*, and print the result of each test."""
    console = Console(highlight=False)
    begun = time.perf_counter()
    try:
        build(make_debian_base() if base == DEBIAN else base)
        size = int(podman("image", "inspect", "--format", "{{.Size}}", IMAGE))
        console.print(f"{IMAGE}: {size / 1e6:.0f} MB, in {time.perf_counter() - begun:.0f} s")
        with monitored_simulator() as daemon:
            for test in TESTS:
                console.print(f"  {test.__name__.removeprefix('test_'):8}", test(daemon))
    except FailedError as error:
        sys.exit(f"FAILED: {error}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make image", description=__doc__)
    parser.add_argument(
        "base", nargs="?", default="", help=f"another base image; `{DEBIAN}` makes one"
    )
    main(parser.parse_args().base)
