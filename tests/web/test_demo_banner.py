"""The banner of the demo: shown in the demo only, and its buttons work for its own pages only."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta

import aiohttp
import msgspec
import pytest

from exporter.model import RecoveryReport, SystemReport
from exporter.web.ports import Demo, DemoAction, DemoEvent
from exporter.web.routes import make_app
from exporter.web.server import Listen, serving
from tests.web.conftest import Serve
from tests.web.samples import NOW, HandClock, system
from tests.web.site import StubOverview, StubPages, StubReload


class StubDemo:
    def __init__(self) -> None:
        self.token = "a-token-of-the-demo"
        self.done: list[DemoAction] = []

    def coming(self) -> Sequence[DemoEvent]:
        return [DemoEvent(NOW + timedelta(seconds=40), "crash", "web & <b>co</b>", "")]

    def happened(self) -> Sequence[DemoEvent]:
        return [DemoEvent(NOW, "node_failed", "node5", "")]

    def broken(self) -> Sequence[str]:
        return ["node5"]

    def act(self, action: DemoAction) -> None:
        self.done.append(action)


class DemoOverview(StubOverview):
    """One system, in which recovery is as ready as a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.readiness: str | None = "active"

    def reports(self) -> Sequence[SystemReport]:
        if self.readiness is None:
            return [system()]
        recovery = RecoveryReport(
            mode="enforce",
            readiness=self.readiness,
            because="",
            ready=self.readiness == "active",
            vms=(),
            budgets_remaining=(),
            last_actions=(),
            open_actions=0,
            journal_problem="",
            inventory_at=NOW,
        )
        return [msgspec.structs.replace(system(), recovery=recovery)]


class Site:
    """The server, and a browser's view of it."""

    def __init__(
        self, url: str, http: aiohttp.ClientSession, demo: StubDemo, overview: DemoOverview
    ) -> None:
        self.url, self.http, self.demo, self.overview = url, http, demo, overview

    async def page(self) -> str:
        async with self.http.get(self.url) as answer:
            return await answer.text()

    async def fields(self, **changes: str) -> dict[str, str]:
        """Return what the form sends, with *changes*."""
        found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', await self.page())
        return {**dict(found), "action": "crash", **changes}

    async def send(
        self, fields: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> aiohttp.ClientResponse:
        return await self.http.post(
            f"{self.url}/demo", data=fields, headers=headers, allow_redirects=False
        )


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    demo, overview, clock = StubDemo(), DemoOverview(), HandClock()
    port: Demo = demo
    app = make_app(StubPages(), overview, StubReload(), clock=clock, demo=port)
    async with (
        serving(app, Listen("127.0.0.1", 0)) as where,
        aiohttp.ClientSession() as http,
    ):
        yield Site(f"http://{where}", http, demo, overview)


async def test_a_daemon_that_watches_real_systems_has_no_banner_and_no_buttons(
    serve: Serve,
) -> None:
    server = await serve()
    assert 'class="demo"' not in (await server.request("/")).text
    assert (await server.request("/demo", method="POST")).status == 404


async def test_the_banner_says_what_comes_and_escapes_names(site: Site) -> None:
    page = await site.page()
    assert "in 40 s" in page
    assert "web &amp; &lt;b&gt;co&lt;/b&gt;" in page
    assert site.demo.token in page


async def test_buttons_wait_until_recovery_was_ready_once(site: Site) -> None:
    disabled = 'value="crash" disabled'
    for readiness in (None, "degraded", "warming_up"):
        site.overview.readiness = readiness
        assert disabled in await site.page(), readiness
    for readiness in ("active", "paused"):
        site.overview.readiness = readiness
        assert disabled not in await site.page(), readiness


async def test_a_button_acts_without_a_login_and_leads_back(site: Site) -> None:
    answer = await site.send(await site.fields(next="/vms?q=web"))
    assert (answer.status, answer.headers["Location"]) == (303, "/vms?q=web")
    assert site.demo.done == [DemoAction.CRASH]


@pytest.mark.parametrize("elsewhere", ["https://example.com/", "//example.com/", "/\\example.com"])
async def test_a_button_leads_to_no_other_site(site: Site, elsewhere: str) -> None:
    answer = await site.send(await site.fields(next=elsewhere))
    assert answer.headers["Location"] == "/"


@pytest.mark.parametrize(
    ("changes", "headers", "status"),
    [
        ({"csrf": ""}, {}, 403),
        ({"csrf": "of another page"}, {}, 403),
        ({}, {"Host": "rebound.example.com"}, 403),
        ({}, {"Origin": "http://example.com"}, 403),
        ({}, {"Sec-Fetch-Site": "cross-site"}, 403),
        ({"action": "delete_all"}, {}, 400),
    ],
)
async def test_a_form_of_another_page_or_site_does_nothing(
    site: Site, changes: Mapping[str, str], headers: Mapping[str, str], status: int
) -> None:
    answer = await site.send(await site.fields(**changes), headers)
    assert answer.status == status
    assert site.demo.done == []
