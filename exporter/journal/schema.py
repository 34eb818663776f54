"""Whether a journal's tables are those of today; where they are not, they are made so."""

from importlib import import_module

from sqlalchemy import Connection, inspect, text

REVISION = "0001"
"""The newest of the migrations; a test holds the two together."""
VERSION_TABLE = "alembic_version"


def upgrade(connection: Connection, place: str) -> None:
    """
    Make the tables those of today, in the transaction that *connection* is in.

    Raises:
        JournalError: A later version of Vergewatch wrote it.

    """
    if _revision(connection) == REVISION:
        return
    # What migrates is large and seldom needed, so most processes never load it.
    import_module("exporter.journal.migrate").upgrade(connection, place)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608
    return found.scalar()
