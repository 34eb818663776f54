"""`check` says in one line what is wrong with an address, and checks a configuration offline."""

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.cli.test_cli import ran
from tests.daemon.test_daemon import self_signed
from tests.daemon_process import simulating

HTML = "<html><body>Not here</body></html>"


@asynccontextmanager
async def web_server(status: int = 404) -> AsyncIterator[str]:
    """Serve HTML at every path, as a web server or a proxy does."""

    async def handle(_: web.Request) -> web.Response:
        return web.Response(status=status, text=HTML, content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app) as server:
        yield f"http://127.0.0.1:{server.port}"


def with_certificate(folder: Path) -> ssl.SSLContext:
    folder.mkdir()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*self_signed(folder))
    return context


async def problem_of(url: str, **env: str) -> str:
    """Return the only line of complaint, after checking that no table has a row."""
    code, out, err = await ran("check", VERGEWATCH_URL=url, VERGEWATCH_API_KEY="k", **env)
    assert (code, err) == (1, "")
    assert "TABLE" not in out
    (line,) = [one for one in out.splitlines() if "no inventory" in one]
    return line.removeprefix("no inventory: ")


@pytest.mark.parametrize("status", [200, 404, 500])
async def test_web_server_that_is_no_vergeos(status: int) -> None:
    async with web_server(status) as url:
        found = await problem_of(url)
    assert found.startswith(f"{url} is a web server, but not a VergeOS (/")
    assert "without a path" in found


async def test_http_on_a_tls_port(tmp_path: Path) -> None:
    async with simulating(ssl_context=with_certificate(tmp_path / "a")) as system:
        url = system.url.replace("https://", "http://")
        assert await problem_of(url) == f"{url} is a TLS port: write https:// in url"


async def test_https_on_a_port_without_tls() -> None:
    async with simulating() as system:
        url = system.url.replace("http://", "https://")
        found = await problem_of(url)
    assert found == f"{url} is a port without TLS: write http:// in url, or its TLS port"


async def test_wrong_ca_file(tmp_path: Path) -> None:
    context = with_certificate(tmp_path / "a")
    with_certificate(tmp_path / "b")
    ca_file = tmp_path / "b" / "cert.pem"
    async with simulating(ssl_context=context) as system:
        found = await problem_of(system.url, VERGEWATCH_TLS__CA_FILE=str(ca_file))
        assert f"tls.ca_file {ca_file} has another CA than the one that issued it" in found
        assert "name the file of its CA in tls.ca_file" in await problem_of(system.url)


async def test_answer_of_a_proxy() -> None:
    async with web_server(503) as proxy:
        found = await problem_of("http://verge.example.com", VERGEWATCH_PROXY=proxy)
    assert found.startswith(f"the proxy {proxy.removeprefix('http://')}, or a server that it asked")


async def test_json_has_the_results_and_the_problem() -> None:
    async with simulating() as system:
        code, out, err = await ran(
            "check", "--json", VERGEWATCH_URL=system.url, VERGEWATCH_API_KEY=system.api_key
        )
    result = json.loads(out)
    assert (code, err, result["passed"], result["offline"]) == (0, "", True, False)
    (one,) = result["systems"]
    assert (one["name"], one["problem"]) == ("northwind", "")
    assert {"table": "vms", "every_seconds": 20.0, "rows": 20, "problem": ""} in one["tables"]
    assert any("requests per hour" in note for note in one["notes"])

    async with web_server() as url:
        code, out, _ = await ran("check", "--json", VERGEWATCH_URL=url, VERGEWATCH_API_KEY="k")
    (one,) = json.loads(out)["systems"]
    assert (code, one["passed"], one["tables"]) == (1, False, [])
    assert "not a VergeOS" in one["problem"]


async def test_offline_sends_no_request(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("k")
    known = {"VERGEWATCH_URL": "http://127.0.0.1:1", "VERGEWATCH_API_KEY_FILE": str(key)}
    known["STATE_DIRECTORY"] = str(tmp_path)
    code, out, err = await ran("check", "--offline", **known)
    assert (code, err) == (0, "")
    assert out.endswith("the configuration of 1 system is valid; no request sent\n")

    key.unlink()
    code, out, _ = await ran("check", "--offline", "--json", **known)
    result = json.loads(out)
    assert (code, result["passed"], result["offline"]) == (1, False, True)
    assert any(str(key) in note for note in result["systems"][0]["notes"])

    code, out, err = await ran("check", "--offline", **known, VERGEWATCH_TLS__CA_FILE="/missing")
    assert (code, out) == (2, "")
    assert "/missing cannot be read" in err
    code, _, err = await ran("check", "--offline", "--enrolled", **known)
    assert (code, "--offline sends no request" in err) == (2, True)
