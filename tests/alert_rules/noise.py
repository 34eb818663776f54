"""
``python -m tests.alert_rules.noise``: run the busiest demo and print every notification.

The last line names the alerts that were pending or firing after the first minute, with or without
a notification. With ``--scenario quiet --vms 200``, a healthy system, there should be none.

The durations are those of the shipped rules, but Alertmanager waits less: its waits could only make
the list shorter. The reader decides whether each notification was needed.
"""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.alert_rules.test_alertmanager import Alertmanager, alertmanager
from tests.alert_rules.test_healthy import alerts_of
from tests.daemon_process import REAL_TIME
from tests.real_prometheus import alertmanagers, free_port, prometheus
from tools.alert_rules.files import rule_files

SCRAPE_SECONDS = 5
START_SECONDS = 60
"""The daemon and Prometheus start meanwhile: alerts that are pending then are ignored."""


async def main(minutes: float, demo: Sequence[str]) -> None:
    with TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "am").mkdir()
        async with alertmanager(folder / "am") as manager:
            active = await listen(folder, manager, minutes, demo)
            report(manager.received)
            write(f"pending or firing at some time: {', '.join(sorted(active)) or 'nothing'}")


async def listen(
    folder: Path, manager: Alertmanager, minutes: float, demo: Sequence[str]
) -> set[str]:
    """
    Run the demo, and a Prometheus with the shipped rules that notifies *manager*.

    Return the names of all alerts that were pending or firing, with or without a notification.
    """
    port = free_port()
    for path, text in rule_files().items():
        if path.endswith(".rules.yml"):
            (folder / Path(path).name).write_text(text)
    demo_process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "exporter", "demo", *demo),
        *("--web.listen-address", f"127.0.0.1:{port}"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    active: set[str] = set()
    try:
        async with prometheus(
            folder,
            {"vergewatch": f"http://127.0.0.1:{port}"},
            every=f"{SCRAPE_SECONDS}s",
            rule_files=["*.rules.yml"],
            alerting=alertmanagers(manager.url),
        ) as server:
            await REAL_TIME.sleep(START_SECONDS)
            for _ in range(round(minutes * 60 / SCRAPE_SECONDS)):
                await REAL_TIME.sleep(SCRAPE_SECONDS)
                rules = await server.rules()
                active |= {alert["labels"]["alertname"] for alert in alerts_of(rules)}
    finally:
        demo_process.terminate()
        await demo_process.wait()
    return active


def report(received: list[tuple[str, dict[str, Any]]]) -> None:
    """Print every notification but the watchdog's, with its runbook."""
    counts: Counter[str] = Counter()
    for path, message in received:
        name = message.get("groupLabels", {}).get("alertname")
        if name is None or path == "/watchdog":
            continue
        counts[path] += 1
        write(f"{path[1:]:<8} {message['status']:<9} {name}")
        for alert in message["alerts"]:
            write(f"    {alert['status']:<9} {alert['annotations']['description']}")
        write(f"    see docs/runbooks/{name}.md")
    write(", ".join(f"{count} to {path[1:]}" for path, count in sorted(counts.items())) or "none")


def write(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=10.0)
    arguments.add_argument("--scenario", default="busy")
    arguments.add_argument("--vms", type=int)
    given = arguments.parse_args()
    size = ["--vms", str(given.vms)] if given.vms else []
    asyncio.run(main(given.minutes, ["--scenario", given.scenario, *size]))
