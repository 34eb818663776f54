"""One demo and one browser for the tests of a module."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.live_demo import running_demo
from tests.browser.visitor import Faults, Visitor, browsing
from tests.debian import needs

WARM_MS = 40_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    needs("chromium")
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="module")
def demo(browser: Browser) -> Iterator[str]:
    """Return the address of a demo's console, in which recovery has warmed up."""
    with running_demo() as url:
        visitor = Visitor(browser, url)
        page = visitor.open("/")
        page.locator("#demo-crash:enabled").wait_for(timeout=WARM_MS)
        visitor.close()
        yield url


@pytest.fixture
def visitor(browser: Browser, demo: str) -> Iterator[Visitor]:
    """Return a visitor of the demo; the test fails if a page did what it must not do."""
    visitor = Visitor(browser, demo)
    yield visitor
    visitor.close()
    assert visitor.faults == Faults([], [], [])
