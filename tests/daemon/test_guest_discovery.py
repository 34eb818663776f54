"""A real Prometheus finds the guests by /sd/guests, and scrapes a node_exporter in each."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from exporter.simulator import Simulator
from tests.daemon_process import PATIENCE_SECONDS, REAL_TIME, Daemon, pointing_at, running
from tests.daemon_process import simulating as simulating_system
from tests.real_prometheus import Prometheus, prometheus

TAGS = {"VERGEWATCH_DISCOVERY__TAGS": "true"}


@asynccontextmanager
async def node_exporters() -> AsyncIterator[tuple[str, set[str]]]:
    """Run a proxy that answers for the exporter of each guest; yields its URL and who was asked."""
    asked: set[str] = set()

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.add(f"{request.url.host}:{request.url.port}")
        return web.Response(text="node_boot_time_seconds 1\n")

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


@asynccontextmanager
async def discovering(
    daemon: Daemon, proxy: str, folder: Path, query: str = ""
) -> AsyncIterator[Prometheus]:
    """Run a Prometheus whose targets are the guests, named after their VMs."""
    job = {
        "job_name": "guests",
        "http_sd_configs": [{"url": f"{daemon.url}/sd/guests{query}", "refresh_interval": "1s"}],
        "proxy_url": proxy,
        "relabel_configs": [
            {"source_labels": ["__meta_vergeos_vm_name"], "target_label": "instance"},
            {"source_labels": ["__meta_vergeos_system"], "target_label": "system_name"},
        ],
    }
    async with prometheus(folder, {}, scrape_configs=[job]) as server:
        yield server


@asynccontextmanager
async def simulating(vms: int = 12) -> AsyncIterator[Simulator]:
    """Run a system whose guest agents report at once."""
    async with simulating_system(vms=vms) as system:
        for vm in system.world.live_vms():
            if vm.machine.guest is not None:
                vm.machine.guest.connects_after = 0.0
        yield system


def running_guests(system: Simulator) -> dict[str, str]:
    """Return the address of each VM that has a guest agent and runs."""
    return {
        vm.name: vm.machine.guest.address
        for vm in system.world.live_vms()
        if vm.machine.guest is not None and vm.machine.status.running
    }


async def groups(daemon: Daemon) -> dict[str, dict[str, Any]]:
    status, text = await daemon.get("/sd/guests")
    assert status == 200, text
    return {one["labels"]["__meta_vergeos_vm_name"]: one for one in json.loads(text)}


def names_of(text: str) -> list[str]:
    return [one["labels"]["__meta_vergeos_vm_name"] for one in json.loads(text)]


async def until_groups(daemon: Daemon, count: int) -> dict[str, dict[str, Any]]:
    """Ask until every table was read, and *count* guests are there."""
    for _ in range(int(PATIENCE_SECONDS / 0.1)):
        status, text = await daemon.get("/sd/guests")
        if status == 200 and len(json.loads(text)) == count:
            return await groups(daemon)
        await REAL_TIME.sleep(0.1)
    raise AssertionError(f"there are not {count} guests: {status} {text}")


async def gaps(server: Prometheus, instance: str, begin: float) -> list[float]:
    """Return when the target *instance* was away since *begin*."""
    end, step = REAL_TIME.now().timestamp(), 0.1
    params = {"query": f'up{{instance="{instance}"}}', "start": str(begin), "end": str(end),
              "step": str(step)}  # fmt: skip
    async with server.http.get(f"{server.url}/api/v1/query_range", params=params) as answer:
        result = (await answer.json())["data"]["result"]
    assert len(result) == 1, result
    times = [time for time, _ in result[0]["values"]]
    expected = [begin + number * step for number in range(int((end - begin) / step))]
    return [one for one in expected if not any(abs(one - time) < step / 2 for time in times)]


async def test_prometheus_scrapes_running_guests_and_follows_starts_and_stops(
    tmp_path: Path,
) -> None:
    async with (
        simulating() as system,
        running({**pointing_at(system), **TAGS}) as daemon,
        node_exporters() as (proxy, asked),
    ):
        await daemon.until_up()
        async with discovering(daemon, proxy, tmp_path) as server:
            expected = running_guests(system)
            found = await server.ask_until('up{job="guests"} == 1', len(expected))
            assert {labels["instance"] for labels, _ in found} == expected.keys()
            assert {labels["system_name"] for labels, _ in found} == {system.world.system_name}
            assert asked >= {f"{address}:9100" for address in expected.values()}

            stopped, begin = min(expected), REAL_TIME.now().timestamp()
            system.world.operator_stops(stopped, graceful=False)
            await server.ask_until('up{job="guests"}', len(expected) - 1)
            assert stopped not in await groups(daemon)

            system.world.operator_starts(stopped)
            await server.ask_until('up{job="guests"} == 1', len(expected))
            assert await gaps(server, stopped, begin) != []


async def test_target_does_not_flap_through_migration_silence_and_outage(tmp_path: Path) -> None:
    async with (
        simulating() as system,
        running({**pointing_at(system), **TAGS}) as daemon,
        node_exporters() as (proxy, _),
    ):
        await daemon.until_up()
        async with discovering(daemon, proxy, tmp_path) as server:
            expected = running_guests(system)
            await server.ask_until('up{job="guests"} == 1', len(expected))
            moved, silent = sorted(expected)[:2]
            begin = REAL_TIME.now().timestamp()
            before = (await groups(daemon))[moved]["labels"]

            assert system.world.migrate(moved)
            guest = system.world.vm(silent).machine.guest
            assert guest is not None
            guest.connects_after = 1e9
            while (after := (await groups(daemon))[moved]["labels"]) == before:
                await REAL_TIME.sleep(0.1)
            await REAL_TIME.sleep(3)  # three refreshes, three polls of the guests

            changed = {name for name in before if before[name] != after[name]}
            assert changed == {"__meta_vergeos_node"}
            assert await gaps(server, moved, begin) == []
            assert await gaps(server, silent, begin) == []

            await system.stop()
            await daemon.page_where(lambda page: page.get("vergewatch_up") == [0])
            await REAL_TIME.sleep(2)
            assert (await groups(daemon)).keys() == expected.keys()
            assert await gaps(server, moved, begin) == []


async def test_requests_select_guests_and_wrong_ones_are_refused() -> None:
    async with simulating(vms=30) as system, running({**pointing_at(system), **TAGS}) as daemon:
        await daemon.until_up()
        count = len(running_guests(system))
        found = await until_groups(daemon, count)
        linux = {
            name for name, one in found.items() if one["labels"]["__meta_vergeos_os"] == "linux"
        }
        tagged = {
            name for name, one in found.items() if "__meta_vergeos_tag_environment" in one["labels"]
        }
        assert 0 < len(linux) < count
        assert tagged

        async def names(query: str) -> set[str]:
            status, text = await daemon.get(f"/sd/guests?{query}")
            assert status == 200, text
            return {one["labels"]["__meta_vergeos_vm_name"] for one in json.loads(text)}

        assert await names("os=linux") == linux
        assert await names("os=linux&os=windows&os=freebsd&os=other") >= linux
        assert await names("tag=environment") == tagged
        assert await names(f"system={system.world.system_name}&cluster=nowhere") == set()
        assert (await daemon.get("/sd/guests?system=nowhere"))[0] == 400
        assert (await daemon.get("/sd/guests?label=x"))[0] == 400


async def test_nothing_is_answered_before_the_guests_are_known() -> None:
    async with simulating() as system:
        url = system.url
        await system.stop()
        async with running({"VERGEWATCH_URL": url, "VERGEWATCH_API_KEY": "key"}) as daemon:
            status, text = await daemon.get("/sd/guests")

            assert status == 503
            assert "are not known yet" in text


@pytest.mark.parametrize("change", [{"login": "basic"}, {"recovery_mode": "shadow"}])
async def test_no_target_and_no_series_of_the_vendor_vanish_at_a_reload(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    config, env = tmp_path / "vergewatch.yaml", {"STATE_DIRECTORY": str(tmp_path / "state")}
    answers: list[tuple[int, str]] = []
    pages: list[int] = []

    async def ask(daemon: Daemon) -> None:
        while True:
            answers.append(await daemon.get("/sd/guests"))
            pages.append((await daemon.get("/metrics/vendor"))[1].count("vergeos_vm_running{"))
            await REAL_TIME.sleep(0.03)

    async with simulating() as system:
        known = {"url": system.url, "api_key": system.api_key, "discovery": {"tags": True}}
        config.write_text(json.dumps(known))
        async with running(env, "--config", str(config)) as daemon:
            await daemon.until_up()
            before = await until_groups(daemon, len(running_guests(system)))
            asking = asyncio.create_task(ask(daemon))
            config.write_text(json.dumps(known | change))
            async with daemon.http.post(f"{daemon.url}/-/reload") as answer:
                assert answer.status == 200
            await REAL_TIME.sleep(1)
            asking.cancel()
            await asyncio.wait([asking])

        found = [text for status, text in answers if status == 200]
        assert {status for status, _ in answers} <= {200, 503}
        assert {frozenset(names_of(text)) for text in found} == {frozenset(before)}
        assert set(pages) == {len(list(system.world.live_vms()))}


async def test_tags_are_an_error_where_they_are_not_read() -> None:
    async with simulating() as system, running(pointing_at(system)) as daemon:
        await daemon.until_up()

        assert await daemon.get("/sd/guests?tag=team") == (
            400,
            "the parameter tag needs the tags of VMs: set discovery.tags\n",
        )


async def test_tags_of_chosen_categories_are_exported_without_recovery() -> None:
    chosen = {"VERGEWATCH_VM_TAG_CATEGORIES": '["environment"]'}
    async with simulating() as system, running({**pointing_at(system), **chosen}) as daemon:
        page = await daemon.page_where(lambda page: bool(page.get("vergewatch_vm_tag_info")))

        labels = {dict(one)["vm_name"]: dict(one) for one in page.samples["vergewatch_vm_tag_info"]}
        tags = {vm.name: system.world.tags_of(vm.key) for vm in system.world.live_vms()}
        assert {name: f"environment/{one['tag']}" for name, one in labels.items()} == {
            name: tag
            for name, all_ in tags.items()
            for tag in all_
            if tag.startswith("environment/")
        }
        assert {one["category"] for one in labels.values()} == {"environment"}
