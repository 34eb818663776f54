"""What causes, reasons, actions and the like are called in a sentence."""

from collections.abc import Mapping

from exporter.recovery.model.cases import Action, Cause, Intent, Outcome, Policy, Reply
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.decision import GuardName

CAUSES: Mapping[Cause, str] = {
    Cause.NOT_DOWN_NOW: "it is neither plainly up nor plainly down at the moment",
    Cause.NOT_LONG_ENOUGH: "it is not down for long enough to be sure",
    Cause.LOGS_NOT_SETTLED: "VergeOS' log has to be read before anything is concluded",
    Cause.CRASHED: "it ran, it stopped, and nobody asked for it",
    Cause.HUNG: "it is unresponsive, and nobody is at it",
    Cause.KILLED_TO_RESTART: "Vergewatch powered it off to start it anew",
    Cause.STOPPED_BY_PERSON: "{who} stopped it",
    Cause.STOPPED_BY_GUEST: "its guest shut itself down",
    Cause.STOPPED_BY_TASK: "a task of VergeOS stopped it",
    Cause.SEEN_STOPPING: "it was seen on its way down, which is no crash",
    Cause.HIBERNATED: "it was put into hibernation",
    Cause.LEFT_OFF_BY_POLICY: "its node failed, and its owner wants it left off after that",
    Cause.POWERED_OFF_AS_DESIRED: "VergeOS says that it is meant to be off",
    Cause.NODE_IN_TROUBLE: "its node is in trouble, or was just now",
    Cause.NODE_UNWATCHED: "Vergewatch cannot say how its node was all the time",
    Cause.HUNG_SHORTLY_BEFORE: "it was unresponsive shortly before",
    Cause.WAITS_FOR_RESOURCES: "VergeOS has it waiting for resources",
    Cause.NEVER_SEEN_UP: "Vergewatch never saw it up",
    Cause.WENT_DOWN_UNOBSERVED: "it went down while nobody looked",
    Cause.MIGRATED_SHORTLY_BEFORE: "it was migrating shortly before",
    Cause.START_FAILED: "it was on its way up and did not arrive",
    Cause.STATUS_ERROR: "VergeOS says that it is in error",
    Cause.STATUS_UNRECOGNIZED: "its status contradicts itself, or is new to Vergewatch",
    Cause.STATUS_MISSING: "no status is told of it",
    Cause.NODE_UNKNOWN: "nobody knows which node it ran on",
    Cause.LOGS_UNREAD: "VergeOS' log could not be read",
    Cause.LOGS_INCOMPLETE: "VergeOS' log has a hole",
    Cause.LOGS_UNCLEAR: "VergeOS' log has a row that Vergewatch does not understand",
}
"""After "because"."""

REASONS: Mapping[GuardName, str] = {
    GuardName.MODE_ENFORCE: "{says}, and then it only says what it would do",
    GuardName.ARMED: "recovery is disarmed ({says})",
    GuardName.NOT_PAUSED: "recovery is {says}",
    GuardName.JOURNAL_WRITABLE: "it cannot write that down, and without that it does nothing: {says}",
    GuardName.INVENTORY_FRESH: "it does not know how things are right now: {says}",
    GuardName.INVENTORY_STABLE: "it did not see the cloud well lately: {says}",
    GuardName.WARMED_UP: "it has not watched for long enough: {says}",
    GuardName.ENROLLED: "it is not allowed to: {says}",
    GuardName.CRASHED: "it is not proven that it crashed: {says}",
    GuardName.NO_OPEN_ACTION: "something is being done about it already: {says}",
    GuardName.WITHIN_RESTART_BUDGET: "that was tried too often lately: {says}",
    GuardName.BACKOFF_ELAPSED: "it just tried, and waits a little longer each time: {says}",
    GuardName.OUTSIDE_MAINTENANCE_WINDOW: "these are quiet hours: {says}",
    GuardName.NOT_SILENCED: "{says}",
    GuardName.NODE_STABLE: "it looks like the node's trouble, not the VM's: {says}",
    GuardName.CIRCUIT_BREAKER_CLOSED: "so many VMs are in trouble that something bigger must be wrong: {says}",
    GuardName.CAPACITY_AVAILABLE: "VergeOS lacks the resources: {says}",
    GuardName.BELOW_CONCURRENCY_LIMIT: "enough is being done at once: {says}",
    GuardName.WITHIN_RATE_LIMIT: "enough was done in this cloud lately: {says}",
    GuardName.DEPENDENCIES_UP: "others have to be up first: {says}",
    GuardName.ACTION_ALLOWED: "the step that would come next is not allowed: {says}",
    GuardName.WRITE_ACCESS: "it may only look: {says}",
}
"""After "Vergewatch does not start it now because"."""

VERBS: Mapping[Action, tuple[str, str]] = {
    Action.POWER_ON: ("start it", "started it"),
    Action.REBOOT: ("ask its guest to restart", "asked its guest to restart"),
    Action.RESET: ("reset it", "reset it"),
    Action.KILL: ("power it off, to start it anew", "powered it off"),
}
FATES: Mapping[Outcome, str] = {
    Outcome.CONFIRMED: "which helped",
    Outcome.FAILED: "which did not help",
    Outcome.UNKNOWN: "with nobody knowing whether it was done",
    Outcome.ABANDONED: "and then did not, after all",
}
REFUSALS: Mapping[Reply, str] = {
    Reply.NO_CAPACITY: "which VergeOS refused for want of resources",
    Reply.FORBIDDEN: "which VergeOS does not allow Vergewatch",
    Reply.REFUSED: "which VergeOS refused",
    Reply.NOT_SENT: "which never reached VergeOS",
}
POLICIES: Mapping[Policy, str] = {
    Policy.NO: "nothing but to look at it",
    Policy.IGNORE: "nothing, not even to look at it",
    Policy.ON_FAILURE: "start it again when it crashed",
    Policy.UNLESS_STOPPED: "start it again unless somebody stopped it",
    Policy.ALWAYS: "start it again always, unless a person or a task stopped it",
}
ORDERS: Mapping[CommandKind, str] = {
    CommandKind.PAUSE: "paused recovery",
    CommandKind.RESUME: "resumed recovery",
    CommandKind.DISARM: "disarmed recovery",
    CommandKind.ARM: "armed recovery",
    CommandKind.ACCEPT: "said that what is seen is so",
    CommandKind.CLEAR: "cleared it",
}


def asked_or_done(intent: Intent) -> str:
    """Return what was done; of what was refused, what was asked for."""
    verb, done = VERBS[intent.action]
    return f"asked VergeOS to {verb}" if intent.reply in REFUSALS else done


def done_by(action: Action | None) -> str:
    """Return what Vergewatch did by *action*; in general, where nobody knows which it was."""
    return VERBS[action][1] if action is not None else "acted"
