"""What an hour of polling costs with the tables as they are, and what the check itself cost."""

from rich.markup import escape

from exporter.cli.check_result import Write
from exporter.clock import Clock
from exporter.config.recovery_setup import directory
from exporter.config.systems import ResolvedSystem
from exporter.daemon.request_memory import CHECK, RequestMemory
from exporter.daemon.system_memory import SystemMemory
from exporter.errors import ConfigError
from exporter.polling.schedule import TableSchedule, requests_per_hour
from exporter.vergeos.client import VergeOSClient
from exporter.vergeos.source import VergeOSSource

SHOWN = 3
"""Tables that are named; the most frequent come first."""


def request_memory(resolved: ResolvedSystem, client: VergeOSClient, clock: Clock) -> RequestMemory:
    """Return the memory through which the daemon's requests and those of this check are counted."""
    state, url = directory(resolved.recovery), resolved.system.url
    own = SystemMemory(state, url, CHECK)
    return RequestMemory(own, state, url, client.budget, clock, by_check=True)


def check_requests(
    resolved: ResolvedSystem, source: VergeOSSource, cost: str, write: Write
) -> bool:
    """
    Write what an hour costs, and what this check cost; return whether that fits.

    Args:
        source: It has read the tables.
        cost: The requests of the check, in words.

    """
    requests = source.requests()
    fitted = resolved.schedules_for(requests, is_running=True)
    planned = requests_per_hour([*fitted, *resolved.besides])
    write(f"{planned:.0f} of {resolved.api.requests_per_hour} requests per hour; {cost}")
    pages = ", ".join(f"{table} {number}" for table, number in requests.items() if number > 1)
    if pages:
        write(f"  requests of a poll, where more than one: {pages}")
    longer = [
        (one, before)
        for one, before in zip(fitted, resolved.schedules, strict=True)
        if one.every_seconds > before.every_seconds
    ]
    if longer:
        changes = ", ".join(
            f"{one.table} every {one.every_seconds:g} s instead of {before.every_seconds:g} s"
            for one, before in sorted(longer, key=_by_interval)[:SHOWN]
        )
        more = f", and {len(longer) - SHOWN} more tables less often" if len(longer) > SHOWN else ""
        write(f"  [yellow]too many requests: the daemon polls {changes}{more}[/]")
    try:
        resolved.schedules_for(requests, is_running=False)
    except ConfigError as error:
        write(f"  [red]{escape(str(error))}[/]")
        return False
    return True


def _by_interval(change: tuple[TableSchedule, TableSchedule]) -> float:
    return change[1].every_seconds
