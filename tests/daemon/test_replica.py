"""A replica that ends, with a journal that answers or does not."""

import asyncio
from contextlib import suppress

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
