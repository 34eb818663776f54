"""Writes to ``alarms``: an alarm is snoozed."""

from collections.abc import Mapping

from exporter.simulator.api.messages import Answer
from exporter.simulator.api.writes.write import Write, Writer, missing


def _snooze(write: Write) -> Answer:
    alarm = write.world.alarms.get(int(write.key))
    if alarm is None:
        raise missing("alarms", write.key)
    alarm.snooze = int(write.body.get("snooze", 0))
    return Answer()


WRITES: Mapping[tuple[str, str], Writer] = {("PUT", "alarms"): _snooze}
