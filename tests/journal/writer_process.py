"""A process that writes to a journal until it is killed, and prints every acknowledged write."""

import asyncio
import itertools
import sys
from pathlib import Path

import msgspec

from exporter.clock import SystemClock
from exporter.journal.journal import open_journal
from exporter.journal.place import Place, PostgresServer, is_postgres
from tests.journal.examples import CASE, CHANGE, CONFIRMED, DECISION, INTENT, SYSTEM, poll_record


async def write(place: Place) -> None:
    journal = await open_journal(place, SystemClock())
    store = journal.store(SYSTEM)
    for number in itertools.count():
        uuid = f"vm-{number}"
        case = msgspec.structs.replace(CASE, uuid=uuid)
        await store.save_poll(
            poll_record(watched=float(number), cases=[case], changes=[CHANGE] * 3)
        )
        report("noted", number)
        decision = await store.save_decision(DECISION)
        report("decided", decision)
        intent = await store.prepare(msgspec.structs.replace(INTENT, uuid=uuid), decision)
        report("prepared", intent.id)
        await store.update(msgspec.structs.replace(intent, **CONFIRMED))
        report("closed", intent.id)


def report(word: str, number: int) -> None:
    print(word, number, flush=True)  # noqa: T201 - read by the test


if __name__ == "__main__":
    where = sys.argv[1]
    asyncio.run(write(PostgresServer(where) if is_postgres(where) else Path(where)))
