"""Prints what the daemon returns about recovery, for people."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from exporter.cli.console import PIPE_WIDTH, entry, new_console
from exporter.cli.times import local, moment, shown, time_of_day
from exporter.formatting import counted, lasting
from exporter.model import OpenQuestion
from exporter.recovery.model.cases import NotMonitored, Policy
from exporter.recovery.model.states import State
from exporter.recovery.model.views import (
    CommandInForce,
    SystemPatterns,
    SystemRecoveryStatus,
    TemplateStatus,
    VMRecoveryStatus,
)
from exporter.recovery.report.events import TimelineEvent
from exporter.recovery.report.explain import Explanation
from exporter.recovery.report.presentation import Tone, present_readiness, present_state
from exporter.recovery.report.receipts import receipt_text
from exporter.recovery.report.responses import (
    CommandResponse,
    LogResponse,
    PatternsResponse,
    ReportResponse,
    StatusResponse,
    VMsResponse,
)
from exporter.recovery.report.summary_text import summary_text

MAX_VMS = 20
"""Lines about VMs."""
GROUPED_FROM = 3
"""VMs with one reason that share a line."""
NAMED_IN_GROUP = 2
MAX_UNKNOWN = 20
"""Unknown templates that are printed beside the others."""
_WHY: Mapping[str, str] = {
    NotMonitored.SERVICE: "of a VergeOS service",
    NotMonitored.DISABLED: "disabled",
    NotMonitored.IGNORED: "ignored",
    NotMonitored.NO_UUID: "without a UUID of its own",
    NotMonitored.NO_STATUS: "not seen up or down yet",
    NotMonitored.NO_POLICY: "without tags and rules that could be read",
}
SETTLED = (State.HEALTHY, State.PROBATION)
"""States in which no decision is made; guard results are from the last downtime."""
STYLES: Mapping[Tone, str] = {
    Tone.GOOD: "green",
    Tone.MOVING: "cyan",
    Tone.QUIET: "",
    Tone.WARN: "yellow",
    Tone.BAD: "bold red",
}
EVENT_STYLES = {"action": "cyan", "command": "bold"}


def print_explanation(found: Explanation, *, asked: str, earlier: bool = False) -> None:
    """
    Print the sentence, the facts, the guards and the history.

    Args:
        earlier: Whether it is of an earlier decision.

    """
    console = new_console()
    near = found.as_of if earlier else None
    console.print(Text(shown(found.sentence, near=near), style="bold"))
    look = present_state(found.state)
    if asked not in (found.vm, str(found.vm_key)) and asked.lower() != found.uuid.lower():
        console.print(entry("  ", f"vm: {found.vm} (the only match for {asked!r})"))
    state = Text.assemble("state: ", (look.label, STYLES[look.tone]))
    state.append(f" (system {shown(found.system)}, key {found.vm_key})")
    console.print(entry("  ", state))
    if found.enrolled is not None:
        policy = "" if found.policy == Policy.NO else f"{found.policy}: "
        source = f" ({policy}{found.policy_source})" if found.policy else ""
        console.print(entry("  ", f"enrolled: {_yes_no(found.enrolled)}{source}"))
    if found.failed_guard is not None or found.decision is not None:
        console.print(entry("  ", _decision(found)))
    if found.suppressed_by:
        text = f"if it crashed now: no action ({found.suppressed_by})"
        console.print(entry("  ", Text(shown(text), style="yellow")))
    if found.fixes:
        console.print()
        console.print(Text("What to do:", style="bold"))
        for fix in found.fixes:
            console.print(entry("  - ", fix))
    if found.guards:
        console.print()
        when = f" at {moment(found.as_of)}" if found.as_of is not None else ""
        last = " of the last downtime," if found.state in SETTLED else ""
        console.print(Text(f"Guards{last}{when}:", style="bold"))
        table = _table()
        for result in sorted(found.guards, key=lambda one: one.passed):
            style = "green" if result.passed else "bold red"
            fix = f"; fix: {result.fix}" if result.fix else ""
            name = Text(f"{result.guard}: {_yes_no(result.passed)}", style)
            table.add_row(name, shown(f"{result.detail}{fix}"))
        console.print(Padding(table, (0, 0, 0, 2)))
    if found.history:
        console.print()
        console.print(Text("History, newest first:", style="bold"))
        _print_events(console, found.history, systems=False, vms=False)


def _decision(found: Explanation) -> str:
    result = f"no action, failed guard {found.failed_guard}" if found.failed_guard else "act"
    number = f", number {found.decision}" if found.decision is not None else ""
    since = f", since {moment(found.decided)}" if found.decided is not None else ""
    return f"decision: {result} (mode {found.mode}{number}{since})"


def print_status(answer: StatusResponse, vms: VMsResponse, *, every: bool = False) -> None:
    """Print each system with its VMs in trouble: equal reasons on a line, or *every* VM on one."""
    console = new_console()
    if answer.settings_problem:
        console.print(Text(shown(answer.settings_problem), style="bold red"))
    if not answer.systems:
        console.print("Recovery is off in every system.")
    for number, one in enumerate(answer.systems):
        if number:
            console.print()
        _print_system(console, one, [vm for vm in vms.vms if vm.system == one.system], every=every)


def _print_system(
    console: Console,
    status: SystemRecoveryStatus,
    vms: Sequence[VMRecoveryStatus],
    *,
    every: bool,
) -> None:
    look = present_readiness(status.readiness)
    head = Text.assemble(
        (f"{shown(status.system)}: recovery is ", "bold"),
        (look.label, STYLES[look.tone]),
        (f" in {status.mode} mode, {_trouble(status)}.", "bold"),
    )
    console.print(head)
    for line in _details(status):
        console.print(entry("  ", line))
    for question in status.questions:
        console.print(entry("  ", Text(shown(_question(question)), STYLES[Tone.WARN])))
    groups = [[vm] for vm in vms] if every else _grouped(vms)
    most = len(groups) if every else MAX_VMS
    if groups:
        table = _table()
        for group in groups[:most]:
            state = present_state(group[0].state)
            table.add_row(Text(state.label, STYLES[state.tone]), shown(_group_text(group)))
        console.print(Padding(table, (0, 0, 0, 2)))
    if left := sum(map(len, groups[most:])):
        console.print(entry("  ", f"and {left} more; --all lists them"))


def _grouped(vms: Sequence[VMRecoveryStatus]) -> list[list[VMRecoveryStatus]]:
    """Return *vms* in their order; those of a state and reason that many share are together."""
    groups: dict[tuple[str, str], list[VMRecoveryStatus]] = {}
    for vm in vms:
        groups.setdefault((vm.state, vm.reason), []).append(vm)
    found = []
    for (_, reason), group in groups.items():
        shares = reason and len(group) >= GROUPED_FROM
        found += [group] if shares else [[vm] for vm in group]
    return found


def _group_text(group: Sequence[VMRecoveryStatus]) -> str:
    if len(group) == 1:
        return group[0].sentence
    names = ", ".join(vm.vm for vm in group[:NAMED_IN_GROUP])
    more = f"and {len(group) - NAMED_IN_GROUP} more; --all lists them"
    return f"{counted(len(group), 'VM')}: {group[0].reason} ({names}, {more})"


def _trouble(status: SystemRecoveryStatus) -> str:
    counts = Counter(status.states) + Counter(status.others)
    down = sum(number for state, number in counts.items() if present_state(state).trouble)
    return f"{counted(down, 'VM')} in trouble" if down else "no VM in trouble"


def _details(status: SystemRecoveryStatus) -> Iterator[str]:
    if status.unseen:
        yield f"out of date: {status.unseen}"
    if status.paused is None and status.disarmed is None:
        yield f"readiness: {status.because}"
    for name, command in (("paused", status.paused), ("disarmed", status.disarmed)):
        if command is not None:
            yield _in_force(name, command)
    if status.leader:
        yield f"leader: the replica {status.leader}"
    yield from _counts(status)
    if status.under_way:
        yield f"open actions: {', '.join(status.under_way)}"
    if status.silences_unknown:
        yield f"silences: {status.silences_unknown}"
    if status.journal_problem and status.journal_problem != status.because:
        yield f"journal: {status.journal_problem}"
    if status.kill_switch_file:
        present = "present, so no action is taken; remove it to start a warm-up"
        absent = "absent; create the file to stop all actions"
        state = present if status.kill_switch else absent
        yield f"kill switch: {status.kill_switch_file} ({state})"
    yield f"url: {status.url}"


def _counts(status: SystemRecoveryStatus) -> Iterator[str]:
    """Yield how many VMs there are: what is enrolled, monitored and not monitored is all."""
    if status.listed:
        gone = f", and {status.gone} more a moment ago" if status.gone else ""
        yield f"in the inventory: {counted(status.listed, 'VM')}{gone}"
    yield f"enrolled: {counted(status.vms, 'VM')}{_by_state(status.states)}"
    if status.others:
        others = sum(status.others.values())
        yield f"monitored only: {counted(others, 'VM')}{_by_state(status.others)}"
    if status.not_monitored:
        rest = sum(status.not_monitored.values())
        reasons = status.not_monitored.items()
        why = ", ".join(f"{number} {_WHY.get(reason, reason)}" for reason, number in reasons)
        yield f"not monitored: {counted(rest, 'VM')} ({why})"


def _question(question: OpenQuestion) -> str:
    number = question.number
    return (
        f"question {number}: {question.action} of {question.vm_name} ({question.diagnosis}: "
        f"{question.evidence}), down since {moment(question.since)}, open until "
        f"{moment(question.expires)}; vergewatch recovery approve {number} --reason ..., or "
        f"vergewatch recovery deny {number} --reason ..."
    )


def _by_state(states: Mapping[str, int]) -> str:
    counts = ", ".join(f"{number} {present_state(state).label}" for state, number in states.items())
    return f" ({counts})" if counts else ""


def _in_force(name: str, command: CommandInForce) -> str:
    left = ""
    if command.left_seconds is not None:
        left = f", {lasting(command.left_seconds)} left"
    return f"{name}: by {command.owner} since {moment(command.since)}{left}: {command.reason}"


def print_log(answer: LogResponse) -> None:
    """Print the events, newest first."""
    console = new_console()
    events = answer.events
    if not events:
        console.print("No events are recorded.")
        return
    if console.width != PIPE_WIDTH:
        kinds = Counter(event.kind for event in events)
        counts = ", ".join(counted(number, kind) for kind, number in kinds.items())
        vms = {event.vm for event in events} - {""}
        whose = f" of {vms.pop()}" if len(vms) == 1 else ""
        head = f"{counted(len(events), 'event')}{whose}, newest first: {counts}."
        console.print(Text(shown(head), style="bold"))
    several = len({event.system for event in events}) > 1
    _print_events(console, events, systems=several, vms=True)


def print_report(answer: ReportResponse) -> None:
    """Print the summary of each system."""
    console = new_console()
    if not answer.summaries:
        console.print("Recovery is off in every system.")
    for summary in answer.summaries:
        headline, *lines = summary_text(summary).splitlines()
        console.print(Text(shown(headline), "bold"))
        for line in lines:
            text = line.lstrip()
            console.print(entry(line.removesuffix(text), text))


def print_receipts(answer: CommandResponse) -> None:
    """Print the effect of a command in each system."""
    console = new_console()
    for receipt in answer.commands:
        console.print(Text(shown(receipt_text(receipt))), soft_wrap=True)


def print_patterns(answer: PatternsResponse, *, unknown: bool) -> None:
    """Print the meanings in each system; of the unknown templates, all if *unknown*."""
    console = new_console()
    if not answer.systems:
        console.print("Recovery is off in every system.")
    for number, system in enumerate(answer.systems):
        if number:
            console.print()
        if not unknown:
            _print_known(console, system)
        listed = system.unknown if unknown else system.unknown[:MAX_UNKNOWN]
        title = f"{system.system}: {counted(len(system.unknown), 'unknown template')}"
        console.print(Text(shown(title), style="bold"))
        for status in listed:
            console.print(entry("  ", Text(shown(status.template), "yellow")))
            for line in _facts_of(status):
                console.print(entry("    ", line))
        if len(listed) < len(system.unknown):
            more = len(system.unknown) - len(listed)
            console.print(entry("  ", f"and {more} more; --unknown prints all"))


def _print_known(console: Console, system: SystemPatterns) -> None:
    sections = (
        ("known pattern", [(one.means, one.pattern) for one in system.known]),
        (
            "taught template",
            [(one.means, f"{one.template} ({one.owner}: {one.reason})") for one in system.taught],
        ),
        (
            "learned template",
            [("harmless", f"{one.template} ({seen_text(one)})") for one in system.learned],
        ),
    )
    for title, lines in sections:
        head = f"{system.system}: {counted(len(lines), title)}"
        console.print(Text(shown(head), style="bold"))
        if lines:
            table = _table()
            for means, text in lines:
                table.add_row(means, shown(text))
            console.print(Padding(table, (0, 0, 0, 2)))


def _facts_of(status: TemplateStatus) -> list[str]:
    blocked = counted(status.blocked, "diagnosis", "diagnoses")
    found = [f"blocked {blocked}; seen {seen_text(status)}"]
    if status.example:
        found.append(f"example: {status.example}")
    if status.missing:
        last = f" (the last: {status.last_mark})" if status.last_mark else ""
        found.append(f"not learned: {status.missing}{last}")
    return [*found, status.command]


def seen_text(status: TemplateStatus) -> str:
    """Return how often rows of a template were seen, by their source."""
    seen = [f"{times:,} x {source}" for source, times in status.sightings.items()]
    return ", ".join(seen) or "never on a VM that stayed up"


def _print_events(
    console: Console, events: Sequence[TimelineEvent], *, systems: bool, vms: bool
) -> None:
    """Print *events* under their day in a terminal, with the day on each line elsewhere."""
    by_day = console.width != PIPE_WIDTH
    for day, of_day in groupby(events, key=lambda event: f"{local(event.time):%Y-%m-%d %Z}"):
        if by_day:
            console.print(Text(day, style="dim"))
        table = _table(fixed=1 + systems + vms)
        for event in of_day:
            cells = [Text((time_of_day if by_day else moment)(event.time), "dim")]
            if systems:
                cells.append(Text(shown(event.system)))
            if vms:
                cells.append(Text(shown(event.vm) or "-"))
            table.add_row(
                *cells, Text(shown(event.text, near=event.time), EVENT_STYLES.get(event.kind, ""))
            )
        console.print(table)


def _table(*, fixed: int = 1) -> Table:
    """Return a table without borders: *fixed* columns that are not wrapped, and one that is."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for _ in range(fixed):
        table.add_column(no_wrap=True, overflow="fold")
    table.add_column(overflow="fold")
    return table


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"
