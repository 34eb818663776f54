"""What is wrong with the address of a system that does not answer as VergeOS does, in one line."""

import asyncio
import ssl
from urllib.parse import urlsplit

from yarl import URL

from exporter.config.systems import ResolvedSystem
from exporter.errors import BadReplyError, VergeOSError
from exporter.http import ssl_context

PROBE_SECONDS = 5.0
WRONG_HOST = 62
"""X509_V_ERR_HOSTNAME_MISMATCH."""


async def address_problem(resolved: ResolvedSystem, error: VergeOSError) -> str:
    """
    Return what to change so that a system can be asked; empty if *error* has another cause.

    Args:
        error: Of the first request.

    """
    url, system = resolved.system.url, resolved.system
    proxies = system.proxies()
    proxy = proxies(URL(url)) if proxies is not None else None
    if proxy is not None:
        return _behind_proxy(url, f"{proxy.host}:{proxy.port}", error)
    if url.startswith("http://"):
        if await _speaks_tls(url):
            return f"{url} is a TLS port: write https:// in url"
    elif (problem := await _tls_problem(resolved)) is not None:
        return problem
    if isinstance(error, BadReplyError) and error.is_foreign:
        return (
            f"{url} is a web server, but not a VergeOS ({error}): url must be the address that "
            "the VergeOS user interface has, without a path"
        )
    return ""


def _behind_proxy(url: str, proxy: str, error: VergeOSError) -> str:
    if isinstance(error, BadReplyError) and error.is_foreign:
        return (
            f"the proxy {proxy}, or a server that it asked, answers instead of the VergeOS at "
            f"{url} ({error}): check url and proxy, or except this host from the proxy"
        )
    return ""


async def _speaks_tls(url: str) -> bool:
    return await _handshake(url, _unverified()) is None


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def _tls_problem(resolved: ResolvedSystem) -> str | None:
    """Return why TLS fails; None if it does not, or something else does."""
    system, tls = resolved.system, resolved.system.tls
    context = ssl_context(tls.ca_file, verify=tls.verify, section="tls")
    if not isinstance(context, ssl.SSLContext):
        context = _unverified()
    match await _handshake(system.url, context):
        case ssl.SSLCertVerificationError() as error if error.verify_code == WRONG_HOST:
            return (
                f"the certificate of {system.url} is for another name ({error.verify_message}): "
                "write a name that it has in url"
            )
        case ssl.SSLCertVerificationError() as error:
            why = f"the certificate of {system.url} is not trusted ({error.verify_message})"
            if tls.ca_file is None:
                return f"{why}: name the file of its CA in tls.ca_file, or set tls.verify to false"
            return f"{why}: tls.ca_file {tls.ca_file} has another CA than the one that issued it"
        case ssl.SSLError():
            return f"{system.url} is a port without TLS: write http:// in url, or its TLS port"
        case _:
            return None


async def _handshake(url: str, context: ssl.SSLContext) -> Exception | None:
    """Return why no TLS connection is possible; None if one is."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, port, ssl=context)
    except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
        return error
    writer.close()
    return None
