"""Errors of PostgreSQL: the message names the cause, and nothing takes longer than its limit."""

import asyncio
import os
import signal
import threading
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import msgspec
import pytest
from sqlalchemy import Connection, text

from exporter.clock import SystemClock
from exporter.config.journal import JournalSettings, journal_place
from exporter.errors import JournalError, JournalLostError
from exporter.journal import postgres_database
from exporter.journal.journal import Journal, open_journal
from exporter.journal.place import PostgresServer
from tests.fakes import FakeClock
from tests.journal.conftest import Other
from tests.journal.examples import CASE, CHANGE, COMMAND, DECISION, INTENT, SYSTEM, poll_record
from tests.postgres import GUARDED, PASSWORD, Postgres, backends, database_of, postgres_server

replace = msgspec.structs.replace
REAL = SystemClock()
WRONG = "letmein"


@pytest.fixture
def place(postgres: Postgres) -> PostgresServer:
    return postgres.new_database()


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_database, "CONNECT_SECONDS", 1.0)
    monkeypatch.setattr(postgres_database, "LOCK_SECONDS", 0.2)
    monkeypatch.setattr(postgres_database, "IDLE_SECONDS", 0.5)


@pytest.fixture
async def limited(place: PostgresServer, short_limits: None) -> AsyncIterator[Journal]:
    """Return a journal whose transactions may take two seconds, and statements one."""
    await (await open_journal(place, FakeClock())).close()
    journal = Journal(postgres_database.PostgresDatabase(place, 2.0), FakeClock())
    await journal.store(SYSTEM).save_poll(poll_record(cases=[CASE]))
    yield journal
    await journal.close()


async def failure(work: object) -> str:
    """Return the message of the `JournalError` that *work* raises."""
    with pytest.raises(JournalError) as caught:
        await work  # type: ignore[misc]
    shown = "".join(traceback.format_exception(caught.value))
    assert "\n" not in str(caught.value)
    assert "During handling" not in shown
    assert "direct cause" not in shown
    for word in ("sqlalche", "asyncpg.", "parameters", WRONG, PASSWORD):
        assert word not in str(caught.value)
    return str(caught.value)


async def failure_to_open(url: str, password: str | None = None) -> str:
    return await failure(open_journal(PostgresServer(url, lambda: password), FakeClock()))


@contextmanager
def stopped(process: int) -> Iterator[None]:
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@asynccontextmanager
async def locked(place: PostgresServer, table: str) -> AsyncIterator[None]:
    connection = await asyncpg.connect(place.url)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def test_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "cannot be reached" in await failure_to_open(f"postgresql://u@/db?host={tmp_path}")
    error = await failure_to_open("postgresql://u@127.0.0.1:1/db")
    assert "postgresql://u@127.0.0.1:1/db cannot be reached: Connection refused" in error


async def test_login_that_is_refused_is_named(postgres: Postgres) -> None:
    place = postgres.new_database()
    url = postgres.url(database_of(place), GUARDED)

    for password in (None, WRONG):
        assert "password" in await failure_to_open(url, password)
    assert "refuses the login" in await failure_to_open(url, WRONG)
    unknown = postgres.url(database_of(place), "stranger")
    assert 'role "stranger" does not exist' in await failure_to_open(unknown)
    # The guarded user is a member of the owner, so that it may create tables.
    postgres.execute_now(f"GRANT CREATE ON SCHEMA public TO {GUARDED}", database=database_of(place))
    await (await open_journal(PostgresServer(url, lambda: PASSWORD), FakeClock())).close()


async def test_password_file_is_read_for_each_connection(
    postgres: Postgres, tmp_path: Path
) -> None:
    url = postgres.url(database_of(postgres.new_database()), GUARDED)
    file = tmp_path / "password"
    place = journal_place(JournalSettings(url=url, password_file=file), tmp_path)
    database = postgres_database.PostgresDatabase(place)  # type: ignore[arg-type]

    async def connect() -> int:
        return await database.read(lambda connection: connection.scalar(text("SELECT 1")) or 0)

    assert str(file) in await failure(connect())
    file.write_text(f"{WRONG}\n")
    assert "refuses the login" in await failure(connect())
    file.write_text(f"{PASSWORD}\n")
    assert await connect() == 1
    await database.close()


async def test_missing_database_is_named(postgres: Postgres) -> None:
    assert 'database "nowhere" does not exist' in await failure_to_open(postgres.url("nowhere"))


async def test_missing_permission_is_named(postgres: Postgres) -> None:
    postgres.execute_now("CREATE DATABASE foreign_owner")  # its schema belongs to the superuser

    error = await failure_to_open(postgres.url("foreign_owner"))

    assert "permission denied for schema public" in error
    assert "make the user the owner" in error


async def test_database_with_another_encoding_is_refused(postgres: Postgres) -> None:
    place = postgres.new_database("ENCODING 'SQL_ASCII' TEMPLATE template0")

    assert "with the encoding SQL_ASCII" in await failure_to_open(place.url)


async def test_read_only_database_refuses_writes(
    postgres: Postgres, journal: Journal, place: PostgresServer
) -> None:
    name = database_of(place)
    await postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await end_sessions(postgres, place)

    assert "is read-only" in await failure(journal.store(SYSTEM).save_command(COMMAND))
    assert await journal.commands(SYSTEM) == []


async def test_database_without_free_connections_is_named(
    postgres: Postgres, place: PostgresServer
) -> None:
    name = database_of(place)
    await postgres.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")

    assert "too many connections" in await failure_to_open(place.url)


async def test_lost_table_is_named(journal: Journal, other: Other) -> None:
    await other.execute("DROP TABLE commands")

    error = await failure(journal.store(SYSTEM).save_command(COMMAND))

    assert "has other tables than this version expects" in error
    assert 'relation "commands" does not exist' in error


async def test_failed_poll_record_changes_nothing(journal: Journal, other: Other) -> None:
    store = journal.store(SYSTEM)
    await store.save_poll(poll_record(cases=[CASE], changes=[CHANGE]))
    before = await store.load()
    await other.execute("ALTER TABLE changes ADD CHECK (word <> 'blown')")
    new = poll_record(watched=2000.0, gone=[CASE.uuid], changes=[replace(CHANGE, word="blown")])

    assert "violates a constraint" in await failure(store.save_poll(new))

    assert await store.load() == before
    assert await journal.changes(SYSTEM) == [CHANGE]


async def end_sessions(postgres: Postgres, place: PostgresServer) -> None:
    for process in await backends(postgres, place):
        await postgres.execute(f"SELECT pg_terminate_backend({process}, 5000)")


async def test_ended_session_is_replaced_without_an_error(
    postgres: Postgres, journal: Journal, place: PostgresServer
) -> None:
    await journal.store(SYSTEM).save_command(COMMAND)
    await end_sessions(postgres, place)

    await journal.store(SYSTEM).save_command(COMMAND)

    assert await journal.commands(SYSTEM) == [COMMAND, COMMAND]


async def test_session_ended_in_a_transaction_fails_it(
    postgres: Postgres, journal: Journal, other: Other
) -> None:
    def end_itself(connection: Connection) -> None:
        connection.execute(text("DELETE FROM systems"))
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    store = journal.store(SYSTEM)
    await store.save_poll(poll_record(cases=[CASE]))

    error = await failure(journal._database.write(end_itself))

    assert "administrator ended the session" in error or "lost the connection" in error
    assert (await store.load()).watched == 1000.0


async def test_frozen_backend_fails_within_the_limit(
    postgres: Postgres, limited: Journal, place: PostgresServer
) -> None:
    (process,) = await backends(postgres, place)  # the writer's
    began = REAL.monotonic()

    with stopped(process):
        error = await failure(limited.store(SYSTEM).save_command(COMMAND))

    assert "did not complete a transaction in 2 s" in error
    assert REAL.monotonic() - began < 10  # a machine may be slow; without a limit it never ends
    await limited.store(SYSTEM).save_command(COMMAND)
    assert await limited.commands(SYSTEM) == [COMMAND]


async def test_journal_on_a_frozen_backend_is_closed(
    postgres: Postgres, place: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_database, "CLOSE_SECONDS", 0.5)
    journal = await open_journal(place, FakeClock())
    (process,) = await backends(postgres, place)

    with stopped(process):
        async with asyncio.timeout(10):
            await journal.close()


async def test_connection_that_is_made_after_the_limit_is_not_used(
    place: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = postgres_database.PostgresDatabase(place, 0.5)
    connect = asyncpg.connect
    made: list[asyncpg.Connection] = []

    async def connect_slowly(*args: object, **options: object) -> asyncpg.Connection:
        await REAL.sleep(1.0)
        made.append(await connect(*args, **options))
        return made[-1]

    monkeypatch.setattr(asyncpg, "connect", connect_slowly)
    error = await failure(database.write(lambda connection: connection.execute(text("SELECT 1"))))

    assert "did not complete a transaction in 0.5 s" in error
    assert [one.is_closed() for one in made] == [True]
    await database.close()


async def test_backend_frozen_in_a_transaction_fails_within_the_limit(
    postgres: Postgres, limited: Journal
) -> None:
    frozen: list[int] = []

    def freeze(connection: Connection) -> None:
        frozen.append(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
        os.kill(frozen[0], signal.SIGSTOP)
        connection.execute(text("DELETE FROM systems"))

    try:
        error = await failure(limited._database.write(freeze))
    finally:
        os.kill(frozen[0], signal.SIGCONT)

    assert "did not complete a transaction in 2 s" in error
    assert (await limited.store(SYSTEM).load()).watched == 1000.0


async def test_frozen_server_cannot_be_reached(short_limits: None) -> None:
    with postgres_server() as server:
        place = server.new_database()
        process = int((server.data / "postmaster.pid").read_text().split()[0])
        with stopped(process):
            error = await failure(open_journal(place, FakeClock()))

    assert "cannot be reached: no answer within 1 s" in error


async def test_lock_of_another_session_fails_within_the_limit(
    limited: Journal, place: PostgresServer
) -> None:
    store = limited.store(SYSTEM)
    async with locked(place, "commands"):
        assert "is locked by another session" in await failure(store.save_command(COMMAND))
        assert "is locked by another session" in await failure(limited.commands(SYSTEM))

    await store.save_command(COMMAND)
    assert await limited.commands(SYSTEM) == [COMMAND]


async def test_long_statement_fails_within_the_limit(limited: Journal) -> None:
    def sleep(connection: Connection) -> None:
        connection.execute(text("SELECT pg_sleep(60)"))

    error = await failure(limited._database.read(sleep))

    assert "stopped a statement (canceling statement due to statement timeout" in error


async def test_transaction_of_a_client_that_hangs_is_ended(
    limited: Journal, place: PostgresServer
) -> None:
    def hang(connection: Connection) -> None:
        connection.execute(text("LOCK TABLE systems"))
        connection.execute(text("SELECT 1"))
        hanging.set()
        threading.Event().wait(1.5)
        connection.execute(text("SELECT 1"))

    hanging = threading.Event()
    task = asyncio.create_task(limited._database.write(hang))
    await asyncio.to_thread(hanging.wait)
    other = postgres_database.PostgresDatabase(place)
    await asyncio.to_thread(threading.Event().wait, 0.8)

    await other.write(lambda connection: connection.execute(text("LOCK TABLE systems")))

    error = await failure(task)
    assert "idle too long" in error or "lost the connection" in error
    await other.close()


async def test_reading_is_one_moment_and_read_only(journal: Journal, other: Other) -> None:
    number = await journal.store(SYSTEM).save_decision(DECISION)
    loop = asyncio.get_running_loop()

    def count(connection: Connection) -> list[int]:
        query = text("SELECT count(*) FROM decisions")
        before = connection.execute(query).scalar_one()
        saving = journal.store(SYSTEM).save_decision(DECISION)
        asyncio.run_coroutine_threadsafe(saving, loop).result()
        return [before, connection.execute(query).scalar_one()]

    assert await journal._database.read(count) == [1, 1]
    assert len(await journal.decisions(SYSTEM)) == 2
    delete = text("DELETE FROM decisions")
    error = await failure(journal._database.read(lambda one: one.execute(delete)))
    assert "read-only" in error
    assert number == 1


async def test_server_without_fsync_is_refused() -> None:
    with postgres_server() as server:
        place = server.new_database()
        server.stop()
        server.start(fsync="off")

        assert "fsync = off" in await failure(open_journal(place, FakeClock()))


async def test_commits_are_durable_where_the_role_says_otherwise(
    postgres: Postgres, place: PostgresServer, journal: Journal
) -> None:
    name = database_of(place)
    await postgres.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    await end_sessions(postgres, place)

    found = await journal._database.write(
        lambda connection: connection.execute(text("SHOW synchronous_commit")).scalar_one()
    )

    assert found == "on"


async def test_restored_database_loses_the_journal_until_it_is_opened_again(
    postgres: Postgres, place: PostgresServer, journal: Journal
) -> None:
    name = database_of(place)
    await journal.store(SYSTEM).save_command(COMMAND)
    await end_sessions(postgres, place)
    await postgres.execute(
        f"ALTER DATABASE {name} RENAME TO {name}_before",
        f"CREATE DATABASE {name} TEMPLATE {name}_before OWNER vergewatch",
    )

    for _ in range(2):
        with pytest.raises(JournalLostError):
            await journal.store(SYSTEM).save_command(COMMAND)
        with pytest.raises(JournalLostError):
            await journal.commands(SYSTEM)

    assert journal.is_lost
    again = await open_journal(place, FakeClock())
    assert await again.commands(SYSTEM) == [COMMAND]
    await again.close()


async def test_unique_violation_of_an_open_intent_leaves_the_writer_usable(
    journal: Journal,
) -> None:
    store = journal.store(SYSTEM)
    number = await store.save_decision(DECISION)
    await store.prepare(INTENT, number)

    assert "already has an open action" in await failure(store.prepare(INTENT, number))

    assert await store.save_decision(DECISION) == number + 1
