"""Logging in to the console, and what ends a session."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from exporter.web.attempts import SLOWED_SECONDS
from exporter.web.console.sessions import IDLE_SECONDS, MAX_AGE_SECONDS, MAX_SESSIONS
from exporter.web.ports import Refusal
from tests.web.conftest import Certificates
from tests.web.console_site import TOKEN, Browser, Site, console_site
from tests.web.samples import HandClock
from tests.web.test_middleware import as_user, hashed
from tests.web.test_recovery_api import StubService


@pytest.fixture
async def site(clock: HandClock) -> AsyncIterator[Site]:
    async with console_site(clock, StubService()) as site:
        yield site


@pytest.fixture
async def anna(site: Site) -> AsyncIterator[Browser]:
    """Yield an operator who is logged in."""
    async with site.browser() as browser:
        assert (await browser.log_in()).status == 303
        yield browser


async def is_logged_in(browser: Browser, **headers: str) -> bool:
    return bool((await browser.get("/login", **headers)).csrf)


async def test_login_begins_a_session_that_scripts_and_other_sites_cannot_use(site: Site) -> None:
    async with site.browser() as browser:
        assert not await is_logged_in(browser)

        done = await browser.log_in(next="/recovery?x=1")

        assert (done.status, done.headers["Location"]) == (303, "/recovery?x=1")
        attributes = done.headers["Set-Cookie"].split("; ")[1:]
        assert set(attributes) == {"HttpOnly", "Path=/", "SameSite=Strict"}
        page = await browser.get("/login")
        assert "<bdi>anna</bdi>" in page.text
        assert page.csrf
        assert browser.cookie not in page.text


async def test_cookie_is_sent_over_tls_only_where_the_browser_uses_tls(site: Site) -> None:
    """Also behind a proxy that ends TLS: the browser names the scheme of the page."""
    origin = site.url.replace("http://", "https://")
    async with site.browser() as browser:
        done = await browser.post("/login", {"owner": "anna", "token": TOKEN}, Origin=origin)

        assert done.status == 303
        assert "Secure" in done.headers["Set-Cookie"].split("; ")


async def test_cookie_of_a_server_with_tls_is_sent_over_tls_only(
    clock: HandClock, tmp_path: Path, certificates: Certificates
) -> None:
    file = tmp_path / "web.yml"
    chain = certificates.server
    file.write_text(f"tls_server_config: {{cert_file: {chain.cert}, key_file: {chain.key}}}")
    async with console_site(clock, web_config=file) as site, site.browser() as browser:
        done = await browser.log_in()

        assert "Secure" in done.headers["Set-Cookie"].split("; ")
        gone = await browser.post("/logout", {"csrf": (await browser.get("/login")).csrf})
        assert "Secure" in gone.headers["Set-Cookie"].split("; ")


async def test_links_to_the_login_lead_back_to_the_page_with_its_query(site: Site) -> None:
    async with site.browser() as browser:
        page = await browser.get("/vms?q=web&sort=-cpu")
        assert 'href="/login?next=/vms%3Fq%3Dweb%26sort%3D-cpu"' in page.text

        form = {"vm": "web-01"}
        came_from = f"{site.url}/alerts?system=a%26b&vm=7"
        sent = await browser.post("/alerts/silence", form, Referer=came_from)
        assert sent.headers["Location"] == "/login?next=/alerts?system%3Da%2526b%26vm%3D7"

        elsewhere = "http://evil.example/alerts?system=x"
        sent = await browser.post("/alerts/silence", form, Referer=elsewhere)
        assert sent.headers["Location"] == "/login?next=/alerts"


@pytest.mark.parametrize("owner", ["", "  ", "a\nb", "x" * 101, "a\x00"])
async def test_owner_must_be_a_line_of_text(site: Site, owner: str) -> None:
    async with site.browser() as browser:
        done = await browser.post("/login", {"owner": owner, "token": TOKEN})

        assert done.status == 403
        assert "Set-Cookie" not in done.headers


async def test_logout_ends_the_session_on_the_server_too(site: Site, anna: Browser) -> None:
    stolen = anna.cookie
    page = await anna.get("/login")

    done = await anna.post("/logout", {"csrf": page.csrf})

    assert (done.status, done.headers["Location"]) == (303, "/")
    assert not anna.cookie
    async with site.browser() as thief:
        assert not await is_logged_in(thief, Cookie=f"vergewatch_session={stolen}")


async def test_logout_needs_the_token_of_the_form(anna: Browser) -> None:
    for fields in ({}, {"csrf": "x"}):
        done = await anna.post("/logout", fields)

        assert done.status == 403
        assert "Set-Cookie" not in done.headers
    assert await is_logged_in(anna)


async def test_session_ends_when_it_was_idle(clock: HandClock, anna: Browser) -> None:
    clock.seconds += IDLE_SECONDS - 1
    assert await is_logged_in(anna)
    clock.seconds += IDLE_SECONDS - 1
    assert await is_logged_in(anna)

    clock.seconds += IDLE_SECONDS + 1

    assert not await is_logged_in(anna)


async def test_page_that_follows_the_polls_keeps_no_session_alive(
    clock: HandClock, anna: Browser
) -> None:
    for _ in range(4):
        clock.seconds += IDLE_SECONDS / 4 + 1
        still = await is_logged_in(anna, **{"HX-Request": "true"})

    assert not still


async def test_session_ends_however_much_it_is_used(clock: HandClock, anna: Browser) -> None:
    used = 0.0
    while used <= MAX_AGE_SECONDS:
        assert await is_logged_in(anna)
        clock.seconds += IDLE_SECONDS / 2
        used += IDLE_SECONDS / 2

    assert not await is_logged_in(anna)


async def test_session_ends_with_the_token_that_began_it(site: Site, anna: Browser) -> None:
    site.token = "another-token-another-token"
    assert not await is_logged_in(anna)

    site.token = TOKEN

    assert not await is_logged_in(anna)


async def test_session_ends_when_the_token_cannot_be_read(site: Site, anna: Browser) -> None:
    site.token = None

    assert not await is_logged_in(anna)
    assert "/run/token does not exist" in (await anna.log_in()).text


async def test_sessions_are_bounded(site: Site, anna: Browser) -> None:
    async with site.browser() as other:
        for _ in range(MAX_SESSIONS):
            other.http.cookie_jar.clear()
            assert (await other.log_in()).status == 303

        assert await is_logged_in(other)
    assert not await is_logged_in(anna)


async def test_login_keeps_no_session_that_was_there_before(site: Site, anna: Browser) -> None:
    planted = anna.cookie

    await anna.log_in()

    assert anna.cookie != planted
    async with site.browser() as other:
        assert not await is_logged_in(other, Cookie=f"vergewatch_session={planted}")


async def test_cookie_that_the_server_did_not_make_is_no_session(site: Site) -> None:
    async with site.browser() as browser:
        done = await browser.post(
            "/login", {"owner": "anna", "token": TOKEN}, Cookie="vergewatch_session=chosen"
        )

        assert "vergewatch_session=chosen" not in done.headers["Set-Cookie"]
    async with site.browser() as other:
        assert not await is_logged_in(other, Cookie="vergewatch_session=chosen")


async def test_guesses_are_slowed_and_the_right_token_still_works(
    clock: HandClock, site: Site
) -> None:
    async with site.browser() as browser:
        for _ in range(10):
            assert "The token is wrong." in (await browser.log_in("guess")).text
        before = clock.seconds

        assert (await browser.log_in("guess")).status == 403
        assert clock.seconds == before + SLOWED_SECONDS
        assert (await browser.log_in()).status == 303
    assert site.refused.count(Refusal.TOKEN) == 11


async def test_there_is_no_login_where_nothing_can_be_commanded(clock: HandClock) -> None:
    off = StubService()
    off.is_on = False
    for service, shown in ((StubService(), True), (off, False), (None, False)):
        async with console_site(clock, service) as site, site.browser() as browser:
            assert ('href="/login?' in (await browser.get("/")).text) is shown


# Users of the web configuration file.


async def test_operator_logs_in_without_the_token(clock: HandClock, tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users: {{anna: {hashed('a')}, bob: {hashed('b')}}}")
    async with console_site(clock, StubService(), web_config=file, operators=["anna"]) as site:
        async with site.browser(**as_user("anna", "a")) as anna:
            assert "Log in as <bdi>anna</bdi>" in (await anna.get("/login")).text
            assert (await anna.post("/login", {"next": "/", "owner": "eve"})).status == 303
            page = await anna.get("/login")
            assert '<span class="owner"><bdi>anna</bdi></span>' in page.text

            stolen = {"Cookie": f"vergewatch_session={anna.cookie}"}
            async with site.browser(**as_user("bob", "b")) as bob:
                assert not await is_logged_in(bob, **stolen)
                assert (await bob.post("/login", {"next": "/"})).status == 403
                assert (await bob.log_in()).status == 303  # with the token

        file.write_text(f"basic_auth_users: {{anna: {hashed('new')}}}")
        clock.seconds += 2
        async with site.browser(**as_user("anna", "new")) as anna:
            assert not await is_logged_in(anna, **stolen)


async def test_operator_of_another_site_is_not_logged_in(clock: HandClock, tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users: {{anna: {hashed('a')}}}")
    async with (
        console_site(clock, StubService(), web_config=file, operators=["anna"]) as site,
        site.browser(**as_user("anna", "a")) as anna,
    ):
        for header in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert (await anna.post("/login", {"next": "/"}, **header)).status == 403
        assert site.refused == [Refusal.CROSS_SITE] * 2
