"""Whether recovery has what it needs: its logs, its tables, its key, its files and its rules."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.table import Table

from exporter.cli.check_enrolment import (
    check_enrolment,
    enrolled_table,
    enrolment_notes,
    rules_table,
)
from exporter.cli.check_result import (
    Write,
    escape,
)
from exporter.clock import Clock
from exporter.collectors.clusters import CLUSTERS
from exporter.collectors.inventory import join
from exporter.collectors.nodes import NODES
from exporter.collectors.vms import VMS
from exporter.config.recovery_setup import RecoveryToken, directory, recovery_setup
from exporter.config.systems import ResolvedSystem
from exporter.daemon.clients import make_session
from exporter.errors import (
    ConfigError,
    VergeOSError,
)
from exporter.recovery.model.cases import Enrolment, OnHang
from exporter.recovery.model.limits import Mode
from exporter.recovery.observe.enrolment import EnrolmentRule
from exporter.recovery.recovery_config import RecoveryConfig
from exporter.telemetry import Telemetry
from exporter.vergeos.client import VergeOSClient
from exporter.vergeos.recovery_rows import LOGS, TAG_MEMBERS

Connecting = Callable[..., VergeOSClient]
"""`connect`, with what is remembered of refused credentials."""


async def action_problems(
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


async def log_problems(client: VergeOSClient) -> list[str]:
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


def check_recovery(
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
    state = directory(settings)
    found, commands = recovery_problems(resolved)
    problems = [*problems, *_missing_tables(rows, setup.enrolment_rules), *found]
    inventory = join(rows, system_name="", identity=None, taken_at=clock.now())
    vms, notes, tables = "no tags", list[str](), list[Table]()
    if VMS.name in rows and inventory.tags is not None:
        enrolment = check_enrolment(inventory, setup.enrolment_rules)
        vms = enrolment.summary()
        notes += enrolment_notes(enrolment, setup, settings.confirm.rules)
        notes += _possible_mistakes(setup, enrolment.enrolments)
        tables += [rules_table(enrolment)] if setup.enrolment_rules else []
        tables += [enrolled_table(enrolment)] if list_enrolled and enrolment.enrolled() else []
    write(f"recovery  mode {setup.mode.value}, {escape(vms)}")
    for table in tables:
        write(table)
    write(f"  state directory {escape(str(state))}, {commands}")
    write(f"  kill switch: touch {escape(setup.kill_switch_file)}")
    for note in notes:
        write(f"  [yellow]{escape(note)}[/]")
    for problem in problems:
        write(f"  [red]{escape(problem)}[/]")
    return not problems


def recovery_problems(resolved: ResolvedSystem) -> tuple[list[str], str]:
    """Return what is wrong with recovery's files, and what its commands need."""
    settings, problems = resolved.recovery, list[str]()
    commands = "no token: commands are refused (set recovery.token_file)"
    try:
        if RecoveryToken(settings)() is not None:
            commands = "commands need the token"
    except ConfigError as error:
        place = "recovery.token_file: " if settings.token_file is not None else ""
        problems.append(f"{place}{error}")
    state = directory(settings)
    if not _is_writable(state):
        problems.append(f"recovery.directory: {state} cannot be written by this user")
    return problems, commands


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
    try:
        existing = next((one for one in (path, *path.parents) if one.exists()), Path("/"))
        with TemporaryDirectory(dir=existing):
            return True
    except OSError:
        return False
