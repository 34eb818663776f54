"""Names, log texts, tags, errors and reasons that are attacks stay text on every page."""

import asyncio
import re
from html.parser import HTMLParser
from pathlib import Path

import aiohttp

from exporter.simulator import Simulator
from exporter.web.console.console import PAGES
from tests.daemon_process import REAL_TIME, Daemon, pointing_at, running, simulating
from tests.web.console_site import TOKEN, Browser

PATHS = ("/", *(path for path, _ in PAGES), "/login", "/recovery/log")
MARK = "xevil"
HOSTILE = (
    f"<{MARK} {MARK}=1>x",
    f'"><{MARK} onerror={MARK}()>',
    f"' {MARK}='1' onmouseover='{MARK}()",
    f"</title></script><script>{MARK}()</script>",
    f"javascript:{MARK}()",
    f"{{{{ 7 * 7 }}}}{{% {MARK} %}}",
    f"&lt;{MARK}&gt;&#60;{MARK}",
    f"a/../../{MARK}?next=//evil.example#<{MARK}>",
    f"\u202e{MARK}\r\nSet-Cookie: {MARK}=1",
)
LINKS = {"href", "src", "action", "hx-get", "hx-post", "formaction", "xlink:href", "data", "poster"}


class Scanner(HTMLParser):
    """The links of a page, and what of it must not be there."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.problems: list[str] = []
        self.text = ""
        self._is_script = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if MARK in tag or tag in ("iframe", "object", "embed", "base"):
            self.problems.append(f"element {tag}")
        if tag == "script" and names.get("type") != "application/json":
            self._is_script = True
        for name, value in attrs:
            if MARK in name or name.startswith("on") or name == "style":
                self.problems.append(f"attribute {name}={value}")
            if name in LINKS and value is not None:
                self._link(tag, value)

    def handle_endtag(self, tag: str) -> None:
        self._is_script = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._is_script and data.strip():
            self.problems.append(f"inline script {data[:50]!r}")

    def _link(self, tag: str, address: str) -> None:
        if not re.match(r"/(?![/\\])|#|\?|https?://(?!evil)", address):
            self.problems.append(f"{tag} leads to {address!r}")
        if tag in ("a", "main") and address.startswith("/"):
            self.links.append(address.partition("#")[0])


def hostile(system: Simulator) -> None:
    """Give everything in *system* that has a name one that is an attack."""
    world = system.world
    vms = list(world.live_vms())
    for vm, name in zip(vms, HOSTILE * 9, strict=False):
        world.renames(vm.key, f"{name} {vm.key}")
        world.tag(vm.key, f"{HOSTILE[0].replace('/', '')}/{name.replace('/', '')}")
    for node in world.nodes.values():
        node.name = f"{HOSTILE[1]} {node.key}"
    for cluster in world.clusters.values():
        cluster.name = f"{HOSTILE[3]} {cluster.key}"
    for vm in vms[:9]:
        world.untag(vm.key, "recovery/never")
        world.tag(vm.key, "recovery/auto")


async def test_nothing_that_vergeos_or_an_operator_names_becomes_html(tmp_path: Path) -> None:
    settings = {
        "VERGEWATCH_RECOVERY__MODE": "ask",
        "VERGEWATCH_RECOVERY__TOKEN": TOKEN,
        "VERGEWATCH_RECOVERY__DIRECTORY": str(tmp_path / "state"),
        "VERGEWATCH_NAME": HOSTILE[0],
    }
    async with simulating(vms=24) as system:
        hostile(system)
        async with running({**pointing_at(system), **settings}) as daemon:
            await until(daemon, "/api/v1/vms", "recovery_state")
            for vm in list(system.world.live_vms())[:9]:
                system.world.crash(vm.key)
            jar = aiohttp.CookieJar(unsafe=True)
            async with aiohttp.ClientSession(cookie_jar=jar) as http:
                anna = Browser(daemon.url, http)
                done = await anna.post("/login", {"owner": HOSTILE[1], "token": TOKEN})
                assert done.status == 303
                csrf = (await anna.get("/recovery")).csrf
                for kind in ("pause", "resume"):
                    await anna.post(
                        f"/recovery/{kind}",
                        {
                            "csrf": csrf,
                            "system": HOSTILE[0],
                            "reason": HOSTILE[2],
                            "seconds": "900",
                        },
                    )
                await until(daemon, "/api/v1/recovery/vms", "sentence")
                system.faults.turn_on("status", path="/api/v4/nodes", text=HOSTILE[3])
                await REAL_TIME.sleep(2)
                seen = await crawl(anna)
    problems = {path: scan.problems for path, scan in seen.items() if scan.problems}
    assert problems == {}
    assert len(seen) > 30
    marked = {path.partition("?")[0] for path, scan in seen.items() if MARK in scan.text}
    assert {"/", "/vms", "/recovery", "/recovery/log", "/data"} <= marked


async def until(daemon: Daemon, path: str, text: str) -> None:
    """Wait until *text* is in the response at *path*."""
    async with asyncio.timeout(40):
        while text not in (await daemon.get(path))[1]:
            await REAL_TIME.sleep(0.2)


async def crawl(browser: Browser, most: int = 120) -> dict[str, Scanner]:
    """Return every page that a link of another leads to, as far as it is HTML."""
    seen: dict[str, Scanner] = {}
    waiting = ["/", *PATHS, "/nothing", f"/login?next={HOSTILE[0]}", "/vms?q=<xevil>&tag=%22>"]
    asked = set()
    while waiting and len(seen) < most:
        path = waiting.pop(0)
        if path in asked:
            continue
        asked.add(path)
        page = await browser.get(path)
        assert page.status < 500, (path, page.text)
        if page.headers["Content-Type"].startswith("text/html"):
            seen[path] = Scanner(page.text)
            waiting += seen[path].links
    return seen


def test_scanner_sees_what_it_looks_for() -> None:
    found = Scanner(
        f"<{MARK}><a onclick=x {MARK}=2 href=javascript:x style=a>b</a><script>c</script>"
        "<a href='//evil.example'><a href='/\\\\evil.example'>"
    )

    assert len(found.problems) == 8
