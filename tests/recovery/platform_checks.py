"""
What the tables of the platform told recovery, and which starts that forbids.

A part of the invariant checker. It computes nothing with the engine's code, and gives the benefit
of the doubt: what was read while another fault was at work forbids nothing.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from exporter.recovery.model.cases import Action
from tests.recovery.harness import Harness, Request

TIERS, UPDATES, DEVICES, CLUSTERS = (
    f"/api/v4/{table}"
    for table in ("cluster_tiers", "update_source_status", "machine_devices", "clusters")
)
OURS = ("storage_tier", "platform_update", "missing_devices")
MIB = 2**20


class Reading(NamedTuple):
    """What one table showed."""

    at: float
    shown: Any


class PlatformSight:
    """Keeps what each table showed when it was last read."""

    def __init__(self, harness: Harness) -> None:
        self._harness = harness
        self._readings: dict[str, Reading] = {}
        self._memory: list[Reading] = []

    def hear(self, what: str) -> None:
        """Take note of what a table shows that is read just now."""
        match what.split():
            case ["answered", "GET", path] if path in (TIERS, UPDATES, DEVICES, CLUSTERS):
                at, world = self._harness.clock.elapsed, self._harness.world
                is_clear = all(
                    one.name in OURS or not one.applies_to("GET", path)
                    for one in world.faults.active()
                )
                shown = self._shown(path) if is_clear else None
                self._readings[path] = Reading(at, shown)
                if path == CLUSTERS:
                    self._memory = [*self._memory[-60:], Reading(at, shown)]

    def problems(self, request: Request, *, down_since: float | None) -> Iterator[str]:
        """Return why *request* must not be, as far as was shown for some time."""
        world = self._harness.world
        vm = world.vms.get(request.vm_key)
        if vm is None:
            return
        machine = vm.machine
        if machine.cluster in self._last(TIERS, request.at):
            yield "the storage of its cluster is unusable"
        if self._last(UPDATES, request.at):
            yield "VergeOS is being updated"
        starts = request.action == Action.POWER_ON
        if starts and machine.key in self._last(DEVICES, request.at):
            yield "a device that it requires is missing"
        if starts and down_since is not None and self._lacks_memory(machine, request, down_since):
            yield "its cluster lacks the memory for it"

    def _last(self, path: str, at: float) -> Any:
        """Return what a table showed at least two polls ago; nothing if it was read since."""
        reading = self._readings.get(path)
        if reading is None or at - reading.at < 2 * self._harness.every:
            return ()
        return reading.shown or ()

    def _lacks_memory(self, machine: Any, request: Request, down_since: float) -> bool:
        span = self._harness.platform_every + self._harness.every
        recent = [one for one in self._memory if one.at > request.at - span]
        if not recent or request.at - down_since < span:
            return False
        clusters = [one for one in (machine.cluster, machine.cluster_failover) if one is not None]
        return bool(clusters) and all(
            one.shown is not None
            and all(one.shown[cluster] < machine.memory_mb for cluster in clusters)
            for one in recent
        )

    def _shown(self, path: str) -> Any:
        world = self._harness.world
        if path == TIERS:
            return self._bad_clusters()
        if path == UPDATES:
            return [
                one
                for one in world.faults.active("platform_update")
                if one["word"] in ("installing", "applying")
            ]
        if path == DEVICES:
            missing = [one["vm"] for one in world.faults.active("missing_devices")]
            return {
                machine.key
                for machine in world.machines.values()
                if any(vm in ("", machine.name) for vm in missing)
                and any(one.kind != "tpm" and not one.optional for one in machine.devices)
            }
        free: dict[int, int] = defaultdict(int)
        for node in world.nodes.values():
            if node.alive:
                running = [
                    one.memory_mb
                    for one in node.hosted.values()
                    if one.status.running and one.status.node == node.key
                ]
                free[node.cluster] += node.memory_mb - sum(running)
        return free

    def _bad_clusters(self) -> set[int]:
        world, words = self._harness.world, {}
        for cluster in world.clusters.values():
            for tier in cluster.tiers:
                if tier.capacity_bytes:
                    words[cluster.key, tier.number] = tier.status
            for fault in world.faults.active("storage_tier"):
                if fault["cluster"] in ("", cluster.name):
                    words[cluster.key, int(fault["tier"])] = fault["word"]
        bad = ("offline", "outofspace", "initializing")
        return {cluster for (cluster, _), word in words.items() if word in bad}
