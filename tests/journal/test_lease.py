"""The lease in a real PostgreSQL: who may write, and what each part of the fence is for."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection

from exporter.errors import LeaseLostError, LimitReachedError
from exporter.journal import lease
from exporter.journal.journal import Journal, open_journal
from exporter.journal.lease import Lease
from exporter.journal.place import PostgresServer
from exporter.journal.writer import SystemJournal
from exporter.recovery.model.commands import Command, CommandKind, control_state
from exporter.recovery.model.ports import PollRecord
from tests.fakes import START, FakeClock
from tests.journal.examples import DECISION, INTENT
from tests.postgres import Postgres, database_of

SYSTEM = "https://verge.example"
RECORD = PollRecord(100.0, START, None, (), (), (), ())
PAUSE = Command(
    kind=CommandKind.PAUSE, owner="anna", reason="why", at=7.0, time=START, until=3607.0
)


class Replica:
    """One replica's view of the journal, from a machine whose clock is its own."""

    def __init__(self, name: str, journal: Journal) -> None:
        self.name = name
        self.journal = journal
        self.lease: Lease = journal.lease(SYSTEM, name)

    def store(self, epoch: int) -> SystemJournal:
        return self.journal.store(SYSTEM, self.lease.fence(epoch))


@pytest.fixture
def place(postgres: Postgres) -> PostgresServer:
    return postgres.new_database()


@pytest.fixture
async def replicas(place: PostgresServer) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two replicas, one of them with a clock that is a day late."""
    clocks = FakeClock(), FakeClock()
    clocks[1].elapsed = -86400.0
    one, other = [await open_journal(place, clock) for clock in clocks]
    yield Replica("one", one), Replica("other", other)
    await one.close()
    await other.close()


@pytest.fixture
def expire(postgres: Postgres, place: PostgresServer) -> Callable[[], Awaitable[object]]:
    """Return what lets the lease end by the server's clock."""
    ends = "UPDATE leases SET until = clock_timestamp() - interval '1 ms'"
    return lambda: postgres.execute(ends, database=database_of(place))


Expire = Callable[[], Awaitable[object]]
Pair = tuple[Replica, Replica]


async def test_lease_is_taken_only_after_its_end(replicas: Pair, expire: Expire) -> None:
    one, other = replicas
    assert await one.lease.acquire() == (1, "")
    assert await other.lease.acquire() is None
    assert (await other.lease.state())[:2] == ("one", 1)

    await expire()

    assert await other.lease.acquire() == (2, "one")
    assert (await one.lease.state())[:2] == ("other", 2)
    assert not await one.lease.renew(1)


async def test_expired_lease_is_not_renewed(replicas: Pair, expire: Expire) -> None:
    one, _ = replicas
    await one.lease.acquire()
    assert await one.lease.renew(1)

    await expire()

    assert not await one.lease.renew(1)


async def test_released_lease_is_taken_at_once_and_without_a_wait(replicas: Pair) -> None:
    one, other = replicas
    await one.lease.acquire()
    await one.lease.release(1)

    assert await other.lease.acquire() == (2, "")

    await one.lease.release(1)  # too late, and not its own any more
    assert (await one.lease.state()).leader == "other"


WRITES: Sequence[Callable[[SystemJournal], Awaitable[object]]] = (
    lambda store: store.save_poll(RECORD),
    lambda store: store.save_decision(DECISION),
    lambda store: store.prepare(INTENT, 1),
    lambda store: store.update(replace(INTENT, id=1, sent_at=1.0)),
    lambda store: store.save_time_to_service(replace(INTENT, id=1), 1.0),
    lambda store: store.take_commands(1.0),
    lambda store: store.waiting_commands(),  # the last look before a request
)


async def test_nothing_is_written_after_the_end_of_the_lease(
    replicas: Pair, expire: Expire
) -> None:
    one, _ = replicas
    await one.lease.acquire()
    store = one.store(1)
    await store.save_decision(DECISION)
    await expire()

    for write in WRITES:
        with pytest.raises(LeaseLostError, match=r"the replica one no longer leads .* \(epoch 1\)"):
            await write(store)


async def test_earlier_epoch_writes_nothing_even_under_the_same_name(
    replicas: Pair, expire: Expire
) -> None:
    one, _ = replicas
    await one.lease.acquire()
    before = one.store(1)
    await expire()
    await one.lease.acquire()

    with pytest.raises(LeaseLostError):
        await before.save_decision(DECISION)
    await one.store(2).save_decision(DECISION)


async def test_other_replica_writes_nothing_in_the_epoch_of_the_leader(replicas: Pair) -> None:
    one, other = replicas
    await one.lease.acquire()

    with pytest.raises(LeaseLostError):
        await other.store(1).save_decision(DECISION)


async def test_lease_must_last_as_long_as_an_action_may_take(replicas: Pair) -> None:
    one, _ = replicas
    await one.lease.acquire()
    store = one.store(1)
    intent = await store.prepare(INTENT, await store.save_decision(DECISION))

    with pytest.raises(LeaseLostError, match="ends too soon"):
        await store.update(intent, lease_seconds=lease.LEASE_SECONDS + 1)
    await store.update(intent, lease_seconds=lease.LEASE_SECONDS - 10)


async def test_takeover_waits_for_a_transaction_of_the_leader(
    replicas: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = replicas
    monkeypatch.setattr(lease, "LEASE_SECONDS", 1.5)  # of the server, which is handed no clock
    await one.lease.acquire()
    began, go_on = threading.Event(), threading.Event()

    def write(connection: object) -> None:
        one.lease.fence(1).check(connection)  # type: ignore[arg-type]
        began.set()
        go_on.wait(10.0)

    writing = asyncio.create_task(one.journal._database.write(write))
    assert await asyncio.to_thread(began.wait, 10.0)
    while (await other.lease.state()).leader:
        pass  # each look takes its time
    taking = asyncio.create_task(other.lease.acquire())
    done, _ = await asyncio.wait([taking], timeout=0.3)
    assert not done

    go_on.set()
    await writing

    assert await taking == (2, "one")


async def test_command_to_another_replica_waits_until_the_leader_takes_it(replicas: Pair) -> None:
    one, other = replicas
    await one.lease.acquire()
    await one.store(1).save_poll(RECORD)

    await other.store(0).save_command(PAUSE)

    (waiting,) = await one.store(1).waiting_commands()
    assert (waiting.at, waiting.until) == (RECORD.watched, RECORD.watched + 3600.0)
    taken = replace(PAUSE, at=120.0, until=3720.0)
    assert await one.store(1).take_commands(120.0) == [taken]
    assert await one.store(1).waiting_commands() == []
    assert (await other.store(0).load()).commands == [taken]


async def test_report_that_is_being_read_does_not_delay_the_last_look(replicas: Pair) -> None:
    one, other = replicas
    await one.lease.acquire()
    store = one.store(1)
    await other.store(0).save_command(PAUSE)
    began, go_on = threading.Event(), threading.Event()

    def read(_: object) -> None:
        began.set()
        go_on.wait(10.0)

    reading = asyncio.create_task(one.journal._database.read(read))
    assert await asyncio.to_thread(began.wait, 10.0)
    async with asyncio.timeout(5.0):
        waiting = await store.waiting_commands()
    assert not reading.done()
    go_on.set()
    await reading

    assert len(waiting) == 1


async def test_command_to_a_leader_that_does_not_know_it_leads_waits_for_it(replicas: Pair) -> None:
    one, _ = replicas
    await one.lease.acquire()

    await one.store(0).save_command(PAUSE)

    assert len(await one.store(1).take_commands(120.0)) == 1


async def test_command_to_the_leader_does_not_wait(replicas: Pair) -> None:
    one, _ = replicas
    await one.lease.acquire()

    await one.store(1).save_command(PAUSE)

    assert await one.store(1).waiting_commands() == []
    assert (await one.store(1).load()).commands == [PAUSE]


async def test_command_to_the_leader_takes_those_that_wait_before_it(replicas: Pair) -> None:
    one, other = replicas
    await one.lease.acquire()
    await one.store(1).save_poll(RECORD)
    arm = replace(PAUSE, kind=CommandKind.ARM, until=None)
    await other.store(0).save_command(PAUSE)
    await other.store(0).save_command(arm)

    disarm = replace(PAUSE, kind=CommandKind.DISARM, at=120.0, until=None)
    taken = await one.store(1).save_command(disarm)

    assert taken == [replace(PAUSE, at=120.0, until=3720.0), replace(arm, at=120.0)]
    assert await one.store(1).take_commands(130.0) == []
    assert (await other.store(0).load()).commands == [*taken, disarm]


async def test_command_that_waits_is_taken_by_no_replica_that_lost_the_lease(
    replicas: Pair, expire: Expire
) -> None:
    one, other = replicas
    await one.lease.acquire()
    await other.store(0).save_command(PAUSE)
    await expire()

    assert await one.store(1).save_command(PAUSE) == []

    await other.lease.acquire()
    assert len(await other.store(2).waiting_commands()) == 2


async def test_command_committed_late_follows_those_that_are_in_force(replicas: Pair) -> None:
    one, other = replicas
    await one.lease.acquire()
    late, own = replace(PAUSE, reason="late"), replace(PAUSE, reason="own")
    inserted, go_on = threading.Event(), threading.Event()

    def save(connection: Connection) -> None:
        other.store(0)._save_command(connection, late)
        inserted.set()
        go_on.wait(10.0)

    saving = asyncio.create_task(other.journal._database.write(save))
    assert await asyncio.to_thread(inserted.wait, 10.0)
    assert await one.store(1).save_command(own) == []
    go_on.set()
    await saving

    reasons = [one.reason for one in (await one.store(1).load()).commands]
    assert reasons == ["own", "late"]
    await one.store(1).take_commands(120.0)
    assert [one.reason for one in (await one.store(1).load()).commands] == reasons


async def test_kill_switch_is_written_when_it_changes_and_after_recovery_was_armed(
    replicas: Pair,
) -> None:
    one, other = replicas
    store = other.store(0)

    async def kinds() -> list[CommandKind]:
        return [one.kind for one in (await store.load()).commands]

    await store.share_kill_switch("other", "")
    assert await kinds() == []
    for _ in range(2):
        await store.share_kill_switch("other", "/stop")
    assert await kinds() == [CommandKind.KILL_SWITCH_SET]
    given = control_state((await one.store(0).load()).commands)
    assert given.kill_switch == "/stop of the replica other"

    await store.save_command(replace(PAUSE, kind=CommandKind.ARM, until=None))
    await store.share_kill_switch("other", "/stop")
    await store.share_kill_switch("other", "")

    assert await kinds() == [
        CommandKind.KILL_SWITCH_SET,
        CommandKind.ARM,
        CommandKind.KILL_SWITCH_SET,
        CommandKind.KILL_SWITCH_REMOVED,
    ]


async def test_actions_in_the_journal_count_against_the_limits(replicas: Pair) -> None:
    one, _ = replicas
    await one.lease.acquire()
    store = one.store(1)
    number = await store.save_decision(DECISION)
    seen: list[tuple[int, int]] = []

    def no_room(open_actions: int, spent: object) -> str:
        seen.append((open_actions, len(spent)))  # type: ignore[arg-type]
        return "2 of 2 actions are open" if open_actions == 2 else ""

    for uuid in "ab":
        intent = await store.prepare(replace(INTENT, uuid=uuid, id=0), number, no_room)
        await store.update(replace(intent, sent_at=INTENT.prepared_at))
    with pytest.raises(LimitReachedError, match="2 of 2 actions are open"):
        await store.prepare(replace(INTENT, uuid="c"), number, no_room)

    assert seen == [(0, 0), (1, 1), (2, 2)]
