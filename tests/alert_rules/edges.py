"""Cases that are not stories: series that must not fire, and edge cases."""

from typing import Any

from exporter.alerting.alerts import HOLDS_ALL_VMS
from exporter.model import Level
from exporter.recovery.decide.inputs import HOLDS
from tests.alert_rules.promtool import ALERTS, RULE_FILES, Case
from tests.alert_rules.stories import (
    API_KEY,
    DISK,
    INPUT,
    NODE,
    OF_API_KEY,
    OF_DAEMON,
    OF_DISK,
    OF_DRIVE,
    OF_NODE,
    OF_SYNC,
    OF_SYSTEM,
    OF_TABLE,
    OF_TENANT,
    OF_TIER,
    OF_VM,
    OF_VNET,
    PLANNED_REQUESTS,
    QUESTION,
    SCRAPED,
    SIZE,
    SYNC,
    SYS,
    SYSTEM,
    TABLE,
    TENANT,
    TIER,
    USED,
    VM,
    VNET,
    Series,
    drive,
    finding,
    last_action,
    not_enrolled,
    of_doctor,
    of_tier,
    ran_before,
    recovery,
    rising,
    running,
    since,
    state,
    status,
    steady,
    then,
    tier_status,
    worn,
)  # fmt: skip

RUNBOOKS = "https://github.com/vergewatch/vergewatch/blob/main/docs/runbooks"
STATES = (
    "suspect", "platform", "unknown", "backoff", "held", "acting", "verifying", "indeterminate",
    "quarantined",
)  # fmt: skip
RUNNING_BY_NODE = "vm_node:vergewatch_vm_running:max"
SEEN = steady(f"vergewatch_up{{{SYS}}}", 1)


def vm(number: int) -> str:
    return f'{SYS},vm_id="{number}",vm_name="vm-{number}"'


def of_vm(number: int) -> dict[str, str]:
    return {"system_name": SYSTEM, "vm_id": str(number), "vm_name": f"vm-{number}"}


def instance(name: str, selector: str) -> str:
    return f'{selector},job="vergewatch",instance="{name}"'


def unrelated(of: str) -> Series:
    """Return an alert of the same object that no rule is to look at."""
    return steady(f'ALERTS{{alertname="Unrelated",alertstate="firing",{of}}}', 1)


def silent(alert: str, title: str, *series: Series, at: tuple[int, ...] = (30, 120)) -> Case:
    return Case(alert, title, series, silent=at)


TEXTS_DOWN = {
    "summary": "VM web is down unexpectedly",
    "description": f"VM web (7) in system {SYSTEM} has been down for more than 5m, and no "
    "status and no log row shows an intended stop. It crashed. Its recovery state has been held "
    "for 4m 0s. Run `vergewatch explain VM`.",
    "runbook_url": f"{RUNBOOKS}/VergeVMDown.md",
    "dashboard_url": f"/d/vergewatch-vm?var-system={SYSTEM}&var-vm=web",
}
DOWN = (
    silent("VergeVMDown", "it was stopped by an operator", state("stopped"), running(0),
           status("stopped")),
    silent("VergeVMDown", "it was down when first polled", state("baseline"), running(0)),
    silent("VergeVMDown", "recovery is off", running(0), status("stopped")),
    *(
        silent("VergeVMDown", f"it is not enrolled and in state {word}",
              not_enrolled(word), running(0), status("stopped"))
        for word in ("stopped", "baseline")
    ),
    *(
        Case(
            "VergeVMDown",
            f"its description has what is known: {title}",
            (series, since(60), running(0)),
            {5: [OF_VM]},
            text={**TEXTS_DOWN, "description": TEXTS_DOWN["description"].replace(
                "It crashed.", known).replace("been held for 4m 0s.", rest)},
        )
        for title, series, known, rest in (
            ("the guard", state("held", failed_guard="not_silenced", cause="crashed"),
             "It crashed, and the guard not_silenced forbids its start.", "been held for 4m 0s."),
            ("a pause", state("backoff", failed_guard="backoff_elapsed", cause="crashed"),
             "It crashed, and the guard backoff_elapsed forbids its start.",
             "been backoff for 4m 0s."),
            ("the cause", state("unknown", cause="logs_unclear"),
             "It is unknown why (logs_unclear).", "been unknown for 4m 0s."),
            ("the cause, and that it is not enrolled",
             not_enrolled("unknown", cause="logs_unclear"), "It is unknown why (logs_unclear).",
             "been unknown for 4m 0s. It is not enrolled, so recovery does not act on it."),
        )
    ),
    Case(
        "VergeVMDown",
        "the platform has five minutes before the wait begins",
        (state("platform"), then(f"vergewatch_vm_running{{{VM}}}", "1 0x60")),
        {12: [OF_VM]},
        (6, 9),
    ),
    Case(
        "VergeVMDown",
        "an unknown cause alerts as soon as a crash",
        (state("unknown", vm(1)), not_enrolled("unknown", vm(2)), state("held", vm(3)),
         not_enrolled("held", vm(4)), *(running(0, vm(number)) for number in range(1, 5))),
        {5: [of_vm(number) for number in range(1, 5)]},
        (4,),
    ),
    Case(
        "VergeVMDown",
        "a VM that is not enrolled crashed",
        (not_enrolled("held"), since(60), running(0)),
        {5: [OF_VM]},
        (4,),
        text={**TEXTS_DOWN, "description": TEXTS_DOWN["description"].replace(
            " Run", " It is not enrolled, so recovery does not act on it. Run")},
    ),
    Case(
        "VergeVMDown",
        "it was down before it was enrolled, and was seen going down",
        (state("unknown", cause="never_seen_up"), running(0)),
        {5: [OF_VM]},
        (4,),
    ),
    silent("VergeVMDown", "it hangs and runs", state("suspect"), running(1)),
    silent("VergeVMDown", "its status is unresponsive", state("suspect"), running(0),
           status("unresponsive")),
    silent("VergeVMDown", "it is in error", state("unknown"), running(0), status("error")),
    Case(
        "VergeVMDown",
        "fires in every state of a VM that is down",
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
        "a successful recovery ends within the wait",
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
        "a stop that is found at the end of the wait ends it",
        (
            then(f'vergewatch_recovery_vm_state_info{{{VM},state="unknown"}}', "1x4 stale"),
            then(f'vergewatch_recovery_vm_state_info{{{VM},state="stopped"}}', "_x5 1x20"),
            running(0),
        ),
        silent=(4, 5, 6, 7, 20),
    ),
    Case(
        "VergeVMDown",
        "a stop was the last that a daemon that ended had found",
        (
            then(f'vergewatch_recovery_vm_state_info{{{instance("a", VM)},state="unknown"}}',
                 "1x2 stale"),
            then(f'vergewatch_recovery_vm_state_info{{{instance("b", VM)},state="stopped"}}',
                 "_x3 1x1 stale"),
            running(0),
        ),
        silent=(4, 5, 6, 7, 20),
    ),
    Case(
        "VergeVMDown",
        "its description has the VM, its system and its recovery state",
        (state("held"), since(60), running(0)),
        {5: [OF_VM]},
        text=TEXTS_DOWN,
    ),
    Case(
        "VergeVMDown",
        "stale data of the system neither resolves it nor fires others",
        (
            then(f"vergewatch_up{{{SYS}}}", "1x6 0x30 1x30"),
            state("held"), then(f"vergewatch_vm_running{{{VM}}}", "0x6 _x31 1x30"),
            then(f'vergewatch_recovery_vm_state_info{{{vm(8)},state="held"}}', "_x5 1x60"),
            then(f"vergewatch_vm_running{{{vm(8)}}}", "_x5 0 0 stale"),
        ),
        {6: [OF_VM], 15: [OF_VM], 36: [OF_VM], 43: [OF_VM]},
        (48,),
        rules=RULE_FILES,
    ),
)  # fmt: skip

WENT_DOWN = f"vergewatch_vm_running{{{VM}}}"
WORD = f"vergewatch_vm_status_info{{{VM},status="


def went_down(title: str, *series: Series, **more: Any) -> Case:
    """Return a case that VergeVMWentDown is silent for a VM that ran for five minutes."""
    return silent(
        "VergeVMWentDown",
        title,
        then(WENT_DOWN, "1x4 0x150"),
        *series,
        **{"at": (10, 11, 20, 30, 40), **more},
    )


WITHOUT_RECOVERY = (
    went_down("recovery monitors the system, and ignores this VM", state("healthy", vm(8)),
              status("stopped")),
    *(
        Case(
            "VergeVMWentDown",
            f"recovery does not know that it is down: its state is {word}",
            (then(WENT_DOWN, "1x4 0x60"), state(word), state("stopped", vm(8)),
             status("stopped")),
            {10: [OF_VM]},
            (9,),
        )
        for word in ("healthy", "probation")
    ),
    *(
        went_down(f"recovery has it in state {word}", state(word), status("stopped"))
        for word in ("stopped", "baseline", *STATES)
    ),
    Case(
        "VergeVMWentDown",
        "recovery notices late that it is down",
        (then(WENT_DOWN, "1x4 0x60"), status("stopped"),
         then(f'vergewatch_recovery_vm_state_info{{{VM},state="healthy"}}', "1x14 stale"),
         then(f'vergewatch_recovery_vm_state_info{{{VM},state="held"}}', "_x15 1x60")),
        {10: [OF_VM], 17: [OF_VM]},
        (9, 21),
    ),
    went_down("its status showed a stop", then(f'{WORD}"running"}}', "1x3 stale"),
              then(f'{WORD}"stopping"}}', "_x4 1 stale"),
              then(f'{WORD}"stopped"}}', "_x5 1x150"), at=(10, 11, 20, 34, 36, 40, 120)),
    went_down("it hibernates", then(f'{WORD}"running"}}', "1x4 stale"),
              then(f'{WORD}"hibernated"}}', "_x5 1x150"), at=(10, 20, 34, 36, 40, 120)),
    went_down("it is starting", status("starting")),
    went_down("it is in error", status("error")),
    went_down("it is unresponsive", status("unresponsive")),
    went_down("it is disabled", status("stopped"),
              steady(f"vergewatch_vm_enabled{{{VM}}}", 0)),
    went_down("its status shows a stop while it is pending",
              then(f'{WORD}"running"}}', "1x6 stale"),
              then(f'{WORD}"hibernated"}}', "_x7 1x150"), at=(10, 11, 20, 30)),
    silent("VergeVMWentDown", "VergeVMDown was pending for it when recovery ended",
           running(0), status("stopped"),
           then(f'vergewatch_recovery_vm_state_info{{{VM},state="unknown"}}', "1x1 stale"),
           at=(8, 10, 20)),
    silent("VergeVMWentDown", "it was down when first polled, and another alert fires for it",
           running(0), status("stopped"), unrelated(VM), at=(5, 6, 20, 40)),
    silent("VergeVMWentDown", "it runs", running(1), status("running")),
    silent("VergeVMWentDown", "it was down for three minutes",
           then(WENT_DOWN, "1x4 0x2 1x60"), at=(7, 8, 10, 12, 40)),
    Case(
        "VergeVMWentDown",
        "lasts until the VM runs",
        (then(WENT_DOWN, "1x4 0x150 1x30"), then(f'{WORD}"stopped"}}', "_x5 1x100 stale"),
         then(f'{WORD}"starting"}}', "_x106 1x49 stale")),
        {10: [OF_VM], 40: [OF_VM], 150: [OF_VM], 159: [OF_VM]},
        (9, 161),
    ),
    Case(
        "VergeVMWentDown",
        "it was down for long when the replicas lost their journal, and with it what they knew",
        (running(0), status("stopped"),
         then(f'vergewatch_recovery_vm_state_info{{{VM},state="unknown"}}', "1x60 stale")),
        {67: [OF_VM], 150: [OF_VM]},
        (10, 60, 65),
    ),
    Case(
        "VergeVMWentDown",
        "a stop before the last start delays it by the window, and no longer",
        (then(f'{WORD}"stopping"}}', "1 stale"), then(WENT_DOWN, "1 0 1x15 0x150")),
        {37: [OF_VM]},
        (25,),
    ),
    Case(
        "VergeVMWentDown",
        "a status that no release has documented",
        (then(WENT_DOWN, "1x4 0x60"), status("vanished")),
        {10: [OF_VM]},
        (9,),
    ),
    Case(
        "VergeVMWentDown",
        "a gap of twenty minutes in which the VM went down",
        (then(WENT_DOWN, "1x4 _x20 0x60"), status("stopped")),
        {30: [OF_VM]},
        (29,),
    ),
    Case(
        "VergeVMWentDown",
        "fires for a VM of a failed node after the failover window",
        (then(f'vergewatch_vm_info{{{VM},node_name="n1"}}', "1x4 stale"),
         then(f"vergewatch_node_running{{{NODE}}}", "1x4 0x90"),
         then(WENT_DOWN, "1x4 0x90"), status("stopped")),
        {24: [OF_VM]},
        (10, 15),
        ends=90,
    ),
    Case(
        "VergeVMWentDown",
        "its description names the VM",
        (then(WENT_DOWN, "1x4 0x60"), status("stopped")),
        {10: [OF_VM]},
        text={
            "summary": "VM web went down, and no status showed a stop",
            "description": f"VM web (7) in system {SYSTEM} ran before, and has been down for more "
            "than 5m. VergeOS reported no status that shows an intended stop. Recovery has no "
            "diagnosis: it is off, or cannot work. Check the log of the VM in VergeOS.",
            "runbook_url": f"{RUNBOOKS}/VergeVMWentDown.md",
            "dashboard_url": f"/d/vergewatch-vm?var-system={SYSTEM}&var-vm=web",
        },
    ),
)  # fmt: skip

NEED = f"vergewatch_vm_need_restart{{{VM}}}"
START = f"vergewatch_vm_start_timestamp_seconds{{{VM}}}"

OTHER_VMS = (
    silent("VergeVMUnresponsive", "it runs", status("running"), running(1)),
    Case(
        "VergeVMUnresponsive",
        "a migration, a new daemon and a change of node do not restart the wait",
        (
            then(f'vergewatch_vm_status_info{{{instance("a", VM)},status="unresponsive"}}',
                 "1x2 stale"),
            then(f'vergewatch_vm_status_info{{{instance("b", VM)},status="unresponsive"}}',
                 "_x3 1x9"),
            then(f'vergewatch_vm_info{{{VM},node_name="n1",cluster_name="k"}}', "1x2 stale"),
            then(f'vergewatch_vm_info{{{VM},node_name="n2",cluster_name="k"}}', "_x3 1x9"),
        ),
        {5: [OF_VM]},
        (4,),
    ),
    Case(
        "VergeVMUnresponsive",
        "names the node",
        (
            status("unresponsive"),
            steady(f'vergewatch_vm_info{{{VM},node_name="n2",cluster_name="k"}}', 1),
        ),
        {5: [OF_VM]},
        text={
            "summary": "VM web is unresponsive",
            "description": f"VM web (7) in system {SYSTEM} on n2 has been unresponsive for "
            "more than 5m. Run `vergewatch explain VM`.",
            "runbook_url": f"{RUNBOOKS}/VergeVMUnresponsive.md",
            "dashboard_url": f"/d/vergewatch-vm?var-system={SYSTEM}&var-vm=web",
        },
    ),
    silent("VergeVMError", "it is stopped", status("stopped"), running(0)),
    silent("VergeVMStuckInTransition", "it runs", status("running"), running(1)),
    silent("VergeVMStuckInTransition", "VergeVMDown fires for it", status("starting"), running(0),
           state("suspect")),
    Case(
        "VergeVMStuckInTransition",
        "the wait continues from one transitional status to the next",
        (
            then(f'vergewatch_vm_status_info{{{VM},status="initializing"}}', "1x7 stale"),
            then(f'vergewatch_vm_status_info{{{VM},status="waitingforresources"}}', "_x8 1x20"),
        ),
        {15: [OF_VM]},
        (14,),
    ),
    silent("VergeVMMigrationStuck", "it starts", status("starting")),
    silent(
        "VergeVMFlapping",
        "two restarts in an hour",
        then(f"vergewatch_vm_start_timestamp_seconds{{{VM}}}", "0 0 60 60 180x40"),
        at=(5, 30),
    ),
    Case(
        "VergeVMFlapping",
        "keeps firing for half an hour after the window",
        (then(f"vergewatch_vm_start_timestamp_seconds{{{VM}}}", "0 0 60 60 180 180 300x200"),),
        {7: [OF_VM], 60: [OF_VM], 89: [OF_VM]},
        (5, 94),
    ),
    *(
        Case("VergeVMRestartPending", title, (then(NEED, need), steady(START, started)),
             silent=(100, 169, 200), minutes=60, samples=15)
        for title, need, started in (
            ("no restart is pending", "0x4000", 0),
            ("it was restarted meanwhile", "1x4000", 100 * 3600),
            ("the restart has been pending for less than a week", "0x1500 1x2500", 0),
            ("the restart is not pending any more", "1x1400 0x2600", 0),
        )
    ),
)  # fmt: skip

AGENT = f"vergewatch_vm_guest_agent_connected{{{VM}}}"
MEMORY = "vergewatch_vm_guest_memory"

GUESTS = (
    silent("VergeVMGuestAgentLost", "it never had one", steady(AGENT, 0), steady(START, 0)),
    silent("VergeVMGuestAgentLost", "it is connected", steady(AGENT, 1), steady(START, 0)),
    silent("VergeVMGuestAgentLost", "the VM was just started", then(AGENT, "1x9 0x60"),
           steady(START, 30 * 60), at=(45, 46, 60)),
    Case("VergeVMGuestAgentLost", "the wait begins a quarter of an hour after the boot",
         (then(AGENT, "1x9 0x90"), steady(START, 30 * 60)), {62: [OF_VM]}, (60,)),
    Case("VergeVMGuestAgentLost", "resolves after six hours without an agent",
         (then(AGENT, "1x9 0x500"), steady(START, 0)), {350: [OF_VM]}, (375,)),
    silent("VergeVMFilesystemAlmostFull", "94 % from the start, and another alert fires for it",
           steady(USED, 94), steady(SIZE, 100), unrelated(DISK)),
    silent("VergeVMFilesystemAlmostFull", "its size is 0", steady(USED, 0), steady(SIZE, 0)),
    silent("VergeVMFilesystemAlmostFull", "it falls to 94 % while it is pending",
           then(USED, "96x10 94x100"), steady(SIZE, 100), at=(30, 31, 60)),
    Case(
        "VergeVMFilesystemAlmostFull",
        "fires above 95 % and resolves below 93 %",
        (then(USED, "96x40 94x40 92x40"), steady(SIZE, 100)),
        {60: [OF_DISK], 84: [OF_DISK]},
        (86,),
    ),
    Case(
        "VergeVMFilesystemAlmostFull",
        "a firing filesystem does not lower the ratio of another",
        (
            then(USED, "96x90"), steady(SIZE, 100),
            steady(USED.replace('"/"', '"/var"'), 94), steady(SIZE.replace('"/"', '"/var"'), 100),
        ),
        {60: [OF_DISK]},
    ),
    Case(
        "VergeVMFilesystemAlmostFull",
        "its description has the usage",
        (steady(USED, 96), steady(SIZE, 100)),
        {30: [OF_DISK]},
        text={
            "summary": "Filesystem / of VM web is almost full",
            "description": f"/ of VM web (7) in system {SYSTEM} is 96% full.",
            "runbook_url": f"{RUNBOOKS}/VergeVMFilesystemAlmostFull.md",
            "dashboard_url": f"/d/vergewatch-vm?var-system={SYSTEM}&var-vm=web",
        },
    ),
    silent("VergeVMFilesystemFilling", "flat at 80 %", steady(USED, 80), steady(SIZE, 100)),
    silent("VergeVMFilesystemFilling", "growing fast, and far from full", rising(USED, 10, 0.1),
           steady(SIZE, 100), at=(120, 300)),
    silent("VergeVMFilesystemFilling", "growing slowly", rising(USED, 75, 0.005),
           steady(SIZE, 100), at=(120, 300)),
    silent("VergeVMFilesystemFilling", "shrinking", rising(USED, 90, -0.05), steady(SIZE, 100)),
    silent("VergeVMCPUSaturated", "90 % usage",
           steady(f"vergewatch_vm_cpu_usage_ratio{{{VM}}}", 0.9)),
    silent("VergeVMGuestMemoryPressure", "94 %", steady(f"{MEMORY}_used_bytes{{{VM}}}", 94),
           steady(f"{MEMORY}_total_bytes{{{VM}}}", 100)),
    silent("VergeVMGuestMemoryPressure", "the memory on the host is full",
           steady(f"vergewatch_vm_memory_used_bytes{{{VM}}}", 100),
           steady(f"vergewatch_vm_running_memory_bytes{{{VM}}}", 100)),
)  # fmt: skip

NODE_RUNS = f"vergewatch_node_running{{{NODE}}}"
PLACED = then(f'vergewatch_vm_info{{{VM},node_name="n1"}}', "1x4 stale")

NODES = (
    silent("VergeNodeStatusFrozen", "it is updated",
           steady(f"vergewatch_node_status_frozen{{{NODE}}}", 0), at=(6, 60)),
    silent("VergeNodeStatusFrozen", "the node is down, which has its own alert",
           steady(f"vergewatch_node_status_frozen{{{NODE}}}", 1), steady(NODE_RUNS, 0), at=(6, 60)),
    silent("VergeNodeStatusFrozen", "the whole system is frozen, which has its own alert",
           steady(f"vergewatch_node_status_frozen{{{NODE}}}", 1),
           steady(f"vergewatch_system_status_frozen{{{SYS}}}", 1), at=(6, 60)),
    Case("VergeNodeStatusFrozen", "fires while another node and the system are updated",
         (steady(f"vergewatch_node_status_frozen{{{NODE}}}", 1), steady(NODE_RUNS, 1),
          steady(f'vergewatch_node_status_frozen{{{SYS},node_name="n2"}}', 0),
          steady(f"vergewatch_system_status_frozen{{{SYS}}}", 0)), {5: [OF_NODE]}, (4,)),
    silent("VergeSystemStatusFrozen", "it is updated",
           steady(f"vergewatch_system_status_frozen{{{SYS}}}", 0), at=(3, 60)),
    silent("VergeSystemStatusFrozen", "no VM runs, so that there is no series",
           steady(f"vergewatch_up{{{SYS}}}", 1), at=(3, 60)),
    Case(
        "VergeSystemStatusFrozen",
        "shows when the last update was",
        (steady(f"vergewatch_system_status_frozen{{{SYS}}}", 1),
         steady(f"vergewatch_system_status_update_timestamp_seconds{{{SYS}}}", 1760000000)),
        {2: [OF_SYSTEM]},
        text={
            "summary": f"System {SYSTEM} no longer updates the status of its VMs",
            "description": f"For more than 2m, VergeOS has updated the status of no VM that runs "
            f"in system {SYSTEM}. The last update is from 2025-10-09 08:53:20 +0000 UTC. The "
            "metrics show an old state, a crash would not be seen, and recovery does not act.",
            "runbook_url": f"{RUNBOOKS}/VergeSystemStatusFrozen.md",
            "dashboard_url": f"/d/vergewatch-exporter?var-system={SYSTEM}",
        },
    ),
    silent("VergeNodeOffline", "it runs", steady(NODE_RUNS, 1)),
    silent("VergeNodeOffline", "it is in maintenance", steady(NODE_RUNS, 0),
           steady(f"vergewatch_node_maintenance{{{NODE}}}", 1)),
    Case("VergeNodeOffline", "maintenance of another node does not mute it",
         (steady(NODE_RUNS, 0), steady(f"vergewatch_node_maintenance{{{NODE}}}", 0),
          steady(f'vergewatch_node_maintenance{{{SYS},node_name="n2"}}', 1)), {3: [OF_NODE]}, (2,)),
    Case("VergeVMFailoverWindow", "fires when the node fails, and resolves after ten minutes",
         (PLACED, then(NODE_RUNS, "1x4 0x90")), {5: [OF_VM], 12: [OF_VM]}, (4, 16)),
    silent("VergeVMFailoverWindow", "maintenance", PLACED, then(NODE_RUNS, "1x4 0x90"),
           steady(f"vergewatch_node_maintenance{{{NODE}}}", 1), at=(5, 8)),
    silent("VergeVMFailoverWindow", "it was on another node",
           then(f'vergewatch_vm_info{{{VM},node_name="n2"}}', "1x90"), then(NODE_RUNS, "1x4 0x90"),
           at=(5, 8)),
    silent("VergeVMFailoverWindow", "the node was down before", PLACED, then(NODE_RUNS, "0x90"),
           at=(1, 3)),
    silent("VergeVMFailoverWindow", "it is off, and on no node",
           then(f'vergewatch_vm_info{{{VM},node_name=""}}', "1x90"), then(NODE_RUNS, "1x4 0x90"),
           at=(5, 8)),
    Case(
        "VergeVMDown",
        "fires for a VM of a failed node after the failover window",
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
    f'vergewatch_recovery_decisions_total{{{SYS},failed_guard="write_access",cause="crashed"}}'
)

RECOVERY = (
    silent("VergeRecoveryFailed", "it runs again", *FAILED, state("healthy")),
    silent("VergeRecoveryFailed", "it was stopped on purpose", *FAILED, state("stopped")),
    silent("VergeRecoveryFailed", "its outcome is confirmed", *last_action("confirmed"),
           state("suspect")),
    silent("VergeRecoveryFailed", "the VM started after the action", *last_action("failed", 600),
           steady(START, 900), state("suspect")),
    Case("VergeRecoveryFailed", "the VM started before the action", (
        *last_action("failed", 600), steady(START, 300), state("suspect")), {0: [OF_VM]}),
    Case("VergeRecoveryFailed", "the outcome is unknown",
         (*last_action("unknown"), state("suspect")), {0: [OF_VM]}),
    Case(
        "VergeVMDown",
        "VergeRecoveryFailed mutes it, and VergeRecoveryQuarantined mutes both",
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
            f'ALERTS{{{SYS},alertstate="firing",severity="critical"}}': {
                10: [(FAILED_AND_CRITICAL, 1)],
                60: [],
            }
        },
        rules=RULE_FILES,
    ),
    silent("VergeRecoveryQuarantined", "it is held", state("held")),
    silent("VergeRecoveryActed", "it failed", *FAILED),
    Case("VergeRecoveryActed", "resolves after an hour and a failover", last_action("confirmed"),
         {59: [OF_VM]}, (63,)),
    Case(
        "VergeRecoveryActed",
        "its description has the age of the action",
        last_action("confirmed"),
        {2: [OF_VM]},
        text={
            "summary": "Recovery restarted VM web",
            "description": f"Recovery restarted VM web (7) in system {SYSTEM} 2m 0s ago, and "
            "the VM runs. Run `vergewatch recovery log VM` for the cause.",
            "runbook_url": f"{RUNBOOKS}/VergeRecoveryActed.md",
            "dashboard_url": f"/d/vergewatch-vm?var-system={SYSTEM}&var-vm=web",
        },
    ),
    silent("VergeRecoveryOutcomeUnknown", "it has just been sent", state("verifying"),
           rising(f"vergewatch_recovery_vm_state_since_timestamp_seconds{{{VM}}}", 0, 60)),
    silent("VergeRecoveryOutcomeUnknown", "nothing is open", state("held"), since()),
    silent("VergeRecoveryHeldTooLong", "an operator is asked", state("held"), since(),
           recovery("active", "ask"), QUESTION),
    silent("VergeRecoveryErrorBudgetSpent", "it has not fallen back",
           steady(f"vergewatch_recovery_error_budget_spent{{{SYS}}}", 0)),
    silent("VergeRecoveryApprovalNeeded", "no question is open", state("held"), since(),
           recovery("active", "ask")),
    Case(
        "VergeRecoveryApprovalNeeded",
        "names the commands that answer",
        (QUESTION,),
        {1: [OF_VM]},
        text={
            "summary": "VM web crashed, and recovery asks whether to act on it",
            "description": f"VM web (7) in system {SYSTEM} crashed, and recovery asks whether to "
            "act on it. Answer question 17 with `vergewatch recovery approve 17 --reason "
            '"..."` or `vergewatch recovery deny 17 --reason "..."`. Run `vergewatch explain VM` '
            "for the evidence.",
            "runbook_url": f"{RUNBOOKS}/VergeRecoveryApprovalNeeded.md",
            "dashboard_url": f"/d/vergewatch-vm?var-system={SYSTEM}&var-vm=web",
        },
    ),
    silent("VergeRecoveryHeldTooLong", "in shadow mode", state("held"), since(),
           recovery("active", "shadow")),
    silent("VergeRecoveryHeldTooLong", "it is not enrolled", not_enrolled("held"), since(),
           recovery("active")),
    *(
        silent("VergeRecoveryHeldTooLong", f"recovery has an alert of its own: {readiness}",
               state("held"), since(), recovery(readiness))
        for readiness in HOLDS_ALL_VMS
    ),
    Case("VergeRecoveryHeldTooLong", "while paused",
         (state("held"), since(), recovery("paused")), {17: [OF_VM]}),
    silent("VergeRecoveryHeldTooLong", "it has just begun", state("held"), recovery("active"),
           rising(f"vergewatch_recovery_vm_state_since_timestamp_seconds{{{VM}}}", 0, 60)),
    silent("VergeRecoveryHeldTooLong", "it is in backoff", state("backoff"), since(),
           recovery("active")),
    silent("VergeRecoveryQuarantined", "it is not enrolled any more",
           not_enrolled("quarantined")),
    silent("VergeRecoveryFailed", "it is not enrolled any more", *FAILED,
           not_enrolled("held")),
    silent("VergeRecoveryCircuitBreakerOpen", "recovery is active", recovery("active")),
    Case(
        "VergeRecoveryCircuitBreakerOpen",
        "keeps firing while it is half open",
        (
            then(
                f'vergewatch_recovery_info{{{SYS},mode="enforce",readiness="circuit_breaker_open"}}',
                "1x9 stale",
            ),
            then(f'vergewatch_recovery_info{{{SYS},mode="enforce",'
                 'readiness="circuit_breaker_half_open"}', "_x10 1x9 stale"),
            then(f'vergewatch_recovery_info{{{SYS},mode="enforce",readiness="active"}}',
                 "_x20 1x40"),
        ),
        {1: [OF_SYSTEM], 10: [OF_SYSTEM], 19: [OF_SYSTEM], 21: [OF_SYSTEM]},
        (23,),
    ),
    silent("VergeRecoveryInternalError", "recovery is active", recovery("active")),
    silent("VergeRecoveryJournalDown", "it works",
           steady(f"vergewatch_recovery_journal_up{{{SYS}}}", 1)),
    silent("VergeRecoveryNotReady", "in shadow mode", recovery("active", "shadow"),
           steady(f"vergewatch_recovery_ready{{{SYS}}}", 0)),
    silent("VergeRecoveryNotReady", "it is ready", recovery("active"),
           steady(f"vergewatch_recovery_ready{{{SYS}}}", 1)),
    silent("VergeRecoveryNotReady", "it is paused", recovery("paused"),
           steady(f"vergewatch_recovery_ready{{{SYS}}}", 0)),
    silent("VergeRecoveryInputMissing", "only a guard lacks it, which holds no VM then",
           *(steady(f'vergewatch_recovery_input_success{{{SYS},input="{one}"}}', 0)
             for one in HOLDS)),
    silent("VergeRecoveryInputMissing", "every input is there",
           steady(f"vergewatch_recovery_input_success{{{INPUT}}}", 1)),
    silent("VergeRecoveryRival", "the circuit breaker is open", recovery("circuit_breaker_open")),
    silent("VergeRecoveryDisarmed", "it is paused", recovery("paused"),
           at=(130, 180))._replace(minutes=2),
    silent("VergeRecoveryPausedTooLong", "it is disarmed", recovery("disarmed"),
           at=(160, 180))._replace(minutes=2),
    silent("VergeRecoveryKeyReadOnly", "the guard has not failed for an hour",
           steady(READ_ONLY, 4),
           at=(70, 90)),
    Case("VergeRecoveryKeyReadOnly", "counts on after a restart of the daemon",
         (then(READ_ONLY, "9x69 1x60"),), {71: [OF_SYSTEM]}, (69,)),
    silent("VergeRecoveryKeyReadOnly", "another guard failed",
           rising(READ_ONLY.replace("write_access", "circuit_breaker_closed"), 0, 1)),
    Case("VergeRecoveryKeyReadOnly", "fires for another failure, and resolves after an hour",
         (then(READ_ONLY,
               "1x99 2x99"),), {100: [OF_SYSTEM], 159: [OF_SYSTEM]}, (99, 161)),
    silent("VergeRecoveryClockJumps", "two jumps",
           then(f"vergewatch_recovery_clock_jumps_total{{{SYS}}}", "1 2x60"), at=(5, 30)),
    Case("VergeRecoveryClockJumps", "ignores old jumps",
         (then(f"vergewatch_recovery_clock_jumps_total{{{SYS}}}", "5x390"),), {10: [OF_SYSTEM]},
         (365,)),
)  # fmt: skip

UP = f"up{{{SCRAPED}}}"
STARTED = f"process_start_time_seconds{{{SCRAPED}}}"
LEFT = f"vergewatch_api_requests_remaining{{{SYS}}}"
PLANNED = steady(f"vergewatch_api_requests_planned{{{SYS}}}", PLANNED_REQUESTS)
LAG = "vergewatch_event_loop_lag_seconds"
SKIPPED = f"vergewatch_table_rows_skipped_total{{{TABLE}}}"
UNREADABLE = f"vergewatch_table_unreadable{{{TABLE}}}"
FIELDS = f'vergewatch_table_fields_skipped_total{{{TABLE},field="name"}}'
TAKEN = f"vergewatch_inventory_timestamp_seconds{{{SYS}}}"

EXPORTER = (
    silent("VergeExporterDown", "it answers", steady(UP, 1)),
    silent("VergeExporterDown", "another job is down",
           steady(f'up{{job="another",instance="{OF_DAEMON["instance"]}"}}', 0)),
    silent("VergeExporterAbsent", "the target is down",
           steady('up{job="vergewatch",instance="a"}', 0)),
    silent("VergeExporterRestarting", "three restarts", then(STARTED, "0 60 120 180x60"),
           at=(5, 30)),
    silent("VergeExporterRestarting", "another job restarts",
           then('process_start_time_seconds{job="another",instance="b"}', "0 60 120 180 240x60"),
           at=(5, 30)),
    Case("VergeExporterRestarting", "keeps firing for 15 minutes after the window",
         (then(STARTED, "0 60 120 180 240x120"),), {58: [OF_DAEMON], 74: [OF_DAEMON]}, (3, 78)),
    silent("VergeSystemDataStale", "it is fresh", SEEN, rising(TAKEN, 0, 60)),
    Case("VergeSystemDataStale", "the inventory timestamp does not change",
         (SEEN, steady(TAKEN, 0)), {13: [OF_SYSTEM]}, (12,)),
    Case(
        "VergeSystemDataStale",
        "shows the age of the last inventory",
        (steady(f"vergewatch_up{{{SYS}}}", 0), steady(TAKEN, 0)),
        {3: [OF_SYSTEM]},
        text={
            "summary": f"System {SYSTEM} sends no data; its VMs are not monitored",
            "description": f"Vergewatch has had no fresh inventory of system {SYSTEM} for more "
            "than 2m. The last one is 3m 0s old. Its VMs are not monitored, and recovery "
            "does not act. "
            "Run `vergewatch check`.",
            "runbook_url": f"{RUNBOOKS}/VergeSystemDataStale.md",
            "dashboard_url": f"/d/vergewatch-exporter?var-system={SYSTEM}",
        },
    ),
    silent("VergeAuthenticationFailed", "it is accepted",
           steady(f"vergewatch_authenticated{{{SYS}}}", 1)),
    silent("VergeSystemDataStale", "the key is rejected, which has its own alert",
           steady(f"vergewatch_up{{{SYS}}}", 0), steady(f"vergewatch_authenticated{{{SYS}}}", 0)),
    silent("VergeTableFailing", "it is fresh", steady(f"vergewatch_table_fresh{{{TABLE}}}", 1)),
    silent("VergeTableFailing", "its last poll failed, and it is still fresh",
           steady(f"vergewatch_table_fresh{{{TABLE}}}", 1),
           steady(f"vergewatch_table_success{{{TABLE}}}", 0)),
    silent("VergeRowsSkipped", "long ago", steady(SKIPPED, 12)),
    Case("VergeRowsSkipped", "one row every ten minutes",
         (then(SKIPPED, "0x9 1x9 2x9 3x9 4x9 5x9"),), {28: [OF_TABLE], 38: [OF_TABLE]}),
    Case("VergeRowsSkipped", "a row of a table that is polled every hour",
         (then(SKIPPED, "0x9 1x59 2x60"), then(UNREADABLE, "0x9 1x120")),
         {24: [], 26: [OF_TABLE], 65: [OF_TABLE]}),
    silent("VergeRowsSkipped", "it was one poll", then(UNREADABLE, "0x5 3x2 0x100"),
           at=(10, 22, 30)),
    silent("VergeRowsSkipped", "one poll only", then(SKIPPED, "0x5 3x100"), at=(10, 22, 30)),
    Case("VergeRowsSkipped", "fires for another table",
         (rising(SKIPPED, 0, 3),), {20: [OF_TABLE]}),
    Case("VergeRowsSkipped", "one value every ten minutes",
         (then(FIELDS, "0x9 1x9 2x9 3x9 4x9 5x9"),), {28: [OF_TABLE], 38: [OF_TABLE]}),
    silent("VergeRowsSkipped", "values of one poll only", then(FIELDS, "0x5 3x100"),
           at=(10, 22, 30)),
    Case("VergeRowsSkipped", "values of two fields are skipped",
         (rising(FIELDS, 0, 3), rising(FIELDS.replace('"name"', '"ram"'), 0, 1)), {20: [OF_TABLE]}),
    Case("VergeRowsSkipped", "rows and values are skipped, and it is one alert",
         (rising(FIELDS, 0, 3), rising(SKIPPED, 0, 1)), {20: [OF_TABLE]}),
    silent("VergeAPIBudgetLow", "as planned", steady(LEFT, 92), PLANNED),
    silent("VergeAPIBudgetLow", "low for ten minutes", then(LEFT, "92x5 3x10 92x100"), PLANNED),
    silent("VergeEventLoopStalling", "one late measurement in two hundred",
           rising(f"{LAG}_count{{{SCRAPED}}}", 0, 120),
           rising(f'{LAG}_bucket{{{SCRAPED},le="0.5"}}', 0, 119.4)),
    silent("VergeEventLoopStalling", "there are no measurements",
           steady(f"{LAG}_count{{{SCRAPED}}}", 5),
           steady(f'{LAG}_bucket{{{SCRAPED},le="0.5"}}', 5)),
    silent("VergeReloadFailed", "it was accepted",
           steady(f"vergewatch_config_last_reload_successful{{{SCRAPED}}}", 1)),
    silent("VergeDuplicateSeries", "there are none",
           steady(f"vergewatch_duplicate_series{{{SYS}}}", 0)),
)  # fmt: skip

RECORDINGS = (
    Case(
        "system:vergewatch_vm_unwanted_down:count",
        "counts, is 0 without such VMs, and absent without a poll",
        (then(f"vergewatch_up{{{SYS}}}", "1x20 0x20"),
         state("held", vm(1)), state("unknown", vm(2)),
         then(f"vergewatch_vm_running{{{vm(1)}}}", "0x10 1x10 stale"),
         then(f"vergewatch_vm_running{{{vm(2)}}}", "0x5 1x15 stale")),
        samples_of={
            f"system:vergewatch_vm_unwanted_down:count{{{SYS}}}": {
                2: [(f"system:vergewatch_vm_unwanted_down:count{{{SYS}}}", 2)],
                8: [(f"system:vergewatch_vm_unwanted_down:count{{{SYS}}}", 1)],
                15: [(f"system:vergewatch_vm_unwanted_down:count{{{SYS}}}", 0)],
                25: [],
            }
        },
        rules=("vms.rules.yml",),
    ),
    Case(
        "system:vergewatch_vm_unwanted_down:count",
        "counts a VM that crashed at once, and one that VergeOS has to start after its time",
        (steady(f"vergewatch_up{{{SYS}}}", 1),
         state("held", vm(1)), then(f"vergewatch_vm_running{{{vm(1)}}}", "1x3 0x20"),
         state("platform", vm(2)), then(f"vergewatch_vm_running{{{vm(2)}}}", "1x3 0x20")),
        samples_of={
            f"system:vergewatch_vm_unwanted_down:count{{{SYS}}}": {
                at: [(f"system:vergewatch_vm_unwanted_down:count{{{SYS}}}", number)]
                for at, number in ((5, 1), (12, 2))
            }
        },
        rules=("vms.rules.yml",),
    ),
    Case(
        RUNNING_BY_NODE,
        "has the node of the VM, also after a migration",
        (running(1),
         then(f'vergewatch_vm_info{{{VM},cluster_name="k",node_name="n1"}}', "1x5 stale"),
         then(f'vergewatch_vm_info{{{VM},cluster_name="k",node_name="n2"}}', "_x6 1x9")),
        samples_of={
            f"{RUNNING_BY_NODE}{{{SYS}}}": {
                at: [(f'{RUNNING_BY_NODE}{{{VM},cluster_name="k",node_name="{node}"}}', 1)]
                for at, node in ((5, "n1"), (6, "n2"))
            }
        },
        rules=("vms.rules.yml",),
    ),
)  # fmt: skip

DOCTOR = tuple(
    case
    for name, (check, level) in of_doctor().items()
    for case in (
        Case(name, "another check has a finding", (finding("another", level),), silent=(5, 90)),
        *(
            Case(name, f"its findings are {other}", (finding(check.name, other),), silent=(5, 90))
            for other in set(Level) - {level}
            if f'level="{level}"' in ALERTS[name].expr
        ),
    )
)

RUNS = steady(f"vergewatch_node_running{{{NODE}}}", 1)
STORAGE = (
    silent("VergeStorageTierDown", "it is being repaired", tier_status("repairing")),
    silent("VergeStorageTierDown", "it is not redundant", tier_status("noredundant")),
    silent("VergeStorageTierNotRedundant", "it is redundant", of_tier("redundant", 1)),
    Case("VergeStorageTierNotRedundant", "waits for the end of a full walk, for twelve hours",
         (of_tier("redundant", 0), of_tier("full_walk", 1)), {26: [OF_TIER]}, (2, 24), minutes=30),
    Case("VergeStorageTierNotRedundant", "a walk that ends shows whether it is redundant",
         (of_tier("redundant", 0),
          then(f"vergewatch_cluster_tier_full_walk{{{TIER}}}", "1x60 0x90")),
         {91: [OF_TIER]}, (30, 90)),
    Case("VergeStorageTierNotRedundant", "names the tier and its status",
         (of_tier("redundant", 0), tier_status("noredundant")), {30: [OF_TIER]}, (29,),
         text={
             "summary": "Storage tier 1 of cluster k is not redundant",
             "description": f"Some data of tier 1 of cluster k in system {SYSTEM} has had only one "
             "copy for more than 30m. Its status is noredundant. If a drive that has it fails, the "
             "data is lost.",
             "runbook_url": f"{RUNBOOKS}/VergeStorageTierNotRedundant.md",
             "dashboard_url": f"/d/vergewatch-storage?var-system={SYSTEM}",
         }),
    Case("VergeStorageRepairsGrow", "repairs become fewer",
         (rising(f"vergewatch_cluster_tier_repairs{{{TIER}}}", 5000, -1),), silent=(20, 60),
         minutes=10),
    Case("VergeStorageRepairsGrow", "a node was restarted",
         (then(f"vergewatch_cluster_tier_repairs{{{TIER}}}", "0x20 900-20x40 0x100"),),
         silent=(20, 30, 45, 80), minutes=10),
    Case("VergeStorageRepairsGrow", "one repair does not end",
         (of_tier("repairs", 1),), {25: [OF_TIER]}, minutes=10),
    silent("VergeStorageRepairsGrow", "there are none", of_tier("repairs", 0), at=(200, 399)),
    silent("VergeStorageWritesThrottled", "there is none", of_tier("write_throttle_seconds", 0)),
    silent("VergeDriveOffline", "it is online", drive("online"), RUNS),
    silent("VergeDriveOffline", "it is not in the vSAN", drive("offline", tier=""), RUNS),
    silent("VergeDriveOffline", "its node is down", drive("offline"),
           steady(f"vergewatch_node_running{{{NODE}}}", 0)),
    silent("VergeDriveOffline", "its node is in maintenance", drive("offline"), RUNS,
           steady(f"vergewatch_node_maintenance{{{NODE}}}", 1)),
    Case("VergeDriveOffline", "fires for a drive of a node that runs",
         (drive("offline"), RUNS, steady(f"vergewatch_node_maintenance{{{NODE}}}", 0)),
         {30: [OF_DRIVE]}, (29,),
         text={
             "summary": "Drive /dev/sda of node n1 is offline",
             "description": f"Drive /dev/sda (S1) of node n1 in system {SYSTEM} has been offline "
             "for more than 30m, and its node runs. It belongs to tier 1, is of the model m, and "
             "is in slot 1.",
             "runbook_url": f"{RUNBOOKS}/VergeDriveOffline.md",
             "dashboard_url": f"/d/vergewatch-storage?var-system={SYSTEM}",
         }),
    silent("VergeDriveWearingOut", "it lasts for more than three months",
           *worn(0.8, hours=9000), at=(90,)),
    silent("VergeDriveWearingOut", "it is new, and was tested hard", *worn(0.3, hours=10),
           at=(90,)),
    silent("VergeDriveWearingOut", "VergeOS warns already", *worn(0.96, hours=6000), at=(90,)),
)  # fmt: skip
NETWORK_WENT_DOWN = ran_before(f"vergewatch_vnet_running{{{VNET}}}")
TENANT_STATUS = f"vergewatch_tenant_status_info{{{TENANT}"
TENANT_WENT_DOWN = ran_before(f"vergewatch_tenant_running{{{TENANT}}}")
NETWORKS = (
    silent("VergeNetworkDown", "it is disabled", NETWORK_WENT_DOWN,
           steady(f"vergewatch_vnet_enabled{{{VNET}}}", 0)),
    silent("VergeNetworkDown", "it was off when first polled, and another alert fires for it",
           steady(f"vergewatch_vnet_running{{{VNET}}}", 0), unrelated(VNET)),
    silent("VergeNetworkDown", "it last ran an hour before the end of the wait",
           then(f"vergewatch_vnet_running{{{VNET}}}", "1 _x56 0x60"), at=(62, 65, 80)),
    Case("VergeNetworkDown", "it has been down for hours", (NETWORK_WENT_DOWN,),
         {12: [OF_VNET], 200: [OF_VNET]}),
    silent("VergeGatewayLossy", "the gateway does not answer at all",
           steady(f"vergewatch_vnet_gateway_dropped_ratio{{{VNET}}}", 1),
           steady(f"vergewatch_vnet_gateway_quality_ratio{{{VNET}}}", 0)),
    silent("VergeTenantDown", "it is restarting", TENANT_WENT_DOWN,
           steady(f'{TENANT_STATUS},status="restarting"}}', 1)),
    silent("VergeTenantDown", "it was off when first polled, and another alert fires for it",
           steady(f"vergewatch_tenant_running{{{TENANT}}}", 0), unrelated(TENANT)),
    silent("VergeTenantDown", "it last ran an hour before the end of the wait",
           then(f"vergewatch_tenant_running{{{TENANT}}}", "1 _x56 0x60"), at=(62, 65, 80)),
    Case("VergeTenantDown", "it has been down for hours",
         (TENANT_WENT_DOWN, steady(f'{TENANT_STATUS},status="offline",state="offline"}}', 1)),
         {12: [OF_TENANT], 200: [OF_TENANT]}),
    silent("VergeTenantError", "it is online",
           steady(f'{TENANT_STATUS},status="online",state="online"}}', 1)),
    silent("VergeTenantStorageAlmostFull", "it was given none",
           steady(f'vergewatch_tenant_storage_used_bytes{{{TENANT},storage_tier="1"}}', 5),
           steady(f'vergewatch_tenant_storage_provisioned_bytes{{{TENANT},storage_tier="1"}}', 0)),
)  # fmt: skip

DUE = f"vergewatch_vm_snapshot_due_timestamp_seconds{{{VM}}}"
SYNC_FAILED = steady(f"vergewatch_replication_failed{{{SYNC}}}", 1)
SUCCEEDED = f"vergewatch_replication_last_success_timestamp_seconds{{{SYNC}}}"
ENABLED = f"vergewatch_replication_enabled{{{SYNC}}}"
EXPIRES = f"vergewatch_api_key_expiry_timestamp_seconds{{{API_KEY}}}"
USED_AT = f"vergewatch_api_key_last_login_timestamp_seconds{{{API_KEY}}}"
WEEK = 604_800

PROTECTION = (
    Case("VergeVMSnapshotOverdue", "the next snapshot is not due yet",
         (steady(DUE, 20_000),), silent=(40, 300)),
    Case("VergeVMSnapshotOverdue", "a snapshot is taken in time, again and again",
         (rising(DUE, 30, 60),), silent=(40, 300)),
    Case("VergeVMSnapshotOverdue", "fires half an hour after a snapshot was due",
         (steady(DUE, 3570),), {91: [OF_VM]}, (59, 88)),
    Case("VergeReplicationFailing", "the sync is disabled",
         (SYNC_FAILED, steady(ENABLED, 0)), silent=(70, 200)),
    Case("VergeReplicationFailing", "the sync is enabled",
         (SYNC_FAILED, steady(ENABLED, 1)), {70: [OF_SYNC]}),
    Case("VergeReplicationFailing", "retries succeed within the hour",
         (then(f"vergewatch_replication_failed{{{SYNC}}}", "1x50 0x10 1x50 0x100"),),
         silent=(55, 110, 150)),
    Case("VergeReplicaTooOld", "the last success was yesterday",
         (steady(SUCCEEDED, -100_000),), silent=(30, 300)),
    Case("VergeReplicaTooOld", "the sync is disabled",
         (steady(SUCCEEDED, -200_000), steady(ENABLED, 0)), silent=(30, 300)),
    Case("VergeAPIKeyExpiring", "the key expires later",
         (steady(EXPIRES, 4 * WEEK),), silent=(30, 300)),
    Case("VergeAPIKeyExpiring", "the key was not used for a week",
         (steady(EXPIRES, 600), steady(USED_AT, -WEEK - 1)), silent=(30, 300)),
    Case("VergeAPIKeyExpiring", "the key is used",
         (steady(EXPIRES, 600), rising(USED_AT, 0, 60)), {30: [OF_API_KEY]}),
)  # fmt: skip

CASES = (
    *PROTECTION,
    *DOWN,
    *WITHOUT_RECOVERY,
    *OTHER_VMS,
    *GUESTS,
    *NODES,
    *RECOVERY,
    *EXPORTER,
    *RECORDINGS,
    *DOCTOR,
    *STORAGE,
    *NETWORKS,
)
