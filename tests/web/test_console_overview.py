"""The overview, as a browser reads it: real server, real socket."""

import re

import msgspec
import pytest

from exporter.model import SystemReport, SystemState
from tests.web.conftest import Serve
from tests.web.fleets import Systems, fleet
from tests.web.page_text import PageText
from tests.web.samples import REFUSED_ERROR, refused, waiting
from tests.web.test_console_vms import HOSTILE


async def page_of(serve: Serve, *states: SystemState) -> PageText:
    server = await serve(overview=Systems(*states))
    reply = await server.request("/")
    assert reply.status == 200
    return PageText(reply.text)


def off(report: SystemReport) -> SystemState:
    return SystemState(None, report)


async def test_vms_that_are_down_are_the_first_line_the_title_and_the_icon(serve: Serve) -> None:
    names = [f"web-{number}" for number in range(100)]

    page = await page_of(serve, fleet(*names, down=names[:52]))

    assert page.title.startswith("52 VMs down unexpectedly in production")
    assert page.tone == "critical"
    assert page.icon.endswith("/icon-critical.svg")
    assert "52 VMs down unexpectedly in production" in page.text
    assert "52 down 48 running 100 VMs" in page.text
    assert "52 VMs down since 11:55 UTC : the circuit breaker is not closed" in page.text
    assert page.links.count("/vms?system=production&condition=down") == 2  # first line, legend
    assert "/vms?system=production&condition=running" in page.links
    assert "/recovery" in page.links


async def test_a_single_vm_that_is_down_is_linked(serve: Serve) -> None:
    page = await page_of(serve, fleet("app", "web", down=["web"]))

    assert page.title.startswith("VM web down unexpectedly in production")
    assert page.links.count("/vms/production/2") == 2


async def test_calm_page(serve: Serve) -> None:
    page = await page_of(serve, fleet("app", "db"), fleet("x", name="laboratory"))

    assert page.title.startswith("All is well: 2 systems up, 3 VMs")
    assert page.tone == "ok"
    assert page.icon.endswith("/icon-ok.svg")


async def test_system_that_is_down_says_why(serve: Serve) -> None:
    page = await page_of(serve, fleet("app"), off(refused()))

    assert page.title.startswith("Credentials refused by laboratory")
    assert page.tone == "critical"
    assert REFUSED_ERROR in page.text


async def test_what_is_not_known_is_no_zero(serve: Serve) -> None:
    page = await page_of(serve, off(waiting()))

    assert page.title.startswith("Waiting for the first poll of production")
    assert "0 VMs" not in page.text
    assert "storage_tiers is not polled: its collector is off" in page.text


async def test_no_system_at_all(serve: Serve) -> None:
    class Starting(Systems):
        def reports(self) -> list[SystemReport]:
            return []

    server = await serve(overview=Starting())

    page = PageText((await server.request("/")).text)

    assert page.title.startswith("No system is monitored yet")


async def test_recovery_off_is_said(serve: Serve) -> None:
    state = fleet("app")

    page = await page_of(
        serve, state._replace(report=msgspec.structs.replace(state.report, recovery=None))
    )

    assert "A VM that crashes counts as off" in page.text


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_names_are_text(serve: Serve, name: str) -> None:
    server = await serve(overview=Systems(fleet(name, "b", name=name, down=[name])))

    html = (await server.request("/")).text

    page = PageText(html)
    assert page.tags.count("script") == 3  # those of every page
    assert "img" not in page.tags
    assert "onerror" not in page.attributes
    assert " ".join(f"VM {name} down unexpectedly in {name}".split()) in " ".join(
        page.title.split()
    )
    assert all(link.startswith(("/", "#")) for link in page.links)


async def test_bar_shows_one_vm_among_many(serve: Serve) -> None:
    server = await serve(overview=Systems(fleet(*(f"vm-{n}" for n in range(2000)), down=["vm-7"])))

    html = (await server.request("/")).text

    widths = [float(width) for width in re.findall(r'<rect [^>]*width="([\d.]+)"', html)]
    assert sum(widths) == pytest.approx(1000, abs=0.1)
    assert min(widths) > 5


async def test_at_most_a_few_groups_are_shown(serve: Serve) -> None:
    names = [f"web-{number}" for number in range(12)]
    state = fleet(*names, down=names)
    recovery = state.report.recovery
    assert recovery is not None
    guards = ("armed", "not_paused", "no_rival", "warmed_up", "enrolled", "node_stable",
              "within_rate_limit", "write_access", "crash_recent", "action_allowed",
              "down_confirmed", "devices_present")  # fmt: skip
    vms = tuple(
        msgspec.structs.replace(one, failed_guard=guard)
        for one, guard in zip(recovery.vms, guards, strict=True)
    )
    report = msgspec.structs.replace(
        state.report, recovery=msgspec.structs.replace(recovery, vms=vms)
    )

    page = await page_of(serve, state._replace(report=report))

    assert page.title.startswith("12 VMs down")
    assert page.text.count("since 11:55 UTC") == 8
    assert "4 VMs more" in page.text
