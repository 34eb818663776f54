"""An operator at the console of a real daemon: approves an action, and silences a VM."""

import json
from pathlib import Path

from tests.alerting.real_alertmanager import alertmanagers
from tests.daemon.test_approval import APPROVED, DENIED, SETTINGS, until
from tests.daemon.test_end_to_end import actions, is_running, made
from tests.daemon_process import Daemon, pointing_at, running, simulating
from tests.web.operator import Browser, Page, browsing

TOKEN = SETTINGS["VERGEWATCH_RECOVERY__TOKEN"]


async def test_operator_approves_and_silences_on_the_console(tmp_path: Path) -> None:
    async with simulating(vms=12) as system, alertmanagers(tmp_path) as (people,):
        for name in (APPROVED, DENIED):
            system.world.untag(name, "recovery/never")
            system.world.tag(name, "recovery/auto")
        env = {
            **pointing_at(system),
            **SETTINGS,
            "VERGEWATCH_RECOVERY__DIRECTORY": str(made(tmp_path / "state")),
            "VERGEWATCH_ALERTMANAGER__URLS": json.dumps([people.url]),
        }
        async with running(env) as daemon, browsing(daemon.url) as browser:
            await until(lambda: is_active(daemon))
            await browser.log_in("anna", TOKEN)

            silenced = await browser.send(
                "/alerts", "/alerts/silence", vm=DENIED, duration="1h", reason="a new disk"
            )
            system.world.crash(DENIED)
            system.world.crash(APPROVED)
            asked = await page_with(browser, "/recovery", f"about {APPROVED}")
            number = next(
                one["value"] or "" for _, one in asked.tags if one.get("name") == "question"
            )
            answered = await browser.send(
                "/recovery", "/recovery/approve", question=number, reason="a known crash"
            )
            await until(lambda: is_running(system, APPROVED))
            held = await page_with(browser, "/recovery", "a silence mutes its alert")

    assert f"{DENIED} is silenced until" in silenced.text
    assert f"question {number} is approved; Vergewatch started it ({APPROVED})" in answered.text
    assert DENIED in held.text
    assert actions(system) == [(APPROVED, "poweron")]


async def is_active(daemon: Daemon) -> bool:
    _, text = await daemon.get("/api/v1/recovery")
    return bool(json.loads(text)["systems"][0]["readiness"] == "active")


async def page_with(browser: Browser, path: str, text: str) -> Page:
    """Open a page until it has *text*."""

    async def has() -> bool:
        return text in (await browser.open(path)).text

    await until(has)
    return await browser.open(path)
