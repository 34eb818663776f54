"""What runs on each node, of the rows of machine_status."""

from exporter.collectors.node_loads import Hosted, hosted_by_node
from tests.exposition.builders import status, stopped

GIB = 2**30


def test_machines_that_run_on_a_node_are_added_up() -> None:
    statuses = [
        status(11, node=1, running_cpu_cores=4, running_memory_bytes=8 * GIB),
        status(12, node=1, running_cpu_cores=None, running_memory_bytes=None),
        status(13, node=2, running_cpu_cores=2, running_memory_bytes=GIB),
    ]

    assert hosted_by_node(statuses, set()) == {
        1: Hosted(machines=2, cpu_cores=4, memory_bytes=8 * GIB),
        2: Hosted(machines=1, cpu_cores=2, memory_bytes=GIB),
    }


def test_machines_that_are_off_or_nowhere_and_the_node_itself_are_not_counted() -> None:
    statuses = [status(91, node=1), stopped(11, node=1), status(12, node=None)]

    assert hosted_by_node(statuses, {91, None}) == {}
