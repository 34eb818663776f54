"""Each condition of a crash by itself: what a diagnosis is when just that one does not hold."""

from typing import Any

import pytest
from msgspec.structs import replace

from exporter.model import StatusWord
from exporter.recovery.detect.diagnosis import (
    add_stop_author,
    diagnose,
    explains,
    explains_loss,
    lacks_stop_author,
)
from exporter.recovery.model.cases import (
    Case,
    Cause,
    Diagnosis,
    DiagnosisKind,
    ObservedState,
    Policy,
)
from exporter.recovery.model.limits import HOUR, Limits, PowerState
from exporter.recovery.model.states import State
from exporter.recovery.observe.node_history import NodeHistory
from tests.recovery.test_edges import (
    ABOUT,
    CLASSIFIER,
    DOWN,
    DOWN_AT,
    HUNG,
    KILLED,
    LIMITS,
    NOW,
    READ,
    UP_AT,
    UP_CLOCK,
    judged,
    read,
    row,
)

STOP_ROW, UNCLEAR_ROW = row("VM action 'poweroff' sent"), row("an unknown text")


def detail(case: Case = DOWN, **about: Any) -> str:
    return diagnose(case, ABOUT._replace(**about), LIMITS, CLASSIFIER).detail


# What is observed now.


@pytest.mark.parametrize(
    ("observed", "kind", "cause"),
    [
        (ObservedState.UP, DiagnosisKind.PENDING, Cause.NOT_DOWN_NOW),
        (ObservedState.DOWN, DiagnosisKind.CRASHED, Cause.CRASHED),
        (ObservedState.HUNG, DiagnosisKind.CRASHED, Cause.HUNG),
        (ObservedState.STOPPING, DiagnosisKind.PENDING, Cause.NOT_DOWN_NOW),
        (ObservedState.BUSY, DiagnosisKind.PENDING, Cause.NOT_DOWN_NOW),
        (ObservedState.WAITING, DiagnosisKind.PLATFORM, Cause.WAITS_FOR_RESOURCES),
        (ObservedState.HIBERNATED, DiagnosisKind.PENDING, Cause.NOT_DOWN_NOW),
        (ObservedState.ERROR, DiagnosisKind.UNKNOWN, Cause.STATUS_ERROR),
        (ObservedState.INCONSISTENT, DiagnosisKind.UNKNOWN, Cause.STATUS_UNRECOGNIZED),
        (ObservedState.INELIGIBLE, DiagnosisKind.PENDING, Cause.NOT_DOWN_NOW),
        (ObservedState.GONE, DiagnosisKind.UNKNOWN, Cause.STATUS_MISSING),
    ],
)
def test_only_a_vm_that_is_down_or_hung_can_have_crashed(
    observed: ObservedState, kind: DiagnosisKind, cause: Cause
) -> None:
    at = DOWN_AT + LIMITS.confirm_hung_seconds
    about = ABOUT._replace(at=at, logs=READ._replace(read_at=at))

    found = diagnose(replace(DOWN, observed=observed), about, LIMITS, CLASSIFIER)

    assert (found.kind, found.cause) == (kind, cause)


def test_vm_with_the_uuid_of_another_is_not_diagnosed() -> None:
    assert judged(shares_uuid=True) is Cause.UUID_SHARED
    assert judged(shares_uuid=True, logs=read(STOP_ROW)) is Cause.UUID_SHARED
    assert judged(replace(DOWN, observed=ObservedState.ERROR), shares_uuid=True) is (
        Cause.STATUS_ERROR
    )


# What was seen since it was up.


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ((), Cause.CRASHED),
        ((StatusWord.STOPPED,), Cause.CRASHED),
        ((StatusWord.RUNNING,), Cause.CRASHED),
        ((StatusWord.NEEDSREFRESH,), Cause.CRASHED),
        ((StatusWord.NEEDSRESTART,), Cause.CRASHED),
        ((StatusWord.DRIVERSRELOADING,), Cause.CRASHED),
        ((StatusWord.UNRESPONSIVE, StatusWord.STOPPED), Cause.CRASHED),
        ((StatusWord.STOPPING,), Cause.SEEN_STOPPING),
        ((StatusWord.HIBERNATING,), Cause.SEEN_STOPPING),
        ((StatusWord.HIBERNATED,), Cause.SEEN_STOPPING),
        ((StatusWord.WAITINGFORRESOURCES, StatusWord.STOPPING), Cause.SEEN_STOPPING),
        ((StatusWord.WAITINGFORRESOURCES, StatusWord.MIGRATING), Cause.WAITS_FOR_RESOURCES),
        ((StatusWord.UNLICENSED,), Cause.WAITS_FOR_RESOURCES),
        ((StatusWord.INITMIGRATE,), Cause.MIGRATED_SHORTLY_BEFORE),
        ((StatusWord.STARTMIGRATE,), Cause.MIGRATED_SHORTLY_BEFORE),
        ((StatusWord.MIGRATING,), Cause.MIGRATED_SHORTLY_BEFORE),
        ((StatusWord.MIGRATECOMPLETE,), Cause.MIGRATED_SHORTLY_BEFORE),
        ((StatusWord.STARTING, StatusWord.MIGRATING), Cause.MIGRATED_SHORTLY_BEFORE),
        ((StatusWord.STOPPED, StatusWord.INITIALIZING), Cause.START_FAILED),
        ((StatusWord.ERROR,), Cause.START_FAILED),
        (("defragmenting",), Cause.START_FAILED),
    ],
)
def test_words_seen_since_it_was_up(words: tuple[str, ...], cause: Cause) -> None:
    assert judged(replace(DOWN, words_since_up=words)) is cause


@pytest.mark.parametrize(
    ("trouble_at", "at", "cause"),
    [
        (DOWN_AT, DOWN_AT + 299.9, Cause.WAITS_FOR_RESOURCES),
        (DOWN_AT, DOWN_AT + 300.0, Cause.START_FAILED),
        (None, DOWN_AT + 9000.0, Cause.WAITS_FOR_RESOURCES),
    ],
)
def test_vergeos_has_300_seconds_to_start_a_vm_that_waited_for_resources(
    trouble_at: float | None, at: float, cause: Cause
) -> None:
    waited = (StatusWord.WAITINGFORRESOURCES,)

    assert judged(replace(DOWN, words_since_up=waited, trouble_at=trouble_at), at=at) is cause


# Its node.


@pytest.mark.parametrize(
    ("node", "history"), [(None, NodeHistory(0.0)), (3, None), (None, NodeHistory(None))]
)
def test_vm_on_an_unknown_node_is_not_crashed(
    node: int | None, history: NodeHistory | None
) -> None:
    assert judged(replace(DOWN, node=node), node=history) is Cause.NODE_UNKNOWN


@pytest.mark.parametrize(
    ("history", "on_power_loss", "cause"),
    [
        (NodeHistory(0.0, failed_at=UP_AT), "leave_off", Cause.LEFT_OFF_BY_POLICY),
        (NodeHistory(NOW, failed_at=UP_AT), "leave_off", Cause.LEFT_OFF_BY_POLICY),
        (NodeHistory(0.0, failed_at=UP_AT - 0.1), "leave_off", Cause.CRASHED),
        (NodeHistory(0.0, started_clock=UP_CLOCK + 1), "leave_off", Cause.LEFT_OFF_BY_POLICY),
        (NodeHistory(0.0, started_clock=UP_CLOCK), "leave_off", Cause.CRASHED),
        (NodeHistory(None, failed_at=UP_AT), "last_state", Cause.NODE_IN_TROUBLE),
        (NodeHistory(None, failed_at=UP_AT), "force_on", Cause.NODE_IN_TROUBLE),
        (NodeHistory(NOW, failed_at=UP_AT), "last_state", Cause.NODE_IN_TROUBLE),
        (NodeHistory(0.0), "leave_off", Cause.CRASHED),
    ],
)
def test_only_a_vm_to_be_left_off_is_stopped_by_the_failure_of_its_node(
    history: NodeHistory, on_power_loss: str, cause: Cause
) -> None:
    assert judged(node=history, on_power_loss=on_power_loss) is cause


@pytest.mark.parametrize(
    ("trouble_at", "at", "cause"),
    [
        (DOWN_AT, DOWN_AT + 299.9, Cause.NODE_UNWATCHED),
        (DOWN_AT, DOWN_AT + 300.0, Cause.CRASHED),
        (None, DOWN_AT + 9000.0, Cause.NODE_UNWATCHED),
    ],
)
def test_vergeos_has_its_time_from_when_both_the_node_is_well_and_the_vm_down(
    trouble_at: float | None, at: float, cause: Cause
) -> None:
    case = replace(DOWN, trouble_at=trouble_at)
    logs = READ._replace(read_at=at)

    assert judged(case, node=NodeHistory(UP_AT + 1), at=at, logs=logs) is cause


@pytest.mark.parametrize(
    ("sick_at", "expected"), [(UP_AT + 1, "was not well"), (None, "was not watched")]
)
def test_detail_tells_a_node_that_was_ill_from_one_that_was_not_watched(
    sick_at: float | None, expected: str
) -> None:
    assert expected in detail(node=NodeHistory(UP_AT + 2, sick_at=sick_at))


@pytest.mark.parametrize(
    ("sick_at", "cause"),
    [(UP_AT + 1, Cause.NODE_IN_TROUBLE), (None, Cause.STOPPED_BY_PERSON)],
)
def test_stop_request_explains_a_vm_on_a_node_that_was_not_watched_but_not_on_a_sick_one(
    sick_at: float | None, cause: Cause
) -> None:
    node = NodeHistory(UP_AT + 2, sick_at=sick_at)

    assert judged(node=node, logs=read(STOP_ROW)) is cause


def test_vm_up_in_the_first_second_of_the_watch_is_compared_with_its_node_too() -> None:
    assert judged(replace(DOWN, up_at=0.0), node=NodeHistory(0.5)) is Cause.NODE_UNWATCHED
    assert judged(replace(DOWN, up_at=0.0), node=NodeHistory(0.0)) is Cause.CRASHED


@pytest.mark.parametrize(
    ("case", "cause"),
    [
        (DOWN, Cause.HUNG_SHORTLY_BEFORE),
        (KILLED, Cause.KILLED_TO_RESTART),  # it is us who are at it
        (replace(KILLED, kill_unanswered=True), Cause.HUNG_SHORTLY_BEFORE),
        (replace(KILLED, killed_position=None), Cause.HUNG_SHORTLY_BEFORE),
        (HUNG, Cause.HUNG),
    ],
)
def test_vm_that_was_just_hung_and_is_down_is_left_to_vergeos(case: Case, cause: Cause) -> None:
    limits = Limits(confirm_hung_seconds=30.0)

    assert judged(replace(case, hung_at=NOW - 299.0), limits) is cause


@pytest.mark.parametrize(
    ("case", "cause"),
    [
        (DOWN, Cause.CRASHED),
        (KILLED, Cause.KILLED_TO_RESTART),
        (replace(KILLED, kill_unanswered=True), Cause.CRASHED),
        (replace(DOWN, kill_unanswered=True), Cause.CRASHED),
    ],
)
def test_kill_that_vergeos_answered_is_why_it_is_down(case: Case, cause: Cause) -> None:
    assert judged(case) is cause


# Flapping.

LOST_AT = DOWN_AT - 5.0
FLAPPING = replace(
    DOWN, lost_at=LOST_AT, losses=(NOW - 3000.0, NOW - 2000.0, NOW - 900.0, NOW - 400.0, LOST_AT)
)


@pytest.mark.parametrize(
    ("change", "about", "cause"),
    [
        ({}, {}, Cause.FLAPPING),
        ({}, {"logs": READ._replace(read_at=LOST_AT)}, Cause.FLAPPING),
        ({}, {"logs": READ._replace(read_at=LOST_AT - 0.1)}, Cause.LOGS_NOT_SETTLED),
        ({}, {"logs": None}, Cause.LOGS_NOT_SETTLED),
        ({"lost_at": None}, {}, Cause.FLAPPING),
        ({"lost_at": None}, {"logs": READ._replace(read_at=0.5)}, Cause.FLAPPING),
        ({"losses": FLAPPING.losses[1:]}, {}, Cause.CRASHED),
        ({"losses": (NOW - HOUR, *FLAPPING.losses[1:])}, {}, Cause.CRASHED),
        ({"losses": ()}, {}, Cause.CRASHED),
        ({}, {"policy": Policy.NO}, Cause.CRASHED),
        ({}, {"policy": Policy.IGNORE}, Cause.CRASHED),
        ({}, {"policy": Policy.ALWAYS}, Cause.FLAPPING),
        ({"times_observed": 1}, {}, Cause.FLAPPING),  # before it is confirmed
        ({}, {"logs": read(STOP_ROW)}, Cause.STOPPED_BY_PERSON),
        ({}, {"logs": read(UNCLEAR_ROW)}, Cause.FLAPPING),
        ({}, {"logs": read(row("VM has reset", user="system"))}, Cause.RESET_SHORTLY_BEFORE),
        ({"node": None}, {}, Cause.NODE_UNKNOWN),
    ],
)
def test_enrolled_vm_that_goes_down_five_times_within_an_hour_is_flapping(
    change: dict[str, Any], about: dict[str, Any], cause: Cause
) -> None:
    assert judged(replace(FLAPPING, **change), **about) is cause


def test_flapping_is_reported_with_the_losses_within_an_hour() -> None:
    older = (NOW - HOUR - 1, NOW - HOUR)

    assert "went down 5 times" in detail(replace(FLAPPING, losses=(*older, *FLAPPING.losses)))


@pytest.mark.parametrize(
    ("diagnosis", "expected"),
    [
        (Diagnosis(DiagnosisKind.STOPPED, Cause.STOPPED_BY_GUEST), True),
        (Diagnosis(DiagnosisKind.STOPPED, Cause.SEEN_STOPPING), True),
        (Diagnosis(DiagnosisKind.PLATFORM, Cause.RESET_SHORTLY_BEFORE), True),
        (Diagnosis(DiagnosisKind.PLATFORM, Cause.NODE_IN_TROUBLE), False),
        (Diagnosis(DiagnosisKind.UNKNOWN, Cause.LOGS_UNCLEAR), False),
        (Diagnosis(DiagnosisKind.CRASHED, Cause.CRASHED), False),
        (Diagnosis(DiagnosisKind.PENDING, Cause.NOT_LONG_ENOUGH), False),
    ],
)
def test_stop_and_reset_explain_a_loss(diagnosis: Diagnosis, *, expected: bool) -> None:
    assert explains(diagnosis) is expected


@pytest.mark.parametrize(
    ("rows", "expected"), [((), False), ((UNCLEAR_ROW,), False), ((STOP_ROW,), True)]
)
def test_logs_explain_a_loss_by_a_known_row(rows: tuple[Any, ...], *, expected: bool) -> None:
    about = ABOUT._replace(logs=read(*rows))

    assert explains_loss(DOWN, about, LIMITS, CLASSIFIER) is expected


# How long it lasts.


@pytest.mark.parametrize(
    ("times_observed", "expected"),
    [(1, "down for 10 s in 1 poll;"), (2, "down for 10 s in 2 polls;")],
)
def test_detail_tells_how_long_it_was_observed(times_observed: int, expected: str) -> None:
    case = replace(DOWN, times_observed=times_observed)

    assert detail(case, at=DOWN_AT + 10.0).startswith(expected)


@pytest.mark.parametrize(("needed", "cause"), [(0.0, Cause.CRASHED), (1.0, Cause.NOT_LONG_ENOUGH)])
def test_trouble_without_a_beginning_has_lasted_no_time(needed: float, cause: Cause) -> None:
    limits = Limits(confirm_down_seconds=needed)

    assert judged(replace(DOWN, trouble_at=None), limits) is cause
    assert detail(replace(DOWN, trouble_at=None)).startswith("down for 0 s in 3 polls")


@pytest.mark.parametrize(
    ("read_at", "cause"), [(10.0, Cause.CRASHED), (9.9, Cause.LOGS_NOT_SETTLED)]
)
def test_logs_settle_from_the_start_where_trouble_has_no_beginning(
    read_at: float, cause: Cause
) -> None:
    limits = Limits(confirm_down_seconds=0.0)
    logs = READ._replace(read_at=read_at)

    assert judged(replace(DOWN, trouble_at=None), limits, logs=logs) is cause


# Whether its power is wanted on, and what was not observed.


@pytest.mark.parametrize("powered_on", [True, False, None])
@pytest.mark.parametrize("powerstate", PowerState)
def test_power_counts_as_wanted_off_only_if_the_column_is_the_desired_state(
    powerstate: PowerState, *, powered_on: bool | None
) -> None:
    wanted_off = powerstate is PowerState.DESIRED and powered_on is not True
    cause = Cause.POWERED_OFF_AS_DESIRED if wanted_off else Cause.CRASHED

    assert judged(powerstate=powerstate, powered_on=powered_on) is cause


@pytest.mark.parametrize(
    ("policy", "cause"),
    [
        (Policy.ON_FAILURE, Cause.WENT_DOWN_UNOBSERVED),
        (Policy.NO, Cause.WENT_DOWN_UNOBSERVED),
        (Policy.UNLESS_STOPPED, Cause.CRASHED),
        (Policy.ALWAYS, Cause.CRASHED),
    ],
)
def test_unobserved_stop_is_a_crash_by_the_policies_that_want_it_up(
    policy: Policy, cause: Cause
) -> None:
    case = replace(DOWN, max_gap_seconds=LIMITS.max_gap_seconds + 0.1)

    assert judged(case, policy=policy) is cause
    assert judged(case, policy=policy, logs=read(STOP_ROW)) is Cause.STOPPED_BY_PERSON
    assert judged(replace(case, max_gap_seconds=120.0), policy=policy) is Cause.CRASHED


@pytest.mark.parametrize(
    ("rows", "cause"),
    [
        ((), Cause.LOGS_INCOMPLETE),
        ((STOP_ROW,), Cause.STOPPED_BY_PERSON),
        ((UNCLEAR_ROW,), Cause.LOGS_UNCLEAR),
        ((row("VM has shutdown"),), Cause.LOGS_INCOMPLETE),  # a stop request may be missing
    ],
)
def test_logs_with_a_gap_prove_no_crash_by_policy_always_either(
    rows: tuple[Any, ...], cause: Cause
) -> None:
    assert judged(policy=Policy.ALWAYS, logs=read(*rows, gap="rows are missing")) is cause


# Who had it stopped.

SEEN = Diagnosis(DiagnosisKind.STOPPED, Cause.SEEN_STOPPING, "it was seen stopping")
STOPPED = replace(DOWN, state=State.STOPPED, diagnosis=SEEN)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"diagnosis": replace(SEEN, cause=Cause.HIBERNATED)}, True),
        ({"diagnosis": replace(SEEN, cause=Cause.STOPPED_BY_PERSON)}, False),
        ({"diagnosis": replace(SEEN, cause=Cause.POWERED_OFF_AS_DESIRED)}, False),
        ({"diagnosis": None}, False),
        ({"state": State.SUSPECT}, False),
        ({"state": State.HEALTHY}, False),
    ],
)
def test_author_is_missing_where_only_a_status_word_showed_the_stop(
    change: dict[str, Any], *, expected: bool
) -> None:
    assert lacks_stop_author(replace(STOPPED, **change)) is expected


@pytest.mark.parametrize(
    ("logs", "cause"),
    [
        (read(STOP_ROW), Cause.STOPPED_BY_PERSON),
        (read(row("VM has shutdown")), Cause.STOPPED_BY_GUEST),
        (read(UNCLEAR_ROW), Cause.SEEN_STOPPING),
        (read(), Cause.SEEN_STOPPING),
        (None, Cause.SEEN_STOPPING),
    ],
)
def test_author_is_added_if_a_known_row_names_the_stop(logs: Any, cause: Cause) -> None:
    about = ABOUT._replace(logs=logs)

    found = add_stop_author(STOPPED, about, LIMITS, CLASSIFIER)

    assert found.diagnosis is not None
    assert (found.diagnosis.kind, found.diagnosis.cause) == (DiagnosisKind.STOPPED, cause)
    assert replace(found, diagnosis=SEEN) == STOPPED
