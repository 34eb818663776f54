"""What a diagnosis rests on, besides the case itself."""

from typing import NamedTuple

from exporter.recovery.detect.log_patterns import LogReading
from exporter.recovery.model.cases import Policy
from exporter.recovery.observe.node_history import NodeLife


class Logs(NamedTuple):
    """What was read of the log for a VM, and when."""

    reading: LogReading | None
    """``None``: it could not be read."""
    read_at: float
    since_clock: float
    """The platform's time from which on it was asked for."""
    problem: str = ""


class DiagnosisContext(NamedTuple):
    """What a diagnosis rests on besides the case."""

    at: float
    policy: Policy
    node: NodeLife | None
    node_name: str
    node_machine: int | None
    on_power_loss: str
    powered_on: bool | None
    started_at: float | None
    """When it was started last, by the platform's stamp."""
    logs: Logs | None
    """``None``: not read yet."""
    own_user: str
    """Who we are in the platform's log; empty when that is not known."""
