"""``make bench``: measure the costs, and compare them with the bars of the design."""

import argparse
import asyncio
import sys
from tempfile import TemporaryDirectory
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from tests.bench import commands, console, cycle, daemon, journal, takeover, thinking
from tests.bench.hour import planned_requests, requests_of_an_hour
from tests.bench.process import as_the_daemon, in_a_new_process

SIZES = (100, 1_000, 10_000)
BUDGET = 850
"""Requests per hour."""


class Result(NamedTuple):
    """A measured cost."""

    name: str
    value: float
    unit: str
    bar: float | None = None
    """The highest value that the design allows; None if it sets none."""

    @property
    def is_over(self) -> bool:
        return self.bar is not None and self.value > self.bar


async def cycle_results(vms: int) -> list[Result]:
    cost = await cycle.measure(vms)
    stages = (Result(f"of it: {name}", spent, "ms CPU") for name, spent in cost.stages.items())
    return [
        Result("polling cycle, mean", cost.mean, "ms CPU", 150),
        *stages,
        Result("polling cycle, worst", cost.worst, "ms CPU"),
        Result("first cycle", cost.first, "ms CPU"),
        Result("page", cost.page_bytes / 1e6, "MB"),
        Result("page, gzip", cost.gzip_bytes / 1e6, "MB"),
        Result("samples", cost.samples, ""),
        Result("rendering all, with gzip", cost.ours_ms, "ms CPU"),
        Result("the same by prometheus_client, no gzip", cost.theirs_ms, "ms CPU"),
    ]


async def recovery_results(vms: int) -> list[Result]:
    cost = in_a_new_process(thinking.measure, vms)
    share = _share(vms)
    planned = planned_requests(recovery=True)
    return [
        Result("recovery, a poll without trouble", cost.calm, "ms CPU", 100),
        Result(
            f"recovery, a poll with {cost.down} VMs down, {thinking.ROWS_OF_A_VM} log rows each",
            cost.bad,
            "ms CPU",
            100,
        ),
        Result("recovery, the poll with all these rows", cost.bad_worst, "ms CPU"),
        Result("requests planned", planned, "per hour", BUDGET),
        Result("requests", await requests_of_an_hour(vms, share=share), "per hour", BUDGET),
        Result(
            "requests with recovery and crashes",
            await requests_of_an_hour(vms, share=share, recovery=True),
            "per hour",
            BUDGET,
        ),
    ]


async def daemon_results(vms: int) -> list[Result]:
    cost = await daemon.measure(vms, mode="shadow")
    without = await daemon.measure(vms, mode="off", clients=0)
    most_mib = {100: (80, 65), 10_000: (220, None)}.get(vms, (None, None))
    return [
        Result("start to first /metrics", cost.first_page_seconds, "s", 2),
        Result("start to complete inventory", cost.inventory_seconds, "s"),
        Result("RSS, recovery in shadow", cost.rss_mib[1], "MiB", most_mib[0]),
        Result("RSS after a fifth of the cycles", cost.rss_mib[0], "MiB"),
        Result("RSS, recovery off", without.rss_mib[1], "MiB", most_mib[1]),
        Result("longest event loop lag, at most", cost.worst_lag_ms, "ms", 50),
        Result("scrapes", cost.scrapes_per_second, "per s"),
        Result("scrape in the server, p50, at most", cost.server_p50_ms, "ms"),
        Result("scrape in the server, p99, at most", cost.server_p99_ms, "ms", 10),
        Result("scrape in the client, p99", cost.client_p99_ms, "ms"),
    ]


async def console_results(vms: int) -> list[Result]:
    cost = await console.measure(vms)
    return [
        Result("list of VMs, first byte", cost.first_byte_ms, "ms", 100),
        Result("list of VMs, first byte right after a poll", cost.first_byte_after_poll_ms, "ms"),
        Result("search for VMs", cost.search_ms, "ms", 150),
        Result(f"heaviest page with its files, {cost.heaviest}", cost.heaviest_kb, "KB", 300),
        Result(f"{console.BROWSERS} open browsers", 100 * cost.share_ratio, "% of a core", 5),
        Result("refreshes of these that were refused", cost.refused, "", 0),
    ]


async def command_results() -> list[Result]:
    with TemporaryDirectory(prefix="vergewatch-bench-") as directory:
        cost = await commands.measure(directory)
    return [
        Result("vergewatch --version", cost.version, "s", 0.3),
        Result("vergewatch explain", cost.explain, "s", 0.5),
    ]


async def journal_results() -> list[Result]:
    results = []
    for database, cost in (await journal.measure()).items():
        results += [
            Result(f"{database}: decision to request, median", cost.action, "ms"),
            Result(f"{database}: decision to request, worst", cost.action_worst, "ms"),
            Result(f"{database}: saved state of {journal.CASES:,} VMs", cost.boot, "ms"),
        ]
    return results


async def replica_results() -> list[Result]:
    cost = await takeover.measure()
    return [
        Result("SIGTERM to the leader until another one leads", cost.after_sigterm, "s", 3),
        Result("SIGKILL to the leader until another one leads", cost.after_sigkill, "s", 40),
    ]


async def main(sizes: list[int]) -> int:
    """Print every result; return 1 if one is over its bar."""
    as_the_daemon()
    screen = Console(width=100)
    over = 0
    for vms in sizes:
        results: list[Result] = []
        for measured in (cycle_results, recovery_results, daemon_results):
            results += await measured(vms)
        if vms == max(sizes):
            results += await console_results(vms)
        screen.print(grid(f"{vms:,} VMs", results))
        over += sum(result.is_over for result in results)
    screen.print(grid("Journal", await journal_results()))
    for title, measured_once in (("Replicas", replica_results), ("Commands", command_results)):
        results = await measured_once()
        screen.print(grid(title, results))
        over += sum(result.is_over for result in results)
    screen.print(f"{over} over their bar" if over else "no result is over its bar")
    return int(over > 0)


def _share(vms: int) -> float:
    """Return how much of an hour to simulate: requests hardly depend on the number of VMs."""
    return 1 if vms <= 1_000 else 1 / 6


def grid(title: str, results: list[Result]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("cost", "measured", "bar", "unit", ""):
        table.add_column(column, justify="right" if column in ("measured", "bar") else "left")
    for result in results:
        bar = "" if result.bar is None else f"{result.bar:g}"
        verdict = "OVER" if result.is_over else ""
        table.add_row(result.name, f"{result.value:,.4g}", bar, result.unit, verdict)
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--vms", type=int, nargs="+", default=list(SIZES), help="system sizes")
    sys.exit(asyncio.run(main(parser.parse_args().vms)))
