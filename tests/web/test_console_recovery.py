"""The page of recovery: what it shows, and the commands that an operator sends from it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace
from pydantic import SecretStr

from exporter.model import SystemReport
from exporter.recovery.leadership import ONLY_REPLICA
from exporter.recovery.model.limits import Mode
from exporter.recovery.service import RecoveryService
from exporter.web.routes import make_app
from exporter.web.server import Listen, serving
from tests.recovery.archive import journal_on_disk, stage
from tests.recovery.harness import Harness, LeadsInTurn
from tests.web.operator import Browser, browsing
from tests.web.samples import HandClock, system
from tests.web.site import StubOverview, StubPages, StubReload

TOKEN = "open-sesame-open-sesame"
HOSTILE = '<script>alert("1")</script>\u202e'
MASS = 12


class Site(NamedTuple):
    """A console of a system whose recovery runs in the test."""

    harness: Harness
    browser: Browser


class LiveOverview(StubOverview):
    """The report of a system with the newest of its recovery."""

    def __init__(self, harness: Harness) -> None:
        super().__init__()
        self._harness = harness

    def reports(self) -> list[SystemReport]:
        return [replace(system(), recovery=self._harness.recovery.report)]


class Sites:
    """Starts consoles until the end of a test."""

    def __init__(self, stack: AsyncExitStack, clock: HandClock, folder: Path) -> None:
        self._stack, self._clock, self._folder = stack, clock, folder

    async def of(self, harness: Harness) -> Site:
        journal = await journal_on_disk(harness, self._folder / "state")
        self._stack.push_async_callback(journal.close)
        service = RecoveryService(
            lambda: {"production": harness.recovery}, lambda: journal, harness.clock
        )
        return Site(harness, await self.serve(service, LiveOverview(harness)))

    async def serve(self, service: Any, overview: StubOverview) -> Browser:
        app = make_app(
            StubPages(),
            overview,
            StubReload(),
            clock=self._clock,
            service=service,
            recovery_token=lambda: SecretStr(TOKEN),
        )
        where = await self._stack.enter_async_context(serving(app, Listen("127.0.0.1", 0)))
        return await self._stack.enter_async_context(browsing(f"http://127.0.0.1:{where.port}"))


@pytest.fixture
async def sites(clock: HandClock, tmp_path: Path) -> AsyncIterator[Sites]:
    async with AsyncExitStack() as stack:
        yield Sites(stack, clock, tmp_path)


def asking() -> tuple[Harness, int, int]:
    """Return recovery that asks about web-01 and web-02, with the numbers of the questions."""
    harness = stage(mode=Mode.ASK)
    harness.world.crash("web-01")
    harness.world.crash("web-02")
    harness.advance(120)
    first, second = (one.number for one in harness.recovery.report.questions)
    return harness, first, second


async def test_operator_approves_and_denies_questions(sites: Sites) -> None:
    harness, first, second = asking()
    browser = (await sites.of(harness)).browser
    await browser.log_in("anna", TOKEN)

    approved = await browser.send(
        "/recovery", "/recovery/approve", reason="known crash", question=f"{first}",
        system="production",
    )  # fmt: skip
    denied = await browser.send(
        "/recovery", "/recovery/deny", reason="it stays off", question=f"{second}",
        system="production",
    )  # fmt: skip

    assert f"question {first} is approved; Vergewatch started it (web-01)" in approved.text
    assert f"question {second} is denied" in denied.text
    assert approved.address.startswith("/recovery?notice=")
    harness.advance(60)
    assert harness.running("web-01")
    assert not harness.running("web-02")
    assert [
        (one.kind, one.owner, one.reason, one.question) for one in harness.journal.commands
    ] == [("approve", "anna", "known crash", first), ("deny", "anna", "it stays off", second)]


async def test_refused_answer_keeps_the_reason_in_its_form(sites: Sites) -> None:
    harness, first, _ = asking()
    browser = (await sites.of(harness)).browser
    await browser.log_in("anna", TOKEN)
    harness.journal.broken = "the disk is full"

    page = await browser.send(
        "/recovery", "/recovery/approve", reason=f"typed {HOSTILE[:8]}", question=f"{first}",
        system="production",
    )  # fmt: skip

    assert "the disk is full" in page.text
    reasons = [
        given.get("value")
        for tag, given in page.tags
        if tag == "input" and given.get("id") == f"answer-{first}"
    ]
    assert reasons == [f"typed {HOSTILE[:8]}"]
    assert not harness.running("web-01")


async def test_question_that_is_closed_is_refused_with_the_reason(sites: Sites) -> None:
    browser = (await sites.of(asking()[0])).browser
    await browser.log_in("anna", TOKEN)

    page = await browser.send("/recovery", "/recovery/deny", reason="no", question="999")

    assert "open questions:" in page.text
    assert ("p", "notice critical") in [(tag, given.get("class")) for tag, given in page.tags]


@pytest.mark.parametrize(
    ("kind", "fields", "says"),
    [
        ("pause", {"seconds": "900"}, "recovery is paused for 15 min"),
        ("disarm", {}, "recovery is disarmed until an operator arms it"),
        ("arm", {}, "no disarm is in force"),
        ("accept", {}, "the current inventory is accepted as correct"),
        ("clear", {"vm": "web-03"}, "the restart budget of web-03 is refilled"),
        ("teach", {"template": "VM is odd", "means": "harmless"}, "mean harmless"),
    ],
)
async def test_command_is_journaled_with_its_owner(
    sites: Sites, kind: str, fields: dict[str, str], says: str
) -> None:
    harness = stage()
    browser = (await sites.of(harness)).browser
    await browser.log_in("anna", TOKEN)

    page = await browser.send("/recovery", f"/recovery/{kind}", reason="night", **fields)

    assert says in page.text
    assert [(one.kind, one.owner, one.reason) for one in harness.journal.commands] == [
        (kind, "anna", "night")
    ]


@pytest.mark.parametrize(("leads", "forms"), [(None, 0), (LeadsInTurn(), 1)])
async def test_only_a_replica_can_be_told_to_step_down(
    sites: Sites, leads: LeadsInTurn | None, forms: int
) -> None:
    harness = stage(leadership=leads or ONLY_REPLICA)
    browser = (await sites.of(harness)).browser
    await browser.log_in("anna", TOKEN)

    page = await browser.open("/recovery")
    told = await browser.send("/recovery", "/recovery/step-down", reason="night")

    actions = [given.get("action") for tag, given in page.tags if tag == "form"]
    assert actions.count("/recovery/step-down") == forms
    assert ("another replica may lead" in told.text) == bool(forms)
    assert [one.kind for one in harness.journal.commands] == ["step-down"] * forms


@pytest.mark.parametrize(
    ("kind", "fields", "says"),
    [
        ("pause", {"seconds": "0"}, "longer than 0 s"),
        ("pause", {"seconds": "much"}, "seconds"),
        ("pause", {"reason": " "}, "reason must be a line of printable text"),
        ("clear", {}, "vm is missing"),
        ("clear", {"vm": "nothing-like-it"}, "no VM is named 'nothing-like-it'"),
        ("teach", {"template": "VM is odd", "means": "fine"}, "means must be one of"),
        ("disarm", {"system": "elsewhere"}, "no system is named 'elsewhere'"),
    ],
)
async def test_command_that_is_wrong_is_explained_and_not_recorded(
    sites: Sites, kind: str, fields: dict[str, str], says: str
) -> None:
    harness = stage()
    browser = (await sites.of(harness)).browser
    await browser.log_in("anna", TOKEN)

    page = await browser.send("/recovery", f"/recovery/{kind}", **{"reason": "night", **fields})

    assert says in page.text
    assert harness.journal.commands == []


async def test_stranger_sees_the_page_without_forms_and_sends_no_command(sites: Sites) -> None:
    harness, first, _ = asking()
    browser = (await sites.of(harness)).browser

    page = await browser.open("/recovery")
    refused = await browser.post("/recovery/approve", reason="x", question=f"{first}")

    assert "Log in to send commands" in page.text
    assert "/recovery/approve" not in page.html
    assert refused.address == "/login?next=/recovery"
    assert harness.journal.commands == []


async def test_command_without_the_token_of_the_session_is_refused(sites: Sites) -> None:
    harness = stage()
    browser = (await sites.of(harness)).browser
    await browser.log_in("anna", TOKEN)

    for csrf in ({}, {"csrf": "guessed"}):
        assert (await browser.post("/recovery/disarm", reason="x", **csrf)).status == 403
    assert harness.journal.commands == []


async def test_equal_reasons_are_one_line(sites: Sites) -> None:
    harness = stage()
    for name in harness.names[:MASS]:
        harness.world.crash(name)
    harness.advance(120)

    page = await (await sites.of(harness)).browser.open("/recovery")

    assert f"held {MASS} VMs : several VMs of its node went down together" in page.text
    assert f"open, {MASS} VMs lost together" in page.text
    assert "guard=node_stable" in page.html


async def test_row_that_blocks_a_diagnosis_is_taught_from_the_page(sites: Sites) -> None:
    harness = stage()
    harness.advance(60)
    machine = harness.world.vm("web-01").machine.key
    harness.world.platform_log.write(
        f"VM was {HOSTILE}", at=harness.world.now, user="system", name="web-01", machine=machine
    )
    harness.world.crash("web-01")
    harness.advance(120)
    browser = (await sites.of(harness)).browser
    await browser.log_in("anna", TOKEN)
    page = await browser.open("/recovery")
    templates = [
        given["value"] or "" for tag, given in page.tags if given.get("name") == "template"
    ]

    taught = await browser.send(
        "/recovery", "/recovery/teach", reason="a backup", template=templates[0], means="harmless"
    )
    harness.advance(120)
    assert len(templates) == 1
    assert "mean harmless" in taught.text
    assert harness.running("web-01")

    page = await browser.open("/recovery")
    assert "Taught by anna" in page.text
    forgotten = await browser.send(
        "/recovery", "/recovery/forget", reason="a mistake", template=templates[0]
    )
    harness.advance(20)

    assert "Taught by" not in forgotten.text
    assert [one.kind for one in harness.journal.commands] == ["teach", "forget"]


@pytest.mark.parametrize("path", ["/recovery", "/recovery/log", f"/recovery/log?vm={HOSTILE}"])
async def test_names_cannot_add_markup(sites: Sites, path: str) -> None:
    harness = stage(mode=Mode.ASK)
    harness.world.renames("web-01", HOSTILE)
    harness.advance(60)
    harness.world.crash(HOSTILE)
    harness.advance(120)
    browser = (await sites.of(harness)).browser
    await browser.log_in(f"anna {HOSTILE[:-1]}", TOKEN)

    page = await browser.open(path)

    assert page.status == 200
    assert HOSTILE in page.text
    assert [given for tag, given in page.tags if tag == "script" and "src" not in given] == []


async def test_missing_inputs_kill_switch_and_commands_in_force_are_shown(
    sites: Sites, tmp_path: Path
) -> None:
    harness = stage(mode=Mode.ENFORCE, readonly=True)
    harness.world.crash("web-01")
    harness.advance(120)
    browser = (await sites.of(harness)).browser
    await browser.log_in("anna", TOKEN)

    page = await browser.send("/recovery", "/recovery/disarm", reason="night")

    assert "write_access" in page.text
    assert "Disarmed by anna" in page.text


async def test_page_says_that_recovery_is_off(sites: Sites) -> None:
    for service in (None, RecoveryService(dict, lambda: None, HandClock())):
        browser = await sites.serve(service, StubOverview())

        page = await browser.open("/recovery")
        log = await browser.open("/recovery/log")

        assert "Recovery is off" in page.text
        assert "recovery.mode" in page.text
        assert (log.status, "Recovery is off" in log.text) == (200, True)


async def test_log_shows_the_events_of_one_vm(sites: Sites) -> None:
    harness = stage()
    harness.world.crash("web-01")
    harness.world.crash("web-02")
    harness.advance(120)
    browser = (await sites.of(harness)).browser

    every = await browser.open("/recovery/log")
    one = await browser.open("/recovery/log?vm=web-01&limit=100&system=")
    none = await browser.open("/recovery/log?vm=nothing-like-it")
    wrong = await browser.open("/recovery/log?limit=many")
    never = await browser.open("/recovery/log?since=yesterday")

    assert ("web-01" in every.text, "web-02" in every.text) == (True, True)
    assert ("started it" in one.text, "web-02" in one.text) == (True, False)
    assert (none.status, "no VM is named" in none.text) == (404, True)
    assert (wrong.status, "Expected `int`" in wrong.text) == (400, True)
    assert (never.status, "must be a duration such as" in never.text) == (400, True)


async def test_report_shows_figures_and_charts_of_the_period(sites: Sites) -> None:
    harness = stage()
    harness.world.renames("web-01", HOSTILE)
    harness.advance(60)
    harness.world.crash(HOSTILE)
    harness.advance(240)
    browser = (await sites.of(harness)).browser

    page = await browser.open("/recovery/report?since=7d")

    assert "1 downtime of enrolled VMs; Vergewatch acted on 1 and brought 1 up." in page.text
    assert "Precision" in page.text
    assert ("svg", "plot") in [(tag, given.get("class")) for tag, given in page.tags]
    assert HOSTILE in page.text
    assert [given for tag, given in page.tags if tag == "script" and "src" not in given] == []
    assert not [given for _, given in page.tags if "style" in given]


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("since=yesterday", 400, "must be a duration such as 7d"),
        ("days=7", 400, "unknown field"),
        ("system=elsewhere", 404, "no system is named 'elsewhere'"),
    ],
)
async def test_report_of_no_period_or_system_is_refused(
    sites: Sites, query: str, status: int, says: str
) -> None:
    page = await (await sites.of(stage())).browser.open(f"/recovery/report?{query}")

    assert (page.status, says in page.text) == (status, True)
