"""What can go wrong with a database, in words for the person who has to put it right."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from sqlalchemy.exc import IntegrityError, SQLAlchemyError, StatementError

from exporter.errors import JournalError

DAMAGED = (
    "is damaged; stop Vergewatch and move it away, with the -wal and -shm files beside it: "
    "recovery then begins with an empty memory"
)
_REASONS = {
    sqlite3.SQLITE_FULL: "cannot be written: the disk is full",
    sqlite3.SQLITE_BUSY: "is locked by another program",
    sqlite3.SQLITE_LOCKED: "is locked by another program",
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: DAMAGED,
    sqlite3.SQLITE_READONLY: "cannot be written: it is read-only",
    sqlite3.SQLITE_PERM: "cannot be opened: access is denied",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: its directory must be there and be ours to write",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk reports an error",
    sqlite3.SQLITE_CONSTRAINT: "does not take what contradicts its own rules",
}
_UNIQUE_VIOLATION = "23505"
"""As PostgreSQL calls it."""


@contextmanager
def plain_faults(place: str) -> Iterator[None]:
    """Raise whatever goes wrong with the journal at *place* as a `JournalError`."""
    try:
        yield
    except (
        SQLAlchemyError,
        sqlite3.Error,
        OSError,
        msgspec.MsgspecError,
        OverflowError,
        UnicodeError,
    ) as error:
        raise JournalError(f"the journal {place} {_reason(error)}") from None


def breaks_uniqueness(error: IntegrityError) -> bool:
    """Return whether *error* says that there is such a row already."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    state = getattr(error.orig, "sqlstate", None)
    return code == sqlite3.SQLITE_CONSTRAINT_UNIQUE or state == _UNIQUE_VIOLATION


def _reason(error: Exception) -> str:
    cause = error.orig or error if isinstance(error, StatementError) else error
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        name = getattr(cause, "sqlite_errorname", type(cause).__name__)
        return _REASONS.get(code & 0xFF, f"cannot be used ({name})")  # the low byte is the kind
    if isinstance(cause, OSError):
        return f"cannot be used: {cause.strerror or type(cause).__name__}"
    if isinstance(cause, msgspec.MsgspecError):
        return f"holds a row that cannot be understood: {cause}"
    if isinstance(cause, ValueError | OverflowError):
        return "cannot hold a value that it was given"
    return f"cannot be used ({type(cause).__name__})"
