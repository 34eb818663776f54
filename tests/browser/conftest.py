"""One browser, and two demos: one whose recovery acts, and one that asks, beside Alertmanager."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.live_demo import LiveDemo, quick_demo, running_alertmanager
from tests.browser.visitor import Faults, Visitor, browsing
from tests.debian import needs

WARM_MS = 40_000


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Return a browser. It ends with this package: its event loop runs between the tests too."""
    needs("chromium")
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="package")
def demo(browser: Browser) -> Iterator[LiveDemo]:
    """Return a demo in which recovery has warmed up."""
    with quick_demo({}) as demo:
        wait_until_warm(browser, demo)
        yield demo


@pytest.fixture(scope="package")
def asking_demo(browser: Browser) -> Iterator[LiveDemo]:
    """Return a demo whose recovery asks, in which only happens what a test causes."""
    with running_alertmanager() as alertmanager:
        settings = {"alertmanager": {"urls": [alertmanager]}, "recovery": {"mode": "ask"}}
        with quick_demo(settings, "quiet") as demo:
            wait_until_warm(browser, demo)
            yield demo


@pytest.fixture
def visitor(browser: Browser, demo: LiveDemo) -> Iterator[Visitor]:
    """Return a visitor of the demo; the test fails if a page did what it must not do."""
    yield from visiting(browser, demo)


@pytest.fixture
def asked(browser: Browser, asking_demo: LiveDemo) -> Iterator[Visitor]:
    """Return a visitor of the demo that asks; see `visitor`."""
    yield from visiting(browser, asking_demo)


def visiting(browser: Browser, demo: LiveDemo) -> Iterator[Visitor]:
    """Yield a visitor of *demo*; fail if a page did what it must not do."""
    visitor = Visitor(browser, demo.url)
    yield visitor
    visitor.close()
    assert visitor.faults == Faults([], [], [])


def wait_until_warm(browser: Browser, demo: LiveDemo) -> None:
    """Wait until recovery has observed the VMs of *demo*."""
    visitor = Visitor(browser, demo.url)
    visitor.open("/").locator("#demo-crash:enabled").wait_for(timeout=WARM_MS)
    visitor.close()
