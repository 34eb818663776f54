"""Who may send commands and reloads from a browser: no page of another site."""

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from exporter.web.ports import Refusal

PRIVATE_SUFFIXES = ("localhost", "local", "internal", "svc")
"""Top-level domains that cannot be registered: of this machine, of a site, of Kubernetes."""


class Hosts:
    """
    The names under which the server accepts commands and reloads.

    A page of another site can point a name of its own at the address of this server (DNS
    rebinding); the browser then takes both for one site. So a name counts only if its owner cannot
    be a stranger: an IP address, a name without a dot or under a private suffix, the name of this
    machine, or one that the settings list.

    Args:
        names: Of the settings.

    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = frozenset(map(_normalized, (*names, socket.gethostname())))

    def knows(self, host: str) -> bool:
        """Return whether *host*, a Host header, is a name of this server."""
        try:
            name = _normalized(urlsplit(f"//{host}").hostname or "")
        except ValueError:
            return False
        if not name or "\\" in name:
            return False
        labels = name.split(".")
        return (
            len(labels) == 1
            or labels[-1] in PRIVATE_SUFFIXES
            or name in self._names
            or _is_address(name)
        )

    def refusal(self, request: web.Request) -> tuple[Refusal, str] | None:
        """Return why *request* must not change anything; None if it may."""
        if is_cross_site(request):
            return Refusal.CROSS_SITE, "a page of another site must not send this request"
        # The target of a request can name a host as well; `request.host` is that one then.
        hosts = (*request.headers.getall(hdrs.HOST, ()), request.host)
        unknown = [host for host in hosts if not self.knows(host)]
        if unknown:
            return Refusal.HOST, (
                f"{unknown[0][:100]!r} is not a known name of this server; use its IP address, or "
                "add the name to web.hosts (VERGEWATCH_WEB__HOSTS) and restart"
            )
        return None


def is_cross_site(request: web.Request) -> bool:
    """Return whether a browser sends *request* on behalf of another site."""
    sites = request.headers.getall("Sec-Fetch-Site", ())
    if any(site not in ("same-origin", "none") for site in sites):
        return True
    return any(
        _host_of(origin) != request.host.lower()
        for origin in request.headers.getall(hdrs.ORIGIN, ())
    )


def _host_of(origin: str) -> str:
    """Return the host and the port of *origin*; empty for ``null`` and what is no origin."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _normalized(name: str) -> str:
    return name.strip().rstrip(".").lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
