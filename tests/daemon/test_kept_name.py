"""A system whose name cannot be read: its series, silences and recovery, with a real daemon."""

import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from exporter.simulator import Simulator
from tests.daemon.test_end_to_end import SLOW, actions, explained, reasons, until
from tests.daemon_process import REAL_TIME, Page, pointing_at, running, simulating

ENFORCE = {
    **SLOW,
    "VERGEWATCH_RECOVERY__LIMITS__CONFIRM_DOWN_SECONDS": "1",
    "VERGEWATCH_POLL__IDENTITY_SECONDS": "2",
}
VM = "web-01"


def is_named(expected: str, page: Page) -> bool:
    return system_names(page) == {expected}


def system_names(page: Page) -> set[str]:
    """Return the names of systems on all series about VMs and nodes."""
    return {
        value
        for name in page.vm_names | {"vergewatch_node_info", "vergewatch_cluster_info"}
        for labels in page.samples.get(name, {})
        for label, value in labels
        if label == "system_name"
    }


async def test_restart_while_only_the_settings_fail_keeps_all_names(tmp_path: Path) -> None:
    state = {"STATE_DIRECTORY": str(tmp_path)}
    async with simulating() as system:
        env = {**pointing_at(system), **state}
        async with running(env) as daemon:
            before = await daemon.until_up()
        system.faults.turn_on("status", path="settings", code=503)
        async with running(env) as daemon:
            after = await daemon.page_where(lambda page: page.get("vergewatch_up") == [1])

        assert system_names(before) == system_names(after) == {system.world.system_name}
        assert after.one("vergewatch_system_name_known") == 1


async def test_first_start_while_the_settings_fail_exports_no_vm_and_says_so() -> None:
    async with enrolling() as system:
        system.faults.turn_on("status", path="settings", code=503)
        async with running({**pointing_at(system), **ENFORCE}) as daemon:
            page = await daemon.page_where(
                lambda page: page.get("vergewatch_table_success", table="vms") == [1]
            )
            host = system.url.removeprefix("http://")
            assert page.get("vergewatch_up", system_name=host) == [0]
            assert page.get("vergewatch_system_name_known", system_name=host) == [0]
            assert system_names(page) == set()
            status, text = await daemon.get("/-/ready")
            assert status == 503
            assert f"{host}: waiting for its name" in text
            assert "/api/v4/settings" in text

            system.world.crash(VM)
            await REAL_TIME.sleep(5)
            _, text = await daemon.get("/api/v1/recovery")
            assert "the name of the system is not known yet" in text
            assert actions(system) == []
            assert "system.name_unknown" in daemon.events()

            system.faults.turn_off("status")
            page = await daemon.until_up()
            assert system_names(page) == {system.world.system_name}
            assert page.get("vergewatch_up") == [1]


@pytest.mark.parametrize("code", [503, 403])
async def test_series_that_a_cluster_identifies_wait_for_its_name(code: int) -> None:
    async with simulating() as system:
        system.faults.turn_on("status", path="clusters", code=code)
        async with running(pointing_at(system)) as daemon:
            before = clusters(await daemon.until_up())
            if code == 403:  # no name is to be expected, and these stay
                assert before == {"cluster_1", "cluster_2"}
                return
            assert before == set()

            system.faults.turn_off("status")
            names = {cluster.name for cluster in system.world.clusters.values()}
            await daemon.page_where(lambda page: clusters(page) == names)


def clusters(page: Page) -> set[str]:
    """Return the names of the clusters that identify series."""
    return {
        value
        for name in ("vergewatch_cluster_vms", "vergewatch_cluster_tier_capacity_bytes")
        for labels in page.samples.get(name, {})
        for label, value in labels
        if label == "cluster_name"
    }


async def test_key_that_may_not_read_the_settings_names_the_system_by_its_host(
    tmp_path: Path,
) -> None:
    state = {"STATE_DIRECTORY": str(tmp_path)}
    async with simulating() as system:
        host = system.url.removeprefix("http://")
        for code in (403, 503):  # 503: what was found out is remembered
            system.faults.turn_on("status", path="settings", code=code)
            async with running({**pointing_at(system), **state}) as daemon:
                assert system_names(await daemon.until_up()) == {host}


async def test_silence_of_the_name_holds_after_a_restart_without_settings(tmp_path: Path) -> None:
    state = {"STATE_DIRECTORY": str(tmp_path)}
    async with enrolling() as system, silencing(system.world.system_name) as alertmanager:
        env = {**pointing_at(system), **ENFORCE, **state}
        env["VERGEWATCH_ALERTMANAGER__URLS"] = json.dumps([alertmanager])
        async with running(env) as daemon:
            await daemon.until_up()
        system.faults.turn_on("status", path="settings", code=503)
        async with running(env) as daemon:
            await crash_is_held_by_the_silence(system, daemon)


async def test_silence_of_the_former_name_holds_after_a_rename(tmp_path: Path) -> None:
    async with enrolling() as system, silencing(system.world.system_name) as alertmanager:
        env = {**pointing_at(system), **ENFORCE, "STATE_DIRECTORY": str(tmp_path)}
        env["VERGEWATCH_ALERTMANAGER__URLS"] = json.dumps([alertmanager])
        async with running(env) as daemon:
            await daemon.until_up()
            system.world.system_name = "nordwolke"
            page = await daemon.page_where(lambda page: system_names(page) == {"nordwolke"})
            assert page.get("vergewatch_up") == [1]
            await until(lambda: daemon.events().count("system.renamed") == 1)
            await crash_is_held_by_the_silence(system, daemon)


async def crash_is_held_by_the_silence(system: Simulator, daemon: Any) -> None:
    ready = "vergewatch_recovery_ready"
    await daemon.page_where(lambda page: page.get(ready) == [1])
    system.world.crash(VM)
    await until(lambda: "not_silenced" in reasons(daemon, VM))
    said = await explained(daemon, VM)
    guard = next(one for one in said["guards"] if one["guard"] == "not_silenced")
    assert "alice" in guard["detail"]
    await REAL_TIME.sleep(3)
    assert actions(system) == []


@asynccontextmanager
async def enrolling() -> AsyncIterator[Simulator]:
    """Run a simulator in which `VM` is restarted after a crash."""
    async with simulating(vms=12) as system:
        system.world.untag(VM, "recovery/never")
        system.world.tag(VM, "recovery/auto")
        yield system


@asynccontextmanager
async def silencing(system_name: str) -> AsyncIterator[str]:
    """Run an Alertmanager that silences every alert of a system; yield its URL."""
    now = REAL_TIME.now()
    silence = {
        "id": "1",
        "status": {"state": "active"},
        "matchers": [
            {"name": "system_name", "value": system_name, "isRegex": False, "isEqual": True}
        ],
        "startsAt": (now - timedelta(hours=1)).isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "updatedAt": now.isoformat(),
        "createdBy": "alice",
        "comment": "a new disk",
    }

    async def silences(_: web.Request) -> web.Response:
        return web.json_response([silence])

    app = web.Application()
    app.router.add_get("/api/v2/silences", silences)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_reload_with_another_name_moves_all_series_at_once(tmp_path: Path) -> None:
    config = tmp_path / "vergewatch.yaml"
    async with simulating() as system:

        def configure(**name: str) -> None:
            one = {"url": system.url, "api_key": system.api_key, **name}
            config.write_text(json.dumps({"systems": [one]}))

        configure(name="mine")
        async with running({}, "--config", str(config)) as daemon:
            assert system_names(await daemon.until_up()) == {"mine"}
            for name in ({"name": "ours"}, {}):
                configure(**name)
                daemon.signal(signal.SIGHUP)
                expected = name.get("name", system.world.system_name)
                page = await daemon.page_where(partial(is_named, expected))
                assert {
                    dict(labels)["system_name"] for labels in page.samples["vergewatch_up"]
                } == {expected}
