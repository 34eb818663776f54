"""The service, with real recoveries and the journal that they wrote."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.errors import JournalError
from exporter.journal.journal import Journal
from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.model.commands import Command, CommandKind
from exporter.recovery.model.decision import GuardName
from exporter.recovery.model.ports import VMLocation
from exporter.recovery.model.states import State
from exporter.recovery.model.views import AmbiguousNameError, UnknownNameError
from exporter.recovery.recovery_config import RecoveryConfig
from exporter.recovery.report.presentation import READINESS, URGENCY
from exporter.recovery.report.summary_text import summary_text
from exporter.recovery.report.time_range import InvalidPeriodError
from exporter.recovery.service import RecoveryService
from tests.recovery.archive import as_json, journal_on_disk, stage
from tests.recovery.harness import ENFORCE, LIMITS, Harness, at_once


class Office:
    """A service over one system or several, and what is behind it."""

    def __init__(self, journal: Journal | None, **harnesses: Harness) -> None:
        self.harnesses = harnesses
        self.journal = journal
        clock = next(iter(harnesses.values())).clock if harnesses else stage().clock
        self.service = RecoveryService(
            lambda: {name: one.recovery for name, one in self.harnesses.items()},
            lambda: self.journal,
            clock,
        )


Opening = Callable[..., Awaitable[Office]]


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Opening]:
    opened: list[Journal] = []

    async def opening(harness: Harness, **others: Harness) -> Office:
        opened.append(await journal_on_disk(harness, tmp_path / "state"))
        return Office(opened[0], stage=harness, **others)

    yield opening
    for journal in opened:
        await journal.close()


def other(key: str = "https://other.example") -> Harness:
    harness = stage()
    harness.recovery.key = key
    return harness


def crashed() -> Harness:
    harness = stage()
    harness.world.crash("web-01")
    harness.advance(100)
    return harness


async def test_vm_is_explained_from_the_journal(office: Opening) -> None:
    service = (await office(crashed())).service

    found = await service.explain("web-01")

    assert found.sentence == (
        "web-01 crashed at 00:10:40 UTC. Vergewatch started it at 00:11:20 UTC, "
        "and it has been up since 00:11:40 UTC."
    )
    assert found.decision is not None
    assert [line.kind for line in found.history].count("action") == 1


async def test_vm_is_found_by_name_key_and_uuid(office: Opening) -> None:
    harness = crashed()
    case = harness.case("web-01")
    service = (await office(harness)).service

    for name in (case.name, str(case.key), case.uuid, case.uuid.upper()):
        assert (await service.explain(name)).uuid == case.uuid


@pytest.mark.parametrize("wanted", ["ERP-01", "erp", " Erp-0"])
async def test_vm_is_found_by_other_capitals_and_by_a_unique_part(
    office: Opening, wanted: str
) -> None:
    service = (await office(stage())).service

    assert (await service.explain(wanted)).vm == "erp-01"
    assert {event.vm for event in await service.log(wanted, limit=9)} == {"erp-01"}


async def test_ambiguous_part_of_a_name_lists_the_candidates(office: Opening) -> None:
    service = (await office(stage())).service

    with pytest.raises(AmbiguousNameError, match=r"'web' matches \d+ VMs: web-01 \(key 1, "):
        await service.explain("web")


async def test_command_needs_the_complete_name(office: Opening) -> None:
    service = (await office(stage())).service

    with pytest.raises(UnknownNameError, match="no VM is named 'erp'"):
        await service.command(CommandKind.CLEAR, owner="anna", reason="new disk", vm="erp")


async def test_unknown_name_suggests_similar_names(office: Opening) -> None:
    service = (await office(stage())).service

    with pytest.raises(UnknownNameError, match="no VM is named 'web-0l' in stage; did you mean"):
        await service.explain("web-0l")


async def test_name_in_two_systems_needs_the_system(office: Opening) -> None:
    service = (await office(crashed(), other=other())).service

    with pytest.raises(AmbiguousNameError, match=r"2 VMs: web-01 \(key 1, .* in stage; web-01 .*"):
        await service.explain("web-01")

    assert (await service.explain("web-01", "other")).system == "other"
    assert (await service.explain("web-01", "https://stage.example")).system == "stage"


async def test_vms_of_one_name_are_distinguished_by_uuid(
    office: Opening,
) -> None:
    harness = stage()
    case = harness.case("web-02")
    renamed = {case.uuid: replace(case, name="web-01")}
    harness.recovery.state = harness.recovery.state.with_cases(renamed)
    service = (await office(harness)).service

    with pytest.raises(AmbiguousNameError, match="use the full name, or the uuid"):
        await service.explain("web-01", "stage")

    assert (await service.explain(case.uuid)).vm_key == case.key


def called(**names: str) -> Harness:
    """Return a system in which some VMs, given by their former names, have new names."""
    harness = stage()
    cases = [harness.case(old.replace("_", "-")) for old in names]
    renamed = {
        case.uuid: replace(case, name=new) for case, new in zip(cases, names.values(), strict=True)
    }
    harness.recovery.state = harness.recovery.state.with_cases(renamed)
    return harness


@pytest.mark.parametrize("kind", [CommandKind.CLEAR, "explain", "log"])
async def test_name_that_is_the_key_of_another_vm_is_refused_and_told_apart(
    office: Opening, kind: str
) -> None:
    harness = called(web_02="1")
    keyed, named = harness.case("web-01"), stage().case("web-02")
    assert keyed.key == 1
    service = (await office(harness)).service

    async def vm_of(wanted: str) -> str:
        if kind == "explain":
            return (await service.explain(wanted)).uuid
        if kind == "log":
            (name,) = {event.vm for event in await service.log(wanted, limit=99)}
            return {"web-01": keyed.uuid, "web-02": named.uuid}[name]
        (receipt,) = await service.command(
            CommandKind.CLEAR, owner="anna", reason="new disk", vm=wanted
        )
        return {"web-01": keyed.uuid, "1": named.uuid}[receipt.vm]

    with pytest.raises(AmbiguousNameError) as error:
        await vm_of("1")
    assert str(error.value) == (
        f"'1' is the key of web-01 (key 1, uuid {keyed.uuid}) in stage; the name of 1 "
        f"(key {named.key}, uuid {named.uuid}) in stage; write name:NAME, key:KEY or the uuid"
    )
    assert await vm_of("key:1") == keyed.uuid
    assert await vm_of("name:1") == named.uuid
    assert await vm_of(f"uuid:{keyed.uuid.upper()}") == keyed.uuid
    assert await vm_of(str(named.key)) == named.uuid


async def test_name_like_a_uuid_or_a_prefixed_key_is_told_apart(office: Opening) -> None:
    uuid = stage().case("erp-01").uuid
    harness = called(web_01="key:4", web_02=uuid)
    service = (await office(harness)).service

    for wanted in ("key:4", uuid):
        with pytest.raises(AmbiguousNameError, match=f"'{wanted}' is the .*; write name:NAME"):
            await service.explain(wanted)
    assert (await service.explain("name:key:4")).vm_key == 1
    assert (await service.explain(f"name:{uuid}")).vm_key == 4
    assert (await service.explain(f"uuid:{uuid}")).vm_key == 3


async def test_vm_called_by_its_own_key_is_found_by_it(office: Opening) -> None:
    service = (await office(called(erp_01="3"))).service

    for wanted in ("3", "key:3", "name:3"):
        assert (await service.explain(wanted)).vm_key == 3


async def test_accented_name_is_found_in_either_form(office: Opening) -> None:
    service = (await office(called(erp_01="zoe\u0308"))).service

    assert (await service.explain("zo\xeb")).vm_key == 3
    assert (await service.explain("name:ZO\xcb")).vm_key == 3


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ("key:web-01", "no VM has the key 'web-01' in stage"),
        ("uuid:1", "no VM has the uuid '1' in stage"),
        ("name:1", "no VM is named '1' in stage"),
        ("name:", "no VM is named 'name:' in stage"),
    ],
)
async def test_prefix_limits_what_a_vm_is_found_by(office: Opening, wanted: str, says: str) -> None:
    service = (await office(stage())).service

    with pytest.raises(UnknownNameError, match=says):
        await service.command(CommandKind.CLEAR, owner="anna", reason="new disk", vm=wanted)


async def test_name_of_one_system_that_is_the_url_of_another_is_refused(office: Opening) -> None:
    service = (await office(stage(), **{"https://stage.example": other()})).service

    with pytest.raises(AmbiguousNameError, match=r"several systems: stage .*https://other"):
        service.status("https://stage.example")


async def test_unknown_system_lists_the_known_ones(office: Opening) -> None:
    service = (await office(stage())).service

    with pytest.raises(UnknownNameError, match=r"no system is named 'nope'; .*: stage"):
        service.status("nope")


async def test_unreachable_system_is_marked_out_of_date(office: Opening) -> None:
    harness = stage()
    seen = harness.clock.now()
    service = (await office(harness)).service
    (before,) = service.status()

    harness.clock.elapsed += 121
    (care,), found = service.status(), await service.explain("web-01")

    assert before.unseen == ""
    assert care.unseen == f"no inventory since {seen:%Y-%m-%d %H:%M:%S} UTC"
    assert found.sentence.startswith(f"stage: {care.unseen}. Last known state: web-01 is up")


async def test_vm_is_not_called_unknown_before_the_first_poll() -> None:
    harness = Harness()
    service = Office(None, stage=harness).service
    harness.recovery._journal_writer.problem = ""

    (care,) = service.status()
    with pytest.raises(UnknownNameError, match="stage has not been polled yet"):
        await service.explain("web-01")

    assert care.unseen == "no inventory yet"


async def test_status_checks_the_kill_switch() -> None:
    switch = [""]
    harness = Harness(setup=ENFORCE._replace(kill_switch=lambda: switch[0]))
    harness.warm()
    service = Office(None, stage=harness).service

    switch[0] = "/run/vergewatch/kill-switch"
    (care,) = service.status()

    assert (care.readiness, care.kill_switch) == ("disarmed", switch[0])


async def test_receipt_of_a_shorter_pause_gives_the_longer_one(office: Opening) -> None:
    service = (await office(stage())).service
    await service.command(CommandKind.PAUSE, owner="ada", reason="x", seconds=1800.0)

    (given,) = await service.command(CommandKind.PAUSE, owner="bob", reason="y", seconds=300.0)

    assert (given.seconds, given.paused_seconds) == (300.0, 1800.0)


async def test_monitored_vm_is_explained(office: Opening) -> None:
    harness = stage(tags={"web-01": ["recovery/auto"], "web-02": ["recovery/never"]})
    service = (await office(harness)).service

    monitored, denied = await service.explain("db-01"), await service.explain("web-02")

    assert monitored.sentence.startswith("db-01 is up")
    assert (monitored.enrolled, monitored.policy) == (False, "no")
    assert (denied.enrolled, denied.policy_source) == (False, "tag recovery/never")


async def test_crash_of_monitored_vm_is_listed_and_its_stop_is_not(
    office: Opening,
) -> None:
    harness = stage(tags={"web-01": ["recovery/auto"]})
    harness.world.crash("db-01")
    harness.world.operator_stops(harness.world.vm("db-02"), graceful=False)
    harness.advance(300)
    service = (await office(harness)).service

    shown = {one.vm: one.state for one in await service.vms()}
    (care,) = service.status()
    found = await service.explain("db-01")

    assert shown == {"db-01": "held"}
    assert (care.vms, care.states) == (1, {"healthy": 1})
    assert care.others["held"] == care.others["stopped"] == 1
    assert "does not start it now because the VM is not enrolled: " in found.sentence
    assert found.failed_guard == "enrolled"
    assert len(found.fixes) == 1
    with pytest.raises(UnknownNameError, match="is not enrolled"):
        await service.command(CommandKind.CLEAR, owner="anna", reason="why not", vm="db-01")


async def test_vm_is_not_called_unknown_without_the_journal(
    office: Opening,
) -> None:
    harness = stage()
    place = await office(harness)
    harness.journal.broken, place.journal = "the disk is full", None
    harness.new_process()
    harness.advance(20)

    with pytest.raises(JournalError, match="the VMs of stage are not known yet: the disk is full"):
        await place.service.explain("web-01")


async def test_deleted_vm_is_explained_from_the_journal(office: Opening) -> None:
    harness = crashed()
    uuid = harness.case("web-01").uuid
    vm = harness.world.vm("web-01")
    harness.world.deletes(vm)
    harness.advance(200)
    service = (await office(harness)).service

    found = await service.explain("web-01")

    assert found.uuid == uuid
    assert "is no longer in the inventory" in found.sentence


async def test_earlier_decision_is_explained_as_it_was(office: Opening) -> None:
    harness = crashed()
    service = (await office(harness)).service
    number = (await service.explain("web-01")).decision
    assert number is not None

    then = await service.explain("web-01", decision=number)
    harness.advance(2000)

    assert then.state in {"held", "suspect"}
    assert as_json(await service.explain("web-01", decision=number)) == as_json(then)
    with pytest.raises(UnknownNameError, match="no decision 999"):
        await service.explain("web-01", decision=999)


async def test_wait_is_what_is_left_of_it_now(office: Opening) -> None:
    harness = stage()
    office_of = await office(harness)
    await office_of.service.command(CommandKind.PAUSE, owner="a", reason="b", seconds=3600.0)
    harness.world.crash("web-01")
    harness.advance(100)

    async def left() -> str:
        found = await office_of.service.explain("web-01")
        return next(one.detail for one in found.guards if one.guard is GuardName.NOT_PAUSED)

    before = await left()
    harness.clock.elapsed += 600  # without a poll
    assert [before, await left()] == [
        "paused by a: b (58 min left)",
        "paused by a: b (48 min left)",
    ]


async def test_log_begins_at_the_given_time(office: Opening) -> None:
    harness = crashed()
    service = (await office(harness)).service
    now = harness.clock.now()

    every = await service.log(limit=99)
    recent = await service.log(limit=99, since="60s")

    assert 0 < len(recent) < len(every)
    assert recent == [one for one in every if (now - one.time).total_seconds() <= 60]
    with pytest.raises(InvalidPeriodError):
        await service.log(limit=99, since="yesterday")


async def test_log_has_every_kind_newest_first(office: Opening) -> None:
    harness = crashed()
    at_once(harness.recovery.command(CommandKind.PAUSE, owner="anna", reason="upgrade", seconds=60))
    service = (await office(harness)).service

    lines = await service.log(limit=1000)

    assert {line.kind for line in lines} == {"change", "decision", "action", "command"}
    assert [line.time for line in lines] == sorted((line.time for line in lines), reverse=True)
    assert len(await service.log(limit=3)) == 3
    of_one = await service.log("web-01", limit=1000)
    assert {line.vm for line in of_one} == {"web-01"}
    assert "command" not in {line.kind for line in of_one}


async def test_actions_are_listed(office: Opening) -> None:
    service = (await office(crashed())).service

    (line,) = await service.actions(limit=5)

    assert (line.vm, line.text) == ("web-01", "started it (action 1): confirmed, the VM is up")


async def test_report_covers_the_requested_period(office: Opening) -> None:
    harness = crashed()
    service = (await office(harness)).service

    (whole,) = await service.report(since="1d")
    harness.clock.elapsed += 86_400
    (empty,) = await service.report(since="12h")

    assert (whole.system, whole.acted, whole.helped) == ("stage", 1, 1)
    assert empty.incidents == ()


async def test_crash_of_monitored_vm_is_reported_but_is_no_incident(
    office: Opening,
) -> None:
    harness = stage(tags={"web-01": ["recovery/auto"]})
    harness.world.crash("db-01")
    harness.world.operator_stops(harness.world.vm("db-02"), graceful=False)
    harness.advance(300)
    service = (await office(harness)).service

    (sums,) = await service.report(since="1d")

    assert sums.incidents == ()
    assert sums.not_enrolled == {"db-01": 1}
    assert "crashes of VMs that are not enrolled: db-01 1" in summary_text(sums)
    assert {line.vm for line in await service.log(limit=1000) if line.kind == "change"} == {
        "web-01"
    }
    assert {line.kind for line in await service.log("db-02", limit=9)} == {"change"}


async def test_quarantined_vm_can_be_cleared_after_it_is_no_longer_enrolled(
    office: Opening,
) -> None:
    harness = stage()
    for _ in range(4):
        harness.world.crash("web-02")
        harness.advance(300)
    harness.world.tag("web-02", "recovery/never")
    harness.advance(40)
    service = (await office(harness)).service
    before = harness.case("web-02")

    await service.command(
        CommandKind.CLEAR, owner="anna", reason="it is gone for good", vm="web-02"
    )

    assert (before.state, before.policy.acts) == (State.QUARANTINED, False)
    assert harness.case("web-02").state is not State.QUARANTINED


async def test_vms_are_listed_by_urgency(office: Opening) -> None:
    harness = stage()
    harness.world.operator_stops("db-01")
    for _ in range(4):
        harness.world.crash("web-02")
        harness.advance(400)
    harness.world.crash("git-01")
    harness.advance(20)
    service = (await office(harness)).service

    found = await service.vms()

    assert [one.state for one in found] == ["quarantined", "suspect", "stopped"]
    assert " after Vergewatch restarted it 3 times within 1 h" in found[0].sentence
    assert len(await service.vms(limit=1)) == 1
    assert len(await service.vms(everyone=True)) == len(harness.recovery.state.cases)


async def test_long_list_has_times(office: Opening) -> None:
    harness = crashed()
    service = (await office(harness)).service

    everyone = await service.vms(everyone=True)

    assert len(everyone) > 25
    assert (
        "has been up since 00:11:40 UTC"
        in next(one for one in everyone if one.vm == "web-01").sentence
    )


async def test_every_state_is_presented() -> None:
    assert set(URGENCY) == set(State)
    assert set(READINESS) == set(ReadinessState)


async def test_status_gives_owner_and_rest_of_a_pause(office: Opening) -> None:
    harness = stage()
    at_once(
        harness.recovery.command(CommandKind.PAUSE, owner="anna", reason="upgrade", seconds=3600)
    )
    harness.advance(60)
    service = (await office(harness)).service

    (care,) = service.status()

    assert (care.mode, care.readiness) == ("enforce", "paused")
    assert care.paused is not None
    assert (care.paused.owner, care.paused.left_seconds) == ("anna", 3540)
    assert care.vms == sum(care.states.values()) > 20


async def test_status_without_journal_gives_the_problem() -> None:
    harness = Harness()
    harness.journal.broken = "the journal /x is locked"
    harness.advance(60)
    service = Office(None, stage=harness).service

    (care,) = service.status()

    assert (care.readiness, care.journal_problem) == ("journal_down", "the journal /x is locked")
    assert await service.vms() == []
    assert await service.actions(limit=5) == []
    for question in (service.log(limit=5), service.report(since="1d")):
        with pytest.raises(JournalError, match="the journal /x is locked"):
            await question


async def test_unreadable_journal_leaves_sentences_without_times(
    office: Opening,
) -> None:
    harness = crashed()
    place = await office(harness)
    assert place.journal is not None
    await place.journal.close()

    found = await place.service.explain("web-01")

    assert found.sentence == "web-01 is up again. Vergewatch checks that it stays up."


async def test_command_applies_to_every_system_by_default(office: Opening) -> None:
    first, second = stage(), other()
    service = (await office(first, other=second)).service

    given = await service.command(CommandKind.PAUSE, owner="anna", reason="upgrade", seconds=60)
    await service.command(CommandKind.DISARM, owner="anna", reason="upgrade", system="other")

    assert [one.system for one in given] == ["stage", "other"]
    assert given[0].seconds == 60
    assert [one.kind for one in first.journal.commands] == ["pause"]
    assert [one.kind for one in second.journal.commands] == ["pause", "disarm"]


async def test_busy_system_does_not_delay_a_command(office: Opening) -> None:
    busy, idle = stage(), other()
    service = (await office(busy, other=idle)).service

    async with busy.recovery._turn:  # its poll takes a minute: its API is slow
        ordering = service.command(CommandKind.DISARM, owner="anna", reason="stop")
        await asyncio.wait_for(ordering, timeout=5)

    assert all(one.recovery.commands.disarm is not None for one in (busy, idle))


async def test_command_during_a_reload_reaches_the_new_engine(office: Opening) -> None:
    harness = stage()
    place = await office(harness)
    before, ordered = harness.recovery, harness.journal.save_command

    async def ordered_during_a_reload(command: Command) -> Sequence[Command]:
        harness.new_process().key = before.key
        harness.advance(20)
        taken: Sequence[Command] = await ordered(command)
        return taken

    harness.journal.save_command = ordered_during_a_reload
    await place.service.command(CommandKind.DISARM, owner="anna", reason="stop")

    assert harness.recovery is not before
    assert harness.recovery.commands.disarm is not None


async def test_receipt_gives_the_readiness(office: Opening) -> None:
    harness = stage()
    service = (await office(harness)).service
    await service.command(CommandKind.DISARM, owner="bob", reason="storage")

    (resumed,) = await service.command(CommandKind.RESUME, owner="anna", reason="done")

    assert (resumed.readiness, resumed.because) == ("disarmed", "by bob: storage")


async def test_silenced_vm_that_is_up_would_be_left_alone(office: Opening) -> None:
    harness = stage()
    harness.recovery.setup = harness.recovery.setup._replace(silences=AliceIsAtIt())
    service = (await office(harness)).service

    assert (await service.explain("web-01")).suppressed_by == "silenced by alice"
    assert service.status()[0].silences_unknown == "another Alertmanager is silent"


class AliceIsAtIt:
    unknown = "another Alertmanager is silent"

    are_needed = True

    async def refresh(self) -> None:
        pass

    def holding(self, vm: VMLocation, /) -> str:
        return "silenced by alice"


async def test_decision_of_another_mode_is_not_used(office: Opening) -> None:
    harness = stage(setup=RecoveryConfig(LIMITS))
    harness.world.crash("web-01")
    harness.advance(200)
    service = (await office(harness)).service
    assert "The mode is shadow" in (await service.explain("web-01")).sentence

    harness.setup = ENFORCE
    harness.new_process()
    harness.world.faults.turn_on("status", path="tag_members", code=500)
    harness.advance(20)  # nothing is decided before the tags are read

    assert harness.case("web-01").state is State.HELD
    assert "The mode is shadow" not in (await service.explain("web-01")).sentence


async def test_unrecorded_command_is_not_in_force(
    office: Opening,
) -> None:
    first, second = stage(), other()
    second.journal.broken = "the journal /x is full"
    service = (await office(first, other=second)).service

    with pytest.raises(JournalError, match=r"other: the journal /x is full; .* force for stage"):
        await service.command(CommandKind.DISARM, owner="anna", reason="upgrade")

    assert first.recovery.commands.disarm is not None
    assert second.recovery.commands.disarm is None


async def test_vm_is_cleared(office: Opening) -> None:
    harness = stage()
    for _ in range(4):
        harness.world.crash("web-02")
        harness.advance(400)
    assert harness.case("web-02").state is State.QUARANTINED
    service = (await office(harness)).service

    (given,) = await service.command(
        CommandKind.CLEAR, owner="anna", reason="new disk", vm="web-02"
    )

    assert given.vm == "web-02"
    assert harness.case("web-02").state is State.SUSPECT
    assert harness.journal.commands[-1].uuid == harness.case("web-02").uuid


async def test_monitored_vm_cannot_be_cleared(office: Opening) -> None:
    harness = stage(tags={"web-01": ["recovery/auto"]})
    service = (await office(harness)).service

    with pytest.raises(UnknownNameError, match="is not enrolled"):
        await service.command(CommandKind.CLEAR, owner="anna", reason="why not", vm="db-01")


async def test_recovery_off_refuses_queries_and_commands() -> None:
    service = Office(None).service

    assert service.status() == []
    questions: list[Any] = [
        service.explain("web-01"),
        service.command(CommandKind.PAUSE, owner="anna", reason="upgrade"),
    ]
    for question in questions:
        with pytest.raises(UnknownNameError, match="recovery is off"):
            await question
