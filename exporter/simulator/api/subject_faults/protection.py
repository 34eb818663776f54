"""Faults of snapshots and replication."""

from exporter.simulator.api.fault_types import API_ROOT, FaultType, Parameter

FAULTS = {
    "snapshot_overdue": FaultType(
        "VergeOS takes no snapshots of a VM",
        {"vm": Parameter("", "the name of the VM; empty: the first that has a profile; *: all")},
        path=f"{API_ROOT}machine_snapshots",
    ),
    "no_snapshot_profiles": FaultType(
        "there are no snapshot profiles", path=f"{API_ROOT}snapshot_profiles"
    ),
    "sync_failing": FaultType(
        "the sync to the other site fails",
        {"days": Parameter(3.0, "days before the start that it last succeeded", least=0.0)},
        path=f"{API_ROOT}site_syncs_outgoing",
    ),
}
