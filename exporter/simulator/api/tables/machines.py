"""
The table ``machines``, the parent of status, statistics, NICs and drives.

Fields: docs/vergeos-api.md.
"""

from exporter.simulator.api.tables.columns import (
    Link,
    RequestView,
    Table,
    attribute,
    by_key,
    computed,
)
from exporter.simulator.api.tables.machine_status import status_key
from exporter.simulator.world.machines import Machine


def _machine_row(machine: Machine, view: RequestView) -> Machine | None:
    """Return the machine as a row of the tables that hang on it."""
    return machine if machine.key in view.world.machines else None


_MACHINES = Table(
    name="machines",
    rows=lambda view: view.world.machines.values(),
    find=by_key(lambda view: view.world.machines),
    columns={
        "$key": attribute("key"),
        "name": attribute("name"),
        "type": attribute("kind"),
        "cluster": attribute("cluster", leads_to="clusters"),
        "cpu_cores": attribute("configured_cores"),
        "ram": attribute("configured_memory_mb"),
        "status": computed(status_key, leads_to="machine_status"),
        "stats": attribute("key", leads_to="machine_stats"),
    },
    links={
        "status": Link("machine_status", _machine_row),
        "stats": Link("machine_stats", _machine_row),
        "cluster": Link("clusters", lambda machine, view: view.world.clusters.get(machine.cluster)),
    },
)


TABLES = (_MACHINES,)
