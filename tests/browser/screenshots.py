"""``python -m tests.browser.screenshots``: take the pictures of the console for docs/."""

import sys
from pathlib import Path
from typing import Literal, NamedTuple

from playwright.sync_api import Page

from exporter.cli.main import DEMO_TOKEN
from tests.browser.live_demo import running_alertmanager, running_demo
from tests.browser.visitor import Visitor, browsing

FOLDER = Path(__file__).parents[2] / "docs/images/console"
EVENTFUL_MS = 130_000
"""Until the demo has had crashes of several kinds, and recovered from one."""
VM = "web-blackbird"
SILENCED = "db-oak"


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
    Picture("report", "/recovery/report?since=1d"),
    Picture("overview-phone", "/", 390, 844, "dark"),
    Picture("vms-phone", "/vms", 390, 844, "dark"),
    Picture("recovery-phone", "/recovery", 390, 844, "dark"),
    Picture("alerts-phone", "/alerts", 390, 844, "dark"),
)


def main() -> int:
    """Write every picture."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        running_alertmanager() as alertmanager,
        running_demo("--alertmanager", alertmanager) as demo,
        browsing() as browser,
    ):
        url = demo.url
        visitor = Visitor(browser, url)
        visitor.page.route("**/events", lambda route: route.abort())  # it brings the banner back
        silence(visitor)
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


def silence(visitor: Visitor) -> None:
    """Silence a VM as an operator."""
    page = visitor.open("/login?next=/alerts")
    page.get_by_label("Your name").fill("anna")
    page.get_by_label("Recovery token").fill(DEMO_TOKEN)
    page.get_by_role("button", name="Log in").click()
    page.get_by_label("VM: complete name or key").fill(SILENCED)
    page.get_by_label("Duration").select_option("4h")
    page.get_by_label("Reason").fill("a new disk")
    page.get_by_role("button", name="Silence", exact=True).click()
    page.wait_for_load_state()


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
