"""TLS as the web configuration file asks for it, in the words of Python's ``ssl``."""

import ipaddress
import os
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exporter.errors import ConfigError

VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
OLD_VERSIONS = ("TLS10", "TLS11")
"""Known to the file format, and no longer spoken by any OpenSSL that Python comes with."""

CLIENT_AUTH = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
UNVERIFIED_CLIENT_AUTH = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
"""They take any certificate unseen, which Python's ``ssl`` has no way to do."""

CURVES = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}

CIPHERS_TLS12 = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
}
CIPHERS_TLS13 = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
)
"""Always offered with TLS 1.3: neither Go nor Python lets anybody choose among them."""


@dataclass(frozen=True, slots=True)
class Pem:
    """A certificate or a key: in a file, or written into the configuration itself."""

    key: str
    """The configuration key that gave it."""
    path: Path | None
    text: str | None = field(repr=False)

    def __str__(self) -> str:
        return self.key if self.path is None else f"{self.key} {self.path}"


@dataclass(frozen=True, slots=True)
class TLS:
    """The section ``tls_server_config``, understood."""

    place: str
    """The file and the section, for errors."""
    cert: Pem
    key: Pem
    client_ca: Pem | None
    client_auth: ssl.VerifyMode
    client_allowed_sans: frozenset[str]
    min_version: ssl.TLSVersion
    max_version: ssl.TLSVersion
    ciphers: tuple[str, ...]
    """OpenSSL's names, for TLS 1.2; empty for Python's defaults."""
    prefer_server_ciphers: bool
    curve: str | None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that this rests on beside the configuration itself."""
        pems = (self.cert, self.key, self.client_ca)
        return tuple(pem.path for pem in pems if pem is not None and pem.path is not None)


def make_context(tls: TLS) -> ssl.SSLContext:
    """
    Return a context that serves as *tls* says.

    Raises:
        ConfigError: A file cannot be read, or does not hold what it should.

    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = tls.min_version
    context.maximum_version = tls.max_version
    context.set_alpn_protocols(["http/1.1"])
    if tls.ciphers:
        _set_ciphers(context, tls)
    if not tls.prefer_server_ciphers:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if tls.curve is not None:
        _set_curve(context, tls.curve)
    _load_chain(context, tls)
    _verify_clients(context, tls)
    return context


def _set_curve(context: ssl.SSLContext, curve: str) -> None:
    try:
        context.set_ecdh_curve(curve)
    except (ValueError, ssl.SSLError):
        raise ConfigError(
            f"curve_preferences: this Python cannot be held to {curve}; leave the key out"
        ) from None


class FollowingContext(ssl.SSLContext):
    """
    A context that gives each new connection whatever context is current by then.

    A server holds one context for life; this one lets certificates, and all else that a context
    says, change under it. Connections that exist keep what they began with.
    """

    _current: Callable[[], ssl.SSLContext]

    @classmethod
    def of(cls, current: Callable[[], ssl.SSLContext]) -> "FollowingContext":
        context = cls(ssl.PROTOCOL_TLS_SERVER)
        context._current = current
        return context

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        return self._current().wrap_bio(incoming, outgoing, server_side, server_hostname, session)


def _set_ciphers(context: ssl.SSLContext, tls: TLS) -> None:
    try:
        context.set_ciphers(":".join(tls.ciphers))
    except ssl.SSLError:
        raise ConfigError(
            f"{tls.place}.cipher_suites: the OpenSSL of this machine offers none of these"
        ) from None


def _load_chain(context: ssl.SSLContext, tls: TLS) -> None:
    with _on_disk(tls.cert, tls.place) as cert, _on_disk(tls.key, tls.place) as key:
        try:
            context.load_cert_chain(cert, key, password=lambda: _refuse_password(tls))
        except ssl.SSLError as error:
            raise ConfigError(f"{tls.place}: {_chain_problem(tls, error)}") from None


def _refuse_password(tls: TLS) -> str:
    # Without this OpenSSL would ask on the terminal, and wait.
    raise ConfigError(f"{tls.place}: {tls.key} is encrypted; give it without a passphrase")


def _chain_problem(tls: TLS, error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"{tls.key} is not the key of {tls.cert}"
    detail = (error.reason or str(error)).replace("_", " ").lower()
    return f"{tls.cert} and {tls.key} are not a certificate and its key in PEM ({detail})"


def _verify_clients(context: ssl.SSLContext, tls: TLS) -> None:
    if tls.client_ca is None:
        return
    authorities = _read(tls.client_ca, tls.place)
    try:
        context.load_verify_locations(cadata=authorities)
    except (ssl.SSLError, ValueError):
        raise ConfigError(f"{tls.place}: {tls.client_ca} holds no certificate in PEM") from None
    context.verify_mode = tls.client_auth
    if tls.client_allowed_sans:
        # Documented as an attribute that may be set on an instance; typeshed has it read-only.
        setattr(context, "sslobject_class", _admitting(tls.client_allowed_sans))  # noqa: B010


def _admitting(allowed: frozenset[str]) -> type[ssl.SSLObject]:
    class Admitting(ssl.SSLObject):
        """A connection that ends in its handshake unless the client has one of the names."""

        def do_handshake(self) -> None:
            super().do_handshake()
            if allowed.isdisjoint(_alternative_names(self)):
                raise ssl.SSLCertVerificationError("no allowed name in the client's certificate")

    return Admitting


def _alternative_names(connection: ssl.SSLObject) -> Iterator[str]:
    certificate = connection.getpeercert() or {}
    names: Any = certificate.get("subjectAltName", ())
    for kind, name in names:
        yield normal_name(name) if kind == "IP Address" else name


def normal_name(name: str) -> str:
    """Return *name* with an IP address in its short form; OpenSSL writes ``0:0:0:0:0:0:0:1``."""
    try:
        return str(ipaddress.ip_address(name.strip()))
    except ValueError:
        return name


def _read(pem: Pem, place: str) -> str:
    if pem.path is None:
        return pem.text or ""
    try:
        return pem.path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{place}: cannot read {pem}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{place}: {pem} is not text, so not PEM") from None


@contextmanager
def _on_disk(pem: Pem, place: str) -> Iterator[str]:
    """Lend a file name for *pem*: ``ssl`` reads chains only from files, never from memory."""
    text = _read(pem, place)
    if pem.path is not None:
        yield str(pem.path)
    elif hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("pem")  # an inline key never touches a disk
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            yield f"/proc/self/fd/{descriptor}"
    else:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            yield file.name
