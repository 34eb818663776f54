"""A real Prometheus: each fault of storage tiers and drives raises its alert, alone, and clears."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.alert_rules.fast_rules import write_fast_rules
from tests.alert_rules.test_healthy import alerts_of
from tests.daemon_process import REAL_TIME, pointing_at, running, simulating
from tests.real_prometheus import Prometheus, prometheus

FASTER = 360
"""Three hours, within which repairs become fewer, are 30 s."""
PATIENCE_SECONDS = 120
Cause = tuple[str, Mapping[str, Any]]
"""A fault and its parameters."""
POLLS = {"VERGEWATCH_POLL__RARE_SECONDS": "2"}
ROUNDS: Sequence[Mapping[str, Cause]] = (
    {
        "VergeStorageTierDown": ("tier_out_of_space", {"row": "0"}),
        "VergeStorageRepairsGrow": ("tier_repairing", {"row": "1"}),
        "VergeDriveOffline": ("drive_offline", {}),
    },
    {
        "VergeStorageTierNotRedundant": ("tier_not_redundant", {"row": "0"}),
        "VergeStorageWritesThrottled": ("tier_throttled", {"row": "1"}),
        "VergeDriveFailing": ("drive_worn", {}),
    },
)
"""
The faults that are on at the same time, by the alert of each; rows of tiers are their numbers.

Not the drive that wears out: its limit is a time, which is no shorter for a fast rule.
"""
OF_MACHINE = ("exporter", "system", "inhibitor")
"""Layers of alerts that are not about VergeOS."""


async def test_each_fault_raises_exactly_its_alert_and_it_clears(tmp_path: Path) -> None:
    write_fast_rules(tmp_path, FASTER)
    async with (
        simulating(vms=10) as system,
        running({**pointing_at(system), **POLLS}) as daemon,
        prometheus(
            tmp_path, {"vergewatch": daemon.url}, every="500ms", rule_files=["*.rules.yml"]
        ) as server,
    ):
        await daemon.until_up()
        for causes in ROUNDS:
            for fault, parameters in causes.values():
                system.faults.turn_on(fault, **parameters)
            await _until(server, set(causes))
            system.faults.clear()
            await _until(server, set())


async def _until(server: Prometheus, wanted: set[str]) -> None:
    """Wait until exactly the *wanted* alerts fire; while one is awaited, no other may begin."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (firing := await _firing(server)) != wanted:
            assert not wanted or firing <= wanted
            await REAL_TIME.sleep(0.25)


async def _firing(server: Prometheus) -> set[str]:
    return {
        alert["labels"]["alertname"]
        for alert in alerts_of(await server.rules())
        if alert["state"] == "firing" and alert["labels"]["layer"] not in OF_MACHINE
    }
