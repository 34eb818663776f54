"""A journal in a database of a PostgreSQL server, with a limit for the time of everything."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple, TypeVar

import asyncpg
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from exporter.errors import ConfigError, JournalError, JournalLostError
from exporter.journal.database import REPLACED, Database
from exporter.journal.db_errors import postgres_reason
from exporter.journal.place import PostgresServer

CONNECT_SECONDS = 5.0
CLOSE_SECONDS = 2.0
LOCK_SECONDS = 2.0
"""How long a statement waits for the lock of another session."""
TRANSACTION_SECONDS = 10.0
"""A statement may take half of it."""
IDLE_SECONDS = 10.0
"""After that the server ends the transaction of a client that hangs, and releases its locks."""

# One statement on each new connection: it sets the limits and returns what the server is. The
# limits are no parameters of the connection, because PgBouncer refuses those.
_BEGIN = """
SELECT
    set_config('statement_timeout', $1, false),
    set_config('lock_timeout', $2, false),
    set_config('idle_in_transaction_session_timeout', $3, false),
    set_config('synchronous_commit', CASE current_setting('synchronous_commit')
        WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false),
    current_setting('server_version') AS version,
    current_setting('server_encoding') AS encoding,
    current_setting('fsync') AS fsync,
    pg_is_in_recovery() AS is_standby,
    (SELECT system_identifier FROM pg_control_system()) AS cluster,
    (SELECT oid FROM pg_database WHERE datname = current_database()) AS database,
    CASE WHEN NOT pg_is_in_recovery()
        THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END AS timeline
"""

T = TypeVar("T")


class Identity(NamedTuple):
    """Which database it is, and which of its histories, after a failover to a standby."""

    cluster: int
    database: int
    timeline: str


class PostgresDatabase(Database):
    """
    A database of a PostgreSQL server.

    Its threads each have an event loop: writing and reading the rows of 10,000 VMs holds one for
    0.3 s, and the daemon's may be held for 0.05 s.

    Args:
        seconds: The longest time that a transaction may take.

    """

    def __init__(self, server: PostgresServer, seconds: float = TRANSACTION_SECONDS) -> None:
        super().__init__(str(server))
        self._server = server
        self._seconds = seconds
        self._identity: Identity | None = None
        self._sessions = {writes: _Session(self._connect, writes) for writes in (True, False)}
        self.version = ""
        """The server's, once it is connected."""

    def _transact(self, work: Callable[[Connection], T], *, writes: bool) -> T:
        session = self._sessions[writes]
        try:
            return session.run(session.transact(work, self._seconds))
        except TimeoutError:
            raise JournalError(
                f"the journal {self.place} did not complete a transaction in {self._seconds:g} s"
            ) from None

    def _disconnect(self, *, writes: bool) -> None:
        self._sessions[writes].close()

    def _address(self) -> Sequence[str | None]:
        return [self._server.url, self._server.password()]

    async def _connect(self) -> Any:
        """
        Return a new connection, whose limits are set and whose server was checked.

        Raises:
            JournalError: The server refuses it, or may not be used.

        """
        connection = None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await asyncpg.connect(
                    self._server.url,
                    password=self._server.password(),
                    timeout=CONNECT_SECONDS,
                    server_settings={"application_name": "vergewatch"},
                )
                limits = (self._seconds / 2, LOCK_SECONDS, IDLE_SECONDS)
                self._check_server(
                    await connection.fetchrow(_BEGIN, *(f"{one * 1000:.0f}" for one in limits))
                )
        except BaseException as error:
            if connection is not None:
                connection.terminate()
            if isinstance(error, TimeoutError):
                problem = f"cannot be reached: no answer within {CONNECT_SECONDS:g} s"
            elif isinstance(error, ConfigError):
                problem = f"cannot be opened: {error}"
            elif isinstance(
                error,
                OSError | ValueError | asyncpg.PostgresError | asyncpg.InterfaceError
                | asyncpg.InternalClientError,
            ):  # fmt: skip
                problem = postgres_reason(error)
            else:
                raise
            raise JournalError(f"the journal {self.place} {problem}") from None
        return connection

    def _check_server(self, found: Any) -> None:
        """Raise `JournalError` if commits are not safe there, or if it is another database."""
        self.version = found["version"]
        problem = ""
        if found["is_standby"]:
            problem = "is on a standby, which is read-only; name the primary in journal.url"
        elif found["fsync"] != "on":
            problem = "is on a server with fsync = off, which loses commits in a power failure"
        elif found["encoding"] != "UTF8":
            problem = (
                f"is in a database with the encoding {found['encoding']}; create one with "
                "ENCODING 'UTF8'"
            )
        if problem:
            raise JournalError(f"the journal {self.place} {problem}")
        identity = Identity(found["cluster"], found["database"], found["timeline"])
        if self._identity is None:
            self._identity = identity
        if identity != self._identity:
            self.is_lost = True
            raise JournalLostError(f"the journal {self.place} {REPLACED}")


class _Session:
    """A connection that is made when it is needed, and the event loop that it lives on."""

    def __init__(self, connect: Callable[[], Any], writes: bool) -> None:
        self._connect = connect
        self._writes = writes
        self._loop = asyncio.Runner()
        self._connection: Any = None
        self._timed_out = False
        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self._connected,
            pool_size=1,
            max_overflow=0,
            pool_pre_ping=True,  # a connection may have been closed since the last transaction
            hide_parameters=True,
        )

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(work)

    async def transact(self, work: Callable[[Connection], T], seconds: float) -> T:
        """
        Return the result of *work*, done in one transaction.

        Raises:
            TimeoutError: It took longer; the connection was cut, whatever the server does.

        """
        self._timed_out = False
        timer = asyncio.get_running_loop().call_later(seconds, self._cut)
        try:
            async with self._engine.connect() as connection:
                if not self._writes:
                    await connection.execution_options(
                        isolation_level="REPEATABLE READ", postgresql_readonly=True
                    )
                async with connection.begin():
                    return await connection.run_sync(work)
        except Exception:
            if self._timed_out:
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()

    def close(self) -> None:
        self._loop.run(self._dispose())
        self._loop.close()

    async def _dispose(self) -> None:
        timer = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._cut)
        try:
            await self._engine.dispose()
        finally:
            timer.cancel()

    async def _connected(self) -> Any:
        self._check_time()  # the pool replaces a connection that was cut
        connection = await self._connect()
        try:
            self._check_time()  # the timer cut the one before: nothing would limit this one
        except TimeoutError:
            connection.terminate()
            raise
        self._connection = connection
        return connection

    def _check_time(self) -> None:
        if self._timed_out:
            raise TimeoutError

    def _cut(self) -> None:
        self._timed_out = True
        if self._connection is not None:
            self._connection.terminate()
