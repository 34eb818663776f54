"""
``python -m exporter.journal.migrate``: upgrade the tables of a journal to the current revision.

Reads the database's URL from stdin; the last line of stderr is the error. It is a process of its
own because Alembic needs 10 MiB, which the daemon would keep for good.
"""

import asyncio
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from exporter.errors import JournalError
from exporter.journal.database import Database

MIGRATIONS = Path(__file__).parent / "migrations"


async def main(url: str) -> None:
    """
    Upgrade the database at *url* in one transaction.

    Raises:
        JournalError: The upgrade failed and changed nothing.

    """
    database = Database(url)
    try:
        await database.write(_upgrade)
    except CommandError as error:
        raise JournalError(f"the journal {database.place} cannot be upgraded: {error}") from None
    finally:
        await database.close()


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.stdin.read()))
    except JournalError as error:
        sys.exit(str(error))
