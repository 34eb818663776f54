"""The check of snapshot profiles."""

from collections.abc import Iterator

from exporter.collectors.snapshot_profiles import SNAPSHOT_PROFILES
from exporter.doctor.check import Check
from exporter.model import Finding, Inventory, Level


def _snapshot_profiles(inventory: Inventory) -> Iterator[Finding]:
    if not inventory.sources[SNAPSHOT_PROFILES.name]:
        yield Finding(Level.WARNING, "snapshot profiles", "there are none")


CHECKS = (
    Check(
        "snapshot_profiles",
        "There is a snapshot profile.",
        (SNAPSHOT_PROFILES.name,),
        _snapshot_profiles,
        "Create a snapshot profile, and set it in the VMs and in the system.",
        "VergeNoSnapshotProfiles",
        "VergeOS has no snapshot profile, so it takes no snapshots by itself.",
        needs_rows=False,
    ),
)
