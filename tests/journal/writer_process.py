"""A process that writes to a journal until it is killed, and prints every acknowledged write."""

import asyncio
import itertools
import sys
from pathlib import Path

import msgspec

from exporter.clock import SystemClock
from exporter.journal.journal import open_journal
from tests.journal.examples import CASE, CHANGE, CONFIRMED, DECISION, INTENT, SYSTEM, poll_record


async def write(directory: Path) -> None:
    journal = await open_journal(directory, SystemClock())
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
    asyncio.run(write(Path(sys.argv[1])))
