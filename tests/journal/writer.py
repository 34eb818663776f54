"""A process that writes to a journal without end, and says what is acknowledged."""

import asyncio
import itertools
import sys
from pathlib import Path

import msgspec

from exporter.clock import SystemClock
from exporter.journal.journal import open_journal
from tests.journal.strategies import CASE, CHANGE, CLOUD, CONFIRMED, DECISION, INTENT, page


async def write(directory: Path) -> None:
    journal = await open_journal(directory, SystemClock())
    book = journal.book(CLOUD)
    for number in itertools.count():
        uuid = f"vm-{number}"
        case = msgspec.structs.replace(CASE, uuid=uuid)
        await book.note(page(watched=float(number), cases=[case], changes=[CHANGE] * 3))
        say("noted", number)
        decision = await book.decided(DECISION)
        say("decided", decision)
        intent = await book.prepare(msgspec.structs.replace(INTENT, uuid=uuid), decision)
        say("prepared", intent.id)
        await book.update(msgspec.structs.replace(intent, **CONFIRMED))
        say("closed", intent.id)


def say(word: str, number: int) -> None:
    print(word, number, flush=True)  # noqa: T201 - read by the test


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1])))
