"""A browser that notes what a page must not do: errors, requests to others, barriers, overflow."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

AXE = Path(__file__).with_name("axe") / "axe.min.js"
WIDTHS = (1440, 768, 390)
HEIGHT = 1000
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PATIENCE_MS = 15_000
SEVERE = ("serious", "critical")
ABORTED = ("htmx:afterRequest,", "htmx:sendAbort,")
"""
htmx logs these as errors when a request ends because its page was left, or because a newer request
took its place. A request that failed is logged as another one, such as `htmx:sendError`.
"""
FIND_BARRIERS = """async (severe) => {
  const found = await axe.run(document, { resultTypes: ["violations"] });
  return found.violations.filter((one) => severe.includes(one.impact)).map(
    (one) => `${one.id}: ` + one.nodes.map((node) => node.html + node.failureSummary).join("; ")
  );
}"""
FIND_OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const wide = [...document.querySelectorAll("body *")].filter((one) => {
    if (one.closest(".scroll") && !one.matches(".scroll")) return false;
    return one.getBoundingClientRect().right > width + 1;
  });
  return wide.map((one) => one.outerHTML.slice(0, 120));
}"""


class Look(NamedTuple):
    """How a page is shown."""

    scheme: str
    width: int


class Faults(NamedTuple):
    """What pages did that they must not do, since the last look."""

    errors: list[str]
    """On the console of the browser; violations of the content security policy are among them."""
    foreign: list[str]
    """Addresses of other hosts that were asked."""
    failed: list[str]
    """Requests that the server answered with an error."""


class Visitor:
    """A page in a browser."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.url = url
        self._browser = browser
        self.faults = Faults([], [], [])
        self._context = self._begin()

    def _begin(self, *, scripts: bool = True) -> BrowserContext:
        context = self._browser.new_context(
            viewport={"width": WIDTHS[0], "height": HEIGHT}, java_script_enabled=scripts
        )
        context.set_default_timeout(PATIENCE_MS)
        self.page: Page = context.new_page()
        host = urlsplit(self.url).netloc
        self.page.on("console", self._note_message)
        self.page.on("pageerror", lambda error: self.faults.errors.append(str(error)))
        self.page.on(
            "request",
            lambda request: (
                self.faults.foreign.append(request.url)
                if urlsplit(request.url).netloc != host
                else None
            ),
        )
        self.page.on(
            "response",
            lambda answer: (
                self.faults.failed.append(f"{answer.status} {answer.url}")
                if answer.status >= 400
                else None
            ),
        )

        return context

    def without_scripts(self) -> None:
        """Continue in a browser that runs no scripts."""
        self._context.close()
        self._context = self._begin(scripts=False)

    def open(self, path: str) -> Page:
        self.page.goto(self.url + path, wait_until="load")
        return self.page

    def looks(self, *schemes: Literal["light", "dark"]) -> Iterator[Look]:
        """Show the page in each width, and in *schemes* or in each color scheme."""
        for scheme in schemes or SCHEMES:
            self.page.emulate_media(color_scheme=scheme)
            for width in WIDTHS:
                self.page.set_viewport_size({"width": width, "height": HEIGHT})
                yield Look(scheme, width)

    def faults_of(self, look: Look) -> Sequence[str]:
        """Return what is wrong with the page as it is shown now."""
        found = list(self.overflow())
        if look.width in (WIDTHS[0], WIDTHS[-1]):  # between them, nothing else is shown
            found += self.barriers()
        return found

    def overflow(self) -> Sequence[str]:
        """Return what is wider than the window; empty if the page does not scroll sideways."""
        return self._ask(FIND_OVERFLOW)

    def barriers(self) -> Sequence[str]:
        """Return the serious and critical violations that axe finds."""
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(AXE.read_text())
        return self._ask(FIND_BARRIERS, list(SEVERE))

    def expect_failure(self, status: str) -> None:
        """Take the answers with *status* as what the test wanted."""
        faults = self.faults
        faults.failed[:] = [one for one in faults.failed if not one.startswith(status)]
        faults.errors[:] = [one for one in faults.errors if f"status of {status}" not in one]

    def close(self) -> None:
        self._context.close()

    def _ask(self, script: str, argument: Any = None) -> Sequence[str]:
        return list(self.page.evaluate(script, argument))

    def _note_message(self, message: Any) -> None:
        if message.type == "error" and not message.text.startswith(ABORTED):
            self.faults.errors.append(f"{message.text} ({message.location.get('url')})")


@contextmanager
def browsing() -> Iterator[Browser]:
    """Run Debian's Chromium."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        try:
            yield browser
        finally:
            browser.close()


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(
        executable_path=shutil.which("chromium"),
        args=["--no-sandbox"],  # which a container does not allow
    )
