"""`vergewatch doctor` and its API: what a person and a program read, on a real socket."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aiohttp
import msgspec
import pytest

from exporter.doctor import clusters, connectivity, vsan_journal
from exporter.doctor.responses import Outcome, examination
from exporter.model import CheckResult, Finding, Level, SystemReport
from exporter.web.routes import make_app
from exporter.web.server import Listen, serving
from tests.cli.test_daemon_client import UNREACHABLE, ran
from tests.web.samples import HandClock, system
from tests.web.site import StubOverview, StubPages, StubReload

AT = datetime(2026, 3, 1, 2, 59, 58, tzinfo=UTC)
OK = CheckResult("connectivity")
SKIPPED = CheckResult("vsan_journal", skipped=vsan_journal.CHECKS[0].always_skipped)


def reduced(*names: str, level: Level = Level.WARNING) -> CheckResult:
    return CheckResult(
        "clusters",
        tuple(Finding(level, name, "3 of 4 nodes are online", AT) for name in names),
    )


def examined(name: str, *results: CheckResult) -> SystemReport:
    return msgspec.structs.replace(system(name), doctor=(OK, *results, SKIPPED))


@asynccontextmanager
async def daemon(*reports: SystemReport) -> AsyncIterator[str]:
    """Serve *reports* without recovery; yields the URL."""
    app = make_app(StubPages(), StubOverview(*reports), StubReload(), clock=HandClock())
    async with serving(app, Listen("127.0.0.1", 0)) as where:
        yield f"http://127.0.0.1:{where.port}"


async def test_problems_come_first_then_what_is_well_then_what_was_skipped() -> None:
    async with daemon(examined("north", reduced("prod"))) as url:
        code, out, err = await ran("doctor", "--url", url, COLUMNS="120")

    assert (code, err) == (3, "")
    assert (
        out
        == """\
north: 1 check warning

WARNING clusters: A cluster has fewer nodes online than it has.
  prod: 3 of 4 nodes are online, since 2026-03-01 02:59:58 UTC
  What to do: Find out why the node is offline, and repair it.
  alert and runbook: VergeClusterReduced

1 check found nothing: connectivity

1 check skipped:
  vsan_journal: it needs an active query; `vrg doctor` of the vendor sends it

Need the API key of an administrator: vsan_journal
"""
    )


@pytest.mark.parametrize(
    ("results", "code", "headline"),
    [
        ((reduced(),), 0, "no problem found"),
        ((reduced("a"),), 3, "1 check warning"),
        ((reduced("a", level=Level.CRITICAL),), 4, "1 check critical"),
        ((CheckResult("clusters", skipped="it was not read yet"),), 0, "no problem found"),
    ],
)
async def test_exit_code_is_that_of_the_worst_finding(
    results: tuple[CheckResult, ...], code: int, headline: str
) -> None:
    async with daemon(examined("north", *results)) as url:
        found, out, _ = await ran("doctor", "--url", url)

    assert (found, out.splitlines()[0]) == (code, f"north: {headline}")


async def test_one_system_is_chosen_by_its_name() -> None:
    reports = examined("north", reduced("a")), examined("south", reduced())
    async with daemon(*reports) as url:
        both = await ran("doctor", "--url", url)
        one = await ran("doctor", "south", "--url", url)
        none = await ran("doctor", "sooth", "--url", url)

    assert both[0] == 3
    assert "north: 1 check warning" in both[1]
    assert "south: no problem found" in both[1]
    assert one[0] == 0
    assert "north" not in one[1]
    assert none == (2, "", "vergewatch: no system is named 'sooth'; did you mean south?\n")


async def test_many_findings_of_one_check_do_not_hide_the_others() -> None:
    async with daemon(examined("north", reduced(*(f"c{n:02}" for n in range(12))))) as url:
        _, out, _ = await ran("doctor", "--url", url)

    assert "c09: " in out
    assert "c10: " not in out
    assert "and 2 more; --json prints all" in out


async def test_control_characters_of_a_name_do_not_reach_the_terminal() -> None:
    async with daemon(examined("north", reduced("\x1b[2Jprod"))) as url:
        _, out, _ = await ran("doctor", "--url", url)

    assert "\x1b[2J" not in out


async def test_json_has_stable_names() -> None:
    async with daemon(examined("north", reduced("b"))) as url:
        code, out, _ = await ran("doctor", "--json", "--url", url)

    (found,) = json.loads(out)["systems"]
    assert code == 3
    assert {**found, "checks": [one["check"] for one in found["checks"]]} == {
        "system": "north",
        "url": "https://verge.example.net",
        "result": "warning",
        "checks": ["connectivity", "clusters", "vsan_journal"],
    }
    assert found["checks"][1] == {
        "check": "clusters",
        "result": "warning",
        "about": clusters.CHECKS[0].about,
        "summary": clusters.CHECKS[0].summary,
        "findings": [
            {"level": "warning", "subject": "b", "evidence": "3 of 4 nodes are online",
             "since": "2026-03-01T02:59:58Z"}
        ],
        "skipped": "",
        "remedy": clusters.CHECKS[0].remedy,
        "alert": "VergeClusterReduced",
        "needs_admin": False,
    }  # fmt: skip


async def test_daemon_that_cannot_be_reached_is_one_line_with_what_to_do() -> None:
    code, out, err = await ran("doctor", "--url", UNREACHABLE)

    assert (code, out) == (1, "")
    assert err == (
        f"vergewatch: cannot reach a daemon at {UNREACHABLE}: check that the daemon is running and "
        "listens there (--url or VERGEWATCH_DAEMON_URL)\n"
    )


async def test_doctor_that_is_off_is_said() -> None:
    async with daemon(system("north")) as url:
        found = await ran("doctor", "--url", url)

    assert found == (
        2, "",
        "vergewatch: the doctor is off: collectors.doctor is false in the settings of the daemon\n",
    )  # fmt: skip


async def test_daemon_without_the_doctor_is_another_version() -> None:
    async with daemon(examined("north")) as url:
        code, _, err = await ran("doctor", "--url", f"{url}/elsewhere")

    assert (code, "is not a Vergewatch daemon of this version" in err) == (2, True)


async def test_unknown_query_is_refused() -> None:
    async with (
        daemon(examined("north")) as url,
        aiohttp.ClientSession(url) as http,
        http.get("/api/v1/doctor", params={"vm": "x"}) as answer,
    ):
        assert answer.status == 400
        assert "vm" in (await answer.json())["error"]


def test_critical_findings_come_before_warnings() -> None:
    worst = reduced("a", level=Level.CRITICAL).findings
    both = CheckResult("clusters", (*reduced("0", "z").findings, *worst))

    found = examination(examined("north", both), (*connectivity.CHECKS, *clusters.CHECKS))

    assert [one.subject for one in found.checks[1].findings] == ["a", "0", "z"]
    assert found.checks[1].result is found.result is Outcome.CRITICAL


def test_alert_is_that_of_the_worst_finding() -> None:
    check = clusters.CHECKS[0]._replace(levels=tuple(Level), wakes=True)

    for level, alert in (
        (Level.WARNING, "VergeClusterReduced"),
        (Level.CRITICAL, "VergeClusterReducedCritical"),
    ):
        (found,) = examination(examined("north", reduced("a", level=level)), [check]).checks
        assert found.alert == alert
