"""Alerts about recovery: its actions, failures and readiness."""

from exporter.alerting.alerts import DEFINITIONS, AlertName
from tools.alert_rules.expressions import (
    DOWN_STATES,
    ENROLLED,
    OF_SYSTEM,
    OF_VM,
    ON_SYSTEM,
    ON_VM,
    RECOVERY_PAGE,
    RECOVERY_STATE,
    SYSTEM,
    VM,
    VM_PAGE,
    by,
    grown,
    named,
)
from tools.alert_rules.model import Alert, Layer, Runbook, Severity, Step
from tools.alert_rules.steps import (
    BY_HAND,
    CHECK,
    COMMANDS,
    EXPLAIN,
    HISTORY,
    LOGS,
    STATUS,
    THE_VM,
    TRACEBACK,
)
from tools.alert_rules.thresholds import Thresholds, duration

LAST_ACTION = "vergewatch_recovery_vm_last_action_timestamp_seconds"
STATE_SINCE = "vergewatch_recovery_vm_state_since_timestamp_seconds"
OPEN_ACTION = "acting|verifying|indeterminate"
SENT = f'vergewatch_recovery_vm_state_info{{state=~"{OPEN_ACTION}"}}'
NO_RESTARTS = "Recovery does not restart VMs that crash. Monitoring continues."


def alerts(t: Thresholds) -> tuple[Alert, ...]:
    """Return the alerts about recovery."""
    return (
        _failed(t), _quarantined(t), _acted(t), _outcome_unknown(t), _held(t), _unknown(t),
        _circuit_breaker(t), _internal_error(t), _journal_down(t), _not_ready(t),
        _disarmed(t), _paused(t),
        _read_only(t), _clock_jumps(t),
    )  # fmt: skip


def _failed(t: Thresholds) -> Alert:
    return _recovery_alert(
        "VergeRecoveryFailed",
        Severity.CRITICAL,
        VM,
        f"""\
{by(VM, 'vergewatch_recovery_vm_last_action_info{outcome=~"failed|unknown"}')} == 1
and {ON_VM} vergewatch_recovery_vm_state_info{{{ENROLLED},state=~"{DOWN_STATES}"}}
unless {ON_VM} (
  {by(VM, "vergewatch_vm_start_timestamp_seconds")}
  > {ON_VM}
  {by(VM, LAST_ACTION)}
)""",
        linger=t.mute_linger_seconds,
        summary=DEFINITIONS[AlertName.FAILED].summary,
        description=f"The last recovery action on {OF_VM} failed or has no known outcome, and the "
        f"VM is still down.{RECOVERY_STATE} Recovery tries again until the restart budget is "
        "spent. Run `vergewatch recovery log VM`.",
        quiet="The verification time of an action must pass before it counts as failed. The alert "
        "ends when the VM runs, and mutes VergeVMDown so that there is one notification.",
        runbook=Runbook(
            meaning="The last action on the VM has the outcome `failed` or `unknown`, and the VM "
            "has not started since.",
            impact="The VM is down, and one restart did not bring it back.",
            steps=(
                HISTORY,
                EXPLAIN,
                Step("Read the VM's log in VergeOS for the reason of the failed start."),
                Step("Check for other failed VMs: several point to storage or to missing "
                     "resources.",
                     promql='vergewatch_recovery_vm_last_action_info{outcome=~"failed|unknown"}'),
            ),
            automation="Recovery retries after a backoff that doubles each time, until the restart "
            "budget is spent; then it quarantines the VM. `vergewatch recovery pause --for 1h "
            "--reason ...` stops it while you work.",
            mitigation=(
                BY_HAND,
                ("If the VM does not start there either, follow the error that VergeOS reports: "
                "free resources, repair the disk, restore a snapshot."),
            ),
            noise="A VM that takes longer to start than `recovery.limits.verify_power_on_seconds` "
            "allows: raise it.",
        ),
    )  # fmt: skip


def _quarantined(t: Thresholds) -> Alert:
    quarantined = f'vergewatch_recovery_vm_state_info{{{ENROLLED},state="quarantined"}}'
    return _recovery_alert(
        "VergeRecoveryQuarantined",
        Severity.CRITICAL,
        VM,
        f"{by(VM, quarantined)} == 1",
        linger=t.mute_linger_seconds,
        summary=DEFINITIONS[AlertName.QUARANTINED].summary,
        description=f"{OF_VM} is quarantined: its restart budget or its allowed actions are "
        "exhausted.{{ with printf `time() - " + STATE_SINCE + "{system_name=%q,"
        "vm_id=%q}` $labels.system_name $labels.vm_id | query }} It has been quarantined for "
        "{{ . | first | value | humanizeDuration }}.{{ end }} Recovery does not act on it. Run "
        "`vergewatch explain VM`, then start the VM in VergeOS.",
        quiet="Quarantine takes several actions within an hour, a day or a week. The alert lasts "
        "until the VM runs or an operator clears it, and mutes the VM's other alerts.",
        runbook=Runbook(
            meaning="The VM crashed repeatedly, or none of the allowed actions helped.",
            impact="The VM is down and stays down until an operator acts.",
            steps=(
                HISTORY,
                EXPLAIN,
                Step("Show the remaining restart budgets, by window in seconds.",
                     promql=f"vergewatch_recovery_vm_budget_remaining{THE_VM}"),
                Step("Open the VM's console in VergeOS while you start it, and find the cause."),
            ),
            automation="None: quarantine ends all automatic actions on the VM.",
            mitigation=(
                ("Find the cause and start the VM in VergeOS. Recovery then monitors it again; its "
                "restart budget stays spent."),
                ("Reset the restart budget: `vergewatch recovery clear VM --reason ...`. If the "
                "cause remains, the VM is quarantined again."),
                "If the VM is not needed, set the tag `recovery/ignore`.",
            ),
            noise="None is known. If a VM is expected to restart often, raise "
            "`recovery.limits.max_per_hour` and the daily and weekly limits.",
        ),
    )  # fmt: skip


def _acted(t: Thresholds) -> Alert:
    return _recovery_alert(
        "VergeRecoveryActed",
        Severity.INFO,
        VM,
        f"""\
time() - {by(VM, LAST_ACTION)} < {t.acted_seconds:.15g}
and {ON_VM} vergewatch_recovery_vm_last_action_info{{outcome="confirmed"}}""",
        linger=0,
        summary=DEFINITIONS[AlertName.ACTED].summary,
        description=f"Recovery restarted {OF_VM} {{{{ $value | humanizeDuration }}}} ago, and the "
        "VM runs. Run `vergewatch recovery log VM` for the cause.",
        quiet=f"Active for {duration(t.acted_seconds)}, without a notification.",
        runbook=Runbook(
            meaning="The VM crashed or hung, recovery acted, and the VM was seen running again.",
            impact="The VM was down for one or two minutes.",
            steps=(
                HISTORY,
                Step("Show when it happened.", promql=f"{LAST_ACTION} * 1000"),
                Step("Show all actions of recovery.", command="vergewatch recovery report"),
            ),
            automation="The VM is on probation for ten minutes; a crash in that time counts as the "
            "same failure.",
            mitigation=("Find the cause of the crash in the VM's log and console in VergeOS.",),
            noise="Information only. For a notification of each restart, add a route to it.",
        ),
    )


def _outcome_unknown(t: Thresholds) -> Alert:
    return _recovery_alert(
        "VergeRecoveryOutcomeUnknown",
        Severity.WARNING,
        SYSTEM,
        f"""\
count by (system_name) (
  {by(VM, SENT)}
  and {ON_VM} (time() - {STATE_SINCE} > {t.outcome_unknown_seconds:.15g})
) > 0""",
        wait=60,
        linger=0,
        summary=DEFINITIONS[AlertName.OUTCOME_UNKNOWN].summary,
        description=f"In {OF_SYSTEM} {{{{ $value }}}} action(s) have had no known outcome for "
        f"more than {duration(t.outcome_unknown_seconds)}: {named(OPEN_ACTION)}. Recovery does "
        "not act on these VMs until the outcome is known. Run `vergewatch recovery status`.",
        quiet="An action is verified within two to five minutes, also when its response was lost. "
        "This waits for twice that time.",
        runbook=Runbook(
            meaning="Recovery sent a request to VergeOS and cannot verify whether it worked.",
            impact="Recovery does not act on that VM again, since no request is sent twice.",
            steps=(
                STATUS,
                Step("Show the VMs and their states.", promql=SENT),
                Step("Check that the system can be polled.", promql="vergewatch_up"),
                LOGS,
            ),
            automation="Recovery checks each new inventory, and closes the action when the VM's "
            "status shows the outcome.",
            mitigation=(
                "Look at the VM in VergeOS. " + BY_HAND,
                (
                    "Restart Vergewatch: it resumes open actions from its journal and sends none "
                    "twice."
                ),
            ),
            noise="A system that was unreachable for that long: nothing can be verified then.",
        ),
    )


def _held(t: Thresholds) -> Alert:
    return _recovery_alert(
        "VergeRecoveryHeldTooLong",
        Severity.WARNING,
        SYSTEM,
        f"""\
count by (system_name) (
  {by(VM, f'vergewatch_recovery_vm_state_info{{{ENROLLED},state="held"}}')}
  and {ON_VM} (time() - {STATE_SINCE} > {t.held_seconds:.15g})
  and {ON_SYSTEM} vergewatch_recovery_info{{mode="enforce", \
readiness=~"active|circuit_breaker_half_open"}}
) > 0""",
        wait=60,
        linger=t.mute_linger_seconds,
        summary=DEFINITIONS[AlertName.HELD_TOO_LONG].summary,
        description=f"In {OF_SYSTEM} {{{{ $value }}}} VM(s) crashed and have been held for more "
        f"than {duration(t.held_seconds)}: {named('held', ENROLLED)}. Recovery restarts them when "
        "all guards pass. Run `vergewatch explain VM`.",
        quiet="One alert per system, not per VM, and for enrolled VMs only. Silent in shadow mode, "
        "and while recovery is paused, disarmed or stopped by the circuit breaker, which have "
        "their own alerts.",
        runbook=Runbook(
            meaning="The VMs crashed and recovery is active, but a guard failed: a maintenance "
            "window, a dependency that is down, missing resources, a rate limit or missing write "
            "access.",
            impact="These VMs are down for longer than necessary.",
            steps=(
                STATUS,
                EXPLAIN,
                Step("Count the decisions by failed guard.",
                     promql="sum by (system_name, failed_guard) "
                     "(vergewatch_recovery_decisions_total) > 0"),
            ),
            automation="Recovery acts as soon as all guards pass.",
            mitigation=("Remove the obstacle that `vergewatch explain VM` names.", BY_HAND),
            noise="A long maintenance window in `recovery.quiet`: VMs that crash in it wait for "
            "its end.",
        ),
    )  # fmt: skip


def _unknown(t: Thresholds) -> Alert:
    return _recovery_alert(
        "VergeRecoveryUnknownTooLong",
        Severity.WARNING,
        SYSTEM,
        f"""\
count by (system_name) (
  {by(VM, f'vergewatch_recovery_vm_state_info{{{ENROLLED},state="unknown"}}')}
  and {ON_VM} (time() - {STATE_SINCE} > {t.unknown_seconds:.15g})
) > 0""",
        wait=60,
        linger=t.mute_linger_seconds,
        summary=DEFINITIONS[AlertName.UNKNOWN_TOO_LONG].summary,
        description=f"In {OF_SYSTEM} {{{{ $value }}}} VM(s) have been down for an unknown reason "
        f"for more than {duration(t.unknown_seconds)}: {named('unknown', ENROLLED)}. Recovery does "
        "not act on them. Run `vergewatch explain VM`.",
        quiet="One alert per system, not per VM, after half an hour of diagnosis.",
        runbook=Runbook(
            meaning="The evidence for a crash is incomplete: the log could not be read, has a row "
            "that matches no log pattern, or the system was not polled when the VM went down.",
            impact="Recovery does not restart these VMs. A log row without a pattern causes the "
            "same result the next time.",
            steps=(
                STATUS,
                EXPLAIN,
                Step("Count the decisions by cause.",
                     promql="sum by (system_name, cause) "
                     '(vergewatch_recovery_decisions_total{failed_guard="crashed"}) > 0'),
            ),
            automation="Recovery continues the diagnosis, and acts when the evidence is complete.",
            mitigation=(
                ("`logs_unclear`: add a log pattern for the row that `explain` quotes to "
                "`recovery.log_patterns`, and reload. To undo, remove the pattern."),
                "`went_down_unobserved`, `never_seen_up`: " + BY_HAND,
                "If the VM is not needed, set the tag `recovery/ignore`.",
            ),
            noise="VMs that were stopped on purpose without a row in the log.",
        ),
    )  # fmt: skip


def _circuit_breaker(t: Thresholds) -> Alert:
    return _recovery_alert(
        "VergeRecoveryCircuitBreakerOpen",
        Severity.CRITICAL,
        SYSTEM,
        _readiness("circuit_breaker_open|circuit_breaker_half_open"),
        wait=t.breaker_open_seconds,
        linger=t.mute_linger_seconds,
        summary=DEFINITIONS[AlertName.CIRCUIT_BREAKER_OPEN].summary,
        description=f"The circuit breaker of {OF_SYSTEM} is open or half open.{{{{ with printf "
        "`system:vergewatch_vm_unwanted_down:count{system_name=%q}` $labels.system_name | query }}"
        " {{ . | first | value }} VM(s) are down and were not stopped.{{ end }} Recovery starts no "
        "VM while it is open, and one at a time while it is half open. Run `vergewatch recovery "
        "status`.",
        quiet="Opens at three VMs or 15 % of the enrolled VMs, whichever is more. The alert "
        "continues while the breaker is half open, so that it does not flap.",
        runbook=Runbook(
            meaning="Many VMs went down together. The likely cause is something they share, or the "
            "inventory is wrong.",
            impact="Many VMs are down, and recovery does not start them.",
            steps=(
                STATUS,
                Step("List the nodes that are down.", promql="vergewatch_node_running == 0"),
                Step("Count the VMs that are down by cluster.",
                     promql="count by (system_name, cluster) "
                     "(vm_node:vergewatch_vm_running:max == 0)"),
                Step("Check storage and the core network in VergeOS."),
            ),
            automation="In mode `enforce`, recovery waits until no more VMs go down, then starts "
            "VMs one at a time in order of importance. In `shadow` it starts none. VergeOS starts "
            "the VMs of failed nodes.",
            mitigation=(
                "Repair the shared cause.",
                BY_HAND,
                ("If the inventory is correct: `vergewatch recovery accept --reason ...`. After a "
                "warm-up recovery starts VMs one at a time; `disarm` stops that."),
            ),
            noise="Many VMs that were stopped together without a row in the log. In a lab where "
            "this is common, raise `recovery.limits.breaker_min_vms` or switch recovery off.",
        ),
    )  # fmt: skip


def _internal_error(t: Thresholds) -> Alert:
    return _recovery_alert(
        "VergeRecoveryInternalError",
        Severity.CRITICAL,
        SYSTEM,
        _readiness("broken"),
        wait=t.broken_seconds,
        linger=t.mute_linger_seconds,
        summary=DEFINITIONS[AlertName.INTERNAL_ERROR].summary,
        description=f"Recovery of {OF_SYSTEM} had an internal error and does not act until "
        "Vergewatch is restarted. Monitoring continues. Run `journalctl -u vergewatch -p err`.",
        quiet="Only a restart ends it.",
        runbook=Runbook(
            meaning="An unexpected exception occurred in recovery.",
            impact=NO_RESTARTS,
            steps=(
                STATUS,
                TRACEBACK,
                Step("Show the version.", promql="vergewatch_build_info"),
            ),
            automation="None: after an internal error recovery sends no requests.",
            mitigation=(
                "Restart Vergewatch. Recovery resumes from its journal after a warm-up.",
                "If the error recurs, install the previous version or set `recovery.mode: shadow`.",
                "Report the traceback.",
            ),
            noise="None.",
        ),
    )


def _journal_down(t: Thresholds) -> Alert:
    return _recovery_alert(
        "VergeRecoveryJournalDown",
        Severity.CRITICAL,
        SYSTEM,
        f"{by(SYSTEM, 'vergewatch_recovery_journal_up')} == 0",
        wait=t.journal_down_seconds,
        linger=t.mute_linger_seconds,
        summary=DEFINITIONS[AlertName.JOURNAL_DOWN].summary,
        description=f"Recovery could not write the journal of {OF_SYSTEM} for more than "
        f"{duration(t.journal_down_seconds)}. Without a journal it does not act. Run `vergewatch "
        "recovery status`.",
        quiet="A short lock ends within the wait.",
        runbook=Runbook(
            meaning="Every action is written to the journal before it is sent, and the journal "
            "cannot be written: the disk is full, or the file is locked, damaged or read-only.",
            impact=NO_RESTARTS,
            steps=(
                STATUS,
                LOGS,
                Step("Check the free space.", command="df -h /var/lib/vergewatch"),
                Step("Find other processes that use it.",
                     command="fuser -v /var/lib/vergewatch/*"),
            ),
            automation="Recovery continues as soon as the journal can be written.",
            mitigation=(
                "Free space, or stop the other process.",
                ("Move a damaged file away and restart. Recovery starts with an empty journal, and "
                "does not start VMs that are down at that time. Keep the file as a record."),
            ),
            noise="None is known.",
        ),
    )  # fmt: skip


def _not_ready(t: Thresholds) -> Alert:
    return _recovery_alert(
        "VergeRecoveryNotReady",
        Severity.WARNING,
        SYSTEM,
        f"""\
{by(SYSTEM, "vergewatch_recovery_ready")} == 0
and {ON_SYSTEM} vergewatch_recovery_info{{mode="enforce", \
readiness=~"degraded|warming_up|active|circuit_breaker_half_open"}}""",
        wait=t.not_ready_seconds,
        linger=t.muted_linger_seconds,
        summary="Recovery is in mode enforce but not ready.",
        description=f"Recovery of {OF_SYSTEM} has not been ready for more than "
        f"{duration(t.not_ready_seconds)}."
        "{{ with printf `vergewatch_recovery_info{system_name=%q}` $labels.system_name | query }} "
        'Its readiness is {{ . | first | label "readiness" }}.{{ end }} It does not restart VMs. '
        "Run `vergewatch recovery status`.",
        quiet="A warm-up takes ten minutes; this waits for three. Silent in shadow mode, and "
        "where recovery is paused, disarmed or stopped by the circuit breaker or an error.",
        runbook=Runbook(
            meaning="Recovery rejects the inventories, or the warm-up restarts repeatedly.",
            impact="Recovery does not restart VMs that crash.",
            steps=(
                STATUS,
                Step("Count the rejected inventories by reason.",
                     promql="sum by (system_name, reason) "
                     "(increase(vergewatch_recovery_rejected_inventories_total[1h]))"),
                Step("Check for clock jumps.", promql="vergewatch_recovery_clock_jumps_total"),
                Step("Check for slow polls.", promql="vergewatch_table_duration_seconds"),
            ),
            automation="Recovery continues when the inventories are valid.",
            mitigation=(
                ("`short` or `rows_missing` after you deleted many VMs on purpose: `vergewatch "
                "recovery accept --reason ...`."),
                "`slow`: raise `poll.fast_seconds`, or find out why VergeOS answers slowly.",
                BY_HAND,
            ),
            noise="None is known.",
        ),
    )  # fmt: skip


def _disarmed(t: Thresholds) -> Alert:
    return _recovery_alert(
        "VergeRecoveryDisarmed",
        Severity.WARNING,
        SYSTEM,
        _readiness("disarmed"),
        wait=t.disarmed_seconds,
        linger=t.mute_linger_seconds,
        summary=DEFINITIONS[AlertName.DISARMED].summary,
        description=f"Recovery of {OF_SYSTEM} has been disarmed for more than "
        f"{duration(t.disarmed_seconds)}, and restarts no VM until it is armed. Run `vergewatch "
        "recovery status` for the operator and the reason.",
        quiet="Disarming for some hours is normal during work.",
        runbook=Runbook(
            meaning="An operator disarmed recovery, or the kill switch file exists.",
            impact=NO_RESTARTS,
            steps=(
                STATUS,
                COMMANDS,
                Step("Check for the kill switch file; `recovery status` shows its path."),
            ),
            automation="None while recovery is disarmed.",
            mitigation=(
                "Ask the operator; `recovery status` shows the name and the reason.",
                (
                    "Run `vergewatch recovery arm --reason ...`, or remove the file. A warm-up "
                    "follows; `disarm` undoes it."
                ),
            ),
            noise="To switch actions off permanently, set `recovery.mode: shadow`.",
        ),
    )


def _paused(t: Thresholds) -> Alert:
    return _recovery_alert(
        "VergeRecoveryPausedTooLong",
        Severity.WARNING,
        SYSTEM,
        _readiness("paused"),
        wait=t.paused_seconds,
        linger=t.mute_linger_seconds,
        summary="Recovery has been paused for a long time.",
        description=f"Recovery of {OF_SYSTEM} has been paused for more than "
        f"{duration(t.paused_seconds)}, and restarts no VM until the pause ends. Run `vergewatch "
        "recovery status` for the operator and the reason.",
        quiet="A pause ends after four hours unless the operator asked for more.",
        runbook=Runbook(
            meaning="An operator paused recovery for a long time, or repeatedly.",
            impact=NO_RESTARTS,
            steps=(STATUS, COMMANDS),
            automation="The pause ends at its set time; a warm-up follows.",
            mitigation=(
                "Ask the operator; `recovery status` shows the name and the reason.",
                "Run `vergewatch recovery resume --reason ...`; `pause` undoes it.",
            ),
            noise="A long maintenance: silence this alert for its duration.",
        ),
    )


def _read_only(t: Thresholds) -> Alert:
    window = duration(t.read_only_seconds)
    return _recovery_alert(
        "VergeRecoveryKeyReadOnly",
        Severity.WARNING,
        SYSTEM,
        f"""\
{grown('vergewatch_recovery_decisions_total{failed_guard="write_access"}', window)}
> 0.5""",
        linger=0,
        summary="The API key of recovery has no permission to start VMs.",
        description=f"The guard `write_access` failed in {OF_SYSTEM} within the last {window}: "
        "VergeOS does not permit our user to start VMs. Recovery retries after half an hour. Run "
        "`vergewatch check`.",
        quiet="Fires only when a VM crashed and missing write access prevented its restart.",
        runbook=Runbook(
            meaning="VergeOS refused a request of recovery because the user lacks permission.",
            impact="Recovery does not restart VMs that crash.",
            steps=(STATUS, COMMANDS, CHECK),
            automation="Recovery retries after half an hour.",
            mitigation=(
                (
                    "Grant the user permission to modify VMs in VergeOS, or set `action_api_key` "
                    "to a "
                    "key that has it."
                ),
                "If recovery must not act here, set `recovery.mode: shadow`.",
            ),
            noise="None is known.",
        ),
    )


def _clock_jumps(t: Thresholds) -> Alert:
    window = duration(t.clock_window_seconds)
    return _recovery_alert(
        "VergeRecoveryClockJumps",
        Severity.WARNING,
        SYSTEM,
        f"""\
{grown("vergewatch_recovery_clock_jumps_total", window)}
> {t.clock_jumps - 0.5}""",
        linger=0,
        summary="The clock of the Vergewatch host jumps.",
        description=f"While polling {OF_SYSTEM}, Vergewatch saw its host's clock jump "
        f'{{{{ $value | printf "%.0f" }}}} times within {window}. Recovery warms up after each '
        "jump. Run `timedatectl` on the host.",
        quiet="One jump is a resumed or corrected host. Three indicate a time service problem.",
        runbook=Runbook(
            meaning="The wall clock moved differently from the monotonic clock.",
            impact="Recovery does not act for ten minutes after each jump. Times in the journal "
            "are wrong.",
            steps=(
                Step("Check that the clock is synchronized.", command="timedatectl"),
                Step("Check the time source and its offset.", command="chronyc tracking"),
                Step("Show when the clock jumped.",
                     promql="vergewatch_recovery_clock_jumps_total"),
            ),
            automation="Recovery warms up and continues. A jump neither refills a restart budget "
            "nor ends a pause.",
            mitigation=("Run exactly one time service: chrony, or the hypervisor's tools.",),
            noise="A host that is suspended for backups.",
        ),
    )  # fmt: skip


def _recovery_alert(
    name: str,
    severity: Severity,
    identity: tuple[str, ...],
    expr: str,
    *,
    summary: str,
    description: str,
    quiet: str,
    runbook: Runbook,
    wait: float = 0,
    linger: float,
) -> Alert:
    """Return an alert of layer `recovery` with the dashboard of its VM or its system."""
    return Alert(
        name=name,
        severity=severity,
        layer=Layer.RECOVERY,
        identity=identity,
        expr=expr,
        summary=summary,
        description=description,
        dashboard=VM_PAGE if identity == VM else RECOVERY_PAGE,
        quiet=quiet,
        runbook=runbook,
        wait_seconds=wait,
        linger_seconds=linger,
    )


def _readiness(words: str) -> str:
    match = "=~" if "|" in words else "="
    selector = f'vergewatch_recovery_info{{readiness{match}"{words}"}}'
    return f"{by(SYSTEM, selector)} == 1"
