"""Which tables the enabled collectors poll, and how often: the schedule of one system."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from math import inf
from types import MappingProxyType

from exporter.collectors.clusters import CLUSTERS
from exporter.collectors.collector import Collector
from exporter.collectors.nodes import NODES
from exporter.collectors.registry import COLLECTORS
from exporter.collectors.vm_tags import collector_of
from exporter.errors import ConfigError
from exporter.formatting import nearest_or_all
from exporter.model import IDENTITY
from exporter.polling.key_share import ALONE, KeyShare, of_standby
from exporter.polling.schedule import TableSchedule, fit_to_budget, for_polling, requests_per_hour
from exporter.recovery.log_tail import read_seconds
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.platform_log import LogTable
from exporter.vergeos.recovery_rows import TAG_MEMBERS
from exporter.vergeos.source import IDENTITY_REQUESTS
from exporter.vergeos.tables import Importance, Pace, Table

RECOVERY = "recovery"
VM_TAGS = "vm_tags"
NEEDED_BY_RECOVERY = frozenset({CLUSTERS, NODES, TAG_MEMBERS})


def enabled_collectors(
    switches: Mapping[str, bool],
    *,
    recovery: bool,
    tag_categories: Sequence[str] = (),
    needs_tags: bool = False,
) -> tuple[Collector, ...]:
    """
    Return the collectors that are on.

    Args:
        switches: Collectors that the settings switch on or off, by name; the others are on.
        recovery: Whether recovery runs; its collector follows it.
        tag_categories: The categories of tags to export.
        needs_tags: Whether anything else needs the tags of VMs.

    Raises:
        ConfigError: A name is unknown, or a collector is off that is needed.

    """
    names = [collector.name for collector in COLLECTORS]
    _check_names("collectors", switches, names)
    follows = {RECOVERY: recovery, VM_TAGS: recovery or needs_tags or bool(tag_categories)}
    on = tuple(
        collector
        for collector in COLLECTORS
        if switches.get(collector.name, True) and follows.get(collector.name, True)
    )
    for collector in COLLECTORS:
        if collector.required and collector not in on:
            raise ConfigError(f"collectors.{collector.name} cannot be off: it is required")
        may_be_off = not recovery or collector.name == VM_TAGS  # recovery's has the same table
        if not may_be_off and collector not in on and set(collector.tables) & NEEDED_BY_RECOVERY:
            raise ConfigError(
                f"collectors.{collector.name} is off, but recovery needs its tables: "
                "switch it on, or set recovery.mode: off"
            )
    chosen = collector_of(tuple(tag_categories))
    return tuple(chosen if collector.name == VM_TAGS else collector for collector in on)


def tables_of(collectors: Sequence[Collector]) -> tuple[Table, ...]:
    """Return the tables of *collectors*, each once."""
    return tuple(dict.fromkeys(table for collector in collectors for table in collector.tables))


def plan(
    tables: Sequence[Table],
    pace_seconds: Mapping[Pace, float],
    *,
    identity_seconds: float,
    intervals: Mapping[str, float],
    per_hour: int,
    reserve: float,
    besides: Sequence[TableSchedule] = (),
    requests: Mapping[str, int] = MappingProxyType({}),
    share: KeyShare = ALONE,
    paged: bool = False,
    is_running: bool = False,
) -> tuple[TableSchedule, ...]:
    """
    Return the schedule of *tables*, fitted to the request budget.

    Tables that share a request have one interval, and only the first costs requests.

    Args:
        pace_seconds: Interval of each pace.
        identity_seconds: Interval of the system's name and version.
        intervals: Intervals that the operator set, by table; the planner does not stretch them.
        per_hour: Requests that VergeOS allows in an hour.
        reserve: The share of them that polling leaves to recovery.
        besides: The regular reads of recovery.
        requests: The requests of one poll, by table, once they are known; before, one page is
            assumed for each table.
        share: The part of this replica in the use of the key.
        paged: Whether tables are read page by page.
        is_running: Whether polling goes on in any case, with longer intervals if need be.

    Raises:
        ConfigError: An interval is for an unknown table, two tables that share a request have
            different ones, or the schedule does not fit.

    """
    _check_names("poll.tables", intervals, [IDENTITY, *(table.name for table in tables)])

    identity = TableSchedule(
        IDENTITY,
        intervals.get(IDENTITY, identity_seconds),
        requests=IDENTITY_REQUESTS,
        fixed=IDENTITY in intervals,
    )
    sharing: defaultdict[object, list[Table]] = defaultdict(list)
    for table in tables:
        sharing[table.request].append(table)
    wanted = (
        identity,
        *(
            _schedule(table, sharing[table.request], pace_seconds, intervals, requests)
            for table in tables
        ),
    )
    allowed = for_polling(per_hour, reserve, besides)
    at_most = share.limit_of_standby(allowed) if is_running else inf
    standby = of_standby(wanted, also=(IDENTITY,), at_most=at_most)
    if share.stands_by:
        return standby
    return fit_to_budget(
        wanted,
        per_hour=per_hour,
        reserve=reserve,
        besides=besides,
        elsewhere=share.elsewhere(allowed, requests_per_hour(standby)),
        paged=paged,
        is_running=is_running,
    )


def _schedule(
    table: Table,
    sharing: Sequence[Table],
    pace_seconds: Mapping[Pace, float],
    intervals: Mapping[str, float],
    requests: Mapping[str, int],
) -> TableSchedule:
    """Return the schedule of *table*, one of those *sharing* its request, before it is fitted."""
    set_by_operator = [other.name for other in sharing if other.name in intervals]
    chosen = {intervals[name] for name in set_by_operator}
    if len(chosen) > 1:
        raise ConfigError(
            f"the intervals of poll.tables.{' and poll.tables.'.join(set_by_operator)} differ, "
            "but one request reads these tables: set one of them, or both to the same"
        )
    seconds = chosen.pop() if chosen else pace_seconds[table.pace]
    return TableSchedule(
        table.name,
        seconds,
        phase_seconds=table.turn * pace_seconds[Pace.FAST] % seconds,
        requests=requests.get(table.name, 1) if table is sharing[0] else 0,
        essential=table.importance is Importance.ESSENTIAL,
        keeps_stale_rows=table.keeps_stale_rows,
        importance=max(other.importance for other in sharing),
        fixed=table.importance is Importance.ESSENTIAL or bool(set_by_operator),
    )


def reads_of_recovery(limits: Limits, poll_seconds: float) -> tuple[TableSchedule, ...]:
    """
    Return the reads that recovery makes in calm hours: of both logs, after a poll.

    Args:
        poll_seconds: The interval of the polls of the essential tables.

    """
    seconds = read_seconds(limits, poll_seconds)
    return (TableSchedule("logs (recovery)", seconds, requests=len(LogTable), fixed=True),)


def _check_names(setting: str, given: Collection[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise ConfigError(f"{setting}.{name} is unknown{nearest_or_all(name, known)}")
