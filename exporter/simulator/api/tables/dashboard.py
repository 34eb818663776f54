"""
The table ``dashboard``: the health of the whole system in one row.

Fields: what pyvergeos reads of it, as far as the simulator has such objects.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from exporter.simulator.api.tables import tenants
from exporter.simulator.api.tables.columns import Column, RequestView, Table, attribute, live

States = Callable[[RequestView], Iterable[str]]
"""Returns the state of each object of a kind."""


@dataclass(frozen=True, slots=True)
class _Row:
    """The only row of the table."""

    key: int = 1


def _of_machines(view: RequestView) -> Iterable[str]:
    return (view.status(vm.machine).state for vm in view.world.live_vms())


def _of_networks(view: RequestView) -> Iterable[str]:
    networks = view.world.networks.values()
    return ("" if one.router is None else view.status(one.router).state for one in networks)


def _of_nodes(view: RequestView) -> Iterable[str]:
    return (view.status(node.machine).state for node in view.world.nodes.values())


def _of_clusters(view: RequestView) -> Iterable[str]:
    for cluster in view.world.clusters.values():
        yield "online" if all(node.alive for node in cluster.nodes) else "warning"


_KINDS: dict[str, States] = {
    "machines": _of_machines,
    "tenants": tenants.states,
    "vnets": _of_networks,
    "nodes": _of_nodes,
    "clusters": _of_clusters,
}
_STATES = {"online": "online", "warn": "warning", "error": "error"}


def _count(states: States) -> Column:
    return live(lambda _row, view: len(list(states(view))))


def _count_in(states: States, state: str) -> Column:
    return live(lambda _row, view: list(states(view)).count(state))


_DASHBOARD = Table(
    name="dashboard",
    rows=lambda _view: (_Row(),),
    columns={
        "$key": attribute("key"),
        **{f"{kind}_count": _count(states) for kind, states in _KINDS.items()},
        **{
            f"{kind}_{word}": _count_in(states, state)
            for kind, states in _KINDS.items()
            for word, state in _STATES.items()
        },
        "alarms_count": live(lambda _row, view: len(view.world.alarms)),
        "users_count": live(lambda _row, view: len(view.world.users)),
    },
)

TABLES = (_DASHBOARD,)
