"""Bringing a journal's tables from an earlier version of Vergewatch to this one."""

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from exporter.errors import JournalError

MIGRATIONS = Path(__file__).parent / "migrations"

# It announces itself at every start, and nobody asked.
logging.getLogger("alembic").setLevel(logging.WARNING)


def upgrade(connection: Connection, place: str) -> None:
    """
    Make the tables those of today, in the transaction that *connection* is in.

    Raises:
        JournalError: A later version of Vergewatch wrote it, or it cannot be brought up to date.

    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        _refuse_the_future(connection, config, place)
        command.upgrade(config, "head")
    except CommandError as error:
        raise JournalError(f"the journal {place} cannot be brought up to date: {error}") from None


def _refuse_the_future(connection: Connection, config: Config, place: str) -> None:
    known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
    for revision in MigrationContext.configure(connection).get_current_heads():
        if revision not in known:
            raise JournalError(
                f"the journal {place} was written by a newer version of Vergewatch (its tables "
                f"are of revision {revision}, this version knows {max(known)}); run that version, "
                "or move the file away: recovery then begins with an empty memory"
            )
