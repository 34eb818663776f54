"""A daemon that monitors a system with every kind of object, and its page of the vendor."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from exporter.simulator import Simulator, create_world
from tests.daemon_process import PATIENCE_SECONDS, REAL_TIME, Daemon, pointing_at, running

PATH = "/metrics/vendor"
LABEL_NAME = re.compile(r'(\w+)="')
"""A quote within a value has a backslash before it."""
TENANTS = 8
"""Enough for one with GPUs."""


@asynccontextmanager
async def monitored() -> AsyncIterator[Daemon]:
    """Run a system with all kinds of objects, and a daemon that has read all of it."""
    start = REAL_TIME.now().timestamp()
    world = create_world(vms=20, tenants=TENANTS, start=start)
    async with (
        Simulator(world=world, clock=REAL_TIME) as system,
        running(pointing_at(system)) as daemon,
    ):
        await daemon.page_where(
            lambda page: (
                set(page.get("vergewatch_table_success")) == {1}
                and page.get("vergewatch_up") == [1]
            )
        )
        yield daemon


async def scraped(daemon: Daemon) -> dict[str, tuple[str, set[frozenset[str]]]]:
    """Return the type of each family on the page, and the names of the labels of its samples."""
    status, text = await daemon.get(PATH)
    assert status == 200
    types = dict(line.split()[2:4] for line in text.splitlines() if line.startswith("# TYPE"))
    found: dict[str, tuple[str, set[frozenset[str]]]] = {
        name: (kind, set()) for name, kind in types.items()
    }
    for line in text.splitlines():
        if not line.startswith("#"):
            found[line.partition("{")[0]][1].add(frozenset(LABEL_NAME.findall(line)))
    return found


async def scraped_until(
    daemon: Daemon, names: set[str]
) -> dict[str, tuple[str, set[frozenset[str]]]]:
    """Scrape until the families *names* have samples; else return what there is."""
    found = await scraped(daemon)
    for _ in range(int(PATIENCE_SECONDS / 0.2)):
        if all(found.get(name, ("", set()))[1] for name in names):
            break
        await REAL_TIME.sleep(0.2)
        found = await scraped(daemon)
    return found
