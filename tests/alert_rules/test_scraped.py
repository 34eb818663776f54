"""A real Prometheus scrapes daemons as documented: the rules are right whatever its targets are."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from exporter.simulator import Simulator, Timings
from tests.alert_rules.fast_rules import write_fast_rules
from tests.alert_rules.test_healthy import alerts_of
from tests.daemon_process import REAL_TIME, pointing_at, running, simulating
from tests.real_prometheus import Prometheus, prometheus

ROOT = Path(__file__).parent.parent.parent
FASTER = 60
TIMINGS = Timings(node_noticed=0.5)
OF_SITE = {"node": "kube-7", "cluster": "k8s-eu", "endpoint": "http", "hostname": "h", "tier": "t"}
"""Labels that a site, or the operator, puts on each target."""
OF_VERGEOS = {"system_name": "lab", "vm_name": "monitoring-vm", "node_name": "node9"}


def documented() -> dict[str, Any]:
    """Return the scrape configuration that README shows."""
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    found = next(block for block in blocks if "scrape_configs" in block)
    (job,) = yaml.safe_load(found)["scrape_configs"]
    return dict(job)


def of_operator() -> dict[str, Any]:
    """Return what Prometheus' operator makes of our ScrapeConfig."""
    spec = yaml.safe_load((ROOT / "deploy/scrapeconfig.yaml").read_text())["spec"]
    return {re.sub("[A-Z]", lambda one: f"_{one[0].lower()}", key): spec[key] for key in spec}


def test_scrape_configurations_agree() -> None:
    compose = yaml.safe_load((ROOT / "deploy/compose/prometheus.yml").read_text())
    (job,) = (one for one in compose["scrape_configs"] if one["job_name"] == "vergewatch")

    assert documented() == of_operator()
    assert documented()["honor_labels"] is job["honor_labels"] is True


async def evaluated(server: Prometheus) -> list[dict[str, Any]]:
    """Return the rules; the test fails if one of them cannot be evaluated."""
    rules = await server.rules()
    assert {rule["name"]: rule["lastError"] for rule in rules if rule.get("lastError")} == {}
    return rules


async def firing(server: Prometheus, *names: str, seconds: float) -> dict[str, set[str]]:
    """Return the VMs or nodes of the alerts with *names* that fire at some time in *seconds*."""
    found: dict[str, set[str]] = {name: set() for name in names}
    for _ in range(round(seconds / 0.25)):
        await REAL_TIME.sleep(0.25)
        for alert in alerts_of(await evaluated(server)):
            labels = alert["labels"]
            if labels["alertname"] in found and alert["state"] == "firing":
                found[labels["alertname"]].add(labels.get("vm_name") or labels["node_name"])
                assert labels["system_name"] == "northwind"
    return found


@pytest.mark.parametrize(
    ("scrape", "labels"),
    [
        pytest.param(documented(), {**OF_SITE, **OF_VERGEOS}, id="as documented"),
        pytest.param({}, OF_SITE, id="without honor_labels"),
    ],
)
async def test_node_alerts_are_right_with_common_target_labels(
    tmp_path: Path, scrape: Mapping[str, Any], labels: Mapping[str, str]
) -> None:
    async with simulating(timings=TIMINGS) as system, running(pointing_at(system)) as daemon:
        write_fast_rules(tmp_path, FASTER)
        await daemon.until_up()
        target = {"targets": [urlsplit(daemon.url).netloc], "labels": dict(labels)}
        job = {"job_name": "vergewatch", **scrape, "scrape_interval": "500ms"}
        async with prometheus(
            tmp_path, {}, every="500ms", rule_files=["*.rules.yml"],
            scrape_configs=[job | {"static_configs": [target]}],
        ) as server:  # fmt: skip
            mine, others = await node_fails(system, server)
            found = await firing(server, "VergeNodeOffline", "VergeVMFailoverWindow", seconds=6)

    assert found["VergeNodeOffline"] == {"node1"}
    assert found["VergeVMFailoverWindow"] == mine
    assert others


async def node_fails(system: Simulator, server: Prometheus) -> tuple[set[str], set[str]]:
    """Fail a node once its VMs are known; return the names of its VMs, and those of the others."""
    vms = [vm for vm in system.world.live_vms() if vm.machine.status.running]
    await server.ask_until("vergewatch_vm_running == 1", len(vms))
    await REAL_TIME.sleep(1)
    node = system.world.node("node1")
    mine = {vm.name for vm in vms if vm.machine.status.node == node.key}
    assert mine
    system.world.node_fails("node1")
    return mine, {vm.name for vm in vms} - mine
