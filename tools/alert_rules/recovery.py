"""Rules about recovery: its actions, failures and readiness."""

from functools import partial

from exporter.alerting.alerts import HOLDS_ALL_VMS
from exporter.alerting.definitions import AlertName
from exporter.recovery.decide.inputs import HOLDS
from tools.alert_rules.expressions import (
    DOWN_STATES,
    ENROLLED,
    INPUT,
    LEADS,
    OF_SYSTEM,
    OF_VM,
    ON_SYSTEM,
    ON_VM,
    RECOVERY_STATE,
    STATE_INFO,
    STATE_SINCE,
    SYSTEM,
    VM,
    WHAT_IS_KNOWN,
    by,
    grown,
    lookup,
    through_failover,
)
from tools.alert_rules.model import (
    FOR,
    MUTED,
    MUTING,
    Alert,
    Layer,
    Severity,
    defined,
    seconds,
)

_LAST_ACTION = "vergewatch_recovery_vm_last_action_timestamp_seconds"
_QUESTION = "vergewatch_recovery_vm_question_info"
_EPOCH = "vergewatch_recovery_lease_epoch"
LEADER_CHANGES = 3
"""In an hour; an upgrade of three replicas takes as many."""
_ONLY_HOLDS = "|".join(HOLDS)
_HOLD_ALL_VMS = "|".join(sorted(HOLDS_ALL_VMS))
_NOT_YET = 'mode=~"ask|enforce",readiness=~"degraded|warming_up|active|circuit_breaker_half_open"'
_OPEN_ACTION = "acting|verifying|indeterminate"

_QUARANTINED_FOR = lookup(
    f"time() - {STATE_SINCE}",
    " It has been quarantined for {{ . | first | value | humanizeDuration }}.",
)
_ANSWERS = lookup(
    _QUESTION,
    '{{ with . | first | label "question" }} Answer question {{ . }} with '
    '`vergewatch recovery approve {{ . }} --reason "..."` or '
    '`vergewatch recovery deny {{ . }} --reason "..."`.{{ end }}',
)
_VMS_DOWN = lookup(
    "system:vergewatch_vm_unwanted_down:count",
    " {{ . | first | value }} VM(s) are down and were not stopped.",
    labels=SYSTEM,
)
_READINESS = lookup(
    "vergewatch_recovery_info",
    ' Its readiness is {{ . | first | label "readiness" }}.',
    labels=SYSTEM,
)
_recovery_alert = partial(Alert, layer=Layer.RECOVERY, identity=SYSTEM)


def _readiness(matcher: str) -> str:
    """Return the expression of systems whose readiness meets *matcher*."""
    return f"{by(SYSTEM, f'vergewatch_recovery_info{{readiness{matcher}}}')} == 1"


def _stays_ready(matcher: str) -> str:
    """Return the same for a long wait, which a failover does not restart."""
    info = through_failover(f"vergewatch_recovery_info{{readiness{matcher}}}")
    return f"{by(SYSTEM, info)} == 1"


def _of_leader(expr: str) -> str:
    """Leave out the series of replicas that do not lead."""
    return f"{expr} unless on (system_name, job, instance) ({LEADS} == 0)"


def _stays_in_state(matchers: str, longer_than: str) -> str:
    """Return the expression of VMs that have been in a recovery state for some time."""
    return f"""\
{by(VM, f"{STATE_INFO}{{{matchers}}}")} == 1
and {ON_VM} (time() - {STATE_SINCE} > {seconds(longer_than)})"""


ALERTS = (
    _recovery_alert(
        **defined(AlertName.FAILED),
        expr=f"""\
{by(VM, 'vergewatch_recovery_vm_last_action_info{outcome=~"failed|unknown"}')} == 1
and {ON_VM} {STATE_INFO}{{{ENROLLED},state=~"{DOWN_STATES}"}}
unless {ON_VM} (
  {by(VM[:2], "vergewatch_vm_start_timestamp_seconds")} > {by(VM[:2], _LAST_ACTION)}
)""",
        keep_firing_for=MUTING,
        description=f"The last recovery action on {OF_VM} failed or has no known outcome, and the "
        f"VM is still down.{RECOVERY_STATE} Recovery tries again until the restart budget is "
        "spent. Run `vergewatch recovery log VM`.",
    ),
    _recovery_alert(
        **defined(AlertName.QUARANTINED),
        expr=f"""\
{by(VM, f'{STATE_INFO}{{{ENROLLED},state="quarantined"}}')} == 1""",
        keep_firing_for=MUTING,
        description=f"{OF_VM} is quarantined: its restart budget or its allowed actions are "
        "exhausted."
        f"{_QUARANTINED_FOR} Recovery does not act on it. Run `vergewatch explain VM`, then start "
        "the VM in VergeOS.",
    ),
    _recovery_alert(
        **defined(AlertName.ACTED),
        expr=f"""\
time() - {by(VM, _LAST_ACTION)} < {seconds("1h")}
and {ON_VM} vergewatch_recovery_vm_last_action_info{{outcome="confirmed"}}""",
        keep_firing_for=MUTING,
        description=f"Recovery restarted {OF_VM} {{{{ $value | humanizeDuration }}}} ago, and the "
        "VM runs. Run `vergewatch recovery log VM` for the cause.",
    ),
    _recovery_alert(
        **defined(AlertName.APPROVAL_NEEDED),
        expr=f"{by(VM, _QUESTION)} == 1",
        keep_firing_for=MUTING,
        description=f"{OF_VM} crashed, and recovery asks whether to act on it.{_ANSWERS} Run "
        "`vergewatch explain VM` for the evidence.",
    ),
    _recovery_alert(
        **defined(AlertName.ERROR_BUDGET_SPENT),
        expr=f"{by(SYSTEM, 'vergewatch_recovery_error_budget_spent')} == 1",
        keep_firing_for=MUTING,
        description=f"Recovery of {OF_SYSTEM} fell back from mode enforce to ask, because people "
        "stopped VMs within ten minutes after it had started them. Run `vergewatch recovery log` "
        "for the VMs, and `vergewatch recovery arm --reason ...` to let it act by itself again.",
    ),
    _recovery_alert(
        **defined(AlertName.OUTCOME_UNKNOWN),
        # An action is verified within 2 to 5 minutes.
        expr=_stays_in_state(f'{ENROLLED},state=~"{_OPEN_ACTION}"', "10m"),
        for_="1m",
        keep_firing_for=MUTING,
        description=f"A recovery action on {OF_VM} has had no known outcome for more than 10m. "
        "Recovery does not act on the VM again until the outcome is known. Run "
        "`vergewatch explain VM`.",
    ),
    _recovery_alert(
        **defined(AlertName.HELD_TOO_LONG),
        expr=_stays_in_state(f'{ENROLLED},state="held"', "15m")
        + f"""
and {ON_SYSTEM} vergewatch_recovery_info{{mode=~"ask|enforce",readiness!~"{_HOLD_ALL_VMS}"}}
unless {ON_VM} {_QUESTION}""",
        for_="1m",
        keep_firing_for=MUTING,
        description=f"{OF_VM} has been held for more than 15m.{WHAT_IS_KNOWN} Recovery starts it "
        "when all guards pass. Run `vergewatch explain VM`.",
    ),
    _recovery_alert(
        **defined(AlertName.CIRCUIT_BREAKER_OPEN),
        expr=_readiness('=~"circuit_breaker_open|circuit_breaker_half_open"'),
        for_="1m",
        keep_firing_for=MUTING,
        description=f"The circuit breaker of {OF_SYSTEM} is open or half open."
        f"{_VMS_DOWN} Recovery starts no VM while it is open, and one at a time while it is "
        "half open. Run `vergewatch recovery status`.",
    ),
    _recovery_alert(
        **defined(AlertName.RIVAL),
        expr=_readiness('="rival"'),
        keep_firing_for=MUTING,
        description=f"VergeOS logged an action on {OF_SYSTEM} in the name of our user, and "
        "this instance did not send it: another one acts too. Recovery is held until an operator "
        "arms it, or for an hour after the last such action. Run `vergewatch recovery status`.",
    ),
    _recovery_alert(
        **defined(AlertName.INTERNAL_ERROR),
        expr=_readiness('="broken"'),
        for_="1m",
        keep_firing_for=MUTING,
        description=f"Recovery of {OF_SYSTEM} had an internal error and does not act until "
        "Vergewatch is restarted. Monitoring continues. Run `journalctl -u vergewatch -p err`.",
    ),
    _recovery_alert(
        **defined(AlertName.JOURNAL_DOWN),
        expr=f"{by(SYSTEM, 'vergewatch_recovery_journal_up == 0')}",
        for_="2m",
        keep_firing_for=MUTING,
        description=f"Recovery could not write the journal of {OF_SYSTEM} for more than {FOR}. "
        "Without a journal it does not act. Run `vergewatch recovery status`.",
    ),
    _recovery_alert(
        name="VergeRecoveryNotReady",
        severity=Severity.WARNING,
        expr=f"""\
{by(SYSTEM, "vergewatch_recovery_ready")} == 0
and {ON_SYSTEM} {through_failover(f"vergewatch_recovery_info{{{_NOT_YET}}}")}""",
        for_="30m",  # three warm-ups
        keep_firing_for=MUTED,
        summary="Recovery of system {system_name} is in mode ask or enforce but not ready",
        description=f"Recovery of {OF_SYSTEM} has not been ready for more than {FOR}."
        f"{_READINESS} It does not restart VMs. Run `vergewatch recovery status`.",
    ),
    _recovery_alert(
        name="VergeRecoveryInputMissing",
        severity=Severity.WARNING,
        identity=INPUT,
        # In every mode: without its inputs, recovery cannot tell a crash from a stop either.
        expr=f"""\
{by(INPUT, _of_leader(f'vergewatch_recovery_input_success{{input!~"{_ONLY_HOLDS}"}}'))} == 0""",
        for_="10m",
        keep_firing_for=MUTED,
        summary="Recovery of system {system_name} lacks the input {input}",
        description=f"The input {{{{ $labels.input }}}} of recovery of {OF_SYSTEM} has been "
        f"missing for more than {FOR}. Without it recovery starts no VM, and may not tell a "
        "crash from a stop. Run `vergewatch recovery status` and `vergewatch check`.",
    ),
    _recovery_alert(
        **defined(AlertName.DISARMED),
        expr=_stays_ready('="disarmed"'),
        for_="4h",
        keep_firing_for=MUTING,
        description=f"Recovery of {OF_SYSTEM} has been disarmed for more than {FOR}, and restarts "
        "no VM until it is armed. Run `vergewatch recovery status` for the operator and the "
        "reason.",
    ),
    _recovery_alert(
        name="VergeRecoveryPausedTooLong",
        severity=Severity.WARNING,
        expr=_stays_ready('="paused"'),
        for_="5h",  # a pause lasts 4 hours unless the operator asks for more
        keep_firing_for=MUTING,
        summary="Recovery of system {system_name} has been paused for a long time",
        description=f"Recovery of {OF_SYSTEM} has been paused for more than {FOR}, and restarts "
        "no VM until the pause ends. Run `vergewatch recovery status` for the operator and the "
        "reason.",
    ),
    _recovery_alert(
        name="VergeRecoveryNoLeader",
        severity=Severity.CRITICAL,
        expr=f"{by(SYSTEM, LEADS)} == 0",
        for_="2m",  # a replica that is killed is replaced within 35 seconds
        keep_firing_for=MUTING,
        summary="No replica leads the recovery of system {system_name}",
        description=f"For more than {FOR}, no replica of Vergewatch has led the recovery of "
        f"{OF_SYSTEM}, although at least one answers: no VM is restarted. Run "
        "`vergewatch recovery status`.",
    ),
    _recovery_alert(
        name="VergeRecoverySeveralLeaders",
        severity=Severity.CRITICAL,
        # One that acts not at all harms nothing, such as a second daemon in mode shadow.
        expr=f"""\
count by (system_name) (
  {LEADS} == 1
  and on (system_name, job, instance) vergewatch_recovery_info{{mode=~"ask|enforce"}}
) > 1""",
        for_="2m",  # two scrapes of a hand-over are not of the same moment
        keep_firing_for=MUTING,
        summary="Several instances of Vergewatch lead the recovery of system {system_name}",
        description='{{ $value | printf "%.0f" }} instances of Vergewatch have led the recovery of '
        f"{OF_SYSTEM} for more than {FOR}, each with a journal of its own: together they may start "
        "a VM twice. Stop all but one, or give them one journal on PostgreSQL.",
    ),
    _recovery_alert(
        name="VergeRecoveryLeaderChanging",
        severity=Severity.WARNING,
        expr=f"""\
{by(SYSTEM, f"max_over_time({_EPOCH}[1h])")}
- min by (system_name) (min_over_time({_EPOCH}[1h]))
> {LEADER_CHANGES}""",
        summary="The leader of the recovery of system {system_name} changes again and again",
        description=f"The lease of {OF_SYSTEM} has had "
        '{{ $value | printf "%.0f" }} new holders within 1h. Recovery does not act while no '
        "replica leads. Run `vergewatch recovery status` and `journalctl -u vergewatch`.",
    ),
    _recovery_alert(
        name="VergeRecoveryKeyReadOnly",
        severity=Severity.WARNING,
        expr=f"""\
{grown('vergewatch_recovery_decisions_total{failed_guard="write_access"}', "1h")}
> 0.5""",
        summary="The API key of recovery has no permission to start VMs in system {system_name}",
        description=f"The guard `write_access` failed in {OF_SYSTEM} within the last 1h: VergeOS "
        "does not permit the user to start VMs. Recovery retries after half an hour. Run "
        "`vergewatch check`.",
    ),
    _recovery_alert(
        name="VergeRecoveryClockJumps",
        severity=Severity.WARNING,
        expr=f"""\
{grown("vergewatch_recovery_clock_jumps_total", "6h")}
> 2.5""",
        summary="The clock of the Vergewatch host jumps while it polls system {system_name}",
        description=f"While polling {OF_SYSTEM}, Vergewatch saw its host's clock jump "
        '{{ $value | printf "%.0f" }} times within 6h. Recovery warms up after each jump. Run '
        "`timedatectl` on the host.",
    ),
)
