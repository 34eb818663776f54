"""What recovery learns of one poll of the essential tables."""

from exporter.clock import Clock
from exporter.model import Inventory, PollResult
from exporter.polling.table_states import TableStates


def poll_result(
    tables: TableStates,
    inventory: Inventory | None,
    unnamed_because: str,
    clock: Clock,
    began: float,
) -> PollResult:
    """
    Return the result of the last poll of the essential tables.

    Args:
        inventory: Made of the rows of that poll.
        unnamed_because: Why the system's name is not known; empty if it is.
        began: When polling began, in monotonic seconds.

    """
    states = [tables[table] for table in sorted(tables.essential)]
    goods = [state.good for state in states if state.good is not None]
    problems = [str(state.error) for state in states if state.error is not None]
    problems += filter(None, [unnamed_because])
    failed = PollResult(
        asked_at=clock.monotonic(),
        time=clock.now(),
        took_seconds=0.0,
        every_seconds=max(tables.schedules[table].every_seconds for table in tables.essential),
        inventory=None,
        rows_skipped=sum(good.rows.skipped for good in goods),
        problem="; ".join(dict.fromkeys(problems)),
    )
    if problems or len(goods) < len(states):
        return failed
    asked = min(good.at for good in goods)
    answered = max(one.good.at + (one.duration_seconds or 0.0) for one in states if one.good)
    return failed._replace(
        asked_at=began + asked,
        time=min(good.at_time for good in goods),
        took_seconds=answered - asked,
        inventory=inventory,
    )
