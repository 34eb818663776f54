"""Database errors as `JournalError`, with the cause in the operator's terms."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from sqlalchemy.exc import IntegrityError, SQLAlchemyError, StatementError

from exporter.errors import JournalError

DAMAGED = (
    "is damaged; stop Vergewatch and move it away, with the -wal and -shm files beside it: "
    "recovery then starts with an empty journal"
)
_REASONS = {
    sqlite3.SQLITE_FULL: "cannot be written: the disk is full",
    sqlite3.SQLITE_BUSY: "is locked by another program",
    sqlite3.SQLITE_LOCKED: "is locked by another program",
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: DAMAGED,
    sqlite3.SQLITE_READONLY: "cannot be written: it is read-only",
    sqlite3.SQLITE_PERM: "cannot be opened: access is denied",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: check that its directory exists and is writable",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk reports an error",
    sqlite3.SQLITE_CONSTRAINT: "refused a row that violates a constraint",
}
_UNIQUE_VIOLATION = "23505"
"""The SQLSTATE of PostgreSQL."""


@contextmanager
def journal_errors(place: str) -> Iterator[None]:
    """Raise every database error of the block as a `JournalError` about the journal at *place*."""
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


def is_unique_violation(error: IntegrityError) -> bool:
    """Return whether *error* is the violation of a UNIQUE constraint."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    state = getattr(error.orig, "sqlstate", None)
    return code == sqlite3.SQLITE_CONSTRAINT_UNIQUE or state == _UNIQUE_VIOLATION


def _reason(error: Exception) -> str:
    cause = error.orig or error if isinstance(error, StatementError) else error
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        name = getattr(cause, "sqlite_errorname", type(cause).__name__)
        return _REASONS.get(code & 0xFF, f"cannot be used ({name})")  # low byte: the primary code
    if isinstance(cause, OSError):
        return f"cannot be used: {cause.strerror or type(cause).__name__}"
    if isinstance(cause, msgspec.MsgspecError):
        return f"has a row that cannot be decoded: {cause}"
    if isinstance(cause, ValueError | OverflowError):
        return "cannot store this value"
    return f"cannot be used ({type(cause).__name__})"
