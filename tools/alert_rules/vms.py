"""Alerts about VM states, as VergeOS reports them."""

from tools.alert_rules.expressions import (
    CRASHED,
    DOWN_STATES,
    ENROLLED,
    OF_VM,
    ON_ITS_NODE,
    ON_VM,
    RECOVERY_STATE,
    VM,
    VM_PAGE,
    by,
)
from tools.alert_rules.model import Alert, Layer, Recording, Runbook, Severity, Step
from tools.alert_rules.steps import EXPLAIN, HISTORY
from tools.alert_rules.thresholds import Thresholds, duration

UNWANTED_DOWN = "vm:vergewatch_vm_unwanted_down:max"
TRANSITIONS = (
    "initializing|starting|stopping|hibernating|importing|leavingmaintenance|waitingforresources"
)
MIGRATIONS = "initmigrate|startmigrate|migrating|migratecomplete"

PLACE = Step(
    "Check the nodes of the system: 1 is running.",
    promql='vergewatch_node_running{system_name="SYSTEM"}',
)
AUTOMATION = (
    "VergeOS starts VMs elsewhere when their *node* fails. Recovery restarts enrolled VMs (by a "
    "`recovery/*` tag or a setting) that crash, if its mode is `enforce`; in `shadow` it only "
    "records its decisions. `vergewatch recovery pause --for 1h --reason ...` stops it while you "
    "work, `vergewatch recovery resume --reason ...` ends the pause."
)


def recordings(_: Thresholds) -> tuple[Recording, ...]:
    """Return the recording rules about VMs, for the alerts below and for dashboards."""
    return (
        Recording(
            UNWANTED_DOWN,
            VM,
            f"""\
(
  {by(VM, f'vergewatch_recovery_vm_state_info{{{ENROLLED},state=~"{DOWN_STATES}"}}')}
  or
  {by(VM, f"vergewatch_recovery_vm_state_info{{{CRASHED}}}")}
)
and {ON_VM} (vergewatch_vm_running == 0)
unless {ON_VM} vergewatch_vm_status_info{{status=~"unresponsive|error"}}""",
            "1 for each VM that is down and was not stopped on purpose; of VMs that are not "
            "enrolled, only those with a proven crash.",
        ),
        Recording(
            "system:vergewatch_vm_unwanted_down:count",
            ("system_name",),
            f"""\
count by (system_name) ({UNWANTED_DOWN})
or
0 * max by (system_name) (vergewatch_up == 1)""",
            "The number of those VMs; 0 where there is none, absent where the system cannot be "
            "polled.",
        ),
        Recording(
            "vm_node:vergewatch_vm_running:max",
            (*VM, "cluster", "node"),
            f"""\
{by(VM, "vergewatch_vm_running")}
* {ON_VM} group_left (cluster, node)
max by (system_name, vm_id, cluster, node) (vergewatch_vm_info)""",
            "Whether a VM runs, with its cluster and node.",
        ),
    )


def alerts(t: Thresholds) -> tuple[Alert, ...]:
    """Return the alerts about VMs."""
    return (_down(t), _unresponsive(t), _error(t), _stuck(t), _migration(t), _flapping(t),
            _restart_pending(t))  # fmt: skip


def _down(t: Thresholds) -> Alert:
    return Alert(
        name="VergeVMDown",
        severity=Severity.CRITICAL,
        layer=Layer.VM,
        identity=VM,
        expr=f"{UNWANTED_DOWN} == 1",
        wait_seconds=t.vm_down_seconds,
        linger_seconds=t.muted_linger_seconds,
        summary="A VM is down and was not stopped on purpose.",
        description=f"{OF_VM} has been down for more than {duration(t.vm_down_seconds)}, and "
        f"no log row shows an intended stop.{RECOVERY_STATE} Run `vergewatch explain VM`.",
        dashboard=VM_PAGE,
        quiet="Silent for VMs stopped by an operator, the guest or a task, and for VMs that were "
        "down when Vergewatch first saw them. A VM that is not enrolled alerts only if its "
        "crash is proven. A successful recovery ends within the wait. Unresponsive VMs and "
        "VMs in error have alerts of their own.",
        runbook=Runbook(
            meaning="The VM does not run, and no log row of VergeOS shows an intended stop.",
            impact="The services on the VM are unavailable.",
            steps=(
                EXPLAIN,
                HISTORY,
                PLACE,
                Step(
                    "Count the VMs that are down: many point to a node, to storage or to a wrong "
                    "inventory.",
                    promql="system:vergewatch_vm_unwanted_down:count",
                ),
            ),
            automation=f"{AUTOMATION} If this fires in mode `enforce`, a guard failed, "
            "the cause is unknown or the VM is not enrolled; the first command shows which.",
            mitigation=(
                (
                    "Start the VM in VergeOS. Recovery accepts a manual start at any time. To "
                    "undo, stop it there; recovery does not restart a VM stopped by an operator."
                ),
                (
                    "If the VM is meant to be down, stop it again in VergeOS so that the log "
                    "records it, or exclude it with the tag `recovery/ignore`."
                ),
                (
                    "If a command of an operator or quarantine prevents recovery: `vergewatch "
                    "recovery resume --reason ...`, `vergewatch recovery arm --reason ...` or "
                    "`vergewatch recovery clear VM --reason ...`."
                ),
            ),
            noise="A stop whose log row matches no log pattern: `explain` quotes the row; add a "
            "pattern to `recovery.log_patterns`. With `recovery.mode: off` the log is not read, "
            "and this alert never fires.",
        ),
    )


def _unresponsive(t: Thresholds) -> Alert:
    return Alert(
        name="VergeVMUnresponsive",
        severity=Severity.WARNING,
        layer=Layer.VM,
        identity=VM,
        expr=f"{by(VM, _status('unresponsive'))} == 1",
        wait_seconds=t.vm_unresponsive_seconds,
        linger_seconds=t.muted_linger_seconds,
        summary="VergeOS reports a VM as unresponsive.",
        description=f"{OF_VM}{ON_ITS_NODE} has been unresponsive for more than "
        f"{duration(t.vm_unresponsive_seconds)}.{RECOVERY_STATE} Run `vergewatch explain VM`.",
        dashboard=VM_PAGE,
        quiet="VergeOS reports it after 2 minutes and may then start the VM elsewhere; the wait "
        "allows for that.",
        runbook=Runbook(
            meaning="The VM's process exists but does not answer the platform.",
            impact="The services on the VM are most likely unavailable; data in its memory may "
            "still be saved.",
            steps=(
                EXPLAIN,
                PLACE,
                Step(
                    "List the unresponsive VMs. Several on one node point to the node.",
                    promql='vergewatch_vm_status_info{status="unresponsive"}',
                ),
                Step(
                    "Open the VM's console in VergeOS and look for a kernel panic or a full disk."
                ),
            ),
            automation="Recovery acts on a hang only if the VM is enrolled and "
            "`recovery/on-hang-reset`, `recovery/on-hang-power-cycle` or a setting "
            "allows it. It asks the guest to reboot, then resets it, and last, if "
            "allowed, kills and starts it; each action needs its own evidence. "
            "`vergewatch recovery pause --reason ...` stops that.",
            mitigation=(
                "Wait if the console shows disk activity: the guest may resume.",
                "Request a graceful reset in VergeOS. It cannot be undone.",
                "Power-cycle the VM in VergeOS. Data in its memory is lost.",
            ),
            noise="Guests that pause for long, for instance during a snapshot of a very large "
            "disk. If the same VM pauses at the same hour, add a maintenance window in "
            "`recovery.quiet` and a silence in Alertmanager.",
        ),
    )


def _error(t: Thresholds) -> Alert:
    return Alert(
        name="VergeVMError",
        severity=Severity.WARNING,
        layer=Layer.VM,
        identity=VM,
        expr=f"{by(VM, _status('error'))} == 1",
        wait_seconds=t.vm_error_seconds,
        linger_seconds=t.muted_linger_seconds,
        summary="VergeOS reports an error for a VM.",
        description=f"The status of {OF_VM}{ON_ITS_NODE} has been error for more than "
        f"{duration(t.vm_error_seconds)}.{RECOVERY_STATE} Recovery does not act on it. Run "
        "`vergewatch explain VM`.",
        dashboard=VM_PAGE,
        quiet="An error does not end by itself; the wait covers one faulty poll.",
        runbook=Runbook(
            meaning="An operation of VergeOS on the VM failed, and its status is `error`.",
            impact="The VM may be down, or run without the control of VergeOS.",
            steps=(
                EXPLAIN,
                Step("Read the VM's log in VergeOS: the row before the error names the cause."),
                Step(
                    "Show the VM's disks and their tiers.",
                    promql='vergewatch_vm_disk_info{system_name="SYSTEM", vm_name="VM"}',
                ),
            ),
            automation="None. Recovery does not act on a VM in error, since the cause is unknown.",
            mitigation=(
                "Fix the cause in the log row: free resources or repair a drive.",
                "Power the VM off and on in VergeOS. Data in its memory is lost.",
            ),
            noise="None is known. An error that ends within the wait does not fire.",
        ),
    )


def _stuck(t: Thresholds) -> Alert:
    return Alert(
        name="VergeVMStuckInTransition",
        severity=Severity.WARNING,
        layer=Layer.VM,
        identity=VM,
        expr=f"""\
{by(VM, _status(TRANSITIONS, "=~"))} == 1
unless {ON_VM} {UNWANTED_DOWN}""",
        wait_seconds=t.vm_transition_seconds,
        linger_seconds=t.muted_linger_seconds,
        summary="A VM has been in a transitional status for too long.",
        description=f"{OF_VM}{ON_ITS_NODE} has been starting, stopping or waiting for more than "
        f"{duration(t.vm_transition_seconds)}."
        "{{ with printf `vergewatch_vm_status_info{system_name=%q,vm_id=%q}` $labels.system_name "
        '$labels.vm_id | query }} Its status is {{ . | first | label "status" }}.{{ end }} '
        "Recovery does not act on it. Run `vergewatch explain VM`.",
        dashboard=VM_PAGE,
        quiet="Starting many VMs after an outage takes minutes; the wait is 15. The wait "
        "continues from one transitional status to the next. A VM that is down "
        "unintentionally fires VergeVMDown instead.",
        runbook=Runbook(
            meaning="The VM's status is transitional and does not change.",
            impact="A VM that does not finish starting is down. One that does not finish stopping "
            "cannot be started.",
            steps=(
                EXPLAIN,
                Step(
                    "Count the VMs by status. Many that wait for resources indicate a full "
                    "cluster.",
                    promql=f"count by (system_name, status) (vergewatch_vm_status_info"
                    f'{{status=~"{TRANSITIONS}"}})',
                ),
                Step("Open the VM's console in VergeOS: a guest that installs updates shows it."),
            ),
            automation="None. Recovery does not act on a VM in a transitional status.",
            mitigation=(
                (
                    "`waitingforresources`: stop another VM or bring a node back; VergeOS then "
                    "continues."
                ),
                (
                    "`stopping`: wait for the guest, then power the VM off in VergeOS. Unsaved "
                    "data is lost."
                ),
                "`starting`: power the VM off, and start it again.",
            ),
            noise="Guests that install updates while they shut down. If yours take longer, raise "
            "`vm_transition_seconds`.",
        ),
    )


def _migration(t: Thresholds) -> Alert:
    return Alert(
        name="VergeVMMigrationStuck",
        severity=Severity.WARNING,
        layer=Layer.VM,
        identity=VM,
        expr=f"{by(VM, _status(MIGRATIONS, '=~'))} == 1",
        wait_seconds=t.vm_migration_seconds,
        linger_seconds=t.muted_linger_seconds,
        summary="A live migration has not finished in time.",
        description=f"{OF_VM}{ON_ITS_NODE} has been migrating for more than "
        f"{duration(t.vm_migration_seconds)}. Recovery does not act on it. Run `vergewatch explain "
        "VM`.",
        dashboard=VM_PAGE,
        quiet="Migrations run one at a time, and VergeOS ends a hanging one after 30 minutes.",
        runbook=Runbook(
            meaning="The migration of the VM to another node does not complete.",
            impact="The VM runs more slowly. Its node cannot be drained, so maintenance and "
            "updates wait.",
            steps=(
                EXPLAIN,
                Step(
                    "List the migrations in progress. The default of VergeOS is one at a time.",
                    promql=f'vergewatch_vm_status_info{{status=~"{MIGRATIONS}"}}',
                ),
                Step(
                    "Check the VM's CPU usage: a guest that writes faster than its memory is "
                    "copied cannot migrate.",
                    promql='vergewatch_vm_cpu_usage_ratio{system_name="SYSTEM", vm_name="VM"}',
                ),
            ),
            automation="VergeOS power-cycles a VM whose migration hangs for 30 minutes, if its "
            "settings say so. Recovery does not act on a migrating VM.",
            mitigation=(
                "Reduce the guest's load; the migration then completes.",
                "Cancel the migration in VergeOS; the VM stays on its node.",
                "Power the VM off, and start it on the other node.",
            ),
            noise="A long queue, for instance while a node with many VMs is drained: the last VMs "
            "wait in `initmigrate`.",
        ),
    )


def _flapping(t: Thresholds) -> Alert:
    window = duration(t.flapping_window_seconds)
    return Alert(
        name="VergeVMFlapping",
        severity=Severity.WARNING,
        layer=Layer.VM,
        identity=VM,
        expr=f"""\
{by(VM, f"changes(vergewatch_vm_start_timestamp_seconds[{window}])")}
> {t.flapping_restarts - 0.5}""",
        linger_seconds=t.flapping_linger_seconds,
        summary="A VM has restarted repeatedly.",
        # Without the exact number: the value is frozen while another alert mutes this one.
        description=f"{OF_VM}{ON_ITS_NODE} has been started {t.flapping_restarts} times or more "
        f"within {window}.{RECOVERY_STATE} Run `vergewatch recovery log VM`.",
        dashboard=VM_PAGE,
        quiet="One or two restarts are normal work. The alert continues for a while after the "
        "last restart, so that it does not flap.",
        runbook=Runbook(
            meaning="The VM's start time changes repeatedly: it crashes and is started, or is "
            "power-cycled.",
            impact="Each restart interrupts its users, and each crash may lose data.",
            steps=(
                HISTORY,
                EXPLAIN,
                Step(
                    "Count its starts.",
                    promql="changes(vergewatch_vm_start_timestamp_seconds"
                    '{system_name="SYSTEM", vm_name="VM"}[6h])',
                ),
                Step("Read the VM's log in VergeOS: it names the user of each start."),
            ),
            automation="The default restart budget is 3 starts an hour, 6 a day and 10 a week, "
            "with growing backoff; then recovery quarantines the VM, which has its own "
            "alert and mutes this one. Restarts by scripts or by a watchdog in the "
            "guest are not counted in the budget.",
            mitigation=(
                (
                    "Exclude the VM from recovery while you work with the tag `recovery/never`; "
                    "remove the tag afterwards."
                ),
                "Stop the VM in VergeOS, and start it with its console open.",
                "Restore a snapshot from before the first restart. Later data is lost.",
            ),
            noise="An installation that reboots several times; some releases may change the start "
            "time when a VM migrates.",
        ),
    )


def _restart_pending(t: Thresholds) -> Alert:
    week = duration(t.restart_pending_seconds)
    return Alert(
        name="VergeVMRestartPending",
        severity=Severity.INFO,
        layer=Layer.VM,
        identity=VM,
        expr=f"""\
{by(VM, "vergewatch_vm_need_restart")} == 1
and {ON_VM} (vergewatch_vm_need_restart offset {week} == 1)
and {ON_VM} (time() - vergewatch_vm_start_timestamp_seconds > {t.restart_pending_seconds:.15g})""",
        summary="A VM's configuration change needs a restart.",
        description=f"A configuration change of {OF_VM} has waited for a restart for more than "
        f"{week}. Restart "
        "the VM in VergeOS to apply it.",
        dashboard=VM_PAGE,
        quiet="Normal after any change, so only a change that has waited for a week without a "
              "start of the VM fires. No notification is sent.",
        runbook=Runbook(
            meaning="The VM's configuration was changed, and the change takes effect at its next "
                    "start.",
            impact="The VM runs with other settings than VergeOS shows. A crash applies the "
                   "change at an unplanned time.",
            steps=(
                Step(
                    "List all VMs with a pending restart.",
                    promql="vergewatch_vm_need_restart == 1",
                ),
                Step("Compare the configured and the running cores.",
                     promql='vergewatch_vm_configured_cpu_cores{vm_name="VM"} - on (system_name, '
                     'vm_id) vergewatch_vm_running_cpu_cores{vm_name="VM"}'),
            ),
            automation="None.",
            mitigation=(("Restart the VM in its next maintenance window, in agreement with its "
                        "owner."),),
            noise="VMs that are never restarted: silence this alert for them.",
        ),
    )  # fmt: skip


def _status(words: str, match: str = "=") -> str:
    return f'vergewatch_vm_status_info{{status{match}"{words}"}}'
