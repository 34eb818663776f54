"""The commands that ask a running daemon about recovery, and that steer it."""

import asyncio
import io
import os
import re
import sys
import textwrap
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from exporter.cli.daemon_client import (
    DEFAULT_URL,
    URL_VARIABLE,
    Clouds,
    DaemonClient,
    Orders,
    Vms,
    parse_span,
    read_token,
    who_am_i,
)
from exporter.errors import ConfigError
from exporter.formatting import counted, lasting
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.report.events import TimelineEvent
from exporter.recovery.report.explain import Explanation
from exporter.recovery.report.summary import tell
from exporter.web.ports import Brief, Care, CommandInForce, Given

PIPE_WIDTH = 400
"""Where nobody looks, nothing is wrapped that could be searched for."""
TONES = {
    "quarantined": "bold red", "unknown": "bold red", "held": "yellow", "backoff": "yellow",
    "indeterminate": "yellow", "platform": "yellow", "suspect": "cyan", "acting": "cyan",
    "verifying": "cyan", "probation": "green", "healthy": "green",
    "active": "green", "warming_up": "cyan", "circuit_breaker_open": "bold red", "broken": "bold red",
    "journal_down": "bold red",
}  # fmt: skip
WORST_FIRST = 20
SETTLED = ("healthy", "probation")
"""States in which nothing is decided on a VM."""

T = TypeVar("T")

commands = typer.Typer(
    name="recovery",
    help="How recovery stands, what it did, and what it may do; asked of the running daemon.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Url = Annotated[
    str, typer.Option("--url", metavar="URL", envvar=URL_VARIABLE, help="Where the daemon listens.")
]
System = Annotated[
    str | None, typer.Option("--system", metavar="NAME", help="One cloud; without it, all.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print what the daemon answered.")]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="What lets you change something."),
]
Owner = Annotated[
    str | None, typer.Option("--owner", metavar="NAME", help="Who you are; default: your login.")
]
Reason = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why, for whoever reads it tonight.")
]


def explain(
    vm: Annotated[str, typer.Argument(metavar="VM", help="Its name, key or uuid.")],
    decision: Annotated[
        int | None,
        typer.Option("--decision", metavar="NUMBER", help="As it was when that was decided."),
    ] = None,
    system: System = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Say why a VM is up or down, what Vergewatch does about it, and what would change that."""
    if not vm.strip():
        raise ConfigError("which VM? give its name, key or uuid")
    answer = _asked(DaemonClient(url).explain(vm, system, decision))
    if not _printed(answer, as_json=as_json):
        _show_explanation(answer)


@commands.command()
def status(system: System = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Say how recovery stands in each cloud, and which VMs are in trouble."""
    daemon = DaemonClient(url)

    async def both() -> tuple[Clouds, Vms]:
        return await daemon.status(system), await daemon.vms(system)

    recoveries, vms = _asked(both())
    problem = recoveries.settings_problem
    answer = {"systems": recoveries.systems, "vms": vms.vms, "settings_problem": problem}
    if _printed(answer, as_json=as_json):
        return
    if problem:
        told = f"The settings were {_plain(problem)}. Those before them are in force."
        _console().print(Text(told, style="bold red"))
    if not recoveries.systems:
        _console().print("recovery is off in every cloud")
    for number, care in enumerate(recoveries.systems):
        if number:
            _console().print()
        _show_care(care, [vm for vm in vms.vms if vm.system == care.system])


@commands.command()
def log(
    vm: Annotated[str | None, typer.Argument(metavar="[VM]", help="Only of this VM.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many lines.")] = 30,
    system: System = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Print what happened, newest first: steps, decisions, actions and orders."""
    answer = _asked(DaemonClient(url).log(vm, system, limit))
    if _printed(answer, as_json=as_json):
        return
    if not answer.lines:
        _console().print("nothing has happened yet")
        return
    several = len({line.system for line in answer.lines}) > 1
    _show_lines(answer.lines, systems=several, vms=True)


@commands.command()
def report(
    days: Annotated[float, typer.Option("--days", min=0.01, max=366, help="How far back.")] = 7.0,
    system: System = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Print what recovery did, or in shadow mode would have done, and whether it was right."""
    answer = _asked(DaemonClient(url).report(system, days))
    if _printed(answer, as_json=as_json):
        return
    console = _console()
    for account in answer.accounts:
        for line in tell(account).splitlines():
            depth = len(line) - len(line.lstrip())
            wrapped = textwrap.fill(
                _plain(line),
                console.width,
                subsequent_indent=" " * (depth + 4),
                break_on_hyphens=False,
            )
            console.print(Text(wrapped, style="" if depth else "bold"), soft_wrap=True)


@commands.command()
def pause(
    reason: Reason,
    span: Annotated[
        str, typer.Option("--for", metavar="TIME", help="Such as 2h or 30m; 24h at most.")
    ] = "4h",
    owner: Owner = None,
    system: System = None,
    token_file: TokenFile = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Have recovery do nothing for a while, after which it goes on by itself."""
    seconds = parse_span(span)
    _order(CommandKind.PAUSE, url, token_file, as_json=as_json, owner=owner, reason=reason,
           seconds=seconds, system=system)  # fmt: skip


def _register(kind: CommandKind, does: str) -> None:
    """Make an order that wants nothing but a reason a command."""

    @commands.command(kind.value, help=does)
    def give(
        reason: Reason,
        owner: Owner = None,
        system: System = None,
        token_file: TokenFile = None,
        url: Url = DEFAULT_URL,
        as_json: AsJson = False,
    ) -> None:
        _order(kind, url, token_file, as_json=as_json, owner=owner, reason=reason, system=system)


_register(CommandKind.RESUME, "End a pause; a warm-up follows.")
_register(CommandKind.DISARM, "Have recovery do nothing until somebody arms it again.")
_register(CommandKind.ARM, "End a disarming; a warm-up follows.")
_register(
    CommandKind.ACCEPT,
    "Say that what is seen is so: missing VMs are gone, and a storm is one; a warm-up follows.",
)


@commands.command()
def clear(
    vm: Annotated[str, typer.Argument(metavar="VM", help="Its name, key or uuid.")],
    reason: Reason,
    owner: Owner = None,
    system: System = None,
    token_file: TokenFile = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Give a VM that was given up another chance; what was tried before counts no longer."""
    _order(CommandKind.CLEAR, url, token_file, as_json=as_json, owner=owner, reason=reason,
           vm=vm, system=system)  # fmt: skip


def _order(
    kind: CommandKind,
    url: str,
    token_file: Path | None,
    *,
    as_json: bool,
    owner: str | None,
    **body: Any,
) -> None:
    owner = owner or who_am_i()
    if not owner:
        raise ConfigError("nobody knows who you are; say so with --owner NAME")
    daemon = DaemonClient(url, read_token(token_file))
    answer: Orders = _asked(daemon.order(kind, owner=owner, **body))
    if _printed(answer, as_json=as_json):
        return
    for given in answer.orders:
        _console().print(Text(_plain(_told(given))), soft_wrap=True)


def _asked(question: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(question)


def _printed(answer: Any, *, as_json: bool) -> bool:
    """Print *answer* if JSON is what was wanted; return whether it was."""
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())
    return as_json


# How it looks.

_DONE = {
    "pause": "paused",
    "resume": "no pause is in force",
    "disarm": "disarmed until somebody arms it",
    "arm": "no order to disarm is in force",
    "accept": "what is seen is taken for true",
    "clear": "what was tried on {vm} before counts no longer",
}


def _told(given: Given) -> str:
    """Return what was done, and how recovery stands now, which may be by another order."""
    done = _DONE.get(given.kind, given.kind).format(vm=given.vm)
    lasts = f" for {lasting(given.seconds)}" if given.seconds is not None else ""
    readiness = given.readiness.replace("_", " ")
    if given.kind == "pause" and (given.paused_seconds or 0.0) > (given.seconds or 0.0) + 1:
        left = lasting(given.paused_seconds or 0.0)
        done, lasts = f"stays paused for {left}, since no pause shortens another", ""
    return f"{given.system}: {done}{lasts}; recovery is {readiness} ({given.because})"


def _show_explanation(told: Explanation) -> None:
    console = _console()
    head = Text.assemble(
        (_plain(told.vm), "bold"), "  ", (told.state, TONES.get(told.state, "")),
        (f"  {_plain(told.system)}, key {told.vm_key}", "dim"),
    )  # fmt: skip
    console.print(head, soft_wrap=True)
    console.print(Text(_plain(told.sentence)))
    if told.enrolment:
        console.print(Text(f"Its owner allows: {_plain(told.enrolment)}.", style="dim"))
    if told.left_alone:
        told_so = f"If it crashed now, it would be left alone: {_plain(told.left_alone)}."
        console.print(Text(told_so, style="yellow"))
    if told.to_change:
        console.print()
        console.print(Text("What would have to change", style="bold"))
        for cure in told.to_change:
            console.print(_entry("- ", cure))
    if told.guards:
        console.print()
        number = f", decision {told.decision}" if told.decision is not None else ""
        since = f" since {_when(told.decided)} UTC" if told.decided is not None else ""
        console.print(Text(f"What each guard said{_as_of(told)}", style="bold"))
        console.print(Text(f"Decided: {told.reason}{since}{number}.", style="dim"))
        table = _table(("", False), ("", False), ("", True))
        for guard in sorted(told.guards, key=lambda one: one.allowed):
            mark = Text("ok", "green") if guard.allowed else Text("NO", "bold red")
            table.add_row(mark, guard.name, _plain(guard.says))
        console.print(table)
    if told.history:
        console.print()
        console.print(Text("What happened, newest first", style="bold"))
        _show_lines(told.history, systems=False, vms=False)


def _as_of(told: Explanation) -> str:
    last = " when it was last down," if told.state in SETTLED else ""
    return f"{last} at {_when(told.as_of)} UTC" if told.as_of is not None else last


def _show_care(care: Care, vms: list[Brief]) -> None:
    console = _console()
    head = Text.assemble(
        (_plain(care.system), "bold"), "  ", (care.readiness, TONES.get(care.readiness, "yellow")),
        f"  mode {care.mode}", (f"  {_plain(care.url)}", "dim"),
    )  # fmt: skip
    console.print(head, soft_wrap=True)
    for line in _standing(care):
        console.print(_entry("  ", line))
    worst = vms[:WORST_FIRST]
    if worst:
        table = _table(("", False), ("", True))
        for vm in worst:
            table.add_row(Text(vm.state, TONES.get(vm.state, "")), _plain(vm.sentence))
        console.print(Padding(table, (0, 0, 0, 2)))
    if len(vms) > len(worst):
        console.print(_entry("  ", f"and {len(vms) - len(worst)} more: --json has them all"))


def _standing(care: Care) -> Iterator[str]:
    if care.unseen:
        yield f"{care.unseen}; what is said here is how it was then"
    if care.paused is None and care.disarmed is None:
        yield care.because
    for what, order in (("paused", care.paused), ("disarmed", care.disarmed)):
        if order is not None:
            yield _order_in_force(what, order)
    if care.kill_switch_file:
        there = "there; when it is removed, a warm-up begins"
        state = there if care.kill_switch else "not there; `touch` it to forbid everything"
        yield f"kill switch: {care.kill_switch_file} ({state})"
    if care.silences_unknown:
        yield f"silences: {care.silences_unknown}"
    if care.journal_problem and care.journal_problem != care.because:
        yield f"journal: {care.journal_problem}"
    yield f"{counted(care.vms, 'VM')} looked after{_by_state(care.states)}"
    if care.others:
        others = sum(care.others.values())
        yield f"{others} only looked at, since nobody enrolled them{_by_state(care.others)}"
    if care.under_way:
        yield f"under way: {', '.join(care.under_way)}"


def _by_state(states: Mapping[str, int]) -> str:
    counts = ", ".join(f"{number} {state}" for state, number in states.items())
    return f": {counts}" if counts else ""


def _order_in_force(what: str, order: CommandInForce) -> str:
    left = f", {lasting(order.left_seconds)} left" if order.left_seconds is not None else ""
    return f"{what} by {order.owner} since {_when(order.since)} UTC{left}: {order.reason}"


def _show_lines(lines: Sequence[TimelineEvent], *, systems: bool, vms: bool) -> None:
    """Print what happened: day by day to people, each line by itself to programs."""
    console = _console()
    by_day = console.width != PIPE_WIDTH
    for day, of_it in groupby(lines, key=lambda line: f"{line.time:%Y-%m-%d} UTC"):
        if by_day:
            console.print(Text(day, style="dim"))
        table = _table(*[("", False)] * (1 + systems + vms), ("", True))
        for line in of_it:
            cells = [Text(f"{line.time:%H:%M:%S}" if by_day else _when(line.time), "dim")]
            if systems:
                cells.append(Text(_plain(line.system)))
            if vms:
                cells.append(Text(_plain(line.vm) or "-"))
            tone = {"action": "cyan", "order": "bold"}.get(line.kind, "")
            table.add_row(*cells, Text(_plain(line.text), tone))
        console.print(table)


def _table(*columns: tuple[str, bool]) -> Table:
    """Return a table of which only the columns that say so are wrapped."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for title, wraps in columns:
        table.add_column(title, no_wrap=not wraps, overflow="fold", ratio=None)
    return table


def _entry(mark: str, text: str) -> Table:
    """Return *text* after a mark, its further lines as far to the right as its first."""
    table = Table.grid()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(mark, Text(_plain(text)))
    return table


def _plain(text: str) -> str:
    """Return *text* without what would move a terminal's cursor: names come from elsewhere."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _console() -> Console:
    console = Console(highlight=False)
    if console.is_terminal:
        return console
    width = None if "COLUMNS" in os.environ else PIPE_WIDTH
    return Console(highlight=False, width=width, file=_Unpadded())


class _Unpadded(io.StringIO):
    """Standard output without the blanks that fill a table's cells: programs read it."""

    def write(self, text: str) -> int:
        return sys.stdout.write(re.sub(r" +$", "", text, flags=re.MULTILINE))

    def flush(self) -> None:
        sys.stdout.flush()
