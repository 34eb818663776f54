"""A demo in a process of its own: a daemon and the simulated system that it watches."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

PATIENCE_SECONDS = 30.0


@contextmanager
def running_demo(*args: str, port: int = 0) -> Iterator[str]:
    """Run ``vergewatch demo`` with *args*; yield the address of its console."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("VERGE")}
    with TemporaryDirectory() as state:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "exporter", "demo", "--log.format", "json"),
                *("--web.listen-address", f"127.0.0.1:{port}", *args),
            ],
            env={**bare, "STATE_DIRECTORY": state},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            url = f"http://{_listening(process)}"
            _wait_until_ready(url)
            yield url
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE_SECONDS)


def _listening(process: subprocess.Popen[str]) -> str:
    """Return the address that the daemon logs."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if entry.get("event") == "daemon.started":
            return str(entry["listen"])
    raise AssertionError("".join(lines))


def _wait_until_ready(url: str) -> None:
    until = time.monotonic() + PATIENCE_SECONDS  # noqa: TID251 - a real process
    while time.monotonic() < until:  # noqa: TID251
        try:
            with urllib.request.urlopen(f"{url}/-/ready") as answer:  # noqa: S310 - our own
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the demo never was ready")
