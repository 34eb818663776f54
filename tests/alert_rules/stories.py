"""
What each alert is about, as series that make it fire.

A step is one evaluation of the rules. From each story follow several cases: that it fires exactly
when it has to, that it is over when it has to be, and that it is frozen by whatever mutes it.
"""

from collections.abc import Callable
from typing import NamedTuple

CLOUD = "CLOUD"
DAEMON = "DAEMON"
"""What stands for a name of the case's own, so that many cases fit into one world."""

C = f'system_name="{CLOUD}"'
VM = f'{C},vm_id="7",vm_name="web"'
OF_VM = {"system_name": CLOUD, "vm_id": "7", "vm_name": "web"}
OF_CLOUD = {"system_name": CLOUD}
DISK = f'{VM},mountpoint="/"'
OF_DISK = {**OF_VM, "mountpoint": "/"}
SCRAPED = f'job="vergewatch",instance="{DAEMON}"'
OF_DAEMON = {"job": "vergewatch", "instance": DAEMON}
NODE = f'{C},node="n1"'
OF_NODE = {"system_name": CLOUD, "node": "n1"}
OF_TABLE = {"system_name": CLOUD, "table": "vms"}
TABLE = f'{C},table="vms"'


PLANNED_REQUESTS = 758
"""An example of an hour's schedule; the rule compares with its share."""


class Series(NamedTuple):
    """A series, and how it goes on for some samples."""

    selector: str
    values: Callable[[int], str]


class Story(NamedTuple):
    """What happens until an alert fires, and for as long as it is to go on."""

    alert: str
    series: tuple[Series, ...]
    labels: dict[str, str]
    onset: int = 0
    """The first step at which it holds."""
    tail: int = 0
    """Steps for which it goes on to hold when the series end."""
    minutes: int = 1
    """Of a step."""
    samples: int = 1
    """In a step."""


def steady(selector: str, value: float) -> Series:
    return Series(selector, lambda count: f"{value:g}x{max(count - 1, 0)} stale")


def rising(selector: str, start: float, by: float) -> Series:
    return Series(selector, lambda count: f"{start:g}{by:+g}x{max(count - 1, 0)} stale")


def then(selector: str, values: str) -> Series:
    return Series(selector, lambda _: values)


def state(word: str, of: str = VM, policy: str = "on-failure") -> Series:
    return steady(f'vergewatch_recovery_vm_state_info{{{of},policy="{policy}",state="{word}"}}', 1)


def stranger(word: str, of: str = VM) -> Series:
    """Return the state of a VM that is not enrolled."""
    return state(word, of, "no")


def since(at: float = 0, of: str = VM) -> Series:
    return steady(f"vergewatch_recovery_vm_state_since_timestamp_seconds{{{of}}}", at)


def running(value: float, of: str = VM) -> Series:
    return steady(f"vergewatch_vm_running{{{of}}}", value)


def status(word: str, of: str = VM) -> Series:
    return steady(f'vergewatch_vm_status_info{{{of},status="{word}"}}', 1)


def recovery(readiness: str, mode: str = "enforce", of: str = C) -> Series:
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
    """Return a histogram of 120 measurements a minute, of which a share is late."""
    name = "vergewatch_event_loop_lag_seconds"
    return (
        rising(f"{name}_count{{{SCRAPED}}}", 0, 120),
        rising(f'{name}_bucket{{{SCRAPED},le="0.5"}}', 0, 120 * (1 - late)),
    )


USED = f"vergewatch_vm_guest_filesystem_used_bytes{{{DISK}}}"
SIZE = f"vergewatch_vm_guest_filesystem_size_bytes{{{DISK}}}"

STORIES = (
    # VMs and nodes.
    Story("VergeNodeOffline", (steady(f"vergewatch_node_running{{{NODE}}}", 0),), OF_NODE),
    Story(
        "VergeVMFailoverWindow",
        (
            then(f'vergewatch_vm_info{{{VM},node="n1"}}', "1x4 stale"),
            then(f"vergewatch_node_running{{{NODE}}}", "1x4 0x30"),
        ),
        OF_VM,
        onset=5,
    ),
    Story("VergeVMDown", (state("held"), running(0), status("stopped")), OF_VM),
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
    Story("VergeRecoveryOutcomeUnknown", (state("indeterminate"), since()), OF_CLOUD, onset=11),
    Story("VergeRecoveryHeldTooLong", (state("held"), since(), recovery("active")), OF_CLOUD, 16),
    Story("VergeRecoveryUnknownTooLong", (state("unknown"), since()), OF_CLOUD, onset=31),
    Story("VergeRecoveryCircuitBreakerOpen", (recovery("circuit_breaker_open"),), OF_CLOUD),
    Story("VergeRecoveryInternalError", (recovery("broken"),), OF_CLOUD),
    Story(
        "VergeRecoveryJournalDown", (steady(f"vergewatch_recovery_journal_up{{{C}}}", 0),), OF_CLOUD
    ),
    Story(
        "VergeRecoveryNotReady",
        (steady(f"vergewatch_recovery_ready{{{C}}}", 0), recovery("degraded")),
        OF_CLOUD,
    ),
    Story("VergeRecoveryDisarmed", (recovery("disarmed"),), OF_CLOUD, minutes=2),
    Story("VergeRecoveryPausedTooLong", (recovery("paused"),), OF_CLOUD, minutes=2),
    Story(
        "VergeRecoveryKeyReadOnly",
        (
            then(
                f'vergewatch_recovery_decisions_total{{{C},failed_guard="write_access",cause="crashed"}}',
                "_x4 1x20 stale",
            ),
        ),
        OF_CLOUD,
        onset=4,
    ),
    Story(
        "VergeRecoveryClockJumps",
        (then(f"vergewatch_recovery_clock_jumps_total{{{C}}}", "_x4 1 2 3x20 stale"),),
        OF_CLOUD,
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
    Story("VergeSystemDataStale", (steady(f"vergewatch_up{{{C}}}", 0),), OF_CLOUD),
    Story("VergeAuthenticationFailed", (steady(f"vergewatch_authenticated{{{C}}}", 0),), OF_CLOUD),
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
            steady(f"vergewatch_api_requests_remaining{{{C}}}", 3),
            steady(f"vergewatch_api_requests_planned{{{C}}}", PLANNED_REQUESTS),
        ),
        OF_CLOUD,
    ),
    Story("VergeEventLoopStalling", lag(0.05), OF_DAEMON, onset=1, tail=3),
    Story(
        "VergeReloadFailed",
        (steady(f"vergewatch_config_last_reload_successful{{{SCRAPED}}}", 0),),
        OF_DAEMON,
    ),
    Story("VergeDuplicateSeries", (steady(f"vergewatch_duplicate_series{{{C}}}", 2),), OF_CLOUD),
    Story("VergeWatchdog", (), {}, tail=10**6),
)
