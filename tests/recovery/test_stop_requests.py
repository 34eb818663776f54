"""What people want, said in ways that are easily missed."""

from datetime import timedelta

import pytest

from exporter.recovery.decide.maintenance_windows import MaintenanceWindow
from exporter.recovery.detect.context import LogUsers
from exporter.recovery.model.cases import Cause, Policy
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.limits import DAY, Window
from exporter.recovery.model.states import OPEN, State
from exporter.recovery.observe.enrolment import EnrolmentRule
from exporter.simulator.api.accounts import USERNAME
from tests.fakes import START
from tests.recovery.clock_skew import Rows, retell, set_back, status_ahead
from tests.recovery.harness import ENFORCE, Harness, WindowLimits
from tests.recovery.test_scenarios import cause, command, hang_whatever_is_tried, until

OURS = LogUsers(frozenset({USERNAME}))

CYCLE = ["recovery/auto", "recovery/on-hang-power-cycle"]
LOGS_ARE_READ = "answered GET /api/v4/machine_logs"


# Wishes in the log.


@pytest.mark.parametrize(
    ("tag", "end"), [("recovery/auto", "crash"), ("recovery/always", "guest_shuts_down")]
)
def test_guest_restarting_during_a_stop_is_not_restarted(tag: str, end: str) -> None:
    harness = Harness(tags={"web-01": [tag]})
    harness.warm()
    harness.world.vm("web-01").machine.shutdown_seconds = 600.0

    harness.world.operator_stops("web-01", graceful=True)
    harness.advance(60)
    harness.world.guest_reboots("web-01")
    harness.advance(60)
    getattr(harness.world, end)("web-01")
    harness.advance(3600)

    assert not harness.asked()
    assert cause(harness, "web-01") is Cause.STOPPED_BY_PERSON


@pytest.mark.parametrize("skew", [-45.0, -30.0, 0.0, 30.0, 45.0])
def test_vm_stopped_after_our_start_is_not_restarted_with_any_clock_offset(skew: float) -> None:
    harness = Harness()
    status_ahead(harness, skew)
    harness.warm()

    harness.world.crash("web-01")
    until(harness, lambda: len(harness.asked()) == 1)
    harness.clock.elapsed += 20
    harness.poll()
    harness.clock.elapsed += 5
    harness.world.operator_stops("web-01", graceful=False)
    harness.advance(3600)

    assert len(harness.asked()) == 1


@pytest.mark.parametrize("skew", [-45.0, 45.0])
def test_vm_stopped_after_operator_start_is_not_restarted_with_any_clock_offset(
    skew: float,
) -> None:
    harness = Harness()
    status_ahead(harness, skew)
    harness.warm()

    harness.world.operator_stops("web-01", graceful=False)
    harness.advance(300)
    harness.world.operator_starts("web-01")
    harness.advance(20)
    harness.clock.elapsed += 5
    harness.world.operator_stops("web-01", graceful=False)
    harness.advance(3600)

    assert not harness.asked()


@pytest.mark.parametrize("tag", ["recovery/auto", "recovery/unless-stopped"])
@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("stopped_ago", [None, 100.0, 900.0])
def test_platform_clock_set_back_makes_the_diagnosis_unknown(
    tag: str, stopped_ago: float | None, *, restarts: bool
) -> None:
    harness = Harness(tags={"web-01": [tag]})
    harness.warm()
    if stopped_ago is not None:
        harness.world.operator_stops("app-01", graceful=False)
        harness.advance(stopped_ago)
    set_back(harness, seconds=3600.0)

    harness.advance(20 if restarts else 600)
    harness.clock.elapsed += 20
    harness.world.operator_stops("web-01", graceful=False)
    if restarts:
        harness.clock.elapsed += 20
        harness.new_process()
    harness.advance(3 * 3600)

    assert not harness.asked()


@pytest.mark.parametrize("stopped", [False, True])
def test_crash_after_platform_clock_was_set_back_is_restarted(*, stopped: bool) -> None:
    harness = Harness()
    harness.warm()
    if stopped:  # and keeps a stamp that is yet to come
        harness.world.operator_stops("app-01", graceful=False)
        harness.advance(100)
    set_back(harness, seconds=3600.0)
    harness.warm()

    harness.world.crash("web-01")
    harness.advance(600)

    assert harness.running("web-01")


def test_vm_started_without_log_row_is_not_stopped() -> None:
    harness = Harness()
    harness.world.platform_log.templates["powered_on"] = None
    harness.warm()

    harness.world.operator_stops("web-01", graceful=False)
    harness.advance(60)
    harness.world.platform.start(harness.world.vm("web-01").machine)
    harness.advance(400)
    harness.world.crash("web-01")
    harness.advance(3600)

    assert cause(harness, "web-01") is Cause.START_FAILED


@pytest.mark.parametrize("after", [20.0, 40.0])
def test_restarted_vm_is_not_stopped_with_any_clock_offset(after: float) -> None:
    harness = Harness()
    status_ahead(harness, -45.0)
    harness.warm()

    harness.world.operator_stops("web-01", graceful=False)
    harness.advance(120)
    harness.world.operator_starts("web-01")
    come_up(harness)
    harness.advance(after)
    harness.world.crash("web-01")
    harness.advance(3600)

    assert harness.running("web-01") or cause(harness, "web-01") is Cause.START_FAILED


def test_node_command_after_the_crash_does_not_explain_it() -> None:
    harness = Harness()
    harness.warm()
    command(harness, CommandKind.PAUSE, seconds=300.0)
    vm = harness.world.vm("web-01")
    node = harness.world.nodes[vm.machine.status.node or 0]

    harness.world.crash("web-01")
    harness.advance(180)
    harness.world.platform_log.write(
        "Settings saved", at=harness.world.now, user="jonas", machine=node.machine.key
    )
    harness.advance(3600)

    assert harness.running("web-01")


@pytest.mark.parametrize(
    "text", ["Entering maintenance mode", "Server is going down for firmware upgrade"]
)
def test_unknown_node_command_prevents_the_restart(text: str) -> None:
    harness = Harness()
    harness.warm()
    vm = harness.world.vm("web-01")
    node = harness.world.nodes[vm.machine.status.node or 0]

    harness.world.platform_log.write(
        text, at=harness.world.now, user="jonas", object_type="node", machine=node.machine.key
    )
    harness.world.crash("web-01")
    harness.advance(3600)

    assert not harness.asked()
    assert cause(harness, "web-01") is Cause.LOGS_UNCLEAR


def test_vm_edited_while_down_is_not_restarted_and_not_stopped() -> None:
    harness = Harness()
    harness.warm()
    command(harness, CommandKind.PAUSE, seconds=900.0)

    harness.world.crash("web-01")
    harness.advance(120)
    harness.world.changes("web-01", description="found it down, looking")
    harness.advance(2 * 3600)

    assert not harness.asked()
    assert cause(harness, "web-01") is Cause.LOGS_UNCLEAR


def test_vm_that_vergeos_restarts_is_left_to_vergeos() -> None:
    harness = Harness()
    harness.warm()
    vm = harness.world.vm("web-01")

    harness.world.crash("web-01")
    harness.clock.elapsed += 10
    harness.world.power.record(vm.machine, "ha_restarted", node="node2")
    harness.advance(900)

    assert not harness.asked()
    assert cause(harness, "web-01") is Cause.START_FAILED


def test_restart_after_guest_shutdown_is_recorded_as_such() -> None:
    harness = Harness(tags={"web-01": ["recovery/always"]})
    harness.warm()

    harness.world.guest_shuts_down("web-01")
    until(harness, lambda: bool(harness.asked()))

    acted = [one for one in harness.journal.decisions if one.acts]
    assert "VM has shutdown" in acted[-1].diagnosis.detail


# Unobserved lives.


def test_vm_migrated_during_an_outage_may_have_failed_with_its_new_node() -> None:
    harness = Harness(tags={"web-01": ["recovery/unless-stopped"]})
    harness.warm()
    vm = harness.world.vm("web-01")
    before = vm.machine.status.node

    harness.clock.elapsed += 200
    harness.world.catch_up()
    assert harness.world.migrate("web-01")
    harness.clock.elapsed += 200
    harness.world.catch_up()
    assert vm.machine.status.node not in (before, None)
    harness.world.platform_log.templates["powered_off"] = (
        None  # its new node's log tells, not its own
    )
    harness.world.node_powers_off(vm.machine.status.node)
    harness.clock.elapsed += 200
    harness.new_process()
    harness.advance(3600)

    assert not harness.asked()


@pytest.mark.parametrize("own", [frozenset[str](), frozenset({USERNAME})])
def test_unobserved_run_ends_as_went_down_unobserved(own: frozenset[str]) -> None:
    harness = Harness(setup=ENFORCE._replace(log_users=LogUsers(own)))
    harness.warm()
    command(harness, CommandKind.PAUSE, seconds=900.0)
    harness.world.crash("web-01")
    harness.advance(300)
    assert harness.case("web-01").state is State.HELD

    harness.clock.elapsed += 60
    harness.world.platform.start(harness.world.vm("web-01").machine)
    harness.clock.elapsed += 2 * 86400
    harness.world.catch_up()
    harness.world.crash("web-01")
    harness.clock.elapsed += 3600
    harness.new_process()
    harness.advance(2 * 3600)

    assert not harness.asked()


@pytest.mark.parametrize("gap", ["untold", "blind", "restart"])
def test_our_short_lived_start_is_not_an_unobserved_run(gap: str) -> None:
    harness = Harness()
    harness.warm()
    harness.world.crash("web-01")
    until(harness, lambda: len(harness.asked()) == 1)
    come_up(harness)
    harness.world.crash("web-01")
    until(harness, lambda: harness.case("web-01").state not in OPEN)
    harness.advance(40)

    if gap == "untold":
        harness.untold = {"web-01"}
        harness.advance(harness.every)
        harness.untold = set()
    else:
        harness.clock.elapsed += 150
    if gap == "restart":
        harness.new_process()
    harness.advance(3600)

    assert harness.running("web-01")
    assert len(harness.asked()) == 2


# Wishes in tags and rules.


@pytest.mark.parametrize(
    ("tags", "asked"),
    [
        (["recovery/always", "recovery/on-failure"], 0),
        (["recovery/always", "recovery/auto"], 0),
        (["recovery/always"], 1),
    ],
)
def test_stricter_of_two_tags_applies(tags: list[str], asked: int) -> None:
    harness = Harness(tags={"web-01": tags})
    harness.warm()

    harness.world.guest_shuts_down("web-01")
    harness.advance(900)

    assert len(harness.asked()) == asked


@pytest.mark.parametrize("name", ["off/maintenance", "never/ever", "no (INC-1/2)"])
def test_denying_tag_with_slash_in_its_name_denies(name: str) -> None:
    enrolment_rules = (EnrolmentRule(names=("web-*",), policy=Policy.ON_FAILURE),)
    harness = Harness(
        tags={"web-01": [f"recovery/{name}"]},
        setup=ENFORCE._replace(enrolment_rules=enrolment_rules),
    )
    harness.warm()

    harness.world.crash("web-01")
    harness.advance(900)

    assert not harness.asked()


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
def test_vm_renamed_just_before_the_action_is_checked_by_its_new_name(
    enrolment_rules: tuple[EnrolmentRule, ...],
) -> None:
    harness = Harness(tags={}, setup=ENFORCE._replace(enrolment_rules=enrolment_rules))
    harness.warm()

    def rename(step: str) -> None:
        if step == LOGS_ARE_READ and "web-01" in harness.names:
            harness.world.renames("web-01", "retired-web-01")

    harness.world.crash("web-01")
    harness.fall = rename
    harness.advance(900)

    assert "retired-web-01" in harness.names
    assert not harness.requests


# The ladder.


@pytest.mark.parametrize("text", ["Power command sent", "VM killed"])
@pytest.mark.parametrize("skew", [0.0, 90.0])
def test_kill_by_recovery_is_recognized_by_user_name(text: str, skew: float) -> None:
    harness = Harness(tags={"web-01": CYCLE}, setup=ENFORCE._replace(log_users=OURS))
    status_ahead(harness, skew)
    harness.warm()

    def reword(rows: Rows, _: object) -> Rows:
        return [{**row, "text": text} if "'kill'" in row["text"] else row for row in rows]

    retell(harness, "/machine_logs", reword)
    hang_whatever_is_tried(harness, "web-01", hours=6)

    assert actions(harness) == ["reboot", "reset", "kill", "poweron"]
    assert harness.running("web-01")


def test_unanswered_kill_is_not_attributed_to_recovery() -> None:
    harness = Harness(tags={"web-01": CYCLE})
    harness.warm()
    lose_the_kill(harness)
    harness.clock.elapsed += 15
    harness.world.operator_stops("web-01", graceful=False)
    harness.advance(2 * 3600)

    assert actions(harness) == ["reboot", "reset", "kill"]
    assert cause(harness, "web-01") is Cause.LOGS_UNCLEAR


def test_ineffective_kill_does_not_shorten_the_platform_wait() -> None:
    harness = Harness(tags={"web-01": CYCLE})
    harness.warm()
    lose_the_kill(harness)
    until(harness, lambda: harness.case("web-01").state is State.SUSPECT)
    harness.advance(200)
    harness.world.crash("web-01")  # as when VergeOS takes it in hand
    harness.advance(280)

    assert actions(harness) == ["reboot", "reset", "kill"]


@pytest.mark.parametrize("code", [422, 423])
def test_refused_step_does_not_escalate(code: int) -> None:
    harness = Harness(tags={"web-01": CYCLE})
    harness.warm()
    harness.world.faults.turn_on(
        "status", code=code, text="VM is locked", path="/api/v4/vm_actions", method="POST"
    )

    harness.world.hang("web-01")
    harness.advance(8 * 3600)

    assert set(actions(harness)) == {"reboot"}


def test_unsent_step_does_not_escalate() -> None:
    harness = Harness(tags={"web-01": CYCLE})
    harness.warm()
    harness.world.faults.turn_on("reset_before_acting")

    def mend(_: str) -> None:
        if harness.requests:
            harness.world.faults.turn_off("reset_before_acting")

    harness.fall = mend

    harness.world.hang("web-01")
    harness.advance(2 * 3600)

    assert [(one.action, one.acted) for one in harness.requests] == [
        ("reboot", False), ("reboot", True)
    ]  # fmt: skip


def test_start_waits_if_only_one_action_at_a_time_is_allowed() -> None:
    limits = WindowLimits(system_windows=(Window(600.0, 1), Window(DAY, 30)))
    harness = Harness(tags={"web-01": CYCLE}, limits=limits)
    harness.warm()

    hang_whatever_is_tried(harness, "web-01", hours=8)

    assert actions(harness) == ["reboot", "reset", "kill", "poweron"]


@pytest.mark.parametrize("delay", [25.0, 120.0])
def test_row_of_an_action_we_never_send_is_not_ours(delay: float) -> None:
    harness = Harness(tags={"web-01": CYCLE}, setup=ENFORCE._replace(log_users=OURS))
    harness.warm()
    hang_until_killed(harness)

    harness.clock.elapsed += delay
    harness.world.operator_stops("web-01", user=USERNAME, graceful=True)
    harness.advance(2 * 3600)

    assert "poweron" not in actions(harness)


def test_vm_is_not_killed_if_the_system_budget_forbids_the_start() -> None:
    limits = WindowLimits(system_windows=(Window(6 * 3600.0, 3),))
    harness = Harness(tags={"web-01": CYCLE}, limits=limits)
    harness.warm()

    hang_whatever_is_tried(harness, "web-01", hours=6)

    assert actions(harness) == ["reboot", "reset"]


@pytest.mark.parametrize("lasts", [timedelta(minutes=5), timedelta(hours=8)])
def test_vm_is_not_killed_if_a_maintenance_window_forbids_the_start(lasts: timedelta) -> None:
    harness = Harness(tags={"web-01": CYCLE})
    harness.warm()
    hang_until_killed(harness)
    killed_before = harness.requests[-1].at
    begins = (START + timedelta(seconds=killed_before + 60)).time()
    window = MaintenanceWindow(start=begins, hours=lasts / timedelta(hours=1), reason="backups")

    harness = Harness(tags={"web-01": CYCLE}, setup=ENFORCE._replace(maintenance_windows=(window,)))
    harness.warm()
    harness.world.hang("web-01")
    for _ in range(600):
        tried = len(harness.requests)
        harness.advance(harness.every)
        if len(harness.requests) > tried and actions(harness)[-1] != "kill":
            harness.world.hang("web-01")

    at = [one.at for one in harness.requests if one.action == "kill"]
    opens = killed_before + 60
    assert not [one for one in at if opens - 600 < one < opens + lasts.total_seconds()]


def lose_the_kill(harness: Harness) -> None:
    """Let a VM hang until it is to be killed, and that request be lost on its way."""

    def lose(step: str) -> None:
        if step == "POST /api/v4/vm_actions" and len(harness.requests) == 2:
            harness.world.faults.turn_on("reset_before_acting")

    harness.fall = lose
    hang_until_killed(harness)
    harness.world.faults.turn_off("reset_before_acting")


def come_up(harness: Harness) -> None:
    """Let a VM that is starting arrive, without a poll."""
    while not harness.running("web-01"):
        harness.clock.elapsed += 1
        harness.world.catch_up()


def actions(harness: Harness) -> list[str]:
    return [one.action for one in harness.asked("web-01")]


def hang_until_killed(harness: Harness) -> None:
    """Let a VM hang whatever is tried, until the ladder's last step was asked for."""
    while "kill" not in actions(harness):
        harness.world.hang("web-01")
        tried = len(harness.requests)
        while len(harness.requests) == tried:
            harness.advance(harness.every)
