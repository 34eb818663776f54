"""The two minutes of a newcomer: a crash, its recovery, and the reason, from the first page on."""

from playwright.sync_api import Page, expect

from tests.browser.visitor import Visitor

RECOVERED_MS = 45_000


HAPPENED = "[aria-labelledby=demo-happened] li"
COMING = "[aria-labelledby=demo-coming] li"


def names(page: Page, lines: str) -> set[str]:
    return set(page.locator(f"{lines} bdi").all_inner_texts())


def test_a_visitor_crashes_a_vm_and_sees_it_recovered(visitor: Visitor) -> None:
    page = visitor.open("/")
    of_the_scenario = names(page, COMING) | names(page, HAPPENED)
    assert names(page, COMING)

    page.get_by_role("button", name="Crash a VM").click()
    page.wait_for_load_state()
    (name,) = names(page, HAPPENED) - of_the_scenario
    line = page.locator(HAPPENED)
    line.filter(has_text=f"{name} was sent a power action by Vergewatch").wait_for(
        timeout=RECOVERED_MS
    )
    line.filter(has_text=f"{name} is running again").wait_for(timeout=RECOVERED_MS)

    line.get_by_role("link", name=name).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(name)
    expect(page.get_by_role("main")).to_contain_text("Vergewatch started it")


def test_a_visitor_breaks_the_platform_and_ends_it(visitor: Visitor) -> None:
    page = visitor.open("/recovery")
    page.get_by_role("button", name="Fill a storage tier").click()
    page.get_by_text("Broken now: ").wait_for()
    assert "tier full" in page.inner_text(".demo form")
    assert page.url == f"{visitor.url}/recovery"

    page.get_by_role("button", name="End all faults").click()
    page.wait_for_load_state()
    assert "tier full" not in page.inner_text(".demo form")
