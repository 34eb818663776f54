"""The two minutes of a newcomer: a crash, its recovery, and the reason, from the first page on."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import visiting, wait_until_warm
from tests.browser.live_demo import LiveDemo, quick_demo
from tests.browser.visitor import Visitor

HAPPENED = "[aria-labelledby=demo-happened] li"
COMING = "[aria-labelledby=demo-coming] li"
RECOVERED_MS = 45_000
LOST = re.compile(r"VMs (down|in trouble)")


@pytest.fixture(scope="module")
def quiet_demo(browser: Browser) -> Iterator[LiveDemo]:
    """Return a demo in which only happens what a test causes."""
    with quick_demo({}, "quiet") as demo:
        wait_until_warm(browser, demo)
        yield demo


@pytest.fixture
def undisturbed(browser: Browser, quiet_demo: LiveDemo) -> Iterator[Visitor]:
    """Return a visitor of that demo."""
    yield from visiting(browser, quiet_demo)


@pytest.fixture
def alone(browser: Browser) -> Iterator[Visitor]:
    """Return a visitor of such a demo that no other test uses."""
    with quick_demo({}, "quiet") as demo:
        yield from visiting(browser, demo)


def names(page: Page, lines: str) -> set[str]:
    return set(page.locator(f"{lines} bdi").all_inner_texts())


def test_a_visitor_sees_what_will_happen(visitor: Visitor) -> None:
    assert names(visitor.open("/"), COMING)


def test_a_visitor_crashes_a_vm_and_sees_it_recovered(undisturbed: Visitor) -> None:
    page = undisturbed.open("/")
    before = names(page, HAPPENED)

    page.get_by_role("button", name="Crash a VM").click()
    page.wait_for_load_state()
    (name,) = names(page, HAPPENED) - before
    line = page.locator(HAPPENED)
    line.filter(has_text=f"{name} was sent a power action by Vergewatch").wait_for(
        timeout=RECOVERED_MS
    )
    line.filter(has_text=f"{name} is running again").wait_for(timeout=RECOVERED_MS)

    line.get_by_role("link", name=name).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(name)
    expect(page.get_by_role("main")).to_contain_text("Vergewatch started it")


def test_a_visitor_stops_a_vm_and_sees_that_it_stays_off(undisturbed: Visitor) -> None:
    page = undisturbed.open("/vms")
    page.get_by_role("button", name="Stop a VM as a person").click()
    page.wait_for_load_state()
    assert page.url == f"{undisturbed.url}/vms"
    stopped = page.locator(HAPPENED).filter(has_text="as a person does it").first
    stopped.get_by_role("link").click()
    expect(page.get_by_role("main")).to_contain_text("visitor", timeout=RECOVERED_MS)
    expect(page.locator(".vm-head .condition")).to_have_text("off", timeout=RECOVERED_MS)


def test_a_visitor_breaks_the_platform_and_ends_it(alone: Visitor) -> None:
    page = alone.open("/recovery")
    page.locator("#demo-fail_node:enabled").click(timeout=RECOVERED_MS)
    broken = page.get_by_text("Broken now: node")
    broken.wait_for()
    node = broken.inner_text().removeprefix("Broken now: ")
    page.get_by_role("button", name="Fill a storage tier").click()
    expect(page.get_by_text(f"Broken now: {node}, tier full")).to_be_visible()
    assert page.url == f"{alone.url}/recovery"

    page.goto(f"{alone.url}/")
    expect(page.get_by_role("heading", level=1)).to_contain_text(LOST, timeout=RECOVERED_MS)

    page.get_by_role("button", name="End all faults").click()
    expect(page.get_by_text("Broken now: ")).to_have_count(0)
