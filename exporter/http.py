"""Outgoing HTTP requests: sessions, trusted certificates, secrets in files and error texts."""

import re
import ssl
from pathlib import Path
from typing import Annotated, Any

import aiohttp
from pydantic import AfterValidator, SecretStr

from exporter import __version__
from exporter.errors import ConfigError, system_reason

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
"""Characters that an HTTP header cannot carry."""
CHUNK_BYTES = 256 * 1024


def _for_headers(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value():
        raise ValueError("is empty")
    if CONTROL.search(secret.get_secret_value()):
        raise ValueError("contains a control character, such as a newline")
    return secret


Secret = Annotated[SecretStr, AfterValidator(_for_headers)]
"""A secret in the settings that is sent in a header."""


class SecretFile:
    """A secret in a file, read again when the file's time, size or inode changes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int, int] | None = None
        self._secret = SecretStr("")

    def read(self) -> SecretStr:
        """
        Return the file's first line without its newline.

        Raises:
            ConfigError: The file cannot be read, or is empty.

        """
        try:
            stat = self.path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if stamp != self._stamp:
                self._secret = SecretStr(self._first_line())
                self._stamp = stamp
        except (OSError, UnicodeDecodeError) as problem:
            reason = getattr(problem, "strerror", None) or "it is not text"
            raise ConfigError(f"the secret in {self.path} cannot be read: {reason}") from None
        return self._secret

    def _first_line(self) -> str:
        text = self.path.read_bytes().decode("utf-8-sig")  # some editors write a BOM
        line = text.partition("\n")[0].removesuffix("\r")
        if not line.strip():
            empty = "its first line" if text.strip() else "the file"
            raise ConfigError(f"the secret in {self.path} cannot be read: {empty} is empty")
        if CONTROL.search(line):
            raise ConfigError(
                f"the secret in {self.path} cannot be used: it holds a control character"
            )
        return line


def ssl_context(ca_file: Path | None, *, verify: bool, section: str) -> ssl.SSLContext | bool:
    """
    Return what verifies certificates, ``False`` to verify none.

    Args:
        ca_file: Certificates (PEM) to trust in addition to the operating system's.
        section: The settings that have ``ca_file`` and ``verify``, for the error.

    Raises:
        ConfigError: The CA file cannot be used.

    """
    if not verify:
        return False
    context = ssl.create_default_context()
    try:
        if ca_file is not None:
            context.load_verify_locations(ca_file)
    except ssl.SSLError:
        raise ConfigError(f"{section}.ca_file: {ca_file} holds no certificate (PEM)") from None
    except OSError as error:
        text = f"{ca_file} cannot be read: {error.strerror}"
        raise ConfigError(f"{section}.ca_file: {text}") from None
    return context


def make_session(
    trust: ssl.SSLContext | bool, *, connect_seconds: float, **connector: Any
) -> aiohttp.ClientSession:
    """
    Return a session for one server; the caller sets the deadline of each whole request.

    Args:
        trust: From `ssl_context`.
        connector: More arguments of `aiohttp.TCPConnector`.

    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trust, **connector),
        timeout=aiohttp.ClientTimeout(total=None, connect=connect_seconds),
        headers={"User-Agent": f"vergewatch/{__version__}", "Accept": "application/json"},
        cookie_jar=aiohttp.DummyCookieJar(),
        # Neither proxies nor ~/.netrc: a password found there is not meant for this server.
        trust_env=False,
    )


async def read_body(response: aiohttp.ClientResponse, max_bytes: int) -> bytes | None:
    """Return the body of *response*; ``None`` as soon as it is larger than *max_bytes*."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        size += len(chunk)
        if size > max_bytes:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def connection_error_reason(error: Exception, *, section: str) -> str:
    """
    Return the cause of *error* in one line; never its repr, which may contain headers.

    Args:
        section: The settings that have ``ca_file`` and ``verify``.

    """
    match error:
        case aiohttp.ClientConnectorCertificateError():
            cause = error.certificate_error
            why = getattr(cause, "verify_message", None) or type(cause).__name__
            return (
                f"the certificate of {error.host} is not trusted ({why}): "
                f"name its CA in {section}.ca_file, or set {section}.verify to false"
            )
        case aiohttp.ClientConnectorDNSError():
            return f"the name {error.host} cannot be resolved"
        case aiohttp.ClientConnectorSSLError():
            return f"no TLS with {error.host}:{error.port}: is it a plain http port?"
        case aiohttp.ClientConnectorError():
            reason = system_reason(error.os_error)
            return f"cannot connect to {error.host}:{error.port}: {reason}"
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed without an answer"
        case aiohttp.ClientPayloadError():
            return "the connection was closed in the middle of the answer"
        case aiohttp.ConnectionTimeoutError():
            return "connecting timed out"
        case aiohttp.ServerTimeoutError():
            return "the answer timed out"
        case aiohttp.ClientOSError():
            return f"the connection broke: {error.strerror or type(error).__name__}"
        case _:
            return f"no usable HTTP answer ({type(error).__name__})"
