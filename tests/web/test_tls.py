"""TLS with real certificates over real sockets, and its reload."""

import asyncio
import os
import shutil
import ssl
from pathlib import Path
from typing import Any

import pytest
import structlog

from exporter.errors import ConfigError
from exporter.exposition.formats import Format
from exporter.http import FollowingContext
from exporter.web.reloadable_config import ReloadableWebConfig
from tests.web.conftest import Certificates, Chain, Serve
from tests.web.samples import HandClock
from tests.web.site import ServerUnderTest, StubPages, trusting_context


def der(chain: Chain) -> bytes:
    return ssl.PEM_cert_to_DER_cert(chain.cert.read_text())


def install(chain: Chain, folder: Path) -> None:
    shutil.copy(chain.cert, folder / "server.crt")
    shutil.copy(chain.key, folder / "server.key")


def write(folder: Path, **extra: object) -> Path:
    """Write a configuration beside its certificates, with relative paths."""
    lines = {"cert_file": "server.crt", "key_file": "server.key", **extra}
    file = folder / "web.yml"
    file.write_text("tls_server_config:\n" + "".join(f"  {k}: {v}\n" for k, v in lines.items()))
    return file


@pytest.fixture
def folder(tmp_path: Path, certificates: Certificates) -> Path:
    install(certificates.server, tmp_path)
    return tmp_path


def presenting(chain: Chain) -> ssl.SSLContext:
    context = trusting_context()
    context.load_cert_chain(chain.cert, chain.key)
    return context


async def admitted(server: ServerUnderTest, client: ssl.SSLContext | None = None) -> bool:
    try:
        return (await server.request("/-/healthy", client=client)).status == 200
    except (ssl.SSLError, ConnectionError):
        return False


async def test_https_is_served(serve: Serve, folder: Path, certificates: Certificates) -> None:
    server = await serve(web_config=write(folder))

    reply = await server.request("/metrics")

    assert reply.body == b"CLASSIC plain\n"
    assert server.seen == der(certificates.server)


async def test_large_page_is_sent_completely_over_tls(serve: Serve, folder: Path) -> None:
    body = b"vergewatch_vm_up 1\n" * 300_000
    pages = StubPages({(Format.CLASSIC, False): body})
    server = await serve(web_config=write(folder), pages=pages)

    assert (await server.request("/metrics")).body == body


async def test_new_certificate_is_used_without_restart(
    serve: Serve, folder: Path, certificates: Certificates, clock: HandClock
) -> None:
    server = await serve(web_config=write(folder))
    await server.request("/-/healthy")

    install(certificates.other, folder)
    await server.request("/-/healthy")
    too_soon = server.seen
    clock.seconds += 1
    await server.request("/-/healthy")

    assert too_soon == der(certificates.server)
    assert server.seen == der(certificates.other)


async def test_half_rotated_certificate_keeps_old_pair(
    serve: Serve, folder: Path, certificates: Certificates, clock: HandClock
) -> None:
    server = await serve(web_config=write(folder))
    assert server.web_config is not None

    with structlog.testing.capture_logs() as logs:
        shutil.copy(certificates.other.cert, folder / "server.crt")
        clock.seconds += 1
        assert await admitted(server)
        halfway, error = server.seen, server.web_config.error
        shutil.copy(certificates.other.key, folder / "server.key")
        clock.seconds += 1
        assert await admitted(server)

    assert halfway == der(certificates.server)
    assert error is not None
    assert "is not the key of" in error
    assert server.seen == der(certificates.other)
    assert server.web_config.error is None
    assert [line["event"] for line in logs] == ["web.config_rejected", "web.config_loaded"]


async def test_certificate_created_after_config_edit_is_loaded(
    serve: Serve, folder: Path, certificates: Certificates, clock: HandClock
) -> None:
    server = await serve(web_config=write(folder))
    assert server.web_config is not None

    write(folder, cert_file="new.crt", key_file="new.key")
    clock.seconds += 1
    assert await admitted(server)
    assert server.web_config.error is not None
    shutil.copy(certificates.other.cert, folder / "new.crt")
    shutil.copy(certificates.other.key, folder / "new.key")
    clock.seconds += 1
    assert await admitted(server)

    assert server.seen == der(certificates.other)


@pytest.mark.parametrize("in_memory", [True, False])
async def test_inline_certificate_is_served(
    serve: Serve,
    tmp_path: Path,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    in_memory: bool,
) -> None:
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)

    def inline(path: Path) -> str:
        return "|\n" + "".join(f"    {line}\n" for line in path.read_text().splitlines())

    file = tmp_path / "web.yml"
    cert, key = inline(certificates.server.cert), inline(certificates.server.key)
    file.write_text(f"tls_server_config:\n  cert: {cert}\n  key: {key}\n")

    server = await serve(web_config=file)

    assert await admitted(server)
    assert server.seen == der(certificates.server)


async def test_required_client_certificate(
    serve: Serve, folder: Path, certificates: Certificates
) -> None:
    file = write(
        folder,
        client_auth_type="RequireAndVerifyClientCert",
        client_ca_file=certificates.authority.cert,
    )
    server = await serve(web_config=file)

    assert await admitted(server, presenting(certificates.prometheus))
    assert not await admitted(server, presenting(certificates.stranger))
    assert not await admitted(server)


async def test_optional_client_certificate_is_verified(
    serve: Serve, folder: Path, certificates: Certificates
) -> None:
    file = write(
        folder,
        client_auth_type="VerifyClientCertIfGiven",
        client_ca_file=certificates.authority.cert,
    )
    server = await serve(web_config=file)

    assert await admitted(server, presenting(certificates.prometheus))
    assert not await admitted(server, presenting(certificates.stranger))
    assert await admitted(server)


@pytest.mark.parametrize(
    ("names", "accepted"),
    [
        ("[prometheus.example]", True),
        ("[other.example, '::1']", True),
        ("['0:0:0:0:0:0:0:1']", True),
        ("[other.example]", False),
        ("[PROMETHEUS.example]", False),
    ],
)
async def test_client_certificate_needs_allowed_name(
    serve: Serve, folder: Path, certificates: Certificates, names: str, accepted: bool
) -> None:
    file = write(
        folder,
        client_auth_type="RequireAndVerifyClientCert",
        client_ca_file=certificates.authority.cert,
        client_allowed_sans=names,
    )
    server = await serve(web_config=file)

    assert await admitted(server, presenting(certificates.prometheus)) is accepted


async def test_versions_ciphers_and_curve_are_applied(serve: Serve, folder: Path) -> None:
    file = write(
        folder,
        max_version="TLS12",
        cipher_suites="[TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]",
        curve_preferences="[CurveP384]",
    )
    server = await serve(web_config=file)
    only_13 = trusting_context()
    only_13.minimum_version = ssl.TLSVersion.TLSv1_3
    other_cipher = trusting_context()
    other_cipher.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    right_cipher = trusting_context()
    right_cipher.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
    other_curve = trusting_context()
    other_curve.set_ecdh_curve("prime256v1")

    assert await admitted(server, right_cipher)
    assert not await admitted(server, only_13)
    assert not await admitted(server, other_cipher)
    assert not await admitted(server, other_curve)


@pytest.mark.parametrize(("server_first", "chosen"), [("true", "AES256"), ("false", "AES128")])
async def test_server_or_client_cipher_preference(
    serve: Serve, folder: Path, server_first: str, chosen: str
) -> None:
    file = write(
        folder,
        cipher_suites="[TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,"
        " TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]",
        prefer_server_cipher_suites=server_first,
    )
    server = await serve(web_config=file)
    client = trusting_context()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384")

    _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=client)

    assert chosen in writer.get_extra_info("cipher")[0]
    writer.close()
    await writer.wait_closed()


async def test_alpn_selects_http_1_1(serve: Serve, folder: Path) -> None:
    server = await serve(web_config=write(folder))
    browser = trusting_context()
    browser.set_alpn_protocols(["h2", "http/1.1"])

    _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=browser)

    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
    writer.close()
    await writer.wait_closed()


async def test_edit_cannot_switch_tls_off(serve: Serve, folder: Path, clock: HandClock) -> None:
    file = write(folder)
    server = await serve(web_config=file)
    assert server.web_config is not None

    file.write_text("")
    clock.seconds += 1

    assert await admitted(server)
    assert server.web_config.error == (
        f"{file}: tls_server_config cannot be added or removed while running; "
        "restart to switch TLS on or off"
    )


def test_explicit_reload_raises_config_error(folder: Path, clock: HandClock) -> None:
    file = write(folder)
    config = ReloadableWebConfig(file, clock)
    file.write_text("nonsense")

    with pytest.raises(ConfigError, match="expected a group of settings"):
        config.reload()

    write(folder)
    config.reload()
    assert config.error is None
    assert isinstance(config.ssl_context(), FollowingContext)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"cert_file": "gone.crt"}, "cert_file {0}/gone.crt cannot be read: No such file"),
        ({"key_file": "gone.key"}, "key_file {0}/gone.key cannot be read: No such file"),
        ({"key_file": "other.key"}, "key_file {0}/other.key is not the key of cert_file"),
        ({"cert_file": "web.yml"}, "are not a certificate and its key in PEM"),
        ({"cert_file": "binary"}, "cert_file {0}/binary cannot be read: it is not text"),
        ({"key_file": "encrypted.key"}, "key_file {0}/encrypted.key is encrypted"),
        (
            {"client_ca_file": "web.yml", "client_auth_type": "RequireAndVerifyClientCert"},
            "client_ca_file {0}/web.yml holds no certificate in PEM",
        ),
    ],
)
def test_unusable_certificate_is_named(
    folder: Path,
    certificates: Certificates,
    clock: HandClock,
    extra: dict[str, Any],
    message: str,
) -> None:
    shutil.copy(certificates.other.key, folder / "other.key")
    shutil.copy(certificates.encrypted_key, folder / "encrypted.key")
    (folder / "binary").write_bytes(b"\xff\xfe\x00")
    file = write(folder, **extra)

    with pytest.raises(ConfigError) as caught:
        ReloadableWebConfig(file, clock)

    assert str(caught.value).startswith(f"{file}: tls_server_config: ")
    assert message.format(folder) in str(caught.value)
