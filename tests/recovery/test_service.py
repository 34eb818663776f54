"""The service, with real recoveries and the journal that they wrote."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.errors import JournalError
from exporter.journal.journal import Journal
from exporter.recovery.engine import RecoverySetup
from exporter.recovery.model.commands import Command, CommandKind
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.ports import VMLocation
from exporter.recovery.model.states import State
from exporter.recovery.model.views import AmbiguousNameError, UnknownNameError
from exporter.recovery.report.presentation import URGENCY
from exporter.recovery.report.summary_text import summary_text
from exporter.recovery.service import RecoveryService
from tests.recovery.archive import as_json, stage, told
from tests.recovery.harness import ENFORCE, Theatre, at_once


class Office:
    """A service over one cloud or several, and what is behind it."""

    def __init__(self, journal: Journal | None, **theatres: Theatre) -> None:
        self.theatres = theatres
        self.journal = journal
        clock = next(iter(theatres.values())).clock if theatres else stage().clock
        self.service = RecoveryService(
            lambda: {name: one.recovery for name, one in self.theatres.items()},
            lambda: self.journal,
            clock,
        )


Opening = Callable[..., Awaitable[Office]]


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Opening]:
    opened: list[Journal] = []

    async def opening(theatre: Theatre, **others: Theatre) -> Office:
        opened.append(await told(theatre, tmp_path / "state"))
        return Office(opened[0], stage=theatre, **others)

    yield opening
    for journal in opened:
        await journal.close()


def other(key: str = "https://other.example") -> Theatre:
    theatre = stage()
    theatre.recovery.key = key
    return theatre


def crashed() -> Theatre:
    theatre = stage()
    theatre.world.crash("web-01")
    theatre.let_pass(100)
    return theatre


async def test_a_vm_is_explained_with_what_the_journal_has(office: Opening) -> None:
    service = (await office(crashed())).service

    told = await service.explain("web-01")

    assert told.sentence == (
        "web-01 stopped at 00:10:40 and nobody asked for it: Vergewatch started it at 00:11:20 "
        "and it has been up since 00:11:40."
    )
    assert told.decision is not None
    assert [line.kind for line in told.history].count("action") == 1


async def test_a_vm_goes_by_its_name_its_key_and_its_uuid(office: Opening) -> None:
    theatre = crashed()
    case = theatre.case("web-01")
    service = (await office(theatre)).service

    for name in (case.name, str(case.key), case.uuid, case.uuid.upper()):
        assert (await service.explain(name)).uuid == case.uuid


async def test_a_name_that_is_nobodys_brings_those_that_are_near(office: Opening) -> None:
    service = (await office(stage())).service

    with pytest.raises(UnknownNameError, match="no VM is called 'web-0l' in stage; did you mean"):
        await service.explain("web-0l")


async def test_a_name_in_two_clouds_needs_a_system(office: Opening) -> None:
    service = (await office(crashed(), other=other())).service

    with pytest.raises(AmbiguousNameError, match=r"2 VMs: web-01 \(key 1, .* in stage; web-01 .*"):
        await service.explain("web-01")

    assert (await service.explain("web-01", "other")).system == "other"
    assert (await service.explain("web-01", "https://stage.example")).system == "stage"


async def test_two_vms_of_one_name_in_a_cloud_are_told_apart_by_their_uuids(
    office: Opening,
) -> None:
    theatre = stage()
    case = theatre.case("web-02")
    renamed = {case.uuid: replace(case, name="web-01")}
    theatre.recovery._state = theatre.recovery.state.with_cases(renamed)
    service = (await office(theatre)).service

    with pytest.raises(AmbiguousNameError, match="ask for it by its uuid"):
        await service.explain("web-01", "stage")

    assert (await service.explain(case.uuid)).vm_key == case.key


async def test_a_system_that_is_nobodys_is_said_to_be_so(office: Opening) -> None:
    service = (await office(stage())).service

    with pytest.raises(UnknownNameError, match=r"no cloud is called 'nope'; .* are stage"):
        service.status("nope")


async def test_a_cloud_that_is_not_seen_is_spoken_of_as_it_was(office: Opening) -> None:
    theatre = stage()
    seen = theatre.clock.now()
    service = (await office(theatre)).service
    (before,) = service.status()

    theatre.clock.elapsed += 121
    (care,), told = service.status(), await service.explain("web-01")

    assert before.unseen == ""
    assert care.unseen == f"nothing has been seen of it since {seen:%Y-%m-%d %H:%M:%S} UTC"
    assert told.sentence.startswith(f"Of stage {care.unseen[:36]}")
    assert "As far as Vergewatch knows: web-01 is up" in told.sentence


async def test_before_anything_is_seen_nobody_says_that_a_vm_is_not_there() -> None:
    theatre = Theatre()
    service = Office(None, stage=theatre).service
    theatre.recovery._journal_writer.problem = ""

    (care,) = service.status()
    with pytest.raises(UnknownNameError, match="recovery has not seen stage yet"):
        await service.explain("web-01")

    assert care.unseen == "nothing has been seen of it yet"


async def test_a_kill_switch_is_looked_for_when_somebody_asks() -> None:
    switch = [""]
    theatre = Theatre(setup=RecoverySetup(ENFORCE, kill_switch=lambda: switch[0]))
    theatre.warm()
    service = Office(None, stage=theatre).service

    switch[0] = "/run/vergewatch/kill-switch"
    (care,) = service.status()

    assert (care.readiness, care.kill_switch) == ("disarmed", switch[0])


async def test_a_pause_that_a_longer_one_outlasts_is_answered_with_that(office: Opening) -> None:
    service = (await office(stage())).service
    await service.command(CommandKind.PAUSE, owner="ada", reason="x", seconds=1800.0)

    (given,) = await service.command(CommandKind.PAUSE, owner="bob", reason="y", seconds=300.0)

    assert (given.seconds, given.paused_seconds) == (300.0, 1800.0)


async def test_a_vm_that_nobody_enrolled_is_explained_too(office: Opening) -> None:
    theatre = stage(tags={"web-01": ["recovery/auto"], "web-02": ["recovery/never"]})
    service = (await office(theatre)).service

    nobodys, denied = await service.explain("db-01"), await service.explain("web-02")

    assert nobodys.sentence.startswith("db-01 is up")
    assert (
        nobodys.enrolment
        == "nothing but to look at it (no tag and no rule says that it is to be started)"
    )
    assert denied.enrolment == "nothing but to look at it (no, by tag recovery/never)"


async def test_the_crash_of_a_vm_that_nobody_enrolled_is_shown_and_its_stop_is_not(
    office: Opening,
) -> None:
    theatre = stage(tags={"web-01": ["recovery/auto"]})
    theatre.world.crash("db-01")
    theatre.world.operator_stops(theatre.world.vm("db-02"), graceful=False)
    theatre.let_pass(300)
    service = (await office(theatre)).service

    shown = {one.vm: one.state for one in await service.vms()}
    (care,) = service.status()
    told = await service.explain("db-01")

    assert shown == {"db-01": "held"}
    assert (care.vms, care.states) == (1, {"healthy": 1})
    assert care.others["held"] == care.others["stopped"] == 1
    assert "does not start it now because it is not allowed to: no tag" in told.sentence
    assert any("for the next time, give it the tag" in one for one in told.to_change)
    with pytest.raises(UnknownNameError, match="not in recovery's care"):
        await service.command(CommandKind.CLEAR, owner="anna", reason="why not", vm="db-01")


async def test_while_there_is_no_journal_nobody_says_that_a_vm_is_not_there(
    office: Opening,
) -> None:
    theatre = stage()
    place = await office(theatre)
    theatre.book.broken, place.journal = "the disk is full", None
    theatre.new_process()
    theatre.let_pass(20)

    with pytest.raises(JournalError, match="nobody knows the VMs of stage yet: the disk is full"):
        await place.service.explain("web-01")


async def test_a_vm_that_is_gone_is_still_in_the_journal(office: Opening) -> None:
    theatre = crashed()
    uuid = theatre.case("web-01").uuid
    vm = theatre.world.vm("web-01")
    theatre.world.deletes(vm)
    theatre.let_pass(200)
    service = (await office(theatre)).service

    told = await service.explain("web-01")

    assert told.uuid == uuid
    assert "is not there any more" in told.sentence


async def test_a_decision_is_explained_as_it_was(office: Opening) -> None:
    theatre = crashed()
    service = (await office(theatre)).service
    number = (await service.explain("web-01")).decision
    assert number is not None

    then = await service.explain("web-01", decision=number)
    theatre.let_pass(2000)

    assert then.state in {"held", "suspect"}
    assert as_json(await service.explain("web-01", decision=number)) == as_json(then)
    with pytest.raises(UnknownNameError, match="no decision 999"):
        await service.explain("web-01", decision=999)


async def test_the_log_has_everything_newest_first(office: Opening) -> None:
    theatre = crashed()
    at_once(theatre.recovery.command(CommandKind.PAUSE, owner="anna", reason="upgrade", seconds=60))
    service = (await office(theatre)).service

    lines = await service.log(limit=1000)

    assert {line.kind for line in lines} == {"change", "decision", "action", "order"}
    assert [line.time for line in lines] == sorted((line.time for line in lines), reverse=True)
    assert len(await service.log(limit=3)) == 3
    of_one = await service.log("web-01", limit=1000)
    assert {line.vm for line in of_one} == {"web-01"}
    assert "order" not in {line.kind for line in of_one}


async def test_the_last_actions_are_actions(office: Opening) -> None:
    service = (await office(crashed())).service

    (line,) = await service.actions(limit=5)

    assert (line.vm, line.text) == ("web-01", "started it (intent 1): confirmed, it is up")


async def test_the_report_is_of_the_days_that_were_asked_for(office: Opening) -> None:
    theatre = crashed()
    service = (await office(theatre)).service

    (whole,) = await service.report(days=1)
    theatre.clock.elapsed += 86_400
    (empty,) = await service.report(days=0.5)

    assert (whole.system, whole.acted, whole.helped) == ("stage", 1, 1)
    assert empty.incidents == ()


async def test_what_befalls_strangers_is_told_by_name_and_counts_as_nobodys_incident(
    office: Opening,
) -> None:
    theatre = stage(tags={"web-01": ["recovery/auto"]})
    theatre.world.crash("db-01")
    theatre.world.operator_stops(theatre.world.vm("db-02"), graceful=False)
    theatre.let_pass(300)
    service = (await office(theatre)).service

    (sums,) = await service.report(days=1)

    assert sums.incidents == ()
    assert sums.not_enrolled == {"db-01": 1}
    assert "crashed without anybody having enrolled them: db-01 1" in summary_text(sums)
    assert {line.vm for line in await service.log(limit=1000) if line.kind == "change"} == {
        "web-01"
    }
    assert {line.kind for line in await service.log("db-02", limit=9)} == {"change"}


async def test_who_was_given_up_can_be_cleared_though_nobody_wants_it_enrolled_any_more(
    office: Opening,
) -> None:
    theatre = stage()
    for _ in range(4):
        theatre.world.crash("web-02")
        theatre.let_pass(300)
    theatre.world.tag("web-02", "recovery/never")
    theatre.let_pass(40)
    service = (await office(theatre)).service
    before = theatre.case("web-02")

    await service.command(
        CommandKind.CLEAR, owner="anna", reason="it is gone for good", vm="web-02"
    )

    assert (before.state, before.policy.acts) == (State.QUARANTINED, False)
    assert theatre.case("web-02").state is not State.QUARANTINED


async def test_those_in_need_of_a_person_come_first(office: Opening) -> None:
    theatre = stage()
    theatre.world.operator_stops("db-01")
    for _ in range(4):
        theatre.world.crash("web-02")
        theatre.let_pass(400)
    theatre.world.crash("git-01")
    theatre.let_pass(20)
    service = (await office(theatre)).service

    found = await service.vms()

    assert [one.state for one in found] == ["quarantined", "suspect", "stopped"]
    assert (
        "crashed again after Vergewatch had brought it back 3 times within an hour"
        in found[0].sentence
    )
    assert len(await service.vms(limit=1)) == 1
    assert len(await service.vms(everyone=True)) == len(theatre.recovery.state.cases)


async def test_a_long_list_has_its_times_too(office: Opening) -> None:
    theatre = crashed()
    service = (await office(theatre)).service

    everyone = await service.vms(everyone=True)

    assert len(everyone) > 25
    assert (
        "has been up since 00:11:40" in next(one for one in everyone if one.vm == "web-01").sentence
    )


async def test_every_state_has_its_urgency() -> None:
    assert set(URGENCY) == set(State)


async def test_the_status_says_who_paused_and_for_how_long(office: Opening) -> None:
    theatre = stage()
    at_once(
        theatre.recovery.command(CommandKind.PAUSE, owner="anna", reason="upgrade", seconds=3600)
    )
    theatre.let_pass(60)
    service = (await office(theatre)).service

    (care,) = service.status()

    assert (care.mode, care.readiness) == ("enforce", "paused")
    assert care.paused is not None
    assert (care.paused.owner, care.paused.left_seconds) == ("anna", 3540)
    assert care.vms == sum(care.states.values()) > 20


async def test_without_a_journal_the_status_is_told_and_says_what_is_wrong() -> None:
    theatre = Theatre()
    theatre.book.broken = "the journal /x is locked"
    theatre.let_pass(60)
    service = Office(None, stage=theatre).service

    (care,) = service.status()

    assert (care.readiness, care.journal_problem) == ("journal_down", "the journal /x is locked")
    assert await service.vms() == []
    assert await service.actions(limit=5) == []
    for question in (service.log(limit=5), service.report(days=1)):
        with pytest.raises(JournalError, match="the journal /x is locked"):
            await question


async def test_a_journal_that_cannot_be_read_leaves_the_sentences_without_times(
    office: Opening,
) -> None:
    theatre = crashed()
    place = await office(theatre)
    assert place.journal is not None
    await place.journal.close()

    told = await place.service.explain("web-01")

    assert told.sentence == "web-01 is up again, and not yet for long."


async def test_an_order_is_for_every_cloud_unless_one_is_named(office: Opening) -> None:
    first, second = stage(), other()
    service = (await office(first, other=second)).service

    given = await service.command(CommandKind.PAUSE, owner="anna", reason="upgrade", seconds=60)
    await service.command(CommandKind.DISARM, owner="anna", reason="upgrade", system="other")

    assert [one.system for one in given] == ["stage", "other"]
    assert given[0].seconds == 60
    assert [one.kind for one in first.book.commands] == ["pause"]
    assert [one.kind for one in second.book.commands] == ["pause", "disarm"]


async def test_an_order_for_all_waits_for_no_cloud_that_is_busy(office: Opening) -> None:
    busy, idle = stage(), other()
    service = (await office(busy, other=idle)).service

    async with busy.recovery._turn:  # its round takes a minute: its API is slow
        ordering = service.command(CommandKind.DISARM, owner="anna", reason="stop")
        await asyncio.wait_for(ordering, timeout=5)

    assert all(one.recovery.commands.disarm is not None for one in (busy, idle))


async def test_an_order_reaches_who_took_over_while_it_was_written_down(office: Opening) -> None:
    theatre = stage()
    place = await office(theatre)
    before, ordered = theatre.recovery, theatre.book.ordered

    async def ordered_during_a_reload(command: Command) -> None:
        theatre.new_process().key = before.key
        theatre.let_pass(20)
        await ordered(command)

    theatre.book.ordered = ordered_during_a_reload
    await place.service.command(CommandKind.DISARM, owner="anna", reason="stop")

    assert theatre.recovery is not before
    assert theatre.recovery.commands.disarm is not None


async def test_an_answer_to_an_order_says_how_recovery_stands_now(office: Opening) -> None:
    theatre = stage()
    service = (await office(theatre)).service
    await service.command(CommandKind.DISARM, owner="bob", reason="storage")

    (resumed,) = await service.command(CommandKind.RESUME, owner="anna", reason="done")

    assert (resumed.readiness, resumed.because) == ("disarmed", "by bob: storage")


async def test_who_is_up_and_would_be_left_alone_is_said_to(office: Opening) -> None:
    theatre = stage()
    theatre.recovery.setup = theatre.recovery.setup._replace(silences=AliceIsAtIt())
    service = (await office(theatre)).service

    assert (await service.explain("web-01")).left_alone == "silenced by alice"
    assert service.status()[0].silences_unknown == "another Alertmanager is silent"


class AliceIsAtIt:
    unknown = "another Alertmanager is silent"

    def holding(self, vm: VMLocation, /) -> str:
        return "silenced by alice"


async def test_what_was_decided_in_another_mode_is_no_reason_now(office: Opening) -> None:
    theatre = stage(setup=RecoverySetup(ENFORCE._replace(mode=Mode.SHADOW)))
    theatre.world.crash("web-01")
    theatre.let_pass(200)
    service = (await office(theatre)).service
    assert "The mode is shadow" in (await service.explain("web-01")).sentence

    theatre.setup = RecoverySetup(ENFORCE)
    theatre.new_process()
    theatre.world.faults.turn_on("status", path="tag_members", code=500)
    theatre.let_pass(20)  # nothing is decided before the tags are read

    assert theatre.case("web-01").state is State.HELD
    assert "The mode is shadow" not in (await service.explain("web-01")).sentence


async def test_an_order_that_is_not_written_down_is_not_in_force_and_says_where_it_is(
    office: Opening,
) -> None:
    first, second = stage(), other()
    second.book.broken = "the journal /x is full"
    service = (await office(first, other=second)).service

    with pytest.raises(JournalError, match=r"other: the journal /x is full; .* force for stage"):
        await service.command(CommandKind.DISARM, owner="anna", reason="upgrade")

    assert first.recovery.commands.disarm is not None
    assert second.recovery.commands.disarm is None


async def test_a_vm_is_cleared_by_any_of_its_names(office: Opening) -> None:
    theatre = stage()
    for _ in range(4):
        theatre.world.crash("web-02")
        theatre.let_pass(400)
    assert theatre.case("web-02").state is State.QUARANTINED
    service = (await office(theatre)).service

    (given,) = await service.command(
        CommandKind.CLEAR, owner="anna", reason="new disk", vm="web-02"
    )

    assert given.vm == "web-02"
    assert theatre.case("web-02").state is State.SUSPECT
    assert theatre.book.commands[-1].uuid == theatre.case("web-02").uuid


async def test_what_is_in_nobodys_care_cannot_be_cleared(office: Opening) -> None:
    theatre = stage(tags={"web-01": ["recovery/auto"]})
    service = (await office(theatre)).service

    with pytest.raises(UnknownNameError, match="is not in recovery's care"):
        await service.command(CommandKind.CLEAR, owner="anna", reason="why not", vm="db-01")


async def test_where_recovery_is_off_there_is_nothing_to_ask_or_steer() -> None:
    service = Office(None).service

    assert service.status() == []
    questions: list[Any] = [
        service.explain("web-01"),
        service.command(CommandKind.PAUSE, owner="anna", reason="upgrade"),
    ]
    for question in questions:
        with pytest.raises(UnknownNameError, match="recovery is off"):
            await question
