"""HTTP sessions and API clients for each system, built from its settings."""

import aiohttp

from exporter import http
from exporter.clock import Clock
from exporter.config.settings import SystemSettings, TLSSettings
from exporter.config.systems import ResolvedSystem
from exporter.files import SecretFile
from exporter.http import ssl_context
from exporter.vergeos.budget import RequestBudget
from exporter.vergeos.client import VergeOSClient
from exporter.vergeos.credentials import Credentials, CredentialSource
from exporter.vergeos.transport import Limits, Meter

CONNECT_SECONDS = 10.0


def connect(
    resolved: ResolvedSystem,
    session: aiohttp.ClientSession,
    meter: Meter,
    clock: Clock,
    budget: RequestBudget | None = None,
) -> VergeOSClient:
    """
    Return the client that polls one system over *session*.

    Args:
        budget: Another client's request budget, to share its hourly limit and request spacing.

    """
    return _client(resolved, credential_source(resolved.system), session, meter, clock, budget)


def connect_actions(
    resolved: ResolvedSystem,
    session: aiohttp.ClientSession,
    meter: Meter,
    clock: Clock,
    budget: RequestBudget,
) -> VergeOSClient:
    """
    Return the client that sends actions, with the action credential if there is one.

    Args:
        session: A separate session that opens a connection for each request.
        budget: The polling client's request budget.

    """
    return _client(
        resolved, action_credential_source(resolved.system), session, meter, clock, budget
    )


def _client(
    resolved: ResolvedSystem,
    credentials: CredentialSource,
    session: aiohttp.ClientSession,
    meter: Meter,
    clock: Clock,
    budget: RequestBudget | None,
) -> VergeOSClient:
    api = resolved.api
    return VergeOSClient(
        session,
        resolved.system.url,
        credentials,
        use_token=resolved.system.login == "token",
        budget=budget or RequestBudget(api.requests_per_hour, reserve=api.reserve),
        clock=clock,
        meter=meter,
        limits=Limits(
            timeout_seconds=api.timeout_seconds,
            spacing_seconds=api.spacing_seconds,
            max_body_bytes=api.max_answer_mib * 2**20,
            refused_wait_seconds=api.refused_wait_seconds,
        ),
    )


def make_sessions(resolved: ResolvedSystem) -> tuple[aiohttp.ClientSession, ...]:
    """
    Return one system's sessions: to poll and, with recovery, to read again and to act.

    Raises:
        ConfigError: The CA file cannot be used.

    """
    tls = resolved.system.tls
    polling = make_session(tls)
    if not resolved.recovers:
        return (polling,)
    return (polling, make_session(tls), make_session(tls, keeps_connections=False))


def make_session(tls: TLSSettings, *, keeps_connections: bool = True) -> aiohttp.ClientSession:
    """
    Return a session for one system with the trust store that *tls* describes.

    Args:
        keeps_connections: Whether to reuse connections. A reused connection that the server has
            closed loses the request, which is not acceptable for one that must not be repeated.

    Raises:
        ConfigError: The CA file cannot be used.

    """
    kept = {"keepalive_timeout": 75.0} if keeps_connections else {"force_close": True}
    trust = ssl_context(tls.ca_file, verify=tls.verify, section="tls")
    session = http.make_session(trust, connect_seconds=CONNECT_SECONDS, limit=2, **kept)
    # aiohttp repeats a GET when a connection breaks, which the budget would not count. It has no
    # public switch for this; a test checks that this one works.
    session._retry_connection = False  # noqa: SLF001
    return session


def action_credential_source(system: SystemSettings) -> CredentialSource:
    """Return the source of the credentials for actions on *system*."""
    key, path = system.action_api_key, system.action_api_key_file
    if key is None and path is None:
        return credential_source(system)
    file = SecretFile(path) if path else None
    return lambda: Credentials(api_key=file.read() if file else key)


def credential_source(system: SystemSettings) -> CredentialSource:
    """Return the source of the credentials for polling *system*."""
    key_file = SecretFile(system.api_key_file) if system.api_key_file else None
    password_file = SecretFile(system.password_file) if system.password_file else None

    def credentials() -> Credentials:
        return Credentials(
            api_key=key_file.read() if key_file else system.api_key,
            username=system.username,
            password=password_file.read() if password_file else system.password,
        )

    return credentials
