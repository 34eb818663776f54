"""
Every case beside other daemons that watch the same system.

Replicas are scraped together. They agree in the end, and disagree for a while: after a rename or a
migration, until each has polled, or while one is down.
"""

import re
from collections.abc import Callable, Iterable

from tests.alert_rules.promtool import ALERTS, RULE_FILES, Case
from tests.alert_rules.stories import (
    INPUT,
    LEADS,
    NODE,
    OF_DAEMON,
    OF_INPUT,
    OF_NODE,
    OF_SYSTEM,
    OF_VM,
    SCRAPED,
    SYS,
    SYSTEM,
    TENANT,
    VM,
    VNET,
    Series,
    then,
)
from tools.alert_rules.model import Layer, Severity

NAME = re.compile(r'vm_name="([^"]*)"')
NOT_OLD = ',vm_name!~".*-old"'
OLD = r'vm_name="\1-old"'
PLACE = re.compile(r'node_name="[^"]*"')
FIRST = re.compile(r"_|stale|-?[\d.]+")


def beside(case: Case) -> Iterable[Case]:
    """Yield *case* beside three daemons: one agrees, one went down, one has old names and nodes."""
    own = tuple(one for one in case.series if _is_of_a_daemon(one))
    if not own or any("instance=" in one.selector for one in case.series):
        return
    by_name = case.alert in ALERTS and "vm_name" in ALERTS[case.alert].identity
    # An alert about a VM then has both names; promtool compares texts and samples with all of them.
    old = [
        one
        for one in own
        if NAME.search(one.selector) and not (case.samples_of or (by_name and case.text))
    ]
    yield case._replace(
        title=f"{case.title}, beside other daemons",
        series=(
            *case.series,
            *(_of("agrees", one) for one in own),
            *(_of("down", Series(one.selector, _then_down(one))) for one in own),
            *(_of("behind", Series(_with_old_names(one), one.values)) for one in old),
        ),
        more_of_place=NOT_OLD if by_name else "",
    )


def lagging(case: Case) -> Iterable[Case]:
    """Yield *case* beside a daemon that is one poll late; then it may also end one step later."""
    own = tuple(one for one in case.series if _is_of_a_daemon(one))
    if not own or any("instance=" in one.selector for one in case.series):
        return
    first = min(case.fires)
    yield case._replace(
        title=f"{case.title}, beside a daemon that lags",
        series=(*case.series, *(_of("late", Series(one.selector, _late(one))) for one in own)),
        fires={step: labels for step, labels in case.fires.items()
               if step > first or first - 1 not in case.silent},
        silent=tuple(step if step < first else step + 1 for step in case.silent),
    )  # fmt: skip


def _is_of_a_daemon(series: Series) -> bool:
    return series.selector.startswith("vergewatch_")


def _of(instance: str, series: Series) -> Series:
    return Series(f'{series.selector[:-1]},instance="{instance}"}}', series.values)


def _with_old_names(series: Series) -> str:
    old = NAME.sub(OLD, series.selector)
    return PLACE.sub('node_name="elsewhere"', old) if old.startswith("vergewatch_vm_info") else old


def _then_down(series: Series) -> Callable[[int], str]:
    def values(count: int) -> str:
        first = FIRST.match(series.values(count))
        assert first is not None
        return f"{first[0]} stale"

    return values


def _late(series: Series) -> Callable[[int], str]:
    return lambda count: f"_ {series.values(count)}"


def at(daemon: str, metric: str, labels: str, values: str) -> Series:
    """Return a series of one daemon."""
    return then(f'{metric}{{{labels},instance="{daemon}"}}', values)


def both(metric: str, labels: str, first: str, second: str) -> tuple[Series, ...]:
    """Return the series of two daemons."""
    return at("a", metric, labels, first), at("b", metric, labels, second)


UP = "vergewatch_vm_running"
INFO = "vergewatch_vm_info"
NODE_UP = "vergewatch_node_running"
JUMPS = "vergewatch_recovery_clock_jumps_total"
BY_NODE = "vm_node:vergewatch_vm_running:max"
DOWN_COUNT = "system:vergewatch_vm_unwanted_down:count"
STATE = "vergewatch_recovery_vm_state_info"
STATE_SINCE = "vergewatch_recovery_vm_state_since_timestamp_seconds"
RENAMED = f'{SYS},vm_id="7",vm_name="renamed"'
CRASHED = 'policy="on-failure",state="held"'
RECOVERY = "vergewatch_recovery_info"
ENFORCE = 'mode="enforce",readiness="active"'
ACTIVE = f"{SYS},{ENFORCE}"
STANDBY = f'{SYS},mode="enforce",readiness="standby"'
SYSTEM_UP = "vergewatch_up"
REPLICA_DOWN = (
    then(f"up{{{SCRAPED}}}", "1x4 0x400"),
    then(f"{SYSTEM_UP}{{{SYS},{SCRAPED}}}", "1x4 stale"),
)

DISAGREEING = (
    Case("VergeNodeOffline", "one daemon says so, the other still sees it run",
         both(NODE_UP, NODE, "0x30", "1x4 0x30"), {8: [OF_NODE]}, (3, 7)),
    Case("VergeVMFailoverWindow", "a daemon that still sees the node run mutes no VM for ever",
         (*both(NODE_UP, NODE, "1x4 0x30", "1x40"),
          *both(INFO, f'{VM},node_name="n1"', "1x40", "1x40")), silent=(5, 12, 30)),
    Case("VergeVMWentDown", "one daemon says so, the other still sees it run",
         both(UP, VM, "1x4 0x30", "1x9 0x30"), {15: [OF_VM]}, (10, 14)),
    Case("VergeVMDown", "one daemon says so, the other still sees it run",
         (*both(UP, VM, "0x30", "1x4 0x30"), at("a", STATE, f"{VM},{CRASHED}", "1x30")),
         {10: [OF_VM]}, (5, 9)),
    Case("VergeVMDown", "it is in error for one daemon",
         (*both(UP, VM, "0x30", "0x30"), at("a", STATE, f"{VM},{CRASHED}", "1x30"),
          at("b", "vergewatch_vm_status_info", f'{VM},status="error"', "1x30")),
         silent=(5, 20)),
    Case("VergeNetworkDown", "one daemon says so, the other still sees it run",
         both("vergewatch_vnet_running", VNET, "1x4 0x60", "1x60"), silent=(10, 30)),
    Case("VergeTenantDown", "one daemon says so, the other still sees it run",
         both("vergewatch_tenant_running", TENANT, "1x4 0x60", "1x60"), silent=(10, 30)),
    Case("VergeVMGuestAgentLost", "one daemon says so",
         (*both("vergewatch_vm_guest_agent_connected", VM, "1x29 0x60", "1x99"),
          at("a", "vergewatch_vm_start_timestamp_seconds", VM, "0x99")),
         {45: [OF_VM]}, (44,)),
    Case("VergeRecoveryJournalDown", "the journal of one daemon cannot be written",
         both("vergewatch_recovery_journal_up", SYS, "0x30", "1x30"), {2: [OF_SYSTEM]}, (1,)),
    Case("VergeAPIBudgetLow", "of one daemon, while the other has requests left",
         (*both("vergewatch_api_requests_remaining", SYS, "3x30", "600x30"),
          *both("vergewatch_api_requests_planned", SYS, "758x30", "758x30")),
         {15: [OF_SYSTEM]}, (14,)),
    Case("VergeSystemDataStale", "one daemon cannot read the system, but the other can",
         both("vergewatch_up", SYS, "0x30", "1x30"), silent=(2, 20)),
    Case("VergeRecoveryClockJumps", "three jumps, but of two clocks",
         both(JUMPS, SYS, "0 2x60", "0 1x60"), silent=(5, 30)),
    Case("VergeRecoveryClockJumps", "the restart of another daemon hides none",
         both(JUMPS, SYS, "0x369 3x60", "5x369 0x60"), {371: [OF_SYSTEM]}, (368,)),
    Case("VergeRecoveryClockJumps", "counts on after a restart of its own daemon",
         (at("a", JUMPS, SYS, "9x370 0x9 3x60"),), {382: [OF_SYSTEM]}, (371,)),
    Case("VergeExporterDown", "another instance watches its systems",
         (*REPLICA_DOWN, at("b", SYSTEM_UP, SYS, "1x400")), silent=(5, 12, 30, 90)),
    Case("VergeExporterDown", "another instance watches only one of its systems",
         (*REPLICA_DOWN, at("b", SYSTEM_UP, SYS, "1x60"),
          then(f'{SYSTEM_UP}{{system_name="{SYSTEM}-2",{SCRAPED}}}', "1x4 stale")),
         {10: [OF_DAEMON]}, (9,)),
    *(
        Case(alert, "the other instance goes down too within the wait",
             (*REPLICA_DOWN, at("b", SYSTEM_UP, SYS, "1x7 stale")), fires, still)
        for alert, fires, still in (
            ("VergeExporterDown", {13: [OF_DAEMON]}, (12,)),
            ("VergeExporterReplicaDown", {}, (15, 16, 30)),
        )
    ),
    Case("VergeExporterReplicaDown", "no other instance watches its systems",
         REPLICA_DOWN, silent=(5, 15, 30)),
    Case("VergeExporterReplicaDown", "it is scraped by another job",
         (*(Series(one.selector.replace('job="vergewatch"', 'job="another"'), one.values)
            for one in REPLICA_DOWN), at("b", SYSTEM_UP, SYS, "1x60")), silent=(15, 30)),
    Case("VergeExporterReplicaDown", "it answers, and no instance can read the system",
         (then(f"up{{{SCRAPED}}}", "1x30"), then(f"{SYSTEM_UP}{{{SYS},{SCRAPED}}}", "0x30"),
          at("b", SYSTEM_UP, SYS, "0x30")),
         silent=(10, 20)),
    Case("VergeExporterReplicaDown", "lasts, however long it is down",
         (*REPLICA_DOWN, at("b", SYSTEM_UP, SYS, "1x400")),
         {15: [OF_DAEMON], 90: [OF_DAEMON]}, (14,)),
    Case("VergeExporterReplicaDown", "it answers, and cannot read a system that another one reads",
         (then(f"up{{{SCRAPED}}}", "1x30"), then(f"{SYSTEM_UP}{{{SYS},{SCRAPED}}}", "0x30"),
          at("b", SYSTEM_UP, SYS, "1x30")),
         {10: [OF_DAEMON]}, (9,)),
    Case("VergeRecoveryNoLeader", "one of two leads", both(LEADS, SYS, "0x30", "1x30"),
         silent=(2, 20)),
    Case("VergeRecoverySeveralLeaders", "one of two leads",
         (*both(LEADS, SYS, "1x30", "0x30"), *both(RECOVERY, ACTIVE, "1x30", "1x30")),
         silent=(2, 20)),
    Case("VergeRecoverySeveralLeaders", "one of two acts, and the other only decides",
         (*both(LEADS, SYS, "1x30", "1x30"), at("a", RECOVERY, ACTIVE, "1x30"),
          at("b", RECOVERY, f'{SYS},mode="shadow",readiness="active"', "1x30")),
         silent=(2, 20)),
    Case("VergeRecoverySeveralLeaders", "each leads one of two systems",
         tuple(series for name, daemon in ((SYSTEM, "a"), (f"{SYSTEM}-2", "b"))
               for series in (at(daemon, LEADS, f'system_name="{name}"', "1x30"),
                              at(daemon, RECOVERY, f'system_name="{name}",{ENFORCE}', "1x30"))),
         silent=(2, 20)),
    Case("VergeRecoveryLeaderChanging", "three changes in an hour",
         both("vergewatch_recovery_lease_epoch", SYS, "4 5x20 6x20 7x40", "4 4 5x20 6x20 7x40"),
         silent=(30, 45, 60)),
    Case("VergeRecoveryInputMissing", "the leader lacks it, and a standby has it",
         (*both(LEADS, SYS, "1x30", "0x30"),
          *both("vergewatch_recovery_input_success", INPUT, "0x30", "1x30")),
         {10: [OF_INPUT]}, (9,)),
    Case("VergeRecoveryInputMissing", "a standby lacks it",
         (*both(LEADS, SYS, "1x30", "0x30"),
          *both("vergewatch_recovery_input_success", INPUT, "1x30", "0x30")),
         silent=(10, 20)),
    Case("VergeRecoveryNotReady", "a standby is not ready, and the leader is",
         (*both("vergewatch_recovery_ready", SYS, "1x60", "0x60"),
          at("a", RECOVERY, ACTIVE, "1x60"), at("b", RECOVERY, STANDBY, "1x60")),
         silent=(30, 45)),
    Case("VergeRecoveryFailed", "daemons have two names and two times",
         (*both("vergewatch_recovery_vm_last_action_info",
                f'{VM},action="poweron",outcome="failed"', "1x30", "_x30"),
          *(series for name, start in ((VM, "0x30"), (RENAMED, "1x30"))
            for series in (at("b", "vergewatch_vm_start_timestamp_seconds", name, start),
                           at("a", "vergewatch_recovery_vm_last_action_timestamp_seconds", name,
                              "60x30"), at("a", STATE, f"{name},{CRASHED}", "1x30")))),
         {1: [OF_VM]}),
    Case(
        BY_NODE,
        "one series of a VM, whatever its names and nodes",
        (*both(UP, VM, "1x30", "1x30"), at("b", UP, RENAMED, "1x30"),
         at("a", INFO, f'{VM},cluster_name="k",node_name="n1"', "1x30"),
         at("b", INFO, f'{RENAMED},cluster_name="k",node_name="n2"', "1x30"),
         at("c", INFO, f'{VM},cluster_name="k",node_name=""', "1x3 stale")),
        samples_of={
            f"count by (system_name, vm_id) ({BY_NODE}{{{SYS}}})": {
                step: [(f'{{{SYS},vm_id="7"}}', 1)] for step in (1, 20)
            }
        },
        rules=("vms.rules.yml",),
    ),
    Case(
        DOWN_COUNT,
        "counts a VM once",
        tuple(series for name in (VM, RENAMED) for daemon in "ab"
              for series in (at(daemon, UP, name, "0x30"),
                             at(daemon, STATE, f"{name},{CRASHED}", "1x30"))),
        samples_of={f"{DOWN_COUNT}{{{SYS}}}": {5: [(f"{DOWN_COUNT}{{{SYS}}}", 1)]}},
        rules=("vms.rules.yml",),
    ),
)  # fmt: skip

BEFORE, GAP, AFTER = 6, 2, 400


def failover(metric: str, labels: str) -> tuple[Series, Series]:
    """Return a series of the leader, which is killed, and of the one that leads after a gap."""
    return (
        at("a", metric, labels, f"1x{BEFORE} stale"),
        at("b", metric, labels, f"_x{BEFORE + GAP} 1x{AFTER}"),
    )


def of_failover(metric: str, labels: str, value: float) -> tuple[Series, Series]:
    """Return the same with another value."""
    return (
        at("a", metric, labels, f"{value}x{BEFORE} stale"),
        at("b", metric, labels, f"_x{BEFORE + GAP} {value}x{AFTER}"),
    )


FAILOVER = (
    at("a", LEADS, SYS, f"1x{BEFORE} stale"),
    at("b", LEADS, SYS, f"0x{BEFORE + GAP - 1} 1x{AFTER}"),
    at("a", RECOVERY, ACTIVE, f"1x{BEFORE} stale"),
    at("b", RECOVERY, STANDBY, f"1x{BEFORE + GAP - 1} stale"),
    at("b", RECOVERY, ACTIVE, f"_x{BEFORE + GAP} 1x{AFTER}"),
    at("a", "vergewatch_recovery_ready", SYS, f"1x{BEFORE} stale"),
    at("b", "vergewatch_recovery_ready", SYS, f"0x{BEFORE + GAP - 1} 1x{AFTER}"),
    *both(
        "vergewatch_recovery_lease_epoch",
        SYS,
        f"4x{BEFORE} stale",
        f"4x{BEFORE + GAP - 1} 5x{AFTER}",
    ),
    at("a", SYSTEM_UP, f'{SYS},job="vergewatch"', f"1x{BEFORE} stale"),
    at("b", SYSTEM_UP, f'{SYS},job="vergewatch"', f"1x{AFTER}"),
    then('up{job="vergewatch",instance="a"}', f"1x{BEFORE} 0 1x{AFTER}"),
    then('up{job="vergewatch",instance="b"}', f"1x{AFTER}"),
    at("a", UP, VM, f"0x{BEFORE} stale"),
    at("b", UP, VM, f"0x{AFTER}"),
    at("a", UP, f'{SYS},vm_id="8",vm_name="well"', f"1x{BEFORE} stale"),
    at("b", UP, f'{SYS},vm_id="8",vm_name="well"', f"1x{AFTER}"),
    *failover(STATE, f'{VM},policy="on-failure",state="stopped"'),
    *failover(STATE, f'{SYS},vm_id="8",vm_name="well",policy="on-failure",state="healthy"'),
)
"""A leader that is killed, its successor, a VM that was stopped on purpose, and one that runs."""

FAILOVERS = (
    *(
        Case(name, "a failover alone is silent", FAILOVER,
             silent=(7, 8, 9, 12, 20, 40, 75), rules=RULE_FILES)
        for name, alert in ALERTS.items()
        if alert.layer in (Layer.RECOVERY, Layer.VM, Layer.SYSTEM, Layer.EXPORTER)
        and alert.severity in (Severity.CRITICAL, Severity.WARNING)
        and name != "VergeExporterAbsent"
    ),
    Case("VergeRecoveryNoLeader", "no standby takes over",
         (at("a", LEADS, SYS, f"1x{BEFORE} stale"), at("b", LEADS, SYS, "0x30")),
         {9: [OF_SYSTEM], 20: [OF_SYSTEM]}, (7, 8)),
    *(
        Case(alert, "a failover does not restart its wait",
             tuple(one for series in lasting for one in series), {first: [labels]}, (first - 1,))
        for alert, first, labels, lasting in (
            ("VergeVMDown", 5 + 2, OF_VM,
             (both(UP, VM, f"_ _ 0x{BEFORE} stale", f"_ _ 0x{AFTER}"),
              (at("a", STATE, f"{VM},{CRASHED}", "_ _ 1x1 stale"),
               at("b", STATE, f"{VM},{CRASHED}", f"_x5 1x{AFTER}")))),
            ("VergeRecoveryPausedTooLong", 300, OF_SYSTEM,
             (failover(RECOVERY, f'{SYS},mode="enforce",readiness="paused"'),)),
            ("VergeRecoveryDisarmed", 240, OF_SYSTEM,
             (failover(RECOVERY, f'{SYS},mode="enforce",readiness="disarmed"'),)),
            ("VergeRecoveryNotReady", 30, OF_SYSTEM,
             (failover(RECOVERY, f'{SYS},mode="enforce",readiness="degraded"'),
              both("vergewatch_recovery_ready", SYS, f"0x{BEFORE} stale", f"0x{AFTER}"))),
            ("VergeRecoveryHeldTooLong", 17, OF_VM,
             (failover(RECOVERY, ACTIVE), failover(STATE, f"{VM},{CRASHED}"),
              of_failover(STATE_SINCE, VM, 0))),
        )
    ),
    *(
        Case(alert, "a failover does not end it", lasting,
             {step: [labels] for step in (6, 8, 9, 20)})
        for alert, labels, lasting in (
            ("VergeRecoveryQuarantined", OF_VM,
             failover(STATE, f'{VM},policy="on-failure",state="quarantined"')),
            ("VergeRecoveryApprovalNeeded", OF_VM, failover(
                "vergewatch_recovery_vm_question_info", f'{VM},action="poweron",question="17"')),
            ("VergeRecoveryErrorBudgetSpent", OF_SYSTEM,
             failover("vergewatch_recovery_error_budget_spent", SYS)),
            ("VergeRecoveryRival", OF_SYSTEM,
             failover(RECOVERY, f'{SYS},mode="enforce",readiness="rival"')),
            ("VergeRecoveryActed", OF_VM,
             (*failover("vergewatch_recovery_vm_last_action_info",
                        f'{VM},action="poweron",outcome="confirmed"'),
              *of_failover("vergewatch_recovery_vm_last_action_timestamp_seconds", VM, 60))),
        )
    ),
    Case("VergeRecoveryOutcomeUnknown", "a failover does not end it",
         (*failover(STATE, f'{VM},policy="on-failure",state="indeterminate"'),
          *of_failover(STATE_SINCE, VM, -3600)),
         {step: [OF_VM] for step in (6, 8, 9, 20)}),
)  # fmt: skip
