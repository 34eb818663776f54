"""The two minutes of a newcomer: a crash, its recovery, and the reason, from the first page on."""

import re

from playwright.sync_api import Page

from tests.browser.visitor import Visitor

RECOVERED_MS = 90_000


def happened(page: Page) -> list[str]:
    return page.locator("[aria-labelledby=demo-happened] li").all_inner_texts()


def test_a_visitor_crashes_a_vm_and_sees_it_recovered(visitor: Visitor) -> None:
    page = visitor.open("/")
    assert page.locator("[aria-labelledby=demo-coming] li").count() >= 1

    page.get_by_role("button", name="Crash a VM").click()
    page.wait_for_load_state()
    crash = next(line for line in happened(page) if line.endswith(" crashed"))
    (name,) = re.findall(r"(\S+) crashed$", crash)
    line = page.locator("[aria-labelledby=demo-happened] li")
    line.filter(has_text=f"{name} was sent a power action by Vergewatch").wait_for(
        timeout=RECOVERED_MS
    )
    line.filter(has_text=f"{name} is running again").wait_for(timeout=RECOVERED_MS)


def test_a_visitor_breaks_the_platform_and_ends_it(visitor: Visitor) -> None:
    page = visitor.open("/platform")
    page.get_by_role("button", name="Fill a storage tier").click()
    page.get_by_text("Broken now: ").wait_for()
    assert "tier full" in page.inner_text(".demo form")
    assert page.url == f"{visitor.url}/platform"

    page.get_by_role("button", name="End all faults").click()
    page.wait_for_load_state()
    assert "tier full" not in page.inner_text(".demo form")
