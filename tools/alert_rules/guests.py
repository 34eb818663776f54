"""Alerts about guests, as guest agents and hosts report them."""

from tools.alert_rules.expressions import (
    FILESYSTEM,
    OF_VM,
    ON_ITS_NODE,
    ON_VM,
    VM,
    VM_PAGE,
    by,
    firing,
)
from tools.alert_rules.model import Alert, Layer, Runbook, Severity, Step
from tools.alert_rules.thresholds import Thresholds, duration

USED = "vergewatch_vm_guest_filesystem_used_bytes"
SIZE = "vergewatch_vm_guest_filesystem_size_bytes"
NO_AUTOMATION = "None. Recovery does nothing about the inside of a VM."
THE_VM = '{system_name="SYSTEM", vm_name="VM"}'
LARGEST = Step("In the guest: find what takes the space (`du -xh --max-depth=1 / | sort -h`).")


def alerts(t: Thresholds) -> tuple[Alert, ...]:
    """Return the alerts about guests."""
    return (_agent_lost(t), _almost_full(t), _filling(t), _cpu(t), _memory(t))


def _agent_lost(t: Thresholds) -> Alert:
    seen = duration(t.agent_seen_seconds)
    return Alert(
        name="VergeVMGuestAgentLost",
        severity=Severity.INFO,
        layer=Layer.VM,
        identity=VM,
        expr=f"""\
{by(VM, "vergewatch_vm_guest_agent_connected")} == 0
and {ON_VM} (max_over_time(vergewatch_vm_guest_agent_connected[{seen}]) == 1)
and {ON_VM} (time() - vergewatch_vm_start_timestamp_seconds > {t.agent_boot_seconds:.15g})""",
        wait_seconds=t.agent_lost_seconds,
        summary="The guest agent of a running VM is disconnected.",
        description=f"The guest agent of {OF_VM}{ON_ITS_NODE} has not answered for more than "
        f"{duration(t.agent_lost_seconds)}, and it did within {seen} before.",
        dashboard=VM_PAGE,
        quiet="Silent for VMs without an agent, VMs that are off, and VMs that have just started. "
        "No notification is sent.",
        runbook=Runbook(
            meaning="The agent in the guest was connected to its host, and is not any more, while "
            "the VM runs.",
            impact="Guest memory and filesystem metrics are missing; snapshots are taken without "
            "quiescing the guest; a graceful shutdown may not work.",
            steps=(
                Step("In a Linux guest: `systemctl status qemu-guest-agent`."),
                Step(
                    "Show when it reported last.",
                    promql=f"time() - vergewatch_vm_guest_update_timestamp_seconds{THE_VM}",
                ),
                Step("Show whether the VM is well otherwise.", command="vergewatch explain VM"),
            ),
            automation=NO_AUTOMATION,
            mitigation=("Restart the agent in the guest.",),
            noise="An agent that was removed on purpose: it is told for as long as it was seen "
            f"within {seen}, and then no more.",
        ),
    )


def _almost_full(t: Thresholds) -> Alert:
    ratio = f"{by(FILESYSTEM, f'{USED} / ({SIZE} > 0)')}"
    return Alert(
        name="VergeVMFilesystemAlmostFull",
        severity=Severity.WARNING,
        layer=Layer.VM,
        identity=FILESYSTEM,
        expr=f"""\
{ratio} > {t.filesystem_full_ratio}
or
(
  {ratio} > {t.filesystem_full_until_ratio}
  and on (system_name, vm_id, mountpoint) {firing("VergeVMFilesystemAlmostFull")}
)""",
        wait_seconds=t.filesystem_full_seconds,
        linger_seconds=t.muted_linger_seconds,
        summary="A filesystem in a guest is almost full.",
        description=f"{{{{ $labels.mountpoint }}}} of {OF_VM} is "
        "{{ $value | humanizePercentage }} full.",
        dashboard=VM_PAGE,
        quiet=f"Raised above {t.filesystem_full_ratio:.0%}, it goes on until below "
        f"{t.filesystem_full_until_ratio:.0%}. Uses the guest agent's report only: the space "
        "that a disk takes on its tier grows to its full size in any VM that does not discard.",
        runbook=Runbook(
            meaning="The guest agent reports a filesystem with hardly any space left.",
            impact="Whatever writes there fails soon. Databases stop, logins may fail.",
            steps=(
                Step(
                    "Show how fast it came.",
                    promql=f"{USED}{THE_VM} / {SIZE}{THE_VM}",
                ),
                LARGEST,
            ),
            automation=NO_AUTOMATION,
            mitigation=(
                "Delete what is known to be of no use: old logs, package caches, core dumps.",
                (
                    "Enlarge the disk in VergeOS and the filesystem in the guest. A disk cannot be "
                    "made smaller again."
                ),
            ),
            noise="Read-only media and images, which are full by nature: silence their mount "
            "point.",
        ),
    )


def _filling(t: Thresholds) -> Alert:
    window, ahead = t.filesystem_filling_window_seconds, t.filesystem_filling_ahead_seconds
    return Alert(
        name="VergeVMFilesystemFilling",
        severity=Severity.WARNING,
        layer=Layer.VM,
        identity=FILESYSTEM,
        expr=f"""\
{by(FILESYSTEM, f"{USED} / ({SIZE} > 0)")} > {t.filesystem_filling_ratio}
and on (system_name, vm_id, mountpoint) (
  {by(FILESYSTEM, f"predict_linear({USED}[{duration(window)}], {ahead:.15g})")}
  > {by(FILESYSTEM, SIZE)}
)""",
        wait_seconds=t.filesystem_filling_seconds,
        linger_seconds=t.muted_linger_seconds,
        summary="A filesystem in a guest will soon be full.",
        description=f"{{{{ $labels.mountpoint }}}} of {OF_VM} is "
        f"{{{{ $value | humanizePercentage }}}} full, and will be full within {duration(ahead)} "
        f"if it goes on as in the last {duration(window)}.",
        dashboard=VM_PAGE,
        quiet=f"It takes both a level above {t.filesystem_filling_ratio:.0%} and a trend that "
        "holds for an hour; what is full and stays so is VergeVMFilesystemAlmostFull's.",
        runbook=Runbook(
            meaning="A straight line through the last hours of the filesystem's use crosses its "
            "size soon.",
            impact="None yet. In some hours whatever writes there fails.",
            steps=(
                Step(
                    "Count them bytes are added in a second.",
                    promql=f"deriv({USED}{THE_VM}[6h])",
                ),
                LARGEST,
                Step("In the guest: look which file grows (`lsof -n | sort -rnk7 | head`)."),
            ),
            automation=NO_AUTOMATION,
            mitigation=(
                "Stop what writes, if it runs wild.",
                "Delete or move what is not needed.",
                "Enlarge the disk in VergeOS and the filesystem in the guest.",
            ),
            noise="A large copy or a restore, which ends by itself; it is over an hour after the "
            "trend is.",
        ),
    )


def _cpu(t: Thresholds) -> Alert:
    window = duration(t.cpu_busy_window_seconds)
    return Alert(
        name="VergeVMCPUSaturated",
        severity=Severity.INFO,
        layer=Layer.VM,
        identity=VM,
        expr=f"""\
{by(VM, f"avg_over_time(vergewatch_vm_cpu_usage_ratio[{window}])")}
> {t.cpu_busy_ratio}""",
        wait_seconds=t.cpu_busy_seconds,
        summary="A VM uses nearly all of its CPU.",
        description=f"{OF_VM}{ON_ITS_NODE} has used {{{{ $value | humanizePercentage }}}} of its "
        f"CPU time for more than {duration(t.cpu_busy_seconds)}.",
        dashboard=VM_PAGE,
        quiet="High CPU usage may be normal work; no notification is sent.",
        runbook=Runbook(
            meaning=f"Averaged over {window}, the VM's cores were never idle for an hour.",
            impact="What it does takes longer than it could.",
            steps=(
                Step(
                    "Show the last day of it.",
                    promql=f"avg_over_time(vergewatch_vm_cpu_usage_ratio{THE_VM}[1d])",
                ),
                Step("Count them cores it has.",
                     promql=f"vergewatch_vm_running_cpu_cores{THE_VM}"),
                Step("In the guest, find the process (`top`)."),
            ),
            automation=NO_AUTOMATION,
            mitigation=(
                "Ask its owner whether the load is expected.",
                "Give it more cores in VergeOS; most guests need a restart for that.",
            ),
            noise="Build servers, render farms and the like: that is what they are for.",
        ),
    )  # fmt: skip


def _memory(t: Thresholds) -> Alert:
    window = duration(t.memory_full_window_seconds)
    used, total = "vergewatch_vm_guest_memory_used_bytes", "vergewatch_vm_guest_memory_total_bytes"
    return Alert(
        name="VergeVMGuestMemoryPressure",
        severity=Severity.INFO,
        layer=Layer.VM,
        identity=VM,
        expr=f"""\
{by(VM, f"avg_over_time({used}[{window}]) / (max_over_time({total}[{window}]) > 0)")}
> {t.memory_full_ratio}""",
        wait_seconds=t.memory_full_seconds,
        summary="A guest uses nearly all of its memory.",
        description=f"The guest of {OF_VM} has used {{{{ $value | humanizePercentage }}}} of its "
        f"memory for more than {duration(t.memory_full_seconds)}.",
        dashboard=VM_PAGE,
        quiet="Uses the guest agent's report only: the memory that a VM holds on its host is its "
              "allocation, not its use. Agents differ in counting caches, so no notification is "
              "sent.",
        runbook=Runbook(
            meaning="The guest agent reports that nearly all of the guest's memory is in use.",
            impact="The guest swaps, or its kernel ends processes.",
            steps=(
                Step("Show how it came.", promql=f"{used}{THE_VM} / {total}{THE_VM}"),
                Step("In a Linux guest: look at `available` (`free -h`), and for "
                     "`Out of memory` in `journalctl -k`."),
            ),
            automation=NO_AUTOMATION,
            mitigation=(
                "Restart what leaks.",
                "Give it more memory in VergeOS; most guests need a restart for that.",
            ),
            noise="Agents that count caches as used, and databases that take all they are given. "
            "Check `available` in the guest.",
        ),
    )  # fmt: skip
