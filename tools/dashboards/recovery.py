"""Recovery and its audit: how it stands, what it decided, what it did, and how that went."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel as Drawn

from exporter.formatting import span
from exporter.telemetry import RECOVERY_TIME
from tools.dashboards.page import Page, Section, alerts, recovery_actions
from tools.dashboards.panels import (
    OUTCOMES,
    RATIO,
    SECONDS,
    STEPS,
    TO_VM_OF_SERIES,
    WINDOWS,
    Column,
    Query,
    bar_list,
    graph,
    now,
    number,
    of,
    rows,
    texts_of_codes,
    texts_of_words,
    timeline,
    to_vm,
    yes_no,
)
from tools.dashboards.queries import EVERY_SYSTEM, in_range, or_zero, per_step, series
from tools.dashboards.variables import datasource, recovery_vms, systems
from tools.dashboards.words import (
    BLUE,
    CALM_STATES,
    GREEN,
    ORANGE,
    READINESS,
    RED,
    STATES,
    coded,
)

Panel = Builder[Drawn]

IS_ENROLLED = 'policy!="no"'
THESE_VMS = 'vm_name=~"$vm"'
ACTIONS = series("recovery_actions_total", EVERY_SYSTEM)
SENT = series("recovery_actions_total", EVERY_SYSTEM, 'outcome!="abandoned"')
DECISIONS = series("recovery_decisions_total", EVERY_SYSTEM)
ENROLLED = series("recovery_vm_state_info", EVERY_SYSTEM, THESE_VMS, IS_ENROLLED)
READY = series("recovery_ready", EVERY_SYSTEM)
BUCKETS = series("recovery_time_to_recover_seconds_bucket", EVERY_SYSTEM)


def page() -> Page:
    """Return the page on recovery."""
    return Page(
        uid="vergewatch-recovery",
        title="Recovery",
        description="States, decisions and actions of recovery. The journal has the details: "
        "vergewatch recovery log.",
        variables=(datasource(), systems(), recovery_vms()),
        marks=(recovery_actions(EVERY_SYSTEM, THESE_VMS), alerts(EVERY_SYSTEM)),
        sections=(
            Section(0, "", [*_numbers(), _readiness(), _needs_a_person(), _budgets()]),
            Section(20, "VM states", [_states(), _by_state()]),
            Section(30, "Decisions", [_reasons(), _decisions()]),
            Section(40, "Actions", [_actions(), _last_actions()]),
            Section(50, "Results", [_times(), _time_to_recover(), _doubts()]),
        ),
    )


# --- How it stands ---


def _numbers() -> list[Panel]:
    confirmed = series("recovery_actions_total", EVERY_SYSTEM, 'outcome="confirmed"')
    quarantined = series(
        "recovery_vm_state_info", EVERY_SYSTEM, THESE_VMS, IS_ENROLLED, 'state="quarantined"'
    )
    return [
        number(
            of(1, "Mode and readiness", "recovery_info", width=4, height=4),
            now(
                f"{READY} * on (system_name) group_left (mode, readiness) "
                f"{series('recovery_info', EVERY_SYSTEM)}",
                "{{mode}}, {{readiness}}",
            ),
            base=ORANGE,
            steps=[(1, GREEN)],
            named=True,
            empty="off",
        ),
        number(
            of(2, "Would act now", "recovery_ready", width=3, height=4),
            now(f"min({READY})"),
            texts=yes_no(("Yes", GREEN), ("No", ORANGE)),
            empty="off",
        ),
        number(
            of(3, "Journal", "recovery_journal_up", width=2, height=4),
            now(f"min({series('recovery_journal_up', EVERY_SYSTEM)})"),
            texts=yes_no(("Up", GREEN), ("Down", RED)),
            empty="off",
        ),
        number(
            of(
                4,
                "Enrolled",
                "VMs enrolled by a tag or a setting. All other VMs are monitored only.",
                width=3,
                height=4,
            ),
            now(or_zero(f"count({ENROLLED})")),
            empty="no data",
            base=BLUE,
        ),
        number(
            of(5, "Open actions", "recovery_open_actions", width=3, height=4),
            now(f"sum({series('recovery_open_actions', EVERY_SYSTEM)})"),
            steps=[(1, BLUE)],
            empty="off",
        ),
        number(
            of(
                6,
                "Quarantined",
                "VMs whose restart budget or allowed actions are exhausted. "
                "Run vergewatch recovery clear.",
                width=3,
                height=4,
            ),
            now(or_zero(f"count({quarantined})")),
            empty="no data",
            steps=[(1, RED)],
        ),
        number(
            of(7, "Actions", "Actions of recovery in this range.", width=3, height=4),
            now(or_zero(f"round(sum({in_range(SENT)}))")),
            empty="no data",
            base="text",
            steps=[(1, BLUE)],
        ),
        number(
            of(
                8,
                "Confirmed",
                "The share of the actions in this range after which the VM was seen to be well.",
                width=3,
                height=4,
            ),
            now(f"sum({in_range(confirmed)}) / (sum({in_range(SENT)}) > 0)"),
            unit=RATIO,
            decimals=0,
            base=RED,
            steps=[(0.5, ORANGE), (0.9, GREEN)],
            empty="no actions",
        ),
    ]


def _readiness() -> Panel:
    return timeline(
        of(9, "Readiness", "What recovery was ready for.", width=24, height=5),
        [
            Query(
                coded(
                    READINESS, "recovery_info", EVERY_SYSTEM, label="readiness", by="system_name"
                ),
                "{{system_name}}",
            )
        ],
        texts=texts_of_codes(READINESS),
        empty="recovery is off",
    )


def _needs_a_person() -> Panel:
    since = series("recovery_vm_state_since_timestamp_seconds", EVERY_SYSTEM, THESE_VMS)
    stuck = series(
        "recovery_vm_state_info",
        EVERY_SYSTEM,
        THESE_VMS,
        'state=~"quarantined|unknown|held|indeterminate"',
    )
    return rows(
        of(
            10,
            "VMs that need manual action",
            "VMs that are quarantined, down for an unknown reason, or held. "
            "vergewatch explain shows the reason and the next step.",
            width=14,
        ),
        [
            now(
                "max by (system_name, vm_name, state) ((time() - "
                f"{since}) * on (system_name, vm_id) group_left (state) {stuck})"
            )
        ],
        [
            Column("vm_name", "VM", link=to_vm()),
            Column("state", "State", texts=texts_of_words(STATES)),
            Column("Value", "For", unit=SECONDS, decimals=0),
            Column("system_name", "System"),
        ],
        sort="For",
        descending=True,
        empty="none",
        paged=True,
    )


def _budgets() -> Panel:
    left = series("recovery_vm_budget_remaining", EVERY_SYSTEM, THESE_VMS)
    return rows(
        of(11, "Budgets", "recovery_vm_budget_remaining", width=10),
        [now(f"max by (system_name, vm_name, window_seconds) ({left})")],
        [
            Column("vm_name", "VM", link=to_vm()),
            Column("window_seconds", "Within", texts=WINDOWS),
            Column("Value", "Actions left", steps=[(0, RED), (1, ORANGE), (2, GREEN)]),
            Column("system_name", "System"),
        ],
        sort="Actions left",
        empty="no recent actions",
        paged=True,
    )


# --- VM states ---


def _states() -> Panel:
    calm = "|".join(CALM_STATES)
    stirred = series("recovery_vm_state_info", EVERY_SYSTEM, THESE_VMS, f'state!~"{calm}"')
    code = coded(
        STATES,
        "recovery_vm_state_info",
        EVERY_SYSTEM,
        THESE_VMS,
        label="state",
        by="system_name, vm_id, vm_name",
    )
    return timeline(
        of(
            21,
            "VMs that were not healthy",
            "Recovery state of the VMs that were not healthy or stopped in this range.",
            width=24,
            height=9,
        ),
        [
            Query(
                f"{code} and on (system_name, vm_id) max_over_time({stirred}[$__range] @ end())",
                "{{vm_name}}",
            )
        ],
        texts=texts_of_codes(STATES),
        links=[TO_VM_OF_SERIES],
        empty="all were",
    )


def _by_state() -> Panel:
    counted = f"sum by (state) ({series('recovery_vms', EVERY_SYSTEM)})"
    return graph(
        of(22, "VMs by state", "recovery_vms", width=24, height=7),
        [Query(counted, "{{state}}")],
        stacked=True,
        decimals=0,
        colours={word: one.colour for one in STATES for word in one.words},
    )


# --- Decisions ---


def _reasons() -> Panel:
    return graph(
        of(31, "Decisions by reason", "recovery_decisions_total", width=14),
        [Query(f"sum by (failed_guard) ({per_step(DECISIONS)})", "{{failed_guard}}", step=STEPS)],
        bars=True,
        stacked=True,
        decimals=0,
    )


def _decisions() -> Panel:
    return rows(
        of(
            32,
            "Decisions in this range",
            "Number of decisions by failed guard (none: the action was allowed) and cause.",
            width=10,
        ),
        [now(f"round(sum by (failed_guard, cause) ({in_range(DECISIONS)})) > 0")],
        [
            Column("failed_guard", "Failed guard"),
            Column("cause", "Cause"),
            Column("Value", "Times", 80),
        ],
        sort="Times",
        descending=True,
        empty="no decisions",
        paged=True,
    )


# --- Actions ---


def _actions() -> Panel:
    return graph(
        of(41, "Actions", "recovery_actions_total", width=14),
        [
            Query(
                f"sum by (action, outcome) ({per_step(ACTIONS)})",
                "{{action}}, {{outcome}}",
                step=STEPS,
            )
        ],
        bars=True,
        stacked=True,
        decimals=0,
        empty="no actions",
    )


def _last_actions() -> Panel:
    when = series("recovery_vm_last_action_timestamp_seconds", EVERY_SYSTEM, THESE_VMS)
    what = series("recovery_vm_last_action_info", EVERY_SYSTEM, THESE_VMS)
    return rows(
        of(42, "Last action on each VM", "recovery_vm_last_action_info", width=10),
        [
            now(
                f"max by (system_name, vm_name, action, outcome) (1000 * {when} "
                f"* on (system_name, vm_id) group_left (action, outcome) {what})"
            )
        ],
        [
            Column("vm_name", "VM", link=to_vm()),
            Column("action", "Action"),
            Column("outcome", "Outcome", texts=OUTCOMES),
            Column("Value", "When", unit="dateTimeFromNow"),
            Column("system_name", "System"),
        ],
        sort="When",
        descending=True,
        empty="no actions",
        paged=True,
    )


# --- Results ---


def _times() -> Panel:
    return graph(
        of(
            51,
            "Time to recover, half and nearly all",
            "Within which time half and 95 % of the VMs that were acted upon ran again, counted "
            "since the daemon started.",
            width=9,
        ),
        [
            Query(f"histogram_quantile(0.5, sum by (le) ({BUCKETS}))", "half"),
            Query(f"histogram_quantile(0.95, sum by (le) ({BUCKETS}))", "95 %"),
        ],
        unit=SECONDS,
        empty="none yet",
    )


def _time_to_recover() -> Panel:
    query = now(f"sum by (le) ({BUCKETS})", "{{le}}")._replace(buckets=True)
    bounds = [f"{bound:g}" for bound in RECOVERY_TIME.buckets]
    return bar_list(
        of(
            52,
            "Time to recover",
            "How many VMs ran again within how many seconds after they were last seen up, since "
            "the daemon started.",
            width=6,
        ),
        query,
        names={
            **{rf"/^{bound}(\.0)?$/": f"{span(float(bound))} or less" for bound in bounds},
            r"/^\+Inf$/": "longer",
        },
        base=BLUE,
        decimals=0,
        empty="none yet",
    )


def _doubts() -> Panel:
    unbelieved = series("recovery_rejected_inventories_total", EVERY_SYSTEM)
    jumps = series("recovery_clock_jumps_total", EVERY_SYSTEM)
    none = f"0 * max by (system_name) ({READY})"
    return graph(
        of(
            53,
            "Rejected inventories",
            "Inventories that recovery rejected, and clock jumps, which restart its warm-up.",
            width=9,
        ),
        [
            Query(
                f"sum by (system_name) ({per_step(unbelieved)}) or {none}",
                "{{system_name}}: inventory rejected",
                step=STEPS,
            ),
            Query(
                f"sum by (system_name) ({per_step(jumps)}) or {none}",
                "{{system_name}}: clock jumped",
                step=STEPS,
            ),
        ],
        bars=True,
        stacked=True,
        decimals=0,
    )
