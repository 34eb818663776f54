"""Where a journal is: a directory, or a database of a PostgreSQL server."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

SCHEMES = ("postgresql", "postgres")


def no_password() -> str | None:
    """Return None: the password is in ``PGPASSWORD`` or ``PGPASSFILE``, or none is needed."""
    return None


class PostgresServer(NamedTuple):
    """A database of a PostgreSQL server."""

    url: str
    """As libpq understands it, without a password."""
    password: Callable[[], str | None] = no_password
    """Returns the password; called for each new connection."""

    def __str__(self) -> str:
        return self.url.partition("?")[0]


Place = Path | PostgresServer
"""A directory has the journal in a SQLite file."""


def is_postgres(place: str) -> bool:
    """Return whether *place* is the URL of a PostgreSQL database, and no path."""
    return place.partition("://")[0] in SCHEMES and "://" in place


def checked_url(url: str) -> str:
    """Return *url* if it is that of a PostgreSQL database without a password; else ValueError."""
    try:
        parts = urlsplit(url)
        has_password = parts.password is not None or "password" in parse_qs(parts.query)
    except ValueError:
        raise ValueError("is not a URL such as postgresql://user@host/database") from None
    if has_password:
        raise ValueError("contains a password; use password_file, or the variable PGPASSWORD")
    if parts.scheme not in SCHEMES:
        raise ValueError("is not a URL such as postgresql://user@host/database")
    if not parts.path.strip("/"):
        raise ValueError("names no database; give one, as in postgresql://user@host/database")
    return url
