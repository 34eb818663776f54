"""Finds systems and VMs by the names that operators type."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from exporter.errors import JournalError
from exporter.executor import run_in_thread
from exporter.formatting import nearest
from exporter.patterns import folded, normalized
from exporter.recovery.model.records import JournalReader
from exporter.recovery.model.views import AmbiguousNameError, UnknownNameError

if TYPE_CHECKING:  # loaded only where recovery is on
    from exporter.recovery.engine import Recovery

JOURNAL_ROWS = 1000
"""Rows per system that are searched for VMs that were deleted."""
NAMES_TO_SUGGEST = 3
NAMES_TO_LIST = 10
KINDS = ("name", "key", "uuid")
"""What identifies a VM; before a colon, it says how the rest is meant, as in ``key:3``."""


class NamedVM(Protocol):
    """A VM with all that identifies it."""

    @property
    def system(self) -> str: ...
    @property
    def uuid(self) -> str: ...
    @property
    def key(self) -> int: ...
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=NamedVM)


class FoundVM(NamedTuple):
    """A VM and the recovery engine of its system."""

    system: str
    recovery: "Recovery"
    uuid: str
    key: int
    name: str

    def __str__(self) -> str:
        return _described(self)


def find_systems(
    recoveries: Mapping[str, "Recovery"], system: str | None
) -> Mapping[str, "Recovery"]:
    """
    Return the engine of the system with that name or URL; without one, all *recoveries*.

    Raises:
        AmbiguousNameError: It is the name of one system and the URL of another.
        UnknownNameError: No system has the name.

    """
    if system is None:
        return recoveries
    found = {name: one for name, one in recoveries.items() if system in (name, one.key)}
    if len(found) > 1:
        listed = ", ".join(f"{name} ({one.key})" for name, one in found.items())
        raise AmbiguousNameError(f"{system!r} is the name or the URL of several systems: {listed}")
    if found:
        return found
    known = ", ".join(recoveries) or "none, recovery is off"
    raise UnknownNameError(f"no system is named {system!r}; systems with recovery: {known}")


def systems_that_know(
    template: str, recoveries: Mapping[str, "Recovery"]
) -> Mapping[str, "Recovery"]:
    """
    Return those of *recoveries* in which a log template is taught, or seen, as far as is known.

    Raises:
        UnknownNameError: There is none.

    """
    found = {
        name: recovery
        for name, recovery in recoveries.items()
        if recovery.stands_by  # the leader knows its templates
        or recovery.learner.knows(recovery.learner.template_of(template))
    }
    if not found:
        known = [one for recovery in recoveries.values() for one in recovery.learner.known]
        raise UnknownNameError(
            f"the log template {template!r} is neither taught nor learned{nearest(template, known)}"
        )
    return found


async def find_vm(
    wanted: str,
    system: str | None,
    recoveries: Mapping[str, "Recovery"],
    journal: JournalReader | None,
    *,
    exact: bool = False,
) -> FoundVM:
    """
    Return the VM with a name, key or UUID.

    A VM may be called "3" while another has the key 3: *wanted* is then refused, and ``name:3`` or
    ``key:3`` says which is meant.

    Args:
        journal: Searched for VMs that were deleted; None while it is not open.
        exact: Whether the name must be complete. Otherwise any capitalization and any part of a
            name is accepted if only one VM matches.

    Raises:
        AmbiguousNameError: Several VMs match.
        UnknownNameError: No VM matches.
        JournalError: The VMs are not known yet because the journal cannot be read.

    """
    chosen = find_systems(recoveries, system)
    if not chosen:
        raise UnknownNameError("recovery is off in every system, so it monitors no VM")
    known = [one for name, recovery in chosen.items() for one in _known(name, recovery)]
    found = exact_matches(known, wanted)
    if not found:
        deleted = await _deleted(chosen, journal)
        found = exact_matches(deleted, wanted)
        if not found and not exact:
            found = _partial_matches(known, wanted) or _partial_matches(deleted, wanted)
    if len(found) == 1:
        return found[0]
    if found:
        raise AmbiguousNameError(ambiguous(wanted, found))
    raise await _not_found(wanted, system, chosen, known)


async def find_key(
    key: int, system: str, recoveries: Mapping[str, "Recovery"], journal: JournalReader | None
) -> FoundVM:
    """
    Return the VM with *key*, whatever others are called.

    Raises:
        UnknownNameError: No VM has it, or none has been seen yet.

    """
    chosen = find_systems(recoveries, system)
    known = [one for name, recovery in chosen.items() for one in _known(name, recovery)]
    for found in (known, await _deleted(chosen, journal)):
        for one in found:
            if one.key == key:
                return one
    raise UnknownNameError(f"recovery knows no VM with the key {key} in {system}")


async def _deleted(
    chosen: Mapping[str, "Recovery"], journal: JournalReader | None
) -> list[FoundVM]:
    """Return the VMs in the journal, which may no longer be in the inventory."""
    found: dict[tuple[str, str], FoundVM] = {}
    if journal is None:
        return []
    for name, recovery in chosen.items():
        with suppress(JournalError):
            for one in await journal.changes(recovery.key, limit=JOURNAL_ROWS):
                vm = FoundVM(name, recovery, one.uuid, one.vm_key, one.name)
                found.setdefault((name, one.uuid), vm)
    return list(found.values())


def _known(system: str, recovery: "Recovery") -> list[FoundVM]:
    """Return the VMs that recovery monitors, and the others in the inventory."""
    state = recovery.state
    vms = state.inventory.vms if state.inventory is not None else {}
    names = {uuid: (vm.config.key, vm.config.name) for uuid, vm in vms.items()}
    names |= {uuid: (case.key, case.name) for uuid, case in state.cases.items()}
    return [FoundVM(system, recovery, uuid, *name) for uuid, name in names.items()]


def exact_matches(known: Iterable[T], wanted: str) -> list[T]:
    """Return the VMs whose name, key or UUID is *wanted*, however many."""
    return [one for one in known if _meanings(one, wanted)]


def _meanings(vm: NamedVM, wanted: str) -> list[str]:
    """Return what *wanted* is of *vm*: its name, key or UUID, with the kind before it or alone."""
    kind, plain = _split(wanted)
    is_equal: Mapping[str, Callable[[str], bool]] = {
        "name": lambda text: normalized(text) == normalized(vm.name),
        "key": lambda text: text == str(vm.key),
        "uuid": lambda text: text.lower() == vm.uuid.lower(),
    }
    return [
        one for one, is_it in is_equal.items() if is_it(wanted) or (one == kind and is_it(plain))
    ]


def _split(wanted: str) -> tuple[str, str]:
    """Return the kind before a colon and what follows; without a kind, "" and all of *wanted*."""
    kind, _, plain = wanted.partition(":")
    return (kind, plain) if kind in KINDS and plain else ("", wanted)


def _partial_matches(known: Sequence[FoundVM], wanted: str) -> list[FoundVM]:
    kind, plain = _split(wanted)
    small = folded(plain.strip())
    if not small or kind in ("key", "uuid"):
        return []
    same = [one for one in known if folded(one.name) == small]
    return same or [one for one in known if small in folded(one.name)]


def ambiguous(wanted: str, found: Sequence[NamedVM]) -> str:
    """Return which VMs *wanted* may mean, and how to say which is meant."""
    meanings = {one: _meanings(one, wanted) for one in found[:NAMES_TO_LIST]}
    more = f"; and {len(found) - NAMES_TO_LIST} more" * (len(found) > NAMES_TO_LIST)
    if len(set(map(tuple, meanings.values()))) > 1:
        listed = "; ".join(
            f"the {' and '.join(kinds)} of {_described(vm)}" for vm, kinds in meanings.items()
        )
        return f"{wanted!r} is {listed}{more}; write name:NAME, key:KEY or the uuid"
    listed = "; ".join(map(_described, meanings))
    return (
        f"{wanted!r} matches {len(found)} VMs: {listed}{more}; "
        "use the full name, or the uuid, or name the system"
    )


def _described(vm: NamedVM) -> str:
    return f"{vm.name} (key {vm.key}, uuid {vm.uuid}) in {vm.system}"


async def _not_found(
    wanted: str, system: str | None, chosen: Mapping[str, "Recovery"], known: Sequence[FoundVM]
) -> Exception:
    where = system or ", ".join(chosen)
    problems = [
        one.system_facts.journal_problem for one in chosen.values() if one.state.inventory is None
    ]
    if not known and any(problems):
        return JournalError(
            f"the VMs of {where} are not known yet: {'; '.join(filter(None, problems))}"
        )
    unseen = [name for name, one in chosen.items() if one.state.inventory is None]
    if unseen:
        return UnknownNameError(
            f"{', '.join(unseen)} has not been polled yet; try again in 30 seconds"
        )
    names = {one.name for one in known}
    kind, plain = _split(wanted)
    hint = await run_in_thread(nearest, plain, names, most=NAMES_TO_SUGGEST)
    what = f"has the {kind} {plain!r}" if kind in ("key", "uuid") else f"is named {plain!r}"
    return UnknownNameError(f"no VM {what} in {where}{hint}")
