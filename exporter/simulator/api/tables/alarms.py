"""The tables ``alarms`` and ``alarm_types``. Fields: docs/vergeos-api.md."""

from collections.abc import Iterator

from exporter.simulator.api.tables.columns import (
    Link,
    RequestView,
    Table,
    attribute,
    computed,
    constant,
)
from exporter.simulator.world.machines import VM, Alarm, Node

FAR_AHEAD = 30 * 86_400
FIRST_KEY = 900_001
"""Of the alarms that faults raise."""


def _alarms(view: RequestView) -> Iterator[Alarm]:
    yield from view.world.alarms.values()
    for number, fault in enumerate(view.world.faults.active("alarm_raised")):
        yield Alarm(
            key=FIRST_KEY + number,
            owner="nodes/1",
            owner_name="node1",
            owner_type="nodes",
            alarm_type="node_core_temperature",
            type_name="Core temperature",
            level=fault["level"],
            text="core reached warning temperature '96 / 95'",
            created=int(view.world.started_at),
            snooze=int(view.world.started_at) + FAR_AHEAD if fault["snoozed"] else 0,
        )


def _alarm_owner(alarm: Alarm, view: RequestView) -> VM | Node | None:
    """Return the owner, which rows of several tables may be; all of them have a name."""
    table, _, key = alarm.owner.partition("/")
    return (view.world.nodes if table == "nodes" else view.world.vms).get(int(key))


_ALARMS = Table(
    name="alarms",
    rows=_alarms,
    columns={
        "$key": attribute("key"),
        "owner": attribute("owner"),
        "owner_type": attribute("owner_type"),
        "sub_owner": constant(None),
        "sub_owner_type": constant(""),
        "alarm_type": attribute("alarm_type"),
        "level": attribute("level"),
        "status": attribute("text"),
        "alarm_id": computed(lambda alarm: f"{alarm.key:08d}"),
        "resolvable": constant(value=False),
        "resolve_text": constant(""),
        "created": attribute("created"),
        "modified": attribute("created"),
        "snooze": attribute("snooze"),
        "snoozed_by": constant(""),
        "expires": constant(0),
    },
    links={
        "owner": Link("vms", _alarm_owner),
        "alarm_type": Link("alarm_types", lambda alarm, _view: alarm),
    },
)


_ALARM_TYPES = Table(
    name="alarm_types",
    rows=lambda _view: (),
    columns={
        "key": attribute("alarm_type"),
        "name": attribute("type_name"),
        "description": attribute("type_name"),
        "level": attribute("level"),
    },
)


TABLES = (_ALARMS, _ALARM_TYPES)
