"""The command line, as a person meets it: what it prints, and how it ends."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from exporter.daemon.system_memory import SystemMemory
from tests.daemon_process import PATIENCE_SECONDS, REAL_TIME, pointing_at, simulating
from tests.forking import ForkedCommand, bare_environment, start_command
from tests.real_prometheus import prometheus
from tests.web.test_middleware import hashed

CONFIRM = 'max_over_time(up{vm="{{vm}}"}[{{window}}]) == bool 0'


async def start(*args: str, **env: str) -> ForkedCommand:
    return await start_command(*args, env={**bare_environment(), "COLUMNS": "120", **env})


async def ran(*args: str, **env: str) -> tuple[int | None, str, str]:
    """Return the exit code, what was printed, and what was complained of."""
    return await outcome(await start(*args, **env))


async def outcome(
    process: ForkedCommand | asyncio.subprocess.Process,
) -> tuple[int | None, str, str]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def printing(*args: str, until: str, **env: str) -> AsyncIterator[list[str]]:
    """Run a command that goes on for ever, from when it has printed *until*; end it with Ctrl-C."""
    process = await start(*args, **env)
    lines: list[str] = []
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for line in process.stdout:
            lines.append(line.decode())
            if until in lines[-1]:
                break
    yield lines
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await process.communicate()
    assert process.returncode == 0


async def test_check_prints_the_tables_and_the_requests_per_hour() -> None:
    async with simulating() as system:
        code, out, err = await ran("check", **pointing_at(system))

        assert (code, err) == (0, "")
        assert "northwind" in out
        assert "26.1" in out
        for table in ("vms", "machine_status", "machine_drive_stats", "machine_snapshots"):
            assert table in out
        assert re.search(r"\b[1-9]\d\d of 1000 requests per hour; this check sent \d\d", out)


async def test_check_plans_the_pages_that_the_tables_need_and_the_logs_of_recovery() -> None:
    async with simulating() as system:
        _, whole, _ = await ran("check", VERGEWATCH_RECOVERY__MODE="off", **pointing_at(system))
        _, recovery, _ = await ran("check", **pointing_at(system))
        paged = pointing_at(system) | {"VERGEWATCH_API__PAGE_ROWS": "1000"}
        _, large, _ = await ran("check", VERGEWATCH_RECOVERY__MODE="off", **paged)
        paged["VERGEWATCH_API__PAGE_ROWS"] = "12"
        code, small, _ = await ran("check", VERGEWATCH_RECOVERY__MODE="off", **paged)

    assert 0.97 * planned(whole) < planned(large) <= planned(whole)  # a start costs twice as much
    assert planned(recovery) == planned(whole) + 12 + 60  # tags, and both logs every other minute
    assert code == 1
    assert re.search(r"requests of a poll, where more than one: .*\bvms 2", " ".join(small.split()))
    assert "too many requests: the daemon polls " in small
    assert planned(small) <= 850


async def test_check_shows_which_intervals_are_stretched_and_by_how_much() -> None:
    few = {"VERGEWATCH_API__REQUESTS_PER_HOUR": "400", "VERGEWATCH_POLL__FAST_SECONDS": "30"}
    async with simulating() as system:
        _, enough, _ = await ran("check", **pointing_at(system))
        code, short, _ = await ran("check", **few, **pointing_at(system))

    assert code == 0
    assert "WANTED" not in enough
    header, *lines = [
        line.split() for line in short.splitlines() if "TABLE" in line or " s " in line
    ]
    assert header[:4] == ["TABLE", "EVERY", "WANTED", "ROWS"]
    intervals = {line[0]: (float(line[1]), float(line[3])) for line in lines if line[2] == "s"}
    assert {intervals["vms"], intervals["machine_status"]} == {(30.0, 30.0)}
    stretched = {table for table, (every, wanted) in intervals.items() if every > wanted}
    assert {"certificates", "machine_nics", "vnets"} <= stretched
    assert planned(short) <= 400


def planned(out: str) -> int:
    found = re.search(r"(\d+) of \d+ requests per hour", out)
    assert found is not None
    return int(found[1])


async def test_check_counts_its_requests_with_those_of_the_daemon(tmp_path: Path) -> None:
    state = {"VERGEWATCH_RECOVERY__DIRECTORY": str(tmp_path)}
    async with simulating() as system:
        alone = await ran("check", **state, **pointing_at(system))
        (tmp_path / "systems").mkdir()

        beside = await ran("check", **state, **pointing_at(system))

    (memory,) = (tmp_path / "systems").iterdir()
    sent = re.search(r"this check sent (\d+), which the daemon counts", beside[1])
    assert "which the daemon counts" not in alone[1]  # no daemon has been there
    assert sent is not None
    assert sum(map(sum, json.loads(memory.read_text())["requests"].values())) == int(sent[1])
    assert int(sent[1]) == len(system.requests) / 2


@pytest.mark.parametrize("waits_already", [False, True])
async def test_check_reports_that_the_system_asked_to_wait(
    tmp_path: Path, waits_already: bool
) -> None:
    state = {"VERGEWATCH_RECOVERY__DIRECTORY": str(tmp_path)}
    (tmp_path / "systems").mkdir()
    async with simulating() as system:
        system.faults.turn_on("status", code=429)
        if waits_already:
            until = REAL_TIME.now().timestamp() + 600
            because = "/api/v4/settings answered 429"
            SystemMemory(tmp_path, system.url).remember(wait_until=until, wait_because=because)

        code, out, _ = await ran("check", **state, **pointing_at(system))

    assert code == 1
    assert len(system.requests) == (0 if waits_already else 1)
    assert "VergeOS asked to wait (/api/v4/settings answered 429)" in " ".join(out.split())


async def test_check_reports_unreadable_tables() -> None:
    async with simulating() as system:
        system.faults.turn_on("status", path="machine_drive_stats", code=403, text="No permission")

        code, out, _ = await ran("check", **pointing_at(system))

        assert code == 0
        assert "/api/v4/machine_drive_stats answered 403 (No permission): this user may not" in out


async def test_check_ends_at_the_second_table_in_a_row_without_an_answer() -> None:
    async with simulating() as system:
        system.faults.turn_on("hang", path="/api/v4/tenant*")  # five tables in a row
        env = {"VERGEWATCH_RECOVERY__MODE": "off", **pointing_at(system)}
        env["VERGEWATCH_API__TIMEOUT_SECONDS"] = "1"

        code, out, _ = await ran("check", "--json", **env)

    (checked,) = json.loads(out)["systems"]
    assert code == 1
    assert "tenant_stats" in checked["problem"]
    assert "alarms" not in {one["table"] for one in checked["tables"]}


@pytest.mark.parametrize(("path", "code"), [("machine_drive_stats", 0), ("machine_status", 1)])
async def test_check_ends_at_a_table_without_an_answer_only_if_it_is_essential(
    path: str, code: int
) -> None:
    async with simulating() as system:
        system.faults.turn_on("hang", path=path)
        env = {"VERGEWATCH_RECOVERY__MODE": "off", **pointing_at(system)}
        env["VERGEWATCH_API__TIMEOUT_SECONDS"] = "2"

        found, out, _ = await ran("check", "--json", **env)

    (checked,) = json.loads(out)["systems"]
    read = {one["table"]: one for one in checked["tables"]}
    assert found == code
    assert bool(checked["problem"]) is bool(code)
    if not code:
        assert read[path]["problem"]
        assert read[path]["rows"] is None
        assert {"vms", "machine_status", "nodes"} <= read.keys()


@pytest.mark.parametrize(
    ("fault", "settings"),
    [
        ("status", {"code": 403, "text": "Permission denied"}),
        ("empty_list", {}),
        ("missing_key", {"share": 1.0}),
    ],
)
@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("nodes", "recovery cannot start any VM without the table nodes"),
        ("tag_members", "recovery cannot start any VM without the table tags"),
        ("machine_logs", "recovery cannot start any VM without the log machine_logs"),
        ("logs", "recovery cannot start any VM without the log logs"),
    ],
)
async def test_check_fails_without_an_input_of_recovery(
    path: str, says: str, fault: str, settings: dict[str, Any]
) -> None:
    if (path, fault) == ("tag_members", "empty_list"):
        pytest.skip("a system may have no tags")
    async with simulating() as system:
        system.faults.turn_on(fault, path=path, **settings)

        code, out, _ = await ran("check", **pointing_at(system))
        without_recovery: int | None = 0
        if fault == "status":
            without_recovery, _, _ = await ran(
                "check", VERGEWATCH_RECOVERY__MODE="off", **pointing_at(system)
            )

    assert (code, without_recovery) == (1, 0)
    assert says in out


@pytest.mark.parametrize("fault", ["status", "empty_list"])
@pytest.mark.parametrize(
    ("table", "guard"),
    [("cluster_tiers", "storage_available"), ("update_settings", "no_platform_update")],
)
async def test_check_tells_of_a_table_without_which_a_guard_holds_no_vm(
    table: str, guard: str, fault: str
) -> None:
    async with simulating() as system:
        options: dict[str, Any] = {"code": 403} if fault == "status" else {}
        system.faults.turn_on(fault, path=table, **options)

        code, out, _ = await ran("check", **pointing_at(system))

    assert code == 0
    assert f"no rows, or hidden from this user: the guard {guard} holds no VM" in out


@pytest.mark.parametrize(
    ("fault", "settings", "says"),
    [
        ("reject_key", {}, "the credentials are refused"),
        ("html", {"path": "vms"}, "answered with HTML instead of JSON"),
        ("status", {"path": "machine_status", "code": 500}, "answered 500"),
    ],
)
async def test_check_fails_without_an_inventory(
    fault: str, settings: dict[str, Any], says: str
) -> None:
    async with simulating() as system:
        system.faults.turn_on(fault, **settings)

        code, out, _ = await ran("check", **pointing_at(system))

        assert code == 1
        assert "no inventory:" in out
        assert says in out


@pytest.mark.parametrize(
    ("code", "remembered", "settings", "says"),
    [
        (503, "", {}, "the name of the system cannot be read"),
        (503, "", {"VERGEWATCH_NAME": "mine"}, "mine"),
        (503, "prod", {}, "the last known one is used"),
        (403, "", {}, "the host is used, as no name is set"),
        (403, "prod", {}, "the last known one is used"),
    ],
)
async def test_check_says_which_name_the_daemon_would_use(
    tmp_path: Path, code: int, remembered: str, settings: dict[str, str], says: str
) -> None:
    async with simulating() as system:
        system.faults.turn_on("status", path="settings", code=code)
        if remembered:
            SystemMemory(tmp_path, system.url).remember(system_name=remembered)
        state = {"VERGEWATCH_RECOVERY__DIRECTORY": str(tmp_path)}

        result, out, _ = await ran("check", **pointing_at(system), **state, **settings)

    text = " ".join(out.split())
    assert says in text
    waits = code == 503 and not remembered and not settings
    assert ("no inventory:" in text) is waits
    assert result == int(waits)


async def test_check_prints_enrolled_vms_and_the_kill_switch(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("token-of-this-test")
    config = tmp_path / "vergewatch.yaml"
    async with simulating() as system:
        config.write_text(f"""
            systems: [{{name: production, url: {system.url}, api_key: {system.api_key}}}]
            recovery:
              mode: enforce
              directory: {tmp_path}
              token_file: {token}
              rules:
              - {{names: "*", policy: "on-failure", on_hang: power-cycle}}
              - {{names: "[dbx]*", policy: "no"}}
        """)
        code, out, err = await ran("check", "--config", str(config))
        _, listed, _ = await ran("check", "--enrolled", "--config", str(config))

    assert (code, err) == (0, "")
    assert "production  VergeOS" in out
    assert "recovery  mode enforce, " in out
    assert "by recovery.rules[0]" in out
    assert re.search(r"  recovery.rules\[1\] +0 +0 +names \[dbx\]\*; policy no *\n", out)
    assert 'recovery.rules[1] fits no VM: no VM name fits "[dbx]*" (brackets stand' in out
    assert re.search(r"\n  VM +KEY +POLICY +ENROLLED BY *\n", listed)
    rows = re.findall(r"\n +\S+ +[0-9]+ +on-failure +(?:recovery\.rules\[0\]|tag \S+)", listed)
    assert len(rows) == int(re.findall(r"mode enforce, (\d+) of", out)[0])
    assert "ENROLLED BY" not in out
    assert "recovery.own_user is not set: if the response to a kill is lost" in out
    assert "recovery.own_user is not set: a second instance" in out
    assert "commands need the token" in out
    assert f"kill switch: touch {tmp_path}/kill-switch" in out


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("recovery: {token_file: /nowhere}", "recovery.token_file: the secret in /nowhere cannot"),
        ("recovery: {directory: /dev/null/x}", "recovery.directory: /dev/null/x cannot be written"),
        ("recovery: {directory: /proc/x}", "recovery.directory: /proc/x cannot be written"),
        ("action_api_key: nonsense", "action_api_key: /api/v4/vms answered 401"),
        ("action_api_key_file: /nowhere", "action_api_key: the secret in /nowhere cannot be read"),
        ("alertmanager: {urls: ['http://127.0.0.1:1']}", "http://127.0.0.1:1: cannot connect"),
        (
            f"recovery: {{confirm: {{url: 'http://127.0.0.1:1', query: '{CONFIRM}'}}}}",
            "http://127.0.0.1:1: cannot connect",
        ),
    ],
)
async def test_check_fails_on_recovery_or_alerting_errors(
    tmp_path: Path, setting: str, says: str
) -> None:
    config = tmp_path / "vergewatch.yaml"
    async with simulating() as system:
        config.write_text(f"url: {system.url}\napi_key: {system.api_key}\n{setting}\n")

        code, out, err = await ran("check", "--config", str(config))

    assert code == 1
    assert says in out
    assert "Traceback" not in out + err


async def test_check_sends_the_queries_of_recovery_to_prometheus(tmp_path: Path) -> None:
    wrong = 'max_over_time(up{vm="{{vm}}"}[{{window}}]) ==='
    confirm = {"url": "", "query": CONFIRM, "rules": [{"names": "db-*", "query": wrong}]}
    async with simulating() as system, prometheus(tmp_path, {}) as server:
        confirm["url"] = server.url
        env = pointing_at(system)
        failing = await ran("check", **env, VERGEWATCH_RECOVERY__CONFIRM=json.dumps(confirm))
        confirm["rules"] = []
        passing = await ran("check", **env, VERGEWATCH_RECOVERY__CONFIRM=json.dumps(confirm))

    assert failing[0] == 1
    assert "parse error" in failing[1]
    assert f"recovery.confirm {server.url} ok" in passing[1]


async def test_check_reads_the_web_files(tmp_path: Path) -> None:
    tls = tmp_path / "web.yaml"
    tls.write_text("tls_server_config: {cert_file: nope.pem, key_file: nope.key}\n")
    config = tmp_path / "vergewatch.yaml"
    config.write_text(f"url: https://v\napi_key: k\nweb: {{config_file: {tls}}}\n")

    code, out, err = await ran("check", "--config", str(config))

    assert code not in (0, 1)
    assert "nope.pem" in out + err
    assert "Traceback" not in out + err


@pytest.mark.parametrize("more", [(), ("--offline",)])
async def test_check_names_an_operator_who_is_no_user(
    tmp_path: Path, more: tuple[str, ...]
) -> None:
    users = tmp_path / "web.yaml"
    users.write_text(f"basic_auth_users: {{anna: {hashed('secret')}}}\n")
    config = tmp_path / "vergewatch.yaml"
    config.write_text(
        f"url: https://v\napi_key: k\nweb: {{config_file: {users}, operators: [ana]}}\n"
    )

    code, _, err = await ran("check", "--config", str(config), *more)

    assert code not in (0, 1)
    assert "web.operators: 'ana'" in err
    assert str(users) in err
    assert "anna" in err


async def test_empty_token_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "vergewatch.yaml"
    config.write_text("url: https://v\napi_key: k\nrecovery: {token: ''}\n")

    _, out, err = await ran("check", "--config", str(config))

    assert "recovery.token: is empty" in out + err


async def test_check_without_systems_prints_one_line() -> None:
    code, out, err = await ran("check", VERGEWATCH_URL="http://127.0.0.1:1", VERGEWATCH_API_KEY="k")

    assert code == 1
    assert "cannot connect to 127.0.0.1:1" in out
    assert "Traceback" not in out + err


async def test_check_reports_unused_variables() -> None:
    async with simulating() as system:
        _, _, err = await ran("check", **pointing_at(system), VERGEWATCH_POL__FAST_SECONDS="3")

        assert "did you mean VERGEWATCH_POLL__FAST_SECONDS?" in err


@pytest.mark.parametrize(
    ("args", "env", "says"),
    [
        (["run"], {}, "vergewatch: no VergeOS system configured"),
        (["run", "--config", "/nowhere.yaml"], {}, "/nowhere.yaml cannot be read: No such file"),
        (
            ["run", "--log.level", "loud"],
            {"VERGEWATCH_URL": "https://v"},
            "log.level: input should",
        ),
        (["run", "--bogus"], {}, "No such option"),
        (["bogus"], {}, "No such command"),
        (["simulate", "--fault", "latncy"], {}, "did you mean 'latency'?"),
        (["simulate", "--fault", "latency:seconds"], {}, "'seconds' is not key=value"),
        (["simulate", "--scenario", "qiet"], {}, "did you mean 'quiet'?"),
        (["simulate", "--listen", "8000"], {}, "has no port"),
        (["demo", "--vms", "0"], {}, "--vms"),
    ],
)
async def test_usage_error_prints_one_line_and_exits_with_2(
    args: list[str], env: dict[str, str], says: str
) -> None:
    code, out, err = await ran(*args, **env)

    assert code == 2
    assert says in out + err
    assert "Traceback" not in out + err


async def test_address_in_use_is_reported() -> None:
    async with simulating() as system:
        taken = system.url.removeprefix("http://")

        code, _, err = await ran("run", "--web.listen-address", taken, **pointing_at(system))

        assert code == 1  # and worth another try, unlike what a person has to mend
        assert err.splitlines()[-1].startswith(f"vergewatch: cannot listen on {taken}: Address")
        assert "Traceback" not in err


async def test_metrics_prints_the_catalogue() -> None:
    code, out, _ = await ran("metrics")

    assert code == 0
    assert "vergewatch_vm_running{system_name, vm_id, vm_name} gauge" in out


async def test_settings_prints_the_settings() -> None:
    code, out, _ = await ran("settings")

    assert code == 0
    assert "`VERGEWATCH_POLL__FAST_SECONDS`" in out


async def test_version_prints_the_version() -> None:
    code, out, _ = await ran("--version")

    assert (code, out.split()[0]) == (0, "vergewatch")


async def test_simulate_serves_an_api_with_fault_control() -> None:
    listen = ("--listen", "127.0.0.1:0", "--vms", "10", "--fault", "status:code=503,path=nodes")
    async with (
        printing("simulate", *listen, until="all calls", VERGEWATCH_SIMULATOR_API_KEY="k") as lines,
        aiohttp.ClientSession(headers={"Authorization": "Bearer k"}) as http,
    ):
        url = lines[0].split()[-1]
        async with http.get(f"{url}/api/v4/vms") as answer:
            assert answer.status == 200
        async with http.get(f"{url}/api/v4/nodes") as answer:
            assert answer.status == 503
        async with http.delete(f"{url}/simulator/faults/status") as answer:
            assert answer.status == 200
        async with http.get(f"{url}/api/v4/nodes") as answer:
            assert answer.status == 200


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
async def test_simulate_with_tls_prints_the_certificate_that_its_clients_trust() -> None:
    listen = ("--listen", "127.0.0.1:0", "--vms", "10", "--tls")
    async with printing("simulate", *listen, until="all calls") as lines:
        url = lines[0].split()[-1]
        trusted = Path(next(line for line in lines if "trust" in line).split()[1].rstrip(","))
        context = ssl.create_default_context(cafile=str(trusted))
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{url}/version.json", ssl=context) as answer:
                assert answer.status == 200
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await http.get(f"{url}/version.json")

    assert url.startswith("https://")
    assert f"curl --cacert {trusted}" in lines[-1]
    assert not trusted.exists()  # noqa: ASYNC240


async def test_simulate_with_tls_needs_openssl() -> None:
    code, _, err = await ran("simulate", "--listen", "127.0.0.1:0", "--tls", PATH="")

    assert code == 2
    assert "openssl: install it" in err


UNREACHABLE = "http://127.0.0.1:1"


async def test_demo_exports_a_simulated_system() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    async with (
        printing(
            *("demo", "--vms", "10", "--web.listen-address", address),
            *("--alertmanager", UNREACHABLE),
            until="Ctrl-C",
        ) as lines,
        aiohttp.ClientSession() as http,
    ):
        assert any("meadowlark" in line for line in lines)
        assert any(" python -m exporter explain " in line for line in lines)
        text = ""
        for _ in range(int(PATIENCE_SECONDS / 0.1)):
            await REAL_TIME.sleep(0.1)
            try:
                async with http.get(f"http://{address}/metrics") as answer:
                    text = await answer.text()
            except aiohttp.ClientError:
                continue
            if "vergewatch_vm_running{" in text and "vergewatch_alertmanager_up{" in text:
                break
        assert 'vergewatch_up{system_name="meadowlark"} 1.0' in text
        assert f'vergewatch_alertmanager_up{{alertmanager="{UNREACHABLE}"}} 0.0' in text


HEAVY = ("aiohttp.web", "alembic", "exporter.daemon.app", "exporter.simulator", "sqlalchemy")


@pytest.mark.parametrize(
    ("imports", "absent"),
    [
        ("import exporter.cli.main", (*HEAVY, "aiohttp", "pydantic")),
        ("import exporter.cli.main as m; m.full_command()", ("alembic", "exporter.simulator")),
        (
            (
                "import exporter.cli.run as r; r._import_structlog_alone(); "
                "import exporter.daemon.app, exporter.config.loader, exporter.logs"
            ),
            (
                *("alembic", "bcrypt", "exporter.cli.recovery", "exporter.simulator"),
                *(
                    "exporter.recovery.engine",
                    "exporter.vendor.registry",
                    "exporter.web.tls",
                    "greenlet",
                    "jinja2",
                    "rich",
                    "sqlalchemy",
                    "tenacity",
                    "typer",
                    "yaml",
                ),
            ),
        ),
        (
            # in shadow; 10 MiB less than with these
            "import exporter.daemon.app, exporter.journal.journal, sqlalchemy.dialects.sqlite",
            ("alembic", "re2", "sqlalchemy.dialects.postgresql", "sqlalchemy.orm"),
        ),
        ("import exporter.cli.check", ("alembic", "exporter.simulator", "sqlalchemy")),
    ],
)
async def test_command_does_not_import_modules_it_does_not_use(
    imports: str, absent: tuple[str, ...]
) -> None:
    code = f"import sys; {imports}; print(*({absent!r} & sys.modules.keys()))".replace(
        f"{absent!r}", f"set({absent!r})"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()

    assert (process.returncode, out.split()) == (0, [])


async def test_daemon_loads_certificates_only_when_a_server_needs_them() -> None:
    code = (
        "import exporter.cli.run as r; r._import_aiohttp_without_certificates(); "
        "import ssl; from aiohttp import connector; from exporter.http import ssl_context; "
        "unused = (connector._SSL_CONTEXT_VERIFIED, connector._SSL_CONTEXT_UNVERIFIED); "
        "used = ssl_context(None, verify=True, section='tls'); "
        "print(*(one.cert_store_stats()['x509'] for one in (*unused, used)))"
    )
    bundle = ssl.get_default_verify_paths().cafile
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "SSL_CERT_FILE": str(bundle)},
    )
    out, _ = await process.communicate()

    *unused, used = map(int, out.split())
    assert unused == [0, 0]
    assert used > 0


@pytest.mark.parametrize("args", [["-h"], ["metrics"], ["settings"], ["explain", "grün"]])
async def test_command_under_ascii_locale_prints_no_traceback(args: list[str]) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "exporter", *args),
        env={**bare_environment(), **ascii_only, "VERGEWATCH_DAEMON_URL": "http://127.0.0.1:1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, out, err = await outcome(process)

    assert "Traceback" not in out + err
