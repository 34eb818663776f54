"""Certificates from the openssl command, and servers on free ports."""

import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from exporter.web.ports import DaemonInside, GuestTargets, VendorPages
from exporter.web.reloadable_config import ReloadableWebConfig
from exporter.web.routes import make_app
from exporter.web.server import Listen, serving
from tests.web.samples import HandClock
from tests.web.site import ServerUnderTest, StubOverview, StubPages, StubReload


class Chain(NamedTuple):
    """A certificate and its key."""

    cert: Path
    key: Path


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def _self_signed(folder: Path, name: str) -> Chain:
    chain = Chain(folder / f"{name}.crt", folder / f"{name}.key")
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-keyout", chain.key, "-out", chain.cert, "-days", 2, "-subj", f"/CN={name}"),
        *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
    )
    return chain


class Certificates(NamedTuple):
    """Chains of servers and clients."""

    server: Chain
    other: Chain
    authority: Chain
    prometheus: Chain
    """Signed by `authority`."""
    stranger: Chain
    """Self-signed."""
    encrypted_key: Path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    authority = _self_signed(folder, "authority")
    prometheus = Chain(folder / "prometheus.crt", folder / "prometheus.key")
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-keyout", prometheus.key, "-out", prometheus.cert, "-days", 2),
        *("-subj", "/CN=prometheus", "-CA", authority.cert, "-CAkey", authority.key),
        *("-addext", "subjectAltName=DNS:prometheus.example,IP:::1"),
        *("-addext", "basicConstraints=critical,CA:FALSE"),
    )
    server = _self_signed(folder, "server")
    encrypted = folder / "encrypted.key"
    _openssl("pkey", "-in", server.key, "-aes128", "-passout", "pass:x", "-out", encrypted)
    return Certificates(
        server=server,
        other=_self_signed(folder, "other"),
        authority=authority,
        prometheus=prometheus,
        stranger=_self_signed(folder, "stranger"),
        encrypted_key=encrypted,
    )


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


Serve = Callable[..., Awaitable[ServerUnderTest]]


@pytest.fixture
async def serve(clock: HandClock) -> AsyncIterator[Serve]:
    """Return a function that starts a server until the end of the test."""
    async with AsyncExitStack() as stack:

        async def start(
            *,
            pages: StubPages | None = None,
            overview: StubOverview | None = None,
            reload: StubReload | None = None,
            web_config: Path | None = None,
            telemetry_path: str = "/metrics",
            vendor: VendorPages | None = None,
            guests: GuestTargets | None = None,
            facts: DaemonInside | None = None,
        ) -> ServerUnderTest:
            config = ReloadableWebConfig(web_config, clock) if web_config else None
            scrapes: list[float] = []
            app = make_app(
                pages or StubPages(),
                overview or StubOverview(),
                reload or StubReload(),
                clock=clock,
                version="1.2.3",
                telemetry_path=telemetry_path,
                web_config=config,
                observe_scrape=scrapes.append,
                vendor=vendor,
                guests=guests,
                facts=facts,
            )
            context = config.ssl_context() if config else None
            where = await stack.enter_async_context(
                serving(app, Listen("127.0.0.1", 0), ssl_context=context)
            )
            return ServerUnderTest(where.port, config, scrapes, tls=context is not None)

        yield start
