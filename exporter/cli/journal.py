"""
Commands about the journal itself; the daemon need not run.

Heavy modules are imported inside the functions, so that other commands do not load them.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from exporter.cli.json_output import AsJson, print_json
from exporter.cli.main import Config
from exporter.cli.times import Utc, moment
from exporter.errors import JournalError, UnavailableError

if TYPE_CHECKING:
    from exporter.journal.database import Database
    from exporter.journal.place import Place

T = TypeVar("T")

COPYING_SECONDS = 3600.0
"""How long an export or an import on PostgreSQL may take."""
MIB = 2**20

commands = typer.Typer(
    name="journal",
    help="Show, upgrade and move the journal of recovery; the daemon need not run.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@commands.command()
def status(config: Config = None, as_json: AsJson = False, utc: Utc = False) -> None:
    """Show where the journal is, who uses it, and what it holds."""
    from exporter.journal.status import read_status

    found = _run(read_status(_place(config), seconds=COPYING_SECONDS))
    if as_json:
        print_json(found)
        return
    if found.revision is None:
        tables = "no tables yet: vergewatch run creates them"
    elif found.revision < found.newest_revision:
        tables = (
            f"revision {found.revision}; upgrade to {found.newest_revision} with journal migrate"
        )
    elif found.revision > found.newest_revision:
        tables = f"revision {found.revision}, of a newer version of Vergewatch"
    else:
        tables = f"revision {found.revision}, which is current"
    lines = {
        "journal": found.place,
        "database": f"{found.database}, {found.size_bytes / MIB:.1f} MiB",
        "tables": tables,
        "in use by": found.used_by or "nothing",
    }
    for one in found.systems:
        lines[f"system {one.url}"] = f"saved at {moment(one.saved_at)}"
    _print_lines(lines)
    _print_lines({f"rows of {name}": number for name, number in found.rows.items()})


@commands.command()
def migrate(config: Config = None) -> None:
    """
    Create the tables of the journal, or upgrade them to this version.

    The daemon does the same when it starts. An older version refuses the upgraded journal: export
    it first if you may have to go back.
    """
    from exporter.journal import schema
    from exporter.journal.journal import open_database

    async def migrate_it() -> tuple[str, str | None]:
        database = await open_database(_place(config))
        try:
            before = await database.read(schema.revision)
            await database.prepare()
        finally:
            await database.close()
        return database.place, before

    place, before = _run(migrate_it())
    if before == schema.REVISION:
        typer.echo(f"{place}: revision {before} is current, nothing changed")
    elif before is None:
        typer.echo(f"{place}: created with revision {schema.REVISION}")
    else:
        typer.echo(f"{place}: upgraded from revision {before} to {schema.REVISION}")


@commands.command("export")
def export_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="SQLite file to create.")],
    config: Config = None,
) -> None:
    """
    Write the journal to a SQLite file, as it is at one moment; also while the daemon runs.

    The file is a journal itself: it can be imported, or be put in the place of journal.sqlite in
    recovery.directory.
    """
    from exporter.journal.copying import export_journal
    from exporter.journal.status import database_to_read

    async def export_it() -> Mapping[str, int]:
        database = database_to_read(_place(config), seconds=COPYING_SECONDS)
        try:
            return await export_journal(database, file)
        finally:
            await database.close()

    _print_lines({f"exported {name}": number for name, number in _run(export_it()).items()})


@commands.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="journal.sqlite, or an exported file.")
    ],
    config: Config = None,
) -> None:
    """
    Copy a journal in a SQLite file into the configured journal, which must be empty.

    All or nothing is imported, and the file stays as it is. Stop the daemon first.
    """
    from exporter.journal.copying import import_journal
    from exporter.journal.journal import open_database, postgres_database
    from exporter.journal.place import PostgresServer

    async def import_it() -> Mapping[str, int]:
        place = _place(config)
        database: Database
        if isinstance(place, PostgresServer):
            database = postgres_database(place, seconds=COPYING_SECONDS)
        else:
            database = await open_database(place)
        try:
            return await import_journal(database, file)
        finally:
            await database.close()

    _print_lines({f"imported {name}": number for name, number in _run(import_it()).items()})


def _place(config: Path | None) -> Place:
    from exporter.config.journal import journal_place
    from exporter.config.loader import load
    from exporter.config.recovery_setup import directory

    settings = load(config)
    return journal_place(settings.journal, directory(settings.recovery))


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except JournalError as error:
        raise UnavailableError(str(error)) from None


def _print_lines(lines: Mapping[str, object]) -> None:
    width = max(map(len, lines), default=0)
    for name, value in lines.items():
        typer.echo(f"{name:{width}}  {value}")
