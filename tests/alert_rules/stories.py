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
from tools.alert_rules.groups import GROUPS
from tools.alert_rules.thresholds import REPLICA_AGE_DAYS

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
NODE_NIC = f'{NODE},nic="eno1"'
OF_NODE_NIC = {**OF_NODE, "nic": "eno1"}
CLUSTER = f'{SYS},cluster_name="lab"'
OF_CLUSTER = {"system_name": SYSTEM, "cluster_name": "lab"}
OF_TABLE = {"system_name": SYSTEM, "table": "vms"}
TABLE = f'{SYS},table="vms"'
OF_INPUT = {"system_name": SYSTEM, "input": "machine_logs"}
INPUT = f'{SYS},input="machine_logs"'
TIER = f'{SYS},cluster_name="k",storage_tier="1"'
OF_TIER = {"system_name": SYSTEM, "cluster_name": "k", "storage_tier": "1"}
DRIVE = f'{NODE},drive="/dev/sda",serial="S1"'
OF_DRIVE = {**OF_NODE, "drive": "/dev/sda", "serial": "S1"}
OF_SUBJECT = {"system_name": SYSTEM, "subject": "it"}
VNET = f'{SYS},vnet_id="21",vnet_name="blue"'
OF_VNET = {"system_name": SYSTEM, "vnet_id": "21", "vnet_name": "blue"}
TENANT = f'{SYS},tenant_id="8",tenant_name="meadow"'
OF_TENANT = {"system_name": SYSTEM, "tenant_id": "8", "tenant_name": "meadow"}
SPACE = f'{TENANT},storage_tier="1"'
SYNC = f'{SYS},sync_id="1",sync_name="to-harbor"'
OF_SYNC = {"system_name": SYSTEM, "sync_id": "1", "sync_name": "to-harbor"}
API_KEY = f'{SYS},api_key_id="1",api_key_name="vergewatch"'
OF_API_KEY = {"system_name": SYSTEM, "api_key_id": "1", "api_key_name": "vergewatch"}


LEADS = "vergewatch_recovery_leader"
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


def ran_before(selector: str) -> Series:
    """Return a series that is 1 for five samples, and then 0."""
    return Series(selector, lambda count: f"1x4 0x{max(count - 6, 0)} stale")


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
    found = {
        check.alert_of(level): (check, level)
        for check in CHECKS
        for level in reversed(check.levels)  # of an alert for both, the first
    }
    return {name: one for name, one in found.items() if name in names}


def _stories_of_doctor() -> Iterable[Story]:
    for name, (check, level) in of_doctor().items():
        yield Story(name, (finding(check.name, level),), OF_SUBJECT)


def hot(celsius: float) -> tuple[Series, ...]:
    """Return the temperature of a node whose limit is 90 degrees."""
    return (
        steady(f"vergewatch_node_core_temperature_top_celsius{{{NODE}}}", celsius),
        steady(f"vergewatch_node_core_temperature_limit_celsius{{{NODE}}}", 90),
    )


def headroom(left: float, nodes: int = 3, online: int = 3) -> tuple[Series, ...]:
    """Return the headroom of a cluster of several nodes."""
    return (
        steady(f"vergewatch_cluster_memory_headroom_bytes{{{CLUSTER}}}", left),
        steady(f"vergewatch_cluster_nodes{{{CLUSTER}}}", nodes),
        steady(f"vergewatch_cluster_online_nodes{{{CLUSTER}}}", online),
    )


def tier_status(word: str) -> Series:
    labels = f'{TIER},status="{word}",state="error"'
    return steady(f"vergewatch_cluster_tier_info{{{labels}}}", 1)


def of_tier(metric: str, value: float) -> Series:
    return steady(f"vergewatch_cluster_tier_{metric}{{{TIER}}}", value)


def drive(word: str, tier: str = "1") -> Series:
    labels = f'{DRIVE},status="{word}",storage_tier="{tier}",model="m",slot="slot 1"'
    return steady(f"vergewatch_drive_info{{{labels}}}", 1)


def worn(share: float, *, hours: float) -> tuple[Series, Series]:
    """Return the wear and the age of a drive."""
    return (
        steady(f"vergewatch_drive_wear_ratio{{{DRIVE}}}", share),
        steady(f"vergewatch_drive_power_on_seconds{{{DRIVE}}}", hours * 3600),
    )


USED = f"vergewatch_vm_guest_filesystem_used_bytes{{{DISK}}}"
SIZE = f"vergewatch_vm_guest_filesystem_size_bytes{{{DISK}}}"

STORIES = (
    # VMs and nodes.
    Story(
        "VergeNodeStatusFrozen",
        (steady(f"vergewatch_node_status_frozen{{{NODE}}}", 1),),
        OF_NODE,
    ),
    Story("VergeNodeHot", hot(97), OF_NODE),
    Story(
        "VergeNodeNICDown",
        (
            Series(
                f"vergewatch_node_nic_up{{{NODE_NIC}}}",
                lambda count: f"1x4 0x{max(count - 6, 0)} stale",
            ),
        ),
        OF_NODE_NIC,
        onset=5,
    ),
    Story(
        "VergeNodeIPMIError",
        (steady(f'vergewatch_node_ipmi_info{{{NODE},status="error"}}', 1),),
        OF_NODE,
    ),
    Story("VergeClusterNoHeadroom", headroom(-1), OF_CLUSTER),
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
        (ran_before(f"vergewatch_vm_running{{{VM}}}"), status("stopped")),
        OF_VM,
        onset=5,
    ),
    Story("VergeVMUnresponsive", (status("unresponsive"), running(1)), OF_VM),
    Story("VergeVMError", (status("error"), running(0)), OF_VM),
    Story("VergeVMStuckInTransition", (status("starting"), running(0)), OF_VM),
    Story("VergeVMMigrationStuck", (status("migrating"), running(1)), OF_VM),
    Story(
        "VergeVMFlapping",
        (
            Series(
                f"vergewatch_vm_start_timestamp_seconds{{{VM}}}",
                lambda count: f"0 0 60 60 180 180 300x{max(count - 7, 0)} stale",
            ),
        ),
        OF_VM,
        onset=6,
        tail=53,  # until an hour after the first restart
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
    # Networks and tenants.
    Story(
        "VergeNetworkDown", (ran_before(f"vergewatch_vnet_running{{{VNET}}}"),), OF_VNET, onset=5
    ),
    Story(
        "VergeGatewayUnreachable",
        (steady(f"vergewatch_vnet_gateway_quality_ratio{{{VNET}}}", 0),),
        OF_VNET,
    ),
    Story(
        "VergeGatewayLossy",
        (steady(f"vergewatch_vnet_gateway_dropped_ratio{{{VNET}}}", 0.2),),
        OF_VNET,
    ),
    Story(
        "VergeGatewaySlow",
        (steady(f"vergewatch_vnet_gateway_latency_average_seconds{{{VNET}}}", 0.9),),
        OF_VNET,
    ),
    Story(
        "VergeTenantDown",
        (ran_before(f"vergewatch_tenant_running{{{TENANT}}}"),),
        OF_TENANT,
        onset=5,
    ),
    Story(
        "VergeTenantError",
        (steady(f'vergewatch_tenant_status_info{{{TENANT},status="reduced",state="warning"}}', 1),),
        OF_TENANT,
    ),
    Story(
        "VergeTenantStorageAlmostFull",
        (
            steady(f"vergewatch_tenant_storage_used_bytes{{{SPACE}}}", 95),
            steady(f"vergewatch_tenant_storage_provisioned_bytes{{{SPACE}}}", 100),
        ),
        {**OF_TENANT, "storage_tier": "1"},
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
    Story("VergeRecoveryOutcomeUnknown", (state("indeterminate"), since()), OF_VM, onset=11),
    Story("VergeRecoveryHeldTooLong", (state("held"), since(), recovery("active")), OF_VM, 16),
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
    *(  # their expressions last through a failover
        Story(name, (recovery(word),), OF_SYSTEM, tail=1, minutes=2, samples=2)
        for name, word in (
            ("VergeRecoveryDisarmed", "disarmed"),
            ("VergeRecoveryPausedTooLong", "paused"),
        )
    ),
    Story("VergeRecoveryNoLeader", (steady(f"{LEADS}{{{SYS}}}", 0),), OF_SYSTEM),
    Story(
        "VergeRecoverySeveralLeaders",
        tuple(
            one
            for daemon in "ab"
            for one in (
                steady(f'{LEADS}{{{SYS},instance="{daemon}"}}', 1),
                recovery("active", of=f'{SYS},instance="{daemon}"'),
            )
        ),
        OF_SYSTEM,
    ),
    Story(
        "VergeRecoveryLeaderChanging",
        (then(f"vergewatch_recovery_lease_epoch{{{SYS}}}", "4 5 6 7 8 stale"),),
        OF_SYSTEM,
        onset=4,
        tail=54,
    ),
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
    # Snapshots, replication and API keys.
    Story(
        "VergeVMSnapshotOverdue",
        (steady(f"vergewatch_vm_snapshot_due_timestamp_seconds{{{VM}}}", -1),),
        OF_VM,
    ),
    Story(
        "VergeReplicationFailing",
        (steady(f"vergewatch_replication_failed{{{SYNC}}}", 1),),
        OF_SYNC,
    ),
    Story(
        "VergeReplicaTooOld",
        (
            steady(
                f"vergewatch_replication_last_success_timestamp_seconds{{{SYNC}}}",
                -REPLICA_AGE_DAYS * 86_400 - 1,
            ),
        ),
        OF_SYNC,
    ),
    Story(
        "VergeAPIKeyExpiring",
        (steady(f"vergewatch_api_key_expiry_timestamp_seconds{{{API_KEY}}}", 600),),
        OF_API_KEY,
    ),
    # The daemon.
    Story("VergeExporterDown", (steady(f"up{{{SCRAPED}}}", 0),), OF_DAEMON),
    Story(
        "VergeExporterReplicaDown",
        (
            steady(f"up{{{SCRAPED}}}", 0),
            then(f"vergewatch_up{{{SYS},{SCRAPED}}}", "1 stale"),
            steady(f'vergewatch_up{{{SYS},job="vergewatch",instance="other"}}', 1),
        ),
        OF_DAEMON,
    ),
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
    # Storage.
    Story("VergeStorageTierDown", (tier_status("offline"),), OF_TIER),
    Story("VergeStorageTierNotRedundant", (of_tier("redundant", 0),), OF_TIER),
    Story(
        "VergeStorageRepairsGrow",
        (rising(f"vergewatch_cluster_tier_repairs{{{TIER}}}", 100, 1),),
        OF_TIER,
        onset=180,
    ),
    Story("VergeStorageWritesThrottled", (of_tier("write_throttle_seconds", 0.01),), OF_TIER),
    Story("VergeDriveOffline", (drive("offline"),), OF_DRIVE),
    Story("VergeDriveWearingOut", worn(0.8, hours=6000), OF_DRIVE),
    *_stories_of_doctor(),
)
