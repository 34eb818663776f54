"""The page of alerts: what fires, what is silenced, and silences in a real Alertmanager."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec.structs import replace
from pydantic import SecretStr

from exporter.alerting.alerting import Alerting
from exporter.alerting.config import AlertmanagerSettings
from exporter.alerting.views import MADE_HERE
from exporter.clock import SystemClock
from exporter.model import SystemReport, SystemState
from exporter.recovery.model.limits import Mode
from exporter.telemetry import Telemetry
from exporter.web.console.alerts import end_of
from exporter.web.routes import make_app
from exporter.web.server import Listen, serving
from tests.alerting.real_alertmanager import Real, alertmanagers, equal, eventually
from tests.daemon.test_daemon import self_signed
from tests.recovery.archive import stage
from tests.recovery.harness import Harness
from tests.web.operator import Browser, Page, browsing
from tests.web.samples import NOW, system
from tests.web.site import StubOverview, StubPages, StubReload

TOKEN = "open-sesame-open-sesame"
CLOCK = SystemClock()
"""Alertmanager knows no other time."""
HOSTILE = '<script>alert("1")</script>'


class Overview(StubOverview):
    """A system with the VMs of a harness."""

    def __init__(self, harness: Harness) -> None:
        super().__init__()
        self._harness = harness

    def reports(self) -> list[SystemReport]:
        return [replace(system(), recovery=self._harness.recovery.report)]

    def states(self) -> list[SystemState]:
        inventory = self._harness.recovery.state.inventory
        assert inventory is not None
        return [SystemState(inventory.reported, report) for report in self.reports()]


class Site(NamedTuple):
    """A console beside a real Alertmanager."""

    alertmanager: Real
    alerting: Alerting
    browser: Browser
    harness: Harness


@asynccontextmanager
async def site(
    folder: Path, *, harness: Harness | None = None, ca_file: Path | None = None
) -> AsyncIterator[Site]:
    watched = harness or stage()
    async with AsyncExitStack() as stack:
        (real,) = await stack.enter_async_context(alertmanagers(folder))
        settings = AlertmanagerSettings(
            urls=(real.url,),
            evaluate_every_seconds=0.1,
            silences_every_seconds=0.2,
            ca_file=ca_file,
        )
        meter = Telemetry().alertmanager_meter()
        alerting = Alerting(settings, folder / "state", CLOCK, meter)
        overview = Overview(watched)
        working = asyncio.create_task(alerting.run(overview.reports))
        stack.callback(working.cancel)
        browser = await stack.enter_async_context(console(overview, alerting))
        yield Site(real, alerting, browser, watched)


@asynccontextmanager
async def console(overview: StubOverview, alerting: Alerting | None) -> AsyncIterator[Browser]:
    app = make_app(
        StubPages(),
        overview,
        StubReload(),
        clock=CLOCK,
        recovery_token=lambda: SecretStr(TOKEN),
        alerts=alerting,
    )
    async with (
        serving(app, Listen("127.0.0.1", 0)) as where,
        browsing(f"http://127.0.0.1:{where.port}") as browser,
    ):
        yield browser


async def shown(browser: Browser, text: str) -> Page:
    """Open the page until it has *text*."""

    async def has() -> bool:
        return text in (await browser.open("/alerts")).text

    await eventually(has)
    return await browser.open("/alerts")


async def test_operator_silences_a_vm_and_ends_the_silence(tmp_path: Path) -> None:
    async with site(tmp_path) as (real, alerting, browser, harness):
        await browser.log_in("anna", TOKEN)
        key = harness.world.vm("web-01").key
        labels = {"system_name": "production", "vm_id": f"{key}", "vm_name": "web-01"}

        done = await browser.send(
            "/alerts", "/alerts/silence", vm="web-01", duration="4h", reason="a new disk"
        )
        (silence,) = await real.get("silences")
        held = alerting.silences.hold_reason(labels)
        api = await browser.open("/api/v1/silences")
        ended = await browser.send("/alerts", "/alerts/expire", id=silence["id"])
        (expired,) = await real.get("silences")

    lasts = datetime.fromisoformat(silence["endsAt"]) - datetime.fromisoformat(silence["startsAt"])
    assert "web-01 is silenced until" in done.text
    assert "Mutes 1 VM, which recovery does not start: web-01" in done.text
    assert (silence["createdBy"], silence["comment"]) == ("anna", f"a new disk {MADE_HERE}")
    assert {one["name"]: one["value"] for one in silence["matchers"]} == labels
    assert timedelta(hours=3, minutes=59) < lasts <= timedelta(hours=4)
    assert "it is silenced by anna" in held
    assert '"name":"web-01"' in api.html
    assert "is ended" in ended.text
    assert expired["status"]["state"] == "expired"


async def test_alerts_are_shown_with_the_silence_that_mutes_them(tmp_path: Path) -> None:
    harness = stage(mode=Mode.ASK)
    harness.world.renames("web-01", HOSTILE)
    harness.advance(60)
    harness.world.crash(HOSTILE)
    harness.advance(120)
    async with site(tmp_path, harness=harness) as (_, __, browser, ___):
        await browser.log_in("anna", TOKEN)
        firing = await shown(browser, "VergeRecoveryApprovalNeeded")
        form = await browser.open(silence_link(firing))
        await browser.send(
            "/alerts", "/alerts/silence", vm=HOSTILE, duration="tomorrow", reason=f"so {HOSTILE}"
        )
        silenced = await shown(browser, "silenced by anna")
        alerts = (await browser.open("/api/v1/alerts")).html

    assert ("Runbook" in firing.text, HOSTILE in firing.text) == (True, True)
    assert value_of(form, "silence-vm") == HOSTILE
    for page in (firing, silenced):
        assert [given for tag, given in page.tags if tag == "script" and "src" not in given] == []
    assert '"configured":true' in alerts
    assert '"name":"VergeRecoveryApprovalNeeded"' in alerts


async def test_silence_of_others_is_shown_and_not_ended(tmp_path: Path) -> None:
    async with site(tmp_path) as (real, _, browser, __):
        await browser.log_in("anna", TOKEN)
        _, known = await real.silence(
            [equal("vm_name", "web-01"), equal("alertname", "VergeVMDown")]
        )
        page = await shown(browser, "a new disk")
        refused = await browser.post("/alerts/expire", id=known, csrf=csrf_of(page))
        (silence,) = await real.get("silences")

    assert "by alice" in page.text
    assert "Mutes 1 VM" in page.text
    assert "End this silence" not in page.text
    assert "created no such silence" in refused.text
    assert silence["status"]["state"] == "active"


async def test_alertmanager_that_is_gone_loses_nothing_that_was_typed(tmp_path: Path) -> None:
    async with site(tmp_path) as (real, _, browser, __):
        await browser.log_in("anna", TOKEN)
        await real.stop()

        page = await browser.send(
            "/alerts", "/alerts/silence", vm="web-01", duration="24h", reason="a new disk"
        )

    given = {one.get("id"): one.get("value") for _, one in page.tags}
    assert real.url in page.text
    assert ("p", "notice critical") in [(tag, one.get("class")) for tag, one in page.tags]
    assert (given["silence-vm"], given["silence-reason"]) == ("web-01", "a new disk")


async def test_ca_file_that_is_being_replaced_refuses_no_silence(tmp_path: Path) -> None:
    ca_file, _ = self_signed(tmp_path)
    async with site(tmp_path, ca_file=ca_file) as (real, _, browser, __):
        await browser.log_in("anna", TOKEN)
        ca_file.write_text("half a certificate")

        done = await browser.send(
            "/alerts", "/alerts/silence", vm="web-01", duration="1h", reason="a new disk"
        )
        (silence,) = await real.get("silences")
        ended = await browser.send("/alerts", "/alerts/expire", id=silence["id"])

    assert "web-01 is silenced until" in done.text
    assert "is ended" in ended.text


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"vm": "nothing-like-it"}, "No VM has the name, key or UUID 'nothing-like-it'"),
        ({"vm": ""}, "No VM has the name, key or UUID ''"),
        ({"vm": "twin"}, "'twin' matches 2 VMs"),
        ({"duration": "99h"}, "The duration must be one of"),
        ({"reason": " "}, "The reason must be"),
        ({"reason": "a\nb"}, "The reason must be"),
        ({"reason": "x" * 501}, "The reason must be"),
        ({"system": "elsewhere"}, "No VM has the name, key or UUID 'web-01'"),
    ],
)
async def test_silence_that_is_wrong_is_explained(
    tmp_path: Path, fields: dict[str, str], says: str
) -> None:
    harness = stage()
    for name in ("web-02", "web-03"):
        harness.world.renames(name, "twin")
    harness.advance(60)
    alerting = silent(tmp_path)
    async with console(Overview(harness), alerting) as browser:
        await browser.log_in("anna", TOKEN)
        given = {"vm": "web-01", "duration": "1h", "reason": "a new disk", **fields}

        page = await browser.send("/alerts", "/alerts/silence", **given)

    assert says in page.text


@pytest.mark.parametrize("is_named_so", [False, True])
async def test_link_of_a_vm_silences_it_where_another_is_named_like_its_key(
    tmp_path: Path, *, is_named_so: bool
) -> None:
    harness = named_like_the_key_of_web_01()
    key_of_web_01 = harness.world.vm("web-01").key
    name = f"{key_of_web_01}" if is_named_so else "web-01"
    key = harness.world.vm(name).key
    async with site(tmp_path, harness=harness) as (real, _, browser, __):
        await browser.log_in("anna", TOKEN)
        vm = await browser.open(f"/vms/production/{key}")
        given = value_of(await browser.open(silence_link(vm)), "silence-vm")
        await browser.send(
            "/alerts", "/alerts/silence", vm=given, duration="1h", reason="a new disk"
        )
        (silence,) = await real.get("silences")

    labels = {one["name"]: one["value"] for one in silence["matchers"]}
    assert (labels["vm_id"], labels["vm_name"]) == (f"{key}", name)
    assert given == (f"key:{key}" if is_named_so else "web-01")  # a name that may mean two VMs


async def test_silence_of_a_vm_that_may_be_either_of_two_is_refused(tmp_path: Path) -> None:
    harness = named_like_the_key_of_web_01()
    wanted = f"{harness.world.vm('web-01').key}"
    other = harness.world.vm(wanted)
    async with console(Overview(harness), silent(tmp_path)) as browser:
        await browser.log_in("anna", TOKEN)

        page = await browser.send(
            "/alerts", "/alerts/silence", vm=wanted, duration="1h", reason="a new disk"
        )

    assert f"the key of web-01 (key {wanted}, " in page.text
    assert f"the name of {wanted} (key {other.key}, " in page.text
    assert "write name:NAME, key:KEY or the uuid" in page.text
    assert [value_of(page, one) for one in ("silence-vm", "silence-reason")] == [
        wanted, "a new disk",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["name", "key", "uuid"])
async def test_silence_finds_the_vm_by_the_kind_that_is_written(tmp_path: Path, kind: str) -> None:
    harness = named_like_the_key_of_web_01()
    vm = harness.world.vm("web-01")
    wanted = {"name": "name:web-01", "key": f"key:{vm.key}", "uuid": vm.uuid.upper()}[kind]
    async with site(tmp_path, harness=harness) as (_, __, browser, ___):
        await browser.log_in("anna", TOKEN)

        page = await browser.send(
            "/alerts", "/alerts/silence", vm=wanted, duration="1h", reason="a new disk"
        )

    assert "web-01 is silenced until" in page.text


async def test_stranger_reads_and_silences_nothing(tmp_path: Path) -> None:
    async with site(tmp_path) as (real, _, browser, __):
        page = await browser.open("/alerts")
        refused = await browser.post(
            "/alerts/silence", vm="web-01", duration="4h", reason="a new disk"
        )
        silences = await real.get("silences")

    assert "Log in to silence a VM" in page.text
    assert "/alerts/silence" not in page.html
    assert refused.address == "/login?next=/alerts"
    assert silences == []


async def test_page_says_how_to_configure_an_alertmanager(tmp_path: Path) -> None:
    alerting = Alerting(AlertmanagerSettings(), tmp_path, CLOCK, Telemetry().alertmanager_meter())
    for source in (None, alerting):
        async with console(StubOverview(), source) as browser:
            page = await browser.open("/alerts")
            alerts = await browser.open("/api/v1/alerts")
            silences = await browser.open("/api/v1/silences")

        assert (page.status, "alertmanager.urls" in page.text) == (200, True)
        assert alerts.html == '{"configured":false,"alerts":[]}'
        assert silences.html == '{"configured":false,"unknown":"","silences":[]}'


@pytest.mark.parametrize(
    ("duration", "ends"),
    [
        ("1h", NOW + timedelta(hours=1)),
        ("24h", NOW + timedelta(days=1)),
        ("tomorrow", datetime(2026, 3, 2, 8, tzinfo=UTC)),
    ],
)
def test_end_of_a_silence(duration: str, ends: datetime) -> None:
    assert end_of(duration, NOW) == ends


def silent(folder: Path) -> Alerting:
    """Return alerting with an Alertmanager that does not run."""
    settings = AlertmanagerSettings(urls=("http://127.0.0.1:9",))
    return Alerting(settings, folder, CLOCK, Telemetry().alertmanager_meter())


def named_like_the_key_of_web_01() -> Harness:
    """Return a harness with two VMs that one word identifies."""
    harness = stage()
    harness.world.renames("web-02", f"{harness.world.vm('web-01').key}")
    harness.advance(60)
    return harness


def silence_link(page: Page) -> str:
    """Return where the first link of *page* leads that silences a VM."""
    links = [given.get("href") or "" for tag, given in page.tags if tag == "a"]
    return next(one for one in links if one.endswith("#silence")).partition("#")[0]


def value_of(page: Page, field: str) -> str:
    return next(one.get("value") or "" for _, one in page.tags if one.get("id") == field)


def csrf_of(page: Page) -> str:
    """Return the token of the forms of *page*."""
    return next(one.get("value") or "" for _, one in page.tags if one.get("name") == "csrf")


async def test_silence_cannot_add_markup(tmp_path: Path) -> None:
    async with site(tmp_path) as (real, _, browser, __):
        await browser.log_in("anna", TOKEN)
        await real.silence(
            [equal("vm_name", HOSTILE)], comment=f"comment {HOSTILE}", createdBy=f"author {HOSTILE}"
        )
        page = await shown(browser, "Mutes no VM")

    assert f"author {HOSTILE}" in page.text
    assert f"comment {HOSTILE}" in page.text
    assert [given for tag, given in page.tags if tag == "script" and "src" not in given] == []
