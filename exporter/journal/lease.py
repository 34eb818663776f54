"""
The lease of one system in PostgreSQL: which replica leads, and until when.

Only the server's clock counts. Each change of the leader raises the epoch, and a replica writes
only in transactions that begin with `Fence.check`, so nothing is written by an earlier epoch.
"""

from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection, DateTime, extract, func, literal, select, type_coerce, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql import ColumnElement

from exporter.errors import LeaseLostError
from exporter.journal.database import Database
from exporter.journal.tables import leases

LEASE_SECONDS = 30.0
"""How long a lease lasts after it was acquired or renewed."""

_NOW: ColumnElement[object] = func.clock_timestamp()  # `now()` is the start of the transaction


class LeaseState(NamedTuple):
    """A lease as the database has it."""

    leader: str = ""
    """The replica that holds it; empty if it has ended."""
    epoch: int = 0
    age_seconds: float = 0.0
    """Since it was acquired or renewed."""


class Acquired(NamedTuple):
    """A lease that this replica holds from now on."""

    epoch: int
    former: str
    """The replica whose lease ran out before; empty if it released it, or if there was none."""


class Fence(NamedTuple):
    """The right of a replica to write about a system, for one epoch."""

    system: str
    replica: str
    epoch: int
    """0 for a replica that does not lead: no lease has that epoch."""

    def check(self, connection: Connection, *, seconds: float = 0.0, keeps: bool = True) -> None:
        """
        Keep the lease from changing hands until the transaction of *connection* ends.

        Args:
            seconds: How long it must last still.
            keeps: False in a transaction that only reads: the lease may then change hands.

        Raises:
            LeaseLostError: The replica does not hold it, or not for so long.

        """
        if not self.holds(connection, seconds=seconds, keeps=keeps):
            raise LeaseLostError(
                f"the replica {self.replica} no longer leads recovery of {self.system}: "
                f"its lease (epoch {self.epoch}) has ended, or ends too soon"
            )

    def holds(self, connection: Connection, *, seconds: float = 0.0, keeps: bool = True) -> bool:
        """Return whether the replica holds the lease; `check` has the arguments."""
        lasts = leases.c.until > _NOW + timedelta(seconds=seconds)
        mine = select(literal(1)).where(*self._is_mine, lasts)
        if keeps:
            mine = mine.with_for_update(read=True)
        return connection.execute(mine).first() is not None

    @property
    def _is_mine(self) -> tuple[ColumnElement[bool], ...]:
        return (
            leases.c.system == self.system,
            leases.c.holder == self.replica,
            leases.c.epoch == self.epoch,
        )

    def renew(self, connection: Connection) -> bool:
        """Extend the lease; return whether the replica still held it."""
        renewed = update(leases).where(*self._is_mine, leases.c.until > _NOW).values(until=_end())
        return connection.execute(renewed).rowcount == 1

    def release(self, connection: Connection) -> None:
        """End the lease, so that another replica can lead at once."""
        released = update(leases).where(*self._is_mine).values(holder="", until=_NOW)
        connection.execute(released)


class Lease:
    """The lease of one system, as one replica sees it; every method raises `JournalError`."""

    def __init__(self, database: Database, system: str, replica: str) -> None:
        self._database = database
        self._system = system
        self._replica = replica

    def fence(self, epoch: int) -> Fence:
        """Return the replica's right to write in *epoch*."""
        return Fence(self._system, self._replica, epoch)

    async def state(self) -> LeaseState:
        """Return who holds the lease."""
        left = extract("epoch", type_coerce(leases.c.until, DateTime(timezone=True)) - _NOW)
        lease = select(leases.c.holder, leases.c.epoch, left).where(leases.c.system == self._system)
        row = await self._database.read(lambda connection: connection.execute(lease).one_or_none())
        if row is None:
            return LeaseState()
        holder, epoch, seconds = row[0], row[1], float(row[2])
        return LeaseState(holder if seconds > 0 else "", epoch, LEASE_SECONDS - seconds)

    async def acquire(self) -> Acquired | None:
        """Take the lease if it has ended; return None if another replica holds it."""
        return await self._database.write(self._acquire)

    async def renew(self, epoch: int) -> bool:
        """Extend the lease of *epoch*; return whether the replica still held it."""
        return await self._database.write(self.fence(epoch).renew)

    async def release(self, epoch: int) -> None:
        """End the lease of *epoch*, so that another replica can lead at once."""
        await self._database.write(self.fence(epoch).release)

    def _acquire(self, connection: Connection) -> Acquired | None:
        first = insert(leases).values(system=self._system, holder="", epoch=0, until=_NOW)
        connection.execute(first.on_conflict_do_nothing())
        has_ended = leases.c.until <= _NOW
        before = select(leases.c.holder).where(leases.c.system == self._system, has_ended)
        former = connection.scalars(before.with_for_update()).one_or_none()
        if former is None:
            return None
        taken = (
            update(leases)
            .where(leases.c.system == self._system)
            .values(holder=self._replica, epoch=leases.c.epoch + 1, until=_end())
            .returning(leases.c.epoch)
        )
        return Acquired(connection.execute(taken).scalar_one(), former)


def _end() -> ColumnElement[object]:
    return _NOW + timedelta(seconds=LEASE_SECONDS)
