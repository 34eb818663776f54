"""A demo in a process of its own, and a real Alertmanager beside it."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from tests.alerting.real_alertmanager import CONFIG
from tests.debian import needs
from tests.real_prometheus import free_port

PATIENCE_SECONDS = 30.0
ANY_PORT = "127.0.0.1:0"


class LiveDemo(NamedTuple):
    """A running demo."""

    url: str
    """Of its console."""
    control: str
    """Of its simulator."""

    def happen(self, vm: str, event: str) -> None:
        """Make *event* happen to *vm* in the simulated system."""
        post = urllib.request.Request(f"{self.control}vms/{vm}/{event}", b"{}", method="POST")  # noqa: S310
        with urllib.request.urlopen(post):  # noqa: S310 - our own
            pass


@contextmanager
def running_demo(*args: str) -> Iterator[LiveDemo]:
    """Run ``vergewatch demo`` with *args*."""
    command = ("exporter", "demo", "--log.format", "json", "--web.listen-address", ANY_PORT, *args)
    with _running(*command) as demo:
        yield demo


@contextmanager
def quick_demo(settings: Mapping[str, Any], *args: str) -> Iterator[LiveDemo]:
    """Run a demo whose recovery is ready within seconds, with *settings*."""
    given = json.dumps({"web": {"listen_address": ANY_PORT}, **settings})
    with _running("tests.browser.quick_demo", given, *args) as demo:
        yield demo


@contextmanager
def running_alertmanager() -> Iterator[str]:
    """Run an Alertmanager that notifies nothing; yield its address."""
    with TemporaryDirectory() as folder:
        config = Path(folder) / "alertmanager.yml"
        config.write_text(CONFIG)
        url = f"http://127.0.0.1:{free_port()}"
        process = subprocess.Popen(
            [
                needs("prometheus-alertmanager"),
                f"--config.file={config}",
                f"--storage.path={folder}",
                f"--web.listen-address={url.removeprefix('http://')}",
                "--cluster.listen-address=",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_until_ready(url)
            yield url
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


@contextmanager
def _running(module: str, *args: str) -> Iterator[LiveDemo]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("VERGE")}
    with TemporaryDirectory() as state:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *args],
            env={**bare, "STATE_DIRECTORY": state},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            demo = _started(process)
            _wait_until_ready(demo.url)
            yield demo
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE_SECONDS)


def _started(process: subprocess.Popen[str]) -> LiveDemo:
    """Return the addresses that the simulator and the daemon log."""
    assert process.stderr is not None
    lines, control = [], ""
    for line in process.stderr:
        lines.append(line)
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        control = entry.get("control", control)
        if entry.get("event") == "daemon.started":
            return LiveDemo(f"http://{entry['listen']}", control)
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
    raise AssertionError(f"{url} is not ready in time")
