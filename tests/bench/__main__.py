"""``make bench``: measure, and print beside each number the bar that we hold ourselves to."""

import asyncio
import logging
import sys

import structlog
from rich.console import Console
from rich.table import Table

from exporter.daemon.app import tune_interpreter
from tests.bench import cycle, daemon, thinking
from tests.bench.hour import requests_of_an_hour

SIZES = (100, 1_000, 10_000)


async def main(sizes: list[int]) -> None:
    tune_interpreter()  # as the daemon does
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    console = Console(width=100)
    console.print("One polling cycle, CPU milliseconds (bar: 150 for 10,000 VMs)")
    table = grid(
        "VMs", "samples", "page MB", "gzip MB", "mean", "worst", "first", "what of the mean"
    )
    peers = grid("VMs", "ours, from nothing", "prometheus_client", "times faster", "in a cycle")
    for vms in sizes:
        cost = await cycle.measure(vms)
        stages = ", ".join(f"{name} {spent:.1f}" for name, spent in cost.stages.items())
        table.add_row(
            f"{vms:,}",
            f"{cost.samples:,}",
            f"{cost.page_bytes / 1e6:.1f}",
            f"{cost.gzip_bytes / 1e6:.2f}",
            f"{cost.mean:.1f}",
            f"{cost.worst:.1f}",
            f"{cost.first:.1f}",
            stages,
        )
        peers.add_row(
            f"{vms:,}",
            f"{cost.ours_ms:.1f}",
            f"{cost.theirs_ms:.1f}",
            f"{cost.theirs_ms / cost.ours_ms:.1f}",
            f"{cost.theirs_ms / cost.stages['render and gzip']:.1f}",
        )
    console.print(table)
    console.print("\nWriting the same families, CPU milliseconds (ours includes the gzip form)")
    console.print(peers)

    console.print(
        "\nRecovery, every VM enrolled: CPU milliseconds of a round of thinking "
        "(bar: 100 for 10,000 VMs), and requests with it (bar: 850)"
    )
    rounds = grid("VMs", "calm", "worst", "down at once", "then", "worst", "requests/h")
    for vms in sizes:
        thought = thinking.measure(vms)
        asked = await requests_of_an_hour(vms, share=_share(vms), recovery=True)
        rounds.add_row(
            f"{vms:,}",
            f"{thought.calm:.1f}",
            f"{thought.calm_worst:.1f}",
            f"{thought.down:,}",
            f"{thought.bad:.1f}",
            f"{thought.bad_worst:.1f}",
            f"{asked:.0f}",
        )
    console.print(rounds)

    console.print(
        "\nThe daemon (bars: first page 2 s, memory 200 MiB and flat, lag 50 ms, "
        "p99 inside the server 10 ms with 50 clients, 850 requests an hour)"
    )
    whole = grid(
        "VMs",
        "first page s",
        "picture s",
        "RSS MiB 20/100 cycles",
        "worst lag ms",
        "scrapes/s",
        "server p50 ms",
        "server p99 ms",
        "client p99 ms",
        "requests/h",
    )
    for vms in sizes:
        took = await daemon.measure(vms)
        requests = await requests_of_an_hour(vms, share=_share(vms))
        whole.add_row(
            f"{vms:,}",
            f"{took.first_page_seconds:.2f}",
            f"{took.picture_seconds:.2f}",
            f"{took.rss_mib[0]:.0f} / {took.rss_mib[1]:.0f}",
            took.worst_lag_ms,
            f"{took.scrapes_per_second:.0f}",
            took.server_p50_ms,
            took.server_p99_ms,
            f"{took.client_p99_ms:.0f}",
            f"{requests:.0f}",
        )
    console.print(whole)


def _share(vms: int) -> float:
    """Return how much of an hour to watch: the number of requests hardly depends on the VMs."""
    return 1 if vms <= 1_000 else 1 / 6


def grid(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="left" if column.startswith("what") else "right")
    return table


if __name__ == "__main__":
    asyncio.run(main([int(size) for size in sys.argv[1:]] or list(SIZES)))
