"""The commands that query and control a daemon, against one on a real socket."""

import asyncio
import csv
import os
import re
import shlex
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
import structlog
import yaml
from aiohttp import web
from pydantic import SecretStr

from exporter.cli.daemon_client import DaemonClient, read_token
from exporter.cli.main import main
from exporter.errors import ConfigError
from exporter.recovery.detect.log_patterns import LogClassifier, LogPattern, Meaning
from exporter.recovery.detect.templates import template
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.views import VMRecoveryStatus
from exporter.recovery.report.requests import CommandBody
from exporter.recovery.service import RecoveryService
from exporter.web.routes import make_app
from exporter.web.server import Listen, serving
from tests.recovery.archive import RecordingJournal, journal_on_disk, stage
from tests.recovery.harness import Harness, at_once
from tests.web.samples import HandClock, system
from tests.web.site import StubOverview, StubPages, StubReload

TOKEN = "open-sesame-open-sesame"
UNREACHABLE = "http://127.0.0.1:1"


async def ran(*args: str, **env: str) -> tuple[int, str, str]:
    """Return the exit code, standard output and standard error of a command, run in a thread."""
    return await asyncio.to_thread(_run, args, {"COLUMNS": "80", **env})


def _run(args: tuple[str, ...], env: Mapping[str, str]) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    bare = {name: value for name, value in os.environ.items() if not name.startswith("VERGE")}
    with (
        patch.dict(os.environ, {**bare, **env}, clear=True),
        patch.object(sys, "argv", ["vergewatch", *args]),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as end,
    ):
        main()
    code = end.value.code
    return code if isinstance(code, int) else 0, out.getvalue(), err.getvalue()


def incidents() -> Harness:
    harness = stage()
    harness.world.crash("web-01")
    harness.advance(700)
    for _ in range(4):
        harness.world.crash("web-02")
        harness.advance(400)
    harness.world.guest_shuts_down("erp-01")
    harness.advance(100)
    return harness


class Daemon:
    def __init__(self, url: str, harness: Harness, reload: StubReload) -> None:
        self.env = {"VERGEWATCH_DAEMON_URL": url}
        self.steered = {**self.env, "VERGEWATCH_RECOVERY__TOKEN": TOKEN}
        self.url = url
        self.harness = harness
        self.reload = reload


@asynccontextmanager
async def answering(harness: Harness, directory: Path) -> AsyncIterator[Daemon]:
    journal = await journal_on_disk(harness, directory)
    service = RecoveryService(
        lambda: {"production": harness.recovery}, lambda: journal, harness.clock
    )
    reload = StubReload()
    app = make_app(
        StubPages(), StubOverview(system()), reload, clock=HandClock(), version="1",
        service=service, recovery_token=lambda: SecretStr(TOKEN),
    )  # fmt: skip
    with structlog.testing.capture_logs():  # what the daemon logs is not what the command prints
        async with serving(app, Listen("127.0.0.1", 0)) as where:
            yield Daemon(f"http://127.0.0.1:{where.port}", harness, reload)
    await journal.close()


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    """Serve a recovery that has acted."""
    async with answering(incidents(), tmp_path / "state") as found:
        yield found


@pytest.fixture
async def idle(tmp_path: Path) -> AsyncIterator[Daemon]:
    """Serve a recovery that has just started."""
    harness = Harness(journal=RecordingJournal())
    harness.advance(40)
    async with answering(harness, tmp_path / "state") as found:
        yield found


@pytest.mark.parametrize("part", ["ERP-01", "erp"])
async def test_explain_says_which_vm_matches_a_part_of_a_name(daemon: Daemon, part: str) -> None:
    code, out, _ = await ran("explain", part, **daemon.env)

    assert code == 0
    assert f"vm: erp-01 (the only match for '{part}')" in out


@pytest.mark.parametrize("columns", ["80", "120"])
async def test_explain_fits_the_terminal(daemon: Daemon, columns: str) -> None:
    code, out, err = await ran("explain", "web-02", **{**daemon.env, "COLUMNS": columns})

    assert (code, err) == (0, "")
    flat = " ".join(out.split())
    assert flat.startswith(
        "web-02 crashed again at 00:42:20 UTC after Vergewatch restarted it 3 times within 1 h. "
        "Vergewatch takes no more action until"
    )
    assert "state: quarantined (system production, key " in flat
    assert "enrolled: yes (on-failure: " in flat
    assert "What to do: - vergewatch recovery clear web-02 --reason ... Guards" in flat
    assert "within_restart_budget: no " in flat
    assert "circuit_breaker_closed: yes " in flat
    assert "started it (action 4): confirmed, the VM is up" in flat
    assert max(map(len, out.splitlines())) <= int(columns)


async def test_log_in_a_pipe_has_one_event_a_line(daemon: Daemon) -> None:
    code, out, _ = await ran("recovery", "log", **{**daemon.env, "COLUMNS": "400"})

    assert code == 0
    assert all(line.startswith("2026-01-01 ") for line in out.splitlines())


async def test_status_lists_vms_by_urgency(daemon: Daemon) -> None:
    code, out, err = await ran("recovery", "status", **daemon.env)

    assert (code, err) == (0, "")
    flat = " ".join(out.split())
    assert flat.startswith("production: recovery is active in enforce mode, 1 VM in trouble. ")
    assert out.index("quarantined  web-02") < out.index("stopped      erp-01")
    assert max(map(len, out.splitlines())) <= 80


async def test_status_shows_refused_settings(daemon: Daemon) -> None:
    daemon.reload.problem = (
        "The settings were refused at noon: recovery.mode: input should be 'off'"
    )

    _, out, _ = await ran("recovery", "status", **daemon.env)

    assert out.startswith("The settings were refused at noon: recovery.mode: input should be")


async def test_log_and_report_show_what_happened(daemon: Daemon) -> None:
    _, log, _ = await ran("recovery", "log", "web-01", "--limit", "5", **daemon.env)
    _, report, _ = await ran(
        "recovery", "report", "--since", "1d", "--system", "production", **daemon.env
    )

    assert log.startswith("5 events of web-01, newest first: ")
    assert log.splitlines()[1] == "2026-01-01 UTC"
    assert "verifying → probation" in log
    assert "acted: 4 (4 succeeded, 0 failed)" in " ".join(report.split())
    assert max(map(len, report.splitlines())) <= 80


async def test_report_in_every_form_is_of_the_same_downtimes(
    daemon: Daemon, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    report = ("recovery", "report")

    _, text, _ = await ran(*report, **daemon.env)
    _, document, _ = await ran(*report, "--json", **daemon.env)
    _, table, _ = await ran(*report, "--csv", **daemon.env)
    code, said, err = await ran(*report, "--html", str(page), **daemon.env)

    (summary,) = msgspec.json.decode(document)["summaries"]
    rows = list(csv.DictReader(StringIO(table)))
    assert (code, said, err) == (0, f"Wrote {page}.\n", "")
    assert text.startswith("production: 6 downtimes of enrolled VMs; Vergewatch acted on 4")
    assert [row["uuid"] for row in rows] == [one["uuid"] for one in summary["incidents"]]
    assert len(rows) == 6
    assert page.read_text("utf-8").count("<time ") == 6
    assert summary["scorecard"]["precision"]["not_known"] == 4


async def test_report_of_an_earlier_period(daemon: Daemon) -> None:
    times = ("--since", "2026-01-01T00:00", "--until", "2026-01-01T00:20")

    _, text, _ = await ran("recovery", "report", *times, **daemon.env)

    assert text.startswith("production: 1 downtime of enrolled VMs;")
    assert "period: 2026-01-01 00:00 UTC to 2026-01-01 00:20 UTC" in text


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--since", "yesterday"), "since (yesterday) must be a duration such as 7d or 12h, or a"),
        (("--since", "2100-01-01"), "since (2100-01-01 00:00 UTC) is not before until ("),
        (("--csv", "--json"), "--json, --csv and --html exclude each other; pass one of them"),
        (("--html", "/nowhere/report.html"), "cannot write /nowhere/report.html: No such file"),
    ],
)
async def test_report_refuses(daemon: Daemon, args: tuple[str, ...], says: str) -> None:
    code, out, err = await ran("recovery", "report", *args, **daemon.env)

    assert (code, out) == (2, "")
    assert err.startswith(f"vergewatch: {says}")


async def test_json_is_the_response(daemon: Daemon) -> None:
    _, out, _ = await ran("recovery", "status", "--json", **daemon.env)
    _, told, _ = await ran("explain", "web-01", "--json", **daemon.env)

    assert '"readiness": "active"' in out
    assert '"state": "quarantined"' in out
    assert '"sentence": "web-01 crashed at 00:10:40 UTC' in told


async def test_command_has_the_login_name_as_owner(idle: Daemon) -> None:
    code, out, err = await ran(
        "recovery", "pause", "--for", "1h30m", "--reason", "new disks",
        **{**idle.steered, "LOGNAME": "anna"},
    )  # fmt: skip

    assert (code, err) == (0, "")
    assert out == (
        "production: recovery is paused for 1 h 30 min; readiness: paused (by anna: new disks)\n"
    )
    (command,) = idle.harness.journal.commands
    assert (command.kind, command.owner, command.reason) == ("pause", "anna", "new disks")
    assert command.until - command.at == 5400
    _, status, _ = await ran("recovery", "status", **idle.env)
    assert "paused: by anna since" in status
    assert "1 h 30 min left: new disks" in " ".join(status.split())


@pytest.mark.parametrize("kind", ["resume", "disarm", "arm", "accept"])
async def test_every_command_is_given(idle: Daemon, kind: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")

    code, out, _ = await ran(
        "recovery", kind, "--reason", "r", "--owner", "jonas", "--token-file", str(file),
        **idle.env,
    )  # fmt: skip

    assert code == 0
    assert out.startswith("production: ")
    assert "; readiness: " in out
    assert [(one.kind, one.owner) for one in idle.harness.journal.commands] == [(kind, "jonas")]


async def test_clear_names_the_vm(idle: Daemon) -> None:
    code, out, _ = await ran("recovery", "clear", "web-01", "--reason", "r", **idle.steered)

    assert code == 0
    assert "production: the restart budget of web-01 is refilled; readiness: " in out


@pytest.mark.parametrize("kind", ["approve", "deny"])
async def test_answer_to_a_question_that_is_not_open_is_an_error(idle: Daemon, kind: str) -> None:
    code, _, err = await ran("recovery", kind, "7", "--reason", "r", **idle.steered)

    assert code == 2
    assert "question 7 is not open" in err
    assert "open questions: none" in err


@pytest.mark.parametrize(
    ("args", "env", "code", "says"),
    [
        (
            ["explain", "web-0l"],
            {},
            2,
            "no VM is named 'web-0l' in production; did you mean web",
        ),
        (["explain", "web"], {}, 2, "VMs: web-01 (key 1, "),
        (["explain", " "], {}, 2, "the VM is empty; give its name, key or UUID"),
        (
            ["explain", "web-01", "--system", "x"],
            {},
            2,
            "no system is named 'x'; systems with recovery: production",
        ),
        (
            ["explain", "web-01"],
            {"VERGEWATCH_DAEMON_URL": UNREACHABLE},
            1,
            "cannot reach a daemon at",
        ),
        (["explain", "web-01", "--url", "localhost:9888"], {}, 2, "is not a URL such as http://"),
        (["explain", "web-01", "--url", "http://a..b"], {}, 1, "cannot reach a daemon at"),
        (["explain", "web-01", "--url", "http://local:port"], {}, 2, "is not a URL such as"),
        (["explain", "web-01", "--url", "http://[::1"], {}, 2, "is not a URL such as http://"),
        (["recovery", "pause", "--reason", "r"], {}, 2, "a command needs a token"),
        (
            ["recovery", "pause", "--reason", "r"],
            {"VERGEWATCH_RECOVERY__TOKEN": "wrong"},
            2,
            "refuses the token",
        ),
        (
            ["recovery", "pause", "--reason", "r"],
            {"VERGEWATCH_RECOVERY__TOKEN_FILE": "/nowhere"},
            2,
            "the secret in /nowhere cannot be read: No such file",
        ),
        (["recovery", "pause", "--reason", "r", "--for", "soon"], {}, 2, "must be a duration"),
        (
            ["recovery", "pause", "--reason", "r", "--for", "25h"],
            {"VERGEWATCH_RECOVERY__TOKEN": TOKEN},
            2,
            "a pause must be longer than 0 s and at most 86400 s",
        ),
        (["recovery", "pause"], {"VERGEWATCH_RECOVERY__TOKEN": TOKEN}, 2, "--reason"),
    ],
)
async def test_error_is_one_line(
    idle: Daemon, args: list[str], env: Mapping[str, str], code: int, says: str
) -> None:
    got, out, err = await ran(*args, **{**idle.env, **env})

    assert got == code
    assert says in err
    assert "Traceback" not in out + err
    assert TOKEN not in out + err
    if "Usage" not in err:
        assert len(err.splitlines()) == 1


async def test_unrecorded_command_is_a_temporary_error(idle: Daemon) -> None:
    idle.harness.journal.broken = "the journal is full"

    code, _, err = await ran("recovery", "disarm", "--reason", "r", **idle.steered)

    assert code == 1
    assert "the journal is full" in err
    assert "is not in force" in err


@pytest.fixture
async def puzzled(tmp_path: Path) -> AsyncIterator[Daemon]:
    """Yield a daemon with a VM that is down after a row that no log pattern matches."""
    harness = stage()
    vm = harness.world.vm("web-01")
    harness.world.platform_log.write(
        "VM 'web-01' went for a walk of 7 km", at=harness.world.now, name="web-01",
        machine=vm.machine.key,
    )  # fmt: skip
    harness.world.crash("web-01")
    harness.advance(100)
    async with answering(harness, tmp_path) as daemon:
        yield daemon


async def test_command_that_explain_prints_teaches_the_row_that_blocks(puzzled: Daemon) -> None:
    _, out, _ = await ran("explain", "web-01", **{**puzzled.env, "COLUMNS": "1000"})
    assert "“VM 'web-01' went for a walk of 7 km” by system" in out
    assert "blocked 1 diagnosis so far" in out
    _, status, _ = await ran("recovery", "status", **{**puzzled.env, "COLUMNS": "1000"})
    assert "blocked 1 diagnosis so far" in status
    shown = re.search(r"`vergewatch (recovery teach [^`]*)`", out)
    assert shown

    code, out, err = await ran(*shlex.split(shown[1]), **puzzled.steered)

    assert (code, err) == (0, "")
    assert "rows like “VM '<name>' went for a walk of <n> km” mean harmless" in out
    puzzled.harness.advance(60)
    assert puzzled.harness.running("web-01")


async def test_patterns_prints_what_is_known_taught_and_unknown(puzzled: Daemon) -> None:
    wide = {**puzzled.env, "COLUMNS": "300"}
    _, unknown, _ = await ran("recovery", "patterns", "--unknown", **wide)
    assert "production: 1 unknown template" in unknown
    assert "VM '<name>' went for a walk of <n> km" in unknown
    assert "blocked 1 diagnosis; seen never on a VM that stayed up" in unknown
    assert "known pattern" not in unknown

    text = "VM 'web-01' went for a walk of 9 km"
    why = ("--reason", "it does that")
    await ran("recovery", "teach", text, "crash", *why, **puzzled.steered)

    _, everything, _ = await ran("recovery", "patterns", **wide)
    assert "guest-stop  VM has shut ?down" in everything
    assert re.search(
        r"crash +VM '<name>' went for a walk of <n> km \(.*: it does that\)", everything
    )
    assert "production: 0 unknown templates" in everything
    _, document, _ = await ran("recovery", "patterns", "--json", **wide)
    (found,) = msgspec.json.decode(document)["systems"]
    assert found["taught"][0]["means"] == "crash"
    assert found["unknown"] == []


async def test_patterns_are_exported_as_settings_that_mean_the_same(puzzled: Daemon) -> None:
    text = 'Walk (of "it") costs 5.50 $ [+tax] \\ a|b?'
    why = ("--reason", "r")
    await ran("recovery", "teach", text, "stop", *why, **puzzled.steered)

    _, exported, _ = await ran("recovery", "patterns", "--yaml", **puzzled.env)

    (entry,) = yaml.safe_load(exported)["recovery"]["log_patterns"]
    classifier = LogClassifier([LogPattern(entry["pattern"], Meaning(entry["means"]))])
    assert classifier.meaning(template(text, ())) is Meaning.STOP


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("teach", "x", "wonderful"), "must be one of harmless, stop"),
        (("teach", " ", "stop"), "template is missing"),
        (("forget", "VM '<name>' went for a talk of <n> km"), "did you mean VM '<name>' went for"),
    ],
)
async def test_lesson_that_cannot_be_meant_is_refused(
    puzzled: Daemon, args: tuple[str, ...], says: str
) -> None:
    code, _, err = await ran("recovery", *args, "--reason", "r", **puzzled.steered)

    assert code == 2
    assert says in err


async def test_control_characters_are_replaced(idle: Daemon) -> None:
    command = idle.harness.recovery.command(
        CommandKind.PAUSE, owner="\x1b[2J", reason="r", seconds=60
    )
    at_once(command)

    _, out, _ = await ran("recovery", "status", **idle.env)

    assert "\x1b" not in out
    assert "�[2J" in out


# The client by itself.


@pytest.mark.parametrize(
    ("status", "headers", "text", "says"),
    [
        (200, {}, "<html>", "is not a Vergewatch daemon of this version"),
        (200, {}, '{"systems": [7]}', "of this version"),
        (404, {}, "404: Not Found", "has no recovery API"),
        (401, {"WWW-Authenticate": 'Basic realm="x"'}, "", "requires a user name and a password"),
        (429, {}, "", "too many requests"),
        (302, {"Location": "http://elsewhere/"}, "", "responded 302"),
        (500, {}, "500: Internal Server Error", "responded 500"),
    ],
)
async def test_unexpected_response_is_an_error(
    status: int, headers: Mapping[str, str], text: str, says: str
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers, text=text)

    app = web.Application()
    app.router.add_get("/api/v1/recovery", answer)
    async with serving(app, Listen("127.0.0.1", 0)) as where:
        daemon = DaemonClient(f"http://anna:pass-word@127.0.0.1:{where.port}")

        with pytest.raises(ConfigError, match=says) as wrong:
            await asyncio.to_thread(daemon.status, None)

    assert "pass-word" not in str(wrong.value)


async def test_response_of_thousands_of_vms_is_read_whole() -> None:
    vms = tuple(
        VMRecoveryStatus(
            system="production",
            vm=f"web-{number}",
            vm_key=number,
            uuid="u" * 36,
            state="held",
            sentence="x" * 200,
        )
        for number in range(5000)
    )

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode({"vms": vms}))

    app = web.Application()
    app.router.add_get("/api/v1/recovery/vms", answer)
    async with serving(app, Listen("127.0.0.1", 0)) as where:
        told = await asyncio.to_thread(DaemonClient(f"http://127.0.0.1:{where.port}").vms, None)

    assert tuple(told.vms) == vms


async def test_token_is_not_sent_to_a_redirect() -> None:
    seen: list[Any] = []

    async def lead_away(request: web.Request) -> web.Response:
        seen.append(request.headers.get("X-Vergewatch-Token"))
        raise web.HTTPTemporaryRedirect("/elsewhere")

    async def elsewhere(request: web.Request) -> web.Response:
        seen.append("elsewhere")
        return web.Response()

    app = web.Application()
    app.router.add_post("/api/v1/recovery/arm", lead_away)
    app.router.add_post("/elsewhere", elsewhere)
    async with serving(app, Listen("127.0.0.1", 0)) as where:
        client = DaemonClient(f"http://127.0.0.1:{where.port}", TOKEN)
        with pytest.raises(ConfigError, match="responded 307"):
            await asyncio.to_thread(client.command, CommandKind.ARM, CommandBody("anna", "test"))

    assert seen == [TOKEN]


async def test_basic_auth_of_the_url_is_sent() -> None:
    seen: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.json_response({"systems": []})

    app = web.Application()
    app.router.add_get("/api/v1/recovery", answer)
    async with serving(app, Listen("127.0.0.1", 0)) as where:
        client = DaemonClient(f"http://anna:secret@127.0.0.1:{where.port}/")
        await asyncio.to_thread(client.status, None)

    assert seen == ["Basic YW5uYTpzZWNyZXQ="]


def test_token_option_precedes_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from the option\n")
    other = tmp_path / "other"
    other.write_text("from the variable's file")
    named = {"VERGEWATCH_RECOVERY__TOKEN_FILE": str(other)}

    assert read_token(file, {"VERGEWATCH_RECOVERY__TOKEN": "from the variable"}) == (
        "from the option"
    )
    assert read_token(None, {"VERGEWATCH_RECOVERY__TOKEN": "from the variable", **named}) == (
        "from the variable"
    )
    assert read_token(None, named) == "from the variable's file"


@pytest.mark.parametrize("content", [b"", b"\n", b"a\x00b", b"\xff"])
def test_file_without_token_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)

    with pytest.raises(ConfigError, match="token"):
        read_token(file, {})


@pytest.mark.parametrize("words", [("explain", "web-02"), ("recovery", "status")])
async def test_output_has_no_trailing_spaces(daemon: Daemon, words: tuple[str, ...]) -> None:
    _, out, _ = await ran(*words, **daemon.env)

    assert out.endswith("\n")
    assert not out.endswith("\n\n")
    assert not [line for line in out.splitlines() if line.endswith(" ")]


async def test_daemon_without_tls_is_reported(daemon: Daemon) -> None:
    url = daemon.env["VERGEWATCH_DAEMON_URL"].replace("http://", "https://")

    code, _, err = await ran("explain", "web-01", "--url", url, **daemon.env)

    assert code == 1
    assert "it does not use TLS; try http://" in err


async def test_daemon_that_closes_the_connection_is_reported() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]

        code, _, err = await ran("explain", "web-01", "--url", f"http://127.0.0.1:{port}")

    assert code == 1
    assert "it closed the connection; try https://" in err


async def test_command_without_a_response_may_be_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    done = asyncio.Event()
    monkeypatch.setattr("exporter.cli.daemon_client.TIMEOUT_SECONDS", 0.2)

    async def wait(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.close()

    async with await asyncio.start_server(wait, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        token = {"VERGEWATCH_RECOVERY__TOKEN": TOKEN}
        _, _, query = await ran("recovery", "status", "--url", url)
        code, _, err = await ran("recovery", "deny", "7", "--reason", "r", "--url", url, **token)
        done.set()

    assert code == 1
    assert "within 0.2 s; the command may be in force: see vergewatch recovery log" in err
    assert query.endswith("did not respond within 0.2 s\n")


SCRIPT = """
import sys, typer
from exporter.cli import recovery
app = typer.Typer()
app.command(cls=recovery.PlainHelp)(recovery.explain)
app.add_typer(recovery.commands)
try:
    app()
finally:
    print(*sys.modules, file=sys.stderr)
"""
# typer itself loads pydantic.
HEAVY = {
    "aiohttp", "exporter.config", "exporter.daemon", "exporter.simulator", "exporter.vergeos",
    "asyncio", "exporter.web", "pydantic_settings", "sqlalchemy", "structlog",
}  # fmt: skip


async def in_process(*args: str, **env: str) -> tuple[int | None, bytes, bytes]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SCRIPT, *args, env={**os.environ, **env},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode, out, err


COMMANDS = [
    ("explain", "web-02"),
    ("recovery", "status"),
    ("recovery", "log"),
    ("recovery", "report"),
]


@pytest.mark.parametrize("words", COMMANDS)
async def test_commands_load_no_server(daemon: Daemon, words: tuple[str, ...]) -> None:
    code, _, err = await in_process(*words, **daemon.env)

    assert code == 0
    loaded = set(err.decode().split())
    assert "exporter.recovery.report.explain" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("words", COMMANDS)
async def test_commands_work_in_an_ascii_locale(daemon: Daemon, words: tuple[str, ...]) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}

    code, out, err = await in_process(*words, **ascii_only, **daemon.env)

    assert code == 0
    assert b"Traceback" not in err
    assert out.isascii()
    if words == ("recovery", "log"):
        assert b"verifying -> probation" in out


@pytest.mark.parametrize("columns", ["40", "80"])
@pytest.mark.parametrize("name", ["status", "log", "report", "pause", "disarm", "clear"])
async def test_help_is_not_cut(name: str, columns: str) -> None:
    code, out, _ = await in_process("recovery", name, "-h", COLUMNS=columns)

    assert code == 0
    assert "…" not in out.decode()
    assert max(map(len, out.decode().splitlines())) <= max(int(columns), 50)  # typer's minimum
    assert "Show this message and exit." in " ".join(out.decode().split())
