"""Causes, guards, actions and commands as parts of a sentence."""

from collections.abc import Mapping

from exporter.recovery.model.cases import Action, Cause, Intent, NotMonitored, Outcome, Reply
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.decision import GuardName

CAUSES: Mapping[Cause, str] = {
    Cause.NOT_DOWN_NOW: "its status is neither up nor down at the moment",
    Cause.NOT_LONG_ENOUGH: "it has not been down long enough to confirm",
    Cause.LOGS_NOT_SETTLED: "the VergeOS log has not been read yet",
    Cause.CRASHED: "it was running, it stopped, and VergeOS logged no stop request",
    Cause.HUNG: "it was unresponsive, and VergeOS logged no action on it",
    Cause.KILLED_TO_RESTART: "Vergewatch powered it off to restart it",
    Cause.STOPPED_BY_PERSON: "a user stopped it",
    Cause.STOPPED_BY_GUEST: "its guest shut itself down",
    Cause.STOPPED_BY_TASK: "a VergeOS task stopped it",
    Cause.SEEN_STOPPING: "its status was stopping, so it was shut down on request",
    Cause.HIBERNATED: "it was hibernated",
    Cause.LEFT_OFF_BY_POLICY: "its node failed, and it is configured to stay off after that",
    Cause.POWERED_OFF_AS_DESIRED: "its power state in VergeOS is set to off",
    Cause.NODE_IN_TROUBLE: "its node is in trouble, or was shortly before",
    Cause.NODE_UNWATCHED: "the state of its node is not known for the whole time",
    Cause.HUNG_SHORTLY_BEFORE: "it was unresponsive shortly before",
    Cause.RESET_SHORTLY_BEFORE: "its guest reset it shortly before, and VergeOS may start it",
    Cause.WAITS_FOR_RESOURCES: "it is waiting for resources of the VergeOS system",
    Cause.NEVER_SEEN_UP: "Vergewatch has never seen it up",
    Cause.WENT_DOWN_UNOBSERVED: "it went down while Vergewatch did not poll",
    Cause.MIGRATED_SHORTLY_BEFORE: "it was migrating shortly before",
    Cause.START_FAILED: "it was starting and did not come up",
    Cause.FLAPPING: "it goes down again and again, too shortly for a diagnosis",
    Cause.STATUS_ERROR: "its VergeOS status is error",
    Cause.STATUS_UNRECOGNIZED: "its VergeOS status is contradictory or not known to Vergewatch",
    Cause.STATUS_MISSING: "VergeOS reports no status for it",
    Cause.UUID_SHARED: "another VM has the same UUID",
    Cause.NODE_UNKNOWN: "the node that it ran on is not known",
    Cause.LOGS_UNREAD: "the VergeOS log could not be read",
    Cause.LOGS_INCOMPLETE: "the VergeOS log is incomplete",
    Cause.LOGS_UNCLEAR: "the VergeOS log has a row that matches no log pattern",
}
"""A main clause for each cause."""

NOT_MONITORED: Mapping[NotMonitored, str] = {
    NotMonitored.SERVICE: "it belongs to a VergeOS service, which VergeOS restarts itself",
    NotMonitored.DISABLED: "it is disabled in VergeOS",
    NotMonitored.IGNORED: "it is ignored ({by})",
    NotMonitored.NO_UUID: "it has no UUID of its own in VergeOS",
    NotMonitored.NO_STATUS: "it was not seen up or down yet",
    NotMonitored.NO_POLICY: "its tags and rules could not be read yet",
}
"""A main clause for each reason; ``{by}`` stands for the tag or rule."""

REASONS: Mapping[GuardName, str] = {
    GuardName.MODE_PERMITS: "{detail}",
    GuardName.ARMED: "recovery is disarmed: {detail}",
    GuardName.NOT_PAUSED: "recovery is {detail}",
    GuardName.LEADS: "{detail}",
    GuardName.NO_RIVAL: "another instance acts on the system: {detail}",
    GuardName.JOURNAL_WRITABLE: "the journal cannot be written: {detail}",
    GuardName.INVENTORY_FRESH: "the current inventory is not usable: {detail}",
    GuardName.INVENTORY_STABLE: "recent inventories were not usable: {detail}",
    GuardName.NO_PLATFORM_UPDATE: "VergeOS is updated: {detail}",
    GuardName.WARMED_UP: "recovery is warming up: {detail}",
    GuardName.ENROLLED: "the VM is not enrolled: {detail}",
    GuardName.CRASHED: "a crash is not proven: {detail}",
    GuardName.CRASH_RECENT: "it crashed too long ago, so an operator must decide: {detail}",
    GuardName.NO_OPEN_ACTION: "an action is still open: {detail}",
    GuardName.WITHIN_RESTART_BUDGET: "the restart budget is used up: {detail}",
    GuardName.BACKOFF_ELAPSED: "the backoff after the last action has not elapsed: {detail}",
    GuardName.OUTSIDE_MAINTENANCE_WINDOW: "a maintenance window is active: {detail}",
    GuardName.NOT_SILENCED: "{detail}",
    GuardName.NODE_STABLE: "several VMs of its node went down together: {detail}",
    GuardName.CIRCUIT_BREAKER_CLOSED: "the circuit breaker is not closed: {detail}",
    GuardName.CAPACITY_AVAILABLE: "VergeOS lacks resources: {detail}",
    GuardName.STORAGE_AVAILABLE: "the storage of its cluster is impaired: {detail}",
    GuardName.MEMORY_AVAILABLE: "its cluster lacks memory: {detail}",
    GuardName.DEVICES_PRESENT: "a device that it requires is missing: {detail}",
    GuardName.BELOW_CONCURRENCY_LIMIT: "the limit of concurrent actions is reached: {detail}",
    GuardName.WITHIN_RATE_LIMIT: "the rate limit of the system is reached: {detail}",
    GuardName.DEPENDENCIES_UP: "VMs that it depends on are not up: {detail}",
    GuardName.ACTION_ALLOWED: "the next action is not allowed: {detail}",
    GuardName.DOWN_CONFIRMED: "Prometheus does not confirm that it is down: {detail}",
    GuardName.WRITE_ACCESS: "the API key does not permit actions: {detail}",
}
"""Follows "Vergewatch does not start it now because"."""

VERBS: Mapping[Action, tuple[str, str]] = {
    Action.POWER_ON: ("start it", "started it"),
    Action.REBOOT: ("reboot its guest", "rebooted its guest"),
    Action.RESET: ("reset it", "reset it"),
    Action.KILL: ("power it off before a restart", "powered it off"),
}
"""Infinitive and past tense."""
OUTCOMES: Mapping[Outcome, str] = {
    Outcome.CONFIRMED: "which succeeded",
    Outcome.FAILED: "which did not bring it up",
    Outcome.UNKNOWN: "with unknown outcome",
    Outcome.ABANDONED: "and abandoned the action before it was sent",
}
REFUSALS: Mapping[Reply, str] = {
    Reply.NO_CAPACITY: "which VergeOS refused for lack of resources",
    Reply.BUSY: "which VergeOS refused because the VM was busy with another operation",
    Reply.FORBIDDEN: "which the API key does not permit",
    Reply.REFUSED: "which VergeOS refused",
    Reply.NOT_SENT: "but the request did not reach VergeOS",
}
COMMANDS: Mapping[CommandKind, str] = {
    CommandKind.PAUSE: "paused recovery",
    CommandKind.RESUME: "resumed recovery",
    CommandKind.DISARM: "disarmed recovery",
    CommandKind.ARM: "armed recovery",
    CommandKind.ACCEPT: "accepted the current inventory as correct",
    CommandKind.CLEAR: "cleared the restart budget of the VM",
    CommandKind.APPROVE: "approved question {question}",
    CommandKind.DENY: "denied question {question}",
    CommandKind.STEP_DOWN: "had another replica lead",
    CommandKind.FALL_BACK: "fell back from mode enforce to ask",
    CommandKind.RIVAL: "held recovery",
    CommandKind.KILL_SWITCH_SET: "found its kill switch file",
    CommandKind.KILL_SWITCH_REMOVED: "found its kill switch file removed",
    CommandKind.TEACH: "taught the meaning of a log template",
    CommandKind.FORGET: "forgot a log template",
}
"""Follows the name of the operator."""


def requested_or_done(intent: Intent) -> str:
    """Return what was done; for a refused request, what was requested."""
    verb, done = VERBS[intent.action]
    return f"asked VergeOS to {verb}" if intent.reply in REFUSALS else done
