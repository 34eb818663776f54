"""A way to reach each cloud, as the settings describe it."""

import ssl
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp

from exporter import __version__
from exporter.clock import Clock
from exporter.collectors.collector import Collector
from exporter.collectors.plan import enabled_collectors, plan, tables_of
from exporter.config.recovery import RecoverySettings
from exporter.config.settings import (
    APISettings,
    PollSettings,
    Settings,
    SystemSettings,
    TLSSettings,
)
from exporter.daemon.recovery_worker import recovery_setup
from exporter.errors import ConfigError
from exporter.polling.schedule import TableSchedule
from exporter.recovery.model.limits import Mode
from exporter.vergeos.budget import RequestBudget
from exporter.vergeos.client import VergeOSClient
from exporter.vergeos.credentials import Credentials, CredentialSource, SecretFile
from exporter.vergeos.tables import Pace, Table
from exporter.vergeos.transport import Limits, Meter

CONNECT_SECONDS = 10.0


class ResolvedSystem(NamedTuple):
    """One cloud's settings, the common ones filled in; equal ones need no restart."""

    system: SystemSettings
    poll: PollSettings
    api: APISettings
    recovery: RecoverySettings = RecoverySettings()
    recovery_mode: str = Mode.OFF
    collectors: tuple[Collector, ...] = ()
    """Those that are on."""
    schedules: tuple[TableSchedule, ...] = ()

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables that are polled."""
        return tables_of(self.collectors)

    @property
    def recovers(self) -> bool:
        """Whether recovery looks at it at all."""
        return self.recovery_mode != Mode.OFF

    @property
    def host(self) -> str:
        return urlsplit(self.system.url).netloc

    @property
    def is_on_this_machine(self) -> bool:
        return urlsplit(self.system.url).hostname in {"localhost", "127.0.0.1", "::1"}


def resolve_systems(settings: Settings) -> tuple[ResolvedSystem, ...]:
    """
    Return what each cloud is to be watched with.

    Raises:
        ConfigError: An hour's budget does not pay for a cloud's schedule, or recovery's rules
            contradict each other.

    """
    return tuple(_resolve(settings, system) for system in settings.systems)


def _resolve(settings: Settings, system: SystemSettings) -> ResolvedSystem:
    poll, api = settings.poll_of(system), settings.api_of(system)
    mode = settings.recovery_mode_of(system)
    try:
        collectors = enabled_collectors(settings.collectors, recovery=mode != Mode.OFF)
        schedules = plan(
            tables_of(collectors),
            {
                Pace.FAST: poll.fast_seconds,
                Pace.SLOW: poll.slow_seconds,
                Pace.INVENTORY: poll.inventory_seconds,
            },
            identity_seconds=poll.identity_seconds,
            intervals=dict(poll.tables),
            per_hour=api.requests_per_hour,
            reserve=api.reserve,
        )
    except ConfigError as error:
        host = urlsplit(system.url).netloc
        raise ConfigError(f"{system.name or host}: {error}") from None
    if mode != Mode.OFF:
        recovery_setup(settings.recovery, mode)
    return ResolvedSystem(system, poll, api, settings.recovery, mode, collectors, schedules)


def connect(
    resolved: ResolvedSystem,
    session: aiohttp.ClientSession,
    meter: Meter,
    clock: Clock,
    budget: RequestBudget | None = None,
) -> VergeOSClient:
    """
    Return a client for *cloud* that uses *session*.

    Args:
        budget: Another client's, to share the hour and the distance between requests with it.

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
    Return a client for *cloud* that acts, with the credential for that if there is one.

    Args:
        session: Of its own, and one that makes a connection for each request.
        budget: That of the client that reads.

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
    Return the sessions for one cloud: to poll, and where it recovers, to look again and to act.

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
    Return a session for one cloud, which trusts what *tls* says.

    Args:
        keeps_connections: For the next request. That one was closed meanwhile shows only when
            a request on it is lost, which is no way to treat one that must not be repeated.

    Raises:
        ConfigError: The CA file cannot be used.

    """
    kept = {"keepalive_timeout": 75.0} if keeps_connections else {"force_close": True}
    connector = aiohttp.TCPConnector(ssl=_trust(tls), limit=2, **kept)
    session = aiohttp.ClientSession(
        connector=connector,
        # The client sets one deadline for a reading as a whole; here is only the connection's.
        timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS),
        headers={"User-Agent": f"vergewatch/{__version__}", "Accept": "application/json"},
        cookie_jar=aiohttp.DummyCookieJar(),
        # Neither proxies nor ~/.netrc: a password that somebody keeps there is not for VergeOS.
        trust_env=False,
    )
    # aiohttp repeats a GET by itself when a connection breaks, unseen by the budget, and has no
    # public switch for it; a test watches that this one still works.
    session._retry_connection = False  # noqa: SLF001
    return session


def _trust(tls: TLSSettings) -> ssl.SSLContext | bool:
    if not tls.verify:
        return False
    try:
        context = ssl.create_default_context()
        if tls.ca_file is not None:
            context.load_verify_locations(tls.ca_file)
    except ssl.SSLError:
        raise ConfigError(f"tls.ca_file: {tls.ca_file} holds no certificate (PEM)") from None
    except OSError as problem:
        raise ConfigError(
            f"tls.ca_file: {tls.ca_file} cannot be read: {problem.strerror}"
        ) from None
    return context


def action_credential_source(system: SystemSettings) -> CredentialSource:
    """Return what knows today's credentials for acting on *system*."""
    key, path = system.action_api_key, system.action_api_key_file
    if key is None and path is None:
        return credential_source(system)
    file = SecretFile(path) if path else None
    return lambda: Credentials(api_key=file.read() if file else key)


def credential_source(system: SystemSettings) -> CredentialSource:
    """Return what knows today's credentials of *system*."""
    key_file = SecretFile(system.api_key_file) if system.api_key_file else None
    password_file = SecretFile(system.password_file) if system.password_file else None

    def credentials() -> Credentials:
        return Credentials(
            api_key=key_file.read() if key_file else system.api_key,
            username=system.username,
            password=password_file.read() if password_file else system.password,
        )

    return credentials
