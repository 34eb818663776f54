"""A real Prometheus: faults of snapshots, replication and keys raise their alerts and no others."""

import asyncio
from pathlib import Path

from tests.alert_rules.fast_rules import write_fast_rules
from tests.alert_rules.test_healthy import alerts_of
from tests.daemon_process import REAL_TIME, pointing_at, running, simulating
from tests.real_prometheus import Prometheus, prometheus

FASTER = 240
PATIENCE_SECONDS = 60
POLLS = {"VERGEWATCH_POLL__RARE_SECONDS": "2", "VERGEWATCH_POLL__HOURLY_SECONDS": "2"}
FAULTS = ("snapshot_overdue", "sync_failing", "api_key_expiring")
RAISED = {
    "VergeVMSnapshotOverdue",
    "VergeReplicationFailing",
    "VergeReplicaTooOld",
    "VergeAPIKeyExpiring",
}
OF_MACHINE = ("exporter", "system", "inhibitor")
"""Layers of alerts that are not about VergeOS."""


async def test_faults_raise_exactly_their_alerts_and_they_clear(tmp_path: Path) -> None:
    write_fast_rules(tmp_path, FASTER)
    async with (
        simulating(vms=10) as system,
        running({**pointing_at(system), **POLLS}) as daemon,
        prometheus(
            tmp_path, {"vergewatch": daemon.url}, every="500ms", rule_files=["*.rules.yml"]
        ) as server,
    ):
        await daemon.until_up()
        for fault in FAULTS:  # at once: the longest wait takes 15 s
            system.faults.turn_on(fault)
        await _until(server, RAISED)
        system.faults.clear()
        await _until(server, set())


async def _until(server: Prometheus, wanted: set[str]) -> None:
    """Wait until each of the *wanted* alerts fires once; meanwhile, no other may begin."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while sorted(firing := await _firing(server)) != sorted(wanted):
            assert not wanted or set(firing) <= wanted
            await REAL_TIME.sleep(0.25)


async def _firing(server: Prometheus) -> list[str]:
    return [
        alert["labels"]["alertname"]
        for alert in alerts_of(await server.rules())
        if alert["state"] == "firing" and alert["labels"]["layer"] not in OF_MACHINE
    ]
