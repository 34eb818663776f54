"""What each row of the logs proves of a VM that is down, by its subject, meaning and user."""

from typing import Any

import pytest
from msgspec.structs import replace

from exporter.recovery.detect.context import LogUsers
from exporter.recovery.detect.log_evidence import diagnose_from_logs, quoted
from exporter.recovery.detect.log_patterns import LogClassifier, Meaning
from exporter.recovery.model.cases import Case, Cause, Diagnosis, Policy
from exporter.recovery.model.limits import Limits
from exporter.recovery.model.log_templates import RowSource
from exporter.recovery.model.platform_log import LogPosition, LogRow, LogTable
from tests.recovery.test_edges import (
    ABOUT,
    CLASSIFIER,
    DOWN,
    DOWN_AT,
    HUNG,
    KILLED,
    LIMITS,
    MAINTENANCE,
    NODE,
    NOW,
    OWN,
    UP,
    UP_CLOCK,
    WAS_DOWN,
    judged,
    read,
    row,
    system_row,
)

KILL, POWER_OFF = "VM action 'kill' sent", "VM action 'poweroff' sent"
POWER_ON, RESET = "VM action 'poweron' sent", "VM has reset"
SHUTDOWN, STRANGE = "VM has shutdown", "an unknown text"
EFFECT = "VM 'web-01' powered off"
"""A doubt: it shows an effect and no request."""
ABOUT_VM: Any = {"object_type": "vm", "object_name": "web-01"}


def found(
    *rows: LogRow, case: Case = DOWN, classifier: LogClassifier = CLASSIFIER, **about: Any
) -> Diagnosis | None:
    context = ABOUT._replace(**{"logs": read(*rows), **about})
    return diagnose_from_logs(case, context, LIMITS, classifier)


def cause(*rows: LogRow, case: Case = DOWN, **about: Any) -> Cause | None:
    diagnosis = found(*rows, case=case, **about)
    return diagnosis.cause if diagnosis is not None else None


def template_of(*rows: LogRow, **about: Any) -> str:
    diagnosis = found(*rows, **about)
    return diagnosis.template if diagnosis is not None else ""


# Which row decides.


def test_logs_that_were_not_read_show_nothing() -> None:
    assert cause(logs=None) is None
    assert cause() is None


def test_row_of_no_machine_may_be_about_every_vm() -> None:
    of_none = replace(row(STRANGE), machine=None)

    assert cause(of_none) is Cause.LOGS_UNCLEAR


@pytest.mark.parametrize(
    ("unreadable", "expected"), [(frozenset(), None), (frozenset({"user"}), Cause.LOGS_UNCLEAR)]
)
def test_row_whose_user_cannot_be_read_may_be_by_a_person(
    unreadable: frozenset[str], expected: Cause | None
) -> None:
    after_down = replace(row(STRANGE, key=WAS_DOWN + 1, user="system"), unreadable=unreadable)

    assert cause(after_down) is expected


def test_first_doubt_is_reported_unless_a_row_proves_a_stop() -> None:
    doubts = row("odd", key=UP - 9), row("strange", key=UP - 8), row("VM has reset", key=UP - 7)

    assert template_of(*doubts) == "odd"
    assert template_of(*doubts, row(SHUTDOWN)) == SHUTDOWN


def test_log_that_tells_a_vm_by_its_machine_comes_first() -> None:
    rows = row(POWER_OFF), system_row(SHUTDOWN, key=1, **ABOUT_VM)

    assert cause(*rows) is Cause.STOPPED_BY_PERSON
    assert template_of(row("odd"), system_row("strange", key=1, **ABOUT_VM)) == "odd"


def test_stop_in_one_log_is_not_ended_by_an_earlier_row_of_the_other() -> None:
    start = row(POWER_ON, key=UP - 20, user="system", at=UP_CLOCK - 20)

    assert cause(start, system_row(SHUTDOWN, key=1, **ABOUT_VM)) is Cause.STOPPED_BY_GUEST


@pytest.mark.parametrize("name", ["web-01", "old-01", "cluster-9", "anna", "node3"])
def test_known_name_is_no_part_of_what_a_row_means(name: str) -> None:
    case = replace(DOWN, former_names=("old-01",))
    place = system_row(f"{name} rests", object_type="cluster", object_name="cluster-9")

    assert template_of(place, case=case) == "<name> rests"


def test_other_names_stay_in_the_template() -> None:
    place = system_row("db-99 rests", object_type="cluster", object_name="cluster-9")

    assert template_of(place) == "db-<n> rests"


def test_rows_are_judged_once_while_nothing_changes_and_only_those_that_matter_are_kept() -> None:
    rows = [
        row("VM 'web-01' is unresponsive", key=1),
        row("a crash", key=2),
        row(STRANGE, key=3),
        row(POWER_OFF, key=4),
    ]
    crash = LogClassifier(taught={"a crash": Meaning.CRASH})
    memo: dict[str, Any] = {}
    logs = read(*rows, memo=memo)

    first = found(logs=logs, classifier=crash)
    kept = memo["rows"]
    second = found(logs=logs, classifier=crash, at=NOW + 1)

    assert first is second is not None
    assert memo["rows"] is kept
    assert [one.row for one in kept] == rows[2:]


# What a row is about.


@pytest.mark.parametrize(
    ("found_row", "expected"),
    [
        (row(POWER_OFF), Cause.STOPPED_BY_PERSON),
        (row(POWER_OFF, machine=12, key=UP + 1), Cause.LOGS_UNCLEAR),  # as about its node
        (system_row(POWER_OFF, **ABOUT_VM), Cause.STOPPED_BY_PERSON),
        (system_row(POWER_OFF, object_type="vm", object_name="old-01"), Cause.STOPPED_BY_PERSON),
        (system_row(POWER_OFF, object_type="vm", object_name="db-01"), Cause.LOGS_UNCLEAR),
        (system_row(POWER_OFF, object_type="tag", object_name="web-01"), Cause.LOGS_UNCLEAR),
        (system_row(POWER_OFF), Cause.LOGS_UNCLEAR),
        (system_row(MAINTENANCE, object_type="node", object_name="node3"),
         Cause.STOPPED_BY_PERSON),
        (system_row(MAINTENANCE, object_type="cluster", object_name="c"),
         Cause.STOPPED_BY_PERSON),
        (system_row(MAINTENANCE, object_type="site", object_name="s"), Cause.LOGS_UNCLEAR),
        (system_row(STRANGE, user="system", **ABOUT_VM), Cause.LOGS_UNCLEAR),
        (system_row(STRANGE, user="system", object_type="tag", object_name="web-01"), None),
        (system_row(STRANGE, user="system", object_type="node", object_name="node3"), None),
    ],
)  # fmt: skip
def test_what_a_row_proves_depends_on_what_it_is_about(
    found_row: LogRow, expected: Cause | None
) -> None:
    assert cause(found_row, case=replace(DOWN, former_names=("old-01",))) is expected


FLUX = "flux"


@pytest.mark.parametrize(
    ("found_row", "learned"),
    [
        (row(FLUX, user="system"), {RowSource.SYSTEM}),
        (row(FLUX, user="anna"), {RowSource.PERSON}),
        (system_row(FLUX, user="system", **ABOUT_VM), {RowSource.SYSTEM}),
        (system_row(FLUX, user="anna", **ABOUT_VM), {RowSource.PERSON}),
        (system_row(FLUX, user="anna"), {RowSource.MANY}),
        (row(FLUX, user="anna", machine=NODE), set()),  # nothing is learned about places
        (system_row(FLUX, object_type="node", object_name="node3"), set()),
        (system_row(FLUX, user="system"), set(RowSource)),  # it is never a doubt
    ],
)
def test_experience_excuses_rows_of_its_own_source(
    found_row: LogRow, learned: set[RowSource]
) -> None:
    for source in RowSource:
        known = LogClassifier().with_templates({}, {source: frozenset({FLUX})})
        expected = None if source in learned else FLUX
        assert template_of(found_row, classifier=known) == (expected or "")


@pytest.mark.parametrize(
    ("shared", "found_row", "expected"),
    [
        (True, row(POWER_OFF), Cause.STOPPED_BY_PERSON),
        (True, system_row(POWER_OFF, **ABOUT_VM), Cause.LOGS_UNCLEAR),
        (False, system_row(POWER_OFF, **ABOUT_VM), Cause.STOPPED_BY_PERSON),
    ],
)
def test_name_that_several_vms_have_proves_no_stop(
    found_row: LogRow, expected: Cause, *, shared: bool
) -> None:
    assert cause(found_row, name_is_shared=shared) is expected


@pytest.mark.parametrize(("shared", "expected"), [(True, Cause.LOGS_UNCLEAR), (False, None)])
@pytest.mark.parametrize("text", [STRANGE, POWER_OFF])
def test_start_of_a_vm_of_the_same_name_ends_no_doubt(
    text: str, expected: Cause | None, *, shared: bool
) -> None:
    doubt = system_row(text, key=UP - 2, **ABOUT_VM)
    start = system_row(POWER_ON, key=UP - 1, user="system", **ABOUT_VM)

    assert cause(doubt, start, name_is_shared=shared) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Stop of 'web-01'", Cause.LOGS_UNCLEAR),
        ("Stop of 'old-01'", Cause.LOGS_UNCLEAR),
        ("Stop of 'db-01'", None),
        ('Stop of "db-01"', None),
        ("Stop of 'db-01' and 'web-01'", Cause.LOGS_UNCLEAR),
        ("Stop of 'db-01' and 'old-01'", Cause.LOGS_UNCLEAR),
        ("Stop of \"web-01\" and 'db-01'", Cause.LOGS_UNCLEAR),
        ("Stop of 'x-99'", Cause.LOGS_UNCLEAR),  # no VM that is known
        ("Stop of db-01", Cause.LOGS_UNCLEAR),
    ],
)
def test_row_about_no_single_object_is_no_doubt_if_it_names_others_only(
    text: str, expected: Cause | None
) -> None:
    case = replace(DOWN, former_names=("old-01",))

    assert cause(system_row(text), case=case, vm_names=frozenset({"web-01", "db-01"})) is expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("it's responsive-web", "Stop of 'db-01' and 'it's responsive-web'"),
        ("web-01", "Stop of 'db-01' (anna's), 'web-01'"),
        ("web-01", "Stop of 'db-01' and web-01"),
        ("web-01", "Stop of 'db-01', 'Web-01'"),
        ("old-01", "Stop of 'db-01' and old-01"),
    ],
)
@pytest.mark.parametrize("former", [False, True])
def test_row_that_names_the_vm_beside_others_is_a_doubt_however_it_is_quoted(
    name: str, text: str, *, former: bool
) -> None:
    case = replace(DOWN, name="new-01" if former else name, former_names=(name,) * former)

    assert cause(system_row(text), case=case, vm_names=frozenset({"db-01"})) is Cause.LOGS_UNCLEAR


# Rows about the VM.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (KILL, Cause.STOPPED_BY_PERSON),
        (SHUTDOWN, Cause.STOPPED_BY_GUEST),
        ("Task 'night' sent 'kill' to 'web-01'", Cause.STOPPED_BY_TASK),
        ("VM 'web-01' cannot migrate and was powered off for maintenance",
         Cause.STOPPED_BY_PERSON),
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", [UP, WAS_DOWN + 1])
def test_known_stop_of_the_vm_is_a_stop_whenever_it_was_written(
    text: str, expected: Cause, key: int
) -> None:
    assert cause(row(text, key=key)) is expected


@pytest.mark.parametrize(
    ("text", "user", "key", "expected"),
    [
        (EFFECT, "system", UP, Cause.LOGS_UNCLEAR),
        (EFFECT, "anna", UP, Cause.LOGS_UNCLEAR),
        (EFFECT, "system", WAS_DOWN, Cause.LOGS_UNCLEAR),
        (EFFECT, "system", WAS_DOWN + 1, None),
        (EFFECT, "anna", WAS_DOWN + 1, Cause.LOGS_UNCLEAR),
        (STRANGE, "system", WAS_DOWN, Cause.LOGS_UNCLEAR),
        (STRANGE, "system", WAS_DOWN + 1, None),
        (STRANGE, "anna", WAS_DOWN + 1, Cause.LOGS_UNCLEAR),
    ],
)
def test_doubt_ends_with_what_the_platform_writes_once_it_is_down(
    text: str, user: str, key: int, expected: Cause | None
) -> None:
    assert cause(row(text, user=user, key=key)) is expected


def test_row_is_not_after_a_moment_that_is_not_known() -> None:
    case = replace(DOWN, log_down=None)

    assert cause(row(STRANGE, user="system", key=999), case=case) is Cause.LOGS_UNCLEAR


@pytest.mark.parametrize(
    ("text", "user", "expected"),
    [
        (MAINTENANCE, "anna", Cause.LOGS_UNCLEAR),  # it may have been up since
        (POWER_ON, "anna", None),
        ("VM 'web-01' migrated to 'node2'", "system", None),
        ("HA: starting 'web-01' on 'node2'", "system", None),
    ],
)
def test_vm_whose_last_time_up_is_at_no_known_place_in_the_logs(
    text: str, user: str, expected: Cause | None
) -> None:
    case = replace(DOWN, log_up=None)
    machine = NODE if text == MAINTENANCE else DOWN.machine

    assert cause(row(text, user=user, machine=machine), case=case, users=OWN) is expected


def test_doubt_says_whether_the_row_is_known() -> None:
    doubt, unknown = found(row(EFFECT)), found(row(STRANGE))

    assert doubt is not None
    assert unknown is not None
    assert "may be a stop" in doubt.detail
    assert "no log pattern matches" in unknown.detail


@pytest.mark.parametrize(
    ("user", "case", "elapsed", "expected"),
    [
        ("system", DOWN, 0.0, Cause.RESET_SHORTLY_BEFORE),
        ("system", DOWN, 299.9, Cause.RESET_SHORTLY_BEFORE),
        ("system", DOWN, 300.0, None),
        ("anna", DOWN, 0.0, None),  # a hard reset does not end in a power cycle
        ("system", HUNG, 0.0, None),
    ],
)
def test_platform_has_300_seconds_for_the_power_cycle_of_a_reset(
    user: str, case: Case, elapsed: float, expected: Cause | None
) -> None:
    assert cause(row(RESET, user=user), case=case, at=NOW + elapsed) is expected


@pytest.mark.parametrize(
    ("text", "user", "expected"),
    [
        (POWER_ON, "anna", Cause.START_FAILED),
        ("VM action 'reset' sent", "anna", Cause.START_FAILED),
        ("VM action 'migrate' sent", "anna", Cause.START_FAILED),
        (POWER_ON, "VergeWatch", None),
        ("VM action 'reset' sent", "vergewatch", None),
        ("VM action 'migrate' sent", "vergewatch", Cause.MIGRATED_SHORTLY_BEFORE),
        ("VM action 'migrate' sent", "system", Cause.MIGRATED_SHORTLY_BEFORE),
        (POWER_ON, "system", None),
        ("HA: starting 'web-01' on 'node2'", "anna", Cause.START_FAILED),
        ("VM 'web-01' is unresponsive", "anna", None),
    ],
)
def test_what_others_did_to_it_since_it_was_up(
    text: str, user: str, expected: Cause | None
) -> None:
    assert cause(row(text, key=UP + 1, user=user), users=OWN) is expected
    assert cause(row(text, key=UP, user=user), users=OWN) is None  # it was up after that


def test_without_our_name_a_migration_leaves_the_node_unknown() -> None:
    moved = row("VM action 'migrate' sent", key=UP + 1, user="anna")

    assert cause(moved) is Cause.MIGRATED_SHORTLY_BEFORE


# Rows about its node, its cluster, and no single object.


@pytest.mark.parametrize(
    ("text", "user", "key", "expected"),
    [
        (EFFECT, "anna", UP, Cause.LOGS_UNCLEAR),
        (EFFECT, "system", UP, None),
        (EFFECT, "anna", WAS_DOWN + 1, None),
        ("Migrating VM 'db-01' to 'node2'", "anna", UP, None),
        (MAINTENANCE, "system", UP, Cause.STOPPED_BY_PERSON),
        (MAINTENANCE, "system", UP + 1, Cause.LOGS_UNCLEAR),
        (MAINTENANCE, "anna", WAS_DOWN, Cause.LOGS_UNCLEAR),
        (MAINTENANCE, "anna", WAS_DOWN + 1, None),
    ],
)
def test_row_about_its_node_explains_only_what_came_after(
    text: str, user: str, key: int, expected: Cause | None
) -> None:
    assert cause(row(text, user=user, key=key, machine=NODE)) is expected


LEFT = "Node 'node3' left maintenance mode"


def in_maintenance(key: int, text: str = MAINTENANCE, **changes: Any) -> LogRow:
    return replace(row(text, machine=NODE, key=key), **changes)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([in_maintenance(UP - 5), in_maintenance(UP - 2, LEFT)], None),
        ([in_maintenance(UP - 5), in_maintenance(UP, LEFT)], None),
        ([in_maintenance(UP - 5), in_maintenance(UP + 1, LEFT)], Cause.STOPPED_BY_PERSON),
        ([in_maintenance(UP - 5, LEFT), in_maintenance(UP - 2)], Cause.STOPPED_BY_PERSON),
        ([in_maintenance(UP - 5), in_maintenance(UP - 2, LEFT), in_maintenance(UP)],
         Cause.STOPPED_BY_PERSON),
        ([in_maintenance(UP - 5), in_maintenance(UP - 2, LEFT, machine=34)],
         Cause.STOPPED_BY_PERSON),
        ([in_maintenance(UP - 5, STRANGE), in_maintenance(UP - 2, LEFT)], Cause.LOGS_UNCLEAR),
        ([row(POWER_OFF, key=UP - 5), in_maintenance(UP - 2, LEFT)], Cause.STOPPED_BY_PERSON),
        ([system_row(MAINTENANCE, key=UP - 5, object_type="node", object_name="node3"),
          system_row(LEFT, key=UP - 2, object_type="node", object_name="node3")], None),
        ([system_row(MAINTENANCE, key=UP - 5, object_type="node", object_name="node3"),
          system_row(LEFT, key=UP - 2, object_type="node", object_name="node4")],
         Cause.STOPPED_BY_PERSON),
        ([system_row(MAINTENANCE, key=UP - 5, object_type="cluster", object_name="node3"),
          system_row(LEFT, key=UP - 2, object_type="node", object_name="node3")],
         Cause.STOPPED_BY_PERSON),
    ],
)  # fmt: skip
def test_maintenance_that_its_node_left_while_it_was_up_explains_nothing(
    rows: list[LogRow], expected: Cause | None
) -> None:
    assert cause(*rows) is expected


@pytest.mark.parametrize(
    ("text", "user", "key", "expected"),
    [
        (EFFECT, "anna", UP, Cause.LOGS_UNCLEAR),
        (EFFECT, "system", UP, None),
        (EFFECT, "anna", WAS_DOWN + 1, None),
        (STRANGE, "anna", WAS_DOWN, Cause.LOGS_UNCLEAR),
        (STRANGE, "anna", WAS_DOWN + 1, None),
        ("VM action 'migrate' sent", "anna", UP, None),
        (POWER_OFF, "system", UP, Cause.LOGS_UNCLEAR),
        (POWER_OFF, "anna", WAS_DOWN + 1, Cause.LOGS_UNCLEAR),
    ],
)
def test_row_about_no_single_object_is_a_doubt_at_most(
    text: str, user: str, key: int, expected: Cause | None
) -> None:
    assert cause(system_row(text, user=user, key=key)) is expected


# Our own kill.


def kill(key: int = UP + 1, user: str = "api", text: str = KILL, **where: Any) -> LogRow:
    return replace(row(text, key=key, user=user), read_at=DOWN_AT + 10, **where)


def kill_in_system_log(key: int, user: str = "api") -> LogRow:
    return replace(system_row(KILL, user=user, key=key, **ABOUT_VM), read_at=DOWN_AT + 10)


@pytest.mark.parametrize(
    ("rows", "users", "is_ours"),
    [
        ([kill()], LogUsers(), True),
        ([kill(user="system")], LogUsers(), False),
        ([kill(text=POWER_OFF)], LogUsers(), False),
        ([kill(), kill(UP + 2)], LogUsers(), False),  # the second is another's
        ([kill(), kill_in_system_log(UP + 1)], LogUsers(), True),
        ([kill_in_system_log(UP + 1), kill_in_system_log(UP + 2), kill(UP + 3)], LogUsers(), True),
        ([kill_in_system_log(UP + 1), kill(UP + 2), kill(UP + 3)], LogUsers(), False),
        ([kill(UP)], LogUsers(), False),
        ([kill()], OWN, False),
        ([kill(user="vergewatch")], OWN, True),
        ([kill(user="vergewatch"), kill(UP + 2, user="vergewatch")], OWN, True),
        ([kill(user="vergewatch", text="Power command issued")], OWN, True),
        ([kill(user="vergewatch", text=POWER_OFF)], OWN, False),
        ([kill(user="vergewatch", text=SHUTDOWN)], OWN, False),
    ],
)
def test_kill_rows_that_are_our_own_are_no_stop(
    rows: list[LogRow], users: LogUsers, *, is_ours: bool
) -> None:
    assert (cause(*rows, case=KILLED, users=users) is None) is is_ours


@pytest.mark.parametrize("change", [{"killed_at": None}, {"killed_position": None}])
def test_kill_that_was_sent_at_no_known_time_is_not_attributed(change: dict[str, Any]) -> None:
    case = replace(KILLED, **change)

    assert cause(kill(), case=case) is Cause.STOPPED_BY_PERSON
    assert cause(kill(user="vergewatch"), case=case, users=OWN) is Cause.STOPPED_BY_PERSON


def test_kill_of_no_single_object_is_not_ours() -> None:
    one = replace(system_row(KILL, user="vergewatch", key=UP + 1), read_at=DOWN_AT + 10)

    assert cause(one, case=KILLED, users=OWN) is Cause.LOGS_UNCLEAR
    assert cause(one, case=KILLED) is Cause.LOGS_UNCLEAR


@pytest.mark.parametrize(
    ("case", "user", "key", "expected"),
    [
        (KILLED, "system", UP + 1, None),
        (KILLED, "system", UP, Cause.LOGS_UNCLEAR),
        (KILLED, "anna", UP + 1, Cause.LOGS_UNCLEAR),
        (replace(KILLED, killed_position=None), "system", UP + 1, Cause.LOGS_UNCLEAR),
    ],
)
def test_what_the_platform_writes_after_our_kill_is_no_doubt(
    case: Case, user: str, key: int, expected: Cause | None
) -> None:
    before_down = replace(case, log_down=LogPosition(WAS_DOWN, WAS_DOWN))

    assert cause(row(EFFECT, user=user, key=key), case=before_down, users=OWN) is expected


# A stop that may be over.


@pytest.mark.parametrize(
    ("later", "attempts", "expected"),
    [
        (row(POWER_ON, key=UP + 1), 0, Cause.START_FAILED),
        (row(POWER_ON, key=UP + 1), 1, Cause.STOPPED_BY_PERSON),  # perhaps ours
        (row(POWER_ON, key=UP - 11), 0, Cause.STOPPED_BY_PERSON),
        (row(POWER_ON, key=UP + 1, machine=12), 0, Cause.STOPPED_BY_PERSON),
        (row(RESET, key=UP + 1), 0, Cause.STOPPED_BY_PERSON),
        (system_row(POWER_ON, key=UP + 1, **ABOUT_VM), 0, Cause.STOPPED_BY_PERSON),
        (replace(system_row(POWER_ON, key=UP + 1, **ABOUT_VM), at=UP_CLOCK + 1), 0,
         Cause.START_FAILED),
    ],
)  # fmt: skip
def test_start_after_a_stop_leaves_it_open_why_it_is_down(
    later: LogRow, attempts: int, expected: Cause
) -> None:
    stop = row(POWER_OFF, key=UP - 10, at=UP_CLOCK)

    assert cause(stop, later, case=replace(DOWN, attempts=attempts)) is expected


@pytest.mark.parametrize(
    ("started_at", "up_clock", "expected"),
    [
        (UP_CLOCK - 60.0, UP_CLOCK, Cause.STOPPED_BY_PERSON),
        (UP_CLOCK - 59.9, UP_CLOCK, Cause.START_FAILED),
        (UP_CLOCK, UP_CLOCK, Cause.START_FAILED),
        (UP_CLOCK + 0.1, UP_CLOCK, Cause.STOPPED_BY_PERSON),
        (None, UP_CLOCK, Cause.STOPPED_BY_PERSON),
        (UP_CLOCK, None, Cause.STOPPED_BY_PERSON),
    ],
)
def test_stamp_of_a_start_between_the_stop_and_being_up_leaves_it_open(
    started_at: float | None, up_clock: float | None, expected: Cause
) -> None:
    stop, reset = row(POWER_OFF, key=UP - 10, at=UP_CLOCK - 60), row(RESET, key=UP + 1)
    case = replace(DOWN, up_clock=up_clock)

    assert cause(stop, case=case, started_at=started_at) is expected
    assert cause(stop, reset, case=case, started_at=started_at) is Cause.STOPPED_BY_PERSON


# Policy always.


@pytest.mark.parametrize(
    ("rows", "case", "expected"),
    [
        ([row(SHUTDOWN)], DOWN, SHUTDOWN),
        ([row(SHUTDOWN, machine=NODE, key=WAS_DOWN + 1)], DOWN, ""),
        ([row(POWER_ON, key=UP + 1)], DOWN, ""),
        ([row(POWER_ON, key=UP + 1), row(SHUTDOWN, key=UP + 2)], DOWN, SHUTDOWN),
        ([row(SHUTDOWN), row(POWER_OFF)], DOWN, POWER_OFF),
        ([row(SHUTDOWN), row(STRANGE)], DOWN, STRANGE),
        ([row(SHUTDOWN)], HUNG, ""),
        ([], DOWN, ""),
    ],
)
def test_guest_shutdown_is_what_a_start_by_policy_always_names(
    rows: list[LogRow], case: Case, expected: str
) -> None:
    assert template_of(*rows, case=case, policy=Policy.ALWAYS) == expected


def test_hung_vm_whose_guest_shuts_down_is_hung_by_policy_always() -> None:
    limits = Limits(confirm_hung_seconds=30.0)

    assert judged(HUNG, limits, logs=read(row(SHUTDOWN)), policy=Policy.ALWAYS) is Cause.HUNG


# How a row is quoted.


@pytest.mark.parametrize(("user", "by"), [("anna", "anna"), ("", "system")])
def test_row_is_quoted_with_its_author_time_and_place(user: str, by: str) -> None:
    one = LogRow(table=LogTable.LOGS, key=7, at=3723.0, text=" it rests ", user=user)

    assert quoted(one) == f"“it rests” by {by} at 01:02:03 UTC (logs row 7)"
