"""``python -m tests.browser.screenshots``: take the pictures of the console for docs/."""

import sys
from pathlib import Path
from typing import Literal, NamedTuple

from playwright.sync_api import Page

from tests.browser.live_demo import running_demo
from tests.browser.visitor import Visitor, browsing

FOLDER = Path(__file__).parents[2] / "docs/images/console"
EVENTFUL_MS = 130_000
"""Until the demo has had crashes of several kinds, and recovered from one."""
VM = "web-blackbird"


class Picture(NamedTuple):
    """A picture of a page."""

    name: str
    address: str
    width: int = 1280
    height: int = 900
    scheme: Literal["light", "dark"] = "light"


PICTURES = (
    Picture("overview", "/"),
    Picture("vms", "/vms"),
    Picture("recovery", "/recovery"),
    Picture("alerts", "/alerts"),
    Picture("platform", "/platform"),
    Picture("data", "/data"),
    Picture("overview-phone", "/", 390, 844, "dark"),
    Picture("vms-phone", "/vms", 390, 844, "dark"),
)


def main() -> int:
    """Write every picture."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with running_demo() as demo, browsing() as browser:
        url = demo.url
        visitor = Visitor(browser, url)
        page = visitor.open("/")
        page.wait_for_timeout(EVENTFUL_MS)
        for picture in PICTURES:
            take(visitor, picture)
        page.goto(f"{url}/vms?q={VM}")
        page.locator("table.vms th a", has_text=VM).click()
        page.wait_for_load_state()
        address = page.url.removeprefix(url)
        take(visitor, Picture("vm", address))
        take(visitor, Picture("vm-phone", address, 390, 844, "dark"))
    return 0


def take(visitor: Visitor, picture: Picture) -> None:
    """Write *picture*, without the banner of the demo except on the overview."""
    page = visitor.open(picture.address)
    page.set_viewport_size({"width": picture.width, "height": picture.height})
    page.emulate_media(color_scheme=picture.scheme)
    if picture.name != "overview":
        _remove_banner(page)
    page.wait_for_timeout(500)  # charts are drawn by scripts
    path = FOLDER / f"{picture.name}.png"
    page.screenshot(path=path)
    sys.stdout.write(f"{path.name} {path.stat().st_size // 1000} KB\n")


def _remove_banner(page: Page) -> None:
    page.evaluate("() => document.getElementById('demo')?.remove()")


if __name__ == "__main__":
    raise SystemExit(main())
