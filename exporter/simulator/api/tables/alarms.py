"""The tables ``alarms`` and ``alarm_types``. Fields: docs/vergeos-api.md."""

from exporter.simulator.api.tables.columns import (
    Link,
    RequestView,
    Table,
    attribute,
    computed,
    constant,
)
from exporter.simulator.world.machines import VM, Alarm


def _alarm_owner(alarm: Alarm, view: RequestView) -> VM | None:
    return view.world.vms.get(int(str(alarm.owner).rpartition("/")[2]))


_ALARMS = Table(
    name="alarms",
    rows=lambda view: view.world.alarms.values(),
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
