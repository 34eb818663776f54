"""Faults of VergeOS that it raises an alarm about."""

from exporter.simulator.api.fault_types import API_ROOT, FaultType, Parameter

FAULTS = {
    "alarm_raised": FaultType(
        "VergeOS raises an alarm",
        {
            "level": Parameter(
                "error", "the alarm's level", choices=("warning", "error", "critical")
            ),
            "snoozed": Parameter(default=False, about="whether an operator has snoozed it"),
        },
        path=f"{API_ROOT}alarms",
    ),
}
