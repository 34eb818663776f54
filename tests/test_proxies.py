"""Requests through a proxy: whether they take it, what fails, and what recovery is promised."""

import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from exporter.alerting.alertmanager import Alertmanager, AlertmanagerError
from exporter.alerting.alertmanager import make_session as make_alertmanager_session
from exporter.alerting.config import AlertmanagerSettings
from exporter.clock import SystemClock
from exporter.config.loader import load
from exporter.config.settings import APISettings, PollSettings, SystemSettings, TLSSettings
from exporter.config.systems import ResolvedSystem, resolve_systems
from exporter.daemon.clients import connect, make_session
from exporter.errors import AbsentError, ConfigError, VergeOSError
from exporter.prometheus.client import PrometheusConfirmer
from exporter.prometheus.client import make_session as make_prometheus_session
from exporter.prometheus.config import ConfirmationSettings
from exporter.recovery.model.cases import Action, Reply
from exporter.simulator import Simulator, create_world
from exporter.telemetry import Telemetry
from exporter.vergeos.client import VergeOSClient
from exporter.vergeos.operations import Operations
from tests.daemon.test_daemon import self_signed
from tests.daemon_process import pointing_at, running, simulating
from tests.fakes import START, FakeClock
from tests.http_proxy import Proxy, proxying

LOGIN = "verge:open-sesame"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
DEAD = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def _without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@asynccontextmanager
async def verge(folder: Path | None = None) -> AsyncIterator[tuple[Simulator, TLSSettings]]:
    """Run a simulated system, with TLS if there is a *folder* for its certificate."""
    context, tls = None, TLSSettings()
    if folder is not None:
        certificate, key = self_signed(folder)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        tls = TLSSettings(ca_file=certificate)
    world = create_world(seed=1, vms=6, start=START.timestamp())
    async with Simulator(world=world, clock=FakeClock(hurried=True), ssl_context=context) as system:
        yield system, tls


@asynccontextmanager
async def client_of(
    system: Simulator, tls: TLSSettings, *, acts: bool = False, **proxy: Any
) -> AsyncIterator[VergeOSClient]:
    settings = SystemSettings(url=system.url, api_key=SecretStr(system.api_key), tls=tls, **proxy)
    async with make_session(tls, settings.proxies(), keeps_connections=not acts) as session:
        resolved = ResolvedSystem(settings, PollSettings(), APISettings())
        meter = Telemetry().meter("system")
        yield connect(resolved, session, meter, FakeClock(hurried=True), acts=acts)


async def read(client: VergeOSClient) -> int:
    body = await client.read("/api/v4/vms", {"fields": "$key"}, endpoint="vms")
    return len(json.loads(body))


# --- What takes the proxy ---


async def test_plain_http_is_forwarded() -> None:
    async with verge() as (system, tls), proxying() as proxy:
        async with client_of(system, tls, proxy=proxy.url) as client:
            assert await read(client) >= 6
        assert proxy.asked == [f"GET {system.url}/api/v4/vms?fields=%24key"]


async def test_https_is_tunneled_and_its_credentials_stay_in_the_tunnel(tmp_path: Path) -> None:
    async with verge(tmp_path) as (system, tls), proxying(LOGIN) as proxy:
        login: dict[str, Any] = {"proxy": proxy.url, "proxy_login": SecretStr(LOGIN)}
        async with client_of(system, tls, **login) as client:
            assert await read(client) >= 6
        assert proxy.asked == [f"CONNECT {system.url.removeprefix('https://')}"]
        assert system.api_key.encode() not in b"".join(proxy.heads)
        assert not any("proxy-authorization" in str(one).lower() for one in system.requests)


async def test_proxy_of_the_environment_is_not_used_unless_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", DEAD)
    async with verge() as (system, tls), client_of(system, tls) as client:
        assert await read(client) >= 6


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
async def test_proxy_of_the_environment_is_used_with_its_login(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async with verge() as (system, tls), proxying(LOGIN) as proxy:
        monkeypatch.setenv(name, f"http://{LOGIN}@{proxy.place}")
        async with client_of(system, tls, proxy="environment") as client:
            assert await read(client) >= 6
        assert len(proxy.asked) == 1


async def test_https_proxy_of_the_environment_tunnels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with verge(tmp_path) as (system, tls), proxying() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.place)  # without a scheme, as curl accepts it
        monkeypatch.setenv("HTTP_PROXY", DEAD)
        async with client_of(system, tls, proxy="environment") as client:
            assert await read(client) >= 6
        assert proxy.asked[0].startswith("CONNECT ")


@pytest.mark.parametrize(
    ("without", "uses"),
    [
        ("127.0.0.1", False),
        ("example.com, 127.0.0.1:{port}", False),
        ("*", False),
        (".0.0.1", False),
        ("example.com", True),
        ("127.0.0.1:1", True),
        ("", True),
    ],
)
async def test_no_proxy_is_obeyed(
    monkeypatch: pytest.MonkeyPatch, without: str, uses: bool
) -> None:
    async with verge() as (system, tls), proxying() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", without.format(port=system.url.rpartition(":")[2]))
        async with client_of(system, tls, proxy="environment") as client:
            assert await read(client) >= 6
        assert bool(proxy.asked) is uses


async def test_login_file_is_read_again_for_each_request(tmp_path: Path) -> None:
    file = tmp_path / "login"
    file.write_text("verge:old\n")
    async with (
        verge() as (system, tls),
        proxying(LOGIN) as proxy,
        client_of(system, tls, proxy=proxy.url, proxy_login_file=file) as client,
    ):
        with pytest.raises(AbsentError, match=f"the proxy {proxy.place} refuses the login"):
            await read(client)
        file.write_text(f"{LOGIN}\n")
        assert await read(client) >= 6


# --- What fails ---


@pytest.mark.parametrize("tls_on", [False, True])
async def test_login_that_the_proxy_refuses_is_named_and_not_repeated_to_anyone(
    tmp_path: Path, tls_on: bool
) -> None:
    async with verge(tmp_path if tls_on else None) as (system, tls), proxying(LOGIN) as proxy:
        wrong: dict[str, Any] = {"proxy": proxy.url, "proxy_login": SecretStr("verge:wrong-word")}
        async with client_of(system, tls, **wrong) as client:
            with pytest.raises(AbsentError) as error:
                await read(client)
        assert f"the proxy {proxy.place} refuses the login (407): check proxy_login_file" in str(
            error.value
        )
        assert "wrong-word" not in f"{error.value!r}{error.value.__cause__!r}"
        assert not system.requests


async def test_proxy_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    async with verge(tmp_path) as (system, tls), client_of(system, tls, proxy=DEAD) as client:
        with pytest.raises(AbsentError, match=r"cannot connect to the proxy 127\.0\.0\.1:1: Conn"):
            await read(client)


async def test_proxy_that_cannot_reach_the_system_is_named(tmp_path: Path) -> None:
    async with (
        verge(tmp_path) as (system, tls),
        proxying(answer=503) as proxy,
        client_of(system, tls, proxy=proxy.url) as client,
    ):
        with pytest.raises(AbsentError, match="does not connect to the server: it answered 503"):
            await read(client)


async def test_system_whose_certificate_is_unknown_is_named_with_the_proxy(tmp_path: Path) -> None:
    async with (
        verge(tmp_path) as (system, _),
        proxying() as proxy,
        client_of(system, TLSSettings(), proxy=proxy.url) as client,
    ):
        with pytest.raises(VergeOSError) as error:
            await read(client)
    assert "the certificate of 127.0.0.1 is not trusted" in str(error.value)
    assert f"(through the proxy {proxy.place})" in str(error.value)


@pytest.mark.parametrize("content", [None, "", "no-colon"])
async def test_unusable_login_file_is_an_error_of_the_request(
    tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "login"
    if content is not None:
        file.write_text(content)
    async with (
        verge() as (system, tls),
        client_of(system, tls, proxy=DEAD, proxy_login_file=file) as client,
    ):
        with pytest.raises(AbsentError) as error:
            await read(client)
    assert "no-colon" not in str(error.value)
    assert "login" in str(error.value)


# --- Alertmanager and Prometheus ---


async def test_alertmanager_is_asked_through_its_proxy() -> None:
    async with proxying(LOGIN) as proxy:
        settings = AlertmanagerSettings(
            urls=("http://127.0.0.1:1",), proxy=proxy.url, proxy_login=SecretStr("a:b")
        )
        async with make_alertmanager_session(settings) as session:
            one = Alertmanager(settings.urls[0], session, settings, SystemClock())
            with pytest.raises(AlertmanagerError, match=f"the proxy {proxy.place} refuses"):
                await one.silences()
        assert proxy.asked == ["GET http://127.0.0.1:1/api/v2/silences"]


async def test_prometheus_is_asked_through_its_proxy() -> None:
    async with proxying(LOGIN) as proxy:
        settings = ConfirmationSettings(
            url="http://127.0.0.1:1", query='up{vm_name="{{vm}}"}[{{window}}]', proxy=proxy.url
        )
        async with make_prometheus_session(settings) as session:
            found = await PrometheusConfirmer(settings, session, lambda: "").evaluate("1")
        assert f"the proxy {proxy.place} refuses the login" in found.problem
        assert found.unreachable


# --- Settings ---


@pytest.mark.parametrize(
    ("proxy", "problem"),
    [
        ("http://u:secret@proxy:3128", "put them into proxy_login_file"),
        ("http://u@proxy:3128", "put them into proxy_login_file"),
        ("socks5://proxy:1080", "only proxies that are reached by http"),
        ("https://proxy:3128", "only proxies that are reached by http"),
        ("proxy:3128", "neither a URL"),
        ("http://proxy:99999", "neither a URL"),
        ("http://proxy:3128/path", "has a path"),
        ("env", "neither a URL"),
    ],
)
def test_invalid_proxy_is_refused_without_its_secret(proxy: str, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem) as error:
        AlertmanagerSettings(urls=("http://a:1",), proxy=proxy)
    assert "secret" not in str(error.value)


def test_login_without_a_proxy_is_refused() -> None:
    with pytest.raises(ValidationError, match="proxy_login is set without proxy"):
        AlertmanagerSettings(urls=("http://a:1",), proxy_login=SecretStr("a:b"))


@pytest.mark.parametrize("value", ["socks5://u:secret@proxy:1080", "http://u:secret@:3128"])
def test_variable_with_an_unusable_proxy_is_refused_without_its_secret(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    settings = AlertmanagerSettings(urls=("http://a:1",), proxy="environment")
    with pytest.raises(ConfigError, match="HTTPS_PROXY") as error:
        settings.proxies()
    assert "secret" not in str(error.value)


def _settings(monkeypatch: pytest.MonkeyPatch, **values: str) -> Any:
    for name, value in {"URL": "https://verge.example.com", "API_KEY": "k", **values}.items():
        monkeypatch.setenv(f"VERGEWATCH_{name}", value)
    return load()


def test_each_server_has_its_own_proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VERGEWATCH_SECRETS_DIR", str(tmp_path))
    (tmp_path / "proxy_login").write_text(LOGIN)
    settings = _settings(
        monkeypatch,
        PROXY="http://one:3128",
        ALERTMANAGER__URLS="http://a:9093",
        ALERTMANAGER__PROXY="environment",
    )
    assert settings.systems[0].proxy == "http://one:3128"
    assert settings.systems[0].proxy_login_file == tmp_path / "proxy_login"
    assert settings.alertmanager.proxy == "environment"
    assert settings.recovery.confirm.proxy == ""


@pytest.mark.parametrize("mode", ["ask", "enforce"])
def test_recovery_does_not_act_over_http_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    common = {
        "PROXY": "http://one:3128",
        "RECOVERY__MODE": mode,
        "RECOVERY__TOKEN": "t" * 32,
    }
    with pytest.raises(ConfigError, match="may deliver an action late"):
        resolve_systems(_settings(monkeypatch, URL="http://verge.example.com", **common))
    assert resolve_systems(_settings(monkeypatch, URL="https://verge.example.com", **common))


# --- What recovery is promised ---


async def act(
    folder: Path, check: Callable[[Simulator, Proxy], str], **proxy_options: Any
) -> tuple[Any, Simulator, Proxy]:
    """Start a VM through a tunnel; *check* is the last check."""
    async with verge(folder) as (system, tls), proxying(**proxy_options) as proxy:
        vm = system.world.creates("stopped")
        vm.enabled = True

        async def last_check() -> str:
            return check(system, proxy)

        async with client_of(system, tls, acts=True, proxy=proxy.url) as actor:
            operations = Operations(actor, actor, FakeClock(hurried=True))
            return await operations.act(vm.key, Action.POWER_ON, last_check), system, proxy


async def test_last_check_follows_the_handshake_in_the_tunnel_and_precedes_the_request(
    tmp_path: Path,
) -> None:
    seen: list[tuple[int, int]] = []

    def check(system: Simulator, proxy: Proxy) -> str:
        seen.append((len(proxy.asked), len(system.requests)))
        return ""

    reply, system, proxy = await act(tmp_path, check)

    assert reply.reply is Reply.ACCEPTED
    assert seen == [(1, 0)]
    assert [one.path for one in system.requests] == ["/api/v4/vm_actions"]
    assert len(proxy.asked) == 1


async def test_action_that_the_last_check_forbids_does_not_leave_through_the_tunnel(
    tmp_path: Path,
) -> None:
    reply, system, proxy = await act(tmp_path, lambda _system, _proxy: "recovery was disarmed")

    assert reply == (Reply.NOT_SENT, "recovery was disarmed")
    assert not system.requests
    assert len(proxy.asked) == 1


@pytest.mark.parametrize("options", [{"login": LOGIN}, {"answer": 502}])
async def test_action_that_the_proxy_refuses_was_not_sent_and_is_not_repeated(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    asked: list[str] = []

    def check(_system: Simulator, _proxy: Proxy) -> str:
        asked.append("checked")
        return ""

    reply, system, proxy = await act(tmp_path, check, **options)

    assert reply.reply is Reply.NOT_SENT
    assert proxy.place in reply.detail
    assert asked == []
    assert not system.requests
    assert len(proxy.asked) == 1


async def test_daemon_polls_through_the_proxy_and_shows_no_login() -> None:
    async with simulating() as system, proxying(LOGIN) as proxy:
        env = {
            **pointing_at(system),
            "VERGEWATCH_PROXY": "environment",
            "HTTP_PROXY": f"http://{LOGIN}@{proxy.place}",
        }
        async with running(env) as daemon:
            await daemon.until_up()
        assert "open-sesame" not in "".join(daemon.output)
        proxy.login = "another:login"
        async with running(env) as daemon:
            await daemon.page_where(
                lambda page: sum(page.get("vergewatch_table_failures_total")) > 0
            )
            pages = [(await daemon.get(path))[1] for path in ("/", "/metrics", "/-/ready")]
        assert f"the proxy {proxy.place} refuses the login" in "".join(pages)
        assert "open-sesame" not in "".join([*pages, *daemon.output])
