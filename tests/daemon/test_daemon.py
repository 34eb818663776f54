"""The whole of it: a real daemon, a real socket to a simulated VergeOS, and what users see."""

import asyncio
import os
import re
import signal
import socket
import ssl
import subprocess
from functools import partial
from pathlib import Path

import pytest

from tests.daemon_process import REAL_TIME, Page, pointing_at, polls, running, simulating
from tests.debian import needs
from tests.forking import bare_environment, told

MIB = 2**20


def identities(page: Page) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """Return every numeric series about VMs."""
    return {
        (name, labels)
        for name in page.vm_names
        if not name.endswith("_info")
        for labels in page.samples[name]
    }


async def test_page_shows_the_state_of_the_simulated_system() -> None:
    async with simulating() as system, running(pointing_at(system)) as daemon:
        page = await daemon.until_up()

        assert page.one("vergewatch_up") == 1
        for vm in system.world.live_vms():
            labels = {"vm_id": str(vm.key), "vm_name": vm.name}
            state = vm.machine.status
            assert page.one("vergewatch_vm_running", **labels) == state.running
            assert (
                page.one("vergewatch_vm_configured_memory_bytes", **labels)
                == vm.machine.memory_mb * MIB
            )
            assert page.get("vergewatch_vm_status_info", status=state.word, **labels) == [1]


async def test_unreachable_system_has_no_series_after_three_polls_and_returns() -> None:
    async with simulating() as system, running(pointing_at(system)) as daemon:
        before = await daemon.until_up()
        assert (await daemon.get("/-/ready"))[0] == 200

        await system.stop()
        died = REAL_TIME.monotonic()
        page = await daemon.page_where(lambda page: page.get("vergewatch_up") == [0])

        assert (
            REAL_TIME.monotonic() - died < 3 * 0.5 + 1.2
        )  # three polls, and the look once a second
        assert page.vm_names == set()
        assert page.one("process_cpu_seconds_total") > 0
        assert (await daemon.get("/-/ready"))[0] == 503
        assert (await daemon.get("/-/healthy"))[0] == 200

        await system.start()
        after = await daemon.until_up()
        assert identities(after) == identities(before)
        assert (await daemon.get("/-/ready"))[0] == 200
        assert (
            daemon.events().count("system.lost") == daemon.events().count("system.recovered") == 1
        )


async def test_migrating_vm_keeps_its_numeric_series() -> None:
    async with simulating() as system, running(pointing_at(system)) as daemon:
        vm = next(vm for vm in system.world.live_vms() if vm.machine.status.running)
        mine = ("vm_id", str(vm.key))
        first = {one for one in identities(await daemon.until_up()) if mine in one[1]}

        def keeps_its_series_and_is_on(page: Page, node: str) -> bool:
            if page.get("vergewatch_up") != [1]:
                return False  # on a slow machine a poll may be too late, and nothing is shown
            assert {one for one in identities(page) if mine in one[1]} == first
            return page.get("vergewatch_vm_info", vm_id=str(vm.key), node_name=node) == [1]

        for node in ("node5", "node4", "node5"):
            assert system.world.migrate(vm.key, node)
            await daemon.page_where(partial(keeps_its_series_and_is_on, node=node))


@pytest.mark.parametrize(
    "name", ['say "hi"', "back\\slash", "two\nlines", "emoji 🚀", "שלום עולם", "<b>html</b>", " "]
)
async def test_special_characters_in_names_are_escaped(name: str) -> None:
    async with simulating() as system:
        vm = next(iter(system.world.live_vms()))
        system.world.renames(vm.key, name)
        async with running(pointing_at(system)) as daemon:
            page = await daemon.until_up()

            assert len(page.get("vergewatch_vm_running", vm_name=name)) == 1
            assert (await daemon.get("/"))[0] == 200


async def test_rejected_key_sends_one_request_and_waits() -> None:
    async with simulating() as system:
        env = {**pointing_at(system), "VERGEWATCH_API_KEY": "wrong"}
        async with running(env) as daemon:
            await daemon.page_where(lambda page: page.get("vergewatch_authenticated") == [0])
            await REAL_TIME.sleep(2)  # four polls, if there were any

            assert len(system.requests) == 1
            page = await daemon.page()
            assert page.one("vergewatch_up") == 0
            assert page.get("vergewatch_api_requests_total", outcome="unauthorized") == [1]
            assert "system.lost" in daemon.events()


async def test_changed_key_file_is_used_without_a_restart(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("wrong\n")
    async with simulating() as system:
        env = {"VERGEWATCH_URL": system.url, "VERGEWATCH_API_KEY_FILE": str(key)}
        async with running(env) as daemon:
            await daemon.page_where(lambda page: page.get("vergewatch_authenticated") == [0])

            key.write_text(system.api_key)

            page = await daemon.until_up()
            assert page.one("vergewatch_authenticated") == 1


async def test_unreachable_system_does_not_affect_others(tmp_path: Path) -> None:
    async with (
        simulating(seed=1) as well,
        simulating(seed=2) as ill,
        simulating(seed=3) as refusing,
    ):
        config = tmp_path / "vergewatch.yaml"
        config.write_text(
            f"""
            systems:
              - {{name: well, url: "{well.url}", api_key: "{well.api_key}"}}
              - {{name: ill, url: "{ill.url}", api_key: "{ill.api_key}"}}
              - {{name: refusing, url: "{refusing.url}", api_key: wrong}}
            """
        )
        await ill.stop()
        async with running({}, "--config", str(config)) as daemon:
            page = await daemon.until_up(system_name="well")

            assert page.one("vergewatch_up", system_name="ill") == 0
            assert page.one("vergewatch_authenticated", system_name="refusing") == 0
            status, text = await daemon.get("/-/ready")
            assert status == 200
            assert "ill" in text

            await ill.start()
            await daemon.until_up(system_name="ill")
        await ill.stop()


async def test_reload_adds_and_removes_systems_without_affecting_others(tmp_path: Path) -> None:
    async with simulating(seed=1) as a, simulating(seed=2) as b:
        config = tmp_path / "vergewatch.yaml"
        one = f"systems:\n- {{name: a, url: '{a.url}', api_key: '{a.api_key}'}}\n"
        config.write_text(one)
        async with running({}, "--config", str(config)) as daemon:
            await daemon.until_up(system_name="a")
            asked = len([request for request in a.requests if request.path.endswith("settings")])

            config.write_text(one + f"- {{name: b, url: '{b.url}', api_key: '{b.api_key}'}}\n")
            async with daemon.http.post(daemon.url + "/-/reload") as answer:
                assert (answer.status, await answer.text()) == (
                    200,
                    "reloaded\napplied systems.b\n",
                )
            await daemon.until_up(system_name="b")

            config.write_text(one)
            daemon.signal(signal.SIGHUP)
            page = await daemon.page_where(
                lambda page: not page.get("vergewatch_up", system_name="b")
            )
            assert 'system_name="b"' not in page.text
            assert page.one("vergewatch_up", system_name="a") == 1
            again = len([request for request in a.requests if request.path.endswith("settings")])
            assert again == asked


async def test_reload_says_what_was_applied_and_what_needs_a_restart(tmp_path: Path) -> None:
    async with simulating() as system:
        config = tmp_path / "vergewatch.yaml"
        one = f"url: '{system.url}'\napi_key: '{system.api_key}'\n"
        config.write_text(one)
        async with running({}, "--config", str(config)) as daemon:
            config.write_text(
                f"{one}log: {{level: warning}}\nweb: {{telemetry_path: /m}}\n"
                f"recovery: {{directory: '{tmp_path}', retention_days: 30, "
                "token: another-one-of-16}\n"
            )
            async with daemon.http.post(daemon.url + "/-/reload") as answer:
                told = await answer.text()
            assert told == (
                "reloaded\napplied log.level, recovery.retention_days, recovery.token\n"
                "Restart to apply recovery.directory, web.telemetry_path.\n"
            )
            assert "Restart to apply recovery.directory" in (await daemon.get("/"))[1]
            named = [e["settings"] for e in daemon.log if e["event"] == "config.needs_restart"]
            assert named == ["recovery.directory", "web.telemetry_path"]
            asked = {"owner": "me", "reason": "test"}
            for token, status in (("another-one-of-16", 404), ("wrong", 401)):  # no system recovers
                headers = {"Authorization": f"Bearer {token}"}
                async with daemon.http.post(
                    daemon.url + "/api/v1/recovery/pause", json=asked, headers=headers
                ) as answer:
                    assert answer.status == status

            config.write_text(one)
            async with daemon.http.post(daemon.url + "/-/reload") as answer:
                told = await answer.text()
            assert told == (
                "reloaded\napplied log.level, recovery.retention_days, recovery.token\n"
            )


async def test_reload_with_an_invalid_web_configuration_changes_no_system(tmp_path: Path) -> None:
    async with simulating(seed=1) as a, simulating(seed=2) as b:
        config, web = tmp_path / "vergewatch.yaml", tmp_path / "web.yaml"
        web.write_text("{}\n")
        one = f"systems:\n- {{name: a, url: '{a.url}', api_key: '{a.api_key}'}}\n"
        config.write_text(one)
        options = ("--config", str(config), "--web.config.file", str(web))
        async with running({"VERGEWATCH_RECOVERY__MODE": "shadow"}, *options) as daemon:
            await daemon.until_up(system_name="a")
            config.write_text(one + f"- {{name: b, url: '{b.url}', api_key: '{b.api_key}'}}\n")
            web.write_text("nonsense: 1\n")

            async with daemon.http.post(daemon.url + "/-/reload") as answer:
                assert answer.status == 500

            async with daemon.http.get(daemon.url + "/api/v1/recovery") as answer:
                systems = (await answer.json())["systems"]
            assert [one["system"] for one in systems] == ["a"]


async def test_invalid_configuration_is_rejected_with_the_error(tmp_path: Path) -> None:
    async with simulating() as system:
        config = tmp_path / "vergewatch.yaml"
        config.write_text(f"url: '{system.url}'\napi_key: '{system.api_key}'\n")
        async with running({}, "--config", str(config)) as daemon:
            await daemon.until_up()
            config.write_text("url: nonsense\n")

            async with daemon.http.post(daemon.url + "/-/reload") as answer:
                assert answer.status == 500
                assert "url: is not a URL" in await answer.text()

            page = await daemon.page_where(
                lambda page: page.get("vergewatch_config_last_reload_successful") == [0]
            )
            assert page.one("vergewatch_up") == 1
            async with daemon.http.get(daemon.url + "/api/v1/recovery") as answer:
                assert "url: is not a URL" in (await answer.json())["settings_problem"]


async def test_concurrent_reloads_leave_one_poller(tmp_path: Path) -> None:
    async with simulating() as system:
        config = tmp_path / "vergewatch.yaml"
        known = f"url: '{system.url}'\napi_key: '{system.api_key}'\n"
        config.write_text(known)
        async with running({}, "--config", str(config)) as daemon:
            await daemon.until_up()
            for seconds in (301, 302, 303):
                config.write_text(known + f"poll: {{identity_seconds: {seconds}}}\n")
                daemon.signal(signal.SIGHUP)
                async with daemon.http.post(daemon.url + "/-/reload") as answer:
                    assert answer.status == 200
            page = await daemon.until_up()
            assert page.get("vergewatch_up") == [1]

            config.write_text(known)
            daemon.signal(signal.SIGHUP)
            assert await daemon.end() == 0


@pytest.mark.parametrize(
    "edit", ["1: x", "name: 2024-13-01", "secrets_dir: 5", "url: [", "[" * 9000]
)
async def test_no_configuration_change_with_sighup_ends_the_daemon(
    tmp_path: Path, edit: str
) -> None:
    async with simulating() as system:
        config = tmp_path / "vergewatch.yaml"
        known = f"url: '{system.url}'\napi_key: '{system.api_key}'\n"
        config.write_text(known)
        async with running({}, "--config", str(config)) as daemon:
            await daemon.until_up()
            config.write_text(known + edit)

            daemon.signal(signal.SIGHUP)

            await daemon.page_where(
                lambda page: page.get("vergewatch_config_last_reload_successful") == [0]
            )
            assert "config.rejected" in daemon.events()


async def test_netrc_password_is_not_sent_to_vergeos(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("default login bob password his-own\n")
    async with simulating() as system:
        async with running({**pointing_at(system), "HOME": str(tmp_path)}) as daemon:
            await daemon.until_up()

        assert {request.means for request in system.requests} <= {"key", None}


async def test_stalled_client_does_not_delay_the_shutdown() -> None:
    async with simulating(vms=800) as system, running(pointing_at(system)) as daemon:
        await daemon.until_up()
        host, port = daemon.url.removeprefix("http://").split(":")
        with socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect((host, int(port)))
            reader.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            await REAL_TIME.sleep(0.5)

            began = REAL_TIME.monotonic()
            assert await daemon.end() == 0
            assert REAL_TIME.monotonic() - began < 2


async def test_sigterm_ends_the_daemon_in_two_seconds_and_closes_the_session() -> None:
    async with simulating() as system:
        env = {
            "VERGEWATCH_URL": system.url,
            "VERGEWATCH_USERNAME": system.username,
            "VERGEWATCH_PASSWORD": system.password,
        }
        async with running(env) as daemon:
            await daemon.until_up()
            logins = [request for request in system.requests if request.method == "POST"]
            assert len(logins) == 1

            began = REAL_TIME.monotonic()
            code = await daemon.end()

            assert code == 0
            assert REAL_TIME.monotonic() - began < 2
            last = list(system.requests)[-1]
            assert (last.method, last.status) == ("DELETE", 200)
            assert last.path.startswith("/api/sys/tokens/")


async def test_sigterm_ends_the_daemon_while_the_system_hangs() -> None:
    async with simulating() as system, running(pointing_at(system)) as daemon:
        await daemon.until_up()
        system.faults.turn_on("hang")
        await polls(system, 1)

        began = REAL_TIME.monotonic()
        assert await daemon.end() == 0
        assert REAL_TIME.monotonic() - began < 2


async def test_no_secret_appears_anywhere(tmp_path: Path) -> None:
    secret = "planted-7e57-secret"
    async with simulating(api_key=secret, password=secret + "-pw") as system:
        for env in (
            {"VERGEWATCH_API_KEY": secret},
            {"VERGEWATCH_USERNAME": system.username, "VERGEWATCH_PASSWORD": secret + "-pw"},
            {"VERGEWATCH_API_KEY": secret + "-wrong"},
        ):
            whole = {"VERGEWATCH_URL": system.url, "VERGEWATCH_LOG__LEVEL": "debug", **env}
            async with running(whole) as daemon:
                await daemon.page_where(lambda page: bool(page.get("vergewatch_table_success")))
                seen = [
                    (await daemon.get(path))[1]
                    for path in ("/metrics", "/", "/data", "/-/ready", "/-/healthy", "/nowhere")
                ]
                with system.faults.on("reset"):
                    await REAL_TIME.sleep(0.6)
                daemon.signal(signal.SIGABRT)  # the worst way to go, with whatever that prints
                await daemon.process.wait()
            assert secret not in "".join([*seen, *daemon.output])


async def test_tls_certificate_of_the_system_is_verified(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    async with simulating(ssl_context=context) as system:
        for place in ("VERGEWATCH_TLS__CA_FILE", "SSL_CERT_FILE"):
            async with running({**pointing_at(system), place: str(certificate)}) as daemon:
                await daemon.until_up()

        async with running(pointing_at(system)) as daemon:
            await daemon.page_where(lambda page: bool(page.get("vergewatch_table_success")))
            status, text = await daemon.get("/-/ready")
            assert status == 503
            assert "is not trusted" in text
            assert "tls.ca_file" in text

        careless = {**pointing_at(system), "VERGEWATCH_TLS__VERIFY": "false"}
        async with running(careless) as daemon:
            await daemon.until_up()
            assert "tls.unverified" in daemon.events()


async def test_page_passes_promtool() -> None:
    promtool = needs("promtool")
    async with simulating() as system, running(pointing_at(system)) as daemon:
        page = await daemon.until_up()

    assert await output_of([promtool, "check", "metrics"], page.text) == (0, "")


async def test_schedule_over_the_request_budget_is_refused() -> None:
    code, output = await told(
        "run",
        env={
            **bare_environment(),
            "VERGEWATCH_URL": "http://127.0.0.1:1",
            "VERGEWATCH_API_KEY": "k",
            "VERGEWATCH_POLL__FAST_SECONDS": "5",
        },
    )

    assert code == 2
    assert re.search(r"polling needs \d+ requests an hour, and 850 are allowed", output)
    assert "Traceback" not in output


async def output_of(command: list[str], text: str = "", **env: str) -> tuple[int | None, str]:
    """Run *command* with *text* for input; return its exit code and all that it printed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **env},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate(text.encode())
    return process.returncode, output.decode()


def self_signed(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-out", str(certificate), "-keyout", str(key)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key
