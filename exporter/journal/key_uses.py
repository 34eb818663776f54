"""How the replicas that use one key of VergeOS share its requests and refusals in the journal."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select, update

from exporter.journal.database import Database
from exporter.journal.tables import key_uses

KEPT = timedelta(hours=1)
"""The entry of a replica that wrote nothing for so long no longer counts."""


class KeyUse(NamedTuple):
    """What one replica wrote last."""

    replica: str
    time: datetime
    use: str
    """A JSON document."""
    refusal: str
    """A JSON document; empty unless VergeOS refused the key when the replica used it."""


class KeyUses:
    """The uses of all keys; every method raises `JournalError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def exchange(
        self, key: str, replica: str, now: datetime, use: str, refusal: str | None
    ) -> Sequence[KeyUse]:
        """
        Replace the entry of *replica* for *key*; return those of every replica within an hour.

        Args:
            key: A hash of the key, from which the key cannot be found.
            now: The current time.
            use: A JSON document.
            refusal: A JSON document, or empty for none; with None, the former one stays, unless
                it was forgotten meanwhile.

        """
        row: dict[str, object] = {"time": now, "use": use}
        if refusal is not None:
            row["refusal"] = refusal
        return await self._database.write(
            partial(_exchange, key=key, replica=replica, now=now, row=row)
        )

    async def read(self, key: str, now: datetime) -> Sequence[KeyUse]:
        """Return the entries of every replica for *key* within an hour."""
        return await self._database.read(partial(_read, key=key, now=now))

    async def forget_refusals(self, key: str) -> None:
        """Forget that VergeOS refused *key*, to whichever replica."""
        forgotten = update(key_uses).where(key_uses.c.key == key).values(refusal="")
        await self._database.write(lambda connection: connection.execute(forgotten).rowcount)


def _exchange(
    connection: Connection, *, key: str, replica: str, now: datetime, row: Mapping[str, object]
) -> Sequence[KeyUse]:
    mine = (key_uses.c.key == key) & (key_uses.c.replica == replica)
    if connection.execute(update(key_uses).where(mine).values(row)).rowcount == 0:
        new = {"key": key, "replica": replica, "refusal": "", **row}
        connection.execute(insert(key_uses).values(new))
    connection.execute(delete(key_uses).where(key_uses.c.time < now - KEPT))
    return _read(connection, key=key, now=now)


def _read(connection: Connection, *, key: str, now: datetime) -> Sequence[KeyUse]:
    table = key_uses.c
    entries = select(table.replica, table.time, table.use, table.refusal).where(
        table.key == key, table.time >= now - KEPT
    )
    return [KeyUse(*row) for row in connection.execute(entries.order_by(table.replica))]
