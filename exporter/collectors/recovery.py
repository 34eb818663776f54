"""Recovery: mode, readiness, and the state of each VM that it watches."""

from collections import Counter

from exporter.collectors.collector import Collector
from exporter.exposition.collector import VM, each, gauge, group, info, time
from exporter.exposition.view import REPORT, Items, RenderView, escape
from exporter.vergeos.recovery_rows import TAG_MEMBERS

MONITORED_ONLY = "no"
"""The policy of VMs that recovery only monitors."""


def recoveries(view: RenderView) -> Items:
    """Return the report of recovery, where it is on."""
    return Items([(view.system,)], [view.report.recovery]).known()


def vm_states(view: RenderView) -> Items:
    """Return the VMs that recovery watches."""
    vms = view.report.recovery.vms if view.report.recovery else ()
    return Items([(view.system, str(vm.key), escape(vm.name)) for vm in vms], list(vms))


def state_counts(view: RenderView) -> Items:
    """Return the number of enrolled VMs by state."""
    vms = view.report.recovery.vms if view.report.recovery else ()
    counts = Counter(vm.state for vm in vms if vm.policy != MONITORED_ONLY)
    states = sorted(counts)
    return Items([(view.system, state) for state in states], [counts[state] for state in states])


def last_actions(view: RenderView) -> Items:
    """Return the last action on each VM that had one."""
    found = view.report.recovery.last_actions if view.report.recovery else ()
    return Items(
        [(view.system, str(action.vm_key), escape(action.vm_name)) for action in found], list(found)
    )


def budgets(view: RenderView) -> Items:
    """Return what remains of the restart budgets of VMs that had an action."""
    found = view.report.recovery.budgets_remaining if view.report.recovery else ()
    return Items(
        [
            (view.system, str(vm.vm_key), escape(vm.vm_name), f"{vm.window_seconds:g}")
            for vm in found
        ],
        [vm.left for vm in found],
    )


def questions(view: RenderView) -> Items:
    """Return the questions that wait for an answer."""
    found = view.report.recovery.questions if view.report.recovery else ()
    return Items(
        [(view.system, str(one.vm_key), escape(one.vm_name)) for one in found], list(found)
    )


def inputs(view: RenderView) -> Items:
    """Return what recovery needs to read or write."""
    found = view.report.recovery.inputs if view.report.recovery else ()
    return Items([(view.system, one.name) for one in found], [one.problem for one in found])


RECOVERY = group("recovery", "system_name", REPORT, recoveries)
INPUT = group("input of recovery", "system_name input", REPORT, inputs)
STATE = group("state in recovery", "system_name state", REPORT, state_counts)
VM_STATE = group("VM in recovery", VM, REPORT, vm_states)
LAST_ACTION = group("last action", VM, REPORT, last_actions)
QUESTION = group("open question", VM, REPORT, questions)
BUDGET = group("restart budget", f"{VM} window_seconds", REPORT, budgets)

FAMILIES = (
    info("recovery_info", RECOVERY, "",
         "Mode and readiness of recovery", {"mode": "mode", "readiness": "readiness"}),
    gauge("recovery_ready", RECOVERY, "",
          "1 if recovery would act on a crash now, in mode ask after approval; always 0 in shadow "
          "mode", "ready"),
    gauge("recovery_open_actions", RECOVERY, "",
          "Actions whose outcome is not known yet", "open_actions"),
    gauge("recovery_error_budget_spent", RECOVERY, "",
          "1 if recovery fell back from mode enforce to ask because people undid its actions",
          each(lambda one: float(bool(one.fell_back)))),
    gauge("recovery_journal_up", RECOVERY, "",
          "1 if the journal can be written; without it recovery does not act", "journal_up"),
    gauge("recovery_leader", RECOVERY, "",
          "1 if this replica decides and acts, 0 if another one may; always 1 with a journal that "
          "replicas do not share", "leads"),
    gauge("recovery_lease_epoch", RECOVERY, "",
          "Number of the lease, which rises by 1 whenever a replica becomes the leader; only with "
          "a journal that replicas share", "lease_epoch"),
    gauge("recovery_lease_age_seconds", RECOVERY, "",
          "Time since the lease was renewed last; only with a journal that replicas share",
          "lease_age_seconds"),
    gauge("recovery_input_success", INPUT, "",
          "1 if recovery has an input that it needs; 0 if it is missing. Without the tables that "
          "only hold actions back, the guards that need them hold no VM; without any other input, "
          "recovery starts no VM",
          each(lambda problem: float(not problem))),
    gauge("recovery_inventory_timestamp_seconds", RECOVERY, "",
          "When the last inventory was read that passed recovery's checks", time("inventory_at")),
    gauge("recovery_vms", STATE, "",
          "VMs enrolled in recovery, by their state in recovery", each(float)),
    info("recovery_vm_state_info", VM_STATE, "",
         "Policy and state of a VM in recovery, the cause of its diagnosis, and the guard that "
         "forbids its start; a VM with the policy no is only monitored",
         {"policy": "policy", "state": "state", "cause": "cause", "failed_guard":
          "failed_guard"}),
    gauge("recovery_vm_state_since_timestamp_seconds", VM_STATE, "",
          "When a VM entered the state in recovery_vm_state_info", time("since")),
    info("recovery_vm_last_action_info", LAST_ACTION, "",
         "The last action of recovery on a VM, and its outcome",
         {"action": "action", "outcome": "outcome"}),
    gauge("recovery_vm_last_action_timestamp_seconds", LAST_ACTION, "",
          "When the outcome of the last action on a VM was known", time("at")),
    info("recovery_vm_question_info", QUESTION, "",
         "The question about a VM that waits for the answer of an operator; only in mode ask",
         {"question": each(lambda one: str(one.number)), "action": "action"}),
    gauge("recovery_vm_budget_remaining", BUDGET, "",
          "Actions that remain in a VM's restart budget for the window; only for VMs with a "
          "recent action", each(float)),
)  # fmt: skip

COLLECTOR = Collector("recovery", (TAG_MEMBERS,), FAMILIES)
