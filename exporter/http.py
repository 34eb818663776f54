"""Outgoing HTTP requests: sessions, trusted certificates and error texts."""

import ssl
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from exporter import __version__
from exporter.errors import ConfigError, system_reason

CHUNK_BYTES = 256 * 1024
PROXY_REFUSES_LOGIN = 407

Proxies = Callable[[URL], URL | None]
"""
Returns the proxy of a request, with the login, or ``None``.

Raises ConfigError if the login cannot be read.
"""


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
    if ca_file is None:
        return _context_of_the_system()
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(ca_file)
    except ssl.SSLError:
        raise ConfigError(f"{section}.ca_file: {ca_file} holds no certificate (PEM)") from None
    except OSError as error:
        text = f"{ca_file} cannot be read: {error.strerror}"
        raise ConfigError(f"{section}.ca_file: {text}") from None
    return context


@cache
def _context_of_the_system() -> ssl.SSLContext:
    """Return the one context with the certificates of the operating system: each is 1 MiB."""
    return ssl.create_default_context()


class FollowingContext(ssl.SSLContext):
    """
    A context that uses the current one for each new connection.

    aiohttp keeps one context for the life of a server or a session. This one delegates, so that
    certificates and settings can change. Open connections keep theirs.
    """

    current: Callable[[], ssl.SSLContext]

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        return self.current().wrap_bio(incoming, outgoing, server_side, server_hostname, session)


def following(current: Callable[[], ssl.SSLContext], protocol: int) -> FollowingContext:
    """Return a context that uses the one that *current* returns, for each new connection."""
    context = FollowingContext(protocol)
    context.current = current
    return context


def make_session(
    trust: ssl.SSLContext | bool,
    *,
    connect_seconds: float,
    proxies: Proxies | None = None,
    **connector: Any,
) -> aiohttp.ClientSession:
    """
    Return a session for one server; the caller sets the deadline of each whole request.

    Args:
        trust: From `ssl_context`.
        proxies: Chooses the proxy of each request; ``None`` for no proxy.
        connector: More arguments of `aiohttp.TCPConnector`.

    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trust, **connector),
        timeout=aiohttp.ClientTimeout(total=None, connect=connect_seconds),
        headers={"User-Agent": f"vergewatch/{__version__}", "Accept": "application/json"},
        cookie_jar=aiohttp.DummyCookieJar(),
        # aiohttp would also read ~/.netrc: a password found there is not meant for this server.
        trust_env=False,
        middlewares=(_ProxyChoice(proxies),) if proxies is not None else (),
    )


class ProxyLoginError(aiohttp.ClientError):
    """The login of a proxy cannot be read."""


class _ProxyChoice:
    """Sends each request through its proxy, and notes the proxy on what fails."""

    def __init__(self, proxies: Proxies) -> None:
        self._proxies = proxies

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        try:
            proxy = self._proxies(request.url)
        except ConfigError as error:
            raise ProxyLoginError(str(error)) from None
        if proxy is None:
            return await handler(request)
        request.update_proxy(proxy, None, None)
        try:
            response = await handler(request)
            if response.status == PROXY_REFUSES_LOGIN:  # to a request without a tunnel
                response.close()
                raise aiohttp.ClientHttpProxyError(
                    response.request_info, (), status=response.status
                )
        except aiohttp.ClientError as error:
            error.add_note(f"{proxy.host}:{proxy.port}")
            raise
        return response


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
    proxy = next(iter(getattr(error, "__notes__", ())), "")
    reason = _proxy_reason(error, proxy) or _reason(error, section=section)
    return f"{reason} (through the proxy {proxy})" if proxy and proxy not in reason else reason


def _proxy_reason(error: Exception, proxy: str) -> str:
    """Return the cause of an error of a proxy; empty for any other."""
    match error:
        case ProxyLoginError():
            return str(error)
        case aiohttp.ClientHttpProxyError(status=407):
            return f"the proxy {proxy} refuses the login (407): check proxy_login_file"
        case aiohttp.ClientHttpProxyError():
            return f"the proxy {proxy} does not connect to the server: it answered {error.status}"
        case aiohttp.ClientProxyConnectionError():
            reason = system_reason(error.os_error)
            return f"cannot connect to the proxy {proxy}: {reason}"
        case _:
            return ""


def _reason(error: Exception, *, section: str) -> str:
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
