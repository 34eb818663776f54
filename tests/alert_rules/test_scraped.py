"""A real Prometheus scrapes daemons as documented: the rules are right whatever its targets are."""

import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from exporter.simulator import Simulator, Timings
from tests.alert_rules.fast_rules import write_fast_rules
from tests.alert_rules.test_healthy import alerts_of
from tests.daemon_process import REAL_TIME, Page, pointing_at, running, simulating
from tests.dashboards.shipped import shipped
from tests.real_prometheus import Prometheus, prometheus
from tools.preview import prometheus as preview
from tools.preview.dashboard import QueryError, TimeRange, queries, query_of

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


SLOW = {"VERGEWATCH_POLL__FAST_SECONDS": "5", "VERGEWATCH_POLL__INVENTORY_SECONDS": "10"}


def recording_in(folder: Path) -> dict[str, str]:
    """Return the environment of a daemon with recovery and a journal of its own."""
    return {
        "VERGEWATCH_RECOVERY__MODE": "shadow",
        "VERGEWATCH_RECOVERY__DIRECTORY": str(folder),
    }


async def failed_queries(server: Prometheus, chosen: Mapping[str, str]) -> list[str]:
    """Return the queries of the dashboards that Prometheus cannot evaluate."""
    end = REAL_TIME.now().timestamp()
    asked = preview.Prometheus(server.url, server.http, TimeRange(end - 10, end, scrape_seconds=1))
    failed = []
    for dashboard in shipped().values():
        wanted = {name: value for name, value in chosen.items() if "vm" in dashboard.uid}
        values = preview.filled(dashboard, await asked.choose(dashboard, wanted))
        targets = [one["target"] for one in dashboard.annotations()]
        for query in (*map(query_of, targets), *chain(*map(queries, dashboard.panels()))):
            try:
                await asked.answer(query, values)
            except QueryError as error:
                failed.append(f"{dashboard.uid}: {error}")
    return failed


async def test_rules_and_dashboards_are_right_while_two_daemons_disagree(tmp_path: Path) -> None:
    async with simulating(timings=TIMINGS) as system, AsyncExitStack() as stack:
        write_fast_rules(tmp_path, FASTER)
        env = pointing_at(system)
        daemons = [
            await stack.enter_async_context(
                running({**env, **recording_in(tmp_path / name), **how})
            )
            for name, how in (("quick", {}), ("slow", SLOW))
        ]
        for daemon in daemons:
            await daemon.until_up()
        targets = [{"targets": [urlsplit(daemon.url).netloc]} for daemon in daemons]
        job = {**documented(), "scrape_interval": "500ms", "static_configs": targets}
        server = await stack.enter_async_context(
            prometheus(
                tmp_path, {}, every="500ms", rule_files=["*.rules.yml"], scrape_configs=[job]
            )
        )
        vms = [vm for vm in system.world.live_vms() if vm.machine.status.running]
        await server.ask_until("vergewatch_vm_running == 1", 2 * len(vms))
        await server.ask_until("vm_node:vergewatch_vm_running:max == 1", len(vms))

        def polled(page: Page) -> float:
            return page.one("vergewatch_table_last_success_timestamp_seconds", table="vms")

        before = polled(await daemons[1].page())
        await daemons[1].page_where(lambda page: polled(page) > before)  # the next is 5 s away
        migrated, renamed, crashed = vms[:3]
        assert system.world.migrate(migrated.key)
        system.world.renames(renamed.key, "renamed")
        system.world.crash(crashed.key)
        disagreed = False
        for quarter in range(24):
            await REAL_TIME.sleep(0.25)
            alerts = alerts_of(await evaluated(server))
            assert not any("instance" in alert["labels"] for alert in alerts)
            assert (
                await server.ask("count by (vm_id) (vm_node:vergewatch_vm_running:max) > 1") == []
            )
            found = await server.ask("count by (vm_id, vm_name) (vergewatch_vm_info) == 1")
            disagreed = disagreed or {"renamed", renamed.name} <= {
                one["vm_name"] for one, _ in found
            }
            if quarter % 6 == 5:
                assert await failed_queries(server, {"vm": migrated.name}) == []

        assert disagreed
        await daemons[1].end()
        await server.ask_until('up{job="vergewatch"} == 0', 1)
        await REAL_TIME.sleep(1)
        down = {alert["labels"]["alertname"]: alert for alert in alerts_of(await evaluated(server))}
    assert down["VergeExporterReplicaDown"]["labels"]["instance"] == targets[1]["targets"][0]
    assert down["VergeVMDown"]["labels"]["vm_id"] == str(crashed.key)
