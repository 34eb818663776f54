"""The newest journal records of a VM, or of many VMs."""

from collections.abc import Sequence
from typing import NamedTuple

from exporter.errors import JournalError
from exporter.recovery.model.ports import Change
from exporter.recovery.model.records import ActionRecord, DecisionRecord, JournalReader

ROWS_OF_ONE_VM = 500
ROWS_OF_A_LISTED_VM = 50
ROWS_OF_A_SYSTEM = 1000
SHORT_LIST = 30
"""Up to so many VMs are read one by one."""


class VMRecords(NamedTuple):
    """Journal records by the UUID of their VM, newest first."""

    changes: dict[str, list[Change]]
    actions: dict[str, list[ActionRecord]]
    decisions: dict[str, list[DecisionRecord]]


async def read_records(
    journal: JournalReader | None, key: str, uuid: str | None, rows: int = ROWS_OF_ONE_VM
) -> VMRecords:
    """Return the newest records of one VM or of a system; none if the journal cannot be read."""
    records = VMRecords({}, {}, {})
    if journal is None:
        return records
    try:
        for change in await journal.changes(key, uuid, rows):
            records.changes.setdefault(change.uuid, []).append(change)
        for action in await journal.intents(key, uuid, rows):
            records.actions.setdefault(action.intent.uuid, []).append(action)
        for record in await journal.decisions(key, uuid, rows):
            records.decisions.setdefault(record.decision.uuid, []).append(record)
    except JournalError:
        pass  # sentences then lack times; the status shows the journal's problem
    return records


async def read_many_records(
    journal: JournalReader | None, vms: Sequence[tuple[str, str]]
) -> dict[str, VMRecords]:
    """
    Return the newest records of *vms*, by the key of their system.

    Args:
        vms: Key of the system and UUID of each VM.

    """
    found = {key: VMRecords({}, {}, {}) for key, _ in vms}
    if len(vms) > SHORT_LIST:
        for key in found:
            found[key] = await read_records(journal, key, None, ROWS_OF_A_SYSTEM)
        return found
    for key, uuid in vms:
        one = await read_records(journal, key, uuid, ROWS_OF_A_LISTED_VM)
        found[key].changes.update(one.changes)
        found[key].actions.update(one.actions)
        found[key].decisions.update(one.decisions)
    return found
