"""The doctor of the real daemon: its metrics, its API, and what it remembers."""

import json
from pathlib import Path
from typing import Any

from exporter.simulator import Simulator
from tests.daemon_process import Daemon, Page, pointing_at, running, simulating

CHECK = "vergewatch_doctor_check"
FINDING = "vergewatch_doctor_finding"


async def document(daemon: Daemon) -> dict[str, Any]:
    """Return the results of the only system, by check."""
    status, text = await daemon.get("/api/v1/doctor")
    assert status == 200, text
    (system,) = json.loads(text)["systems"]
    return {one["check"]: one for one in system["checks"]}


def reduced(page: Page) -> bool:
    return page.get(CHECK, check="clusters", level="warning") == [1]


async def since(daemon: Daemon) -> str:
    await daemon.page_where(reduced)
    (finding,) = (await document(daemon))["clusters"]["findings"]
    return str(finding["since"])


async def test_finding_is_on_the_page_and_in_the_api_and_goes_away() -> None:
    async with simulating() as system, running(pointing_at(system)) as daemon:
        page = await daemon.until_up()
        assert page.get(CHECK, check="connectivity", level="critical") == [0]
        assert page.get(CHECK, check="vsan_journal") == []
        assert page.get(FINDING) == []

        with system.faults.on("cluster_reduced"):
            page = await daemon.page_where(reduced)
            assert page.get(FINDING, check="clusters", level="warning") == [1]
            found = (await document(daemon))["clusters"]
        assert found["result"] == "warning"
        assert found["findings"][0]["evidence"].endswith("nodes are online")
        await daemon.page_where(lambda page: page.get(FINDING) == [])


async def test_system_that_was_never_reached_has_no_connectivity() -> None:
    async with simulating() as system:
        env = {**pointing_at(system), "VERGEWATCH_NAME": "north"}
        await system.stop()
        async with running(env) as daemon:
            page = await daemon.page_where(
                lambda page: page.get(CHECK, check="connectivity", level="critical") == [1]
            )
            found = await document(daemon)

    assert page.get("vergewatch_up", system_name="north") == [0]
    assert page.get(FINDING, check="connectivity", subject="north", level="critical") == [1]
    assert found["connectivity"]["result"] == "critical"
    assert found["connectivity"]["findings"][0]["evidence"]
    assert found["clusters"]["skipped"] == "there is no connectivity"


async def test_system_that_is_lost_has_no_connectivity_and_skips_the_other_checks() -> None:
    async with simulating() as system, running(pointing_at(system)) as daemon:
        await daemon.until_up()
        await system.stop()
        page = await daemon.page_where(
            lambda page: (
                page.get(CHECK, check="connectivity", level="critical") == [1]
                and page.get(CHECK, check="clusters") == []
            )
        )
        assert page.get("vergewatch_up") == [0]

        await system.start()
        page = await daemon.until_up()
        assert page.get(CHECK, check="connectivity", level="critical") == [0]


async def test_time_of_a_finding_outlasts_a_restart(tmp_path: Path) -> None:
    async with simulating() as system:
        env = {**pointing_at(system), "STATE_DIRECTORY": str(tmp_path)}
        system.faults.turn_on("cluster_reduced")
        async with running(env) as daemon:
            first = await since(daemon)
        async with running(env) as daemon:
            assert await since(daemon) == first
            system.faults.clear()
            await daemon.page_where(lambda page: not reduced(page))
            system.faults.turn_on("cluster_reduced")
            assert await since(daemon) != first


async def test_doctor_is_switched_off_and_on_by_a_reload(tmp_path: Path) -> None:
    async with simulating() as system:
        config = tmp_path / "vergewatch.yaml"
        config.write_text(settings(system, "off"))
        async with running({}, "--config", str(config)) as daemon:
            page = await daemon.until_up()
            assert page.get(CHECK) == []
            status, text = await daemon.get("/api/v1/doctor")
            assert (status, "the doctor is off" in text) == (404, True)

            config.write_text(settings(system, "on"))
            async with daemon.http.post(f"{daemon.url}/-/reload") as answer:
                assert "applied collectors" in await answer.text()
            await daemon.page_where(lambda page: page.get(CHECK, check="clusters") == [0, 0])
            assert (await document(daemon))["clusters"]["result"] == "ok"

            config.write_text(settings(system, "off"))
            async with daemon.http.post(f"{daemon.url}/-/reload"):
                pass
            await daemon.page_where(lambda page: page.get(CHECK) == [])


def settings(system: Simulator, doctor: str) -> str:
    return f"url: {system.url}\napi_key: '{system.api_key}'\ncollectors: {{doctor: {doctor}}}\n"
