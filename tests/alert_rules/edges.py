"""The cases that are not stories: what must stay quiet, and what lies on an edge."""

from tests.alert_rules.promtool import RULE_FILES, Case
from tests.alert_rules.stories import (
    CLOUD,
    NODE,
    OF_CLOUD,
    OF_DAEMON,
    OF_DISK,
    OF_NODE,
    OF_TABLE,
    OF_VM,
    PLANNED_REQUESTS,
    SCRAPED,
    SIZE,
    TABLE,
    USED,
    VM,
    C,
    Series,
    last_action,
    recovery,
    rising,
    running,
    since,
    state,
    status,
    steady,
    stranger,
    then,
)  # fmt: skip

HASH = "https://github.com/vergewatch/vergewatch/blob/main/docs/runbooks"
STATES = (
    "suspect", "platform", "unknown", "backoff", "held", "acting", "verifying", "indeterminate",
    "quarantined",
)  # fmt: skip
SEEN = steady(f"vergewatch_up{{{C}}}", 1)


def vm(number: int) -> str:
    return f'{C},vm_id="{number}",vm_name="vm-{number}"'


def of_vm(number: int) -> dict[str, str]:
    return {"system_name": CLOUD, "vm_id": str(number), "vm_name": f"vm-{number}"}


def instance(name: str, selector: str) -> str:
    return f'{selector},job="vergewatch",instance="{name}"'


def quiet(alert: str, says: str, *series: Series, at: tuple[int, ...] = (30, 120)) -> Case:
    return Case(alert, says, series, silent=at)


SAYS_DOWN = {
    "summary": "A VM is down and was not stopped on purpose.",
    "description": f"VM web (7) in system {CLOUD} has been down for more than 5m, and no "
    "log row shows an intended stop. Its recovery state has been held for 4m 0s. Run "
    "`vergewatch explain VM`.",
    "runbook_url": f"{HASH}/VergeVMDown.md",
    "dashboard_url": f"/d/vergewatch-vm?var-system={CLOUD}&var-vm=web",
}
DOWN = (
    quiet("VergeVMDown", "a person stopped it", state("stopped"), running(0), status("stopped")),
    quiet("VergeVMDown", "it was down at first observed", state("baseline"), running(0)),
    quiet("VergeVMDown", "recovery is off", running(0), status("stopped")),
    *(
        quiet("VergeVMDown", f"it is not enrolled, and it may have been stopped: {word}",
              stranger(word), running(0), status("stopped"))
        for word in ("suspect", "platform", "unknown", "stopped", "baseline")
    ),
    Case(
        "VergeVMDown",
        "a VM that is not enrolled crashed",
        (stranger("held"), since(60), running(0)),
        {5: [OF_VM]},
        (4,),
        text={**SAYS_DOWN, "description": SAYS_DOWN["description"].replace(
            " Run", " It is not enrolled, so recovery does not act on it. Run")},
    ),
    quiet("VergeVMDown", "it hangs, and runs", state("suspect"), running(1)),
    quiet("VergeVMDown", "it is called unresponsive", state("suspect"), running(0),
          status("unresponsive")),
    quiet("VergeVMDown", "it is in error", state("unknown"), running(0), status("error")),
    Case(
        "VergeVMDown",
        "every state of a VM in trouble counts",
        tuple(
            series
            for number, word in enumerate(STATES)
            if word != "quarantined"
            for series in (state(word, vm(number)), running(0, vm(number)))
        ),
        {6: [of_vm(number) for number in range(8)]},
    ),
    Case(
        "VergeVMDown",
        "a new recovery state or another daemon does not restart the wait",
        (
            then(f'vergewatch_recovery_vm_state_info{{{instance("a", VM)},state="suspect"}}',
                 "1x1 stale"),
            then(f'vergewatch_recovery_vm_state_info{{{instance("a", VM)},state="held"}}',
                 "_x2 1 stale"),
            then(f'vergewatch_recovery_vm_state_info{{{instance("b", VM)},state="backoff"}}',
                 "_x3 1x9"),
            then(f'vergewatch_vm_running{{{instance("a", VM)}}}', "0x2 stale"),
            then(f'vergewatch_vm_running{{{instance("b", VM)}}}', "_x3 0x9"),
        ),
        {5: [OF_VM]},
        (4,),
    ),
    Case(
        "VergeVMDown",
        "a recovery that works is over before anybody hears of it",
        (
            then(f'vergewatch_recovery_vm_state_info{{{VM},state="held"}}', "1x2 stale"),
            then(f'vergewatch_recovery_vm_state_info{{{VM},state="verifying"}}', "_x3 1 stale"),
            then(f'vergewatch_recovery_vm_state_info{{{VM},state="probation"}}', "_x4 1x20"),
            then(f"vergewatch_vm_running{{{VM}}}", "0x3 1x20"),
        ),
        silent=(4, 5, 6, 10, 20),
    ),
    Case(
        "VergeVMDown",
        "says who, where, since when, and what recovery thinks",
        (state("held"), since(60), running(0)),
        {5: [OF_VM]},
        text=SAYS_DOWN,
    ),
    Case(
        "VergeVMDown",
        "a cloud that goes blind neither ends it nor begins others",
        (
            then(f"vergewatch_up{{{C}}}", "1x6 0x30 1x30"),
            state("held"), then(f"vergewatch_vm_running{{{VM}}}", "0x6 _x31 1x30"),
            then(f'vergewatch_recovery_vm_state_info{{{vm(8)},state="held"}}', "_x5 1x60"),
            then(f"vergewatch_vm_running{{{vm(8)}}}", "_x5 0 0 stale"),
        ),
        {6: [OF_VM], 15: [OF_VM], 36: [OF_VM], 43: [OF_VM]},
        (48,),
        rules=RULE_FILES,
    ),
)  # fmt: skip

NEED = f"vergewatch_vm_need_restart{{{VM}}}"
START = f"vergewatch_vm_start_timestamp_seconds{{{VM}}}"

OTHER_VMS = (
    quiet("VergeVMUnresponsive", "it runs", status("running"), running(1)),
    Case(
        "VergeVMUnresponsive",
        "a migration, a new daemon and a change of node do not restart the wait",
        (
            then(f'vergewatch_vm_status_info{{{instance("a", VM)},status="unresponsive"}}',
                 "1x2 stale"),
            then(f'vergewatch_vm_status_info{{{instance("b", VM)},status="unresponsive"}}',
                 "_x3 1x9"),
            then(f'vergewatch_vm_info{{{VM},node="n1",cluster="k"}}', "1x2 stale"),
            then(f'vergewatch_vm_info{{{VM},node="n2",cluster="k"}}', "_x3 1x9"),
        ),
        {5: [OF_VM]},
        (4,),
    ),
    Case(
        "VergeVMUnresponsive",
        "names the node",
        (status("unresponsive"), steady(f'vergewatch_vm_info{{{VM},node="n2",cluster="k"}}', 1)),
        {5: [OF_VM]},
        text={
            "summary": "VergeOS reports a VM as unresponsive.",
            "description": f"VM web (7) in system {CLOUD} on n2 has been unresponsive for "
            "more than 5m. Run `vergewatch explain VM`.",
            "runbook_url": f"{HASH}/VergeVMUnresponsive.md",
            "dashboard_url": f"/d/vergewatch-vm?var-system={CLOUD}&var-vm=web",
        },
    ),
    quiet("VergeVMError", "it is stopped", status("stopped"), running(0)),
    quiet("VergeVMStuckInTransition", "it runs", status("running"), running(1)),
    quiet("VergeVMStuckInTransition", "VergeVMDown tells of it", status("starting"), running(0),
          state("suspect")),
    Case(
        "VergeVMStuckInTransition",
        "one such word after the other is one wait",
        (
            then(f'vergewatch_vm_status_info{{{VM},status="initializing"}}', "1x7 stale"),
            then(f'vergewatch_vm_status_info{{{VM},status="waitingforresources"}}', "_x8 1x20"),
        ),
        {15: [OF_VM]},
        (14,),
    ),
    quiet("VergeVMMigrationStuck", "it starts", status("starting")),
    quiet(
        "VergeVMFlapping",
        "two restarts in an hour",
        then(f"vergewatch_vm_start_timestamp_seconds{{{VM}}}", "0 0 60 60 180x40"),
        at=(5, 30),
    ),
    Case(
        "VergeVMFlapping",
        "goes on for half an hour after the hour is over",
        (then(f"vergewatch_vm_start_timestamp_seconds{{{VM}}}", "0 0 60 60 180 180 300x200"),),
        {7: [OF_VM], 60: [OF_VM], 89: [OF_VM]},
        (5, 94),
    ),
    *(
        Case("VergeVMRestartPending", says, (then(NEED, need), steady(START, started)),
             silent=(100, 169, 200), minutes=60, samples=15)
        for says, need, started in (
            ("nothing waits", "0x4000", 0),
            ("it was restarted since", "1x4000", 100 * 3600),
            ("it has not waited for a week", "0x1500 1x2500", 0),
            ("it waits no longer", "1x1400 0x2600", 0),
        )
    ),
)  # fmt: skip

AGENT = f"vergewatch_vm_guest_agent_connected{{{VM}}}"
MEMORY = "vergewatch_vm_guest_memory"

GUESTS = (
    quiet("VergeVMGuestAgentLost", "it never had one", steady(AGENT, 0), steady(START, 0)),
    quiet("VergeVMGuestAgentLost", "it is there", steady(AGENT, 1), steady(START, 0)),
    quiet("VergeVMGuestAgentLost", "the VM was just started", then(AGENT, "1x9 0x60"),
          steady(START, 30 * 60), at=(45, 46, 60)),
    Case("VergeVMGuestAgentLost", "a quarter of an hour after the boot the wait begins",
         (then(AGENT, "1x9 0x90"), steady(START, 30 * 60)), {62: [OF_VM]}, (60,)),
    Case("VergeVMGuestAgentLost", "after six hours it is not lost but absent",
         (then(AGENT, "1x9 0x500"), steady(START, 0)), {350: [OF_VM]}, (375,)),
    quiet("VergeVMFilesystemAlmostFull", "94 % from the start", steady(USED, 94),
          steady(SIZE, 100)),
    quiet("VergeVMFilesystemAlmostFull", "of no size", steady(USED, 0), steady(SIZE, 0)),
    Case(
        "VergeVMFilesystemAlmostFull",
        "raised at 95 %, it goes on down to 93 %",
        (then(USED, "96x40 94x40 92x40"), steady(SIZE, 100)),
        {60: [OF_DISK], 84: [OF_DISK]},
        (86,),
    ),
    Case(
        "VergeVMFilesystemAlmostFull",
        "the hold of one filesystem does not hold another's",
        (
            then(USED, "96x90"), steady(SIZE, 100),
            steady(USED.replace('"/"', '"/var"'), 94), steady(SIZE.replace('"/"', '"/var"'), 100),
        ),
        {60: [OF_DISK]},
    ),
    Case(
        "VergeVMFilesystemAlmostFull",
        "says how full it is",
        (steady(USED, 96), steady(SIZE, 100)),
        {30: [OF_DISK]},
        text={
            "summary": "A filesystem in a guest is almost full.",
            "description": f"/ of VM web (7) in system {CLOUD} is 96% full.",
            "runbook_url": f"{HASH}/VergeVMFilesystemAlmostFull.md",
            "dashboard_url": f"/d/vergewatch-vm?var-system={CLOUD}&var-vm=web",
        },
    ),
    quiet("VergeVMFilesystemFilling", "flat at 80 %", steady(USED, 80), steady(SIZE, 100)),
    quiet("VergeVMFilesystemFilling", "steep, and far from full", rising(USED, 10, 0.1),
          steady(SIZE, 100), at=(120, 300)),
    quiet("VergeVMFilesystemFilling", "rising too slowly", rising(USED, 75, 0.005),
          steady(SIZE, 100), at=(120, 300)),
    quiet("VergeVMFilesystemFilling", "shrinking", rising(USED, 90, -0.05), steady(SIZE, 100)),
    quiet("VergeVMCPUSaturated", "busy, and not all the time",
          steady(f"vergewatch_vm_cpu_usage_ratio{{{VM}}}", 0.9)),
    quiet("VergeVMGuestMemoryPressure", "94 %", steady(f"{MEMORY}_used_bytes{{{VM}}}", 94),
          steady(f"{MEMORY}_total_bytes{{{VM}}}", 100)),
    quiet("VergeVMGuestMemoryPressure", "it is the host's memory that is full",
          steady(f"vergewatch_vm_memory_used_bytes{{{VM}}}", 100),
          steady(f"vergewatch_vm_running_memory_bytes{{{VM}}}", 100)),
)  # fmt: skip

NODE_RUNS = f"vergewatch_node_running{{{NODE}}}"
PLACED = then(f'vergewatch_vm_info{{{VM},node="n1"}}', "1x4 stale")

NODES = (
    quiet("VergeNodeOffline", "it runs", steady(NODE_RUNS, 1)),
    quiet("VergeNodeOffline", "it is in maintenance", steady(NODE_RUNS, 0),
          steady(f"vergewatch_node_maintenance{{{NODE}}}", 1)),
    Case("VergeNodeOffline", "another's maintenance is no excuse",
         (steady(NODE_RUNS, 0), steady(f"vergewatch_node_maintenance{{{NODE}}}", 0),
          steady(f'vergewatch_node_maintenance{{{C},node="n2"}}', 1)), {3: [OF_NODE]}, (2,)),
    Case("VergeVMFailoverWindow", "opens with the failure, and closes after ten minutes",
         (PLACED, then(NODE_RUNS, "1x4 0x90")), {5: [OF_VM], 12: [OF_VM]}, (4, 16)),
    quiet("VergeVMFailoverWindow", "maintenance", PLACED, then(NODE_RUNS, "1x4 0x90"),
          steady(f"vergewatch_node_maintenance{{{NODE}}}", 1), at=(5, 8)),
    quiet("VergeVMFailoverWindow", "it was on another node",
          then(f'vergewatch_vm_info{{{VM},node="n2"}}', "1x90"), then(NODE_RUNS, "1x4 0x90"),
          at=(5, 8)),
    quiet("VergeVMFailoverWindow", "the node was down before", PLACED, then(NODE_RUNS, "0x90"),
          at=(1, 3)),
    quiet("VergeVMFailoverWindow", "it is off, and on no node",
          then(f'vergewatch_vm_info{{{VM},node=""}}', "1x90"), then(NODE_RUNS, "1x4 0x90"),
          at=(5, 8)),
    Case(
        "VergeVMDown",
        "a node's failure gives VergeOS its time, and then it is told",
        (
            PLACED, then(NODE_RUNS, "1x4 0x90"), state("platform"),
            then(f"vergewatch_vm_running{{{VM}}}", "1x4 0x90"), running(0, vm(8)),
            state("held", vm(8)),
        ),
        {8: [of_vm(8)], 12: [of_vm(8)], 22: [OF_VM, of_vm(8)]},
        ends=90,
    ),
)  # fmt: skip

FAILED = last_action("failed")
FAILED_AND_CRITICAL = (
    f'ALERTS{{alertname="VergeRecoveryFailed",alertstate="firing",{VM},'
    'severity="critical",layer="recovery"}'
)
READ_ONLY = (
    f'vergewatch_recovery_decisions_total{{{C},failed_guard="write_access",cause="crashed"}}'
)

RECOVERY = (
    quiet("VergeRecoveryFailed", "it runs again", *FAILED, state("healthy")),
    quiet("VergeRecoveryFailed", "it was stopped on purpose", *FAILED, state("stopped")),
    quiet("VergeRecoveryFailed", "it helped", *last_action("confirmed"), state("suspect")),
    quiet("VergeRecoveryFailed", "that was before its last start", *last_action("failed", 600),
          steady(START, 900), state("suspect")),
    Case("VergeRecoveryFailed", "its last start was before", (
        *last_action("failed", 600), steady(START, 300), state("suspect")), {0: [OF_VM]}),
    Case("VergeRecoveryFailed", "the outcome is unknown",
         (*last_action("unknown"), state("suspect")), {0: [OF_VM]}),
    Case(
        "VergeVMDown",
        "one message for a VM: what failed mutes what is down, and what was given up mutes both",
        (
            then(f"vergewatch_vm_running{{{VM}}}", "0x40 1x40"),
            then(f'vergewatch_recovery_vm_state_info{{{VM},state="backoff"}}', "1x20 stale"),
            then(f'vergewatch_recovery_vm_state_info{{{VM},state="quarantined"}}',
                 "_x21 1x19 stale"),
            then(f'vergewatch_recovery_vm_state_info{{{VM},state="probation"}}', "_x41 1x40"),
            then("vergewatch_recovery_vm_last_action_info"
                 f'{{{VM},action="poweron",outcome="failed"}}', "_x3 1x80"),
            then(f"vergewatch_recovery_vm_last_action_timestamp_seconds{{{VM}}}", "_x3 180x80"),
            then(START, "0x40 2460x40"),
        ),
        silent=(5, 10, 20, 30, 42, 44, 50, 60),
        samples_of={
            f'ALERTS{{{C},alertstate="firing",severity="critical"}}': {
                10: [(FAILED_AND_CRITICAL, 1)],
                60: [],
            }
        },
        rules=RULE_FILES,
    ),
    quiet("VergeRecoveryQuarantined", "it is held", state("held")),
    quiet("VergeRecoveryActed", "it failed", *FAILED),
    Case("VergeRecoveryActed", "an hour later it is history", last_action("confirmed"),
         {59: [OF_VM]}, (60,)),
    Case(
        "VergeRecoveryActed",
        "says when",
        last_action("confirmed"),
        {2: [OF_VM]},
        text={
            "summary": "Recovery restarted a VM.",
            "description": f"Recovery restarted VM web (7) in system {CLOUD} 2m 0s ago, and the VM "
            "runs. Run `vergewatch recovery log VM` for the cause.",
            "runbook_url": f"{HASH}/VergeRecoveryActed.md",
            "dashboard_url": f"/d/vergewatch-vm?var-system={CLOUD}&var-vm=web",
        },
    ),
    quiet("VergeRecoveryOutcomeUnknown", "it has just been sent", state("verifying"),
          rising(f"vergewatch_recovery_vm_state_since_timestamp_seconds{{{VM}}}", 0, 60)),
    quiet("VergeRecoveryOutcomeUnknown", "nothing is open", state("held"), since()),
    quiet("VergeRecoveryHeldTooLong", "in shadow mode", state("held"), since(),
          recovery("active", "shadow")),
    quiet("VergeRecoveryHeldTooLong", "it is not enrolled", stranger("held"), since(),
          recovery("active")),
    quiet("VergeRecoveryHeldTooLong", "while paused", state("held"), since(), recovery("paused")),
    quiet("VergeRecoveryHeldTooLong", "not for long", state("held"), recovery("active"),
          rising(f"vergewatch_recovery_vm_state_since_timestamp_seconds{{{VM}}}", 0, 60)),
    quiet("VergeRecoveryHeldTooLong", "it waits for its next try", state("backoff"), since(),
          recovery("active")),
    quiet("VergeRecoveryUnknownTooLong", "it is not enrolled", stranger("unknown"), since()),
    quiet("VergeRecoveryQuarantined", "it is not enrolled any more",
          stranger("quarantined")),
    quiet("VergeRecoveryFailed", "it is not enrolled any more", *FAILED,
          stranger("held")),
    quiet("VergeRecoveryUnknownTooLong", "the cause is known", state("held"), since()),
    quiet("VergeRecoveryUnknownTooLong", "not for long", state("unknown"),
          rising(f"vergewatch_recovery_vm_state_since_timestamp_seconds{{{VM}}}", 0, 60)),
    Case(
        "VergeRecoveryUnknownTooLong",
        "one message for a cloud, with the names",
        (state("unknown", vm(1)), since(0, vm(1)), state("unknown", vm(2)), since(0, vm(2))),
        {32: [OF_CLOUD]},
        text={
            "summary": "VMs are down for an unknown reason.",
            "description": f"In system {CLOUD} 2 VM(s) have been down for an unknown reason "
            "for more than 30m: vm-1, vm-2. Recovery does not act on them. Run "
            "`vergewatch explain VM`.",
            "runbook_url": f"{HASH}/VergeRecoveryUnknownTooLong.md",
            "dashboard_url": f"/d/vergewatch-recovery?var-system={CLOUD}",
        },
    ),
    quiet("VergeRecoveryCircuitBreakerOpen", "all is well", recovery("active")),
    Case(
        "VergeRecoveryCircuitBreakerOpen",
        "goes on while it clears",
        (
            then(
                f'vergewatch_recovery_info{{{C},mode="enforce",readiness="circuit_breaker_open"}}',
                "1x9 stale",
            ),
            then(f'vergewatch_recovery_info{{{C},mode="enforce",readiness="circuit_breaker_half_open"}}',
                 "_x10 1x9 stale"),
            then(f'vergewatch_recovery_info{{{C},mode="enforce",readiness="active"}}', "_x20 1x40"),
        ),
        {1: [OF_CLOUD], 10: [OF_CLOUD], 19: [OF_CLOUD], 21: [OF_CLOUD]},
        (23,),
    ),
    quiet("VergeRecoveryInternalError", "all is well", recovery("active")),
    quiet("VergeRecoveryJournalDown", "it works",
          steady(f"vergewatch_recovery_journal_up{{{C}}}", 1)),
    quiet("VergeRecoveryNotReady", "in shadow mode", recovery("active", "shadow"),
          steady(f"vergewatch_recovery_ready{{{C}}}", 0)),
    quiet("VergeRecoveryNotReady", "it is ready", recovery("active"),
          steady(f"vergewatch_recovery_ready{{{C}}}", 1)),
    quiet("VergeRecoveryNotReady", "a person paused it", recovery("paused"),
          steady(f"vergewatch_recovery_ready{{{C}}}", 0)),
    quiet("VergeRecoveryDisarmed", "it is paused", recovery("paused"),
          at=(130, 180))._replace(minutes=2),
    quiet("VergeRecoveryPausedTooLong", "it is disarmed", recovery("disarmed"),
          at=(160, 180))._replace(minutes=2),
    quiet("VergeRecoveryKeyReadOnly", "no news for an hour",
          steady(READ_ONLY, 4),
          at=(70, 90)),
    quiet("VergeRecoveryKeyReadOnly", "other reasons",
          rising(READ_ONLY.replace("write_access", "circuit_breaker_closed"), 0, 1)),
    Case("VergeRecoveryKeyReadOnly", "another one, and an hour later it is history",
         (then(READ_ONLY,
               "1x99 2x99"),), {100: [OF_CLOUD], 159: [OF_CLOUD]}, (99, 161)),
    quiet("VergeRecoveryClockJumps", "two", then(f"vergewatch_recovery_clock_jumps_total{{{C}}}",
                                                 "1 2x60"), at=(5, 30)),
    Case("VergeRecoveryClockJumps", "old jumps do not count",
         (then(f"vergewatch_recovery_clock_jumps_total{{{C}}}", "5x390"),), {10: [OF_CLOUD]},
         (365,)),
)  # fmt: skip

UP = f"up{{{SCRAPED}}}"
STARTED = f"process_start_time_seconds{{{SCRAPED}}}"
LEFT = f"vergewatch_api_requests_remaining{{{C}}}"
PLANNED = steady(f"vergewatch_api_requests_planned{{{C}}}", PLANNED_REQUESTS)
LAG = "vergewatch_event_loop_lag_seconds"
SKIPPED = f"vergewatch_table_rows_skipped_total{{{TABLE}}}"
TAKEN = f"vergewatch_inventory_timestamp_seconds{{{C}}}"

EXPORTER = (
    quiet("VergeExporterDown", "it answers", steady(UP, 1)),
    quiet("VergeExporterDown", "another job is down",
          steady(f'up{{job="another",instance="{OF_DAEMON["instance"]}"}}', 0)),
    quiet("VergeExporterAbsent", "it is down, and known",
          steady('up{job="vergewatch",instance="a"}', 0)),
    quiet("VergeExporterRestarting", "three restarts", then(STARTED, "0 60 120 180x60"),
          at=(5, 30)),
    Case("VergeExporterRestarting", "goes on for a while after the hour is over",
         (then(STARTED, "0 60 120 180 240x120"),), {58: [OF_DAEMON], 74: [OF_DAEMON]}, (3, 78)),
    quiet("VergeSystemDataStale", "it is fresh", SEEN, rising(TAKEN, 0, 60)),
    Case("VergeSystemDataStale", "the inventory timestamp does not change",
         (SEEN, steady(TAKEN, 0)), {13: [OF_CLOUD]}, (12,)),
    Case(
        "VergeSystemDataStale",
        "shows the age of the last inventory",
        (steady(f"vergewatch_up{{{C}}}", 0), steady(TAKEN, 0)),
        {3: [OF_CLOUD]},
        text={
            "summary": "A VergeOS system sends no data.",
            "description": f"Vergewatch has had no fresh inventory of system {CLOUD} for more "
            "than 2m. The last one is 3m 0s old. Its VMs are not monitored, and recovery "
            "does not act. "
            "Run `vergewatch check`.",
            "runbook_url": f"{HASH}/VergeSystemDataStale.md",
            "dashboard_url": f"/d/vergewatch-exporter?var-system={CLOUD}",
        },
    ),
    quiet("VergeAuthenticationFailed", "it is accepted",
          steady(f"vergewatch_authenticated{{{C}}}", 1)),
    quiet("VergeSystemDataStale", "the key is rejected, which has its own alert",
          steady(f"vergewatch_up{{{C}}}", 0), steady(f"vergewatch_authenticated{{{C}}}", 0)),
    quiet("VergeTableFailing", "it is fresh", steady(f"vergewatch_table_fresh{{{TABLE}}}", 1)),
    quiet("VergeTableFailing", "its last poll failed, and it is still fresh",
          steady(f"vergewatch_table_fresh{{{TABLE}}}", 1),
          steady(f"vergewatch_table_success{{{TABLE}}}", 0)),
    quiet("VergeRowsSkipped", "long ago", steady(SKIPPED, 12)),
    quiet("VergeRowsSkipped", "one poll only", then(SKIPPED, "0x5 3x100"), at=(10, 22, 30)),
    Case("VergeRowsSkipped", "another table, the same trouble",
         (rising(SKIPPED, 0, 3),), {20: [OF_TABLE]}),
    quiet("VergeAPIBudgetLow", "as planned", steady(LEFT, 92), PLANNED),
    quiet("VergeAPIBudgetLow", "for a moment", then(LEFT, "92x5 3x10 92x100"), PLANNED),
    quiet("VergeEventLoopStalling", "one in two hundred",
          rising(f"{LAG}_count{{{SCRAPED}}}", 0, 120),
          rising(f'{LAG}_bucket{{{SCRAPED},le="0.5"}}', 0, 119.4)),
    quiet("VergeEventLoopStalling", "nothing is measured",
          steady(f"{LAG}_count{{{SCRAPED}}}", 5), steady(f'{LAG}_bucket{{{SCRAPED},le="0.5"}}', 5)),
    quiet("VergeReloadFailed", "it was accepted",
          steady(f"vergewatch_config_last_reload_successful{{{SCRAPED}}}", 1)),
    quiet("VergeDuplicateSeries", "there are none",
          steady(f"vergewatch_duplicate_series{{{C}}}", 0)),
)  # fmt: skip

RECORDINGS = (
    Case(
        "system:vergewatch_vm_unwanted_down:count",
        "counts, and is 0 where there is none, and absent where the system is not polled",
        (then(f"vergewatch_up{{{C}}}", "1x20 0x20"), state("held", vm(1)), state("unknown", vm(2)),
         then(f"vergewatch_vm_running{{{vm(1)}}}", "0x10 1x10 stale"),
         then(f"vergewatch_vm_running{{{vm(2)}}}", "0x5 1x15 stale")),
        samples_of={
            f"system:vergewatch_vm_unwanted_down:count{{{C}}}": {
                2: [(f"system:vergewatch_vm_unwanted_down:count{{{C}}}", 2)],
                8: [(f"system:vergewatch_vm_unwanted_down:count{{{C}}}", 1)],
                15: [(f"system:vergewatch_vm_unwanted_down:count{{{C}}}", 0)],
                25: [],
            }
        },
        rules=("vms.rules.yml",),
    ),
    Case(
        "vm_node:vergewatch_vm_running:max",
        "is where the VM is, also after a migration",
        (running(1),
         then(f'vergewatch_vm_info{{{VM},cluster="k",node="n1"}}', "1x5 stale"),
         then(f'vergewatch_vm_info{{{VM},cluster="k",node="n2"}}', "_x6 1x9")),
        samples_of={
            f"vm_node:vergewatch_vm_running:max{{{C}}}": {
                at: [(f'vm_node:vergewatch_vm_running:max{{{VM},cluster="k",node="{node}"}}', 1)]
                for at, node in ((5, "n1"), (6, "n2"))
            }
        },
        rules=("vms.rules.yml",),
    ),
)  # fmt: skip

CASES = (*DOWN, *OTHER_VMS, *GUESTS, *NODES, *RECOVERY, *EXPORTER, *RECORDINGS)
