"""One look at a cloud, for a person: can we reach it, may we read it, what will it cost."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from exporter.alerting.alertmanager import Alertmanager, AlertmanagerError
from exporter.alerting.alertmanager import make_session as reach
from exporter.alerting.plan import Plan
from exporter.cli.recovery_check import CareFinding, look_at_care, refusal_to_act
from exporter.clock import Clock
from exporter.config.systems import ResolvedSystem, table_schedules
from exporter.daemon.clients import connect, make_session
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
    care: CareFinding | None = None
    """What recovery would do there; None where it is off."""


async def look(resolved: ResolvedSystem, clock: Clock) -> Finding:
    """
    Read every table of *cloud* once, the way the daemon would.

    A refused key or an absent host ends it at the first request.

    Raises:
        ConfigError: The cloud cannot be connected to as it is configured.

    """
    schedule = table_schedules(resolved.poll, tags=resolved.recovers)
    identity: Identity | None = None
    tables: list[TableFinding] = []
    rows: dict[str, Any] = {}
    action_problem = ""
    fatal: str | None = None
    async with make_session(resolved.system.tls) as session:
        client = connect(resolved, session, Telemetry().meter(resolved.host), clock)
        source = VergeOSSource(client, page_rows=resolved.api.page_rows)
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
                rows[beat.table] = reading.rows
                tables.append(
                    TableFinding(
                        beat.table,
                        beat.every_seconds,
                        reading.count,
                        reading.skipped,
                        reading.problem,
                    )
                )
            if resolved.recovers and fatal is None:
                action_problem = await refusal_to_act(resolved, client, clock)
        finally:
            await client.close()
    return Finding(
        resolved.system.url,
        identity,
        tuple(tables),
        requests_per_hour(schedule),
        client.budget.for_polling,
        fatal,
        look_at_care(resolved, rows, clock, action_problem) if resolved.recovers else None,
    )


async def ask_alertmanagers(plan: Plan, clock: Clock) -> Mapping[str, str]:
    """Return what is wrong with each Alertmanager; empty text for those that answer."""
    found = {}
    async with reach(plan.access, timeout_seconds=plan.timeout_seconds) as session:
        for url in plan.urls:
            one = Alertmanager(
                url, session, plan.access, clock, timeout_seconds=plan.timeout_seconds
            )
            try:
                await one.silences()
            except AlertmanagerError as error:
                found[url] = str(error)
            else:
                found[url] = ""
    return found
