"""A replica that does not lead watches; one that takes or loses the lead goes on from there."""

import asyncio
import json
from typing import Any

import msgspec
import pytest

from exporter.collectors.vms import MACHINE_STATUS, VMS
from exporter.errors import JournalError, JournalLostError, LimitReachedError
from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.model.cases import Intent, Outcome
from exporter.recovery.model.commands import Command, CommandKind, Lesson
from exporter.recovery.model.limits import Mode
from exporter.recovery.model.ports import NoRoom, SavedState
from exporter.recovery.model.states import State
from exporter.recovery.observe.health import Health
from exporter.recovery.observe.lifecycle import UP
from exporter.recovery.observe.standby import carried_over
from exporter.recovery.service import RecoveryService
from tests.daemon_process import REAL_TIME
from tests.fakes import START
from tests.recovery.harness import (
    CONNECTED,
    ENFORCE,
    EVERY,
    LIMITS,
    TABLES,
    Harness,
    InMemoryJournal,
    LeadsInTurn,
    at_once,
    outcomes,
)
from tests.recovery.test_scenarios import on_different_nodes


def standby(leads: LeadsInTurn, leader: Harness | None = None) -> Harness:
    """Return a replica of the same journal and system as *leader*."""
    harness = Harness(leadership=leads)
    if leader is not None:
        harness.journal, harness.world, harness.api = leader.journal, leader.world, leader.api
        harness.clock = leader.clock
        harness.new_process()
    return harness


def readiness(harness: Harness) -> ReadinessState:
    return harness.recovery.readiness_now.readiness


def test_replica_that_does_not_lead_watches_and_writes_nothing() -> None:
    harness = Harness(leadership=LeadsInTurn(None))
    written: list[str] = []
    harness.journal.fall = written.append
    harness.warm()
    harness.world.crash("web-01")

    harness.advance(600)

    assert readiness(harness) is ReadinessState.STANDBY
    assert harness.recovery.readiness_now.because == "the replica other leads"
    assert harness.recovery.state.health.polls > LIMITS.warmup_polls
    assert not harness.recovery.report.vms
    assert not harness.recovery.report.ready
    assert not harness.asked()
    assert not written


def test_warm_replica_acts_soon_after_it_begins_to_lead() -> None:
    leads, takes = LeadsInTurn(), LeadsInTurn(None)
    leader = Harness(leadership=leads)
    other = standby(takes, leader)
    leader.warm()
    for _ in range(int(LIMITS.warmup_seconds / EVERY) + 1):
        leader.clock.elapsed += EVERY
        leader.poll()
        other.poll()
    leads.lose()
    takes.take(2)
    leader.world.crash("web-01")

    other.advance(120)

    assert [one.action for one in other.asked("web-01")] == ["poweron"]
    assert readiness(other) is ReadinessState.ACTIVE


def test_replica_takes_over_warm_from_one_that_failed_more_than_a_lease_ago() -> None:
    leads, takes = LeadsInTurn(), LeadsInTurn(None)
    leader = Harness(leadership=leads)
    other = standby(takes, leader)
    in_turn(leader, other, seconds=LIMITS.warmup_seconds + EVERY)
    in_turn(other, seconds=LIMITS.outage_seconds + 2 * EVERY)
    other.world.crash("web-01")
    takes.take(2)

    other.advance(120)

    assert readiness(other) is ReadinessState.ACTIVE
    assert [one.action for one in other.asked("web-01")] == ["poweron"]


def test_replica_that_saw_nothing_for_long_itself_warms_up_when_it_takes_over() -> None:
    leads, takes = LeadsInTurn(), LeadsInTurn(None)
    leader = Harness(leadership=leads)
    other = standby(takes, leader)
    in_turn(leader, other, seconds=LIMITS.warmup_seconds + EVERY)
    in_turn(leader, seconds=LIMITS.outage_seconds + 2 * EVERY)
    leads.lose()
    takes.take(2)

    other.advance(2 * EVERY)

    assert readiness(other) is ReadinessState.WARMING_UP


def test_replica_with_a_shared_key_that_was_just_started_takes_over_warm() -> None:
    leads, takes = LeadsInTurn(), LeadsInTurn(None)
    leader = Harness(leadership=leads).warm()
    other = standby(takes, leader)
    other.tables, other.every = (VMS, MACHINE_STATUS), 60.0  # what such a standby reads
    for number in range(int(LIMITS.warmup_polls * 60 / EVERY) + 1):
        leader.clock.elapsed += EVERY
        leader.poll()
        if number % 3 == 0:
            other.poll()
    leads.lose()
    takes.take(2)
    other.tables, other.every = TABLES, EVERY
    other.advance(EVERY)

    assert readiness(other) is ReadinessState.ACTIVE


def test_replica_that_was_just_started_warms_up_before_it_acts() -> None:
    leads = LeadsInTurn(None)
    harness = Harness(leadership=leads)
    harness.advance(100)
    leads.take(1)
    harness.world.crash("web-01")

    harness.advance(LIMITS.warmup_seconds - 200)

    assert readiness(harness) is ReadinessState.WARMING_UP
    assert harness.recovery.state.health.warm_because == "its start"
    assert not harness.asked()


@pytest.mark.parametrize("kind", [CommandKind.RESUME, CommandKind.ARM, CommandKind.ACCEPT])
def test_warm_up_after_a_hold_goes_on_where_another_replica_leads(kind: CommandKind) -> None:
    leads, takes = LeadsInTurn(), LeadsInTurn(None)
    leader = Harness(leadership=leads)
    other = standby(takes, leader)
    for _ in range(80):
        leader.clock.elapsed += EVERY
        leader.poll()
        other.poll()
    at_once(leader.recovery.command(kind, owner="anna", reason="done"))
    leader.poll()
    leads.lose()
    takes.take(2)

    other.advance(EVERY)

    assert readiness(other) is ReadinessState.WARMING_UP


def test_warm_up_that_began_with_the_end_of_a_hold_goes_on_where_another_replica_leads() -> None:
    start = Harness().recovery.state
    seen = start._replace(health=Health(warm_since=5.0, polls=3))

    health = carried_over(start, seen, seconds=10.0, hold_ended_at=15.0).health

    assert health == Health(warm_since=15.0, polls=3)


def test_times_of_what_a_replica_saw_are_those_of_the_journal_once_it_leads() -> None:
    state = Harness().warm().recovery.state
    seen = state.valid_inventory

    inventory = carried_over(state, state, seconds=1000.0, hold_ended_at=0.0).valid_inventory

    assert inventory.at == seen.at + 1000.0
    assert inventory.written_at == seen.written_at + 1000.0


def in_turn(*harnesses: Harness, seconds: float) -> None:
    """Let replicas of one system poll in turn."""
    clock = harnesses[0].clock
    until = clock.elapsed + seconds
    while clock.elapsed < until:
        clock.elapsed += EVERY
        for harness in harnesses:
            harness.poll()


def without_start_times(path: str, body: bytes) -> bytes:
    if not path.endswith("/machine_status"):
        return body
    return json.dumps([row | {"started": 0} for row in json.loads(body)]).encode()


@pytest.mark.parametrize("has_start_times", [True, False])
def test_stop_that_a_replica_read_in_an_earlier_term_explains_no_later_crash(
    has_start_times: bool,
) -> None:
    leads, takes = LeadsInTurn(), LeadsInTurn(None)
    first = Harness(leadership=leads)
    second = standby(takes, first)
    if not has_start_times:
        first.line.spoil = second.line.spoil = without_start_times
    in_turn(first, second, seconds=LIMITS.warmup_seconds + 100)
    first.world.operator_stops("web-01", graceful=False)
    in_turn(first, second, seconds=2 * EVERY)
    leads.lose()
    takes.take(2)
    in_turn(first, second, seconds=200)
    first.world.operator_starts("web-01")
    in_turn(first, second, seconds=4000)

    first.world.crash("web-01")
    in_turn(first, second, seconds=EVERY)
    takes.lose()
    leads.take(3)
    in_turn(first, second, seconds=LIMITS.warmup_seconds)

    assert [one.action for one in first.asked("web-01")] == ["poweron"]


def test_logs_are_read_at_once_where_another_journal_took_the_place_of_the_first() -> None:
    harness = Harness(leadership=LeadsInTurn()).warm()
    harness.advance(4000)

    def lose(_: str) -> None:
        raise JournalLostError("another database")

    harness.journal.fall = lose
    harness.advance(EVERY)
    harness.journal = InMemoryJournal()
    harness.advance(2 * EVERY)
    assert readiness(harness) is ReadinessState.WARMING_UP
    harness.advance(LIMITS.warmup_seconds)
    harness.world.crash("web-01")
    harness.advance(120)

    assert [one.action for one in harness.asked("web-01")] == ["poweron"]


@pytest.mark.parametrize("step", ["take", "update"])
def test_leader_whose_journal_failed_for_a_poll_goes_on_without_a_warm_up(step: str) -> None:
    harness = Harness(leadership=LeadsInTurn()).warm()
    failed: list[str] = []

    def fail_once(now: str) -> None:
        if now == step and not failed:
            failed.append(now)
            raise JournalError("no answer in 10 s")

    harness.journal.fall = fail_once
    harness.world.crash("web-01")
    harness.advance(180)

    assert failed == [step]
    assert [one.action for one in harness.asked("web-01")] == ["poweron"]


def test_hold_that_the_journal_did_not_take_lasts_until_its_end() -> None:
    harness = Harness(leadership=LeadsInTurn()).warm()

    def fail(step: str) -> None:
        if step in ("command", "take"):
            raise JournalError("no answer in 10 s")

    harness.journal.fall = fail
    at_once(harness.recovery._command_handler.restrict(CommandKind.RIVAL, "it acts", 3600.0))
    harness.advance(EVERY)
    harness.journal.fall = lambda _: None
    harness.advance(EVERY)
    assert readiness(harness) is ReadinessState.RIVAL
    harness.advance(3600)

    assert readiness(harness) is ReadinessState.WARMING_UP


def with_a_quarantined_vm() -> Harness:
    """Return a leader that gave up the VM web-01, which could be started now."""
    harness = Harness(leadership=LeadsInTurn()).warm()
    harness.world.faults.turn_on("accepted_but_never_starts")
    harness.world.crash("web-01")
    harness.advance(1800)
    assert harness.case("web-01").state is State.QUARANTINED
    harness.world.faults.clear()
    return harness


def test_command_given_to_a_leader_whose_journal_is_closed_is_in_force_once_it_is_open() -> None:
    harness = with_a_quarantined_vm()
    harness.journal.broken = "no answer in 10 s"
    harness.advance(EVERY)
    assert harness.recovery.stands_by
    harness.journal.broken = ""

    uuid = harness.world.vm("web-01").uuid
    at_once(harness.recovery.command(CommandKind.CLEAR, owner="anna", reason="mended", uuid=uuid))
    harness.advance(300)

    assert harness.case("web-01").state in UP


def test_clear_that_the_leader_took_and_did_not_carry_out_is_for_the_next_one() -> None:
    leads, takes = LeadsInTurn(), LeadsInTurn(None)
    leader = Harness(leadership=leads).warm()
    other = standby(takes, leader)
    leader.world.faults.turn_on("accepted_but_never_starts")
    leader.world.crash("web-01")
    leader.advance(1800)
    assert leader.case("web-01").state is State.QUARANTINED
    other.advance(EVERY)
    uuid = leader.world.vm("web-01").uuid
    at_once(other.recovery.command(CommandKind.CLEAR, owner="anna", reason="mended", uuid=uuid))
    at_once(leader.recovery.command(CommandKind.STEP_DOWN, owner="anna", reason="it is sick"))

    takes.take(2)
    other.advance(EVERY)

    assert other.journal.waiting == []
    assert other.case("web-01").state is not State.QUARANTINED
    assert other.case("web-01").cleared_at > 0


def test_step_down_that_the_leader_did_not_take_is_not_for_the_next_one() -> None:
    leads, takes = LeadsInTurn(), LeadsInTurn(None)
    leader = Harness(leadership=leads).warm()
    other = standby(takes, leader)
    other.advance(EVERY)
    step_down = CommandKind.STEP_DOWN
    at_once(other.recovery.command(step_down, owner="anna", reason="it is sick"))
    leads.lose()
    leader.poll()
    takes.take(2)

    other.advance(EVERY)
    assert takes.term == 2
    assert other.journal.waiting == []

    at_once(leader.recovery.command(step_down, owner="anna", reason="now this one"))
    other.advance(EVERY)
    assert takes.term is None


def test_kill_switch_that_is_removed_while_a_replica_stands_by_is_not_reported() -> None:
    switch = ["/kill-switch"]
    setup = ENFORCE._replace(kill_switch=lambda: switch[0])
    leads = LeadsInTurn()
    harness = Harness(leadership=leads, setup=setup).warm()
    leads.lose()
    harness.advance(EVERY)
    switch[0] = ""

    assert harness.recovery.system_facts.kill_switch == ""


def test_replica_that_lost_the_lead_forgets_what_it_was_about_to_do() -> None:
    leads = LeadsInTurn()
    harness = Harness(leadership=leads).warm()
    harness.world.crash("web-01")
    while not harness.asked():
        harness.advance(EVERY)

    leads.lose()
    harness.advance(3 * EVERY)

    facts = harness.recovery.system_facts
    assert readiness(harness) is ReadinessState.STANDBY
    assert not facts.open_actions
    assert not facts.history.sent
    assert not facts.state.cases
    assert not harness.recovery.decisions
    assert outcomes(harness) == [None]  # the next leader verifies it

    leads.take(3)
    harness.advance(EVERY)

    assert outcomes(harness) == [Outcome.CONFIRMED]
    assert len(harness.asked()) == 1


def test_lead_lost_on_the_connection_prevents_the_action() -> None:
    leads = LeadsInTurn()
    harness = Harness(leadership=leads).warm()

    def lose(step: str) -> None:
        if step == "connected":
            leads.forbids = "the lease was not renewed for 21 s"

    harness.fall = lose
    harness.world.crash("web-01")
    harness.advance(600)

    assert not harness.asked()
    assert set(outcomes(harness)) == {Outcome.ABANDONED}


PAUSE = Command(
    kind=CommandKind.PAUSE, owner="anna", reason="because", at=0.0, time=START, until=3600.0
)
DISARM = msgspec.structs.replace(PAUSE, kind=CommandKind.DISARM, until=None)
KILL_SWITCH = msgspec.structs.replace(DISARM, kind=CommandKind.KILL_SWITCH_SET, owner="other")
STEPS = ("decide", "prepare", "prepared", "update", "updated", CONNECTED)
"""The moments of an action; after the last one its request is on its way."""


@pytest.mark.parametrize("command", [PAUSE, DISARM, KILL_SWITCH], ids=lambda one: one.kind)
@pytest.mark.parametrize("moment", STEPS)
def test_command_given_to_another_replica_is_obeyed_until_the_last_moment(
    moment: str, command: Command
) -> None:
    harness = Harness(leadership=LeadsInTurn()).warm()

    def give(step: str) -> None:
        if step == moment and not harness.journal.waiting and not harness.journal.commands:
            harness.journal.waiting.append(command)

    harness.fall = harness.journal.fall = give
    harness.world.crash("web-01")
    harness.advance(600)

    assert [one.kind for one in harness.journal.commands] == [command.kind]
    assert not harness.asked()
    assert set(outcomes(harness)) <= {Outcome.ABANDONED}


def test_kill_switch_of_another_replica_ends_when_its_file_is_removed() -> None:
    harness = Harness(leadership=LeadsInTurn()).warm()
    harness.journal.waiting.append(KILL_SWITCH)
    harness.world.crash("web-01")
    harness.advance(60)
    assert harness.recovery.readiness_now == (
        ReadinessState.DISARMED,
        "the kill switch because of the replica other exists",
    )

    removed = msgspec.structs.replace(KILL_SWITCH, kind=CommandKind.KILL_SWITCH_REMOVED)
    harness.journal.waiting.append(removed)
    harness.advance(EVERY)
    assert readiness(harness) is ReadinessState.WARMING_UP
    harness.advance(LIMITS.warmup_seconds + 2 * EVERY)

    assert len(harness.asked("web-01")) == 1


def test_command_to_a_replica_that_does_not_lead_is_written_for_the_leader() -> None:
    harness = Harness(leadership=LeadsInTurn(None))
    harness.advance(EVERY)

    given = at_once(harness.recovery.command(CommandKind.DISARM, owner="anna", reason="because"))

    assert harness.journal.waiting == [given]
    assert harness.recovery.commands.disarm is None  # the leader's are in force, not its own


class JournalReadSlowly(InMemoryJournal):
    """A journal that is read until a test lets it go on."""

    def __init__(self) -> None:
        super().__init__()
        self.was_read, self.go_on = asyncio.Event(), asyncio.Event()

    async def load(self) -> SavedState:
        saved = await super().load()
        self.was_read.set()
        await self.go_on.wait()
        return saved


async def test_command_given_while_a_new_leader_reads_the_journal_is_in_force() -> None:
    journal = JournalReadSlowly()
    harness = Harness(leadership=LeadsInTurn(), journal=journal)
    boots = asyncio.create_task(harness.recovery.follow_leader())
    await journal.was_read.wait()

    gives = asyncio.create_task(
        harness.recovery.command(CommandKind.DISARM, owner="anna", reason="because")
    )
    await REAL_TIME.sleep(0)
    journal.go_on.set()
    await asyncio.gather(boots, gives)

    assert readiness(harness) is ReadinessState.DISARMED


def standing_by() -> tuple[Harness, RecoveryService]:
    harness = Harness(leadership=LeadsInTurn(None))
    harness.advance(EVERY)
    return harness, RecoveryService(
        lambda: {"stage": harness.recovery}, lambda: None, harness.clock
    )


@pytest.mark.parametrize("kind", [CommandKind.TEACH, CommandKind.FORGET])
async def test_lesson_given_to_a_replica_that_does_not_lead_is_for_the_leader(
    kind: CommandKind,
) -> None:
    harness, service = standing_by()
    lesson = Lesson("web-01 went for a walk of 7 km", "harmless")

    await service.command(kind, owner="anna", reason="because", lesson=lesson)

    (given,) = harness.journal.waiting
    assert (given.kind, given.template) == (kind, "<name> went for a walk of <n> km")


async def test_vm_is_cleared_by_its_name_through_a_replica_that_does_not_lead() -> None:
    harness, service = standing_by()

    await service.command(CommandKind.CLEAR, owner="anna", reason="because", vm="web-01")

    (given,) = harness.journal.waiting
    assert (given.kind, given.uuid) == (CommandKind.CLEAR, harness.world.vm("web-01").uuid)


async def test_answer_given_to_a_replica_that_does_not_lead_is_for_the_leader() -> None:
    harness, service = standing_by()

    await service.command(CommandKind.DENY, owner="anna", reason="because", question=7)

    (given,) = harness.journal.waiting
    assert (given.kind, given.question) == (CommandKind.DENY, 7)


@pytest.mark.parametrize("is_new_leader", [False, True])
@pytest.mark.parametrize(
    ("kind", "actions"), [(CommandKind.APPROVE, ["poweron"]), (CommandKind.DENY, [])]
)
def test_answer_that_another_replica_was_given_is_used(
    kind: CommandKind, actions: list[str], is_new_leader: bool
) -> None:
    leads = LeadsInTurn()
    harness = Harness(leadership=leads, mode=Mode.ASK).warm()
    harness.world.crash("web-01")
    harness.advance(120)
    (question,) = harness.recovery.report.questions
    answer = msgspec.structs.replace(
        DISARM, kind=kind, question=question.number, uuid=harness.world.vm("web-01").uuid
    )

    harness.journal.waiting.append(answer)
    if is_new_leader:
        leads.take(2)
    harness.advance(LIMITS.warmup_seconds)

    assert [one.action for one in harness.asked("web-01")] == actions
    assert not harness.recovery.report.questions


def test_vm_that_another_replica_cleared_is_restarted() -> None:
    harness = with_a_quarantined_vm()

    uuid = harness.world.vm("web-01").uuid
    clear = msgspec.structs.replace(DISARM, kind=CommandKind.CLEAR, uuid=uuid)
    harness.journal.waiting.append(clear)
    harness.advance(900)

    assert harness.running("web-01")


def test_full_journal_prevents_an_action_that_memory_allows() -> None:
    harness = Harness(leadership=LeadsInTurn(), journal=StrictJournal()).warm()
    harness.journal.others_open = LIMITS.max_concurrent_actions
    harness.world.crash("web-01")

    harness.advance(600)

    assert not harness.asked()
    assert harness.journal.refused == {"2 of 2 actions are open"}


def test_journal_lost_between_two_outcomes_is_opened_again() -> None:
    harness = Harness(leadership=LeadsInTurn()).warm()
    for name in on_different_nodes(harness)[:2]:
        harness.world.crash(name)
    while len(harness.asked()) < 2:
        harness.advance(EVERY)

    def lose(step: str) -> None:
        if step == "update":
            raise JournalLostError("it was restored")

    harness.journal.fall = lose
    harness.advance(EVERY)
    harness.journal.fall = lambda _: None
    harness.advance(2 * EVERY)

    assert not harness.recovery.bug
    assert outcomes(harness) == [Outcome.CONFIRMED] * 2
    assert len(harness.asked()) == 2


def replica_pair() -> tuple[Harness, Harness]:
    """Return a leader that is warm, and a replica that stands by."""
    leader = Harness(leadership=LeadsInTurn()).warm()
    other = standby(LeadsInTurn(None), leader)
    other.advance(EVERY)
    leader.poll()
    return leader, other


def replica_that_took_over(*given: CommandKind) -> tuple[Harness, LeadsInTurn]:
    """Return a replica that took over after it was *given* commands for the former leader."""
    leads, takes = LeadsInTurn(), LeadsInTurn(None)
    other = standby(takes, Harness(leadership=leads).warm())
    other.advance(EVERY)
    for kind in given:
        give(other, kind)
    leads.lose()
    takes.take(2)
    return other, takes


def give(harness: Harness, kind: CommandKind, **details: Any) -> Command:
    return at_once(harness.recovery.command(kind, owner="anna", reason=str(kind), **details))


IN_FORCE = {
    (CommandKind.ARM, CommandKind.DISARM): ReadinessState.DISARMED,
    (CommandKind.DISARM, CommandKind.ARM): ReadinessState.WARMING_UP,
    (CommandKind.RESUME, CommandKind.PAUSE): ReadinessState.PAUSED,
    (CommandKind.PAUSE, CommandKind.RESUME): ReadinessState.WARMING_UP,
}


@pytest.mark.parametrize(("older", "newer"), IN_FORCE)
def test_command_to_the_leader_is_in_force_after_an_older_one_to_a_standby(
    older: CommandKind, newer: CommandKind
) -> None:
    leader, other = replica_pair()
    give(leader, newer)
    give(other, older)
    give(leader, newer)
    assert readiness(leader) is IN_FORCE[older, newer]
    leader.world.crash("web-01")

    leader.advance(LIMITS.warmup_seconds + 300)

    holds = newer in (CommandKind.DISARM, CommandKind.PAUSE)
    assert bool(leader.asked("web-01")) is not holds
    assert [one.kind for one in leader.journal.commands] == [newer, older, newer]
    leader.new_process()
    leader.advance(EVERY)
    assert (leader.recovery.commands.disarm is None) is (newer is not CommandKind.DISARM)
    assert (leader.recovery.commands.pause is None) is (newer is not CommandKind.PAUSE)


def test_older_lesson_given_to_a_standby_does_not_replace_a_newer_one() -> None:
    leader, other = replica_pair()
    text = "<name> went for a walk of <n> km"
    give(other, CommandKind.TEACH, lesson=Lesson(text, "harmless"))
    give(leader, CommandKind.TEACH, lesson=Lesson(text, "stop"))
    leader.advance(EVERY)
    assert [one.means for one in leader.recovery.learner.taught.values()] == ["stop"]

    give(other, CommandKind.TEACH, lesson=Lesson(text, "harmless"))
    give(leader, CommandKind.FORGET, lesson=Lesson(text))
    leader.advance(EVERY)

    assert not leader.recovery.learner.taught


def test_hold_of_recovery_itself_is_in_force_after_an_older_arm_to_a_standby() -> None:
    leader, other = replica_pair()
    give(other, CommandKind.ARM)
    at_once(leader.recovery._command_handler.restrict(CommandKind.RIVAL, "it acts", 3600.0))

    leader.advance(EVERY)

    assert readiness(leader) is ReadinessState.RIVAL


def test_fall_back_is_in_force_after_an_older_arm_to_a_standby() -> None:
    leader, other = replica_pair()
    give(other, CommandKind.ARM)
    at_once(leader.recovery._command_handler.fall_back("two were undone"))

    leader.advance(EVERY)

    assert leader.recovery.mode is Mode.ASK
    assert leader.journal.waiting == []


def test_approval_is_refused_after_an_older_denial_to_a_standby() -> None:
    leader = Harness(leadership=LeadsInTurn(), mode=Mode.ASK).warm()
    leader.world.crash("web-01")
    leader.advance(120)
    (question,) = leader.recovery.report.questions
    deny = msgspec.structs.replace(
        DISARM,
        kind=CommandKind.DENY,
        question=question.number,
        uuid=leader.world.vm("web-01").uuid,
    )
    leader.journal.waiting.append(deny)

    give(leader, CommandKind.APPROVE, question=question.number)
    leader.advance(300)

    assert not leader.asked("web-01")
    assert not leader.recovery.report.questions


def test_step_down_given_to_a_standby_is_obeyed_after_a_command_to_the_leader() -> None:
    leader, other = replica_pair()
    give(other, CommandKind.STEP_DOWN)
    give(leader, CommandKind.PAUSE)
    assert leader.recovery.leader == "this"

    leader.advance(EVERY)

    assert readiness(leader) is ReadinessState.STANDBY


def test_step_down_for_the_former_leader_is_not_obeyed_after_a_command_to_the_new_one() -> None:
    other, takes = replica_that_took_over(CommandKind.STEP_DOWN)
    at_once(other.recovery.follow_leader())

    give(other, CommandKind.PAUSE)
    other.advance(2 * EVERY)

    assert takes.term == 2
    assert other.journal.waiting == []


def test_step_down_for_the_former_leader_is_not_obeyed_after_the_journal_failed() -> None:
    other, takes = replica_that_took_over(CommandKind.STEP_DOWN)
    failed: list[str] = []

    def fail_once(step: str) -> None:
        if step == "take" and not failed:
            failed.append(step)
            raise JournalError("no answer in 10 s")

    other.journal.fall = fail_once
    other.advance(3 * EVERY)

    assert failed == ["take"]
    assert takes.term == 2
    assert other.journal.waiting == []


def test_vm_cleared_through_a_standby_is_restarted_after_a_command_to_the_leader() -> None:
    leader = with_a_quarantined_vm()
    uuid = leader.world.vm("web-01").uuid
    clear = msgspec.structs.replace(DISARM, kind=CommandKind.CLEAR, uuid=uuid)
    leader.journal.waiting.append(clear)

    give(leader, CommandKind.RESUME)
    assert leader.case("web-01").state is State.QUARANTINED  # until the poll in progress is over
    leader.advance(900)

    assert leader.running("web-01")


def test_failed_command_loses_none_that_a_standby_was_given() -> None:
    leader, other = replica_pair()
    give(other, CommandKind.DISARM)

    def commit_and_fail(step: str) -> None:
        if step == "commanded":
            raise JournalError("the answer to the commit was lost")

    leader.journal.fall = commit_and_fail
    with pytest.raises(JournalError):
        give(leader, CommandKind.PAUSE)
    assert readiness(leader) is not ReadinessState.ACTIVE
    leader.journal.fall = lambda _: None
    leader.world.crash("web-01")
    leader.advance(600)

    assert readiness(leader) is ReadinessState.DISARMED
    assert not leader.asked()


def test_arm_ends_the_hold_that_the_journal_did_not_take() -> None:
    leader, other = replica_pair()

    def fail(step: str) -> None:
        if step == "command":
            raise JournalError("no answer in 10 s")

    leader.journal.fall = fail
    at_once(leader.recovery._command_handler.restrict(CommandKind.RIVAL, "it acts", 3600.0))
    leader.journal.fall = lambda _: None
    leader.clock.elapsed += 1.0
    give(other, CommandKind.ARM)
    leader.advance(2 * EVERY)

    assert leader.recovery.commands.rival is None
    assert readiness(leader) is ReadinessState.WARMING_UP


class StrictJournal(InMemoryJournal):
    """A journal that counts open actions which this replica does not know of."""

    def __init__(self) -> None:
        super().__init__()
        self.others_open = 0
        self.refused: set[str] = set()

    async def prepare(self, intent: Intent, decision: int, no_room: NoRoom, /) -> Intent:
        if reason := no_room(self.others_open, ()):
            self.refused.add(reason)
            raise LimitReachedError(reason)
        return await super().prepare(intent, decision, no_room)
