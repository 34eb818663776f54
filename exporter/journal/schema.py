"""The revision of a journal's tables: new journals are created, later ones refused."""

from sqlalchemy import Column, Connection, MetaData, String, Table, insert, inspect, select

from exporter.errors import JournalError
from exporter.journal.tables import METADATA

REVISION = "0001"
"""The newest revision in `migrations`. Revisions have four digits, so they sort as text."""

VERSION = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))


def prepare(connection: Connection, place: str) -> bool:
    """
    Create the tables of a new journal, in the transaction of *connection*.

    Returns:
        Whether the tables are current; if not, `exporter.journal.migrate` has to upgrade them.

    Raises:
        JournalError: A newer version of Vergewatch wrote the journal.

    """
    if not inspect(connection).has_table(VERSION.name):
        METADATA.create_all(connection, checkfirst=False)
        VERSION.create(connection)
        connection.execute(insert(VERSION).values(version_num=REVISION))
        return True
    revision = connection.execute(select(VERSION.c.version_num)).scalar_one()
    if revision > REVISION:
        raise JournalError(
            f"the journal {place} was written by a newer version of Vergewatch (its tables have "
            f"revision {revision}, this version supports {REVISION}); run that version, or move "
            "the file away: recovery then starts with an empty journal"
        )
    return bool(revision == REVISION)
