"""The commands that ask a running daemon, against one that answers over a real socket."""

import asyncio
import os
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
from aiohttp import web
from pydantic import SecretStr

from exporter.cli.daemon_client import DaemonClient, parse_duration, read_token
from exporter.cli.main import main
from exporter.errors import ConfigError
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.views import VMRecoveryStatus
from exporter.recovery.service import RecoveryService
from exporter.web.routes import make_app
from exporter.web.server import Listen, serving
from tests.recovery.archive import ArchiveBook, stage, told
from tests.recovery.harness import Theatre, at_once
from tests.web.samples import HandClock, system
from tests.web.site import StubOverview, StubPages, StubReload

TOKEN = "open-sesame"
NOBODY = "http://127.0.0.1:1"


async def ran(*args: str, **env: str) -> tuple[int, str, str]:
    """Return the exit code, what was printed, and what was complained of; run in a thread."""
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


def play() -> Theatre:
    theatre = stage()
    theatre.world.crash("web-01")
    theatre.let_pass(700)
    for _ in range(4):
        theatre.world.crash("web-02")
        theatre.let_pass(400)
    theatre.world.guest_shuts_down("erp-01")
    theatre.let_pass(100)
    return theatre


class Daemon:
    def __init__(self, url: str, theatre: Theatre, reload: StubReload) -> None:
        self.env = {"VERGEWATCH_DAEMON_URL": url}
        self.steered = {**self.env, "VERGEWATCH_RECOVERY__TOKEN": TOKEN}
        self.url = url
        self.theatre = theatre
        self.reload = reload


@asynccontextmanager
async def answering(theatre: Theatre, directory: Path) -> AsyncIterator[Daemon]:
    journal = await told(theatre, directory)
    service = RecoveryService(
        lambda: {"production": theatre.recovery}, lambda: journal, theatre.clock
    )
    reload = StubReload()
    app = make_app(
        StubPages(), StubOverview(system()), reload, clock=HandClock(), version="1",
        service=service, recovery_token=SecretStr(TOKEN),
    )  # fmt: skip
    with structlog.testing.capture_logs():  # what the daemon logs is not what the command prints
        async with serving(app, Listen("127.0.0.1", 0)) as where:
            yield Daemon(f"http://127.0.0.1:{where.port}", theatre, reload)
    await journal.close()


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    """One with a story to tell."""
    async with answering(play(), tmp_path / "state") as found:
        yield found


@pytest.fixture
async def idle(tmp_path: Path) -> AsyncIterator[Daemon]:
    """One that began a moment ago."""
    theatre = Theatre(book=ArchiveBook())
    theatre.let_pass(40)
    async with answering(theatre, tmp_path / "state") as found:
        yield found


@pytest.mark.parametrize("columns", ["80", "120"])
async def test_explain_says_it_all_within_the_width_of_the_terminal(
    daemon: Daemon, columns: str
) -> None:
    code, out, err = await ran("explain", "web-02", **{**daemon.env, "COLUMNS": columns})

    assert (code, err) == (0, "")
    flat = " ".join(out.split())
    assert flat.startswith("web-02 quarantined production, key ")
    assert "web-02 crashed again after Vergewatch had brought it back 3 times within" in flat
    assert "would have to change - vergewatch recovery clear web-02 --reason ... What each" in flat
    assert "NO budget_spent" in flat
    assert "ok storm no storm" in flat
    assert "started it (intent 4): confirmed, it is up" in flat
    assert max(map(len, out.splitlines())) <= int(columns)


async def test_a_program_gets_each_line_whole(daemon: Daemon) -> None:
    code, out, _ = await ran("recovery", "log", **{**daemon.env, "COLUMNS": "400"})

    assert code == 0
    assert all(line.startswith("2026-01-01 ") for line in out.splitlines())


async def test_status_lists_those_in_need_of_a_person_first(daemon: Daemon) -> None:
    code, out, err = await ran("recovery", "status", **daemon.env)

    assert (code, err) == (0, "")
    flat = " ".join(out.split())
    assert "production active mode enforce" in flat
    assert out.index("quarantined  web-02") < out.index("intended     erp-01")
    assert max(map(len, out.splitlines())) <= 80


async def test_status_says_that_the_settings_were_refused(daemon: Daemon) -> None:
    daemon.reload.problem = "refused at noon: recovery.mode: input should be 'off'"

    _, out, _ = await ran("recovery", "status", **daemon.env)

    assert out.startswith("The settings were refused at noon: recovery.mode: input should be")


async def test_log_and_report_tell_what_happened(daemon: Daemon) -> None:
    _, log, _ = await ran("recovery", "log", "web-01", "--limit", "5", **daemon.env)
    _, report, _ = await ran(
        "recovery", "report", "--days", "1", "--system", "production", **daemon.env
    )

    assert log.splitlines()[0] == "2026-01-01 UTC"
    assert "verifying → probation" in log
    assert "acted in 4: helped in 4, failed in 0" in " ".join(report.split())
    assert max(map(len, report.splitlines())) <= 80


async def test_json_is_what_the_daemon_answered(daemon: Daemon) -> None:
    _, out, _ = await ran("recovery", "status", "--json", **daemon.env)
    _, told, _ = await ran("explain", "web-01", "--json", **daemon.env)

    assert '"readiness": "active"' in out
    assert '"state": "quarantined"' in out
    assert '"sentence": "web-01 stopped at 00:10:40' in told


async def test_orders_are_given_in_the_name_of_whoever_is_logged_in(idle: Daemon) -> None:
    code, out, err = await ran(
        "recovery", "pause", "--for", "1h30m", "--reason", "new disks",
        **{**idle.steered, "LOGNAME": "anna"},
    )  # fmt: skip

    assert (code, err) == (0, "")
    assert out == "production: paused for 1 h 30 min; recovery is paused (by anna: new disks)\n"
    (order,) = idle.theatre.book.commands
    assert (order.kind, order.owner, order.reason) == ("pause", "anna", "new disks")
    assert order.until - order.at == 5400
    _, status, _ = await ran("recovery", "status", **idle.env)
    assert "paused by anna since" in status
    assert "1 h 30 min left: new disks" in " ".join(status.split())


@pytest.mark.parametrize("kind", ["resume", "disarm", "arm", "accept"])
async def test_every_order_has_its_command(idle: Daemon, kind: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")

    code, out, _ = await ran(
        "recovery", kind, "--reason", "r", "--owner", "jonas", "--token-file", str(file),
        **idle.env,
    )  # fmt: skip

    assert code == 0
    assert out.startswith("production: ")
    assert "; recovery is " in out
    assert [(one.kind, one.owner) for one in idle.theatre.book.commands] == [(kind, "jonas")]


async def test_clear_names_its_vm(idle: Daemon) -> None:
    code, out, _ = await ran("recovery", "clear", "web-01", "--reason", "r", **idle.steered)

    assert code == 0
    assert "production: what was tried on web-01 before counts no longer; recovery is " in out


@pytest.mark.parametrize(
    ("args", "env", "code", "says"),
    [
        (
            ["explain", "web-0l"],
            {},
            2,
            "no VM is called 'web-0l' in production; did you mean web",
        ),
        (["explain", "WEB-01"], {}, 2, "did you mean web-01"),
        (["explain", "d"], {}, 2, "did you mean db-01"),
        (["explain", " "], {}, 2, "which VM? give its name, key or uuid"),
        (["explain", "web-01", "--system", "x"], {}, 2, "no cloud is called 'x'; those looked"),
        (["explain", "web-01"], {"VERGEWATCH_DAEMON_URL": NOBODY}, 1, "no daemon answers at"),
        (["explain", "web-01", "--url", "localhost:9888"], {}, 2, "is not a URL such as http://"),
        (["explain", "web-01", "--url", "http://local:port"], {}, 2, "is not a URL such as"),
        (["explain", "web-01", "--url", "http://[::1"], {}, 2, "is not a URL such as http://"),
        (["recovery", "pause", "--reason", "r"], {}, 2, "a token is needed to change something"),
        (
            ["recovery", "pause", "--reason", "r"],
            {"VERGEWATCH_RECOVERY__TOKEN": "wrong"},
            2,
            "does not take this token",
        ),
        (
            ["recovery", "pause", "--reason", "r"],
            {"VERGEWATCH_RECOVERY__TOKEN_FILE": "/nowhere"},
            2,
            "the token file /nowhere cannot be read: No such file",
        ),
        (["recovery", "pause", "--reason", "r", "--for", "soon"], {}, 2, "is no length of time"),
        (
            ["recovery", "pause", "--reason", "r", "--for", "25h"],
            {"VERGEWATCH_RECOVERY__TOKEN": TOKEN},
            2,
            "seconds is 90000; a pause lasts more than 0 and up to 86400 s",
        ),
        (["recovery", "pause"], {"VERGEWATCH_RECOVERY__TOKEN": TOKEN}, 2, "--reason"),
    ],
)
async def test_what_is_wrong_is_said_in_a_line(
    idle: Daemon, args: list[str], env: Mapping[str, str], code: int, says: str
) -> None:
    got, out, err = await ran(*args, **{**idle.env, **env})

    assert got == code
    assert says in err
    assert "Traceback" not in out + err
    assert TOKEN not in out + err
    if "Usage" not in err:
        assert len(err.splitlines()) == 1


async def test_an_order_that_cannot_be_written_down_may_be_tried_again(idle: Daemon) -> None:
    idle.theatre.book.broken = "the journal is full"

    code, _, err = await ran("recovery", "disarm", "--reason", "r", **idle.steered)

    assert code == 1
    assert "the journal is full" in err
    assert "is not in force" in err


async def test_a_name_from_elsewhere_moves_no_cursor(idle: Daemon) -> None:
    order = idle.theatre.recovery.command(
        CommandKind.PAUSE, owner="\x1b[2J", reason="r", seconds=60
    )
    at_once(order)

    _, out, _ = await ran("recovery", "status", **idle.env)

    assert "\x1b" not in out
    assert "�[2J" in out


# The client by itself.


@pytest.mark.parametrize(
    ("status", "headers", "text", "says"),
    [
        (200, {}, "<html>", "not as this version of Vergewatch does"),
        (200, {}, '{"systems": [7]}', "not as this version"),
        (404, {}, "404: Not Found", "has no recovery to ask about"),
        (401, {"WWW-Authenticate": 'Basic realm="x"'}, "", "wants a user name and a password"),
        (429, {}, "", "asked too often"),
        (302, {"Location": "http://elsewhere/"}, "", "answers 302"),
        (500, {}, "500: Internal Server Error", "answers 500"),
    ],
)
async def test_whatever_answers_is_dealt_with(
    status: int, headers: Mapping[str, str], text: str, says: str
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers, text=text)

    app = web.Application()
    app.router.add_get("/api/recovery", answer)
    async with serving(app, Listen("127.0.0.1", 0)) as where:
        daemon = DaemonClient(f"http://anna:pass-word@127.0.0.1:{where.port}")

        with pytest.raises(ConfigError, match=says) as wrong:
            await daemon.status(None)

    assert "pass-word" not in str(wrong.value)


async def test_an_answer_of_thousands_of_vms_is_read_to_its_end() -> None:
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
    app.router.add_get("/api/recovery/vms", answer)
    async with serving(app, Listen("127.0.0.1", 0)) as where:
        told = await DaemonClient(f"http://127.0.0.1:{where.port}").vms(None)

    assert told.vms == vms


async def test_a_token_is_not_taken_along_to_another_place() -> None:
    seen: list[Any] = []

    async def lead_away(request: web.Request) -> web.Response:
        seen.append(request.headers.get("X-Vergewatch-Token"))
        raise web.HTTPTemporaryRedirect("/elsewhere")

    async def elsewhere(request: web.Request) -> web.Response:
        seen.append("elsewhere")
        return web.Response()

    app = web.Application()
    app.router.add_post("/api/recovery/arm", lead_away)
    app.router.add_post("/elsewhere", elsewhere)
    async with serving(app, Listen("127.0.0.1", 0)) as where:
        with pytest.raises(ConfigError, match="answers 307"):
            await DaemonClient(f"http://127.0.0.1:{where.port}", TOKEN).order(CommandKind.ARM)

    assert seen == [TOKEN]


async def test_a_name_and_a_password_in_the_url_are_sent() -> None:
    seen: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.json_response({"systems": []})

    app = web.Application()
    app.router.add_get("/api/recovery", answer)
    async with serving(app, Listen("127.0.0.1", 0)) as where:
        await DaemonClient(f"http://anna:secret@127.0.0.1:{where.port}/").status(None)

    assert seen == ["Basic YW5uYTpzZWNyZXQ="]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h", 7200), ("30m", 1800), ("1h30m", 5400), ("90s", 90), ("1d", 86_400),
     (" 2H ", 7200)],
)  # fmt: skip
def test_a_length_of_time_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "soon", "-1h", "2 h", "1.5h", "h", "30m1h"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no length of time"):
        parse_duration(text)


def test_the_option_goes_before_the_environment(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb", b"\xff"])
def test_a_file_that_holds_no_token_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)

    with pytest.raises(ConfigError, match="token"):
        read_token(file, {})


@pytest.mark.parametrize("words", [("explain", "web-02"), ("recovery", "status")])
async def test_a_program_gets_no_line_that_is_filled_with_blanks(
    daemon: Daemon, words: tuple[str, ...]
) -> None:
    _, out, _ = await ran(*words, **daemon.env)

    assert out.endswith("\n")
    assert not out.endswith("\n\n")
    assert not [line for line in out.splitlines() if line.endswith(" ")]


async def test_a_daemon_without_tls_is_said_to_have_none(daemon: Daemon) -> None:
    url = daemon.env["VERGEWATCH_DAEMON_URL"].replace("http://", "https://")

    code, _, err = await ran("explain", "web-01", "--url", url, **daemon.env)

    assert code == 1
    assert "no TLS there; is it a plain http port?" in err


async def test_a_daemon_that_hangs_up_may_want_tls() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]

        code, _, err = await ran("explain", "web-01", "--url", f"http://127.0.0.1:{port}")

    assert code == 1
    assert "it hung up; is it an https port?" in err
