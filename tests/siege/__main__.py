"""``make siege``: attack the web server of a daemon, and print what held."""

import argparse
import asyncio
import sys
from collections.abc import Mapping

from rich.console import Console

from tests.siege.attacks import ATTACKS
from tests.siege.scene import Held, besieged

MAX_RSS_MIB = 400
MAX_DISARM_SECONDS = 2
MAX_SCRAPE_SECONDS = 5
EXTRA_SECONDS = 10
"""How much later than without an attack a crash may be acted on, if twice the time is less."""
LINE = "{:26}{:>12}{:>10}{:>10}{:>10}{:>10}  "


def over(held: Held, calm: Held) -> list[str]:
    """Return the figures of *held* that are over their bar."""
    bars: Mapping[str, float] = {
        "rss_mib": MAX_RSS_MIB,
        "acted_seconds": calm.acted_seconds + max(calm.acted_seconds, EXTRA_SECONDS),
        "disarm_seconds": MAX_DISARM_SECONDS,
        "scrape_seconds": MAX_SCRAPE_SECONDS,
    }
    return [name for name, bar in bars.items() if getattr(held, name) > bar]


async def main(vms: int, seconds: float, attacks: list[str]) -> int:
    """Print a row for each attack; return 1 if one did not hold."""
    console = Console(width=120, highlight=False)
    console.print(f"{vms:,} VMs, {seconds:g} s each")
    console.print(
        LINE.format("attack", "connections", "RSS MiB", "acted s", "disarm s", "scrape s")
    )
    failures = 0
    async with besieged(vms) as scene:
        calm = await scene.calm()
        for name in ["none", *attacks]:
            held = calm if name == "none" else await scene.under(name, seconds=seconds)
            failed = over(held, calm)
            failures += bool(failed)
            figures = [f"{held.connections:,}", *(f"{value:,.2f}" for value in held[2:])]
            verdict = f"OVER: {', '.join(failed)}" if failed else "held"
            console.print(LINE.format(held.attack, *figures), verdict)
    return int(failures > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make siege", description=__doc__)
    parser.add_argument("--vms", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each attack at least")
    parser.add_argument("--attacks", nargs="+", choices=ATTACKS, default=list(ATTACKS))
    given = parser.parse_args()
    sys.exit(asyncio.run(main(given.vms, given.seconds, given.attacks)))
