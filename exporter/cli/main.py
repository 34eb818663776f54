"""
The command line: what a person asks for, and how it went.

Exit codes: 0 all is well, 1 something went wrong, 2 the question was wrong (an option, a setting).
"""

import asyncio
import os
import sys
import textwrap
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from exporter import __version__, logs
from exporter.cli import recovery as cli_recovery
from exporter.cli import reference
from exporter.cli.check import Finding, ask_alertmanagers, look
from exporter.cli.demo import serve, show
from exporter.cli.recovery_check import CareFinding
from exporter.clock import SystemClock
from exporter.config.loader import SIMULATOR_KEY_VARIABLE, load, unknown_variables
from exporter.config.settings import Settings
from exporter.daemon import app
from exporter.daemon.clients import resolve_systems
from exporter.errors import ConfigError, UnavailableError
from exporter.formatting import counted
from exporter.simulator import Simulator
from exporter.simulator.api.accounts import API_KEY
from exporter.simulator.scenarios.scenario import MAX_VMS, built_in, load_scenario
from exporter.web.server import parse_listen
from exporter.web.tls import make_context
from exporter.web.webconfig import read_web_config

log = structlog.get_logger()

FAILED = 1
WRONG_QUESTION = 2

command = typer.Typer(
    name="vergewatch",
    help="Monitoring for VergeOS: every VM in Prometheus, honestly.",
    no_args_is_help=True,
    add_completion=False,
    # Tracebacks are for bugs, and then plain: the pretty ones print local variables.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Config = Annotated[
    Path | None,
    typer.Option("--config", "--config.file", metavar="FILE", help="Settings in YAML."),
]
Listen = Annotated[
    str | None,
    typer.Option("--web.listen-address", metavar="ADDRESS", help="Where to serve; default :9888."),
]
TelemetryPath = Annotated[
    str | None,
    typer.Option("--web.telemetry-path", metavar="PATH", help="Path of the metrics."),
]
WebConfig = Annotated[
    Path | None,
    typer.Option(
        "--web.config.file", metavar="FILE", help="TLS and basic auth, as in exporter-toolkit."
    ),
]
LogLevel = Annotated[
    str | None, typer.Option("--log.level", metavar="|".join(logs.LEVELS), help="Least important.")
]
LogFormat = Annotated[
    str | None, typer.Option("--log.format", metavar="|".join(logs.FORMATS), help="For whom.")
]


Scenario = Annotated[
    str,
    typer.Option("--scenario", metavar="NAME|FILE", help=f"Scenario: {', '.join(built_in())}."),
]
Vms = Annotated[int | None, typer.Option("--vms", min=1, max=MAX_VMS, help="Number of VMs.")]
Alertmanagers = Annotated[
    list[str] | None,
    typer.Option("--alertmanager", metavar="URL", help="Whom to tell, and whose silences to heed."),
]
Seed = Annotated[int | None, typer.Option("--seed", help="Random seed.")]

DEFAULT_LISTEN = ":9888"
WORTH_A_QUESTION = "web-blackbird"
"""It crashes in the demo, soon after its start."""
DEMO_TOKEN = "demo"  # noqa: S105 - it steers a toy, on this machine
EVERYWHERE = "0.0.0.0"  # noqa: S104 - only when asked for, with `--listen :8000`


class PageFormat(StrEnum):
    """How a reference is printed."""

    TABLE = "table"
    MARKDOWN = "markdown"


@command.command()
def run(
    config: Config = None,
    listen_address: Listen = None,
    telemetry_path: TelemetryPath = None,
    web_config_file: WebConfig = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
) -> None:
    """Poller the configured clouds and serve their metrics, until told to stop."""
    given = _given(listen_address, telemetry_path, web_config_file, log_level, log_format)

    def read() -> Settings:
        return load(config, given)

    settings = read()
    logs.configure(settings.log.level, settings.log.format)
    for complaint in unknown_variables(os.environ):
        log.warning("settings.unknown", complaint=complaint)
    asyncio.run(app.run(settings, read, SystemClock()))


@command.command()
def check(config: Config = None) -> None:
    """Check the configuration, look at each cloud once, and say what was found."""
    settings = load(config)
    logs.configure("error", "console")
    for complaint in unknown_variables(os.environ):
        _say(f"[yellow]{escape(complaint)}[/]", to_people=True)
    systems = resolve_systems(settings)
    parse_listen(settings.web.listen_address)
    if settings.web.config_file is not None:
        web = read_web_config(settings.web.config_file)
        if web.tls is not None:
            make_context(web.tls)

    async def look_at_all() -> tuple[list[Finding], Mapping[str, str]]:
        findings = [await look(system, SystemClock()) for system in systems]
        return findings, await ask_alertmanagers(settings.alertmanager.plan(), SystemClock())

    findings, alertmanagers = asyncio.run(look_at_all())
    for system, finding in zip(systems, findings, strict=True):
        _print_finding(finding, system.system.name)
        if finding.care is not None and finding.problem is None:
            _print_care(finding.care)
    for url, problem in alertmanagers.items():
        guard_result = f"[red]{escape(problem)}[/]" if problem else f"{escape(url)} [green]ok[/]"
        _say(f"alertmanager {guard_result}")
    cares = [finding.care for finding in findings if finding.care is not None]
    wrong = [*(finding.problem for finding in findings), *alertmanagers.values(),
             *(problem for care in cares for problem in care.problems)]  # fmt: skip
    if any(wrong):
        raise typer.Exit(FAILED)


@command.command()
def demo(
    scenario: Scenario = "demo",
    vms: Vms = None,
    seed: Seed = None,
    alertmanagers: Alertmanagers = None,
    listen_address: Listen = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
) -> None:
    """Show it all without a VergeOS: a simulated cloud in trouble, and the daemon that watches."""
    given = _given(listen_address, None, None, log_level, log_format)
    if alertmanagers:
        given["alertmanager"] = {"urls": tuple(alertmanagers)}
    logs.configure(log_level or "info", log_format or "auto")
    clock = SystemClock()
    world = load_scenario(scenario).with_changes(seed=seed, vms=vms).build(clock)
    port = parse_listen(listen_address or DEFAULT_LISTEN).port
    names = [vm.name for vm in world.live_vms() if vm.service is None]

    def introduce() -> None:
        _say(f"[bold]{escape(world.system_name)}[/], a simulated VergeOS with {len(names)} VMs")
        _say(f"  look at it     http://localhost:{port}/")
        _say(f"  its metrics    http://localhost:{port}/metrics")
        program = Path(sys.argv[0]) if Path(sys.argv[0]).is_file() else Path("vergewatch")
        own = port == parse_listen(DEFAULT_LISTEN).port
        at = "" if own else f" --url http://localhost:{port}"
        vm = WORTH_A_QUESTION if WORTH_A_QUESTION in names else names[0]
        _say(f"  ask it why     {program} explain {vm}{at}")
        token = f"VERGEWATCH_RECOVERY__TOKEN={DEMO_TOKEN}"
        _say(f"  steer it       {token} {program} recovery pause --reason trying{at}")
        _say("  end it         Ctrl-C")

    simulator = Simulator(world=world, clock=clock)
    asyncio.run(show(simulator, given, clock, token=DEMO_TOKEN, introduce=introduce))


@command.command()
def simulate(
    scenario: Scenario = "quiet",
    vms: Vms = None,
    seed: Seed = None,
    listen: Annotated[
        str, typer.Option("--listen", metavar="ADDRESS", help="Listen address.")
    ] = "127.0.0.1:8000",
    faults: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="NAME[:KEY=VALUE,...]",
            help="Fault to turn on at the start, such as latency:seconds=2.",
        ),
    ] = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
) -> None:
    """Run a simulated VergeOS API server, for this daemon or any other client."""
    logs.configure(log_level or "info", log_format or "auto")
    clock = SystemClock()
    where = parse_listen(listen)
    simulator = Simulator(
        world=load_scenario(scenario).with_changes(seed=seed, vms=vms).build(clock),
        clock=clock,
        host=where.host or EVERYWHERE,
        port=where.port,
        api_key=os.environ.get(SIMULATOR_KEY_VARIABLE, API_KEY),
    )
    asyncio.run(serve(simulator, faults or (), _introduce))


@command.command()
def metrics(
    form: Annotated[PageFormat, typer.Option("--format", help="How.")] = PageFormat.TABLE,
) -> None:
    """Print every metric there is, with its labels and its meaning."""
    if form is PageFormat.MARKDOWN:
        sys.stdout.write(reference.metrics_page())
        return
    console = Console(highlight=False)
    for metric in reference.metrics():
        labels = ", ".join(metric.labels)
        console.print(f"[bold]{metric.name}[/]{{{labels}}} [cyan]{metric.kind}[/]", soft_wrap=True)
        typer.echo(textwrap.fill(metric.help, 76, initial_indent="    ", subsequent_indent="    "))


@command.command()
def settings() -> None:
    """Print every setting there is, as Markdown."""
    sys.stdout.write(reference.settings_page())


@command.command(hidden=True)
def states(page: Path) -> None:
    """Print *page*, docs/recovery.md, with what it has from the code brought up to date."""
    sys.stdout.write(reference.with_recovery_tables(page.read_text()))


command.command()(cli_recovery.explain)
command.add_typer(cli_recovery.commands)


@command.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Say what is common to all commands."""
    if show:
        typer.echo(f"vergewatch {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; an error that is nobody's bug is one line, not a traceback."""
    try:
        command()
    except (ConfigError, BaseExceptionGroup) as error:
        sys.exit(_tell_what_is_wrong(error))


def _tell_what_is_wrong(error: ConfigError | BaseExceptionGroup[BaseException]) -> int:
    """Print configuration errors a line each; let anything else be the bug that it is."""
    if isinstance(error, BaseExceptionGroup):
        wrong, bugs = error.split(ConfigError)
        if bugs is not None or wrong is None:
            raise error
        problems: Sequence[BaseException] = wrong.exceptions
    else:
        problems = [error]
    for problem in problems:
        typer.echo(f"vergewatch: {problem}", err=True)
    passing = all(isinstance(problem, UnavailableError) for problem in problems)
    return FAILED if passing else WRONG_QUESTION


def _given(
    listen_address: str | None,
    telemetry_path: str | None,
    web_config_file: Path | None,
    log_level: str | None,
    log_format: str | None,
) -> dict[str, dict[str, Any]]:
    """Return what the command line says, in the shape of the settings."""
    groups: dict[str, dict[str, Any]] = {
        "web": {
            "listen_address": listen_address,
            "telemetry_path": telemetry_path,
            "config_file": web_config_file,
        },
        "log": {"level": log_level, "format": log_format},
    }
    return {
        group: given
        for group, values in groups.items()
        if (given := {name: value for name, value in values.items() if value is not None})
    }


def _introduce(simulator: Simulator) -> None:
    url = simulator.url
    latency = '{"seconds": 2}'
    _say(f"[bold]Simulated VergeOS {escape(simulator.world.system_name)} listens at {url}[/]")
    _say(f"  monitor  VERGEWATCH_URL={url} VERGEWATCH_API_KEY={simulator.api_key} vergewatch run")
    _say(f"  break    curl -X PUT {url}/simulator/faults/latency -d '{latency}'")
    _say(f"  repair   curl -X DELETE {url}/simulator/faults/latency")
    _say(f"  crash    curl -X POST {url}/simulator/vms/1/crash")
    _say(f"  more     curl {url}/simulator/")


def _print_care(care: CareFinding) -> None:
    """Print what recovery would do: whom it would look after, and how it is stopped."""
    count = sum(care.enrolled.values())
    who = ", ".join(f"{number} by {because}" for because, number in care.enrolled.items())
    whom = f"{count} of {counted(care.vms or 0, 'VM')} looked after" + (f": {who}" if who else "")
    _say(f"recovery  mode {care.mode}, {escape(whom if care.vms is not None else 'tags unread')}")
    steered = "a token steers it" if care.steered else "no token, so nobody can pause or disarm it"
    _say(f"  journal in {escape(care.directory)}, {steered}")
    _say(f"  kill switch: touch {escape(care.kill_switch)}")
    for note in care.notes:
        _say(f"  [yellow]{escape(note)}[/]")
    for problem in care.problems:
        _say(f"  [red]{escape(problem)}[/]")


def _print_finding(finding: Finding, given_name: str | None) -> None:
    identity = finding.identity
    if identity is not None:
        name = given_name or identity.cloud_name or "a cloud without a name"
        _say(f"[bold]{escape(name)}[/]  VergeOS {escape(identity.version)}  {escape(finding.url)}")
    else:
        _say(f"[bold]{escape(finding.url)}[/]")
    if finding.tables:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for column, justify in (("TABLE", "left"), ("EVERY", "right"), ("ROWS", "right")):
            table.add_column(column, justify=justify)  # type: ignore[arg-type]
        table.add_column("")
        for found in finding.tables:
            table.add_row(
                found.table,
                f"{found.every_seconds:g} s",
                "" if found.rows is None else str(found.rows),
                _verdict(found.skipped, found.problem),
            )
        Console().print(table)
    if finding.problem:
        _say(f"[bold red]no picture:[/] {escape(finding.problem)}")
        return
    _say(f"{finding.requests_per_hour:.0f} requests an hour of {finding.requests_allowed} allowed")


def _verdict(skipped: int, problem: str | None) -> str:
    if problem is None:
        return "[green]ok[/]"
    if skipped:
        return f"[yellow]{skipped} rows skipped: {escape(problem)}[/]"
    return f"[red]{escape(problem)}[/]"


def _say(text: str, *, to_people: bool = False) -> None:
    Console(stderr=to_people, soft_wrap=True, highlight=False).print(text)
