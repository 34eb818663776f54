"""A login that was repaired in VergeOS is tried at once, but never more than once a minute."""

import os
import signal
from pathlib import Path

import pytest

from exporter.simulator import Simulator
from tests.daemon.test_reload import reloaded
from tests.daemon_process import HASTE, REAL_TIME, Daemon, Page, running, simulating
from tests.forking import bare_environment, told

TOKEN = "token-of-the-operator"


def refused(page: Page) -> bool:
    return page.get("vergewatch_authenticated") == [0]


def settings(system: Simulator, tmp_path: Path) -> dict[str, str]:
    secret = tmp_path / "key"
    secret.write_text(system.api_key)
    return {
        "VERGEWATCH_URL": system.url,
        "VERGEWATCH_NAME": "lab",
        "VERGEWATCH_API_KEY_FILE": str(secret),
        "VERGEWATCH_RECOVERY__TOKEN": TOKEN,
        "STATE_DIRECTORY": str(tmp_path / "state"),
    }


async def refuse(daemon: Daemon, system: Simulator) -> int:
    """Let *system* refuse the key; return how many requests it has received."""
    system.accounts.revoke(system.api_key)
    await daemon.page_where(refused)
    return len(system.requests)


def forget_the_last_attempt(tmp_path: Path) -> None:
    """Let the stored refusal be more than a minute old, as if the tests had waited."""
    for file in (tmp_path / "state").rglob("*.refused-poll.json"):
        text = file.read_text()
        file.write_text(text.replace('"at":', '"at":0.0,"was":'))


async def retry(daemon: Daemon, system: str = "lab", **env: str) -> tuple[int, str]:
    environ = {**bare_environment(), "VERGEWATCH_RECOVERY__TOKEN": TOKEN, **env}
    return await told("retry", system, "--url", daemon.url, env=environ)


@pytest.mark.parametrize("by", ["reload", "signal", "touch", "rewrite", "command"])
async def test_repaired_key_is_accepted_at_once(tmp_path: Path, by: str) -> None:
    async with simulating() as system, running(settings(system, tmp_path)) as daemon:
        await daemon.until_up()
        await refuse(daemon, system)
        forget_the_last_attempt(tmp_path)
        system.accounts.restore(system.api_key)
        await REAL_TIME.sleep(1)
        assert refused(await daemon.page())

        match by:
            case "reload":
                await reloaded(daemon)
            case "signal":
                daemon.signal(signal.SIGHUP)
            case "touch":
                (tmp_path / "key").touch()
            case "rewrite":
                (tmp_path / "key").write_text(f"{system.api_key}\n")
            case "command":
                code, output = await retry(daemon)
                assert (code, output) == (0, "lab: the credentials are tried again now\n")
        await daemon.until_up()
        assert (await retry(daemon))[1].startswith("lab: nothing to try again")


async def test_ten_reloads_make_one_login_attempt(tmp_path: Path) -> None:
    async with simulating() as system, running(settings(system, tmp_path)) as daemon:
        await daemon.until_up()
        asked = await refuse(daemon, system)
        forget_the_last_attempt(tmp_path)
        for _ in range(10):
            daemon.signal(signal.SIGHUP)
            await REAL_TIME.sleep(0.2)
        assert len(system.requests) == asked + 1

        code, output = await retry(daemon)
        assert code == 0
        assert "they are tried again in" in output
        os.utime(tmp_path / "key")
        await REAL_TIME.sleep(1)
        assert len(system.requests) == asked + 1


async def test_written_secret_is_tried_before_the_next_poll(tmp_path: Path) -> None:
    async with simulating() as system:
        rarely = (f"VERGEWATCH_POLL__{name}_SECONDS" for name in ("FAST", "SLOW", "INVENTORY"))
        env = {**settings(system, tmp_path), **dict.fromkeys(rarely, "600")}
        (tmp_path / "key").write_text("a wrong key")
        async with running(env) as daemon:
            await daemon.page_where(refused)
            (tmp_path / "key").write_text(system.api_key)
            await daemon.page_where(lambda page: page.get("vergewatch_authenticated") == [1])


async def test_retry_needs_the_token_and_a_known_system(tmp_path: Path) -> None:
    async with simulating() as system, running(settings(system, tmp_path)) as daemon:
        await daemon.until_up()
        assert await retry(daemon, "other") == (
            2,
            "vergewatch: no system is named 'other'; known are lab\n",
        )
        code, output = await retry(daemon, VERGEWATCH_RECOVERY__TOKEN="wrong")
        assert code == 2
        assert "refuses the token" in output
        url = f"{daemon.url}/api/v1/systems/lab/retry"
        async with daemon.http.post(url, json={}) as answer:
            assert answer.status == 401
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        async with daemon.http.post(url, data=b"{}", headers=bearer) as answer:
            assert answer.status == 415
        async with daemon.http.post(url, json={}, headers=bearer) as answer:
            assert await answer.json() == {"system": "lab", "refused": False, "in_seconds": None}
        assert HASTE["VERGEWATCH_RECOVERY__MODE"] == "off"
