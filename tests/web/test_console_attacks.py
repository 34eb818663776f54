"""What an attacker sends to the console: each must have no effect."""

import asyncio
import gzip
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from yarl import URL

from exporter.web import connections
from exporter.web.console.console import CONTENT_SECURITY_POLICY, PAGES
from exporter.web.console.static_files import static_files
from exporter.web.ports import Refusal
from tests.web.console_site import TOKEN, Browser, Site, console_site
from tests.web.samples import HandClock
from tests.web.test_recovery_api import StubService

FORM = "application/x-www-form-urlencoded"
COMMANDS = ("/recovery/pause", "/recovery/disarm", "/recovery/arm", "/recovery/resume", "/logout")
"""Forms of operators. See `test_every_form_is_among_those_that_are_attacked`."""
OTHERS = ("/recovery/accept", "/recovery/clear", "/recovery/teach", "/recovery/forget",
          "/recovery/approve", "/recovery/deny", "/recovery/step-down", "/alerts/silence",
          "/alerts/expire")  # fmt: skip
FIELDS = {"system": "production", "reason": "an attack"}
PATHS = ("/", *(path for path, _ in PAGES), "/login", "/recovery/log")


@pytest.fixture
def service() -> StubService:
    return StubService()


@pytest.fixture
async def site(clock: HandClock, service: StubService) -> AsyncIterator[Site]:
    async with console_site(clock, service) as site:
        yield site


@pytest.fixture
async def anna(site: Site) -> AsyncIterator[Browser]:
    """Yield an operator who is logged in, and whose browser an attacker uses."""
    async with site.browser() as browser:
        assert (await browser.log_in()).status == 303
        yield browser


def commands(service: StubService) -> list[Any]:
    """Return the commands that *service* was given."""
    queries = ("status", "vms", "explain", "log", "report")
    return [one for one in service.asked if one[0] not in queries]


# Forged requests.


async def test_every_form_is_among_those_that_are_attacked(clock: HandClock) -> None:
    from exporter.web.routes import make_app
    from tests.web.site import StubOverview, StubPages, StubReload

    app = make_app(StubPages(), StubOverview(), StubReload(), clock=clock)
    forms = {
        route.resource.canonical
        for route in app.router.routes()
        if route.method == "POST" and route.resource is not None
    }

    assert {one for one in forms if not one.startswith(("/api/", "/-/"))} == {
        *COMMANDS,
        *OTHERS,
        "/login",
    }


@pytest.mark.parametrize("path", [*COMMANDS, *OTHERS])
async def test_form_without_its_token_has_no_effect(
    site: Site, service: StubService, anna: Browser, path: str
) -> None:
    async with site.browser() as other:
        await other.log_in()
        foreign = (await other.get("/login")).csrf
    for token in ({}, {"csrf": ""}, {"csrf": "guess"}, {"csrf": foreign}, {"csrf": "ü"}):
        done = await anna.post(path, {**FIELDS, **token})
        assert done.status == 403
    assert commands(service) == []
    assert (await anna.get("/login")).csrf  # still logged in


@pytest.mark.parametrize("path", [*COMMANDS, *OTHERS])
async def test_form_without_a_session_has_no_effect(
    site: Site, service: StubService, path: str
) -> None:
    async with site.browser() as stranger:
        done = await stranger.post(path, {**FIELDS, "csrf": "x"})

    assert done.status == 303
    assert done.headers["Location"].startswith("/login?next=/")
    assert commands(service) == []


@pytest.mark.parametrize("path", [*COMMANDS, *OTHERS])
async def test_form_cannot_be_sent_as_something_else(
    service: StubService, anna: Browser, path: str
) -> None:
    fields = {**FIELDS, "csrf": (await anna.get("/login")).csrf}
    as_text = "&".join(f"{name}={value}" for name, value in fields.items())

    assert (await anna.ask("GET", path, params=fields)).status in (404, 405)
    for kind in ("text/plain", "multipart/form-data; boundary=x", "application/json", ""):
        done = await anna.ask("POST", path, data=as_text, headers={"Content-Type": kind})
        assert done.status == 415
    assert (await anna.ask("PUT", path, data=fields)).status in (404, 405)
    assert commands(service) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
        {"Host": "evil.example\\.localhost"},
        {"Origin": "http://["},
        {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
    ],
)
@pytest.mark.parametrize("path", ["/recovery/disarm", "/logout", "/login", "/alerts/silence"])
async def test_form_from_another_site_has_no_effect(
    site: Site, service: StubService, anna: Browser, path: str, headers: Mapping[str, str]
) -> None:
    """Also one whose name the attacker pointed at this server (DNS rebinding)."""
    fields = {**FIELDS, "csrf": (await anna.get("/login")).csrf}

    done = await anna.post(path, {**fields, "owner": "eve", "token": TOKEN}, **headers)

    assert done.status == 403
    assert "Set-Cookie" not in done.headers
    assert commands(service) == []
    assert site.refused[-1] in (Refusal.CROSS_SITE, Refusal.HOST)
    assert "<bdi>anna</bdi>" in (await anna.get("/login")).text


async def test_form_with_everything_right_has_its_effect(
    service: StubService, anna: Browser
) -> None:
    """What the refusals above are measured against."""
    csrf = (await anna.get("/login")).csrf

    done = await anna.post("/recovery/disarm", {**FIELDS, "csrf": csrf})

    assert done.status == 303
    assert [one[:3] for one in commands(service)] == [("disarm", "anna", "an attack")]


# Where a login leads to.


@pytest.mark.parametrize(
    "way",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example",
        "/\t/evil.example", "/\n/evil.example", "javascript:alert(1)", "evil.example",
        "/x\r\nSet-Cookie: a=b", " //evil.example", "/%0d%0aSet-Cookie:%20a=b", "///evil.example",
        "/./\\evil.example", "/login?next=//evil.example", "", "/\x00", "/..//evil.example",
        "/.//evil.example",
    ],
)  # fmt: skip
async def test_login_leads_to_no_other_site(site: Site, way: str) -> None:
    async with site.browser() as browser:
        page = await browser.ask("GET", "/login", params={"next": way})
        done = await browser.log_in(next=way)

    assert done.status == 303
    leads = done.headers["Location"]
    assert leads.startswith("/")
    assert not leads.startswith(("//", "/\\"))
    assert URL(site.url).join(URL(leads)).host == "127.0.0.1"
    assert page.status == 200


# Headers.


@pytest.mark.parametrize("path", [*PATHS, "/nothing/here", "/logout"])
async def test_every_page_has_the_headers_that_protect_it(anna: Browser, path: str) -> None:
    page = await anna.get(path)

    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] in ("same-origin", "no-referrer")
    assert "Server" not in page.headers
    if page.headers["Content-Type"].startswith("text/html"):
        assert page.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
        assert page.headers["X-Frame-Options"] == "deny"
        assert page.headers["Cache-Control"] == "no-store"


def test_policy_permits_no_inline_code_no_frame_and_no_other_host() -> None:
    policy = dict(one.split(" ", 1) for one in CONTENT_SECURITY_POLICY.split("; "))

    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert {*policy.values()} <= {"'none'", "'self'"}


# Paths.


@pytest.mark.parametrize(
    "path",
    [
        "/static/../routes.py", "/static/%2e%2e/console.py", "/static/..%2f..%2fconsole.py",
        "/static/%252e%252e%252fconsole.py", "/static/..\\console.py", "/static/..%5cconsole.py",
        "/static/{sum}/../console.css", "/static/{sum}/%2e%2e%2fconsole.py",
        "/static/{sum}/console.css%00.js", "/static/{sum}/", "/static/", "/static",
        "/static/{sum}//console.css", "/static/{sum}/console.css/", "/static/x/console.css",
        "/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/..;/etc/passwd",
        "/vms/../../etc/passwd", "/vms/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/vms/production/%00",
        "/api/v1/../../etc/passwd", "/api/v1/recovery/explain/..%2f..%2fetc%2fpasswd%00",
        "file:///etc/passwd", "http://evil.example/",
    ],
)  # fmt: skip
async def test_path_leads_to_no_file_outside(site: Site, service: StubService, path: str) -> None:
    checksum = static_files()["console.css"].address.split("/")[2]
    head, body = await raw(site, f"GET {path.format(sum=checksum)} HTTP/1.1\r\nHost: x\r\n\r\n")

    assert re.match(rb"HTTP/1\.[01] (200|303|400|404)", head), head
    assert b"root:" not in body
    assert b"import" not in body
    if b" 200 " in head.split(b"\r\n")[0]:
        served = b"html" in head or b"json" in head or b"text/css" in head
        assert served


async def raw(site: Site, request: str | bytes) -> tuple[bytes, bytes]:
    """Return the head and the body of the response to the bytes *request*."""
    port = int(site.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request if isinstance(request, bytes) else request.encode("latin-1"))
        async with asyncio.timeout(15):
            head = await reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"Content-Length: (\d+)", head)
            return head, await reader.readexactly(int(found[1])) if found is not None else b""
    finally:
        with suppress(OSError):
            writer.transport.abort()


# Bodies.


@pytest.mark.parametrize("path", ["/login", "/recovery/disarm", "/logout", "/alerts/silence"])
async def test_giant_form_is_refused(anna: Browser, service: StubService, path: str) -> None:
    csrf = (await anna.get("/login")).csrf
    for size in (16_384, 1_000_000):
        with suppress(aiohttp.ClientConnectionError):
            done = await anna.post(path, {"csrf": csrf, "reason": "x" * size})
            assert done.status == 413
    for many in ({f"f{n}": "" for n in range(3000)},):
        done = await anna.post(path, {**many, "csrf": csrf})
        assert done.status in (400, 413)
    assert commands(service) == []


async def test_form_that_is_sent_slowly_is_ended(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BODY_SECONDS", 0.2)
    for path in ("/login", "/recovery/disarm"):
        head, _ = await raw(
            site,
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\n"
            "Content-Length: 1000\r\n\r\nowner=a",
        )
        assert head.startswith(b"HTTP/1.1 408 ")
        assert b"Connection: close" in head


@pytest.mark.parametrize(
    "body", [b"%", b"%zz=%", b"\xff\xfe=\x00", b"=&=&", b"owner=%00&token=%ff", b"a" * 16_000]
)
async def test_form_that_makes_no_sense_is_refused(site: Site, body: bytes) -> None:
    for path in ("/login", "/recovery/disarm"):
        head, _ = await raw(
            site,
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body,
        )
        assert re.match(rb"HTTP/1.1 (303|403) ", head)
        assert b"Set-Cookie" not in head


@pytest.mark.parametrize(
    "lines",
    [
        "Origin: {url}\r\nOrigin: http://evil.example\r\n",
        "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site\r\n",
    ],
)
async def test_second_value_of_a_header_counts_too(site: Site, lines: str) -> None:
    body = f"owner=anna&token={TOKEN}"
    head, _ = await raw(
        site,
        f"POST /login HTTP/1.1\r\nHost: {site.url[7:]}\r\nContent-Type: {FORM}\r\n"
        f"{lines.format(url=site.url)}Content-Length: {len(body)}\r\n\r\n{body}",
    )

    assert head.startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize("origin", ["", "Origin: http://evil.example\r\n"])
async def test_host_in_the_target_of_the_request_counts_too(site: Site, origin: str) -> None:
    body = f"owner=anna&token={TOKEN}"
    head, _ = await raw(
        site,
        f"POST http://evil.example/login HTTP/1.1\r\nHost: localhost\r\n{origin}"
        f"Content-Type: {FORM}\r\nContent-Length: {len(body)}\r\n\r\n{body}",
    )

    assert head.startswith(b"HTTP/1.1 403 ")


async def test_compressed_form_is_refused_without_decompression(site: Site) -> None:
    body = gzip.compress(b"a" * 10_000_000)
    head, _ = await raw(
        site,
        f"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\n"
        f"Content-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body,
    )

    assert head.startswith(b"HTTP/1.1 415 ")


async def test_client_that_hangs_up_within_a_form_leaves_no_error_in_the_log(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    port = int(site.url.rpartition(":")[2])
    for path in ("/login", "/recovery/disarm", "/api/v1/recovery/disarm", "/-/reload"):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nx".encode()
        )
        await asyncio.sleep(0.05)  # noqa: TID251 - until the server waits for the rest
        writer.transport.abort()
    await asyncio.sleep(0.1)  # noqa: TID251 - until the server sees the end

    assert [one for one in caplog.records if one.levelname == "ERROR"] == []


# Guessing.


async def test_stranger_who_guesses_is_held_up_and_the_operator_is_not(
    clock: HandClock, site: Site, anna: Browser
) -> None:
    """At the login and at the API together: they share the allowance."""
    clock.seconds += 1000
    port = int(site.url.rpartition(":")[2])

    async def guess(number: int) -> int:
        """Guess the token at the login or at the API, from another address."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, local_addr=("127.0.0.2", 0)
        )
        body = f"owner=eve&token=guess-{number}"
        path, kind = ("/login", FORM) if number % 2 else ("/api/v1/recovery/arm", "text/plain")
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
            f"X-Vergewatch-Token: guess-{number}\r\nContent-Length: {len(body)}\r\n"
            f"\r\n{body}".encode()
        )
        try:
            return int((await reader.readline()).split()[1])
        finally:
            writer.transport.abort()

    answers = [await guess(number) for number in range(30)]

    assert answers.count(429) == 20
    assert set(answers) == {401, 403, 429}
    assert (await anna.log_in()).status == 303


async def test_comparison_of_the_token_takes_no_text_for_granted(site: Site) -> None:
    async with site.browser() as browser:
        for token in ("", "\x00", "ü" * 10, TOKEN + "x", TOKEN[:-1], TOKEN.upper()):
            assert (await browser.log_in(token)).status == 403
