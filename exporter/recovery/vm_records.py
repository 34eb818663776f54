"""The newest journal records of VMs."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from exporter.errors import JournalError
from exporter.executor import run_in_thread
from exporter.recovery.model.ports import Change
from exporter.recovery.model.records import ActionRecord, DecisionRecord, JournalReader
from exporter.recovery.report.vm_timeline import VMTimeline, vm_timeline
from exporter.recovery.vm_lookup import FoundVM

ROWS_OF_ONE_VM = 500
ROWS_OF_A_LISTED_VM = 50
ROWS_OF_A_SYSTEM = 1000
SHORT_LIST = 30
"""Up to so many VMs are read one by one."""


class VMRecords(NamedTuple):
    """Journal records of one VM, newest first."""

    changes: list[Change]
    actions: list[ActionRecord]
    decisions: list[DecisionRecord]


async def read_records(
    journal: JournalReader | None, vms: Sequence[tuple[str, str]]
) -> Mapping[tuple[str, str], VMRecords]:
    """
    Return the newest records of *vms*; none if the journal cannot be read.

    Args:
        vms: Key of the system and UUID of each VM.

    """
    found = defaultdict[tuple[str, str], VMRecords](lambda: VMRecords([], [], []))
    if journal is None:
        return found
    rows = ROWS_OF_ONE_VM if len(vms) == 1 else ROWS_OF_A_LISTED_VM
    queries: list[tuple[str, str | None]] = [*vms]
    if len(vms) > SHORT_LIST:
        rows, queries = ROWS_OF_A_SYSTEM, [(key, None) for key in {key for key, _ in vms}]
    with suppress(JournalError):  # sentences then lack times; the status shows the problem
        for key, uuid in queries:
            for change in await journal.changes(key, uuid, rows):
                found[key, change.uuid].changes.append(change)
            for action in await journal.intents(key, uuid, rows):
                found[key, action.intent.uuid].actions.append(action)
            for record in await journal.decisions(key, uuid, rows):
                found[key, record.decision.uuid].decisions.append(record)
    return found


async def timeline_of(found: FoundVM, journal: JournalReader, since: datetime) -> VMTimeline:
    """
    Return what happened to a VM since *since*.

    Raises:
        JournalError: The journal cannot be read.

    """
    recovery, inventory = found.recovery, found.recovery.state.inventory
    vm = inventory.vms.get(found.uuid) if inventory is not None else None
    machine = vm.config.machine if vm is not None else None
    past = await journal.past_of_vm(recovery.key, found.uuid, found.key, machine, since)
    nodes = inventory.reported.nodes if inventory is not None else {}
    names = {key: node.name for key, node in nodes.items()}
    return await run_in_thread(vm_timeline, past, found.system, found.name, names, since)
