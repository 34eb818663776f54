"""Prints a list of VMs, for people."""

from collections.abc import Mapping
from datetime import datetime

from rich.table import Table
from rich.text import Text

from exporter.cli.console import new_console
from exporter.console.fleet import VMEntry
from exporter.console.vm_condition import Condition
from exporter.console.vm_list import VMListResponse
from exporter.formatting import counted, lasting, plain
from exporter.recovery.model.decision import GuardName
from exporter.recovery.report.presentation import CALM_STATES

STYLES: Mapping[Condition, str] = {
    Condition.DOWN: "bold red",
    Condition.TROUBLE: "yellow",
    Condition.UNKNOWN: "yellow",
    Condition.CHANGING: "cyan",
    Condition.RUNNING: "green",
    Condition.OFF: "dim",
}


def print_vms(answer: VMListResponse, now: datetime) -> None:
    """Print how many VMs fit, and a table of those in *answer*."""
    console = new_console()
    console.print(Text(_headline(answer), "bold"))
    if not answer.vms:
        return
    console.print()
    has_systems = len({vm.system for vm in answer.vms}) > 1
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("CONDITION", no_wrap=True)
    table.add_column("VM", overflow="fold", min_width=12)
    for column in [*["SYSTEM"] * has_systems, "NODE"]:
        table.add_column(column, overflow="fold")
    table.add_column("IP", no_wrap=True)
    table.add_column("RECOVERY", overflow="fold")
    table.add_column("DOWN FOR", no_wrap=True)
    for vm in answer.vms:
        table.add_row(
            Text(vm.condition, STYLES[vm.condition]),
            Text(plain(vm.name)),
            *[Text(plain(vm.system))] * has_systems,
            Text(plain(vm.node)),
            Text(plain(vm.addresses[0]) if vm.addresses else ""),
            Text(plain(_recovery(vm))),
            Text(_down_for(vm, now)),
        )
    console.print(table)
    if answer.total > len(answer.vms):
        console.print()
        more = answer.total - len(answer.vms)
        console.print(Text(f"and {more:,} more; name a filter, or --all", "dim"))


def _headline(answer: VMListResponse) -> str:
    if not answer.total:
        return "No VM fits."
    counts = [f"{count:,} {condition}" for condition, count in answer.conditions.items()]
    number = counted(answer.total, "VM")
    if sum(answer.conditions.values()) != answer.total:  # of one condition; the others are near
        return f"{number}; with any condition: {', '.join(counts)}"
    return f"{number}: {', '.join(counts)}"


def _recovery(vm: VMEntry) -> str:
    if not vm.recovery_state:
        return ""
    if vm.recovery_state in CALM_STATES:
        return "enrolled" if vm.is_enrolled else "monitored"
    reason = vm.failed_guard or vm.cause
    if reason == GuardName.ENROLLED:
        reason = "not enrolled"  # the name of the guard alone would say the opposite
    return f"{vm.recovery_state}: {reason}" if reason else vm.recovery_state


def _down_for(vm: VMEntry, now: datetime) -> str:
    if vm.down_since is None or vm.condition is Condition.RUNNING:
        return ""
    return lasting(max(0.0, (now - vm.down_since).total_seconds()))
