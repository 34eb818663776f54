"""The check of VergeOS' own alarms."""

from collections.abc import Iterator

from exporter.collectors.alarms import ALARMS, AlarmRow, active
from exporter.doctor.check import Check
from exporter.formatting import counted
from exporter.model import Finding, Inventory, Level

LEVELS = {"critical": Level.CRITICAL, "error": Level.WARNING}
NAMES_SHOWN = 3


def _alarms(inventory: Inventory) -> Iterator[Finding]:
    """Yield one finding for each type: a failed node may raise an alarm for each of its VMs."""
    by_type: dict[str, list[AlarmRow]] = {}
    for row in active(inventory):
        if row.level in LEVELS:
            by_type.setdefault(row.alarm_type_name or "", []).append(row)
    for name, rows in sorted(by_type.items()):
        is_critical = any(row.level == "critical" for row in rows)
        yield Finding(
            Level.CRITICAL if is_critical else Level.WARNING,
            name,
            f"{counted(len(rows), 'alarm')}{_about(rows)}",
        )


def _about(rows: list[AlarmRow]) -> str:
    names = sorted({row.owner_name for row in rows if row.owner_name})
    if not names:
        return ""
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f" about {', '.join(names[:NAMES_SHOWN])}{more}"


CHECKS = (
    Check(
        "alarms",
        "VergeOS has raised no alarm of the level error or critical that is not snoozed.",
        (ALARMS.name,),
        _alarms,
        "Read the alarm in the user interface of VergeOS and resolve its cause, or snooze it.",
        "VergeAlarmRaised",
        "VergeOS has raised an alarm.",
        levels=(Level.WARNING, Level.CRITICAL),
        wakes=True,
        needs_rows=False,
        depends_on_time=True,
    ),
)
