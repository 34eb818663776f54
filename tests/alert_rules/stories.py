"""
For each alert, series that make it fire.

A step is one evaluation of the rules. Several cases follow from each story: that the alert fires
after its wait, that it resolves in time, and that it is frozen while another alert mutes it.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from exporter.doctor.check import Check
from exporter.doctor.registry import CHECKS
from exporter.model import Level
from tools.alert_rules import doctor
from tools.alert_rules.groups import GROUPS

SYSTEM = "SYSTEM"
DAEMON = "DAEMON"
"""Placeholders for the names of each case, so that many cases fit into one test."""

SYS = f'system_name="{SYSTEM}"'
VM = f'{SYS},vm_id="7",vm_name="web"'
OF_VM = {"system_name": SYSTEM, "vm_id": "7", "vm_name": "web"}
OF_SYSTEM = {"system_name": SYSTEM}
DISK = f'{VM},mountpoint="/"'
OF_DISK = {**OF_VM, "mountpoint": "/"}
SCRAPED = f'job="vergewatch",instance="{DAEMON}"'
OF_DAEMON = {"job": "vergewatch", "instance": DAEMON}
NODE = f'{SYS},node_name="n1"'
OF_NODE = {"system_name": SYSTEM, "node_name": "n1"}
OF_TABLE = {"system_name": SYSTEM, "table": "vms"}
TABLE = f'{SYS},table="vms"'
OF_INPUT = {"system_name": SYSTEM, "input": "machine_logs"}
INPUT = f'{SYS},input="machine_logs"'
OF_SUBJECT = {"system_name": SYSTEM, "subject": "it"}


PLANNED_REQUESTS = 758
"""Requests of an hour in an example schedule."""


class Series(NamedTuple):
    """A series, and its values for a number of samples."""

    selector: str
    values: Callable[[int], str]


class Story(NamedTuple):
    """Series that make an alert fire."""

    alert: str
    series: tuple[Series, ...]
    labels: dict[str, str]
    onset: int = 0
    """The first step at which the expression holds."""
    tail: int = 0
    """Steps for which the expression holds after the series end."""
    minutes: int = 1
    """Minutes of a step."""
    samples: int = 1
    """Samples in a step."""


def steady(selector: str, value: float) -> Series:
    return Series(selector, lambda count: f"{value:g}x{max(count - 1, 0)} stale")


QUESTION = steady(f'vergewatch_recovery_vm_question_info{{{VM},action="poweron",question="17"}}', 1)


def rising(selector: str, start: float, by: float) -> Series:
    return Series(selector, lambda count: f"{start:g}{by:+g}x{max(count - 1, 0)} stale")


def then(selector: str, values: str) -> Series:
    return Series(selector, lambda _: values)


def state(word: str, of: str = VM, policy: str = "on-failure", **labels: str) -> Series:
    """Return the recovery state of a VM, with more *labels*."""
    text = ",".join(
        f'{name}="{value}"' for name, value in {"policy": policy, "state": word, **labels}.items()
    )
    return steady(f"vergewatch_recovery_vm_state_info{{{of},{text}}}", 1)


def not_enrolled(word: str, of: str = VM, **labels: str) -> Series:
    """Return the state of a VM that is not enrolled."""
    return state(word, of, "no", **labels)


def since(at: float = 0, of: str = VM) -> Series:
    return steady(f"vergewatch_recovery_vm_state_since_timestamp_seconds{{{of}}}", at)


def running(value: float, of: str = VM) -> Series:
    return steady(f"vergewatch_vm_running{{{of}}}", value)


def status(word: str, of: str = VM) -> Series:
    return steady(f'vergewatch_vm_status_info{{{of},status="{word}"}}', 1)


def recovery(readiness: str, mode: str = "enforce", of: str = SYS) -> Series:
    return steady(f'vergewatch_recovery_info{{{of},mode="{mode}",readiness="{readiness}"}}', 1)


def last_action(outcome: str, at: float = 0) -> tuple[Series, ...]:
    return (
        steady(
            f'vergewatch_recovery_vm_last_action_info{{{VM},action="poweron",outcome="{outcome}"}}',
            1,
        ),
        steady(f"vergewatch_recovery_vm_last_action_timestamp_seconds{{{VM}}}", at),
    )


def lag(late: float) -> tuple[Series, ...]:
    """Return a histogram of 120 measurements a minute; the share *late* is late."""
    name = "vergewatch_event_loop_lag_seconds"
    return (
        rising(f"{name}_count{{{SCRAPED}}}", 0, 120),
        rising(f'{name}_bucket{{{SCRAPED},le="0.5"}}', 0, 120 * (1 - late)),
        rising(f'{name}_bucket{{{SCRAPED},le="+Inf"}}', 0, 120),
    )


def finding(check: str, level: Level) -> Series:
    """Return a finding of the doctor."""
    labels = f'{SYS},check="{check}",subject="it",level="{level}"'
    return steady(f"vergewatch_doctor_finding{{{labels}}}", 1)


def of_doctor() -> dict[str, tuple[Check, Level]]:
    """Return a check and a level of its findings for each alert that is made of a check."""
    (made,) = (group for group in GROUPS if group.name == "doctor")
    names = {alert.name for alert in made.alerts}
    found = {check.alert: (check, check.levels[0]) for check in CHECKS}
    found |= {
        doctor.critical_name(check): (check, Level.CRITICAL)
        for check in CHECKS
        if Level.CRITICAL in check.levels
    }
    return {name: one for name, one in found.items() if name in names}


def _stories_of_doctor() -> Iterable[Story]:
    for name, (check, level) in of_doctor().items():
        yield Story(name, (finding(check.name, level),), OF_SUBJECT)


USED = f"vergewatch_vm_guest_filesystem_used_bytes{{{DISK}}}"
SIZE = f"vergewatch_vm_guest_filesystem_size_bytes{{{DISK}}}"

STORIES = (
    # VMs and nodes.
    Story(
        "VergeNodeStatusFrozen",
        (steady(f"vergewatch_node_status_frozen{{{NODE}}}", 1),),
        OF_NODE,
    ),
    Story("VergeNodeOffline", (steady(f"vergewatch_node_running{{{NODE}}}", 0),), OF_NODE),
    Story(
        "VergeVMFailoverWindow",
        (
            then(f'vergewatch_vm_info{{{VM},node_name="n1"}}', "1x4 stale"),
            then(f"vergewatch_node_running{{{NODE}}}", "1x4 0x30"),
        ),
        OF_VM,
        onset=5,
    ),
    Story("VergeVMDown", (state("held"), running(0), status("stopped")), OF_VM),
    Story(
        "VergeVMWentDown",
        (
            Series(
                f"vergewatch_vm_running{{{VM}}}",
                lambda count: f"1x4 0x{max(count - 6, 0)} stale",
            ),
            status("stopped"),
        ),
        OF_VM,
        onset=5,
    ),
    Story("VergeVMUnresponsive", (status("unresponsive"), running(1)), OF_VM),
    Story("VergeVMError", (status("error"), running(0)), OF_VM),
    Story("VergeVMStuckInTransition", (status("starting"), running(0)), OF_VM),
    Story("VergeVMMigrationStuck", (status("migrating"), running(1)), OF_VM),
    Story(
        "VergeVMFlapping",
        (then(f"vergewatch_vm_start_timestamp_seconds{{{VM}}}", "0 0 60 60 180 180 300 stale"),),
        OF_VM,
        onset=6,
        tail=60,
    ),
    Story(
        "VergeVMRestartPending",
        (
            steady(f"vergewatch_vm_need_restart{{{VM}}}", 1),
            steady(f"vergewatch_vm_start_timestamp_seconds{{{VM}}}", 0),
        ),
        OF_VM,
        onset=169,
        minutes=60,
        samples=15,
    ),
    Story(
        "VergeVMGuestAgentLost",
        (
            Series(
                f"vergewatch_vm_guest_agent_connected{{{VM}}}",
                lambda count: f"1x9 0x{max(count - 11, 0)} stale",
            ),
            steady(f"vergewatch_vm_start_timestamp_seconds{{{VM}}}", 0),
        ),
        OF_VM,
        onset=16,
    ),
    Story("VergeVMFilesystemAlmostFull", (steady(USED, 96), steady(SIZE, 100)), OF_DISK),
    Story(
        "VergeVMFilesystemFilling",
        (rising(USED, 71, 0.05), steady(SIZE, 100)),  # 100 % after ten hours
        OF_DISK,
        onset=1,
    ),
    Story(
        "VergeVMCPUSaturated",
        (steady(f"vergewatch_vm_cpu_usage_ratio{{{VM}}}", 0.99),),
        OF_VM,
        tail=29,
    ),
    Story(
        "VergeVMGuestMemoryPressure",
        (
            steady(f"vergewatch_vm_guest_memory_used_bytes{{{VM}}}", 97),
            steady(f"vergewatch_vm_guest_memory_total_bytes{{{VM}}}", 100),
        ),
        OF_VM,
        tail=14,
    ),
    # Recovery.
    Story("VergeRecoveryFailed", (*last_action("failed"), state("backoff")), OF_VM),
    Story("VergeRecoveryQuarantined", (state("quarantined"),), OF_VM),
    Story("VergeRecoveryActed", last_action("confirmed"), OF_VM),
    Story("VergeRecoveryApprovalNeeded", (QUESTION,), OF_VM),
    Story(
        "VergeRecoveryErrorBudgetSpent",
        (steady(f"vergewatch_recovery_error_budget_spent{{{SYS}}}", 1),),
        OF_SYSTEM,
    ),
    Story("VergeRecoveryOutcomeUnknown", (state("indeterminate"), since()), OF_SYSTEM, onset=11),
    Story("VergeRecoveryHeldTooLong", (state("held"), since(), recovery("active")), OF_SYSTEM, 16),
    Story("VergeRecoveryCircuitBreakerOpen", (recovery("circuit_breaker_open"),), OF_SYSTEM),
    Story("VergeRecoveryInternalError", (recovery("broken"),), OF_SYSTEM),
    Story(
        "VergeRecoveryJournalDown",
        (steady(f"vergewatch_recovery_journal_up{{{SYS}}}", 0),),
        OF_SYSTEM,
    ),
    Story(
        "VergeRecoveryNotReady",
        (steady(f"vergewatch_recovery_ready{{{SYS}}}", 0), recovery("degraded")),
        OF_SYSTEM,
    ),
    Story(
        "VergeRecoveryInputMissing",
        (steady(f"vergewatch_recovery_input_success{{{INPUT}}}", 0),),
        OF_INPUT,
    ),
    Story("VergeRecoveryRival", (recovery("rival"),), OF_SYSTEM),
    Story("VergeRecoveryDisarmed", (recovery("disarmed"),), OF_SYSTEM, minutes=2),
    Story("VergeRecoveryPausedTooLong", (recovery("paused"),), OF_SYSTEM, minutes=2),
    Story(
        "VergeRecoveryKeyReadOnly",
        (
            then(
                f'vergewatch_recovery_decisions_total{{{SYS},failed_guard="write_access",cause="crashed"}}',
                "_x4 1x20 stale",
            ),
        ),
        OF_SYSTEM,
        onset=4,
    ),
    Story(
        "VergeRecoveryClockJumps",
        (then(f"vergewatch_recovery_clock_jumps_total{{{SYS}}}", "_x4 1 2 3x20 stale"),),
        OF_SYSTEM,
        onset=6,
    ),
    # The daemon.
    Story("VergeExporterDown", (steady(f"up{{{SCRAPED}}}", 0),), OF_DAEMON),
    Story(
        "VergeExporterAbsent",
        (steady('up{job="another",instance="b"}', 1),),
        {"job": "vergewatch"},
        tail=10**6,
    ),
    Story(
        "VergeExporterRestarting",
        (then(f"process_start_time_seconds{{{SCRAPED}}}", "0 60 120 180 240 stale"),),
        OF_DAEMON,
        onset=4,
        tail=58,
    ),
    Story(
        "VergeSystemStatusFrozen",
        (steady(f"vergewatch_system_status_frozen{{{SYS}}}", 1),),
        OF_SYSTEM,
    ),
    Story("VergeSystemDataStale", (steady(f"vergewatch_up{{{SYS}}}", 0),), OF_SYSTEM),
    Story(
        "VergeAuthenticationFailed", (steady(f"vergewatch_authenticated{{{SYS}}}", 0),), OF_SYSTEM
    ),
    Story(
        "VergeTableFailing",
        (steady(f"vergewatch_table_fresh{{{TABLE}}}", 0),),
        OF_TABLE,
    ),
    Story(
        "VergeRowsSkipped",
        (rising(f"vergewatch_table_rows_skipped_total{{{TABLE}}}", 0, 3),),
        OF_TABLE,
        onset=1,
        tail=13,
    ),
    Story(
        "VergeAPIBudgetLow",
        (
            steady(f"vergewatch_api_requests_remaining{{{SYS}}}", 3),
            steady(f"vergewatch_api_requests_planned{{{SYS}}}", PLANNED_REQUESTS),
        ),
        OF_SYSTEM,
    ),
    Story("VergeEventLoopStalling", lag(0.05), OF_DAEMON, onset=1, tail=3),
    Story(
        "VergeReloadFailed",
        (steady(f"vergewatch_config_last_reload_successful{{{SCRAPED}}}", 0),),
        OF_DAEMON,
    ),
    Story("VergeDuplicateSeries", (steady(f"vergewatch_duplicate_series{{{SYS}}}", 1),), OF_SYSTEM),
    Story("VergeWatchdog", (), {}, tail=10**6),
    *_stories_of_doctor(),
)
