"""The preflight check: connect to each system once, read every table, and test recovery's needs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich import markup
from rich.table import Table

from exporter import logs
from exporter.alerting.alertmanager import Alertmanager, AlertmanagerError
from exporter.alerting.alertmanager import make_session as make_alertmanager_session
from exporter.alerting.config import AlertmanagerSettings
from exporter.cli.check_enrolment import (
    check_enrolment,
    enrolled_table,
    enrolment_notes,
    rules_table,
)
from exporter.cli.check_requests import check_requests, request_memory
from exporter.clock import Clock
from exporter.collectors.clusters import CLUSTERS
from exporter.collectors.inventory import join
from exporter.collectors.nodes import NODES
from exporter.collectors.vms import VMS
from exporter.config.recovery_setup import RecoveryToken, directory, recovery_setup
from exporter.config.settings import Settings
from exporter.config.systems import ResolvedSystem, resolve_systems
from exporter.daemon.clients import connect, make_session
from exporter.daemon.system_memory import SystemMemory
from exporter.errors import (
    ConfigError,
    ThrottledError,
    UnauthorizedError,
    UnreachableError,
    VergeOSError,
)
from exporter.formatting import counted, plain
from exporter.model import IDENTITY, Identity
from exporter.prometheus.client import PrometheusConfirmer
from exporter.prometheus.client import make_session as make_prometheus_session
from exporter.prometheus.config import ConfirmationSettings
from exporter.prometheus.query_template import NAMES, filled
from exporter.recovery.decide.inputs import HOLDS, MAY_BE_EMPTY, InputName
from exporter.recovery.model.cases import Enrolment, OnHang
from exporter.recovery.model.limits import Mode
from exporter.recovery.observe.enrolment import EnrolmentRule
from exporter.recovery.recovery_config import RecoveryConfig
from exporter.telemetry import Telemetry
from exporter.vergeos.client import VergeOSClient
from exporter.vergeos.recovery_rows import LOGS, TAG_MEMBERS
from exporter.vergeos.source import VergeOSSource
from exporter.web.server import parse_listen
from exporter.web.tls import make_context
from exporter.web.webconfig import read_web_config

EXAMPLE_SECONDS = 60


def escape(text: str) -> str:
    """Return *text* as it is, whatever it contains: it may be a name that others chose."""
    return markup.escape(plain(text))


Write = Callable[[Any], None]
"""Prints Rich markup or a Rich table."""
Connecting = Callable[..., VergeOSClient]
"""`connect`, with what is remembered of refused credentials."""


async def check(
    settings: Settings,
    clock: Clock,
    write: Write,
    *,
    list_enrolled: bool = False,
    asks_anyway: bool = False,
) -> bool:
    """
    Check everything that the daemon would use; return whether all of it works.

    Args:
        list_enrolled: Whether to print the VMs that would be enrolled.
        asks_anyway: Whether to try credentials that VergeOS refused a short time ago.

    Raises:
        ConfigError: The settings, the web configuration or a certificate are invalid.

    """
    logs.configure("error", "console")
    systems = resolve_systems(settings)
    parse_listen(settings.web.listen_address)
    if settings.web.config_file is not None:
        web = read_web_config(settings.web.config_file)
        if web.tls_server_config is not None:
            make_context(web.tls_server_config, settings.web.config_file)
    connecting = partial(connect, state=directory(settings.recovery), asks_anyway=asks_anyway)
    results = [
        await _check_system(resolved, clock, write, connecting, list_enrolled=list_enrolled)
        for resolved in systems
    ]
    results.append(await _check_alertmanagers(settings.alertmanager, clock, write))
    if any(resolved.recovers for resolved in systems):
        results.append(await _check_confirmation(settings.recovery.confirm, write))
    return all(results)


async def _check_alertmanagers(settings: AlertmanagerSettings, clock: Clock, write: Write) -> bool:
    passed = True
    async with make_alertmanager_session(settings) as session:
        for url in settings.urls:
            try:
                await Alertmanager(url, session, settings, clock).silences()
            except AlertmanagerError as error:
                passed = False
                write(f"alertmanager [red]{escape(str(error))}[/]")
            else:
                write(f"alertmanager {escape(url)} [green]ok[/]")
    return passed


async def _check_confirmation(settings: ConfirmationSettings, write: Write) -> bool:
    """Check that Prometheus answers each query of `recovery.confirm`, filled with example names."""
    if not settings.url:
        return True
    passed = True
    example = dict.fromkeys(NAMES, "example")
    async with make_prometheus_session(settings) as session:
        confirmer = PrometheusConfirmer(settings, session, lambda: "")
        for query in dict.fromkeys(settings.queries):
            found = await confirmer.evaluate(filled(query, example, seconds=EXAMPLE_SECONDS))
            if found.problem:
                passed = False
                write(f"recovery.confirm [red]{escape(found.problem)}[/]\n  in {escape(query)}")
    if passed:
        write(f"recovery.confirm {escape(settings.url)} [green]ok[/]")
    return passed


async def _check_system(
    resolved: ResolvedSystem,
    clock: Clock,
    write: Write,
    connecting: Connecting,
    *,
    list_enrolled: bool,
) -> bool:
    """Read every table of one system, as the daemon would, and check its recovery."""
    system = resolved.system
    results = Table("TABLE", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    results.add_column("EVERY", justify="right")
    wanted = _wanted(resolved)
    if wanted:
        results.add_column("WANTED", justify="right")
    results.add_column("ROWS", justify="right")
    results.add_column("")
    rows: dict[str, Any] = {}
    async with make_session(system.tls, system.proxies()) as session:
        client = connecting(resolved, session, Telemetry().meter(resolved.host), clock)
        source = VergeOSSource(client, resolved.tables, page_rows=resolved.api.page_rows)
        memory = request_memory(resolved, client, clock)
        memory.resume()
        sent_before = client.budget.spent(at=clock.monotonic())
        try:
            problem = await _read_tables(resolved, source, rows, results, wanted)
            problems = list[str]()
            if resolved.recovers and not problem:
                problems += await _log_problems(client)
                if system.acts_with_another_key:
                    problems += await _action_problems(resolved, client, clock, connecting)
        finally:
            await client.close()
            counted_by_daemon = memory.is_shared()
            if counted_by_daemon:  # any other user's files would be in the daemon's way
                memory.save()
        sent = client.budget.spent(at=clock.monotonic()) - sent_before
    name_known = _write_name(resolved, rows.pop(IDENTITY, None), write, quietly=bool(problem))
    if not name_known and not problem:
        problem = (
            "the name of the system cannot be read, and the daemon exports no VM before it knows "
            "one: correct what fails above, or set the name of this system"
        )
    if results.row_count:
        write(results)
    if problem:
        write(f"[bold red]no inventory:[/] {escape(problem)}")
        return False
    cost = f"this check sent {sent}" + (", which the daemon counts" if counted_by_daemon else "")
    fits = check_requests(resolved, source, cost, write)
    unread = [table.name for table in resolved.tables if table.name not in rows]
    if resolved.api.page_rows and unread:
        write(f"  one page is assumed for {', '.join(unread)}")
    if not resolved.recovers:
        return fits
    recovers = _check_recovery(resolved, rows, clock, problems, write, list_enrolled=list_enrolled)
    return recovers and fits


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
    version = f"  VergeOS {escape(identity.version)}" if identity is not None else ""
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
) -> str:
    """
    Read every table into *rows*, and add a line for each to *results*.

    Refused credentials, an unreachable host or a system that asks to wait end it at once.

    Returns:
        Why the daemon would have no inventory; empty if it would have one.

    """
    fatal = ""
    for one in resolved.schedules:
        count, status = "", "[green]ok[/]"
        try:
            read = await source.read(one.table)
        except (UnauthorizedError, UnreachableError, ThrottledError) as error:
            return str(error)
        except VergeOSError as error:
            status = f"[red]{escape(str(error))}[/]"
            if one.essential:
                fatal = fatal or str(error)
        else:
            rows[one.table] = read.rows
            if one.table == IDENTITY:
                continue
            count = str(read.count)
            status = _hold_status(resolved, one.table, read.count) or status
            if read.problem is not None:
                skipped = counted(read.skipped, "row")
                status = f"[yellow]{skipped} skipped: {escape(read.problem)}[/]"
            elif read.skipped_values:
                fields = ", ".join(
                    f"{field} ({one.number})" for field, one in read.skipped_values.items()
                )
                status = f"[yellow]values that cannot be read: {escape(fields)}[/]"
        intervals = [one.every_seconds, *filter(None, [wanted.get(one.table)])]
        results.add_row(one.table, *(f"{seconds:g} s" for seconds in intervals), count, status)
    return fatal


async def _action_problems(
    resolved: ResolvedSystem, client: VergeOSClient, clock: Clock, connecting: Connecting
) -> list[str]:
    """Return why VergeOS refuses the action credential; empty if it does not."""
    system = resolved.system
    async with make_session(system.tls, system.proxies(), keeps_connections=False) as session:
        meter = Telemetry().meter(resolved.host)
        actor = connecting(resolved, session, meter, clock, client.budget, acts=True)
        try:
            query = {"fields": "$key", "limit": "1"}
            await actor.read(VMS.path, query, endpoint=VMS.name)
        except (ConfigError, VergeOSError) as error:
            return [f"action_api_key: {error}"]
        finally:
            await actor.close()
    return []


async def _log_problems(client: VergeOSClient) -> list[str]:
    """Return why the logs that tell crashes from stops cannot be read; empty if they can."""
    found = []
    for table in LOGS.values():
        try:
            query = {"fields": ",".join(table.fields), "sort": "-$key", "limit": "1"}
            body = await client.read(table.path, query, endpoint=table.endpoint)
            problem = "" if table.decode(body).rows else "it has no rows"
        except VergeOSError as error:
            problem = str(error)
        if problem:
            found.append(f"recovery cannot start any VM without the log {table.name}: {problem}")
    return found


def _missing_tables(rows: Mapping[str, Any], rules: Sequence[EnrolmentRule]) -> list[str]:
    """Return which tables could not be read without which recovery cannot start any VM."""
    needed = [NODES, TAG_MEMBERS]
    if any(rule.clusters for rule in rules):
        needed.append(CLUSTERS)
    return [
        f"recovery cannot start any VM without the table {table.name}, which cannot be read"
        for table in needed
        if not rows.get(table.name) and (table is not TAG_MEMBERS or table.name not in rows)
    ]


def _hold_status(resolved: ResolvedSystem, table: str, count: int) -> str:
    """Return what is missing where a table of a guard has no row; empty if nothing is."""
    guard = HOLDS.get(InputName(table)) if table in set(InputName) else None
    if not resolved.recovers or guard is None or count or table in MAY_BE_EMPTY:
        return ""
    return f"[yellow]no rows, or hidden from this user: the guard {guard} holds no VM[/]"


def _check_recovery(
    resolved: ResolvedSystem,
    rows: Mapping[str, Any],
    clock: Clock,
    problems: list[str],
    write: Write,
    *,
    list_enrolled: bool,
) -> bool:
    """
    Check recovery's settings, and count the VMs that each rule fits and that it would enrol.

    Args:
        rows: The rows of the tables that could be read, by table.
        problems: Why the logs cannot be read, or the action credential is refused.

    """
    settings = resolved.recovery
    setup = recovery_setup(settings, resolved.recovery_mode)
    journal = directory(settings)
    problems = [*problems, *_missing_tables(rows, setup.enrolment_rules)]
    commands = "no token: commands are refused (set recovery.token_file)"
    try:
        if RecoveryToken(settings)() is not None:
            commands = "commands need the token"
    except ConfigError as error:
        place = "recovery.token_file: " if settings.token_file is not None else ""
        problems.append(f"{place}{error}")
    if not _is_writable(journal):
        problems.append(f"recovery.directory: {journal} cannot be written by this user")
    inventory = join(rows, system_name="", identity=None, taken_at=clock.now())
    vms, notes, tables = "no tags", list[str](), list[Table]()
    if VMS.name in rows and inventory.tags is not None:
        found = check_enrolment(inventory, setup.enrolment_rules)
        vms = found.summary()
        notes += enrolment_notes(found, setup, settings.confirm.rules)
        notes += _possible_mistakes(setup, found.enrolments)
        tables += [rules_table(found)] if setup.enrolment_rules else []
        tables += [enrolled_table(found)] if list_enrolled and found.enrolled() else []
    write(f"recovery  mode {setup.mode.value}, {escape(vms)}")
    for table in tables:
        write(table)
    write(f"  journal in {escape(str(journal))}, {commands}")
    write(f"  kill switch: touch {escape(setup.kill_switch_file)}")
    for note in notes:
        write(f"  [yellow]{escape(note)}[/]")
    for problem in problems:
        write(f"  [red]{escape(problem)}[/]")
    return not problems


def _possible_mistakes(setup: RecoveryConfig, enrolments: Mapping[str, Enrolment]) -> Iterator[str]:
    cycles = any(
        one.policy.acts and one.on_hang is OnHang.POWER_CYCLE for one in enrolments.values()
    )
    if cycles and not setup.log_users.own:
        yield (
            "recovery.own_user is not set: if the response to a kill is lost, recovery cannot "
            "recognize its own kill, and the VM stays off until an operator starts it"
        )
    if setup.mode is not Mode.SHADOW and not setup.log_users.own:
        yield (
            "recovery.own_user is not set: a second instance that acts on this system cannot be "
            "noticed, and each has restart budgets of its own"
        )


def _is_writable(path: Path) -> bool:
    """Return whether *path* is a writable directory, or can be created as one."""
    existing = next((one for one in (path, *path.parents) if one.exists()), Path("/"))
    try:
        with TemporaryDirectory(dir=existing):
            return True
    except OSError:
        return False
