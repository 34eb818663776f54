"""The preflight check: connect to each system once, read every table, and test recovery's needs."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from rich.table import Table

from exporter import logs
from exporter.alerting.alertmanager import Alertmanager, AlertmanagerError
from exporter.alerting.alertmanager import make_session as make_alertmanager_session
from exporter.alerting.config import AlertmanagerSettings
from exporter.cli.check_address import address_problem
from exporter.cli.check_key import shared_key
from exporter.cli.check_recovery import (
    Connecting,
    action_problems,
    check_recovery,
    log_problems,
    recovery_problems,
)
from exporter.cli.check_requests import check_requests, request_memory
from exporter.cli.check_result import (
    CheckResult,
    ServerCheck,
    SystemCheck,
    TableCheck,
    Write,
    escape,
    noting,
)
from exporter.clock import Clock
from exporter.config.journal import journal_place
from exporter.config.recovery_setup import RecoveryToken, directory, recovery_setup
from exporter.config.settings import Settings
from exporter.config.systems import ResolvedSystem, resolve_systems
from exporter.daemon.clients import (
    connect,
    make_budget,
    make_session,
    make_sessions,
    secret_problems,
)
from exporter.daemon.shared_key import SharedKey
from exporter.daemon.system_memory import SystemMemory
from exporter.errors import (
    ConfigError,
    JournalError,
    PrometheusError,
    ThrottledError,
    UnauthorizedError,
    UnreachableError,
    VergeOSError,
)
from exporter.formatting import counted
from exporter.model import IDENTITY, Identity
from exporter.polling.poller import UNREACHABLE_LIMIT
from exporter.polling.schedule import requests_per_hour
from exporter.polling.state import TableRows
from exporter.prometheus.client import PrometheusConfirmer
from exporter.prometheus.client import make_session as make_prometheus_session
from exporter.prometheus.config import ConfirmationSettings, PrometheusSettings
from exporter.prometheus.query_template import NAMES, filled
from exporter.prometheus.vm_resources import VMResources
from exporter.recovery.decide.inputs import HOLDS, MAY_BE_EMPTY, InputName
from exporter.telemetry import Telemetry
from exporter.vergeos.budget import RequestBudget
from exporter.vergeos.source import VergeOSSource
from exporter.web.routes import check_telemetry_path
from exporter.web.server import parse_listen
from exporter.web.tls import make_context
from exporter.web.webconfig import operators_problem, read_web_config

EXAMPLE_SECONDS = 60


async def check(
    settings: Settings,
    clock: Clock,
    write: Write,
    *,
    list_enrolled: bool = False,
    asks_anyway: bool = False,
) -> CheckResult:
    """
    Check everything that the daemon would use.

    Args:
        list_enrolled: Whether to print the VMs that would be enrolled.
        asks_anyway: Whether to try credentials that VergeOS refused a short time ago.

    Raises:
        ConfigError: The settings, or a file without which the daemon cannot start, are invalid.

    """
    logs.configure("error", "console")
    systems = resolve_systems(settings)
    _check_start(settings, systems)
    connecting = partial(connect, state=directory(settings.recovery), asks_anyway=asks_anyway)
    results = []
    for resolved in systems:
        one = SystemCheck(resolved.system.url)
        noted = noting(write, one.notes)
        budget = make_budget(resolved.api)
        async with shared_key(settings, resolved, budget, clock) as key:
            one.passed = await _check_system(
                resolved,
                clock,
                noted,
                connecting,
                one,
                budget,
                key,
                list_enrolled=list_enrolled,
            )
        results.append(one)
    alertmanagers = await _check_alertmanagers(settings.alertmanager, clock, write)
    confirmation = None
    if any(resolved.recovers for resolved in systems) and settings.recovery.confirm.url:
        confirmation = await _check_confirmation(settings.recovery.confirm, write)
    journal = None
    if any(resolved.recovers for resolved in systems) and settings.journal.url:
        journal = await check_journal(settings, write)
    prometheus = None
    if settings.prometheus.url:
        prometheus = await _check_prometheus(settings.prometheus, clock, write)
    servers = [*alertmanagers, *filter(None, [confirmation, journal, prometheus])]
    passed = all(one.passed for one in results) and not any(one.problem for one in servers)
    return CheckResult(
        passed=passed,
        offline=False,
        systems=results,
        alertmanagers=alertmanagers,
        confirmation=confirmation,
        journal=journal,
        prometheus=prometheus,
    )


def _check_start(settings: Settings, systems: Sequence[ResolvedSystem]) -> None:
    """Raise `ConfigError` if the daemon could not start, whether recovery is on or not."""
    _check_web(settings)
    if settings.prometheus.url:
        VMResources(settings.prometheus)
    if not any(one.recovers for one in systems):  # else it is a problem of recovery
        RecoveryToken(settings.recovery)()


def _check_web(settings: Settings) -> None:
    """Raise `ConfigError` if the web server could not start, or an operator could not log in."""
    parse_listen(settings.web.listen_address)
    check_telemetry_path(settings.web.telemetry_path)
    if settings.web.config_file is not None:
        web = read_web_config(settings.web.config_file)
        if problem := operators_problem(settings.web.operators, web, settings.web.config_file):
            raise ConfigError(problem)
        if web.tls_server_config is not None:
            make_context(web.tls_server_config, settings.web.config_file)


async def check_offline(settings: Settings, write: Write) -> CheckResult:
    """
    Check the configuration and the files that it names, without a request.

    Raises:
        ConfigError: Something is invalid.

    """
    systems = resolve_systems(settings)
    _check_start(settings, systems)
    async with make_alertmanager_session(settings.alertmanager):
        pass
    results = []
    for resolved in systems:
        one = SystemCheck(resolved.system.url, name=resolved.system.name or "")
        noted = noting(write, one.notes)
        for session in make_sessions(resolved):
            await session.close()
        problems = list(secret_problems(resolved.system))
        planned = requests_per_hour([*resolved.schedules, *resolved.besides])
        noted(
            f"[bold]{escape(one.name or one.url)}[/]  {len(resolved.tables)} tables, "
            f"{planned:.0f} of {resolved.api.requests_per_hour} requests per hour, "
            f"recovery mode {resolved.recovery_mode if resolved.recovers else 'off'}"
        )
        if resolved.recovers:
            recovery_setup(resolved.recovery, resolved.recovery_mode)
            problems += recovery_problems(resolved)[0]
        for problem in problems:
            noted(f"  [red]{escape(problem)}[/]")
        one.passed = not problems
        results.append(one)
    passed = all(one.passed for one in results)
    verdict = "valid" if passed else "not valid"
    write(f"the configuration of {counted(len(results), 'system')} is {verdict}; no request sent")
    return CheckResult(passed, True, results)  # noqa: FBT003


async def _check_alertmanagers(
    settings: AlertmanagerSettings, clock: Clock, write: Write
) -> Sequence[ServerCheck]:
    results = []
    async with make_alertmanager_session(settings) as session:
        for url in settings.urls:
            try:
                await Alertmanager(url, session, settings, clock).silences()
            except AlertmanagerError as error:
                results.append(ServerCheck(url, str(error)))
                write(f"alertmanager [red]{escape(str(error))}[/]")
            else:
                results.append(ServerCheck(url))
                write(f"alertmanager {escape(url)} [green]ok[/]")
    return results


async def check_journal(settings: Settings, write: Write) -> ServerCheck:
    """Check that the database of the journal can be used."""
    # Both load SQLAlchemy.
    from exporter.journal.schema import check_not_newer  # noqa: PLC0415
    from exporter.journal.status import read_status  # noqa: PLC0415

    place = journal_place(settings.journal, directory(settings.recovery))
    try:
        found = await read_status(place)
        check_not_newer(found.revision, str(place))
    except JournalError as error:
        write(f"journal [red]{escape(str(error))}[/]")
        return ServerCheck(str(place), str(error))
    write(f"journal {escape(str(place))} [green]ok[/]  {found.database}")
    return ServerCheck(str(place))


async def _check_confirmation(settings: ConfirmationSettings, write: Write) -> ServerCheck:
    """Check that Prometheus answers each query of `recovery.confirm`, filled with example names."""
    problems = []
    example = dict.fromkeys(NAMES, "example")
    async with make_prometheus_session(settings) as session:
        confirmer = PrometheusConfirmer(settings, session, lambda: "")
        for query in dict.fromkeys(settings.queries):
            found = await confirmer.evaluate(filled(query, example, seconds=EXAMPLE_SECONDS))
            if found.problem:
                problems.append(f"{found.problem} in {query}")
                write(f"recovery.confirm [red]{escape(found.problem)}[/]\n  in {escape(query)}")
    if not problems:
        write(f"recovery.confirm {escape(settings.url)} [green]ok[/]")
    return ServerCheck(settings.url, "; ".join(problems))


async def _check_prometheus(
    settings: PrometheusSettings, clock: Clock, write: Write
) -> ServerCheck:
    """Check that Prometheus answers what the console asks; it needs not know a VM."""
    try:
        await VMResources(settings).means("example", 1, until=clock.now().timestamp())
    except PrometheusError as error:
        write(f"prometheus [red]{escape(str(error))}[/]")
        return ServerCheck(settings.url, str(error))
    write(f"prometheus {escape(settings.url)} [green]ok[/]")
    return ServerCheck(settings.url)


async def _check_system(
    resolved: ResolvedSystem,
    clock: Clock,
    write: Write,
    connecting: Connecting,
    result: SystemCheck,
    budget: RequestBudget,
    key: SharedKey | None,
    *,
    list_enrolled: bool,
) -> bool:
    """
    Read every table of one system, as the daemon would, and check its recovery.

    Args:
        key: The polling key, where replicas share a journal.

    """
    system, wanted = resolved.system, _wanted(resolved)
    results = _results_table(wanted)
    rows: dict[str, Any] = {}
    async with make_session(system.tls, system.proxies()) as session:
        store = key.refusals if key is not None else None
        meter = Telemetry().meter(resolved.host)
        client = connecting(resolved, session, meter, clock, budget, store=store)
        source = VergeOSSource(client, resolved.tables, page_rows=resolved.api.page_rows)
        memory = request_memory(resolved, client, clock)
        memory.resume()
        sent_before = client.budget.spent(at=clock.monotonic())
        try:
            problem = await _read_tables(resolved, source, rows, results, wanted, result.tables)
            problems = list[str]()
            if resolved.recovers and not problem:
                problems += await log_problems(client)
                if system.acts_with_another_key:
                    problems += await action_problems(resolved, client, clock, connecting)
        finally:
            await client.close()
            counted_by_daemon = memory.is_shared() and (key is None or bool(key.problem))
            if counted_by_daemon:  # any other user's files would be in the daemon's way
                memory.save()
        sent = client.budget.spent(at=clock.monotonic()) - sent_before
    identity = rows.pop(IDENTITY, None)
    result.name = _name(resolved, identity)[0]
    result.version = identity.version if identity is not None else ""
    name_known = _write_name(resolved, identity, write, quietly=bool(problem))
    if not name_known and not problem:
        problem = (
            "the name of the system cannot be read, and the daemon exports no VM before it knows "
            "one: correct what fails above, or set the name of this system"
        )
    if result.tables:
        write(results)
    if problem:
        result.problem = problem
        write(f"[bold red]no inventory:[/] {escape(problem)}")
        return False
    cost = f"this check sent {sent}" + (", which the daemon counts" if counted_by_daemon else "")
    fits = check_requests(resolved, source, cost, write, key)
    unread = [table.name for table in resolved.tables if table.name not in rows]
    if resolved.api.page_rows and unread:
        write(f"  one page is assumed for {', '.join(unread)}")
    if not resolved.recovers:
        return fits
    recovers = check_recovery(resolved, rows, clock, problems, write, list_enrolled=list_enrolled)
    return recovers and fits


def _results_table(wanted: Mapping[str, float]) -> Table:
    """Return the empty table of results, with a column of *wanted* intervals if there are any."""
    results = Table("TABLE", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    results.add_column("EVERY", justify="right")
    if wanted:
        results.add_column("WANTED", justify="right")
    results.add_column("ROWS", justify="right")
    results.add_column("")
    return results


def _write_name(
    resolved: ResolvedSystem, identity: Identity | None, write: Write, *, quietly: bool
) -> bool:
    """
    Write the name and version of a system; return whether the daemon would know a name.

    Args:
        quietly: Whether to leave out where the name is from.

    """
    url = resolved.system.url
    name, note = _name(resolved, identity)
    version = f"  VergeOS {escape(identity.version)}" if identity and identity.version else ""
    write(f"[bold]{escape(name or url)}[/]{version}" + f"  {escape(url)}" * bool(name))
    if note and not quietly:
        write(f"  [yellow]{escape(note)}[/]")
    return bool(name)


def _name(resolved: ResolvedSystem, identity: Identity | None) -> tuple[str, str]:
    """Return the name that the daemon would use, empty if it knew none, and where it is from."""
    if resolved.system.name:
        return resolved.system.name, ""
    if identity is not None and identity.cloud_name:
        return identity.cloud_name, ""
    known = SystemMemory(directory(resolved.recovery), resolved.system.url).remembered.system_name
    if known:
        return known, "VergeOS does not tell its name: the last known one is used"
    if identity is None:
        return "", ""
    return resolved.host, "VergeOS tells this user no name: the host is used, as no name is set"


def _wanted(resolved: ResolvedSystem) -> Mapping[str, float]:
    """Return the intervals that tables should have, in seconds; empty if all of them have."""
    wanted = resolved.wanted_seconds()
    stretched = any(one.every_seconds > wanted[one.table] for one in resolved.schedules)
    return wanted if stretched else {}


async def _read_tables(
    resolved: ResolvedSystem,
    source: VergeOSSource,
    rows: dict[str, Any],
    results: Table,
    wanted: Mapping[str, float],
    checked: list[TableCheck],
) -> str:
    """
    Read every table into *rows*, and add a line for each to *results* and *checked*.

    Refused credentials, a host that is not a VergeOS, a system that asks to wait, and no answer at
    all end it at once. No answer for one table ends it only where the table is essential, and no
    answer for the next one too.

    Returns:
        Why the daemon would have no inventory; empty if it would have one.

    """
    fatal, unanswered = "", 0
    for one in resolved.schedules:
        count, color, problem = None, "yellow", ""
        try:
            read = await source.read(one.table)
        except (UnauthorizedError, ThrottledError) as error:
            return str(error)
        except VergeOSError as error:
            identity = rows.get(IDENTITY)  # some releases hide it, as other servers do
            answered = (identity and identity.version) or any(other.rows for other in checked)
            if not answered and (why := await address_problem(resolved, error)):
                checked.clear()
                return why
            unanswered = unanswered + 1 if isinstance(error, UnreachableError) else 0
            if unanswered and (one.essential or not (rows or checked)):
                return str(error)
            if unanswered >= UNREACHABLE_LIMIT:
                return str(error)
            color, problem = "red", str(error)
            if one.essential:
                fatal = fatal or problem
        else:
            unanswered = 0
            rows[one.table] = read.rows
            if one.table == IDENTITY:
                continue
            count, problem = read.count, _problem(resolved, one.table, read)
        checked.append(TableCheck(one.table, one.every_seconds, count, problem))
        intervals = [one.every_seconds, *filter(None, [wanted.get(one.table)])]
        results.add_row(
            one.table,
            *(f"{seconds:g} s" for seconds in intervals),
            "" if count is None else str(count),
            f"[{color}]{escape(problem)}[/]" if problem else "[green]ok[/]",
        )
    return fatal


def _problem(resolved: ResolvedSystem, table: str, read: TableRows[Any]) -> str:
    """Return what of a table that was read is missing; empty if nothing is."""
    if read.problem is not None:
        return f"{counted(read.skipped, 'row')} skipped: {read.problem}"
    if read.skipped_values:
        fields = (f"{field} ({one.number})" for field, one in read.skipped_values.items())
        return f"values that cannot be read: {', '.join(fields)}"
    return _hold_problem(resolved, table, read.count)


def _hold_problem(resolved: ResolvedSystem, table: str, count: int) -> str:
    """Return what is missing where a table of a guard has no row; empty if nothing is."""
    guard = HOLDS.get(InputName(table)) if table in set(InputName) else None
    if not resolved.recovers or guard is None or count or table in MAY_BE_EMPTY:
        return ""
    return f"no rows, or hidden from this user: the guard {guard} holds no VM"
