"""A VergeOS that never was: a world of VMs, the API in front of it, and all that can go wrong."""

from exporter.simulator.api.actions import Behaviour
from exporter.simulator.api.faults import FAULTS, FaultError, Switchboard
from exporter.simulator.api.server import Request, Simulator
from exporter.simulator.scenarios.scenario import Scenario, built_in, load_scenario, read_scenario
from exporter.simulator.world.context import Timings
from exporter.simulator.world.factory import found_world
from exporter.simulator.world.fleet import ClusterPlan
from exporter.simulator.world.world import UnknownThingError, World

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
