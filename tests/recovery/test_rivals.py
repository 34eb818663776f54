"""Another instance that acts on the same system with the same user: noticed, and made way for."""

import pytest
from msgspec.structs import replace

from exporter.recovery.decide.readiness import ReadinessState
from exporter.recovery.detect.context import LogUsers
from exporter.recovery.detect.rivals import RivalFinder
from exporter.recovery.model.cases import Action, Reply, Spent
from exporter.recovery.model.commands import CommandKind
from exporter.recovery.model.decision import GuardName
from exporter.recovery.model.limits import HOUR, Mode
from exporter.recovery.model.platform_log import LogRow, LogTable
from exporter.recovery.recovery_config import RecoveryConfig
from exporter.simulator.api.accounts import USERNAME
from tests.recovery.harness import ENFORCE, EVERY, LIMITS, Harness, at_once
from tests.recovery.test_edges import DOWN

AWARE = ENFORCE._replace(log_users=LogUsers(frozenset({USERNAME})))


def readiness(harness: Harness) -> ReadinessState:
    return harness.recovery.readiness_now.readiness


def other_starts(harness: Harness, name: str) -> None:
    """Let another instance start a VM, and this one read the log."""
    harness.world.operator_starts(name, user=USERNAME)
    harness.advance(LIMITS.log_read_seconds + EVERY)


def down(harness: Harness, name: str) -> None:
    harness.world.guest_shuts_down(name)
    harness.advance(200)


def test_action_in_our_name_that_is_not_ours_holds_the_system() -> None:
    harness = Harness(setup=AWARE).warm()
    down(harness, "web-02")

    other_starts(harness, "web-02")
    harness.world.crash("web-01")
    harness.advance(1800)

    assert readiness(harness) is ReadinessState.RIVAL
    assert "“VM action 'poweron' sent” by" in harness.recovery.readiness_now.because
    assert not harness.asked()
    decision = harness.recovery.decisions[harness.world.vm("web-01").uuid]
    assert decision.failed_guard is GuardName.NO_RIVAL


@pytest.mark.parametrize("table", ["logs", "machine_logs"])
def test_one_of_the_logs_suffices(table: str) -> None:
    harness = Harness(setup=AWARE).warm()
    harness.world.platform_log.write(
        "VM action 'reset' sent", at=harness.world.now, user=USERNAME, table=table,  # type: ignore[arg-type]
        name="web-02", machine=harness.world.vm("web-02").machine.key,
    )  # fmt: skip
    harness.advance(LIMITS.log_read_seconds + EVERY)

    assert readiness(harness) is ReadinessState.RIVAL


def test_our_own_actions_are_no_rivals() -> None:
    harness = Harness(setup=AWARE).warm()
    for _ in range(3):
        harness.world.crash("web-01")
        harness.advance(900)

    assert len(harness.asked("web-01")) == 3
    assert readiness(harness) is ReadinessState.ACTIVE


def test_second_action_on_a_vm_that_was_started_by_us_is_a_rivals() -> None:
    harness = Harness(setup=AWARE).warm()
    harness.world.crash("web-01")
    harness.advance(300)
    assert len(harness.asked("web-01")) == 1
    harness.world.crash("web-01")
    harness.world.operator_starts("web-01", user=USERNAME)

    harness.advance(LIMITS.log_read_seconds + EVERY)

    assert readiness(harness) is ReadinessState.RIVAL


def test_rows_of_others_and_older_rows_are_no_rivals() -> None:
    harness = Harness(setup=AWARE)
    harness.world.operator_resets("web-02", user=USERNAME)
    harness.warm()
    harness.world.operator_resets("web-02", user="anna")
    harness.advance(LIMITS.log_read_seconds + EVERY)

    assert readiness(harness) is ReadinessState.ACTIVE


def test_stop_in_our_name_is_no_rival_and_leaves_the_vm_off() -> None:
    harness = Harness(setup=AWARE).warm()
    harness.world.operator_stops("web-02", user=USERNAME, graceful=True)
    harness.advance(1800)

    assert readiness(harness) is ReadinessState.ACTIVE
    assert not harness.asked()


def test_hold_ends_an_hour_after_the_last_action_of_the_rival() -> None:
    harness = Harness(setup=AWARE).warm()
    down(harness, "web-02")
    other_starts(harness, "web-02")
    harness.advance(1800)
    harness.world.operator_resets("web-02", user=USERNAME)
    harness.world.crash("web-01")

    harness.advance(HOUR)
    assert readiness(harness) is ReadinessState.RIVAL
    harness.advance(LIMITS.log_read_seconds + EVERY)
    assert readiness(harness) is ReadinessState.WARMING_UP
    assert not harness.asked()
    harness.advance(LIMITS.warmup_seconds + 100)
    assert len(harness.asked("web-01")) == 1


def test_operator_ends_the_hold_by_arming() -> None:
    harness = Harness(setup=AWARE).warm()
    down(harness, "web-02")
    other_starts(harness, "web-02")

    at_once(harness.recovery.command(CommandKind.ARM, owner="anna", reason="the other is off"))
    assert readiness(harness) is ReadinessState.WARMING_UP
    harness.world.crash("web-01")
    harness.advance(LIMITS.warmup_seconds + 100)
    assert len(harness.asked("web-01")) == 1


def test_hold_survives_a_restart() -> None:
    harness = Harness(setup=AWARE).warm()
    down(harness, "web-02")
    other_starts(harness, "web-02")

    harness.new_process()
    harness.world.crash("web-01")
    harness.advance(1800)

    assert readiness(harness) is ReadinessState.RIVAL
    assert not harness.asked()


def test_restart_makes_no_rival_of_our_earlier_actions() -> None:
    harness = Harness(setup=AWARE).warm()
    harness.world.crash("web-01")
    while not harness.asked():
        harness.poll()
        harness.clock.elapsed += EVERY

    harness.new_process()
    harness.advance(1800)

    assert readiness(harness) is ReadinessState.ACTIVE


@pytest.mark.parametrize("setup", [ENFORCE, AWARE._replace(mode=Mode.SHADOW)])
def test_without_our_name_and_in_shadow_nothing_is_held(setup: RecoveryConfig) -> None:
    harness = Harness(setup=setup).warm()
    down(harness, "web-02")
    other_starts(harness, "web-02")

    assert readiness(harness) is ReadinessState.ACTIVE


def test_rival_during_the_handshake_prevents_the_action() -> None:
    harness = Harness(setup=AWARE).warm()

    def act(step: str) -> None:
        if step == "connected" and harness.world.vm("web-02").machine.status.running:
            harness.clock.elapsed += 2
            harness.world.operator_resets("web-02", user=USERNAME)

    harness.fall = act
    harness.world.crash("web-01")
    harness.advance(300)

    assert not harness.asked()
    assert readiness(harness) is ReadinessState.RIVAL


# Which rows are explained by which of our actions.

RIVAL_CASES = {
    "u": DOWN,
    "v": replace(DOWN, uuid="v", machine=12, name="db-01", former_names=("old-01",)),
}
SENT_AT, READ_BEFORE = 1000.0, 900.0


def sent(at: float = SENT_AT, uuid: str = "u", reply: Reply | None = Reply.ACCEPTED) -> Spent:
    return Spent(at, uuid, Action.POWER_ON, reply)


def by_us(machine: int | None = 11, *, read_at: float = SENT_AT + 10, key: int = 1) -> LogRow:
    return LogRow(
        table=LogTable.MACHINE_LOGS, key=key, at=0.0, text="VM action 'poweron' sent",
        user="Vergewatch", machine=machine, read_at=read_at,
    )  # fmt: skip


def in_system_log(name: str = "web-01", *, key: int = 1) -> LogRow:
    return replace(by_us(None, key=key), table=LogTable.LOGS, object_type="vm", object_name=name)


def rivals(
    finder: RivalFinder, rows: list[LogRow], actions: list[Spent], read_before: float = READ_BEFORE
) -> list[LogRow]:
    return finder.rows_of_rivals(rows, actions, RIVAL_CASES, read_before=read_before)


OWN = LogUsers(frozenset({"vergewatch"}))


@pytest.mark.parametrize(
    ("text", "user", "is_rival"),
    [
        ("VM action 'poweron' sent", "vergewatch", True),
        (" vm action 'RESET' sent ", "VergeWatch", True),
        ("VM action 'kill' sent", "vergewatch", True),
        ("VM action 'poweroff' sent", "vergewatch", False),  # never an action of recovery
        ("VM action 'poweron' sent twice", "vergewatch", False),
        ("VM has reset", "vergewatch", False),
        ("VM action 'poweron' sent", "anna", False),
        ("VM action 'poweron' sent", "", False),
    ],
)
def test_unexplained_row_of_an_action_in_our_name_is_a_rivals(
    text: str, user: str, *, is_rival: bool
) -> None:
    found = replace(by_us(), text=text, user=user)

    assert rivals(RivalFinder(OWN), [found], []) == ([found] if is_rival else [])
    assert rivals(RivalFinder(LogUsers()), [found], []) == []


@pytest.mark.parametrize(
    ("found", "action", "is_rival"),
    [
        (by_us(), sent(), False),
        (by_us(12), sent(), True),  # about another VM
        (by_us(12), sent(uuid="v"), False),
        (by_us(), sent(uuid="gone"), True),
        (in_system_log(), sent(), False),
        (in_system_log("db-01"), sent(), True),
        (in_system_log("db-01"), sent(uuid="v"), False),
        (in_system_log("old-01"), sent(uuid="v"), False),
        (in_system_log("old-01"), sent(), True),
        (by_us(read_at=SENT_AT), sent(), False),
        (by_us(read_at=SENT_AT - 0.1), sent(), True),  # it was read before we acted
        (by_us(), sent(READ_BEFORE - 600.0), False),
        (by_us(), sent(READ_BEFORE - 600.1), True),
        (by_us(), sent(reply=None), False),  # it may still arrive
        (by_us(), sent(reply=Reply.LOST), False),
        (by_us(), sent(reply=Reply.REFUSED), False),
        (by_us(), sent(reply=Reply.NOT_SENT), True),
        (by_us(), sent(reply=Reply.FORBIDDEN), True),
    ],
)
def test_row_is_explained_by_an_action_of_ours_on_its_vm(
    found: LogRow, action: Spent, *, is_rival: bool
) -> None:
    assert rivals(RivalFinder(OWN), [found], [action]) == ([found] if is_rival else [])


def test_changed_users_tell_whose_rows_are_ours() -> None:
    finder = RivalFinder(LogUsers())

    finder.use(OWN)

    assert rivals(finder, [by_us()], []) == [by_us()]


def test_action_explains_one_row_of_each_log() -> None:
    rows = [by_us(), in_system_log(), by_us(key=2), in_system_log(key=2)]

    assert rivals(RivalFinder(OWN), rows, [sent()]) == rows[2:]
    assert rivals(RivalFinder(OWN), rows, [sent(), sent(SENT_AT + 1)]) == []


def test_actions_on_two_vms_at_the_same_time_explain_a_row_each() -> None:
    rows = [by_us(), by_us(12, key=2)]

    assert rivals(RivalFinder(OWN), rows, [sent(), sent(uuid="v")]) == []


def test_action_whose_row_was_read_explains_no_row_that_is_read_later() -> None:
    finder, actions = RivalFinder(OWN), [sent(), sent(uuid="v")]
    late = by_us(key=2, read_at=SENT_AT + 130)

    assert rivals(finder, [by_us()], actions) == []
    assert rivals(finder, [], actions, SENT_AT + 10) == []
    assert rivals(finder, [late, in_system_log()], actions, SENT_AT + 10) == [late]


def test_rival_that_starts_days_later_is_noticed_at_its_first_action() -> None:
    harness = Harness(setup=AWARE).warm()
    harness.world.crash("web-01")
    harness.advance(HOUR)
    assert readiness(harness) is ReadinessState.ACTIVE
    before = len(harness.asked())

    down(harness, "web-02")
    other_starts(harness, "web-02")
    harness.world.crash("web-01")
    harness.advance(1800)

    assert readiness(harness) is ReadinessState.RIVAL
    assert len(harness.asked()) == before


def test_vm_that_another_user_has_started_is_not_started_again() -> None:
    harness = Harness(setup=AWARE).warm()

    for _ in range(4):
        harness.world.crash("web-01")
        harness.advance(EVERY)
        harness.world.operator_starts("web-01", user="other-robot")
        harness.advance(600)

    assert harness.running("web-01")
    assert not harness.asked()
    assert readiness(harness) is ReadinessState.ACTIVE  # it looks like a person


def test_stop_by_the_user_of_another_instance_is_a_stop() -> None:
    harness = Harness(setup=AWARE).warm()

    harness.world.operator_stops("web-01", graceful=False, user="other-robot")
    harness.advance(600)

    assert not harness.running("web-01")
    assert not harness.asked()
