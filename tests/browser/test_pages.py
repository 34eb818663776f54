"""Every page of the console, in each width and color scheme."""

from typing import Literal

import pytest

from tests.browser.links import follow_links, kind_of
from tests.browser.visitor import SCHEMES, Visitor

PAGES = {
    "/",
    "/vms",
    "/recovery",
    "/recovery/*",
    "/alerts",
    "/platform",
    "/platform/*",
    "/vms/*/*",
    "/data",
    "/login",
}


def test_no_link_of_a_page_is_broken_and_every_page_is_found(visitor: Visitor) -> None:
    found = follow_links(visitor.url)
    assert found.broken == []
    assert found.repeated == []
    assert {kind_of(page).path for page in found.pages} >= PAGES


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_page_has_barriers_or_scrolls_sideways(
    visitor: Visitor, scheme: Literal["light", "dark"]
) -> None:
    found = follow_links(visitor.url).one_of_each_kind()
    barriers = {
        f"{address}, {one}" for address in found for one in faults(visitor, address, scheme)
    }
    assert barriers == set()


def faults(visitor: Visitor, address: str, scheme: Literal["light", "dark"]) -> list[str]:
    """Return what is wrong with the page at *address*, by its width."""
    visitor.open(address)
    found = [(look, visitor.faults_of(look)) for look in visitor.looks(scheme)]
    return [f"{look}: {one}" for look, every in found for one in every]


def test_a_page_shows_the_next_poll_without_being_loaded_again(visitor: Visitor) -> None:
    page = visitor.open("/")
    page.evaluate("() => { window.isTheSame = true; }")
    page.evaluate("() => { document.querySelector('main').dataset.old = 'yes'; }")
    page.wait_for_selector("main:not([data-old])", timeout=20_000)
    assert page.evaluate("() => window.isTheSame")
    assert "UTC" not in page.inner_text("footer time")  # the zone of the browser, again


def test_a_search_that_replaces_one_on_its_way_is_no_fault(visitor: Visitor) -> None:
    page = visitor.open("/vms")
    page.route("**/vms?*q=gr&*", lambda route: None)  # never answered
    with page.expect_request("**/vms?*q=gr&*"):
        page.fill("#search", "gr")
    with page.expect_event("requestfailed"), page.expect_response("**/vms?*q=gre&*"):
        page.fill("#search", "gre")


def test_keys_search_go_to_pages_and_show_help(visitor: Visitor) -> None:
    page = visitor.open("/")
    page.keyboard.press("/")
    assert page.evaluate("() => document.activeElement.id") == "search"
    page.keyboard.type("web-")
    page.keyboard.press("Enter")
    page.wait_for_url("**/vms?q=web-")

    page.locator("body").press("?")
    assert page.locator("#keys").is_visible()
    assert visitor.barriers() == []
    page.keyboard.press("Escape")
    assert not page.locator("#keys").is_visible()

    page.locator("main").press("g")
    page.locator("main").press("r")
    page.wait_for_url("**/recovery")


def test_typing_in_the_search_box_is_no_key(visitor: Visitor) -> None:
    page = visitor.open("/")
    page.locator("#search").press_sequentially("gr?/")
    assert page.url == f"{visitor.url}/"
    assert page.input_value("#search") == "gr?/"
    assert not page.locator("#keys").is_visible()


def test_pages_can_be_read_without_scripts(visitor: Visitor) -> None:
    visitor.without_scripts()
    for address in follow_links(visitor.url).one_of_each_kind():
        assert visitor.open(address).inner_text("h1"), address
