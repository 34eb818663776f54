"""The server's ``ssl`` context, made from the section ``tls_server_config``."""

import ipaddress
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from exporter.errors import ConfigError
from exporter.web.webconfig import CIPHERS_TLS12, CLIENT_AUTH, CURVES, Pem, TLSConfig

VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}


def make_context(tls: TLSConfig, config_file: Path) -> ssl.SSLContext:
    """
    Return a server context for *tls*.

    Args:
        tls: The validated section.
        config_file: The file it is from; named in errors.

    Raises:
        ConfigError: A certificate or key cannot be read or used, or this machine's OpenSSL does
            not support a setting.

    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[tls.min_version]
    context.maximum_version = VERSIONS[tls.max_version]
    context.set_alpn_protocols(["http/1.1"])
    if not tls.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    try:
        _set_ciphers(context, tls)
        _load_chain(context, tls)
        _verify_clients(context, tls)
    except ConfigError as error:
        raise ConfigError(f"{config_file}: tls_server_config: {error}") from None
    return context


def _set_ciphers(context: ssl.SSLContext, tls: TLSConfig) -> None:
    ciphers = [CIPHERS_TLS12[name] for name in tls.cipher_suites if name in CIPHERS_TLS12]
    try:
        if ciphers:
            context.set_ciphers(":".join(ciphers))
    except ssl.SSLError:
        raise ConfigError("cipher_suites: this machine's OpenSSL supports none of these") from None
    for curve in tls.curve_preferences:
        try:
            context.set_ecdh_curve(CURVES[curve])
        except (ValueError, ssl.SSLError):
            raise ConfigError(
                f"curve_preferences: this Python cannot require {curve}; remove the key"
            ) from None


def _load_chain(context: ssl.SSLContext, tls: TLSConfig) -> None:
    cert, key = tls.pem("cert"), tls.pem("key")

    def refuse_password() -> str:  # without it, OpenSSL would wait for input on the terminal
        raise ConfigError(f"{key} is encrypted; use a key without a passphrase")

    with _on_disk(cert) as cert_file, _on_disk(key) as key_file:
        try:
            context.load_cert_chain(cert_file, key_file, password=refuse_password)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise ConfigError(f"{key} is not the key of {cert}") from None
            detail = (error.reason or str(error)).replace("_", " ").lower()
            raise ConfigError(
                f"{cert} and {key} are not a certificate and its key in PEM ({detail})"
            ) from None


def _verify_clients(context: ssl.SSLContext, tls: TLSConfig) -> None:
    client_ca = tls.pem("client_ca")
    if not client_ca:
        return
    try:
        context.load_verify_locations(cadata=client_ca.read())
    except (ssl.SSLError, ValueError):
        raise ConfigError(f"{client_ca} holds no certificate in PEM") from None
    context.verify_mode = CLIENT_AUTH[tls.client_auth_type]
    if tls.client_allowed_sans:
        allowed = frozenset(map(_normalized, tls.client_allowed_sans))
        # Documented as an attribute that may be set on an instance; typeshed has it read-only.
        setattr(context, "sslobject_class", _admitting(allowed))  # noqa: B010


def _admitting(allowed: frozenset[str]) -> type[ssl.SSLObject]:
    class Admitting(ssl.SSLObject):
        """A connection whose handshake fails unless the client has an allowed name."""

        def do_handshake(self) -> None:
            super().do_handshake()
            if allowed.isdisjoint(_alternative_names(self)):
                raise ssl.SSLCertVerificationError("no allowed name in the client's certificate")

    return Admitting


def _alternative_names(connection: ssl.SSLObject) -> Iterator[str]:
    certificate = connection.getpeercert() or {}
    names: Any = certificate.get("subjectAltName", ())
    for kind, name in names:
        yield _normalized(name) if kind == "IP Address" else name


def _normalized(name: str) -> str:
    """Return *name* with an IP address in its short form; OpenSSL writes ``0:0:0:0:0:0:0:1``."""
    try:
        return str(ipaddress.ip_address(name.strip()))
    except ValueError:
        return name


@contextmanager
def _on_disk(pem: Pem) -> Iterator[str]:
    """Yield a file name for *pem*: ``ssl`` loads a certificate chain only from a file."""
    text = pem.read()
    if pem.path is not None:
        yield str(pem.path)
        return
    # On Linux an inline key is never written to a disk.
    in_memory = hasattr(os, "memfd_create")
    with os.fdopen(os.memfd_create("pem"), "w+") if in_memory else TemporaryFile("w+") as file:
        file.write(text)
        file.seek(0)
        yield f"/dev/fd/{file.fileno()}"
