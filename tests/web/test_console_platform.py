"""The page Platform, as a browser reads it: real server, real socket."""

import msgspec
import pytest

from exporter.alerting.config import RUNBOOKS
from exporter.collectors.physical_drives import PhysicalDriveRow
from exporter.collectors.vnets import VnetRow
from exporter.model import CheckResult, Finding, Level, SystemState
from tests.exposition.builders import AT, inventory
from tests.web.conftest import Serve
from tests.web.fleets import Systems
from tests.web.page_text import PageText
from tests.web.samples import refused, system, table
from tests.web.test_console_vms import HOSTILE


def state(name: str = "production", drives: int = 12, text: str = "node1") -> SystemState:
    rows = {
        "vms": (),
        "machine_status": {},
        "machine_drive_phys": {
            number: PhysicalDriveRow(
                path=f"/dev/{number}", node_display=text, statuslist="online", model=text
            )
            for number in range(1, drives)
        }
        | {99: PhysicalDriveRow(path="/dev/bad", node_display=text, statuslist="offline")},
        "vnets": {1: VnetRow(name=text, enabled=True, need_dns_apply=True)},
    }
    findings = (Finding(Level.CRITICAL, f"{text} /dev/bad", "its status is offline", AT),)
    report = msgspec.structs.replace(
        system(name, tables=(table("machine_drive_phys"), table("licenses", success=False,
                                                                error=f"403 {text}"))),
        doctor=(CheckResult("drive_smart", findings), CheckResult("mfa", skipped="hidden")),
    )  # fmt: skip
    return SystemState(inventory(rows, name), report)


async def page_of(serve: Serve, path: str, *states: SystemState) -> PageText:
    server = await serve(overview=Systems(*states))
    reply = await server.request(path)
    assert reply.status == 200
    return PageText(reply.text)


async def test_long_list_is_cut_and_linked(serve: Serve) -> None:
    page = await page_of(serve, "/platform", state())

    assert "Drives : 12, 1 problem" in page.text
    assert "All 12" in page.text
    assert page.links.count("/platform/drives") == 2  # its title, and all
    assert "/dev/bad its status is offline" not in page.text  # the node is the first column
    assert "node1 its status is offline /dev/bad offline" in page.text
    assert "Networks : 1, 1 problem" in page.text


async def test_whole_list_with_search(serve: Serve) -> None:
    every = await page_of(serve, "/platform/drives", state())
    found = await page_of(serve, "/platform/drives?q=BAD", state())

    assert "12 found, 1 problem" in every.text
    assert "/dev/11" in every.text
    assert "1 found, 1 problem" in found.text
    assert "/dev/11" not in found.text


async def test_findings_of_the_doctor_link_to_their_runbook(serve: Serve) -> None:
    page = await page_of(serve, "/platform", state())

    assert "node1 /dev/bad : its status is offline since" in page.text
    assert f"{RUNBOOKS}/VergeDriveFailing.md" in page.links
    assert "All checks: 0 ok, 1 with findings, 1 skipped" in page.text


async def test_what_is_not_known_says_why(serve: Serve) -> None:
    page = await page_of(serve, "/platform", state())

    assert "Licenses Not known: licenses cannot be read: 403 node1" in page.text
    assert "Tenants Not known: tenants is not polled: its collector is off" in page.text


async def test_system_that_is_down(serve: Serve) -> None:
    page = await page_of(serve, "/platform", SystemState(None, refused()))

    assert "Nodes Not known" in page.text
    assert "Nodes : 0" not in page.text


async def test_several_systems_have_anchors_of_their_own(serve: Serve) -> None:
    server = await serve(overview=Systems(state("a"), state("b")))

    html = (await server.request("/platform")).text

    assert html.count('id="doctor"') == html.count('id="doctor-2"') == 1


async def test_no_system_and_unknown_table(serve: Serve) -> None:
    class Nothing(Systems):
        def states(self) -> list[SystemState]:
            return []

    server = await serve(overview=Nothing())

    for path in ("/platform", "/platform/nodes"):
        assert "No system is monitored yet" in (await server.request(path)).text
    assert (await server.request("/platform/passwords")).status == 404


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("path", ["/platform", "/platform/networks"])
async def test_hostile_names_are_text(serve: Serve, path: str, text: str) -> None:
    page = await page_of(serve, path, state(text, text=text))

    assert page.tags.count("script") == 3  # those of every page
    assert "img" not in page.tags
    assert "onerror" not in page.attributes
    assert " ".join(text.split()) in page.text
