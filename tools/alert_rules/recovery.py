"""What recovery does, what it could not do, and what keeps it from doing anything."""

from tools.alert_rules.expressions import (
    DOWN_STATES,
    ENROLLED,
    OF_SYSTEM,
    OF_VM,
    ON_SYSTEM,
    ON_VM,
    RECOVERY_PAGE,
    SAYS_RECOVERY,
    SYSTEM,
    VM,
    VM_PAGE,
    by,
    grown,
    named,
)
from tools.alert_rules.model import Alert, Layer, Runbook, Severity, Step
from tools.alert_rules.thresholds import Thresholds, duration
from tools.alert_rules.vms import EXPLAIN, HISTORY

LAST_ACTION = "vergewatch_recovery_vm_last_action_timestamp_seconds"
STATE_SINCE = "vergewatch_recovery_vm_state_since_timestamp_seconds"
UNDER_WAY = "acting|verifying|indeterminate"
SENT = f'vergewatch_recovery_vm_state_info{{state=~"{UNDER_WAY}"}}'

STATUS = Step(
    "See how recovery stands, why, and who is in trouble.", command="vergewatch recovery status"
)
ORDERS = Step("See who gave which order, and why.", command="vergewatch recovery log --limit 50")
LOGS = Step("Read the daemon's own log.", command="journalctl -u vergewatch --since -1h")
BY_HAND = (
    "Start by hand in VergeOS what cannot wait. That always works beside recovery; a stop there "
    "undoes it."
)


def alerts(t: Thresholds) -> tuple[Alert, ...]:
    """Return the alerts about recovery."""
    return (
        _failed(t), _quarantined(t), _acted(t), _outcome_unknown(t), _held(t), _unknown(t),
        _circuit_breaker(t), _internal_error(t), _journal_down(t), _not_ready(t), _disarmed(t), _paused(t),
        _read_only(t), _clock_jumps(t),
    )  # fmt: skip


def _failed(t: Thresholds) -> Alert:
    return Alert(
        name="VergeRecoveryFailed",
        severity=Severity.CRITICAL,
        layer=Layer.RECOVERY,
        identity=VM,
        expr=f"""\
{by(VM, 'vergewatch_recovery_vm_last_action_info{outcome=~"failed|unknown"}')} == 1
and {ON_VM} vergewatch_recovery_vm_state_info{{{ENROLLED},state=~"{DOWN_STATES}"}}
unless {ON_VM} (
  {by(VM, "vergewatch_vm_start_timestamp_seconds")}
  > {ON_VM}
  {by(VM, LAST_ACTION)}
)""",
        linger_seconds=t.mute_linger_seconds,
        summary="Recovery acted, and it did not help.",
        description="Recovery tried to bring back " + OF_VM + ", and it is in trouble still."
        f"{SAYS_RECOVERY} It may try again; the log of recovery says when.",
        dashboard=VM_PAGE,
        quiet="An action is given minutes to show before it counts as failed. Over as soon as the "
        "VM runs, whoever started it, and mutes VergeVMDown, so that there is one message.",
        runbook=Runbook(
            meaning="The last action on the VM ended as `failed`, or nobody knows how it ended, "
            "and the VM has not been started since.",
            impact="The VM does not serve, and the easy remedy did not help.",
            steps=(
                HISTORY,
                EXPLAIN,
                Step("Read the VM's log in VergeOS: it may say why it does not start."),
                Step("Is it alone? Several at once point to storage, or to want of resources.",
                     promql='vergewatch_recovery_vm_last_action_info{outcome=~"failed|unknown"}'),
            ),
            automation="Recovery tries again after a pause that doubles each time, until the VM's "
            "budget is spent; then it is put into quarantine. `vergewatch recovery pause --for 1h "
            "--reason ...` stops it while you work.",
            mitigation=(
                BY_HAND,
                ("If it does not start there either, go by what VergeOS says: free resources, "
                "repair the disk, restore a snapshot."),
            ),
            noise="A VM that takes longer to start than `recovery.limits.verify_power_on_seconds` "
            "allows: raise it.",
        ),
    )  # fmt: skip


def _quarantined(t: Thresholds) -> Alert:
    given_up = f'vergewatch_recovery_vm_state_info{{{ENROLLED},state="quarantined"}}'
    return Alert(
        name="VergeRecoveryQuarantined",
        severity=Severity.CRITICAL,
        layer=Layer.RECOVERY,
        identity=VM,
        expr=f"{by(VM, given_up)} == 1",
        linger_seconds=t.mute_linger_seconds,
        summary="Recovery gave a VM up.",
        description=f"Recovery will not touch {OF_VM} any more: its budget of actions is spent, or "
        "there is no step left.{{ with printf `time() - " + STATE_SINCE + "{system_name=%q,"
        "vm_id=%q}` $labels.system_name $labels.vm_id | query }} That was "
        "{{ . | first | value | humanizeDuration }} ago.{{ end }} The VM is down until somebody "
        "starts it.",
        dashboard=VM_PAGE,
        quiet="It takes several actions within an hour, a day or a week to get here. Stays until "
        "the VM runs or a person clears it, and mutes the other alerts of the VM.",
        runbook=Runbook(
            meaning="The VM crashed again and again, or no step that its owner allows helped.",
            impact="The VM is down, and stays so until a person does something.",
            steps=(
                HISTORY,
                EXPLAIN,
                Step("See what is left of its budgets, by window in seconds.",
                     promql="vergewatch_recovery_vm_budget_remaining"
                     '{system_name="CLOUD", vm_name="VM"}'),
                Step("Open its console in VergeOS while you start it: what does it die of?"),
            ),
            automation="None any more, that is the point of it.",
            mitigation=(
                ("Find out why it dies, and start it in VergeOS. Recovery then watches it again; "
                "its budget stays spent."),
                ("Give it its budget back: `vergewatch recovery clear VM --reason ...`. Without a "
                "cure it will be here again."),
                "If nobody needs it: the tag `recovery/ignore`.",
            ),
            noise="None is known. If the budget is too small for a VM that dies often and is "
            "wanted so, see `recovery.limits.max_per_hour` and its siblings.",
        ),
    )  # fmt: skip


def _acted(t: Thresholds) -> Alert:
    return Alert(
        name="VergeRecoveryActed",
        severity=Severity.INFO,
        layer=Layer.RECOVERY,
        identity=VM,
        expr=f"""\
time() - {by(VM, LAST_ACTION)} < {t.acted_seconds:.15g}
and {ON_VM} vergewatch_recovery_vm_last_action_info{{outcome="confirmed"}}""",
        summary="Recovery brought a VM back.",
        description=f"Recovery brought back {OF_VM}, "
        "{{ $value | humanizeDuration }} ago.",
        dashboard=VM_PAGE,
        quiet=f"Shown for {duration(t.acted_seconds)}; nobody is notified.",
        runbook=Runbook(
            meaning="The VM crashed or hung, recovery acted, and the VM was seen to run again.",
            impact="It was down for a minute or two.",
            steps=(
                HISTORY,
                Step("See when it was, as a time.", promql=f"{LAST_ACTION} * 1000"),
                Step("See what recovery did altogether.", command="vergewatch recovery report"),
            ),
            automation="The VM is on probation for ten minutes; a crash within them counts as the "
            "same trouble.",
            mitigation=("Find out why it crashed; its log and its console in VergeOS know.",),
            noise="It is information only. To hear of each, give it a route of its own.",
        ),
    )  # fmt: skip


def _outcome_unknown(t: Thresholds) -> Alert:
    return Alert(
        name="VergeRecoveryOutcomeUnknown",
        severity=Severity.WARNING,
        layer=Layer.RECOVERY,
        identity=SYSTEM,
        expr=f"""\
count by (system_name) (
  {by(VM, SENT)}
  and {ON_VM} (time() - {STATE_SINCE} > {t.outcome_unknown_seconds:.15g})
) > 0""",
        wait_seconds=60,
        summary="The outcome of an action is not known.",
        description=f"In {OF_SYSTEM} the outcome of {{{{ $value }}}} action(s) has not been known "
        f"for more than {duration(t.outcome_unknown_seconds)}: {named(UNDER_WAY)}.",
        dashboard=RECOVERY_PAGE,
        quiet="An action is given two to five minutes, also one whose answer was lost; whatever "
        "takes twice that long is stuck.",
        runbook=Runbook(
            meaning="Recovery asked VergeOS for something, and can neither see that it helped nor "
            "that it did not.",
            impact="Recovery does nothing else to that VM, since nothing is ever sent twice.",
            steps=(
                STATUS,
                Step("See which VMs, and in which state.",
                     promql=SENT),
                Step("See whether we can see at all.", promql="vergewatch_up"),
                LOGS,
            ),
            automation="Recovery looks at each picture, and closes the action when one tells.",
            mitigation=(
                "Look at the VM in VergeOS. " + BY_HAND,
                ("Restart Vergewatch: it takes up from its journal what was open. Nothing is sent "
                "twice."),
            ),
            noise="A cloud that was not seen for that long: nothing can be verified then.",
        ),
    )  # fmt: skip


def _held(t: Thresholds) -> Alert:
    return Alert(
        name="VergeRecoveryHeldTooLong",
        severity=Severity.WARNING,
        layer=Layer.RECOVERY,
        identity=SYSTEM,
        expr=f"""\
count by (system_name) (
  {by(VM, f'vergewatch_recovery_vm_state_info{{{ENROLLED},state="held"}}')}
  and {ON_VM} (time() - {STATE_SINCE} > {t.held_seconds:.15g})
  and {ON_SYSTEM} vergewatch_recovery_info{{mode="enforce", readiness=~"active|circuit_breaker_half_open"}}
) > 0""",
        wait_seconds=60,
        linger_seconds=t.mute_linger_seconds,
        summary="Recovery knows of a crash, and something forbids it to act.",
        description=f"In {OF_SYSTEM} {{{{ $value }}}} VM(s) crashed for certain, and have been "
        f"held back for more than {duration(t.held_seconds)}: "
        f"{named('held', ENROLLED)}.",
        dashboard=RECOVERY_PAGE,
        quiet="One message for a cloud, not one for a VM, and only of VMs that somebody enrolled. "
        "Silent in shadow mode, and where all of "
        "recovery is paused, disarmed or in a storm, which have alerts of their own.",
        runbook=Runbook(
            meaning="The crash is proven, recovery may act, and still a guard says no: a quiet "
            "window, a VM that has to be up first, want of resources, a rate limit, a key that "
            "may not act.",
            impact="These VMs are down for longer than they had to be.",
            steps=(
                STATUS,
                EXPLAIN,
                Step("See what forbids most.",
                     promql="sum by (system_name, failed_guard) "
                     "(vergewatch_recovery_decisions_total) > 0"),
            ),
            automation="Recovery acts as soon as the guard allows.",
            mitigation=(
                "Do what `explain` says under what would have to change.",
                BY_HAND,
            ),
            noise="A long quiet window in `recovery.quiet`: what crashes in it waits, as was "
            "wished.",
        ),
    )  # fmt: skip


def _unknown(t: Thresholds) -> Alert:
    return Alert(
        name="VergeRecoveryUnknownTooLong",
        severity=Severity.WARNING,
        layer=Layer.RECOVERY,
        identity=SYSTEM,
        expr=f"""\
count by (system_name) (
  {by(VM, f'vergewatch_recovery_vm_state_info{{{ENROLLED},state="unknown"}}')}
  and {ON_VM} (time() - {STATE_SINCE} > {t.unknown_seconds:.15g})
) > 0""",
        wait_seconds=60,
        linger_seconds=t.mute_linger_seconds,
        summary="VMs are down, and nobody can prove why.",
        description=f"In {OF_SYSTEM} {{{{ $value }}}} VM(s) have been down without a known cause "
        f"for more than {duration(t.unknown_seconds)}: "
        f"{named('unknown', ENROLLED)}. Recovery leaves them alone.",
        dashboard=RECOVERY_PAGE,
        quiet="One message for a cloud, not one for a VM, and only after half an hour of looking.",
        runbook=Runbook(
            meaning="The evidence for a crash is not complete: the log could not be read, or says "
            "something that Vergewatch does not understand, or nobody was looking.",
            impact="Recovery does nothing about these VMs. If it is always the same wording, it "
            "will do nothing the next time either.",
            steps=(
                STATUS,
                EXPLAIN,
                Step("See what is missing, by cause.",
                     promql="sum by (system_name, cause) "
                     '(vergewatch_recovery_decisions_total{failed_guard="crashed"}) > 0'),
            ),
            automation="Recovery keeps looking, and acts when the evidence is complete.",
            mitigation=(
                ("`logs_unclear`: teach Vergewatch the row that `explain` quotes, in "
                "`recovery.wordings`, and reload. Take the line out to undo it."),
                "`went_down_unobserved`, `never_seen_up`: " + BY_HAND,
                "If the VM is not wanted any more: the tag `recovery/ignore`.",
            ),
            noise="VMs that were stopped in a way that no log tells, and that nobody wants back.",
        ),
    )  # fmt: skip


def _circuit_breaker(t: Thresholds) -> Alert:
    return Alert(
        name="VergeRecoveryCircuitBreakerOpen",
        severity=Severity.CRITICAL,
        layer=Layer.RECOVERY,
        identity=SYSTEM,
        expr=_readiness("circuit_breaker_open|circuit_breaker_half_open"),
        wait_seconds=t.breaker_open_seconds,
        linger_seconds=t.mute_linger_seconds,
        summary="Too many VMs are down at once, so recovery holds.",
        description=f"So many VMs of {OF_SYSTEM} went down at once that recovery, where it may "
        "act, does nothing, or one at a time, until it is calm.{{ with printf "
        "`system:vergewatch_vm_unwanted_down:count{system_name=%q}` $labels.system_name | query }}"
        " Down and not stopped: "
        "{{ . | first | value }}.{{ end }}",
        dashboard=RECOVERY_PAGE,
        quiet="Three VMs or 15 % of the enrolled, whichever is more. It goes on while the storm "
        "clears, so that it does not come and go.",
        runbook=Runbook(
            meaning="The breaker of recovery is open. When many VMs are down, the likeliest thing "
            "that is broken is something they share, or our view.",
            impact="Many VMs are down, and nothing starts them by itself for now.",
            steps=(
                STATUS,
                Step("See which nodes are down.", promql="vergewatch_node_running == 0"),
                Step("See which cluster they belong to.",
                     promql="count by (system_name, cluster) "
                     "(vm_node:vergewatch_vm_running:max == 0)"),
                Step("Look at storage and at the core network in VergeOS."),
            ),
            automation="In mode enforce recovery waits for calm, and then starts VMs one at a "
            "time, the important ones first; in shadow it starts none. VergeOS starts the VMs of "
            "dead nodes.",
            mitigation=(
                "Repair what they share.",
                BY_HAND,
                ("Once you know that the view is right: `vergewatch recovery accept --reason ...`. "
                "After a warm-up VMs are started one at a time; `disarm` stops that."),
            ),
            noise="Many VMs that were stopped at once in a way that no log tells. A lab where that "
            "is daily business needs no recovery, or a larger `recovery.limits.breaker_min_vms`.",
        ),
    )  # fmt: skip


def _internal_error(t: Thresholds) -> Alert:
    return Alert(
        name="VergeRecoveryInternalError",
        severity=Severity.CRITICAL,
        layer=Layer.RECOVERY,
        identity=SYSTEM,
        expr=_readiness("broken"),
        wait_seconds=t.broken_seconds,
        linger_seconds=t.mute_linger_seconds,
        summary="Recovery stopped itself because of a bug.",
        description=f"Recovery of {OF_SYSTEM} met a bug of its own and does nothing until "
        "Vergewatch is restarted. Monitoring goes on.",
        dashboard=RECOVERY_PAGE,
        quiet="It cannot come and go: only a restart ends it.",
        runbook=Runbook(
            meaning="Something happened in recovery that its authors held to be impossible.",
            impact="VMs that crash are not started.",
            steps=(
                STATUS,
                Step("Find the traceback.",
                     command="journalctl -u vergewatch -p err --since -1d"),
                Step("Which version is it?", promql="vergewatch_build_info"),
            ),
            automation="None: a robot that is confused should stand still.",
            mitigation=(
                "Restart Vergewatch. It goes on from its journal, after a warm-up.",
                "If it comes back: go back to the version before, or set `recovery.mode: shadow`.",
                "Report the traceback.",
            ),
            noise="None.",
        ),
    )  # fmt: skip


def _journal_down(t: Thresholds) -> Alert:
    return Alert(
        name="VergeRecoveryJournalDown",
        severity=Severity.CRITICAL,
        layer=Layer.RECOVERY,
        identity=SYSTEM,
        expr=f"{by(SYSTEM, 'vergewatch_recovery_journal_up')} == 0",
        wait_seconds=t.journal_down_seconds,
        linger_seconds=t.mute_linger_seconds,
        summary="Recovery cannot write its journal.",
        description=f"The journal of {OF_SYSTEM} has not taken what is written for more than "
        f"{duration(t.journal_down_seconds)}; without it, recovery does nothing.",
        dashboard=RECOVERY_PAGE,
        quiet="A lock that is held for a moment is over within the wait.",
        runbook=Runbook(
            meaning="Nothing is done that is not written down first, and it cannot be written: the "
            "disk is full, the file is locked, damaged or read-only.",
            impact="VMs that crash are not started. Monitoring goes on.",
            steps=(
                STATUS,
                LOGS,
                Step("Is there space, and is it writable?",
                     command="df -h /var/lib/vergewatch"),
                Step("Is a second process holding it?",
                     command="fuser -v /var/lib/vergewatch/*"),
            ),
            automation="Recovery goes on by itself as soon as the journal does.",
            mitigation=(
                "Make space, or end the other process.",
                ("Move a damaged file away and restart: recovery begins anew with an empty memory, "
                "and what is down then stays down. Keep the file; it is the record."),
            ),
            noise="None is known.",
        ),
    )  # fmt: skip


def _not_ready(t: Thresholds) -> Alert:
    return Alert(
        name="VergeRecoveryNotReady",
        severity=Severity.WARNING,
        layer=Layer.RECOVERY,
        identity=SYSTEM,
        expr=f"""\
{by(SYSTEM, "vergewatch_recovery_ready")} == 0
and {ON_SYSTEM} vergewatch_recovery_info{{\
mode="enforce", readiness=~"degraded|warming_up|active|circuit_breaker_half_open"}}""",
        wait_seconds=t.not_ready_seconds,
        linger_seconds=t.muted_linger_seconds,
        summary="Recovery does not get ready to act.",
        description=f"Recovery of {OF_SYSTEM} is to act, and has not been ready for more than "
        f"{duration(t.not_ready_seconds)}."
        "{{ with printf `vergewatch_recovery_info{system_name=%q}` $labels.system_name | query }} "
        'It is {{ . | first | label "readiness" }}.{{ end }}',
        dashboard=RECOVERY_PAGE,
        quiet="A warm-up takes ten minutes; this is three of them. Silent in shadow mode, and "
        "where a pause, a disarming, a storm or a bug is the reason.",
        runbook=Runbook(
            meaning="What recovery sees is not to be believed, or again and again something makes "
            "it warm up anew.",
            impact="VMs that crash are not started.",
            steps=(
                STATUS,
                Step("See which readings were not believed, and why.",
                     promql="sum by (system_name, reason) "
                     "(increase(vergewatch_recovery_rejected_inventories_total[1h]))"),
                Step("Does the clock jump?", promql="vergewatch_recovery_clock_jumps_total"),
                Step("Are readings slow?", promql="vergewatch_table_duration_seconds"),
            ),
            automation="Recovery goes on by itself when the pictures are good.",
            mitigation=(
                ("`short` or `rows_missing` after you deleted many VMs on purpose: `vergewatch "
                "recovery accept --reason ...`."),
                "`slow`: raise `poll.fast_seconds`, or look why VergeOS answers slowly.",
                BY_HAND,
            ),
            noise="None is known.",
        ),
    )  # fmt: skip


def _disarmed(t: Thresholds) -> Alert:
    return Alert(
        name="VergeRecoveryDisarmed",
        severity=Severity.WARNING,
        layer=Layer.RECOVERY,
        identity=SYSTEM,
        expr=_readiness("disarmed"),
        wait_seconds=t.disarmed_seconds,
        linger_seconds=t.mute_linger_seconds,
        summary="Recovery has been disarmed for long.",
        description=f"Recovery of {OF_SYSTEM} has been disarmed for more than "
        f"{duration(t.disarmed_seconds)}; perhaps somebody forgot.",
        dashboard=RECOVERY_PAGE,
        quiet="Disarming for some hours is somebody's work. Forgetting is not.",
        runbook=Runbook(
            meaning="A person disarmed recovery, or the kill switch's file is there.",
            impact="VMs that crash are not started.",
            steps=(
                STATUS,
                ORDERS,
                Step("Is the kill switch there? The status names its file."),
            ),
            automation="None, by somebody's wish.",
            mitigation=(
                "Ask whoever did it; the status names them and their reason.",
                ("`vergewatch recovery arm --reason ...`, or remove the file. A warm-up follows; "
                "`disarm` undoes it."),
            ),
            noise="A site that wants it so for good should set `recovery.mode: shadow` instead.",
        ),
    )  # fmt: skip


def _paused(t: Thresholds) -> Alert:
    return Alert(
        name="VergeRecoveryPausedTooLong",
        severity=Severity.WARNING,
        layer=Layer.RECOVERY,
        identity=SYSTEM,
        expr=_readiness("paused"),
        wait_seconds=t.paused_seconds,
        linger_seconds=t.mute_linger_seconds,
        summary="Recovery has been paused for long.",
        description=f"Recovery of {OF_SYSTEM} has been paused for more than "
        f"{duration(t.paused_seconds)}; perhaps somebody forgot.",
        dashboard=RECOVERY_PAGE,
        quiet="A pause ends by itself after four hours unless its owner asked for more.",
        runbook=Runbook(
            meaning="A person paused recovery for long, or again and again.",
            impact="VMs that crash are not started until the pause ends.",
            steps=(STATUS, ORDERS),
            automation="The pause ends by itself; a warm-up follows.",
            mitigation=(
                "Ask whoever did it; the status names them and their reason.",
                "`vergewatch recovery resume --reason ...`; `pause` undoes it.",
            ),
            noise="A long maintenance: silence this one for as long.",
        ),
    )


def _read_only(t: Thresholds) -> Alert:
    window = duration(t.read_only_seconds)
    return Alert(
        name="VergeRecoveryKeyReadOnly",
        severity=Severity.WARNING,
        layer=Layer.RECOVERY,
        identity=SYSTEM,
        expr=f"""\
{grown('vergewatch_recovery_decisions_total{failed_guard="write_access"}', window)}
> 0.5""",
        summary="The key that recovery acts with may not act.",
        description=f"VergeOS refused an action in {OF_SYSTEM} within the last {window}: our user "
        "may not start VMs.",
        dashboard=RECOVERY_PAGE,
        quiet="Only when a VM had crashed for certain and the key was what forbade to help.",
        runbook=Runbook(
            meaning="VergeOS answered that our user is not permitted to do what recovery asked.",
            impact="No VM that crashes is started.",
            steps=(
                STATUS,
                ORDERS,
                Step("Check the configuration, and what each cloud says to it.",
                     command="vergewatch check"),
            ),
            automation="Recovery tries again after half an hour.",
            mitigation=(
                ("Give the user the permission to modify VMs in VergeOS, or set `action_api_key` "
                "to a key of one who has it."),
                "If it is not meant to act: `recovery.mode: shadow`.",
            ),
            noise="None is known.",
        ),
    )  # fmt: skip


def _clock_jumps(t: Thresholds) -> Alert:
    window = duration(t.clock_window_seconds)
    return Alert(
        name="VergeRecoveryClockJumps",
        severity=Severity.WARNING,
        layer=Layer.RECOVERY,
        identity=SYSTEM,
        expr=f"""\
{grown("vergewatch_recovery_clock_jumps_total", window)}
> {t.clock_jumps - 0.5}""",
        summary="The clock of the machine that Vergewatch runs on jumps.",
        description=f"Vergewatch, watching {OF_SYSTEM}, saw its clock jump "
        f'{{{{ $value | printf "%.0f" }}}} times within {window}; recovery warms up anew each '
        "time.",
        dashboard=RECOVERY_PAGE,
        quiet="One jump is a machine that slept or was set right. Three are a machine whose time "
        "nobody keeps.",
        runbook=Runbook(
            meaning="The time of day moved otherwise than the time that passed.",
            impact="After each jump recovery does nothing for ten minutes. Times in the journal "
            "are wrong.",
            steps=(
                Step("Is the clock kept?", command="timedatectl"),
                Step("By whom, and how well?", command="chronyc tracking"),
                Step("See when it jumped.", promql="vergewatch_recovery_clock_jumps_total"),
            ),
            automation="Recovery warms up and goes on. No jump refills a budget or ends a pause.",
            mitigation=(
                "Have one service keep the time, and one only: chrony, or the host's tools.",
            ),
            noise="A VM that is suspended for backups.",
        ),
    )  # fmt: skip


def _readiness(words: str) -> str:
    match = "=~" if "|" in words else "="
    return f"{by(SYSTEM, f'vergewatch_recovery_info{{readiness{match}{chr(34)}{words}{chr(34)}}}')} == 1"
