"""Headroom of a cluster: what is computed, and where nothing is."""

from typing import Any

import pytest

from exporter.collectors.cluster_headroom import headroom_mb
from exporter.collectors.cluster_status import ClusterStatusRow


def cluster(**changes: Any) -> ClusterStatusRow:
    values = {"online_nodes": 3, "online_ram": 400, "used_ram": 150, "ram_overcommit_pct": 0.0}
    return ClusterStatusRow(**(values | changes))


def test_headroom_is_what_is_left_without_the_largest_node() -> None:
    assert headroom_mb(cluster(), [100, 200, 100]) == 400 - 150 - 200


def test_headroom_is_negative_where_the_other_nodes_cannot_take_every_machine() -> None:
    assert headroom_mb(cluster(used_ram=250), [100, 200, 100]) == -50


@pytest.mark.parametrize(
    ("changes", "running"),
    [
        ({"online_ram": None}, [100, 200, 100]),
        ({"used_ram": None}, [100, 200, 100]),
        ({"ram_overcommit_pct": None}, [100, 200, 100]),
        ({"ram_overcommit_pct": 25.0}, [100, 200, 100]),
        ({"online_nodes": None}, [100, 200, 100]),
        ({}, [100, None, 200]),
        ({}, [100, 0, 200]),
        ({}, [100, 200]),
        ({"online_nodes": 0, "online_ram": 0}, []),
    ],
    ids=[
        "memory of the nodes", "used memory", "overcommit unknown", "overcommitted",
        "number of nodes", "a node's memory unknown", "a node's memory zero",
        "nodes and cluster disagree", "no node runs",
    ],
)  # fmt: skip
def test_there_is_none_where_an_input_is_missing(
    changes: dict[str, Any], running: list[int | None]
) -> None:
    assert headroom_mb(cluster(**changes), running) is None
