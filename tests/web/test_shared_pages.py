"""Pages that visitors share: rendered once, and again when anything may have changed."""

import asyncio

import pytest
from aiohttp import hdrs, web
from aiohttp.test_utils import make_mocked_request

from exporter.clock import SystemClock
from exporter.model import Inventory, SystemState
from exporter.web.console.shared_pages import MAX_AGE_SECONDS, MOST_PAGES, SharedPages
from tests.web.samples import NOW, HandClock, system


class Renderer:
    """Counts what it renders, and waits until it may."""

    def __init__(self) -> None:
        self.count = 0
        self.may = asyncio.Event()
        self.may.set()
        self.refuses = False

    async def __call__(self, request: web.Request) -> web.Response:
        self.count += 1
        await self.may.wait()
        if self.refuses:
            self.refuses = False
            raise web.HTTPServiceUnavailable
        return web.Response(text=f"{request.path_qs} {self.count}", headers={"X-Kept": "yes"})


def inventory() -> Inventory:
    return Inventory("north", None, NOW, {}, (), {}, {}, None)


class Site:
    """Shared pages of one system, which a test polls."""

    def __init__(self) -> None:
        self.clock, self.renderer = HandClock(), Renderer()
        self.state = SystemState(inventory(), system())
        self.pages = SharedPages(lambda: [self.state], self.clock)

    def poll(self) -> None:
        self.state = SystemState(inventory(), system())

    async def get(self, path: str = "/", authorization: str = "") -> str | None:
        headers = {hdrs.AUTHORIZATION: authorization} if authorization else {}
        request = make_mocked_request("GET", path, headers=headers)
        assert self.pages.has(request)
        response = await self.pages.response(request, self.renderer)
        assert response.headers["X-Kept"] == "yes"
        return response.text


@pytest.fixture
async def site() -> Site:
    return Site()


async def test_visitors_at_the_same_time_are_answered_with_one_rendering(site: Site) -> None:
    site.renderer.may.clear()
    asking = [asyncio.create_task(site.get("/?a=1")) for _ in range(50)]
    await SystemClock().sleep(0)
    site.renderer.may.set()
    assert await asyncio.gather(*asking) == ["/?a=1 1"] * 50


async def test_a_page_is_rendered_again_after_a_poll(site: Site) -> None:
    await site.get()
    site.poll()
    assert await site.get() == "/ 2"


async def test_a_page_is_rendered_again_after_a_second(site: Site) -> None:
    await site.get()
    site.clock.seconds += MAX_AGE_SECONDS - 0.1
    assert await site.get() == "/ 1"
    site.clock.seconds += 0.1
    assert await site.get() == "/ 2"


async def test_other_parameters_and_users_get_pages_of_their_own(site: Site) -> None:
    assert await site.get("/vms?q=a") == "/vms?q=a 1"
    assert await site.get("/vms?q=b") == "/vms?q=b 2"
    assert await site.get("/vms?q=a", "Basic x") == "/vms?q=a 3"


async def test_few_pages_are_kept(site: Site) -> None:
    for number in range(MOST_PAGES + 1):
        await site.get(f"/{number}")
    assert await site.get(f"/{MOST_PAGES}") == f"/{MOST_PAGES} {MOST_PAGES + 1}"
    assert await site.get("/0") == f"/0 {MOST_PAGES + 2}"


async def test_a_refusal_is_not_shared(site: Site) -> None:
    site.renderer.refuses = True
    site.renderer.may.clear()
    first, other = (asyncio.create_task(site.get()) for _ in range(2))
    await SystemClock().sleep(0)
    site.renderer.may.set()
    with pytest.raises(web.HTTPServiceUnavailable):
        await first
    assert await other == "/ 2"


async def test_an_operator_shares_nothing(site: Site) -> None:
    request = make_mocked_request("GET", "/", headers={hdrs.COOKIE: "vergewatch_session=1"})
    assert not site.pages.has(request)


async def test_nothing_is_shared_before_the_first_inventory(site: Site) -> None:
    site.state = SystemState(None, system())
    assert not site.pages.has(make_mocked_request("GET", "/"))
