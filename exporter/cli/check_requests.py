"""What an hour of polling costs with the tables as they are, and what the check itself cost."""

from collections.abc import Mapping, Sequence

from rich.markup import escape

from exporter.cli.check_result import Write
from exporter.clock import Clock
from exporter.config.recovery_setup import directory
from exporter.config.systems import ResolvedSystem
from exporter.daemon.request_memory import CHECK, RequestMemory
from exporter.daemon.shared_key import SharedKey
from exporter.daemon.system_memory import SystemMemory
from exporter.errors import ConfigError
from exporter.polling.key_share import KeyShare
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
    resolved: ResolvedSystem,
    source: VergeOSSource,
    cost: str,
    write: Write,
    key: SharedKey | None = None,
) -> bool:
    """
    Write what an hour costs, and what this check cost; return whether that fits.

    Args:
        source: It has read the tables.
        cost: The requests of the check, in words.
        key: The polling key, where replicas share a journal.

    """
    requests = source.requests()
    users = key.users if key is not None else ()
    share = KeyShare(max(1, len(users)), leads=True if resolved.recovers else None)
    fitted = resolved.schedules_for(requests, share, is_running=True)
    planned = requests_per_hour([*fitted, *resolved.besides])
    per_hour = resolved.api.requests_per_hour
    if share.replicas == 1:
        write(f"{planned:.0f} of {per_hour} requests per hour; {cost}")
        if key is not None and key.problem:
            unknown = escape(key.problem)
            write(f"  [yellow]other replicas with the same key are unknown: {unknown}[/]")
    else:
        write(_sum(resolved, requests, planned, share, users) + f"; {cost}")
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
        resolved.schedules_for(requests, share, is_running=False)
    except ConfigError as error:
        write(f"  [red]{escape(str(error))}[/]")
        return False
    return True


def _sum(
    resolved: ResolvedSystem,
    requests: Mapping[str, int],
    planned: float,
    share: KeyShare,
    users: Sequence[str],
) -> str:
    """Return what an hour of all replicas with one key costs."""
    others, each, which = share.replicas - 1, planned, f"{planned:.0f} by each"
    if share.leads:
        standby = resolved.schedules_for(requests, share._replace(leads=False), is_running=True)
        each = requests_per_hour(standby)
        which = f"{planned:.0f} by the leader, {each:.0f} by each standby"
    return (
        f"{planned + others * each:.0f} of {resolved.api.requests_per_hour} requests per hour by "
        f"{share.replicas} replicas with the same key ({escape(', '.join(users))}): {which}"
    )


def _by_interval(change: tuple[TableSchedule, TableSchedule]) -> float:
    return change[1].every_seconds
