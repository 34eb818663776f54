"""Database errors as `JournalError`, with the cause in the operator's terms."""

import os
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
_STATES = {
    "08": "lost the connection to its server",
    "22": "cannot store this value",
    "23": _REASONS[sqlite3.SQLITE_CONSTRAINT],
    "25006": "cannot be written: it is read-only",
    "25P03": "ended a transaction that was idle too long",
    "28": "refuses the login; check the user in journal.url, and journal.password_file",
    "3D": "does not exist; create the database",
    "3F": "has no schema for its tables; set search_path of the user",
    "40": "was changed by another session at the same time",
    "42501": "cannot be used: permission is missing; make the user the owner of the database",
    "42": "has other tables than this version expects",
    "53100": "cannot be written: the disk of its server is full",
    "53200": "cannot be used: its server is out of memory",
    "53300": "cannot be opened: its server has too many connections",
    "54": "cannot store a value of this size",
    "55P03": "is locked by another session",
    "57014": "stopped a statement",
    "57P03": "cannot be opened: its server is starting or stopping",
    "57": "closed the connection: its server was stopped, or an administrator ended the session",
    "58": "cannot be read or written: the disk of its server reports an error",
    "XX001": "is damaged; restore the database from a backup",
    "XX002": "has a damaged index; run REINDEX DATABASE",
}
"""What an error of PostgreSQL means, by its SQLSTATE or the class of it, its first two digits."""


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
    if getattr(cause, "sqlstate", None):
        return postgres_reason(cause.__cause__ or cause)
    if isinstance(cause, OSError):
        return f"cannot be used: {cause.strerror or type(cause).__name__}"
    if isinstance(cause, msgspec.MsgspecError):
        return f"has a row that cannot be decoded: {cause}"
    if isinstance(cause, ValueError | OverflowError):
        return "cannot store this value"
    return f"cannot be used ({type(cause).__name__})"


def postgres_reason(error: BaseException) -> str:
    """Return what is wrong, from an error of asyncpg."""
    state = getattr(error, "sqlstate", None) or ""
    text = str(error).partition("\n")[0]
    if not state:
        if isinstance(error, ConnectionError) and error.errno:
            text = os.strerror(error.errno)  # asyncio's own text names the address only
        return f"cannot be reached: {text or type(error).__name__}"
    known = _STATES.get(state) or _STATES.get(state[:2]) or "cannot be used"
    # The first line of its text names objects of the database only; the others quote values.
    return f"{known} ({text}, SQLSTATE {state})"
