"""A simulated VergeOS: platform, API server and faults. Independent of the rest of the product."""

from exporter.simulator.api.actions import ApiBehavior
from exporter.simulator.api.faults import FAULTS, FaultError, FaultInjector
from exporter.simulator.api.server import Request, Simulator
from exporter.simulator.scenarios.scenario import Scenario, built_in, load_scenario, read_scenario
from exporter.simulator.world.builder import ClusterPlan
from exporter.simulator.world.context import Timings
from exporter.simulator.world.factory import create_world
from exporter.simulator.world.world import UnknownObjectError, World

__all__ = [
    "FAULTS",
    "ApiBehavior",
    "ClusterPlan",
    "FaultError",
    "FaultInjector",
    "Request",
    "Scenario",
    "Simulator",
    "Timings",
    "UnknownObjectError",
    "World",
    "built_in",
    "create_world",
    "load_scenario",
    "read_scenario",
]
