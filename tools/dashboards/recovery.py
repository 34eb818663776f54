"""Recovery: its readiness, its decisions, its actions and their results."""

from functools import partial

from exporter.formatting import span
from exporter.recovery.model.limits import Limits
from exporter.telemetry import RECOVERY_TIME
from tools.alert_rules.expressions import ENROLLED, ON_VM, VM
from tools.dashboards.page import (
    Page,
    Panel,
    Panels,
    alerts,
    recovery_actions,
    recovery_vms,
    systems,
)
from tools.dashboards.panels import (
    DARK_GREY,
    OUTCOMES,
    RATIO,
    SECONDS,
    TIME,
    VM_OF_ROW,
    VM_OF_SERIES,
    Column,
    bar_list,
    events,
    graph,
    number,
    table,
    texts,
    timeline,
    yes_no,
)
from tools.dashboards.queries import (
    EVERY_SYSTEM,
    every,
    in_range,
    labeled,
    largest,
    or_zero,
    per_step,
)
from tools.dashboards.words import READINESS, STATES, TROUBLE_STATE

THESE_VMS = 'vm_name=~"$vm"'
ACTIONS = every("recovery_actions_total")
DECISIONS = every("recovery_decisions_total")
BUCKETS = every("recovery_time_to_recover_seconds_bucket")
WINDOWS = {f"{window.seconds:g}": span(window.seconds) for window in Limits().vm_windows}
"""The texts of the default windows of a VM's restart budget."""


def page() -> Page:
    """Return the dashboard of recovery."""
    return Page(
        "vergewatch-recovery",
        "Recovery",
        "States, decisions and actions of recovery. The journal has the details: "
        "vergewatch recovery log.",
        variables=[systems(), recovery_vms()],
        annotations=[recovery_actions(EVERY_SYSTEM, THESE_VMS), alerts(EVERY_SYSTEM)],
        sections={
            "": {
                **_numbers(),
                "Readiness": _readiness(),
                "Leader": _leader(),
                "VMs that need manual action": _manual_action(),
                "Budgets": _budgets(),
            },
            "VM states": {"VMs that were not healthy": _states(), "VMs by state": _by_state()},
            "Decisions": {
                "Decisions by reason": _reasons(),
                "Decisions in this range": _decisions(),
            },
            "Actions": {"Actions": _actions(), "Last action on each VM": _last_actions()},
            "Results": {
                "Time to recover, median and 95th percentile": _quantiles(),
                "Time to recover": _time_to_recover(),
                "Rejected inventories": _rejected(),
            },
        },
    )


def mode_and_readiness(width: int) -> Panel:
    """Return the mode and readiness of recovery, green if it would act on a crash now."""
    on_replica = "on (system_name, job, instance)"
    ready = f"({every('recovery_ready')} unless {on_replica} {every('recovery_leader')} == 0)"
    return number(
        "recovery_info",
        labeled(ready, "mode, readiness", every("recovery_info"), on_replica),
        width=width,
        base="orange",
        steps=[(1, "green")],
        name="{{mode}}, {{readiness}}",
        empty="off",
    )


def _numbers() -> Panels:
    states = partial(every, "recovery_vm_state_info", THESE_VMS, ENROLLED)
    enrolled = largest("system_name, vm_id", states())
    quarantined = largest("system_name, vm_id", states('state="quarantined"'))
    sent = every("recovery_actions_total", 'outcome!="abandoned"')
    sent_in_range = f"sum({in_range(sent)})"
    confirmed = every("recovery_actions_total", 'outcome="confirmed"')
    return {
        "Mode and readiness": mode_and_readiness(width=4),
        "Would act now": number(
            "recovery_ready",
            f"min({largest('system_name', every('recovery_ready'))})",
            texts=yes_no(("Yes", "green"), ("No", "orange")),
            empty="off",
        ),
        "Journal": number(
            "recovery_journal_up",
            f"min({every('recovery_journal_up')})",
            width=2,
            texts=yes_no(("Up", "green"), ("Down", "red")),
            empty="off",
        ),
        "Enrolled": number(
            "VMs enrolled by a tag or a setting. All other VMs are monitored only.",
            or_zero(f"count({enrolled})"),
            base="blue",
        ),
        "Open actions": number(
            "recovery_open_actions",
            f"sum({largest('system_name', every('recovery_open_actions'))})",
            steps=[(1, "blue")],
            empty="off",
        ),
        "Quarantined": number(
            "VMs whose restart budget or allowed actions are exhausted. "
            "Run vergewatch recovery clear.",
            or_zero(f"count({quarantined})"),
            steps=[(1, "red")],
        ),
        "Actions": number(
            "Actions of recovery in this range.",
            or_zero(f"round({sent_in_range})"),
            base="text",
            steps=[(1, "blue")],
        ),
        "Confirmed": number(
            "Share of the actions in this range after which the VM was confirmed to run.",
            f"sum({in_range(confirmed)}) / ({sent_in_range} > 0)",
            unit=RATIO,
            decimals=0,
            base="red",
            steps=[(0.5, "orange"), (0.9, "green")],
            empty="no actions",
        ),
    }


def _readiness() -> Panel:
    return timeline(
        "Readiness of recovery in this range, of replicas that of the leader.",
        {"{{system_name}}": READINESS.codes("system_name", EVERY_SYSTEM, 'readiness!="standby"')},
        height=5,
        texts=READINESS.code_texts(),
        empty="recovery is off",
    )


def _leader() -> Panel:
    return timeline(
        "Which instance of Vergewatch leads the recovery of a system: it decides and acts, and the "
        "other replicas take over when it fails.",
        {
            "{{system_name}}: {{instance}}": largest(
                "system_name, job, instance", every("recovery_leader")
            )
        },
        height=5,
        texts=yes_no(("Leads", "green"), ("Standby", DARK_GREY)),
        empty="recovery is off",
    )


def _manual_action() -> Panel:
    since = every("recovery_vm_state_since_timestamp_seconds", THESE_VMS)
    stuck = 'state=~"quarantined|unknown|held|indeterminate"'
    stuck_for = labeled(
        f"(time() - {since})", "state", every("recovery_vm_state_info", THESE_VMS, stuck)
    )
    return table(
        "VMs that are quarantined, down for an unknown reason, or held. "
        "vergewatch explain shows the reason and the next step.",
        [
            Column("VM", "vm_name", link=VM_OF_ROW),
            Column("State", "state", texts=STATES.texts()),
            Column("For", expr=largest("system_name, vm_name, state", stuck_for), unit=SECONDS),
            Column("System", "system_name"),
        ],
        width=14,
        sort="-For",
        paged=True,
        empty="none",
    )


def _budgets() -> Panel:
    left = every("recovery_vm_budget_remaining", THESE_VMS)
    windows = texts({seconds: (text, "text") for seconds, text in WINDOWS.items()})
    return table(
        "recovery_vm_budget_remaining",
        [
            Column("VM", "vm_name", link=VM_OF_ROW),
            Column("Within", "window_seconds", texts=windows),
            Column(
                "Actions left",
                expr=largest("system_name, vm_name, window_seconds", left),
                steps=[(0, "red"), (1, "orange"), (2, "green")],
            ),
            Column("System", "system_name"),
        ],
        width=10,
        sort="Actions left",
        paged=True,
        empty="no recent actions",
    )


def _states() -> Panel:
    codes = STATES.codes(", ".join(VM), EVERY_SYSTEM, THESE_VMS)
    troubled = every("recovery_vm_state_info", THESE_VMS, TROUBLE_STATE)
    return timeline(
        "Recovery state of the VMs that were not healthy or stopped in this range.",
        {"{{vm_name}}": f"{codes} and {ON_VM} max_over_time({troubled}[$__range] @ end())"},
        height=9,
        texts=STATES.code_texts(),
        link=VM_OF_SERIES,
        empty="every VM was healthy or stopped",
    )


def _by_state() -> Panel:
    vms = largest("system_name, state", every("recovery_vms"))
    return graph(
        "recovery_vms",
        {"{{state}}": f"sum by (state) ({vms})"},
        width=24,
        height=7,
        colors=STATES.colors(),
        stacked=True,
        decimals=0,
    )


def _reasons() -> Panel:
    return events(
        "recovery_decisions_total",
        {"{{failed_guard}}": f"sum by (failed_guard) ({per_step(DECISIONS)})"},
        width=14,
    )


def _decisions() -> Panel:
    return table(
        "Number of decisions by failed guard (none: the action was allowed) and cause.",
        [
            Column("Failed guard", "failed_guard"),
            Column("Cause", "cause"),
            Column(
                "Times",
                width=80,
                expr=f"round(sum by (failed_guard, cause) ({in_range(DECISIONS)})) > 0",
            ),
        ],
        width=10,
        sort="-Times",
        paged=True,
        empty="no decisions",
    )


def _actions() -> Panel:
    return events(
        "recovery_actions_total",
        {"{{action}}, {{outcome}}": f"sum by (action, outcome) ({per_step(ACTIONS)})"},
        width=14,
        empty="no actions",
    )


def _last_actions() -> Panel:
    when = every("recovery_vm_last_action_timestamp_seconds", THESE_VMS)
    what = every("recovery_vm_last_action_info", THESE_VMS)
    last = labeled(f"1000 * {when}", "action, outcome", what)
    return table(
        "recovery_vm_last_action_info",
        [
            Column("VM", "vm_name", link=VM_OF_ROW),
            Column("Action", "action"),
            Column("Outcome", "outcome", texts=OUTCOMES),
            Column("When", expr=largest("system_name, vm_name, action, outcome", last), unit=TIME),
            Column("System", "system_name"),
        ],
        width=10,
        sort="-When",
        paged=True,
        empty="no actions",
    )


def _quantiles() -> Panel:
    return graph(
        "Time within which 50 % and 95 % of the VMs that recovery acted on ran again, since the "
        "daemon started.",
        {
            "median": f"histogram_quantile(0.5, sum by (le) ({BUCKETS}))",
            "95th percentile": f"histogram_quantile(0.95, sum by (le) ({BUCKETS}))",
        },
        width=9,
        unit=SECONDS,
        empty="none yet",
    )


def _time_to_recover() -> Panel:
    names = {
        rf"/^{bound:g}(\.0)?$/": f"{span(float(bound))} or less" for bound in RECOVERY_TIME.buckets
    }
    return bar_list(
        "Number of VMs that ran again, by the time since they were last seen up. Counted since "
        "the daemon started.",
        {"{{le}}": f"sum by (le) ({BUCKETS})"},
        width=6,
        base="blue",
        buckets=True,
        names={**names, r"/^\+Inf$/": "longer"},
        decimals=0,
        empty="none yet",
    )


def _rejected() -> Panel:
    def counted(counter: str) -> str:
        none = f"0 * max by (system_name) ({every('recovery_ready')})"
        return f"sum by (system_name) ({per_step(every(counter))}) or {none}"

    return events(
        "Inventories that recovery rejected, and clock jumps, which restart its warm-up.",
        {
            "{{system_name}}: inventory rejected": counted("recovery_rejected_inventories_total"),
            "{{system_name}}: clock jumped": counted("recovery_clock_jumps_total"),
        },
        width=9,
    )
