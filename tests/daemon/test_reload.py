"""Reloads and changed files of a real daemon: what is replaced, and what stays."""

import asyncio
import json
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from exporter.simulator.api.accounts import PASSWORD, USERNAME
from tests.daemon.test_daemon import identities, self_signed
from tests.daemon_process import HASTE, REAL_TIME, Daemon, Page, running, simulating
from tests.forking import bare_environment, told

PATIENT = {"VERGEWATCH_POLL__STALE_AFTER_POLLS": "10"}
"""On a busy machine a poll may be late."""
RECOVERING = {**PATIENT, "VERGEWATCH_RECOVERY__MODE": "shadow"}
RULE = {"names": ["web-*"], "policy": "on-failure"}
WINDOW = {"start": "01:00", "hours": 1, "reason": "backup"}


async def reloaded(daemon: Daemon) -> str:
    async with daemon.http.post(daemon.url + "/-/reload") as answer:
        assert answer.status == 200
        return await answer.text()


@asynccontextmanager
async def scraped_all_the_time(daemon: Daemon, *, seconds: float) -> AsyncIterator[list[Page]]:
    """Scrape without a pause in the block and *seconds* longer."""
    pages: list[Page] = []

    async def scrape() -> None:
        while True:
            pages.append(await daemon.page())
            await REAL_TIME.sleep(0.03)

    scraping = asyncio.create_task(scrape())
    try:
        yield pages
        await REAL_TIME.sleep(seconds)
    finally:
        scraping.cancel()
        await asyncio.wait([scraping])


async def commanded(daemon: Daemon, token: str) -> int:
    asked = {"owner": "me", "reason": "test", "seconds": 1}
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{daemon.url}/api/v1/recovery/pause"
    async with daemon.http.post(url, json=asked, headers=headers) as answer:
        return answer.status


def written(path: Path, **settings: object) -> None:
    path.write_text(json.dumps(settings))  # which is YAML


CHANGES: dict[str, dict[str, object]] = {
    "a name in a rule": {"recovery": {"rules": [{**RULE, "names": ["web-*", "db-*"]}]}},
    "limits and a window": {
        "recovery": {"limits": {"max_per_day": 3}, "maintenance_windows": [WINDOW]}
    },
    "mode, interval, pages": {
        "recovery_mode": "ask",
        "poll": {"rare_seconds": 7.0},
        "api": {"page_rows": 7},
    },
    "login": {"login": "basic"},
    "recovery off": {"recovery_mode": "off"},
}
RESTARTS = ("login",)


@pytest.mark.parametrize("change", CHANGES)
async def test_no_series_vanishes_at_a_reload(tmp_path: Path, change: str) -> None:
    config = tmp_path / "vergewatch.yaml"
    async with simulating() as system:
        known = {"url": system.url, "api_key": system.api_key, "recovery": {"rules": [RULE]}}
        written(config, **known)
        env = {**RECOVERING, "STATE_DIRECTORY": str(tmp_path / "state")}
        async with running(env, "--config", str(config)) as daemon:
            await daemon.until_up()
            before = await daemon.page_where(lambda _: "recovery.started" in daemon.events())
            async with scraped_all_the_time(daemon, seconds=1.5) as pages:
                written(config, **{**known, **CHANGES[change]})
                assert "applied" in await reloaded(daemon)

            for page in pages:
                assert page.get("vergewatch_up") == [1]
                assert identities(before) <= identities(page)
            started = daemon.events().count("recovery.started")
            assert started == (2 if change in RESTARTS else 1)
            assert not {"system.lost", "recovery.disarmed"} & set(daemon.events())


async def test_page_of_a_moved_system_stays_until_the_new_address_answers(tmp_path: Path) -> None:
    config = tmp_path / "vergewatch.yaml"
    async with simulating(seed=1) as old, simulating(seed=2, vms=5) as new:
        written(config, url=old.url, api_key=old.api_key)
        # No poll fails and no rows are stale before the page is read, however busy the machine is.
        patient = {
            "VERGEWATCH_POLL__STALE_AFTER_POLLS": "20",
            "VERGEWATCH_API__TIMEOUT_SECONDS": "20",
        }
        async with running(patient, "--config", str(config)) as daemon:
            before = identities(await daemon.until_up())
            async with scraped_all_the_time(daemon, seconds=1.5) as pages:
                written(config, url=new.url, api_key=new.api_key)
                await reloaded(daemon)

            after = identities(pages[-1])
            assert len(after) < len(before)
            for page in pages:
                assert page.get("vergewatch_up") == [1]
                shown = identities(page)  # never a mixture
                assert shown <= before or shown <= after

            written(config, url="http://127.0.0.1:1", api_key="k")
            await reloaded(daemon)
            assert identities(await daemon.page()) == after
            await daemon.page_where(lambda page: page.get("vergewatch_up") == [0])
            page = await daemon.page_where(lambda page: not page.vm_names)


async def test_collector_that_is_switched_off_takes_only_its_own_series_away(
    tmp_path: Path,
) -> None:
    config = tmp_path / "vergewatch.yaml"
    async with simulating() as system:
        known = {"url": system.url, "api_key": system.api_key}
        written(config, **known)
        async with running(PATIENT, "--config", str(config)) as daemon:
            before = identities(await daemon.until_up())
            async with scraped_all_the_time(daemon, seconds=1.5) as pages:
                written(config, **known, collectors={"nics": False})
                assert await reloaded(daemon) == "reloaded\napplied collectors\n"
            after = {one for one in before if not one[0].startswith("vergewatch_vm_nic")}
            assert after < before
            assert identities(pages[-1]) == after
            assert all(after <= identities(page) for page in pages)


async def test_rotated_token_is_in_force_at_once_and_a_removed_one_refuses(tmp_path: Path) -> None:
    config, token = tmp_path / "vergewatch.yaml", tmp_path / "token"
    token.write_text("token-that-leaked\n")
    async with simulating() as system:
        known = {"url": system.url, "api_key": system.api_key}
        written(config, **known, recovery={"token_file": str(token)})
        async with running(PATIENT, "--config", str(config)) as daemon:
            assert (
                await commanded(daemon, "token-that-leaked") == 404
            )  # authorized; no system recovers
            token.write_text("token-of-today-16\n")
            assert await commanded(daemon, "token-that-leaked") == 401
            assert await commanded(daemon, "token-of-today-16") == 404
            token.unlink()
            assert await commanded(daemon, "token-of-today-16") == 403

            written(config, **known, recovery={"token": "token-in-the-settings"})
            told = await reloaded(daemon)
            assert told == "reloaded\napplied recovery.token, recovery.token_file\n"
            assert await commanded(daemon, "token-of-today-16") == 401
            assert await commanded(daemon, "token-in-the-settings") == 404
            written(config, **known)
            daemon.signal(signal.SIGHUP)
            async with asyncio.timeout(10):
                while await commanded(daemon, "token-in-the-settings") != 403:
                    await REAL_TIME.sleep(0.05)


async def test_renewed_ca_is_used_at_the_next_connection(tmp_path: Path) -> None:
    chains = []
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        chains.append(self_signed(tmp_path / name))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*chains[0])
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text(chains[0][0].read_text())
    async with simulating(ssl_context=context) as system:
        env = {
            "VERGEWATCH_URL": system.url,
            "VERGEWATCH_API_KEY": system.api_key,
            "VERGEWATCH_TLS__CA_FILE": str(ca_file),
        }
        async with running(env) as daemon:
            await daemon.until_up()
            renewed = chains[1][0].read_text()
            ca_file.write_text(renewed[: len(renewed) // 2])
            page = await daemon.page_where(
                lambda page: page.get("vergewatch_config_files_rejected") == [1]
            )
            assert page.one("vergewatch_up") == 1
            assert "holds no certificate (PEM). What it held before stays in force." in (
                await reloaded(daemon)
            )
            await system.stop()
            await system.start()  # a new connection, verified by what the file held before
            await daemon.until_up()

            await system.stop()
            context.load_cert_chain(*chains[1])
            await system.start()
            await daemon.page_where(lambda page: page.get("vergewatch_up") == [0])
            ca_file.write_text(renewed)
            await daemon.until_up()
            page = await daemon.page_where(
                lambda page: page.get("vergewatch_config_files_rejected") == [0]
            )
            assert daemon.events().count("file.rejected") == 1


@pytest.mark.parametrize("kind", ["key", "password", "basic"])
async def test_restarts_with_a_refused_secret_cost_one_login(tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("expired")
    async with simulating() as system:
        by_key = {"VERGEWATCH_API_KEY_FILE": str(secret)}
        by_password = {
            "VERGEWATCH_USERNAME": USERNAME,
            "VERGEWATCH_PASSWORD_FILE": str(secret),
            "VERGEWATCH_LOGIN": "basic" if kind == "basic" else "token",
        }
        env = {
            "VERGEWATCH_URL": system.url,
            "STATE_DIRECTORY": str(tmp_path / "state"),
            **(by_key if kind == "key" else by_password),
        }
        for _ in range(3):
            async with running(env) as daemon:
                await daemon.page_where(lambda page: page.get("vergewatch_authenticated") == [0])
        asked = len(system.requests)
        assert asked == 1

        environ = {**bare_environment(), **HASTE, **env}
        code, output = await told("check", env=environ)
        assert code == 1
        assert "not asking again for" in output
        assert len(system.requests) == asked
        code, output = await told("check", "--retry-refused", env=environ)
        assert code == 1
        assert len(system.requests) == asked + 1

        async with running(env) as daemon:
            secret.write_text(system.api_key if kind == "key" else PASSWORD)
            await daemon.until_up()
        async with running(env) as daemon:
            await daemon.until_up()
