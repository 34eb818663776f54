"""A replica whose journal answers or does not: what it knows of the lease, and how it ends."""

import asyncio
from contextlib import suppress
from typing import NoReturn

import pytest

from exporter.daemon.replica import RENEW_SECONDS, STEP_SECONDS, Replica
from exporter.errors import JournalError
from exporter.journal.lease import Acquired, LeaseState
from tests.fakes import FakeClock


class Lease:
    """A lease that no other replica wants."""

    def __init__(self) -> None:
        self.answers = True
        self.releases = 0

    async def state(self) -> LeaseState:
        return LeaseState()

    async def acquire(self) -> Acquired:
        return Acquired(1, "")

    async def renew(self, _epoch: int) -> bool:
        if not self.answers:
            raise JournalError("no answer")
        return True

    async def release(self, _epoch: int) -> None:
        self.releases += 1


@pytest.mark.parametrize(("answers", "releases"), [(True, 1), (False, 0)])
async def test_replica_that_ends_does_not_wait_for_a_journal_that_does_not_answer(
    answers: bool, releases: int
) -> None:
    clock, lease = FakeClock(), Lease()

    async def open_lease() -> Lease:
        return lease

    replica = Replica("one", open_lease, clock, former_seconds=1.0)  # type: ignore[arg-type]
    runs = asyncio.create_task(replica.run(lambda: None, may_lead=lambda: True))
    await clock.pass_by(STEP_SECONDS)
    assert replica.term == 1
    lease.answers = answers
    await clock.pass_by(RENEW_SECONDS)
    runs.cancel()
    with suppress(asyncio.CancelledError):
        await runs

    await replica.end()

    assert lease.releases == releases


async def no_database() -> NoReturn:
    raise JournalError("cannot be reached")


async def test_epoch_is_not_known_while_the_journal_cannot_be_read() -> None:
    clock = FakeClock()
    replica = Replica("one", no_database, clock, former_seconds=35.0)
    running = asyncio.create_task(replica.run(lambda: None, may_lead=lambda: True))
    await clock.pass_by(STEP_SECONDS)

    assert replica.problem == "cannot be reached"
    assert (replica.epoch, replica.age_seconds, replica.term) == (None, None, None)
    assert replica.forbidden() == "no replica leads"
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
