"""52 of 1,000 VMs crash: the console says so first, everywhere, and lists exactly them."""

import asyncio
import json
from urllib.parse import urlsplit

from tests.daemon_process import REAL_TIME, Daemon, pointing_at, polls, running, simulating
from tests.web.page_text import PageText

CRASHED = 52
SHADOW = {"VERGEWATCH_POLL__FAST_SECONDS": "1", "VERGEWATCH_RECOVERY__MODE": "shadow"}


async def page_of(daemon: Daemon, path: str) -> PageText:
    status, text = await daemon.get(path)
    assert status == 200
    return PageText(text)


async def test_52_of_1000_vms_that_crash_are_the_first_line_within_one_poll() -> None:
    async with (
        simulating(vms=1000) as system,
        running({**pointing_at(system), **SHADOW}) as daemon,
    ):
        async with asyncio.timeout(60):
            while (await daemon.get("/-/ready"))[0] != 200:
                await REAL_TIME.sleep(0.2)
        await polls(system, 2)
        before = await page_of(daemon, "/")
        assert "down unexpectedly" not in before.title
        assert "1,000 VMs" in before.text
        up = [vm for vm in system.world.live_vms() if vm.machine.status.running]
        crashed = {vm.key: vm for vm in up[::3][:CRASHED]}
        for vm in crashed.values():
            system.world.crash(vm.key)
        seen = len(system.requests)

        async with asyncio.timeout(30):
            while (
                f"{CRASHED} VMs down unexpectedly" not in (page := await page_of(daemon, "/")).text
            ):
                await REAL_TIME.sleep(0.1)

        made = sum(one.path.endswith("/machine_status") for one in list(system.requests)[seen:])
        assert made <= 3  # one that was under way, the one that saw it, one while the page came
        assert page.title.startswith(f"{CRASHED} VMs down unexpectedly in ")
        assert (page.tone, page.icon.endswith("/icon-critical.svg")) == ("critical", True)
        link = next(one for one in page.links if "condition=down" in one)
        listed = await page_of(daemon, link)
        assert listed.title.startswith(f"{CRASHED} down")
        _, text = await daemon.get(f"/api/v1/vms?{urlsplit(link).query}")
        assert {one["key"] for one in json.loads(text)["vms"]} == set(crashed)
