"""A VergeOS that never was: a world of VMs, the API in front of it, and all that can go wrong."""

from exporter.simulator.actions import Behaviour
from exporter.simulator.faults import FAULTS, FaultError, Switchboard
from exporter.simulator.fleet import ClusterPlan
from exporter.simulator.founding import found_world
from exporter.simulator.scenario import Scenario, built_in, load_scenario, read_scenario
from exporter.simulator.server import Request, Simulator
from exporter.simulator.stage import Timings
from exporter.simulator.world import UnknownThingError, World

__all__ = [
    "FAULTS",
    "Behaviour",
    "ClusterPlan",
    "FaultError",
    "Request",
    "Scenario",
    "Simulator",
    "Switchboard",
    "Timings",
    "UnknownThingError",
    "World",
    "built_in",
    "found_world",
    "load_scenario",
    "read_scenario",
]
