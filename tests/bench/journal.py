"""How long the journal takes between a decision and its request, on SQLite and on PostgreSQL."""

from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from msgspec.structs import replace

from exporter.journal.journal import open_journal
from exporter.journal.place import Place
from tests.daemon_process import REAL_TIME
from tests.fakes import FakeClock
from tests.journal.examples import CASE, CONFIRMED, DECISION, INTENT, SENT, SYSTEM, poll_record
from tests.postgres import postgres_server

REPETITIONS = 50
CASES = 10_000


class Cost(NamedTuple):
    """Milliseconds of wall time."""

    action: float
    """From the decision until the request may be sent: the decision, the action prepared and
    marked as sent, each on disk. The median."""
    action_worst: float
    boot: float
    """To read the saved state of `CASES` VMs."""


async def measure() -> dict[str, Cost]:
    """Return the cost by database; both have their data in the directory of temporary files."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="vergewatch-bench-")))
        server = stack.enter_context(postgres_server())
        return {
            "SQLite": await _measure(directory),
            "PostgreSQL": await _measure(server.new_database()),
        }


async def _measure(place: Place) -> Cost:
    journal = await open_journal(place, FakeClock())
    store = journal.store(SYSTEM)
    spent = []
    for _ in range(REPETITIONS):
        began = REAL_TIME.monotonic()
        number = await store.save_decision(DECISION)
        intent = await store.prepare(INTENT, number)
        await store.update(replace(intent, **SENT))
        spent.append((REAL_TIME.monotonic() - began) * 1000)
        await store.update(replace(intent, **CONFIRMED))
    cases = [replace(CASE, uuid=str(number)) for number in range(CASES)]
    await store.save_poll(poll_record(cases=cases))
    began = REAL_TIME.monotonic()
    await store.load()
    boot = (REAL_TIME.monotonic() - began) * 1000
    await journal.close()
    return Cost(median(spent), max(spent), boot)
