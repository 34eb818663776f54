"""One look at a cloud, for a person: can we reach it, may we read it, what will it cost."""

from typing import NamedTuple

from exporter.clock import Clock
from exporter.connection import CloudSettings, beats, connect, make_session
from exporter.errors import UnauthorizedError, UnreachableError, VergeOSError
from exporter.model import Identity
from exporter.polling.schedule import requests_per_hour
from exporter.telemetry import Telemetry
from exporter.vergeos.source import IDENTITY, VergeOSSource
from exporter.vergeos.tables import ESSENTIAL


class TableFinding(NamedTuple):
    """What reading a table once brought."""

    table: str
    every_seconds: float
    rows: int | None
    skipped: int
    problem: str | None
    """What is wrong, and where; None if nothing is."""


class Finding(NamedTuple):
    """What there is to say of a cloud."""

    url: str
    identity: Identity | None
    tables: tuple[TableFinding, ...]
    requests_per_hour: float
    requests_allowed: int
    problem: str | None
    """Why there is no picture of this cloud; None if there would be one."""


async def look(cloud: CloudSettings, clock: Clock) -> Finding:
    """
    Read every table of *cloud* once, the way the daemon would.

    A refused key or an absent host ends it at the first request.

    Raises:
        ConfigError: The cloud cannot be connected to as it is configured.

    """
    schedule = beats(cloud.poll, tags=cloud.recovers)
    identity: Identity | None = None
    tables: list[TableFinding] = []
    fatal: str | None = None
    async with make_session(cloud.system.tls) as session:
        client = connect(cloud, session, Telemetry().meter(cloud.host), clock)
        source = VergeOSSource(client, page_rows=cloud.api.page_rows)
        try:
            for beat in schedule:
                try:
                    reading = await source.read(beat.table)
                except (UnauthorizedError, UnreachableError) as error:
                    fatal = str(error)
                    break
                except VergeOSError as error:
                    tables.append(TableFinding(beat.table, beat.every_seconds, None, 0, str(error)))
                    if beat.table in ESSENTIAL:
                        fatal = fatal or str(error)
                    continue
                if beat.table == IDENTITY:
                    identity = reading.rows
                    continue
                tables.append(
                    TableFinding(
                        beat.table,
                        beat.every_seconds,
                        reading.count,
                        reading.skipped,
                        reading.problem,
                    )
                )
        finally:
            await client.close()
    return Finding(
        cloud.system.url,
        identity,
        tuple(tables),
        requests_per_hour(schedule),
        client.budget.for_polling,
        fatal,
    )
