import pytest

from exporter.recovery.detect.log_patterns import LogClassifier, Meaning
from exporter.simulator.world.platform_log import LOG_TEMPLATES

EXPECTED: dict[str, Meaning | None] = {
    "powered_on": Meaning.START,
    "powered_off": Meaning.STOP,
    "guest_shut_down": Meaning.GUEST_STOP,
    "guest_rebooted": Meaning.RESET,
    "hung": Meaning.HARMLESS,
    "woke_up": Meaning.HARMLESS,
    "hibernated": Meaning.STOP,
    "migration_started": Meaning.MOVE,
    "migrated": Meaning.MOVE,
    "renamed": Meaning.HARMLESS,
    "changed": Meaning.DOUBT,
    "created": Meaning.HARMLESS,
    "task_ran": Meaning.TASK,
    "tagged": Meaning.HARMLESS,
    "untagged": Meaning.HARMLESS,
    "status_forced": Meaning.STOP,
    "ha_restarted": Meaning.PLATFORM,
    "no_capacity": Meaning.HARMLESS,
    "out_of_space": Meaning.DOUBT,
    "node_failed": Meaning.HARMLESS,
    "node_returned": Meaning.HARMLESS,
    "node_maintenance": Meaning.NODE,
    "node_maintenance_left": Meaning.NODE,
    "maintenance_power_off": Meaning.NODE,
    # These are in no log of a machine.
    "deleted": Meaning.DOUBT,
    "logged_in": None,
    "login_failed": None,
}
ACTIONS = {
    "poweroff": Meaning.STOP,
    "kill": Meaning.STOP,
    "hibernate": Meaning.STOP,
    "restore": Meaning.STOP,
    "delete": Meaning.STOP,
    "poweron": Meaning.START,
    "reset": Meaning.RESET,
    "migrate": Meaning.MOVE,
    "defragment": None,
}
WORDS = {"user": "anna", "node": "node1", "task": "Friday off", "old": "x", "tag": "auto"}
CONFUSING = (
    "migrated-db",
    "powered on",
    "created",
    "task",
    "node online",
    "shutdown",
    "modified",
    "unresponsive",
)


@pytest.mark.parametrize("event", [event for event, wording in LOG_TEMPLATES.items() if wording])
@pytest.mark.parametrize("name", ["web-01", *CONFUSING])
def test_log_text_has_its_meaning_for_every_vm_name(event: str, name: str) -> None:
    wording = LOG_TEMPLATES[event]
    assert wording is not None
    for action, meaning in ACTIONS.items():
        text = wording.text.format(name=name, action=action, **WORDS)
        expected = meaning if event == "action_sent" else EXPECTED[event]

        assert LogClassifier().meaning(text) is expected


def test_unknown_text_has_no_meaning() -> None:
    assert LogClassifier().meaning("Flux capacitor drained") is None


@pytest.mark.parametrize(
    "text", ["VM 'o'neill powered on' powered off", "VM 'it's migrated' killed"]
)
def test_vm_name_does_not_hide_a_stop(text: str) -> None:
    assert LogClassifier().meaning(text) is Meaning.STOP


@pytest.mark.parametrize(
    "text",
    [
        "VM is unresponsive, forced off by operator",
        "Machine halted by user: unresponsive",
        "VM stopped on node node2, state is now offline",
        "VM terminated on request, snapshot created",
        "Stopped by user. Last migrated 3 days ago",
        "Restoring VM from snapshot created 2025-12-31",
    ],
)
def test_harmless_word_does_not_hide_a_stop(text: str) -> None:
    assert LogClassifier().meaning(text) is Meaning.DOUBT


def test_stop_is_recognized_on_every_node() -> None:
    assert LogClassifier().meaning("VM powered off on node node1 (offline)") is Meaning.STOP
