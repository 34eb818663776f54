"""
The command line.

Exit codes, JSON and errors of all commands follow one contract: docs/commands.md. A command
imports what it needs when it runs: `vergewatch explain` loads neither the server nor the
simulator.
"""

import asyncio
import os
import sys
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from exporter import __version__
from exporter.cli.errors import FAILED, INVALID, print_errors, tolerate_any_character
from exporter.cli.json_output import AsJson, print_json
from exporter.clock import SystemClock
from exporter.errors import ConfigError
from exporter.formatting import plain

if TYPE_CHECKING:
    from exporter.simulator import Simulator

INTERRUPTED = 130
PROGRAM = "vergewatch"
COMPLETION_VARIABLE = "_VERGEWATCH_COMPLETE"
USAGE_ERROR = cast("type[Exception]", typer.BadParameter.__bases__[0])
"""Of typer's own copy of click, which is not public under its name."""

command = typer.Typer(
    name=PROGRAM,
    help="Prometheus metrics and safe automatic VM restart for VergeOS.",
    no_args_is_help=True,
    add_completion=False,
    # Tracebacks are for bugs, and then plain: the pretty ones print local variables.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Config = Annotated[
    Path | None,
    typer.Option("--config", "--config.file", metavar="FILE", help="Settings file (YAML)."),
]
Listen = Annotated[
    str | None,
    typer.Option("--web.listen-address", metavar="ADDRESS", help="Listen address; default :9888."),
]
TelemetryPath = Annotated[
    str | None,
    typer.Option("--web.telemetry-path", metavar="PATH", help="Path of the metrics page."),
]
WebConfig = Annotated[
    Path | None,
    typer.Option(
        "--web.config.file", metavar="FILE", help="exporter-toolkit web config (TLS, auth)."
    ),
]
LogLevel = Annotated[
    str | None,
    typer.Option(
        "--log.level", metavar="LEVEL", help="Minimum level: debug, info, warning or error."
    ),
]
LogFormat = Annotated[
    str | None,
    typer.Option("--log.format", metavar="FORMAT", help="Format: auto, console or json."),
]
Scenario = Annotated[
    str,
    typer.Option(
        "--scenario", metavar="NAME|FILE", help="busy, demo, outage, quiet, or a YAML file."
    ),
]
Vms = Annotated[int | None, typer.Option("--vms", min=1, max=50_000, help="Number of VMs.")]
Alertmanagers = Annotated[
    list[str] | None,
    typer.Option("--alertmanager", metavar="URL", help="Alertmanager to use; may be repeated."),
]
Seed = Annotated[int | None, typer.Option("--seed", help="Random seed.")]

DEFAULT_LISTEN = ":9888"
EXAMPLE_VM = "web-blackbird"
"""It crashes in the demo, soon after the start."""
DEMO_TOKEN = "token-of-the-demo"  # noqa: S105 - accepted only by the demo's own daemon
ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 - only for an explicit `--listen :8000`


@command.command()
def run(
    config: Config = None,
    listen_address: Listen = None,
    telemetry_path: TelemetryPath = None,
    web_config_file: WebConfig = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
) -> None:
    """Poll the configured systems and serve their metrics, until SIGTERM or Ctrl-C."""
    from exporter.cli.run import run_daemon

    web = {
        "listen_address": listen_address,
        "telemetry_path": telemetry_path,
        "config_file": web_config_file,
    }
    run_daemon(config, _given(web=web, log={"level": log_level, "format": log_format}))


@command.command()
def check(
    config: Config = None,
    enrolled: Annotated[
        bool, typer.Option("--enrolled", help="Also print the VMs that recovery would enroll.")
    ] = False,
    retry_refused: Annotated[
        bool,
        typer.Option(
            "--retry-refused",
            help="Try a secret again that VergeOS refused, for example after its account was "
            "unlocked. If it is accepted, the running daemon uses it again.",
        ),
    ] = False,
    offline: Annotated[
        bool,
        typer.Option("--offline", help="Check the settings and their files; send no request."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """
    Check the settings, connect to each system once, and print the results.

    Exit codes: 0 everything works, 1 something does not, 2 a setting or an option is invalid.
    """
    from exporter.cli import check as preflight
    from exporter.config.loader import load, unknown_variables

    if offline and (enrolled or retry_refused):
        raise ConfigError("--offline sends no request; --enrolled and --retry-refused need some")
    settings = load(config)
    for problem in unknown_variables(os.environ):
        typer.secho(problem, fg="yellow", err=True)
    write = _print if not as_json else _print_nothing
    if offline:
        result = asyncio.run(preflight.check_offline(settings, write))
    else:
        result = asyncio.run(
            preflight.check(
                settings, SystemClock(), write, list_enrolled=enrolled, asks_anyway=retry_refused
            )
        )
    if as_json:
        print_json(result)
    if not result.passed:
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
    """Run the daemon against a simulated VergeOS system, to try it without a real one."""
    from exporter import logs
    from exporter.cli.demo import show
    from exporter.simulator import Simulator, load_scenario
    from exporter.web.server import parse_listen

    given = _given(
        web={"listen_address": listen_address},
        log={"level": log_level, "format": log_format},
        alertmanager={"urls": alertmanagers or None},
    )
    logs.configure(log_level or "info", log_format or "auto")
    clock = SystemClock()
    world = load_scenario(scenario).with_changes(seed=seed, vms=vms).build(clock)
    port = parse_listen(listen_address or DEFAULT_LISTEN).port
    number = len(list(world.live_vms()))
    names = [vm.name for vm in world.live_vms() if vm.service is None]

    own = port == parse_listen(DEFAULT_LISTEN).port
    at = "" if own else f" --url http://localhost:{port}"
    program = sys.argv[0] if Path(sys.argv[0]).is_file() else "vergewatch"
    if program.endswith("__main__.py"):
        program = "python -m exporter"
    banner = f"""\
{world.system_name}, a simulated VergeOS with {number} VMs
  console        http://localhost:{port}/
  metrics        http://localhost:{port}/metrics
  explain a VM   {program} explain {EXAMPLE_VM if EXAMPLE_VM in names else names[0]}{at}
  find problems  {program} doctor{at}
  commands need  export VERGEWATCH_RECOVERY__TOKEN={DEMO_TOKEN}
  pause recovery {program} recovery pause --reason test{at}
  stop           Ctrl-C"""
    simulator = Simulator(world=world, clock=clock)
    asyncio.run(show(simulator, given, clock, token=DEMO_TOKEN, started=lambda: typer.echo(banner)))


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
            help="Initial fault, such as latency:seconds=2.",
        ),
    ] = None,
    tls: Annotated[
        bool, typer.Option("--tls", help="Serve https, with a certificate made at the start.")
    ] = False,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
) -> None:
    """Run a simulated VergeOS API server, for this daemon or any other client."""
    from exporter import logs
    from exporter.cli.demo import serve
    from exporter.config.loader import SIMULATOR_KEY_VARIABLE
    from exporter.simulator import Simulator, load_scenario
    from exporter.simulator.api.accounts import API_KEY
    from exporter.simulator.certificate import self_signed
    from exporter.web.server import parse_listen

    logs.configure(log_level or "info", log_format or "auto")
    clock = SystemClock()
    where = parse_listen(listen)
    with self_signed(where.host) if tls else nullcontext() as certificate:
        simulator = Simulator(
            world=load_scenario(scenario).with_changes(seed=seed, vms=vms).build(clock),
            clock=clock,
            host=where.host or ALL_ADDRESSES,
            port=where.port,
            api_key=os.environ.get(SIMULATOR_KEY_VARIABLE, API_KEY),
            ssl_context=None if certificate is None else certificate.context,
        )
        trusted = None if certificate is None else certificate.file
        asyncio.run(
            serve(simulator, faults or (), lambda one: _print_simulator_banner(one, trusted))
        )


@command.command()
def metrics(as_json: AsJson = False) -> None:
    """Print every metric with its labels and its meaning."""
    from exporter.cli import reference

    if as_json:
        print_json([one._asdict() for one in reference.metrics()])
        return
    for metric in reference.metrics():
        labels = ", ".join(metric.labels)
        _print(f"[bold]{metric.name}[/]{{{labels}}} [cyan]{metric.kind}[/]")
        typer.echo(textwrap.fill(metric.help, 76, initial_indent="    ", subsequent_indent="    "))


@command.command()
def settings(as_json: AsJson = False) -> None:
    """Print every setting, as Markdown."""
    from exporter.cli import reference

    if as_json:
        print_json(reference.setting_list())
        return
    typer.echo(reference.settings_table(), nl=False)


@command.command()
def completion(
    shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """
    Print the script that completes commands and options in a shell.

    For bash, for example: source <(vergewatch completion bash), in ~/.bashrc.
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    if shell not in ("bash", "zsh", "fish"):
        raise ConfigError(f"the shell {shell!r} must be bash, zsh or fish")
    script = get_completion_script(prog_name=PROGRAM, complete_var=COMPLETION_VARIABLE, shell=shell)
    typer.echo(script)


@command.command(hidden=True)
def docs(page: Path) -> None:
    """Print *page*, a file of docs/, with its generated parts updated."""
    from exporter.cli import reference

    typer.echo(reference.updated(page), nl=False)


@command.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Define the options common to all commands."""
    if show:
        typer.echo(f"vergewatch {__version__}")
        raise typer.Exit


@cache
def full_command() -> typer.Typer:
    """Return the command with those of recovery, whose HTTP client `--version` does not load."""
    from exporter.cli import backtest, doctor, journal, recovery, reload, retry, vms

    command.command()(doctor.doctor)
    command.command()(vms.vms)
    command.command()(recovery.explain)
    command.command()(retry.retry)
    command.command()(reload.reload)
    command.command()(backtest.backtest)
    command.add_typer(recovery.commands)
    command.add_typer(journal.commands)
    return command


def command_for(args: Sequence[str]) -> typer.Typer:
    """Return the command that understands *args*; for the daemon, without those of recovery."""
    return command if args[:1] == ["run"] else full_command()


def main() -> None:
    """Run the command line; what is wrong is printed in one line, without a traceback."""
    tolerate_any_character()
    # Under an ASCII locale Python decodes other bytes to surrogates, which cannot be sent.
    sys.argv[1:] = [os.fsencode(arg).decode(errors="replace") for arg in sys.argv[1:]]
    if COMPLETION_VARIABLE in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
    try:
        done = command_for(sys.argv[1:])(
            standalone_mode=False, prog_name=PROGRAM, complete_var=COMPLETION_VARIABLE
        )
    except (ConfigError, BaseExceptionGroup) as error:
        sys.exit(print_errors(error))
    except USAGE_ERROR as error:
        sys.exit(_print_usage_error(error))
    except typer.Abort:
        sys.exit(INTERRUPTED)
    sys.exit(done or 0)


def _print_usage_error(error: Any) -> int:
    """Print one line about an invalid option or argument; return the exit code."""
    path = error.ctx.command_path if error.ctx is not None else PROGRAM
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help
        typer.echo(error.format_message(), err=True)
        return INVALID
    text = " ".join(plain(error.format_message()).split()).rstrip(".")
    typer.echo(f"vergewatch: {text}; see {path} --help", err=True)
    return INVALID


def _given(**groups: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the options that were given, nested like the settings."""
    return {
        group: given
        for group, values in groups.items()
        if (given := {name: value for name, value in values.items() if value is not None})
    }


def _print_simulator_banner(simulator: "Simulator", certificate: Path | None) -> None:
    url, curl, variables, trust = simulator.url, "curl", "", ""
    if certificate is not None:
        trust = f"\n  trust      {certificate}, which is self-signed, and deleted at the end"
        curl, variables = f"curl --cacert {certificate}", f"VERGEWATCH_TLS__CA_FILE={certificate} "
    variables += f"VERGEWATCH_URL={url} VERGEWATCH_API_KEY={simulator.api_key}"
    typer.echo(f"""\
A simulated VergeOS, {simulator.world.system_name}, listens at {url}{trust}
  monitor    {variables} vergewatch run
  add fault  {curl} -X PUT {url}/simulator/faults/latency -d '{{"seconds": 2}}'
  end fault  {curl} -X DELETE {url}/simulator/faults/latency
  crash VM   {curl} -X POST {url}/simulator/vms/1/crash
  all calls  {curl} {url}/simulator/""")


def _print_nothing(_: Any) -> None:
    """Print nothing: the results are printed as JSON."""


def _print(text: Any) -> None:
    """Print Rich markup or a Rich table."""
    from rich.console import Console

    Console(soft_wrap=True, highlight=False, emoji=False).print(text)
