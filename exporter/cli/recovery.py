"""
Commands that query a running daemon about recovery, or control it.

Heavy modules are imported inside the functions, so that other commands do not load them.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from exporter.cli.daemon_url import DEFAULT_URL, Url
from exporter.cli.json_output import AsJson, print_json
from exporter.cli.times import Utc
from exporter.errors import ConfigError
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.log_templates import TEACHABLE
from exporter.recovery.report.requests import REPORT_SINCE

if TYPE_CHECKING:
    from exporter.cli.daemon_client import DaemonClient


class PlainHelp(TyperCommand):
    """A command with help in plain text: the tables of rich cut words in narrow terminals."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.rich_markup_mode = None
        super().format_help(ctx, formatter)


commands = typer.Typer(
    name="recovery",
    help="Show and control the recovery of the running daemon.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

VM = Annotated[
    str, typer.Argument(metavar="VM", help="Name, key or UUID of the VM, or key:KEY or name:NAME.")
]
System = Annotated[
    str | None,
    typer.Option("--system", metavar="NAME", help="Name of one system. Default: all."),
]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="File with the recovery token."),
]
Owner = Annotated[
    str | None, typer.Option("--owner", metavar="NAME", help="Your name. Default: your login name.")
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why you give the command.")]


def explain(
    vm: Annotated[
        str,
        typer.Argument(
            metavar="VM",
            help="Name, unique part of a name, key or UUID of the VM, or key:KEY or name:NAME.",
        ),
    ],
    decision: Annotated[
        int | None,
        typer.Option("--decision", metavar="NUMBER", help="Explain an earlier decision."),
    ] = None,
    system: System = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
    utc: Utc = False,
) -> None:
    """Explain why a VM is up or down, and what Vergewatch does about it."""
    if not vm.strip():
        raise ConfigError("the VM is empty; give its name, key or UUID")
    answer = _client(url).explain(vm, system, decision)
    earlier = decision is not None
    _show(
        answer,
        lambda output: output.print_explanation(answer, asked=vm, earlier=earlier),
        as_json=as_json,
    )


@commands.command(cls=PlainHelp)
def status(
    system: System = None,
    every: Annotated[
        bool, typer.Option("--all", help="List each VM instead of grouping equal reasons.")
    ] = False,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
    utc: Utc = False,
) -> None:
    """Show the readiness of recovery and the VMs in trouble."""
    client = _client(url)
    answer, vms = client.status(system), client.vms(system)
    document = {
        "systems": answer.systems,
        "vms": vms.vms,
        "settings_problem": answer.settings_problem,
    }
    _show(document, lambda output: output.print_status(answer, vms, every=every), as_json=as_json)


@commands.command(cls=PlainHelp)
def log(
    vm: Annotated[
        str | None,
        typer.Argument(metavar="VM", help="Show the events of this VM only."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="Number of events.")] = 30,
    since: Annotated[
        str,
        typer.Option("--since", metavar="TIME", help="Start: a duration such as 2h, or a time."),
    ] = "",
    follows: Annotated[
        bool,
        typer.Option(
            "--follow", "-f", help="Print new events as they happen, oldest first, until Ctrl-C."
        ),
    ] = False,
    system: System = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
    utc: Utc = False,
) -> None:
    """Show state changes, decisions, actions and commands, newest first."""
    client = _client(url)
    if follows:
        from exporter.cli.follow import follow

        follow(lambda: client.log(vm, system, limit, since).events, as_json=as_json)
        return
    answer = client.log(vm, system, limit, since)
    _show(answer, lambda output: output.print_log(answer), as_json=as_json)


@commands.command(cls=PlainHelp)
def report(
    since: Annotated[
        str,
        typer.Option(
            "--since", metavar="TIME", help="Start: a time, or a duration before the end."
        ),
    ] = REPORT_SINCE,
    until: Annotated[
        str,
        typer.Option("--until", metavar="TIME", help="End: a time, or a duration before now."),
    ] = "",
    system: System = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print the downtimes as CSV, one row each.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write an HTML page with charts.")
    ] = None,
    utc: Utc = False,
) -> None:
    """Summarize what recovery did, or would have done in enforce mode, and how good it was."""
    if as_json + as_csv + (html is not None) > 1:
        raise ConfigError("--json, --csv and --html exclude each other; pass one of them")
    answer = _client(url).report(system, since, until)
    if html is not None:
        from exporter.cli.report_page import report_page

        _write(html, report_page(answer.summaries))
    elif as_csv:
        from exporter.recovery.report.summary_csv import summaries_csv

        typer.echo(summaries_csv(answer.summaries), nl=False)
    else:
        _show(answer, lambda output: output.print_report(answer), as_json=as_json)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error.strerror}") from None
    typer.echo(f"Wrote {file}.")


@commands.command(cls=PlainHelp)
def pause(
    reason: Reason,
    duration: Annotated[
        str, typer.Option("--for", metavar="TIME", help="Duration, such as 30m. At most 24h.")
    ] = "4h",
    owner: Owner = None,
    system: System = None,
    token_file: TokenFile = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Pause recovery for a limited time."""
    from exporter.formatting import parse_duration

    try:
        seconds = parse_duration(duration.strip().lower())
    except ValueError as error:
        raise ConfigError(f"--for {duration}: {error}") from None
    _give(CommandKind.PAUSE, url, token_file, as_json=as_json, owner=owner, reason=reason,
          seconds=seconds, system=system)  # fmt: skip


def _register(kind: CommandKind, help_text: str) -> None:
    @commands.command(kind.value, help=help_text, cls=PlainHelp)
    def give(
        reason: Reason,
        owner: Owner = None,
        system: System = None,
        token_file: TokenFile = None,
        url: Url = DEFAULT_URL,
        as_json: AsJson = False,
    ) -> None:
        _give(kind, url, token_file, as_json=as_json, owner=owner, reason=reason, system=system)


_register(CommandKind.RESUME, "End a pause. A warm-up follows.")
_register(CommandKind.DISARM, "Stop all actions until an operator arms recovery.")
_register(CommandKind.ARM, "Arm recovery after a disarm. A warm-up follows.")
_register(
    CommandKind.ACCEPT,
    "Accept the current inventory as correct: missing VMs were deleted, the mass outage is real. "
    "A warm-up follows.",
)
_register(
    CommandKind.STEP_DOWN,
    "Let another replica lead recovery. If none takes the lead within a minute, the same one does.",
)


@commands.command(cls=PlainHelp)
def clear(
    vm: VM,
    reason: Reason,
    owner: Owner = None,
    system: System = None,
    token_file: TokenFile = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Take a VM out of quarantine and refill its restart budget."""
    _give(CommandKind.CLEAR, url, token_file, as_json=as_json, owner=owner, reason=reason,
          vm=vm, system=system)  # fmt: skip


@commands.command(cls=PlainHelp)
def patterns(
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Show the unknown templates only.")
    ] = False,
    as_yaml: Annotated[
        bool,
        typer.Option("--yaml", help="Print what is taught and learned as recovery.log_patterns."),
    ] = False,
    system: System = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Show what the templates of log rows mean: known, taught, learned and unknown ones."""
    from exporter.cli import pattern_settings

    answer = _client(url).patterns(system)
    if unknown:
        answer = pattern_settings.only_unknown(answer)
    if as_yaml:
        typer.echo(pattern_settings.as_yaml(answer), nl=False)
        return
    _show(answer, lambda output: output.print_patterns(answer, unknown=unknown), as_json=as_json)


TemplateText = Annotated[
    str, typer.Argument(metavar="TEMPLATE", help="The template, or the text of a row of the log.")
]


@commands.command(cls=PlainHelp)
def teach(
    template: TemplateText,
    means: Annotated[
        str, typer.Argument(metavar="MEANING", help=f"One of {', '.join(TEACHABLE)}.")
    ],
    reason: Reason,
    owner: Owner = None,
    system: System = None,
    token_file: TokenFile = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Teach what the rows of a log template mean. In force at once; `forget` revokes it."""
    if means not in TEACHABLE:
        raise ConfigError(f"the meaning {means!r} must be one of {', '.join(TEACHABLE)}")
    _give(CommandKind.TEACH, url, token_file, as_json=as_json, owner=owner, reason=reason,
          template=template, means=means, system=system)  # fmt: skip


@commands.command(cls=PlainHelp)
def forget(
    template: TemplateText,
    reason: Reason,
    owner: Owner = None,
    system: System = None,
    token_file: TokenFile = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Forget what was taught about a log template, and the experience with it."""
    _give(CommandKind.FORGET, url, token_file, as_json=as_json, owner=owner, reason=reason,
          template=template, system=system)  # fmt: skip


Question = Annotated[int, typer.Argument(metavar="NUMBER", min=1, help="Number of the question.")]


def _register_answer(kind: CommandKind, help_text: str) -> None:
    @commands.command(kind.value, help=help_text, cls=PlainHelp)
    def give(
        question: Question,
        reason: Reason,
        owner: Owner = None,
        system: System = None,
        token_file: TokenFile = None,
        url: Url = DEFAULT_URL,
        as_json: AsJson = False,
    ) -> None:
        _give(kind, url, token_file, as_json=as_json, owner=owner, reason=reason,
              question=question, system=system)  # fmt: skip


_register_answer(
    CommandKind.APPROVE,
    "Approve the action of a question. Everything is checked again before the action is sent.",
)
_register_answer(
    CommandKind.DENY,
    "Deny the action of a question. Recovery does not ask again until the VM was up.",
)


def _give(
    kind: CommandKind,
    url: str,
    token_file: Path | None,
    *,
    as_json: bool,
    owner: str | None,
    **body: Any,
) -> None:
    from exporter.cli.daemon_client import login_name, read_token
    from exporter.recovery.report.requests import CommandBody

    owner = owner or login_name()
    if not owner:
        raise ConfigError("cannot determine your user name; pass --owner NAME")
    client = _client(url, read_token(token_file))
    answer = client.command(kind, CommandBody(owner, **body))
    _show(answer, lambda output: output.print_receipts(answer), as_json=as_json)


def _client(url: str, token: str = "") -> DaemonClient:
    from exporter.cli.daemon_client import DaemonClient

    return DaemonClient(url, token)


def _show(answer: Any, show: Callable[[ModuleType], None], *, as_json: bool) -> None:
    """Print *answer* as JSON, or call *show* with the module that prints it for people."""
    if as_json:
        print_json(answer)
    else:
        from exporter.cli import recovery_output

        show(recovery_output)
