"""The revision of a journal's tables: new journals are created, later ones refused."""

from sqlalchemy import Column, Connection, MetaData, String, Table, func, insert, inspect, select

from exporter.errors import JournalError
from exporter.journal.tables import METADATA

REVISION = "0003"
"""The newest revision in `migrations`. Revisions have four digits, so they sort as text."""

VERSION = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))

ADVISORY_LOCK = 0x7665726765  # "verge"
"""The key of the lock on a PostgreSQL database."""


def revision(connection: Connection) -> str | None:
    """Return the revision of the tables; None if there are none."""
    if not inspect(connection).has_table(VERSION.name):
        return None
    return connection.execute(select(VERSION.c.version_num)).scalar_one_or_none()


def check_current(connection: Connection, place: str) -> None:
    """Raise `JournalError` unless the tables are of this version."""
    found = revision(connection)
    if found is None:
        raise JournalError(f"{place} has no tables of recovery: it is no journal")
    if found != REVISION:
        raise JournalError(
            f"the tables of {place} have revision {found}, and this version reads {REVISION}. If "
            "an older version of Vergewatch wrote them, upgrade them with vergewatch journal "
            "migrate; if a newer one did, use that"
        )


def check_not_newer(found: str | None, place: str) -> None:
    """Raise `JournalError` if the tables, which have the revision *found*, are too new."""
    if found is not None and found > REVISION:
        raise JournalError(
            f"the journal {place} was written by a newer version of Vergewatch (its tables have "
            f"revision {found}, this version supports {REVISION}); run that version, or use "
            "another file or database: recovery then starts with an empty journal"
        )


def lock(connection: Connection) -> None:
    """Let no other process create or upgrade the tables until the end of the transaction."""
    if connection.dialect.name == "postgresql":  # SQLite's transactions begin with a lock
        connection.execute(select(func.pg_advisory_xact_lock(ADVISORY_LOCK)))


def prepare(connection: Connection, place: str) -> bool:
    """
    Create the tables of a new journal, in the transaction of *connection*.

    Returns:
        Whether the tables are current; if not, `exporter.journal.migrate` has to upgrade them.

    Raises:
        JournalError: A newer version of Vergewatch wrote the journal.

    """
    lock(connection)
    found = revision(connection)
    if found is None:
        METADATA.create_all(connection, checkfirst=False)
        VERSION.create(connection)
        connection.execute(insert(VERSION).values(version_num=REVISION))
        return True
    check_not_newer(found, place)
    return found == REVISION
