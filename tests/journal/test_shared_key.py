"""What replicas with one key tell each other: requests, waits and refusals."""

from pathlib import Path

from pydantic import SecretStr

from exporter.daemon.refusal_file import RefusalFile
from exporter.daemon.shared_key import ALIVE_SECONDS, SharedKey
from exporter.errors import JournalError
from exporter.journal.journal import Journal
from exporter.journal.key_uses import KeyUses
from exporter.polling.key_share import KeyShare
from exporter.vergeos.budget import RequestBudget
from exporter.vergeos.credentials import Credentials
from exporter.vergeos.refusals import RefusalMemory
from tests.fakes import FakeClock, settle
from tests.journal.conftest import Other

URL = "https://verge.example"
SECRET = "the-key-that-replicas-share"
KEY = Credentials(api_key=SecretStr(SECRET))
OTHER_KEY = Credentials(api_key=SecretStr("a-key-of-its-own"))
PER_HOUR = 1000
WAIT = 1800.0


class Replica:
    """A process with a key, a state directory and the journal of all."""

    def __init__(
        self,
        name: str,
        folder: Path,
        journal: Journal,
        clock: FakeClock,
        *,
        key: Credentials = KEY,
        polls: bool = True,
        planned: float = 0.0,
    ) -> None:
        self.budget = RequestBudget(PER_HOUR, reserve=0.15)
        self.key = key
        self.is_connected = True
        self._journal = journal
        self._clock = clock
        self.shared = SharedKey(
            name,
            URL,
            lambda: self.key,
            self._uses,
            RefusalFile(folder / name, URL, "poll"),
            clock,
            budget=self.budget,
            planned=lambda: planned,
            polls=polls,
        )
        self.refusals = RefusalMemory(clock, self.shared.refusals)

    async def _uses(self) -> KeyUses:
        if not self.is_connected:
            raise JournalError("the journal cannot be reached")
        return self._journal.key_uses()

    def send(self, polls: int, urgent: int = 0) -> None:
        for number in range(polls + urgent):
            assert self.budget.take(at=self._clock.elapsed, urgent=number >= polls) == 0

    @property
    def spent(self) -> int:
        return self.budget.spent(at=self._clock.elapsed)

    async def objection(self) -> str:
        return await self.refusals.objection(self.key, wait_seconds=WAIT)


async def test_replica_counts_what_the_others_have_sent(
    tmp_path: Path, journal: Journal, clock: FakeClock
) -> None:
    one, other = (Replica(name, tmp_path, journal, clock) for name in "ab")
    one.send(700, urgent=100)
    await one.shared.exchange()

    await other.shared.first()

    assert other.spent == 800
    assert other.budget.left(at=clock.elapsed) == 150
    other.send(150)
    assert other.budget.take(at=clock.elapsed) > 0
    assert other.budget.take(at=clock.elapsed, urgent=True) == 0
    clock.elapsed += 3661
    assert other.spent == 0


async def test_requests_are_written_before_they_are_sent(
    tmp_path: Path, journal: Journal, clock: FakeClock
) -> None:
    one = Replica("a", tmp_path, journal, clock, planned=720.0)
    await one.shared.first(ahead=40)
    other = Replica("b", tmp_path, journal, clock)
    await other.shared.first()
    assert other.spent == 40

    clock.elapsed += 5
    one.send(3)
    await one.shared.exchange()
    await other.shared.exchange()

    assert other.spent == 3 + 1  # what follows before the next exchange


async def test_new_process_counts_its_former_requests_without_its_state_directory(
    tmp_path: Path, journal: Journal, clock: FakeClock
) -> None:
    one = Replica("a", tmp_path, journal, clock)
    one.send(400, urgent=20)
    await one.shared.exchange()

    again = Replica("a", tmp_path, journal, clock)
    at, now = clock.elapsed, clock.now().timestamp()
    again.budget.resume(one.budget.minutes(at=at, now=now), at=at, now=now)  # of a state directory
    await again.shared.first()
    assert again.spent == 420

    without = Replica("a", tmp_path, journal, clock)
    await without.shared.first()
    assert without.spent == 420


async def test_key_of_its_own_is_shared_with_none(
    tmp_path: Path, journal: Journal, clock: FakeClock
) -> None:
    one = Replica("a", tmp_path, journal, clock)
    one.send(500)
    await one.shared.exchange()

    other = Replica("b", tmp_path, journal, clock, key=OTHER_KEY)
    await other.shared.first()

    assert other.spent == 0
    assert other.shared.share(leads=False) == KeyShare(1, False)  # noqa: FBT003


async def test_share_counts_the_replicas_that_live_and_poll(
    tmp_path: Path, journal: Journal, clock: FakeClock
) -> None:
    one, other = (Replica(name, tmp_path, journal, clock) for name in "ab")
    check = Replica("check", tmp_path, journal, clock, polls=False)
    for replica in (one, check, other):
        await replica.shared.exchange()
    assert other.shared.share(leads=True).replicas == 2

    clock.elapsed += ALIVE_SECONDS + 1
    await other.shared.exchange()

    assert other.shared.share(leads=True).replicas == 1


async def test_wait_that_the_system_asked_for_holds_every_replica(
    tmp_path: Path, journal: Journal, clock: FakeClock
) -> None:
    one, other = (Replica(name, tmp_path, journal, clock) for name in "ab")
    one.budget.throttle.resume(300.0, "/vms answered 429", at=clock.elapsed)
    await one.shared.exchange()

    await other.shared.first()

    wait = other.budget.throttle.wait(at=clock.elapsed)
    assert wait is not None
    assert (wait.until, wait.because) == (300.0, "/vms answered 429")


async def test_key_that_one_replica_was_refused_is_tried_by_none(
    tmp_path: Path, journal: Journal, clock: FakeClock
) -> None:
    one, other = (Replica(name, tmp_path, journal, clock) for name in "ab")
    for replica in (one, other):
        await replica.shared.first()
    await one.refusals.remember(KEY, "401 (Login required)", wait_seconds=WAIT)
    await one.shared.exchange()
    await other.shared.exchange()

    assert "401 (Login required)" in await other.objection()
    late = Replica("c", tmp_path, journal, clock)
    await late.shared.first()
    assert "401 (Login required)" in await late.objection()
    other.key = OTHER_KEY
    assert await other.objection() == ""


async def test_key_that_works_again_for_one_replica_is_tried_by_all(
    tmp_path: Path, journal: Journal, clock: FakeClock
) -> None:
    one, other = (Replica(name, tmp_path, journal, clock) for name in "ab")
    for replica in (one, other):
        await replica.refusals.remember(KEY, "401", wait_seconds=WAIT)
        await replica.shared.exchange()

    await one.refusals.forget()
    for replica in (one, other, one):  # it is not said again by a replica that was refused
        await replica.shared.exchange()

    assert await other.objection() == ""
    assert await one.objection() == ""


async def test_refusal_is_written_at_once(
    tmp_path: Path, journal: Journal, clock: FakeClock
) -> None:
    one, other = (Replica(name, tmp_path, journal, clock) for name in "ab")
    await one.refusals.remember(KEY, "401", wait_seconds=WAIT)

    await settle()

    assert one.shared._woken.is_set()
    await one.shared.exchange()
    await other.shared.first()

    assert await other.objection()


async def test_replica_without_journal_remembers_for_itself(
    tmp_path: Path, journal: Journal, clock: FakeClock
) -> None:
    one = Replica("a", tmp_path, journal, clock)
    one.is_connected = False
    one.send(10)
    await one.shared.first()
    await one.refusals.remember(KEY, "401", wait_seconds=WAIT)
    await one.shared.exchange()
    assert await one.objection()
    assert one.spent == 10

    one.is_connected = True
    await one.shared.exchange()
    other = Replica("b", tmp_path, journal, clock)
    await other.shared.first()

    assert other.spent == 10
    assert await other.objection()


async def test_row_of_a_newer_version_is_left_out(
    tmp_path: Path, journal: Journal, clock: FakeClock, other: Other
) -> None:
    one, late = (Replica(name, tmp_path, journal, clock) for name in "ab")
    one.send(10)
    await one.shared.exchange()
    await other.execute("UPDATE key_uses SET use = '{\"minutes\": 7}'")

    await late.shared.first()

    assert late.spent == 0


async def test_journal_does_not_have_the_key(
    tmp_path: Path, journal: Journal, clock: FakeClock, other: Other
) -> None:
    one = Replica("a", tmp_path, journal, clock)
    await one.refusals.remember(KEY, "401", wait_seconds=WAIT)
    await one.shared.exchange()

    written = repr(await other.execute("SELECT * FROM key_uses"))
    assert "401" in written
    assert SECRET not in written
