"""The recovery API: queries, commands, and refused requests."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import bcrypt
import pytest
import structlog
from pydantic import SecretStr

from exporter.errors import ConfigError, JournalError
from exporter.recovery.model.commands import (
    ANSWERS,
    GIVEN_BY_OPERATORS,
    NO_LESSON,
    CommandKind,
    Lesson,
)
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.views import (
    TOKEN_HEADER,
    AmbiguousNameError,
    CommandReceipt,
    SystemRecoveryStatus,
    UnknownNameError,
    VMRecoveryStatus,
)
from exporter.recovery.report.events import TimelineEvent
from exporter.recovery.report.explain import Explanation
from exporter.recovery.report.summary import RecoverySummary
from exporter.recovery.service import RecoveryService
from exporter.web import server
from exporter.web.attempts import SLOWED_SECONDS
from exporter.web.commands import BODY_BYTES
from exporter.web.ports import Refusal
from exporter.web.reloadable_config import ReloadableWebConfig
from exporter.web.routes import make_app
from exporter.web.server import Listen, serving
from tests.recovery.archive import journal_on_disk, stage
from tests.web.samples import NOW, HandClock, system
from tests.web.site import StubOverview, StubPages, StubReload

TOKEN = "open-sesame-open-sesame"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
COMMAND = {"owner": "anna", "reason": "upgrade"}


class StubService:
    """A service that records its calls."""

    is_on = True

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.error: Exception | None = None
        self.cares = [
            SystemRecoveryStatus(
                system="production",
                url="https://v",
                mode="shadow",
                readiness="active",
                because="all is well",
                vms=12,
                states={"held": 30},
            )
        ]
        self.found: list[VMRecoveryStatus] = []

    def _note(self, *question: Any) -> None:
        if self.error is not None:
            raise self.error
        self.asked.append(question)

    def status(self, system: str | None = None) -> Sequence[SystemRecoveryStatus]:
        self._note("status", system)
        return self.cares

    async def vms(
        self, system: str | None = None, *, everyone: bool = False, limit: int | None = None
    ) -> Sequence[VMRecoveryStatus]:
        self._note("vms", system, everyone)
        return self.found[:limit]

    async def explain(
        self, vm: str, system: str | None = None, *, decision: int | None = None
    ) -> Explanation:
        self._note("explain", vm, system, decision)
        return Explanation(system="production", vm=vm, vm_key=1, uuid="u", state="held",
                           sentence=f"{vm} is down.")  # fmt: skip

    async def log(
        self, vm: str | None = None, system: str | None = None, *, limit: int, since: str = ""
    ) -> Sequence[TimelineEvent]:
        self._note("log", vm, system, limit, *filter(None, [since]))
        return [
            TimelineEvent(time=NOW, system="production", vm="web-01", kind="change", text="a → b")
        ]

    async def actions(self, system: str | None = None, *, limit: int) -> Sequence[TimelineEvent]:
        return [
            TimelineEvent(
                time=NOW, system="production", vm="web-<1>", kind="action", text="started it"
            )
        ]

    async def report(
        self, system: str | None = None, *, since: str, until: str = ""
    ) -> Sequence[RecoverySummary]:
        self._note("report", system, since, until)
        return [RecoverySummary(system="production", mode="shadow", since=NOW, until=NOW)]

    async def command(
        self,
        kind: CommandKind,
        *,
        owner: str,
        reason: str,
        seconds: float | None = None,
        vm: str | None = None,
        lesson: Lesson = NO_LESSON,
        question: int | None = None,
        system: str | None = None,
    ) -> Sequence[CommandReceipt]:
        about = tuple(filter(None, lesson))
        self._note(kind.value, owner, reason, seconds, vm or question, *about, system)
        return [
            CommandReceipt(
                system="production",
                kind=kind.value,
                owner=owner,
                reason=reason,
                time=NOW,
                readiness="active",
                because="ready to act",
            )
        ]


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Daemon:
    """A served application with a real client."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.http = http

    async def get(self, path: str, **headers: str) -> Answer:
        return await self._ask("GET", path, headers=headers)

    async def post(self, path: str, headers: Any = BEARER, **body: Any) -> Answer:
        return await self._ask("POST", f"/api/v1/recovery/{path}", headers=headers, json=body)

    async def send(self, path: str, data: bytes, **headers: str) -> Answer:
        return await self._ask("POST", path, headers=headers, data=BytesIO(data))

    async def _ask(self, method: str, path: str, **more: Any) -> Answer:
        async with self.http.request(method, self.url + path, **more) as answer:
            return Answer(answer.status, answer.headers, await answer.text())


Serving = Callable[..., Awaitable[Daemon]]


@pytest.fixture
async def daemon(clock: HandClock) -> AsyncIterator[Serving]:
    async with AsyncExitStack() as stack:

        async def start(
            service: Any = None,
            *,
            token: str | None = TOKEN,
            web_config: Path | None = None,
            **more: Any,
        ) -> Daemon:
            app = make_app(
                StubPages(),
                StubOverview(system()),
                more.pop("reload", StubReload()),
                clock=clock,
                version="1",
                web_config=ReloadableWebConfig(web_config, clock) if web_config else None,
                service=service,
                recovery_token=lambda: SecretStr(token) if token is not None else None,
                **more,
            )
            where = await stack.enter_async_context(serving(app, Listen("127.0.0.1", 0)))
            http = await stack.enter_async_context(aiohttp.ClientSession())
            return Daemon(f"http://127.0.0.1:{where.port}", http)

        yield start


# Queries.


async def test_queries_need_no_token(daemon: Serving) -> None:
    service = StubService()
    site = await daemon(service, token=None)

    status = await site.get("/api/v1/recovery")

    assert status.headers["Content-Type"] == "application/json"
    assert status.headers["Cache-Control"] == "no-store"
    assert status.json["systems"][0]["readiness"] == "active"
    assert (await site.get("/api/v1/recovery/vms?all=1&system=x")).json == {"vms": []}
    assert (await site.get("/api/v1/recovery/log?vm=web-01&limit=5")).json["events"][0][
        "vm"
    ] == "web-01"
    report = await site.get("/api/v1/recovery/report?since=2d")
    assert report.json["summaries"][0]["mode"] == "shadow"
    assert service.asked == [
        ("status", None),
        ("vms", "x", True),
        ("log", "web-01", None, 5),
        ("report", None, "2d", ""),
    ]


@pytest.mark.parametrize("name", ["web-01", "a/b", "ü %", "..", "a?b#c"])
async def test_any_vm_name_is_accepted(daemon: Serving, name: str) -> None:
    from yarl import URL

    service = StubService()
    site = await daemon(service)
    quoted = "".join(f"%{byte:02X}" for byte in name.encode())

    async with site.http.get(
        URL(f"{site.url}/api/v1/recovery/explain/{quoted}?decision=7", encoded=True)
    ) as answer:
        assert answer.status == 200
        assert (await answer.json())["sentence"] == f"{name} is down."
    assert service.asked == [("explain", name, None, 7)]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("?sytem=x", "unknown field `sytem`"),
        ("/vms?all=yes", "Expected `bool`, got `str` - at `$.all`"),
        ("/log?limit=many", "Expected `int`, got `str` - at `$.limit`"),
        ("/log?limit=0", "Expected `int` >= 1 - at `$.limit`"),
        ("/log?limit=1001", "Expected `int` <= 1000 - at `$.limit`"),
        ("/report?days=2", "unknown field `days`"),
        ("/explain/web-01?decision=x", "Expected `int | null`, got `str` - at `$.decision`"),
    ],
)
async def test_invalid_query_is_refused_with_a_reason(
    daemon: Serving, path: str, says: str
) -> None:
    answer = await (await daemon(StubService())).get(f"/api/v1/recovery{path}")

    assert answer.status == 400
    assert says in answer.json["error"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnknownNameError("no VM is called x"), 404),
        (AmbiguousNameError("x may be two"), 409),
        (JournalError("the journal is full"), 503),
    ],
)
async def test_service_error_has_status_and_text(
    daemon: Serving, error: Exception, status: int
) -> None:
    service = StubService()
    service.error = error
    site = await daemon(service)

    for answer in (
        await site.get("/api/v1/recovery/explain/x"),
        await site.post("pause", **COMMAND),
    ):
        assert (answer.status, answer.json) == (status, {"error": str(error)})


async def test_without_service_there_are_no_routes(daemon: Serving) -> None:
    site = await daemon(None)

    assert (await site.get("/api/v1/recovery")).status == 404
    assert (await site.post("pause", **COMMAND)).status == 404


# Commands.


@pytest.mark.parametrize("kind", GIVEN_BY_OPERATORS)
async def test_command_with_token_is_given(daemon: Serving, kind: CommandKind) -> None:
    service = StubService()
    site = await daemon(service)
    details: Mapping[CommandKind, dict[str, Any]] = {
        CommandKind.CLEAR: {"vm": "web-01"},
        CommandKind.TEACH: {"template": "VM <name> trimmed", "means": "harmless"},
        CommandKind.FORGET: {"template": "VM <name> trimmed"},
        **{kind: {"question": 17} for kind in ANSWERS},
    }
    more = details.get(kind, {})

    answer = await site.post(kind, **COMMAND, system="production", **more)

    assert answer.status == 200
    assert answer.json["commands"][0]["kind"] == kind
    seconds = 14_400 if kind == "pause" else None
    (asked,) = service.asked
    assert asked[:4] == (kind, "anna", "upgrade", seconds)
    assert [*filter(None, asked[4:-1])] == [*more.values()]
    assert asked[-1] == "production"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer"},
        {"X-Vergewatch-Token": "wrong"},
        {"X-Vergewatch-Token": "é"},
    ],
)
async def test_command_with_wrong_token_is_refused(
    daemon: Serving, headers: dict[str, str]
) -> None:
    service = StubService()
    site = await daemon(service)

    answer = await site.post("disarm", headers, **COMMAND)

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json["error"].startswith("the token is missing or wrong")
    assert TOKEN not in answer.text
    assert service.asked == []


@pytest.mark.parametrize("token", [None, ""])
@pytest.mark.parametrize("headers", [{}, BEARER, {"X-Vergewatch-Token": ""}])
async def test_command_without_configured_token_is_refused_and_names_the_setting(
    daemon: Serving, token: str | None, headers: dict[str, str]
) -> None:
    service = StubService()
    site = await daemon(service, token=token)

    answer = await site.post("pause", headers, **COMMAND)

    assert answer.status == 403
    assert "recovery.token" in answer.json["error"]
    assert service.asked == []


@pytest.mark.parametrize(
    ("kind", "body", "says"),
    [
        ("pause", {"reason": "r"}, "missing required field `owner`"),
        ("pause", {"owner": "a"}, "missing required field `reason`"),
        ("pause", {"owner": " ", "reason": "r"}, "owner must be a line of printable text"),
        ("pause", {"owner": "a", "reason": "\t \n"}, "reason must be a line of printable text"),
        (
            "pause",
            {"owner": "a", "reason": "r" * 501},
            "Expected `str` of length <= 500 - at `$.reason`",
        ),
        (
            "pause",
            {"owner": "a" * 101, "reason": "r"},
            "Expected `str` of length <= 100 - at `$.owner`",
        ),
        ("pause", {"owner": "a", "reason": "one\ntwo"}, "reason must be a line of printable text"),
        ("pause", {"owner": "a\u202e", "reason": "r"}, "owner must be a line of printable text"),
        ("pause", {**COMMAND, "seconds": 0}, "longer than 0 s and at most 86400 s"),
        ("pause", {**COMMAND, "seconds": 86_401}, "at most 86400 s"),
        ("pause", {**COMMAND, "seconds": "2h"}, "$.seconds"),
        ("pause", {**COMMAND, "seconds": True}, "$.seconds"),
        ("pause", {**COMMAND, "vm": "web-01"}, "vm is valid for clear only"),
        ("pause", {**COMMAND, "until": 5}, "unknown field `until`"),
        ("resume", {**COMMAND, "seconds": 5}, "seconds is valid for pause only"),
        ("clear", COMMAND, "vm is missing"),
        ("approve", COMMAND, "question is missing"),
        ("deny", {**COMMAND, "question": 0}, "Expected `int` >= 1 - at `$.question`"),
        ("arm", {**COMMAND, "question": 17}, "question is valid for approve and deny only"),
    ],
)
async def test_invalid_command_is_refused(
    daemon: Serving, kind: str, body: dict[str, Any], says: str
) -> None:
    service = StubService()

    answer = await (await daemon(service)).post(kind, **body)

    assert answer.status == 400
    assert says in answer.json["error"]
    assert service.asked == []


@pytest.mark.parametrize("seconds", [1, 86_400])
async def test_pause_of_a_day_is_accepted(daemon: Serving, seconds: float) -> None:
    answer = await (await daemon(StubService())).post("pause", **COMMAND, seconds=seconds)

    assert answer.status == 200


@pytest.mark.parametrize(
    ("data", "headers", "status"),
    [
        (b"owner=a&reason=b", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b'{"owner":"a","reason":"b"}', {"Content-Type": "text/plain"}, 415),
        (b"not json", {"Content-Type": "application/json"}, 400),
        (b"\xff\xfe", {"Content-Type": "application/json"}, 400),
        (b"[]", {"Content-Type": "application/json"}, 400),
        (b'"' + b"x" * BODY_BYTES + b'"', {"Content-Type": "application/json"}, 413),
        (b'"' + b"x" * 1_100_000 + b'"', {"Content-Type": "application/json"}, 413),
        (b"garbage", {"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
        (
            gzip.compress(b" " * 3_000_000),
            {"Content-Type": "application/json", "Content-Encoding": "gzip"},
            415,
        ),
    ],
)
async def test_body_must_be_json_of_limited_length(
    daemon: Serving,
    data: bytes,
    headers: dict[str, str],
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = StubService()
    site = await daemon(service)

    answer = await site.send("/api/v1/recovery/pause", data, **BEARER, **headers)

    assert answer.status == status
    assert answer.json["error"]
    assert service.asked == []
    assert caplog.records == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    ],
)
async def test_cross_site_request_may_neither_command_nor_reload(
    daemon: Serving, headers: dict[str, str]
) -> None:
    service, reload = StubService(), StubReload()
    site = await daemon(service, reload=reload)

    steered = await site.post("disarm", {**BEARER, **headers}, **COMMAND)
    reloaded = await site.send("/-/reload", b"", **headers)

    assert (steered.status, service.asked) == (403, [])
    assert (reloaded.status, reload.calls) == (403, 0)


async def test_same_site_request_may_reload(daemon: Serving) -> None:
    reload = StubReload()
    site = await daemon(None, reload=reload)

    for headers in ({"Origin": site.url}, {"Sec-Fetch-Site": "same-origin"}, {}):
        assert (await site.send("/-/reload", b"", **headers)).status == 200
    assert reload.calls == 3


async def test_compressed_body_is_refused_without_decompression(
    daemon: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    reload = StubReload()
    site = await daemon(None, reload=reload)

    answer = await site.send("/-/reload", b"garbage" * 10, **{"Content-Encoding": "gzip"})
    await asyncio.sleep(0.05)  # noqa: TID251 - what aiohttp logs, it logs after its answer

    assert (answer.status, reload.calls) == (415, 0)
    assert caplog.records == []


async def test_token_header_works_beside_basic_auth(daemon: Serving, tmp_path: Path) -> None:
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    config = tmp_path / "web.yml"
    config.write_text(f"basic_auth_users:\n  anna: {hashed}\n")
    site = await daemon(StubService(), web_config=config)
    signed = {"Authorization": "Basic YW5uYTpzZWNyZXQ="}

    assert (await site.get("/api/v1/recovery")).status == 401
    assert (await site.get("/api/v1/recovery", **signed)).status == 200
    assert (await site.post("pause", BEARER, **COMMAND)).status == 401
    assert (await site.post("pause", {"X-Vergewatch-Token": TOKEN}, **COMMAND)).status == 401
    assert (await site.post("pause", signed, **COMMAND)).status == 401
    both = {**signed, "X-Vergewatch-Token": TOKEN}
    assert (await site.post("pause", both, **COMMAND)).status == 200


async def test_get_of_a_command_is_refused(daemon: Serving) -> None:
    service = StubService()
    site = await daemon(service)

    assert (await site.get("/api/v1/recovery/pause", **BEARER)).status == 405
    assert service.asked == []


async def test_token_is_in_no_log(daemon: Serving) -> None:
    service = StubService()
    service.error = ZeroDivisionError("a bug")
    site = await daemon(service)

    with structlog.testing.capture_logs() as logs:
        answer = await site.post("pause", **COMMAND)

    assert answer.status == 500
    assert TOKEN not in f"{logs}{answer.text}"


@pytest.mark.parametrize(
    "path",
    [
        *("/api", "/api/", "/api/v1", "/api/v1/recovery", "/api/v1/recovery/vms", "/api/v2/x"),
        *("/static", "/static/console.css", "/vms", "/vms/production/1", "/recovery", "/events"),
        *("/login", "/logout", "/alerts/x", "/platform", "/data/"),
    ],
)
def test_metrics_cannot_be_where_the_api_and_the_console_are(path: str, clock: HandClock) -> None:
    with pytest.raises(ConfigError, match="is used by another endpoint"):
        make_app(
            StubPages(), StubOverview(), StubReload(), clock=clock, version="1", telemetry_path=path
        )


# End to end.


async def test_answers_are_given_and_refused_with_the_reason(
    daemon: Serving, tmp_path: Path
) -> None:
    harness = stage(mode=Mode.ASK)
    harness.world.crash("web-01")
    harness.world.crash("web-02")
    harness.advance(120)
    journal = await journal_on_disk(harness, tmp_path / "state")
    service = RecoveryService(
        lambda: {"production": harness.recovery}, lambda: journal, harness.clock
    )
    site = await daemon(service)
    status = (await site.get("/api/v1/recovery")).json["systems"][0]
    first, second = (one["number"] for one in status["questions"])

    approved = await site.post("approve", **COMMAND, question=first)
    again = await site.post("approve", **COMMAND, question=first)
    denied = await site.post("deny", **COMMAND, question=second)
    unknown = await site.post("deny", **COMMAND, question=999)

    assert approved.json["commands"][0]["result"] == (
        f"question {first} is approved; Vergewatch started it (web-01)"
    )
    assert approved.json["commands"][0]["vm"] == "web-01"
    assert (again.status, unknown.status) == (409, 409)
    assert "its action was sent" in again.json["error"]
    assert f"question {second} is denied" in denied.json["commands"][0]["result"]
    assert unknown.json["error"].endswith("open questions: none")
    assert [(one.kind, one.question) for one in harness.journal.commands] == [
        ("approve", first), ("deny", second),
    ]  # fmt: skip
    explained = (await site.get("/api/v1/recovery/explain/web-02")).json
    assert f"because question {second} was denied by anna: upgrade" in explained["sentence"]


async def test_command_is_recorded_in_the_journal(daemon: Serving, tmp_path: Path) -> None:
    harness = stage()
    harness.world.crash("web-01")
    harness.advance(100)
    journal = await journal_on_disk(harness, tmp_path / "state")
    service = RecoveryService(
        lambda: {"production": harness.recovery}, lambda: journal, harness.clock
    )
    site = await daemon(service)

    paused = await site.post("pause", **COMMAND, seconds=600)
    harness.journal.broken = "the journal is full"
    disarmed = await site.post("disarm", **COMMAND)

    assert paused.json["commands"][0]["seconds"] == 600
    assert [one.kind for one in harness.journal.commands] == ["pause"]
    assert (disarmed.status, "is not in force" in disarmed.json["error"]) == (503, True)
    assert harness.recovery.commands.disarm is None
    assert (await site.get("/api/v1/recovery")).json["systems"][0]["paused"]["owner"] == "anna"
    explained = (await site.get("/api/v1/recovery/explain/web-01")).json
    assert "Vergewatch started it at 00:11:20" in explained["sentence"]
    await journal.close()


# Strangers.


async def guess(site: Daemon, client: str, times: int) -> list[int]:
    """Return the statuses of commands with wrong tokens from the address *client*."""
    connector = aiohttp.TCPConnector(local_addr=(client, 0))
    async with aiohttp.ClientSession(connector=connector) as http:
        guesser = Daemon(site.url, http)
        return [
            (await guesser.post("disarm", {TOKEN_HEADER: f"{TOKEN}{number}"}, **COMMAND)).status
            for number in range(times)
        ]


async def test_guessing_the_token_is_held_up_logged_and_counted(daemon: Serving) -> None:
    service, counted = StubService(), list[Refusal]()
    site = await daemon(service, refused=counted.append)

    with structlog.testing.capture_logs() as logs:
        statuses = await guess(site, "127.0.0.2", 200)

    assert statuses == [401] * 10 + [429] * 190
    assert service.asked == []
    assert [(line["event"], line["client"]) for line in logs] == [("web.wrong_secret", "127.0.0.2")]
    assert (counted.count(Refusal.TOKEN), counted.count(Refusal.GUESSING)) == (10, 190)


async def test_guesser_is_refused_even_with_the_token(daemon: Serving) -> None:
    site = await daemon(StubService())
    await guess(site, "127.0.0.2", 10)

    connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with aiohttp.ClientSession(connector=connector) as http:
        answer = await Daemon(site.url, http).post("disarm", **COMMAND)

    assert (answer.status, answer.headers["Retry-After"]) == (429, "10")


async def test_guessing_does_not_lock_out_the_operator(daemon: Serving) -> None:
    service = StubService()
    site = await daemon(service)
    for address in range(2, 40):
        await guess(site, f"127.0.0.{address}", 3)
    await guess(site, "127.0.0.1", 100)

    assert (await site.post("disarm", **COMMAND)).status == 200


async def test_guessing_at_the_address_of_the_operator_is_slowed(
    daemon: Serving, clock: HandClock
) -> None:
    site = await daemon(StubService())
    await guess(site, "127.0.0.1", 10)
    began = clock.seconds

    assert await guess(site, "127.0.0.1", 20) == [401] * 20
    assert clock.seconds - began >= 20 * SLOWED_SECONDS
    assert (await site.post("disarm", **COMMAND)).status == 200


async def test_waiting_guesses_keep_the_operator_at_the_same_address_in_reach(
    daemon: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "affordable_connections", lambda: 8)
    service, gate = StubService(), asyncio.Event()
    site = await daemon(service)
    await guess(site, "127.0.0.1", 10)

    async def wait(self: HandClock, _: float) -> None:
        await gate.wait()

    monkeypatch.setattr(HandClock, "sleep", wait)
    command = asyncio.create_task(site.post("disarm", **COMMAND))
    await asyncio.sleep(0.1)  # noqa: TID251 - until the server waits
    guessing = [asyncio.create_task(guess(site, "127.0.0.1", 1)) for _ in range(20)]
    done, _ = await asyncio.wait(guessing, timeout=0.5)
    health = await site.get("/-/healthy")
    gate.set()
    await asyncio.gather(command, *guessing, return_exceptions=True)

    assert len(done) >= 14  # made room for others
    assert len(service.asked) == 1  # done, though its connection made room as well
    assert health.status == 200


async def test_request_without_a_token_is_no_guess(daemon: Serving) -> None:
    site = await daemon(StubService())

    for _ in range(100):
        assert (await site.post("disarm", {}, **COMMAND)).status == 401


@pytest.mark.parametrize("path", ["disarm", "pause", "arm"])
async def test_command_under_a_foreign_host_name_is_refused(daemon: Serving, path: str) -> None:
    service = StubService()
    site = await daemon(service, hosts=["exporter.example.org"])

    foreign = await site.post(path, {**BEARER, "Host": "evil.example:9888"}, **COMMAND)
    assert (foreign.status, service.asked) == (403, [])
    assert "web.hosts" in foreign.json["error"]

    own = await site.post(path, {**BEARER, "Host": "exporter.example.org"}, **COMMAND)
    assert own.status == 200


async def test_queries_at_once_are_bounded(daemon: Serving) -> None:
    service, release = StubService(), asyncio.Event()

    async def wait(*_: Any, **__: Any) -> list[VMRecoveryStatus]:
        await release.wait()
        return []

    service.vms = wait  # type: ignore[method-assign]
    site = await daemon(service)
    waiting = [asyncio.create_task(site.get("/api/v1/recovery/vms")) for _ in range(20)]
    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    command = await site.post("disarm", **COMMAND)
    release.set()
    statuses = sorted(answer.status for answer in await asyncio.gather(*waiting))

    assert {each.result().status for each in done} == {503}
    assert command.status == 200
    assert statuses == [200] * 6 + [503] * 14
