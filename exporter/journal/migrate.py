"""
``python -m exporter.journal.migrate``: upgrade the tables of a journal to the current revision.

Reads the arguments of `main` from stdin, as JSON; the last line of stderr is the error. It is a
process of its own because Alembic needs 10 MiB, which the daemon would keep for good.
"""

import asyncio
import json
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from exporter.errors import JournalError
from exporter.journal import schema
from exporter.journal.database import Database
from exporter.journal.journal import postgres_database
from exporter.journal.place import PostgresServer, is_postgres
from exporter.journal.sqlite_database import SQLiteDatabase

MIGRATIONS = Path(__file__).parent / "migrations"
UPGRADE = 600.0
"""Seconds that an upgrade may take."""


async def main(address: str, password: str | None = None) -> None:
    """
    Upgrade a database in one transaction.

    Args:
        address: The path of its SQLite file, which the caller has locked, or its URL.

    Raises:
        JournalError: The upgrade failed and changed nothing.

    """
    database: Database
    if is_postgres(address):
        database = postgres_database(PostgresServer(address, lambda: password), seconds=UPGRADE)
    else:
        database = SQLiteDatabase(Path(address))
    try:
        await database.write(_upgrade)
    except CommandError as error:
        raise JournalError(f"the journal {database.place} cannot be upgraded: {error}") from None
    finally:
        await database.close()


def _upgrade(connection: Connection) -> None:
    schema.lock(connection)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


if __name__ == "__main__":
    try:
        asyncio.run(main(*json.load(sys.stdin)))
    except JournalError as error:
        sys.exit(str(error))
