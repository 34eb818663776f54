"""The preflight check: connect to each system once, read every table, and test recovery's needs."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from rich.markup import escape
from rich.table import Table

from exporter import logs
from exporter.alerting.alertmanager import Alertmanager, AlertmanagerError
from exporter.alerting.alertmanager import make_session as make_alertmanager_session
from exporter.alerting.config import AlertmanagerSettings
from exporter.clock import Clock
from exporter.collectors.inventory import join
from exporter.collectors.vms import VMS
from exporter.config.recovery_setup import directory, recovery_setup, token
from exporter.config.settings import Settings
from exporter.config.systems import ResolvedSystem, resolve_systems
from exporter.daemon.clients import connect, make_session
from exporter.errors import ConfigError, UnauthorizedError, UnreachableError, VergeOSError
from exporter.formatting import counted
from exporter.model import Identity, Inventory
from exporter.polling.schedule import requests_per_hour
from exporter.recovery.model.cases import Enrolment, OnHang
from exporter.recovery.observe.enrolment import enrol_all, rule_title
from exporter.recovery.observe.inventory_checks import is_eligible
from exporter.telemetry import Telemetry
from exporter.vergeos.client import VergeOSClient
from exporter.vergeos.source import IDENTITY, VergeOSSource
from exporter.web.server import parse_listen
from exporter.web.tls import make_context
from exporter.web.webconfig import read_web_config


class TableResult(NamedTuple):
    """The result of reading one table."""

    table: str
    every_seconds: float
    rows: int | None
    """None if the table could not be read."""
    skipped: int
    problem: str | None


class RecoveryResult(NamedTuple):
    """What recovery would do on one system, and what prevents it."""

    mode: str
    vms: int | None
    """The number of VMs; None if they or their tags cannot be read."""
    enrolled: Mapping[str, int]
    """The number of enrolled VMs by the tag or rule that enrols them."""
    directory: str
    kill_switch: str
    has_token: bool
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    """Possible mistakes that do not fail the check."""


class SystemResult(NamedTuple):
    """The result of checking one system."""

    name: str | None
    """The configured name, if any."""
    url: str
    identity: Identity | None
    tables: tuple[TableResult, ...]
    requests_per_hour: float
    requests_allowed: int
    problem: str | None
    """Why this system would have no inventory."""
    recovery: RecoveryResult | None = None
    """None if recovery is off."""


class Report(NamedTuple):
    """The result of the whole check."""

    systems: tuple[SystemResult, ...]
    alertmanagers: Mapping[str, str]
    """The problem of each Alertmanager by its URL; empty text if it answers."""

    @property
    def failed(self) -> bool:
        return any(self.alertmanagers.values()) or any(
            result.problem or (result.recovery is not None and result.recovery.problems)
            for result in self.systems
        )


async def check_all(settings: Settings, clock: Clock) -> Report:
    """
    Check everything that the daemon would use.

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
    results = [await check_system(resolved, clock) for resolved in systems]
    return Report(tuple(results), await check_alertmanagers(settings.alertmanager, clock))


async def check_system(resolved: ResolvedSystem, clock: Clock) -> SystemResult:
    """
    Read every table of one system, as the daemon would.

    Refused credentials or an unreachable host end the check at the first request.

    Raises:
        ConfigError: The settings do not allow a connection.

    """
    schedule = resolved.schedules
    identity: Identity | None = None
    tables: list[TableResult] = []
    rows: dict[str, Any] = {}
    action_problem = ""
    fatal: str | None = None
    async with make_session(resolved.system.tls) as session:
        client = connect(resolved, session, Telemetry().meter(resolved.host), clock)
        source = VergeOSSource(client, resolved.tables, page_rows=resolved.api.page_rows)
        try:
            for one in schedule:
                try:
                    read = await source.read(one.table)
                except (UnauthorizedError, UnreachableError) as error:
                    fatal = str(error)
                    break
                except VergeOSError as error:
                    tables.append(TableResult(one.table, one.every_seconds, None, 0, str(error)))
                    if one.essential:
                        fatal = fatal or str(error)
                    continue
                if one.table == IDENTITY:
                    identity = read.rows
                    continue
                rows[one.table] = read.rows
                tables.append(
                    TableResult(
                        one.table, one.every_seconds, read.count, read.skipped, read.problem
                    )
                )
            if resolved.recovers and fatal is None:
                action_problem = await _action_problem(resolved, client, clock)
        finally:
            await client.close()
    return SystemResult(
        resolved.system.name,
        resolved.system.url,
        identity,
        tuple(tables),
        requests_per_hour(schedule),
        client.budget.for_polling,
        fatal,
        _check_recovery(resolved, rows, clock, action_problem) if resolved.recovers else None,
    )


async def check_alertmanagers(settings: AlertmanagerSettings, clock: Clock) -> Mapping[str, str]:
    """Return the problem of each Alertmanager by its URL; empty text if it answers."""
    problems = {}
    async with make_alertmanager_session(settings) as session:
        for url in settings.urls:
            alertmanager = Alertmanager(url, session, settings, clock)
            try:
                await alertmanager.silences()
            except AlertmanagerError as error:
                problems[url] = str(error)
            else:
                problems[url] = ""
    return problems


def _check_recovery(
    resolved: ResolvedSystem, rows: Mapping[str, Any], clock: Clock, action_problem: str
) -> RecoveryResult:
    """
    Check recovery's settings, and count the VMs that it would enrol.

    Args:
        rows: The rows of the tables that could be read, by table.
        action_problem: Why VergeOS refuses the action credential; empty if it does not.

    """
    settings = resolved.recovery
    setup = recovery_setup(settings, resolved.recovery_mode)
    journal = directory(settings)
    problems = [action_problem] if action_problem else []
    has_token = False
    try:
        has_token = token(settings) is not None
    except ConfigError as error:
        problems.append(f"recovery.token_file: {error}")
    if not _is_writable(journal):
        problems.append(f"recovery.directory: {journal} cannot be written by this user")
    inventory = join(rows, system_name="", identity=None, taken_at=clock.now())
    known = VMS.name in rows and inventory.tags is not None
    enrolments = enrol_all(inventory, setup.enrolment_rules) if known else {}
    enrolled = _count_enrolled(inventory, enrolments)
    unused = (
        f"{title} matches no VM, or only VMs that another rule or a tag enrols"
        for number, rule in enumerate(setup.enrolment_rules)
        if known and rule.policy is not None and rule.policy.acts
        if (title := rule_title(number)) not in enrolled
    )
    return RecoveryResult(
        mode=setup.mode.value,
        vms=len(inventory.vms) if known else None,
        enrolled=enrolled,
        directory=str(journal),
        kill_switch=setup.kill_switch_file,
        has_token=has_token,
        problems=tuple(problems),
        notes=(*unused, *_power_cycle_notes(enrolments.values(), setup.own_user)),
    )


def _power_cycle_notes(enrolments: Iterable[Enrolment], own_user: str) -> Iterator[str]:
    cycles = any(one.policy.acts and one.on_hang is OnHang.POWER_CYCLE for one in enrolments)
    if cycles and not own_user:
        yield (
            "recovery.own_user is not set: if the response to a kill is lost, recovery cannot "
            "recognize its own kill, and the VM stays off until an operator starts it"
        )


def _count_enrolled(inventory: Inventory, enrolments: Mapping[str, Enrolment]) -> Mapping[str, int]:
    """Return the number of VMs that would be restarted after a crash, by tag or rule."""
    return Counter(
        enrolment.because
        for vm in inventory.vms
        if (enrolment := enrolments.get(vm.config.uuid)) is not None
        if enrolment.policy.acts and is_eligible(vm, enrolment)
    )


async def _action_problem(resolved: ResolvedSystem, client: VergeOSClient, clock: Clock) -> str:
    """Return why VergeOS refuses the action credential; empty if it does not, or there is none."""
    if not resolved.system.acts_with_another_key:
        return ""
    async with make_session(resolved.system.tls, keeps_connections=False) as session:
        meter = Telemetry().meter(resolved.host)
        actor = connect(resolved, session, meter, clock, client.budget, acts=True)
        try:
            query = {"fields": "$key", "limit": "1"}
            await actor.read(VMS.path, query, endpoint=VMS.name)
        except (ConfigError, VergeOSError) as error:
            return f"action_api_key: {error}"
        finally:
            await actor.close()
    return ""


def _is_writable(path: Path) -> bool:
    """Return whether *path* is a writable directory, or can be created as one."""
    existing = next((one for one in (path, *path.parents) if one.exists()), Path("/"))
    try:
        with TemporaryDirectory(dir=existing):
            return True
    except OSError:
        return False


def print_report(report: Report, write: Callable[[Any], None]) -> None:
    """Write the report as Rich markup and tables."""
    for result in report.systems:
        _print_system(result, write)
        if result.recovery is not None and result.problem is None:
            _print_recovery(result.recovery, write)
    for url, problem in report.alertmanagers.items():
        write(
            f"alertmanager [red]{escape(problem)}[/]"
            if problem
            else f"alertmanager {escape(url)} [green]ok[/]"
        )


def _print_system(result: SystemResult, write: Callable[[Any], None]) -> None:
    identity = result.identity
    if identity is not None:
        name = result.name or identity.cloud_name or "unnamed system"
        write(f"[bold]{escape(name)}[/]  VergeOS {escape(identity.version)}  {escape(result.url)}")
    else:
        write(f"[bold]{escape(result.url)}[/]")
    if result.tables:
        table = Table("TABLE", box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("EVERY", justify="right")
        table.add_column("ROWS", justify="right")
        table.add_column("")
        for one in result.tables:
            rows = "" if one.rows is None else str(one.rows)
            table.add_row(one.table, f"{one.every_seconds:g} s", rows, _table_status(one))
        write(table)
    if result.problem:
        write(f"[bold red]no inventory:[/] {escape(result.problem)}")
        return
    write(f"{result.requests_per_hour:.0f} of {result.requests_allowed} requests per hour")


def _table_status(result: TableResult) -> str:
    if result.problem is None:
        return "[green]ok[/]"
    if result.skipped:
        return f"[yellow]{result.skipped} rows skipped: {escape(result.problem)}[/]"
    return f"[red]{escape(result.problem)}[/]"


def _print_recovery(result: RecoveryResult, write: Callable[[Any], None]) -> None:
    count = sum(result.enrolled.values())
    by = ", ".join(f"{number} by {reason}" for reason, number in result.enrolled.items())
    vms = f"{count} of {counted(result.vms or 0, 'VM')} enrolled" + (f": {by}" if by else "")
    write(f"recovery  mode {result.mode}, {escape(vms if result.vms is not None else 'no tags')}")
    commands = "commands need the token" if result.has_token else "no token: commands are refused"
    write(f"  journal in {escape(result.directory)}, {commands}")
    write(f"  kill switch: touch {escape(result.kill_switch)}")
    for note in result.notes:
        write(f"  [yellow]{escape(note)}[/]")
    for problem in result.problems:
        write(f"  [red]{escape(problem)}[/]")
