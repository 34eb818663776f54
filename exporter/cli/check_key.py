"""The key of a system as the check uses it, where replicas share a journal."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from exporter.clock import Clock
from exporter.config.journal import journal_place
from exporter.config.recovery_setup import directory
from exporter.config.settings import Settings
from exporter.config.systems import ResolvedSystem
from exporter.daemon.clients import credential_source, refusal_file
from exporter.daemon.shared_key import SharedKey
from exporter.errors import JournalError
from exporter.journal.place import PostgresServer
from exporter.vergeos.budget import RequestBudget


@asynccontextmanager
async def shared_key(
    settings: Settings, resolved: ResolvedSystem, budget: RequestBudget, clock: Clock
) -> AsyncIterator[SharedKey | None]:
    """
    Yield the polling key of a system; None where replicas share no journal.

    It counts what the replicas have sent and were refused, and they count the check. The tables
    of the journal stay as they are: a check by a newer version upgrades none.
    """
    place = journal_place(settings.journal, directory(settings.recovery))
    if not isinstance(place, PostgresServer):
        yield None
        return
    # They load SQLAlchemy.
    from exporter.journal import schema  # noqa: PLC0415
    from exporter.journal.journal import postgres_database  # noqa: PLC0415
    from exporter.journal.key_uses import KeyUses  # noqa: PLC0415

    database = postgres_database(place)

    async def uses() -> KeyUses:
        if await database.read(schema.revision) is None:
            raise JournalError(f"the journal {database.place} has no tables yet")
        return KeyUses(database)

    key = SharedKey(
        f"{settings.journal.replica_name} (check)",
        resolved.system.url,
        credential_source(resolved.system, acts=False),
        uses,
        refusal_file(resolved.system, directory(settings.recovery)),
        clock,
        budget=budget,
        polls=False,
    )
    try:
        await key.first()
        yield key
        await key.exchange(ahead=0)
    finally:
        await database.close()
