"""Runbook steps and sentences that several alerts share."""

from tools.alert_rules.model import Step

THE_VM = '{system_name="SYSTEM", vm_name="VM"}'

EXPLAIN = Step(
    "Show the VM's state, the result of every recovery guard, the log rows used as evidence, and "
    "what would change the decision.",
    command="vergewatch explain VM --system SYSTEM",
)
HISTORY = Step(
    "Show the recent actions on the VM and who requested them.",
    command="vergewatch recovery log VM --system SYSTEM",
)
STATUS = Step(
    "Show the readiness of recovery, its reason, and the VMs that are down.",
    command="vergewatch recovery status",
)
COMMANDS = Step(
    "Show the operators' commands and their reasons.", command="vergewatch recovery log --limit 50"
)
CHECK = Step(
    "Check the configuration and the connection to each system.", command="vergewatch check"
)
LOGS = Step("Read the daemon's log.", command="journalctl -u vergewatch --since -1h")
TRACEBACK = Step("Find the traceback.", command="journalctl -u vergewatch -p err --since -1d")
RUNNING = Step("Check that the service runs.", command="systemctl status vergewatch")

BY_HAND = (
    "Start urgent VMs in VergeOS. Recovery accepts a manual start at any time; stop the VM there "
    "to undo it."
)
