"""What a replica says of the lease before it could read it."""

import asyncio
from typing import NoReturn

import pytest

from exporter.daemon.replica import Replica
from exporter.errors import JournalError
from tests.fakes import FakeClock


async def no_database() -> NoReturn:
    raise JournalError("cannot be reached")


async def test_epoch_is_not_known_while_the_journal_cannot_be_read() -> None:
    clock = FakeClock()
    replica = Replica("one", no_database, clock, former_seconds=35.0)
    running = asyncio.create_task(replica.run(lambda: None, may_lead=lambda: True))
    await clock.pass_by(1.0)

    assert replica.problem == "cannot be reached"
    assert (replica.epoch, replica.age_seconds, replica.term) == (None, None, None)
    assert replica.forbidden() == "no replica leads"
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
