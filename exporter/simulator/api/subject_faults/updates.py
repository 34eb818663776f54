"""Faults of updates: not all of VergeOS is as new as it should be."""

from exporter.simulator.api.fault_types import row_fault

FAULTS = {
    "update_available": row_fault(
        "a newer version of VergeOS is available", update_source_packages={"version": "99.1.0"}
    ),
    "reboot_required": row_fault(
        "VergeOS requires a restart of its nodes", update_settings={"reboot_required": True}
    ),
}
