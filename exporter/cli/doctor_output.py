"""Prints what the doctor found, for people: problems first, then what is well, then the rest."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from exporter.cli.console import entry, new_console
from exporter.cli.times import moment, shown
from exporter.doctor.responses import CheckReport, DoctorResponse, Outcome, SystemExamination
from exporter.formatting import counted
from exporter.model import Finding

MAX_FINDINGS = 10
"""Of one check; 200 drives that are too warm must not hide the other checks."""
STYLES: Mapping[Outcome, str] = {
    Outcome.CRITICAL: "bold red",
    Outcome.WARNING: "yellow",
    Outcome.OK: "green",
    Outcome.SKIPPED: "dim",
}
PROBLEMS = (Outcome.CRITICAL, Outcome.WARNING)


def print_examinations(answer: DoctorResponse) -> None:
    """Print the results of each system."""
    console = new_console()
    for number, one in enumerate(answer.systems):
        if number:
            console.print()
        _print_system(console, one)


def _print_system(console: Console, system: SystemExamination) -> None:
    console.print(
        Text.assemble(
            (f"{shown(system.system)}: ", "bold"), (_headline(system), STYLES[system.result])
        )
    )
    for outcome in PROBLEMS:
        for check in _with(system, outcome):
            console.print()
            _print_problem(console, check)
    well = _with(system, Outcome.OK)
    if well:
        console.print()
        names = ", ".join(one.check for one in well)
        console.print(Text(f"{counted(len(well), 'check')} found nothing: {names}"))
    skipped = _with(system, Outcome.SKIPPED)
    if skipped:
        console.print()
        console.print(Text(f"{counted(len(skipped), 'check')} skipped:"))
        for reason in dict.fromkeys(one.skipped for one in skipped):
            names = ", ".join(one.check for one in skipped if one.skipped == reason)
            console.print(entry("  ", f"{names}: {reason}"))
    if any(one.needs_admin for one in system.checks):
        names = ", ".join(one.check for one in system.checks if one.needs_admin)
        console.print()
        console.print(Text(f"Need the API key of an administrator: {names}", "dim"))


def _headline(system: SystemExamination) -> str:
    found = [
        f"{counted(len(_with(system, outcome)), 'check')} {outcome}"
        for outcome in PROBLEMS
        if _with(system, outcome)
    ]
    return ", ".join(found) or "no problem found"


def _with(system: SystemExamination, outcome: Outcome) -> Sequence[CheckReport]:
    return [one for one in system.checks if one.result is outcome]


def _print_problem(console: Console, check: CheckReport) -> None:
    head = Text.assemble((check.result.upper(), STYLES[check.result]), f" {check.check}: ")
    console.print(head.append(check.summary, "bold"))
    for finding in check.findings[:MAX_FINDINGS]:
        console.print(entry("  ", _line(finding, check)))
    if len(check.findings) > MAX_FINDINGS:
        more = len(check.findings) - MAX_FINDINGS
        console.print(entry("  ", f"and {more} more; --json prints all"))
    console.print(entry("  What to do: ", check.remedy))
    console.print(entry("  ", Text(f"alert and runbook: {check.alert}", "dim")))


def _line(finding: Finding, check: CheckReport) -> str:
    since = f", since {moment(finding.since)}" if finding.since is not None else ""
    level = "" if finding.level.value == check.result.value else f" ({finding.level})"
    return f"{finding.subject}{level}: {finding.evidence}{since}"
