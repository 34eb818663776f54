"""All counts of VMs agree: console, API, status, metrics and check, in a system with odd VMs."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exporter.simulator import Simulator
from tests.daemon_process import Daemon, Page, pointing_at, running, simulating
from tests.forking import told

VMS = 30
QUICK = {
    "VERGEWATCH_RECOVERY__MODE": "enforce",
    "VERGEWATCH_RECOVERY__LIMITS__WARMUP_SECONDS": "0",
    "VERGEWATCH_RECOVERY__LIMITS__WARMUP_POLLS": "0",
}


def make_odd(system: Simulator) -> Mapping[str, int]:
    """Change VMs so that recovery does not monitor them; return how many, by reason."""
    world = system.world
    names = [vm.name for vm in world.live_vms() if vm.service is None]
    services = sum(vm.service is not None for vm in world.live_vms())
    assert services
    for vm in list(world.live_vms()):
        vm.enabled = True
    for name in names[:2]:
        world.changes(name, enabled=False)
    for name in names[2:5]:
        world.tag(name, "recovery/ignore")
    world.changes(names[5], uuid="")
    world.changes(names[7], uuid=world.vm(names[6]).uuid)
    world.forces_status(names[8], word="bogus", running=None)
    world.forces_status(names[9], word="error", running=False)
    world.crash(names[10])
    assert any(vm.is_snapshot for vm in world.vms.values())
    return {"service": services, "disabled": 2, "ignored": 3, "no_uuid": 3}


async def asked(daemon: Daemon, path: str) -> Any:
    status, text = await daemon.get(path)
    assert status == 200, text
    return json.loads(text)


def sums(page: Page, name: str, label: str) -> Mapping[str, int]:
    found: Counter[str] = Counter()
    for labels, value in page.samples.get(name, {}).items():
        found[dict(labels)[label]] += round(value)
    return +found


async def test_counts_of_vms_agree_everywhere(tmp_path: Path) -> None:
    async with simulating(vms=VMS) as system:
        not_monitored = make_odd(system)
        listed = sum(1 for _ in system.world.live_vms())
        env = {
            **pointing_at(system),
            **QUICK,
            "VERGEWATCH_RECOVERY__DIRECTORY": str(tmp_path / "state"),
        }
        async with running(env) as daemon:
            page = await daemon.page_where(lambda page: bool(page.get("vergewatch_recovery_vms")))
            vms = await asked(daemon, "/api/v1/vms?per_page=1000")
            of_list = {
                word: (await asked(daemon, f"/api/v1/vms?enrolment={word}"))["total"]
                for word in ("enrolled", "monitored", "not_monitored")
            }
            (status,) = (await asked(daemon, "/api/v1/recovery"))["systems"]
            environ = {**env, "VERGEWATCH_DAEMON_URL": daemon.url, "COLUMNS": "200"}
            _, printed = await told("recovery", "status", env=environ)
            _, checked = await told("check", env=environ)

    # All VMs, by condition and by status.
    assert vms["total"] == sum(vms["conditions"].values()) == status["listed"] == listed
    assert vms["conditions"] == Counter(vm["condition"] for vm in vms["vms"])
    assert sum(sums(page, "vergewatch_cluster_vms", "status").values()) == listed
    assert len(page.samples["vergewatch_vm_info"]) == listed
    # Each is enrolled, monitored only, or not monitored for one reason.
    enrolled, monitored = status["vms"], sum(status["others"].values())
    assert status["gone"] == 0
    assert status["not_monitored"].pop("no_status", 0) in (0, 1)
    assert status["not_monitored"] == not_monitored
    assert enrolled + monitored + of_list["not_monitored"] == listed
    assert of_list["enrolled"] == enrolled == sum(status["states"].values())
    assert of_list["monitored"] == monitored
    assert sums(page, "vergewatch_recovery_vms", "state") == status["states"]
    assert len(page.samples["vergewatch_recovery_vm_state_info"]) == enrolled + monitored
    # The same from the command line.
    assert f"in the inventory: {listed} VMs" in printed
    assert f"enrolled: {enrolled} VMs" in printed
    assert f"monitored only: {monitored} VMs" in printed
    assert f"not monitored: {of_list['not_monitored']} VMs" in printed
    assert f"{enrolled} of {listed} VMs enrolled" in checked
