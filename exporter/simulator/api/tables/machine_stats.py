"""
The table ``machine_stats``: CPU, memory and temperature of every machine.

Fields: docs/vergeos-api.md.
"""

from exporter.simulator.api.tables.columns import (
    Getter,
    Link,
    RequestView,
    Table,
    attribute,
    by_key,
    constant,
    live,
)
from exporter.simulator.world.machines import Machine


def _percent(share: float) -> Getter:
    return lambda machine, view: (
        round(100 * share * machine.load.cpu(view.now)) if _working(machine, view) else 0
    )


def _working(machine: Machine, view: RequestView) -> bool:
    return machine.idle_since is None and view.status(machine).running


def memory_used_mb(machine: Machine, view: RequestView) -> int:
    """Return the memory that the guest has touched, in MB; 0 while the machine is off."""
    if not view.status(machine).running:
        return 0
    return int(machine.memory_mb * machine.load.memory(view.stamp))


def _temperature(machine: Machine, view: RequestView) -> int:
    return round(42 + 30 * machine.load.cpu(view.now)) if machine.kind == "node" else 0


_MACHINE_STATS = Table(
    name="machine_stats",
    # Machines that never ran have no row here.
    rows=lambda view: [one for one in view.world.machines.values() if one.status.started > 0],
    find=by_key(lambda view: view.world.machines),
    columns={
        "$key": attribute("key"),
        "machine": attribute("key", leads_to="machines"),
        "total_cpu": live(_percent(1.0)),
        "user_cpu": live(_percent(0.7)),
        "system_cpu": live(_percent(0.25)),
        "iowait_cpu": live(_percent(0.05)),
        "irq_cpu": constant(0),
        "vmusage_cpu": live(_percent(0.6)),
        "ram_used": live(memory_used_mb),
        "ram_pct": live(lambda x, view: round(100 * memory_used_mb(x, view) / max(1, x.memory_mb))),
        "vram_used": constant(0),
        "core_usagelist": live(
            lambda x, view: (
                [round(100 * x.load.cpu(view.now + 7 * core)) for core in range(min(8, x.cores))]
                if x.kind == "node" and _working(x, view)
                else []
            ),
        ),
        "core_temp": live(_temperature),
        "core_temp_top": live(lambda x, view: _temperature(x, view) and _temperature(x, view) + 4),
        "modified": live(lambda x, view: view.last_update(x)),
    },
    links={"machine": Link("machines", lambda machine, _view: machine)},
)


TABLES = (_MACHINE_STATS,)
