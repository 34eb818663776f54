"""HTTP sessions and API clients for each system, built from its settings."""

import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
from pydantic import SecretStr

from exporter import http
from exporter.clock import Clock
from exporter.config.settings import APISettings, SystemSettings, TLSSettings
from exporter.config.systems import ResolvedSystem
from exporter.daemon.refusal_file import RefusalFile
from exporter.errors import ConfigError
from exporter.http import Proxies
from exporter.inputs.files import SecretFile, Stamp
from exporter.inputs.live_file import FileWatch
from exporter.inputs.trust import trust
from exporter.prometheus.client import make_session as make_prometheus_session
from exporter.vergeos.budget import RequestBudget
from exporter.vergeos.client import VergeOSClient
from exporter.vergeos.credentials import Credentials, CredentialSource
from exporter.vergeos.refusals import RefusalMemory, RefusalStore
from exporter.vergeos.transport import PROMPT_SECONDS, Limits, Meter, Transport

CONNECT_SECONDS = 10.0


def connect(
    resolved: ResolvedSystem,
    session: aiohttp.ClientSession,
    meter: Meter,
    clock: Clock,
    budget: RequestBudget | None = None,
    *,
    acts: bool = False,
    state: Path | None = None,
    asks_anyway: bool = False,
    store: RefusalStore | None = None,
) -> VergeOSClient:
    """
    Return a client of one system over *session*.

    Args:
        budget: Another client's request budget, to share its hourly limit and request spacing.
        acts: Whether the client sends actions: it uses the action credential if there is one.
        state: The state directory, where refused credentials are remembered across restarts.
        asks_anyway: Whether to try credentials once that are remembered as refused.
        store: Where refused credentials are remembered instead.

    """
    api = resolved.api
    transport = Transport(
        session,
        resolved.system.url,
        budget=budget or make_budget(api),
        clock=clock,
        meter=meter,
        limits=limits_of(api),
    )
    source = credential_source(resolved.system, acts=acts)
    if store is None and state is not None:
        store = refusal_file(resolved.system, state, acts=acts)
    refusals = RefusalMemory(clock, store, asks_anyway=asks_anyway)
    by_token = resolved.system.login == "token"
    return VergeOSClient(transport, source, use_token=by_token, refusals=refusals)


def refusal_file(system: SystemSettings, state: Path, *, acts: bool = False) -> RefusalFile:
    """Return the memory in *state* of a refused credential of *system*."""
    role = "action" if acts and system.acts_with_another_key else "poll"
    return RefusalFile(state, system.url, role)


def make_budget(api: APISettings) -> RequestBudget:
    """Return the request budget that *api* allows."""
    return RequestBudget(api.requests_per_hour, reserve=api.reserve)


def limits_of(api: APISettings) -> Limits:
    """Return the limits of each client that *api* sets."""
    return Limits(
        timeout_seconds=api.timeout_seconds,
        spacing_seconds=api.spacing_seconds,
        max_body_bytes=api.max_answer_mib * 2**20,
        refused_wait_seconds=api.refused_wait_seconds,
    )


def make_sessions(
    resolved: ResolvedSystem, watch: FileWatch | None = None
) -> tuple[aiohttp.ClientSession, ...]:
    """
    Return one system's sessions: to poll and, with recovery, to read again, act and ask Prometheus.

    Args:
        watch: Reports a CA file that becomes invalid.

    Raises:
        ConfigError: The CA file or a proxy cannot be used.

    """
    verified_by, proxies = _trust(resolved.system.tls, watch), resolved.system.proxies()
    if not resolved.recovers:
        return (_make_session(verified_by, proxies),)
    # First, because it may fail: no other session is left open then.
    to_prometheus = make_confirming_sessions(resolved, watch)
    polling, reading = _make_session(verified_by, proxies), _make_session(verified_by, proxies)
    acting = _make_session(verified_by, proxies, keeps_connections=False)
    return (polling, reading, acting, *to_prometheus)


def make_confirming_sessions(
    resolved: ResolvedSystem, watch: FileWatch | None = None
) -> tuple[aiohttp.ClientSession, ...]:
    """Return the session to ask Prometheus, if recovery asks one; see `make_sessions`."""
    confirm = resolved.recovery.confirm
    asks = resolved.recovers and confirm.url
    return (make_prometheus_session(confirm, watch),) if asks else ()


def make_session(
    tls: TLSSettings, proxies: Proxies | None = None, *, keeps_connections: bool = True
) -> aiohttp.ClientSession:
    """
    Return a session for one system with the trust store that *tls* describes.

    Args:
        proxies: Chooses the proxy of each request; ``None`` for no proxy.
        keeps_connections: Whether to reuse connections. A reused connection that the server has
            closed loses the request, which is not acceptable for one that must not be repeated.
            A connection that is not reused delivers within `PROMPT_SECONDS`, or not at all, on
            Linux; a proxy may deliver later.

    Raises:
        ConfigError: The CA file cannot be used.

    """
    return _make_session(_trust(tls), proxies, keeps_connections=keeps_connections)


def _trust(tls: TLSSettings, watch: FileWatch | None = None) -> ssl.SSLContext | bool:
    return trust(tls.ca_file, verify=tls.verify, section="tls", watch=watch)


def _make_session(
    verified_by: ssl.SSLContext | bool,
    proxies: Proxies | None,
    *,
    keeps_connections: bool = True,
) -> aiohttp.ClientSession:
    kept = (
        {"keepalive_timeout": 75.0}
        if keeps_connections
        else {"force_close": True, "socket_factory": _prompt_socket}
    )
    session = http.make_session(
        verified_by, connect_seconds=CONNECT_SECONDS, proxies=proxies, limit=2, **kept
    )
    # aiohttp repeats a GET when a connection breaks, which the budget would not count. It has no
    # public switch for this; a test checks that this one works.
    session._retry_connection = False  # noqa: SLF001
    return session


def _prompt_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """
    Return a socket for a request that must arrive at once or never.

    The kernel repeats what the network lost for minutes, even if the process has closed the socket
    or has ended. The action would then arrive after another decision.
    """
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    if sys.platform == "linux":
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(PROMPT_SECONDS * 1000))
    return made


def credential_source(system: SystemSettings, *, acts: bool) -> CredentialSource:
    """Return the source of the credentials of *system*, or of those for its actions."""
    if acts and system.acts_with_another_key:
        keys = _Secret(system.action_api_key, system.action_api_key_file)
        return lambda: Credentials(api_key=keys.read(), stamps=(keys.stamp,))
    key = _Secret(system.api_key, system.api_key_file)
    password = _Secret(system.password, system.password_file)
    return lambda: Credentials(
        api_key=key.read(),
        username=system.username,
        password=password.read(),
        stamps=(key.stamp, password.stamp),
    )


def secret_problems(system: SystemSettings) -> Iterator[str]:
    """Yield what is wrong with the files of the secrets of *system*."""
    for acts in (False, True) if system.acts_with_another_key else (False,):
        try:
            credential_source(system, acts=acts)()
        except ConfigError as error:
            yield str(error)


class _Secret:
    """A secret of the settings, or in a file that they name."""

    def __init__(self, secret: SecretStr | None, path: Path | None) -> None:
        self._secret = secret
        self._file = SecretFile(path) if path else None

    def read(self) -> SecretStr | None:
        return self._secret if self._file is None else self._file.read()

    @property
    def stamp(self) -> Stamp | None:
        """Of the file, after a read; None without one."""
        return None if self._file is None else self._file.stamp
