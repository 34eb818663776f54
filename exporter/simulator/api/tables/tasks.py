"""The table ``tasks`` of the task engine. Fields: docs/vergeos-api.md."""

from exporter.simulator.api.tables.columns import Table, attribute, computed, constant

_TASKS = Table(
    name="tasks",
    rows=lambda view: view.world.tasks.values(),
    columns={
        "$key": attribute("key"),
        "id": computed(lambda task: f"{task.key:08x}"),
        "owner": attribute("owner"),
        "table": constant("vms"),
        "action": attribute("action"),
        "action_display": computed(lambda task: str(task.action).capitalize()),
        "name": attribute("name"),
        "enabled": attribute("enabled"),
        "created": attribute("created"),
        "modified": attribute("created"),
        "last_run": attribute("last_run"),
        "delete_after_run": constant(value=False),
        "status": constant("idle"),
        "system_created": constant(value=False),
        "creator": attribute("creator"),
    },
)


TABLES = (_TASKS,)
