"""The page Data, over a real socket."""

from datetime import timedelta

import pytest

from exporter.console.daemon_facts import (
    DaemonFacts,
    LoopLag,
    ReloadResult,
    SettingLine,
    SystemPlan,
)
from exporter.model import RecentError
from tests.web.conftest import Serve
from tests.web.page_text import PageText
from tests.web.samples import NOW, REFUSED_ERROR, refused, system, table, unread, waiting
from tests.web.site import StubOverview

FACTS = DaemonFacts(
    version="1.2.3",
    python="3.13.1",
    started_at=NOW - timedelta(hours=2),
    resident_bytes=70 * 2**20,
    lag=LoopLag(0.0123, 0.0004, 120),
    reload=None,
    settings=(SettingLine(0, "log:"), SettingLine(1, "level: info")),
    plans={"production": SystemPlan(1000, 0.15, {"vms": 20.0, "machine_status": 30.0})},
)


async def page_of(serve: Serve, *reports: object, facts: DaemonFacts | None = None) -> PageText:
    server = await serve(
        overview=StubOverview(*reports),  # type: ignore[arg-type]
        facts=(lambda: facts) if facts is not None else None,
    )
    reply = await server.request("/data")
    assert reply.status == 200
    return PageText(reply.text)


async def test_system_with_its_tables_and_requests(serve: Serve) -> None:
    page = await page_of(serve, system(), facts=FACTS)

    assert "production up https://verge.example.net VergeOS 26.1.2" in page.text
    assert "Allowed in an hour 1,000, of which 150 are reserved for recovery" in page.text
    assert "Planned in an hour 742 of 850 Remaining in this hour 612" in page.text
    assert "Tables: 2 ok" in page.text


async def test_stretched_intervals_are_shown_beside_the_wanted_ones(serve: Serve) -> None:
    page = await page_of(serve, system(), facts=FACTS)

    assert "vms ok 12 s ago 30 s 20 s 412 0 42 ms 0" in page.text
    assert "machine_status ok 12 s ago 30 s 30 s 412 0 42 ms 0" in page.text


async def test_without_stretched_intervals_there_is_one_interval(serve: Serve) -> None:
    page = await page_of(serve, system())

    assert "vms ok 12 s ago 30 s 412 0 42 ms 0" in page.text
    assert "Wanted" not in page.text


async def test_the_daemon_itself(serve: Serve) -> None:
    page = await page_of(serve, facts=FACTS)

    assert "Version 1.2.3 on Python 3.13.1" in page.text
    assert "Memory 70 MiB" in page.text
    assert "12.3 ms at most, 0.4 ms on average" in page.text
    assert "not reloaded since" in page.text
    assert "log: level: info" in page.text


async def test_reload_that_was_applied(serve: Serve) -> None:
    done = ReloadResult(NOW - timedelta(minutes=3), ["log.level"], ["web.hosts"], "")

    page = await page_of(serve, facts=FACTS._replace(reload=done))

    assert "It was reloaded 3 min ago : applied log.level ; restart to apply web.hosts" in page.text


async def test_reload_that_was_rejected(serve: Serve) -> None:
    done = ReloadResult(NOW, (), (), "settings.yml: <b>no url</b>")

    page = await page_of(serve, facts=FACTS._replace(reload=done))

    assert "was rejected: settings.yml: <b>no url</b>" in page.text


async def test_refused_credentials_are_shown_with_reason_and_recent_error(serve: Serve) -> None:
    page = await page_of(serve, system(), refused())

    assert "laboratory credentials refused" in page.text
    assert page.text.count(REFUSED_ERROR) >= 3  # the reason, the tables, the recent error
    assert "3 min ago vms, machine_status" in page.text


async def test_tables_that_were_never_read_are_no_zero(serve: Serve) -> None:
    page = await page_of(serve, waiting())

    assert "vms not polled yet never 30 s \N{EN DASH} \N{EN DASH} \N{EN DASH} 0" in page.text


async def test_no_system_at_all(serve: Serve) -> None:
    class Nothing(StubOverview):
        def reports(self) -> list[object]:  # type: ignore[override]
            return []

    server = await serve(overview=Nothing())

    assert "No system is monitored yet." in PageText((await server.request("/data")).text).text


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "a&amp;b", "'"],
)
async def test_names_and_errors_are_escaped(serve: Serve, name: str) -> None:
    report = system(
        name,
        tables=(table(name, success=False, error=name), unread("disks")),
        recent_errors=(RecentError(NOW, name),),
    )

    page = await page_of(serve, report, facts=FACTS._replace(settings=(SettingLine(0, name),)))

    assert page.tags.count("script") == 3  # those of every page
    assert "img" not in page.tags
    assert "onerror" not in page.attributes
    assert page.text.count(name) >= 5
