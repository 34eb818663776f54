"""Reads the recorded history of a system from a journal, also while a daemon writes it."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    RowMapping,
    Table,
    create_engine,
    select,
)

from exporter.errors import JournalError
from exporter.formatting import moment
from exporter.journal import rows, schema
from exporter.journal.database import Database
from exporter.journal.db_errors import journal_errors
from exporter.journal.journal import postgres_database
from exporter.journal.place import PostgresServer, checked_url
from exporter.journal.sqlite_database import FILE
from exporter.journal.tables import (
    changes,
    commands,
    decisions,
    history_facts,
    history_polls,
    history_rows,
    intents,
    systems,
)
from exporter.journal.writer import REMEMBERED_SECONDS, newest_facts
from exporter.recovery.model.commands import Command
from exporter.recovery.model.history import Fact
from exporter.recovery.model.platform_log import LogRow
from exporter.recovery.model.records import History

T = TypeVar("T")
LONGEST_DOWN = timedelta(days=1)
"""Rows may have been recorded so long before the first poll that needs them."""
SQLITE = b"SQLite format 3\0"
READING_SECONDS = 600.0
"""Of a history on PostgreSQL."""
REMEMBERED = timedelta(seconds=REMEMBERED_SECONDS)


class JournalFile:
    """
    A journal that is only read.

    Args:
        source: The path of its file or directory, or the URL of a PostgreSQL database.

    Raises:
        JournalError: There is none, or it cannot be read.

    """

    def __init__(self, source: str) -> None:
        self._database: Database | None = None
        if "://" in source:
            self._database = postgres_database(_server(source), seconds=READING_SECONDS)
            self.place = self._database.place
            return
        file = _file(source)
        self.place = str(file)
        # As a URI: the option mode=ro neither creates the file nor lets it be changed.
        uri = f"{file.absolute().as_uri()}?mode=ro"
        self._engine = create_engine(
            URL.create("sqlite", database=uri, query={"uri": "true"}), hide_parameters=True
        )

    def systems(self) -> list[str]:
        """Return the keys of its systems: their URLs."""
        return self._read(lambda one: list(one.scalars(select(systems.c.system))))

    def history(self, system: str, since: datetime, until: datetime) -> History:
        """
        Return the history of *system* from *since* until *until*.

        Raises:
            JournalError: It has none for that time, or cannot be read.

        """
        history = self._read(lambda connection: _history(connection, system, since, until))
        if history is not None:
            return history
        first = self._read(lambda connection: _first_poll(connection, system))
        if first is None:
            raise JournalError(
                f"the journal {self.place} has no recorded inventory of {system}: an older "
                "version of Vergewatch wrote it, or recovery was off. This version records it "
                "while recovery runs in any mode; run the backtest later"
            )
        raise JournalError(
            f"the journal {self.place} has too few polls of {system} in that time; it has them "
            f"since {moment(first)}"
        )

    def close(self) -> None:
        if self._database is not None:
            asyncio.run(self._database.close())
        else:
            self._engine.dispose()

    def _read(self, work: Callable[[Connection], T]) -> T:
        def checked(connection: Connection) -> T:
            schema.check_current(connection, self.place)
            return work(connection)

        if self._database is not None:
            return asyncio.run(self._database.read(checked))
        with journal_errors(self.place), self._engine.connect() as connection:
            return checked(connection)


def read_history(
    source: str, choose: Callable[[Sequence[str]], str], since: datetime, until: datetime
) -> History:
    """
    Return the history of one system in the journal *source*.

    Args:
        source: The path of its file or directory, or the URL of a PostgreSQL database.
        choose: Returns one of the systems.

    Raises:
        JournalError: There is none for that time, or it cannot be read.

    """
    with closing(JournalFile(source)) as journal:
        return journal.history(choose(journal.systems()), since, until)


def _server(source: str) -> PostgresServer:
    try:
        return PostgresServer(checked_url(source))
    except ValueError as error:
        raise JournalError(f"the journal's URL {error}") from None


def _file(source: str) -> Path:
    path = Path(source)
    with journal_errors(str(path)):
        file = path / FILE if path.is_dir() else path
        if not file.is_file():
            raise JournalError(f"there is no journal {file}")
    with journal_errors(str(file)), file.open("rb") as opened:
        begins = opened.read(len(SQLITE))
    if begins != SQLITE:
        raise JournalError(f"{file} is no SQLite database, so it is no journal")
    return file


def _history(
    connection: Connection, system: str, since: datetime, until: datetime
) -> History | None:
    times = history_polls.c.time
    polls = _select(
        connection, history_polls, rows.poll_from_row, system, (times >= since) & (times <= until)
    )
    if len(polls) < 2:  # noqa: PLR2004 - one that ends, and one that is replayed
        return None
    # What the daemon does may be in the journal before its poll is: the last poll ends the rest.
    last = polls.pop()
    end = last.at + last.lag_seconds
    begin = polls[0].time
    base = newest_facts(connection, system, begin)
    return History(
        system,
        base=[Fact(polls[0].at, kind, key, value) for (kind, key), value in base.items()],
        polls=polls,
        facts=_select(
            connection,
            history_facts,
            _fact_from_row,
            system,
            (history_facts.c.time >= begin) & (history_facts.c.at < last.at),
        ),
        rows=_select(
            connection,
            history_rows,
            _log_row_from_row,
            system,
            (history_rows.c.time >= begin - LONGEST_DOWN) & (history_rows.c.time <= until),
        ),
        changes=_select(connection, changes, rows.change_from_row, system, changes.c.time >= begin),
        decisions=_select(
            connection,
            decisions,
            rows.decision_from_row,
            system,
            (decisions.c.time >= begin) & (decisions.c.at < end),
        ),
        actions=_select(
            connection,
            intents,
            rows.intent_from_row,
            system,
            (intents.c.prepared_time >= begin - REMEMBERED) & (intents.c.prepared_at < end),
        ),
        commands=_select(connection, commands, _command_from_row, system, commands.c.at < end),
    )


def _fact_from_row(row: RowMapping) -> Fact:
    return rows.from_row(row, Fact)


def _log_row_from_row(row: RowMapping) -> LogRow:
    return rows.log_row_from_json(row["row_json"])


def _command_from_row(row: RowMapping) -> Command:
    return rows.from_row(row, Command)


def _first_poll(connection: Connection, system: str) -> datetime | None:
    query = select(history_polls.c.time).where(history_polls.c.system == system)
    return connection.scalar(query.order_by(history_polls.c.id).limit(1))


def _select(
    connection: Connection,
    table: Table,
    convert: Callable[[RowMapping], T],
    system: str,
    condition: ColumnElement[bool],
) -> list[T]:
    """Return the rows of *system* that fulfil *condition*, oldest first."""
    query = select(table).where(table.c.system == system, condition).order_by(table.c.id)
    return [convert(row) for row in connection.execute(query).mappings()]
