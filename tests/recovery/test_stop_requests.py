"""What people want, said in ways that are easily missed."""

from datetime import timedelta

import pytest

from exporter.recovery.decide.maintenance_windows import MaintenanceWindow
from exporter.recovery.model.cases import Cause, Policy
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.limits import DAY, Window
from exporter.recovery.model.states import OPEN, State
from exporter.recovery.observe.enrolment import EnrolmentRule
from exporter.simulator.api.accounts import USERNAME
from tests.fakes import START
from tests.recovery.clock_skew import Rows, retell, set_back, status_ahead
from tests.recovery.harness import ENFORCE, Theatre, WindowLimits
from tests.recovery.test_stories import cause, command, hang_whatever_is_tried, until

CYCLE = ["recovery/auto", "recovery/on-hang-power-cycle"]
LOGS_ARE_READ = "answered GET /api/v4/machine_logs"


# Wishes in the log.


@pytest.mark.parametrize(
    ("tag", "end"), [("recovery/auto", "crash"), ("recovery/always", "guest_shuts_down")]
)
def test_a_guest_that_restarts_on_its_way_down_is_still_wanted_down(tag: str, end: str) -> None:
    theatre = Theatre(tags={"web-01": [tag]})
    theatre.warm()
    theatre.world.vm("web-01").machine.shutdown_seconds = 600.0

    theatre.world.operator_stops("web-01", graceful=True)
    theatre.let_pass(60)
    theatre.world.guest_reboots("web-01")
    theatre.let_pass(60)
    getattr(theatre.world, end)("web-01")
    theatre.let_pass(3600)

    assert not theatre.asked()
    assert cause(theatre, "web-01") is Cause.STOPPED_BY_PERSON


@pytest.mark.parametrize("skew", [-45.0, -30.0, 0.0, 30.0, 45.0])
def test_who_stops_what_we_just_started_is_not_fought_whatever_the_clocks(skew: float) -> None:
    theatre = Theatre()
    status_ahead(theatre, skew)
    theatre.warm()

    theatre.world.crash("web-01")
    until(theatre, lambda: len(theatre.asked()) == 1)
    theatre.clock.elapsed += 20
    theatre.poll()
    theatre.clock.elapsed += 5
    theatre.world.operator_stops("web-01", graceful=False)
    theatre.let_pass(3600)

    assert len(theatre.asked()) == 1


@pytest.mark.parametrize("skew", [-45.0, 45.0])
def test_who_stops_what_they_just_started_is_heard_whatever_the_clocks(skew: float) -> None:
    theatre = Theatre()
    status_ahead(theatre, skew)
    theatre.warm()

    theatre.world.operator_stops("web-01", graceful=False)
    theatre.let_pass(300)
    theatre.world.operator_starts("web-01")
    theatre.let_pass(20)
    theatre.clock.elapsed += 5
    theatre.world.operator_stops("web-01", graceful=False)
    theatre.let_pass(3600)

    assert not theatre.asked()


@pytest.mark.parametrize("tag", ["recovery/auto", "recovery/unless-stopped"])
@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("stopped_ago", [None, 100.0, 900.0])
def test_a_platform_whose_clock_was_set_back_tells_no_longer_who_stopped_what(
    tag: str, stopped_ago: float | None, *, restarts: bool
) -> None:
    theatre = Theatre(tags={"web-01": [tag]})
    theatre.warm()
    if stopped_ago is not None:
        theatre.world.operator_stops("app-01", graceful=False)
        theatre.let_pass(stopped_ago)
    set_back(theatre, seconds=3600.0)

    theatre.let_pass(20 if restarts else 600)
    theatre.clock.elapsed += 20
    theatre.world.operator_stops("web-01", graceful=False)
    if restarts:
        theatre.clock.elapsed += 20
        theatre.new_process()
    theatre.let_pass(3 * 3600)

    assert not theatre.asked()


@pytest.mark.parametrize("stopped", [False, True])
def test_after_its_clock_was_set_back_a_crash_is_mended_as_ever(*, stopped: bool) -> None:
    theatre = Theatre()
    theatre.warm()
    if stopped:  # and keeps a stamp that is yet to come
        theatre.world.operator_stops("app-01", graceful=False)
        theatre.let_pass(100)
    set_back(theatre, seconds=3600.0)
    theatre.warm()

    theatre.world.crash("web-01")
    theatre.let_pass(600)

    assert theatre.running("web-01")


def test_who_was_started_without_a_row_that_tells_is_not_taken_for_stopped() -> None:
    theatre = Theatre()
    theatre.world.platform_log.templates["powered_on"] = None
    theatre.warm()

    theatre.world.operator_stops("web-01", graceful=False)
    theatre.let_pass(60)
    theatre.world.platform.start(theatre.world.vm("web-01").machine)
    theatre.let_pass(400)
    theatre.world.crash("web-01")
    theatre.let_pass(3600)

    assert cause(theatre, "web-01") is Cause.START_FAILED


@pytest.mark.parametrize("after", [20.0, 40.0])
def test_who_was_started_again_is_not_taken_for_stopped_whatever_the_clocks(after: float) -> None:
    theatre = Theatre()
    status_ahead(theatre, -45.0)
    theatre.warm()

    theatre.world.operator_stops("web-01", graceful=False)
    theatre.let_pass(120)
    theatre.world.operator_starts("web-01")
    come_up(theatre)
    theatre.let_pass(after)
    theatre.world.crash("web-01")
    theatre.let_pass(3600)

    assert theatre.running("web-01") or cause(theatre, "web-01") is Cause.START_FAILED


def test_what_people_do_to_a_node_once_a_vm_is_down_is_no_reason_why_it_is() -> None:
    theatre = Theatre()
    theatre.warm()
    command(theatre, CommandKind.PAUSE, seconds=300.0)
    vm = theatre.world.vm("web-01")
    node = theatre.world.nodes[vm.machine.status.node or 0]

    theatre.world.crash("web-01")
    theatre.let_pass(180)
    theatre.world.platform_log.write(
        "Settings saved", at=theatre.world.now, user="jonas", machine=node.machine.key
    )
    theatre.let_pass(3600)

    assert theatre.running("web-01")


@pytest.mark.parametrize(
    "text", ["Entering maintenance mode", "Server is going down for firmware upgrade"]
)
def test_what_a_person_did_to_the_node_has_to_be_understood(text: str) -> None:
    theatre = Theatre()
    theatre.warm()
    vm = theatre.world.vm("web-01")
    node = theatre.world.nodes[vm.machine.status.node or 0]

    theatre.world.platform_log.write(
        text, at=theatre.world.now, user="jonas", object_type="node", machine=node.machine.key
    )
    theatre.world.crash("web-01")
    theatre.let_pass(3600)

    assert not theatre.asked()
    assert cause(theatre, "web-01") is Cause.LOGS_UNCLEAR


def test_who_edits_a_vm_that_is_down_did_not_stop_it_and_is_not_disturbed() -> None:
    theatre = Theatre()
    theatre.warm()
    command(theatre, CommandKind.PAUSE, seconds=900.0)

    theatre.world.crash("web-01")
    theatre.let_pass(120)
    theatre.world.changes("web-01", description="found it down, looking")
    theatre.let_pass(2 * 3600)

    assert not theatre.asked()
    assert cause(theatre, "web-01") is Cause.LOGS_UNCLEAR


def test_where_the_platform_is_at_it_we_are_not() -> None:
    theatre = Theatre()
    theatre.warm()
    vm = theatre.world.vm("web-01")

    theatre.world.crash("web-01")
    theatre.clock.elapsed += 10
    theatre.world.power.record(vm.machine, "ha_restarted", node="node2")
    theatre.let_pass(900)

    assert not theatre.asked()
    assert cause(theatre, "web-01") is Cause.START_FAILED


def test_it_says_so_when_it_starts_what_its_guest_shut_down() -> None:
    theatre = Theatre(tags={"web-01": ["recovery/always"]})
    theatre.warm()

    theatre.world.guest_shuts_down("web-01")
    until(theatre, lambda: bool(theatre.asked()))

    acted = [one for one in theatre.book.decisions if one.acts]
    assert "VM has shutdown" in acted[-1].diagnosis.detail


# Unobserved lives.


def test_vm_migrated_during_an_outage_may_have_failed_with_its_new_node() -> None:
    theatre = Theatre(tags={"web-01": ["recovery/unless-stopped"]})
    theatre.warm()
    vm = theatre.world.vm("web-01")
    before = vm.machine.status.node

    theatre.clock.elapsed += 200
    theatre.world.catch_up()
    assert theatre.world.migrate("web-01")
    theatre.clock.elapsed += 200
    theatre.world.catch_up()
    assert vm.machine.status.node not in (before, None)
    theatre.world.platform_log.templates["powered_off"] = (
        None  # its new node's log tells, not its own
    )
    theatre.world.node_powers_off(vm.machine.status.node)
    theatre.clock.elapsed += 200
    theatre.new_process()
    theatre.let_pass(3600)

    assert not theatre.asked()


@pytest.mark.parametrize("own_user", ["", USERNAME])
def test_unobserved_run_ends_as_went_down_unobserved(own_user: str) -> None:
    theatre = Theatre(setup=ENFORCE._replace(own_user=own_user))
    theatre.warm()
    command(theatre, CommandKind.PAUSE, seconds=900.0)
    theatre.world.crash("web-01")
    theatre.let_pass(300)
    assert theatre.case("web-01").state is State.HELD

    theatre.clock.elapsed += 60
    theatre.world.platform.start(theatre.world.vm("web-01").machine)
    theatre.clock.elapsed += 2 * 86400
    theatre.world.catch_up()
    theatre.world.crash("web-01")
    theatre.clock.elapsed += 3600
    theatre.new_process()
    theatre.let_pass(2 * 3600)

    assert not theatre.asked()


@pytest.mark.parametrize("gap", ["untold", "blind", "restart"])
def test_our_short_lived_start_is_not_an_unobserved_run(gap: str) -> None:
    theatre = Theatre()
    theatre.warm()
    theatre.world.crash("web-01")
    until(theatre, lambda: len(theatre.asked()) == 1)
    come_up(theatre)
    theatre.world.crash("web-01")
    until(theatre, lambda: theatre.case("web-01").state not in OPEN)
    theatre.let_pass(40)

    if gap == "untold":
        theatre.untold = {"web-01"}
        theatre.let_pass(theatre.every)
        theatre.untold = set()
    else:
        theatre.clock.elapsed += 150
    if gap == "restart":
        theatre.new_process()
    theatre.let_pass(3600)

    assert theatre.running("web-01")
    assert len(theatre.asked()) == 2


# Wishes in tags and rules.


@pytest.mark.parametrize(
    ("tags", "asked"),
    [
        (["recovery/always", "recovery/on-failure"], 0),
        (["recovery/always", "recovery/auto"], 0),
        (["recovery/always"], 1),
    ],
)
def test_of_two_tags_the_more_careful_holds(tags: list[str], asked: int) -> None:
    theatre = Theatre(tags={"web-01": tags})
    theatre.warm()

    theatre.world.guest_shuts_down("web-01")
    theatre.let_pass(900)

    assert len(theatre.asked()) == asked


@pytest.mark.parametrize("name", ["off/maintenance", "never/ever", "no (INC-1/2)"])
def test_a_tag_with_a_slash_in_its_name_forbids_like_any_other(name: str) -> None:
    enrolment_rules = (EnrolmentRule(names=("web-*",), policy=Policy.ON_FAILURE),)
    theatre = Theatre(
        tags={"web-01": [f"recovery/{name}"]},
        setup=ENFORCE._replace(enrolment_rules=enrolment_rules),
    )
    theatre.warm()

    theatre.world.crash("web-01")
    theatre.let_pass(900)

    assert not theatre.asked()


@pytest.mark.parametrize(
    "enrolment_rules",
    [
        (EnrolmentRule(names=("web-*",), policy=Policy.ON_FAILURE),),
        (
            EnrolmentRule(policy=Policy.ON_FAILURE),
            EnrolmentRule(names=("retired-*",), policy=Policy.NO),
        ),
    ],
)
def test_a_name_that_is_changed_at_the_last_moment_counts(
    enrolment_rules: tuple[EnrolmentRule, ...],
) -> None:
    theatre = Theatre(tags={}, setup=ENFORCE._replace(enrolment_rules=enrolment_rules))
    theatre.warm()

    def rename(step: str) -> None:
        if step == LOGS_ARE_READ and "web-01" in theatre.names:
            theatre.world.renames("web-01", "retired-web-01")

    theatre.world.crash("web-01")
    theatre.fall = rename
    theatre.let_pass(900)

    assert "retired-web-01" in theatre.names
    assert not theatre.requests


# The ladder.


@pytest.mark.parametrize("text", ["Power command sent", "VM killed"])
@pytest.mark.parametrize("skew", [0.0, 90.0])
def test_our_own_kill_is_known_by_our_name_whatever_its_words(text: str, skew: float) -> None:
    theatre = Theatre(tags={"web-01": CYCLE}, setup=ENFORCE._replace(own_user=USERNAME))
    status_ahead(theatre, skew)
    theatre.warm()

    def reword(rows: Rows, _: object) -> Rows:
        return [{**row, "text": text} if "'kill'" in row["text"] else row for row in rows]

    retell(theatre, "/machine_logs", reword)
    hang_whatever_is_tried(theatre, "web-01", hours=6)

    assert actions(theatre) == ["reboot", "reset", "kill", "poweron"]
    assert theatre.running("web-01")


def test_unanswered_kill_is_not_attributed_to_recovery() -> None:
    theatre = Theatre(tags={"web-01": CYCLE})
    theatre.warm()
    lose_the_kill(theatre)
    theatre.clock.elapsed += 15
    theatre.world.operator_stops("web-01", graceful=False)
    theatre.let_pass(2 * 3600)

    assert actions(theatre) == ["reboot", "reset", "kill"]
    assert cause(theatre, "web-01") is Cause.LOGS_UNCLEAR


def test_a_kill_that_did_nothing_takes_no_time_from_the_platform() -> None:
    theatre = Theatre(tags={"web-01": CYCLE})
    theatre.warm()
    lose_the_kill(theatre)
    until(theatre, lambda: theatre.case("web-01").state is State.SUSPECT)
    theatre.let_pass(200)
    theatre.world.crash("web-01")  # as when VergeOS takes it in hand
    theatre.let_pass(280)

    assert actions(theatre) == ["reboot", "reset", "kill"]


@pytest.mark.parametrize("code", [422, 423])
def test_steps_that_are_refused_lead_to_no_harder_one(code: int) -> None:
    theatre = Theatre(tags={"web-01": CYCLE})
    theatre.warm()
    theatre.world.faults.turn_on(
        "status", code=code, text="VM is locked", path="/api/v4/vm_actions", method="POST"
    )

    theatre.world.hang("web-01")
    theatre.let_pass(8 * 3600)

    assert set(actions(theatre)) == {"reboot"}


def test_a_step_that_was_lost_is_no_step() -> None:
    theatre = Theatre(tags={"web-01": CYCLE})
    theatre.warm()
    theatre.world.faults.turn_on("reset_before_acting")

    def mend(_: str) -> None:
        if theatre.requests:
            theatre.world.faults.turn_off("reset_before_acting")

    theatre.fall = mend

    theatre.world.hang("web-01")
    theatre.let_pass(2 * 3600)

    assert [(one.action, one.acted) for one in theatre.requests] == [
        ("reboot", False), ("reboot", True)
    ]  # fmt: skip


def test_where_only_one_action_at_a_time_is_allowed_the_start_waits_for_its_turn() -> None:
    limits = WindowLimits(system_windows=(Window(600.0, 1), Window(DAY, 30)))
    theatre = Theatre(tags={"web-01": CYCLE}, limits=limits)
    theatre.warm()

    hang_whatever_is_tried(theatre, "web-01", hours=8)

    assert actions(theatre) == ["reboot", "reset", "kill", "poweron"]


@pytest.mark.parametrize("delay", [25.0, 120.0])
def test_row_of_an_action_we_never_send_is_not_ours(delay: float) -> None:
    theatre = Theatre(tags={"web-01": CYCLE}, setup=ENFORCE._replace(own_user=USERNAME))
    theatre.warm()
    hang_until_killed(theatre)

    theatre.clock.elapsed += delay
    theatre.world.operator_stops("web-01", user=USERNAME, graceful=True)
    theatre.let_pass(2 * 3600)

    assert "poweron" not in actions(theatre)


def test_nothing_is_killed_that_the_budget_of_all_would_forbid_to_start() -> None:
    limits = WindowLimits(system_windows=(Window(6 * 3600.0, 3),))
    theatre = Theatre(tags={"web-01": CYCLE}, limits=limits)
    theatre.warm()

    hang_whatever_is_tried(theatre, "web-01", hours=6)

    assert actions(theatre) == ["reboot", "reset"]


@pytest.mark.parametrize("lasts", [timedelta(minutes=5), timedelta(hours=8)])
def test_nothing_is_killed_that_a_quiet_window_would_forbid_to_start(lasts: timedelta) -> None:
    theatre = Theatre(tags={"web-01": CYCLE})
    theatre.warm()
    hang_until_killed(theatre)
    killed_before = theatre.requests[-1].at
    begins = (START + timedelta(seconds=killed_before + 60)).time()
    window = MaintenanceWindow(start=begins, hours=lasts / timedelta(hours=1), reason="backups")

    theatre = Theatre(tags={"web-01": CYCLE}, setup=ENFORCE._replace(maintenance_windows=(window,)))
    theatre.warm()
    theatre.world.hang("web-01")
    for _ in range(600):
        tried = len(theatre.requests)
        theatre.let_pass(theatre.every)
        if len(theatre.requests) > tried and actions(theatre)[-1] != "kill":
            theatre.world.hang("web-01")

    at = [one.at for one in theatre.requests if one.action == "kill"]
    opens = killed_before + 60
    assert not [one for one in at if opens - 600 < one < opens + lasts.total_seconds()]


def lose_the_kill(theatre: Theatre) -> None:
    """Let a VM hang until it is to be killed, and that request be lost on its way."""

    def lose(step: str) -> None:
        if step == "POST /api/v4/vm_actions" and len(theatre.requests) == 2:
            theatre.world.faults.turn_on("reset_before_acting")

    theatre.fall = lose
    hang_until_killed(theatre)
    theatre.world.faults.turn_off("reset_before_acting")


def come_up(theatre: Theatre) -> None:
    """Let a VM that is starting arrive, without a poll."""
    while not theatre.running("web-01"):
        theatre.clock.elapsed += 1
        theatre.world.catch_up()


def actions(theatre: Theatre) -> list[str]:
    return [one.action for one in theatre.asked("web-01")]


def hang_until_killed(theatre: Theatre) -> None:
    """Let a VM hang whatever is tried, until the ladder's last step was asked for."""
    while "kill" not in actions(theatre):
        theatre.world.hang("web-01")
        tried = len(theatre.requests)
        while len(theatre.requests) == tried:
            theatre.let_pass(theatre.every)
