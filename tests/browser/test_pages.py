"""Every page of the console, in each width and color scheme."""

from tests.browser.links import follow_links
from tests.browser.visitor import Visitor

PAGES = {"/", "/vms", "/recovery", "/alerts", "/data", "/login"}


def test_no_link_of_a_page_is_broken_and_every_page_is_found(visitor: Visitor) -> None:
    found = follow_links(visitor.url)
    assert [one for one in found.broken if "/platform" not in one] == []
    assert {page.partition("?")[0] for page in found.pages} >= PAGES


def test_no_page_has_barriers_or_scrolls_sideways(visitor: Visitor) -> None:
    barriers: dict[str, object] = {}
    for address in follow_links(visitor.url).one_of_each_kind():
        visitor.open(address)
        for look in visitor.looks():
            if found := visitor.faults_of(look):
                barriers[f"{address}, {look}"] = found
    assert barriers == {}


def test_a_page_shows_the_next_poll_without_being_loaded_again(visitor: Visitor) -> None:
    page = visitor.open("/")
    page.evaluate("() => { window.isTheSame = true; }")
    page.evaluate("() => { document.querySelector('main').dataset.old = 'yes'; }")
    page.wait_for_selector("main:not([data-old])", timeout=20_000)
    assert page.evaluate("() => window.isTheSame")
    assert "UTC" not in page.inner_text("footer time")  # the zone of the browser, again


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
