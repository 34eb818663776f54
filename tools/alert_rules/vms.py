"""VMs that are not as they should be, seen from outside."""

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
    "VergeOS starts VMs elsewhere when their *node* fails. Recovery starts VMs that carry a "
    "`recovery/*` tag, or that a rule names, when they crash, if its mode is `enforce`; in "
    "`shadow` it only writes down what it would do. `vergewatch recovery pause --for 1h --reason "
    "...` keeps its hands off while you work, `vergewatch recovery resume --reason ...` ends that."
)


def recordings(_: Thresholds) -> tuple[Recording, ...]:
    """Return what is recorded of VMs, for the alerts below and for dashboards."""
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
            "1 for each VM that is down, and that nobody stopped. Of those that nobody enrolled, "
            "only such as crashed for certain.",
        ),
        Recording(
            "system:vergewatch_vm_unwanted_down:count",
            ("system_name",),
            f"""\
count by (system_name) ({UNWANTED_DOWN})
or
0 * max by (system_name) (vergewatch_up == 1)""",
            "How many of those there are; 0 where there is none, absent where nobody can see.",
        ),
        Recording(
            "vm_node:vergewatch_vm_running:max",
            (*VM, "cluster", "node"),
            f"""\
{by(VM, "vergewatch_vm_running")}
* {ON_VM} group_left (cluster, node)
max by (system_name, vm_id, cluster, node) (vergewatch_vm_info)""",
            "Whether a VM runs, with where it is.",
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
        summary="A VM is down, and nobody stopped it.",
        description=f"{OF_VM} has been down for more than {duration(t.vm_down_seconds)}, and "
        f"nothing says that somebody wanted it so.{RECOVERY_STATE}",
        dashboard=VM_PAGE,
        quiet="What a person, the guest or a task stopped is silent, and so is what was down when "
        "Vergewatch first saw it. Of VMs that nobody enrolled for recovery, only those speak whose "
        "crash is proven. A recovery that works is over before the wait is. A hung VM and "
        "one in error have alerts of their own.",
        runbook=Runbook(
            meaning="The VM's process does not run, and no row of the platform's log says that it "
            "was meant to stop.",
            impact="Whatever the VM does for its users, it does not do now.",
            steps=(
                EXPLAIN,
                HISTORY,
                PLACE,
                Step(
                    "See whether it is alone: many at once are the trouble of a node, of storage, "
                    "or of our view.",
                    promql="system:vergewatch_vm_unwanted_down:count",
                ),
            ),
            automation=f"{AUTOMATION} If recovery is in `enforce` and this fires all the same, it "
            "is held back by something, which the first command names, the cause is unknown, or "
            "the VM is not enrolled.",
            mitigation=(
                (
                    "Start the VM in VergeOS. That always works beside recovery, which sees it "
                    "come up and says so. To undo: stop it there; a stop by a person is left alone."
                ),
                (
                    "If it was meant to be down: stop it once more in VergeOS, so that the log "
                    "tells it, or have nobody look at it with the tag `recovery/ignore`."
                ),
                (
                    "If recovery is held back, remove what holds it: `vergewatch recovery resume "
                    "--reason ...`, `vergewatch recovery arm --reason ...` or `vergewatch "
                    "recovery clear VM --reason ...`."
                ),
            ),
            noise="A stop that VergeOS logs in words that Vergewatch does not know: `explain` "
            "quotes the row, and `recovery.wordings` teaches it. With `recovery.mode: off` nobody "
            "reads the log, and this never fires.",
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
        summary="A VM does not respond to its host.",
        description=f"VergeOS calls {OF_VM}{ON_ITS_NODE} unresponsive, for more than "
        f"{duration(t.vm_unresponsive_seconds)} now.{RECOVERY_STATE}",
        dashboard=VM_PAGE,
        quiet="VergeOS declares it after 2 minutes and may then start the VM elsewhere; the wait "
        "leaves it the time.",
        runbook=Runbook(
            meaning="The process of the VM is there, and does not answer the platform.",
            impact="The VM most likely serves nobody; what it holds in memory may still be saved.",
            steps=(
                EXPLAIN,
                PLACE,
                Step(
                    "See which other VMs hang. Several on one node point to the node.",
                    promql='vergewatch_vm_status_info{status="unresponsive"}',
                ),
                Step("Open its console in VergeOS: a kernel panic or a full disk shows there."),
            ),
            automation="Recovery does nothing about a hang unless the VM is enrolled and a tag "
            "`recovery/on-hang-reset` or `recovery/on-hang-power-cycle`, or a rule, says so. Then "
            "it asks the guest to "
            "reboot, after that resets it, and last, if allowed, kills and starts it; each step "
            "needs a proof of its own. `vergewatch recovery pause --reason ...` stops that.",
            mitigation=(
                "Wait for what the console shows: a guest that is busy with its disks comes back.",
                "Ask for a graceful reset in VergeOS. There is no way back.",
                "Power-cycle it in VergeOS. What it had in memory is lost.",
            ),
            noise="Guests that pause for long by themselves, for instance while a snapshot is "
            "taken of a very large disk. If it is always the same VM at the same hour, name the "
            "hour in `recovery.quiet` and silence it in Alertmanager.",
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
        f"{duration(t.vm_error_seconds)}.{RECOVERY_STATE}",
        dashboard=VM_PAGE,
        quiet="An error does not pass by itself, so a short wait is enough; it outlasts one odd "
        "reading.",
        runbook=Runbook(
            meaning="VergeOS could not do with the VM what it was asked to, and says `error`.",
            impact="The VM may be down, or up in a way that VergeOS does not control.",
            steps=(
                EXPLAIN,
                Step("Read the VM's log in VergeOS: the row before the error names the reason."),
                Step(
                    "See what shape its disks are in, and on which tier they are.",
                    promql='vergewatch_vm_disk_info{system_name="SYSTEM", vm_name="VM"}',
                ),
            ),
            automation="None. Recovery never acts on a VM in error: its cause is unknown.",
            mitigation=(
                "Do what the log row asks for, such as freeing resources or repairing a drive.",
                "Power the VM off and on in VergeOS. What it had in memory is lost.",
            ),
            noise="None is known. An error that VergeOS clears by itself within the wait is not "
            "told.",
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
        summary="A VM has been on its way to another state for too long.",
        description=f"{OF_VM}{ON_ITS_NODE} has been starting, stopping or waiting for more than "
        f"{duration(t.vm_transition_seconds)}."
        "{{ with printf `vergewatch_vm_status_info{system_name=%q,vm_id=%q}` $labels.system_name "
        '$labels.vm_id | query }} VergeOS calls it {{ . | first | label "status" }}.{{ end }}',
        dashboard=VM_PAGE,
        quiet="Starting many VMs after an outage takes minutes; the wait is a quarter of an hour. "
        "The clock runs on when one such word follows another, and a VM that should be up and is "
        "not is VergeVMDown's.",
        runbook=Runbook(
            meaning="The VM's status is one of those that it only passes through, and it stays.",
            impact="A VM that starts for ever is down. One that stops for ever cannot be started.",
            steps=(
                EXPLAIN,
                Step(
                    "Is it alone? Many that wait for resources mean a cluster that is full.",
                    promql=f"count by (system_name, status) (vergewatch_vm_status_info"
                    f'{{status=~"{TRANSITIONS}"}})',
                ),
                Step("Look at its console in VergeOS: a guest that installs updates says so."),
            ),
            automation="None. Recovery leaves alone what is on its way.",
            mitigation=(
                (
                    "`waitingforresources`: stop something, or bring a node back; VergeOS goes on "
                    "by itself."
                ),
                (
                    "`stopping`: give the guest time, then power the VM off in VergeOS, which "
                    "is as if its plug was pulled."
                ),
                "`starting`: power it off, and start it anew.",
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
        summary="A live migration does not end.",
        description=f"{OF_VM}{ON_ITS_NODE} has been migrating for more than "
        f"{duration(t.vm_migration_seconds)}.",
        dashboard=VM_PAGE,
        quiet="Migrations queue, one after the other, and VergeOS itself ends one that hangs "
        "after half an hour.",
        runbook=Runbook(
            meaning="The VM is being moved to another node, and does not arrive.",
            impact="The VM runs, more slowly. Its node cannot be emptied, so that maintenance and "
            "updates wait.",
            steps=(
                EXPLAIN,
                Step(
                    "See how many are under way. One at a time is VergeOS' default.",
                    promql=f'vergewatch_vm_status_info{{status=~"{MIGRATIONS}"}}',
                ),
                Step(
                    "See how busy it is: a guest that writes faster than its memory is copied "
                    "never arrives.",
                    promql='vergewatch_vm_cpu_usage_ratio{system_name="SYSTEM", vm_name="VM"}',
                ),
            ),
            automation="VergeOS power-cycles a VM whose migration hangs for half an hour, if its "
            "settings say so. Recovery does nothing about a VM that is migrating.",
            mitigation=(
                "Calm the guest down, and the migration ends by itself.",
                "Cancel the migration in VergeOS; the VM stays where it is.",
                "Power the VM off, and start it on the other node.",
            ),
            noise="A long queue, for instance while a node with many VMs is emptied: the VMs at "
            "its end wait in `initmigrate`.",
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
        summary="A VM starts again and again.",
        # How often exactly is not told: while another alert mutes this one, the value is frozen.
        description=f"{OF_VM}{ON_ITS_NODE} has been started {t.flapping_restarts} times or more "
        f"within {window}.{RECOVERY_STATE}",
        dashboard=VM_PAGE,
        quiet="One or two restarts are somebody's work. It goes on for a while after the last, so "
        "that it does not flap itself.",
        runbook=Runbook(
            meaning="The platform's time of the VM's last start changes again and again: it "
            "crashes and is started, or is power-cycled over and over.",
            impact="Its users are thrown out each time, and each crash may cost data.",
            steps=(
                HISTORY,
                EXPLAIN,
                Step(
                    "See when it started.",
                    promql="changes(vergewatch_vm_start_timestamp_seconds"
                    '{system_name="SYSTEM", vm_name="VM"}[6h])',
                ),
                Step("Read the VM's log in VergeOS: it names who started it."),
            ),
            automation="Recovery gives a VM 3 starts an hour, 6 a day and 10 a week, with longer "
            "and longer pauses; then it puts it into quarantine, which has its own alert and "
            "mutes this one. Other automation, such as a script or a watchdog in the guest, does "
            "not show here.",
            mitigation=(
                (
                    "Have recovery leave it alone while you look: the tag `recovery/never`; take "
                    "it off again afterwards."
                ),
                "Stop it in VergeOS, and start it with its console open.",
                "Go back to a snapshot from before it began. What was written since is lost.",
            ),
            noise="An installation that reboots several times; some releases may renew the time of "
            "the start when a VM migrates.",
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
        summary="A change of a VM's configuration waits for a restart.",
        description=f"A change of {OF_VM} has been waiting for a restart for more than {week}.",
        dashboard=VM_PAGE,
        quiet="Normal after any change, so only a week-old one counts: it waited a "
        "week ago, and the VM was not started since. Nobody is notified.",
        runbook=Runbook(
            meaning="Somebody changed the VM's configuration, and it takes effect when the VM is "
            "next started.",
            impact="The VM runs with other settings than VergeOS shows. A crash will apply the "
            "change at a time that nobody chose.",
            steps=(
                Step(
                    "List all of them.",
                    promql="vergewatch_vm_need_restart == 1",
                ),
                Step("Compare cores and memory with what it runs with.",
                     promql='vergewatch_vm_configured_cpu_cores{vm_name="VM"} - on (system_name, '
                     'vm_id) vergewatch_vm_running_cpu_cores{vm_name="VM"}'),
            ),
            automation="None.",
            mitigation=("Restart the VM in its next maintenance window, with its owner.",),
            noise="VMs that are never restarted on purpose. It is information only; silence it "
            "for them.",
        ),
    )  # fmt: skip


def _status(words: str, match: str = "=") -> str:
    return f'vergewatch_vm_status_info{{status{match}"{words}"}}'
