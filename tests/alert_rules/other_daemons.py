"""
Every case beside other daemons that watch the same system.

Replicas are scraped together. They agree in the end, and disagree for a while: after a rename or a
migration, until each has polled, or while one is down.
"""

import re
from collections.abc import Callable, Iterable

from tests.alert_rules.promtool import ALERTS, Case
from tests.alert_rules.stories import NODE, OF_NODE, OF_SYSTEM, OF_VM, SYS, VM, Series, then

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
RENAMED = f'{SYS},vm_id="7",vm_name="renamed"'
CRASHED = 'policy="on-failure",state="held"'

DISAGREEING = (
    Case("VergeNodeOffline", "one daemon says so, the other still sees it run",
         both(NODE_UP, NODE, "0x30", "1x30"), {3: [OF_NODE]}, (2,)),
    Case("VergeVMFailoverWindow", "a daemon that still sees the node run mutes no VM for ever",
         (*both(NODE_UP, NODE, "1x4 0x30", "1x40"),
          *both(INFO, f'{VM},node_name="n1"', "1x40", "1x40")), silent=(5, 12, 30)),
    Case("VergeVMWentDown", "one daemon says so, the other still sees it run",
         both(UP, VM, "1x4 0x30", "1x40"), {10: [OF_VM]}, (9,)),
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
